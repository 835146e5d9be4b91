//! What the derived code calls: checks of types that only the compiler can make. No interface of its own.

use tokio_postgres::types::{Kind, ToSql, Type};

use crate::column_type::{ColumnType, IdentityType, MomentType, UuidType};
use crate::entity::{Column, ColumnDefinition, Entity, Parameter, Unique};
use crate::row::{Row, RowError};

/// A column with nothing special.
pub const fn column<T: ColumnType>(field: &'static str, name: &'static str) -> ColumnDefinition {
    ColumnDefinition {
        field,
        name,
        sql_type: T::SQL,
        nullable: T::NULLABLE,
        primary_key: false,
        generated: None,
        default: None,
        unique: false,
        version: false,
        deleted: false,
        created: false,
        updated: false,
    }
}

/// A column's value.
///
/// # Errors
/// The column has another type.
pub fn read<T: ColumnType>(row: &Row, index: usize) -> Result<T, RowError> {
    row.at(index)
}

/// A field as a bound parameter.
pub fn parameter<T: ColumnType>(value: &T) -> Parameter<'_> {
    value
}

/// The values can be counted.
pub const fn identity<T: IdentityType>() {}

/// The values count changes.
pub const fn version<T: IdentityType>() {}

/// The values are UUIDs.
pub const fn uuid<T: UuidType>() {}

/// The column can hold the other's key.
pub const fn belongs_to<E, Target: Entity<Key = K>, K, N, U>(_: Column<E, K, N, U>) {}

/// The other's column can hold the key.
pub const fn has_many<E: Entity<Key = K>, Target, K, N, U>(_: Column<Target, K, N, U>) {}

/// The other's column can hold the key, and is unique: one row at most holds it.
pub const fn has_one<E: Entity<Key = K>, Target, K, N>(_: Column<Target, K, N, Unique>) {}

/// The value is a moment.
pub const fn moment<T: MomentType>() {}

/// The name of a key's column; of the first, if there are several.
pub const fn key_column<E: Entity>() -> &'static str {
    let mut rest = E::COLUMNS;
    while let [first, others @ ..] = rest {
        if first.primary_key {
            return first.name;
        }
        rest = others;
    }
    // The derive refuses a type without a key.
    ""
}

/// A column's name.
pub const fn column_name<E: Entity, T, N, U>(column: Column<E, T, N, U>) -> &'static str {
    let mut rest = E::COLUMNS;
    let mut index = column.index;
    while let [first, others @ ..] = rest {
        if index == 0 {
            return first.name;
        }
        index -= 1;
        rest = others;
    }
    // The derive numbers columns that there are.
    ""
}

/// What goes wrong with one value.
pub type Failure = Box<dyn std::error::Error + Sync + Send>;

/// Whether a type of PostgreSQL's holds names: text, or an enum.
pub fn holds_names(kind: &Type) -> bool {
    <&str as ToSql>::accepts(kind) || matches!(kind.kind(), Kind::Enum(_))
}

/// A name that the database has.
///
/// # Errors
/// It is no text.
pub fn name_of<'r>(_: &Type, raw: &'r [u8]) -> Result<&'r str, Failure> {
    Ok(std::str::from_utf8(raw)?)
}

/// The database has a name that a type has not.
pub fn no_such(of: &str, name: &str) -> Failure {
    format!("{name:?} is no {of}").into()
}
