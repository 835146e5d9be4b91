//! Tables: partitioned, inherited, of a type, foreign.

use pgstrata_tenancy::ident::quoted;
use tokio_postgres::Row;

use super::inherited::{self, Column};
use super::item::{Create, Item, Kind, ObjectId, Part, Whole};
use super::relations::{Relations, literal, options, storage_options};

impl Relations<'_> {
    pub(super) fn table(&self, row: &Row, items: &mut Vec<Item>) {
        let (oid, name): (u32, String) = (row.get("oid"), quoted(row.get("name")));
        let kind: &str = row.get("kind");
        let is_partition: bool = row.get("is_partition");
        let parents = self.parents.get(&oid).map(Vec::as_slice).unwrap_or_default();
        let of_type: u32 = row.get("of_type");
        let persistence = if row.get::<_, &str>("persistence") == "u" { "UNLOGGED " } else { "" };
        let word = if kind == "f" { "FOREIGN TABLE" } else { "TABLE" };
        let mut head = format!("CREATE {persistence}{word} {name}");
        if let Some(of_type) = self.facts.printed.types.get(&of_type) {
            head = format!("{head} OF {of_type}");
        }
        let mut tail = String::new();
        let inherits: Vec<&str> = match is_partition {
            true => Vec::new(),
            false => parents.iter().filter_map(|row| self.relation(row.get("parent"))).collect(),
        };
        // A table with all columns of its own keeps their order if it is attached to its parents later.
        let later = !self.has_inherited(oid);
        if !later && !inherits.is_empty() {
            tail = format!(" INHERITS ({})", inherits.join(", "));
        }
        if let Some(key) = self.facts.printed.partition_keys.get(&oid) {
            tail = format!("{tail} PARTITION BY {key}");
        }
        if let Some(server) = row.get::<_, Option<&str>>("server") {
            tail = format!("{tail} SERVER {}", quoted(server));
            if let Some(set) = row.get::<_, Option<Vec<String>>>("server_options") {
                tail = format!("{tail} OPTIONS ({})", server_options(&set));
            }
        }
        if let Some(method) = row.get::<_, Option<&str>>("access_method") {
            tail = format!("{tail} USING {}", quoted(method));
        }
        tail += &storage_options(row);
        let parts = self.parts(row, of_type != 0);
        let brackets = of_type == 0 || !parts.is_empty();
        let above: Vec<ObjectId> = parents.iter().map(|row| self.class(row.get("parent"))).collect();
        let mut needs = self.late.before(oid);
        if !is_partition && !later {
            needs.extend(&above);
        }
        items.push(Item {
            kind: Kind::Table,
            name: name.clone(),
            ids: self.ids(row),
            of: None,
            needs,
            create: Create::Whole(Whole { head, brackets, parts, tail }),
            drop: format!("DROP {word} {name}"),
        });
        if let (true, [parent]) = (is_partition, parents) {
            self.attach(oid, &name, parent.get("parent"), items);
        }
        if later && !inherits.is_empty() {
            let each = |how: &str| {
                let one = |parent: &&str| format!("ALTER {word} {name} {how} {parent}");
                inherits.iter().map(one).collect::<Vec<_>>().join("; ")
            };
            let mut item = Item::new(Kind::Attach, &name, each("INHERIT"), each("NO INHERIT"));
            item.needs = above;
            items.push(item.after(self.class(oid)));
        }
        self.settings(row, word, &name, items);
    }

    pub(super) fn attach(&self, oid: u32, name: &str, parent_oid: u32, items: &mut Vec<Item>) {
        let (Some(parent), Some(bound)) =
            (self.relation(parent_oid), self.facts.printed.partition_bounds.get(&oid))
        else {
            return;
        };
        let sql = format!("ALTER TABLE ONLY {parent} ATTACH PARTITION {name} {bound}");
        let drop = format!("ALTER TABLE {parent} DETACH PARTITION {name}");
        items.push(
            Item::new(Kind::Attach, name, sql, drop).after(self.class(oid)).after(self.class(parent_oid)),
        );
    }

    /// Columns and table constraints.
    pub(super) fn parts(&self, row: &Row, typed: bool) -> Vec<Part> {
        let oid: u32 = row.get("oid");
        let mut parts = Vec::new();
        for column in self.columns_of(oid) {
            let mut own = Vec::new();
            self.column(row, column, typed, &mut own);
            let column: Column = (oid, column.get("number"));
            if let Some(heirs) = self.late.heirs(column) {
                let heirs = heirs.iter().map(|heir| self.class(*heir));
                come_later(&mut own, inherited::id(column), heirs.chain(self.late.in_front(column)));
            } else if let Some(root) = self.late.ancestor(column) {
                for part in &mut own {
                    part.needs.push(root);
                }
            }
            parts.append(&mut own);
        }
        let is_partition: bool = row.get("is_partition");
        let whole = row.get::<_, &str>("kind") == "r" && !is_partition;
        let mut keys: Vec<Vec<i16>> = Vec::new();
        for constraint in self.constraints.get(&oid).into_iter().flatten() {
            let kind: &str = constraint.get("kind");
            let local: bool = constraint.get("local");
            match kind {
                "c" if local || is_partition => parts.push(self.constraint(row, constraint, Kind::Check)),
                // In a partition it has to find its place in the parent's.
                "p" | "u" | "x" if whole => {
                    let mut part = self.constraint(row, constraint, Kind::Key);
                    let columns = constraint.get::<_, Option<_>>("columns").unwrap_or_default();
                    // Of two on the same columns, the statement of the table makes one.
                    if keys.contains(&columns) {
                        part.inline.clear();
                    }
                    keys.push(columns);
                    parts.push(part);
                }
                _ => {}
            }
        }
        parts
    }

    pub(super) fn constraint(&self, table: &Row, constraint: &Row, kind: Kind) -> Part {
        let (table, name) = (quoted(table.get("name")), quoted(constraint.get("name")));
        let oid: u32 = constraint.get("oid");
        let definition = self.facts.printed.constraints.get(&oid).map(String::as_str).unwrap_or_default();
        let inline = format!("CONSTRAINT {name} {definition}");
        Part {
            kind,
            name: format!("{name} ON {table}"),
            id: Some(ObjectId { class: self.facts.classes.pg_constraint, oid }),
            needs: Vec::new(),
            separate: format!("ALTER TABLE {table} ADD {inline}"),
            // In the statement of its table PostgreSQL takes it for valid, which this one need not be.
            inline: if constraint.get("validated") { inline } else { String::new() },
            continues: false,
            drop: format!("ALTER TABLE {table} DROP CONSTRAINT {name}"),
        }
    }

    /// The settings of an existing table.
    pub(super) fn settings(&self, row: &Row, word: &str, name: &str, items: &mut Vec<Item>) {
        let oid: u32 = row.get("oid");
        let mut set = |what: String, sql: String, undo: String| {
            let item = Item::new(Kind::Setting, format!("{what} ON {name}"), sql, undo);
            items.push(item.after(self.class(oid)));
        };
        let only = if word == "MATERIALIZED VIEW" { "" } else { "ONLY " };
        let alter = format!("ALTER {word} {only}{name}");
        for column in self.columns_of(oid) {
            let column_name = quoted(column.get("name"));
            let mut on_column = |what: &str, to: String, back: &str| {
                let sql = format!("{alter} ALTER COLUMN {column_name}");
                set(format!("{what} OF {column_name}"), format!("{sql} {to}"), format!("{sql} {back}"));
            };
            if let Some(storage) = column.get::<_, Option<&str>>("storage") {
                let storage = match storage {
                    "p" => "PLAIN",
                    "e" => "EXTERNAL",
                    "m" => "MAIN",
                    _ => "EXTENDED",
                };
                on_column("STORAGE", format!("SET STORAGE {storage}"), "SET STORAGE DEFAULT");
            }
            if let Some(method) = compression(column.get("compression")) {
                on_column("COMPRESSION", format!("SET COMPRESSION {method}"), "SET COMPRESSION default");
            }
            if let Some(target) = column.get::<_, Option<i32>>("statistics") {
                on_column("STATISTICS", format!("SET STATISTICS {target}"), "SET STATISTICS -1");
            }
            if let Some(set) = column.get::<_, Option<Vec<String>>>("server_options") {
                let named: Vec<String> =
                    set.iter().filter_map(|option| option.split('=').next()).map(quoted).collect();
                let drop: Vec<String> = named.iter().map(|name| format!("DROP {name}")).collect();
                on_column(
                    "SERVER OPTIONS",
                    format!("OPTIONS ({})", server_options(&set)),
                    &format!("OPTIONS ({})", drop.join(", ")),
                );
            }
            if let Some(set) = column.get::<_, Option<Vec<String>>>("options") {
                let list = options(&set, "").join(", ");
                let names: Vec<&str> = set.iter().filter_map(|option| option.split('=').next()).collect();
                on_column("OPTIONS", format!("SET ({list})"), &format!("RESET ({})", names.join(", ")));
            }
        }
        if let Some(tablespace) = row.get::<_, Option<&str>>("tablespace") {
            let set_to =
                |tablespace: &str| format!("ALTER {word} {name} SET TABLESPACE {}", quoted(tablespace));
            set("TABLESPACE".into(), set_to(tablespace), set_to("pg_default"));
        }
        if row.get("row_security") {
            set(
                "ROW SECURITY".into(),
                format!("ALTER TABLE {name} ENABLE ROW LEVEL SECURITY"),
                format!("ALTER TABLE {name} DISABLE ROW LEVEL SECURITY"),
            );
        }
        if row.get("force_row_security") {
            set(
                "FORCED ROW SECURITY".into(),
                format!("ALTER TABLE ONLY {name} FORCE ROW LEVEL SECURITY"),
                format!("ALTER TABLE ONLY {name} NO FORCE ROW LEVEL SECURITY"),
            );
        }
        let identity = match row.get("replica_identity") {
            // A foreign table has none.
            _ if row.get::<_, &str>("kind") == "f" => return,
            "f" => "FULL",
            "n" => "NOTHING",
            _ => return,
        };
        set(
            "REPLICA IDENTITY".into(),
            format!("ALTER TABLE ONLY {name} REPLICA IDENTITY {identity}"),
            format!("ALTER TABLE ONLY {name} REPLICA IDENTITY DEFAULT"),
        );
    }
}

/// Makes a column with all that it has one that is added to its table when the heirs are there.
fn come_later(parts: &mut [Part], id: ObjectId, heirs: impl Iterator<Item = ObjectId>) {
    for part in parts.iter_mut() {
        part.inline.clear();
        part.needs.push(id);
    }
    if let Some(column) = parts.first_mut() {
        column.id = Some(id);
        column.needs = heirs.collect();
    }
}

fn compression(method: &str) -> Option<&'static str> {
    match method {
        "p" => Some("pglz"),
        "l" => Some("lz4"),
        _ => None,
    }
}

/// `name 'value', ..` from an array of `name=value`.
fn server_options(set: &[String]) -> String {
    let one = |option: &String| {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        format!("{} {}", quoted(name), literal(value))
    };
    set.iter().map(one).collect::<Vec<_>>().join(", ")
}
