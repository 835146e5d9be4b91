//! Contradictions in a configuration whose single values are fine.

use std::path::Path;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use super::load::Place;
use super::problem::Problems;
use super::{Config, Database, Listen, ListenTls, ServerTls};

mod names;
mod roles;
mod users;

/// Tenants that may have series of their own: with more, Prometheus would suffer.
const MAX_SERIES: usize = 1000;

/// Reports what can't be meant, or can't work.
pub(super) fn check(config: &Config, place: &Place<'_>, problems: &mut Problems) {
    listen(&config.listen, place, problems);
    limits(config, problems);
    times(config, problems);
    if config.http.enabled && config.http.address == config.listen.address {
        let message = "\"address\" in [http] is the one that clients connect to: give it another port";
        problems.at(&["http.address", "listen.address"], message);
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
    names::check(config, problems);
    roles::check(config, problems);
    users::check(config, problems);
}

fn listen(listen: &Listen, place: &Place<'_>, problems: &mut Problems) {
    let files = [("tls_certificate", &listen.tls_certificate), ("tls_key", &listen.tls_key)];
    for (key, file) in files {
        let path = format!("listen.{key}");
        match file {
            Some(file) => readable(&path, file, place, problems),
            None if listen.tls == ListenTls::Off => {}
            None => {
                let message = format!("\"tls\" in [listen] needs \"{key}\": name a PEM file");
                problems.at(&["listen.tls", &path], message);
            }
        }
    }
}

fn limits(config: &Config, problems: &mut Problems) {
    let (limits, pool) = (&config.limits, &config.pool);
    let sizes = [
        ("listen.max_clients", config.listen.max_clients),
        ("http.max_connections", config.http.max_connections),
        ("pool.max_servers", pool.max_servers),
        ("pool.max_servers_per_tenant", pool.max_servers_per_tenant),
        ("pool.max_tenant_servers", pool.max_tenant_servers),
        ("pool.max_logins", pool.max_logins),
        ("provision.workers", config.provision.workers),
        ("limits.max_query_bytes", limits.max_query_bytes),
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
    if config.metrics.tenants > MAX_SERIES {
        let message = format!(
            "\"tenants\" in [metrics] is {}, and each has some ten series of its own: {MAX_SERIES} at most",
            config.metrics.tenants
        );
        problems.at(&["metrics.tenants"], message);
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

fn database(name: &str, database: &Database, place: &Place<'_>, problems: &mut Problems) {
    let path = |key: &str| format!("databases.{name}.{key}");
    for (key, text) in [
        ("host", Some(&database.host)),
        ("user", Some(&database.user)),
        ("database", database.database.as_ref()),
    ] {
        if text.is_some_and(|text| text.is_empty() || text.contains('\0')) {
            let message = format!("\"{key}\" in [databases.{name}] must not be empty or hold a NUL");
            problems.at(&[&path(key)], message);
        }
    }
    let verifies = matches!(database.tls, ServerTls::VerifyCa | ServerTls::VerifyFull);
    let demands = verifies || database.tls == ServerTls::Require;
    if demands && database.host.starts_with('/') {
        let message = format!(
            "\"tls\" in [databases.{name}] asks for TLS, which a Unix socket does not have: \
             give a host name, or leave \"tls\" out"
        );
        problems.at(&[&path("tls"), &path("host")], message);
    }
    let Some(ca) = &database.tls_ca else { return };
    readable(&path("tls_ca"), ca, place, problems);
    if !verifies {
        let message = format!(
            "\"tls_ca\" in [databases.{name}] has no effect: no certificate is verified \
             unless tls = \"verify-full\" or \"verify-ca\""
        );
        problems.at(&[&path("tls_ca"), &path("tls")], message);
    }
}

fn readable(path: &str, file: &Path, place: &Place<'_>, problems: &mut Problems) {
    if let Err(error) = place.surroundings.read(file) {
        problems.at(&[path], format!("cannot read {}: {error}", file.display()));
    }
}
