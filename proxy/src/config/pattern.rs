//! The tenants that a user may name.

use pgstrata_tenancy::pattern;

use super::User;

impl User {
    /// Whether this user may name `tenant`.
    pub fn may_name(&self, tenant: &str) -> bool {
        self.tenants.iter().any(|pattern| pattern::matches(pattern, tenant))
    }
}
