//! The roles of tenants, and what they may do: the tiers `role` and `login`.

use std::fmt;
use std::sync::Arc;

use pgstrata_tenancy::RoleName;
use pgstrata_tenancy::ident::quoted;

use crate::Control;
use crate::error::Error;
use crate::name::SchemaName;
use crate::registry::{block, literal, lock_key};
use crate::settings::Settings;

/// The role of one tenant.
#[derive(Clone, PartialEq, Eq)]
pub struct TenantRole {
    /// Its name.
    pub name: RoleName,
    /// What it logs in with; `None` for one that nobody logs in as.
    pub password: Option<String>,
}

impl fmt::Debug for TenantRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantRole").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Which role the tenant with this schema has; `None` where the proxy alone keeps it apart.
pub type Roles = Arc<dyn Fn(&SchemaName) -> Result<Option<TenantRole>, Error> + Send + Sync>;

/// What a tenant's role may do with each kind of thing in its schema.
const PRIVILEGES: [(&str, &str); 3] = [
    ("TABLES", "SELECT, INSERT, UPDATE, DELETE"),
    ("SEQUENCES", "USAGE, SELECT, UPDATE"),
    ("ROUTINES", "EXECUTE"),
];

impl Settings {
    /// The role that the tenant has.
    pub fn role(&self, schema: &SchemaName) -> Result<Option<TenantRole>, Error> {
        self.roles.as_ref().map_or(Ok(None), |roles| roles(schema))
    }

    /// SQL that makes the tenant's role, if there is none, and gives it its schema and nothing else. Run again,
    /// it gives what is lacking.
    ///
    /// What is made later in the schema by the one who runs this, a migration say, is the role's to use as well.
    pub(crate) fn grants(&self, schema: &SchemaName) -> Result<String, Error> {
        let Some(role) = self.role(schema)? else { return Ok(String::new()) };
        let (name, schema) = (role.name.quoted(), schema.quoted());
        let mut sql = block(&format!(
            "BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {}) THEN CREATE ROLE {name}; END IF; END",
            literal(role.name.as_str())
        ));
        sql += ";\n";
        if let Some(password) = &role.password {
            sql += &format!("ALTER ROLE {name} LOGIN PASSWORD {};\n", literal(password));
        }
        if let (Some(servers), None) = (self.proxy_role.as_deref(), &role.password) {
            sql += &membership(role.name.as_str(), servers);
        }
        sql += &format!(
            "REVOKE ALL ON SCHEMA {schema} FROM PUBLIC;\nGRANT USAGE ON SCHEMA {schema} TO {name};\n"
        );
        for (kind, privileges) in PRIVILEGES {
            sql += &format!(
                "GRANT {privileges} ON ALL {kind} IN SCHEMA {schema} TO {name};\n\
                 ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT {privileges} ON {kind} TO {name};\n"
            );
        }
        for shared in &self.shared {
            sql += &usage_where_it_can(shared, &role.name);
        }
        Ok(sql)
    }

    /// SQL that gives a tenant's role the name that it has under its new one, and all that it needs there.
    pub(crate) fn renamed_role(&self, from: &SchemaName, to: &SchemaName) -> Result<String, Error> {
        let (Some(old), Some(new)) = (self.role(from)?, self.role(to)?) else { return self.grants(to) };
        let (was, is) = (literal(old.name.as_str()), literal(new.name.as_str()));
        let rename = block(&format!(
            "BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = {was}) AND {was} <> {is} THEN \
             ALTER ROLE {} RENAME TO {}; END IF; END",
            old.name.quoted(),
            new.name.quoted()
        ));
        Ok(format!("{rename};\n{}", self.grants(to)?))
    }

    /// SQL that takes the tenant's role away, once its schema is gone.
    pub(crate) fn ungrants(&self, schema: &SchemaName) -> Result<String, Error> {
        let Some(role) = self.role(schema)? else { return Ok(String::new()) };
        let (name, text) = (role.name.quoted(), literal(role.name.as_str()));
        // What it was given on shared schemas would keep it; what it owns elsewhere does, and is said.
        Ok(block(&format!(
            "DECLARE shared text; BEGIN IF EXISTS (SELECT FROM pg_roles WHERE rolname = {text}) THEN\n\
             FOR shared IN SELECT quote_ident(n.nspname) FROM pg_namespace n, aclexplode(n.nspacl) a\n\
                 WHERE a.grantee = (SELECT oid FROM pg_roles WHERE rolname = {text})\n\
             LOOP PERFORM pg_advisory_xact_lock({}); EXECUTE 'REVOKE ALL ON SCHEMA ' || shared || ' FROM ' || quote_ident({text}); END LOOP;\n\
             DROP ROLE {name}; END IF; END",
            lock_key(GRANTS)
        )) + ";\n")
    }
}

/// The servers' role may become the tenant's, and has nothing of it before it does.
fn membership(role: &str, servers: &str) -> String {
    let grant = literal(&format!("GRANT {} TO {}", quoted(role), quoted(servers)));
    let body = format!(
        "BEGIN EXECUTE {grant} || CASE WHEN current_setting('server_version_num')::int >= 160000 \
         THEN ' WITH INHERIT FALSE, SET TRUE' ELSE '' END; END"
    );
    block(&body) + ";\n"
}

/// No schema is called that: what keeps those apart who change privileges on what all share, which PostgreSQL
/// does not ("tuple concurrently updated").
const GRANTS: &str = "";

/// `USAGE` on a shared schema, unless everybody has it; whose schema it is may be somebody else.
fn usage_where_it_can(shared: &str, role: &RoleName) -> String {
    let (schema, name) = (literal(shared), literal(role.as_str()));
    let grant = literal(&format!("GRANT USAGE ON SCHEMA {} TO {}", quoted(shared), role.quoted()));
    let body = format!(
        "BEGIN IF EXISTS (SELECT FROM pg_namespace WHERE nspname = {schema}) \
         AND NOT has_schema_privilege({name}::text::name, {schema}, 'USAGE') THEN \
         PERFORM pg_advisory_xact_lock({}); EXECUTE {grant}; END IF; END",
        lock_key(GRANTS)
    );
    block(&body) + ";\n"
}

impl Control {
    /// Gives a tenant that is there the role that it is to have, and what that may do.
    pub async fn grant_role(&self, schema: &SchemaName) -> Result<(), Error> {
        let grants = self.settings().grants(schema)?;
        if grants.is_empty() {
            return Ok(());
        }
        let client = self.client().await?;
        let sql = format!("BEGIN; SET LOCAL client_min_messages = error;\n{grants}COMMIT");
        self.persistently(&client, &sql)
            .await
            .map_err(Error::postgres(format!("giving \"{schema}\" its role")))
    }

    /// Takes the role of a tenant away whose schema is gone.
    pub async fn drop_role(&self, schema: &SchemaName) -> Result<(), Error> {
        let sql = self.settings().ungrants(schema)?;
        let client = self.client().await?;
        client
            .batch_execute(&format!("BEGIN;\n{sql}COMMIT"))
            .await
            .map_err(Error::postgres(format!("dropping the role of \"{schema}\"")))
    }
}

/// Whether a statement about privileges is about this role alone.
pub(crate) fn is_about(sql: &str, role: &RoleName) -> bool {
    let sql = sql.strip_suffix(" WITH GRANT OPTION").unwrap_or(sql);
    // PostgreSQL quotes a name where it must.
    let rest = sql.strip_suffix(&role.quoted()).or_else(|| sql.strip_suffix(role.as_str()));
    rest.is_some_and(|rest| rest.ends_with(" TO ") || rest.ends_with(" FROM "))
}
