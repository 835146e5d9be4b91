//! What all parts of a schedule share: its chance, its backends, its trace, and what went wrong.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use pgstrata::simulation::{Stream, World};
use pgstrata_sql::scope::{Builtins, Relation, SchemaNames};
use pgstrata_testkit::Random;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::pipe::{Weather, pipe};
use crate::postgres::backend::{Backend, Ran};
use crate::postgres::postmaster::{Post, serve};
use crate::postgres::run::{MEDDLED, SHOWN, is_shared};
use crate::postgres::session::{NO_ROLE, Relations, Session};

/// The tenants that there are.
pub const TENANTS: [&str; 3] = ["acme", "globex", "initech"];

/// The tables of each tenant; the shared schema has the first, too.
pub const TABLES: [&str; 2] = ["items", "orders"];

/// A table that the shared schema alone has.
pub const SHARED: &str = "plans";

/// What may go wrong in a schedule.
#[derive(Clone, Copy, Debug)]
pub struct Troubles {
    /// A backend dies at one of so many steps; 0: never.
    pub deaths: usize,
    /// One connection in so many is refused; 0: none.
    pub refusals: usize,
}

/// A schedule's world.
pub struct Universe {
    inner: Mutex<Inner>,
    weather: Weather,
    troubles: Troubles,
}

struct Inner {
    random: Random,
    posts: BTreeMap<i32, Arc<Post>>,
    next_pid: i32,
    /// What ran for each client since it last looked.
    ran: BTreeMap<usize, Vec<Ran>>,
    tags: HashSet<String>,
    violation: Option<String>,
    trace: Option<Vec<String>>,
    begun: Instant,
}

impl Universe {
    pub fn new(seed: u64, weather: Weather, troubles: Troubles, traced: bool) -> Arc<Self> {
        let inner = Inner {
            random: Random::new(seed),
            posts: BTreeMap::new(),
            next_pid: 1000,
            ran: BTreeMap::new(),
            tags: HashSet::new(),
            violation: None,
            trace: traced.then(Vec::new),
            begun: Instant::now(),
        };
        Arc::new(Self { inner: Mutex::new(inner), weather, troubles })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub fn below(&self, limit: usize) -> usize {
        self.inner().random.below(limit)
    }

    pub fn chance_of(&self, one_in: usize) -> bool {
        one_in > 0 && self.below(one_in) == 0
    }

    /// Writes into the trace, if there is one.
    pub fn say(&self, line: impl FnOnce() -> String) {
        let mut inner = self.inner();
        if inner.trace.is_none() {
            return;
        }
        drop(inner);
        let line = line();
        inner = self.inner();
        let at = inner.begun.elapsed().as_millis();
        inner.trace.iter_mut().for_each(|trace| trace.push(format!("{at:>6} {line}")));
    }

    /// What must not be was.
    pub fn violated(&self, what: impl FnOnce() -> String) {
        let what = what();
        self.say(|| format!("VIOLATION: {what}"));
        self.inner().violation.get_or_insert(what);
    }

    pub fn is_violated(&self) -> bool {
        self.inner().violation.is_some()
    }

    /// What went wrong first, and all that happened.
    pub fn verdict(&self) -> (Option<String>, Vec<String>) {
        let mut inner = self.inner();
        (inner.violation.take(), inner.trace.take().unwrap_or_default())
    }

    pub fn new_backend(&self, backend: Backend) -> (i32, Arc<Post>) {
        let mut inner = self.inner();
        inner.next_pid += 1;
        let (pid, key) = (inner.next_pid, inner.random.below(1 << 30) as i32);
        let post = Arc::new(Post { key, backend: Mutex::new(backend), cancel: Notify::new() });
        inner.posts.insert(pid, Arc::clone(&post));
        (pid, post)
    }

    pub fn gone(&self, pid: i32) {
        self.inner().posts.remove(&pid);
    }

    pub fn cancel(&self, pid: i32, key: i32) {
        let post = self.inner().posts.get(&pid).cloned();
        match post.filter(|post| post.key == key) {
            Some(post) => {
                self.say(|| format!("  cancel request for server {pid}"));
                post.cancel.notify_waiters();
            }
            None => self.say(|| format!("  cancel request for server {pid}, which is not there")),
        }
    }

    /// So many milliseconds a statement takes.
    pub fn time_of_statement(&self, sleeps: bool) -> u64 {
        let time = match sleeps {
            true => 5 + self.below(60),
            false if self.chance_of(6) => 1 + self.below(10),
            false => 0,
        };
        time as u64
    }

    /// How a backend dies now; 0: it does not.
    pub fn death(&self) -> usize {
        match self.chance_of(self.troubles.deaths) {
            true => 1 + self.below(3),
            false => 0,
        }
    }

    /// A statement has run on a server.
    pub fn ran(&self, pid: i32, ran: Ran, session: &Session) {
        let Some(client) = owner(&ran.tag) else { return };
        if !self.inner().tags.insert(ran.tag.clone()) {
            self.violated(|| format!("{} ran twice", ran.tag));
        }
        if ran.writes && is_shared(&ran.served) {
            self.violated(|| format!("{} has changed {}", ran.tag, ran.served));
        }
        for (name, value) in session.set_now() {
            let marked = SHOWN.contains(&name) || name == MEDDLED;
            if marked && owner(value) != Some(client) {
                self.violated(|| format!("{} ran on server {pid} with {name} = {value}", ran.tag));
            }
        }
        self.inner().ran.entry(client).or_default().push(ran);
    }

    /// What ran for a client since it last asked.
    pub fn take_ran(&self, client: usize) -> Vec<Ran> {
        self.inner().ran.remove(&client).unwrap_or_default()
    }
}

/// The client that a tag or a setting's value is of: `#3.17`, `c3v17`, `3017`, `3017kB`.
pub fn owner(value: &str) -> Option<usize> {
    let value = value.trim_end_matches("kB");
    if let Some(rest) = value.strip_prefix(['#', 'c']) {
        return rest.split(['.', 'v']).next()?.parse().ok();
    }
    value.parse::<usize>().ok().map(|number| number / 1000)
}

/// What each schema holds.
pub fn relations() -> Arc<Relations> {
    thread_local! {
        static RELATIONS: Arc<Relations> = Arc::new(all_relations());
    }
    RELATIONS.with(Arc::clone)
}

fn all_relations() -> Relations {
    let of = |schema: &'static str| TABLES.map(|table| (schema.to_owned(), table.to_owned()));
    let shared = [TABLES[0], SHARED].map(|table| ("public".to_owned(), table.to_owned()));
    TENANTS.into_iter().flat_map(of).chain(shared).collect()
}

/// A universe as the proxy sees it.
pub struct Sight(pub Arc<Universe>);

impl World for Sight {
    fn dial(&self) -> io::Result<Box<dyn Stream>> {
        let universe = &self.0;
        if universe.chance_of(universe.troubles.refusals) {
            universe.say(|| "  a connection is refused".to_owned());
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (near, far) = pipe(universe.weather, &mut universe.inner().random);
        tokio::spawn(serve(Arc::clone(universe), far));
        Ok(Box::new(near))
    }

    fn chance(&self, bytes: &mut [u8]) {
        bytes.fill_with(|| self.0.below(256) as u8);
    }

    fn schema(&self, schema: &str) -> Option<SchemaNames> {
        let all = relations();
        let mine = all.iter().filter(|(of, _)| of == schema);
        let plain = Relation { kind: b'r', plain: true };
        let names: Vec<_> = mine.map(|(_, name)| (name.as_str().into(), plain)).collect();
        let functions: &[&str] = if schema == "public" { &[] } else { &["meddle"] };
        (!names.is_empty()).then(|| SchemaNames {
            relations: names.into_iter().collect(),
            functions: functions.iter().map(|name| (*name).into()).collect(),
            ..SchemaNames::default()
        })
    }

    fn builtins(&self) -> Builtins {
        let names = |list: &str| list.split(' ').map(Into::into).collect();
        let mut builtins = Builtins {
            relations: names("pg_class pg_settings"),
            types: names("text int4"),
            ..Builtins::default()
        };
        ["set_config", "pg_sleep"].into_iter().for_each(|name| builtins.add_function(name.into(), false));
        builtins
    }

    fn given_back(&self, pid: i32) {
        let post = self.0.inner().posts.get(&pid).cloned();
        let Some(post) = post else { return };
        let backend = post.backend.lock().unwrap();
        let session = &backend.session;
        let rests = |name: &str| session.get(name) == session.defaults.get(name).map_or("", |value| value);
        let problem = match () {
            () if !backend.is_idle() || backend.is_copying() => Some("in the middle of a request"),
            () if session.is_open() => Some("in a transaction"),
            () if session.get("role") != NO_ROLE => Some("with a role"),
            () if !rests("search_path") => Some("with a search path"),
            () if !rests("lock_timeout") => Some("with a time-out"),
            () if !rests(MEDDLED) => Some("with what code has set"),
            () if !session.state.temp.is_empty() => Some("with temporary tables"),
            () => None,
        };
        if let Some(problem) = problem {
            self.0.violated(|| format!("server {pid} goes back {problem}"));
        }
    }
}
