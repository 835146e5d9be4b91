//! The source of tenants, and the limits of changes.

use std::fmt;
use std::time::Duration;

use pgstrata_tenancy::Pattern;

use crate::access::Roles;

/// The settings for the tenants of one database.
#[derive(Clone)]
pub struct Settings {
    /// The schema that tenants are copies of.
    pub source: String,
    /// The schemas that all tenants have on their path; their objects are referenced, not copied.
    pub shared: Vec<String>,
    /// The source's tables to copy; empty: all of them.
    pub include: Vec<Pattern>,
    /// The source's tables to leave out.
    pub exclude: Vec<Pattern>,
    /// Tables whose rows are copied too.
    pub seed: Vec<Pattern>,
    /// The servers' role, which must be able to read the registry and to use each tenant's schema.
    pub proxy_role: Option<String>,
    /// Whether that role itself creates and changes schemas, without a control role.
    pub servers_make: bool,
    /// Whether tenants may write to the shared schemas.
    pub shared_writes: bool,
    /// The roles of tenants; `None` in the tier `names`.
    pub roles: Option<Roles>,
    /// How long a change waits for a lock before it cancels its request and tries again.
    pub lock_timeout: Duration,
    /// How often a change tries again.
    pub retries: u32,
    /// Says to an administrator what is not as it should be, where work goes on.
    pub warn: fn(&str),
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            source: "public".into(),
            shared: vec!["public".into()],
            include: Vec::new(),
            exclude: Vec::new(),
            seed: Vec::new(),
            proxy_role: None,
            servers_make: false,
            shared_writes: false,
            roles: None,
            lock_timeout: Duration::from_secs(2),
            retries: 10,
            warn: |_| {},
        }
    }
}

impl Settings {
    /// The path under which a copy of `source` is created in `schema`. Names of copied objects resolve to the new
    /// schema, and names of objects that are not copied, such as an extension's type, to the source itself.
    pub(crate) fn path<'a>(&'a self, schema: &'a str, source: &'a str) -> impl Iterator<Item = &'a str> {
        let others = self.shared.iter().map(String::as_str).filter(move |shared| *shared != source);
        [schema, "pg_catalog", source].into_iter().chain(others).chain(["pg_temp"])
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, shared, include, exclude, seed, proxy_role, lock_timeout, retries, .. } = self;
        f.debug_struct("Settings")
            .field("source", source)
            .field("shared", shared)
            .field("include", include)
            .field("exclude", exclude)
            .field("seed", seed)
            .field("proxy_role", proxy_role)
            .field("lock_timeout", lock_timeout)
            .field("retries", retries)
            .finish_non_exhaustive()
    }
}
