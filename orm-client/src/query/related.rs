//! Rows with those that they belong to, or that belong to them. One statement each, however many rows there are.

use std::future::IntoFuture;
use std::marker::PhantomData;

use super::Asked;
use super::condition::{Condition, Node, OUTER, Order, Writer};
use super::find::{Parts, decoded, limited, numbered, order};
use crate::Error;
use crate::entity::{Entity, Relation, RelationDefinition};
use crate::manager::Call;
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
#[derive(Debug)]
#[must_use = "nothing is asked until it is awaited"]
pub struct Joined<'s, E, T> {
    session: Call<'s>,
    parts: Parts,
    relation: usize,
    others: Vec<Node>,
    /// Also those that have none on the other side.
    left: bool,
    of: PhantomData<fn() -> (E, T)>,
}

impl<'s, E: Entity, T: Entity> Joined<'s, E, T> {
    pub(super) fn new(session: Call<'s>, parts: Parts, relation: Relation<E, T>) -> Self {
        Self { session, parts, relation: relation.index, others: Vec::new(), left: false, of: PhantomData }
    }

    /// Pairs whose own side meets this.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let drafts: Vec<(Post, User)> = em.find().join(Post::AUTHOR).where_(Post::SUMMARY.is_null()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn where_(mut self, condition: Condition<E>) -> Self {
        self.parts.filter.push(condition.node);
        self
    }

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
        self.others.push(condition.node);
        self
    }

    /// In this order of their own side.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let newest: Vec<(Post, User)> = em.find().join(Post::AUTHOR).order_by(Post::ID.desc()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn order_by(mut self, order: Order<E>) -> Self {
        self.parts.order.push((order.column, order.descending));
        self
    }

    /// So many pairs at most, in place of a limit that was set before.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let pairs = em.find::<User>().order_by(User::ID.asc()).join(User::POSTS).limit(10).await?;
    /// assert!(pairs.len() <= 10);
    /// # Ok(())
    /// # }
    /// ```
    pub fn limit(mut self, pairs: u32) -> Self {
        self.parts.limit = Some(pairs.into());
        self
    }

    /// The SQL that would be sent in the context of now, with `$1`, `$2` ... for values.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let of_alice = em.find::<Post>().join(Post::AUTHOR).where_other(User::NAME.eq("Alice")).limit(10);
    /// let sql = of_alice.sql()?;
    /// let (_, behind) = sql.split_once(" JOIN ").unwrap();
    /// assert_eq!(
    ///     behind,
    ///     r#""public"."users" AS t1 ON t1."id" = t0."author_id" WHERE t1."name" = $1 LIMIT $2"#
    /// );
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// As of the question itself.
    pub fn sql(&self) -> Result<String, Error> {
        let place = self.session.place()?;
        Ok(self.statement(&mut Writer::new(&self.session, &place))?.text)
    }

    fn statement(&self, writer: &mut Writer<'_>) -> Result<Sql<'_>, Error> {
        let mut sql = writer.session.sql(writer.place);
        let (table, other) = (writer.table(E::DEFINITION)?, writer.table(T::DEFINITION)?);
        sql.push("SELECT ");
        table.write_columns(&mut sql, Some(OUTER));
        sql.push(", ");
        let relation = table::relation(E::DEFINITION, self.relation)?;
        if self.left {
            sql.push(OTHER).push(".").name(other.renamed(relation.target_column)).push(" IS NOT NULL, ");
        }
        other.write_columns(&mut sql, Some(OTHER));
        sql.push(" FROM ");
        table.write(&mut sql);
        sql.push(" AS ").push(OUTER).push(if self.left { " LEFT JOIN " } else { " JOIN " });
        sql.compares(table::column_named(E::DEFINITION, relation.column)?.sql_type);
        on(&mut sql, &other, relation);
        sql.push(OUTER).push(".").name(table.renamed(relation.column));
        if self.left && !self.others.is_empty() {
            // What the other side is to be: whoever has none of these has none.
            sql.push(" AND ");
            writer.all(&mut sql, &other, Some(OTHER), &self.others, " AND ")?;
        }
        writer.filter(&mut sql, &table, Some(OUTER), &self.parts.filter)?;
        if !self.left && !self.others.is_empty() {
            sql.push(if self.parts.filter.is_empty() { " WHERE " } else { " AND " });
            writer.all(&mut sql, &other, Some(OTHER), &self.others, " AND ")?;
        }
        order(&mut sql, " ORDER BY ", &table, Some(OUTER), &self.parts.order)?;
        limited(&mut sql, self.parts.limit.as_ref(), self.parts.offset.as_ref());
        Ok(sql)
    }
}

impl<E: Entity, T: Entity> Joined<'_, E, T> {
    async fn rows(&self) -> Result<Vec<Row>, Error> {
        let place = self.session.place()?;
        let mut writer = Writer::new(&self.session, &place);
        let sql = self.statement(&mut writer)?;
        let names = writer.names;
        self.session.read::<E>(&place, &names, &sql).await
    }
}

impl<'s, E: Entity, T: Entity> IntoFuture for Joined<'s, E, T> {
    type Output = Result<Vec<(E, T)>, Error>;
    type IntoFuture = Asked<'s, Vec<(E, T)>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let rows = self.rows().await?;
            let width = E::DEFINITION.columns.len();
            rows.iter().map(|row| Ok((decoded(row, 0)?, decoded(row, width)?))).collect()
        })
    }
}

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
#[derive(Debug)]
#[must_use = "nothing is asked until it is awaited"]
pub struct LeftJoined<'s, E, T>(Joined<'s, E, T>);

impl<'s, E: Entity, T: Entity> LeftJoined<'s, E, T> {
    pub(super) fn new(joined: Joined<'s, E, T>) -> Self {
        Self(Joined { left: true, ..joined })
    }

    /// Rows that meet this, besides what was said before.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let users = em.find::<User>().left_join(User::POSTS).where_(User::EMAIL.is_null());
    /// assert!(users.sql()?.ends_with(r#"WHERE t0."email" IS NULL"#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn where_(self, condition: Condition<E>) -> Self {
        Self(self.0.where_(condition))
    }

    /// With rows of the other side that meet this: whoever has none such comes with none.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let users = em.find::<User>().left_join(User::POSTS).where_other(Post::LIKES.gt(100));
    /// assert!(users.sql()?.ends_with(r#"ON t1."author_id" = t0."id" AND t1."likes" > $1"#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn where_other(self, condition: Condition<T>) -> Self {
        Self(self.0.where_other(condition))
    }

    /// In this order of their own side.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let users = em.find::<User>().left_join(User::POSTS).order_by(User::NAME.asc());
    /// assert!(users.sql()?.ends_with(r#"ORDER BY t0."name""#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn order_by(self, order: Order<E>) -> Self {
        Self(self.0.order_by(order))
    }

    /// So many pairs at most.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// assert!(em.find::<User>().left_join(User::POSTS).limit(10).sql()?.ends_with("LIMIT $1"));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn limit(self, pairs: u32) -> Self {
        Self(self.0.limit(pairs))
    }

    /// The SQL that would be sent in the context of now, with `$1`, `$2` ... for values.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// assert!(em.find::<Post>().left_join(Post::AUTHOR).sql()?.contains(" LEFT JOIN "));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// As of the question itself.
    pub fn sql(&self) -> Result<String, Error> {
        self.0.sql()
    }
}

impl<'s, E: Entity, T: Entity> IntoFuture for LeftJoined<'s, E, T> {
    type Output = Result<Vec<(E, Option<T>)>, Error>;
    type IntoFuture = Asked<'s, Vec<(E, Option<T>)>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let width = E::DEFINITION.columns.len();
            let pair = |row: &Row| {
                let there: bool = row.at(width).map_err(Error::row("reading whether a row is there"))?;
                let other = there.then(|| decoded(row, width + 1)).transpose()?;
                Ok((decoded(row, 0)?, other))
            };
            self.0.rows().await?.iter().map(pair).collect()
        })
    }
}

/// Rows, each with all that it is related to: see [`Find::load`](super::Find::load).
///
/// ```no_run
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # async fn example(em: EntityManager) -> Result<(), Error> {
/// let users: Vec<(User, Vec<Post>)> = em.find::<User>().limit(10).load(User::POSTS).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is asked until it is awaited"]
pub struct Loaded<'s, E, T> {
    session: Call<'s>,
    parts: Parts,
    relation: usize,
    of: PhantomData<fn() -> (E, T)>,
}

impl<'s, E: Entity, T: Entity> Loaded<'s, E, T> {
    pub(super) fn new(session: Call<'s>, parts: Parts, relation: Relation<E, T>) -> Self {
        Self { session, parts, relation: relation.index, of: PhantomData }
    }

    /// The SQL that would be sent in the context of now, with `$1`, `$2` ... for values.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// // The limit is that of the users, whatever they have written.
    /// let sql = em.find::<User>().order_by(User::ID.asc()).limit(10).load(User::POSTS).sql()?;
    /// assert!(sql.contains(r#"ORDER BY t0."id" LIMIT $1) AS o LEFT JOIN "public"."posts""#));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// As of the question itself.
    pub fn sql(&self) -> Result<String, Error> {
        let place = self.session.place()?;
        Ok(self.statement(&mut Writer::new(&self.session, &place))?.text)
    }

    fn statement(&self, writer: &mut Writer<'_>) -> Result<Sql<'_>, Error> {
        let mut sql = writer.session.sql(writer.place);
        let (table, other) = (writer.table(E::DEFINITION)?, writer.table(T::DEFINITION)?);
        let relation = table::relation(E::DEFINITION, self.relation)?;
        let own = table::column_named(E::DEFINITION, relation.column)?;
        sql.compares(own.sql_type);
        let own = E::DEFINITION.columns.iter().take_while(|column| !std::ptr::eq(*column, own)).count();
        sql.push("SELECT o.*, ").push(OTHER).push(".").name(other.renamed(relation.target_column));
        sql.push(" IS NOT NULL, ");
        other.write_columns(&mut sql, Some(OTHER));
        sql.push(" FROM (");
        numbered(&mut sql, writer, &self.parts, &table)?;
        sql.push(") AS o LEFT JOIN ");
        on(&mut sql, &other, relation);
        sql.push(&format!("o.c{own} ORDER BY o.n"));
        for key in other.keys() {
            sql.push(", ");
            other.write_column(&mut sql, Some(OTHER), key);
        }
        Ok(sql)
    }
}

impl<'s, E: Entity, T: Entity> IntoFuture for Loaded<'s, E, T> {
    type Output = Result<Vec<(E, Vec<T>)>, Error>;
    type IntoFuture = Asked<'s, Vec<(E, Vec<T>)>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let place = self.session.place()?;
            let mut writer = Writer::new(&self.session, &place);
            let sql = self.statement(&mut writer)?;
            let names = writer.names;
            grouped(&self.session.read::<E>(&place, &names, &sql).await?)
        })
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
        let there: bool = row.try_get(1 + width).map_err(doing())?;
        if let Some((_, others)) = found.last_mut().filter(|_| there) {
            others.push(decoded(row, 2 + width)?);
        }
    }
    Ok(found)
}

/// `"posts" AS t1 ON t1."user_id" = `
fn on(sql: &mut Sql<'_>, other: &Table, relation: &'static RelationDefinition) {
    other.write(sql);
    sql.push(" AS ").push(OTHER).push(" ON ").push(OTHER).push(".");
    sql.name(other.renamed(relation.target_column)).push(" = ");
}
