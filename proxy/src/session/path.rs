//! The search path under which a client's names are resolved.

use std::sync::Arc;

use crate::pool::settings::{LOCAL_PATH, SEARCH_PATH, Settings};
pub(super) use crate::search_path::{in_sql, of_setting, shown, strays};
use crate::shared::tenancy::Tenancy;

/// The text of the prepared statement that sets the path for the transaction. Its parameter is a path in the form of
/// [`pgstrata_tenancy::ident::search_path`].
pub const STATEMENT_TEXT: &[u8] = b"SELECT pg_catalog.set_config('search_path', $1, true)";

/// One parameter, of type `text`.
pub const STATEMENT_TYPES: &[u8] = &[0, 1, 0, 0, 0, 25];

/// The path for the texts that are sent now.
#[derive(Clone)]
pub struct Effective {
    /// The path to set before names are resolved; empty if the baseline is right.
    pub path: Arc<str>,
    /// The same path in the form of `SHOW` and `set_config`.
    pub shown: Arc<str>,
    /// The client has set it.
    pub own: bool,
    /// The tenant of the path.
    pub tenancy: Arc<Tenancy>,
    /// The settings that it follows from; the default if it is predicted.
    of: Arc<Settings>,
}

impl Effective {
    /// The path that follows from the client's settings. A path that the client set for another tenant does not apply.
    pub fn of(settings: &Arc<Settings>, tenancy: &Arc<Tenancy>) -> Self {
        let own = settings.get(LOCAL_PATH).or_else(|| settings.get(SEARCH_PATH));
        let path = match own.filter(|path| tenancy.allows_path(path)) {
            Some(path) => Self::new(Arc::from(path), true, tenancy),
            None => Self::home(tenancy, false),
        };
        Self { of: Arc::clone(settings), ..path }
    }

    /// Whether it follows from these settings, for this tenant.
    pub fn is_of(&self, settings: &Arc<Settings>, tenancy: &Arc<Tenancy>) -> bool {
        Arc::ptr_eq(&self.of, settings) && Arc::ptr_eq(&self.tenancy, tenancy)
    }

    /// A statement in progress may change it: it is computed again when the request is over.
    pub fn doubt(&mut self) {
        self.of = Arc::default();
    }

    /// The tenant's own path.
    pub fn home(tenancy: &Arc<Tenancy>, own: bool) -> Self {
        let (path, shown) = (Arc::clone(&tenancy.home), Arc::clone(&tenancy.shown));
        Self { path, shown, own, tenancy: Arc::clone(tenancy), of: Arc::default() }
    }

    /// The path that must be set. If the baseline is the right one, it is set only if code may have set another
    /// (`doubts`), and if clients are restricted to it.
    pub fn due<'a>(&'a self, baseline: Option<&'a Arc<str>>, doubts: bool) -> &'a Arc<str> {
        match baseline {
            Some(baseline) if doubts && self.path.is_empty() => baseline,
            _ => &self.path,
        }
    }

    /// A path of this tenant.
    pub fn new(path: Arc<str>, own: bool, tenancy: &Arc<Tenancy>) -> Self {
        let shown = shown(&path).map_or_else(|| Arc::clone(&path), Arc::from);
        // The tenant's own path changes nothing.
        let own = own && *path != *tenancy.home;
        Self { path, shown, own, tenancy: Arc::clone(tenancy), of: Arc::default() }
    }
}
