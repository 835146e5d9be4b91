//! One tenant's metadata: its own layer, over the public one.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::layers::{EntityMetadata, LayerError, LayeredMetadataStore};

/// The metadata of a manager as one tenant sees them. It reads the tenant's layer and the public one, and writes the tenant's alone: there is
/// no way from here to another tenant's.
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # let em = manager();
/// let acme: Metadata = em.tenant("acme").metadata()?;
/// acme.set("User", EntityMetadata::default().with_column("email", "mail_addr"))?;
/// assert_eq!(acme.tenant(), "acme");
/// assert!(em.tenant("globex").find::<User>().sql()?.contains(r#""email""#));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Metadata {
    /// With the tenant's context, which nothing here changes.
    store: LayeredMetadataStore,
}

impl Metadata {
    pub(super) fn new(store: &LayeredMetadataStore, tenant: &str) -> Result<Self, LayerError> {
        Ok(Self { store: store.in_context(tenant)? })
    }

    /// Whose they are.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// assert_eq!(manager().metadata()?.tenant(), "public");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn tenant(&self) -> &str {
        self.store.context()
    }

    /// An entity's, by the name of its type: the tenant's own over the public one.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// let user = manager().metadata()?.get("User").unwrap();
    /// assert_eq!(user.table_name.as_deref(), Some("users"));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn get(&self, entity: &str) -> Option<Arc<EntityMetadata>> {
        self.store.get(entity)
    }

    /// Whether the tenant sees such an entity.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// let metadata = manager().metadata()?;
    /// assert!(metadata.has("User") && !metadata.has("user"));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn has(&self, entity: &str) -> bool {
        self.store.has(entity)
    }

    /// Writes into the tenant's layer. What it had of this entity is replaced.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// use pgstrata_orm::layers::LayerError;
    ///
    /// em.tenant("acme").metadata()?.set("User", EntityMetadata::table("customers"))?;
    /// let refused = em.metadata()?.set("User", EntityMetadata::table("customers"));
    /// assert_eq!(refused, Err(LayerError::ReadOnly("public".into())));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// The layer is full, or read-only as the public one is.
    pub fn set(&self, entity: &str, metadata: EntityMetadata) -> Result<(), LayerError> {
        self.store.set(entity, metadata)
    }

    /// Takes an entity out of the tenant's layer: what the public one has shines through again. `false`: it was not there.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// let acme = manager().tenant("acme").metadata()?;
    /// acme.set("User", EntityMetadata::table("customers"))?;
    /// assert!(acme.unset("User")? && !acme.unset("User")?);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// As of [`Metadata::set`].
    pub fn unset(&self, entity: &str) -> Result<bool, LayerError> {
        self.store.unset(entity)
    }

    /// All that the tenant sees, by the names of the types.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// assert!(manager().metadata()?.all_in_context().keys().map(|name| &**name).eq(["Post", "PostTag", "Profile", "Tag", "User"]));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn all_in_context(&self) -> BTreeMap<Arc<str>, Arc<EntityMetadata>> {
        self.store.all_in_context()
    }

    /// All that the tenant sees of entities whose names begin so.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// assert_eq!(manager().metadata()?.search("Us").len(), 1);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn search(&self, prefix: &str) -> BTreeMap<Arc<str>, Arc<EntityMetadata>> {
        self.store.search(prefix)
    }
}
