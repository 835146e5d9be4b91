//! What a start-up packet says: user, database, tenant, settings. No I/O.

use pgstrata_tenancy::TenantId;

use super::near_miss;
use crate::config::{HostPattern, MissingTenant, Tenancy, TenantSource, is_console};
use crate::wire::encoding::check_client_encoding;
use crate::wire::options;
use crate::wire::refusal::{Refusal, sqlstate};
use crate::wire::startup::StartupParams;

/// The setting in `options`, and the start-up parameter, that name the tenant.
pub(super) const TENANT: &str = "tenant";

/// What a client says it is and wants. Nothing of it is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The user, without a tenant's suffix.
    pub user: String,
    /// The user as the client wrote it: error messages say no more than that.
    pub user_as_sent: String,
    /// The database, without a tenant's suffix.
    pub database: String,
    /// The tenant.
    pub tenant: Option<TenantId>,
    /// All other settings, each once, with their names in lower case.
    pub settings: Vec<(String, String)>,
}

/// What a packet is read against.
pub struct Rules<'a> {
    /// Where a tenant may be named.
    pub tenancy: &'a Tenancy,
    /// The host that the client has connected to, as TLS has it (SNI).
    pub host: Option<&'a str>,
    /// Whether a user of that name is configured.
    pub is_user: &'a dyn Fn(&str) -> bool,
    /// Whether a client may ask for a database of that name, the console's names included.
    pub is_database: &'a dyn Fn(&str) -> bool,
}

/// Reads the packet.
///
/// A tenant that is named where the configuration does not look for one is
/// refused, and so is a client that names two: neither is ever passed over.
pub fn claim(startup: &StartupParams, rules: &Rules<'_>) -> Result<Claim, Refusal> {
    refuse_replication(startup)?;
    refuse_doubled(startup)?;
    let mut settings = Settings::default();
    settings.read(startup)?;

    let user_as_sent = startup.get("user").unwrap_or_default();
    let (user, user_tenant) = split_user(user_as_sent, rules);
    let database = startup.get("database").filter(|name| !name.is_empty()).unwrap_or(user_as_sent);
    let (database, database_tenant) = if database == user_as_sent && !(rules.is_database)(database) {
        // libpq sends the user's name where no database was asked for, suffix and all.
        (user, None)
    } else {
        split_database(database, rules)
    };

    let named = Named {
        options: settings.tenant_option.take(),
        parameter: settings.tenant_parameter.take(),
        user: user_tenant.map(str::to_owned),
        database: database_tenant.map(str::to_owned),
        host: rules
            .host
            .zip(rules.tenancy.server_name.as_ref())
            .and_then(|(host, pattern)| pattern.tenant(host)),
    };
    Ok(Claim {
        user: user.to_owned(),
        user_as_sent: user_as_sent.to_owned(),
        database: database.to_owned(),
        tenant: match is_console(database) {
            true => named.none()?,
            false => named.choose(rules.tenancy)?,
        },
        settings: settings.others,
    })
}

/// The tenant's name in each of the places where there can be one.
struct Named {
    options: Option<String>,
    parameter: Option<String>,
    user: Option<String>,
    database: Option<String>,
    host: Option<String>,
}

impl Named {
    /// The console works for no tenant: whoever names one means something else. By what host it is reached is nobody's
    /// tenant.
    fn none(&self) -> Result<Option<TenantId>, Refusal> {
        let places = [&self.options, &self.parameter, &self.user, &self.database];
        match places.into_iter().flatten().next() {
            None => Ok(None),
            Some(tenant) => {
                let message =
                    format!("the console works for no tenant, and the connection names \"{tenant}\"");
                Err(unauthorized(message).hint("Connect without it. SHOW TENANT in the console shows one."))
            }
        }
    }

    fn choose(&self, tenancy: &Tenancy) -> Result<Option<TenantId>, Refusal> {
        self.refuse_elsewhere(tenancy)?;
        let mut names = tenancy.sources.iter().filter_map(|source| self.at(*source));
        let Some(name) = names.next() else {
            return missing(tenancy);
        };
        if names.any(|other| other != name) {
            return Err(two_tenants());
        }
        TenantId::new(name).map(Some).map_err(|error| unauthorized(error.to_string()))
    }

    fn at(&self, source: TenantSource) -> Option<&str> {
        match source {
            TenantSource::Options => self.options.as_deref(),
            TenantSource::Parameter => self.parameter.as_deref(),
            TenantSource::UserSuffix => self.user.as_deref(),
            TenantSource::DatabaseSuffix => self.database.as_deref(),
            TenantSource::ServerName => self.host.as_deref(),
        }
    }

    fn refuse_elsewhere(&self, tenancy: &Tenancy) -> Result<(), Refusal> {
        for (source, place) in
            [(TenantSource::Options, "in options"), (TenantSource::Parameter, "as a startup parameter")]
        {
            if self.at(source).is_some() && !tenancy.sources.contains(&source) {
                let message = format!("the tenant must not be named {place}");
                return Err(unauthorized(message).hint(where_to(tenancy)));
            }
        }
        Ok(())
    }
}

fn missing(tenancy: &Tenancy) -> Result<Option<TenantId>, Refusal> {
    match tenancy.missing_tenant {
        MissingTenant::Public => Ok(None),
        MissingTenant::Reject => Err(unauthorized("the connection names no tenant").hint(where_to(tenancy))),
    }
}

fn where_to(tenancy: &Tenancy) -> String {
    let separator = tenancy.separator;
    let places = tenancy.sources.iter().map(|source| match source {
        TenantSource::Options => "options=-ctenant=NAME".to_owned(),
        TenantSource::Parameter => "the startup parameter tenant=NAME".to_owned(),
        TenantSource::UserSuffix => format!("the user as USER{separator}NAME"),
        TenantSource::DatabaseSuffix => format!("the database as DATABASE{separator}NAME"),
        TenantSource::ServerName => {
            let host = tenancy.server_name.as_ref().map(HostPattern::example).unwrap_or_default();
            format!("the host as {host}, over TLS")
        }
    });
    format!("It is named by: {}.", places.collect::<Vec<_>>().join(", or "))
}

/// User and tenant. A user that nobody knows is split too, so that
/// it is treated in all ways as one that exists.
fn split_user<'a>(name: &'a str, rules: &Rules<'_>) -> (&'a str, Option<&'a str>) {
    if !rules.tenancy.sources.contains(&TenantSource::UserSuffix) {
        return (name, None);
    }
    let separator = rules.tenancy.separator;
    split(name, separator, rules.is_user).unwrap_or_else(|| match name.split_once(separator) {
        Some((user, tenant)) => (user, Some(tenant)),
        None => (name, None),
    })
}

fn split_database<'a>(name: &'a str, rules: &Rules<'_>) -> (&'a str, Option<&'a str>) {
    if !rules.tenancy.sources.contains(&TenantSource::DatabaseSuffix) {
        return (name, None);
    }
    split(name, rules.tenancy.separator, rules.is_database).unwrap_or((name, None))
}

/// The whole name if it is known, else the first separator with a known name in front of it.
fn split<'a>(
    name: &'a str,
    separator: char,
    is_known: &dyn Fn(&str) -> bool,
) -> Option<(&'a str, Option<&'a str>)> {
    if is_known(name) {
        return Some((name, None));
    }
    let places = name.match_indices(separator).filter_map(|(at, mark)| {
        let (known, rest) = name.split_at_checked(at)?;
        Some((known, rest.strip_prefix(mark)))
    });
    places.into_iter().find(|(known, _)| is_known(known))
}

/// The settings of a packet, with the tenant's taken out.
#[derive(Default)]
struct Settings {
    tenant_option: Option<String>,
    tenant_parameter: Option<String>,
    others: Vec<(String, String)>,
}

impl Settings {
    /// As `process_startup_options`: `options` first, then the packet's own parameters, which win.
    fn read(&mut self, startup: &StartupParams) -> Result<(), Refusal> {
        let options = startup.get("options").unwrap_or_default();
        for (name, value) in
            options::parse(options).map_err(|refusal| near_miss::with_hint(refusal, options))?
        {
            if name.eq_ignore_ascii_case(TENANT) {
                name_once(&mut self.tenant_option, &value)?;
            } else {
                self.set(&name, value)?;
            }
        }
        for (name, value) in &startup.params {
            if matches!(name.as_str(), "user" | "database" | "options" | "replication")
                || name.starts_with("_pq_.")
            {
                continue;
            }
            if name.eq_ignore_ascii_case(TENANT) {
                name_once(&mut self.tenant_parameter, value)?;
            } else {
                self.set(name, value.clone())?;
            }
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), Refusal> {
        let name = name.to_ascii_lowercase();
        check_setting(&name, &value)?;
        self.others.retain(|(known, _)| *known != name);
        self.others.push((name, value));
        Ok(())
    }
}

fn check_setting(name: &str, value: &str) -> Result<(), Refusal> {
    match name {
        "role" | "session_authorization" => {
            let message = format!("permission denied to set parameter \"{name}\"");
            Err(Refusal::new(sqlstate::INSUFFICIENT_PRIVILEGE, message))
        }
        "client_encoding" => check_client_encoding(value),
        _ if is_setting_name(name) => near_miss::refusal(name).map_or(Ok(()), Err),
        _ => {
            let message = format!("unrecognized configuration parameter \"{name}\"");
            Err(Refusal::new(sqlstate::UNDEFINED_OBJECT, message))
        }
    }
}

/// As `valid_custom_variable_name`, each part of it: nothing else can be a setting.
fn is_setting_name(name: &str) -> bool {
    name.split('.').all(|part| {
        let mut chars = part.chars();
        let starts = |c: char| c.is_ascii_alphabetic() || c == '_' || !c.is_ascii();
        chars.next().is_some_and(starts) && chars.all(|c| starts(c) || c.is_ascii_digit() || c == '$')
    })
}

/// Takes the tenant's name of one place. Whoever names two there is refused: neither is ever passed over.
fn name_once(place: &mut Option<String>, name: &str) -> Result<(), Refusal> {
    match place.replace(name.to_owned()) {
        Some(other) if other != name => Err(two_tenants()),
        _ => Ok(()),
    }
}

fn two_tenants() -> Refusal {
    unauthorized("the connection names two different tenants")
}

/// Each of these may hold a tenant's name, and PostgreSQL takes the last of several: nobody sees the others.
fn refuse_doubled(startup: &StartupParams) -> Result<(), Refusal> {
    for name in ["user", "database", "options"] {
        let mut values = startup.params.iter().filter(|(key, _)| key == name).map(|(_, value)| value);
        if let Some(first) = values.next()
            && values.any(|other| other != first)
        {
            let message = format!("the startup packet gives \"{name}\" twice, with different values");
            return Err(Refusal::new(sqlstate::PROTOCOL_VIOLATION, message));
        }
    }
    Ok(())
}

fn refuse_replication(startup: &StartupParams) -> Result<(), Refusal> {
    let Some(value) = startup.get("replication") else {
        return Ok(());
    };
    match parse_bool(value) {
        Some(false) => Ok(()),
        None if value != "database" => {
            let message = format!("invalid value for parameter \"replication\": \"{value}\"");
            Err(Refusal::new(sqlstate::INVALID_PARAMETER_VALUE, message))
        }
        _ => {
            let message = "replication connections are not supported";
            Err(Refusal::new(sqlstate::FEATURE_NOT_SUPPORTED, message).hint("Connect to PostgreSQL itself."))
        }
    }
}

/// As PostgreSQL's `parse_bool`: any unique beginning of a word will do.
fn parse_bool(value: &str) -> Option<bool> {
    let value = value.to_ascii_lowercase();
    let begins = |word: &str, least: usize| value.len() >= least && word.starts_with(&value);
    if begins("true", 1) || begins("yes", 1) || begins("on", 2) || value == "1" {
        Some(true)
    } else if begins("false", 1) || begins("no", 1) || begins("off", 2) || value == "0" {
        Some(false)
    } else {
        None
    }
}

fn unauthorized(message: impl Into<String>) -> Refusal {
    Refusal::new(sqlstate::INVALID_AUTHORIZATION, message)
}
