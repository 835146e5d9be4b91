//! The store of prepared statements that all clients share.
//!
//! The identity of a statement is its text as PostgreSQL gets it, its parameter types, the path under which its names
//! were resolved, its role, the settings that determine how it is read, and the catalog's epoch. Two clients with the
//! same identity share one name on a server; two tenants never do, because their path or text differs. Numbers increase
//! and are never used again, so a name never denotes another statement.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use pgstrata_tenancy::RoleName;

use super::repeated::Repeated;
use crate::chance;
use crate::pool::settings::Settings;
use crate::sql::name::RESERVED;

/// The properties that two uses of one prepared statement share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The text that PostgreSQL gets.
    pub text: Bytes,
    /// The parameter types of the `Parse` message: a count and so many oids.
    pub types: Bytes,
    /// The path under which its names are resolved; empty for the server's own.
    pub path: Arc<str>,
    /// The role for which it is planned: PostgreSQL does not check all privileges again if another role runs it (those
    /// of an inlined function).
    pub role: Option<RoleName>,
    /// The settings that determine how its literals are read.
    pub reading: Arc<Settings>,
    /// The epoch of the catalog at its preparation.
    pub epoch: u64,
}

/// A statement on servers.
#[derive(Debug)]
pub struct Prepared {
    /// Its number; never 0.
    pub id: u64,
    /// Its name on servers; empty for an unnamed one.
    pub name: Box<str>,
    /// Its identity.
    pub identity: Identity,
    /// The watch of a kept unnamed statement, which shows whether its meaning has changed.
    pub watch: Option<Arc<Prepared>>,
    store: Weak<StatementStore>,
}

/// A statement that clients have prepared.
#[derive(Debug)]
pub struct Held {
    /// The statement.
    pub prepared: Arc<Prepared>,
    /// The number of clients that share it.
    pub holders: usize,
}

/// All statements that some client has prepared.
#[derive(Debug)]
pub struct StatementStore {
    /// The prefix of each name on a server. Random, so that the names can be recognized in PostgreSQL's messages.
    prefix: String,
    /// The name of the statement that sets the path, and of its portal.
    path_name: String,
    /// The same for the statement that sets role and path.
    role_name: String,
    next: AtomicU64,
    pub(super) repeated: Repeated,
    known: Mutex<HashMap<Identity, Weak<Prepared>>>,
}

impl StatementStore {
    /// An empty store.
    pub fn new() -> Arc<Self> {
        let prefix = format!("{RESERVED}{:016x}_", chance::number());
        Arc::new(Self {
            path_name: format!("{prefix}path"),
            role_name: format!("{prefix}role"),
            prefix,
            next: AtomicU64::new(1),
            repeated: Repeated::default(),
            known: Mutex::default(),
        })
    }

    /// The statement with this identity: an existing one if a client has it, otherwise a new one.
    pub fn intern(self: &Arc<Self>, identity: Identity) -> Arc<Prepared> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(prepared) = known.get(&identity).and_then(Weak::upgrade) {
            return prepared;
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (name, store) = (self.name(id).into(), Arc::downgrade(self));
        let prepared = Arc::new(Prepared { id, name, identity: identity.clone(), watch: None, store });
        known.insert(identity, Arc::downgrade(&prepared));
        prepared
    }

    /// A statement that no other client shares: an unnamed one, or one that is so long that a comparison of texts would
    /// take long.
    pub fn unshared(&self, identity: Identity, named: bool) -> Arc<Prepared> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let name = if named { self.name(id).into() } else { Box::default() };
        Arc::new(Prepared { id, name, identity, watch: None, store: Weak::new() })
    }

    /// A statement that has the client's name on its server.
    pub fn as_named(&self, name: &str, identity: Identity) -> Arc<Prepared> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        Arc::new(Prepared { id, name: name.into(), identity, watch: None, store: Weak::new() })
    }

    /// A named statement that no other client shares.
    pub fn alone(self: &Arc<Self>, identity: Identity) -> Arc<Prepared> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        Arc::new(Prepared { id, name: self.name(id).into(), identity, watch: None, store: Weak::new() })
    }

    /// The same, with a watch.
    pub(super) fn watched(&self, identity: Identity, watch: Option<Arc<Prepared>>) -> Arc<Prepared> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        Arc::new(Prepared { id, name: self.name(id).into(), identity, watch, store: Weak::new() })
    }

    /// The name of the statement on servers.
    pub fn name(&self, id: u64) -> String {
        format!("{}{id}", self.prefix)
    }

    /// The name of the statement that sets the path, and of its portal.
    pub fn path_name(&self) -> &[u8] {
        self.path_name.as_bytes()
    }

    /// The same for the statement that sets role and path.
    pub fn role_name(&self) -> &[u8] {
        self.role_name.as_bytes()
    }

    /// Whether a message of PostgreSQL contains one of these names.
    pub fn names_in(&self, text: &[u8]) -> bool {
        memchr::memmem::find(text, self.prefix.as_bytes()).is_some()
    }

    /// The places of the store's names in a text, with the numbers of their statements.
    pub fn names_of<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = (Range<usize>, Option<u64>)> + 'a {
        memchr::memmem::find_iter(text, self.prefix.as_bytes()).map(|at| {
            let behind = at + self.prefix.len();
            let rest = text.get(behind..).unwrap_or_default();
            let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
            let (id, _) = rest.split_at(rest.iter().take_while(|byte| is_part(byte)).count());
            (at..behind + id.len(), std::str::from_utf8(id).ok().and_then(|id| id.parse().ok()))
        })
    }

    /// All statements, with the number of clients of each, in the order of their numbers.
    pub fn all(&self) -> Vec<Held> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let held = known.values().filter_map(|weak| {
            let prepared = weak.upgrade()?;
            // One of the references is that of this function.
            let holders = Arc::strong_count(&prepared).saturating_sub(1);
            Some(Held { prepared, holders })
        });
        let mut all: Vec<_> = held.collect();
        drop(known);
        all.sort_unstable_by_key(|held| held.prepared.id);
        all
    }

    /// The number of statements, and the total size of their texts.
    pub fn weight(&self) -> (usize, usize) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        (known.len(), known.keys().map(|identity| identity.text.len()).sum())
    }

    /// The number of statements.
    pub fn len(&self) -> usize {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Prepared {
    /// Whether other clients may share it.
    pub fn is_shared(&self) -> bool {
        self.store.strong_count() > 0
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        let Some(store) = self.store.upgrade() else { return };
        let mut known = store.known.lock().unwrap_or_else(PoisonError::into_inner);
        // A new one may have replaced it after the last reference was dropped.
        if known.get(&self.identity).is_some_and(|weak| weak.strong_count() == 0) {
            known.remove(&self.identity);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(text: &'static str, path: &str) -> Identity {
        Identity {
            text: Bytes::from_static(text.as_bytes()),
            types: Bytes::new(),
            path: path.into(),
            role: None,
            reading: Arc::default(),
            epoch: 0,
        }
    }

    #[test]
    fn same_identity_is_shared_and_ids_are_never_used_again() {
        let store = StatementStore::new();
        let a = store.intern(identity("select 1", "acme"));
        assert_eq!(a.id, store.intern(identity("select 1", "acme")).id);
        assert_ne!(a.id, store.intern(identity("select 1", "globex")).id);
        let role = RoleName::new("tenant_acme").ok();
        assert_ne!(a.id, store.intern(Identity { role, ..identity("select 1", "acme") }).id);
        let old = a.id;
        drop(a);
        assert!(store.is_empty());
        assert!(store.intern(identity("select 1", "acme")).id > old);
    }
}
