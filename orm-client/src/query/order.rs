//! In which order rows come, and where a page of them begins.

use std::marker::PhantomData;

use super::node::Value;
use crate::entity::{Column, ColumnType, Entity, Required};

/// An order of rows, made from a column.
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # let em = manager();
/// # use pgstrata_orm::query::Order;
/// fn order(newest_first: bool) -> Order<Post> {
///     if newest_first { Post::ID.desc() } else { Post::ID.asc() }
/// }
///
/// assert!(em.find::<Post>().order_by(order(true)).sql()?.ends_with(r#"ORDER BY "id" DESC"#));
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct Order<E> {
    pub(crate) column: usize,
    pub(crate) descending: bool,
    of: PhantomData<fn() -> E>,
}

impl<E: Entity, T: ColumnType + Send + 'static, N, U> Column<E, T, N, U> {
    /// The smallest first.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let by_name = em.find::<User>().order_by(User::NAME.asc()).order_by(User::ID.asc());
    /// assert!(by_name.sql()?.ends_with(r#"ORDER BY "name", "id""#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn asc(self) -> Order<E> {
        Order { column: self.index, descending: false, of: PhantomData }
    }

    /// The greatest first.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let best = em.find::<Post>().order_by(Post::LIKES.desc()).limit(3);
    /// assert!(best.sql()?.ends_with(r#"ORDER BY "likes" DESC LIMIT $1"#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn desc(self) -> Order<E> {
        Order { column: self.index, descending: true, of: PhantomData }
    }
}

/// Where a page begins: see [`Find::after`](super::Find::after).
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # use pgstrata_orm::query::After;
/// fn behind(post: &Post) -> After<Post> {
///     Post::ID.asc_after(post.id)
/// }
/// ```
#[derive(Debug)]
pub struct After<E> {
    pub(super) column: usize,
    pub(super) descending: bool,
    pub(super) value: Value,
    of: PhantomData<fn() -> E>,
}

impl<E: Entity, T: ColumnType + Send + 'static, U> Column<E, T, Required, U> {
    /// The smallest first, and only those that are greater than this.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let next = em.find::<Post>().after(Post::ID.asc_after(7));
    /// assert!(next.sql()?.ends_with(r#"WHERE ("id" > $1) ORDER BY "id""#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn asc_after(self, value: impl Into<T>) -> After<E> {
        After { column: self.index, descending: false, value: Box::new(value.into()), of: PhantomData }
    }

    /// The greatest first, and only those that are smaller than this.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let next = em.find::<Post>().after(Post::ID.desc_after(7));
    /// assert!(next.sql()?.ends_with(r#"WHERE ("id" < $1) ORDER BY "id" DESC"#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn desc_after(self, value: impl Into<T>) -> After<E> {
        After { column: self.index, descending: true, value: Box::new(value.into()), of: PhantomData }
    }
}
