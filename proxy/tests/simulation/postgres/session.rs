//! What a session of PostgreSQL holds, and what transactions make of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::sql::{Relation, Statement};

/// Name -> value.
pub type Values = BTreeMap<String, String>;

/// The relations that there are: schema and name.
pub type Relations = BTreeSet<(String, String)>;

/// The role of a session that has set none.
pub const NO_ROLE: &str = "none";

/// An error: SQLSTATE and message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(pub &'static str, pub String);

/// What a rollback takes back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// What holds behind a commit.
    kept: Values,
    /// What holds now: `SET LOCAL` sets this alone.
    now: Values,
    pub temp: BTreeSet<String>,
}

#[derive(Clone, Debug)]
struct Transaction {
    /// It was begun by `BEGIN`, and ends where its client ends it.
    explicit: bool,
    failed: bool,
    before: State,
    savepoints: Vec<(String, State)>,
}

/// A prepared statement.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub statement: Statement,
    pub from_sql: bool,
}

/// A portal or cursor.
#[derive(Clone, Debug)]
pub struct Portal {
    pub statement: Statement,
    pub values: Vec<Option<String>>,
    /// The relation that its name meant when it was bound.
    pub served: Option<String>,
    pub hold: bool,
    pub begun: bool,
    pub rows_left: usize,
}

/// A session.
#[derive(Clone, Debug)]
pub struct Session {
    /// What `RESET` goes back to.
    pub defaults: Arc<Values>,
    /// Path and role are the proxy's to set: no `RESET ALL` or `DISCARD ALL` of the client's reaches them.
    pub is_clients: bool,
    pub state: State,
    transaction: Option<Transaction>,
    pub prepared: BTreeMap<String, Prepared>,
    pub portals: BTreeMap<String, Portal>,
    /// The relations that there are: schema and name.
    pub relations: Arc<Relations>,
}

impl Session {
    pub fn new(defaults: Values, relations: Arc<Relations>) -> Self {
        let state = State { kept: defaults.clone(), now: defaults.clone(), temp: BTreeSet::new() };
        let (prepared, portals) = Default::default();
        let defaults = Arc::new(defaults);
        Self { defaults, is_clients: false, state, transaction: None, prepared, portals, relations }
    }

    /// What a setting is now.
    pub fn get(&self, name: &str) -> &str {
        self.state.now.get(name).map_or("", String::as_str)
    }

    /// All that is set otherwise than it was at the start.
    pub fn set_now(&self) -> Vec<(&str, &str)> {
        let differs = |(name, value): &(&String, &String)| self.defaults.get(*name) != Some(*value);
        self.state.now.iter().filter(differs).map(|(name, value)| (&name[..], &value[..])).collect()
    }

    pub fn set(&mut self, name: &str, value: String, local: bool) {
        self.state.now.insert(name.to_owned(), value.clone());
        if !local {
            self.state.kept.insert(name.to_owned(), value);
        }
    }

    pub fn reset(&mut self, name: &str) {
        match self.defaults.get(name).cloned() {
            Some(value) => self.set(name, value, false),
            None => {
                self.state.now.remove(name);
                self.state.kept.remove(name);
            }
        }
    }

    /// `RESET ALL`, which leaves the role alone.
    pub fn reset_all(&mut self) {
        self.reset_but(if self.is_clients { &["role", "search_path"] } else { &["role"] });
    }

    pub fn discard_all(&mut self) {
        self.reset_but(if self.is_clients { &["role", "search_path"] } else { &[] });
        self.state.temp.clear();
        self.prepared.clear();
        self.portals.clear();
    }

    fn reset_but(&mut self, names: &[&str]) {
        let left: Vec<_> = names.iter().map(|name| (*name, self.get(name).to_owned())).collect();
        (self.state.now, self.state.kept) = (Values::clone(&self.defaults), Values::clone(&self.defaults));
        left.into_iter().for_each(|(name, value)| self.set(name, value, false));
    }

    /// As `ReadyForQuery` says it.
    pub fn status(&self) -> u8 {
        match &self.transaction {
            Some(Transaction { explicit: true, failed: true, .. }) => b'E',
            Some(Transaction { explicit: true, .. }) => b'T',
            _ => b'I',
        }
    }

    /// Whether a transaction is open, however it was begun.
    pub fn is_open(&self) -> bool {
        self.transaction.is_some()
    }

    pub fn is_explicit(&self) -> bool {
        self.transaction.as_ref().is_some_and(|transaction| transaction.explicit)
    }

    pub fn has_failed(&self) -> bool {
        self.transaction.as_ref().is_some_and(|transaction| transaction.failed)
    }

    /// A statement is about to run: it runs in a transaction.
    pub fn start(&mut self) {
        self.transaction.get_or_insert_with(|| Transaction {
            explicit: false,
            failed: false,
            before: self.state.clone(),
            savepoints: Vec::new(),
        });
    }

    /// `BEGIN`.
    pub fn begin(&mut self) {
        self.start();
        self.transaction.as_mut().unwrap().explicit = true;
    }

    /// Ends the transaction; `false`: it was rolled back.
    pub fn commit(&mut self) -> bool {
        match self.transaction.take() {
            Some(Transaction { failed: true, before, .. }) => {
                self.state = before;
                self.portals.clear();
                false
            }
            _ => {
                self.state.now = self.state.kept.clone();
                self.portals.retain(|_, portal| portal.hold);
                true
            }
        }
    }

    pub fn roll_back(&mut self) {
        if let Some(transaction) = self.transaction.take() {
            self.state = transaction.before;
        }
        self.portals.retain(|_, portal| portal.hold && portal.begun);
    }

    /// An error: what was done is taken back; a block waits for its end.
    pub fn fail(&mut self) {
        match &mut self.transaction {
            Some(transaction) if transaction.explicit => {
                transaction.failed = true;
                self.portals.clear();
            }
            _ => self.roll_back(),
        }
    }

    /// What a request began by itself ends with it.
    pub fn end_implicit(&mut self) {
        if !self.is_explicit() {
            self.commit();
        }
    }

    fn block(&mut self, what: &str) -> Result<&mut Transaction, Failure> {
        let outside = || Failure("25P01", format!("{what} can only be used in transaction blocks"));
        self.transaction.as_mut().filter(|transaction| transaction.explicit).ok_or_else(outside)
    }

    pub fn savepoint(&mut self, name: &str) -> Result<(), Failure> {
        let state = self.state.clone();
        self.block("SAVEPOINT")?.savepoints.push((name.to_owned(), state));
        Ok(())
    }

    pub fn roll_back_to(&mut self, name: &str) -> Result<(), Failure> {
        let block = self.block("ROLLBACK TO SAVEPOINT")?;
        let at = block.savepoints.iter().rposition(|(known, _)| known == name).ok_or_else(|| lost(name))?;
        block.savepoints.truncate(at + 1);
        block.failed = false;
        let state = block.savepoints[at].1.clone();
        self.state = state;
        self.portals.retain(|_, portal| portal.hold);
        Ok(())
    }

    pub fn release(&mut self, name: &str) -> Result<(), Failure> {
        let block = self.block("RELEASE SAVEPOINT")?;
        let at = block.savepoints.iter().rposition(|(known, _)| known == name).ok_or_else(|| lost(name))?;
        block.savepoints.truncate(at);
        Ok(())
    }

    /// What a name means now: temporary objects come first, then those of the path.
    pub fn resolve(&self, relation: &Relation) -> Result<String, Failure> {
        let name = &relation.name;
        let there = |schema: &str| self.relations.iter().any(|(of, known)| of == schema && known == name);
        let found = match &relation.schema {
            Some(schema) if schema == "pg_temp" => {
                Some(schema.clone()).filter(|_| self.state.temp.contains(name))
            }
            Some(schema) => Some(schema.clone()).filter(|schema| there(schema)),
            None if self.state.temp.contains(name) => Some("pg_temp".to_owned()),
            None => {
                let path = self.get("search_path").split(',').map(|name| name.trim().trim_matches('"'));
                path.map(str::to_owned).find(|schema| there(schema))
            }
        };
        let unknown = || Failure("42P01", format!("relation \"{name}\" does not exist"));
        found.map(|schema| format!("{schema}.{name}")).ok_or_else(unknown)
    }
}

fn lost(name: &str) -> Failure {
    Failure("3B001", format!("savepoint \"{name}\" does not exist"))
}
