//! What the database holds: relations and functions of a schema.
//!
//! # Layout
//! - [`control`]: the few connections that questions are asked on; never the data path.
//! - [`directory`]: which tenants there are, their schemas, and the state of each one.
//! - [`placement`]: on which cluster a tenant lives.
//! - [`lookup`]: asks PostgreSQL for it; [`registry`]: whether there is one, and what it says.
//! - [`survey`]: looks now and then at what nobody tells of; [`census`]: how many tenants there are.
//! - [`cache`]: what the schemas of a tenant's path hold, as the SQL engine wants it.
//! - [`loader`]: when it is loaded; [`load`]: asks PostgreSQL for it. `schema.sql` and `edges.sql` are the question.
//! - [`epochs`]: what was invalidated since; [`lasting`]: for how long the rest is believed.
//! - [`listen`]: hears of changes in the registry, and of DDL that went past the proxy.

#![warn(unreachable_pub)]

pub mod cache;
mod census;
mod changes;
pub mod control;
pub mod directory;
mod epochs;
mod lasting;
pub mod listen;
pub mod load;
mod loader;
pub mod lookup;
pub mod placement;
pub mod registry;
pub mod survey;

use pgstrata_config as config;
use pgstrata_metrics as metrics;
use pgstrata_net as net;
use pgstrata_simulation::chance;
use pgstrata_sql as sql;

pub use cache::Catalog;
pub use changes::Change;
pub use control::{CatalogError, Control};
pub use directory::TenantDirectory;
pub use epochs::Announcements;
pub use listen::Listener;
pub use loader::Loader;
pub use survey::Survey;

pub use control::settings as connection_settings;
