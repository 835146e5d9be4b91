//! What tenants are made from, and how much is done at once.

use std::fmt;
use std::time::Duration;

use pgstrata_tenancy::Pattern;

use crate::access::Roles;

/// What the tenants of one database are made from.
#[derive(Clone)]
pub struct Settings {
    /// The schema that tenants are copies of.
    pub source: String,
    /// Schemas that all tenants have on their path; what is in them is referred to, not copied.
    pub shared: Vec<String>,
    /// The source's tables that are copied; empty: all of them.
    pub include: Vec<Pattern>,
    /// The source's tables that are not.
    pub exclude: Vec<Pattern>,
    /// Tables whose rows are copied too.
    pub seed: Vec<Pattern>,
    /// The role that proxies log in as, which must be able to read the registry and to use each tenant's schema.
    pub proxy_role: Option<String>,
    /// That role makes and changes schemas itself, since nobody else is named for it.
    pub servers_make: bool,
    /// Tenants may write to the shared schemas.
    pub shared_writes: bool,
    /// Which roles tenants have; `None`: the proxy alone keeps them apart.
    pub roles: Option<Roles>,
    /// How long a change waits for a lock before it gives way to those who hold it, and tries again.
    pub lock_timeout: Duration,
    /// How often it is tried again.
    pub retries: u32,
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
        }
    }
}

impl Settings {
    /// The path under which a blueprint of `source` is made in `schema`: what the source's own path finds in the
    /// source is found there, and what is not copied, an extension's type for one, in the source itself.
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
