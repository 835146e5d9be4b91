//! Prepared statements: a client's names, and the one store behind all clients.
//!
//! A statement's identity is its text as PostgreSQL gets it, its parameter types, the
//! path that it was resolved under, the role that it runs as, the settings that give it a meaning and the catalog's epoch. Two clients with the same
//! identity share one name on a server; two tenants never do, as their path or text differ.
//! Ids count up and are never used again, so that a name can't mean another statement.
//!
//! A name on a server is no secret, and opens nothing: what a client names is looked for among its own
//! ([`ClientStatements`]), and nowhere else. Statements of SQL `PREPARE` are among them: there is one name space.

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
use super::tenant::Tenancy;
use crate::pool::settings::Settings;
use crate::sql::name::RESERVED;
use crate::sql::plan::Plan;
use crate::sql::rewrite::PositionMap;

/// What the client reads in the place of a name that is not its own.
const UNNAMED: &[u8] = b"(internal)";

/// So many statements are told apart in one message of PostgreSQL's.
const MAX_TOLD: usize = 4;

/// What makes a statement the same as another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// The text that PostgreSQL gets.
    pub text: Bytes,
    /// The parameter types of the `Parse` message: a count and so many oids.
    pub types: Bytes,
    /// The path that it is resolved under; empty for the server's own.
    pub path: Arc<str>,
    /// The role that it is planned for: PostgreSQL does not look at all privileges again where another
    /// runs it (those of a function that it has put into the plan).
    pub role: Option<RoleName>,
    /// The settings that give its literals their meaning.
    pub reading: Arc<Settings>,
    /// The state of the catalog that it was prepared for.
    pub epoch: u64,
}

/// A statement as servers know it.
#[derive(Debug)]
pub struct Prepared {
    /// Its number; never 0.
    pub id: u64,
    /// The name that servers know it by; empty for an unnamed one.
    pub name: Box<str>,
    /// What it is.
    pub identity: Identity,
    store: Weak<StatementStore>,
}

/// A statement that clients hold.
#[derive(Debug)]
pub struct Held {
    /// The statement.
    pub prepared: Arc<Prepared>,
    /// How many of them, whatever name each has for it.
    pub holders: usize,
}

/// All statements that some client has prepared.
#[derive(Debug)]
pub struct StatementStore {
    /// In front of each server-side name. Random, so that they are known in what PostgreSQL says.
    prefix: String,
    /// The name of the statement that sets the path, and of the portal that it is bound to.
    path_name: String,
    /// The same for the one that sets role and path.
    role_name: String,
    next: AtomicU64,
    known: Mutex<HashMap<Identity, Weak<Prepared>>>,
}

impl std::fmt::Debug for ClientStatement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientStatement").field("prepared", &self.prepared).finish_non_exhaustive()
    }
}

/// A statement as its client knows it.
#[derive(Clone)]
pub struct ClientStatement {
    /// The text that the client sent.
    pub text: Bytes,
    /// The parameter types that it sent.
    pub types: Bytes,
    /// The `client_encoding` that it came in; `None` for ASCII, which is the same in each.
    pub encoding: Option<Box<[u8]>>,
    /// What the engine said of it.
    pub plan: Arc<Plan>,
    /// What the servers have.
    pub prepared: Arc<Prepared>,
    /// Where errors stand in the client's text.
    pub map: PositionMap,
    /// The tenant that it was planned for.
    pub tenancy: Arc<Tenancy>,
    /// It was planned when nobody knew what the schemas hold: it may do with less.
    pub blind: bool,
    /// The tenant that its text ties it to.
    pub tied: Option<Arc<Tenancy>>,
    /// Who made it, and where it is.
    pub origin: Origin,
    /// The statement that it runs by its name.
    pub runs: Runs,
    /// What the client was told of its columns.
    pub columns: Columns,
}

/// Who made a client's statement, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `Parse`: on any server, under a name of the store's.
    Parse,
    /// `Parse`, of what is answered here: on no server.
    Here,
    /// SQL `PREPARE`: on the server that the client is tied to, under its own name.
    Sql,
}

/// What a client's statement runs by its name.
#[derive(Clone, Default)]
pub enum Runs {
    /// Nothing: it is no `EXECUTE`.
    #[default]
    Nothing,
    /// This statement, under the name that the client gave it by `Parse`.
    Own(Bytes, Arc<Prepared>),
    /// What the server at hand has under the name in the text.
    AsNamed,
    /// A statement that there is not, or none that `EXECUTE` may run: the name does not reach the server.
    Refused,
}

impl Runs {
    /// Whether the same would be sent for both.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Own(_, one), Self::Own(_, other)) => one.id == other.id,
            (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
        }
    }
}

impl ClientStatement {
    /// Whether no server knows it.
    pub fn is_here(&self) -> bool {
        self.origin == Origin::Here
    }

    /// Whether it runs another, by its name.
    pub fn has_run(&self) -> bool {
        self.origin == Origin::Parse && !matches!(self.runs, Runs::Nothing)
    }
}

impl StatementStore {
    /// An empty store.
    pub fn new() -> Arc<Self> {
        let prefix = format!("{RESERVED}{:016x}_", rand::random::<u64>());
        Arc::new(Self {
            path_name: format!("{prefix}path"),
            role_name: format!("{prefix}role"),
            prefix,
            next: AtomicU64::new(1),
            known: Mutex::default(),
        })
    }

    /// The statement with this identity: an old one if some client holds it, else a new one.
    pub fn intern(self: &Arc<Self>, identity: Identity) -> Arc<Prepared> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(prepared) = known.get(&identity).and_then(Weak::upgrade) {
            return prepared;
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (name, store) = (self.name(id).into(), Arc::downgrade(self));
        let prepared = Arc::new(Prepared { id, name, identity: identity.clone(), store });
        known.insert(identity, Arc::downgrade(&prepared));
        prepared
    }

    /// A statement of its own, which nobody shares: an unnamed one, or one so long that looking for another
    /// with the same text would take long.
    pub fn unshared(&self, identity: Identity, named: bool) -> Arc<Prepared> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let name = if named { self.name(id).into() } else { Box::default() };
        Arc::new(Prepared { id, name, identity, store: Weak::new() })
    }

    /// A statement that its server knows by the client's name for it.
    pub fn as_named(&self, name: &str, identity: Identity) -> Arc<Prepared> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        Arc::new(Prepared { id, name: name.into(), identity, store: Weak::new() })
    }

    /// A statement with a name, which nobody shares.
    pub fn alone(self: &Arc<Self>, identity: Identity) -> Arc<Prepared> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        Arc::new(Prepared { id, name: self.name(id).into(), identity, store: Weak::new() })
    }

    /// The name that servers know the statement by.
    pub fn name(&self, id: u64) -> String {
        format!("{}{id}", self.prefix)
    }

    /// The name of the statement that sets the path, and of the portal that it is bound to.
    pub fn path_name(&self) -> &[u8] {
        self.path_name.as_bytes()
    }

    /// The same for the one that sets role and path.
    pub fn role_name(&self) -> &[u8] {
        self.role_name.as_bytes()
    }

    /// Whether a message of PostgreSQL's has one of these names in it.
    pub fn names_in(&self, text: &[u8]) -> bool {
        memchr::memmem::find(text, self.prefix.as_bytes()).is_some()
    }

    /// What PostgreSQL says, as the client of `statements` may read it: its statements have the names that it
    /// gave them, and all others have none.
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

    /// Where names of the store's stand in a text, and which statements they are of.
    fn names_of<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = (Range<usize>, Option<u64>)> + 'a {
        memchr::memmem::find_iter(text, self.prefix.as_bytes()).map(|at| {
            let behind = at + self.prefix.len();
            let rest = text.get(behind..).unwrap_or_default();
            let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
            let (id, _) = rest.split_at(rest.iter().take_while(|byte| is_part(byte)).count());
            (at..behind + id.len(), std::str::from_utf8(id).ok().and_then(|id| id.parse().ok()))
        })
    }

    /// All of them, and how many clients hold each, by their numbers.
    pub fn all(&self) -> Vec<Held> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let held = known.values().filter_map(|weak| {
            let prepared = weak.upgrade()?;
            // One of them is ours.
            let holders = Arc::strong_count(&prepared).saturating_sub(1);
            Some(Held { prepared, holders })
        });
        let mut all: Vec<_> = held.collect();
        drop(known);
        all.sort_unstable_by_key(|held| held.prepared.id);
        all
    }

    /// How many there are, and how many bytes of text they have.
    pub fn weight(&self) -> (usize, usize) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        (known.len(), known.keys().map(|identity| identity.text.len()).sum())
    }

    /// How many statements there are.
    pub fn len(&self) -> usize {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Prepared {
    /// Whether others may have the same.
    pub fn is_shared(&self) -> bool {
        self.store.strong_count() > 0
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        let Some(store) = self.store.upgrade() else { return };
        let mut known = store.known.lock().unwrap_or_else(PoisonError::into_inner);
        // A new one may have taken its place between the last reference and here.
        if known.get(&self.identity).is_some_and(|weak| weak.strong_count() == 0) {
            known.remove(&self.identity);
        }
    }
}

/// A name as PostgreSQL finds it: by its first bytes.
fn cut(name: &[u8]) -> &[u8] {
    name.get(..MAX_BYTES).unwrap_or(name)
}

/// The statements of one client, within its limits.
#[derive(Debug, Default)]
pub struct ClientStatements {
    named: foldhash::HashMap<Bytes, ClientStatement>,
    unnamed: Option<ClientStatement>,
    bytes: usize,
}

impl ClientStatements {
    /// The statement of that name; the empty name is the unnamed one.
    pub fn get(&self, name: &[u8]) -> Option<&ClientStatement> {
        if name.is_empty() { self.unnamed.as_ref() } else { self.named.get(cut(name)) }
    }

    /// The same, to note something about it.
    pub fn get_mut(&mut self, name: &[u8]) -> Option<&mut ClientStatement> {
        if name.is_empty() { self.unnamed.as_mut() } else { self.named.get_mut(cut(name)) }
    }

    /// How many there are that have a name.
    pub fn len(&self) -> usize {
        self.named.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.named.is_empty()
    }

    /// The tenants that texts tie statements to.
    pub fn tied(&self) -> impl Iterator<Item = &Arc<Tenancy>> {
        self.named.values().chain(&self.unnamed).filter_map(|statement| statement.tied.as_ref())
    }

    /// Whether one more statement with such a text fits.
    pub fn fits(&self, text: usize, max_count: usize, max_bytes: usize) -> bool {
        self.named.len() < max_count && self.bytes.saturating_add(text) <= max_bytes
    }

    /// Adds a statement, or puts another in its place.
    pub fn insert(&mut self, name: Bytes, statement: ClientStatement) {
        if name.is_empty() {
            self.unnamed = Some(statement);
            return;
        }
        self.bytes += statement.text.len();
        let name = name.slice(..cut(&name).len());
        if let Some(old) = self.named.insert(name, statement) {
            self.bytes -= old.text.len();
        }
    }

    /// Takes a statement out.
    pub fn remove(&mut self, name: &[u8]) -> Option<ClientStatement> {
        if name.is_empty() {
            return self.unnamed.take();
        }
        let old = self.named.remove(cut(name))?;
        self.bytes -= old.text.len();
        Some(old)
    }

    /// Takes all of them out.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes those out that SQL prepared: the server has none of them any more.
    pub fn forget_sql(&mut self) {
        let bytes = &mut self.bytes;
        self.named.retain(|_, statement| {
            let stays = statement.origin != Origin::Sql;
            *bytes -= if stays { 0 } else { statement.text.len() };
            stays
        });
    }

    /// The names that the client gave to the first few of these statements.
    fn names_of(&self, ids: impl Iterator<Item = u64>) -> SmallVec<[(u64, &Bytes); MAX_TOLD]> {
        let mut wanted = SmallVec::<[u64; MAX_TOLD]>::new();
        for id in ids {
            if wanted.len() < MAX_TOLD && !wanted.contains(&id) {
                wanted.push(id);
            }
        }
        let all = self.named.iter().map(|(name, statement)| (statement.prepared.id, name));
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
        let tenancy = Arc::new(Tenancy::of(crate::sql::fixture::scope(), "", true));
        let statement = ClientStatement {
            encoding: None,
            blind: false,
            text: Bytes::new(),
            types: Bytes::new(),
            plan: Arc::default(),
            prepared: Arc::clone(&prepared),
            map: PositionMap::default(),
            tenancy,
            tied: None,
            origin: Origin::Parse,
            runs: Runs::Nothing,
            columns: Columns::Untold,
        };
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
