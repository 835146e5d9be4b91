//! What many rows come to together.

use std::marker::PhantomData;

use tokio_postgres::types::Type;

use super::change::Number;
use super::node::Value;
use super::order::Order;
use super::select::{Item, Items, Selection};
use crate::entity::{Column, ColumnType, Entity};
use crate::row::{Row, RowError};
use crate::sql::type_of;

/// What many rows come to together, read as a `T`: made by [`count`] and the columns' own functions.
///
/// ```no_run
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # use pgstrata_orm::query::count;
/// # async fn example(em: EntityManager) -> Result<(), Error> {
/// let of_authors = em.find::<Post>().select((Post::AUTHOR_ID, count(), Post::LIKES.sum())).group_by(Post::AUTHOR_ID);
/// let busy = of_authors.having(count().gt(10)).order_by(count().desc()).limit(3);
/// for (author, posts, likes) in busy.await? {
///     println!("{author}: {posts} posts, {} likes", likes.unwrap_or_default());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Aggregate<E, T> {
    item: Item,
    of: PhantomData<fn() -> (E, T)>,
}

impl<E, T> Clone for Aggregate<E, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E, T> Copy for Aggregate<E, T> {}

/// How many rows.
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # let em = manager();
/// use pgstrata_orm::query::count;
///
/// let posts = em.find::<Post>().select((Post::AUTHOR_ID, count())).group_by(Post::AUTHOR_ID);
/// assert!(posts.sql()?.starts_with(r#"SELECT "author_id", count(*) FROM"#));
/// # Ok::<(), Error>(())
/// ```
pub fn count<E>() -> Aggregate<E, i64> {
    Aggregate { item: Item::Count, of: PhantomData }
}

impl<E: Entity, T: ColumnType + Send + 'static, N, U> Column<E, T, N, U> {
    fn aggregate<R>(self, name: &'static str, cast: Option<&'static str>) -> Aggregate<E, R> {
        Aggregate { item: Item::Function { name, column: self.index, cast }, of: PhantomData }
    }

    /// The smallest; `None` of no rows.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let [(first, last)] = em.find::<Post>().select((Post::ID.min(), Post::ID.max())).await?[..] else { panic!() };
    /// # Ok(())
    /// # }
    /// ```
    pub fn min(self) -> Aggregate<E, Option<T>> {
        self.aggregate("min", None)
    }

    /// The greatest; `None` of no rows.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let most: Vec<Option<i32>> = em.find::<Post>().select(Post::LIKES.max()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn max(self) -> Aggregate<E, Option<T>> {
        self.aggregate("max", None)
    }

    /// How many are not NULL.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let with_address: Vec<i64> = em.find::<User>().select(User::EMAIL.count()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn count(self) -> Aggregate<E, i64> {
        self.aggregate("count", None)
    }
}

impl<E: Entity, T: Number, N, U> Column<E, T, N, U> {
    /// All of them together; `None` of no rows.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let likes: Vec<Option<i64>> = em.find::<Post>().where_(Post::AUTHOR_ID.eq(7)).select(Post::LIKES.sum()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn sum(self) -> Aggregate<E, Option<T::Sum>> {
        self.aggregate("sum", Some(T::Sum::SQL))
    }

    /// The mean; `None` of no rows.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let likes: Vec<Option<f64>> = em.find::<Post>().select(Post::LIKES.avg()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn avg(self) -> Aggregate<E, Option<f64>> {
        self.aggregate("avg", Some(f64::SQL))
    }
}

impl<E: Entity, T: ColumnType + Send + 'static> Selection<E> for Aggregate<E, T> {
    type Output = T;

    fn items(&self, items: &mut Items) {
        items.0.push(self.item);
    }

    fn read(row: &Row, first: usize) -> Result<T, RowError> {
        row.at(first)
    }
}

/// Which groups: an [`Aggregate`] held against a value.
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// use pgstrata_orm::query::{Having, count};
///
/// fn busy(posts: i64) -> Having<Post> {
///     count().ge(posts)
/// }
/// # let em = manager();
/// # let found = em.find::<Post>().select(Post::AUTHOR_ID).group_by(Post::AUTHOR_ID).having(busy(2));
/// # assert!(found.sql()?.ends_with(r#"GROUP BY "author_id" HAVING count(*) >= $1"#));
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct Having<E> {
    pub(super) item: Item,
    pub(super) operator: &'static str,
    pub(super) value: Value,
    pub(super) kind: Option<Type>,
    of: PhantomData<fn() -> E>,
}

/// What an aggregate is held against: what is in its `Option`.
///
/// ```
/// let bound: <i64 as pgstrata_orm::query::Comparable>::Plain = 5;
/// assert_eq!(bound, 5);
/// ```
pub trait Comparable {
    /// That.
    ///
    /// ```
    /// let bound: <Option<i64> as pgstrata_orm::query::Comparable>::Plain = 5;
    /// assert_eq!(bound, 5);
    /// ```
    type Plain: ColumnType + Send + 'static;
}

impl Comparable for i64 {
    type Plain = i64;
}

impl<T: ColumnType + Send + 'static> Comparable for Option<T> {
    type Plain = T;
}

impl<E, T: Comparable> Aggregate<E, T> {
    fn compare(self, operator: &'static str, value: impl Into<T::Plain>) -> Having<E> {
        let value = Box::new(value.into());
        Having { item: self.item, operator, value, kind: type_of(T::Plain::SQL), of: PhantomData }
    }

    /// Groups with exactly this.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # use pgstrata_orm::query::{Having, count};
    /// let only_one: Having<Post> = count().eq(1);
    /// ```
    pub fn eq(self, value: impl Into<T::Plain>) -> Having<E> {
        self.compare("=", value)
    }

    /// Groups with more than this.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # use pgstrata_orm::query::Having;
    /// let liked: Having<Post> = Post::LIKES.sum().gt(100);
    /// ```
    pub fn gt(self, value: impl Into<T::Plain>) -> Having<E> {
        self.compare(">", value)
    }

    /// Groups with at least this.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # use pgstrata_orm::query::Having;
    /// let liked: Having<Post> = Post::LIKES.max().ge(100);
    /// ```
    pub fn ge(self, value: impl Into<T::Plain>) -> Having<E> {
        self.compare(">=", value)
    }

    /// Groups with less than this.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # use pgstrata_orm::query::Having;
    /// let dull: Having<Post> = Post::LIKES.avg().lt(0.5);
    /// ```
    pub fn lt(self, value: impl Into<T::Plain>) -> Having<E> {
        self.compare("<", value)
    }
}

impl<E, T> Aggregate<E, T> {
    /// The smallest first.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # use pgstrata_orm::query::{SelectedOrder, count};
    /// let fewest_first: SelectedOrder<Post> = count().asc();
    /// ```
    pub fn asc(self) -> SelectedOrder<E> {
        SelectedOrder { item: self.item, descending: false, of: PhantomData }
    }

    /// The greatest first.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # use pgstrata_orm::query::{SelectedOrder, count};
    /// let most_first: SelectedOrder<Post> = count().desc();
    /// ```
    pub fn desc(self) -> SelectedOrder<E> {
        SelectedOrder { item: self.item, descending: true, of: PhantomData }
    }
}

/// An order of what is selected: by a column, or by an [`Aggregate`].
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # use pgstrata_orm::query::SelectedOrder;
/// let by_author: SelectedOrder<Post> = Post::AUTHOR_ID.asc().into();
/// ```
#[derive(Debug)]
pub struct SelectedOrder<E> {
    pub(super) item: Item,
    pub(super) descending: bool,
    of: PhantomData<fn() -> E>,
}

impl<E> From<Order<E>> for SelectedOrder<E> {
    fn from(order: Order<E>) -> Self {
        Self { item: Item::Column(order.column), descending: order.descending, of: PhantomData }
    }
}
