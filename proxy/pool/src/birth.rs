//! What servers are born with: the parameters that PostgreSQL reports to a new session.
//!
//! `ALTER DATABASE .. SET` and its like change them for sessions to come. Servers of both kinds in one pool would give a
//! client one time zone now and another then: so the older ones go, and clients are told.

use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use foldhash::fast::FixedState;
use tokio::time::Instant;

/// They say who a session is and where it is, not how it works.
const IDENTITY: [&str; 3] = ["in_hot_standby", "is_superuser", "session_authorization"];

/// Servers are replaced for it no more often: an address may stand for several PostgreSQLs that differ for good.
const SELDOM: Duration = Duration::from_secs(60);

/// A number for what a server was born with: the same for those that were born alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Birth(u64);

impl Birth {
    /// Of what a new session reported.
    pub fn of(parameters: &[(String, String)]) -> Self {
        // The order in which they come says nothing.
        let each = parameters.iter().filter(|(name, _)| tells(name.as_bytes())).map(|(name, value)| {
            let mut hasher = FixedState::default().build_hasher();
            for text in [name, value] {
                hasher.write(text.as_bytes());
                hasher.write_u8(0);
            }
            hasher.finish()
        });
        Self(each.fold(0, u64::wrapping_add))
    }
}

/// Whether a parameter of that name says how a session works.
pub fn tells(name: &[u8]) -> bool {
    !IDENTITY.iter().any(|other| other.as_bytes() == name)
}

/// What the newest servers of a pool were born with.
#[derive(Debug, Default)]
pub struct Newest {
    birth: AtomicU64,
    changed: Mutex<Option<Instant>>,
}

impl Newest {
    /// A server was born like that.
    pub fn note(&self, birth: Birth) {
        if self.get() == birth {
            return;
        }
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = self.get() == Birth::default();
        if is_first || changed.is_none_or(|at| at.elapsed() >= SELDOM) {
            self.birth.store(birth.0, Ordering::Relaxed);
            *changed = (!is_first).then(Instant::now);
        }
    }

    /// That of the newest.
    pub fn get(&self) -> Birth {
        Birth(self.birth.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn birth(parameters: &[(&str, &str)]) -> Birth {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Birth::of(&parameters.iter().map(own).collect::<Vec<_>>())
    }

    #[test]
    fn servers_born_alike_are_alike() {
        let utc = birth(&[("TimeZone", "UTC"), ("DateStyle", "ISO"), ("is_superuser", "off")]);
        assert_eq!(utc, birth(&[("DateStyle", "ISO"), ("TimeZone", "UTC"), ("in_hot_standby", "on")]));
        assert_ne!(utc, birth(&[("TimeZone", "Asia/Tokyo"), ("DateStyle", "ISO")]));
        assert_ne!(birth(&[("a", "bc")]), birth(&[("ab", "c")]));
    }

    #[test]
    fn newest_changes_seldom() {
        let newest = Newest::default();
        let [one, two, three] = ["1", "2", "3"].map(|value| birth(&[("a", value)]));
        newest.note(one);
        newest.note(one);
        assert_eq!(newest.get(), one);
        newest.note(two);
        assert_eq!(newest.get(), two);
        newest.note(three);
        assert_eq!(newest.get(), two, "two PostgreSQLs behind one address replace no servers for ever");
    }
}
