-- Which phone an agent claimed under whose pseudonym: who is erased or gets another number during the
-- call may say all the same that this one is not to be called.
CREATE TABLE IF NOT EXISTS claimed_phones (
    subject VARCHAR(32) NOT NULL,
    agent VARCHAR(64) NOT NULL,
    phone_mark VARCHAR(32) NOT NULL,
    claimed_until_ms BIGINT NOT NULL,
    PRIMARY KEY (subject, agent, phone_mark)
);
CREATE INDEX claimed_phones_by_phone ON claimed_phones (phone_mark, agent);
CREATE INDEX claimed_phones_by_age ON claimed_phones (claimed_until_ms);
