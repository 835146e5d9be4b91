//! File descriptors: the shares of clients, servers and the HTTP port in the limit of the system.
//!
//! Clients never use the descriptors of servers and of the HTTP port, whatever their number.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use pgstrata_tenancy::Tier;

use crate::config::Config;

/// Files of the process itself: standard streams, runtimes, certificates while they are read.
const OWN: usize = 32;

/// Connections to a database outside of the pools: catalog, registry, notifications.
const CONTROL: usize = 8;

/// A server may have a second connection: that of a cancel request.
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

/// The limit of descriptors of this process. The largest number, if the system does not say.
pub fn limit() -> usize {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft);
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// The maximum number of client connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Logged-in clients: `listen.max_clients`, or a smaller number if there are not enough descriptors.
    pub clients: usize,
    /// Unauthenticated clients: `listen.max_unauthenticated`, or a smaller number, likewise.
    pub unproven: usize,
}

/// The number of clients that the other descriptors leave of `limit`.
///
/// A quarter of the limit is for clients in any case (the others are hardly ever all in use); a quarter of that is for
/// unauthenticated clients.
pub fn room(config: &Config, limit: usize) -> Room {
    let left = limit.saturating_sub(others(config)).max(limit / 4);
    let unproven = config.listen.max_unauthenticated.min((left / 4).max(1));
    let clients = config.listen.max_clients.min(left.saturating_sub(unproven).max(1));
    Room { clients, unproven }
}

/// The maximum number of descriptors for other purposes.
fn others(config: &Config) -> usize {
    let own = |tier: Option<Tier>| tier == Some(Tier::Login);
    let tenants_log_in =
        own(Some(config.tenancy.tier)) || config.tenants.values().any(|tenant| own(tenant.tier));
    let own_servers = if tenants_log_in { config.pool.max_tenant_servers } else { 0 };
    let of = |name: &String| {
        let servers = config.pool_of(name).max_servers.saturating_add(own_servers);
        servers.saturating_mul(WITH_CANCEL).saturating_add(CONTROL)
    };
    let servers = config.databases.keys().map(of).fold(0, usize::saturating_add);
    let http = if config.http.enabled { config.http.max_connections + 1 } else { 0 };
    servers.saturating_add(OWN + http)
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
        // Even with very few descriptors, some clients are admitted.
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
