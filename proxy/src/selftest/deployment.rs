//! Weaknesses of a deployment itself. Read only.

use pgstrata_control::harden::Hardening;

use super::report::Report;
use super::tenants::{Tenants, literal};
use crate::config::{Config, Database, DynamicSql, Level, MissingTenant, Mode, ServerTls};
use crate::tenant::connect::control;

/// Adds all warnings. `url` is another login than that of the file.
pub async fn warnings(
    (config, name, url): (&Config, &str, Option<&str>),
    database: &Database,
    tenants: &Tenants,
    report: &mut Report,
) -> Result<(), String> {
    of_the_file(config, database, report);
    of_the_servers_role((config, name, url), database, report).await?;
    for schema in &config.tenancy.shared_schemas {
        let owned = format!(
            "SELECT 'owns ' || count(*) || ' of its relations' FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
             WHERE r.rolname = {} AND c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = {})
             HAVING count(*) > 0",
            literal(&database.user),
            literal(schema)
        );
        for what in tenants.ask(&owned).await? {
            report.warn(format!("shared schema \"{schema}\": the servers' role {what}"));
        }
    }
    let reaching = "SELECT extname::text FROM pg_extension WHERE extname IN
        ('dblink', 'postgres_fdw', 'file_fdw', 'plpython3u', 'plperlu', 'pltclu', 'adminpack')";
    for extension in tenants.ask(reaching).await? {
        report
            .warn(format!("extension {extension} can connect to other systems, read files or run programs"));
    }
    Ok(())
}

fn of_the_file(config: &Config, database: &Database, report: &mut Report) {
    if config.tenancy.mode == Mode::Observe {
        report.warn("mode is \"observe\": the results hold only with mode = \"route\"");
    }
    if config.tenancy.missing_tenant == MissingTenant::Public {
        report.warn("missing_tenant is \"public\": a client without a tenant is no error");
    }
    if config.tenancy.shared_writes {
        report.warn("shared_writes is true: each tenant can change tables that all tenants read");
    }
    if database.tls != ServerTls::VerifyFull && !database.host.starts_with('/') {
        report.warn("tls to PostgreSQL is not \"verify-full\": the identity of the server is not verified");
    }
    for user in &config.users {
        let name = &user.name;
        if user.rights.dynamic_sql == DynamicSql::Allow {
            report.warn(format!("user \"{name}\" has dynamic_sql: its SQL in strings is not checked"));
        }
        if user.rights.tenant_switch {
            report.warn(format!(
                "user \"{name}\" has tenant_switch: an injected statement reaches each tenant that it may name"
            ));
        }
        if user.rights.statements == Level::All {
            report.warn(format!(
                "user \"{name}\" has statements = \"all\": an application needs \"write\", a migration \"ddl\""
            ));
        }
    }
}

/// The privileges of the servers' role that it does not need.
async fn of_the_servers_role(
    (config, name, url): (&Config, &str, Option<&str>),
    database: &Database,
    report: &mut Report,
) -> Result<(), String> {
    let control = control(config, name, database, url).map_err(|error| error.to_string())?;
    let Some(hardening) = Hardening::of(control.settings()) else { return Ok(()) };
    let found = control.weaknesses(&hardening).await.map_err(|error| error.to_string())?;
    for weakness in &found {
        report.warn(format!("the servers' role \"{}\" {}", database.user, weakness.what));
    }
    if !found.is_empty() {
        report.warn("SQL that revokes all of these privileges: pgstrata sql harden");
    }
    Ok(())
}
