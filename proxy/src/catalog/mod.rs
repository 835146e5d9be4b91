//! What the database holds: relations and functions of a schema.
//!
//! # Layout
//! - [`control`]: the few connections that questions are asked on; never the data path.
//! - [`directory`]: which tenants there are, and their schemas.
//! - [`cache`]: what the schemas of a tenant's path hold, as the SQL engine wants it.
//! - [`load`]: asks PostgreSQL for it. `schema.sql` and `edges.sql` are the question.

pub mod cache;
pub mod control;
pub mod directory;
pub mod load;

pub use cache::{Catalog, Loader};
pub use control::{CatalogError, Control};
pub use directory::TenantDirectory;

/// Whether a schema is PostgreSQL's own: no tenant's, and not to be shared.
pub fn is_system_schema(name: &str) -> bool {
    name.starts_with("pg_") || name == "information_schema"
}
