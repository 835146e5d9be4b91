//! Some columns of rows, and what many rows come to together.

use std::future::IntoFuture;
use std::marker::PhantomData;

use tokio_postgres::types::Type;

use super::Asked;
use super::change::Number;
use super::condition::{Condition, OUTER, Order, Value, Writer, needs_alias};
use super::find::{Parts, limited};
use crate::entity::{Column, ColumnType, Entity, Nullability};
use crate::manager::Call;
use crate::row::{Row, RowError};
use crate::sql::{Sql, type_of};
use crate::table::{self, Table};
use crate::{DatabaseKind, Error};

/// One thing that is selected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Item {
    Column(usize),
    /// `count(*)`
    Count,
    /// A function of a column, and the type that its result is made.
    Function {
        name: &'static str,
        column: usize,
        cast: Option<&'static str>,
    },
}

/// What is selected of rows of `E`: a column, an [`Aggregate`], or a tuple of them.
///
/// ```no_run
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// use pgstrata_orm::query::Selection;
///
/// async fn distinct<S: Selection<User>>(session: &Session, what: S) -> Result<Vec<S::Output>, Error> {
///     session.find::<User>().select(what).distinct().await
/// }
/// ```
pub trait Selection<E>: Sized {
    /// What it is read as.
    ///
    /// ```
    /// fn first<E, S: pgstrata_orm::query::Selection<E>>(mut all: Vec<S::Output>) -> Option<S::Output> {
    ///     all.pop()
    /// }
    /// ```
    type Output: Send;

    /// How many columns it takes, each added to `items`.
    #[doc(hidden)]
    fn items(&self, items: &mut Items);

    /// Reads it from a row's columns, from `first` on.
    #[doc(hidden)]
    fn read(row: &Row, first: usize) -> Result<Self::Output, RowError>;

    /// How many columns it takes.
    #[doc(hidden)]
    const WIDTH: usize = 1;
}

/// What is selected, one thing after the other.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct Items(Vec<Item>);

impl<E: Entity, T: ColumnType + Send, N: Nullability> Selection<E> for Column<E, T, N>
where
    N::Of<T>: Send,
{
    type Output = N::Of<T>;

    fn items(&self, items: &mut Items) {
        items.0.push(Item::Column(self.index));
    }

    fn read(row: &Row, first: usize) -> Result<Self::Output, RowError> {
        row.at(first)
    }
}

/// What many rows come to together, read as a `T`: made by [`count`] and the columns' own functions.
///
/// ```no_run
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # use pgstrata_orm::query::count;
/// # async fn example(em: EntityManager) -> Result<(), Error> {
/// let of_authors = em.find::<Post>().select((Post::AUTHOR_ID, count(), Post::LIKES.sum())).group_by(Post::AUTHOR_ID);
/// let busy = of_authors.having(count().gt(10)).order_by(count().desc()).limit(3);
/// for (author, posts, likes) in busy.await? {
///     println!("{author}: {posts} posts, {} likes", likes.unwrap_or_default());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Aggregate<E, T> {
    item: Item,
    of: PhantomData<fn() -> (E, T)>,
}

impl<E, T> Clone for Aggregate<E, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E, T> Copy for Aggregate<E, T> {}

/// How many rows.
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # let em = manager();
/// use pgstrata_orm::query::count;
///
/// let posts = em.find::<Post>().select((Post::AUTHOR_ID, count())).group_by(Post::AUTHOR_ID);
/// assert!(posts.sql()?.starts_with(r#"SELECT "author_id", count(*) FROM"#));
/// # Ok::<(), Error>(())
/// ```
pub fn count<E>() -> Aggregate<E, i64> {
    Aggregate { item: Item::Count, of: PhantomData }
}

impl<E: Entity, T: ColumnType + Send + 'static, N> Column<E, T, N> {
    fn aggregate<R>(self, name: &'static str, cast: Option<&'static str>) -> Aggregate<E, R> {
        Aggregate { item: Item::Function { name, column: self.index, cast }, of: PhantomData }
    }

    /// The smallest; `None` of no rows.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let [(first, last)] = em.find::<Post>().select((Post::ID.min(), Post::ID.max())).await?[..] else { panic!() };
    /// # Ok(())
    /// # }
    /// ```
    pub fn min(self) -> Aggregate<E, Option<T>> {
        self.aggregate("min", None)
    }

    /// The greatest; `None` of no rows.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let most: Vec<Option<i32>> = em.find::<Post>().select(Post::LIKES.max()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn max(self) -> Aggregate<E, Option<T>> {
        self.aggregate("max", None)
    }

    /// How many are not NULL.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let with_address: Vec<i64> = em.find::<User>().select(User::EMAIL.count()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn count(self) -> Aggregate<E, i64> {
        self.aggregate("count", None)
    }
}

impl<E: Entity, T: Number, N> Column<E, T, N> {
    /// All of them together; `None` of no rows.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let likes: Vec<Option<i64>> = em.find::<Post>().where_(Post::AUTHOR_ID.eq(7)).select(Post::LIKES.sum()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn sum(self) -> Aggregate<E, Option<T::Sum>> {
        self.aggregate("sum", Some(T::Sum::SQL))
    }

    /// The mean; `None` of no rows.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let likes: Vec<Option<f64>> = em.find::<Post>().select(Post::LIKES.avg()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn avg(self) -> Aggregate<E, Option<f64>> {
        self.aggregate("avg", Some(f64::SQL))
    }
}

impl<E: Entity, T: ColumnType + Send + 'static> Selection<E> for Aggregate<E, T> {
    type Output = T;

    fn items(&self, items: &mut Items) {
        items.0.push(self.item);
    }

    fn read(row: &Row, first: usize) -> Result<T, RowError> {
        row.at(first)
    }
}

macro_rules! tuples {
    ($(($($name:ident),*)),* $(,)?) => {
        $(impl<E, $($name: Selection<E>),*> Selection<E> for ($($name,)*) {
            type Output = ($($name::Output,)*);
            const WIDTH: usize = 0 $(+ $name::WIDTH)*;

            #[allow(non_snake_case)]
            fn items(&self, items: &mut Items) {
                let ($($name,)*) = self;
                $($name.items(items);)*
            }

            fn read(row: &Row, first: usize) -> Result<Self::Output, RowError> {
                let mut next = first;
                // Each begins where the one before ends.
                let mut at = |width: usize| {
                    next += width;
                    next - width
                };
                Ok(($($name::read(row, at($name::WIDTH))?,)*))
            }
        })*
    };
}

tuples! { (A), (A, B), (A, B, C), (A, B, C, D), (A, B, C, D, F), (A, B, C, D, F, G), (A, B, C, D, F, G, H), (A, B, C, D, F, G, H, I) }

/// Which groups: an [`Aggregate`] held against a value.
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// use pgstrata_orm::query::{Having, count};
///
/// fn busy(posts: i64) -> Having<Post> {
///     count().ge(posts)
/// }
/// # let em = manager();
/// # let found = em.find::<Post>().select(Post::AUTHOR_ID).group_by(Post::AUTHOR_ID).having(busy(2));
/// # assert!(found.sql()?.ends_with(r#"GROUP BY "author_id" HAVING count(*) >= $1"#));
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct Having<E> {
    item: Item,
    operator: &'static str,
    value: Value,
    kind: Option<Type>,
    of: PhantomData<fn() -> E>,
}

/// What an aggregate is held against: what is in its `Option`.
///
/// ```
/// let bound: <i64 as pgstrata_orm::query::Comparable>::Plain = 5;
/// assert_eq!(bound, 5);
/// ```
pub trait Comparable {
    /// That.
    ///
    /// ```
    /// let bound: <Option<i64> as pgstrata_orm::query::Comparable>::Plain = 5;
    /// assert_eq!(bound, 5);
    /// ```
    type Plain: ColumnType + Send + 'static;
}

impl Comparable for i64 {
    type Plain = i64;
}

impl<T: ColumnType + Send + 'static> Comparable for Option<T> {
    type Plain = T;
}

impl<E, T: Comparable> Aggregate<E, T> {
    fn compare(self, operator: &'static str, value: impl Into<T::Plain>) -> Having<E> {
        let value = Box::new(value.into());
        Having { item: self.item, operator, value, kind: type_of(T::Plain::SQL), of: PhantomData }
    }

    /// Groups with exactly this.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # use pgstrata_orm::query::{Having, count};
    /// let only_one: Having<Post> = count().eq(1);
    /// ```
    pub fn eq(self, value: impl Into<T::Plain>) -> Having<E> {
        self.compare("=", value)
    }

    /// Groups with more than this.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # use pgstrata_orm::query::Having;
    /// let liked: Having<Post> = Post::LIKES.sum().gt(100);
    /// ```
    pub fn gt(self, value: impl Into<T::Plain>) -> Having<E> {
        self.compare(">", value)
    }

    /// Groups with at least this.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # use pgstrata_orm::query::Having;
    /// let liked: Having<Post> = Post::LIKES.max().ge(100);
    /// ```
    pub fn ge(self, value: impl Into<T::Plain>) -> Having<E> {
        self.compare(">=", value)
    }

    /// Groups with less than this.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # use pgstrata_orm::query::Having;
    /// let dull: Having<Post> = Post::LIKES.avg().lt(0.5);
    /// ```
    pub fn lt(self, value: impl Into<T::Plain>) -> Having<E> {
        self.compare("<", value)
    }
}

impl<E, T> Aggregate<E, T> {
    /// The smallest first.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # use pgstrata_orm::query::{SelectedOrder, count};
    /// let fewest_first: SelectedOrder<Post> = count().asc();
    /// ```
    pub fn asc(self) -> SelectedOrder<E> {
        SelectedOrder { item: self.item, descending: false, of: PhantomData }
    }

    /// The greatest first.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # use pgstrata_orm::query::{SelectedOrder, count};
    /// let most_first: SelectedOrder<Post> = count().desc();
    /// ```
    pub fn desc(self) -> SelectedOrder<E> {
        SelectedOrder { item: self.item, descending: true, of: PhantomData }
    }
}

/// An order of what is selected: by a column, or by an [`Aggregate`].
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # use pgstrata_orm::query::SelectedOrder;
/// let by_author: SelectedOrder<Post> = Post::AUTHOR_ID.asc().into();
/// ```
#[derive(Debug)]
pub struct SelectedOrder<E> {
    item: Item,
    descending: bool,
    of: PhantomData<fn() -> E>,
}

impl<E> From<Order<E>> for SelectedOrder<E> {
    fn from(order: Order<E>) -> Self {
        Self { item: Item::Column(order.column), descending: order.descending, of: PhantomData }
    }
}

/// Some columns of rows, or what they come to: see [`Find::select`](super::Find::select).
///
/// ```no_run
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # async fn example(em: EntityManager) -> Result<(), Error> {
/// let named: Vec<(i64, String)> = em.find::<User>().select((User::ID, User::NAME)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is asked until it is awaited"]
pub struct Selected<'s, E, S> {
    session: Call<'s>,
    parts: Parts,
    items: Vec<Item>,
    group: Vec<usize>,
    having: Vec<Having<E>>,
    order: Vec<(Item, bool)>,
    distinct: bool,
    of: PhantomData<fn() -> (E, S)>,
}

impl<'s, E: Entity, S: Selection<E>> Selected<'s, E, S> {
    pub(super) fn new(session: Call<'s>, mut parts: Parts, selection: &S) -> Self {
        let mut items = Items::default();
        selection.items(&mut items);
        let order = std::mem::take(&mut parts.order);
        let order = order.into_iter().map(|(column, descending)| (Item::Column(column), descending));
        Self {
            session,
            parts,
            items: items.0,
            group: Vec::new(),
            having: Vec::new(),
            order: order.collect(),
            distinct: false,
            of: PhantomData,
        }
    }

    /// Of rows that meet this, besides what was said before.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let titles = em.find::<Post>().select(Post::TITLE).where_(Post::AUTHOR_ID.eq(7));
    /// assert!(titles.sql()?.ends_with(r#"WHERE "author_id" = $1"#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn where_(mut self, condition: Condition<E>) -> Self {
        self.parts.filter.push(condition.node);
        self
    }

    /// One row for all rows with the same in this column, and in those of other calls.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let likes = em.find::<Post>().select((Post::AUTHOR_ID, Post::LIKES.sum())).group_by(Post::AUTHOR_ID);
    /// assert!(likes.sql()?.ends_with(r#"GROUP BY "author_id""#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn group_by<T, N>(mut self, column: Column<E, T, N>) -> Self {
        self.group.push(column.index);
        self
    }

    /// Groups that meet this, besides what was said before.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// # use pgstrata_orm::query::count;
    /// let busy = em.find::<Post>().select(Post::AUTHOR_ID).group_by(Post::AUTHOR_ID).having(count().gt(9));
    /// assert!(busy.sql()?.ends_with("HAVING count(*) > $1"));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn having(mut self, having: Having<E>) -> Self {
        self.having.push(having);
        self
    }

    /// Each row once.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let authors = em.find::<Post>().select(Post::AUTHOR_ID).distinct();
    /// assert!(authors.sql()?.starts_with("SELECT DISTINCT"));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn distinct(mut self) -> Self {
        self.distinct = true;
        self
    }

    /// In this order; among equals, in that of the next call.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// # use pgstrata_orm::query::count;
    /// let ranking = em.find::<Post>().select((Post::AUTHOR_ID, count())).group_by(Post::AUTHOR_ID);
    /// let ranking = ranking.order_by(count().desc()).order_by(Post::AUTHOR_ID.asc());
    /// assert!(ranking.sql()?.ends_with(r#"ORDER BY count(*) DESC, "author_id""#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn order_by(mut self, order: impl Into<SelectedOrder<E>>) -> Self {
        let order = order.into();
        self.order.push((order.item, order.descending));
        self
    }

    /// So many rows at most.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// assert!(em.find::<Post>().select(Post::TITLE).limit(3).sql()?.ends_with("LIMIT $1"));
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
    /// assert!(em.find::<Post>().select(Post::TITLE).limit(3).offset(3).sql()?.ends_with("LIMIT $1 OFFSET $2"));
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
    /// let sql = em.find::<Post>().select((Post::TITLE, Post::LIKES)).sql()?;
    /// assert_eq!(sql, r#"SELECT "title", "likes" FROM "public"."posts""#);
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
        let table = writer.table(E::DEFINITION)?;
        let alias = needs_alias(&self.parts.filter).then_some(OUTER);
        sql.push(if self.distinct { "SELECT DISTINCT " } else { "SELECT " });
        for (n, item) in self.items.iter().enumerate() {
            sql.push(if n == 0 { "" } else { ", " });
            write(&mut sql, &table, alias, *item)?;
        }
        sql.push(" FROM ");
        table.write(&mut sql);
        if let Some(alias) = alias {
            sql.push(" AS ").push(alias);
        }
        writer.filter(&mut sql, &table, alias, &self.parts.filter)?;
        for (n, column) in self.group.iter().enumerate() {
            sql.push(if n == 0 { " GROUP BY " } else { ", " });
            table.write_column(&mut sql, alias, table::column(E::DEFINITION, *column)?);
        }
        for (n, having) in self.having.iter().enumerate() {
            sql.push(if n == 0 { " HAVING " } else { " AND " });
            write(&mut sql, &table, alias, having.item)?;
            sql.push(" ").push(having.operator).push(" ").bind(&*having.value, having.kind.clone());
        }
        for (n, (item, descending)) in self.order.iter().enumerate() {
            sql.push(if n == 0 { " ORDER BY " } else { ", " });
            write(&mut sql, &table, alias, *item)?;
            super::find::direction(&mut sql, *descending);
        }
        limited(&mut sql, self.parts.limit.as_ref(), self.parts.offset.as_ref());
        Ok(sql)
    }
}

fn write(sql: &mut Sql<'_>, table: &Table, alias: Option<&str>, item: Item) -> Result<(), Error> {
    match item {
        Item::Column(column) => {
            table.write_column(sql, alias, table::column(table.definition, column)?);
        }
        Item::Count => {
            sql.push("count(*)");
        }
        Item::Function { name, column, cast } => {
            let column = table::column(table.definition, column)?;
            // A function of a type that is not PostgreSQL's own is found by the path, as its operators are.
            if sql.dialect == DatabaseKind::Postgres && name != "count" {
                sql.compares(column.sql_type);
            }
            sql.push(if cast.is_some() { "CAST(" } else { "" }).push(name).push("(");
            table.write_column(sql, alias, column);
            sql.push(")");
            if let Some(cast) = cast {
                sql.push(" AS ").push(cast).push(")");
            }
        }
    }
    Ok(())
}

impl<'s, E: Entity, S: Selection<E> + 's> IntoFuture for Selected<'s, E, S> {
    type Output = Result<Vec<S::Output>, Error>;
    type IntoFuture = Asked<'s, Vec<S::Output>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let place = self.session.place()?;
            let mut writer = Writer::new(&self.session, &place);
            let sql = self.statement(&mut writer)?;
            let names = writer.names;
            let rows = self.session.read::<E>(&place, &names, &sql).await?;
            let doing = || Error::row(format!("reading a row of {}", E::DEFINITION.name));
            rows.iter().map(|row| S::read(row, 0).map_err(doing())).collect()
        })
    }
}
