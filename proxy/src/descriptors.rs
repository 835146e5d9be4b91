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
        tracing::warn!(%error, soft, hard, "failed to raise the limit of open files");
    }
}

/// How many descriptors this process may have. As many as there are numbers, where the system does not tell.
pub fn limit() -> usize {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft);
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// How many connections of clients there can be at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Clients that are logged in: `listen.max_clients`, or what fits.
    pub clients: usize,
    /// Those that are not that far: `listen.max_unauthenticated`, or what fits.
    pub unproven: usize,
}

/// The room for clients that all else leaves of `limit` descriptors.
///
/// A quarter of them is for clients in any case (the rest is hardly ever all in use); a quarter of that is for those
/// that log in.
pub fn room(config: &Config, limit: usize) -> Room {
    let left = limit.saturating_sub(others(config)).max(limit / 4);
    let unproven = config.listen.max_unauthenticated.min((left / 4).max(1));
    let clients = config.listen.max_clients.min(left.saturating_sub(unproven).max(1));
    Room { clients, unproven }
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
        let config = config(
            "[listen]\nmax_clients = 1000\nmax_unauthenticated = 100\n[pool]\nmax_servers = 20\n[http]\nmax_connections = 15",
        );
        let others = OWN + 40 + CONTROL + 16;
        assert_eq!(room(&config, 10_000), Room { clients: 1000, unproven: 100 });
        assert_eq!(room(&config, 1100 + others), Room { clients: 1000, unproven: 100 });
        assert_eq!(room(&config, 1099 + others), Room { clients: 999, unproven: 100 });
        assert_eq!(room(&config, 200 + others), Room { clients: 150, unproven: 50 });
        // With next to nothing, somebody gets in all the same.
        assert_eq!(room(&config, 100), Room { clients: 19, unproven: 6 });
        assert_eq!(room(&config, 0), Room { clients: 1, unproven: 1 });
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
