//! Columns as constants of their types.

use std::marker::PhantomData;

use super::Required;

/// A column as a constant of its type: `User::EMAIL`. `T` is the type that it is compared with: the field's, without its `Option`,
/// which `N` tells of. `U` says whether it is unique.
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # use pgstrata_orm::entity::{Column, Optional, Unique};
/// let email: Column<User, String, Optional, Unique> = User::EMAIL;
/// assert_eq!(User::COLUMNS[email.index].sql_type, "text");
/// ```
#[derive(Debug)]
pub struct Column<E, T, N = Required, U = NotUnique> {
    /// Among [`EntityDefinition::columns`](super::EntityDefinition::columns).
    pub index: usize,
    of: PhantomData<fn() -> E>,
    value: PhantomData<fn() -> T>,
    marks: PhantomData<fn() -> (N, U)>,
}

impl<E, T, N, U> Column<E, T, N, U> {
    /// For the derive: the column with this index.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # use pgstrata_orm::entity::Column;
    /// const NAME: Column<User, String> = Column::new(1);
    /// assert_eq!(NAME.index, User::NAME.index);
    /// ```
    pub const fn new(index: usize) -> Self {
        Self { index, of: PhantomData, value: PhantomData, marks: PhantomData }
    }
}

impl<E, T, N, U> Clone for Column<E, T, N, U> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E, T, N, U> Copy for Column<E, T, N, U> {}

/// A column in which several rows may have the same.
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # use pgstrata_orm::entity::{Column, NotUnique, Required};
/// let name: Column<User, String, Required, NotUnique> = User::NAME;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct NotUnique;

/// A column that is unique, or the whole key.
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # use pgstrata_orm::entity::{Column, Required, Unique};
/// let id: Column<User, i64, Required, Unique> = User::ID;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Unique;
