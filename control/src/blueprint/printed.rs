//! The definitions that PostgreSQL prints from trees or oids.

use std::collections::HashMap;

use tokio_postgres::Row;

use super::rare;
use super::read::{Facts, Reader, oids};
use crate::error::Error;

/// The printed definitions, by object.
#[derive(Default)]
pub(super) struct Printed {
    /// Types of columns, by relation and number.
    pub column_types: HashMap<(u32, i16), String>,
    /// Collations of columns, likewise.
    pub column_collations: HashMap<(u32, i16), String>,
    /// Relations' names.
    pub relations: HashMap<u32, String>,
    /// The names of types of typed tables.
    pub types: HashMap<u32, String>,
    pub defaults: HashMap<u32, String>,
    pub constraints: HashMap<u32, String>,
    pub indexes: HashMap<u32, String>,
    pub functions: HashMap<u32, String>,
    /// Functions' names with the types of their arguments.
    pub signatures: HashMap<u32, String>,
    pub views: HashMap<u32, String>,
    pub rules: HashMap<u32, String>,
    pub triggers: HashMap<u32, String>,
    pub statistics: HashMap<u32, String>,
    pub partition_keys: HashMap<u32, String>,
    pub partition_bounds: HashMap<u32, String>,
    /// `USING`, `WITH CHECK`.
    pub policies: HashMap<u32, (Option<String>, Option<String>)>,
    /// Domains: the base type, the default, the collation.
    pub domains: HashMap<u32, (String, Option<String>, Option<String>)>,
    /// Ranges: the subtype, its operator class, collation, canonical function, difference.
    pub ranges: HashMap<u32, [Option<String>; 5]>,
    /// The names in the rare objects.
    pub names: rare::Names,
}

/// A query that prints a definition of each object of a catalog. All its names are qualified, because it runs under
/// the path of a schema whose owner may have created functions and operators with any name.
macro_rules! printing {
    ($catalog:literal, $print:literal) => {
        concat!(
            "SELECT o.oid, ",
            $print,
            " FROM pg_catalog.",
            $catalog,
            " o WHERE o.oid OPERATOR(pg_catalog.=) ANY ($1)"
        )
    };
}

impl Printed {
    /// Reads all of it, under the current path.
    pub async fn read(reader: &Reader<'_>, facts: &Facts) -> Result<Self, Error> {
        let relations = oids(&facts.relations);
        let of_kind = |kinds: &[&str]| -> Vec<u32> {
            let rows = facts.relations.iter().filter(|row| kinds.contains(&row.get("kind")));
            rows.map(|row| row.get("oid")).collect()
        };
        let defaults: Vec<u32> = facts.columns.iter().filter_map(|row| row.get("default_oid")).collect();
        let functions = |aggregates: bool| -> Vec<u32> {
            let rows = facts.functions.iter().filter(|row| (row.get::<_, &str>("kind") == "a") == aggregates);
            rows.map(|row| row.get("oid")).collect()
        };
        let parents: Vec<u32> = facts.parents.iter().map(|row| row.get("parent")).collect();
        let named: Vec<u32> = relations.iter().copied().chain(parents).chain(oids(&facts.indexes)).collect();
        let of_types: Vec<u32> =
            facts.relations.iter().map(|row| row.get("of_type")).filter(|oid| *oid != 0).collect();
        let types = |kind: &str| -> Vec<u32> {
            let rows = facts.types.iter().filter(|row| row.get::<_, &str>("kind") == kind);
            rows.map(|row| row.get("oid")).collect()
        };
        let mut printed = Self {
            relations: reader
                .texts(printing!("pg_class", "o.oid::pg_catalog.regclass::pg_catalog.text"), &named)
                .await?,
            types: reader
                .texts(printing!("pg_type", "o.oid::pg_catalog.regtype::pg_catalog.text"), &of_types)
                .await?,
            defaults: reader
                .texts(printing!("pg_attrdef", "pg_catalog.pg_get_expr(o.adbin, o.adrelid)"), &defaults)
                .await?,
            constraints: reader
                .texts(
                    printing!("pg_constraint", "pg_catalog.pg_get_constraintdef(o.oid)"),
                    &oids(&facts.constraints),
                )
                .await?,
            indexes: reader
                .texts(
                    "SELECT o.indexrelid, pg_catalog.pg_get_indexdef(o.indexrelid) FROM pg_catalog.pg_index o \
                     WHERE o.indexrelid OPERATOR(pg_catalog.=) ANY ($1)",
                    &oids(&facts.indexes),
                )
                .await?,
            functions: reader
                .texts(printing!("pg_proc", "pg_catalog.pg_get_functiondef(o.oid)"), &functions(false))
                .await?,
            signatures: reader
                .texts(
                    printing!("pg_proc", "pg_catalog.pg_get_function_identity_arguments(o.oid)"),
                    &oids(&facts.functions),
                )
                .await?,
            views: reader
                .texts(printing!("pg_class", "pg_catalog.pg_get_viewdef(o.oid)"), &of_kind(&["v", "m"]))
                .await?,
            rules: reader
                .texts(printing!("pg_rewrite", "pg_catalog.pg_get_ruledef(o.oid, true)"), &oids(&facts.rules))
                .await?,
            triggers: reader
                .texts(
                    printing!("pg_trigger", "pg_catalog.pg_get_triggerdef(o.oid, true)"),
                    &oids(&facts.triggers),
                )
                .await?,
            statistics: reader
                .texts(
                    printing!("pg_statistic_ext", "pg_catalog.pg_get_statisticsobjdef(o.oid)"),
                    &oids(&facts.statistics),
                )
                .await?,
            partition_keys: reader
                .texts(printing!("pg_class", "pg_catalog.pg_get_partkeydef(o.oid)"), &of_kind(&["p"]))
                .await?,
            partition_bounds: reader
                .texts(printing!("pg_class", "pg_catalog.pg_get_expr(o.relpartbound, o.oid)"), &relations)
                .await?,
            ..Self::default()
        };
        printed.columns(reader, &relations).await?;
        printed.policies(reader, &oids(&facts.policies)).await?;
        printed.domains(reader, &types("d")).await?;
        printed.ranges(reader, &types("r")).await?;
        let named = reader.rows(include_str!("sql/names.sql"), &rare::named(&facts.rare)).await?;
        printed.names = named.iter().map(|row| ((row.get(0), row.get(1)), row.get(2))).collect();
        Ok(printed)
    }

    async fn columns(&mut self, reader: &Reader<'_>, relations: &[u32]) -> Result<(), Error> {
        let sql = "SELECT a.attrelid, a.attnum, pg_catalog.format_type(a.atttypid, a.atttypmod), \
                   a.attcollation::pg_catalog.regcollation::pg_catalog.text \
                   FROM pg_catalog.pg_attribute a WHERE a.attrelid OPERATOR(pg_catalog.=) ANY ($1)";
        for row in reader.rows(sql, relations).await? {
            let column = (row.get(0), row.get(1));
            self.column_types.insert(column, row.get(2));
            self.column_collations.insert(column, row.get(3));
        }
        Ok(())
    }

    async fn policies(&mut self, reader: &Reader<'_>, ids: &[u32]) -> Result<(), Error> {
        let sql = printing!(
            "pg_policy",
            "pg_catalog.pg_get_expr(o.polqual, o.polrelid), pg_catalog.pg_get_expr(o.polwithcheck, o.polrelid)"
        );
        let rows = reader.rows(sql, ids).await?;
        self.policies = rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect();
        Ok(())
    }

    async fn domains(&mut self, reader: &Reader<'_>, ids: &[u32]) -> Result<(), Error> {
        let sql = printing!(
            "pg_type",
            "pg_catalog.format_type(o.typbasetype, o.typtypmod), \
             pg_catalog.pg_get_expr(o.typdefaultbin, 'pg_catalog.pg_type'::pg_catalog.regclass), \
             o.typcollation::pg_catalog.regcollation::pg_catalog.text"
        );
        let rows = reader.rows(sql, ids).await?;
        self.domains = rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2), row.get(3)))).collect();
        Ok(())
    }

    async fn ranges(&mut self, reader: &Reader<'_>, ids: &[u32]) -> Result<(), Error> {
        let sql = "SELECT r.rngtypid, pg_catalog.format_type(r.rngsubtype, NULL), \
                   CASE WHEN pg_catalog.pg_opclass_is_visible(o.oid) THEN pg_catalog.quote_ident(o.opcname) \
                     ELSE pg_catalog.concat(pg_catalog.quote_ident(n.nspname), '.', pg_catalog.quote_ident(o.opcname)) END, \
                   r.rngcollation::pg_catalog.regcollation::pg_catalog.text, \
                   r.rngcanonical::pg_catalog.text, r.rngsubdiff::pg_catalog.text \
                   FROM pg_catalog.pg_range r JOIN pg_catalog.pg_opclass o ON o.oid OPERATOR(pg_catalog.=) r.rngsubopc \
                   JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) o.opcnamespace \
                   WHERE r.rngtypid OPERATOR(pg_catalog.=) ANY ($1)";
        let rows = reader.rows(sql, ids).await?;
        let fields = |row: &Row| [row.get(1), row.get(2), row.get(3), row.get(4), row.get(5)];
        self.ranges = rows.iter().map(|row| (row.get(0), fields(row))).collect();
        Ok(())
    }
}
