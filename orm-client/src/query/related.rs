//! Rows with those that they belong to, or that belong to them, in pairs. One statement, however many rows there are.

use std::marker::PhantomData;

use super::answer::{Around, Asks, OwnOrder, decoded};
use super::bridge::{Bridge, OTHER};
use super::condition::Condition;
use super::find::Find;
use super::node::{Node, OUTER};
use super::statement::{Parts, from, limited, order};
use super::writer::Writer;
use crate::Error;
use crate::entity::{Entity, Relation};
use crate::row::Row;
use crate::sql::Sql;

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
        // Whether there is one stands in front of it.
        let there: bool = row.at(first).map_err(Error::row("reading whether a row is there"))?;
        there.then(|| decoded(row, first + 1)).transpose()
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
    pub(super) fn new<E, C>(relation: Relation<E, T, C>) -> Self {
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
        let table = writer.table(E::DEFINITION)?;
        let bridge = Bridge::new(writer, E::DEFINITION, self.relation)?;
        sql.push("SELECT ");
        table.write_columns(&mut sql, Some(OUTER));
        sql.push(", ");
        if S::LEFT {
            bridge.there(&mut sql, OTHER).push(" IS NOT NULL, ");
        }
        bridge.other.write_columns(&mut sql, Some(OTHER));
        from(&mut sql, &table, Some(OUTER));
        bridge.join(&mut sql, S::LEFT)?;
        table.write_column(&mut sql, Some(OUTER), bridge.own);
        bridge.alive(&mut sql, OTHER);
        if !self.others.is_empty() {
            // What the other side is to be: by a left join, whoever has none of these has none.
            writer.all(sql.push(" AND "), &bridge.other, Some(OTHER), &self.others, " AND ")?;
        }
        writer.filter(&mut sql, &table, Some(OUTER), &parts.filter)?;
        order(&mut sql, " ORDER BY ", &table, Some(OUTER), &parts.order)?;
        limited(&mut sql, parts.limit.as_ref(), parts.offset.as_ref());
        Ok(sql)
    }

    async fn read<'q>(&'q self, _: Around<'q>, rows: Vec<Row>) -> Result<Self::Answer, Error> {
        let width = E::DEFINITION.columns.len();
        rows.iter().map(|row| Ok((decoded(row, 0)?, S::read(row, width)?))).collect()
    }
}
