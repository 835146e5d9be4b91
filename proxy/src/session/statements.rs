//! The prepared statements of one client, by its own names.
//!
//! A name on a server is no secret: a client's name is looked up among its own statements only ([`ClientStatements`]).
//! Statements of SQL `PREPARE` are among them: there is one name space. On servers they have the names of the
//! [`StatementStore`].

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use pgstrata_tenancy::ident::MAX_BYTES;
use smallvec::SmallVec;

use super::columns::Columns;
use crate::shared::statements::StatementStore;
pub(super) use crate::shared::statements::{Identity, Prepared};
use crate::shared::tenancy::Tenancy;
use crate::sql::plan::Plan;
use crate::sql::rewrite::PositionMap;

/// The text that replaces the name of another client's statement.
const UNNAMED: &[u8] = b"(internal)";

/// The name of an unnamed statement.
static NO_NAME: Bytes = Bytes::new();

/// The maximum number of names that are replaced in one message of PostgreSQL.
const MAX_TOLD: usize = 4;

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

    /// The memory that counts for the limits of its client, in bytes: its text, and its checks.
    fn size(&self) -> usize {
        self.plan.checks.iter().fold(self.text.len(), |sum, check| sum.saturating_add(check.sql.len()))
    }

    /// Whether it runs another statement by name.
    pub fn has_run(&self) -> bool {
        self.origin == Origin::Parse && !matches!(self.runs, Runs::Nothing)
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
        self.bytes += statement.size();
        let name = name.slice(..cut(&name).len());
        if let Some(old) = self.named.insert(name, statement) {
            self.bytes = self.bytes.saturating_sub(old.size());
        }
    }

    /// Removes a statement.
    pub fn remove(&mut self, name: &[u8]) -> Option<ClientStatement> {
        if name.is_empty() {
            return self.unnamed.take().map(|statement| *statement);
        }
        let old = self.named.remove(cut(name))?;
        self.bytes = self.bytes.saturating_sub(old.size());
        Some(old)
    }

    /// Removes all statements.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// A message of PostgreSQL for this client: its statements have its names for them, and all others have none.
    pub fn in_own_words<'a>(&self, store: &StatementStore, text: &'a [u8]) -> Cow<'a, [u8]> {
        let mut found = store.names_of(text).peekable();
        if found.peek().is_none() {
            return Cow::Borrowed(text);
        }
        let found: Vec<_> = found.collect();
        let named = self.names_of(found.iter().filter_map(|(_, id)| *id));
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
            let told = statements.in_own_words(&store, text.as_bytes());
            String::from_utf8(told.into_owned()).unwrap()
        };
        let (mine, theirs) = (&prepared.name, &other.name);
        assert_eq!(told(&format!("\"{mine}\" and {mine}")), "\"mine\" and mine");
        assert_eq!(told(&format!("a\0{theirs}\0{mine}9")), "a\0(internal)\0(internal)");
        let path = String::from_utf8(store.path_name().to_vec()).unwrap();
        assert_eq!(told(&format!("x {path}_behind y")), "x (internal) y");
        assert!(matches!(statements.in_own_words(&store, b"pgstrata_1"), Cow::Borrowed(_)));
    }
}
