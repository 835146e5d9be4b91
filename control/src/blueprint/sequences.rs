//! Sequences.

use pgstrata_tenancy::ident::quoted;
use tokio_postgres::Row;

use super::item::{Item, Kind};
use super::relations::Relations;

impl Relations<'_> {
    pub(super) fn sequence(&self, row: &Row, items: &mut Vec<Item>) {
        let oid: u32 = row.get("oid");
        let Some(sequence) =
            self.facts.sequences.iter().find(|sequence| sequence.get::<_, u32>("oid") == oid)
        else {
            return;
        };
        let name = quoted(row.get("name"));
        // An identity's comes with its table.
        if sequence.get::<_, Option<&str>>("how") == Some("i") {
            return self.identity_persistence(row, sequence, &name, items);
        }
        let persistence = if row.get::<_, &str>("persistence") == "u" { "UNLOGGED " } else { "" };
        let sql = format!(
            "CREATE {persistence}SEQUENCE {name} AS {}{}",
            sequence.get::<_, &str>("type"),
            settings(sequence)
        );
        let mut item = Item::new(Kind::Sequence, &name, sql, format!("DROP SEQUENCE {name}"));
        item.ids = self.ids(row);
        items.push(item);
        let (Some(table), Some(column)) =
            (sequence.get::<_, Option<u32>>("table_oid"), sequence.get::<_, Option<&str>>("column"))
        else {
            return;
        };
        let Some(table_name) = self.relation(table) else { return };
        let sql = format!("ALTER SEQUENCE {name} OWNED BY {table_name}.{}", quoted(column));
        let drop = format!("ALTER SEQUENCE {name} OWNED BY NONE");
        items.push(Item::new(Kind::Owned, &name, sql, drop).after(self.class(oid)).after(self.class(table)));
    }

    /// The sequence of an identity is as persistent as its table, if nothing else is set.
    pub(super) fn identity_persistence(&self, row: &Row, sequence: &Row, name: &str, items: &mut Vec<Item>) {
        let table: Option<u32> = sequence.get("table_oid");
        let table = self.facts.relations.iter().find(|row| Some(row.get::<_, u32>("oid")) == table);
        let Some(table) = table else { return };
        let word = |row: &Row| if row.get::<_, &str>("persistence") == "u" { "UNLOGGED" } else { "LOGGED" };
        if word(table) != word(row) {
            let alter = format!("ALTER SEQUENCE {name} SET");
            let (sql, undo) = (format!("{alter} {}", word(row)), format!("{alter} {}", word(table)));
            let item = Item::new(Kind::Setting, format!("PERSISTENCE ON {name}"), sql, undo);
            items.push(item.after(self.class(table.get("oid"))));
        }
    }
}

/// ` START WITH ..` and so on.
pub(super) fn settings(sequence: &Row) -> String {
    let number = |name: &str| sequence.get::<_, i64>(name);
    format!(
        " START WITH {} INCREMENT BY {} MINVALUE {} MAXVALUE {} CACHE {}{}",
        number("start"),
        number("increment"),
        number("min"),
        number("max"),
        number("cache"),
        if sequence.get("cycle") { " CYCLE" } else { "" }
    )
}
