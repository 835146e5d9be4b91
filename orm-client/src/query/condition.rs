//! Which rows are meant.

use std::marker::PhantomData;

use tokio_postgres::types::ToSql;

use crate::entity::{Column, ColumnType, Entity, EntityDefinition, Relation};
use crate::manager::{Place, Session};
use crate::sql::{Sql, array_of, type_of};
use crate::table::{self, Table};
use crate::{Error, entity};

/// A value of a condition's own.
pub(crate) type Value = Box<dyn ToSql + Send + Sync>;

/// What rows of `E` are held against. It is made from the entity's columns, and put together with [`Condition::and`], [`Condition::or`]
/// and [`Condition::negate`].
///
/// ```
/// # use pgstrata_orm::{Condition, Entity, entity::Column};
/// # fn example<User: Entity>(NAME: Column<User, String>, EMAIL: Column<User, String>) -> Condition<User> {
/// NAME.like("A%").and(EMAIL.is_not_null()).or(!NAME.in_(["Bob", "Carol"]))
/// # }
/// ```
#[derive(Debug)]
pub struct Condition<E> {
    pub(crate) node: Node,
    of: PhantomData<fn() -> E>,
}

/// A condition without its entity's type.
#[derive(Debug)]
pub(crate) enum Node {
    Compare { column: usize, operator: &'static str, value: Value },
    Within { column: usize, values: Value },
    IsNull { column: usize },
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Related { relation: usize, node: Box<Node> },
}

impl<E> Condition<E> {
    fn new(node: Node) -> Self {
        Self { node, of: PhantomData }
    }

    /// Both.
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
    #[must_use]
    pub fn negate(self) -> Self {
        Self::new(Node::Not(Box::new(self.node)))
    }

    /// All of them: of none, every row.
    pub fn all(conditions: impl IntoIterator<Item = Self>) -> Self {
        Self::new(Node::All(conditions.into_iter().map(|condition| condition.node).collect()))
    }

    /// At least one of them: of none, no row.
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

impl<E: Entity, T: ColumnType + Send + 'static> Column<E, T> {
    fn compare(self, operator: &'static str, value: impl Into<T>) -> Condition<E> {
        Condition::new(Node::Compare { column: self.index, operator, value: Box::new(value.into()) })
    }

    /// Equal to this.
    pub fn eq(self, value: impl Into<T>) -> Condition<E> {
        self.compare("=", value)
    }

    /// Not equal to this, nor NULL.
    pub fn ne(self, value: impl Into<T>) -> Condition<E> {
        self.compare("<>", value)
    }

    /// Less than this.
    pub fn lt(self, value: impl Into<T>) -> Condition<E> {
        self.compare("<", value)
    }

    /// At most this.
    pub fn le(self, value: impl Into<T>) -> Condition<E> {
        self.compare("<=", value)
    }

    /// More than this.
    pub fn gt(self, value: impl Into<T>) -> Condition<E> {
        self.compare(">", value)
    }

    /// At least this.
    pub fn ge(self, value: impl Into<T>) -> Condition<E> {
        self.compare(">=", value)
    }

    /// One of these: of none, no row.
    pub fn in_<V: Into<T>>(self, values: impl IntoIterator<Item = V>) -> Condition<E> {
        let values: Vec<T> = values.into_iter().map(Into::into).collect();
        Condition::new(Node::Within { column: self.index, values: Box::new(values) })
    }

    /// NULL.
    pub fn is_null(self) -> Condition<E> {
        Condition::new(Node::IsNull { column: self.index })
    }

    /// Not NULL.
    pub fn is_not_null(self) -> Condition<E> {
        self.is_null().negate()
    }

    /// The smallest first.
    pub fn asc(self) -> Order<E> {
        Order { column: self.index, descending: false, of: PhantomData }
    }

    /// The greatest first.
    pub fn desc(self) -> Order<E> {
        Order { column: self.index, descending: true, of: PhantomData }
    }
}

impl<E: Entity> Column<E, String> {
    /// Like this pattern, in which `%` stands for any text and `_` for any character.
    pub fn like(self, pattern: impl Into<String>) -> Condition<E> {
        self.compare("LIKE", pattern)
    }

    /// As [`Column::like`], whatever the case.
    pub fn ilike(self, pattern: impl Into<String>) -> Condition<E> {
        self.compare("ILIKE", pattern)
    }
}

impl<E: Entity, T: Entity> Relation<E, T> {
    /// Has a row on the other side that meets this.
    pub fn has(self, condition: Condition<T>) -> Condition<E> {
        Condition::new(Node::Related { relation: self.index, node: Box::new(condition.node) })
    }

    /// Has any row on the other side.
    pub fn has_any(self) -> Condition<E> {
        self.has(Condition::all([]))
    }
}

/// An order of rows, made from a column.
///
/// ```
/// # use pgstrata_orm::{Entity, entity::Column, query::Order};
/// # fn example<User: Entity>(NAME: Column<User, String>) -> Order<User> {
/// NAME.desc()
/// # }
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
    /// A table was written whose name means the tenant's only under its path.
    pub(crate) by_path: bool,
    aliases: usize,
}

impl<'w> Writer<'w> {
    pub(crate) fn new(session: &'w Session, place: &'w Place) -> Self {
        Self { session, place, by_path: false, aliases: 0 }
    }

    /// A table that the statement will name.
    pub(crate) fn table(&mut self, definition: &'static EntityDefinition) -> Result<Table, Error> {
        let table = self.session.table(self.place, definition)?;
        self.by_path |= table.by_path;
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
                table.write_column(sql, alias, column);
                sql.push(" ")
                    .push(operator)
                    .push(" ")
                    .bind(&**value as entity::Parameter<'v>, type_of(column.sql_type));
            }
            Node::Within { column, values } => {
                let column = table::column(table.definition, *column)?;
                table.write_column(sql, alias, column);
                let kind = type_of(column.sql_type).as_ref().and_then(array_of);
                sql.push(" = ANY (").bind(&**values as entity::Parameter<'v>, kind).push(")");
            }
            Node::IsNull { column } => {
                table.write_column(sql, alias, table::column(table.definition, *column)?);
                sql.push(" IS NULL");
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
        self.aliases += 1;
        let inner = format!("r{}", self.aliases);
        sql.push("EXISTS (SELECT FROM ");
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
