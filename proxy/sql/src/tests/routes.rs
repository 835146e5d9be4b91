use crate::plan::{Insert, SchemaRef, Splice};
use crate::tests::plans::*;
use crate::{Engine, Route, Scope, StatementKind, TextMode};
use pgstrata_tenancy::Strategy;

fn all(expected: &str, texts: &[&str]) {
    for text in texts {
        assert_eq!(sent(text), expected, "{text}");
    }
}

#[test]
fn plain_statements_are_spliced() {
    for (text, expected) in [
        ("SELECT * FROM users", r#"SELECT * FROM "acme".users"#),
        (
            "select users.id from Users where users.id = $1 -- c",
            r#"select users.id from "acme".Users where users.id = $1 -- c"#,
        ),
        (
            "select * from countries c join users u on u.c = c.id",
            r#"select * from "public".countries c join "acme".users u on u.c = c.id"#,
        ),
        (
            "select * from t where id = (with items as (select 1) select * from items) and exists (select 1 from items)",
            r#"select * from "acme".t where id = (with items as (select 1) select * from items) and exists (select 1 from "acme".items)"#,
        ),
        (
            "with t as (select * from t), u as (select * from t) insert into t select * from u",
            r#"with t as (select * from "acme".t), u as (select * from t) insert into "acme".t select * from u"#,
        ),
        ("with recursive t as (select * from u), u as (select 1) select * from t", "pass"),
        (
            "with x as (select * from users) select * from x, items",
            r#"with x as (select * from "acme".users) select * from x, "acme".items"#,
        ),
        (
            "insert into items (a, b) values ($1, 'x') on conflict (a) do update set b = excluded.b returning items.a",
            r#"insert into "acme".items (a, b) values ($1, 'x') on conflict (a) do update set b = excluded.b returning items.a"#,
        ),
        (
            "update only items set a = u.b from users u where u.id = items.id",
            r#"update only "acme".items set a = u.b from "acme".users u where u.id = items.id"#,
        ),
        (
            "delete from items i using users where i.u = users.id",
            r#"delete from "acme".items i using "acme".users where i.u = users.id"#,
        ),
        (
            "merge into t using u on t.id = u.id when matched then update set a = u.a when not matched then insert (a) values (u.a)",
            r#"merge into "acme".t using "acme".u on t.id = u.id when matched then update set a = u.a when not matched then insert (a) values (u.a)"#,
        ),
        (
            "select a operator(pg_catalog.+) b from users order by a collate pg_catalog.default",
            r#"select a operator(pg_catalog.+) b from "acme".users order by a collate pg_catalog.default"#,
        ),
        (
            r#"select 1 from "Odd Name" for no key update skip locked"#,
            r#"select 1 from "acme"."Odd Name" for no key update skip locked"#,
        ),
        (
            "explain (analyze, costs off) select 1 from t",
            r#"explain (analyze, costs off) select 1 from "acme".t"#,
        ),
        ("copy t (a) from stdin", "copy \"acme\".t (a) from stdin"),
        ("copy (select a from t) to stdout", "copy (select a from \"acme\".t) to stdout"),
        ("truncate t, only u cascade", "truncate \"acme\".t, only \"acme\".u cascade"),
        ("table t", "table \"acme\".t"),
        ("begin; select 1 from t", "begin; select 1 from \"acme\".t"),
        (
            "select count(*), extract(year from now()), a::text from t, generate_series(1, 2) g(n)",
            "select count(*), extract(year from now()), a::text from \"acme\".t, generate_series(1, 2) g(n)",
        ),
    ] {
        assert_eq!(sent(text), expected, "{text}");
    }
}

#[test]
fn what_needs_no_path_passes() {
    all(
        "pass",
        &[
            "begin",
            "COMMIT",
            "set timezone = 'UTC'",
            "set app.user_id = '1'",
            "show server_version",
            "select 1",
            "",
            ";",
            "select now()",
            "select * from acme.users",
            "select 1 + 1",
            "discard plans",
            "fetch all from c",
            "with x as (select 1 as a) select x.a from x",
            "set search_path = acme, public",
            "set search_path to ''",
        ],
    );
}

#[test]
fn what_depends_on_the_path_goes_by_it() {
    all(
        "path",
        &[
            "select * from missing",
            "select * from not_plain",
            "select full_name(u) from users u",
            "select 1 from users where \"row\"(1, 2) < row(1, 2)",
            "select \"coalesce\"(a, b) from users",
            "select u.full_name from users u",
            "select 'x'::mood",
            "select current_schema",
            "select current_schema()",
            "select * from pg_class",
            "show search_path",
            "select 'users'::regclass",
            "create table z (a int)",
            "select tableoid::regclass from users",
            "prepare p as select 1",
            "select nextval('s')",
            "select * from users; set search_path = public; select * from users",
            "select pg_typeof(a) from users",
            "select a operator(public.+) b from users",
            "select a from users where a = 'users'::regclass",
            "select 1 into z from users",
            "select * from acme.missing",
            "vacuum t; select 1",
        ],
    );
    all("own", &["vacuum t", "create index concurrently i on t (a)", "call p()"]);
}

#[test]
fn strategy_and_session_forbid_the_splice() {
    let text = "select * from users";
    let mut scope = scope();
    let plan = |scope: &_, mode| Engine::new(1 << 20).plan(text.as_bytes(), scope, mode);
    let route = |scope: &_, mode| plan(scope, mode).route;
    let mode = TextMode::default();
    assert_eq!(route(&scope, TextMode { own_path: true, ..mode }), Route::SearchPath);
    assert_eq!(route(&scope, TextMode { temp_tables: true, ..mode }), Route::SearchPath);
    let splice = Splice::new(14, Insert::Schema(SchemaRef::Tenant));
    assert_eq!(route(&scope, mode), Route::Splice);
    assert_eq!(plan(&scope, mode).splices.as_slice(), [splice]);
    scope.strategy = Strategy::SearchPath;
    assert_eq!(route(&scope, mode), Route::SearchPath);
    scope.strategy = Strategy::SchemaQualified;
    scope.names = None;
    assert_eq!(route(&scope, mode), Route::SearchPath);
}

#[test]
fn one_shape_serves_all_literals() {
    let engine = Engine::new(1 << 20);
    let scope = scope();
    for text in ["select * from users where a = 'x'", "select /* trace 1 */ * from users where a = 'longer'"]
    {
        let plan = engine.plan(text.as_bytes(), &scope, TextMode::default());
        assert_eq!(plan.splices[0].at, text.find("users").unwrap());
    }
    let stats = engine.stats();
    assert_eq!((stats.hits, stats.misses), (1, 1));
    assert!(stats.bytes > 0);
}

#[test]
fn spans_and_values_are_bytes_of_the_text() {
    let text = "/* é */ set x to 'a' ; ; select 1 -- end";
    let plan = plan(text);
    let spans: Vec<_> = plan.statements.iter().map(|s| &text[s.span.clone()]).collect();
    assert_eq!(spans, ["set x to 'a'", "select 1"]);
    let StatementKind::Set(setting) = &plan.statements[0].kind else { panic!() };
    assert_eq!(&text[setting.value.clone()], "'a'");
}

#[test]
fn set_config_by_itself_is_a_set() {
    let kind = |text: &str| plan(text).statements[0].kind.clone();
    let StatementKind::Set(setting) = kind("SELECT pg_catalog.SET_CONFIG('App.X', 'it''s', FALSE)") else {
        panic!()
    };
    assert_eq!((&*setting.name, setting.given.as_deref(), setting.local), ("app.x", Some("it's"), false));
    let StatementKind::Set(setting) = kind("select set_config('search_path', '', true)") else { panic!() };
    assert!(setting.local);
    assert_eq!(kind("select set_config('a.b', 'x', false) from users"), StatementKind::Plain);
}

#[test]
fn same_bytes_mean_what_their_session_and_scope_say() {
    let engine = Engine::new(1 << 20);
    let (on, scope) = (TextMode::default(), scope());
    let off = TextMode { standard_conforming_strings: false, ..on };
    let text = br"select * from users where a = '\' -- ' or b";
    let by_path = Scope { strategy: Strategy::SearchPath, ..scope.clone() };
    for _ in 0..4 {
        assert_eq!(engine.plan(text, &scope, on).route, Route::Splice);
        assert_eq!(engine.plan(text, &by_path, on).route, Route::SearchPath);
        let route = engine.plan(br"select '\' from users -- '", &scope, off).route;
        assert!(
            matches!(route, Route::Refuse(_)),
            "PostgreSQL's grammar reads it in one way only: {route:?}"
        );
        assert_eq!(engine.plan(br"select '\' from users -- '", &scope, on).route, Route::Splice);
    }
    let stats = engine.stats();
    assert_eq!((stats.hits, stats.misses), (13, 3));
}
