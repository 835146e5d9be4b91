//! Tiers, and the roles that they take.

use pgstrata_tenancy::{RoleName, Tier};

use crate::config::Config;
use crate::config::problem::Problems;

/// Reports roles that no tenant can have, and those that would change nothing.
pub(super) fn check(config: &Config, problems: &mut Problems) {
    let prefix = &config.tenancy.role_prefix;
    // As of the shortest schema that there can be; an empty one is fine.
    if let Err(reason) = RoleName::new(&format!("{prefix}x")) {
        problems.at(&["tenancy.role_prefix"], format!("\"role_prefix\" in [tenancy]: {reason}"));
    }
    for (name, tenant) in &config.tenants {
        let (table, place) = (format!("tenants.{name}"), format!("tenants.{name}.role"));
        if tenant.role.is_some() && tenant.tier.unwrap_or(config.tenancy.tier) == Tier::Names {
            let message = format!(
                "\"role\" in [{table}] has no effect in the tier \"names\": set tier = \"role\" or \
                 \"login\", or leave it out"
            );
            problems.at(&[&place, "tenancy.tier"], message);
        }
        let schema = tenant.schema.as_deref().unwrap_or(name);
        let of =
            |database: &crate::config::Database| config.isolation(Some(name), schema, &database.user).err();
        if let Some(error) = config.databases.values().find_map(of) {
            let message = format!("[{table}]: {error}: give it another in \"role\"");
            problems.at(&[&place, &table], message);
        }
    }
}
