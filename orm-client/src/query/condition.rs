//! Which rows are meant.

use std::marker::PhantomData;

use tokio_postgres::types::ToSql;

use crate::entity::{Column, ColumnType, Entity, EntityDefinition, Relation, Required};
use crate::manager::{Names, Place, Session};
use crate::sql::Sql;
use crate::table::{self, Table};
use crate::{DatabaseKind, Error, entity};

/// A value of a condition's own.
pub(crate) type Value = Box<dyn ToSql + Send + Sync>;

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

/// A condition without its entity's type.
#[derive(Debug)]
pub(crate) enum Node {
    Compare {
        column: usize,
        operator: &'static str,
        value: Value,
    },
    Within {
        column: usize,
        values: Value,
    },
    IsNull {
        column: usize,
        not: bool,
    },
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Related {
        relation: usize,
        node: Box<Node>,
    },
    /// What comes behind these values, each in its order.
    Behind(Vec<(usize, bool, Value)>),
}

impl Node {
    pub(super) fn behind(&mut self) -> Option<&mut Vec<(usize, bool, Value)>> {
        match self {
            Self::Behind(keys) => Some(keys),
            _ => None,
        }
    }
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

impl<E: Entity, T: ColumnType + Send + 'static, N> Column<E, T, N> {
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

    /// The smallest first.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let by_name = em.find::<User>().order_by(User::NAME.asc()).order_by(User::ID.asc());
    /// assert!(by_name.sql()?.ends_with(r#"ORDER BY "name", "id""#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn asc(self) -> Order<E> {
        Order { column: self.index, descending: false, of: PhantomData }
    }

    /// The greatest first.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let best = em.find::<Post>().order_by(Post::LIKES.desc()).limit(3);
    /// assert!(best.sql()?.ends_with(r#"ORDER BY "likes" DESC LIMIT $1"#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn desc(self) -> Order<E> {
        Order { column: self.index, descending: true, of: PhantomData }
    }
}

impl<E: Entity, N> Column<E, String, N> {
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

impl<E: Entity, T: Entity> Relation<E, T> {
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

/// Where a page begins: see [`Find::after`](super::Find::after).
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # use pgstrata_orm::query::After;
/// fn behind(post: &Post) -> After<Post> {
///     Post::ID.asc_after(post.id)
/// }
/// ```
#[derive(Debug)]
pub struct After<E> {
    pub(super) column: usize,
    pub(super) descending: bool,
    pub(super) value: Value,
    of: PhantomData<fn() -> E>,
}

impl<E: Entity, T: ColumnType + Send + 'static> Column<E, T, Required> {
    /// The smallest first, and only those that are greater than this.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let next = em.find::<Post>().after(Post::ID.asc_after(7));
    /// assert!(next.sql()?.ends_with(r#"WHERE ("id" > $1) ORDER BY "id""#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn asc_after(self, value: impl Into<T>) -> After<E> {
        After { column: self.index, descending: false, value: Box::new(value.into()), of: PhantomData }
    }

    /// The greatest first, and only those that are smaller than this.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let next = em.find::<Post>().after(Post::ID.desc_after(7));
    /// assert!(next.sql()?.ends_with(r#"WHERE ("id" < $1) ORDER BY "id" DESC"#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn desc_after(self, value: impl Into<T>) -> After<E> {
        After { column: self.index, descending: true, value: Box::new(value.into()), of: PhantomData }
    }
}

/// An order of rows, made from a column.
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # let em = manager();
/// # use pgstrata_orm::query::Order;
/// fn order(newest_first: bool) -> Order<Post> {
///     if newest_first { Post::ID.desc() } else { Post::ID.asc() }
/// }
///
/// assert!(em.find::<Post>().order_by(order(true)).sql()?.ends_with(r#"ORDER BY "id" DESC"#));
/// # Ok::<(), Error>(())
/// ```
#[derive(Debug)]
pub struct Order<E> {
    pub(crate) column: usize,
    pub(crate) descending: bool,
    of: PhantomData<fn() -> E>,
}

/// Writes conditions into a statement.
pub(crate) struct Writer<'w> {
    pub(crate) session: &'w Session,
    pub(crate) place: &'w Place,
    /// What the statement's names need to mean what they should.
    pub(crate) names: Names,
    aliases: usize,
}

impl<'w> Writer<'w> {
    pub(crate) fn new(session: &'w Session, place: &'w Place) -> Self {
        Self { session, place, names: Names::default(), aliases: 0 }
    }

    /// A table that the statement will name.
    pub(crate) fn table(&mut self, definition: &'static EntityDefinition) -> Result<Table, Error> {
        let table = self.session.table(self.place, definition)?;
        self.names.add(&table);
        Ok(table)
    }

    /// Writes ` WHERE ..`, if there is anything to write.
    pub(crate) fn filter<'v>(
        &mut self,
        sql: &mut Sql<'v>,
        table: &Table,
        alias: Option<&str>,
        nodes: &'v [Node],
    ) -> Result<(), Error> {
        if nodes.is_empty() {
            return Ok(());
        }
        sql.push(" WHERE ");
        self.all(sql, table, alias, nodes, " AND ")
    }

    pub(super) fn all<'v>(
        &mut self,
        sql: &mut Sql<'v>,
        table: &Table,
        alias: Option<&str>,
        nodes: &'v [Node],
        between: &str,
    ) -> Result<(), Error> {
        for (n, node) in nodes.iter().enumerate() {
            if n > 0 {
                sql.push(between);
            }
            self.node(sql, table, alias, node)?;
        }
        Ok(())
    }

    fn node<'v>(
        &mut self,
        sql: &mut Sql<'v>,
        table: &Table,
        alias: Option<&str>,
        node: &'v Node,
    ) -> Result<(), Error> {
        match node {
            Node::Compare { column, operator, value } => {
                let column = table::column(table.definition, *column)?;
                let value = &**value as entity::Parameter<'v>;
                if *operator == ILIKE && sql.dialect != DatabaseKind::Postgres {
                    sql.push("lower(");
                    table.write_column(sql, alias, column);
                    sql.push(") LIKE lower(").bind_compared(value, column.sql_type, false).push(")");
                    return Ok(());
                }
                table.write_column(sql, alias, column);
                sql.push(" ").push(operator).push(" ");
                sql.bind_compared(value, column.sql_type, false);
            }
            Node::Within { column, values } => {
                let column = table::column(table.definition, *column)?;
                table.write_column(sql, alias, column);
                let (before, behind) = match sql.dialect {
                    DatabaseKind::Postgres => (" = ANY (", ")"),
                    // A list is a JSON array there.
                    _ => (" IN (SELECT value FROM json_each(", "))"),
                };
                sql.push(before);
                sql.bind_compared(&**values as entity::Parameter<'v>, column.sql_type, true).push(behind);
            }
            Node::IsNull { column, not } => {
                table.write_column(sql, alias, table::column(table.definition, *column)?);
                sql.push(if *not { " IS NOT NULL" } else { " IS NULL" });
            }
            Node::All(nodes) if nodes.is_empty() => {
                sql.push("true");
            }
            Node::Any(nodes) if nodes.is_empty() => {
                sql.push("false");
            }
            Node::All(nodes) => self.group(sql, table, alias, nodes, " AND ")?,
            Node::Any(nodes) => self.group(sql, table, alias, nodes, " OR ")?,
            Node::Not(node) => {
                sql.push("NOT (");
                self.node(sql, table, alias, node)?;
                sql.push(")");
            }
            Node::Related { relation, node } => self.related(sql, table, alias, *relation, node)?,
            Node::Behind(keys) => behind(sql, table, alias, keys)?,
        }
        Ok(())
    }

    fn group<'v>(
        &mut self,
        sql: &mut Sql<'v>,
        table: &Table,
        alias: Option<&str>,
        nodes: &'v [Node],
        between: &str,
    ) -> Result<(), Error> {
        sql.push("(");
        self.all(sql, table, alias, nodes, between)?;
        sql.push(")");
        Ok(())
    }

    /// `EXISTS`, so that no row comes twice.
    fn related<'v>(
        &mut self,
        sql: &mut Sql<'v>,
        table: &Table,
        alias: Option<&str>,
        relation: usize,
        node: &'v Node,
    ) -> Result<(), Error> {
        let relation = table::relation(table.definition, relation)?;
        let target = self.table((relation.target)())?;
        sql.compares(table::column_named(table.definition, relation.column)?.sql_type);
        self.aliases += 1;
        let inner = format!("r{}", self.aliases);
        sql.push("EXISTS (").select_nothing().push(" FROM ");
        target.write(sql);
        sql.push(" AS ").push(&inner).push(" WHERE ").push(&inner).push(".");
        sql.name(target.renamed(relation.target_column)).push(" = ");
        // Without an alias of its own, the outer column could be taken for one of the inner table.
        sql.push(alias.unwrap_or(OUTER)).push(".").name(table.renamed(relation.column)).push(" AND ");
        self.node(sql, &target, Some(&inner), node)?;
        sql.push(")");
        Ok(())
    }
}

/// `("likes" < $1 OR ("likes" = $2 AND "id" > $3))`
fn behind<'v>(
    sql: &mut Sql<'v>,
    table: &Table,
    alias: Option<&str>,
    keys: &'v [(usize, bool, Value)],
) -> Result<(), Error> {
    sql.push("(");
    for (n, (column, descending, value)) in keys.iter().enumerate() {
        let column = table::column(table.definition, *column)?;
        let value = &**value as entity::Parameter<'v>;
        table.write_column(sql, alias, column);
        sql.push(if *descending { " < " } else { " > " }).bind_compared(value, column.sql_type, false);
        if n + 1 < keys.len() {
            table.write_column(sql.push(" OR ("), alias, column);
            sql.push(" = ").bind_compared(value, column.sql_type, false).push(" AND ");
        }
    }
    // Each key but the last has opened one more.
    sql.push(&")".repeat(keys.len()));
    Ok(())
}

/// `LIKE`, whatever the case.
const ILIKE: &str = "ILIKE";

/// The alias of the table that a statement is about, where it needs one.
pub(crate) const OUTER: &str = "t0";

/// Whether the table needs an alias: a condition speaks of another one.
pub(crate) fn needs_alias(nodes: &[Node]) -> bool {
    nodes.iter().any(|node| match node {
        Node::Related { .. } => true,
        Node::All(nodes) | Node::Any(nodes) => needs_alias(nodes),
        Node::Not(node) => needs_alias(std::slice::from_ref(node)),
        _ => false,
    })
}
