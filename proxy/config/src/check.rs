//! Contradictions in a configuration whose single values are fine.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use super::load::Place;
use super::problem::Problems;
use super::{Config, Database, MissingTenant, Mode, ServerTls, TENANTS_PART_OF_BUFFERS};

pub(super) mod elsewhere;
pub(super) mod files;
mod limits;
mod names;
mod roles;
mod users;

/// Tenants that may have series of their own: with more, Prometheus would suffer.
const MAX_SERIES: usize = 1000;
/// Peers that a cancel request may go to.
const MAX_PEERS: usize = 16;

/// Reports what can't be meant, or can't work, and warns of what is hardly meant.
pub(super) fn check(config: &Config, place: &Place<'_>, problems: &mut Problems) {
    files::listen(&config.listen, place, problems);
    limits(config, problems);
    times(config, problems);
    if config.http.enabled && config.listen.addresses().any(|address| address == config.http.address) {
        let message = "\"address\" in [http] is one that clients connect to: give it another port";
        problems.at(&["http.address", "listen.more_addresses", "listen.address"], message);
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = config.listen.addresses().find(|address| !seen.insert(*address)) {
        let message = format!("\"more_addresses\" in [listen] has {twice} a second time: take it out");
        problems.at(&["listen.more_addresses"], message);
    }
    if EnvFilter::builder().parse(&config.log.level).is_err() {
        let message = "\"level\" in [log] must be a filter such as \"info\" or \"info,pgstrata=debug\"";
        problems.at(&["log.level"], message);
    }
    if config.databases.is_empty() {
        let message = "no database: add a table [databases.NAME] with \"host\" and \"user\"";
        problems.at(&["databases"], message);
    }
    for (name, database) in &config.databases {
        self::database(name, database, place, problems);
    }
    if config.tenancy.missing_tenant == MissingTenant::Public && config.tenancy.mode == Mode::Route {
        let message = "\"missing_tenant\" in [tenancy] is \"public\": a client that forgets to name its tenant \
                       works in the schema public; \"reject\" makes that an error";
        problems.warn(&["tenancy.missing_tenant", "tenancy.mode"], message);
    }
    limits::check(config, problems);
    names::check(config, problems);
    roles::check(config, problems);
    users::check(config, problems);
    users::rules(config, problems);
    elsewhere::query(config, problems);
}

fn limits(config: &Config, problems: &mut Problems) {
    let (limits, pool) = (&config.limits, &config.pool);
    let sizes = [
        ("listen.max_clients", config.listen.max_clients),
        ("listen.max_unauthenticated", config.listen.max_unauthenticated),
        ("http.max_connections", config.http.max_connections),
        ("pool.max_servers", pool.max_servers),
        ("pool.max_servers_per_tenant", pool.max_servers_per_tenant),
        ("pool.max_tenant_servers", pool.max_tenant_servers),
        ("tenancy.max_servers_per_tenant", config.tenancy.max_servers_per_tenant.unwrap_or(1)),
        ("pool.max_logins", pool.max_logins),
        ("provision.workers", config.provision.workers),
        ("limits.max_query_bytes", limits.max_query_bytes),
        ("limits.max_buffered_bytes", limits.max_buffered_bytes),
        ("limits.max_message_bytes", limits.max_message_bytes),
        ("limits.max_prepared_statements_per_client", limits.max_prepared_statements_per_client),
        ("limits.max_prepared_bytes_per_client", limits.max_prepared_bytes_per_client),
        ("limits.max_prepared_statements_per_server", limits.max_prepared_statements_per_server),
        ("limits.max_prepared_bytes_per_server", limits.max_prepared_bytes_per_server),
        ("limits.plan_cache_bytes", usize::try_from(limits.plan_cache_bytes).unwrap_or(usize::MAX)),
    ];
    for (path, size) in sizes {
        if size == 0 {
            zero(path, "with 0 nothing could be served: give 1 or more", problems);
        }
    }
    if config.listen.peers.len() > MAX_PEERS {
        let message = format!(
            "\"peers\" in [listen] has {} addresses, and each cancel request of another proxy's client goes to all of them: \
             {MAX_PEERS} at most",
            config.listen.peers.len()
        );
        problems.at(&["listen.peers"], message);
    }
    if config.metrics.tenants > MAX_SERIES {
        let message = format!(
            "\"tenants\" in [metrics] is {}, and each has some ten series of its own: {MAX_SERIES} at most",
            config.metrics.tenants
        );
        problems.at(&["metrics.tenants"], message);
    }
    let least = limits.max_query_bytes.saturating_mul(TENANTS_PART_OF_BUFFERS);
    if limits.max_buffered_bytes < least {
        let message = format!(
            "\"max_buffered_bytes\" in [limits] is {}, less than {TENANTS_PART_OF_BUFFERS} times \"max_query_bytes\": raise it to \
             {least}, or lower max_query_bytes",
            limits.max_buffered_bytes
        );
        problems.at(&["limits.max_buffered_bytes", "limits.max_query_bytes"], message);
    }
    if pool.min_servers > pool.max_servers {
        let message = format!(
            "\"min_servers\" in [pool] is {}, above \"max_servers\", {}: lower it, or raise max_servers",
            pool.min_servers, pool.max_servers
        );
        problems.at(&["pool.min_servers", "pool.max_servers"], message);
    }
    if pool.max_servers_per_tenant > pool.max_tenant_servers {
        let message = format!(
            "\"max_servers_per_tenant\" in [pool] is {}, above \"max_tenant_servers\", {}, of all tenants \
             together: lower it, or raise max_tenant_servers",
            pool.max_servers_per_tenant, pool.max_tenant_servers
        );
        problems.at(&["pool.max_servers_per_tenant", "pool.max_tenant_servers"], message);
    }
}

fn times(config: &Config, problems: &mut Problems) {
    let (pool, tenancy) = (&config.pool, &config.tenancy);
    let times = [
        ("listen.login_timeout", config.listen.login_timeout),
        ("http.timeout", config.http.timeout),
        ("pool.wait_timeout", pool.wait_timeout),
        ("pool.connect_timeout", pool.connect_timeout),
        ("pool.idle_timeout", pool.idle_timeout),
        ("pool.max_lifetime", pool.max_lifetime),
        ("pool.tcp_user_timeout", pool.tcp_user_timeout),
        ("provision.lock_timeout", config.provision.lock_timeout),
        ("tenancy.catalog_cache", tenancy.catalog_cache),
    ];
    let login_timeout = config.listen.login_timeout;
    if !login_timeout.is_zero() && config.listen.failed_login_pause >= login_timeout {
        let message = "\"failed_login_pause\" in [listen] is no shorter than \"login_timeout\": a client that waits for it \
                       would be closed";
        problems.at(&["listen.failed_login_pause", "listen.login_timeout"], message);
    }
    for (path, time) in times {
        if time == Duration::ZERO {
            zero(path, "0 doesn't switch it off: give a time such as \"30s\"", problems);
        }
    }
}

fn zero(path: &str, advice: &str, problems: &mut Problems) {
    if let Some((section, key)) = path.split_once('.') {
        problems.at(&[path], format!("\"{key}\" in [{section}] must not be 0: {advice}"));
    }
}

/// Whether it is one place to connect to. Not a list, as libpq has it, and no URL.
fn is_host(host: &str) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    host.starts_with('/') || host.parse::<IpAddr>().is_ok() || host.chars().all(is_name)
}

fn database(name: &str, database: &Database, place: &Place<'_>, problems: &mut Problems) {
    let table = match &database.cluster {
        Some(on) => format!("clusters.{}", on.name),
        None => format!("databases.{name}"),
    };
    let path = |key: &str| format!("{table}.{key}");
    for (key, text) in [
        ("host", Some(&database.host)),
        ("user", Some(&database.user)),
        ("database", database.database.as_ref()),
    ] {
        if text.is_some_and(|text| text.is_empty() || text.contains('\0')) {
            let message = format!("\"{key}\" in [{table}] must not be empty or hold a NUL");
            problems.at(&[&path(key)], message);
        }
    }
    if !database.host.is_empty() && !is_host(&database.host) {
        let message = format!(
            "\"host\" in [{table}] must be one host name, one address, or the directory of a Unix socket"
        );
        problems.at(&[&path("host")], message);
    }
    let verifies = matches!(database.tls, ServerTls::VerifyCa | ServerTls::VerifyFull);
    let demands = verifies || database.tls == ServerTls::Require;
    if demands && database.host.starts_with('/') {
        let message = format!(
            "\"tls\" in [{table}] asks for TLS, which a Unix socket does not have: \
             give a host name, or leave \"tls\" out"
        );
        problems.at(&[&path("tls"), &path("host")], message);
    }
    let Some(ca) = &database.tls_ca else { return };
    files::authorities(&path("tls_ca"), ca, place, problems);
    if !verifies {
        let message = format!(
            "\"tls_ca\" in [{table}] has no effect: no certificate is verified \
             unless tls = \"verify-full\" or \"verify-ca\""
        );
        problems.at(&[&path("tls_ca"), &path("tls")], message);
    }
}
