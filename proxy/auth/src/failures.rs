//! Failed logins: who has failed lately waits before the next attempt is looked at, longer each time.
//!
//! Counted by address and by user, in tables of a fixed size: a flood takes no memory, and drives out those with fewer
//! failures. A pause has a limit that is short, and a failure is forgotten in minutes: whoever shares an address, or a
//! user, with one that guesses gets in all the same.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::net::socket::Peer;

/// Places of a table: so many groups of so many each.
const GROUPS: usize = 1024;
const EACH: usize = 4;

/// In such a time half of the failures are forgotten.
const HALF_LIFE: Duration = Duration::from_secs(30);

/// The first pause.
const FIRST: Duration = Duration::from_millis(50);

/// So many failures of one address have no pause: people mistype, applications start with an old password.
const FREE_OF_ADDRESS: f64 = 5.0;

/// The same of one user, which may log in from many addresses.
const FREE_OF_USER: f64 = 20.0;

/// Failures beyond those that are free and double the pause: more are not remembered.
const MOST: f64 = 12.0;

/// The failures of a process.
pub struct Failures {
    hasher: RandomState,
    addresses: Table,
    users: Table,
}

impl Default for Failures {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            addresses: Table::new(FREE_OF_ADDRESS),
            users: Table::new(FREE_OF_USER),
        }
    }
}

impl Failures {
    /// How long the next attempt waits that comes from there, for that user. `longest` is the longest pause by address;
    /// that by user is half of it, as others can cause it.
    pub fn pause(&self, peer: Peer, user: &str, longest: Duration) -> Duration {
        let now = Instant::now();
        let by_address = self.addresses.pause(self.hash(Origin::of(peer)), now).min(longest);
        let by_user = self.users.pause(self.hash(user), now).min(longest / 2);
        by_address.max(by_user)
    }

    /// An attempt has failed.
    pub fn note(&self, peer: Peer, user: &str) {
        let now = Instant::now();
        self.addresses.note(self.hash(Origin::of(peer)), now);
        self.users.note(self.hash(user), now);
    }

    fn hash(&self, key: impl Hash) -> u64 {
        self.hasher.hash_one(key)
    }
}

/// What counts as one place that attempts come from.
#[derive(Hash)]
enum Origin {
    /// An address, or a network.
    Network(IpAddr),
    /// A user of this machine, by its number.
    User(u32),
}

impl Origin {
    fn of(peer: Peer) -> Self {
        match peer {
            Peer::Tcp(address) => Self::Network(network(address.ip())),
            Peer::Unix(process) => Self::User(process.user),
        }
    }
}

/// What one client can choose its addresses from.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

struct Table {
    free: f64,
    groups: Box<[Mutex<[Place; EACH]>]>,
}

/// What is known of one key.
#[derive(Clone, Copy, Default)]
struct Place {
    key: u64,
    failures: f64,
    at: Option<Instant>,
}

impl Place {
    /// The failures that are not forgotten.
    fn failures(&self, now: Instant) -> f64 {
        let Some(at) = self.at else { return 0.0 };
        let passed = now.saturating_duration_since(at).as_secs_f64() / HALF_LIFE.as_secs_f64();
        self.failures * (-passed).exp2()
    }
}

impl Table {
    fn new(free: f64) -> Self {
        Self { free, groups: (0..GROUPS).map(|_| Mutex::default()).collect() }
    }

    fn pause(&self, key: u64, now: Instant) -> Duration {
        let failures = self.with(key, |group| {
            group.iter().find(|place| place.key == key).map_or(0.0, |place| place.failures(now))
        });
        let beyond = failures - self.free;
        if beyond < 0.0 { Duration::ZERO } else { FIRST.mul_f64(beyond.min(MOST).exp2()) }
    }

    fn note(&self, key: u64, now: Instant) {
        let most = self.free + MOST;
        self.with(key, |group| {
            let own = group.iter().position(|place| place.key == key);
            let least = || {
                let failures = group.iter().map(|place| place.failures(now)).enumerate();
                failures.min_by(|(_, one), (_, other)| one.total_cmp(other)).map(|(at, _)| at)
            };
            let Some(place) = own.or_else(least).and_then(|at| group.get_mut(at)) else { return };
            let before = if place.key == key { place.failures(now) } else { 0.0 };
            *place = Place { key, failures: (before + 1.0).min(most), at: Some(now) };
        });
    }

    fn with<R: Default>(&self, key: u64, look: impl FnOnce(&mut [Place; EACH]) -> R) -> R {
        let group = usize::try_from(key % GROUPS as u64).ok().and_then(|at| self.groups.get(at));
        group.map(|group| look(&mut group.lock().unwrap_or_else(PoisonError::into_inner))).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(2);

    fn address(text: &str) -> Peer {
        std::net::SocketAddr::new(text.parse().unwrap(), 1).into()
    }

    #[test]
    fn pause_grows_to_its_limit_and_is_forgotten() {
        let (table, now) = (Table::new(FREE_OF_ADDRESS), Instant::now());
        let mut pauses = Vec::new();
        for _ in 0..30 {
            pauses.push(table.pause(7, now));
            table.note(7, now);
        }
        assert_eq!(pauses[..5], [Duration::ZERO; 5]);
        assert_eq!(pauses[5..8], [FIRST, FIRST * 2, FIRST * 4]);
        assert!(pauses[29] > LONGEST && pauses.is_sorted());
        assert_eq!(table.pause(8, now), Duration::ZERO, "another has none");
        let later = |minutes: u64| table.pause(7, now + Duration::from_secs(60 * minutes));
        assert!(later(1) < FIRST * 2 && later(2) == Duration::ZERO, "{:?}", later(1));
    }

    #[test]
    fn those_with_many_failures_stay_in_a_flood_of_keys() {
        let (table, now) = (Table::new(FREE_OF_ADDRESS), Instant::now());
        for _ in 0..20 {
            table.note(1, now);
        }
        for key in 2..200_000 {
            table.note(key, now);
        }
        assert!(table.pause(1, now) > LONGEST);
        assert_eq!(table.groups.len(), GROUPS);
    }

    #[test]
    fn user_waits_half_as_long_and_a_network_counts_as_one() {
        let failures = Failures::default();
        for host in 0..60 {
            failures.note(address(&format!("10.0.0.{host}")), "app");
            failures.note(address(&format!("2001:db8:1:2::{host:x}")), &format!("user{host}"));
        }
        let pause = |from: &str, user: &str| failures.pause(address(from), user, LONGEST);
        assert_eq!(pause("10.0.1.1", "app"), LONGEST / 2);
        assert_eq!(pause("10.0.0.1", "other"), Duration::ZERO);
        assert_eq!(pause("2001:db8:1:2:ffff::1", "other"), LONGEST);
        assert_eq!(pause("2001:db8:1:3::1", "other"), Duration::ZERO);
        assert_eq!(failures.pause(address("10.0.1.1"), "app", Duration::ZERO), Duration::ZERO);
    }
}
