//! The three ways in which PostgreSQL is told whose SQL it runs.

/// How a tenant is kept apart from the others, beyond what the proxy itself refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Tier {
    /// By the proxy alone: for PostgreSQL all tenants are one role.
    #[default]
    Names,
    /// Also by PostgreSQL's privileges: each transaction runs as the tenant's role.
    Role,
    /// By servers of its own, which log in as the tenant's role.
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
