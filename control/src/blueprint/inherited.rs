//! Inherited columns of tables, and their order.
//!
//! A column that was added to a table with inheritance children comes last in each child, behind the child's own
//! columns. If it were created with its table, it would be among the first. So it is added to its table after these
//! children exist.

use std::collections::{HashMap, HashSet};

use tokio_postgres::Row;

use super::item::ObjectId;
use super::relations::Relations;

/// A column: its relation, and its number there.
pub(super) type Column = (u32, i16);

/// The columns that are added after the children exist.
#[derive(Default)]
pub(super) struct Late {
    /// The children that must exist before each column.
    heirs: HashMap<Column, Vec<u32>>,
    /// The same columns in the children: the ancestor's column for each one.
    roots: HashMap<Column, Column>,
    /// The last columns of children, by child.
    last: HashSet<Column>,
    /// The children that are created after such a column.
    followers: HashMap<u32, Vec<Column>>,
    /// The columns directly in front of another in some table.
    in_front: HashMap<Column, Vec<Column>>,
}

impl Late {
    /// Determines these columns.
    pub fn new(relations: &Relations<'_>, tables: &[Row]) -> Self {
        let mut late = Self::default();
        let heirs: Vec<u32> =
            tables.iter().map(|row| row.get("oid")).filter(|oid| relations.is_heir(*oid)).collect();
        for heir in &heirs {
            for column in last(relations, *heir) {
                late.last.insert((*heir, column.get("number")));
                // Its own column, behind an inherited one, was added later too.
                if column.get("local") {
                    late.heirs.entry((*heir, column.get("number"))).or_default();
                    continue;
                }
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
        for table in tables {
            let table: u32 = table.get("oid");
            let columns = relations.columns_of(table).iter().map(|column| (table, column.get("number")));
            let columns: Vec<Column> = columns
                .map(|column| late.root(column))
                .filter(|root| late.heirs.contains_key(root))
                .collect();
            for pair in columns.windows(2) {
                if let [first, second] = pair {
                    late.in_front.entry(*second).or_default().push(*first);
                }
            }
        }
        late
    }

    /// The ancestor's column for this one, or itself.
    fn root(&self, column: Column) -> Column {
        self.roots.get(&column).copied().unwrap_or(column)
    }

    /// The ancestor's column of this kind from which this one is inherited.
    pub fn ancestor(&self, column: Column) -> Option<ObjectId> {
        self.roots.get(&column).map(|root| id(*root))
    }

    /// Whether a child existed when the column was added.
    pub fn comes_to(&self, column: Column) -> bool {
        self.last.contains(&column)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.heirs.is_empty()
    }

    /// The columns in front of one.
    pub fn in_front(&self, column: Column) -> impl Iterator<Item = ObjectId> {
        self.in_front.get(&column).into_iter().flatten().map(|column| id(*column))
    }

    /// The children that exist before a column, if there are any.
    pub fn heirs(&self, column: Column) -> Option<&[u32]> {
        self.heirs.get(&column).map(Vec::as_slice)
    }

    /// The dependencies of a table that has these columns among its first.
    pub fn before(&self, table: u32) -> Vec<ObjectId> {
        self.followers.get(&table).into_iter().flatten().map(|column| id(*column)).collect()
    }

    /// A dependency on a column of a child becomes one on its ancestor's column; on any other column, one on the
    /// table.
    pub fn resolve(&self, depends: &mut Vec<(ObjectId, ObjectId)>, columns: &[(ObjectId, Column)]) {
        for (object, column) in columns {
            let root = self.root(*column);
            if self.heirs.contains_key(&root) {
                depends.push((*object, id(root)));
            }
        }
    }
}

/// The id of such a column for other items; no catalog has the oid of a table as its own.
pub(super) fn id((relation, number): Column) -> ObjectId {
    ObjectId { class: relation, oid: number.unsigned_abs().into() }
}

fn name(column: &Row) -> &str {
    column.get("name")
}

/// The last columns of a child that existed when they were added.
fn last<'a>(relations: &'a Relations<'_>, heir: u32) -> &'a [&'a Row] {
    let columns = relations.columns_of(heir);
    let parents = relations.parents_of(heir).flat_map(|parent| relations.columns_of(parent));
    let mut seen = HashSet::new();
    let made: Vec<&str> =
        parents.chain(columns).map(|column| name(column)).filter(|name| seen.insert(*name)).collect();
    for at in (0..=columns.len()).rev() {
        let (first, last) = columns.split_at(at);
        let there: HashSet<&str> = first.iter().map(|column| name(column)).collect();
        let as_made = made.iter().filter(|name| there.contains(*name)).eq(first
            .iter()
            .map(|column| name(column))
            .collect::<Vec<_>>()
            .iter());
        // A child with all columns of its own was attached to its parents later, in any order.
        if as_made || first.iter().all(|column| column.get("local")) {
            return last;
        }
        // No statement adds such a column to an existing table.
        if first.last().is_some_and(|column| !column.get::<_, &str>("generated").is_empty()) {
            break;
        }
    }
    &[]
}

/// The columns with that name that ancestors define themselves.
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
