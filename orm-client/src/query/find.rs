//! Rows of one table.

use std::future::IntoFuture;
use std::marker::PhantomData;
use std::pin::Pin;

use futures_util::stream::{self, Stream, TryStreamExt};

use super::Asked;
use super::answer::{Around, Asks, Lockable, Many, OwnOrder, decoded};
use super::condition::Condition;
use super::load::{Load, Loaded, Loads};
use super::node::Node;
use super::order::{After, Order};
use super::related::{Join, Joined, LeftJoined};
use super::select::{Select, Selected, Selection};
use super::statement::Parts;
use super::writer::Writer;
use crate::entity::{Entity, Relation};
use crate::manager::{Call, Place};
use crate::row::Row;
use crate::{DatabaseKind, Error};

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
    pub(super) asks: A,
    of: PhantomData<fn() -> E>,
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

impl<E: Entity, A: OwnOrder> Find<'_, E, A> {
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
}

impl<E, A> Find<'_, E, A> {
    fn writer<'w>(&'w self, place: &'w Place) -> Writer<'w> {
        Writer::new(&self.session, place).with_deleted(self.parts.with_deleted)
    }
}

impl<'s, E: Entity, A: Asks<E>> Find<'s, E, A> {
    pub(crate) fn new(session: Call<'s>, asks: A) -> Self {
        Self { session, parts: Parts::default(), asks, of: PhantomData }
    }

    /// The same rows, asked for something else.
    fn asking<B>(self, asks: B) -> Find<'s, E, B> {
        Find { session: self.session, parts: self.parts, asks, of: PhantomData }
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

    /// Rows that are deleted as well, of all tables of the question: where an entity has a column that is `#[column(deleted)]`, they stay.
    ///
    /// ```
    /// # use pgstrata_orm::{Entity, EntityManager, Error, Options};
    /// # use futures_util::FutureExt;
    /// #[derive(Entity)]
    /// struct Note {
    ///     #[column(primary_key, generated)]
    ///     id: i64,
    ///     #[column(deleted)]
    ///     deleted_at: Option<std::time::SystemTime>,
    /// }
    ///
    /// # let options = Options::url("postgres://localhost/notes")?.entity::<Note>();
    /// # let em = EntityManager::register(options).now_or_never().unwrap()?;
    /// assert!(em.find::<Note>().sql()?.ends_with(r#"WHERE "deleted_at" IS NULL"#));
    /// let bin = em.find::<Note>().with_deleted().where_(Note::DELETED_AT.is_not_null());
    /// assert!(bin.sql()?.ends_with(r#"WHERE "deleted_at" IS NOT NULL"#));
    /// // Deleting marks them, and `for_good` deletes them.
    /// assert!(em.delete::<Note>().everywhere().sql()?.starts_with("UPDATE"));
    /// assert!(em.delete::<Note>().everywhere().for_good().sql()?.starts_with("DELETE"));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn with_deleted(mut self) -> Self {
        self.parts.with_deleted = true;
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
        Ok(self.asks.statement(&mut self.writer(&place), &self.parts)?.text)
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
        let mut writer = self.writer(&place);
        let mut sql = self.asks.statement(&mut writer, &self.parts)?;
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

    fn check_lock(&self) -> Result<(), Error> {
        match self.parts.lock {
            Some(_) if !A::LOCKS => Err(Error::Options(
                "rows can be locked where they are read alone: load what they are related to behind that"
                    .into(),
            )),
            Some(_) if !self.session.is_transaction() => {
                Err(Error::Options("rows are locked until the end of a transaction: begin one".into()))
            }
            _ => Ok(()),
        }
    }

    /// The rows that it gives, for the tenant of the context.
    async fn rows(&self, place: &Place) -> Result<Vec<Row>, Error> {
        self.check_lock()?;
        let mut writer = self.writer(place);
        let sql = self.asks.statement(&mut writer, &self.parts)?;
        let names = writer.names;
        self.session.read::<E>(place, &names, &sql).await
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
    pub fn join<T: Entity, C>(self, relation: Relation<E, T, C>) -> Joined<'s, E, T> {
        self.asking(Join::new(relation))
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
    pub fn left_join<T: Entity, C>(self, relation: Relation<E, T, C>) -> LeftJoined<'s, E, T> {
        self.asking(Join::new(relation))
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
            let mut writer = self.writer(&place);
            let sql = Asks::<E>::statement(&self.asks, &mut writer, &self.parts)?;
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
        self.asking(Select::new(&selection))
    }

    /// Each row once, with what it is related to: of a relation, of some of its rows, or of several relations, in a tuple.
    /// [`Find::limit`] and [`Find::offset`] count rows, not what is related to them.
    ///
    /// The first relation comes in the statement of the rows; each one more, and each level of [`Relation::with`], is one statement,
    /// however many rows there are. Statements of a transaction that has its own snapshot read one moment.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// for (user, posts) in em.find::<User>().order_by(User::NAME.asc()).load(User::POSTS).await? {
    ///     println!("{}: {} posts", user.name, posts.len());
    /// }
    /// // The one profile that a user may have, and the posts with their tags: three statements.
    /// let users = em.find::<User>().limit(10).load((User::PROFILE, User::POSTS.with(Post::TAGS))).await?;
    /// let users: Vec<(User, (Option<Profile>, Vec<(Post, Vec<Tag>)>))> = users;
    /// # Ok(())
    /// # }
    /// ```
    pub fn load<L: Loads<E>>(self, related: L) -> Loaded<'s, E, L> {
        self.asking(Load(related))
    }
}

impl<'s, E: Entity, A: Asks<E> + 's> IntoFuture for Find<'s, E, A> {
    type Output = Result<A::Answer, Error>;
    type IntoFuture = Asked<'s, A::Answer>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let place = self.session.place()?;
            let rows = self.rows(&place).await?;
            self.asks
                .read(
                    Around { session: &self.session, place: &place, with_deleted: self.parts.with_deleted },
                    rows,
                )
                .await
        })
    }
}
