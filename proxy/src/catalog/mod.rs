//! What the database holds: relations and functions of a schema.
//!
//! # Layout
//! - [`control`]: the few connections that questions are asked on; never the data path.
//! - [`directory`]: which tenants there are, their schemas, and how each one fares.
//! - [`lookup`]: asks PostgreSQL for it; [`registry`]: whether there is one, and what it says.
//! - [`survey`]: looks now and then at what nobody tells of; [`census`]: how many tenants there are.
//! - [`cache`]: what the schemas of a tenant's path hold, as the SQL engine wants it.
//! - [`loader`]: when it is loaded; [`load`]: asks PostgreSQL for it. `schema.sql` and `edges.sql` are the question.
//! - [`epochs`]: what was invalidated since; [`lasting`]: for how long the rest is believed.
//! - [`listen`]: hears of changes in the registry, and of DDL that went past the proxy; [`install`] prints
//!   what announces that.

pub mod cache;
pub mod census;
pub mod control;
pub mod directory;
mod epochs;
pub mod install;
mod lasting;
pub mod listen;
pub mod load;
mod loader;
pub mod lookup;
pub mod registry;
pub mod survey;

pub use cache::Catalog;
pub use control::{CatalogError, Control};
pub use directory::{Found, TenantDirectory};
pub use listen::Listener;
pub use loader::Loader;
pub use survey::Survey;

pub(crate) use control::settings as connection_settings;

/// Whether a schema is PostgreSQL's own, or ours ([`install`]): no tenant's, and not to be shared.
pub fn is_system_schema(name: &str) -> bool {
    name.starts_with("pg_")
        || name == "information_schema"
        // On a path it means the schema of whoever asks, quoted or not.
        || name == "$user"
        || matches!(name, "pgstrata" | pgstrata_control::registry::SCHEMA)
}
