//! How columns change by what they have.

use std::marker::PhantomData;

use super::node::Value;
use crate::entity::{Column, ColumnType, Entity};

/// How a column changes by what it has: made by [`Column::add`] and its like, for [`Update::change`]. The database does it, so that two at once
/// both count.
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// use pgstrata_orm::query::Change;
///
/// fn like(times: i32) -> Change<Post> {
///     Post::LIKES.add(times)
/// }
/// # assert!(manager().update::<Post>().change(like(2)).everywhere().sql().is_ok());
/// ```
#[derive(Debug)]
#[must_use = "nothing is changed by itself"]
pub struct Change<E> {
    pub(super) column: usize,
    pub(super) before: &'static str,
    pub(super) value: Value,
    pub(super) behind: &'static str,
    of: PhantomData<fn() -> E>,
}

/// A type with sums.
///
/// ```
/// fn doubled<T: pgstrata_orm::query::Number + std::ops::Add<Output = T> + Copy>(number: T) -> T {
///     number + number
/// }
/// assert_eq!(doubled(2i64), 4);
/// ```
pub trait Number: ColumnType + Send + 'static {
    /// What the database gives as a sum of them.
    ///
    /// ```
    /// let sum: <i16 as pgstrata_orm::query::Number>::Sum = 7i64;
    /// assert_eq!(sum, 7);
    /// ```
    type Sum: ColumnType + Send + 'static;
}

impl Number for i16 {
    type Sum = i64;
}
impl Number for i32 {
    type Sum = i64;
}
impl Number for i64 {
    type Sum = i64;
}
impl Number for f32 {
    type Sum = f64;
}
impl Number for f64 {
    type Sum = f64;
}

impl<E: Entity, T: Number, N, U> Column<E, T, N, U> {
    fn changed(self, behind: &'static str, value: impl Into<T>) -> Change<E> {
        Change { column: self.index, before: "", value: Box::new(value.into()), behind, of: PhantomData }
    }

    /// So much more.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let liked = em.update::<Post>().change(Post::LIKES.add(1)).everywhere();
    /// assert!(liked.sql()?.ends_with(r#"SET "likes" = "likes" + $1"#));
    /// # Ok::<(), Error>(())
    /// ```
    #[allow(clippy::should_implement_trait)]
    pub fn add(self, value: impl Into<T>) -> Change<E> {
        self.changed(" + ", value)
    }

    /// So much less.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let unliked = em.update::<Post>().change(Post::LIKES.subtract(1)).where_(Post::LIKES.gt(0));
    /// # assert!(unliked.sql()?.contains(r#"SET "likes" = "likes" - $1 WHERE"#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn subtract(self, value: impl Into<T>) -> Change<E> {
        self.changed(" - ", value)
    }

    /// So many times as much.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let doubled = em.update::<Post>().change(Post::LIKES.multiply(2)).everywhere();
    /// # assert!(doubled.sql()?.ends_with(r#"SET "likes" = "likes" * $1"#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn multiply(self, value: impl Into<T>) -> Change<E> {
        self.changed(" * ", value)
    }
}

impl<E: Entity, N, U> Column<E, String, N, U> {
    /// With this behind it. What is NULL stays NULL.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let marked = em.update::<Post>().change(Post::TITLE.append(" (draft)")).where_(Post::SUMMARY.is_null());
    /// # assert!(marked.sql()?.contains(r#"SET "title" = "title" || $1 WHERE"#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn append(self, value: impl Into<String>) -> Change<E> {
        Change {
            column: self.index,
            before: "",
            value: Box::new(value.into()),
            behind: " || ",
            of: PhantomData,
        }
    }
}
