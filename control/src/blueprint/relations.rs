//! Tables, views, sequences and composite types, from what the catalog says of them.

use std::collections::HashMap;

use pgstrata_tenancy::ident::{push_literal, quoted};
use tokio_postgres::Row;

use super::inherited::{self, Column, Late};
use super::item::{Create, Item, Kind, ObjectId, Part, Whole};
use super::read::Facts;

/// `WITH (..)` and the like, from an array of `name=value`.
pub(super) fn options(options: &[String], prefix: &str) -> Vec<String> {
    let one = |option: &String| {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        format!("{prefix}{} = {}", quoted(name), literal(value))
    };
    options.iter().map(one).collect()
}

/// A literal, as it stands in SQL.
pub(super) fn literal(value: &str) -> String {
    let mut out = String::new();
    push_literal(&mut out, value);
    out.trim_start().to_owned()
}

/// The facts by relation.
pub(super) struct Relations<'a> {
    facts: &'a Facts,
    columns: HashMap<u32, Vec<&'a Row>>,
    constraints: HashMap<u32, Vec<&'a Row>>,
    parents: HashMap<u32, Vec<&'a Row>>,
    /// The identity sequences, by their table and column.
    identities: HashMap<(u32, String), &'a Row>,
    late: Late,
}

/// The rows by the id in column `key`.
fn by<'a>(rows: &'a [Row], key: &str) -> HashMap<u32, Vec<&'a Row>> {
    let mut map: HashMap<u32, Vec<&Row>> = HashMap::new();
    for row in rows {
        map.entry(row.get(key)).or_default().push(row);
    }
    map
}

impl<'a> Relations<'a> {
    /// Sorts the facts.
    ///
    /// `orderly`: columns that tables inherit come in the order in which they have them.
    pub fn new(facts: &'a Facts, orderly: bool) -> Self {
        let identities = facts.sequences.iter().filter(|row| row.get::<_, Option<&str>>("how") == Some("i"));
        let key = |row: &Row| {
            let table = row.get::<_, Option<u32>>("table_oid").unwrap_or_default();
            (table, row.get::<_, Option<String>>("column").unwrap_or_default())
        };
        let mut relations = Self {
            facts,
            columns: by(&facts.columns, "relation"),
            constraints: by(&facts.constraints, "relation"),
            parents: by(&facts.parents, "child"),
            identities: identities.map(|row| (key(row), row)).collect(),
            late: Late::default(),
        };
        if orderly {
            relations.late = Late::new(&relations, &facts.relations);
        }
        relations
    }

    /// Columns that come when heirs are there.
    pub fn into_late(self) -> Late {
        self.late
    }

    /// All of them.
    pub fn items(&self) -> Vec<Item> {
        let mut items = Vec::new();
        for row in &self.facts.relations {
            match row.get("kind") {
                "r" | "p" | "f" => self.table(row, &mut items),
                "v" => self.view(row, &mut items),
                "m" => self.materialized_view(row, &mut items),
                "c" => self.composite(row, &mut items),
                _ => self.sequence(row, &mut items),
            }
        }
        items
    }

    fn class(&self, oid: u32) -> ObjectId {
        ObjectId { class: self.facts.classes.pg_class, oid }
    }

    /// The relation, and the type of its rows.
    fn ids(&self, row: &Row) -> Vec<ObjectId> {
        let row_type = ObjectId { class: self.facts.classes.pg_type, oid: row.get("row_type") };
        vec![self.class(row.get("oid")), row_type]
    }

    /// The same of a view, and the rule that is its query: what depends on what the view shows.
    fn view_ids(&self, row: &Row) -> Vec<ObjectId> {
        let oid: u32 = row.get("oid");
        let is_query =
            |rule: &&Row| rule.get::<_, u32>("relation") == oid && rule.get::<_, &str>("name") == "_RETURN";
        let query = self.facts.rules.iter().find(is_query);
        let query = query.map(|rule| ObjectId { class: self.facts.classes.pg_rewrite, oid: rule.get("oid") });
        self.ids(row).into_iter().chain(query).collect()
    }

    /// What a relation inherits from, in order.
    pub fn parents_of(&self, relation: u32) -> impl Iterator<Item = u32> {
        self.parents.get(&relation).into_iter().flatten().map(|row| row.get("parent"))
    }

    /// Whether a table is made as an heir of others.
    pub fn is_heir(&self, relation: u32) -> bool {
        let parents = self.parents.get(&relation).into_iter().flatten();
        parents.into_iter().any(|row| !row.get::<_, bool>("is_partition")) && self.has_inherited(relation)
    }

    /// A relation's columns in order.
    pub fn columns_of(&self, relation: u32) -> &[&'a Row] {
        self.columns.get(&relation).map(Vec::as_slice).unwrap_or_default()
    }

    fn table(&self, row: &Row, items: &mut Vec<Item>) {
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
        // A table that has all by itself keeps the order of its columns if it comes to its parents later.
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

    /// A relation's name as it is found under the schema's path.
    pub fn relation(&self, oid: u32) -> Option<&str> {
        self.facts.printed.relations.get(&oid).map(String::as_str)
    }

    fn attach(&self, oid: u32, name: &str, parent_oid: u32, items: &mut Vec<Item>) {
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
    fn parts(&self, row: &Row, typed: bool) -> Vec<Part> {
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

    fn constraint(&self, table: &Row, constraint: &Row, kind: Kind) -> Part {
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

    fn column(&self, table: &Row, column: &Row, typed: bool, parts: &mut Vec<Part>) {
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
                // No statement adds it to a column that is there.
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
            // `WITH OPTIONS` with no options behind it is none.
            if let [_] = parts.as_slice() {
                parts.clear();
            }
        }
    }

    fn default_id(&self, oid: u32) -> ObjectId {
        ObjectId { class: self.facts.classes.pg_attrdef, oid }
    }

    /// Whether a column or a constraint of a relation is there because its parents have it.
    fn has_inherited(&self, relation: u32) -> bool {
        let of_later =
            |number: Option<i16>| number.is_some_and(|number| self.late.comes_to((relation, number)));
        let columns = self.columns_of(relation).iter().map(|row| (row, Some(row.get("number"))));
        let constraints =
            self.constraints.get(&relation).into_iter().flatten().map(|row| (row, row.get("column")));
        columns.chain(constraints).any(|(row, number)| !row.get::<_, bool>("local") && !of_later(number))
    }

    /// A default that a column may have got from above, as long as those above have not got their own.
    fn inherited_default(&self, relation: u32, column: &str) -> Option<u32> {
        self.parents.get(&relation).into_iter().flatten().find_map(|row| {
            let parent = row.get("parent");
            let mut columns = self.columns_of(parent).iter();
            let same = columns.find(|parent| parent.get::<_, &str>("name") == column)?;
            same.get::<_, Option<u32>>("default_oid").or_else(|| self.inherited_default(parent, column))
        })
    }

    fn not_null(&self, table: &Row, column: &Row, local: bool, alter: &str, parts: &mut Vec<Part>) {
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
                    // In the statement of its table PostgreSQL takes it for valid.
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

    fn identity(&self, table: &Row, column: &Row) -> Option<String> {
        let how = match column.get("identity") {
            "a" => "ALWAYS",
            "d" => "BY DEFAULT",
            _ => return None,
        };
        // From 17 on a partition has its table's.
        if table.get("is_partition") && self.facts.version >= 170_000 {
            return None;
        }
        let key = (table.get("oid"), column.get::<_, String>("name"));
        let sequence = self.identities.get(&key)?;
        let name = self.relation(sequence.get("oid"))?;
        Some(format!("GENERATED {how} AS IDENTITY (SEQUENCE NAME {name}{})", sequence_settings(sequence)))
    }

    /// What is set on a table once it is there.
    fn settings(&self, row: &Row, word: &str, name: &str, items: &mut Vec<Item>) {
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

    fn sequence(&self, row: &Row, items: &mut Vec<Item>) {
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
            sequence_settings(sequence)
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
    fn identity_persistence(&self, row: &Row, sequence: &Row, name: &str, items: &mut Vec<Item>) {
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

    fn view(&self, row: &Row, items: &mut Vec<Item>) {
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

    fn materialized_view(&self, row: &Row, items: &mut Vec<Item>) {
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

    fn composite(&self, row: &Row, items: &mut Vec<Item>) {
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

/// ` START WITH ..` and so on.
fn sequence_settings(sequence: &Row) -> String {
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

fn compression(method: &str) -> Option<&'static str> {
    match method {
        "p" => Some("pglz"),
        "l" => Some("lz4"),
        _ => None,
    }
}

/// ` WITH (..)`, with those of the toast table.
fn storage_options(row: &Row) -> String {
    let own: Option<Vec<String>> = row.get("options");
    let toast: Option<Vec<String>> = row.get("toast_options");
    let mut all = options(&own.unwrap_or_default(), "");
    all.extend(options(&toast.unwrap_or_default(), "toast."));
    match all.is_empty() {
        true => String::new(),
        false => format!(" WITH ({})", all.join(", ")),
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
