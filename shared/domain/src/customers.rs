//! Customers: which news of one is the newest where another system is their master, and their
//! versions where Feira is.

pub use crate::changes::Place;
use crate::changes::{Mark, Stamp};
use crate::identity::CustomerId;
use crate::personal::{Cpf, Email, PersonName, Phone, Region};
use crate::time::UtcMillis;

/// What the company's system says of a customer. What it does not say is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Profile {
    /// `nome`.
    pub name: Option<PersonName>,
    /// `cpf`.
    pub cpf: Option<Cpf>,
    /// `email`.
    pub email: Option<Email>,
    /// `telefone`.
    pub phone: Option<Phone>,
    /// `regiao`.
    pub region: Option<Region>,
    /// Whether the customer agreed to take part in referrals.
    pub referral_consent: bool,
    /// Whether the customer agreed to be called by telesales.
    pub telesales_consent: bool,
}

/// News of a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// Whom it is about.
    pub customer: CustomerId,
    /// The source's own version (`versao`, else `atualizado_em` in milliseconds), where it has one.
    pub version: Option<i64>,
    /// Where it was read.
    pub place: Place,
    /// What it says; nothing for a tombstone, which deletes.
    pub profile: Option<Profile>,
}

/// What is kept of a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    /// The id.
    pub id: CustomerId,
    /// The highest version that was seen, where the source has versions.
    pub version: Option<i64>,
    /// Where the newest news was read; nothing for a customer who registered with us.
    pub place: Option<Place>,
    /// The profile; nothing for a deleted customer.
    pub profile: Option<Profile>,
    /// When we first heard of the customer.
    pub registered: UtcMillis,
    /// Since when the customer agrees to take part in referrals; nothing for one who does not.
    pub consented: Option<UtcMillis>,
}

impl News {
    /// Whether this is newer than what is kept.
    #[must_use]
    pub fn supersedes(&self, kept: &Customer) -> bool {
        self.stamp()
            .supersedes(&kept.mark(), self.profile.is_none())
    }

    /// What is to be kept after this news; nothing when it is old.
    #[must_use]
    pub fn applied(self, kept: Option<&Customer>, now: UtcMillis) -> Option<Customer> {
        let mark = kept.map(Customer::mark);
        let mark = self
            .stamp()
            .applied(mark.as_ref(), self.profile.is_none())?;
        let agrees = self
            .profile
            .as_ref()
            .is_some_and(|profile| profile.referral_consent);
        let since = kept.and_then(|kept| kept.consented).unwrap_or(now);
        Some(Customer {
            id: self.customer,
            version: mark.version,
            place: mark.place,
            profile: self.profile,
            registered: kept.map_or(now, |kept| kept.registered),
            consented: agrees.then_some(since),
        })
    }

    const fn stamp(&self) -> Stamp {
        Stamp {
            version: self.version,
            place: self.place,
        }
    }
}

impl Customer {
    /// What is to be kept after a change of ours, where Feira is the customers' master: a profile,
    /// or nothing for a deletion. Nothing when that is what is kept.
    #[must_use]
    pub fn changed(
        id: CustomerId,
        kept: Option<&Self>,
        profile: Option<Profile>,
        now: UtcMillis,
    ) -> Option<Self> {
        if kept.and_then(|kept| kept.profile.as_ref()) == profile.as_ref() {
            return None;
        }
        let agrees = profile
            .as_ref()
            .is_some_and(|profile| profile.referral_consent);
        let since = kept.and_then(|kept| kept.consented).unwrap_or(now);
        let highest = kept.and_then(|kept| kept.version).unwrap_or_default();
        Some(Self {
            id,
            version: Some(highest.saturating_add(1)),
            place: None,
            profile,
            registered: kept.map_or(now, |kept| kept.registered),
            consented: agrees.then_some(since),
        })
    }

    const fn mark(&self) -> Mark {
        Mark {
            version: self.version,
            place: self.place,
            is_deleted: self.profile.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UtcMillis = match UtcMillis::new(1_700_000_000_000) {
        Ok(now) => now,
        Err(_) => unreachable!(),
    };

    fn news(version: Option<i64>, offset: i64, profile: Option<Profile>) -> News {
        News {
            customer: CustomerId::parse("c1").unwrap(),
            version,
            place: Place {
                partition: 0,
                offset,
                recorded: NOW.plus_millis(offset),
            },
            profile,
        }
    }

    fn some() -> Option<Profile> {
        Some(Profile::default())
    }

    #[test]
    fn the_newest_version_wins_whatever_comes_last() {
        let kept = news(Some(5), 1, some()).applied(None, NOW).unwrap();
        assert!(!news(Some(4), 2, some()).supersedes(&kept));
        assert!(!news(Some(5), 1, some()).supersedes(&kept));
        assert!(news(Some(6), 0, some()).supersedes(&kept));
    }

    #[test]
    fn without_versions_the_offset_decides() {
        let kept = news(None, 7, some()).applied(None, NOW).unwrap();
        assert!(!news(None, 7, some()).supersedes(&kept));
        assert!(!news(None, 6, some()).supersedes(&kept));
        assert!(news(None, 8, some()).supersedes(&kept));
    }

    #[test]
    fn only_a_higher_version_revives_a_deleted_customer() {
        let kept = news(Some(5), 1, some()).applied(None, NOW).unwrap();
        let gone = news(None, 2, None)
            .applied(Some(&kept), NOW.plus_days(1))
            .unwrap();
        assert_eq!(
            (gone.version, &gone.profile, gone.registered),
            (Some(5), &None, NOW)
        );
        assert!(news(Some(5), 3, some()).applied(Some(&gone), NOW).is_none());
        assert!(news(Some(6), 3, some()).applied(Some(&gone), NOW).is_some());
        assert!(news(None, 2, None).applied(Some(&gone), NOW).is_none());
    }

    #[test]
    fn what_was_said_before_a_deletion_revives_nobody_whatever_its_version() {
        let unversioned = news(None, 2, None).applied(None, NOW).unwrap();
        let kept = news(Some(5), 0, some()).applied(None, NOW).unwrap();
        let versioned = news(None, 2, None).applied(Some(&kept), NOW).unwrap();
        for gone in [unversioned, versioned] {
            assert!(news(Some(6), 1, some()).applied(Some(&gone), NOW).is_none());
            assert!(news(Some(6), 3, some()).applied(Some(&gone), NOW).is_some());
        }
    }

    #[test]
    fn consent_counts_from_when_it_was_given() {
        let agreeing = || {
            Some(Profile {
                referral_consent: true,
                ..Profile::default()
            })
        };
        let later = NOW.plus_days(1);
        let silent = news(Some(1), 1, some()).applied(None, NOW).unwrap();
        assert_eq!(silent.consented, None);
        let agreed = news(Some(2), 2, agreeing())
            .applied(Some(&silent), later)
            .unwrap();
        assert_eq!(agreed.consented, Some(later));
        let again = news(Some(3), 3, agreeing())
            .applied(Some(&agreed), NOW.plus_days(2))
            .unwrap();
        assert_eq!(again.consented, Some(later));
        let withdrawn = news(Some(4), 4, some())
            .applied(Some(&again), later)
            .unwrap();
        assert_eq!(withdrawn.consented, None);
    }

    #[test]
    fn a_tombstone_that_comes_again_late_deletes_nothing() {
        let kept = news(Some(6), 3, some()).applied(None, NOW).unwrap();
        assert!(news(None, 2, None).applied(Some(&kept), NOW).is_none());
    }

    #[test]
    fn a_tombstone_of_somebody_unknown_is_remembered() {
        let gone = news(None, 9, None).applied(None, NOW).unwrap();
        assert!(news(None, 8, some()).applied(Some(&gone), NOW).is_none());
        assert!(news(None, 10, some()).applied(Some(&gone), NOW).is_some());
    }

    #[test]
    fn a_topic_made_anew_goes_on_with_lower_offsets() {
        let kept = news(None, 7, some()).applied(None, NOW).unwrap();
        let later = |days| Place {
            partition: 0,
            offset: 0,
            recorded: NOW.plus_days(days),
        };
        let within_a_day = News {
            place: later(1),
            ..news(None, 0, None)
        };
        let anew = News {
            place: later(2),
            ..news(None, 0, None)
        };
        assert!(!within_a_day.supersedes(&kept));
        assert!(anew.supersedes(&kept));
    }

    #[test]
    fn between_partitions_the_timestamp_decides() {
        let kept = news(None, 7, some()).applied(None, NOW).unwrap();
        let place = |recorded| Place {
            partition: 1,
            offset: 0,
            recorded,
        };
        let later = News {
            place: place(NOW.plus_days(1)),
            ..news(None, 0, some())
        };
        let earlier = News {
            place: place(NOW),
            ..news(None, 0, some())
        };
        assert!(later.supersedes(&kept));
        assert!(!earlier.supersedes(&kept));
    }

    #[test]
    fn each_change_of_ours_is_a_version_more_and_the_same_again_is_none() {
        let id = || CustomerId::parse("c1").unwrap();
        let first = Customer::changed(id(), None, some(), NOW).unwrap();
        assert_eq!((first.version, first.place), (Some(1), None));
        assert!(Customer::changed(id(), Some(&first), some(), NOW).is_none());
        assert!(Customer::changed(id(), None, None, NOW).is_none());
        let synced = news(Some(7), 3, some()).applied(None, NOW).unwrap();
        let gone = Customer::changed(id(), Some(&synced), None, NOW).unwrap();
        assert_eq!(
            (gone.version, gone.place, &gone.profile),
            (Some(8), None, &None)
        );
        let back = Customer::changed(id(), Some(&gone), some(), NOW.plus_days(1)).unwrap();
        assert_eq!((back.version, back.registered), (Some(9), NOW));
    }
}
