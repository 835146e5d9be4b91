//! What tells one row from all others.

use std::marker::PhantomData;

use super::{Column, Unique};

/// What only one row can have: a unique column, or the columns of a unique index.
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # use pgstrata_orm::entity::UniqueKey;
/// async fn put<K: UniqueKey<User>>(em: &EntityManager, user: &User, key: K) -> Result<User, Error> {
///     em.upsert(user).on(key).await
/// }
///
/// assert_eq!(User::EMAIL.columns(), [User::EMAIL.index]);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not unique: several rows could have the same",
    label = "this tells no row from all others",
    note = "a column is unique by `#[column(unique)]`; several together by `index(columns(..), unique)`, which makes a constant of their names"
)]
pub trait UniqueKey<E> {
    /// The columns, by their index among those of the entity.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # use pgstrata_orm::entity::UniqueKey;
    /// assert_eq!(Post::AUTHOR_ID_TITLE.columns(), [Post::AUTHOR_ID.index, Post::TITLE.index]);
    /// ```
    fn columns(&self) -> Vec<usize>;
}

impl<E, T, N> UniqueKey<E> for Column<E, T, N, Unique> {
    fn columns(&self) -> Vec<usize> {
        vec![self.index]
    }
}

/// A unique index as a constant of its type, which is called as the index is, or as its columns are: `Post::AUTHOR_ID_TITLE`.
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # use pgstrata_orm::entity::UniqueIndex;
/// let title: UniqueIndex<Post> = Post::AUTHOR_ID_TITLE;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct UniqueIndex<E> {
    columns: &'static [usize],
    of: PhantomData<fn() -> E>,
}

impl<E> UniqueIndex<E> {
    /// For the derive: the index of these columns.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # use pgstrata_orm::entity::{UniqueIndex, UniqueKey};
    /// const TITLE: UniqueIndex<Post> = UniqueIndex::new(&[1, 2]);
    /// assert_eq!(TITLE.columns(), Post::AUTHOR_ID_TITLE.columns());
    /// ```
    pub const fn new(columns: &'static [usize]) -> Self {
        Self { columns, of: PhantomData }
    }
}

impl<E> UniqueKey<E> for UniqueIndex<E> {
    fn columns(&self) -> Vec<usize> {
        self.columns.into()
    }
}
