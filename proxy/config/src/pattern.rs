//! The tenants that a user may name, and the databases that it may connect to.

use pgstrata_tenancy::pattern;

use super::User;

impl User {
    /// Whether this user may name `tenant`.
    pub fn may_name(&self, tenant: &str) -> bool {
        self.rights.tenants.iter().any(|pattern| pattern::matches(pattern, tenant))
    }

    /// Whether this user may connect to `database`, which is not the console.
    pub fn may_connect_to(&self, database: &str) -> bool {
        self.rights.databases.iter().any(|pattern| pattern::matches(pattern, database))
    }
}
