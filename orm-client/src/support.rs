//! What the derived code calls: checks of types that only the compiler can make. No interface of its own.

use crate::column_type::{ColumnType, IdentityType, UuidType};
use crate::entity::{Column, ColumnDefinition, Entity, Parameter};
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
pub const fn belongs_to<E, Target: Entity<Key = K>, K, N>(_: Column<E, K, N>) {}

/// The other's column can hold the key.
pub const fn has_many<E: Entity<Key = K>, Target, K, N>(_: Column<Target, K, N>) {}

/// The other's column is unique, so that one row at most holds the key.
pub const fn has_one<E: Entity, T, N>(column: Column<E, T, N>) {
    let (mut rest, mut index, mut keys, mut unique) = (E::COLUMNS, 0, 0, false);
    while let [first, others @ ..] = rest {
        keys += first.primary_key as usize;
        if index == column.index {
            unique = first.unique || first.primary_key;
        }
        index += 1;
        rest = others;
    }
    // A part of a key is not unique by itself.
    let alone = keys == 1 || E::COLUMNS[column.index].unique;
    assert!(
        unique && alone,
        "has_one needs a unique column on the other side: mark it with #[column(unique)], or use has_many"
    );
}

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
pub const fn column_name<E: Entity, T, N>(column: Column<E, T, N>) -> &'static str {
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
