//! Many rows at once.

use std::future::IntoFuture;
use std::marker::PhantomData;

use super::Asked;
use super::condition::{Condition, Node, OUTER, Value, Writer};
use crate::Error;
use crate::entity::{Column, ColumnType, Entity};
use crate::manager::Call;
use crate::sql::{Sql, type_of};
use crate::table;

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
    /// `None` is NULL.
    set: Vec<(usize, Option<Value>)>,
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
    pub fn set<T: ColumnType + Send + 'static>(mut self, column: Column<E, T>, value: impl Into<T>) -> Self {
        self.set.push((column.index, Some(Box::new(value.into()))));
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
        column: Column<E, T>,
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
    pub fn set_null<T>(mut self, column: Column<E, T>) -> Self {
        self.set.push((column.index, None));
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
            match value {
                Some(value) => sql.push(" = ").bind(&**value, type_of(column.sql_type)),
                None => sql.push(" = NULL"),
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
