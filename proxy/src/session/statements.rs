//! Prepared statements: a client's names, and the store that all clients share.
//!
//! The identity of a statement is its text as PostgreSQL gets it, its parameter types, the path under which its names
//! were resolved, its role, the settings that determine how it is read, and the catalog's epoch. Two clients with the
//! same identity share one name on a server; two tenants never do, because their path or text differs. Numbers increase
//! and are never used again, so a name never denotes another statement.
//!
//! A name on a server is no secret: a client's name is looked up among its own statements only ([`ClientStatements`]).
//! Statements of SQL `PREPARE` are among them: there is one name space.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use pgstrata_tenancy::RoleName;
use pgstrata_tenancy::ident::MAX_BYTES;
use smallvec::SmallVec;

use super::columns::Columns;
use super::repeated::Repeated;
use super::tenant::Tenancy;
use crate::chance;
use crate::pool::settings::Settings;
use crate::sql::name::RESERVED;
use crate::sql::plan::Plan;
use crate::sql::rewrite::PositionMap;

/// The text that replaces the name of another client's statement.
const UNNAMED: &[u8] = b"(internal)";

/// The name of an unnamed statement.
static NO_NAME: Bytes = Bytes::new();

/// The maximum number of names that are replaced in one message of PostgreSQL.
const MAX_TOLD: usize = 4;

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

impl std::fmt::Debug for ClientStatement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientStatement").field("prepared", &self.prepared).finish_non_exhaustive()
    }
}

/// A statement of a client.
#[derive(Clone)]
pub struct ClientStatement {
    /// The text that the client sent.
    pub text: Bytes,
    /// The parameter types that it sent.
    pub types: Bytes,
    /// The `client_encoding` that it came in; `None` for ASCII, which is the same in each.
    pub encoding: Option<Box<[u8]>>,
    /// Its plan.
    pub plan: Arc<Plan>,
    /// The statement on servers.
    pub prepared: Arc<Prepared>,
    /// The position map for errors.
    pub map: PositionMap,
    /// The tenant that it was planned for.
    pub tenancy: Arc<Tenancy>,
    /// It was planned without the catalog; a plan with the catalog may be better.
    pub blind: bool,
    /// The tenant that its text names.
    pub tied: Option<Arc<Tenancy>>,
    /// How it was prepared, and where it is.
    pub origin: Origin,
    /// The statement that it runs by name.
    pub runs: Runs,
    /// The client's description of its columns.
    pub columns: Columns,
}

/// How a client's statement was prepared, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `Parse`: on any server, under a name of the store.
    Parse,
    /// `Parse` of a statement that the proxy answers: on no server.
    Here,
    /// SQL `PREPARE`: on the server to which the client is pinned, under its own name.
    Sql,
}

/// The statement that a client's statement runs by name.
#[derive(Clone, Default)]
pub enum Runs {
    /// Nothing: it is no `EXECUTE`.
    #[default]
    Nothing,
    /// This statement of the client's `Parse`, under the client's name.
    Own(Bytes, Arc<Prepared>),
    /// The statement with that name on the leased server.
    AsNamed,
    /// A missing statement, or one that `EXECUTE` may not run: the name does not reach the server.
    Refused,
}

impl Runs {
    /// Whether both are sent in the same way.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Own(_, one), Self::Own(_, other)) => one.id == other.id,
            (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
        }
    }
}

impl ClientStatement {
    /// An unnamed statement of this text, for tests.
    #[cfg(test)]
    pub(super) fn of_test(text: &'static str) -> Self {
        let identity = Identity {
            text: Bytes::from_static(text.as_bytes()),
            types: Bytes::new(),
            path: Arc::default(),
            role: None,
            reading: Arc::default(),
            epoch: 0,
        };
        Self {
            text: identity.text.clone(),
            encoding: None,
            types: Bytes::new(),
            plan: Arc::default(),
            prepared: StatementStore::new().unshared(identity, false),
            map: PositionMap::default(),
            tenancy: Arc::new(Tenancy::of(crate::sql::fixture::scope(), "", true)),
            blind: false,
            tied: None,
            origin: Origin::Parse,
            runs: Runs::Nothing,
            columns: Columns::Undescribed,
        }
    }

    /// Whether it is on no server.
    pub fn is_here(&self) -> bool {
        self.origin == Origin::Here
    }

    /// Whether it runs another statement by name.
    pub fn has_run(&self) -> bool {
        self.origin == Origin::Parse && !matches!(self.runs, Runs::Nothing)
    }
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

    /// A message of PostgreSQL for the client of `statements`: its statements have the client's names, and all others
    /// have none.
    pub fn in_clients_words<'a>(&self, text: &'a [u8], statements: &ClientStatements) -> Cow<'a, [u8]> {
        let mut found = self.names_of(text).peekable();
        if found.peek().is_none() {
            return Cow::Borrowed(text);
        }
        let found: Vec<_> = found.collect();
        let named = statements.names_of(found.iter().filter_map(|(_, id)| *id));
        let (mut out, mut done) = (Vec::with_capacity(text.len()), 0);
        for (place, id) in found {
            let name = id.and_then(|id| named.iter().find(|(known, _)| *known == id));
            out.extend_from_slice(text.get(done..place.start).unwrap_or_default());
            out.extend_from_slice(name.map_or(UNNAMED, |(_, name)| name));
            done = place.end;
        }
        out.extend_from_slice(text.get(done..).unwrap_or_default());
        Cow::Owned(out)
    }

    /// The places of the store's names in a text, with the numbers of their statements.
    fn names_of<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = (Range<usize>, Option<u64>)> + 'a {
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

/// A name as PostgreSQL truncates it.
fn cut(name: &[u8]) -> &[u8] {
    name.get(..MAX_BYTES).unwrap_or(name)
}

/// The statements of one client, within its limits.
#[derive(Debug, Default)]
pub struct ClientStatements {
    named: foldhash::HashMap<Bytes, ClientStatement>,
    unnamed: Option<Box<ClientStatement>>,
    bytes: usize,
}

impl ClientStatements {
    /// The statement of that name; the empty name is the unnamed one.
    pub fn get(&self, name: &[u8]) -> Option<&ClientStatement> {
        if name.is_empty() { self.unnamed.as_deref() } else { self.named.get(cut(name)) }
    }

    /// The same, mutable.
    pub fn get_mut(&mut self, name: &[u8]) -> Option<&mut ClientStatement> {
        if name.is_empty() { self.unnamed.as_deref_mut() } else { self.named.get_mut(cut(name)) }
    }

    /// The number of named statements.
    pub fn len(&self) -> usize {
        self.named.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.named.is_empty()
    }

    /// Replaces `old` by `new` in statements that name it.
    pub fn retie(&mut self, old: &Arc<Tenancy>, new: &Arc<Tenancy>) {
        let tied =
            self.named.values_mut().chain(self.unnamed.as_deref_mut()).filter_map(|one| one.tied.as_mut());
        tied.filter(|tied| Arc::ptr_eq(tied, old)).for_each(|tied| *tied = Arc::clone(new));
    }

    /// The tenants that statements name.
    pub fn tied(&self) -> impl Iterator<Item = &Arc<Tenancy>> {
        self.named.values().chain(self.unnamed.as_deref()).filter_map(|statement| statement.tied.as_ref())
    }

    /// Whether one more statement with such a text is within the limits.
    pub fn fits(&self, text: usize, max_count: usize, max_bytes: usize) -> bool {
        self.named.len() < max_count && self.bytes.saturating_add(text) <= max_bytes
    }

    /// Adds or replaces a statement.
    pub fn insert(&mut self, name: Bytes, statement: ClientStatement) {
        if name.is_empty() {
            match &mut self.unnamed {
                Some(place) => **place = statement,
                none => *none = Some(Box::new(statement)),
            }
            return;
        }
        self.bytes += statement.text.len();
        let name = name.slice(..cut(&name).len());
        if let Some(old) = self.named.insert(name, statement) {
            self.bytes -= old.text.len();
        }
    }

    /// Removes a statement.
    pub fn remove(&mut self, name: &[u8]) -> Option<ClientStatement> {
        if name.is_empty() {
            return self.unnamed.take().map(|statement| *statement);
        }
        let old = self.named.remove(cut(name))?;
        self.bytes -= old.text.len();
        Some(old)
    }

    /// Removes all statements.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Removes the statements of SQL `PREPARE`: the server has none of them any more.
    pub fn forget_sql(&mut self) {
        let bytes = &mut self.bytes;
        self.named.retain(|_, statement| {
            let stays = statement.origin != Origin::Sql;
            *bytes -= if stays { 0 } else { statement.text.len() };
            stays
        });
    }

    /// The client's names of the first few of these statements.
    fn names_of(&self, ids: impl Iterator<Item = u64>) -> SmallVec<[(u64, &Bytes); MAX_TOLD]> {
        let mut wanted = SmallVec::<[u64; MAX_TOLD]>::new();
        for id in ids {
            if wanted.len() < MAX_TOLD && !wanted.contains(&id) {
                wanted.push(id);
            }
        }
        let named = self.named.iter().map(|(name, statement)| (statement.prepared.id, name));
        let unnamed = self.unnamed.iter().map(|statement| (statement.prepared.id, &NO_NAME));
        let all = named.chain(unnamed);
        all.filter(|(id, _)| wanted.contains(id)).collect()
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
    fn what_postgresql_says_has_the_clients_own_names() {
        let store = StatementStore::new();
        let mut statements = ClientStatements::default();
        let prepared = store.intern(identity("select 1", "acme"));
        let other = store.intern(identity("select 2", "globex"));
        let statement =
            ClientStatement { prepared: Arc::clone(&prepared), ..ClientStatement::of_test("select 1") };
        statements.insert(Bytes::from_static(b"mine"), statement);
        let told = |text: &str| {
            let told = store.in_clients_words(text.as_bytes(), &statements);
            String::from_utf8(told.into_owned()).unwrap()
        };
        let (mine, theirs) = (&prepared.name, &other.name);
        assert_eq!(told(&format!("\"{mine}\" and {mine}")), "\"mine\" and mine");
        assert_eq!(told(&format!("a\0{theirs}\0{mine}9")), "a\0(internal)\0(internal)");
        let path = String::from_utf8(store.path_name().to_vec()).unwrap();
        assert_eq!(told(&format!("x {path}_behind y")), "x (internal) y");
        assert!(matches!(store.in_clients_words(b"pgstrata_1", &statements), Cow::Borrowed(_)));
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
