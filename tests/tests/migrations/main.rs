//! Migrations of the source and of all tenants.

mod ahead;
mod code;
mod dry;
mod fence;
mod files;
mod leaks;
mod locks;
mod once;
mod order;
mod outside;
mod refusals;
mod texts;

use pgstrata_tests::Schemas;

/// A step that says that it ran.
const ONE: &str = "CREATE TABLE users (id int PRIMARY KEY, name text); SELECT ran('one');";
const TWO: &str = "ALTER TABLE users ADD email text; SELECT ran('two');";
const THREE: &str = "INSERT INTO users VALUES (1, 'Alice', 'a@example.com'); SELECT ran('three');";

/// The source and these tenants, and three migrations that none of them has.
async fn three(tenants: &[&str]) -> Schemas {
    let schemas = Schemas::new(tenants).await;
    schemas.file("0001_users.sql", ONE);
    schemas.file("0002_email.sql", TWO);
    schemas.file("20261125120000_alice.sql", THREE);
    schemas
}
