//! Which rows are meant.

use std::marker::PhantomData;

use super::node::{ILIKE, Node};
use crate::entity::{Column, ColumnType, Entity, Relation};

/// What rows of `E` are held against. It is made from the entity's columns, and put together with [`Condition::and`], [`Condition::or`]
/// and [`Condition::negate`].
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # let em = manager();
/// let wanted = User::NAME.like("A%").and(User::EMAIL.is_not_null()).or(!User::NAME.in_(["Bob", "Carol"]));
/// let sql = em.find::<User>().where_(wanted).sql()?;
/// let (_, condition) = sql.split_once(" WHERE ").unwrap();
/// assert_eq!(
///     condition,
///     r#"(("name" LIKE $1 AND "email" IS NOT NULL) OR NOT ("name" = ANY ($2)))"#
/// );
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct Condition<E> {
    pub(crate) node: Node,
    of: PhantomData<fn() -> E>,
}

impl<E> Condition<E> {
    fn new(node: Node) -> Self {
        Self { node, of: PhantomData }
    }

    /// Both.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let found = em.find::<Post>().where_(Post::LIKES.ge(10).and(Post::LIKES.lt(20)));
    /// assert!(found.sql()?.ends_with(r#"WHERE ("likes" >= $1 AND "likes" < $2)"#));
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self::new(match self.node {
            // Long chains stay flat.
            Node::All(mut nodes) => {
                nodes.push(other.node);
                Node::All(nodes)
            }
            node => Node::All(vec![node, other.node]),
        })
    }

    /// One of them, or both.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let found = em.find::<User>().where_(User::NAME.eq("Alice").or(User::EMAIL.like("alice@%")));
    /// assert!(found.sql()?.ends_with(r#"WHERE ("name" = $1 OR "email" LIKE $2)"#));
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self::new(match self.node {
            Node::Any(mut nodes) => {
                nodes.push(other.node);
                Node::Any(nodes)
            }
            node => Node::Any(vec![node, other.node]),
        })
    }

    /// The others. As in SQL, a row of which it is not known whether it meets the condition, since a value is NULL, is not among them either.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let other = em.find::<User>().where_(User::EMAIL.ilike("%@example.com").negate());
    /// assert!(other.sql()?.ends_with(r#"WHERE NOT ("email" ILIKE $1)"#));
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn negate(self) -> Self {
        Self::new(match self.node {
            Node::IsNull { column, not } => Node::IsNull { column, not: !not },
            node => Node::Not(Box::new(node)),
        })
    }

    /// All of them: of none, every row.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// # let (name, email) = (Some("Alice"), None::<&str>);
    /// let asked = [name.map(|name| User::NAME.eq(name)), email.map(|email| User::EMAIL.eq(email))];
    /// let found = em.find::<User>().where_(Condition::all(asked.into_iter().flatten()));
    /// # assert!(found.sql()?.ends_with(r#"WHERE ("name" = $1)"#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn all(conditions: impl IntoIterator<Item = Self>) -> Self {
        Self::new(Node::All(conditions.into_iter().map(|condition| condition.node).collect()))
    }

    /// At least one of them: of none, no row.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let words = ["rocket", "skates"].map(|word| Post::TITLE.ilike(format!("%{word}%")));
    /// let found = em.find::<Post>().where_(Condition::any(words));
    /// assert!(found.sql()?.ends_with(r#"WHERE ("title" ILIKE $1 OR "title" ILIKE $2)"#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn any(conditions: impl IntoIterator<Item = Self>) -> Self {
        Self::new(Node::Any(conditions.into_iter().map(|condition| condition.node).collect()))
    }
}

impl<E> std::ops::Not for Condition<E> {
    type Output = Self;

    fn not(self) -> Self {
        self.negate()
    }
}

impl<E: Entity, T: ColumnType + Send + 'static, N, U> Column<E, T, N, U> {
    fn compare(self, operator: &'static str, value: impl Into<T>) -> Condition<E> {
        Condition::new(Node::Compare { column: self.index, operator, value: Box::new(value.into()) })
    }

    /// Equal to this.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let alice = em.find::<User>().where_(User::EMAIL.eq("alice@example.com"));
    /// assert!(alice.sql()?.ends_with(r#"WHERE "email" = $1"#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn eq(self, value: impl Into<T>) -> Condition<E> {
        self.compare("=", value)
    }

    /// Not equal to this, nor NULL.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// // Who has no address is not among them.
    /// let elsewhere = em.find::<User>().where_(User::EMAIL.ne("alice@example.com"));
    /// assert!(elsewhere.sql()?.ends_with(r#"WHERE "email" <> $1"#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn ne(self, value: impl Into<T>) -> Condition<E> {
        self.compare("<>", value)
    }

    /// Less than this.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let few = em.find::<Post>().where_(Post::LIKES.lt(10));
    /// assert!(few.sql()?.ends_with(r#"WHERE "likes" < $1"#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn lt(self, value: impl Into<T>) -> Condition<E> {
        self.compare("<", value)
    }

    /// At most this.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let older = em.find::<Post>().where_(Post::ID.le(1000));
    /// assert!(older.sql()?.ends_with(r#"WHERE "id" <= $1"#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn le(self, value: impl Into<T>) -> Condition<E> {
        self.compare("<=", value)
    }

    /// More than this.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// // The next page, after the last row of this one.
    /// let next = em.find::<Post>().where_(Post::ID.gt(1000)).order_by(Post::ID.asc()).limit(20);
    /// assert!(next.sql()?.ends_with(r#"WHERE "id" > $1 ORDER BY "id" LIMIT $2"#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn gt(self, value: impl Into<T>) -> Condition<E> {
        self.compare(">", value)
    }

    /// At least this.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let many = em.find::<Post>().where_(Post::LIKES.ge(1000));
    /// assert!(many.sql()?.ends_with(r#"WHERE "likes" >= $1"#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn ge(self, value: impl Into<T>) -> Condition<E> {
        self.compare(">=", value)
    }

    /// One of these: of none, no row.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// // One parameter, however many they are.
    /// let some = em.find::<User>().where_(User::ID.in_([1, 2, 3]));
    /// assert!(some.sql()?.ends_with(r#"WHERE "id" = ANY ($1)"#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn in_<V: Into<T>>(self, values: impl IntoIterator<Item = V>) -> Condition<E> {
        let values: Vec<T> = values.into_iter().map(Into::into).collect();
        Condition::new(Node::Within { column: self.index, values: Box::new(values) })
    }

    /// NULL.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let unreachable = em.find::<User>().where_(User::EMAIL.is_null());
    /// assert!(unreachable.sql()?.ends_with(r#"WHERE "email" IS NULL"#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn is_null(self) -> Condition<E> {
        Condition::new(Node::IsNull { column: self.index, not: false })
    }

    /// Not NULL.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let summed_up = em.find::<Post>().where_(Post::SUMMARY.is_not_null());
    /// assert!(summed_up.sql()?.ends_with(r#"WHERE "summary" IS NOT NULL"#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn is_not_null(self) -> Condition<E> {
        self.is_null().negate()
    }
}

impl<E: Entity, N, U> Column<E, String, N, U> {
    /// Like this pattern, in which `%` stands for any text and `_` for any character.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let with_a = em.find::<User>().where_(User::NAME.like("A%"));
    /// assert!(with_a.sql()?.ends_with(r#"WHERE "name" LIKE $1"#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn like(self, pattern: impl Into<String>) -> Condition<E> {
        self.compare("LIKE", pattern)
    }

    /// As [`Column::like`], whatever the case.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let rockets = em.find::<Post>().where_(Post::TITLE.ilike("%rocket%"));
    /// assert!(rockets.sql()?.ends_with(r#"WHERE "title" ILIKE $1"#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn ilike(self, pattern: impl Into<String>) -> Condition<E> {
        self.compare(ILIKE, pattern)
    }
}

impl<E: Entity, T: Entity, C> Relation<E, T, C> {
    /// Has a row on the other side that meets this.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// // Each of them once, however many such posts there are.
    /// let liked = em.find::<User>().where_(User::POSTS.has(Post::LIKES.gt(100)));
    /// assert!(liked.sql()?.contains(r#"EXISTS (SELECT FROM "public"."posts" AS r1 WHERE r1."author_id" = t0."id""#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn has(self, condition: Condition<T>) -> Condition<E> {
        Condition::new(Node::Related { relation: self.index, node: Box::new(condition.node) })
    }

    /// Has any row on the other side.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let silent = em.find::<User>().where_(!User::POSTS.has_any());
    /// assert!(silent.sql()?.contains(r#"WHERE NOT (EXISTS (SELECT FROM "public"."posts""#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn has_any(self) -> Condition<E> {
        self.has(Condition::all([]))
    }
}
