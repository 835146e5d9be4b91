//! Many rows at once.

use std::future::IntoFuture;
use std::marker::PhantomData;

use tokio_postgres::types::Type;

use super::Asked;
use super::change::Change;
use super::condition::Condition;
use super::node::{Node, OUTER, Value};
use super::save::{deletion, stamp};
use super::writer::Writer;
use crate::Error;
use crate::entity::{Column, ColumnType, Entity, Optional};
use crate::manager::Call;
use crate::sql::{Sql, type_of};
use crate::table::{self, Table};

/// Sets columns of rows of `E`; `.await` does it, and gives how many rows there were.
///
/// ```no_run
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # async fn example(em: EntityManager) -> Result<(), Error> {
/// let changed: u64 = em.update::<User>().set(User::NAME, "Alice").where_(User::ID.eq(1)).await?;
/// # Ok(())
/// # }
/// ```
pub type Update<'s, E> = Bulk<'s, E, Sets>;

/// Deletes rows of `E`; `.await` does it, and gives how many there were.
///
/// ```no_run
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # async fn example(em: EntityManager) -> Result<(), Error> {
/// let deleted: u64 = em.delete::<User>().where_(User::ID.eq(1)).await?;
/// # Ok(())
/// # }
/// ```
pub type Delete<'s, E> = Bulk<'s, E, Deletion>;

/// What is done to rows of `E`: see [`Update`] and [`Delete`].
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # let em = manager();
/// use pgstrata_orm::query::Bulk;
///
/// fn unread<W>(change: Bulk<'_, Post, W>) -> Bulk<'_, Post, W> {
///     change.where_(Post::LIKES.eq(0))
/// }
///
/// assert!(unread(em.delete()).sql()?.starts_with("DELETE FROM"));
/// assert!(unread(em.update().set(Post::TITLE, "")).sql()?.starts_with("UPDATE"));
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing is done until it is awaited"]
pub struct Bulk<'s, E, W> {
    session: Call<'s>,
    what: W,
    filter: Vec<Node>,
    everywhere: bool,
    with_deleted: bool,
    of: PhantomData<fn() -> E>,
}

/// What is done to many rows at once.
#[doc(hidden)]
pub trait Does<E: Entity>: Default + Send + Sync {
    /// `UPDATE "users" AS t0 SET ..`, or another beginning of a statement.
    ///
    /// # Errors
    /// There is nothing to do.
    fn write<'v>(&'v self, sql: &mut Sql<'v>, table: &Table) -> Result<(), Error>;
}

/// Columns, and what they are set to.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct Sets(Vec<(usize, Set)>);

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

/// They are no more.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct Deletion {
    for_good: bool,
}

impl<'s, E: Entity, W: Does<E>> Bulk<'s, E, W> {
    pub(crate) fn new(session: Call<'s>) -> Self {
        let (what, filter) = (W::default(), Vec::new());
        Self { session, what, filter, everywhere: false, with_deleted: false, of: PhantomData }
    }

    fn statement(&self, writer: &mut Writer<'_>) -> Result<Sql<'_>, Error> {
        // Forgotten conditions are not all rows.
        if self.filter.is_empty() && !self.everywhere {
            return Err(Error::Unfiltered(E::DEFINITION.name));
        }
        let mut sql = writer.session.sql(writer.place);
        let table = writer.table(E::DEFINITION)?;
        self.what.write(&mut sql, &table)?;
        writer.with_deleted = self.with_deleted;
        writer.filter(&mut sql, &table, Some(OUTER), &self.filter)?;
        Ok(sql)
    }

    /// The SQL that would be sent in the context of now, with `$1`, `$2` ... for values.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let reset = em.update::<Post>().set(Post::LIKES, 0).where_(Post::LIKES.lt(0));
    /// assert_eq!(reset.sql()?, r#"UPDATE "public"."posts" AS t0 SET "likes" = $1 WHERE t0."likes" < $2"#);
    /// let unread = em.delete::<Post>().where_(Post::LIKES.eq(0));
    /// assert_eq!(unread.sql()?, r#"DELETE FROM "public"."posts" AS t0 WHERE t0."likes" = $1"#);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// As of the change itself.
    pub fn sql(&self) -> Result<String, Error> {
        let place = self.session.place()?;
        Ok(self.statement(&mut Writer::new(&self.session, &place))?.text)
    }
}

impl<E: Entity, W> Bulk<'_, E, W> {
    /// Rows that meet this, besides what was said before.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let mine = em.update::<Post>().set(Post::LIKES, 0).where_(Post::AUTHOR_ID.eq(7));
    /// let reset: u64 = mine.where_(Post::LIKES.lt(0)).await?;
    /// // Of those who never wrote.
    /// em.delete::<User>().where_(!User::POSTS.has_any()).where_(User::EMAIL.is_null()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn where_(mut self, condition: Condition<E>) -> Self {
        self.filter.push(condition.node);
        self
    }

    /// All rows.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// assert!(matches!(em.delete::<Post>().await, Err(Error::Unfiltered("Post"))));
    /// let all: u64 = em.update::<Post>().set(Post::LIKES, 0).everywhere().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn everywhere(mut self) -> Self {
        self.everywhere = true;
        self
    }

    /// Rows that are deleted as well, where the entity keeps them: see [`Find::with_deleted`](super::Find::with_deleted).
    ///
    /// ```no_run
    /// # use pgstrata_orm::{Entity, EntityManager, Error};
    /// # #[derive(Entity)]
    /// # struct Note {
    /// #     #[column(primary_key, generated)]
    /// #     id: i64,
    /// #     #[column(deleted)]
    /// #     deleted_at: Option<std::time::SystemTime>,
    /// # }
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// // It is there again.
    /// em.update::<Note>().set_null(Note::DELETED_AT).where_(Note::ID.eq(7)).with_deleted().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_deleted(mut self) -> Self {
        self.with_deleted = true;
        self
    }
}

impl<E: Entity> Delete<'_, E> {
    /// Deletes the rows where the entity would keep them, marked; those that are marked already, too.
    ///
    /// ```no_run
    /// # use pgstrata_orm::{Entity, EntityManager, Error};
    /// # use std::time::{Duration, SystemTime};
    /// # #[derive(Entity)]
    /// # struct Note {
    /// #     #[column(primary_key, generated)]
    /// #     id: i64,
    /// #     #[column(deleted)]
    /// #     deleted_at: Option<SystemTime>,
    /// # }
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let month_ago = SystemTime::now() - Duration::from_secs(30 * 24 * 3600);
    /// let purged: u64 = em.delete::<Note>().where_(Note::DELETED_AT.lt(month_ago)).for_good().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn for_good(mut self) -> Self {
        self.what.for_good = true;
        self.with_deleted()
    }
}

impl<E: Entity> Update<'_, E> {
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
    pub fn set<T: ColumnType + Send + 'static, N, U>(
        mut self,
        column: Column<E, T, N, U>,
        value: impl Into<T>,
    ) -> Self {
        self.what.0.push((column.index, Set::Value(Box::new(value.into()))));
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
    pub fn set_option<T: ColumnType + Send + 'static, U>(
        self,
        column: Column<E, T, Optional, U>,
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
    pub fn set_null<T, U>(mut self, column: Column<E, T, Optional, U>) -> Self {
        self.what.0.push((column.index, Set::Null));
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
        self.what.0.push((column, Set::Change { before, value, behind }));
        self
    }
}

impl Set {
    /// As the value of the column that says whose a row is: it stays whose it is, where not all tenants' rows are meant.
    fn keep_owner<'v>(&'v self, sql: &mut Sql<'v>, table: &Table) -> Result<(), Error> {
        let none = None::<String>;
        let owner = match self {
            Self::Value(value) => table.owner_by(&**value)?,
            Self::Null => table.owner_by(&none)?,
            Self::Change { .. } => return Err(Error::Unscoped("a change of whose a row is".into())),
        };
        match (owner, self) {
            (Some(tenant), _) => drop(sql.bind_tenant(tenant)),
            (None, Self::Value(value)) => drop(sql.bind(&**value, Some(Type::TEXT))),
            (None, _) => drop(sql.push("NULL")),
        }
        Ok(())
    }
}

impl<E: Entity> Does<E> for Sets {
    fn write<'v>(&'v self, sql: &mut Sql<'v>, table: &Table) -> Result<(), Error> {
        if self.0.is_empty() {
            return Err(Error::NothingSet(E::DEFINITION.name));
        }
        table.write(sql.push("UPDATE "));
        sql.push(" AS ").push(OUTER);
        for (n, (column, value)) in self.0.iter().enumerate() {
            let column = table::column(E::DEFINITION, *column)?;
            sql.push(if n == 0 { " SET " } else { ", " });
            table.write_column(sql, None, column);
            sql.push(" = ");
            if table.is_tenants(column) {
                value.keep_owner(sql, table)?;
                continue;
            }
            match value {
                Set::Value(value) => sql.bind(&**value, type_of(column.sql_type)),
                Set::Null => sql.push("NULL"),
                Set::Change { before, value, behind } => {
                    table.write_column(sql.push(before), None, column);
                    sql.push(behind).bind(&**value, type_of(column.sql_type))
                }
            };
        }
        let set: Vec<usize> = self.0.iter().map(|(column, _)| *column).collect();
        stamp(sql, table, &set);
        Ok(())
    }
}

impl<E: Entity> Does<E> for Deletion {
    fn write<'v>(&'v self, sql: &mut Sql<'v>, table: &Table) -> Result<(), Error> {
        if self.for_good {
            table.write(sql.push("DELETE FROM "));
            sql.push(" AS ").push(OUTER);
        } else {
            deletion(sql, table, Some(OUTER));
        }
        Ok(())
    }
}

impl<'s, E: Entity, W: Does<E> + 's> IntoFuture for Bulk<'s, E, W> {
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
