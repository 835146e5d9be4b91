//! What the database holds: relations and functions of a schema.
//!
//! # Layout
//! - [`control`]: the few connections that questions are asked on; never the data path.
//! - [`directory`]: which tenants there are, and their schemas.
//! - [`cache`]: what the schemas of a tenant's path hold, as the SQL engine wants it.
//! - [`load`]: asks PostgreSQL for it. `schema.sql` and `edges.sql` are the question.
//! - [`epochs`]: what was invalidated since.
//! - [`listen`]: hears of DDL that went past the proxy; [`install`] prints what announces it.

pub mod cache;
pub mod control;
pub mod directory;
mod epochs;
pub mod install;
pub mod listen;
pub mod load;

pub use cache::{Catalog, Loader};
pub use control::{CatalogError, Control};
pub use directory::TenantDirectory;
pub use listen::Listener;

pub(crate) use control::settings as connection_settings;

/// Whether a schema is PostgreSQL's own, or ours ([`install`]): no tenant's, and not to be shared.
pub fn is_system_schema(name: &str) -> bool {
    name.starts_with("pg_")
        || name == "information_schema"
        || matches!(name, "pgstrata" | pgstrata_control::registry::SCHEMA)
}
