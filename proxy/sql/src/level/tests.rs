use super::*;
use crate::tests::plans::{plan_as, scope};
use crate::{Engine, Route};

/// The least level that lets a text through as far as levels decide.
fn least(text: &str) -> Level {
    let levels = [Level::Read, Level::Write, Level::Ddl, Level::All];
    let refused = |level: &Level| {
        let plan = plan_as(text, &Scope { statements: *level, ..scope() });
        matches!(plan.route, Route::Refuse(refusal) if refusal.message.contains("statements = "))
    };
    levels.into_iter().find(|level| !refused(level)).expect("\"all\" refuses nothing")
}

const READS: &[&str] = &[
    "select * from users where id = 1",
    "(select 1) union (values (2))",
    "table users",
    "values (1), (2)",
    "with x as (select * from users) select * from x",
    "with recursive x(n) as (select 1 union all select n + 1 from x) search depth first by n set s select * from x",
    "show search_path",
    "explain select 1",
    "explain delete from users",
    "explain (verbose, costs off) insert into users default values",
    "explain verbose create table x as select 1",
    "explain analyze select 1",
    "explain (analyze, buffers) select * from users",
    "explain (select 1)",
    "explain ((select 1))",
    "copy users to stdout",
    "copy (select * from users) to stdout with (format csv)",
    "begin",
    "begin isolation level repeatable read, read only",
    "start transaction read only",
    "commit and chain",
    "rollback to savepoint a",
    "savepoint a",
    "release a",
    "abort",
    "end",
    "set statement_timeout = '1s'",
    "set local work_mem = '64MB'",
    "set transaction isolation level serializable",
    "set transaction read only",
    "set session characteristics as transaction read only",
    "set default_transaction_read_only = on",
    "set default_transaction_read_only to 'on'",
    "set constraints all immediate",
    "reset statement_timeout",
    "select pg_advisory_unlock_all(); close all; unlisten *; reset all;",
    "discard all",
    "select set_config('app.user', 'x', false)",
    "deallocate p",
    "prepare p (int) as select $1",
    "execute p (1)",
    "declare c cursor with hold for select * from users",
    "fetch all from c",
    "move 1 in c",
    "close c",
    "listen orders",
    "unlisten *",
    "lock table users in access share mode nowait",
    "select update, merge from users",
    "select 1 as delete, 2 as into, u.insert from users u",
    "select max(update) from users order by update desc",
    "select currval('s'), lastval()",
    "",
];

const WRITES: &[&str] = &[
    "insert into users values (1)",
    "update users set name = 'x'",
    "delete from users",
    "merge into users u using items i on true when matched then delete",
    "with x as (insert into users values (1) returning *) select * from x",
    "with x as (delete from users returning *) select * from x",
    "with x as (update only users set a = 1 returning *) select * from x",
    "with x as materialized (with y as (select 1) update \"Odd Name\" set a = 1 returning *) table x",
    "with x as (select 1) insert into users select * from x",
    "with recursive t(n) as (select 1) search depth first by n set ordered update users set a = 1",
    "with recursive t(n) as (select 1) cycle n set c using p delete from users",
    "with x as (select 1) merge into users u using x on true when matched then do nothing",
    "select * from users for update",
    "select * from (select * from users for no key update skip locked) x",
    "select * from users for key share",
    "(select * from users for share)",
    "select nextval('s')",
    "select pg_catalog.setval('s', 1)",
    "select pg_notify('orders', 'x')",
    "explain analyze delete from users",
    "explain (analyze off) delete from users",
    "explain (\"analyze\" 1) delete from users",
    "explain (costs off, U&\"analyz\\0065\" on) delete from users",
    "explain (verbose, analyse) insert into users default values",
    "explain analyze verbose with x as (delete from users returning 1) table x",
    "explain analyze declare c cursor for select * from users for update",
    "copy users from stdin",
    "copy users (id) from stdin with csv",
    "copy (delete from users returning *) to stdout",
    "prepare p as update users set name = $1",
    "prepare p (int, text) as with x as (delete from users returning 1) table x",
    "declare c cursor for select * from users for update",
    "lock users",
    "lock table users in access exclusive mode",
    "notify orders",
    "call refresh_all()",
    "prepare transaction 'x'",
    "commit prepared 'x'",
    "rollback prepared 'x'",
    "select 1; delete from users",
];

const DEFINITIONS: &[&str] = &[
    "create table x (a int)",
    "create temp table x (a int)",
    "create table x as select 1",
    "create view v as select 1",
    "select * into x from users",
    "with y as (select 1) select * into temp x from y",
    "select 1 into x",
    "explain analyze create table x as select 1",
    "explain (\"analyze\") create table x as select 1",
    "explain analyze refresh materialized view v",
    "alter table users add column b int",
    "drop table users",
    "truncate users",
    "comment on table users is 'x'",
    "grant select on users to public",
    "revoke select on users from public",
    "vacuum users",
    "analyze users",
    "reindex table users",
    "cluster users",
    "refresh materialized view v",
    "create function f() returns int language sql begin atomic select 1; end",
];

const OTHERS: &[&str] = &[
    "do $$ begin end $$",
    "load 'x'",
    "checkpoint",
    "import foreign schema a from server b into c",
    "reassign owned by a to b",
    "security label on table users is 'x'",
];

/// PostgreSQL's grammar can't read these, and each is made certain to fail: nothing runs at any level.
const UNREADABLE: &[&str] = &[
    "explain do $$ begin end $$", "no statement at all", "explain", "prepare p", "declare c cursor",
    "copy users", "repack users", "wait for lsn '0/0'",
];

#[test]
fn each_statement_has_its_level() {
    for (texts, level) in [
        (READS, Level::Read),
        (WRITES, Level::Write),
        (DEFINITIONS, Level::Ddl),
        (OTHERS, Level::All),
        (UNREADABLE, Level::Read),
    ] {
        for text in texts {
            assert_eq!(least(text), level, "{text}");
            assert_eq!(least(&format!("select 1; {text}")), level, "select 1; {text}");
            assert_eq!(least(&format!("/* x */ {}", text.to_uppercase())), level, "{text}");
        }
    }
}

#[test]
fn refusal_names_the_setting() {
    let plan = plan_as("drop table users", &Scope { statements: Level::Write, ..scope() });
    let Route::Refuse(refusal) = plan.route else { panic!("{:?}", plan.route) };
    assert_eq!(refusal.code, "42501");
    assert_eq!(
        refusal.message,
        "permission denied: a user with statements = \"write\" may not run DROP, which defines or maintains \
         objects: it needs statements = \"ddl\""
    );
    assert!(refusal.hint.unwrap().contains("\"statements\""));
}

/// Whether a reader's text is refused since it would make a transaction one that writes.
fn lifts(text: &str, pipelined: bool) -> bool {
    let scope = Scope { statements: Level::Read, ..scope() };
    let mode = TextMode { pipelined, ..TextMode::default() };
    let plan = Engine::new(1 << 20).plan(text.as_bytes(), &scope, mode);
    matches!(plan.route, Route::Refuse(refusal) if refusal.message.contains("READ WRITE") || refusal.message.contains("reset its"))
}

#[test]
fn reader_makes_no_transaction_read_write() {
    for text in [
        "begin read write",
        "start transaction isolation level serializable, read write",
        "set transaction read write",
        "set local transaction_read_only = off",
        "set transaction_read_only to on",
        "set transaction_read_only to default",
        "set session characteristics as transaction isolation level serializable, read write",
        "set default_transaction_read_only = off",
        "set \"default_transaction_read_only\" = 'off'",
        "set session default_transaction_read_only to default",
        "set local Default_Transaction_Read_Only = 0",
        "set default_transaction_read_only = on, off",
        "reset default_transaction_read_only",
        "reset transaction_read_only",
        "select set_config('transaction_read_only', 'off', true)",
        "select set_config('Default_Transaction_Read_Only', $1, false)",
        "select pg_catalog.set_config('default_transaction_read_only', 'off', false), 1",
        "select id from users where set_config('transaction_read_only', 'off', true) is null",
        "select set_config(name, 'off', false) from pg_settings where name = 'default_transaction_read_only'",
        "reset all; select 1",
        "commit; reset all; commit; select writes()",
    ] {
        assert!(lifts(text, false), "{text}");
    }
    for text in ["reset all", "discard all", "RESET ALL;"] {
        assert!(!lifts(text, false), "{text}");
        assert!(lifts(text, true), "{text}");
    }
    for text in ["begin read only", "set transaction read only", "set_config", "select 'begin read write'"] {
        assert!(!lifts(text, false), "{text}");
    }
}
