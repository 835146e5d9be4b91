//! For whom a server is asked for, as far as the pool cares: whose turn it is, and what limits hold.

use std::fmt;
use std::sync::Arc;

use super::turns::{self, Tenant};
use crate::config::{Limit, LimitTable};
use crate::limits::{Budget, Holder, Kind};

/// The name of the proxy itself, among tenants: no tenant can be called that.
const PROXY: &str = "";

/// For whom a server is asked for. Cheap to clone.
#[derive(Clone)]
pub struct Claim(Arc<Parties>);

struct Parties {
    name: Tenant,
    mark: u64,
    tenant: Arc<Budget>,
    user: Option<Arc<Budget>>,
}

/// Why somebody gets nothing although there is something.
#[derive(Clone, Debug)]
pub enum Hindrance {
    /// Its tenant has as many as it may have; with the limit, where that is not the share that all have.
    Tenant(Tenant, usize, Option<Limit<usize>>),
    /// Its user has.
    User(Holder, Limit<usize>),
    /// What is left is reserved for other tenants.
    Reserved,
}

impl Claim {
    /// A user's, for its tenant.
    pub fn new(tenant: Arc<Budget>, user: Arc<Budget>) -> Self {
        let name = match tenant.holder() {
            Holder::Tenant(name) => name.clone(),
            Holder::Database(_) | Holder::User(_) => None,
        };
        Self(Arc::new(Parties { mark: turns::mark(&name), name, tenant, user: Some(user) }))
    }

    /// A tenant's, with no limits.
    pub fn of(name: Tenant) -> Self {
        let tenant = Budget::new(Holder::Tenant(name.clone()), LimitTable::default());
        Self(Arc::new(Parties { mark: turns::mark(&name), name, tenant, user: None }))
    }

    /// The proxy's own. It has no share, and is not about.
    pub fn of_proxy() -> Self {
        Self::of(Some(PROXY.into()))
    }

    /// Whether it is the proxy's own.
    pub fn is_proxys(&self) -> bool {
        self.0.name.as_deref() == Some(PROXY)
    }

    /// The tenant.
    pub fn tenant(&self) -> &Tenant {
        &self.0.name
    }

    /// A number for the tenant; 0 stands for none.
    pub fn mark(&self) -> u64 {
        self.0.mark
    }

    /// How many its tenant may have at once, where that has a limit of its own.
    pub fn most(&self) -> Option<usize> {
        self.0.tenant.most_servers()
    }

    /// How many turns in a row its tenant has.
    pub fn weight(&self) -> u32 {
        self.0.tenant.weight()
    }

    /// Its user, where there is one.
    pub fn user(&self) -> Option<&Arc<Budget>> {
        self.0.user.as_ref()
    }

    /// Its user, where that has a limit.
    pub fn limited_user(&self) -> Option<&Arc<Budget>> {
        self.user().filter(|user| user.most_servers().is_some())
    }

    /// What keeps its tenant from having more than `share`.
    pub(super) fn full(&self, share: usize) -> Hindrance {
        Hindrance::Tenant(self.0.name.clone(), share, self.0.tenant.limit(Kind::Servers))
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Claim({:?})", self.0.name)
    }
}

impl fmt::Display for Hindrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hindrance::Tenant(Some(tenant), share, _) => {
                write!(f, "tenant \"{tenant}\" has all {share} servers that one tenant may use at once")
            }
            Hindrance::Tenant(None, share, _) => {
                write!(f, "clients with no tenant have all {share} servers that one tenant may use at once")
            }
            Hindrance::User(user, limit) => {
                write!(f, "{user} has all {} servers that it may use at once", limit.value)
            }
            Hindrance::Reserved => f.write_str("those that are left are reserved for other tenants"),
        }
    }
}

impl Hindrance {
    /// The key that would have to be changed.
    pub fn key(&self) -> &str {
        match self {
            Hindrance::Tenant(.., Some(limit)) | Hindrance::User(_, limit) => &limit.key,
            Hindrance::Tenant(.., None) => "tenancy.max_servers_per_tenant",
            Hindrance::Reserved => "pool.max_servers",
        }
    }

    /// Whose limit it is, in one word.
    pub fn by(&self) -> &'static str {
        match self {
            Hindrance::Tenant(..) => "tenant",
            Hindrance::User(..) => "user",
            Hindrance::Reserved => "database",
        }
    }
}
