//! A catalog that shows a tenant its own objects.

use pgstrata_grammar::Tree;

use crate::rewrite::{Prefixes, rewrite};
use crate::tests::plans::*;
use crate::{Engine, Route, Scope, TextMode};

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
    let visible = crate::hidden::visible(&hiding());
    for index in 0..crate::hidden::count() {
        let text = format!("select * from {}AS x", crate::hidden::subquery(index, &visible));
        assert!(Tree::parse(&text).is_ok(), "{text}");
    }
}

/// What a tenant sends that sees others' objects, with what stands for `pg_attribute` as `<>`.
fn seen(text: &str) -> String {
    let scope = scope();
    let plan = Engine::new(1 << 20).plan(text.as_bytes(), &scope, TextMode::default());
    if let Route::Refuse(refusal) = plan.route {
        return refusal.code.into();
    }
    let sent = rewrite(text.as_bytes(), &plan.splices, &Prefixes::of(&scope), &[]).pieces.concat();
    let sent = String::from_utf8(sent).unwrap();
    assert!(Tree::parse(&sent).is_ok(), "{sent}");
    match sent.split_once("(SELECT * FROM pg_catalog.pg_attribute WHERE attmissingval IS NULL OR ") {
        Some((before, rest)) => {
            let behind = rest.split_once("pg_my_temp_schema())))) ").unwrap().1;
            format!("{before}<>{behind}")
        }
        None => sent,
    }
}

#[test]
fn values_of_rows_in_the_catalog_are_the_tenants_own() {
    for (text, wanted) in [
        ("select attmissingval from pg_attribute", "select attmissingval from <>AS pg_attribute"),
        ("select * from pg_attribute a", "select * from <>/*pg_attribute*/ a"),
        (
            "select a.* from pg_class c join pg_catalog.pg_attribute a on attrelid = c.oid",
            "select a.* from pg_class c join <>/*pg_catalog.pg_attribute*/ a on attrelid = c.oid",
        ),
        ("select a from pg_attribute a", "select a from <>/*pg_attribute*/ a"),
        ("select row_to_json(a) from pg_attribute a", "select row_to_json(a) from <>/*pg_attribute*/ a"),
        ("select pg_attribute from pg_attribute", "select pg_attribute from <>AS pg_attribute"),
        (
            "select (select a.*) from pg_attribute a order by 1",
            "select (select a.*) from <>/*pg_attribute*/ a order by 1",
        ),
        (
            "select pg_catalog.pg_attribute.* from pg_catalog.pg_attribute",
            "select pg_attribute.* from <>AS /*pg_catalog.*/pg_attribute",
        ),
    ] {
        assert_eq!(seen(text), wanted);
    }
    // Nobody knows where in these it stands, or they have no room for it.
    for text in [
        "table pg_attribute",
        "copy pg_attribute to stdout",
        "copy pg_catalog.pg_attribute (attmissingval) to stdout",
        "select * from only pg_attribute",
        "create view w as select * from pg_attribute",
        "create table w as select a.attmissingval from pg_attribute a",
        "create view w as select j from (pg_attribute a join pg_class c on true) j",
        "prepare p as select * from pg_attribute",
    ] {
        assert_eq!(seen(text), "42501", "{text}");
    }
    // In these others of its names could be it; at least the value does not get out.
    for text in [
        "select x25 from pg_attribute a (x1, x2, x3, x4, x5, x6, x7, x8, x9, x10)",
        "select j from (pg_attribute a join pg_class c on true) j",
        "select * from (pg_attribute a cross join pg_class c)",
        "select c from (select a.* from pg_attribute a) c",
        "update users set a = 1 from (pg_attribute a join pg_class c on true) returning *",
        "delete from users using pg_attribute a returning *",
        "insert into users select * from pg_attribute",
        "select array_agg(attmissingval) from pg_attribute",
        "select 1 from pg_attribute where ATTMISSINGVAL::text > 'a'",
        "select U&\"attmissing\\0076al\" from pg_attribute",
        "select attmissingval(a) from pg_attribute a",
        "with w as (select * from pg_attribute) select * from w",
    ] {
        assert!(seen(text).contains("<>") || seen(text) == "42501", "{text}: {}", seen(text));
    }
    for text in [
        "select attname from pg_attribute a where a.attnum > 0",
        "select count(*) from pg_attribute",
        "select * from (select a.attname, t.typname from pg_attribute a join pg_type t on true) x",
        "with pg_attribute as (select 1 as attmissingval) select * from pg_attribute",
        "select * from pg_class c where exists (select from pg_attribute where attrelid = c.oid)",
        "create view w as select attname from pg_attribute",
        "select attmissingval from users",
    ] {
        assert!(!seen(text).contains("<>") && seen(text) != "42501", "{text}: {}", seen(text));
    }
}

#[test]
fn sequences_of_others_are_read_by_no_cte() {
    let call = "select last_value from pg_sequence, pg_get_sequence_data(seqrelid)";
    assert!(hidden(call).contains("FROM pg_catalog.pg_sequence WHERE"), "{}", hidden(call));
    for with in [
        "with pg_sequence as (select 16400::regclass as seqrelid)",
        "with recursive pg_sequence (seqrelid) as (values (16400))",
        "with x as (select 1), pg_sequence as materialized (select 16400 as seqrelid)",
    ] {
        assert!(hidden(&format!("{with} {call}")).starts_with("42501"), "{with}");
        // The catalog's stands in its place.
        let text = format!("{with} {call}");
        let plan = Engine::new(1 << 20).plan(text.as_bytes(), &scope(), TextMode::default());
        let sent = rewrite(text.as_bytes(), &plan.splices, &Prefixes::of(&scope()), &[]).pieces.concat();
        let sent = String::from_utf8(sent).unwrap();
        assert!(
            sent.contains("'acme'::pg_catalog.name)) AS pg_sequence, pg_get_sequence_data(seqrelid)"),
            "{sent}"
        );
    }
}
