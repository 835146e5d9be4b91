//! A row that a database has given.
//!
//! What PostgreSQL gives stays as it came. What another database gives is read by the same `FromSql` of a type: see `plain`.

use std::error::Error as StdError;
use std::fmt;

use tokio_postgres::types::FromSql;

#[cfg(feature = "sqlite")]
use crate::plain::PlainRow;

/// A row of [`Session::query`](crate::Session::query), and what an [`Entity`](crate::Entity) is read from.
///
/// ```no_run
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # async fn example(em: EntityManager) -> Result<(), Box<dyn std::error::Error>> {
/// for row in em.query("SELECT name, email FROM users", &[]).await? {
///     let (name, email): (&str, Option<String>) = (row.try_get("name")?, row.try_get(1)?);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Row(Kind);

#[derive(Clone)]
enum Kind {
    Postgres(tokio_postgres::Row),
    #[cfg(feature = "sqlite")]
    Plain(PlainRow),
}

/// A value is not what it is read as.
///
/// ```no_run
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # async fn example(em: EntityManager) -> Result<(), Error> {
/// use pgstrata_orm::RowError;
///
/// let rows = em.query("SELECT 'one'", &[]).await?;
/// let wrong: RowError = rows[0].try_get::<_, i64>(0).unwrap_err();
/// assert!(wrong.to_string().contains("column 0"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct RowError {
    column: String,
    source: Box<dyn StdError + Send + Sync>,
}

impl RowError {
    pub(crate) fn new(
        column: &(impl fmt::Display + ?Sized),
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self { column: column.to_string(), source: source.into() }
    }
}

impl fmt::Display for RowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column, self.source)
    }
}

impl StdError for RowError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}

/// What finds a column: its number from 0, or its name.
///
/// ```no_run
/// # use pgstrata_orm::Row;
/// use pgstrata_orm::ColumnIndex;
///
/// fn text(row: &Row, column: impl ColumnIndex) -> String {
///     row.get(column)
/// }
/// ```
pub trait ColumnIndex: fmt::Display {
    /// The number of the column, among columns of these names.
    ///
    /// ```
    /// use pgstrata_orm::ColumnIndex;
    ///
    /// assert_eq!("name".index(&["id", "name"]), Some(1));
    /// assert_eq!(2.index(&["id", "name"]), None);
    /// ```
    fn index(&self, names: &[&str]) -> Option<usize>;
}

impl ColumnIndex for usize {
    fn index(&self, names: &[&str]) -> Option<usize> {
        (*self < names.len()).then_some(*self)
    }
}

impl ColumnIndex for str {
    fn index(&self, names: &[&str]) -> Option<usize> {
        names.iter().position(|name| *name == self)
    }
}

impl<I: ColumnIndex + ?Sized> ColumnIndex for &I {
    fn index(&self, names: &[&str]) -> Option<usize> {
        (**self).index(names)
    }
}

impl Row {
    /// A column's value.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let count: i64 = em.query("SELECT count(*) FROM users", &[]).await?[0].get(0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// There is no such column, or it has another type: [`Row::try_get`] gives an error.
    #[allow(clippy::panic)]
    pub fn get<'r, I: ColumnIndex, T: FromSql<'r>>(&'r self, column: I) -> T {
        match self.try_get(column) {
            Ok(value) => value,
            Err(error) => panic!("{error}"),
        }
    }

    /// A column's value, or why it is none of this type.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Box<dyn std::error::Error>> {
    /// let rows = em.query("SELECT email FROM users", &[]).await?;
    /// let address: Option<&str> = rows[0].try_get("email")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// There is no such column, or it has another type.
    pub fn try_get<'r, I: ColumnIndex, T: FromSql<'r>>(&'r self, column: I) -> Result<T, RowError> {
        match &self.0 {
            Kind::Postgres(row) => {
                let names: Vec<&str> = row.columns().iter().map(tokio_postgres::Column::name).collect();
                let index = column.index(&names).ok_or_else(|| missing(&column))?;
                row.try_get(index).map_err(|error| RowError::new(&column, error))
            }
            #[cfg(feature = "sqlite")]
            Kind::Plain(row) => {
                let names: Vec<&str> = row.names().collect();
                let index = column.index(&names).ok_or_else(|| missing(&column))?;
                row.get(index).map_err(|error| RowError::new(&column, error))
            }
        }
    }

    /// How many columns it has.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// assert_eq!(em.query("SELECT 1, 2", &[]).await?[0].len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn len(&self) -> usize {
        match &self.0 {
            Kind::Postgres(row) => row.len(),
            #[cfg(feature = "sqlite")]
            Kind::Plain(row) => row.names().len(),
        }
    }

    /// Whether it has no columns.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// assert!(em.query("SELECT FROM users LIMIT 1", &[]).await?.iter().all(|row| row.is_empty()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The row as PostgreSQL's driver has it; none where the database is another one.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// for row in em.query("SELECT 1 AS n", &[]).await? {
    ///     println!("{:?}", row.as_postgres().map(|row| row.columns()[0].type_()));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn as_postgres(&self) -> Option<&tokio_postgres::Row> {
        match &self.0 {
            Kind::Postgres(row) => Some(row),
            #[cfg(feature = "sqlite")]
            Kind::Plain(_) => None,
        }
    }

    /// A column's value by its number, which is quicker for what is written by the derive.
    pub(crate) fn at<T: for<'r> FromSql<'r>>(&self, index: usize) -> Result<T, RowError> {
        match &self.0 {
            Kind::Postgres(row) => row.try_get(index).map_err(|error| RowError::new(&index, error)),
            #[cfg(feature = "sqlite")]
            Kind::Plain(row) => row.get(index).map_err(|error| RowError::new(&index, error)),
        }
    }
}

fn missing(column: &impl fmt::Display) -> RowError {
    RowError::new(column, "there is no such column")
}

/// What a row can be read as: an [`Entity`](crate::Entity), or a tuple of values.
///
/// ```no_run
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// use pgstrata_orm::FromRow;
///
/// async fn first<T: FromRow>(session: &Session, sql: &str) -> Result<Option<T>, Error> {
///     Ok(session.query_as::<T>(sql, &[]).await?.into_iter().next())
/// }
/// ```
pub trait FromRow: Sized + Send {
    /// From the row's columns, from `first` on.
    ///
    /// ```no_run
    /// # use pgstrata_orm::{FromRow, Row, RowError};
    /// fn pair(row: &Row) -> Result<(i64, String), RowError> {
    ///     FromRow::from_columns(row, 0)
    /// }
    /// ```
    ///
    /// # Errors
    /// A column has another type.
    fn from_columns(row: &Row, first: usize) -> Result<Self, RowError>;
}

impl<E: crate::Entity> FromRow for E {
    fn from_columns(row: &Row, first: usize) -> Result<Self, RowError> {
        let mut row = <E as crate::Entity>::from_row(row, first)?;
        row.after_load();
        Ok(row)
    }
}

macro_rules! tuples {
    ($(($($name:ident $index:tt),*)),* $(,)?) => {
        $(impl<$($name: for<'r> FromSql<'r> + Send),*> FromRow for ($($name,)*) {
            fn from_columns(row: &Row, first: usize) -> Result<Self, RowError> {
                Ok(($(row.at::<$name>(first + $index)?,)*))
            }
        })*
    };
}

tuples! {
    (A 0), (A 0, B 1), (A 0, B 1, C 2), (A 0, B 1, C 2, D 3), (A 0, B 1, C 2, D 3, E 4), (A 0, B 1, C 2, D 3, E 4, F 5),
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6), (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7),
}

impl From<tokio_postgres::Row> for Row {
    fn from(row: tokio_postgres::Row) -> Self {
        Self(Kind::Postgres(row))
    }
}

#[cfg(feature = "sqlite")]
impl From<PlainRow> for Row {
    fn from(row: PlainRow) -> Self {
        Self(Kind::Plain(row))
    }
}

impl fmt::Debug for Row {
    // Not the values, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row").field("columns", &self.len()).finish()
    }
}
