//! File descriptors: who may have how many of those that the system allows.
//!
//! Clients never take those of servers and of the HTTP port, however many of them come.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use pgstrata_tenancy::Tier;

use crate::config::Config;

/// Files of the process itself: standard streams, runtimes, certificates while they are read.
const OWN: usize = 32;

/// Connections to a database that are in no pool: catalog, registry, notifications.
const CONTROL: usize = 8;

/// A server may have a second connection: the one that cancels what it runs.
const WITH_CANCEL: usize = 2;

/// Raises the soft limit of this process to the hard one.
pub fn raise() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::warn!(%error, soft, hard, "can not raise the limit of open files");
    }
}

/// How many descriptors this process may have. As many as there are numbers, where the system does not tell.
pub fn limit() -> usize {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft);
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// How many clients there can be at once: `listen.max_clients`, or what fits beside all else in `limit` descriptors.
///
/// A quarter of them is for clients in any case: the rest is hardly ever all in use.
pub fn clients(config: &Config, limit: usize) -> usize {
    let left = limit.saturating_sub(others(config)).max(limit / 4);
    config.listen.max_clients.min(left)
}

/// The most descriptors that are no clients'.
fn others(config: &Config) -> usize {
    let own = |tier: Option<Tier>| tier == Some(Tier::Login);
    let tenants_log_in =
        own(Some(config.tenancy.tier)) || config.tenants.values().any(|tenant| own(tenant.tier));
    let pool = &config.pool;
    let servers = pool.max_servers + if tenants_log_in { pool.max_tenant_servers } else { 0 };
    let each = servers.saturating_mul(WITH_CANCEL) + CONTROL;
    let http = if config.http.enabled { config.http.max_connections + 1 } else { 0 };
    config.databases.len().saturating_mul(each).saturating_add(OWN + http)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn config(lines: &str) -> Config {
        let text = format!(
            "[databases.app]\nhost = 'localhost'\nuser = 'app'\npassword = 'x'\ntls = 'disable'\n\
             [[users]]\nname = 'app'\npassword = 'x'\ntenants = ['*']\n{lines}"
        );
        Config::parse(&text, Path::new("pgstrata.toml")).unwrap()
    }

    #[test]
    fn clients_get_what_servers_and_http_leave() {
        let config =
            config("[listen]\nmax_clients = 1000\n[pool]\nmax_servers = 20\n[http]\nmax_connections = 15");
        let others = OWN + 40 + CONTROL + 16;
        assert_eq!(clients(&config, 10_000), 1000);
        assert_eq!(clients(&config, 1000 + others), 1000);
        assert_eq!(clients(&config, 999 + others), 999);
        // With next to nothing, somebody gets in all the same.
        assert_eq!(clients(&config, 100), 25);
    }

    #[test]
    fn tenants_own_servers_count_where_there_are_some() {
        let plain = others(&config("[pool]\nmax_tenant_servers = 40"));
        let login = "login_key = 'a key for tests, of 32 bytes or more'";
        let all =
            others(&config(&format!("[pool]\nmax_tenant_servers = 40\n[tenancy]\ntier = 'login'\n{login}")));
        let one = others(&config(&format!(
            "[pool]\nmax_tenant_servers = 40\n[tenancy]\n{login}\n[tenants.acme]\ntier = 'login'"
        )));
        assert_eq!((all, one), (plain + 80, plain + 80));
    }
}
