//! From one side of a relation to the other, as the context's tenant has the tables.

use super::writer::Writer;
use crate::Error;
use crate::entity::{ColumnDefinition, EntityDefinition, RelationDefinition, ThroughDefinition};
use crate::sql::Sql;
use crate::table::{self, Table};

/// The alias of the other table.
pub(super) const OTHER: &str = "t1";

/// The tables that lie beyond a row of one.
pub(super) struct Bridge {
    /// The column that the relation goes by on this side.
    pub(super) own: &'static ColumnDefinition,
    /// Among the columns of this side.
    pub(super) own_index: usize,
    pub(super) other: Table,
    relation: &'static RelationDefinition,
    link: Option<(Table, &'static ThroughDefinition)>,
    with_deleted: bool,
}

impl Bridge {
    /// Of the relation with this index of an entity.
    pub(super) fn new(
        writer: &mut Writer<'_>,
        from: &'static EntityDefinition,
        relation: usize,
    ) -> Result<Self, Error> {
        let relation = table::relation(from, relation)?;
        let own = table::column_named(from, relation.column)?;
        let own_index = from.columns.iter().take_while(|column| !std::ptr::eq(*column, own)).count();
        let other = writer.table((relation.target)())?;
        let link = match &relation.through {
            Some(through) => Some((writer.table((through.entity)())?, through)),
            None => None,
        };
        Ok(Self { own, own_index, other, relation, link, with_deleted: writer.with_deleted })
    }

    /// `"posts" AS t1`, or `("post_tags" AS t1l JOIN "tags" AS t1 ON t1."id" = t1l."tag_id")`
    pub(super) fn source(&self, sql: &mut Sql<'_>, alias: &str) -> Result<(), Error> {
        // Operators of types that are not PostgreSQL's own are found by the path.
        sql.compares(self.own.sql_type);
        let Some((link, through)) = &self.link else {
            self.other.write(sql);
            sql.push(" AS ").push(alias);
            return Ok(());
        };
        sql.compares(table::column_named(self.other.definition, self.relation.target_column)?.sql_type);
        link.write(sql.push("("));
        sql.push(" AS ").push(alias).push("l JOIN ");
        self.other.write(sql);
        sql.push(" AS ").push(alias).push(" ON ");
        self.there(sql, alias);
        sql.push(" = ").push(alias).push("l.").name(link.renamed(through.target_column));
        link.write_scope(sql, " AND ", Some(&format!("{alias}l")));
        if !self.with_deleted {
            link.write_alive(sql, Some(&format!("{alias}l")));
        }
        sql.push(")");
        Ok(())
    }

    /// What this side's column is held against: `t1."author_id"`.
    pub(super) fn near<'s, 'v>(&self, sql: &'s mut Sql<'v>, alias: &str) -> &'s mut Sql<'v> {
        match &self.link {
            Some((link, through)) => sql.push(alias).push("l.").name(link.renamed(through.column)),
            None => self.there(sql, alias),
        }
    }

    /// ` JOIN "posts" AS t1 ON t1."author_id" = `: this side's column comes behind it.
    pub(super) fn join(&self, sql: &mut Sql<'_>, left: bool) -> Result<(), Error> {
        self.source(sql.push(if left { " LEFT JOIN " } else { " JOIN " }), OTHER)?;
        self.near(sql.push(" ON "), OTHER).push(" = ");
        Ok(())
    }

    /// ` AND t1."deleted_at" IS NULL`, behind this side's column, where the other table keeps rows that are deleted.
    pub(super) fn alive(&self, sql: &mut Sql<'_>, alias: &str) {
        self.other.write_scope(sql, " AND ", Some(alias));
        if !self.with_deleted {
            self.other.write_alive(sql, Some(alias));
        }
    }

    /// A column of the other table that is not NULL where there is a row.
    pub(super) fn there<'s, 'v>(&self, sql: &'s mut Sql<'v>, alias: &str) -> &'s mut Sql<'v> {
        sql.push(alias).push(".").name(self.other.renamed(self.relation.target_column))
    }
}
