//! One tenant, `acme`, with `public` shared, and a `globex` that must never be reached.

use std::sync::Arc;

use pgstrata_tenancy::Strategy;

use crate::Scope;
use crate::keys::KeySpaces;
use crate::level::Level;
use crate::scope::{Builtins, CommonFunctions, Currency, Names, Relation, SchemaNames};

/// A schema with tables of these names.
pub fn schema(relations: &[&str]) -> SchemaNames {
    let relation = |name: &&str| ((*name).into(), Relation { kind: b'r', plain: true });
    SchemaNames { relations: relations.iter().map(relation).collect(), ..SchemaNames::default() }
}

/// A part of the contents of `pg_catalog`.
pub fn builtins() -> Builtins {
    let names = |list: &str| list.split_whitespace().map(Into::into).collect();
    let functions = "\
             now count sum max min avg lower upper length abs round row_number rank lag lead generate_series unnest \
             extract substring position btrim overlay ceil floor string_agg array_agg jsonb_build_object to_char \
             date_trunc concat md5 random set_config current_setting nextval pg_sleep pg_typeof to_tsvector json_agg \
             jsonb_agg substr replace bool_or json_each jsonb_to_recordset percentile_cont make_interval like_escape \
             timezone xmlelement system bernoulli json_object query_to_xml query_to_xml_and_xmlschema";
    let mut builtins = Builtins {
        relations: names("pg_class pg_settings pg_type pg_namespace pg_attribute"),
        types: names(
            "int4 int8 text uuid jsonb json date timestamptz numeric bool inet regclass bytea oid money \
             name xml",
        ),
        ..Builtins::default()
    };
    functions
        .split_whitespace()
        .for_each(|name| builtins.add_function(name.into(), !name.contains("_to_xml")));
    builtins
}

/// The contents of the tenant's schema and of the shared one.
pub fn names() -> Names {
    let mut tenant = schema(&["users", "items", "orders", "order_items", "t", "u", "v", "Odd Name"]);
    tenant.functions.insert("full_name".into());
    tenant.types.insert("mood".into());
    tenant.relations.insert("not_plain".into(), Relation { kind: b'v', plain: false });
    let mut shared = schema(&["countries", "users"]);
    shared.functions.insert("fee".into());
    shared.types.insert("temper".into());
    Names {
        tenant: Arc::new(tenant),
        shared: vec![Arc::new(shared)],
        builtin: Arc::new(builtins()),
        currency: Currency::Current,
    }
}

fn common_functions() -> CommonFunctions {
    let mut shared = SchemaNames::default();
    shared.functions.extend(["fee", "check_foreign_key"].map(Into::into));
    shared.unknown_code.insert("check_foreign_key".into());
    CommonFunctions { builtin: Arc::new(builtins()), shared: vec![Arc::new(shared)] }
}

/// The scope of `acme`, with the strategy `schema_qualified`.
pub fn scope() -> Scope {
    Scope {
        tenant: Some("acme".into()),
        schema: "acme".into(),
        shared: Arc::new(["public".into()]),
        database: "app".into(),
        role: "app_role".into(),
        strategy: Strategy::SchemaQualified,
        dynamic_sql: false,
        large_objects: false,
        statements: Level::All,
        shared_writes: false,
        moved: Arc::default(),
        hide_others: false,
        keys: KeySpaces::default(),
        names: Some(Arc::new(names())),
        trusted_functions: Arc::default(),
        locked_settings: Arc::default(),
        limits_time: false,
        functions: Some(Arc::new(common_functions())),
    }
}
