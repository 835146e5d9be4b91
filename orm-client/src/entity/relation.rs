//! How rows of two tables belong together.

use std::marker::PhantomData;

use super::EntityDefinition;

/// How one table's rows belong to another's.
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// let author = &Post::DEFINITION.relations[0];
/// assert_eq!((author.column, author.target_column), ("author_id", "id"));
/// assert_eq!((author.target)().name, "User");
/// ```
#[derive(Debug)]
pub struct RelationDefinition {
    /// Its name in the type.
    pub name: &'static str,
    /// Which side holds the key.
    pub kind: RelationKind,
    /// The other table.
    pub target: fn() -> &'static EntityDefinition,
    /// The column's name on this side.
    pub column: &'static str,
    /// The column's name on the other side.
    pub target_column: &'static str,
    /// The table between the two, where neither side holds the key.
    pub through: Option<ThroughDefinition>,
}

/// The table whose rows each hold the keys of one row of either side.
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// let tags = &Post::DEFINITION.relations[Post::TAGS.index];
/// let through = tags.through.as_ref().unwrap();
/// assert_eq!((through.entity)().table, "post_tags");
/// assert_eq!((through.column, through.target_column), ("post_id", "tag_id"));
/// ```
#[derive(Debug)]
pub struct ThroughDefinition {
    /// That table.
    pub entity: fn() -> &'static EntityDefinition,
    /// The name of its column that holds this side's key.
    pub column: &'static str,
    /// The name of its column that holds the other side's key.
    pub target_column: &'static str,
}

/// Which side of a relation holds the key.
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # use pgstrata_orm::entity::RelationKind;
/// assert_eq!(Post::DEFINITION.relations[0].kind, RelationKind::BelongsTo);
/// assert_eq!(User::DEFINITION.relations[0].kind, RelationKind::HasMany);
/// assert_eq!(Post::DEFINITION.relations[1].kind, RelationKind::ManyToMany);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelationKind {
    /// This one: a foreign key to the other.
    BelongsTo,
    /// The other one, in a unique column.
    HasOne,
    /// The other one.
    HasMany,
    /// Neither: a table between them does.
    ManyToMany,
}

/// How many rows are on the other side: [`ToOne`] or [`ToMany`].
///
/// ```
/// use pgstrata_orm::entity::{Cardinality, ToMany, ToOne};
///
/// let (author, posts): (<ToOne as Cardinality>::Of<&str>, <ToMany as Cardinality>::Of<&str>) = (None, vec![]);
/// assert_eq!(ToOne::of(vec!["Alice"]), Some("Alice"));
/// ```
pub trait Cardinality: Send + Sync + 'static {
    /// What is loaded of the other side's rows.
    ///
    /// ```
    /// let author: <pgstrata_orm::entity::ToOne as pgstrata_orm::entity::Cardinality>::Of<i64> = Some(7);
    /// assert_eq!(author, Some(7));
    /// ```
    type Of<T: Send>: Send;

    /// The rows as that.
    ///
    /// ```
    /// use pgstrata_orm::entity::{Cardinality, ToMany};
    ///
    /// assert_eq!(ToMany::of(vec![1, 2]), [1, 2]);
    /// ```
    fn of<T: Send>(rows: Vec<T>) -> Self::Of<T>;
}

/// At most one row: an `Option`.
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # use pgstrata_orm::entity::{Relation, ToOne};
/// let author: Relation<Post, User, ToOne> = Post::AUTHOR;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ToOne;

/// Any number of rows: a `Vec`.
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # use pgstrata_orm::entity::{Relation, ToMany};
/// let posts: Relation<User, Post, ToMany> = User::POSTS;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ToMany;

impl Cardinality for ToOne {
    type Of<T: Send> = Option<T>;

    fn of<T: Send>(rows: Vec<T>) -> Option<T> {
        rows.into_iter().next()
    }
}

impl Cardinality for ToMany {
    type Of<T: Send> = Vec<T>;

    fn of<T: Send>(rows: Vec<T>) -> Vec<T> {
        rows
    }
}

/// A relation as a constant of its type: `User::POSTS`. `C` says how many rows are on the other side.
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # use pgstrata_orm::entity::Relation;
/// let posts: Relation<User, Post> = User::POSTS;
/// assert_eq!(User::DEFINITION.relations[posts.index].column, "id");
/// ```
#[derive(Debug)]
pub struct Relation<E, Target, C = ToMany> {
    /// Among [`EntityDefinition::relations`].
    pub index: usize,
    of: PhantomData<fn() -> E>,
    other: PhantomData<fn() -> (Target, C)>,
}

impl<E, Target, C> Relation<E, Target, C> {
    /// For the derive: the relation with this index.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # use pgstrata_orm::entity::{Relation, ToOne};
    /// const AUTHOR: Relation<Post, User, ToOne> = Relation::new(0);
    /// assert_eq!(AUTHOR.index, Post::AUTHOR.index);
    /// ```
    pub const fn new(index: usize) -> Self {
        Self { index, of: PhantomData, other: PhantomData }
    }
}

impl<E, Target, C> Clone for Relation<E, Target, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E, Target, C> Copy for Relation<E, Target, C> {}
