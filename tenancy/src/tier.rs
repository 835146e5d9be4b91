//! The three ways to keep tenants apart in PostgreSQL.

/// How a tenant is kept apart from the others, in addition to the proxy's guard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tier {
    /// By the proxy: all tenants share one role in PostgreSQL.
    #[default]
    Names,
    /// Also by PostgreSQL's privileges: each transaction runs as the tenant's role.
    Role,
    /// By separate servers, which log in as the tenant's role.
    Login,
}

impl Tier {
    /// The name in configuration files and for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Tier::Names => "names",
            Tier::Role => "role",
            Tier::Login => "login",
        }
    }
}

impl std::fmt::Display for Tier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
