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
/// Contacts that one agent may see in an hour: enough to call, too few to copy the base.
pub const HOURLY_CONTACTS: u32 = 200;

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
    /// How the last call ended.
    pub outcome: Option<CallOutcome>,
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
    /// Whether somebody else has it at `now`.
    #[must_use]
    pub fn is_taken(&self, agent: &AgentId, now: UtcMillis) -> bool {
        self.claim
            .as_ref()
            .is_some_and(|(holder, until)| holder != agent && *until > now)
    }

    /// Takes the contact for `agent`; asked again, the lease begins anew.
    ///
    /// # Errors
    /// [`NotYours::Claimed`].
    pub fn claimed(&self, agent: &AgentId, now: UtcMillis) -> Result<UtcMillis, NotYours> {
        if self.is_taken(agent, now) {
            return Err(NotYours::Claimed);
        }
        Ok(now.plus_millis(LEASE_MS))
    }

    /// Whether `agent` tells anything new with this outcome: told again, it changes nothing.
    ///
    /// # Errors
    /// When another agent has the contact, or nobody does.
    pub fn ends(
        &self,
        agent: &AgentId,
        outcome: CallOutcome,
        now: UtcMillis,
    ) -> Result<bool, NotYours> {
        match &self.claim {
            Some((holder, until)) if holder == agent && *until > now => Ok(true),
            Some((_, until)) if *until > now => Err(NotYours::Claimed),
            Some((holder, _)) if holder == agent && self.outcome == Some(outcome) => Ok(false),
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
        let until = Call::default().claimed(&agent("a"), at(0)).unwrap();
        let call = Call {
            claim: Some((agent("a"), until)),
            outcome: None,
        };
        assert_eq!(call.claimed(&agent("b"), at(1)), Err(NotYours::Claimed));
        let sale = CallOutcome::Sale;
        assert_eq!(call.ends(&agent("b"), sale, at(1)), Err(NotYours::Claimed));
        assert_eq!(call.ends(&agent("a"), sale, at(1)), Ok(true));
        assert_eq!(call.claimed(&agent("a"), at(1)), Ok(at(1 + LEASE_MS)));
        assert_eq!(
            call.ends(&agent("a"), sale, until),
            Err(NotYours::NotClaimed)
        );
        let ended = Call {
            outcome: Some(sale),
            ..call.clone()
        };
        assert_eq!(ended.ends(&agent("a"), sale, until), Ok(false));
        assert!(call.claimed(&agent("b"), until).is_ok());
    }

    #[test]
    fn outcomes_are_a_closed_list() {
        for outcome in CallOutcome::ALL {
            assert_eq!(CallOutcome::parse(outcome.as_str()), Ok(outcome));
        }
        assert!(CallOutcome::parse("ligou para a mãe").is_err());
    }
}
