//! From the configuration to connections that may change schemas.

use std::ffi::OsString;
use std::sync::Arc;

use pgstrata_control::access::{Roles, TenantRole};
use pgstrata_control::{Control, Error, SchemaName, Settings, role_password};
use pgstrata_tenancy::Pattern;
use tokio_postgres::NoTls;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::Failure;
use crate::catalog::connection_settings;
use crate::config::{Config, Database};
use crate::net::tls::client_tls_config;
use crate::terminal;

/// The database entry of this name; without a name, the only entry.
pub fn database<'a>(config: &'a Config, name: Option<&str>) -> Result<(&'a str, &'a Database), Failure> {
    let mut entrances = config.entrances();
    match (name, entrances.next(), entrances.next()) {
        (Some(name), ..) => {
            let found = config.databases.get_key_value(name);
            let found = found.map(|(name, database)| (name.as_str(), database));
            found.ok_or_else(|| Failure::usage(format!("the configuration has no [databases.{name}]")))
        }
        (None, Some(only), None) => Ok(only),
        (None, None, _) => Err(Failure::usage("the configuration has no database: add a [databases.NAME]")),
        (None, ..) => {
            Err(Failure::usage("the configuration has several databases: name one with --database"))
        }
    }
}

/// Connections as `url` says, or as the role for control in the file, or as the servers log in.
///
/// Nothing is connected yet.
pub fn control(
    config: &Config,
    name: &str,
    database: &Database,
    url: Option<&str>,
) -> Result<Control, Failure> {
    let tls = client_tls_config(database).map_err(|error| Failure::failed(error.to_string()))?;
    let mut settings = login(name, database, url, tls.is_some())?;
    settings.application_name("pgstrata tenant");
    let (workers, source) = (config.provision.workers, settings_of(config, database));
    Ok(match tls {
        Some(tls) => Control::new(settings, MakeRustlsConnect::new((*tls).clone()), workers, source)?,
        None => Control::new(settings, NoTls, workers, source)?,
    })
}

/// A login that may change schemas, past the proxy: as `url` says, or as the role for control in the file, or as the
/// servers log in.
pub fn login(
    name: &str,
    database: &Database,
    url: Option<&str>,
    has_tls: bool,
) -> Result<tokio_postgres::Config, Failure> {
    let mut settings = match url {
        Some(url) => url.parse().map_err(|_| {
            Failure::usage("--admin-url is not a connection URL: expected postgresql://USER@HOST/DATABASE")
        })?,
        None => {
            let mut login = database.clone();
            if let Some(user) = &database.control.user {
                login.user.clone_from(user);
                login.password = database.control.password.clone();
            }
            let settings = connection_settings(name, &login, has_tls);
            settings.map_err(|error| Failure::failed(error.to_string()))?
        }
    };
    if !has_tls {
        settings.ssl_mode(SslMode::Disable);
    }
    Ok(settings)
}

/// The TLS settings of the database, as libpq's environment variables.
pub fn libpq(database: &Database) -> Vec<(&'static str, OsString)> {
    let mut variables = vec![("PGSSLMODE", database.tls.as_str().into())];
    if let Some(authorities) = &database.tls_ca {
        variables.push(("PGSSLROOTCERT", authorities.into()));
    }
    variables
}

/// What tenants of a database are made from, and who makes them, as the file says.
pub fn settings_of(config: &Config, database: &Database) -> Settings {
    let patterns = |list: &[String]| list.iter().map(|pattern| Pattern::new(pattern)).collect();
    let provision = &config.provision;
    Settings {
        source: provision.source.clone(),
        shared: config.tenancy.shared_schemas.clone(),
        include: patterns(&provision.include),
        exclude: patterns(&provision.exclude),
        seed: patterns(&provision.seed),
        proxy_role: Some(database.user.clone()),
        servers_make: database.control.user.as_ref().is_none_or(|user| *user == database.user),
        shared_writes: config.tenancy.shared_writes,
        roles: Some(roles(config, database)),
        lock_timeout: provision.lock_timeout,
        retries: provision.retries,
        warn,
    }
}

/// Tells an administrator: in the log of a proxy, or on a command's standard error.
fn warn(what: &str) {
    match tracing::dispatcher::has_been_set() {
        true => tracing::warn!(what, "registry not as it should be"),
        false => terminal::err(format_args!("pgstrata: warning: {what}\n")),
    }
}

/// Which role the tenant of a schema has, as the file says.
fn roles(config: &Config, database: &Database) -> Roles {
    let (config, servers_role) = (config.clone(), database.user.clone());
    Arc::new(move |schema| {
        let schema = schema.as_str();
        let isolation = config.isolation(Some(tenant_of(&config, schema)), schema, &servers_role);
        let isolation = isolation.map_err(|error| Error::Refused(error.to_string()))?;
        let Some(name) = isolation.role().cloned() else { return Ok(None) };
        let password = match isolation.login() {
            Some(_) => {
                let key = config.tenancy.login_key.expose();
                // Config::load has checked that there is one.
                let key =
                    key.ok_or_else(|| Error::Refused("\"login_key\" in [tenancy] is missing".into()))?;
                Some(role_password(key.as_bytes(), name.as_str()))
            }
            None => None,
        };
        Ok(Some(TenantRole { name, password }))
    })
}

/// The tenant that has this schema.
pub fn tenant_of<'a>(config: &'a Config, schema: &'a str) -> &'a str {
    let own = config.tenants.iter().find(|(_, tenant)| tenant.schema.as_deref() == Some(schema));
    own.map_or(schema, |(name, _)| name)
}

/// The schema that a tenant has or would have.
pub fn schema(config: &Config, settings: &Settings, tenant: &str) -> Result<SchemaName, Failure> {
    let own = config.tenants.get(tenant).and_then(|tenant| tenant.schema.as_deref());
    if own.is_none()
        && let Some((other, _)) =
            config.tenants.iter().find(|(_, other)| other.schema.as_deref() == Some(tenant))
    {
        return Err(Failure::failed(format!(
            "\"{tenant}\" is the schema of tenant \"{other}\": use the name \"{other}\""
        )));
    }
    Ok(SchemaName::new(own.unwrap_or(tenant), settings)?)
}
