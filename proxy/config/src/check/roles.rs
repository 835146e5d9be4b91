//! Tiers, and the roles that they take.

use pgstrata_tenancy::{RoleName, Tier};

use crate::Config;
use crate::problem::Problems;

/// Reports roles that no tenant can have, and those that would change nothing.
pub(super) fn check(config: &Config, problems: &mut Problems) {
    let prefix = &config.tenancy.role_prefix;
    // As of the shortest schema that there can be; an empty one is fine.
    if let Err(reason) = RoleName::new(&format!("{prefix}x")) {
        problems.at(&["tenancy.role_prefix"], format!("\"role_prefix\" in [tenancy]: {reason}"));
    }
    login_key(config, problems);
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
        let of = |database: &crate::Database| config.isolation(Some(name), schema, &database.user).err();
        if let Some(error) = config.databases.values().find_map(of) {
            let message = format!("[{table}]: {error}: give it another in \"role\"");
            problems.at(&[&place, &table], message);
        }
    }
}

/// As long as what it is hashed by: one that can be guessed opens all roles.
const MIN_KEY: usize = 32;

fn login_key(config: &Config, problems: &mut Problems) {
    let keys = ["tenancy.login_key", "tenancy.login_key_env", "tenancy.login_key_file"];
    match config.tenancy.login_key.expose() {
        Some(key) if key.len() < MIN_KEY => {
            let message = format!(
                "the login key in [tenancy] has less than {MIN_KEY} bytes: take what `openssl rand -base64 32` \
                 prints"
            );
            problems.at(&keys, message);
        }
        Some(_) => {}
        None => {
            let own = config.tenants.iter().find(|(_, tenant)| tenant.tier == Some(Tier::Login));
            let own = own.map(|(name, _)| format!("tenants.{name}.tier"));
            let by_default = (config.tenancy.tier == Tier::Login).then(|| "tenancy.tier".to_owned());
            if let Some(place) = by_default.or(own) {
                let message = "the tier \"login\" needs a key that the roles' passwords are derived from: add \
                               \"login_key_env\", \"login_key_file\" or \"login_key\" to [tenancy]";
                let mut paths = vec![place.as_str()];
                paths.extend(keys);
                problems.at(&paths, message);
            }
        }
    }
}
