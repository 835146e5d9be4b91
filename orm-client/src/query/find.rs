//! Rows of one table.

use std::future::IntoFuture;
use std::marker::PhantomData;
use std::pin::Pin;

use futures_util::stream::{self, Stream, TryStreamExt};
use tokio_postgres::types::Type;

use super::Asked;
use super::condition::{After, Condition, Node, OUTER, Order, Writer, needs_alias};
use super::related::{Joined, LeftJoined, Loaded};
use super::select::{Selected, Selection};
use crate::entity::{Entity, Relation};
use crate::manager::Call;
use crate::row::Row;
use crate::sql::Sql;
use crate::table::{self, Table};
use crate::{DatabaseKind, Error};

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

/// A question about rows of `E`; `.await` asks it. What the answer is, `A` says.
///
/// ```no_run
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # async fn example(em: EntityManager) -> Result<(), Error> {
/// let all: Vec<User> = em.find::<User>().await?;
/// let page: Vec<User> = em
///     .find::<User>()
///     .where_(User::NAME.like("A%").or(User::ID.in_([1, 2])))
///     .order_by(User::NAME.asc())
///     .limit(10)
///     .offset(20)
///     .await?;
/// let one: Option<User> = em.find_one::<User>().where_(User::ID.eq(1)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is asked until it is awaited"]
pub struct Find<'s, E, A = Many> {
    pub(super) session: Call<'s>,
    pub(super) parts: Parts,
    write: Write,
    of: PhantomData<fn() -> (E, A)>,
}

/// Rows as they come: see [`Find::stream`].
///
/// ```no_run
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # use pgstrata_orm::query::Rows;
/// use futures_util::TryStreamExt;
///
/// async fn likes(posts: Rows<'_, Post>) -> Result<i64, Error> {
///     posts.try_fold(0, |sum, post| async move { Ok(sum + i64::from(post.likes)) }).await
/// }
/// ```
pub type Rows<'s, E> = Pin<Box<dyn Stream<Item = Result<E, Error>> + Send + 's>>;

/// Writes the question.
type Write = for<'v> fn(&mut Writer<'_>, &'v Parts) -> Result<Sql<'v>, Error>;

/// Which rows, and in which order.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) filter: Vec<Node>,
    pub(super) order: Vec<(usize, bool)>,
    pub(super) limit: Option<i64>,
    pub(super) offset: Option<i64>,
    /// How its rows are locked.
    lock: Option<Lock>,
}

/// A lock of rows, until the end of the transaction.
#[derive(Clone, Copy, Debug, Default)]
struct Lock {
    share: bool,
    skip: bool,
}

impl<'s, E: Entity> Find<'s, E, Many> {
    pub(crate) fn many(session: Call<'s>) -> Self {
        Self::new(session, select::<E>)
    }
}

impl<'s, E: Entity> Find<'s, E, One> {
    pub(crate) fn one(session: Call<'s>) -> Self {
        Self::new(session, first::<E>)
    }
}

impl<'s, E: Entity> Find<'s, E, Count> {
    pub(crate) fn count(session: Call<'s>) -> Self {
        Self::new(session, count::<E>)
    }
}

impl<'s, E: Entity> Find<'s, E, Exists> {
    pub(crate) fn exists(session: Call<'s>) -> Self {
        Self::new(session, exists::<E>)
    }
}

impl<'s, E: Entity> Find<'s, E, ManyAndCount> {
    pub(crate) fn many_and_count(session: Call<'s>) -> Self {
        Self::new(session, page::<E>)
    }
}

/// Answers that are rows themselves, which can be locked.
#[doc(hidden)]
pub trait Lockable {}

impl Lockable for Many {}
impl Lockable for One {}

impl<E: Entity, A: Lockable> Find<'_, E, A> {
    /// Locks the rows until the end of the transaction: nobody else changes them, or locks them.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let tx = em.begin().await?;
    /// if let Some(mut post) = tx.find_one::<Post>().where_(Post::ID.eq(7)).for_update().await? {
    ///     post.likes += 1;
    ///     tx.save(&post).await?;
    /// }
    /// tx.commit().await?;
    /// // Outside of a transaction there is no lock to keep.
    /// assert!(em.find::<Post>().for_update().await.is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn for_update(mut self) -> Self {
        self.parts.lock.get_or_insert_default().share = false;
        self
    }

    /// Locks the rows until the end of the transaction: nobody else changes them.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// assert!(em.find::<Post>().for_share().sql()?.ends_with("FOR SHARE"));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn for_share(mut self) -> Self {
        self.parts.lock.get_or_insert_default().share = true;
        self
    }

    /// Leaves out rows that somebody else has locked, and locks the others: how workers share a queue.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(tx: Transaction) -> Result<(), Error> {
    /// let next = tx.find_one::<Post>().where_(Post::SUMMARY.is_null()).for_update().skip_locked().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn skip_locked(mut self) -> Self {
        self.parts.lock.get_or_insert_default().skip = true;
        self
    }
}

impl<'s, E: Entity, A> Find<'s, E, A> {
    fn new(session: Call<'s>, write: Write) -> Self {
        Self { session, parts: Parts::default(), write, of: PhantomData }
    }

    /// Rows that meet this, besides what was said before.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let mut drafts = em.find::<Post>().where_(Post::SUMMARY.is_null());
    /// # let author = Some(7);
    /// if let Some(author) = author {
    ///     drafts = drafts.where_(Post::AUTHOR_ID.eq(author));
    /// }
    /// assert!(drafts.sql()?.ends_with(r#"WHERE "summary" IS NULL AND "author_id" = $1"#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn where_(mut self, condition: Condition<E>) -> Self {
        self.parts.filter.push(condition.node);
        self
    }

    /// In this order; among equals, in that of the next call.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let ranking = em.find::<Post>().order_by(Post::LIKES.desc()).order_by(Post::TITLE.asc());
    /// assert!(ranking.sql()?.ends_with(r#"ORDER BY "likes" DESC, "title""#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn order_by(mut self, order: Order<E>) -> Self {
        self.parts.order.push((order.column, order.descending));
        self
    }

    /// In the order of a column, and only what comes behind a value in it: the next page, which costs as much as the first however far it is.
    /// Called again for the columns that decide among equals, the last of which is unique.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// # let last = Post { likes: 5, id: 7, ..Post::default() };
    /// let next = em.find::<Post>().after(Post::LIKES.desc_after(last.likes)).after(Post::ID.asc_after(last.id)).limit(10);
    /// let (_, sql) = next.sql()?.split_once(" WHERE ").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    /// assert!(sql.starts_with(r#"("likes" < $1 OR ("likes" = $2 AND "id" > $3)) ORDER BY "likes" DESC, "id""#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn after(mut self, after: After<E>) -> Self {
        let After { column, descending, value, .. } = after;
        self.parts.order.push((column, descending));
        let key = (column, descending, value);
        match self.parts.filter.iter_mut().find_map(Node::behind) {
            Some(keys) => keys.push(key),
            None => self.parts.filter.push(Node::Behind(vec![key])),
        }
        self
    }

    /// So many rows at most. What that means for another answer than the rows:
    ///
    /// - [`Session::count`] counts no further, so it costs no more than these rows; [`Session::find_and_count`] counts all.
    /// - [`Find::load`] gives so many rows of `E`, each with all that it is related to; [`Find::join`] gives so many pairs.
    /// - [`Session::find_one`] gives the first row, whatever the limit.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// // A parameter as well: the statement is prepared once for all limits.
    /// assert!(em.find::<Post>().limit(10).sql()?.ends_with("LIMIT $1"));
    /// // "1000 or more" is no more work than that.
    /// assert!(em.count::<Post>().limit(1000).sql()?.ends_with("LIMIT $1) AS n"));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn limit(mut self, rows: u32) -> Self {
        self.parts.limit = Some(rows.into());
        self
    }

    /// Without the first so many.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let third_page = em.find::<Post>().order_by(Post::ID.asc()).limit(10).offset(20);
    /// assert!(third_page.sql()?.ends_with(r#"ORDER BY "id" LIMIT $1 OFFSET $2"#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn offset(mut self, rows: u32) -> Self {
        self.parts.offset = Some(rows.into());
        self
    }

    /// The SQL that would be sent in the context of now, with `$1`, `$2` ... for values.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let users = em.find::<User>();
    /// assert_eq!(users.sql()?, r#"SELECT "id", "name", "email" FROM "public"."users""#);
    /// // The search path says whose table it is.
    /// let sql = MetadataContext::run_sync("acme_corp", || users.sql())?;
    /// assert_eq!(sql, r#"SELECT "id", "name", "email" FROM "users""#);
    /// assert_eq!(em.exists::<User>().sql()?, r#"SELECT EXISTS (SELECT FROM "public"."users")"#);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// As of the question itself.
    pub fn sql(&self) -> Result<String, Error> {
        let place = self.session.place()?;
        Ok((self.write)(&mut Writer::new(&self.session, &place), &self.parts)?.text)
    }

    /// How the database would go about it, line by line: its `EXPLAIN`.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// for line in em.find::<User>().where_(User::EMAIL.eq("alice@example.com")).explain().await? {
    ///     println!("{line}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As of the question itself.
    pub async fn explain(self) -> Result<Vec<String>, Error> {
        let place = self.session.place()?;
        let mut writer = Writer::new(&self.session, &place);
        let mut sql = (self.write)(&mut writer, &self.parts)?;
        let (word, column) = match sql.dialect {
            DatabaseKind::Postgres => ("EXPLAIN ", 0),
            _ => ("EXPLAIN QUERY PLAN ", 3),
        };
        // Behind what tells whose it is.
        sql.text.insert_str(self.session.sql(&place).text.len(), word);
        let names = writer.names;
        let rows = self.session.read::<E>(&place, &names, &sql).await?;
        rows.iter().map(|row| row.at(column).map_err(Error::row("reading a plan"))).collect()
    }

    /// The rows that it gives, for the tenant of the context.
    async fn rows(&self) -> Result<Vec<Row>, Error> {
        if self.parts.lock.is_some() && !self.session.is_transaction() {
            return Err(Error::Options("rows are locked until the end of a transaction: begin one".into()));
        }
        let place = self.session.place()?;
        let mut writer = Writer::new(&self.session, &place);
        let sql = (self.write)(&mut writer, &self.parts)?;
        let names = writer.names;
        self.session.read::<E>(&place, &names, &sql).await
    }
}

impl<'s, E: Entity> Find<'s, E> {
    /// Each row with one that it is related to: a pair for each such row on the other side, and none for a row that has none there.
    ///
    /// [`Find::limit`] and [`Find::offset`] count pairs then, also where they were set before: ten users with their posts are
    /// what [`Find::load`] gives.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let posts: Vec<(Post, User)> = em.find::<Post>().join(Post::AUTHOR).limit(10).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn join<T: Entity>(self, relation: Relation<E, T>) -> Joined<'s, E, T> {
        Joined::new(self.session, self.parts, relation)
    }

    /// Each row with one that it is related to, or with none: a pair for each such row on the other side, and one for a row that has none.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let users: Vec<(User, Option<Post>)> = em.find::<User>().left_join(User::POSTS).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn left_join<T: Entity>(self, relation: Relation<E, T>) -> LeftJoined<'s, E, T> {
        LeftJoined::new(Joined::new(self.session, self.parts, relation))
    }

    /// The rows one after the other, as they are read: the database is asked for no more than there is room for, however many there are.
    ///
    /// The stream has a connection of its own, to its end or until it is dropped, which stops the database. In a transaction, and on
    /// SQLite, all rows are read first. The query timeout does not count: how long it takes is for who reads it to say.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// use futures_util::TryStreamExt;
    ///
    /// let acme = em.tenant("acme");
    /// let mut posts = acme.find::<Post>().order_by(Post::ID.asc()).stream();
    /// while let Some(post) = posts.try_next().await? {
    ///     println!("{}", post.title);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn stream(self) -> Rows<'s, E> {
        let begun = async move {
            let place = self.session.place()?;
            let mut writer = Writer::new(&self.session, &place);
            let sql = (self.write)(&mut writer, &self.parts)?;
            let names = writer.names;
            self.session.stream::<E>(&place, &names, &sql).await
        };
        Box::pin(stream::once(begun).try_flatten().and_then(async |row| decoded(&row, 0)))
    }

    /// Some columns of the rows, or what they come to together, in place of the rows: a column, an aggregate, or a tuple of them.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let users = em.find::<User>().order_by(User::ID.asc()).select((User::ID, User::EMAIL)).await?;
    /// let addresses: Vec<(i64, Option<String>)> = users;
    /// # Ok(())
    /// # }
    /// ```
    pub fn select<S: Selection<E>>(self, selection: S) -> Selected<'s, E, S> {
        Selected::new(self.session, self.parts, &selection)
    }

    /// Each row once, with all that it is related to. [`Find::limit`] and [`Find::offset`] count rows, not what is related to them.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// for (user, posts) in em.find::<User>().order_by(User::NAME.asc()).load(User::POSTS).await? {
    ///     println!("{}: {} posts", user.name, posts.len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn load<T: Entity>(self, relation: Relation<E, T>) -> Loaded<'s, E, T> {
        Loaded::new(self.session, self.parts, relation)
    }
}

impl<'s, E: Entity> IntoFuture for Find<'s, E, Many> {
    type Output = Result<Vec<E>, Error>;
    type IntoFuture = Asked<'s, Vec<E>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.rows().await?.iter().map(|row| decoded(row, 0)).collect() })
    }
}

impl<'s, E: Entity> IntoFuture for Find<'s, E, One> {
    type Output = Result<Option<E>, Error>;
    type IntoFuture = Asked<'s, Option<E>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.rows().await?.first().map(|row| decoded(row, 0)).transpose() })
    }
}

impl<'s, E: Entity> IntoFuture for Find<'s, E, Count> {
    type Output = Result<u64, Error>;
    type IntoFuture = Asked<'s, u64>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { number(self.rows().await?.first()) })
    }
}

impl<'s, E: Entity> IntoFuture for Find<'s, E, Exists> {
    type Output = Result<bool, Error>;
    type IntoFuture = Asked<'s, bool>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let rows = self.rows().await?;
            let exists = rows.first().map(|row| row.try_get(0)).transpose();
            Ok(exists.map_err(Error::row("reading whether rows are there"))?.unwrap_or(false))
        })
    }
}

impl<'s, E: Entity> IntoFuture for Find<'s, E, ManyAndCount> {
    type Output = Result<(Vec<E>, u64), Error>;
    type IntoFuture = Asked<'s, (Vec<E>, u64)>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let rows = self.rows().await?;
            let count = number(rows.first())?;
            // A page with nothing on it is one row with no number.
            let there = rows.iter().filter(|row| row.try_get::<_, Option<i64>>(1).ok().flatten().is_some());
            Ok((there.map(|row| decoded(row, 2)).collect::<Result<_, _>>()?, count))
        })
    }
}

fn count<'v, E: Entity>(writer: &mut Writer<'_>, parts: &'v Parts) -> Result<Sql<'v>, Error> {
    around::<E>(writer, parts, "SELECT count(*) FROM (", ") AS n")
}

fn exists<'v, E: Entity>(writer: &mut Writer<'_>, parts: &'v Parts) -> Result<Sql<'v>, Error> {
    around::<E>(writer, parts, "SELECT EXISTS (", ")")
}

/// A question about rows of which no column is asked.
fn around<'v, E: Entity>(
    writer: &mut Writer<'_>,
    parts: &'v Parts,
    before: &'static str,
    behind: &'static str,
) -> Result<Sql<'v>, Error> {
    let mut sql = writer.session.sql(writer.place);
    let table = writer.table(E::DEFINITION)?;
    sql.push(before).select_nothing();
    tail(&mut sql, writer, parts, &table, needs_alias(&parts.filter).then_some(OUTER))?;
    limited(&mut sql, parts.limit.as_ref(), parts.offset.as_ref());
    sql.push(behind);
    Ok(sql)
}

fn select<'v, E: Entity>(writer: &mut Writer<'_>, parts: &'v Parts) -> Result<Sql<'v>, Error> {
    at_most::<E>(writer, parts, parts.limit.as_ref())
}

fn first<'v, E: Entity>(writer: &mut Writer<'_>, parts: &'v Parts) -> Result<Sql<'v>, Error> {
    at_most::<E>(writer, parts, Some(&1))
}

/// `SELECT "id", "name" FROM "acme_corp"."users" WHERE ..`
fn at_most<'v, E: Entity>(
    writer: &mut Writer<'_>,
    parts: &'v Parts,
    limit: Option<&'v i64>,
) -> Result<Sql<'v>, Error> {
    let mut sql = writer.session.sql(writer.place);
    let table = writer.table(E::DEFINITION)?;
    let alias = needs_alias(&parts.filter).then_some(OUTER);
    sql.push("SELECT ");
    table.write_columns(&mut sql, alias);
    tail(&mut sql, writer, parts, &table, alias)?;
    limited(&mut sql, limit, parts.offset.as_ref());
    // SQLite has one lock, and who begins a transaction to write has it.
    if let Some(lock) = parts.lock.filter(|_| sql.dialect == DatabaseKind::Postgres) {
        sql.push(if lock.share { " FOR SHARE" } else { " FOR UPDATE" });
        sql.push(if lock.skip { " SKIP LOCKED" } else { "" });
    }
    Ok(sql)
}

/// One statement, so that the count is of the same moment as the page.
fn page<'v, E: Entity>(writer: &mut Writer<'_>, parts: &'v Parts) -> Result<Sql<'v>, Error> {
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

/// The rows with their number in front, and columns called `c0`, `c1` ...
pub(super) fn numbered<'v>(
    sql: &mut Sql<'v>,
    writer: &mut Writer<'_>,
    parts: &'v Parts,
    table: &Table,
) -> Result<(), Error> {
    sql.push("SELECT row_number() OVER (");
    order(sql, "ORDER BY ", table, Some(OUTER), &parts.order)?;
    sql.push(") AS n, ");
    let mut n = 0;
    sql.list(table.definition.columns, ", ", |sql, column| {
        table.write_column(sql, Some(OUTER), column);
        sql.push(&format!(" AS c{n}"));
        n += 1;
    });
    tail(sql, writer, parts, table, Some(OUTER))?;
    limited(sql, parts.limit.as_ref(), parts.offset.as_ref());
    Ok(())
}

/// ` FROM .. WHERE .. ORDER BY ..`
fn tail<'v>(
    sql: &mut Sql<'v>,
    writer: &mut Writer<'_>,
    parts: &'v Parts,
    table: &Table,
    alias: Option<&str>,
) -> Result<(), Error> {
    sql.push(" FROM ");
    table.write(sql);
    if let Some(alias) = alias {
        sql.push(" AS ").push(alias);
    }
    writer.filter(sql, table, alias, &parts.filter)?;
    order(sql, " ORDER BY ", table, alias, &parts.order)
}

/// ` LIMIT $1 OFFSET $2`, if they are given.
pub(super) fn limited<'v>(sql: &mut Sql<'v>, limit: Option<&'v i64>, offset: Option<&'v i64>) {
    if let Some(limit) = limit {
        sql.push(" LIMIT ").bind(limit, Some(Type::INT8));
    } else if offset.is_some() && sql.dialect != DatabaseKind::Postgres {
        // All rows: an offset has a limit in front of it there.
        sql.push(" LIMIT -1");
    }
    if let Some(offset) = offset {
        sql.push(" OFFSET ").bind(offset, Some(Type::INT8));
    }
}

/// `before` and the order, if there is one.
pub(super) fn order(
    sql: &mut Sql<'_>,
    before: &str,
    table: &Table,
    alias: Option<&str>,
    order: &[(usize, bool)],
) -> Result<(), Error> {
    for (n, (column, descending)) in order.iter().enumerate() {
        sql.push(if n == 0 { before } else { ", " });
        table.write_column(sql, alias, table::column(table.definition, *column)?);
        direction(sql, *descending);
    }
    Ok(())
}

/// Which of them come first.
pub(super) fn direction(sql: &mut Sql<'_>, descending: bool) {
    if descending {
        sql.push(" DESC");
    }
    if sql.dialect != DatabaseKind::Postgres {
        // As PostgreSQL has it: NULL is greater than all.
        sql.push(if descending { " NULLS FIRST" } else { " NULLS LAST" });
    }
}

/// An entity from a row's columns, from `first` on.
pub(crate) fn decoded<E: Entity>(row: &Row, first: usize) -> Result<E, Error> {
    E::from_row(row, first).map_err(Error::row(format!("reading a row of {}", E::DEFINITION.name)))
}

/// One row by its primary key.
pub(crate) async fn by_key<E: Entity>(session: &Call<'_>, key: &E::Key) -> Result<Option<E>, Error> {
    let place = session.place()?;
    let mut writer = Writer::new(session, &place);
    let mut sql = session.sql(&place);
    let table = writer.table(E::DEFINITION)?;
    sql.push("SELECT ");
    table.write_columns(&mut sql, None);
    sql.push(" FROM ");
    table.write(&mut sql);
    super::save::by_key::<E>(&mut sql, &table, key)?;
    let names = writer.names;
    let rows = session.read::<E>(&place, &names, &sql).await?;
    rows.first().map(|row| decoded(row, 0)).transpose()
}

fn number(row: Option<&Row>) -> Result<u64, Error> {
    let count = row.map(|row| row.try_get::<_, i64>(0)).transpose();
    let count = count.map_err(Error::row("reading a count"))?.unwrap_or_default();
    Ok(u64::try_from(count).unwrap_or_default())
}
