//! What the benchmarks have in common: texts, and a tenant whose schemas are known.
//!
//! # Layout
//! - `benches/functions.rs`: the SQL engine and the frame scanner, function by function.
//! - [`ratios`]: what was measured, as one table.
//! - `src/bin/peers`: the proxy next to its peers; `src/bin/relay.rs`: the least of them. [`plot`]: its pictures.
//! - `src/bin/tenants.rs`: tenants by the thousand.
//! - `src/bin/adversarial`: texts that cost as much as they can, and a flood of them.
//! - `src/bin/http.rs`, `src/bin/limit.rs`, `src/bin/share.rs`, `src/bin/flood.rs`: clients beside scrapers, with fewer
//!   connections than servers, beside a tenant that holds on to servers or floods them; [`program`]: the proxy that they
//!   watch, [`neighbour`]: the client that they look at.
//! - `tests/allocations.rs`: what a hit allocates, which is nothing.

use std::sync::Arc;

use pgstrata_sql::Scope;
use pgstrata_sql::scope::{Builtins, CommonFunctions, Currency, Names, Relation, SchemaNames};
use pgstrata_tenancy::Strategy;

pub mod neighbour;
pub mod plot;
pub mod program;
pub mod ratios;

/// A row by a key, in 100 bytes.
pub const POINT: &str =
    "SELECT id, name, email, created_at FROM users WHERE email = 'ann@example.com' AND NOT deleted LIMIT 1";

/// As an ORM writes it: each column by name, quoted, with an alias; joins. About 1 KB.
pub const ORM: &str = r#"SELECT "t0"."id" AS "t0_id", "t0"."email" AS "t0_email", "t0"."name" AS "t0_name", "t0"."locale" AS "t0_locale", "t0"."created_at" AS "t0_created_at", "t0"."updated_at" AS "t0_updated_at", "t0"."deleted_at" AS "t0_deleted_at", "t1"."id" AS "t1_id", "t1"."user_id" AS "t1_user_id", "t1"."status" AS "t1_status", "t1"."total" AS "t1_total", "t1"."currency" AS "t1_currency", "t1"."placed_at" AS "t1_placed_at", "t2"."id" AS "t2_id", "t2"."order_id" AS "t2_order_id", "t2"."sku" AS "t2_sku", "t2"."quantity" AS "t2_quantity", "t3"."title" AS "t3_title" FROM "users" AS "t0" INNER JOIN "orders" AS "t1" ON "t1"."user_id" = "t0"."id" LEFT OUTER JOIN "order_items" AS "t2" ON "t2"."order_id" = "t1"."id" LEFT OUTER JOIN "countries" AS "t3" ON "t3"."code" = "t0"."locale" WHERE "t0"."deleted_at" IS NULL AND "t1"."status" IN ('paid', 'shipped') AND "t0"."email" LIKE $1 ORDER BY "t1"."placed_at" DESC, "t0"."id" ASC LIMIT 50 OFFSET $2"#;

/// So many rows in one INSERT.
const ROWS: usize = 100;

fn insert() -> String {
    let row = |i| format!("({i}, {}, 'SKU-{:05}', {}, now())", i / 3, i * 37, i % 7 + 1);
    let rows: Vec<_> = (1..=ROWS).map(row).collect();
    format!("INSERT INTO order_items (id, order_id, sku, quantity, added_at) VALUES {}", rows.join(", "))
}

/// The texts of each benchmark by name.
pub fn texts() -> [(&'static str, String); 3] {
    [("point select", POINT.to_owned()), ("ORM select", ORM.to_owned()), ("100-row insert", insert())]
}

/// A tenant with a table for each name in [`texts`] and functions in both of its schemas, so that
/// no question to the catalog is answered by an empty set.
pub fn scope(strategy: Strategy) -> Scope {
    let names = Names {
        tenant: Arc::new(schema(&["users", "orders", "order_items"], &["full_name", "touch"])),
        shared: vec![Arc::new(schema(&["countries"], &["uuid_generate_v4", "digest", "crypt"]))],
        builtin: Arc::new(Builtins {
            relations: set(&["pg_class", "pg_type", "pg_namespace"]),
            functions: set(&["count", "sum", "lower", "now", "date_trunc"]),
            steady: set(&["count", "sum", "lower", "now", "date_trunc"]),
            types: set(&["int4", "text", "timestamptz"]),
        }),
        currency: Currency::Current,
    };
    Scope {
        tenant: Some("acme".into()),
        schema: "acme".into(),
        shared: Arc::new(["public".into()]),
        database: "app".into(),
        role: "app_role".into(),
        strategy,
        dynamic_sql: false,
        large_objects: false,
        statements: pgstrata_sql::level::Level::All,
        shared_writes: false,
        moved: Arc::default(),
        hide_others: false,
        keys: Default::default(),
        functions: Some(Arc::new(CommonFunctions {
            builtin: Arc::clone(&names.builtin),
            shared: names.shared.clone(),
        })),
        names: Some(Arc::new(names)),
        trusted_functions: Arc::default(),
        locked_settings: Arc::default(),
        limits_time: true,
    }
}

fn schema(relations: &[&str], functions: &[&str]) -> SchemaNames {
    let relation = |name: &&str| ((*name).into(), Relation { kind: b'r', plain: true });
    SchemaNames {
        relations: relations.iter().map(relation).collect(),
        functions: set(functions),
        ..SchemaNames::default()
    }
}

fn set<T: FromIterator<Box<str>>>(names: &[&str]) -> T {
    names.iter().map(|name| Box::from(*name)).collect()
}
