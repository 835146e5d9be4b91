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
        if !matches!(kind, "r" | "p") || !wanted(row.get("name")) {
            continue;
        }
        seeded.push(oid);
        // A partition's rows come with its table's.
        if row.get("is_partition") {
            continue;
        }
        let columns = facts.columns.iter().filter(|column| {
            column.get::<_, u32>("relation") == oid && column.get::<_, &str>("generated").is_empty()
        });
        let (columns, values): (Vec<String>, Vec<String>) =
            columns.map(|column| value(facts, column)).unzip();
        let table = quoted(row.get("name"));
        let only = if kind == "r" { "ONLY " } else { "" };
        let (columns, values) = (columns.join(", "), values.join(", "));
        let sql = match columns.is_empty() {
            true => format!("INSERT INTO {table} SELECT FROM {only}{source}.{table}"),
            false => format!(
                "INSERT INTO {table} ({columns}) OVERRIDING SYSTEM VALUE SELECT {values} FROM {only}{source}.{table}"
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

/// A column's name, and what is read of it: a value of one of the schema's own types becomes one of the
/// tenant's type of that name.
fn value(facts: &Facts, column: &Row) -> (String, String) {
    let name = quoted(column.get("name"));
    let key = (column.get("relation"), column.get("number"));
    match facts.printed.column_types.get(&key) {
        Some(ty) if column.get("own_type") => (name.clone(), format!("{name}::pg_catalog.text::{ty}")),
        _ => (name.clone(), name),
    }
}
