//! Rows with all that they are related to: a statement for each relation, however many rows there are.

use std::marker::PhantomData;

use tokio_postgres::types::{IsNull, ToSql, Type};

use super::Asked;
use super::answer::{Around, Asks, OwnOrder, decoded};
use super::bridge::{Bridge, OTHER};
use super::condition::Condition;
use super::find::Find;
use super::node::Node;
use super::order::Order;
use super::statement::{Parts, numbered, order};
use super::writer::Writer;
use crate::entity::{Cardinality, Entity, Parameter, Relation};
use crate::row::Row;
use crate::sql::{Sql, array_of, type_of};
use crate::{DatabaseKind, Error};

/// Rows, each with all that it is related to: see [`Find::load`](super::Find::load).
///
/// ```no_run
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # async fn example(em: EntityManager) -> Result<(), Error> {
/// let users: Vec<(User, Vec<Post>)> = em.find::<User>().limit(10).load(User::POSTS).await?;
/// # Ok(())
/// # }
/// ```
pub type Loaded<'s, E, L> = Find<'s, E, Load<L>>;

/// What is loaded with each row of `E`: a relation, some of its rows ([`Related`]), or a tuple of such.
///
/// ```no_run
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// use pgstrata_orm::query::Loads;
///
/// async fn newest<L: Loads<Post>>(session: &Session, with: L) -> Result<Option<(Post, L::Output)>, Error> {
///     let posts = session.find::<Post>().order_by(Post::ID.desc()).limit(1).load(with).await?;
///     Ok(posts.into_iter().next())
/// }
///
/// # async fn example(em: EntityManager) -> Result<(), Error> {
/// if let Some((post, (author, tags))) = newest(&em, (Post::AUTHOR, Post::TAGS)).await? {
///     println!("{} by {:?}, {} tags", post.title, author.map(|author| author.name), tags.len());
/// }
/// # Ok(())
/// # }
/// ```
pub trait Loads<E: Entity>: Send + Sync {
    /// What comes with each row: an `Option` of the one other row, a `Vec` of many, or a tuple.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # use pgstrata_orm::query::Loads;
    /// fn count<L: Loads<User, Output = Vec<Post>>>(users: &[(User, L::Output)]) -> usize {
    ///     users.iter().map(|(_, posts)| posts.len()).sum()
    /// }
    /// ```
    type Output: Send;

    /// Writes the question for the rows and what is loaded first.
    #[doc(hidden)]
    fn statement<'v>(&'v self, writer: &mut Writer<'_>, parts: &'v Parts) -> Result<Sql<'v>, Error>;

    /// Reads the answer, and asks for the rest.
    #[doc(hidden)]
    fn read<'q>(&'q self, around: Around<'q>, rows: Vec<Row>) -> Asked<'q, Vec<(E, Self::Output)>>;

    /// Asks for all of it, for rows that are there: one thing for each, in their order.
    #[doc(hidden)]
    fn follow<'q>(&'q self, around: Around<'q>, rows: Vec<&'q E>) -> Asked<'q, Vec<Self::Output>>;
}

/// What is asked with rows.
#[doc(hidden)]
#[derive(Debug)]
pub struct Load<L>(pub(super) L);

impl<L> OwnOrder for Load<L> {}

impl<E: Entity, L: Loads<E>> Asks<E> for Load<L> {
    type Answer = Vec<(E, L::Output)>;

    fn statement<'v>(&'v self, writer: &mut Writer<'_>, parts: &'v Parts) -> Result<Sql<'v>, Error> {
        self.0.statement(writer, parts)
    }

    async fn read<'q>(&'q self, around: Around<'q>, rows: Vec<Row>) -> Result<Self::Answer, Error> {
        self.0.read(around, rows).await
    }
}

/// Some rows of the other side of a relation, in an order, with what is loaded with them in turn: made by [`Relation::where_`],
/// [`Relation::order_by`] and [`Relation::with`].
///
/// ```no_run
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # async fn example(em: EntityManager) -> Result<(), Error> {
/// let liked = User::POSTS.where_(Post::LIKES.gt(100)).order_by(Post::LIKES.desc()).with(Post::TAGS);
/// for (user, posts) in em.find::<User>().load(liked).await? {
///     for (post, tags) in posts {
///         println!("{}: {}, {} tags", user.name, post.title, tags.len());
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is loaded by itself"]
pub struct Related<E, T, C, F = Alone> {
    relation: usize,
    filter: Vec<Node>,
    order: Vec<(usize, bool)>,
    further: F,
    of: PhantomData<fn() -> E>,
    other: PhantomData<fn() -> (T, C)>,
}

impl<E: Entity, T: Entity, C: Cardinality> Relation<E, T, C> {
    fn related(self) -> Related<E, T, C> {
        let (filter, order) = (Vec::new(), Vec::new());
        Related { relation: self.index, filter, order, further: Alone, of: PhantomData, other: PhantomData }
    }

    /// Of the other side's rows those that meet this: for [`Find::load`](super::Find::load).
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// // A user comes, too, if no post of theirs is liked that much.
    /// let liked = em.find::<User>().load(User::POSTS.where_(Post::LIKES.gt(100)));
    /// assert!(liked.sql()?.contains(r#"ON t1."author_id" = o.c0 AND t1."likes" > $1 ORDER BY"#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn where_(self, condition: Condition<T>) -> Related<E, T, C> {
        self.related().where_(condition)
    }

    /// The other side's rows in this order: for [`Find::load`](super::Find::load). Else they come in that of their key.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let users = em.find::<User>().load(User::POSTS.order_by(Post::LIKES.desc()));
    /// assert!(users.sql()?.ends_with(r#"ORDER BY o.n, t1."likes" DESC, t1."id""#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn order_by(self, order: Order<T>) -> Related<E, T, C> {
        self.related().order_by(order)
    }

    /// The other side's rows with what they are related to in turn: one statement more, however many rows there are.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let users = em.find::<User>().load(User::POSTS.with(Post::TAGS)).await?;
    /// let users: Vec<(User, Vec<(Post, Vec<Tag>)>)> = users;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with<L: Loads<T>>(self, further: L) -> Related<E, T, C, With<L>> {
        self.related().with(further)
    }
}

impl<E: Entity, T: Entity, C: Cardinality, F> Related<E, T, C, F> {
    /// As [`Relation::where_`], besides what was said before.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// let drafts = User::POSTS.where_(Post::SUMMARY.is_null()).where_(Post::LIKES.eq(0));
    /// # assert!(manager().find::<User>().load(drafts).sql().is_ok());
    /// ```
    pub fn where_(mut self, condition: Condition<T>) -> Self {
        self.filter.push(condition.node);
        self
    }

    /// As [`Relation::order_by`]; among equals, in the order of the next call.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// let ranked = User::POSTS.order_by(Post::LIKES.desc()).order_by(Post::TITLE.asc());
    /// # assert!(manager().find::<User>().load(ranked).sql().is_ok());
    /// ```
    pub fn order_by(mut self, order: Order<T>) -> Self {
        self.order.push((order.column, order.descending));
        self
    }

    /// As [`Relation::with`].
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// let liked = User::POSTS.where_(Post::LIKES.gt(100)).with(Post::TAGS);
    /// # assert!(manager().find::<User>().load(liked).sql().is_ok());
    /// ```
    pub fn with<L: Loads<T>>(self, further: L) -> Related<E, T, C, With<L>> {
        let Self { relation, filter, order, .. } = self;
        Related { relation, filter, order, further: With(further), of: PhantomData, other: PhantomData }
    }

    fn step(&self) -> Step<'_> {
        Step { relation: self.relation, filter: &self.filter, order: &self.order }
    }
}

/// What is loaded with the rows of the other side.
#[doc(hidden)]
pub trait Further<T: Entity>: Send + Sync {
    /// Such a row, with that.
    type Item: Send;

    /// Loads it.
    fn further<'q>(&'q self, around: Around<'q>, rows: Vec<Vec<T>>) -> Asked<'q, Vec<Vec<Self::Item>>>;
}

/// Nothing.
#[doc(hidden)]
#[derive(Debug)]
pub struct Alone;

/// This.
#[doc(hidden)]
#[derive(Debug)]
pub struct With<L>(L);

impl<T: Entity> Further<T> for Alone {
    type Item = T;

    fn further<'q>(&'q self, _: Around<'q>, rows: Vec<Vec<T>>) -> Asked<'q, Vec<Vec<T>>> {
        Box::pin(std::future::ready(Ok(rows)))
    }
}

impl<T: Entity, L: Loads<T>> Further<T> for With<L> {
    type Item = (T, L::Output);

    fn further<'q>(&'q self, around: Around<'q>, rows: Vec<Vec<T>>) -> Asked<'q, Vec<Vec<Self::Item>>> {
        Box::pin(async move {
            let found = self.0.follow(around, rows.iter().flatten().collect()).await?;
            let mut found = found.into_iter();
            Ok(rows.into_iter().map(|rows| rows.into_iter().zip(&mut found).collect()).collect())
        })
    }
}

/// From rows to those of the other side of a relation.
#[derive(Clone, Copy)]
struct Step<'v> {
    relation: usize,
    filter: &'v [Node],
    order: &'v [(usize, bool)],
}

impl<E: Entity, T: Entity, C: Cardinality, F: Further<T>> Loads<E> for Related<E, T, C, F> {
    type Output = C::Of<F::Item>;

    fn statement<'v>(&'v self, writer: &mut Writer<'_>, parts: &'v Parts) -> Result<Sql<'v>, Error> {
        together::<E>(writer, parts, self.step())
    }

    fn read<'q>(&'q self, around: Around<'q>, rows: Vec<Row>) -> Asked<'q, Vec<(E, Self::Output)>> {
        Box::pin(async move {
            let (own, others): (Vec<E>, Vec<Vec<T>>) = grouped(&rows)?.into_iter().unzip();
            let others = self.further.further(around, others).await?;
            Ok(own.into_iter().zip(others.into_iter().map(C::of)).collect())
        })
    }

    fn follow<'q>(&'q self, around: Around<'q>, rows: Vec<&'q E>) -> Asked<'q, Vec<Self::Output>> {
        Box::pin(async move {
            let others = beyond::<E, T>(around, self.step(), &rows).await?;
            Ok(self.further.further(around, others).await?.into_iter().map(C::of).collect())
        })
    }
}

impl<E: Entity, T: Entity, C: Cardinality> Loads<E> for Relation<E, T, C> {
    type Output = C::Of<T>;

    fn statement<'v>(&'v self, writer: &mut Writer<'_>, parts: &'v Parts) -> Result<Sql<'v>, Error> {
        together::<E>(writer, parts, Step { relation: self.index, filter: &[], order: &[] })
    }

    fn read<'q>(&'q self, _: Around<'q>, rows: Vec<Row>) -> Asked<'q, Vec<(E, Self::Output)>> {
        let found = grouped(&rows);
        let found = found.map(|rows| rows.into_iter().map(|(row, others)| (row, C::of(others))).collect());
        Box::pin(std::future::ready(found))
    }

    fn follow<'q>(&'q self, around: Around<'q>, rows: Vec<&'q E>) -> Asked<'q, Vec<Self::Output>> {
        Box::pin(async move {
            let step = Step { relation: self.index, filter: &[], order: &[] };
            Ok(beyond::<E, T>(around, step, &rows).await?.into_iter().map(C::of).collect())
        })
    }
}

macro_rules! tuples {
    ($(($first:ident $(, $name:ident $index:tt)*)),* $(,)?) => {
        $(
            // The first comes with the rows, each of the others by a statement of its own.
            #[allow(non_snake_case)]
            impl<Own: Entity, $first: Loads<Own> $(, $name: Loads<Own>)*> Loads<Own> for ($first, $($name,)*) {
                type Output = ($first::Output, $($name::Output,)*);

                fn statement<'v>(&'v self, writer: &mut Writer<'_>, parts: &'v Parts) -> Result<Sql<'v>, Error> {
                    self.0.statement(writer, parts)
                }

                fn read<'q>(&'q self, around: Around<'q>, rows: Vec<Row>) -> Asked<'q, Vec<(Own, Self::Output)>> {
                    Box::pin(async move {
                        let found = self.0.read(around, rows).await?;
                        $(let mut $name = self.$index.follow(around, rows_of(&found)).await?.into_iter();)*
                        let all = found.into_iter().map(|(row, $first)| Some((row, ($first, $($name.next()?,)*))));
                        all.collect::<Option<Vec<_>>>().ok_or(Error::Aborted)
                    })
                }

                fn follow<'q>(&'q self, around: Around<'q>, rows: Vec<&'q Own>) -> Asked<'q, Vec<Self::Output>> {
                    Box::pin(async move {
                        let $first = self.0.follow(around, rows.clone()).await?;
                        $(let mut $name = self.$index.follow(around, rows.clone()).await?.into_iter();)*
                        let all = $first.into_iter().map(|$first| Some(($first, $($name.next()?,)*)));
                        all.collect::<Option<Vec<_>>>().ok_or(Error::Aborted)
                    })
                }
            }
        )*
    };
}

tuples! { (A, B 1), (A, B 1, C 2), (A, B 1, C 2, D 3) }

fn rows_of<E, T>(found: &[(E, T)]) -> Vec<&E> {
    found.iter().map(|(row, _)| row).collect()
}

/// Rows and those of the other side in one statement.
fn together<'v, E: Entity>(
    writer: &mut Writer<'_>,
    parts: &'v Parts,
    step: Step<'v>,
) -> Result<Sql<'v>, Error> {
    let mut sql = writer.session.sql(writer.place);
    let table = writer.table(E::DEFINITION)?;
    let bridge = Bridge::new(writer, E::DEFINITION, step.relation)?;
    bridge.there(sql.push("SELECT o.*, "), OTHER).push(" IS NOT NULL, ");
    bridge.other.write_columns(&mut sql, Some(OTHER));
    sql.push(" FROM (");
    numbered(&mut sql, writer, parts, &table)?;
    sql.push(") AS o");
    bridge.join(&mut sql, true)?;
    sql.push(&format!("o.c{}", bridge.own_index));
    others(&mut sql, writer, &bridge, step, "o.n")?;
    Ok(sql)
}

/// ` AND t1."likes" > $2 ORDER BY o.n, t1."id"`
fn others<'v>(
    sql: &mut Sql<'v>,
    writer: &mut Writer<'_>,
    bridge: &Bridge,
    step: Step<'v>,
    number: &str,
) -> Result<(), Error> {
    bridge.alive(sql, OTHER);
    if !step.filter.is_empty() {
        writer.all(sql.push(" AND "), &bridge.other, Some(OTHER), step.filter, " AND ")?;
    }
    sql.push(" ORDER BY ").push(number);
    order(sql, ", ", &bridge.other, Some(OTHER), step.order)?;
    for key in bridge.other.keys() {
        bridge.other.write_column(sql.push(", "), Some(OTHER), key);
    }
    Ok(())
}

/// Rows of one number are one row of `E`, with a row of `T` each, or with none.
fn grouped<E: Entity, T: Entity>(rows: &[Row]) -> Result<Vec<(E, Vec<T>)>, Error> {
    let doing = || Error::row(format!("reading a row of {}", E::DEFINITION.name));
    let width = E::DEFINITION.columns.len();
    let mut found: Vec<(E, Vec<T>)> = Vec::new();
    let mut last = None;
    for row in rows {
        let number: i64 = row.at(0).map_err(doing())?;
        if last != Some(number) {
            found.push((decoded(row, 1)?, Vec::new()));
            last = Some(number);
        }
        let there: bool = row.at(1 + width).map_err(doing())?;
        if let Some((_, others)) = found.last_mut().filter(|_| there) {
            others.push(decoded(row, 2 + width)?);
        }
    }
    Ok(found)
}

/// The rows of the other side, for each of these.
async fn beyond<E: Entity, T: Entity>(
    around: Around<'_>,
    step: Step<'_>,
    rows: &[&E],
) -> Result<Vec<Vec<T>>, Error> {
    let mut found: Vec<Vec<T>> = rows.iter().map(|_| Vec::new()).collect();
    if rows.is_empty() {
        return Ok(found);
    }
    let mut writer = Writer::new(around.session, around.place).with_deleted(around.with_deleted);
    let bridge = Bridge::new(&mut writer, E::DEFINITION, step.relation)?;
    let keys = Key::of(rows, bridge.own_index);
    let sql = of_keys(&mut writer, &bridge, step, &keys)?;
    let names = writer.names;
    for row in around.session.read::<T>(around.place, &names, &sql).await? {
        let number: i64 = row.at(0).map_err(Error::row("reading the number of a row"))?;
        let others = usize::try_from(number - 1).ok().and_then(|number| found.get_mut(number));
        // The database numbers the keys that it was given.
        others.ok_or(Error::Aborted)?.push(decoded(&row, 1)?);
    }
    Ok(found)
}

/// `SELECT k.n, t1."id" .. FROM unnest($1) WITH ORDINALITY AS k (v, n) JOIN "posts" AS t1 ON t1."author_id" = k.v ORDER BY k.n`
///
/// The database says whose each row is, so that it alone decides what is equal: of `citext`, for one.
fn of_keys<'v>(
    writer: &mut Writer<'_>,
    bridge: &Bridge,
    step: Step<'v>,
    keys: Parameter<'v>,
) -> Result<Sql<'v>, Error> {
    let mut sql = writer.session.sql(writer.place);
    let postgres = sql.dialect == DatabaseKind::Postgres;
    let (number, value) = if postgres { ("k.n", "k.v") } else { ("k.key + 1", "k.value") };
    sql.push("SELECT ").push(number).push(", ");
    bridge.other.write_columns(&mut sql, Some(OTHER));
    let kind = type_of(bridge.own.sql_type).as_ref().and_then(array_of);
    let known = kind.is_some();
    sql.push(if postgres { " FROM unnest(" } else { " FROM json_each(" }).bind(keys, kind);
    if postgres && !known {
        sql.push("::").push(bridge.own.sql_type).push("[]");
    }
    sql.push(if postgres { ") WITH ORDINALITY AS k (v, n)" } else { ") AS k" });
    bridge.join(&mut sql, false)?;
    sql.push(value);
    others(&mut sql, writer, bridge, step, number)?;
    Ok(sql)
}

/// A row's value of the column that a relation goes by. It is an element of a list, whatever its type.
#[derive(Debug)]
struct Key<'k>(Parameter<'k>);

impl<'k> Key<'k> {
    fn of<E: Entity>(rows: &[&'k E], column: usize) -> Vec<Self> {
        rows.iter().filter_map(|row| row.values().into_iter().nth(column).map(Key)).collect()
    }
}

impl ToSql for Key<'_> {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut bytes::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        self.0.to_sql_checked(kind, out)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}
