//! What of a deployment weakens the isolation, whatever the proxy does. Read only.

use super::report::Report;
use super::tenants::Tenants;
use crate::config::{Config, Database, DynamicSql, MissingTenant, Mode, ServerTls};

fn literal(value: &str) -> String {
    let mut out = String::new();
    pgstrata_tenancy::ident::push_literal(&mut out, value);
    out
}

/// Notes all of it.
pub async fn warnings(
    config: &Config,
    database: &Database,
    tenants: &Tenants,
    report: &mut Report,
) -> Result<(), String> {
    if config.tenancy.mode == Mode::Observe {
        report.warn("mode is \"observe\": nothing of this holds until it is \"route\"");
    }
    if config.tenancy.missing_tenant == MissingTenant::Public {
        report.warn("missing_tenant is \"public\": a forgotten tenant is no error");
    }
    if config.tenancy.shared_writes {
        report.warn("shared_writes is true: each tenant changes what all tenants read");
    }
    if database.tls != ServerTls::VerifyFull && !database.host.starts_with('/') {
        report.warn("tls to PostgreSQL is not \"verify-full\": nothing proves which server it is");
    }
    for user in config.users.iter().filter(|user| user.dynamic_sql == DynamicSql::Allow) {
        report.warn(format!("user \"{}\" has dynamic_sql: its SQL in strings is not checked", user.name));
    }
    let role = literal(&database.user);
    let own = format!("r.rolname = {role}");
    let flags = format!(
        "SELECT unnest(array_remove(ARRAY[
            CASE WHEN rolsuper THEN 'is a superuser: PostgreSQL refuses nothing to it' END,
            CASE WHEN rolbypassrls THEN 'has BYPASSRLS' END,
            CASE WHEN rolcreaterole THEN 'has CREATEROLE' END,
            CASE WHEN rolreplication THEN 'has REPLICATION' END], NULL)) FROM pg_roles r WHERE {own}"
    );
    for flag in tenants.ask(&flags).await? {
        report.warn(format!("the servers' role \"{}\" {flag}", database.user));
    }
    for schema in &config.tenancy.shared_schemas {
        let name = literal(schema);
        let writable = format!(
            "SELECT 'may create objects in it' FROM pg_namespace n, pg_roles r WHERE {own} AND n.nspname = {name}
             AND has_schema_privilege(r.oid, n.oid, 'CREATE')
             UNION ALL SELECT 'owns ' || count(*) || ' of its relations' FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
             WHERE {own} AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = {name}) HAVING count(*) > 0"
        );
        for what in tenants.ask(&writable).await? {
            report.warn(format!("shared schema \"{schema}\": the servers' role {what}"));
        }
    }
    let reaching = "SELECT extname::text FROM pg_extension WHERE extname IN
        ('dblink', 'postgres_fdw', 'file_fdw', 'plpython3u', 'plperlu', 'pltclu', 'adminpack')";
    for extension in tenants.ask(reaching).await? {
        report.warn(format!("extension {extension} reaches outside of the database"));
    }
    Ok(())
}
