//! The written configuration, and the SQL for its roles.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use pgstrata_tenancy::ident::quoted;

use super::look::{Schema, Server};
use super::tenants::{Sorted, sort};
use super::{Args, Place};

/// The oldest and the newest PostgreSQL that pgstrata is tested with.
const TESTED: std::ops::RangeInclusive<i32> = 15..=18;
/// The environment variables of the passwords, in the configuration and in the SQL.
const SERVERS_PASSWORD: &str = "PGSTRATA_SERVERS_PASSWORD";
const OWNER_PASSWORD: &str = "PGSTRATA_OWNER_PASSWORD";
const USER_PASSWORD: &str = "PGSTRATA_USER_PASSWORD";
/// The maximum number of listed names of one kind.
const LISTED: usize = 20;
/// The largest `max_servers` that is written.
const FEW_SERVERS: i32 = 20;

/// The configuration file, with the inspected properties as comments.
pub(super) fn configuration(args: &Args, place: &Place, server: &Server) -> String {
    let sorted = sort(&server.schemas);
    let seen = comments(&seen(server, &sorted));
    let (most, reserved, now) = server.connections;
    let servers = ((most - reserved) / 2).clamp(1, FEW_SERVERS);
    let shared = sorted.shared.iter().filter(|schema| schema.name != "public");
    let shared: Vec<_> =
        std::iter::once("public").chain(shared.map(|schema| &*schema.name)).map(toml).collect();
    let include = include(&sorted);
    let (source, mark) = match sorted.source {
        Some(source) => (source.name.as_str(), ""),
        None => ("template", "## "),
    };
    let database = toml(&server.database);
    format!(
        "# Written by `pgstrata init`. Every key there is: config/pgstrata.toml; what they mean: docs/configuration.md.
{seen}
[listen]
# Where clients connect. \"0.0.0.0:6432\" listens on all addresses.
address = \"127.0.0.1:6432\"

[pool]
# Connections to PostgreSQL at most. It takes {most}, {reserved} of them for superusers only; {now} are in use now.
max_servers = {servers}

[tenancy]
# A forgotten tenant is an error, and not somebody else's data.
missing_tenant = \"reject\"
# Behind the tenant's own schema on its search path.
shared_schemas = [{shared}]

# What `pgstrata tenant create` makes new tenants from. No client is let in to it, but for `public`.
[provision]
{mark}source = {source}
{include}
[databases.{database}]
host = {host}
port = {port}
# The role that servers log in as. It owns nothing, and is no superuser.
user = {role}
password_env = \"{SERVERS_PASSWORD}\"
# As libpq's sslmode. Only \"verify-full\" proves which server it is.
tls = \"{tls}\"

# The role that makes and changes tenants.
[databases.{database}.control]
user = {owner}
password_env = \"{OWNER_PASSWORD}\"

# The application, as it logs in to the proxy.
[[users]]
name = {user}
password_env = \"{USER_PASSWORD}\"
tenants = [\"*\"]
# Rows, and nothing else: `pgstrata tenant migrate` changes tables.
statements = \"write\"
",
        shared = shared.join(", "),
        source = toml(source),
        host = toml(&place.host),
        port = place.port,
        role = toml(&args.role),
        tls = place.tls.as_str(),
        owner = toml(&args.owner),
        user = toml(&args.user),
    )
}

/// The tables of the source that tenants have, if the source has others as well.
fn include(sorted: &Sorted<'_>) -> String {
    let (Some(source), Some(tenant)) = (sorted.source, sorted.tenants.first()) else { return String::new() };
    if source.tables == tenant.tables {
        return String::new();
    }
    let tables: Vec<_> = tenant.tables.iter().map(|table| toml(table)).collect();
    format!(
        "# Its other tables are shared: tenants have no copy of them.\ninclude = [{}]\n",
        tables.join(", ")
    )
}

/// The inspected properties, with warnings.
fn seen(server: &Server, sorted: &Sorted<'_>) -> String {
    let mut text = format!("PostgreSQL {}, database {}.\n", server.version, server.database);
    if !TESTED.contains(&server.major) {
        let _ = writeln!(
            text,
            "WARNING: pgstrata is tested with PostgreSQL {} to {}.",
            TESTED.start(),
            TESTED.end()
        );
    }
    if server.setting("server_encoding") != "UTF8" {
        let encoding = server.setting("server_encoding");
        let _ = writeln!(
            text,
            "WARNING: the encoding is {encoding}: names with non-ASCII characters are refused."
        );
    }
    if server.setting("standard_conforming_strings") != "on" {
        text += "WARNING: standard_conforming_strings is off; pgstrata sets it to on.\n";
    }
    if server.setting("password_encryption") != "scram-sha-256" {
        text += "WARNING: password_encryption is not scram-sha-256: set it before you create the roles.\n";
    }
    if !server.may_make_roles {
        let _ = writeln!(text, "Role {} may not create roles: run the SQL as another role.", server.role);
    }
    text += &line("Probable tenants (schemas with the same tables)", &names(&sorted.tenants));
    if let Some(tenant) = sorted.tenants.first() {
        text += &line("Their tables", &tenant.tables);
    }
    text += &line("Other schemas", &names(&sorted.others));
    let strong = server.logins.iter().filter(|login| login.is_superuser || login.bypasses_rls);
    let strong: Vec<_> = strong.map(|login| login.name.clone()).collect();
    text += &line("Superusers, and roles with BYPASSRLS (never use them for the proxy's servers)", &strong);
    if server.is_superuser {
        let _ = writeln!(text, "Inspected as {}, a superuser.", server.role);
    }
    text
}

/// The SQL that creates the roles of the configuration, for psql: passwords come from the environment.
pub(super) fn roles(args: &Args, server: &Server) -> String {
    let sorted = sort(&server.schemas);
    let (role, owner) = (quoted(&args.role), quoted(&args.owner));
    let database = quoted(&server.database);
    let mut sql = format!(
        "-- The roles of pgstrata's configuration. Read it, then run it as an administrator, with the passwords in
-- {SERVERS_PASSWORD} and {OWNER_PASSWORD}:  psql -X -f roles.sql {name}
\\set ON_ERROR_STOP on
\\getenv servers_password {SERVERS_PASSWORD}
\\getenv owner_password {OWNER_PASSWORD}
BEGIN;

-- The proxy's servers log in as the first role, which owns nothing. The second role creates and changes tenants.
CREATE ROLE {role} LOGIN PASSWORD :'servers_password';
CREATE ROLE {owner} LOGIN PASSWORD :'owner_password';
GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {role};
GRANT CONNECT, CREATE ON DATABASE {database} TO {owner};
",
        name = in_comment(&server.database),
    );
    sql += &shared(&sorted, &role, &owner);
    let source = sorted.source.filter(|source| source.name != "public");
    for schema in sorted.tenants.iter().copied().chain(source) {
        sql += &rights(schema, &role);
    }
    sql += &memberships(&sorted, &owner);
    sql += "\nCOMMIT;\n";
    sql
}

/// Privileges on shared schemas.
fn shared(sorted: &Sorted<'_>, role: &str, owner: &str) -> String {
    let mut sql = "\n-- Shared schemas, which all tenants read.\n".to_owned();
    for schema in &sorted.shared {
        let name = quoted(&schema.name);
        let _ = writeln!(sql, "GRANT USAGE ON SCHEMA {name} TO {role}, {owner};");
        if !schema.tables.is_empty() {
            let _ = writeln!(sql, "GRANT SELECT ON ALL TABLES IN SCHEMA {name} TO {role}, {owner};");
        }
    }
    sql
}

/// Privileges on one schema, including future tables.
fn rights(schema: &Schema, role: &str) -> String {
    let name = quoted(&schema.name);
    let mut sql = format!(
        "
GRANT USAGE ON SCHEMA {name} TO {role};
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {name} TO {role};
GRANT USAGE ON ALL SEQUENCES IN SCHEMA {name} TO {role};
"
    );
    for owner in schema.owners.iter().map(|owner| quoted(owner)) {
        let later = format!("ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {name} GRANT");
        let _ = writeln!(sql, "{later} SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role};");
        let _ = writeln!(sql, "{later} USAGE ON SEQUENCES TO {role};");
    }
    sql
}

/// The role that changes tenants must be a member of their owners.
fn memberships(sorted: &Sorted<'_>, owner: &str) -> String {
    let schemas = || sorted.tenants.iter().copied().chain(sorted.source);
    let superusers: BTreeSet<&String> = schemas().flat_map(|schema| &schema.superusers).collect();
    let owners: BTreeSet<&String> = schemas().flat_map(|schema| &schema.owners).collect();
    let mut sql = "\n-- The owners of tenants' schemas and objects.\n".to_owned();
    for name in owners.difference(&superusers) {
        let _ = writeln!(sql, "GRANT {} TO {owner};", quoted(name));
    }
    for name in superusers {
        let _ = writeln!(
            sql,
            "-- {} is a superuser: `pgstrata tenant` cannot change its objects there before another role owns them.",
            in_comment(&quoted(name))
        );
    }
    sql
}

/// The next steps.
pub(super) fn next(file: &Path) -> String {
    let file = file.display();
    format!(
        "pgstrata: {file} is written. Set {SERVERS_PASSWORD}, {OWNER_PASSWORD} and {USER_PASSWORD}, run the SQL, then:
  pgstrata check --config {file}
  pgstrata serve --config {file}
"
    )
}

fn names(schemas: &[&Schema]) -> Vec<String> {
    schemas.iter().map(|schema| schema.name.clone()).collect()
}

/// A line with a list; empty for an empty list.
fn line(what: &str, names: &[String]) -> String {
    let more = names.len().saturating_sub(LISTED);
    let listed: Vec<_> = names.iter().take(LISTED).map(String::as_str).collect();
    match (listed.is_empty(), more) {
        (true, _) => String::new(),
        (false, 0) => format!("{what}: {}.\n", listed.join(", ")),
        (false, more) => format!("{what}: {} and {more} more.\n", listed.join(", ")),
    }
}

fn comments(text: &str) -> String {
    text.lines().map(|line| format!("# {}\n", in_comment(line))).collect()
}

/// A name without control characters, which cannot end a comment.
fn in_comment(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

/// A string, or a key, of TOML.
fn toml(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
