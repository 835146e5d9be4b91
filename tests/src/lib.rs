//! The harness of the end-to-end tests.
//!
//! # Layout
//! - [`stage`]: a PostgreSQL, a proxy in front of it, and ways to talk to both.
//! - [`setup`]: what the proxy's configuration is to be.
//! - [`roles`]: the tenants' roles, for the tiers that take them.
//! - [`database`]: clusters that are there in a moment, each test its own.
//! - [`registry`]: the registry of tenants, changed as an administrator does.
//! - [`relay`]: between proxy and PostgreSQL: counts round trips, delays, breaks.
//! - [`signals`]: a PostgreSQL that is stopped and goes on.
//! - [`wire`]: a client that speaks the protocol message by message.
//! - [`answer`]: what such a client got back.
//! - [`compare`]: the same conversation with PostgreSQL and with proxies.
//! - [`chaos`]: clients that do everything at once while things break.
//! - [`corpus`]: statements whose answers are compared.
//! - [`fuzz`]: texts and sessions that nobody wrote.
//! - [`ground`]: a database with a schema that tenants are made from, and no proxy.
//! - [`dump`]: whether a copy of a schema is like it, and how it differs.
//! - [`shared_tables`]: shared tables that PostgreSQL lets the servers' role change.
//! - [`schemas`]: a source, tenants, and a folder of migrations.
//! - [`monitor`]: Prometheus and promtool.
//! - [`neutral`]: a client that finds a server as a new one is.
//! - [`tenants`]: `pgstrata tenant` on a cluster of its own.
//! - [`shop`]: entities, and a database for them, for the tests of the ORM.
//! - [`spread`]: a database on two clusters.
//! - [`process`]: `pgstrata serve`, the real program.
//! - [`program`]: psql, pgbench and drivers of other languages.

pub mod answer;
pub mod chaos;
pub mod compare;
pub mod corpus;
pub mod database;
pub mod dump;
pub mod fuzz;
pub mod ground;
pub mod monitor;
pub mod neutral;
pub mod process;
pub mod program;
pub mod registry;
pub mod relay;
pub mod roles;
pub mod schemas;
pub mod setup;
pub mod shared_tables;
pub mod shop;
pub mod signals;
pub mod spread;
pub mod stage;
pub mod tenants;
pub mod wire;

pub use answer::Answer;
pub use ground::Ground;
pub use process::Process;
pub use registry::Registry;
pub use relay::Relay;
pub use schemas::Schemas;
pub use setup::Setup;
pub use shop::Shop;
pub use stage::Stage;
pub use tenants::Tenants;
pub use wire::Wire;

/// The names of acme_corp's users.
pub const ACME: [&str; 3] = ["Alice", "Bob", "Carol"];
/// The names of globex's users.
pub const GLOBEX: [&str; 2] = ["Hank", "Mindy"];
/// The names of the users in public.
pub const PUBLIC: [&str; 1] = ["Template"];
