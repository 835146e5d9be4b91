//! Session settings: what a client wants, what a server has, and the way from one to the other.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use pgstrata_tenancy::{RoleName, ident};

/// Settings of a session: the parameter's name in lower case, and the SQL that sets it.
pub type Settings = BTreeMap<Box<str>, Box<str>>;

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

/// Settings with PostgreSQL's rule for transactions: a rollback takes them back.
#[derive(Clone, Debug, Default)]
pub struct Tracked {
    committed: Arc<Settings>,
    current: Arc<Settings>,
    /// What each savepoint of the open transaction would bring back.
    savepoints: Vec<(Box<str>, Arc<Settings>)>,
}

/// With more savepoints than this open at once, no more are remembered.
const MAX_SAVEPOINTS: usize = 4096;

impl Tracked {
    /// Begins with these.
    pub fn new(settings: Arc<Settings>) -> Self {
        Self { committed: Arc::clone(&settings), current: settings, savepoints: Vec::new() }
    }

    /// What holds now.
    pub fn current(&self) -> &Arc<Settings> {
        &self.current
    }

    /// What a rollback would bring back.
    pub fn committed(&self) -> &Arc<Settings> {
        &self.committed
    }

    /// A setting was set.
    pub fn set(&mut self, name: &str, sql: &str) {
        self.end_local_path(name == SEARCH_PATH);
        Arc::make_mut(&mut self.current).insert(name.into(), sql.into());
    }

    /// The path of `SET LOCAL` no longer counts, if it is `over`.
    fn end_local_path(&mut self, over: bool) {
        if over && self.current.contains_key(LOCAL_PATH) {
            Arc::make_mut(&mut self.current).remove(LOCAL_PATH);
        }
    }

    /// A setting was set that no rollback makes forgotten, whether or not it takes it back.
    pub fn set_for_good(&mut self, name: &str, sql: &str) {
        self.set(name, sql);
        Arc::make_mut(&mut self.committed).insert(name.into(), sql.into());
    }

    /// A setting went back to what `base` has for it.
    pub fn reset(&mut self, name: &str, base: &Settings) {
        self.end_local_path(name == SEARCH_PATH);
        match base.get(name) {
            Some(sql) => self.set(name, &sql.clone()),
            None if self.current.contains_key(name) => {
                Arc::make_mut(&mut self.current).remove(name);
            }
            None => {}
        }
    }

    /// All of them became these, as far as the open transaction goes.
    pub fn replace(&mut self, settings: Arc<Settings>) {
        self.current = settings;
    }

    /// All settings went back to `base`.
    pub fn reset_all(&mut self, base: &Arc<Settings>) {
        self.current = Arc::clone(base);
    }

    /// `SAVEPOINT`.
    pub fn savepoint(&mut self, name: &str) {
        if self.savepoints.len() < MAX_SAVEPOINTS {
            self.savepoints.push((name.into(), Arc::clone(&self.current)));
        }
    }

    /// Whether a rollback to a savepoint could bring anything back.
    pub fn has_savepoints(&self) -> bool {
        !self.savepoints.is_empty()
    }

    fn find_savepoint(&self, name: &str) -> Option<usize> {
        self.savepoints.iter().rposition(|(known, _)| **known == *name)
    }

    /// Whether it is known what a rollback to this savepoint would bring back.
    pub fn knows_savepoint(&self, name: &str) -> bool {
        self.savepoints.len() < MAX_SAVEPOINTS || self.find_savepoint(name).is_some()
    }

    /// `ROLLBACK TO`: the savepoint itself stays.
    pub fn roll_back_to(&mut self, name: &str) {
        let Some(at) = self.find_savepoint(name) else { return };
        self.savepoints.truncate(at + 1);
        if let Some((_, settings)) = self.savepoints.last() {
            self.current = Arc::clone(settings);
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
        self.end_local_path(true);
        if !Arc::ptr_eq(&self.committed, &self.current) {
            self.committed = Arc::clone(&self.current);
        }
    }

    /// The transaction was rolled back.
    pub fn roll_back(&mut self) {
        self.savepoints.clear();
        if !Arc::ptr_eq(&self.committed, &self.current) {
            self.current = Arc::clone(&self.committed);
        }
    }
}

/// The SQL that brings a server from `has` to `wants`; `None` where there is nothing to do.
///
/// A path and a role that were left on the server are taken off with `clear`, and otherwise
/// left alone; none is ever put on. What is set is set under `role`.
pub fn difference(
    has: &Arc<Settings>,
    wants: &Arc<Settings>,
    clear: bool,
    role: Option<&RoleName>,
) -> Option<String> {
    if are_the_same(has, wants) {
        return None;
    }
    let mut sql = String::new();
    let is_over = |name: &str| if is_ours(name) { clear } else { !wants.contains_key(name) };
    for name in has.keys().filter(|name| is_over(name)) {
        sql.push_str("RESET ");
        push_name(&mut sql, if **name == *SESSION_ROLE { "role" } else { name });
        sql.push_str("; ");
    }
    let mut sets =
        wants.iter().filter(|(name, set)| !is_ours(name) && has.get(*name) != Some(*set)).peekable();
    if let (Some(role), Some(_)) = (role, sets.peek()) {
        sql.push_str("SET LOCAL ROLE ");
        sql.push_str(&role.quoted());
        sql.push_str("; ");
    }
    for (_, set) in sets {
        sql.push_str(set);
        sql.push_str("; ");
    }
    (!sql.is_empty()).then_some(sql)
}

/// Whether a server has what is wanted, and nothing else, as can be told at a glance.
pub fn are_the_same(has: &Arc<Settings>, wants: &Arc<Settings>) -> bool {
    Arc::ptr_eq(has, wants) && !has.keys().any(|name| is_ours(name))
}

/// What a server has once [`difference`] ran on it.
pub fn after(has: &Arc<Settings>, wants: &Arc<Settings>, clear: bool) -> Arc<Settings> {
    let mut kept = has.iter().filter(|(name, _)| !clear && is_ours(name)).peekable();
    if kept.peek().is_none() && !wants.keys().any(|name| is_ours(name)) {
        return Arc::clone(wants);
    }
    let mut settings = Settings::clone(wants);
    settings.retain(|name, _| !is_ours(name));
    settings.extend(kept.map(|(name, sql)| (name.clone(), sql.clone())));
    Arc::new(settings)
}

/// The SQL for a setting of the start-up packet, whose value is text and no SQL.
pub fn from_startup(name: &str, value: &str) -> Box<str> {
    let mut sql = String::from("SELECT pg_catalog.set_config(");
    ident::push_literal(&mut sql, name);
    sql.push_str(", ");
    ident::push_literal(&mut sql, value);
    sql.push_str(", false)");
    sql.into()
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
        ident::push_quoted(sql, part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Arc<Settings> {
        Arc::new(pairs.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect())
    }

    #[test]
    fn only_what_differs_is_sent() {
        let has = settings(&[("a", "SET a TO 1"), ("b", "SET b TO 1"), ("c.d", "SET c.d TO 1")]);
        let wants = settings(&[("a", "SET a TO 1"), ("b", "SET b TO 2")]);
        let sql = |has: &_, wants: &_, role| difference(has, wants, true, role);
        assert_eq!(sql(&has, &wants, None).unwrap(), r#"RESET "c"."d"; SET b TO 2; "#);
        assert_eq!(sql(&wants, &settings(&[("a", "SET a TO 1"), ("b", "SET b TO 2")]), None), None);
        // What a tenant sets it may set; what others have left is taken off by us.
        let role = RoleName::new("x").unwrap();
        let under = r#"RESET "c"."d"; SET LOCAL ROLE "x"; SET b TO 2; "#;
        assert_eq!(sql(&has, &wants, Some(&role)).unwrap(), under);
        assert_eq!(sql(&has, &settings(&[]), Some(&role)).unwrap().matches("ROLE").count(), 0);
    }

    #[test]
    fn equal_settings_are_held_once_and_what_nobody_has_is_forgotten() {
        let of = |value: usize| Settings::from([("a".into(), value.to_string().into())]);
        let kept = shared(of(0));
        assert!(Arc::ptr_eq(&kept, &shared(of(0))) && are_the_same(&kept, &shared(of(0))));
        for value in 0..3 * SHARED_SETS {
            assert_eq!(*shared(of(value)), of(value));
        }
        assert!(Arc::ptr_eq(&kept, &shared(of(0))));
        assert!(SHARED.with_borrow(HashSet::len) <= SHARED_SETS);
        let all: Vec<_> = (0..2 * SHARED_SETS).map(|value| shared(of(value))).collect();
        assert!(SHARED.with_borrow(HashSet::len) <= SHARED_SETS && all.len() > SHARED_SETS);
    }

    #[test]
    fn path_left_on_a_server_is_taken_off_and_never_replayed() {
        let difference = |has: &_, wants: &_, clear| difference(has, wants, clear, None);
        let path = settings(&[("search_path", "SET search_path TO x")]);
        assert_eq!(difference(&path, &path.clone(), true).unwrap(), "RESET \"search_path\"; ");
        assert_eq!(difference(&path, &settings(&[]), true).unwrap(), "RESET \"search_path\"; ");
        assert_eq!(difference(&path, &settings(&[]), false), None);
        assert_eq!(difference(&settings(&[]), &path, true), None);
        assert!(after(&path, &path, true).is_empty());
        assert_eq!(after(&path, &settings(&[]), false), path);
        let role = settings(&[("session role", "")]);
        assert_eq!(difference(&role, &role.clone(), true).unwrap(), "RESET \"role\"; ");
        assert_eq!(difference(&role, &settings(&[]), false), None);
        assert_eq!(after(&role, &settings(&[]), false), role);
        assert!(after(&role, &settings(&[]), true).is_empty());
    }

    #[test]
    fn rollback_to_a_savepoint_brings_back_what_held_there() {
        let value = |tracked: &Tracked| tracked.current().get("a").map(|v| v.to_string());
        let mut tracked = Tracked::default();
        tracked.set("a", "1");
        tracked.savepoint("s");
        tracked.set("a", "2");
        tracked.savepoint("s");
        tracked.set("a", "3");
        tracked.roll_back_to("s");
        assert_eq!(value(&tracked).as_deref(), Some("2"));
        tracked.release("s");
        tracked.roll_back_to("s");
        assert_eq!(value(&tracked).as_deref(), Some("1"));
        tracked.roll_back_to("no such");
        assert_eq!(value(&tracked).as_deref(), Some("1"));
        tracked.roll_back();
        assert_eq!(value(&tracked), None);
    }

    #[test]
    fn rollback_takes_settings_back() {
        let mut tracked = Tracked::default();
        tracked.set("a", "SET a TO 1");
        tracked.commit();
        tracked.set("a", "SET a TO 2");
        tracked.roll_back();
        assert_eq!(tracked.current().get("a").map(|v| &**v), Some("SET a TO 1"));
        let base = settings(&[("a", "SET a TO 0")]);
        tracked.reset("a", &base);
        assert_eq!(tracked.current().get("a").map(|v| &**v), Some("SET a TO 0"));
        tracked.reset("zzz", &base);
        assert_eq!(tracked.current().len(), 1);
        tracked.set_for_good("ours", "");
        tracked.roll_back();
        assert_eq!(tracked.current().get("a").map(|v| &**v), Some("SET a TO 1"));
        assert!(tracked.current().contains_key("ours"));
    }
}
