//! Whether the copy equals the source: the numbers of rows, the values of sequences, and the contents of tables.

use pgstrata_tenancy::ident::quoted;
use tokio_postgres::{Client, GenericClient, Transaction};

use super::copy::Relations;
use crate::error::Error;
use crate::name::SchemaName;
use crate::registry::literal;

/// Tables in one query: one for each would cost a round trip each.
const AT_ONCE: usize = 100;

/// Name, last value, and whether that was drawn.
pub(super) type Sequence = (String, i64, bool);

/// The error: the copy differs from the source.
pub(super) async fn compare(
    tx: &Transaction<'_>,
    to: &Client,
    schema: &SchemaName,
    relations: &Relations,
    contents: bool,
) -> Result<(), Error> {
    let (here, there) = (counts(tx, schema, relations, contents), counts(to, schema, relations, contents));
    let (here, there) = futures_util::future::try_join(here, there).await?;
    let mut differing: Vec<String> = Vec::new();
    for (one, other) in here.iter().zip(&there) {
        if one.rows != other.rows {
            differing
                .push(format!("table {} has {} rows, and {} in the copy", one.table, one.rows, other.rows));
        } else if one.sum != other.sum {
            differing.push(format!("the rows of table {} differ", one.table));
        }
    }
    let here = sequences(tx, schema, &relations.sequences).await?;
    let there = sequences(to, schema, &relations.sequences).await?;
    let moved = here.iter().zip(&there).filter(|(one, other)| one != other);
    differing.extend(moved.map(|(one, _)| format!("sequence {} differs", one.0)));
    match differing.is_empty() {
        true => Ok(()),
        false => Err(Error::Refused(format!("the copy differs from the source: {}", differing.join("; ")))),
    }
}

/// A table's number of rows, and the sum of its contents.
struct Counted {
    table: String,
    rows: i64,
    sum: Option<String>,
}

async fn counts(
    client: &impl GenericClient,
    schema: &SchemaName,
    relations: &Relations,
    contents: bool,
) -> Result<Vec<Counted>, Error> {
    // Of the text of each row, whatever the order of the rows: of the whole row, generated columns too.
    let sum = match contents {
        true => {
            "pg_catalog.sum(('x' || pg_catalog.substr(pg_catalog.md5(t::pg_catalog.text), 1, 15))::pg_catalog.bit(60)\
             ::pg_catalog.int8::pg_catalog.numeric)::pg_catalog.text"
        }
        false => "NULL::pg_catalog.text",
    };
    let one = |table: &str| {
        let (name, table) = (literal(table), quoted(table));
        format!(
            "SELECT {name} AS name, pg_catalog.count(*), {sum} FROM ONLY {}.{table} AS t",
            schema.quoted()
        )
    };
    let mut all = Vec::new();
    for tables in relations.tables.chunks(AT_ONCE) {
        let sql: Vec<String> = tables.iter().map(|(table, _)| one(table)).collect();
        let rows = client.query(&sql.join(" UNION ALL "), &[]).await;
        let rows = rows.map_err(Error::postgres("counting the rows of tables"))?;
        all.extend(rows.iter().map(|row| Counted { table: row.get(0), rows: row.get(1), sum: row.get(2) }));
    }
    all.sort_by(|one, other| one.table.cmp(&other.table));
    Ok(all)
}

/// The values of these sequences.
pub(super) async fn sequences(
    client: &impl GenericClient,
    schema: &SchemaName,
    names: &[String],
) -> Result<Vec<Sequence>, Error> {
    let one = |name: &String| {
        format!(
            "SELECT {} AS name, last_value, is_called FROM {}.{}",
            literal(name),
            schema.quoted(),
            quoted(name)
        )
    };
    let mut all = Vec::new();
    for names in names.chunks(AT_ONCE) {
        let sql: Vec<String> = names.iter().map(one).collect();
        let rows = client.query(&sql.join(" UNION ALL "), &[]).await;
        let rows = rows.map_err(Error::postgres("reading the values of sequences"))?;
        all.extend(rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))));
    }
    all.sort();
    Ok(all)
}
