//! Tables, columns and rows of the console.

use std::borrow::Cow;
use std::time::SystemTime;

use humantime_serde::re::humantime;

/// A column's type, by PostgreSQL's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// `text`
    Text,
    /// `int4`
    Int4,
    /// `int8`
    Int8,
    /// `numeric`: for counts that may exceed the other types.
    Numeric,
    /// `bytea`
    Bytea,
}

impl Type {
    /// `pg_type.oid`.
    pub fn oid(self) -> u32 {
        match self {
            Type::Bytea => 17,
            Type::Int8 => 20,
            Type::Int4 => 23,
            Type::Text => 25,
            Type::Numeric => 1700,
        }
    }

    /// `pg_type.typlen`.
    pub fn length(self) -> i16 {
        match self {
            Type::Int4 => 4,
            Type::Int8 => 8,
            Type::Text | Type::Numeric | Type::Bytea => -1,
        }
    }
}

/// A column: its name and its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column(pub &'static str, pub Type);

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// NULL.
    Null,
    /// For a column of type text.
    Text(Cow<'static, str>),
    /// For a number of any type, at most the largest number of its column's type.
    Number(u64),
}

/// One row: as many cells as there are columns.
pub type Row = Vec<Cell>;

/// Columns and rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its columns.
    pub columns: &'static [Column],
    /// Its rows.
    pub rows: Vec<Row>,
}

/// A time, in PgBouncer's format: `2026-11-30 08:30:00 UTC`.
pub fn moment(time: SystemTime) -> Cell {
    let text = humantime::format_rfc3339_seconds(time).to_string();
    let text = text.replace('T', " ").replace('Z', " UTC");
    Cell::Text(text.into())
}

/// Text, or NULL where there is none.
pub fn text_or_null(text: Option<&str>) -> Cell {
    text.map_or(Cell::Null, Cell::from)
}

/// 1 or 0.
pub fn flag(holds: bool) -> Cell {
    Cell::Number(u64::from(holds))
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned().into())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Cell {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<u16> for Cell {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

impl From<usize> for Cell {
    fn from(number: usize) -> Self {
        Self::Number(number as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_shown_as_pgbouncer_shows_them() {
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_796_027_435);
        assert_eq!(moment(time), Cell::from("2026-11-30 08:30:35 UTC"));
    }
}
