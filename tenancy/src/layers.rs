//! Metadata in layers: a public one that all tenants read, and one for each tenant with differences.
//!
//! # Layout
//! - [`LayeredMetadataStore`] (`store`): the layers and their tenants.
//! - [`EntityMetadata`] (`metadata`): one entry, of which a layer may define a part only.
//!
//! ```
//! use pgstrata_tenancy::layers::{EntityMetadata, LayeredMetadataStore};
//!
//! # fn main() -> Result<(), pgstrata_tenancy::layers::LayerError> {
//! let store = LayeredMetadataStore::new();
//! store.set("User", EntityMetadata::table("users"))?;
//! store.in_context("acme")?.set("User", EntityMetadata::table("customers"))?;
//!
//! let table = |tenant| store.get_in(tenant, "User").and_then(|user| user.table_name.clone());
//! assert_eq!(table("acme").as_deref(), Some("customers"));
//! assert_eq!(table("globex").as_deref(), Some("users"));
//! # Ok(())
//! # }
//! ```

mod metadata;
mod store;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;

pub use metadata::{ColumnMetadata, EntityMetadata, Schema};
pub use store::{LayerInfo, LayeredMetadataStore};

/// The name of the layer that every tenant reads.
///
/// ```
/// use pgstrata_tenancy::layers::{LayeredMetadataStore, PUBLIC};
///
/// assert_eq!(LayeredMetadataStore::new().context(), PUBLIC);
/// ```
pub const PUBLIC: &str = "public";

/// The maximum number of layers.
///
/// ```
/// use pgstrata_tenancy::layers::{LayerError, LayeredMetadataStore, MAX_LAYERS};
///
/// # fn main() -> Result<(), LayerError> {
/// let store = LayeredMetadataStore::new();
/// for n in 0..MAX_LAYERS {
///     store.add_layer(&format!("tenant_{n}"), false)?;
/// }
/// assert_eq!(store.add_layer("one_more", false), Err(LayerError::Full("layers")));
/// # Ok(())
/// # }
/// ```
pub const MAX_LAYERS: usize = 100_000;
/// The maximum number of entries in one layer.
///
/// ```
/// use pgstrata_tenancy::layers::{EntityMetadata, LayerError, LayeredMetadataStore, MAX_ENTRIES};
///
/// # fn main() -> Result<(), LayerError> {
/// let store = LayeredMetadataStore::new();
/// for n in 0..MAX_ENTRIES {
///     store.set(&format!("Entity{n}"), EntityMetadata::default())?;
/// }
/// assert!(store.set("OneMore", EntityMetadata::default()).is_err());
/// store.set("Entity0", EntityMetadata::table("what_is_there_may_change"))?;
/// # Ok(())
/// # }
/// ```
pub const MAX_ENTRIES: usize = 10_000;
/// The maximum size of a key, in bytes.
///
/// ```
/// use pgstrata_tenancy::layers::{EntityMetadata, LayerError, LayeredMetadataStore, MAX_KEY};
///
/// let store = LayeredMetadataStore::new();
/// let refused = store.set(&"k".repeat(MAX_KEY + 1), EntityMetadata::default());
/// assert_eq!(refused, Err(LayerError::Key));
/// ```
pub const MAX_KEY: usize = 255;

/// Why a layer was not created, changed or removed. Nothing has changed.
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
    /// The layer is read-only.
    #[error("layer \"{0}\" is read-only: what differs for a tenant goes into the tenant's own layer")]
    ReadOnly(String),
    /// The layer exists.
    #[error("there is a layer \"{0}\" already")]
    Exists(String),
    /// The layer does not exist.
    #[error("there is no layer \"{0}\"")]
    Missing(String),
    /// The public layer cannot be removed.
    #[error("the layer \"{PUBLIC}\" can't be removed: every tenant reads it")]
    Public,
    /// The maximum is reached.
    #[error("there are {0} already, the most that a store takes")]
    Full(&'static str),
    /// A key that is empty or too long.
    #[error("a key has 1 to {MAX_KEY} bytes")]
    Key,
    /// Not a tenant name.
    #[error(transparent)]
    Tenant(#[from] crate::TenantIdError),
}
