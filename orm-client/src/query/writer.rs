//! Conditions as SQL.

use super::bridge::Bridge;
use super::node::{ILIKE, Node, OUTER, Value};
use crate::entity::{self, EntityDefinition};
use crate::manager::{Names, Place, Session};
use crate::sql::Sql;
use crate::table::{self, Table};
use crate::{DatabaseKind, Error};

/// Writes conditions into a statement.
#[doc(hidden)]
pub struct Writer<'w> {
    pub(crate) session: &'w Session,
    pub(crate) place: &'w Place,
    /// What the statement's names need to mean what they should.
    pub(crate) names: Names,
    /// Rows that are deleted count as others do.
    pub(super) with_deleted: bool,
    aliases: usize,
}

impl<'w> Writer<'w> {
    pub(crate) fn new(session: &'w Session, place: &'w Place) -> Self {
        Self { session, place, names: Names::default(), with_deleted: false, aliases: 0 }
    }

    pub(super) fn with_deleted(self, with_deleted: bool) -> Self {
        Self { with_deleted, ..self }
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
        let deleted = table.definition.columns.iter().find(|column| column.deleted && !self.with_deleted);
        let mut before = " WHERE ";
        if table.write_scope(sql, before, alias) {
            before = " AND ";
        }
        if !nodes.is_empty() {
            self.all(sql.push(before), table, alias, nodes, " AND ")?;
            before = " AND ";
        }
        if let Some(deleted) = deleted {
            table.write_column(sql.push(before), alias, deleted);
            sql.push(" IS NULL");
        }
        Ok(())
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
        let bridge = Bridge::new(self, table.definition, relation)?;
        self.aliases += 1;
        let inner = format!("r{}", self.aliases);
        bridge.source(sql.push("EXISTS (").select_nothing().push(" FROM "), &inner)?;
        bridge.near(sql.push(" WHERE "), &inner).push(" = ");
        // Without an alias of its own, the outer column could be taken for one of the inner table.
        table.write_column(sql, Some(alias.unwrap_or(OUTER)), bridge.own);
        bridge.alive(sql, &inner);
        sql.push(" AND ");
        self.node(sql, &bridge.other, Some(&inner), node)?;
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
