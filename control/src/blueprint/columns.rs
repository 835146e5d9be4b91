//! Columns of tables: types, defaults, identities, NOT NULL.

use pgstrata_tenancy::ident::quoted;
use tokio_postgres::Row;

use super::item::{Kind, ObjectId, Part};
use super::relations::Relations;
use super::sequences::settings;

impl Relations<'_> {
    pub(super) fn column(&self, table: &Row, column: &Row, typed: bool, parts: &mut Vec<Part>) {
        let relation: u32 = table.get("oid");
        let number: i16 = column.get("number");
        let (table_name, name) = (quoted(table.get("name")), quoted(column.get("name")));
        let is_partition: bool = table.get("is_partition");
        let local = column.get::<_, bool>("local") || is_partition;
        let key = (relation, number);
        let identity = self.identity(table, column);
        let part = |kind, id, inline: String, separate: String, drop: String, continues| Part {
            kind,
            name: format!("{table_name}.{name}"),
            id,
            needs: Vec::new(),
            inline,
            separate,
            drop,
            continues,
        };
        let alter = format!("ALTER TABLE ONLY {table_name} ALTER COLUMN {name}");
        if local {
            let mut inline = match typed {
                true => format!("{name} WITH OPTIONS"),
                false => {
                    let ty =
                        self.facts.printed.column_types.get(&key).map(String::as_str).unwrap_or_default();
                    format!("{name} {ty}")
                }
            };
            if column.get::<_, Option<bool>>("collated") == Some(true)
                && let Some(collation) = self.facts.printed.column_collations.get(&key)
            {
                inline = format!("{inline} COLLATE {collation}");
            }
            let separate = format!("ALTER TABLE {table_name} ADD COLUMN {inline}");
            parts.push(part(
                Kind::Column,
                None,
                inline,
                separate,
                format!("ALTER TABLE {table_name} DROP COLUMN {name}"),
                false,
            ));
        }
        if let (true, Some(identity)) = (local, &identity) {
            let (add, drop) = (format!("{alter} ADD {identity}"), format!("{alter} DROP IDENTITY"));
            parts.push(part(Kind::Identity, None, identity.clone(), add, drop, true));
        }
        let expression = |default: u32| self.facts.printed.defaults.get(&default).map_or("", String::as_str);
        let own = column.get::<_, Option<u32>>("default_oid");
        let inherited =
            if local { None } else { self.inherited_default(relation, column.get("name")).map(expression) };
        match (column.get("generated"), own) {
            ("", Some(default)) => {
                let (id, expression) = (self.default_id(default), expression(default));
                let inline = if local { format!("DEFAULT {expression}") } else { String::new() };
                let set = format!("{alter} SET DEFAULT {expression}");
                parts.push(part(Kind::Default, Some(id), inline, set, format!("{alter} DROP DEFAULT"), true));
            }
            ("", None) if inherited.is_some() => {
                let (drop, back) = (format!("{alter} DROP DEFAULT"), inherited.unwrap_or_default());
                let back = format!("{alter} SET DEFAULT {back}");
                parts.push(part(Kind::Default, None, String::new(), drop, back, true));
            }
            (kind @ ("s" | "v"), Some(default)) if local => {
                let kind = if kind == "v" { "VIRTUAL" } else { "STORED" };
                let inline = format!("GENERATED ALWAYS AS ({}) {kind}", expression(default));
                let drop = format!("{alter} DROP EXPRESSION");
                // No statement adds it to an existing column.
                parts.push(part(
                    Kind::Default,
                    Some(self.default_id(default)),
                    inline,
                    String::new(),
                    drop,
                    true,
                ));
            }
            _ => {}
        }
        self.not_null(table, column, local, &alter, parts);
        if typed {
            // `WITH OPTIONS` requires at least one option.
            if let [_] = parts.as_slice() {
                parts.clear();
            }
        }
    }

    pub(super) fn default_id(&self, oid: u32) -> ObjectId {
        ObjectId { class: self.facts.classes.pg_attrdef, oid }
    }

    pub(super) fn not_null(
        &self,
        table: &Row,
        column: &Row,
        local: bool,
        alter: &str,
        parts: &mut Vec<Part>,
    ) {
        let relation: u32 = table.get("oid");
        let (table_name, name) = (quoted(table.get("name")), quoted(column.get("name")));
        let number: i16 = column.get("number");
        let constraint = self.constraints.get(&relation).into_iter().flatten().find(|row| {
            row.get::<_, &str>("kind") == "n" && row.get::<_, Option<i16>>("column") == Some(number)
        });
        let is_partition: bool = table.get("is_partition");
        let part = |inline: String, separate, continues| Part {
            kind: Kind::NotNull,
            name: format!("{table_name}.{name}"),
            id: None,
            needs: Vec::new(),
            inline,
            separate,
            drop: format!("{alter} DROP NOT NULL"),
            continues,
        };
        match constraint {
            // From PostgreSQL 18 on it has a name.
            Some(constraint) if constraint.get::<_, bool>("local") || is_partition => {
                let named = format!("CONSTRAINT {} NOT NULL", quoted(constraint.get("name")));
                let ending = if constraint.get("no_inherit") { " NO INHERIT" } else { "" };
                let table_level = format!("{named} {name}{ending}");
                let separate = format!("ALTER TABLE {table_name} ADD {table_level}");
                match (local, constraint.get("validated")) {
                    // In the statement of its table, PostgreSQL considers it valid.
                    (_, false) => parts.push(part(String::new(), format!("{separate} NOT VALID"), false)),
                    (true, true) => parts.push(part(format!("{named}{ending}"), separate, true)),
                    (false, true) => parts.push(part(table_level, separate, false)),
                }
            }
            Some(_) => {}
            None if column.get::<_, bool>("not_null") => {
                let inline = if local { "NOT NULL" } else { "" };
                parts.push(part(inline.into(), format!("{alter} SET NOT NULL"), true));
            }
            None => {}
        }
    }

    pub(super) fn identity(&self, table: &Row, column: &Row) -> Option<String> {
        let how = match column.get("identity") {
            "a" => "ALWAYS",
            "d" => "BY DEFAULT",
            _ => return None,
        };
        // From 17 on, a partition has that of its table.
        if table.get("is_partition") && self.facts.version >= 170_000 {
            return None;
        }
        let key = (table.get("oid"), column.get::<_, String>("name"));
        let sequence = self.identities.get(&key)?;
        let name = self.relation(sequence.get("oid"))?;
        Some(format!("GENERATED {how} AS IDENTITY (SEQUENCE NAME {name}{})", settings(sequence)))
    }
}
