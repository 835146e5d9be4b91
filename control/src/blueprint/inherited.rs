//! Columns that tables inherit, and in which order.
//!
//! A column that a table got when it had heirs already is the last of each heir's, behind the heir's own. Made with
//! its table it would be among the first. So it is added to its table when these heirs are there.

use std::collections::{HashMap, HashSet};

use tokio_postgres::Row;

use super::item::ObjectId;
use super::relations::Relations;

/// A column: its relation, and its number there.
pub(super) type Column = (u32, i16);

/// The columns that come when heirs are there.
#[derive(Default)]
pub(super) struct Late {
    /// Each of them, and the heirs that come before it.
    heirs: HashMap<Column, Vec<u32>>,
    /// The same columns in the heirs: which column of an ancestor's each one is.
    roots: HashMap<Column, Column>,
    /// Heirs that come after such a column.
    followers: HashMap<u32, Vec<Column>>,
}

impl Late {
    /// Finds them.
    pub fn new(relations: &Relations<'_>, tables: &[Row]) -> Self {
        let mut late = Self::default();
        let heirs: Vec<u32> =
            tables.iter().map(|row| row.get("oid")).filter(|oid| relations.is_heir(*oid)).collect();
        for heir in &heirs {
            for column in last(relations, *heir) {
                for root in roots(relations, *heir, name(column)) {
                    late.heirs.entry(root).or_default().push(*heir);
                }
            }
        }
        for heir in heirs {
            for column in relations.columns_of(heir) {
                for root in roots(relations, heir, name(column)) {
                    let Some(first) = late.heirs.get(&root) else { continue };
                    late.roots.insert((heir, column.get("number")), root);
                    if !first.contains(&heir) {
                        late.followers.entry(heir).or_default().push(root);
                    }
                }
            }
        }
        late
    }

    /// The heirs that are there before a column, if there are any.
    pub fn heirs(&self, column: Column) -> Option<&[u32]> {
        self.heirs.get(&column).map(Vec::as_slice)
    }

    /// What a table waits for, as it has these columns among its first.
    pub fn before(&self, table: u32) -> Vec<ObjectId> {
        self.followers.get(&table).into_iter().flatten().map(|column| id(*column)).collect()
    }

    /// What depends on a column of an heir depends on that of its ancestor; on other columns, not more than on their tables.
    pub fn resolve(&self, depends: &mut Vec<(ObjectId, ObjectId)>, columns: &[(ObjectId, Column)]) {
        for (object, column) in columns {
            let root = self.roots.get(column).unwrap_or(column);
            if self.heirs.contains_key(root) {
                depends.push((*object, id(*root)));
            }
        }
    }
}

/// What others know such a column by: no catalog has the id of a table as its own.
pub(super) fn id((relation, number): Column) -> ObjectId {
    ObjectId { class: relation, oid: number.unsigned_abs().into() }
}

fn name(column: &Row) -> &str {
    column.get("name")
}

/// The columns at an heir's end which it got when it was there already.
fn last<'a>(relations: &'a Relations<'_>, heir: u32) -> &'a [&'a Row] {
    let columns = relations.columns_of(heir);
    let parents =
        relations.parents_of(heir).flat_map(|parent| relations.columns_of(parent)).map(|column| name(column));
    let mut seen = HashSet::new();
    let made: Vec<&str> =
        parents.chain(columns.iter().map(|column| name(column))).filter(|name| seen.insert(*name)).collect();
    let comes_later =
        |column: &&Row| !column.get::<_, bool>("local") && column.get::<_, &str>("generated").is_empty();
    for at in (0..=columns.len()).rev() {
        let (first, last) = columns.split_at(at);
        let there: HashSet<&str> = first.iter().map(|column| name(column)).collect();
        if made.iter().filter(|name| there.contains(*name)).eq(first
            .iter()
            .map(|column| name(column))
            .collect::<Vec<_>>()
            .iter())
        {
            return last;
        }
        // What it has by itself was there from the beginning: some other way led to this order.
        if !first.last().is_some_and(comes_later) {
            break;
        }
    }
    &[]
}

/// The columns of that name which ancestors have by themselves.
fn roots(relations: &Relations<'_>, heir: u32, column: &str) -> Vec<Column> {
    let mut roots = Vec::new();
    for parent in relations.parents_of(heir) {
        let Some(row) = relations.columns_of(parent).iter().find(|row| name(row) == column) else { continue };
        match row.get("local") {
            true => roots.push((parent, row.get("number"))),
            false => roots.extend(self::roots(relations, parent, column)),
        }
    }
    roots
}
