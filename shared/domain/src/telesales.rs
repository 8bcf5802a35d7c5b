//! Whom telesales may call: a name, a phone and a region, one agent at a time, and never someone
//! who asked not to be called.

use crate::Invalid;
use crate::identity::AgentId;
use crate::personal::{PersonName, Phone, Region};
use crate::time::UtcMillis;

/// How long an agent has somebody to herself: 30 minutes.
pub const LEASE_MS: i64 = 30 * 60 * 1_000;
/// A contact is kept for so many days after its last update or outcome.
pub const RETENTION_DAYS: u32 = 180;
/// Of a deletion, the pseudonym and version are kept for so many days, so that no older change
/// revives it.
pub const DELETION_DAYS: u32 = 30;
/// Of a contact whose time was over they are kept for so many days after the company's source had
/// it last, so that a comparison with the source does not begin that time anew.
pub const EXPIRED_DAYS: u32 = 180;
/// Contacts that one agent may see in an hour: enough to call, too few to copy the base.
pub const HOURLY_CONTACTS: u32 = 200;
/// Contacts that one agent may hold at a time: the one who is called, and a few who are next.
pub const OPEN_CLAIMS: u32 = 5;
/// Who claimed which phone is kept for so many days after the claim was over, an erasure or not: so
/// long the agent may still tell that its owner asked not to be called.
pub const CLAIM_DAYS: u32 = 1;

/// Somebody to be called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// How to address them.
    pub name: PersonName,
    /// Where to call them.
    pub phone: Phone,
    /// Their state.
    pub region: Region,
}

impl Contact {
    /// Fewer digits than a document or a phone has.
    const MOST_DIGITS: usize = 7;

    /// The name of somebody to be called. A document, a phone or an address that stands in its place
    /// must not reach an agent's screen.
    ///
    /// # Errors
    /// When it is no name.
    pub fn parse_name(text: &str) -> Result<PersonName, Invalid> {
        let digits = text.bytes().filter(u8::is_ascii_digit).count();
        let has_letter = text.chars().any(char::is_alphabetic);
        if !has_letter || text.contains('@') || digits > Self::MOST_DIGITS {
            return Err(Invalid::new("must be a name, and no number or address"));
        }
        PersonName::parse(text)
    }
}

/// How a call ended. The list is closed: free text would collect personal data again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallOutcome {
    /// They bought.
    Sale,
    /// Nobody answered.
    NoAnswer,
    /// They want to be called again.
    CallBack,
    /// They are not interested.
    NotInterested,
    /// The number is somebody else's.
    WrongNumber,
    /// They asked not to be called.
    DoNotCall,
}

/// An agent's claim on a contact, and how its last call ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Call {
    /// Who has it, and until when.
    pub claim: Option<(AgentId, UtcMillis)>,
    /// Who has its phone, under whichever customer's name, and until when.
    pub phone_claim: Option<(AgentId, UtcMillis)>,
    /// Whether the agent who asks had it within the last [`CLAIM_DAYS`], although it was erased or is
    /// another's since.
    pub was_own: bool,
    /// How the last call ended.
    pub outcome: Option<CallOutcome>,
}

/// What an outcome changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The call ends so.
    Call,
    /// The contact is erased or another agent's by now: only its phones are not to be called.
    PhonesOnly,
    /// Nothing: it was told before.
    Known,
}

/// Why an agent may not do this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotYours {
    /// Another agent has the contact.
    #[error("another agent has this contact")]
    Claimed,
    /// The agent has no claim on it, or it has lapsed.
    #[error("claim the contact before you tell its outcome")]
    NotClaimed,
    /// The last call was the last one: they bought, do not want to, or it was not their number.
    #[error("the last call ended for good")]
    Ended,
    /// The agent holds as many contacts as one may.
    #[error("an agent holds at most {OPEN_CLAIMS} contacts at a time")]
    TooMany,
}

impl CallOutcome {
    /// Every outcome there is.
    pub const ALL: [Self; 6] = [
        Self::Sale,
        Self::NoAnswer,
        Self::CallBack,
        Self::NotInterested,
        Self::WrongNumber,
        Self::DoNotCall,
    ];

    /// The word on the wire and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sale => "venda",
            Self::NoAnswer => "nao_atendeu",
            Self::CallBack => "retornar",
            Self::NotInterested => "sem_interesse",
            Self::WrongNumber => "numero_errado",
            Self::DoNotCall => "nao_ligar",
        }
    }

    /// From its word.
    ///
    /// # Errors
    /// For any other word.
    pub fn parse(word: &str) -> Result<Self, Invalid> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == word)
            .ok_or(Invalid::new(
                "must be venda, nao_atendeu, retornar, sem_interesse, numero_errado or nao_ligar",
            ))
    }

    /// Whether the contact goes back to the list of those to be called.
    #[must_use]
    pub const fn calls_again(self) -> bool {
        matches!(self, Self::NoAnswer | Self::CallBack)
    }
}

impl Call {
    /// Whether somebody else has it, or its phone, at `now`.
    #[must_use]
    pub fn is_taken(&self, agent: &AgentId, now: UtcMillis) -> bool {
        let mut claims = self.claim.iter().chain(&self.phone_claim);
        claims.any(|(holder, until)| holder != agent && *until > now)
    }

    /// Takes the contact for `agent`, who holds `others` besides; asked again, the lease begins anew.
    ///
    /// # Errors
    /// [`NotYours::Claimed`], [`NotYours::Ended`] or [`NotYours::TooMany`].
    pub fn claimed(
        &self,
        agent: &AgentId,
        others: u32,
        now: UtcMillis,
    ) -> Result<UtcMillis, NotYours> {
        if self.is_taken(agent, now) {
            return Err(NotYours::Claimed);
        }
        if self.outcome.is_some_and(|outcome| !outcome.calls_again()) {
            return Err(NotYours::Ended);
        }
        if others >= OPEN_CLAIMS {
            return Err(NotYours::TooMany);
        }
        Ok(now.plus_millis(LEASE_MS))
    }

    /// What changes when `agent` tells this outcome. That somebody is not to be called is heard from
    /// the last agent who had them whenever it is told, and from an earlier one for [`CLAIM_DAYS`].
    ///
    /// # Errors
    /// When another agent has the contact, or nobody does.
    pub fn ends(
        &self,
        agent: &AgentId,
        outcome: CallOutcome,
        now: UtcMillis,
    ) -> Result<Ending, NotYours> {
        let is_plea = outcome == CallOutcome::DoNotCall;
        match &self.claim {
            Some((holder, until)) if holder == agent && *until > now => Ok(Ending::Call),
            Some((holder, _)) if holder == agent && self.outcome == Some(outcome) => {
                Ok(Ending::Known)
            }
            Some((holder, _)) if holder == agent && is_plea => Ok(Ending::Call),
            _ if is_plea && self.was_own => Ok(Ending::PhonesOnly),
            Some((_, until)) if *until > now => Err(NotYours::Claimed),
            _ => Err(NotYours::NotClaimed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> UtcMillis {
        UtcMillis::new(millis).unwrap()
    }

    fn agent(id: &str) -> AgentId {
        AgentId::parse(id).unwrap()
    }

    #[test]
    fn two_agents_never_have_one_person() {
        let until = Call::default().claimed(&agent("a"), 0, at(0)).unwrap();
        let call = Call {
            claim: Some((agent("a"), until)),
            ..Call::default()
        };
        assert_eq!(call.claimed(&agent("b"), 0, at(1)), Err(NotYours::Claimed));
        let of_another_customer = Call {
            claim: None,
            phone_claim: call.claim.clone(),
            ..Call::default()
        };
        let refused = of_another_customer.claimed(&agent("b"), 0, at(1));
        assert_eq!(refused, Err(NotYours::Claimed), "one phone, two customers");
        assert!(of_another_customer.claimed(&agent("a"), 1, at(1)).is_ok());
        assert!(of_another_customer.claimed(&agent("b"), 0, until).is_ok());
        let sale = CallOutcome::Sale;
        assert_eq!(call.ends(&agent("b"), sale, at(1)), Err(NotYours::Claimed));
        assert_eq!(call.ends(&agent("a"), sale, at(1)), Ok(Ending::Call));
        assert_eq!(call.claimed(&agent("a"), 0, at(1)), Ok(at(1 + LEASE_MS)));
        assert_eq!(
            call.ends(&agent("a"), sale, until),
            Err(NotYours::NotClaimed)
        );
        let ended = Call {
            outcome: Some(sale),
            ..call.clone()
        };
        assert_eq!(ended.ends(&agent("a"), sale, until), Ok(Ending::Known));
        assert!(call.claimed(&agent("b"), 0, until).is_ok());
    }

    #[test]
    fn who_gave_an_answer_is_not_called_again_and_nobody_hoards_contacts() {
        for outcome in CallOutcome::ALL {
            let call = Call {
                outcome: Some(outcome),
                ..Call::default()
            };
            let claimed = call.claimed(&agent("a"), 0, at(0));
            let calls_again = [CallOutcome::NoAnswer, CallOutcome::CallBack].contains(&outcome);
            let expected = match calls_again {
                true => Ok(at(LEASE_MS)),
                false => Err(NotYours::Ended),
            };
            assert_eq!(claimed, expected, "{}", outcome.as_str());
        }
        let free = Call::default();
        assert!(free.claimed(&agent("a"), OPEN_CLAIMS - 1, at(0)).is_ok());
        let refused = free.claimed(&agent("a"), OPEN_CLAIMS, at(0));
        assert_eq!(refused, Err(NotYours::TooMany));
    }

    #[test]
    fn who_asks_not_to_be_called_is_heard_from_whoever_called() {
        let plea = CallOutcome::DoNotCall;
        let of = |holder: &str, outcome| Call {
            claim: Some((agent(holder), at(LEASE_MS))),
            outcome,
            ..Call::default()
        };
        for outcome in CallOutcome::ALL {
            let call = of("a", Some(outcome));
            let expected = match outcome == plea {
                true => Ending::Known,
                false => Ending::Call,
            };
            let late = at(LEASE_MS).plus_millis(365 * 86_400_000);
            assert_eq!(call.ends(&agent("a"), plea, late), Ok(expected));
            let refused = call.ends(&agent("b"), plea, late);
            assert_eq!(refused, Err(NotYours::NotClaimed), "never had them");
        }
        for claim in [None, of("b", None).claim] {
            let call = Call {
                claim,
                was_own: true,
                ..Call::default()
            };
            let told = |outcome| call.ends(&agent("a"), outcome, at(2));
            assert_eq!(told(plea), Ok(Ending::PhonesOnly));
            assert!(told(CallOutcome::Sale).is_err());
        }
    }

    #[test]
    fn outcomes_are_a_closed_list() {
        for outcome in CallOutcome::ALL {
            assert_eq!(CallOutcome::parse(outcome.as_str()), Ok(outcome));
        }
        assert!(CallOutcome::parse("ligou para a mãe").is_err());
    }
}
