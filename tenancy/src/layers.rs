//! Metadata in layers: a public one that all tenants read, and one for each tenant that has something of its own.
//!
//! # Layout
//! - [`LayeredMetadataStore`] (`store`): the layers, and whose they are.
//! - [`EntityMetadata`] (`metadata`): one entry, of which a layer may know a part only.

mod metadata;
mod store;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;

pub use metadata::{ColumnMetadata, EntityMetadata, Schema};
pub use store::{LayerInfo, LayeredMetadataStore};

/// The name of the layer that every tenant reads.
pub const PUBLIC: &str = "public";

/// Layers at most.
pub const MAX_LAYERS: usize = 100_000;
/// Entries of one layer at most.
pub const MAX_ENTRIES: usize = 10_000;
/// Bytes of a key at most.
pub const MAX_KEY: usize = 255;

/// Why a layer was not made, changed or removed. Nothing has changed.
///
/// ```
/// use pgstrata_tenancy::layers::{EntityMetadata, LayerError, LayeredMetadataStore};
///
/// let store = LayeredMetadataStore::new();
/// store.freeze_public();
/// let refused = store.set("User", EntityMetadata::table("users"));
/// assert_eq!(refused, Err(LayerError::ReadOnly("public".into())));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayerError {
    /// Nobody may write to it.
    #[error("layer \"{0}\" is read-only: what differs for a tenant goes into the tenant's own layer")]
    ReadOnly(String),
    /// There is one already.
    #[error("there is a layer \"{0}\" already")]
    Exists(String),
    /// There is none.
    #[error("there is no layer \"{0}\"")]
    Missing(String),
    /// The public layer stays.
    #[error("the layer \"{PUBLIC}\" can't be removed: every tenant reads it")]
    Public,
    /// There is no room for more.
    #[error("there are {0} already, the most that a store takes")]
    Full(&'static str),
    /// A key that is empty or too long.
    #[error("a key has 1 to {MAX_KEY} bytes")]
    Key,
    /// No name of a tenant's.
    #[error(transparent)]
    Tenant(#[from] crate::TenantIdError),
}
