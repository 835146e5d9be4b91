//! What clients do next.

use super::message::Send;
use super::settings::{self, Setting};
use crate::fuzz::random::Random;
use crate::fuzz::snippets;

/// Names of statements, portals and cursors: the same for all clients.
const STATEMENTS: [&str; 4] = ["", "s", "s1", "select"];
const PORTALS: [&str; 3] = ["", "p", "c"];

const READS: &[&str] = &[
    "select 1",
    "select secret from users",
    "select name from users order by id",
    "table users",
    "select 1/0",
    "select count(*) from pg_settings",
    "show all",
    "show search_path",
    "select current_schema()",
    "select lastval()",
    "select currval('tickets')",
    "select * from pg_cursors",
    "select nope",
    "selec",
    "",
    ";",
    "select current_setting('app.user_id', true)",
    "select current_setting('app.secret', true)",
    "explain analyze select 1",
    "select random()",
    "values (1), (2), (3)",
    "select n from generate_series(1, 20) n",
    "select pg_sleep(0.01)",
    "show tenant",
    "execute p",
    "execute s",
    "fetch c",
    "fetch all c",
];
const WRITES: &[&str] = &[
    "insert into notes (note) values ('x')",
    "update users set name = name",
    "delete from notes",
    "select nextval('tickets')",
    "select setval('tickets', 5)",
    "create table if not exists made (i int)",
    "drop table if exists made",
    "truncate notes",
    "insert into notes select 'y' from nope",
    "create view lv as select lastval()",
    "select * from lv",
    "drop view if exists lv",
    "insert into users (name) values ('n') returning id",
    "notify orders, 'x'",
    "analyze users",
    "alter table notes add column y int",
    "create or replace view st as select name, setting from pg_settings",
    "update st set setting = 'globex' where name = 'search_path'",
    "update st set setting = '7' where name = 'statement_timeout'",
    "comment on table notes is 'x'",
];
const ENDS: &[&str] = &[
    "commit", "rollback", "commit", "end", "abort", "rollback and chain", "commit and chain",
    "prepare transaction 'x'", "commit prepared 'x'", "rollback prepared 'x'", "release s", "rollback to s",
    "savepoint s",
];
const BEGINS: &[&str] = &[
    "begin",
    "begin",
    "start transaction",
    "begin read only",
    "begin isolation level serializable read only deferrable",
    "begin; savepoint s",
    "begin; select 1/0",
    "begin; select secret from users",
    "begin; lock table users in share mode",
];
/// They tie a client to its server, or try to.
const HOLDS: &[&str] = &[
    "create temp table scratch (i int)",
    "create temp table users as select 'MINE' as secret, 1 as id, 'x' as name",
    "create temp view v as select 1 as one",
    "create temp sequence sq",
    "create table pg_temp.t (i int)",
    "select 1 as i into temp tt",
    "declare c cursor with hold for select name from users",
    "prepare p as select 'MINE'",
    "prepare s as select secret from users",
    "prepare p (text) as select set_config('statement_timeout', $1, false)",
    "select pg_advisory_lock(1)",
    "select pg_advisory_lock_shared(1, 2)",
    "select pg_try_advisory_lock(7)",
    "listen orders",
    "listen \"globex.orders\"",
    "create temp table scratch (i int) on commit drop",
    "create temp table d as select 1; drop table d",
    "create function pg_temp.f() returns int language sql return 1",
    "create type pg_temp.ty as (i int)",
    "select setseed(0.5)",
    "load 'plpgsql'",
    "create temp table users (like users including all)",
    "declare c cursor with hold for select 1/0",
];
const FREES: &[&str] = &[
    "deallocate all",
    "deallocate p",
    "deallocate s",
    "discard all",
    "discard temp",
    "discard plans",
    "discard sequences",
    "reset all",
    "unlisten *",
    "unlisten orders",
    "close all",
    "close c",
    "drop table if exists scratch",
    "select pg_advisory_unlock_all()",
    "select pg_advisory_unlock(1)",
    "drop table if exists pg_temp.users",
    "drop view if exists v",
];
/// They don't run in a transaction block.
const ALONE: &[&str] = &[
    "vacuum users",
    "vacuum",
    "call act()",
    "lock table users in share mode",
    "reindex table users",
    "cluster users using users_pkey",
    "do $$ begin end $$",
    "create index concurrently on notes (note)",
    "commit prepared 'x'",
    "checkpoint",
    "analyze",
    "reindex index concurrently users_pkey",
    "drop index concurrently if exists nope",
    "alter system reset all",
];
/// For users whose SQL may carry SQL.
const CODE: &[&str] = &[
    "do $$ begin perform set_config('statement_timeout', '7', false); end $$",
    "do $$ begin set default_transaction_read_only = on; end $$",
    "do $$ begin create temp table hidden (i int); end $$",
    "do $$ begin perform pg_advisory_lock(5); end $$",
    "do $$ begin execute 'prepare px as select 1'; end $$",
    "do $$ begin execute 'listen orders'; end $$",
    "do $$ begin set app.user_id = 'MINE'; raise exception 'x'; end $$",
    "do $$ begin set app.user_id = 'MINE'; commit; end $$",
    "do $$ begin perform setseed(0.1); perform nextval('tickets'); end $$",
    "do $$ begin perform set_config('search_path', 'public', false); end $$",
    "do $$ begin raise notice 'x'; end $$",
    "create or replace function acme_sets() returns int language plpgsql as $$ begin set work_mem = '65kB'; return 1; end $$",
    "select acme_sets()",
];
const TENANTS: &[&str] = &[
    "set tenant = 'globex'", "set tenant = 'acme_corp'", "reset tenant", "set tenant to default",
    "/*tenant='globex'*/ select 1",
];

/// What a client may be given to do.
#[derive(Clone, Copy, Debug)]
pub struct Leave {
    /// It may keep a server.
    pub hold: bool,
    /// It may run code in strings.
    pub code: bool,
    /// It may go over to another tenant.
    pub switch: bool,
}

/// Makes steps.
#[derive(Debug)]
pub struct Steps {
    /// What may be set.
    pub settings: Vec<Setting>,
}

impl Steps {
    /// One statement.
    fn statement(&self, random: &mut Random, leave: Leave) -> String {
        match random.below(100) {
            0..34 => self.setting(random),
            34..50 => random.pick(READS).to_owned(),
            50..62 => random.pick(WRITES).to_owned(),
            62..68 => random.pick(ALONE).to_owned(),
            68..75 => random.pick(FREES).to_owned(),
            75..81 if leave.hold => random.pick(BEGINS).to_owned(),
            81..88 => random.pick(ENDS).to_owned(),
            88..94 if leave.hold => random.pick(HOLDS).to_owned(),
            94..97 if leave.code => random.pick(CODE).to_owned(),
            97..99 if leave.switch => random.pick(TENANTS).to_owned(),
            99 => snippets::select(random),
            _ => self.setting(random),
        }
    }

    fn setting(&self, random: &mut Random) -> String {
        let (name, value) = settings::any(random, &self.settings);
        match random.below(16) {
            0..6 => format!("set {name} = {value}"),
            6 => format!("set local {name} to {value}"),
            7 => format!("set session {name} = {value}"),
            8 => format!("reset {name}"),
            9 => format!("set {name} to default"),
            10 => format!("select set_config('{name}', {}, false)", quoted(&value)),
            11 => format!("select set_config('{name}', {}, true)", quoted(&value)),
            12 => format!(
                "set session characteristics as transaction {}",
                random.pick(&["read only", "isolation level serializable", "deferrable"])
            ),
            13 => format!("select 1, set_config('{name}', {}, false) from users", quoted(&value)),
            14 => format!("show {name}"),
            _ => format!(
                "set transaction {}",
                random.pick(&["read only", "isolation level serializable", "read write"])
            ),
        }
    }

    /// Options of a login, besides the tenant.
    pub fn options(&self, random: &mut Random) -> Vec<(String, String)> {
        if random.chance(70) {
            return Vec::new();
        }
        let (name, value) = settings::any(random, &self.settings);
        vec![(name, value.trim_matches('\'').to_owned())]
    }

    /// The messages of one request.
    pub fn request(&self, random: &mut Random, leave: Leave) -> Vec<Send> {
        let mut out = Vec::new();
        match random.below(22) {
            20.. => again(random, &mut out),
            0..6 => out.push(self.query(random, leave)),
            6..15 => {
                self.pipeline(random, leave, &mut out);
                out.push(Send::Sync);
            }
            // A query behind messages with no Sync.
            15 => {
                self.pipeline(random, leave, &mut out);
                out.push(self.query(random, leave));
            }
            16 => {
                self.pipeline(random, leave, &mut out);
                out.push(Send::Flush);
            }
            17 => copy(random, &mut out),
            18 => {
                self.pipeline(random, leave, &mut out);
                out.push(one_of(random, &[Send::Terminate, Send::Cut, Send::Reset, Send::Cut]));
            }
            _ => out.extend([
                self.query(random, leave),
                one_of(random, &[Send::Cancel, Send::Sync, Send::Terminate]),
            ]),
        }
        out
    }

    fn query(&self, random: &mut Random, leave: Leave) -> Send {
        let count = random.pick(&[1, 1, 1, 2, 3]);
        let texts: Vec<String> = (0..count).map(|_| self.statement(random, leave)).collect();
        Send::Query(texts.join("; "))
    }

    fn pipeline(&self, random: &mut Random, leave: Leave, out: &mut Vec<Send>) {
        for _ in 0..1 + random.below(4) {
            let statement = random.pick(&STATEMENTS).to_owned();
            let portal = random.pick(&PORTALS).to_owned();
            match random.below(12) {
                0..8 => {
                    out.push(Send::Parse(statement.clone(), self.statement(random, leave)));
                    out.push(Send::Bind(portal.clone(), statement, Vec::new()));
                    out.push(Send::Execute(portal, random.pick(&[0, 0, 0, 1])));
                }
                8 => out.push(Send::Parse(statement, self.statement(random, leave))),
                9 => {
                    out.push(Send::Bind(portal.clone(), statement, Vec::new()));
                    out.push(Send::Execute(portal, random.pick(&[0, 1])));
                }
                10 => out.push(match random.below(4) {
                    0 => Send::Describe('S', statement),
                    1 => Send::Describe('P', portal),
                    2 => Send::Close('S', statement),
                    _ => Send::Close('P', portal),
                }),
                _ => {
                    let text = random.pick(&[
                        "select set_config('statement_timeout', $1, false)",
                        "select set_config($1, '1', false)",
                        "select set_config('app.user_id', $1, true)",
                        "select $1::text, secret from users",
                    ]);
                    out.push(Send::Parse(statement.clone(), text.to_owned()));
                    out.push(Send::Bind(
                        portal.clone(),
                        statement,
                        vec![random.pick(&["9", "app.user_id", "lock_timeout"]).to_owned()],
                    ));
                    out.push(Send::Execute(portal, 0));
                }
            }
            if random.chance(8) {
                out.push(one_of(random, &[Send::Sync, Send::Flush]));
            }
        }
    }
}

/// A statement with no name, again and again: servers keep it.
fn again(random: &mut Random, out: &mut Vec<Send>) {
    let (text, values) = random.pick(&[
        ("select secret from users", &[][..]),
        ("table users", &[]),
        ("select name from users order by id", &[]),
        ("select $1::int4", &["1"]),
        ("insert into notes (note) values ($1)", &["x"]),
        ("insert into users (name) values ($1) returning id, secret", &["n"]),
        ("delete from notes", &[]),
        ("select note from notes", &[]),
        ("insert into users (id) values ($1)", &["no number"]),
    ]);
    for _ in 0..1 + random.below(8) {
        out.push(Send::Parse(String::new(), text.to_owned()));
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        out.push(Send::Bind(String::new(), String::new(), values));
        out.extend([Send::Execute(String::new(), 0), Send::Sync]);
    }
}

fn copy(random: &mut Random, out: &mut Vec<Send>) {
    let text = random.pick(&[
        "copy notes (note) from stdin", "copy nope from stdin", "copy users to stdout",
        "copy (select 1/0) to stdout",
    ]);
    out.push(Send::Query(text.to_owned()));
    if text.contains("stdin") {
        out.push(Send::CopyData("a line\n".to_owned()));
        out.push(one_of(random, &[Send::CopyDone, Send::CopyFail, Send::Cut, Send::Terminate]));
    }
}

fn quoted(value: &str) -> String {
    if value.starts_with('\'') { value.to_owned() } else { format!("'{value}'") }
}

fn one_of(random: &mut Random, sends: &[Send]) -> Send {
    sends[random.below(sends.len())].clone()
}
