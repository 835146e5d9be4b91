//! Limits by database, tenant and user that contradict each other.

use crate::limits::SHORTHAND;
use crate::problem::Problems;
use crate::{Config, LimitTable};

/// So many turns in a row one tenant may have.
const MAX_WEIGHT: usize = 1000;

/// Reports limits that can't hold, and warns of those that have no effect.
pub(super) fn check(config: &Config, problems: &mut Problems) {
    for (path, table) in tables(config) {
        notice(&path, table, problems);
        weight(&path, table, problems);
    }
    twice(config, problems);
    for name in config.databases.keys() {
        servers(name, config, problems);
    }
    for (tenant, kept) in config.tenant_limits.reserved() {
        reserved(tenant, kept, config, problems);
    }
}

/// A value that two keys give.
fn twice(config: &Config, problems: &mut Problems) {
    let limit = &config.tenant_limits.of_tenant(None).max_servers;
    if config.tenancy.max_servers_per_tenant.is_some()
        && limit.as_ref().is_some_and(|limit| *limit.key != *SHORTHAND)
    {
        let message = "\"max_servers_per_tenant\" in [tenancy] and \"max_servers\" in [tenancy.limits] are one limit: \
                       leave one of the two out";
        problems.at(&[SHORTHAND, "tenancy.limits.max_servers"], message);
    }
}

fn weight(path: &str, table: &LimitTable, problems: &mut Problems) {
    if let Some(weight) = table.weight.as_ref().filter(|weight| weight.value > MAX_WEIGHT) {
        let message = format!(
            "\"weight\" in [{path}] is {}, and others wait meanwhile: {MAX_WEIGHT} turns in a row at most",
            weight.value
        );
        problems.at(&[&format!("{path}.weight")], message);
    }
}

/// The servers of one database, and what is kept of them.
fn servers(name: &str, config: &Config, problems: &mut Problems) {
    let own = config.databases.get(name).map(|database| &database.limits);
    let is_own = own.is_some_and(|own| own.max_servers.is_some() || own.min_servers.is_some());
    let (pool, path) = (config.pool_of(name), format!("databases.{name}.limits"));
    let (max, min) = (format!("{path}.max_servers"), format!("{path}.min_servers"));
    if is_own && pool.min_servers > pool.max_servers {
        let message = format!(
            "\"min_servers\" of database \"{name}\" is {}, above its \"max_servers\", {}: lower it, or raise \
             max_servers",
            pool.min_servers, pool.max_servers
        );
        problems.at(&[&min, &max, "pool.min_servers", "pool.max_servers"], message);
    }
    let kept = config.tenant_limits.reserved().fold(0_usize, |all, (_, kept)| all.saturating_add(kept));
    if kept > 0 && kept >= pool.max_servers {
        let message = format!(
            "\"min_servers\" of all tenants together is {kept}, and database \"{name}\" has {} servers, so that \
             others would get none: lower them, or raise max_servers",
            pool.max_servers
        );
        let paths: Vec<String> = config
            .tenant_limits
            .reserved()
            .map(|(tenant, _)| format!("tenants.{tenant}.limits.min_servers"))
            .collect();
        problems.at(&paths.iter().map(String::as_str).collect::<Vec<_>>(), message);
    }
}

/// What is kept for one tenant, against what it may have.
fn reserved(tenant: &str, kept: usize, config: &Config, problems: &mut Problems) {
    let limits = config.tenant_limits.of_tenant(Some(tenant));
    if let Some(most) = limits.max_servers.filter(|most| kept > most.value) {
        let path = format!("tenants.{tenant}.limits.min_servers");
        let message = format!(
            "\"min_servers\" in [tenants.{tenant}.limits] is {kept}, above {}, {}, so that it could not have them: \
             lower it, or raise the other",
            most.key, most.value
        );
        problems.at(&[&path, &most.key], message);
    }
}

/// Each table of limits, with its path.
fn tables(config: &Config) -> Vec<(String, &LimitTable)> {
    let users = config.users.iter().enumerate();
    let users = users.map(|(at, user)| (format!("users[{at}].limits"), &user.limits));
    let databases = config.databases.iter();
    let databases = databases.map(|(name, database)| (format!("databases.{name}.limits"), &database.limits));
    config.tenant_limits.tables().chain(users).chain(databases).collect()
}

fn notice(path: &str, table: &LimitTable, problems: &mut Problems) {
    let (Some(notice), Some(wait)) = (&table.wait_notice, &table.query_wait_timeout) else { return };
    if notice.value >= wait.value {
        let message = format!(
            "\"wait_notice\" in [{path}] has no effect: a request waits no longer than \"query_wait_timeout\" there"
        );
        problems.warn(&[&format!("{path}.wait_notice"), &format!("{path}.query_wait_timeout")], message);
    }
}
