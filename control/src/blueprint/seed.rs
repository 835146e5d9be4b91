//! Rows that come along, and how far the sequences behind them have counted.

use pgstrata_tenancy::ident::quoted;
use tokio_postgres::Row;

use super::item::{Item, Kind, ObjectId};
use super::read::Facts;
use super::relations::literal;

/// Copies of the rows of the tables that are `wanted`.
pub(super) fn items(facts: &Facts, wanted: &dyn Fn(&str) -> bool) -> Vec<Item> {
    let source = quoted(&facts.name);
    let id = |oid: u32| ObjectId { class: facts.classes.pg_class, oid };
    let mut items = Vec::new();
    let mut seeded = Vec::new();
    for row in &facts.relations {
        let (oid, kind): (u32, &str) = (row.get("oid"), row.get("kind"));
        if !matches!(kind, "r" | "p") || !comes_along(facts, row, wanted) {
            continue;
        }
        seeded.push(oid);
        // Its partitions have its rows. Those on other servers stay where they are.
        if kind == "p" {
            continue;
        }
        let columns = facts.columns.iter().filter(|column| {
            column.get::<_, u32>("relation") == oid && column.get::<_, &str>("generated").is_empty()
        });
        let (columns, values): (Vec<String>, Vec<String>) =
            columns.map(|column| value(facts, column)).unzip();
        let table = quoted(row.get("name"));
        let (columns, values) = (columns.join(", "), values.join(", "));
        let sql = match columns.is_empty() {
            true => format!("INSERT INTO {table} SELECT FROM ONLY {source}.{table}"),
            false => format!(
                "INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE SELECT {values} FROM ONLY {source}.{table}"
            ),
        };
        items.push(Item::new(Kind::Seed, &table, sql, String::new()).after(id(oid)));
    }
    for row in &facts.sequences {
        let (oid, owner): (u32, Option<u32>) = (row.get("oid"), row.get("table_oid"));
        let relation = facts.relations.iter().find(|relation| relation.get::<_, u32>("oid") == oid);
        let Some(name) = relation.map(|relation| relation.get::<_, &str>("name")) else { continue };
        if owner.map_or_else(|| !wanted(name), |owner| !seeded.contains(&owner)) {
            continue;
        }
        let quoted = quoted(name);
        let sql = format!(
            "SELECT pg_catalog.setval({}::pg_catalog.regclass, last_value, is_called) FROM {source}.{quoted}",
            literal(&quoted)
        );
        let item = Item::new(Kind::Seed, format!("SEQUENCE {quoted}"), sql, String::new());
        items.push(item.after(id(oid)).after(id(owner.unwrap_or(oid))));
    }
    items
}

/// Whether a table, or the partitioned table to which it belongs, is wanted.
fn comes_along(facts: &Facts, table: &Row, wanted: &dyn Fn(&str) -> bool) -> bool {
    let parent = || {
        let oid: u32 = table.get("oid");
        let parent = facts.parents.iter().find(|row| row.get::<_, u32>("child") == oid)?;
        facts.relations.iter().find(|row| row.get::<_, u32>("oid") == parent.get::<_, u32>("parent"))
    };
    wanted(table.get("name"))
        || table.get("is_partition") && parent().is_some_and(|parent| comes_along(facts, parent, wanted))
}

/// A column's name, and what is read of it: a value of one of the schema's own types becomes one of the
/// tenant's type of that name. By the types' own input and output, whatever casts there are from and to text:
/// `format` asks for the one, and of varchar nobody casts in another way.
fn value(facts: &Facts, column: &Row) -> (String, String) {
    let name = quoted(column.get("name"));
    let key = (column.get("relation"), column.get("number"));
    match facts.printed.column_types.get(&key) {
        Some(ty) if column.get("own_type") => (
            name.clone(),
            format!(
                "CASE WHEN pg_catalog.int4eq(pg_catalog.num_nulls({name}), 0) \
                     THEN pg_catalog.format('%s', {name})::pg_catalog.varchar::{ty} END"
            ),
        ),
        // It is printed with its schema, as the tenant's own hides it, and found again without.
        Some(ty) if column.get("is_id") => (
            name.clone(),
            format!(
                "pg_catalog.replace({name}::pg_catalog.text, pg_catalog.concat(pg_catalog.quote_ident({}), '.'), '')::{ty}",
                literal(&facts.name)
            ),
        ),
        _ => (name.clone(), name),
    }
}
