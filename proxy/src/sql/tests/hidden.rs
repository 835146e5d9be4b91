//! A catalog that shows a tenant its own objects.

use pgstrata_grammar::Tree;

use super::fixture::*;
use crate::sql::rewrite::{Prefixes, rewrite};
use crate::sql::{Engine, Route, Scope, TextMode};

const CLASSES: &str = "(SELECT * FROM pg_catalog.pg_class WHERE relnamespace OPERATOR(pg_catalog.=) ANY (ARRAY(\
     SELECT oid FROM pg_catalog.pg_namespace WHERE nspname OPERATOR(pg_catalog.=) \
     ANY (ARRAY['acme','public','pg_catalog','information_schema','pg_toast']::pg_catalog.name[]) \
     OR oid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()))) ";

fn hiding() -> Scope {
    Scope { hide_others: true, ..scope() }
}

/// The text that is sent, a filter of pg_class as `<>`.
fn hidden(text: &str) -> String {
    let scope = hiding();
    let plan = Engine::new(1 << 20).plan(text.as_bytes(), &scope, TextMode::default());
    if let Route::Refuse(refusal) = plan.route {
        return format!("{}: {}", refusal.code, refusal.message);
    }
    let prefixes = Prefixes::of(&scope);
    let sent = rewrite(text.as_bytes(), &plan.splices, &prefixes, &[]).pieces.concat();
    let sent = String::from_utf8(sent).unwrap();
    assert!(Tree::parse(&sent).is_ok(), "{sent}");
    sent.replace(CLASSES, "<>")
}

#[test]
fn relations_of_the_catalog_are_read_through_a_filter() {
    for (text, wanted) in [
        ("select * from pg_class", "select * from <>AS pg_class"),
        ("select * from pg_class c", "select * from <>/*pg_class*/ c"),
        ("select * from pg_catalog.pg_class as c", "select * from <>/*pg_catalog.pg_class*/ as c"),
        (
            "select pg_class.oid from PG_CATALOG . \"pg_class\", t",
            "select pg_class.oid from <>AS /*PG_CATALOG . */\"pg_class\", t",
        ),
        (
            "select relname collate pg_catalog.default from pg_class c where oid = 't'::regclass",
            "select relname collate pg_catalog.default from <>/*pg_class*/ c where oid = 't'::regclass",
        ),
        ("copy (select 1 from pg_class) to stdout", "copy (select 1 from <>AS pg_class) to stdout"),
        (
            "with pg_class as (select 1) select * from pg_class",
            "with pg_class as (select 1) select * from pg_class",
        ),
        (
            "select pg_catalog.pg_class.relname from pg_catalog.pg_class where pg_catalog . pg_class.oid = 1",
            "select pg_class.relname from <>AS /*pg_catalog.*/pg_class where pg_class.oid = 1",
        ),
        ("select * from pg_settings", "select * from pg_settings"),
        ("select pg_class from users", "select pg_class from \"acme\".users"),
    ] {
        assert_eq!(hidden(text), wanted);
    }
    let views = hidden("select * from information_schema.tables");
    let names = "ARRAY['acme','public','pg_catalog','information_schema','pg_toast']::pg_catalog.name[]";
    assert_eq!(
        views,
        format!(
            "select * from (SELECT * FROM information_schema.tables WHERE table_schema OPERATOR(pg_catalog.=) ANY ({names})) \
             AS /*information_schema.*/tables"
        )
    );
}

#[test]
fn what_takes_no_filter_is_refused() {
    for text in [
        "table pg_class",
        "select * from only pg_class",
        "select * from only (pg_class)",
        "select * from pg_class *",
        "copy pg_class to stdout",
        "select * from U&\"pg_cl\\0061ss\" c",
        "select * from pg_catalog/* */.pg_class c",
        "select * from pg_catalog. -- */\n pg_class c",
        "select * from app.pg_catalog.pg_class",
        "create view w as select * from pg_class",
        "create table w as select * from information_schema.columns",
        "prepare p as select * from pg_attribute",
        "select * from information_schema._pg_foreign_tables",
        "select * from pg_catalog.pg_replication_origin_status",
        "select * from pg_catalog.pg_of_tomorrow",
        "set search_path = acme, information_schema",
        "select set_config('search_path', 'information_schema', true)",
    ] {
        assert!(hidden(text).starts_with("42501"), "{text}: {}", hidden(text));
    }
}

#[test]
fn each_filter_is_sql() {
    let visible = crate::sql::hidden::visible(&hiding());
    for index in 0..crate::sql::hidden::count() {
        let text = format!("select * from {}AS x", crate::sql::hidden::subquery(index, &visible));
        assert!(Tree::parse(&text).is_ok(), "{text}");
    }
}
