-- Why a contact was erased, where the source did not say so itself.
ALTER TABLE contacts ADD COLUMN erased_for VARCHAR(16);

-- Whom an agent is calling, as HMACs of phones: two customers may have one phone.
CREATE TABLE IF NOT EXISTS phone_leases (
    phone_mark VARCHAR(32) NOT NULL PRIMARY KEY,
    agent VARCHAR(64) NOT NULL,
    claimed_until_ms BIGINT NOT NULL
);
CREATE INDEX phone_leases_by_age ON phone_leases (claimed_until_ms);
CREATE INDEX calls_by_agent ON calls (agent, claimed_until_ms);
