//! Session settings: what a client wants, what a server has, and the way from one to the other.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use pgstrata_tenancy::{RoleName, ident};

use super::parameters;

/// A parameter's value, as the SQL that sets it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Assignment {
    /// ASCII alone, so that it means the same in each `client_encoding`.
    sql: Box<str>,
    /// It may stay on a server that nobody uses.
    harmless: bool,
}

impl Assignment {
    /// Of a value that is text and no SQL, as `set_config` and the start-up packet take it.
    pub fn of_value(name: &str, value: &str) -> Self {
        let mut sql = String::from("SELECT pg_catalog.set_config(");
        ident::push_ascii_literal(&mut sql, name);
        sql.push_str(", ");
        ident::push_ascii_literal(&mut sql, value);
        sql.push_str(", false)");
        Self { sql: sql.into(), harmless: parameters::is_harmless(name, value) }
    }

    /// Of a `SET` that is written so; `value`: what it sets, where that is plain to see. `sql` must be ASCII.
    pub fn of_statement(name: &str, sql: &str, value: Option<&str>) -> Self {
        let harmless = value.is_some_and(|value| parameters::is_harmless(name, value));
        Self { sql: sql.into(), harmless }
    }

    /// Of [`SEARCH_PATH`] and [`SESSION_ROLE`], which are never replayed: what it is, and not how it is set.
    pub fn of_ours(what: &str) -> Self {
        Self { sql: what.into(), harmless: false }
    }

    /// Whether it may stay on a server that nobody uses.
    pub fn is_harmless(&self) -> bool {
        self.harmless
    }

    /// The SQL, or for what is never replayed what it is.
    pub fn sql(&self) -> &str {
        &self.sql
    }
}

/// Settings of a session, by the parameter's name in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Settings {
    all: BTreeMap<Box<str>, Assignment>,
    /// How many of them may not stay on an idle server.
    acting: usize,
}

impl Settings {
    /// The SQL of one, or what [`Assignment::of_ours`] holds.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all.get(name).map(Assignment::sql)
    }

    /// One of them.
    pub fn assignment(&self, name: &str) -> Option<&Assignment> {
        self.all.get(name)
    }

    /// Whether it is set.
    pub fn has(&self, name: &str) -> bool {
        self.all.contains_key(name)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.all.len()
    }

    /// How many bytes of SQL they are.
    pub fn bytes(&self) -> usize {
        self.all.values().map(|to| to.sql.len()).sum()
    }

    /// Those that have a part in what a text means.
    pub fn giving_meaning(&self) -> Self {
        // In UTF-8 is what all texts are in that are not in another encoding.
        let counts = |name: &str, to: &Assignment| match name {
            CLIENT_ENCODING => !to.harmless,
            name => parameters::gives_meaning(name),
        };
        self.all.iter().filter(|(name, to)| counts(name, to)).map(|(name, to)| (name, to.clone())).collect()
    }

    /// Whether one of them may have a part in which plan PostgreSQL makes, and none in what a text means.
    pub fn steer_plans(&self) -> bool {
        self.all.keys().any(|name| parameters::steers_plans(name))
    }

    /// Whether texts are in UTF-8 with them.
    pub fn are_in_utf8(&self) -> bool {
        self.may_rest() || self.assignment(CLIENT_ENCODING).is_none_or(Assignment::is_harmless)
    }

    /// Whether a server may be idle with them.
    pub fn may_rest(&self) -> bool {
        self.acting == 0
    }

    /// Sets one.
    pub fn set(&mut self, name: &str, to: Assignment) {
        self.acting += usize::from(!to.harmless);
        let before = self.all.insert(name.into(), to);
        self.acting -= usize::from(before.is_some_and(|before| !before.harmless));
    }

    /// Takes one out.
    pub fn take_out(&mut self, name: &str) {
        let before = self.all.remove(name);
        self.acting -= usize::from(before.is_some_and(|before| !before.harmless));
    }
}

impl<N: AsRef<str>> FromIterator<(N, Assignment)> for Settings {
    fn from_iter<I: IntoIterator<Item = (N, Assignment)>>(all: I) -> Self {
        let mut settings = Self::default();
        all.into_iter().for_each(|(name, to)| settings.set(name.as_ref(), to));
        settings
    }
}

thread_local! {
    /// Those that [`shared`] has given out on this thread.
    static SHARED: RefCell<HashSet<Arc<Settings>>> = RefCell::default();
}

/// With so many sets at hand, those that nobody has any more are looked for before another comes in.
const SHARED_SETS: usize = 1024;

/// The same settings, in the one place that all who have them share on this thread: then they are equal at a glance, and
/// thousands of clients hold them once. A thread's own, so that no two threads count the same references.
pub fn shared(settings: Settings) -> Arc<Settings> {
    let settings = Arc::new(settings);
    SHARED.with_borrow_mut(|shared| {
        if let Some(known) = shared.get(&settings) {
            return Arc::clone(known);
        }
        if shared.len() >= SHARED_SETS {
            shared.retain(|known| Arc::strong_count(known) > 1);
        }
        if shared.len() < SHARED_SETS {
            shared.insert(Arc::clone(&settings));
        }
        settings
    })
}

/// The path is never replayed: it goes with each transaction.
pub const SEARCH_PATH: &str = "search_path";

/// The path that `SET LOCAL` has set for the transaction. No parameter can be called that.
pub const LOCAL_PATH: &str = "local search_path";

/// A tenant's role that was set for a server's session. No parameter can be called that.
pub const SESSION_ROLE: &str = "session role";

/// Servers are born with UTF8.
pub const CLIENT_ENCODING: &str = "client_encoding";

/// What is set of it may be a part of its value.
pub const DATESTYLE: &str = "datestyle";

/// The parameter's name, where it is called by one that it had long ago.
pub fn newest_name(name: &str) -> &str {
    match name {
        "sort_mem" => "work_mem",
        "vacuum_mem" => "maintenance_work_mem",
        other => other,
    }
}

/// Settings with PostgreSQL's rule for transactions: a rollback takes them back.
#[derive(Clone, Debug, Default)]
pub struct Tracked {
    committed: Arc<Settings>,
    current: Arc<Settings>,
    /// What each savepoint of the open transaction would bring back.
    savepoints: Vec<(Box<str>, Arc<Settings>, Distrust)>,
    /// Whether a path was refused: for what is committed, and now.
    distrusted: bool,
    distrust: Distrust,
}

/// Whether a path was refused, and none that is right has been set since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Distrust {
    refused: bool,
    /// One that is right was set for the transaction.
    righted: bool,
}

/// With more savepoints than this open at once, no more are remembered.
const MAX_SAVEPOINTS: usize = 4096;

impl Tracked {
    /// Begins with these.
    pub fn new(settings: Arc<Settings>) -> Self {
        // Not of the default, which would make two empty sets first: a session begins for each transaction.
        Self {
            committed: Arc::clone(&settings),
            current: settings,
            savepoints: Vec::new(),
            distrusted: false,
            distrust: Distrust::default(),
        }
    }

    /// What holds now.
    pub fn current(&self) -> &Arc<Settings> {
        &self.current
    }

    /// What a rollback would bring back.
    pub fn committed(&self) -> &Arc<Settings> {
        &self.committed
    }

    /// Whether a rollback would bring others back.
    pub fn is_pending(&self) -> bool {
        !Arc::ptr_eq(&self.committed, &self.current) && self.committed != self.current
    }

    /// A path was refused. No rollback makes that forgotten: whoever asked for it may believe that it holds.
    pub fn distrust_path(&mut self) {
        let refused = Distrust { refused: true, righted: false };
        self.savepoints.iter_mut().for_each(|(_, _, distrust)| *distrust = refused);
        (self.distrusted, self.distrust) = (true, refused);
    }

    /// It is right again, or for the transaction, if `local`.
    pub fn trust_path(&mut self, local: bool) {
        let Distrust { refused, righted } = self.distrust;
        self.distrust = Distrust { refused: refused && local, righted: righted || local };
    }

    /// Whether a path was refused, and none that is right has been set since.
    pub fn distrusts_path(&self) -> bool {
        self.distrust.refused && !self.distrust.righted
    }

    /// A setting was set.
    pub fn set(&mut self, name: &str, to: Assignment) {
        self.trust_what_is_set(name);
        self.end_local_path(name == SEARCH_PATH);
        Arc::make_mut(&mut self.current).set(name, to);
    }

    fn trust_what_is_set(&mut self, name: &str) {
        if matches!(name, SEARCH_PATH | LOCAL_PATH) {
            self.trust_path(name == LOCAL_PATH);
        }
    }

    /// The path of `SET LOCAL` no longer counts, if it is `over`.
    fn end_local_path(&mut self, over: bool) {
        if over && self.current.has(LOCAL_PATH) {
            Arc::make_mut(&mut self.current).take_out(LOCAL_PATH);
        }
    }

    /// A setting was set that no rollback makes forgotten, whether or not it takes it back.
    pub fn set_for_good(&mut self, name: &str, to: Assignment) {
        Arc::make_mut(&mut self.committed).set(name, to.clone());
        self.set(name, to);
    }

    /// A setting went back to what `base` has for it.
    pub fn reset(&mut self, name: &str, base: &Settings) {
        self.trust_what_is_set(name);
        self.end_local_path(name == SEARCH_PATH);
        match base.assignment(name) {
            Some(to) => self.set(name, to.clone()),
            None if self.current.has(name) => Arc::make_mut(&mut self.current).take_out(name),
            None => {}
        }
    }

    /// All of them became these, as far as the open transaction goes.
    pub fn replace(&mut self, settings: Arc<Settings>) {
        self.current = settings;
    }

    /// All settings went back to `base`.
    pub fn reset_all(&mut self, base: &Arc<Settings>) {
        self.trust_path(false);
        self.current = Arc::clone(base);
    }

    /// `SAVEPOINT`.
    pub fn savepoint(&mut self, name: &str) {
        if self.savepoints.len() < MAX_SAVEPOINTS {
            self.savepoints.push((name.into(), Arc::clone(&self.current), self.distrust));
        }
    }

    /// Whether a rollback to a savepoint could bring anything back.
    pub fn has_savepoints(&self) -> bool {
        !self.savepoints.is_empty()
    }

    fn find_savepoint(&self, name: &str) -> Option<usize> {
        self.savepoints.iter().rposition(|(known, ..)| **known == *name)
    }

    /// Whether it is known what a rollback to this savepoint would bring back.
    pub fn knows_savepoint(&self, name: &str) -> bool {
        self.savepoints.len() < MAX_SAVEPOINTS || self.find_savepoint(name).is_some()
    }

    /// `ROLLBACK TO`: the savepoint itself stays.
    pub fn roll_back_to(&mut self, name: &str) {
        let Some(at) = self.find_savepoint(name) else { return };
        self.savepoints.truncate(at + 1);
        if let Some((_, settings, distrust)) = self.savepoints.last() {
            (self.current, self.distrust) = (Arc::clone(settings), *distrust);
        }
    }

    /// `RELEASE`.
    pub fn release(&mut self, name: &str) {
        if let Some(at) = self.find_savepoint(name) {
            self.savepoints.truncate(at);
        }
    }

    /// The transaction was committed.
    pub fn commit(&mut self) {
        self.savepoints.clear();
        self.distrusted = self.distrust.refused;
        self.distrust.righted = false;
        // Nothing was set since: what is committed has no local path in it.
        if !Arc::ptr_eq(&self.committed, &self.current) {
            self.end_local_path(true);
            self.committed = Arc::clone(&self.current);
        }
        debug_assert!(!self.current.has(LOCAL_PATH), "it ends with the transaction");
    }

    /// The transaction was rolled back.
    pub fn roll_back(&mut self) {
        self.savepoints.clear();
        self.distrust = Distrust { refused: self.distrusted, righted: false };
        if !Arc::ptr_eq(&self.committed, &self.current) {
            self.current = Arc::clone(&self.committed);
        }
    }
}

/// The statements that bring a server from `has` to `wants`, in their order.
///
/// A path and a role that were left on the server are taken off with `clear`, and otherwise
/// left alone; none is ever put on. What is set is set under `role`.
pub fn difference(
    has: &Arc<Settings>,
    wants: &Arc<Settings>,
    clear: bool,
    role: Option<&RoleName>,
) -> Vec<String> {
    let mut out = Vec::new();
    if are_the_same(has, wants) {
        return out;
    }
    let is_over = |name: &str| match name {
        SEARCH_PATH | SESSION_ROLE => clear,
        // One that names the style alone leaves the order as it was, and the other way round.
        DATESTYLE => has.assignment(name) != wants.assignment(name),
        _ => !wants.has(name),
    };
    for name in has.all.keys().filter(|name| is_over(name)) {
        let mut sql = String::from("RESET ");
        push_name(&mut sql, if **name == *SESSION_ROLE { "role" } else { name });
        out.push(sql);
    }
    let mut sets: Vec<_> =
        wants.all.iter().filter(|(name, to)| !is_ours(name) && has.assignment(name) != Some(*to)).collect();
    if let (Some(role), false) = (role, sets.is_empty()) {
        out.push(format!("SET LOCAL ROLE {}", ident::ascii_quoted(role.as_str())));
    }
    // A time-out acts on what stands behind it.
    sets.sort_by_key(|(name, _)| (name.ends_with("_timeout"), ***name == *"statement_timeout"));
    out.extend(sets.into_iter().map(|(_, to)| to.sql.to_string()));
    out
}

/// Whether a server has what is wanted, and nothing else, as can be told at a glance.
pub fn are_the_same(has: &Arc<Settings>, wants: &Arc<Settings>) -> bool {
    Arc::ptr_eq(has, wants) && (has.may_rest() || !has.all.keys().any(|name| is_ours(name)))
}

/// What a server has once [`difference`] ran on it.
pub fn after(has: &Arc<Settings>, wants: &Arc<Settings>, clear: bool) -> Arc<Settings> {
    let mut kept = has.all.iter().filter(|(name, _)| !clear && is_ours(name)).peekable();
    if kept.peek().is_none() && !wants.all.keys().any(|name| is_ours(name)) {
        return Arc::clone(wants);
    }
    let mut settings = Settings::clone(wants);
    [SEARCH_PATH, LOCAL_PATH, SESSION_ROLE].iter().for_each(|name| settings.take_out(name));
    kept.for_each(|(name, to)| settings.set(name, to.clone()));
    Arc::new(settings)
}

/// Whether it is set by us, with a transaction or for one, and never replayed.
fn is_ours(name: &str) -> bool {
    matches!(name, SEARCH_PATH | LOCAL_PATH | SESSION_ROLE)
}

/// A parameter's name; each part of a qualified one (`app.user`) is quoted by itself.
fn push_name(sql: &mut String, name: &str) {
    for (i, part) in name.split('.').enumerate() {
        if i > 0 {
            sql.push('.');
        }
        ident::push_ascii_quoted(sql, part);
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
