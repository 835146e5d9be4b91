//! The properties of a server, read by a few queries in one read-only transaction.

use tokio_postgres::{Client, Error, Row};

/// The properties.
#[derive(Debug, Default)]
pub(super) struct Server {
    /// `server_version`.
    pub(super) version: String,
    /// The major version.
    pub(super) major: i32,
    /// The name of the database.
    pub(super) database: String,
    /// The role of the connection.
    pub(super) role: String,
    /// Whether that role is a superuser.
    pub(super) is_superuser: bool,
    /// Whether that role may create roles.
    pub(super) may_make_roles: bool,
    /// `max_connections`, the connections reserved for superusers, and the current connections.
    pub(super) connections: (i32, i32, i64),
    /// Relevant parameters, with their values.
    pub(super) settings: Vec<(String, String)>,
    /// The schemas, without those of the system.
    pub(super) schemas: Vec<Schema>,
    /// Roles that may log in.
    pub(super) logins: Vec<Login>,
}

/// A schema.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Schema {
    /// Its name.
    pub(super) name: String,
    /// The owners of the schema and of its objects, in order.
    pub(super) owners: Vec<String>,
    /// The superusers among them.
    pub(super) superusers: Vec<String>,
    /// Its tables, in order.
    pub(super) tables: Vec<String>,
    /// Extensions whose objects are in it.
    pub(super) extensions: Vec<String>,
}

/// A role that may log in.
#[derive(Debug)]
pub(super) struct Login {
    pub(super) name: String,
    pub(super) is_superuser: bool,
    pub(super) bypasses_rls: bool,
}

const ABOUT: &str = "
SELECT current_setting('server_version'), current_setting('server_version_num')::int / 10000, current_database()::text,
    r.rolname::text, r.rolsuper, r.rolsuper OR r.rolcreaterole, current_setting('max_connections')::int,
    current_setting('superuser_reserved_connections')::int,
    (SELECT sum(numbackends)::int8 FROM pg_catalog.pg_stat_database)
FROM pg_catalog.pg_roles r WHERE r.rolname = current_user";

const SETTINGS: &str = "
SELECT name::text, setting FROM pg_catalog.pg_settings
WHERE name IN ('password_encryption', 'server_encoding', 'ssl', 'standard_conforming_strings', 'search_path')
ORDER BY name";

const SCHEMAS: &str = "
WITH owners AS (
    SELECT oid AS schema, nspowner AS owner FROM pg_catalog.pg_namespace
    UNION SELECT relnamespace, relowner FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
)
SELECT n.nspname::text,
    ARRAY(SELECT r.rolname::text FROM owners o JOIN pg_catalog.pg_roles r ON r.oid = o.owner WHERE o.schema = n.oid
        AND r.rolname !~ '^pg_' ORDER BY 1),
    ARRAY(SELECT r.rolname::text FROM owners o JOIN pg_catalog.pg_roles r ON r.oid = o.owner WHERE o.schema = n.oid
        AND r.rolsuper ORDER BY 1),
    ARRAY(SELECT c.relname::text FROM pg_catalog.pg_class c WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p')
        ORDER BY 1),
    ARRAY(SELECT e.extname::text FROM pg_catalog.pg_extension e WHERE e.extnamespace = n.oid ORDER BY 1)
FROM pg_catalog.pg_namespace n
WHERE n.nspname !~ '^(pg_|pgstrata|information_schema$)' ORDER BY 1";

const LOGINS: &str = "
SELECT rolname::text, rolsuper, rolbypassrls FROM pg_catalog.pg_roles
WHERE rolcanlogin AND rolname !~ '^pg_' ORDER BY 1 LIMIT 100";

impl Server {
    /// Reads the properties. The error is PostgreSQL's.
    pub(super) async fn look(client: &Client) -> Result<Self, Error> {
        client.batch_execute("BEGIN READ ONLY; SET LOCAL search_path TO pg_catalog").await?;
        let about = client.query_one(ABOUT, &[]).await?;
        let settings = client.query(SETTINGS, &[]).await?;
        let schemas = client.query(SCHEMAS, &[]).await?;
        let logins = client.query(LOGINS, &[]).await?;
        client.batch_execute("ROLLBACK").await?;
        Ok(Self {
            version: about.get(0),
            major: about.get(1),
            database: about.get(2),
            role: about.get(3),
            is_superuser: about.get(4),
            may_make_roles: about.get(5),
            connections: (about.get(6), about.get(7), about.get(8)),
            settings: settings.iter().map(|row| (row.get(0), row.get(1))).collect(),
            schemas: schemas.iter().map(schema).collect(),
            logins: logins.iter().map(login).collect(),
        })
    }

    /// The value of a parameter; empty if it is unknown.
    pub(super) fn setting(&self, name: &str) -> &str {
        self.settings.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

fn schema(row: &Row) -> Schema {
    Schema {
        name: row.get(0),
        owners: row.get(1),
        superusers: row.get(2),
        tables: row.get(3),
        extensions: row.get(4),
    }
}

fn login(row: &Row) -> Login {
    Login { name: row.get(0), is_superuser: row.get(1), bypasses_rls: row.get(2) }
}
