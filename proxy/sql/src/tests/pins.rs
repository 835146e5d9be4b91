//! Targets that are held to what they may be: by the tenant's schema in front of their names, or by a question.

use std::sync::Arc;

use pgstrata_tenancy::Strategy;

use super::oracle::{pinned, tree};
use crate::plan::{Check, Insert};
use crate::tests::plans::*;
use crate::{Engine, Plan, Route, Scope, TextMode};

/// A tenant whose statements go by the path.
fn by_path() -> Scope {
    Scope { strategy: Strategy::SearchPath, ..scope() }
}

fn plan_in(text: &str, scope: &Scope, mode: TextMode) -> Plan {
    Engine::new(1 << 20).plan(text.as_bytes(), scope, mode)
}

/// The text as it is sent, or why not.
fn sent_in(text: &str, scope: &Scope, mode: TextMode) -> String {
    let plan = plan_in(text, scope, mode);
    match plan.route {
        Route::Refuse(refusal) => format!("refused: {}", refusal.message),
        Route::NeedNames => "names".into(),
        _ => String::from_utf8(splice(text.as_bytes(), &plan.splices)).unwrap(),
    }
}

fn asked(plan: &Plan) -> Vec<(usize, bool)> {
    plan.checks.iter().map(|check| (check.statement, check.behind)).collect()
}

#[test]
fn own_targets_have_the_tenants_schema_under_both_strategies() {
    for (text, expected) in [
        ("insert into items values (1)", "insert into \"acme\".items values (1)"),
        (
            "insert into t as x values (1) on conflict (a) do update set a = x.a + 1 returning x.a",
            "insert into \"acme\".t as x values (1) on conflict (a) do update set a = x.a + 1 returning x.a",
        ),
        (
            "update only items set a = 1 where items.b = 2",
            "update only \"acme\".items set a = 1 where items.b = 2",
        ),
        ("delete from t where t.a = 1 returning t.*", "delete from \"acme\".t where t.a = 1 returning t.*"),
        ("copy t (a, b) from stdin", "copy \"acme\".t (a, b) from stdin"),
        ("truncate t, only u", "truncate \"acme\".t, only \"acme\".u"),
        ("lock table t in exclusive mode", "lock table \"acme\".t in exclusive mode"),
    ] {
        for scope in [scope(), by_path()] {
            let plan = plan_in(text, &scope, TextMode::default());
            assert_eq!(String::from_utf8(splice(text.as_bytes(), &plan.splices)).unwrap(), expected);
            assert!(plan.checks.is_empty(), "{text}: {:?}", plan.checks);
        }
    }
    // What is only read is left to the path.
    let text = "insert into items select * from users, countries where exists (select from t)";
    let expected = "insert into \"acme\".items select * from users, countries where exists (select from t)";
    assert_eq!(sent_in(text, &by_path(), TextMode::default()), expected);
    assert_eq!(sent_in("select * from users", &by_path(), TextMode::default()), "select * from users");
}

#[test]
fn targets_of_all_kinds_are_found_where_postgresql_finds_them() {
    for text in TARGETS {
        let plan = plan_in(text, &by_path(), TextMode::default());
        assert!(!matches!(plan.route, Route::Refuse(_)), "{text}: {:?}", plan.route);
        let sent = pinned(text, &plan).unwrap_or_else(|| panic!("nothing is pinned: {text}"));
        let before = tree::parse(text).unwrap_or_else(|| panic!("does not parse: {text}"));
        let after = tree::parse(&sent).unwrap_or_else(|| panic!("does not parse: {sent}"));
        assert!(tree::is_same_but_for_schema(&before, &after, "acme"), "{text}\n{sent}");
        let pins = plan.splices.iter().filter(|splice| matches!(splice.insert, Insert::Schema(_))).count();
        // As many as the text has targets that are called so.
        let names = text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '#').filter(|word| {
            ["items", "orders", "order_items", "full_name", "mood", "idx", "##"].contains(word)
        });
        assert_eq!(pins, names.count(), "{text}\n{sent}");
    }
}

/// Each names its targets, and nothing else, `items`, `orders`, `order_items`, `full_name`, `mood`, `idx` or `##`.
const TARGETS: &[&str] = &[
    "with x as (insert into items values (1) returning a) update orders set a = 1 from x",
    "with x as materialized (delete from items returning a) select * from x",
    "with recursive x(a) as (select 1) search depth first by a set s update items set a = 1",
    "with recursive x(a) as (select 1) cycle a set c using p delete from items",
    "explain (analyze, costs off) update items set a = 1",
    "explain analyze verbose insert into items values (1)",
    "copy (delete from items returning a) to stdout",
    "copy binary items from stdin",
    "merge into only items i using t on t.a = i.a when matched then update set a = 1 when not matched then insert values (1)",
    "create rule r as on insert to items do update orders set a = new.a",
    "create rule r as on update to items do also (insert into orders values (1); delete from only order_items)",
    "create rule r as on delete to items where old.a > 1 do instead update orders set a = 1",
    "create function f() returns void begin atomic insert into items values (1); update orders set a = 1; end",
    "alter table items add column b int",
    "alter table if exists only items add column b int, inherit orders",
    "alter table items attach partition orders default",
    "alter table items detach partition orders",
    "alter table items rename column a to b",
    "alter table items rename to other",
    "alter view items set (security_barrier)",
    "alter materialized view items rename to z",
    "alter sequence if exists items restart",
    "alter foreign table items add column b int",
    "alter index idx rename to z",
    "alter index idx attach partition idx",
    "alter function full_name(int) immutable",
    "alter procedure full_name(int) rename to z",
    "alter aggregate full_name(int) rename to z",
    "alter type mood add value 'x'",
    "alter domain mood drop not null",
    "alter operator ## (int, int) set (restrict = none)",
    "alter operator class idx using btree rename to z",
    "alter operator family idx using btree rename to z",
    "alter collation idx refresh version",
    "alter conversion idx rename to z",
    "alter statistics idx set statistics 10",
    "alter text search configuration idx rename to z",
    "alter text search dictionary idx (stopwords)",
    "alter trigger x on items rename to z",
    "alter rule x on items rename to z",
    "alter policy x on items rename to z",
    "drop table items, orders cascade",
    "drop table if exists items",
    "drop view items",
    "drop materialized view items",
    "drop sequence items",
    "drop foreign table items",
    "drop index concurrently if exists idx",
    "drop index idx, idx",
    "drop function full_name(int), full_name(text)",
    "drop function if exists full_name",
    "drop procedure full_name",
    "drop routine full_name(int)",
    "drop aggregate full_name(*)",
    "drop type mood, mood",
    "drop domain if exists mood restrict",
    "drop operator ## (int, int), ## (none, int)",
    "drop operator class idx using btree",
    "drop operator family if exists idx using btree",
    "drop collation idx",
    "drop conversion idx",
    "drop statistics idx",
    "drop text search configuration idx",
    "drop text search parser idx",
    "drop text search template idx",
    "drop trigger x on items",
    "drop rule if exists x on items",
    "drop policy x on items",
    "comment on table items is 'x'",
    "comment on column items.a is 'x'",
    "comment on view items is null",
    "comment on sequence items is 'x'",
    "comment on index idx is 'x'",
    "comment on function full_name(int) is 'x'",
    "comment on type mood is 'x'",
    "comment on domain mood is 'x'",
    "comment on operator ## (int, int) is 'x'",
    "comment on collation idx is 'x'",
    "comment on text search configuration idx is 'x'",
    "comment on constraint x on items is 'x'",
    "comment on constraint x on domain mood is 'x'",
    "comment on trigger x on items is 'x'",
    "comment on rule x on items is 'x'",
    "comment on policy x on items is 'x'",
    "grant select on items to x",
    "grant select (a), references on table items, orders to x with grant option",
    "grant usage on sequence items to x",
    "revoke all on items from public",
    "grant execute on function full_name(int) to x",
    "grant usage on type mood to x",
    "grant usage on domain mood to x",
    "create index on only items (a) where a > 1",
    "create unique index concurrently if not exists z on items using btree (lower(b))",
    "create trigger x before insert or update of a, b on items for each row execute function f()",
    "create constraint trigger x after insert on items initially deferred for each row execute function f()",
    "create policy x on items for update to public using (true)",
    "create statistics z on a, (extract(year from b)) from items",
    "create table z () inherits (items, orders)",
    "create table z partition of items for values in (1)",
    "refresh materialized view concurrently items with no data",
    "vacuum (full, analyze) items (a), orders",
    "vacuum full items",
    "analyze verbose items (a, b)",
    "cluster items using i",
    "reindex (verbose) table concurrently items",
    "reindex index idx",
    "truncate table only items, orders * restart identity",
    "lock only items, orders *",
    "declare c cursor for select a from items for update",
];

#[test]
fn names_of_kinds_are_names_too() {
    let mut tenant = schema(&["policy", "rule", "type", "sequence", "class", "template", "if"]);
    tenant.functions.insert("text".into());
    let names = crate::scope::Names { tenant: Arc::new(tenant), ..names() };
    let scope = Scope { names: Some(Arc::new(names)), ..by_path() };
    for (text, expected) in [
        ("alter table policy add a int", "alter table \"acme\".policy add a int"),
        ("drop table rule, class", "drop table \"acme\".rule, \"acme\".class"),
        ("drop table if", "drop table \"acme\".if"),
        ("grant select on type, sequence to x", "grant select on \"acme\".type, \"acme\".sequence to x"),
        ("grant select on template to x", "grant select on \"acme\".template to x"),
        ("comment on table sequence is 'x'", "comment on table \"acme\".sequence is 'x'"),
        ("drop function text(int)", "drop function \"acme\".text(int)"),
    ] {
        assert_eq!(sent_in(text, &scope, TextMode::default()), expected);
        assert!(tree::parse(expected).is_some(), "{expected}");
    }
}

#[test]
fn what_is_no_target_is_left_alone() {
    for text in [
        "select items.update users from items",
        "select a as update from users",
        "create trigger x after update on t for each row execute function f()",
        "grant update on t to x",
        "select trim(delete from users) from t",
        "insert into t values (1) on conflict (a) do update set a = 1",
        "alter table t add constraint c check (a > 0) no inherit",
    ] {
        let sent = sent_in(text, &by_path(), TextMode::default());
        assert!(!sent.contains(".users") && !sent.contains(".set") && !sent.contains(".on"), "{sent}");
        assert!(tree::parse(&sent).is_some(), "{sent}");
    }
}

#[test]
fn what_is_not_known_is_asked() {
    let mut names = names();
    let tenant = Arc::make_mut(&mut names.tenant);
    tenant.outward.insert("not_plain".into(), vec!["public".into()]);
    tenant.relations.insert("inward".into(), crate::scope::Relation { kind: b'v', plain: true });
    let scope = Scope { names: Some(Arc::new(names)), ..by_path() };
    let plan = |text: &str| plan_in(text, &scope, TextMode::default());
    for (text, checks) in [
        ("insert into inward values (1)", vec![(0, false)]),
        ("insert into acme.inward values (1)", vec![(0, false)]),
        ("update nowhere set a = 1", vec![(0, false)]),
        ("select 1; delete from nowhere; delete from nowhere", vec![(1, false)]),
        ("delete from nowhere; commit; delete from nowhere", vec![(0, false), (2, false)]),
        (
            "delete from nowhere; create table nowhere (a int); delete from nowhere",
            vec![(0, false), (2, false)],
        ),
        ("select * from inward for update", vec![(0, false)]),
        ("select * from inward", vec![]),
        ("drop view inward", vec![]),
        ("alter table nowhere add a int", vec![(0, false)]),
        ("grant select on nowhere to x", vec![(0, false)]),
        ("drop type nowhere; drop function nowhere(int)", vec![(0, false), (1, false)]),
        ("alter table items add a int", vec![]),
        ("insert into items values (1)", vec![]),
        ("insert into pg_temp.x values (1)", vec![]),
        ("create view w as select * from items", vec![(0, true)]),
        ("create or replace temp view w as select 1; select 2", vec![(0, true)]),
        ("alter view inward rename to w", vec![(0, true)]),
        (
            "grant insert on inward to x; grant all on all tables in schema acme to x",
            vec![(0, true), (1, true)],
        ),
        // The first may have run code that made a temporary one.
        ("grant select, references on inward to x; revoke all on inward from x", vec![(1, false)]),
        ("create materialized view w as select 1", vec![]),
    ] {
        assert_eq!(asked(&plan(text)), checks, "{text}");
    }
    for text in ["update not_plain set a = 1", "delete from acme.not_plain", "lock table not_plain"] {
        let Route::Refuse(refusal) = plan(text).route else { panic!("let through: {text}") };
        assert!(refusal.message.contains("to schema \"public\""), "{}", refusal.message);
    }
    assert_eq!(plan("drop view not_plain").checks, [] as [Check; 0]);
}

#[test]
fn old_picture_is_held_to_the_stricter_rule() {
    let stale = TextMode { stale_names: true, ..TextMode::default() };
    for (text, fresh, old) in [
        // The tenant has one, or had one, and public has one.
        ("insert into users values (1)", "insert into \"acme\".users values (1)", None),
        ("drop table users", "drop table \"acme\".users", None),
        // Only public had one when that was looked at.
        (
            "insert into countries values (1)",
            "refused: permission denied: tenant \"acme\" may not write to schema \"public\"",
            Some("insert into \"acme\".countries values (1)"),
        ),
        (
            "drop function fee(int)",
            "refused: permission denied: tenant \"acme\" may not write to schema \"public\"",
            Some("drop function \"acme\".fee(int)"),
        ),
    ] {
        assert_eq!(sent_in(text, &by_path(), TextMode::default()), fresh);
        assert_eq!(sent_in(text, &by_path(), stale), old.unwrap_or(fresh));
    }
    // DDL in front of it in the same text makes it old.
    let text = "drop table t; insert into countries values (1)";
    let sent = sent_in(text, &by_path(), TextMode::default());
    assert_eq!(sent, "drop table \"acme\".t; insert into \"acme\".countries values (1)");
}

#[test]
fn what_may_be_temporary_is_held_in_place_and_looked_at() {
    let temp = TextMode { temp_tables: true, ..TextMode::default() };
    let own_path = TextMode { own_path: true, ..TextMode::default() };
    for mode in [temp, own_path] {
        let plan = plan_in("insert into users values (1)", &by_path(), mode);
        assert!(plan.splices.is_empty() && asked(&plan) == [(0, false)], "{plan:?}");
        assert!(plan.checks[0].sql.contains("SELECT 1 FROM U&\"users\""), "{}", plan.checks[0].sql);
        // No shared schema has it: nothing else can be meant.
        let plan = plan_in("insert into items values (1)", &by_path(), mode);
        assert!(plan.splices.is_empty() && plan.checks.is_empty(), "{plan:?}");
        assert_eq!(sent_in("vacuum users", &by_path(), mode), "vacuum \"acme\".users");
    }
    assert_eq!(sent_in("delete from countries", &by_path(), temp), "delete from pg_temp.countries");
    // Made in the same text, by what is in it or, maybe, by code that is not.
    for first in ["create temp table users (a int)", "select 1 into temp users", "select my_func()"] {
        let text = format!("{first}; insert into users values (1)");
        let plan = plan_in(&text, &by_path(), TextMode::default());
        assert!(plan.splices.is_empty() && asked(&plan) == [(1, false)], "{text}: {plan:?}");
    }
    let text = "create temp table z (a int); insert into countries values (1)";
    assert_eq!(
        sent_in(text, &by_path(), TextMode::default()),
        "create temp table z (a int); insert into pg_temp.countries values (1)"
    );
    let changed =
        sent_in("set search_path = acme, public; delete from users", &by_path(), TextMode::default());
    assert_eq!(changed, "set search_path = acme, public; delete from users");
}

/// PostgreSQL resolves their names again at each `EXECUTE`.
#[test]
fn targets_of_prepared_statements_are_looked_at_whatever_is_known() {
    let blind = Scope { names: None, ..by_path() };
    let modes = [
        TextMode::default(),
        TextMode { temp_tables: true, ..TextMode::default() },
        TextMode { stale_names: true, ..TextMode::default() },
        TextMode { own_path: true, ..TextMode::default() },
    ];
    for (write, looks) in [
        ("delete from items", 1),
        ("insert into users values ($1)", 1),
        ("update unknown set a = 1", 1),
        ("select * from items for update", 1),
        ("with x as (insert into items values (1) returning a) update t set a = 1 from x", 2),
    ] {
        let text = format!("prepare p as {write}");
        for mode in modes {
            for scope in [scope(), by_path()] {
                let plan = plan_in(&text, &scope, mode);
                assert!(plan.splices.is_empty() && asked(&plan) == [(0, false)], "{text}: {plan:?}");
                assert_eq!(plan.checks[0].sql.matches("AS (SELECT 1 FROM U&").count(), looks, "{text}");
            }
        }
        assert_eq!(plan_in(&text, &blind, TextMode::default()).route, Route::NeedNames, "{text}");
    }
    let plan = plan_in("prepare p as delete from acme.items", &by_path(), TextMode::default());
    assert_eq!(asked(&plan), [(0, false)]);
    let refused = sent_in("prepare p as delete from countries", &by_path(), TextMode::default());
    assert!(refused.starts_with("refused: "), "{refused}");
}

#[test]
fn sequences_in_strings_are_pinned_as_they_are_written() {
    let mut names = names();
    Arc::make_mut(&mut names.tenant).relations.extend(schema(&["s", "S x"]).relations);
    let scope = Scope { names: Some(Arc::new(names)), ..by_path() };
    for (text, expected) in [
        ("select setval('s', 1)", "select setval(U&'\\+000022acme\\+000022.s', 1)"),
        (
            "select setval($$\"S x\"$$::regclass, 1)",
            "select setval(U&'\\+000022acme\\+000022.\\+000022S x\\+000022'::regclass, 1)",
        ),
        ("select setval('acme.s', 1)", "select setval('acme.s', 1)"),
        ("select nextval('s')", "select nextval('s')"),
    ] {
        assert_eq!(sent_in(text, &scope, TextMode::default()), expected);
    }
}

#[test]
fn client_with_no_tenant_only_reads() {
    let public = Scope { tenant: None, schema: "public".into(), strategy: Strategy::SearchPath, ..scope() };
    let names = crate::scope::Names { tenant: Arc::clone(&names().shared[0]), ..names() };
    let public = Scope { names: Some(Arc::new(names)), ..public };
    let refused = |text: &str, scope: &Scope, mode| sent_in(text, scope, mode).starts_with("refused: ");
    let (mode, temp) = (TextMode::default(), TextMode { temp_tables: true, ..TextMode::default() });
    for text in [
        "insert into users values (1)",
        "insert into public.users values (1)",
        "update nowhere set a = 1",
        "create table z (a int)",
        "select 1 into z",
        "drop function fee(int)",
        "drop index i",
        "truncate users",
        "lock table users",
        "select * from users for update",
        "create view v as select * from users",
        "grant select on users to x",
        "copy users from stdin",
    ] {
        assert!(refused(text, &public, mode), "{text}");
        let plan = plan_in(text, &public, mode);
        let Route::Refuse(refusal) = plan.route else { panic!("{text}") };
        assert!(refusal.hint.unwrap().contains("shared_writes"), "{text}");
        let writable = Scope { shared_writes: true, ..public.clone() };
        assert!(!refused(text, &writable, mode), "{text}");
        // As long as public is nobody's but its own.
        let alone = Scope { shared: Arc::new([]), ..public.clone() };
        assert!(!refused(text, &alone, mode), "{text}");
    }
    for text in [
        "select * from users",
        "create temp table z (a int)",
        "select 1 into temp z",
        "create temp view z as select * from users",
        "lock table users in access share mode",
        "select nextval('s')",
        "copy users to stdout",
        "insert into pg_temp.z values (1)",
    ] {
        assert!(!refused(text, &public, mode), "{text}");
    }
    assert_eq!(sent_in("insert into z values (1)", &public, temp), "insert into pg_temp.z values (1)");
}

#[test]
fn rows_of_shared_tables_are_not_locked() {
    let refused = |text: &str| sent_in(text, &by_path(), TextMode::default()).starts_with("refused: ");
    for text in [
        "select * from countries for update",
        "select * from countries for share",
        "select * from public.countries for key share of countries",
        "select * from countries tablesample system (1) for update",
        "select * from (items i join countries c on true) for update of c",
        "select * from (select * from (select * from countries) a, items) b for share",
        "table countries for update",
        "create view v as select * from countries for update",
        "explain analyze select * from countries for update",
        "select * from public.countries c for no key update skip locked",
        "select * from items i, countries c for update",
        "select * from items i join countries c on true for update of i for no key update of c",
        "select * from (select * from countries) c for update",
        "with x as (select * from countries for update) select 1 from x",
        "select * from items where exists (select from countries for update)",
        "prepare p as select * from countries for update",
        "declare c cursor for select * from countries for update",
        "create function f() returns int begin atomic select 1 from countries for update; end",
        "lock table items, countries",
        "lock countries in row share mode",
    ] {
        assert!(refused(text), "{text}");
    }
    for text in [
        "select * from items i join countries c on true for update of i",
        "select * from items where a in (select a from countries) for update",
        "select (select 1 from countries) from items for update",
        "with x as (select * from countries) select * from items, x for update",
        "select * from items for update",
        "with countries as (select 1) select * from countries, items for update",
        "with countries as (select 1) select * from (select * from countries) c for update",
        "select * from items, (select * from countries) c for update of items",
        "lock table countries in access share mode",
    ] {
        assert!(!refused(text), "{text}");
    }
}

#[test]
fn what_tells_of_the_session_stands_in_no_body() {
    let refused = |text: &str| sent_in(text, &by_path(), TextMode::default()).starts_with("refused: ");
    for text in [
        "create view v as select lastval()",
        "create or replace temp view v as select 1 where pg_catalog.lastval() > 0",
        "create recursive view v (a) as select \"lastval\"()",
        "create view v as select currval('items')",
        "create function f() returns bigint return lastval()",
        "create function f() returns bigint begin atomic select lastval(); end",
        "create policy p on t using (lastval() > 0)",
        "alter policy p on t using (lastval() > 0)",
        "alter view v alter column c set default lastval()",
        "create domain d as bigint default lastval()",
        "create view v as select setseed(0.5)",
        "create operator ## (rightarg = float8, function = setseed)",
        "create view v as select pg_try_advisory_lock(1)",
        "create view v as select pg_advisory_unlock_all()",
        "create foreign table z (a int) server s options (schema_name 'globex')",
        "alter foreign table t options (set schema_name 'globex')",
        "create rule \"_RETURN\" as on select to items do instead select * from countries",
    ] {
        assert!(refused(text), "{text}");
    }
    for text in [
        "create table z (a bigint default currval('items'))",
        "create table z as select lastval()",
        "create view v as select nextval('items')",
        "create function f() returns void begin atomic select pg_advisory_xact_lock(1); end",
        "create view v as select lastval from items",
        "select lastval()",
    ] {
        assert!(!refused(text), "{text}");
    }
}
