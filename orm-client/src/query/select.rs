//! Some columns of rows, or what they come to together, in place of the rows.

use std::marker::PhantomData;

use super::aggregate::{Having, SelectedOrder};
use super::answer::{Around, Asks};
use super::find::Find;
use super::node::{OUTER, needs_alias};
use super::statement::{Parts, direction, from, limited};
use super::writer::Writer;
use crate::entity::{Column, ColumnType, Entity, Nullability};
use crate::row::{Row, RowError};
use crate::sql::Sql;
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
pub struct Items(pub(super) Vec<Item>);

impl<E: Entity, T: ColumnType + Send, N: Nullability, U> Selection<E> for Column<E, T, N, U>
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

/// Some columns of rows, or what they come to: see [`Find::select`](super::Find::select).
///
/// ```no_run
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # async fn example(em: EntityManager) -> Result<(), Error> {
/// let named: Vec<(i64, String)> = em.find::<User>().select((User::ID, User::NAME)).await?;
/// # Ok(())
/// # }
/// ```
pub type Selected<'s, E, S> = Find<'s, E, Select<E, S>>;

/// What is selected, in which groups, and in which order.
#[doc(hidden)]
#[derive(Debug)]
pub struct Select<E, S> {
    items: Vec<Item>,
    group: Vec<usize>,
    having: Vec<Having<E>>,
    order: Vec<(Item, bool)>,
    distinct: bool,
    of: PhantomData<fn() -> (E, S)>,
}

impl<E: Entity, S: Selection<E>> Select<E, S> {
    pub(super) fn new(selection: &S) -> Self {
        let mut items = Items::default();
        selection.items(&mut items);
        let (group, having, order) = (Vec::new(), Vec::new(), Vec::new());
        Self { items: items.0, group, having, order, distinct: false, of: PhantomData }
    }
}

impl<E: Entity, S: Selection<E>> Find<'_, E, Select<E, S>> {
    /// One row for all rows with the same in this column, and in those of other calls.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let likes = em.find::<Post>().select((Post::AUTHOR_ID, Post::LIKES.sum())).group_by(Post::AUTHOR_ID);
    /// assert!(likes.sql()?.ends_with(r#"GROUP BY "author_id""#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn group_by<T, N, U>(mut self, column: Column<E, T, N, U>) -> Self {
        self.asks.group.push(column.index);
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
        self.asks.having.push(having);
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
        self.asks.distinct = true;
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
        self.asks.order.push((order.item, order.descending));
        self
    }
}

impl<E: Entity, S: Selection<E>> Asks<E> for Select<E, S> {
    type Answer = Vec<S::Output>;

    fn statement<'v>(&'v self, writer: &mut Writer<'_>, parts: &'v Parts) -> Result<Sql<'v>, Error> {
        let mut sql = writer.session.sql(writer.place);
        let table = writer.table(E::DEFINITION)?;
        let alias = needs_alias(&parts.filter).then_some(OUTER);
        sql.push(if self.distinct { "SELECT DISTINCT " } else { "SELECT " });
        for (n, item) in self.items.iter().enumerate() {
            sql.push(if n == 0 { "" } else { ", " });
            write(&mut sql, &table, alias, *item)?;
        }
        from(&mut sql, &table, alias);
        writer.filter(&mut sql, &table, alias, &parts.filter)?;
        self.groups(&mut sql, &table, alias)?;
        let order = parts.order.iter().map(|(column, descending)| (Item::Column(*column), *descending));
        for (n, (item, descending)) in order.chain(self.order.iter().copied()).enumerate() {
            sql.push(if n == 0 { " ORDER BY " } else { ", " });
            write(&mut sql, &table, alias, item)?;
            direction(&mut sql, descending);
        }
        limited(&mut sql, parts.limit.as_ref(), parts.offset.as_ref());
        Ok(sql)
    }

    async fn read<'q>(&'q self, _: Around<'q>, rows: Vec<Row>) -> Result<Self::Answer, Error> {
        let doing = || Error::row(format!("reading a row of {}", E::DEFINITION.name));
        rows.iter().map(|row| S::read(row, 0).map_err(doing())).collect()
    }
}

impl<E: Entity, S> Select<E, S> {
    /// ` GROUP BY .. HAVING ..`
    fn groups<'v>(&'v self, sql: &mut Sql<'v>, table: &Table, alias: Option<&str>) -> Result<(), Error> {
        for (n, column) in self.group.iter().enumerate() {
            sql.push(if n == 0 { " GROUP BY " } else { ", " });
            table.write_column(sql, alias, table::column(E::DEFINITION, *column)?);
        }
        for (n, having) in self.having.iter().enumerate() {
            sql.push(if n == 0 { " HAVING " } else { " AND " });
            write(sql, table, alias, having.item)?;
            sql.push(" ").push(having.operator).push(" ").bind(&*having.value, having.kind.clone());
        }
        Ok(())
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
