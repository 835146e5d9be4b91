//! Views, materialized views and composite types: relations with columns and without own rows.

use pgstrata_tenancy::ident::quoted;
use tokio_postgres::Row;

use super::item::{Create, Item, Kind, ObjectId};
use super::relations::{Relations, storage_options};

impl Relations<'_> {
    pub(super) fn view(&self, row: &Row, items: &mut Vec<Item>) {
        let (oid, name): (u32, String) = (row.get("oid"), quoted(row.get("name")));
        let Some(definition) = self.facts.printed.views.get(&oid) else { return };
        let definition = definition.trim_end().trim_end_matches(';');
        let with = storage_options(row);
        let columns = self.columns_of(oid).iter().map(|column| {
            let key = (oid, column.get::<_, i16>("number"));
            let ty = self.facts.printed.column_types.get(&key).map(String::as_str).unwrap_or_default();
            let collation = match column.get::<_, Option<bool>>("collated") {
                Some(true) => self.facts.printed.column_collations.get(&key),
                _ => None,
            };
            let collation = collation.map(|collation| format!(" COLLATE {collation}")).unwrap_or_default();
            format!("NULL::{ty}{collation} AS {}", quoted(column.get("name")))
        });
        let shell = format!("CREATE VIEW {name} AS SELECT {}", columns.collect::<Vec<_>>().join(", "));
        items.push(Item {
            kind: Kind::View,
            name: name.clone(),
            ids: self.view_ids(row),
            of: None,
            needs: Vec::new(),
            create: Create::View {
                shell,
                shell_needs: Vec::new(),
                create: format!("CREATE VIEW {name}{with} AS {definition}"),
                replace: format!("CREATE OR REPLACE VIEW {name}{with} AS {definition}"),
            },
            drop: format!("DROP VIEW {name}"),
        });
        for column in self.columns_of(oid) {
            let Some(default) = column.get::<_, Option<u32>>("default_oid") else { continue };
            let expression =
                self.facts.printed.defaults.get(&default).map(String::as_str).unwrap_or_default();
            let column = quoted(column.get("name"));
            let alter = format!("ALTER VIEW {name} ALTER COLUMN {column}");
            let item = Item::new(
                Kind::Default,
                format!("{name}.{column}"),
                format!("{alter} SET DEFAULT {expression}"),
                format!("{alter} DROP DEFAULT"),
            );
            let id = ObjectId { class: self.facts.classes.pg_attrdef, oid: default };
            items.push(item.id(id).after(self.class(oid)));
        }
    }

    pub(super) fn materialized_view(&self, row: &Row, items: &mut Vec<Item>) {
        let (oid, name): (u32, String) = (row.get("oid"), quoted(row.get("name")));
        let Some(definition) = self.facts.printed.views.get(&oid) else { return };
        let definition = definition.trim_end().trim_end_matches(';');
        let method = row.get::<_, Option<&str>>("access_method");
        let method = method.map(|method| format!(" USING {}", quoted(method))).unwrap_or_default();
        let sql = format!(
            "CREATE MATERIALIZED VIEW {name}{method}{} AS {definition} WITH NO DATA",
            storage_options(row)
        );
        let drop = format!("DROP MATERIALIZED VIEW {name}");
        let mut item = Item::new(Kind::MaterializedView, &name, sql, drop);
        item.ids = self.view_ids(row);
        items.push(item);
        self.settings(row, "MATERIALIZED VIEW", &name, items);
    }

    pub(super) fn composite(&self, row: &Row, items: &mut Vec<Item>) {
        let (oid, name): (u32, String) = (row.get("oid"), quoted(row.get("name")));
        let columns = self.columns_of(oid).iter().map(|column| {
            let key = (oid, column.get::<_, i16>("number"));
            let ty = self.facts.printed.column_types.get(&key).map(String::as_str).unwrap_or_default();
            let collation = match column.get::<_, Option<bool>>("collated") {
                Some(true) => self.facts.printed.column_collations.get(&key),
                _ => None,
            };
            let collation = collation.map(|collation| format!(" COLLATE {collation}")).unwrap_or_default();
            format!("{} {ty}{collation}", quoted(column.get("name")))
        });
        let sql = format!("CREATE TYPE {name} AS ({})", columns.collect::<Vec<_>>().join(", "));
        let mut item = Item::new(Kind::Type, &name, sql, format!("DROP TYPE {name}"));
        item.ids = self.ids(row);
        items.push(item);
    }
}
