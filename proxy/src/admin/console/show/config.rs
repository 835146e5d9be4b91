//! SHOW CONFIG: the configuration as it holds, key by key.

use std::fmt::Debug;
use std::time::Duration;

use humantime_serde::re::humantime;

use super::{Shown, text};
use crate::admin::console::table::Row;
use crate::config::{AuthMethod, Config, Http, Limits, Listen, Log, Metrics, Pool, Provision, Tenancy};
use crate::shared::Shared;

pub(super) const CONFIG: Shown = Shown::new(
    "CONFIG",
    "each key of the configuration, and some by the names that PgBouncer has for them",
    &[text("key"), text("value"), text("default"), text("changeable")],
    |shared, _| rows(shared),
);

fn rows(shared: &Shared) -> Vec<Row> {
    let config = &*shared.config;
    let mut pairs = general(config);
    pairs.extend(pool(config));
    pairs.extend(tenancy(config));
    pairs.extend(provision(config));
    pairs.extend(pgbouncers(config));
    let row = |Pair { key, value, default }: Pair| -> Row {
        vec![key.into(), value.into(), default.into(), "no".into()]
    };
    pairs.into_iter().map(row).collect()
}

/// A key, its value and its default.
struct Pair {
    key: &'static str,
    value: String,
    default: String,
}

/// What holds, and what would hold if the file said nothing, by one way to look at it.
fn pair<T>(key: &'static str, value: &T, default: &T, show: impl Fn(&T) -> String) -> Pair {
    Pair { key, value: show(value), default: show(default) }
}

/// As the file spells it.
trait Spelt {
    fn spelt(&self) -> String;
}

macro_rules! spelt_as_it_is {
    ($($kind:ty),*) => { $(impl Spelt for $kind { fn spelt(&self) -> String { self.to_string() } })* };
}

spelt_as_it_is!(bool, usize, u32, u64, String, char, std::net::SocketAddr);

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
            address, tls_certificate, tls_key, auth, max_clients, max_unauthenticated, login_timeout,
            shutdown_timeout,
        ]
    );
    all.push(pair("listen.tls", &listen.tls, &listens.tls, word));
    all.extend(pairs!("http", config.http, Http::default(), [enabled, address, max_connections, timeout]));
    all.extend(pairs!("metrics", config.metrics, Metrics::default(), [tenants]));
    let log = Log::default();
    all.extend(pairs!("log", config.log, log, [level]));
    all.push(pair("log.format", &config.log.format, &log.format, word));
    all.extend(pairs!(
        "limits",
        config.limits,
        Limits::default(),
        [
            threads,
            max_query_bytes,
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
            role_prefix, separator, shared_schemas, shared_writes, trusted_functions, locked_settings,
            hide_other_tenants, tenant_cache, catalog_cache, catalog_notify, max_servers_per_tenant,
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
    vec![
        pair("listen_addr", &config.listen.address.ip(), &listen.address.ip(), ToString::to_string),
        pair("listen_port", &config.listen.address.port(), &listen.address.port(), ToString::to_string),
        pair("max_client_conn", &config.listen.max_clients, &listen.max_clients, Spelt::spelt),
        pair("default_pool_size", &config.pool.max_servers, &pool.max_servers, Spelt::spelt),
        pair("min_pool_size", &config.pool.min_servers, &pool.min_servers, Spelt::spelt),
        pair("reserve_pool_size", &0usize, &0, Spelt::spelt),
        pair("max_db_connections", &config.pool.max_servers, &pool.max_servers, Spelt::spelt),
        pair("max_user_connections", &0usize, &0, Spelt::spelt),
        pair("pool_mode", &config.pool.mode, &pool.mode, word),
        pair("query_wait_timeout", &config.pool.wait_timeout, &pool.wait_timeout, seconds),
        pair("server_idle_timeout", &config.pool.idle_timeout, &pool.idle_timeout, seconds),
        pair("server_lifetime", &config.pool.max_lifetime, &pool.max_lifetime, seconds),
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
