//! Many rows at once.

use std::future::IntoFuture;
use std::marker::PhantomData;

use super::Asked;
use super::condition::{Condition, Node, OUTER, Value, Writer};
use crate::Error;
use crate::entity::{Column, ColumnType, Entity, Optional};
use crate::manager::Call;
use crate::sql::{Sql, type_of};
use crate::table;

/// What a column is set to.
#[derive(Debug)]
enum Set {
    Value(Value),
    Null,
    /// The column between these, and the value behind them.
    Change {
        before: &'static str,
        value: Value,
        behind: &'static str,
    },
}

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
    column: usize,
    before: &'static str,
    value: Value,
    behind: &'static str,
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

impl<E: Entity, T: Number, N> Column<E, T, N> {
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

impl<E: Entity, N> Column<E, String, N> {
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

/// Which rows are meant.
#[derive(Debug, Default)]
struct Which {
    filter: Vec<Node>,
    everywhere: bool,
}

impl Which {
    /// Forgotten conditions are not all rows.
    fn check<E: Entity>(&self) -> Result<(), Error> {
        match self.filter.is_empty() && !self.everywhere {
            true => Err(Error::Unfiltered(E::DEFINITION.name)),
            false => Ok(()),
        }
    }
}

/// Sets columns of rows of `E`; `.await` does it, and gives how many rows there were.
///
/// ```no_run
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # async fn example(em: EntityManager) -> Result<(), Error> {
/// let changed: u64 = em.update::<User>().set(User::NAME, "Alice").where_(User::ID.eq(1)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is done until it is awaited"]
pub struct Update<'s, E> {
    session: Call<'s>,
    set: Vec<(usize, Set)>,
    which: Which,
    of: PhantomData<fn() -> E>,
}

impl<'s, E: Entity> Update<'s, E> {
    pub(crate) fn new(session: Call<'s>) -> Self {
        Self { session, set: Vec::new(), which: Which::default(), of: PhantomData }
    }

    /// Sets a column.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// // An `Option`'s column takes what is in it; see `set_option`, too.
    /// em.update::<Post>().set(Post::TITLE, "First").set(Post::SUMMARY, "..").where_(Post::ID.eq(1)).await?;
    /// // With nothing to set nothing is asked of PostgreSQL.
    /// assert!(matches!(em.update::<Post>().everywhere().await, Err(Error::NothingSet("Post"))));
    /// # Ok(())
    /// # }
    /// ```
    pub fn set<T: ColumnType + Send + 'static, N>(
        mut self,
        column: Column<E, T, N>,
        value: impl Into<T>,
    ) -> Self {
        self.set.push((column.index, Set::Value(Box::new(value.into()))));
        self
    }

    /// Sets a column to what is in `value`, or to NULL.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// # let post = Post { id: 1, ..Post::default() };
    /// let changed = em.update::<Post>().set_option(Post::SUMMARY, post.summary).where_(Post::ID.eq(post.id));
    /// assert!(changed.sql()?.contains(r#"SET "summary" = NULL WHERE"#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn set_option<T: ColumnType + Send + 'static>(
        self,
        column: Column<E, T, Optional>,
        value: Option<impl Into<T>>,
    ) -> Self {
        match value {
            Some(value) => self.set(column, value),
            None => self.set_null(column),
        }
    }

    /// Sets a column to NULL.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// em.update::<Post>().set_null(Post::SUMMARY).where_(Post::SUMMARY.eq("")).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_null<T>(mut self, column: Column<E, T, Optional>) -> Self {
        self.set.push((column.index, Set::Null));
        self
    }

    /// Changes a column by what it has: see [`Change`].
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let liked = em.update::<Post>().change(Post::LIKES.add(1)).where_(Post::ID.eq(7));
    /// assert!(liked.sql()?.contains(r#"SET "likes" = "likes" + $1 WHERE"#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn change(mut self, change: Change<E>) -> Self {
        let Change { column, before, value, behind, .. } = change;
        self.set.push((column, Set::Change { before, value, behind }));
        self
    }

    /// Of rows that meet this, besides what was said before.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let mine = em.update::<Post>().set(Post::LIKES, 0).where_(Post::AUTHOR_ID.eq(7));
    /// let reset: u64 = mine.where_(Post::LIKES.lt(0)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn where_(mut self, condition: Condition<E>) -> Self {
        self.which.filter.push(condition.node);
        self
    }

    /// Of all rows.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// assert!(matches!(em.update::<Post>().set(Post::LIKES, 0).await, Err(Error::Unfiltered("Post"))));
    /// let all: u64 = em.update::<Post>().set(Post::LIKES, 0).everywhere().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn everywhere(mut self) -> Self {
        self.which.everywhere = true;
        self
    }

    /// The SQL that would be sent in the context of now, with `$1`, `$2` ... for values.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let reset = em.update::<Post>().set(Post::LIKES, 0).where_(Post::LIKES.lt(0));
    /// assert_eq!(reset.sql()?, r#"UPDATE "public"."posts" AS t0 SET "likes" = $1 WHERE t0."likes" < $2"#);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// As of the change itself.
    pub fn sql(&self) -> Result<String, Error> {
        let place = self.session.place()?;
        Ok(self.statement(&mut Writer::new(&self.session, &place))?.text)
    }

    fn statement(&self, writer: &mut Writer<'_>) -> Result<Sql<'_>, Error> {
        self.which.check::<E>()?;
        if self.set.is_empty() {
            return Err(Error::NothingSet(E::DEFINITION.name));
        }
        let mut sql = writer.session.sql(writer.place);
        let table = writer.table(E::DEFINITION)?;
        sql.push("UPDATE ");
        table.write(&mut sql);
        sql.push(" AS ").push(OUTER);
        for (n, (column, value)) in self.set.iter().enumerate() {
            let column = table::column(E::DEFINITION, *column)?;
            sql.push(if n == 0 { " SET " } else { ", " });
            table.write_column(&mut sql, None, column);
            sql.push(" = ");
            match value {
                Set::Value(value) => sql.bind(&**value, type_of(column.sql_type)),
                Set::Null => sql.push("NULL"),
                Set::Change { before, value, behind } => {
                    table.write_column(sql.push(before), None, column);
                    sql.push(behind).bind(&**value, type_of(column.sql_type))
                }
            };
        }
        writer.filter(&mut sql, &table, Some(OUTER), &self.which.filter)?;
        Ok(sql)
    }
}

impl<'s, E: Entity> IntoFuture for Update<'s, E> {
    type Output = Result<u64, Error>;
    type IntoFuture = Asked<'s, u64>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let place = self.session.place()?;
            let sql = self.statement(&mut Writer::new(&self.session, &place))?;
            Ok(self.session.write::<E>(&place, &sql).await?.affected)
        })
    }
}

/// Deletes rows of `E`; `.await` does it, and gives how many there were.
///
/// ```no_run
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # async fn example(em: EntityManager) -> Result<(), Error> {
/// let deleted: u64 = em.delete::<User>().where_(User::ID.eq(1)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is done until it is awaited"]
pub struct Delete<'s, E> {
    session: Call<'s>,
    which: Which,
    of: PhantomData<fn() -> E>,
}

impl<'s, E: Entity> Delete<'s, E> {
    pub(crate) fn new(session: Call<'s>) -> Self {
        Self { session, which: Which::default(), of: PhantomData }
    }

    /// Rows that meet this, besides what was said before.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// // Of those who never wrote.
    /// em.delete::<User>().where_(!User::POSTS.has_any()).where_(User::EMAIL.is_null()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn where_(mut self, condition: Condition<E>) -> Self {
        self.which.filter.push(condition.node);
        self
    }

    /// All rows.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// assert!(matches!(em.delete::<Post>().await, Err(Error::Unfiltered("Post"))));
    /// let all: u64 = em.delete::<Post>().everywhere().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn everywhere(mut self) -> Self {
        self.which.everywhere = true;
        self
    }

    /// The SQL that would be sent in the context of now, with `$1`, `$2` ... for values.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let unread = em.delete::<Post>().where_(Post::LIKES.eq(0));
    /// assert_eq!(unread.sql()?, r#"DELETE FROM "public"."posts" AS t0 WHERE t0."likes" = $1"#);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// As of the deletion itself.
    pub fn sql(&self) -> Result<String, Error> {
        let place = self.session.place()?;
        Ok(self.statement(&mut Writer::new(&self.session, &place))?.text)
    }

    fn statement(&self, writer: &mut Writer<'_>) -> Result<Sql<'_>, Error> {
        self.which.check::<E>()?;
        let mut sql = writer.session.sql(writer.place);
        let table = writer.table(E::DEFINITION)?;
        sql.push("DELETE FROM ");
        table.write(&mut sql);
        sql.push(" AS ").push(OUTER);
        writer.filter(&mut sql, &table, Some(OUTER), &self.which.filter)?;
        Ok(sql)
    }
}

impl<'s, E: Entity> IntoFuture for Delete<'s, E> {
    type Output = Result<u64, Error>;
    type IntoFuture = Asked<'s, u64>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let place = self.session.place()?;
            let sql = self.statement(&mut Writer::new(&self.session, &place))?;
            Ok(self.session.write::<E>(&place, &sql).await?.affected)
        })
    }
}
