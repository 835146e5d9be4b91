//! SHOW CONFIG: the configuration as it holds, key by key.

use std::fmt::Debug;
use std::time::Duration;

use humantime_serde::re::humantime;

use super::{Shown, View, text};
use crate::admin::console::table::Row;
use crate::config::{
    AuthMethod, Config, Effect, FileMode, HostPattern, Http, Limits, Listen, Log, Metrics, Network,
    PeerAddress, Pool, Process, Provision, Tenancy,
};

pub(super) const CONFIG: Shown = Shown::new(
    "CONFIG",
    "each key of the configuration, some also under PgBouncer's names",
    &[text("key"), text("value"), text("default"), text("changeable")],
    |shared, _| rows(shared),
);

fn rows(shared: &View<'_>) -> Vec<Row> {
    let config = &*shared.now.config;
    let mut pairs = general(config);
    pairs.extend(pool(config));
    pairs.extend(tenancy(config));
    pairs.extend(provision(config));
    pairs.extend(pgbouncers(config));
    let row = |Pair { key, path, value, default }: Pair| -> Row {
        let changeable = path.is_some_and(|path| Effect::of(path) != Effect::Restart);
        vec![key.into(), value.into(), default.into(), if changeable { "yes" } else { "no" }.into()]
    };
    pairs.into_iter().map(row).collect()
}

/// A key, its value and its default.
struct Pair {
    key: &'static str,
    /// The key in the file that it stands for, if there is one.
    path: Option<&'static str>,
    value: String,
    default: String,
}

/// What holds, and what would hold if the file said nothing, by one way to look at it.
fn pair<T>(key: &'static str, value: &T, default: &T, show: impl Fn(&T) -> String) -> Pair {
    Pair { key, path: Some(key), value: show(value), default: show(default) }
}

/// As the file spells it.
trait Spelt {
    fn spelt(&self) -> String;
}

macro_rules! spelt_as_it_is {
    ($($kind:ty),*) => { $(impl Spelt for $kind { fn spelt(&self) -> String { self.to_string() } })* };
}

spelt_as_it_is!(
    bool,
    usize,
    u32,
    u64,
    String,
    char,
    std::net::SocketAddr,
    Network,
    FileMode,
    HostPattern,
    PeerAddress
);

impl Spelt for Duration {
    fn spelt(&self) -> String {
        humantime::format_duration(*self).to_string()
    }
}

impl<T: Spelt> Spelt for Vec<T> {
    fn spelt(&self) -> String {
        self.iter().map(Spelt::spelt).collect::<Vec<_>>().join(", ")
    }
}

impl<T: Spelt> Spelt for Option<T> {
    fn spelt(&self) -> String {
        self.as_ref().map(Spelt::spelt).unwrap_or_default()
    }
}

impl Spelt for std::path::PathBuf {
    fn spelt(&self) -> String {
        self.display().to_string()
    }
}

impl Spelt for AuthMethod {
    fn spelt(&self) -> String {
        match self {
            AuthMethod::ScramSha256 => "scram-sha-256",
            AuthMethod::Md5 => "md5",
            AuthMethod::Password => "password",
            AuthMethod::Cert => "cert",
            AuthMethod::Peer => "peer",
            AuthMethod::Trust => "trust",
        }
        .to_owned()
    }
}

/// A variant's name in the file: `SearchPath` is `search_path`.
fn word(value: &impl Debug) -> String {
    let mut word = String::new();
    for letter in format!("{value:?}").chars() {
        if letter.is_ascii_uppercase() && !word.is_empty() {
            word.push('_');
        }
        word.push(letter.to_ascii_lowercase());
    }
    word
}

fn words<T: Debug>(values: &[T]) -> String {
    values.iter().map(word).collect::<Vec<_>>().join(", ")
}

/// Pairs of keys that are spelt as they are.
macro_rules! pairs {
    ($section:literal, $value:expr, $default:expr, [$($key:ident),* $(,)?]) => {
        vec![$(pair(concat!($section, ".", stringify!($key)), &$value.$key, &$default.$key, Spelt::spelt)),*]
    };
}

fn general(config: &Config) -> Vec<Pair> {
    let (listen, listens) = (&config.listen, Listen::default());
    let mut all = pairs!(
        "listen",
        listen,
        listens,
        [
            address, more_addresses, unix_socket_dir, unix_socket_mode, tls_certificate, tls_key,
            tls_client_ca, tls_client_required, proxy_protocol, peers, auth, max_clients,
            max_unauthenticated, login_timeout, failed_login_pause, shutdown_timeout, handover_timeout,
            reuse_port,
        ]
    );
    all.push(pair("listen.tls", &listen.tls, &listens.tls, word));
    all.extend(pairs!("http", config.http, Http::default(), [enabled, address, max_connections, timeout]));
    all.extend(pairs!("metrics", config.metrics, Metrics::default(), [tenants, statements_memory]));
    let process = Process::default();
    all.extend(pairs!("process", config.process, process, [pid_file, follow_files, rerun_commands]));
    let log = Log::default();
    all.extend(pairs!("log", config.log, log, [level, log_connections, log_disconnections]));
    all.push(pair("log.format", &config.log.format, &log.format, word));
    all.extend(pairs!(
        "limits",
        config.limits,
        Limits::default(),
        [
            threads,
            max_query_bytes,
            max_buffered_bytes,
            message_timeout,
            max_message_bytes,
            max_prepared_statements_per_client,
            max_prepared_bytes_per_client,
            max_prepared_statements_per_server,
            max_prepared_bytes_per_server,
            plan_cache_bytes,
            query_timeout,
            transaction_timeout,
            idle_transaction_timeout,
            client_idle_timeout,
        ]
    ));
    all
}

fn pool(config: &Config) -> Vec<Pair> {
    let (pool, default) = (&config.pool, Pool::default());
    let mut all = vec![pair("pool.mode", &pool.mode, &default.mode, word)];
    all.extend(pairs!(
        "pool",
        pool,
        default,
        [
            min_servers, max_servers, max_servers_per_tenant, max_tenant_servers, wait_timeout,
            connect_timeout, idle_timeout, max_lifetime, check_after, max_pinned, max_logins,
            tcp_user_timeout,
        ]
    ));
    all
}

fn tenancy(config: &Config) -> Vec<Pair> {
    let (tenancy, default) = (&config.tenancy, Tenancy::default());
    let mut all = vec![
        pair("tenancy.mode", &tenancy.mode, &default.mode, word),
        pair("tenancy.strategy", &tenancy.strategy, &default.strategy, word),
        pair("tenancy.tier", &tenancy.tier, &default.tier, word),
        pair("tenancy.missing_tenant", &tenancy.missing_tenant, &default.missing_tenant, word),
        pair("tenancy.sources", &tenancy.sources, &default.sources, |all| words(all)),
        pair("tenancy.while_migrating", &tenancy.while_migrating, &default.while_migrating, word),
        pair("tenancy.channels", &tenancy.keys.channels, &default.keys.channels, word),
        pair("tenancy.advisory_locks", &tenancy.keys.advisory_locks, &default.keys.advisory_locks, word),
        pair("tenancy.two_phase", &tenancy.keys.two_phase, &default.keys.two_phase, word),
    ];
    all.extend(pairs!(
        "tenancy",
        tenancy,
        default,
        [
            role_prefix, separator, server_name, shared_schemas, shared_writes, trusted_functions,
            locked_settings, hide_other_tenants, tenant_cache, catalog_cache, catalog_notify,
            max_servers_per_tenant, query_comment,
        ]
    ));
    all
}

fn provision(config: &Config) -> Vec<Pair> {
    pairs!(
        "provision",
        config.provision,
        Provision::default(),
        [source, include, exclude, seed, auto, auto_max, migrations, canary, workers, lock_timeout, retries,]
    )
}

/// Some that tools look for by PgBouncer's names. 0: no such limit.
fn pgbouncers(config: &Config) -> Vec<Pair> {
    let (listen, pool) = (Listen::default(), Pool::default());
    let seconds = |time: &Duration| time.as_secs().to_string();
    let (here, own) = (&config.listen, &config.pool);
    let known = |key, path: &'static str, pair: Pair| Pair { key, path: Some(path), ..pair };
    let absent = |key| Pair { path: None, ..pair(key, &0usize, &0, Spelt::spelt) };
    let count = |value: &usize, default: &usize| pair("", value, default, Spelt::spelt);
    let time = |value: &Duration, default: &Duration| pair("", value, default, seconds);
    vec![
        known(
            "listen_addr",
            "listen.address",
            pair("", &here.address.ip(), &listen.address.ip(), ToString::to_string),
        ),
        known(
            "listen_port",
            "listen.address",
            pair("", &here.address.port(), &listen.address.port(), ToString::to_string),
        ),
        known("max_client_conn", "listen.max_clients", count(&here.max_clients, &listen.max_clients)),
        known("default_pool_size", "pool.max_servers", count(&own.max_servers, &pool.max_servers)),
        known("min_pool_size", "pool.min_servers", count(&own.min_servers, &pool.min_servers)),
        absent("reserve_pool_size"),
        known("max_db_connections", "pool.max_servers", count(&own.max_servers, &pool.max_servers)),
        absent("max_user_connections"),
        known("pool_mode", "pool.mode", pair("", &own.mode, &pool.mode, word)),
        known("query_wait_timeout", "pool.wait_timeout", time(&own.wait_timeout, &pool.wait_timeout)),
        known("server_idle_timeout", "pool.idle_timeout", time(&own.idle_timeout, &pool.idle_timeout)),
        known("server_lifetime", "pool.max_lifetime", time(&own.max_lifetime, &pool.max_lifetime)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{MissingTenant, TenantSource, WhileMigrating};

    #[test]
    fn values_are_spelt_as_in_the_file() {
        assert_eq!(word(&MissingTenant::Reject), "reject");
        assert_eq!(words(&[TenantSource::UserSuffix, TenantSource::Options]), "user_suffix, options");
        assert_eq!(word(&WhileMigrating::Wait), "wait");
        assert_eq!(Duration::from_secs(90).spelt(), "1m 30s");
        assert_eq!(Some(3usize).spelt() + &None::<usize>.spelt(), "3");
    }
}
