//! What a client does next: random, but with sense in it, as far as the state of its session goes.

use pgstrata_testkit::Random;

use crate::frames::{self, Frame};
use crate::postgres::session::{Prepared, Session};
use crate::postgres::sql::{Statement, Value};
use crate::universe::{SHARED, TABLES, TENANTS};

/// A request, and what follows if PostgreSQL asks for data.
#[derive(Clone, Debug)]
pub struct Request {
    pub frames: Vec<Frame>,
    /// The rows of a COPY; at its end the client may say that it has failed.
    pub copy: Option<(Vec<String>, bool)>,
    /// It may be cancelled.
    pub sleeps: bool,
}

/// The author of one client's script.
pub struct Author {
    pub client: usize,
    pub random: Random,
    /// It may change its tenant.
    pub switches: bool,
    /// It has named its application when it connected.
    pub is_named: bool,
    count: usize,
    sleeps: bool,
}

/// The client's names for prepared statements.
const STATEMENTS: [&str; 3] = ["s0", "s1", "s2"];

impl Author {
    pub fn new(client: usize, seed: u64, switches: bool) -> Self {
        Self { client, random: Random::new(seed), switches, is_named: false, count: 0, sleeps: false }
    }

    fn one_in(&mut self, chances: usize) -> bool {
        self.random.below(chances) == 0
    }

    /// A tag that no other statement has.
    fn tag(&mut self) -> String {
        self.count += 1;
        format!("#{}.{}", self.client, self.count)
    }

    /// What the client does next, given what its session is now.
    pub fn next(&mut self, session: &Session) -> Request {
        self.sleeps = false;
        let (frames, copy) = match self.random.below(10) {
            0..5 => (vec![frames::query(&self.text(session))], None),
            5..9 => (self.pipeline(session), None),
            _ => self.copy(),
        };
        Request { frames, copy, sleeps: self.sleeps }
    }

    fn text(&mut self, session: &Session) -> String {
        match session.status() {
            b'I' => match self.random.below(8) {
                0 => "begin".to_owned(),
                1 => self.several(),
                2 => self.outside(session),
                _ => self.statement(session),
            },
            b'T' => match self.random.below(6) {
                0 => "commit".to_owned(),
                1 => "rollback".to_owned(),
                2 => self.inside(session),
                _ => self.statement(session),
            },
            _ => match self.random.below(4) {
                0 => "commit".to_owned(),
                1 => "rollback to a".to_owned(),
                2 => self.statement(session),
                _ => "rollback".to_owned(),
            },
        }
    }

    /// A text of several statements.
    fn several(&mut self) -> String {
        let (first, second, third) = (self.data(), self.data(), self.data());
        match self.random.below(5) {
            0 => format!("{first}; {second}"),
            1 => format!("begin; {first}; {second}; commit"),
            2 => format!("begin; {first}; rollback; {second}"),
            3 => format!("{first}; select 1/0; {second}"),
            _ => format!("begin; {first}; savepoint a; {second}; rollback to a; {third}; commit"),
        }
    }

    /// What makes sense outside of a block.
    fn outside(&mut self, session: &Session) -> String {
        let holds = !session.state.temp.is_empty()
            || session.prepared.values().any(|prepared| prepared.from_sql)
            || session.portals.values().any(|portal| portal.hold);
        match self.random.below(6) {
            // Of a temporary table that has the name of a tenant's, the proxy takes the tenant's.
            0 => format!("vacuum {} /*{}*/", TABLES[1], self.tag()),
            1 => "discard all".to_owned(),
            2 => "deallocate all".to_owned(),
            3 | 4 if self.switches && !holds => {
                format!("set tenant = '{}'", self.random.pick(&TENANTS).unwrap())
            }
            _ => "reset all".to_owned(),
        }
    }

    /// What makes sense in a block.
    fn inside(&mut self, session: &Session) -> String {
        let cursor = session.portals.contains_key("c");
        match self.random.below(6) {
            0 => "savepoint a".to_owned(),
            1 => "rollback to a".to_owned(),
            2 => "release a".to_owned(),
            3 => self.setting(true),
            _ if cursor => ["fetch 1 from c", "close c"][self.random.below(2)].to_owned(),
            _ => {
                let hold = ["", " with hold"][usize::from(self.one_in(4))];
                format!("declare c cursor{hold} for {}", self.read())
            }
        }
    }

    fn statement(&mut self, session: &Session) -> String {
        match self.random.below(16) {
            0 | 1 => self.setting(false),
            2 => "select 1/0".to_owned(),
            3 => self.own_object(session),
            4 => self.prepared(session),
            5 => format!("select meddle('{}')", self.tag()),
            6 => String::new(),
            7 => "selec 1".to_owned(),
            8 => {
                self.sleeps = true;
                format!("select '{}', pg_sleep(1)", self.tag())
            }
            _ => self.data(),
        }
    }

    fn table(&mut self) -> &'static str {
        TABLES[self.random.below(TABLES.len())]
    }

    fn read(&mut self) -> String {
        let (tag, table) = (self.tag(), self.table());
        match self.random.below(4) {
            0 => format!("select '{tag}' as tag"),
            1 => format!("select '{tag}' as tag, note from {table} where id = 1"),
            2 => format!("/* app */ select '{tag}' as tag, * from {table} i where i.id > 0"),
            _ => format!("select '{tag}' as tag, * from {table}"),
        }
    }

    fn data(&mut self) -> String {
        let (tag, table) = (self.tag(), self.table());
        match self.random.below(8) {
            0 => format!("insert into {table} values ('{tag}')"),
            1 => format!("update {table} set note = '{tag}' where id = 1"),
            2 => format!("delete from {table} where note = '{tag}'"),
            _ => self.read(),
        }
    }

    fn setting(&mut self, local: bool) -> String {
        self.count += 1;
        let (client, count) = (self.client, self.count % 1000);
        let local = ["", "local "][usize::from(local)];
        match self.random.below(8) {
            0 | 1 => format!("set {local}application_name = 'c{client}v{count}'"),
            2 | 3 => format!("set {local}app.mark = 'c{client}v{count}'"),
            4 => format!("set {local}work_mem = '{}kB'", client * 1000 + count),
            5 => format!("set {local}lock_timeout = '{}'", client * 1000 + count),
            6 => "reset application_name".to_owned(),
            _ => format!("select set_config('app.mark', 'c{client}v{count}', {})", !local.is_empty()),
        }
    }

    /// A temporary table, which may have the name of one of the tenant's, or of one that all share.
    fn own_object(&mut self, session: &Session) -> String {
        let name = ["scratch", TABLES[0], SHARED][self.random.below(3)];
        match session.state.temp.contains(name) {
            true if self.one_in(3) => format!("drop table {name}"),
            true if self.one_in(2) => format!("truncate {name} /*{}*/", self.tag()),
            true => format!("select '{}' as tag, * from {name}", self.tag()),
            false => format!("create temp table {name} (note text)"),
        }
    }

    /// A statement of SQL `PREPARE`.
    fn prepared(&mut self, session: &Session) -> String {
        match session.prepared.get("p").map(|prepared| prepared.from_sql) {
            None => format!("prepare p(text) as select $1 as tag, * from {}", self.table()),
            Some(_) if self.one_in(4) => "deallocate p".to_owned(),
            Some(_) => format!("execute p('{}')", self.tag()),
        }
    }

    /// COPY, in either direction.
    fn copy(&mut self) -> (Vec<Frame>, Option<(Vec<String>, bool)>) {
        let table = self.table();
        let rows = (0..self.random.below(4)).map(|_| self.tag()).collect();
        let fails = self.one_in(4);
        let text = match self.random.below(3) {
            0 => return (vec![frames::query(&format!("copy {table} to stdout"))], None),
            _ => format!("copy {table} from stdin"),
        };
        let frames = match self.one_in(2) {
            true => vec![frames::query(&text)],
            false => vec![
                frames::parse("", &text),
                frames::bind("", "", &[]),
                frames::execute("", 0),
                frames::sync(),
            ],
        };
        (frames, Some((rows, fails)))
    }

    /// Messages of the extended protocol, up to `Sync`.
    fn pipeline(&mut self, session: &Session) -> Vec<Frame> {
        let mut out = Vec::new();
        if session.state.temp.contains(SHARED) && self.one_in(2) {
            self.late_portal(&mut out);
        }
        for _ in 0..1 + self.random.below(3) {
            match self.random.below(8) {
                0..3 => self.unnamed(session, &mut out),
                3..7 => self.named(session, &mut out),
                _ => out.push(frames::flush()),
            }
        }
        out.push(frames::sync());
        out
    }

    /// A statement with no name, as drivers send it.
    fn unnamed(&mut self, session: &Session, out: &mut Vec<Frame>) {
        let reads = |prepared: &Prepared| {
            matches!(&prepared.statement, Statement::Select { tag: Value::Parameter(_), .. })
        };
        if session.prepared.get("").is_some_and(reads) && self.one_in(2) {
            // The one of before.
            let tag = self.tag();
            return out.extend([frames::bind("", "", &[&tag]), frames::execute("", 0)]);
        }
        let (text, values) = match self.random.below(8) {
            // The proxy brings what a client has begun with back in front of the next request, not behind a RESET.
            0 if self.is_named => (String::new(), Vec::new()),
            0 => (self.setting(session.is_explicit()), Vec::new()),
            1 => (["begin", "commit", "rollback"][self.random.below(3)].to_owned(), Vec::new()),
            2 => ("select 1/0".to_owned(), Vec::new()),
            3 => (format!("insert into {} values ($1)", self.table()), vec![self.tag()]),
            _ => (format!("select $1 as tag, * from {}", self.table()), vec![self.tag()]),
        };
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        out.extend([frames::parse("", &text), frames::bind("", "", &values)]);
        if self.one_in(2) {
            out.push(frames::named(b'D', b'P', ""));
        }
        out.push(frames::execute("", 0));
    }

    /// A portal that changes a temporary table, and runs when that may be gone: the name is a shared table's then.
    fn late_portal(&mut self, out: &mut Vec<Frame>) {
        let text = format!("truncate {SHARED} /*{}*/", self.tag());
        out.extend(["late", "between"].map(|name| frames::named(b'C', b'S', name)));
        out.extend([frames::parse("late", &text), frames::bind("late", "late", &[])]);
        if self.one_in(2) {
            let between = match self.random.below(3) {
                0 => self.read(),
                _ => format!("drop table {SHARED}"),
            };
            let bind = frames::bind("", "between", &[]);
            out.extend([frames::parse("between", &between), bind, frames::execute("", 0)]);
        }
        out.extend([frames::execute("late", 0), frames::named(b'C', b'P', "late")]);
    }

    /// A statement with a name: prepared, described, run, or closed.
    fn named(&mut self, session: &Session, out: &mut Vec<Frame>) {
        let name = STATEMENTS[self.random.below(STATEMENTS.len())];
        if !session.prepared.contains_key(name) || self.one_in(12) {
            let text = format!("select $1 as tag, * from {}", self.table());
            out.push(frames::parse(name, &text));
        }
        match self.random.below(8) {
            0 => out.push(frames::named(b'C', b'S', name)),
            1 => out.push(frames::named(b'D', b'S', name)),
            2 | 3 => {
                let tag = self.tag();
                out.push(frames::bind("q", name, &[&tag]));
                out.push(frames::execute("q", 1));
                if self.one_in(2) {
                    out.push(frames::execute("q", 0));
                }
                out.push(frames::named(b'C', b'P', "q"));
            }
            _ => {
                let tag = self.tag();
                out.extend([frames::bind("", name, &[&tag]), frames::execute("", 0)]);
            }
        }
    }
}
