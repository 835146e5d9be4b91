//! Schemas that are there already: which of them are tenants', and what they lack.

use pgstrata_control::blueprint::Blueprint;
use pgstrata_control::drift::Difference;
use pgstrata_control::provision::{Ensured, Failed};
use pgstrata_control::{Control, SchemaName};
use pgstrata_tenancy::ident;

use crate::{Error, Session};

/// The first key of the locks that keep two from completing one schema at once.
const LOCK: i32 = 0x7067_6f65;

/// The tables of a schema that are no extension's.
const TABLES: &str = "SELECT c.relname::pg_catalog.text FROM pg_catalog.pg_class AS c \
     JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace \
     WHERE n.nspname OPERATOR(pg_catalog.=) $1::pg_catalog.text::pg_catalog.name AND c.relkind IN ('r', 'p') \
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d WHERE d.objid OPERATOR(pg_catalog.=) c.oid \
         AND d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass AND d.deptype OPERATOR(pg_catalog.=) 'e')";

/// The schemas that have at least one table of these names.
const WITH_TABLES: &str = "SELECT DISTINCT n.nspname::pg_catalog.text FROM pg_catalog.pg_class AS c \
     JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace \
     WHERE c.relname OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.text[]::pg_catalog.name[]) AND c.relkind IN ('r', 'p')";

/// The schemas of these that have something of the source's: an empty one is no tenant's yet.
pub(super) async fn with_tables(
    control: &Control,
    session: &Session,
    mut schemas: Vec<String>,
) -> Result<Vec<String>, Error> {
    let settings = control.settings();
    let rows = session.query(TABLES, &[&settings.source]).await?;
    let mut wanted: Vec<String> = rows.iter().filter_map(|row| row.try_get(0).ok()).collect();
    let any =
        |patterns: &[crate::Pattern], table: &str| patterns.iter().any(|pattern| pattern.matches(table));
    wanted.retain(|table| {
        (settings.include.is_empty() || any(&settings.include, table)) && !any(&settings.exclude, table)
    });
    // Of a source with no tables, every schema is like.
    if wanted.is_empty() {
        return Ok(schemas);
    }
    let rows = session.query(WITH_TABLES, &[&wanted]).await?;
    let found: Vec<String> = rows.iter().filter_map(|row| row.try_get(0).ok()).collect();
    schemas.retain(|schema| found.contains(schema));
    Ok(schemas)
}

/// Makes what a schema lacks of the source. What it has in another way, or has more of, stays.
pub(super) async fn complete(
    control: &Control,
    session: &Session,
    schema: &SchemaName,
    source: &Blueprint,
) -> Result<(), Error> {
    if missing(control, schema, source).await?.is_empty() {
        return Ok(());
    }
    let tx = session.begin().await?;
    let doing = format!("completing schema \"{schema}\"");
    let mut key = String::new();
    ident::push_literal(&mut key, schema.as_str());
    tx.batch(&format!("SELECT pg_catalog.pg_advisory_xact_lock({LOCK}, pg_catalog.hashtext({key}))"), &doing)
        .await?;
    // Somebody else may have been at it.
    let missing = missing(control, schema, source).await?;
    tx.batch(&completion(control, schema, source, &missing), &doing).await?;
    tx.commit().await?;
    control.adopt(std::slice::from_ref(schema), None).await?;
    Ok(())
}

async fn missing(control: &Control, schema: &SchemaName, source: &Blueprint) -> Result<Vec<String>, Error> {
    let changes = control.diff(schema, source).await?.into_iter();
    let missing = changes.filter(|change| change.difference == Difference::Missing);
    Ok(missing.map(|change| change.sql).filter(|sql| !sql.is_empty()).collect())
}

fn completion(control: &Control, schema: &SchemaName, source: &Blueprint, missing: &[String]) -> String {
    let settings = control.settings();
    let shared = settings.shared.iter().map(String::as_str).filter(|shared| *shared != source.source);
    let path = [schema.as_str(), "pg_catalog", &source.source].into_iter().chain(shared).chain(["pg_temp"]);
    let mut sql = format!(
        "SET LOCAL client_min_messages = warning; SET LOCAL check_function_bodies = off;\n\
         SET LOCAL lock_timeout = {}; SET LOCAL search_path = {};\n",
        settings.lock_timeout.as_millis(),
        ident::search_path(path)
    );
    for change in missing {
        sql += change;
        sql += ";\n";
    }
    sql + &format!("SET LOCAL search_path = pg_catalog;\n{}", source.proof())
}

/// Completes those that were there. What fails is told of each.
pub(super) async fn complete_all(
    control: &Control,
    session: &Session,
    skipped: &mut Vec<String>,
    failed: &mut Vec<Failed>,
) -> Result<(), Error> {
    let empty = {
        let there = with_tables(control, session, skipped.clone()).await?;
        let mut empty = skipped.clone();
        empty.retain(|schema| !there.contains(schema) && *schema != control.settings().source);
        empty
    };
    if empty.is_empty() {
        return Ok(());
    }
    let source = control.structure().await?;
    for name in empty {
        let schema = SchemaName::new(&name, control.settings())?;
        if let Err(error) = complete(control, session, &schema, &source).await {
            skipped.retain(|skipped| *skipped != name);
            let sqlstate = error.sqlstate().map(|state| state.code().to_owned());
            failed.push(Failed { schema: name, reason: error.to_string(), sqlstate });
        }
    }
    Ok(())
}

/// Makes a tenant's schema, or what one that is there lacks. The source itself is whole by what it is.
pub(super) async fn ensure(control: &Control, session: &Session, tenant: &str) -> Result<Ensured, Error> {
    if tenant == control.settings().source {
        return Ok(Ensured::Existed);
    }
    let schema = SchemaName::new(tenant, control.settings())?;
    let ensured = control.ensure_schema(&schema).await?;
    if ensured == Ensured::Existed {
        complete(control, session, &schema, &control.structure().await?).await?;
    }
    Ok(ensured)
}
