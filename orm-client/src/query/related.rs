//! Rows with those that they belong to, or that belong to them. One statement each, however many rows there are.

use std::marker::PhantomData;

use super::answer::{Asks, OwnOrder, decoded};
use super::condition::Condition;
use super::find::Find;
use super::node::{Node, OUTER};
use super::statement::{Parts, from, limited, numbered, order};
use super::writer::Writer;
use crate::Error;
use crate::entity::{Entity, Relation, RelationDefinition};
use crate::row::Row;
use crate::sql::Sql;
use crate::table::{self, Table};

/// The alias of the other table.
const OTHER: &str = "t1";

/// Pairs of related rows: see [`Find::join`](super::Find::join).
///
/// ```no_run
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # async fn example(em: EntityManager) -> Result<(), Error> {
/// let of_alice = em.find::<Post>().join(Post::AUTHOR).where_other(User::NAME.eq("Alice"));
/// for (post, author) in of_alice.limit(10).await? {
///     println!("{} by {}", post.title, author.name);
/// }
/// # Ok(())
/// # }
/// ```
pub type Joined<'s, E, T> = Find<'s, E, Join<T, Inner>>;

/// Rows with one that they are related to, or with none: see [`Find::left_join`](super::Find::left_join).
///
/// ```no_run
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # async fn example(em: EntityManager) -> Result<(), Error> {
/// let liked = em.find::<User>().left_join(User::POSTS).where_other(Post::LIKES.gt(100));
/// for (user, post) in liked.await? {
///     println!("{}: {:?}", user.name, post.map(|post| post.title));
/// }
/// # Ok(())
/// # }
/// ```
pub type LeftJoined<'s, E, T> = Find<'s, E, Join<T, Left>>;

/// Rows, each with all that it is related to: see [`Find::load`](super::Find::load).
///
/// ```no_run
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # async fn example(em: EntityManager) -> Result<(), Error> {
/// let users: Vec<(User, Vec<Post>)> = em.find::<User>().limit(10).load(User::POSTS).await?;
/// # Ok(())
/// # }
/// ```
pub type Loaded<'s, E, T> = Find<'s, E, Load<T>>;

/// What becomes of a row that has none on the other side.
#[doc(hidden)]
pub trait Side: Send + Sync {
    /// It comes, with none.
    const LEFT: bool;

    /// What stands in a pair for the other side.
    type Other<T: Entity>: Send;

    /// Reads it from a row's columns, from `first` on.
    ///
    /// # Errors
    /// A column has another type.
    fn read<T: Entity>(row: &Row, first: usize) -> Result<Self::Other<T>, Error>;
}

/// It does not come.
#[doc(hidden)]
#[derive(Debug)]
pub struct Inner;

/// It comes alone.
#[doc(hidden)]
#[derive(Debug)]
pub struct Left;

impl Side for Inner {
    const LEFT: bool = false;
    type Other<T: Entity> = T;

    fn read<T: Entity>(row: &Row, first: usize) -> Result<T, Error> {
        decoded(row, first)
    }
}

impl Side for Left {
    const LEFT: bool = true;
    type Other<T: Entity> = Option<T>;

    fn read<T: Entity>(row: &Row, first: usize) -> Result<Option<T>, Error> {
        present(row, first)
    }
}

/// The other side of each row, one by one.
#[doc(hidden)]
#[derive(Debug)]
pub struct Join<T, S> {
    relation: usize,
    others: Vec<Node>,
    of: PhantomData<fn() -> (T, S)>,
}

impl<T: Entity, S: Side> Join<T, S> {
    pub(super) fn new<E>(relation: Relation<E, T>) -> Self {
        Self { relation: relation.index, others: Vec::new(), of: PhantomData }
    }
}

impl<T, S> OwnOrder for Join<T, S> {}

impl<E: Entity, T: Entity> Find<'_, E, Join<T, Inner>> {
    /// Pairs whose other side meets this.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// // A user comes once for each such post.
    /// let liked: Vec<(User, Post)> = em.find().join(User::POSTS).where_other(Post::LIKES.gt(100)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn where_other(mut self, condition: Condition<T>) -> Self {
        self.asks.others.push(condition.node);
        self
    }
}

impl<E: Entity, T: Entity> Find<'_, E, Join<T, Left>> {
    /// With rows of the other side that meet this: whoever has none such comes with none.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let users = em.find::<User>().left_join(User::POSTS).where_other(Post::LIKES.gt(100));
    /// assert!(users.sql()?.ends_with(r#"ON t1."author_id" = t0."id" AND t1."likes" > $1"#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn where_other(mut self, condition: Condition<T>) -> Self {
        self.asks.others.push(condition.node);
        self
    }
}

impl<E: Entity, T: Entity, S: Side> Asks<E> for Join<T, S> {
    type Answer = Vec<(E, S::Other<T>)>;

    fn statement<'v>(&'v self, writer: &mut Writer<'_>, parts: &'v Parts) -> Result<Sql<'v>, Error> {
        let mut sql = writer.session.sql(writer.place);
        let (table, other) = (writer.table(E::DEFINITION)?, writer.table(T::DEFINITION)?);
        let relation = table::relation(E::DEFINITION, self.relation)?;
        sql.push("SELECT ");
        table.write_columns(&mut sql, Some(OUTER));
        sql.push(", ");
        if S::LEFT {
            is_there(&mut sql, &other, relation);
        }
        other.write_columns(&mut sql, Some(OTHER));
        from(&mut sql, &table, Some(OUTER));
        sql.push(if S::LEFT { " LEFT JOIN " } else { " JOIN " });
        sql.compares(table::column_named(E::DEFINITION, relation.column)?.sql_type);
        on(&mut sql, &other, relation);
        sql.push(OUTER).push(".").name(table.renamed(relation.column));
        if S::LEFT && !self.others.is_empty() {
            // What the other side is to be: whoever has none of these has none.
            sql.push(" AND ");
            writer.all(&mut sql, &other, Some(OTHER), &self.others, " AND ")?;
        }
        writer.filter(&mut sql, &table, Some(OUTER), &parts.filter)?;
        if !S::LEFT && !self.others.is_empty() {
            sql.push(if parts.filter.is_empty() { " WHERE " } else { " AND " });
            writer.all(&mut sql, &other, Some(OTHER), &self.others, " AND ")?;
        }
        order(&mut sql, " ORDER BY ", &table, Some(OUTER), &parts.order)?;
        limited(&mut sql, parts.limit.as_ref(), parts.offset.as_ref());
        Ok(sql)
    }

    fn read(&self, rows: &[Row]) -> Result<Self::Answer, Error> {
        let width = E::DEFINITION.columns.len();
        rows.iter().map(|row| Ok((decoded(row, 0)?, S::read(row, width)?))).collect()
    }
}

/// All of the other side, with each row.
#[doc(hidden)]
#[derive(Debug)]
pub struct Load<T> {
    relation: usize,
    of: PhantomData<fn() -> T>,
}

impl<T: Entity> Load<T> {
    pub(super) fn new<E>(relation: Relation<E, T>) -> Self {
        Self { relation: relation.index, of: PhantomData }
    }
}

impl<T> OwnOrder for Load<T> {}

impl<E: Entity, T: Entity> Asks<E> for Load<T> {
    type Answer = Vec<(E, Vec<T>)>;

    fn statement<'v>(&'v self, writer: &mut Writer<'_>, parts: &'v Parts) -> Result<Sql<'v>, Error> {
        let mut sql = writer.session.sql(writer.place);
        let (table, other) = (writer.table(E::DEFINITION)?, writer.table(T::DEFINITION)?);
        let relation = table::relation(E::DEFINITION, self.relation)?;
        let own = table::column_named(E::DEFINITION, relation.column)?;
        sql.compares(own.sql_type);
        let own = E::DEFINITION.columns.iter().take_while(|column| !std::ptr::eq(*column, own)).count();
        sql.push("SELECT o.*, ");
        is_there(&mut sql, &other, relation);
        other.write_columns(&mut sql, Some(OTHER));
        sql.push(" FROM (");
        numbered(&mut sql, writer, parts, &table)?;
        sql.push(") AS o LEFT JOIN ");
        on(&mut sql, &other, relation);
        sql.push(&format!("o.c{own} ORDER BY o.n"));
        for key in other.keys() {
            other.write_column(sql.push(", "), Some(OTHER), key);
        }
        Ok(sql)
    }

    fn read(&self, rows: &[Row]) -> Result<Self::Answer, Error> {
        grouped(rows)
    }
}

/// Rows of one number are one row of `E`, with a row of `T` each, or with none.
fn grouped<E: Entity, T: Entity>(rows: &[Row]) -> Result<Vec<(E, Vec<T>)>, Error> {
    let doing = || Error::row(format!("reading a row of {}", E::DEFINITION.name));
    let width = E::DEFINITION.columns.len();
    let mut found: Vec<(E, Vec<T>)> = Vec::new();
    let mut last = None;
    for row in rows {
        let number: i64 = row.try_get(0).map_err(doing())?;
        if last != Some(number) {
            found.push((decoded(row, 1)?, Vec::new()));
            last = Some(number);
        }
        if let Some((_, others)) = found.last_mut() {
            others.extend(present(row, 1 + width)?);
        }
    }
    Ok(found)
}

/// `t1."user_id" IS NOT NULL, `
fn is_there(sql: &mut Sql<'_>, other: &Table, relation: &'static RelationDefinition) {
    sql.push(OTHER).push(".").name(other.renamed(relation.target_column)).push(" IS NOT NULL, ");
}

/// The other side of a row, if there is one: whether there is stands in front of it.
fn present<T: Entity>(row: &Row, first: usize) -> Result<Option<T>, Error> {
    let there: bool = row.at(first).map_err(Error::row("reading whether a row is there"))?;
    there.then(|| decoded(row, first + 1)).transpose()
}

/// `"posts" AS t1 ON t1."user_id" = `
fn on(sql: &mut Sql<'_>, other: &Table, relation: &'static RelationDefinition) {
    other.write(sql);
    sql.push(" AS ").push(OTHER).push(" ON ").push(OTHER).push(".");
    sql.name(other.renamed(relation.target_column)).push(" = ");
}
