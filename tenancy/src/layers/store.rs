//! The layers and their tenants.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::{EntityMetadata, LayerError, MAX_ENTRIES, MAX_KEY, MAX_LAYERS, PUBLIC};
use crate::tenant::TenantId;

/// Metadata in layers, as one tenant sees it.
///
/// A read uses the layer of the handle's tenant, then the public one, and no other. A write changes the tenant's layer
/// only. Clones share the layers, and each has a separate context, initially "public".
///
/// ```
/// use pgstrata_tenancy::layers::{EntityMetadata, LayeredMetadataStore};
///
/// # fn main() -> Result<(), pgstrata_tenancy::layers::LayerError> {
/// let mut store = LayeredMetadataStore::new();
/// store.set("User", EntityMetadata::table("users").with_column("email", "email"))?;
/// store.freeze_public();
///
/// store.add_layer("enterprise", false)?;
/// store.set_context("enterprise")?;
/// // Another table for this tenant only; its columns are those of the public layer.
/// store.set("User", EntityMetadata::table("enterprise_users"))?;
///
/// let user = store.get("User").unwrap_or_default();
/// assert_eq!(user.table_name.as_deref(), Some("enterprise_users"));
/// assert_eq!(user.column("email"), Some("email"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct LayeredMetadataStore {
    layers: Arc<RwLock<Layers>>,
    context: Arc<str>,
}

#[derive(Default)]
struct Layers {
    public: Layer,
    tenants: BTreeMap<Arc<str>, Layer>,
}

/// A reader keeps its version; a write creates a new one if there is a reader.
type Entries = Arc<BTreeMap<Arc<str>, Arc<EntityMetadata>>>;

#[derive(Clone, Default)]
struct Layer {
    read_only: bool,
    entries: Entries,
}

/// A description of a layer.
///
/// ```
/// let store = pgstrata_tenancy::LayeredMetadataStore::new();
/// let layers = store.layers();
/// assert_eq!((layers.len(), &*layers[0].name), (1, "public"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerInfo {
    /// The tenant's name, or "public".
    pub name: Arc<str>,
    /// Whether the layer is read-only.
    pub read_only: bool,
    /// The number of entries.
    pub entries: usize,
}

impl Default for LayeredMetadataStore {
    fn default() -> Self {
        Self { layers: Arc::default(), context: PUBLIC.into() }
    }
}

impl LayeredMetadataStore {
    /// With an empty public layer, which can be written to until [`LayeredMetadataStore::freeze_public`].
    ///
    /// ```
    /// # use pgstrata_tenancy::layers::{EntityMetadata, LayerError, LayeredMetadataStore};
    /// let store = LayeredMetadataStore::new();
    /// store.set("User", EntityMetadata::table("users"))?;
    /// assert!(store.has("User"));
    /// # Ok::<(), LayerError>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on the public layer is read-only, for all handles.
    ///
    /// ```
    /// # use pgstrata_tenancy::layers::{EntityMetadata, LayerError, LayeredMetadataStore};
    /// let store = LayeredMetadataStore::new();
    /// let acme = store.in_context("acme")?;
    /// store.freeze_public();
    /// assert!(store.set("User", EntityMetadata::table("users")).is_err());
    /// // A tenant's layer is the tenant's.
    /// acme.set("User", EntityMetadata::table("users"))?;
    /// # Ok::<(), LayerError>(())
    /// ```
    pub fn freeze_public(&self) {
        self.write().public.read_only = true;
    }

    /// Sets the context of this handle: "public", or a tenant. The tenant needs no layer.
    ///
    /// ```
    /// # use pgstrata_tenancy::layers::{LayerError, LayeredMetadataStore};
    /// let mut store = LayeredMetadataStore::new();
    /// store.set_context("acme")?;
    /// assert_eq!((store.context(), store.layers().len()), ("acme", 1));
    /// assert!(store.set_context("").is_err());
    /// # Ok::<(), LayerError>(())
    /// ```
    pub fn set_context(&mut self, name: &str) -> Result<(), LayerError> {
        if *self.context != *name {
            self.context = checked(name)?;
        }
        Ok(())
    }

    /// A handle to the same layers with this context.
    ///
    /// ```
    /// # use pgstrata_tenancy::layers::{EntityMetadata, LayerError, LayeredMetadataStore};
    /// let store = LayeredMetadataStore::new();
    /// let acme = store.in_context("acme")?;
    /// acme.set("Invoice", EntityMetadata::table("invoices"))?;
    /// assert!(acme.has("Invoice") && !store.has("Invoice"));
    /// # Ok::<(), LayerError>(())
    /// ```
    pub fn in_context(&self, name: &str) -> Result<Self, LayerError> {
        let mut other = self.clone();
        other.set_context(name)?;
        Ok(other)
    }

    /// The context of this handle.
    ///
    /// ```
    /// # use pgstrata_tenancy::layers::{LayerError, LayeredMetadataStore};
    /// let store = LayeredMetadataStore::new();
    /// assert_eq!(store.in_context("acme")?.context(), "acme");
    /// assert_eq!(store.context(), "public");
    /// # Ok::<(), LayerError>(())
    /// ```
    pub fn context(&self) -> &str {
        &self.context
    }

    /// Creates an empty layer for a tenant.
    ///
    /// ```
    /// # use pgstrata_tenancy::layers::{EntityMetadata, LayerError, LayeredMetadataStore};
    /// let store = LayeredMetadataStore::new();
    /// store.add_layer("trial", true)?;
    /// // As the public layer has it, and no other way.
    /// let refused = store.in_context("trial")?.set("User", EntityMetadata::table("users"));
    /// assert_eq!(refused, Err(LayerError::ReadOnly("trial".into())));
    /// # Ok::<(), LayerError>(())
    /// ```
    pub fn add_layer(&self, name: &str, read_only: bool) -> Result<(), LayerError> {
        let id = checked(name)?;
        self.write().insert(id, Layer { read_only, entries: Entries::default() })
    }

    /// The entry of a key for the context's tenant: its own entry merged over the public one.
    ///
    /// ```
    /// # use pgstrata_tenancy::layers::{EntityMetadata, LayerError, LayeredMetadataStore};
    /// # let store = LayeredMetadataStore::new();
    /// store.set("User", EntityMetadata::table("users").with_column("email", "email"))?;
    /// let acme = store.in_context("acme")?;
    /// acme.set("User", EntityMetadata::default().with_column("email", "mail_addr"))?;
    ///
    /// let user = acme.get("User").unwrap_or_default();
    /// assert_eq!((user.table_name.as_deref(), user.column("email")), (Some("users"), Some("mail_addr")));
    /// # Ok::<(), LayerError>(())
    /// ```
    pub fn get(&self, key: &str) -> Option<Arc<EntityMetadata>> {
        self.get_in(&self.context, key)
    }

    /// Like [`LayeredMetadataStore::get`], in another context than the handle's.
    ///
    /// ```
    /// # use pgstrata_tenancy::layers::{EntityMetadata, LayerError, LayeredMetadataStore};
    /// # let store = LayeredMetadataStore::new();
    /// store.in_context("acme")?.set("Invoice", EntityMetadata::table("invoices"))?;
    /// assert!(store.get_in("acme", "Invoice").is_some());
    /// assert_eq!(store.get_in("globex", "Invoice"), None);
    /// # Ok::<(), LayerError>(())
    /// ```
    pub fn get_in(&self, context: &str, key: &str) -> Option<Arc<EntityMetadata>> {
        // No lock is held while entries are merged.
        let (own, public) = self.read().seen(context);
        let own = own.and_then(|own| own.get(key).cloned());
        let public = public.get(key).cloned();
        merged(own, public)
    }

    /// Whether there is an entry of a key for the context's tenant.
    ///
    /// ```
    /// # use pgstrata_tenancy::layers::{EntityMetadata, LayerError, LayeredMetadataStore};
    /// # let store = LayeredMetadataStore::new();
    /// store.set("User", EntityMetadata::table("users"))?;
    /// let acme = store.in_context("acme")?;
    /// assert!(acme.has("User") && !acme.has("user"));
    /// # Ok::<(), LayerError>(())
    /// ```
    pub fn has(&self, key: &str) -> bool {
        let (own, public) = self.read().seen(&self.context);
        own.is_some_and(|own| own.contains_key(key)) || public.contains_key(key)
    }

    /// Writes into the context's layer, and creates the layer if necessary. The layer's entry of this key is replaced.
    ///
    /// ```
    /// # use pgstrata_tenancy::layers::{EntityMetadata, LayerError, LayeredMetadataStore};
    /// let acme = LayeredMetadataStore::new().in_context("acme")?;
    /// acme.set("User", EntityMetadata::table("users"))?;
    /// acme.set("User", EntityMetadata::default().with_column("email", "mail_addr"))?;
    /// assert_eq!(acme.get("User").unwrap_or_default().table_name, None);
    /// # Ok::<(), LayerError>(())
    /// ```
    pub fn set(&self, key: &str, entry: EntityMetadata) -> Result<(), LayerError> {
        if key.is_empty() || key.len() > MAX_KEY {
            return Err(LayerError::Key);
        }
        let mut layers = self.write();
        if layers.layer(&self.context).is_none() {
            layers.insert(Arc::clone(&self.context), Layer::default())?;
        }
        let layer = layers.writable(&self.context)?;
        if layer.entries.len() >= MAX_ENTRIES && !layer.entries.contains_key(key) {
            return Err(LayerError::Full("entries of this layer"));
        }
        Arc::make_mut(&mut layer.entries).insert(key.into(), Arc::new(entry));
        Ok(())
    }

    /// Removes a key from the context's layer, so that the public layer's entry applies again. `false`: there was none.
    ///
    /// ```
    /// # use pgstrata_tenancy::layers::{EntityMetadata, LayerError, LayeredMetadataStore};
    /// # let store = LayeredMetadataStore::new();
    /// store.set("User", EntityMetadata::table("users"))?;
    /// let acme = store.in_context("acme")?;
    /// acme.set("User", EntityMetadata::table("customers"))?;
    /// assert!(acme.unset("User")?);
    /// assert_eq!(acme.get("User"), store.get("User"));
    /// assert!(!acme.unset("User")?);
    /// # Ok::<(), LayerError>(())
    /// ```
    pub fn unset(&self, key: &str) -> Result<bool, LayerError> {
        let mut layers = self.write();
        let layer = layers.writable(&self.context)?;
        Ok(Arc::make_mut(&mut layer.entries).remove(key).is_some())
    }

    /// Removes a tenant's layer, read-only or not.
    ///
    /// ```
    /// # use pgstrata_tenancy::layers::{LayerError, LayeredMetadataStore};
    /// # let store = LayeredMetadataStore::new();
    /// store.add_layer("acme", true)?;
    /// store.remove_layer("acme")?;
    /// assert_eq!(store.remove_layer("acme"), Err(LayerError::Missing("acme".into())));
    /// assert_eq!(store.remove_layer("public"), Err(LayerError::Public));
    /// # Ok::<(), LayerError>(())
    /// ```
    pub fn remove_layer(&self, name: &str) -> Result<(), LayerError> {
        if name == PUBLIC {
            return Err(LayerError::Public);
        }
        let removed = self.write().tenants.remove(name);
        removed.map(drop).ok_or_else(|| LayerError::Missing(name.into()))
    }

    /// Creates a writable copy of a layer.
    ///
    /// ```
    /// # use pgstrata_tenancy::layers::{EntityMetadata, LayerError, LayeredMetadataStore};
    /// # let store = LayeredMetadataStore::new();
    /// store.in_context("enterprise")?.set("User", EntityMetadata::table("enterprise_users"))?;
    /// store.copy_layer("enterprise", "acme")?;
    /// assert_eq!(store.get_in("acme", "User"), store.get_in("enterprise", "User"));
    /// # Ok::<(), LayerError>(())
    /// ```
    pub fn copy_layer(&self, from: &str, to: &str) -> Result<(), LayerError> {
        let to = checked(to)?;
        let mut layers = self.write();
        let source = layers.layer(from).ok_or_else(|| LayerError::Missing(from.into()))?;
        let copy = Layer { read_only: false, entries: Arc::clone(&source.entries) };
        layers.insert(to, copy)
    }

    /// Merges the entries of one layer over those of another one, part by part.
    ///
    /// ```
    /// # use pgstrata_tenancy::layers::{EntityMetadata, LayerError, LayeredMetadataStore};
    /// # let store = LayeredMetadataStore::new();
    /// store.in_context("draft")?.set("User", EntityMetadata::default().with_column("email", "mail_addr"))?;
    /// store.in_context("acme")?.set("User", EntityMetadata::table("customers"))?;
    /// store.merge_layer("draft", "acme")?;
    ///
    /// let user = store.get_in("acme", "User").unwrap_or_default();
    /// assert_eq!((user.table_name.as_deref(), user.column("email")), (Some("customers"), Some("mail_addr")));
    /// # Ok::<(), LayerError>(())
    /// ```
    pub fn merge_layer(&self, from: &str, to: &str) -> Result<(), LayerError> {
        let mut layers = self.write();
        let source = layers.layer(from).ok_or_else(|| LayerError::Missing(from.into()))?;
        let source = Arc::clone(&source.entries);
        let target = layers.writable(to)?;
        let new = source.keys().filter(|key| !target.entries.contains_key(*key)).count();
        if target.entries.len() + new > MAX_ENTRIES {
            return Err(LayerError::Full("entries of this layer"));
        }
        let entries = Arc::make_mut(&mut target.entries);
        for (key, over) in source.iter() {
            let below = entries.get(key).cloned();
            if let Some(entry) = merged(Some(Arc::clone(over)), below) {
                entries.insert(Arc::clone(key), entry);
            }
        }
        Ok(())
    }

    /// All layers: the public one, then the tenants' by name.
    ///
    /// ```
    /// # use pgstrata_tenancy::layers::{LayerError, LayeredMetadataStore};
    /// # let store = LayeredMetadataStore::new();
    /// store.add_layer("globex", false)?;
    /// store.add_layer("acme", true)?;
    /// let names = store.layers().into_iter().map(|layer| layer.name.to_string());
    /// assert!(names.eq(["public", "acme", "globex"]));
    /// # Ok::<(), LayerError>(())
    /// ```
    pub fn layers(&self) -> Vec<LayerInfo> {
        let layers = self.read();
        let info = |name: &Arc<str>, layer: &Layer| LayerInfo {
            name: Arc::clone(name),
            read_only: layer.read_only,
            entries: layer.entries.len(),
        };
        let tenants = layers.tenants.iter().map(|(name, layer)| info(name, layer));
        std::iter::once(info(&PUBLIC.into(), &layers.public)).chain(tenants).collect()
    }

    /// All entries for the context's tenant, by key.
    ///
    /// ```
    /// # use pgstrata_tenancy::layers::{EntityMetadata, LayerError, LayeredMetadataStore};
    /// # let store = LayeredMetadataStore::new();
    /// store.set("User", EntityMetadata::table("users"))?;
    /// let acme = store.in_context("acme")?;
    /// acme.set("Invoice", EntityMetadata::table("invoices"))?;
    /// assert!(acme.all_in_context().keys().map(|key| &**key).eq(["Invoice", "User"]));
    /// # Ok::<(), LayerError>(())
    /// ```
    pub fn all_in_context(&self) -> BTreeMap<Arc<str>, Arc<EntityMetadata>> {
        self.search("")
    }

    /// The entries for the context's tenant whose keys begin with `prefix`.
    ///
    /// ```
    /// # use pgstrata_tenancy::layers::{EntityMetadata, LayerError, LayeredMetadataStore};
    /// # let store = LayeredMetadataStore::new();
    /// for key in ["billing.Invoice", "billing.Plan", "blog.Post"] {
    ///     store.set(key, EntityMetadata::default())?;
    /// }
    /// assert_eq!(store.search("billing.").len(), 2);
    /// # Ok::<(), LayerError>(())
    /// ```
    pub fn search(&self, prefix: &str) -> BTreeMap<Arc<str>, Arc<EntityMetadata>> {
        self.search_in(&self.context, prefix)
    }

    /// Like [`LayeredMetadataStore::search`], in another context than the handle's.
    ///
    /// ```
    /// # use pgstrata_tenancy::layers::{EntityMetadata, LayerError, LayeredMetadataStore};
    /// # let store = LayeredMetadataStore::new();
    /// store.in_context("acme")?.set("billing.Invoice", EntityMetadata::table("invoices"))?;
    /// assert_eq!(store.search_in("acme", "billing.").len(), 1);
    /// assert!(store.search("billing.").is_empty());
    /// # Ok::<(), LayerError>(())
    /// ```
    pub fn search_in(&self, context: &str, prefix: &str) -> BTreeMap<Arc<str>, Arc<EntityMetadata>> {
        let (own, public) = self.read().seen(context);
        let mut found: BTreeMap<_, _> = beginning(&public, prefix).collect();
        for (key, entry) in own.iter().flat_map(|own| beginning(own, prefix)) {
            let below = found.remove(&key);
            found.extend(merged(Some(entry), below).map(|entry| (key, entry)));
        }
        found
    }

    // No code panics while it holds the lock in the middle of a change.
    fn read(&self) -> RwLockReadGuard<'_, Layers> {
        self.layers.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Layers> {
        self.layers.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Layers {
    fn layer(&self, name: &str) -> Option<&Layer> {
        match name {
            PUBLIC => Some(&self.public),
            _ => self.tenants.get(name),
        }
    }

    fn writable(&mut self, name: &str) -> Result<&mut Layer, LayerError> {
        let layer = match name {
            PUBLIC => Some(&mut self.public),
            _ => self.tenants.get_mut(name),
        };
        match layer {
            Some(layer) if layer.read_only => Err(LayerError::ReadOnly(name.into())),
            Some(layer) => Ok(layer),
            None => Err(LayerError::Missing(name.into())),
        }
    }

    fn insert(&mut self, name: Arc<str>, layer: Layer) -> Result<(), LayerError> {
        if self.layer(&name).is_some() {
            return Err(LayerError::Exists(name.as_ref().into()));
        }
        if self.tenants.len() >= MAX_LAYERS {
            return Err(LayerError::Full("layers"));
        }
        self.tenants.insert(name, layer);
        Ok(())
    }

    /// The layers that a context reads: the tenant's own, if there is one, and the public one.
    fn seen(&self, context: &str) -> (Option<Entries>, Entries) {
        let own = self.tenants.get(context).map(|layer| Arc::clone(&layer.entries));
        (own, Arc::clone(&self.public.entries))
    }
}

fn checked(name: &str) -> Result<Arc<str>, LayerError> {
    TenantId::new(name)?;
    Ok(name.into())
}

fn merged(
    over: Option<Arc<EntityMetadata>>,
    below: Option<Arc<EntityMetadata>>,
) -> Option<Arc<EntityMetadata>> {
    match (over, below) {
        (Some(over), Some(below)) => Some(Arc::new(over.over(&below))),
        (over, below) => over.or(below),
    }
}

fn beginning(
    entries: &BTreeMap<Arc<str>, Arc<EntityMetadata>>,
    prefix: &str,
) -> impl Iterator<Item = (Arc<str>, Arc<EntityMetadata>)> {
    let from: (Bound<&str>, Bound<&str>) = (Bound::Included(prefix), Bound::Unbounded);
    let found = entries.range::<str, _>(from).take_while(move |(key, _)| key.starts_with(prefix));
    found.map(|(key, entry)| (Arc::clone(key), Arc::clone(entry)))
}

impl fmt::Debug for LayeredMetadataStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayeredMetadataStore")
            .field("context", &self.context)
            .field("layers", &self.layers())
            .finish()
    }
}
