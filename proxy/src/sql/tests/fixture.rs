//! One tenant, `acme`, with `public` shared, and a `globex` that must never be reached.

use std::sync::Arc;

use pgstrata_tenancy::Strategy;

use crate::sql::keys::KeySpaces;
use crate::sql::level::Level;
use crate::sql::lexer::{Lexer, TokenKind};
use crate::sql::plan::Splice;
use crate::sql::rewrite::{Prefixes, rewrite};
use crate::sql::scope::{Builtins, CommonFunctions, Names, Relation, SchemaNames};
use crate::sql::{Engine, Plan, Route, Scope, TextMode};

pub(crate) fn schema(relations: &[&str]) -> SchemaNames {
    let relation = |name: &&str| ((*name).into(), Relation { kind: b'r', plain: true });
    SchemaNames { relations: relations.iter().map(relation).collect(), ..SchemaNames::default() }
}

/// What PostgreSQL gets for a text with these splices.
pub(crate) fn splice(text: &[u8], splices: &[Splice]) -> Vec<u8> {
    rewrite(text, splices, &Prefixes::of(&scope()), &[]).pieces.concat()
}

pub(crate) fn builtins() -> Builtins {
    let names = |list: &str| list.split_whitespace().map(Into::into).collect();
    Builtins {
        relations: names("pg_class pg_settings pg_type pg_namespace pg_attribute"),
        functions: names(
            "now count sum max min avg lower upper length abs round row_number rank lag lead generate_series unnest \
             extract substring position btrim overlay ceil floor string_agg array_agg jsonb_build_object to_char \
             date_trunc concat md5 random set_config current_setting nextval pg_sleep pg_typeof to_tsvector json_agg \
             jsonb_agg substr replace bool_or json_each jsonb_to_recordset percentile_cont make_interval like_escape \
             timezone xmlelement system bernoulli json_object",
        ),
        types: names(
            "int4 int8 text uuid jsonb json date timestamptz numeric bool inet regclass bytea oid money \
             name xml",
        ),
    }
}

pub(crate) fn names() -> Names {
    let mut tenant = schema(&["users", "items", "orders", "order_items", "t", "u", "v", "Odd Name"]);
    tenant.functions.insert("full_name".into());
    tenant.types.insert("mood".into());
    tenant.relations.insert("not_plain".into(), Relation { kind: b'v', plain: false });
    let mut shared = schema(&["countries", "users"]);
    shared.functions.insert("fee".into());
    shared.types.insert("temper".into());
    Names { tenant: Arc::new(tenant), shared: vec![Arc::new(shared)], builtin: Arc::new(builtins()) }
}

fn common_functions() -> CommonFunctions {
    let mut shared = SchemaNames::default();
    shared.functions.extend(["fee", "check_foreign_key"].map(Into::into));
    shared.unknown_code.insert("check_foreign_key".into());
    CommonFunctions { builtin: Arc::new(builtins()), shared: vec![Arc::new(shared)] }
}

pub(crate) fn scope() -> Scope {
    Scope {
        tenant: Some("acme".into()),
        schema: "acme".into(),
        shared: Arc::new(["public".into()]),
        database: "app".into(),
        role: "app_role".into(),
        strategy: Strategy::SchemaQualified,
        dynamic_sql: false,
        statements: Level::All,
        shared_writes: false,
        moved: Arc::default(),
        hide_others: false,
        keys: KeySpaces::default(),
        names: Some(Arc::new(names())),
        trusted_functions: Arc::default(),
        locked_settings: Arc::default(),
        functions: Some(Arc::new(common_functions())),
    }
}

pub(crate) fn plan(text: &str) -> Plan {
    plan_as(text, &scope())
}

/// The plan of a text, which must be the same whatever literals its shape was first seen with.
pub(crate) fn plan_as(text: &str, scope: &Scope) -> Plan {
    let plan = |engine: &Engine, text: &[u8]| engine.plan(text, scope, TextMode::default());
    let cold = plan(&Engine::new(1 << 20), text.as_bytes());
    let warm = Engine::new(1 << 20);
    plan(&warm, &with_other_literals(text.as_bytes()));
    assert_eq!(plan(&warm, text.as_bytes()), cold, "{text:.200}");
    cold
}

fn with_other_literals(text: &[u8]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::new(), 0);
    for token in Lexer::new(text, true).filter(|token| token.kind == TokenKind::Str) {
        out.extend(&text[at..token.start as usize]);
        out.extend(b"'app.other'");
        at = token.end as usize;
    }
    out.extend(&text[at..]);
    out
}

/// The route in short: the text that is sent, or what is done instead.
pub(crate) fn sent(text: &str) -> String {
    let plan = plan(text);
    match plan.route {
        Route::Pass => "pass".into(),
        Route::SearchPath => "path".into(),
        Route::OwnTransaction => "own".into(),
        Route::NeedNames => "names".into(),
        Route::Refuse(refusal) => format!("refuse: {}", refusal.message),
        Route::Splice => String::from_utf8(splice(text.as_bytes(), &plan.splices)).expect("UTF-8"),
    }
}
