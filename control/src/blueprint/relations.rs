//! Tables, views, sequences and composite types, from the catalog's data: see `tables`, `views`, `sequences`.

use std::collections::HashMap;

use pgstrata_tenancy::ident::{push_literal, quoted};
use tokio_postgres::Row;

use super::inherited::Late;
use super::item::{Item, ObjectId};
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
    pub facts: &'a Facts,
    columns: HashMap<u32, Vec<&'a Row>>,
    pub constraints: HashMap<u32, Vec<&'a Row>>,
    pub parents: HashMap<u32, Vec<&'a Row>>,
    /// The identity sequences, by their table and column.
    pub identities: HashMap<(u32, String), &'a Row>,
    pub late: Late,
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

    pub fn class(&self, oid: u32) -> ObjectId {
        ObjectId { class: self.facts.classes.pg_class, oid }
    }

    /// The relation, and the type of its rows.
    pub fn ids(&self, row: &Row) -> Vec<ObjectId> {
        let row_type = ObjectId { class: self.facts.classes.pg_type, oid: row.get("row_type") };
        vec![self.class(row.get("oid")), row_type]
    }

    /// The same of a view, and the rule that is its query: what depends on what the view shows.
    pub fn view_ids(&self, row: &Row) -> Vec<ObjectId> {
        let oid: u32 = row.get("oid");
        let is_query =
            |rule: &&Row| rule.get::<_, u32>("relation") == oid && rule.get::<_, &str>("name") == "_RETURN";
        let query = self.facts.rules.iter().find(is_query);
        let query = query.map(|rule| ObjectId { class: self.facts.classes.pg_rewrite, oid: rule.get("oid") });
        self.ids(row).into_iter().chain(query).collect()
    }

    /// The parents of a relation, in order.
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

    /// A relation's name as it is found under the schema's path.
    pub fn relation(&self, oid: u32) -> Option<&str> {
        self.facts.printed.relations.get(&oid).map(String::as_str)
    }

    /// Whether a column or a constraint of a relation is there because its parents have it.
    pub fn has_inherited(&self, relation: u32) -> bool {
        let of_later =
            |number: Option<i16>| number.is_some_and(|number| self.late.comes_to((relation, number)));
        let columns = self.columns_of(relation).iter().map(|row| (row, Some(row.get("number"))));
        let constraints =
            self.constraints.get(&relation).into_iter().flatten().map(|row| (row, row.get("column")));
        columns.chain(constraints).any(|(row, number)| !row.get::<_, bool>("local") && !of_later(number))
    }

    /// A default that a column may have got from above, as long as those above have not got their own.
    pub fn inherited_default(&self, relation: u32, column: &str) -> Option<u32> {
        self.parents.get(&relation).into_iter().flatten().find_map(|row| {
            let parent = row.get("parent");
            let mut columns = self.columns_of(parent).iter();
            let same = columns.find(|parent| parent.get::<_, &str>("name") == column)?;
            same.get::<_, Option<u32>>("default_oid").or_else(|| self.inherited_default(parent, column))
        })
    }
}

/// ` WITH (..)`, with those of the toast table.
pub(super) fn storage_options(row: &Row) -> String {
    let own: Option<Vec<String>> = row.get("options");
    let toast: Option<Vec<String>> = row.get("toast_options");
    let mut all = options(&own.unwrap_or_default(), "");
    all.extend(options(&toast.unwrap_or_default(), "toast."));
    match all.is_empty() {
        true => String::new(),
        false => format!(" WITH ({})", all.join(", ")),
    }
}
