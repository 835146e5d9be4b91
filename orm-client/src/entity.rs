//! What a table is, as a Rust type says it: written by `#[derive(Entity)]`, read by all the rest.
//!
//! ```
//! use pgstrata_orm::Entity;
//!
//! #[derive(Entity)]
//! struct BlogPost {
//!     #[column(primary_key, generated)]
//!     id: i64,
//!     #[column(name = "headline")]
//!     title: String,
//! }
//!
//! assert_eq!(BlogPost::DEFINITION.table, "blog_posts");
//! assert!(BlogPost::COLUMNS.iter().map(|column| column.name).eq(["id", "headline"]));
//! ```

mod column;
mod relation;
mod unique;

use tokio_postgres::types::ToSql;

use crate::Hooks;
use crate::row::{Row, RowError};

pub use crate::column_type::ColumnType;
pub use column::{Column, NotUnique, Unique};
pub use relation::{
    Cardinality, Relation, RelationDefinition, RelationKind, ThroughDefinition, ToMany, ToOne,
};
pub use unique::{UniqueIndex, UniqueKey};

/// A value as a bound parameter.
///
/// ```no_run
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # use pgstrata_orm::entity::Parameter;
/// # async fn example(em: EntityManager, name: Option<String>) -> Result<(), Error> {
/// let mut sql = "SELECT count(*) FROM users".to_owned();
/// let mut values: Vec<Parameter<'_>> = Vec::new();
/// if let Some(name) = &name {
///     sql += " WHERE name = $1";
///     values.push(name);
/// }
/// let rows = em.query(&sql, &values).await?;
/// # Ok(())
/// # }
/// ```
pub type Parameter<'a> = &'a (dyn ToSql + Sync);

/// A type whose values are rows of a table. Derive it.
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// let user = User { name: "Alice".into(), ..User::default() };
/// assert!(user.is_new());
/// assert_eq!(User::DEFINITION.table, "users");
/// ```
pub trait Entity: Hooks + Sized + Send + Sync + 'static {
    /// The primary key: a value, or a tuple of them.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// fn cache_key<E: Entity<Key = i64>>(entity: &E) -> String {
    ///     format!("{}:{}", E::DEFINITION.name, entity.key())
    /// }
    ///
    /// assert_eq!(cache_key(&User { id: 7, ..User::default() }), "User:7");
    /// ```
    type Key: PrimaryKey;

    /// Its columns, in the order of the fields: apart from the table, as two tables may refer to each other.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// assert!(User::COLUMNS.iter().map(|column| column.name).eq(["id", "name", "email"]));
    /// ```
    const COLUMNS: &'static [ColumnDefinition] = Self::DEFINITION.columns;

    /// The table, as the type says it: the entity's entry in the public layer.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let tables = [User::DEFINITION, Post::DEFINITION].map(|definition| definition.table);
    /// assert_eq!(tables, ["users", "posts"]);
    /// ```
    const DEFINITION: &'static EntityDefinition;

    /// It has hooks of its own.
    #[doc(hidden)]
    const HOOKED: bool = false;

    /// A copy for its hooks to change, if it has any.
    #[doc(hidden)]
    fn copied(&self) -> Option<Self> {
        None
    }

    /// The row's columns from `first` on, in the order of [`EntityDefinition::columns`].
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Box<dyn std::error::Error>> {
    /// let sql = "SELECT count(*), u.id, u.name, u.email FROM users u JOIN posts ON author_id = u.id GROUP BY u.id";
    /// for row in em.query(sql, &[]).await? {
    ///     let (posts, user): (i64, User) = (row.get(0), User::from_row(&row, 1)?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A column's type that does not fit the field's.
    fn from_row(row: &Row, first: usize) -> Result<Self, RowError>;

    /// The fields' values, in the same order.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// assert_eq!(User::default().values().len(), User::COLUMNS.len());
    /// ```
    fn values(&self) -> Vec<Parameter<'_>>;

    /// The primary key.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// assert_eq!(User { id: 7, ..User::default() }.key(), 7);
    /// ```
    fn key(&self) -> Self::Key;

    /// The key is the database's to give and has its type's default value: not saved yet.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// assert!(User { id: 0, ..User::default() }.is_new());
    /// assert!(!User { id: 7, ..User::default() }.is_new());
    /// ```
    fn is_new(&self) -> bool;
}

/// A table.
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// let posts = Post::DEFINITION;
/// assert_eq!((posts.name, posts.table), ("Post", "posts"));
/// assert_eq!(posts.schema, None, "each tenant has its own");
/// ```
#[derive(Debug)]
pub struct EntityDefinition {
    /// The type's name: the key in the metadata store.
    pub name: &'static str,
    /// The table's.
    pub table: &'static str,
    /// Where the table is for every tenant; else it is in each tenant's own schema.
    pub schema: Option<&'static str>,
    /// Its columns, in the order of the fields.
    pub columns: &'static [ColumnDefinition],
    /// Its indexes besides those of the primary key and of unique columns.
    pub indexes: &'static [IndexDefinition],
    /// Its relations to other tables.
    pub relations: &'static [RelationDefinition],
}

/// A column.
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// let [id, _, email] = User::COLUMNS else { unreachable!() };
/// assert!(id.primary_key && !id.nullable);
/// assert_eq!((email.name, email.sql_type, email.nullable, email.unique), ("email", "text", true, true));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ColumnDefinition {
    /// The field's name.
    pub field: &'static str,
    /// The column's.
    pub name: &'static str,
    /// As PostgreSQL writes the type.
    pub sql_type: &'static str,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// Whether it is (part of) the primary key.
    pub primary_key: bool,
    /// The database gives the value of a new row.
    pub generated: Option<Generated>,
    /// The default, as SQL.
    pub default: Option<&'static str>,
    /// Whether no two rows may have the same.
    pub unique: bool,
    /// Whether it counts the changes of its row, so that nobody changes one that is not as it was read.
    pub version: bool,
    /// Whether it says since when its row is deleted: such a row stays, and is found no more.
    pub deleted: bool,
    /// Whether it says when its row was inserted, by the database's clock.
    pub created: bool,
    /// Whether it says when its row was changed last, by the database's clock.
    pub updated: bool,
}

impl ColumnDefinition {
    /// Whether the database's clock says its value, whatever an entity has.
    pub(crate) fn is_stamp(&self) -> bool {
        self.created || self.updated
    }
}

/// How the database gives a value.
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # use pgstrata_orm::entity::Generated;
/// assert_eq!(User::COLUMNS[0].generated, Some(Generated::Identity));
/// assert_eq!(User::COLUMNS[1].generated, None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generated {
    /// `GENERATED BY DEFAULT AS IDENTITY`.
    Identity,
    /// `DEFAULT gen_random_uuid()`.
    Uuid,
}

/// An index.
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// let index = &Post::DEFINITION.indexes[0];
/// assert_eq!(index.columns, ["author_id", "title"]);
/// assert!(index.unique && index.name.is_none());
/// ```
#[derive(Debug)]
pub struct IndexDefinition {
    /// Its name, if not one made from table and columns.
    pub name: Option<&'static str>,
    /// The columns' names.
    pub columns: &'static [&'static str],
    /// Whether no two rows may have the same.
    pub unique: bool,
}

/// A column that is never NULL.
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # use pgstrata_orm::entity::{Column, Required};
/// let name: Column<User, String, Required> = User::NAME;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Required;

/// A column that may be NULL: its field is an `Option`.
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # use pgstrata_orm::entity::{Column, Optional};
/// let summary: Column<Post, String, Optional> = Post::SUMMARY;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Optional;

/// Whether a column may be NULL: [`Required`] or [`Optional`].
///
/// ```
/// use pgstrata_orm::entity::{Nullability, Optional, Required};
///
/// let (id, email): (<Required as Nullability>::Of<i64>, <Optional as Nullability>::Of<String>) = (7, None);
/// ```
pub trait Nullability: Send + Sync + 'static {
    /// What is read where a `T` may be.
    ///
    /// ```
    /// let maybe: <pgstrata_orm::entity::Optional as pgstrata_orm::entity::Nullability>::Of<i64> = None;
    /// assert_eq!(maybe, None);
    /// ```
    type Of<T: ColumnType>: ColumnType;
}

impl Nullability for Required {
    type Of<T: ColumnType> = T;
}

impl Nullability for Optional {
    type Of<T: ColumnType> = Option<T>;
}

/// What finds one row: a column's value, or a tuple of them in the columns' order.
///
/// ```
/// use pgstrata_orm::entity::PrimaryKey;
///
/// fn parts(key: impl PrimaryKey) -> usize {
///     key.values().len()
/// }
///
/// assert_eq!((parts(7i64), parts(("team".to_owned(), "NZ".to_owned()))), (1, 2));
/// ```
pub trait PrimaryKey: Send + Sync {
    /// The values, in the order of the key's columns.
    ///
    /// ```
    /// # use pgstrata_orm::entity::PrimaryKey;
    /// let key = ("team".to_owned(), 4900i32);
    /// assert_eq!(format!("{:?}", PrimaryKey::values(&key)), r#"["team", 4900]"#);
    /// ```
    fn values(&self) -> Vec<Parameter<'_>>;
}

impl<T: ColumnType + Send> PrimaryKey for T {
    fn values(&self) -> Vec<Parameter<'_>> {
        vec![self]
    }
}

macro_rules! tuples {
    ($(($($name:ident),*)),* $(,)?) => {
        $(impl<$($name: ColumnType + Send),*> PrimaryKey for ($($name,)*) {
            #[allow(non_snake_case)]
            fn values(&self) -> Vec<Parameter<'_>> {
                let ($($name,)*) = self;
                vec![$($name),*]
            }
        })*
    };
}

tuples! { (A, B), (A, B, C), (A, B, C, D) }
