//! What the benchmarks have in common: texts, and a tenant whose schemas are known.
//!
//! # Layout
//! - `benches/plan.rs`: text to plan, from the cache and not, against two parsers.
//! - `benches/scan.rs`: bytes in a second through the lexer and the frame scanner.
//! - `tests/allocations.rs`: what a hit allocates, which is nothing.

use std::sync::Arc;

use pgstrata::sql::Scope;
use pgstrata::sql::scope::{Builtins, Names, Relation, SchemaNames};
use pgstrata_tenancy::Strategy;

/// A statement of an application: 100 bytes with two literals.
pub const STATEMENT: &str =
    "SELECT id, name, email FROM users WHERE account_id = 4711 AND status = 'active' ORDER BY id LIMIT 50";

/// As [`STATEMENT`], with names behind dots, as an ORM writes it: 100 bytes.
pub const DOTTED: &str =
    "SELECT u.id, u.name, o.total FROM users u JOIN orders o ON o.user_id = u.id WHERE u.account_id = $1;";

/// A statement of some length: CTEs, joins, aggregates, a CASE.
pub const REPORT: &str = "\
WITH recent AS (
    SELECT o.id, o.user_id, o.total, o.created_at -- of this quarter
    FROM orders o
    WHERE o.created_at >= date_trunc('quarter', now()) AND o.status IN ('paid', 'shipped')
)
SELECT u.id, u.name, c.title AS country,
       count(r.id) AS orders, sum(r.total) AS revenue,
       CASE WHEN sum(r.total) > 10000 THEN 'gold' WHEN sum(r.total) > 1000 THEN 'silver' ELSE 'none' END AS class
FROM users u
JOIN recent r ON r.user_id = u.id
LEFT JOIN order_items i ON i.order_id = r.id AND i.quantity > 0
JOIN countries c ON c.code = u.country_code
WHERE u.deleted_at IS NULL AND lower(u.email) LIKE '%@example.com'
GROUP BY u.id, u.name, c.title
HAVING count(r.id) > 1
ORDER BY revenue DESC, u.id
LIMIT 100 OFFSET 200";

/// The texts of each benchmark by name.
pub const TEXTS: [(&str, &str); 3] = [("100 bytes", STATEMENT), ("dotted", DOTTED), ("report", REPORT)];

/// A tenant with a table for each name in [`TEXTS`] and functions in both of its schemas, so that
/// no question to the catalog is answered by an empty set.
pub fn scope(strategy: Strategy) -> Scope {
    let names = Names {
        tenant: Arc::new(schema(&["users", "orders", "order_items"], &["full_name", "touch"])),
        shared: vec![Arc::new(schema(&["countries"], &["uuid_generate_v4", "digest", "crypt"]))],
        builtin: Arc::new(Builtins {
            relations: set(&["pg_class", "pg_type", "pg_namespace"]),
            functions: set(&["count", "sum", "lower", "now", "date_trunc"]),
            types: set(&["int4", "text", "timestamptz"]),
        }),
    };
    Scope {
        tenant: Some("acme".into()),
        schema: "acme".into(),
        shared: Arc::new(["public".into()]),
        database: "app".into(),
        server_role: "app_role".into(),
        strategy,
        dynamic_sql: false,
        shared_writes: false,
        names: Some(Arc::new(names)),
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
