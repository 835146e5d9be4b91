//! Room for messages that must be complete in memory before they are processed. All clients share the room, one tenant
//! may use a part of it, and each message has a time limit.
//!
//! Clients with a server use one half of the room, and clients without a server the other half. So a message that waits
//! for a server cannot hold the room that a client with a server needs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::TENANTS_PART_OF_BUFFERS;
use crate::pool::turns;

/// The unit of the semaphores, in bytes.
const UNIT: usize = 4 << 10;
/// With fewer entries, unused ones are kept.
const FEW: usize = 64;

/// A tenant of a database, by the database's name.
pub type Key = (Arc<str>, turns::Tenant);

/// The room for incoming messages.
#[derive(Debug)]
pub struct Incoming {
    with_server: Half,
    without: Half,
}

#[derive(Debug)]
struct Half {
    all: Arc<Semaphore>,
    tenants_part: usize,
    tenants: Mutex<HashMap<Key, Weak<Semaphore>>>,
}

/// The room of one message, until this value is dropped.
#[derive(Debug)]
pub struct Room {
    _tenants: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Incoming {
    /// A room of this size.
    pub fn new(bytes: usize) -> Self {
        Self { with_server: Half::new(bytes), without: Half::new(bytes) }
    }

    fn half(&self, has_server: bool) -> &Half {
        if has_server { &self.with_server } else { &self.without }
    }

    /// Takes the room for a message of `bytes`, if it is free; `has_server`: its client has a server.
    pub fn try_take(&self, has_server: bool, key: &Key, bytes: usize) -> Option<Room> {
        self.half(has_server).try_take(key, bytes)
    }

    /// The same, in turn. `None`: there will be no room.
    pub async fn take(&self, has_server: bool, key: &Key, bytes: usize) -> Option<Room> {
        self.half(has_server).take(key, bytes).await
    }
}

impl Half {
    /// One half of a room of this size.
    fn new(bytes: usize) -> Self {
        let tenants_part = (bytes / TENANTS_PART_OF_BUFFERS / UNIT).clamp(1, Semaphore::MAX_PERMITS);
        let units = (bytes / 2 / UNIT).clamp(tenants_part, Semaphore::MAX_PERMITS);
        Self { all: Arc::new(Semaphore::new(units)), tenants_part, tenants: Mutex::default() }
    }

    /// The part of a tenant. It exists while one of the tenant's clients has room or waits for it.
    fn of(&self, key: &Key) -> Arc<Semaphore> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = tenants.get(key).and_then(Weak::upgrade) {
            return there;
        }
        if tenants.len() >= FEW && tenants.len() == tenants.capacity() {
            tenants.retain(|_, part| part.strong_count() > 0);
        }
        let new = Arc::new(Semaphore::new(self.tenants_part));
        tenants.insert(key.clone(), Arc::downgrade(&new));
        new
    }

    /// The units of a message, at most a tenant's part. The configuration allows no longer messages.
    fn units_of(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.div_ceil(UNIT).min(self.tenants_part)).unwrap_or(u32::MAX)
    }

    /// Takes the room for a message of this size, if it is free.
    fn try_take(&self, key: &Key, bytes: usize) -> Option<Room> {
        let units = self.units_of(bytes);
        let tenants = self.of(key).try_acquire_many_owned(units).ok()?;
        let all = Arc::clone(&self.all).try_acquire_many_owned(units).ok()?;
        Some(Room { _tenants: tenants, _all: all })
    }

    /// Takes the room in turn, first among the tenant's clients and then among all. `None`: the semaphore is closed.
    async fn take(&self, key: &Key, bytes: usize) -> Option<Room> {
        let units = self.units_of(bytes);
        let tenants = self.of(key).acquire_many_owned(units).await.ok()?;
        let all = Arc::clone(&self.all).acquire_many_owned(units).await.ok()?;
        Some(Room { _tenants: tenants, _all: all })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(tenant: &str) -> Key {
        ("app".into(), Some(tenant.into()))
    }

    #[test]
    fn one_tenant_has_a_part_and_leaves_the_rest_to_others() {
        let half = Half::new(800 * UNIT);
        let acme: Vec<_> = (0..10).map_while(|_| half.try_take(&key("acme"), 25 * UNIT)).collect();
        assert_eq!(acme.len(), 4);
        // Longer than a part: it takes all of one.
        let globex = half.try_take(&key("globex"), 1000 * UNIT).unwrap();
        assert!(half.try_take(&key("globex"), 1).is_none());
        drop(globex);
        assert!(half.try_take(&key("globex"), 1).is_some());
        assert_eq!(half.all.available_permits(), 300);
        drop(acme);
        assert_eq!(half.all.available_permits(), 400);
    }

    #[test]
    fn clients_with_a_server_have_room_of_their_own() {
        let incoming = Incoming::new(800 * UNIT);
        let all: Vec<_> = (0..4)
            .map(|number| incoming.half(false).try_take(&key(&format!("t{number}")), 100 * UNIT))
            .collect();
        assert!(all.iter().all(Option::is_some));
        assert!(incoming.half(false).try_take(&key("acme"), 1).is_none());
        assert!(incoming.half(true).try_take(&key("acme"), 100 * UNIT).is_some());
    }

    #[tokio::test]
    async fn who_waits_has_its_turn() {
        let half = Arc::new(Half::new(800 * UNIT));
        let held = half.try_take(&key("acme"), 100 * UNIT).unwrap();
        let waiting = tokio::spawn({
            let half = Arc::clone(&half);
            async move { half.take(&key("acme"), UNIT).await.is_some() }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(held);
        assert!(waiting.await.unwrap());
    }

    #[test]
    fn tenants_that_need_no_room_are_forgotten() {
        let half = Half::new(800 * UNIT);
        for number in 0..10_000 {
            assert!(half.try_take(&key(&format!("t{number}")), UNIT).is_some());
        }
        assert!(half.tenants.lock().unwrap().len() < 1000);
    }
}
