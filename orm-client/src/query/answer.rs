//! What is asked of rows, and how the answer is read.

use super::node::OUTER;
use super::statement::{Parts, around, at_most, numbered};
use super::writer::Writer;
use crate::Error;
use crate::entity::Entity;
use crate::manager::{Place, Session};
use crate::row::{FromRow, Row};
use crate::sql::Sql;

/// What is asked of rows of `E`: how the question is written, and the answer read.
#[doc(hidden)]
pub trait Asks<E: Entity>: Send + Sync {
    /// What it is when it is awaited.
    type Answer: Send;

    /// The rows that it gives can be locked.
    const LOCKS: bool = false;

    /// Writes the question.
    ///
    /// # Errors
    /// The entity is not registered, or a name can be none.
    fn statement<'v>(&'v self, writer: &mut Writer<'_>, parts: &'v Parts) -> Result<Sql<'v>, Error>;

    /// Reads the answer; what goes with it in statements of their own is asked for.
    ///
    /// # Errors
    /// A column has another type, or what the database says.
    fn read<'q>(
        &'q self,
        around: Around<'q>,
        rows: Vec<Row>,
    ) -> impl Future<Output = Result<Self::Answer, Error>> + Send + 'q;
}

/// Where an answer came from, and all that is asked because of it: the tenant is that of the first statement.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub struct Around<'q> {
    pub(crate) session: &'q Session,
    pub(crate) place: &'q Place,
    /// Rows that are deleted count as others do.
    pub(crate) with_deleted: bool,
}

/// Answers that are rows themselves, which can be locked.
#[doc(hidden)]
pub trait Lockable {}

impl Lockable for Many {}
impl Lockable for One {}

/// Answers that come in an order of the rows' own columns.
#[doc(hidden)]
pub trait OwnOrder {}

impl OwnOrder for Many {}
impl OwnOrder for One {}
impl OwnOrder for Count {}
impl OwnOrder for Exists {}
impl OwnOrder for ManyAndCount {}

/// All rows.
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # use pgstrata_orm::query::{Find, Many};
/// fn named<'s>(session: &'s Session, name: &str) -> Find<'s, User, Many> {
///     session.find().where_(User::NAME.eq(name))
/// }
/// # assert!(named(&manager(), "Alice").sql().is_ok());
/// ```
#[derive(Debug)]
pub struct Many;

/// The first row.
///
/// ```no_run
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # use pgstrata_orm::query::{Find, One};
/// # async fn example(em: EntityManager) -> Result<(), Error> {
/// let question: Find<'_, User, One> = em.find_one().where_(User::ID.eq(7));
/// let user: Option<User> = question.await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct One;

/// How many rows.
///
/// ```no_run
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # use pgstrata_orm::query::{Count, Find};
/// # async fn example(em: EntityManager) -> Result<(), Error> {
/// let question: Find<'_, User, Count> = em.count();
/// let users: u64 = question.await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Count;

/// Whether there is any row.
///
/// ```no_run
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # use pgstrata_orm::query::{Exists, Find};
/// # async fn example(em: EntityManager) -> Result<(), Error> {
/// let question: Find<'_, User, Exists> = em.exists();
/// let any: bool = question.await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Exists;

/// The rows of a page, and how many there are on all pages.
///
/// ```no_run
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # use pgstrata_orm::query::{Find, ManyAndCount};
/// # async fn example(em: EntityManager) -> Result<(), Error> {
/// let question: Find<'_, User, ManyAndCount> = em.find_and_count().limit(10);
/// let (page, of): (Vec<User>, u64) = question.await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ManyAndCount;

impl<E: Entity> Asks<E> for Many {
    type Answer = Vec<E>;
    const LOCKS: bool = true;

    fn statement<'v>(&'v self, writer: &mut Writer<'_>, parts: &'v Parts) -> Result<Sql<'v>, Error> {
        at_most::<E>(writer, parts, parts.limit.as_ref())
    }

    async fn read<'q>(&'q self, _: Around<'q>, rows: Vec<Row>) -> Result<Vec<E>, Error> {
        rows.iter().map(|row| decoded(row, 0)).collect()
    }
}

impl<E: Entity> Asks<E> for One {
    type Answer = Option<E>;
    const LOCKS: bool = true;

    fn statement<'v>(&'v self, writer: &mut Writer<'_>, parts: &'v Parts) -> Result<Sql<'v>, Error> {
        at_most::<E>(writer, parts, Some(&1))
    }

    async fn read<'q>(&'q self, _: Around<'q>, rows: Vec<Row>) -> Result<Option<E>, Error> {
        rows.first().map(|row| decoded(row, 0)).transpose()
    }
}

impl<E: Entity> Asks<E> for Count {
    type Answer = u64;

    fn statement<'v>(&'v self, writer: &mut Writer<'_>, parts: &'v Parts) -> Result<Sql<'v>, Error> {
        around::<E>(writer, parts, "SELECT count(*) FROM (", ") AS n")
    }

    async fn read<'q>(&'q self, _: Around<'q>, rows: Vec<Row>) -> Result<u64, Error> {
        number(rows.first())
    }
}

impl<E: Entity> Asks<E> for Exists {
    type Answer = bool;

    fn statement<'v>(&'v self, writer: &mut Writer<'_>, parts: &'v Parts) -> Result<Sql<'v>, Error> {
        around::<E>(writer, parts, "SELECT EXISTS (", ")")
    }

    async fn read<'q>(&'q self, _: Around<'q>, rows: Vec<Row>) -> Result<bool, Error> {
        let exists = rows.first().map(|row| row.at(0)).transpose();
        Ok(exists.map_err(Error::row("reading whether rows are there"))?.unwrap_or(false))
    }
}

impl<E: Entity> Asks<E> for ManyAndCount {
    type Answer = (Vec<E>, u64);

    /// One statement, so that the count is of the same moment as the page.
    fn statement<'v>(&'v self, writer: &mut Writer<'_>, parts: &'v Parts) -> Result<Sql<'v>, Error> {
        let mut sql = writer.session.sql(writer.place);
        let table = writer.table(E::DEFINITION)?;
        sql.push("SELECT n.count, page.* FROM (SELECT count(*) AS count FROM ");
        table.write(&mut sql);
        sql.push(" AS ").push(OUTER);
        writer.filter(&mut sql, &table, Some(OUTER), &parts.filter)?;
        sql.push(") AS n LEFT JOIN (");
        numbered(&mut sql, writer, parts, &table)?;
        sql.push(") AS page ON true ORDER BY page.n");
        Ok(sql)
    }

    async fn read<'q>(&'q self, _: Around<'q>, rows: Vec<Row>) -> Result<Self::Answer, Error> {
        let count = number(rows.first())?;
        // A page with nothing on it is one row with no number.
        let there = rows.iter().filter(|row| row.at::<Option<i64>>(1).ok().flatten().is_some());
        Ok((there.map(|row| decoded(row, 2)).collect::<Result<_, _>>()?, count))
    }
}

/// An entity from a row's columns, from `first` on.
pub(crate) fn decoded<E: Entity>(row: &Row, first: usize) -> Result<E, Error> {
    E::from_columns(row, first).map_err(Error::row(format!("reading a row of {}", E::DEFINITION.name)))
}

fn number(row: Option<&Row>) -> Result<u64, Error> {
    let count = row.map(|row| row.try_get::<_, i64>(0)).transpose();
    let count = count.map_err(Error::row("reading a count"))?.unwrap_or_default();
    Ok(u64::try_from(count).unwrap_or_default())
}
