//! Names: of tenants, schemas and databases, and what parts them in a suffix.

use std::collections::BTreeMap;

use pgstrata_tenancy::{TenantId, is_system_schema};

use crate::problem::Problems;
use crate::{CONSOLES, Config, ListenTls, TablePlace, Tenancy, TenantSource};

/// Reports names that PostgreSQL can't hold, and names that could mean two things.
pub(super) fn check(config: &Config, problems: &mut Problems) {
    sources(&config.tenancy, problems);
    shared_schemas(&config.tenancy.shared_schemas, problems);
    tenants(config, problems);
    consoles(config, problems);
    tables("tenancy", &config.tenancy.tables, config, problems);
    for (name, tenant) in &config.tenants {
        tables(&format!("tenants.{name}"), &tenant.tables, config, problems);
    }
    suffixes(config, problems);
    server_name(config, problems);
}

fn sources(tenancy: &Tenancy, problems: &mut Problems) {
    let path = &["tenancy.sources"];
    if tenancy.sources.is_empty() {
        let message = "\"sources\" in [tenancy] is empty, so that nobody could name a tenant: \
                       list at least one, such as [\"options\"]";
        problems.at(path, message);
    }
    if has_duplicates(&tenancy.sources) {
        problems.at(path, "\"sources\" in [tenancy] lists one place twice: leave one out");
    }
    let c = tenancy.separator;
    if c.is_alphanumeric() || c.is_whitespace() || c.is_control() || c == '_' {
        let message = "\"separator\" in [tenancy] must not be a letter, a digit, \"_\" or a blank: \
                       names are made of these; take \".\", say";
        problems.at(&["tenancy.separator"], message);
    }
}

fn shared_schemas(schemas: &[String], problems: &mut Problems) {
    let path = &["tenancy.shared_schemas"];
    for schema in schemas {
        if let Err(reason) = usable_schema(schema) {
            problems.at(path, format!("\"{schema}\" in \"shared_schemas\": {reason}"));
        }
    }
    if has_duplicates(schemas) {
        problems.at(path, "\"shared_schemas\" in [tenancy] lists one schema twice: leave one out");
    }
}

fn tenants(config: &Config, problems: &mut Problems) {
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, tenant) in &config.tenants {
        let table = format!("tenants.{name}");
        let schema = tenant.schema.as_deref().unwrap_or(name);
        let place = format!("{table}.schema");
        let paths: &[&str] = match tenant.schema {
            Some(_) => &[&place],
            None => &[&table],
        };
        if let Err(error) = TenantId::new(name) {
            problems.at(&[&table], format!("[{table}]: {error}"));
        } else if let Err(reason) = usable_schema(schema) {
            problems.at(paths, format!("schema \"{schema}\" of [{table}]: {reason}"));
        } else if config.tenancy.shared_schemas.iter().any(|shared| shared == schema) {
            let message = format!(
                "schema \"{schema}\" of [{table}] is one of \"shared_schemas\", which all tenants \
                 read: give the tenant a schema of its own"
            );
            problems.at(paths, message);
        }
        if let Some(other) = owners.insert(schema, name) {
            let message = format!(
                "[{table}] and [tenants.{other}] have one schema, \"{schema}\", and would see each \
                 other's rows: give each its own"
            );
            problems.at(paths, message);
        }
    }
}

/// The console's names are no database's.
fn consoles(config: &Config, problems: &mut Problems) {
    for name in CONSOLES {
        if config.databases.contains_key(name) {
            let message = format!(
                "[databases.{name}] has a name by which clients ask for the console: give it another, with \
                 database = \"{name}\" in it"
            );
            problems.at(&[&format!("databases.{name}")], message);
        }
    }
}

/// Tables that are kept elsewhere: `[section.tables]`.
fn tables(section: &str, tables: &BTreeMap<String, TablePlace>, config: &Config, problems: &mut Problems) {
    for (name, place) in tables {
        let path = format!("{section}.tables.{name}");
        let mut say = |message: &str| {
            problems.at(&[&path], format!("\"{name}\" in [{section}.tables]: {message}"));
        };
        // A name goes into a comment where the client's text has it.
        if name.contains("/*") || name.contains("*/") {
            say("a name with the signs of a comment in it can't be kept elsewhere");
        }
        for name in [name, &place.table] {
            if let Err(error) = TenantId::new(name) {
                say(&error.to_string().replace("tenant name", "table name"));
            }
        }
        match &place.schema {
            Some(schema) if !config.tenancy.shared_schemas.contains(schema) => say(&format!(
                "schema \"{schema}\" is not one of \"shared_schemas\": list it there, or leave it \
                 out for the tenant's own"
            )),
            None if *name == place.table => {
                say("that is where it is anyhow: give another name, or a shared schema");
            }
            _ => {}
        }
    }
}

/// A name that holds the separator could be read in two ways.
fn suffixes(config: &Config, problems: &mut Problems) {
    let Tenancy { sources, separator, .. } = &config.tenancy;
    if sources.contains(&TenantSource::DatabaseSuffix) {
        let entrances = config.entrances().map(|(name, _)| name);
        for name in entrances.filter(|name| name.contains(*separator)) {
            let message = format!(
                "[databases.{name}] holds the separator \"{separator}\", which starts a tenant's \
                 name there: rename it, or change \"separator\" in [tenancy]"
            );
            problems.at(&[&format!("databases.{name}"), "tenancy.separator"], message);
        }
    }
    if sources.contains(&TenantSource::UserSuffix) {
        for (i, user) in config.users.iter().enumerate() {
            if !user.name.contains(*separator) {
                continue;
            }
            let message = format!(
                "user \"{}\" holds the separator \"{separator}\", which starts a tenant's name \
                 there: rename it, or change \"separator\" in [tenancy]",
                user.name
            );
            problems.at(&[&format!("users[{i}].name"), "tenancy.separator"], message);
        }
    }
}

/// A source that nothing can name a tenant by, and hosts that are no source.
fn server_name(config: &Config, problems: &mut Problems) {
    let Tenancy { sources, server_name, .. } = &config.tenancy;
    let paths = ["tenancy.server_name", "tenancy.sources"];
    let message = match (sources.contains(&TenantSource::ServerName), server_name) {
        (true, None) => {
            "the source \"server_name\" needs the hosts that name a tenant: server_name = \"*.db.example.com\" in [tenancy]"
        }
        (true, Some(_)) if config.listen.tls == ListenTls::Off => {
            "the source \"server_name\" needs TLS, in which clients name the host: set \"tls\" in [listen]"
        }
        (false, Some(_)) => {
            "\"server_name\" in [tenancy] has no effect: add it to \"sources\", or take it out"
        }
        _ => return,
    };
    problems.at(&paths, message);
}

fn usable_schema(schema: &str) -> Result<(), String> {
    if let Err(error) = TenantId::new(schema) {
        return Err(error.to_string().replace("tenant name", "schema name"));
    }
    if is_system_schema(schema) {
        return Err("it is one of PostgreSQL's own schemas, or of pgstrata's: give another".into());
    }
    Ok(())
}

fn has_duplicates<T: PartialEq>(list: &[T]) -> bool {
    list.iter().enumerate().any(|(i, item)| list.iter().skip(i + 1).any(|other| other == item))
}
