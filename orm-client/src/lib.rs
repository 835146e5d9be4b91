//! A thin ORM for schema-per-tenant PostgreSQL.
//!
//! Entities are Rust types. What they say of their tables is a public layer of metadata, over which each tenant may have a layer of
//! its own. Code runs in the context of a tenant, and each statement goes to that tenant's schema, in one round trip on a pool that all share.
//!
//! # Layout
//! - [`EntityManager`] (`manager`): entities in a database. [`Session`]: what can be asked. [`Transaction`]: what counts together.
//! - [`MetadataContext`] (`context`): whose request it is.
//! - [`entity`]: what a table is, as a Rust type says it.
//! - [`column_type`]: the types that a column can have.
//! - [`Hooks`] (`hooks`): what an entity does of its own when it is read, saved or deleted.
//! - [`query`]: typed questions: conditions, orders, relations.
//! - [`layers`]: metadata in layers, from `pgstrata-tenancy`.
//! - [`TenantQueryStrategy`] (`strategy`): how a statement reaches the tenant's schema.
//! - [`TenantMigrationRunner`] (`runner`): tenants' schemas, by `pgstrata-control`.
//! - `web`, with the feature `tower`: whose web request it is.
//! - [`Options`], [`DatabaseKind`], [`Error`].
//! - [`Row`]: what a database gives.
//! - `connection`: PostgreSQL's connections, and statements in as few round trips as can be; `tls`.
//! - `sqlite`: SQLite's, with the feature of that name; `plain`: values of databases without PostgreSQL's types. `lease`: either of them.
//! - `sql`, `table`: how statements are written.
//!
//! ```no_run
//! use pgstrata_orm::{Entity, EntityManager, MetadataContext, Options};
//!
//! #[derive(Entity)]
//! #[entity(table = "users")]
//! struct User {
//!     #[column(primary_key, generated)]
//!     id: i64,
//!     name: String,
//! }
//!
//! # async fn example() -> Result<(), pgstrata_orm::Error> {
//! let options = Options::url("postgres://localhost/mydb")?.entity::<User>().synchronize(true);
//! let em = EntityManager::register(options).await?;
//! let found = em.find::<User>().where_(User::NAME.like("A%")).order_by(User::ID.asc());
//! let users: Vec<User> = MetadataContext::run("acme_corp", found).await?;
//! # Ok(())
//! # }
//! ```

// Derived code names this crate as its users do, also in this crate's own tests.
extern crate self as pgstrata_orm;

pub mod column_type;
mod connection;
mod context;
pub mod entity;
mod error;
mod hooks;
mod kind;
mod lease;
mod manager;
mod options;
#[cfg(feature = "sqlite")]
mod plain;
pub mod query;
mod row;
mod runner;
mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;
mod strategy;
#[doc(hidden)]
pub mod support;
mod table;
mod tls;
#[cfg(feature = "tower")]
pub mod web;

pub use column_type::{ArrayElement, ColumnType};
pub use context::{MetadataContext, Tenant};
pub use entity::Entity;
pub use error::Error;
pub use hooks::{Hooks, Invalid, Saving};
pub use kind::DatabaseKind;
pub use manager::{
    Diff, EntityManager, IsolationLevel, Metadata, Retry, Session, Transaction, TransactionOptions,
};
pub use options::{MissingTenant, Options};
/// The control library, whose types are in [`RunnerOptions::settings`] and [`PostgresTenantMigrationRunner::control`]: migrations, clones,
/// archives, drift.
pub use pgstrata_control as control;
pub use pgstrata_control::provision::Ensured;
/// ```
/// use pgstrata_orm::{ColumnType, Entity};
///
/// #[derive(Clone, Debug, PartialEq, ColumnType)]
/// struct Email(String);
///
/// #[derive(Clone, Copy, Debug, PartialEq, ColumnType)]
/// enum Role {
///     Admin,
///     #[column_type(name = "lead")]
///     TeamLead,
/// }
///
/// #[derive(Entity)]
/// struct Member {
///     #[column(primary_key)]
///     email: Email,
///     role: Role,
///     before: Vec<Role>,
/// }
///
/// let types: Vec<_> = Member::COLUMNS.iter().map(|column| column.sql_type).collect();
/// assert_eq!(types, ["text", "text", "text[]"]);
/// let leads = Member::ROLE.eq(Role::TeamLead).or(Member::EMAIL.eq(Email("alice@example.com".into())));
/// ```
///
/// ```compile_fail
/// #[derive(pgstrata_orm::ColumnType)]
/// struct Money {
///     cents: i64,
///     currency: String,
/// }
/// ```
pub use pgstrata_orm_derive::ColumnType;
/// ```
/// use pgstrata_orm::Entity;
/// use pgstrata_orm::entity::{Column, Generated, Optional, Relation};
///
/// #[derive(Entity)]
/// #[entity(table = "users", has_many(posts: Post, column = author_id))]
/// struct User {
///     #[column(primary_key, generated)]
///     id: i64,
///     #[column(unique, type = "varchar(80)")]
///     email: String,
///     nick: Option<String>,
///     #[column(default = "now()")]
///     created_at: std::time::SystemTime,
/// }
///
/// #[derive(Entity)]
/// #[entity(table = "posts", index(columns(author_id, title), unique, name = "posts_by_title"))]
/// #[entity(belongs_to(author: User, column = author_id))]
/// struct Post {
///     #[column(primary_key, generated)]
///     id: i64,
///     author_id: i64,
///     #[column(name = "headline")]
///     title: String,
/// }
///
/// /// One table for all tenants, with a key of two columns.
/// #[derive(Entity)]
/// #[entity(schema = "public")]
/// struct PlanPrice {
///     #[column(primary_key)]
///     plan: String,
///     #[column(primary_key)]
///     country: String,
///     cents: i32,
/// }
///
/// assert_eq!(User::DEFINITION.columns[0].generated, Some(Generated::Identity));
/// assert!(User::DEFINITION.columns[2].nullable);
/// assert_eq!(Post::DEFINITION.indexes[0].columns, ["author_id", "headline"]);
/// assert_eq!(PlanPrice::DEFINITION.table, "plan_prices");
/// // What queries are written with:
/// let nick: Column<User, String, Optional> = User::NICK;
/// let posts: Relation<User, Post> = User::POSTS;
/// let price = PlanPrice { plan: "team".into(), country: "NZ".into(), cents: 4900 };
/// assert_eq!(price.key(), ("team".to_owned(), "NZ".to_owned()));
/// ```
pub use pgstrata_orm_derive::Entity;
pub use pgstrata_tenancy::layers::{self, EntityMetadata, LayeredMetadataStore};
pub use pgstrata_tenancy::{Pattern, RoleName, RoleNameError, Strategy, TenantId, TenantIdError};
pub use query::Condition;
pub use row::{ColumnIndex, FromRow, Row, RowError};
pub use runner::{
    Driver, Failed, PostgresTenantMigrationRunner, RunnerOptions, Running, Synced, TenantMigrationRunner,
};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteError;
pub use strategy::{
    DatabaseStrategy, ProxyStrategy, SchemaQualifiedStrategy, SearchPathStrategy, TenantColumnStrategy,
    TenantQueryStrategy,
};
/// The driver, in the version whose types are in this crate's interface.
pub use tokio_postgres;

// The README's code is compiled with the other examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
