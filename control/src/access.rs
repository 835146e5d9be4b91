//! The roles of tenants and their privileges, for the tiers `role` and `login`.

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
    /// The password; `None` for a role without login.
    pub password: Option<String>,
}

impl fmt::Debug for TenantRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantRole").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The role of the tenant with this schema; `None` in the tier `names`.
pub type Roles = Arc<dyn Fn(&SchemaName) -> Result<Option<TenantRole>, Error> + Send + Sync>;

/// The privileges of a tenant's role on each kind of object in its schema.
const PRIVILEGES: [(&str, &str); 3] = [
    ("TABLES", "SELECT, INSERT, UPDATE, DELETE"),
    ("SEQUENCES", "USAGE, SELECT, UPDATE"),
    ("ROUTINES", "EXECUTE"),
];

impl Settings {
    /// The tenant's role.
    pub fn role(&self, schema: &SchemaName) -> Result<Option<TenantRole>, Error> {
        self.roles.as_ref().map_or(Ok(None), |roles| roles(schema))
    }

    /// SQL that creates the tenant's role if it does not exist; it has no privileges then.
    pub(crate) fn creates_role(&self, schema: &SchemaName) -> Result<String, Error> {
        let Some(role) = self.role(schema)? else { return Ok(String::new()) };
        let name = role.name.quoted();
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
        Ok(sql)
    }

    /// SQL that creates the tenant's role if it does not exist, and grants it privileges on its schema only. Running
    /// it again grants missing privileges.
    ///
    /// Objects that the current role creates in the schema later, in a migration for example, are covered by default
    /// privileges.
    pub(crate) fn grants(&self, schema: &SchemaName) -> Result<String, Error> {
        let Some(role) = self.role(schema)? else { return Ok(String::new()) };
        let mut sql = self.creates_role(schema)?;
        let (name, schema) = (role.name.quoted(), schema.quoted());
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

    /// SQL that renames a tenant's role for its new name, and grants its privileges there.
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

    /// SQL that drops the tenant's role after its schema is gone.
    pub(crate) fn ungrants(&self, schema: &SchemaName) -> Result<String, Error> {
        let Some(role) = self.role(schema)? else { return Ok(String::new()) };
        let (name, text) = (role.name.quoted(), literal(role.name.as_str()));
        // Privileges on shared schemas would prevent the drop and are revoked; objects elsewhere prevent it and are
        // reported.
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

/// The servers' role can set the tenant's role, and does not inherit its privileges.
fn membership(role: &str, servers: &str) -> String {
    let grant = literal(&format!("GRANT {} TO {}", quoted(role), quoted(servers)));
    let body = format!(
        "BEGIN EXECUTE {grant} || CASE WHEN current_setting('server_version_num')::int >= 160000 \
         THEN ' WITH INHERIT FALSE, SET TRUE' ELSE '' END; END"
    );
    block(&body) + ";\n"
}

/// A lock key that is no schema's name. It serializes changes of privileges on shared objects, because PostgreSQL
/// does not ("tuple concurrently updated").
const GRANTS: &str = "";

/// `USAGE` on a shared schema, unless `PUBLIC` has it; the schema may have another owner.
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
    /// Creates the role of an existing tenant, and grants its privileges.
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

    /// Drops the role of a tenant whose schema is gone.
    pub async fn drop_role(&self, schema: &SchemaName) -> Result<(), Error> {
        let sql = self.settings().ungrants(schema)?;
        let client = self.client().await?;
        client
            .batch_execute(&format!("BEGIN;\n{sql}COMMIT"))
            .await
            .map_err(Error::postgres(format!("dropping the role of \"{schema}\"")))
    }
}

/// Whether a statement about privileges concerns this role only.
pub(crate) fn is_about(sql: &str, role: &RoleName) -> bool {
    let sql = sql.strip_suffix(" WITH GRANT OPTION").unwrap_or(sql);
    // PostgreSQL quotes a name only if necessary.
    let rest = sql.strip_suffix(&role.quoted()).or_else(|| sql.strip_suffix(role.as_str()));
    rest.is_some_and(|rest| rest.ends_with(" TO ") || rest.ends_with(" FROM "))
}
