//! Questions about rows as SQL.

use tokio_postgres::types::Type;

use super::node::{Node, OUTER, needs_alias};
use super::writer::Writer;
use crate::entity::Entity;
use crate::sql::Sql;
use crate::table::{self, Table};
use crate::{DatabaseKind, Error};

/// Which rows, and in which order.
#[doc(hidden)]
#[derive(Debug, Default)]
pub struct Parts {
    pub(super) filter: Vec<Node>,
    pub(super) order: Vec<(usize, bool)>,
    pub(super) limit: Option<i64>,
    pub(super) offset: Option<i64>,
    /// Rows that are deleted count as others do.
    pub(super) with_deleted: bool,
    /// How its rows are locked.
    pub(super) lock: Option<Lock>,
}

/// A lock of rows, until the end of the transaction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lock {
    pub(super) share: bool,
    pub(super) skip: bool,
}

/// A question about rows of which no column is asked.
pub(super) fn around<'v, E: Entity>(
    writer: &mut Writer<'_>,
    parts: &'v Parts,
    before: &'static str,
    behind: &'static str,
) -> Result<Sql<'v>, Error> {
    let mut sql = writer.session.sql(writer.place);
    let table = writer.table(E::DEFINITION)?;
    sql.push(before).select_nothing();
    tail(&mut sql, writer, parts, &table, needs_alias(&parts.filter).then_some(OUTER))?;
    limited(&mut sql, parts.limit.as_ref(), parts.offset.as_ref());
    sql.push(behind);
    Ok(sql)
}

/// `SELECT "id", "name" FROM "acme_corp"."users" WHERE ..`
pub(super) fn at_most<'v, E: Entity>(
    writer: &mut Writer<'_>,
    parts: &'v Parts,
    limit: Option<&'v i64>,
) -> Result<Sql<'v>, Error> {
    let mut sql = writer.session.sql(writer.place);
    let table = writer.table(E::DEFINITION)?;
    let alias = needs_alias(&parts.filter).then_some(OUTER);
    sql.push("SELECT ");
    table.write_columns(&mut sql, alias);
    tail(&mut sql, writer, parts, &table, alias)?;
    limited(&mut sql, limit, parts.offset.as_ref());
    // SQLite has one lock, and who begins a transaction to write has it.
    if let Some(lock) = parts.lock.filter(|_| sql.dialect == DatabaseKind::Postgres) {
        sql.push(if lock.share { " FOR SHARE" } else { " FOR UPDATE" });
        sql.push(if lock.skip { " SKIP LOCKED" } else { "" });
    }
    Ok(sql)
}

/// The rows with their number in front, and columns called `c0`, `c1` ...
pub(super) fn numbered<'v>(
    sql: &mut Sql<'v>,
    writer: &mut Writer<'_>,
    parts: &'v Parts,
    table: &Table,
) -> Result<(), Error> {
    sql.push("SELECT row_number() OVER (");
    order(sql, "ORDER BY ", table, Some(OUTER), &parts.order)?;
    sql.push(") AS n, ");
    let mut n = 0;
    sql.list(table.definition.columns, ", ", |sql, column| {
        table.write_column(sql, Some(OUTER), column);
        sql.push(&format!(" AS c{n}"));
        n += 1;
    });
    tail(sql, writer, parts, table, Some(OUTER))?;
    limited(sql, parts.limit.as_ref(), parts.offset.as_ref());
    Ok(())
}

/// ` FROM .. WHERE .. ORDER BY ..`
pub(super) fn tail<'v>(
    sql: &mut Sql<'v>,
    writer: &mut Writer<'_>,
    parts: &'v Parts,
    table: &Table,
    alias: Option<&str>,
) -> Result<(), Error> {
    from(sql, table, alias);
    writer.filter(sql, table, alias, &parts.filter)?;
    order(sql, " ORDER BY ", table, alias, &parts.order)
}

/// ` LIMIT $1 OFFSET $2`, if they are given.
pub(super) fn limited<'v>(sql: &mut Sql<'v>, limit: Option<&'v i64>, offset: Option<&'v i64>) {
    if let Some(limit) = limit {
        sql.push(" LIMIT ").bind(limit, Some(Type::INT8));
    } else if offset.is_some() && sql.dialect != DatabaseKind::Postgres {
        // All rows: an offset has a limit in front of it there.
        sql.push(" LIMIT -1");
    }
    if let Some(offset) = offset {
        sql.push(" OFFSET ").bind(offset, Some(Type::INT8));
    }
}

/// `before` and the order, if there is one.
pub(super) fn order(
    sql: &mut Sql<'_>,
    before: &str,
    table: &Table,
    alias: Option<&str>,
    order: &[(usize, bool)],
) -> Result<(), Error> {
    for (n, (column, descending)) in order.iter().enumerate() {
        sql.push(if n == 0 { before } else { ", " });
        table.write_column(sql, alias, table::column(table.definition, *column)?);
        direction(sql, *descending);
    }
    Ok(())
}

/// Which of them come first.
pub(super) fn direction(sql: &mut Sql<'_>, descending: bool) {
    if descending {
        sql.push(" DESC");
    }
    if sql.dialect != DatabaseKind::Postgres {
        // As PostgreSQL has it: NULL is greater than all.
        sql.push(if descending { " NULLS FIRST" } else { " NULLS LAST" });
    }
}

/// ` FROM "acme_corp"."users"`
pub(super) fn from(sql: &mut Sql<'_>, table: &Table, alias: Option<&str>) {
    table.write(sql.push(" FROM "));
    if let Some(alias) = alias {
        sql.push(" AS ").push(alias);
    }
}
