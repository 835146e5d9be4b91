//! Rows of a table: filtered by text or value, sorted, a page at a time.
//!
//! Knows nothing of HTTP, nor of the contents of tables. Its cost is linear in the number of rows.

use std::cmp::Ordering;

use serde::Deserialize;

use super::console::table::{Cell, Column, Row, Table};

/// The maximum number of rows of a page.
const MAX_SIZE: usize = 200;
/// The maximum length of a search text, in bytes.
const MAX_SEARCH: usize = 256;

/// The requested rows.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Ask {
    /// A text in a text column of the row, case-insensitively.
    pub search: String,
    /// The column to sort by; without it, rows have the order of the table.
    pub sort: Option<String>,
    /// NULL comes last in both.
    pub order: Order,
    /// The number of the page, from 1.
    pub page: usize,
    /// The number of rows of a page.
    pub size: usize,
    /// The value of the column with this name.
    pub database: Option<String>,
    /// As `database`.
    pub tenant: Option<String>,
    /// As `database`: one of several, separated by commas.
    pub state: Option<String>,
}

/// The direction of an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Order {
    /// The smallest first.
    #[default]
    Asc,
    /// The largest first.
    Desc,
}

/// The result.
pub(super) struct Listed {
    /// The rows of the page.
    pub table: Table,
    /// The number of rows of the table.
    pub total: usize,
    /// The number of matching rows.
    pub matched: usize,
}

impl Default for Ask {
    fn default() -> Self {
        Self {
            search: String::new(),
            sort: None,
            order: Order::Asc,
            page: 1,
            size: 50,
            database: None,
            tenant: None,
            state: None,
        }
    }
}

impl Ask {
    /// Whether a table with these columns can answer. The error names the invalid value, and the valid ones.
    pub fn check(&self, columns: &[Column]) -> Result<(), String> {
        if !(1..=MAX_SIZE).contains(&self.size) {
            return Err(format!("\"size\" is {}: it must be from 1 to {MAX_SIZE}", self.size));
        }
        if self.page == 0 {
            return Err("\"page\" is 0: the first page is 1".into());
        }
        if self.search.len() > MAX_SEARCH {
            return Err(format!("\"search\" is longer than {MAX_SEARCH} bytes"));
        }
        let wanted = self.sort.as_deref().into_iter();
        let wanted = wanted
            .chain(self.filters().into_iter().filter(|(_, value)| value.is_some()).map(|(name, _)| name));
        for name in wanted {
            if place(columns, name).is_none() {
                let names: Vec<_> = columns.iter().map(|Column(name, _)| *name).collect();
                return Err(format!("there is no column \"{name}\": the columns are {}", names.join(", ")));
            }
        }
        Ok(())
    }

    /// The requested rows of `table`.
    pub fn of(&self, table: Table) -> Listed {
        let Table { columns, mut rows } = table;
        let total = rows.len();
        self.filter(columns, &mut rows);
        let matched = rows.len();
        let first = self.page.saturating_sub(1).saturating_mul(self.size).min(matched);
        let last = first.saturating_add(self.size).min(matched);
        let sort = self.sort.as_deref().and_then(|name| place(columns, name));
        let rows = self.cut(rows, sort, first, last);
        Listed { table: Table { columns, rows }, total, matched }
    }

    /// The columns with a requested value.
    fn filters(&self) -> [(&'static str, Option<&str>); 3] {
        [
            ("database", self.database.as_deref()),
            ("tenant", self.tenant.as_deref()),
            ("state", self.state.as_deref()),
        ]
    }

    fn filter(&self, columns: &[Column], rows: &mut Vec<Row>) {
        for (name, wanted) in self.filters() {
            let (Some(place), Some(wanted)) = (place(columns, name), wanted) else { continue };
            // The name of a tenant may contain commas.
            let one_of: Vec<&str> = if name == "state" { wanted.split(',').collect() } else { vec![wanted] };
            rows.retain(|row| row.get(place).and_then(text).is_some_and(|text| one_of.contains(&text)));
        }
        if !self.search.is_empty() {
            let wanted = self.search.to_lowercase();
            rows.retain(|row| row.iter().filter_map(text).any(|text| text.to_lowercase().contains(&wanted)));
        }
    }

    /// The rows from `first` to before `last` in the order of the column `sort`. Only these are sorted.
    fn cut(&self, rows: Vec<Row>, sort: Option<usize>, first: usize, last: usize) -> Vec<Row> {
        let mut rows: Vec<(usize, Row)> = rows.into_iter().enumerate().collect();
        let compare = |(place, row): &(usize, Row), (other_place, other): &(usize, Row)| {
            let cells = sort.and_then(|sort| row.get(sort).zip(other.get(sort)));
            cells
                .map_or(Ordering::Equal, |(one, other)| self.compare(one, other))
                .then(place.cmp(other_place))
        };
        if last < rows.len() {
            rows.select_nth_unstable_by(last, compare);
            rows.truncate(last);
        }
        if first < rows.len() {
            rows.select_nth_unstable_by(first, compare);
        }
        let mut rows = rows.split_off(first.min(rows.len()));
        rows.sort_unstable_by(compare);
        rows.into_iter().map(|(_, row)| row).collect()
    }

    fn compare(&self, one: &Cell, other: &Cell) -> Ordering {
        let in_order = match (one, other) {
            (Cell::Null, Cell::Null) => return Ordering::Equal,
            (Cell::Null, _) => return Ordering::Greater,
            (_, Cell::Null) => return Ordering::Less,
            (Cell::Number(one), Cell::Number(other)) => one.cmp(other),
            (Cell::Text(one), Cell::Text(other)) => one.cmp(other),
            (Cell::Number(_), Cell::Text(_)) => Ordering::Less,
            (Cell::Text(_), Cell::Number(_)) => Ordering::Greater,
        };
        match self.order {
            Order::Asc => in_order,
            Order::Desc => in_order.reverse(),
        }
    }
}

fn place(columns: &[Column], name: &str) -> Option<usize> {
    columns.iter().position(|Column(column, _)| *column == name)
}

fn text(cell: &Cell) -> Option<&str> {
    match cell {
        Cell::Text(text) => Some(text),
        Cell::Null | Cell::Number(_) => None,
    }
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
