//! The catalog's data about a schema.
//!
//! PostgreSQL itself prints definitions that it stores as trees (defaults, views, constraints ...), with the names
//! that its search path finds unqualified. So it prints them under the path of the schema alone: the result means the
//! same under the path of another schema with the same objects, and no text has to be rewritten.

use std::collections::HashMap;

use pgstrata_tenancy::ident::search_path;
use tokio_postgres::{Row, Transaction};

use super::inherited::Column;
use super::item::ObjectId;
use super::printed::Printed;
use super::rare;
use crate::error::Error;

/// Rows of the catalog, and the definitions that PostgreSQL prints for them.
pub(super) struct Facts {
    /// The schema itself.
    pub schema: u32,
    /// Its name.
    pub name: String,
    /// Ids of the catalogs.
    pub classes: Classes,
    /// `server_version_num`.
    pub version: i32,
    /// Its relations that are copied.
    pub relations: Vec<Row>,
    /// The columns of these.
    pub columns: Vec<Row>,
    /// The parents of these and of their indexes.
    pub parents: Vec<Row>,
    pub sequences: Vec<Row>,
    pub constraints: Vec<Row>,
    pub indexes: Vec<Row>,
    pub functions: Vec<Row>,
    pub types: Vec<Row>,
    pub rules: Vec<Row>,
    pub triggers: Vec<Row>,
    pub policies: Vec<Row>,
    pub statistics: Vec<Row>,
    pub default_privileges: Vec<Row>,
    /// Operators, collations and the like.
    pub rare: Vec<Row>,
    pub printed: Printed,
}

macro_rules! classes {
    ($($name:ident),*) => {
        /// Ids of the catalogs that objects are in.
        #[derive(Clone, Copy)]
        pub(super) struct Classes { $(pub $name: u32),* }

        impl Classes {
            const SQL: &str = concat!("SELECT " $(, "'", stringify!($name), "'::regclass::oid AS ", stringify!($name), ", ")*, "0");

            fn of(row: &Row) -> Self {
                Self { $($name: row.get(stringify!($name))),* }
            }
        }
    };
}

classes!(
    pg_class, pg_type, pg_proc, pg_constraint, pg_attrdef, pg_rewrite, pg_trigger, pg_policy,
    pg_statistic_ext, pg_namespace, pg_opfamily
);

/// Selects the relations of a schema.
pub(super) type Wanted<'a> = &'a (dyn Fn(&str) -> bool + Sync);

/// Reads schema `name`, which may be a copy of schema `like`. `wanted` decides by their names which tables are copied.
pub(super) async fn read(
    tx: &Transaction<'_>,
    name: &str,
    like: Option<&str>,
    wanted: Wanted<'_>,
) -> Result<Facts, Error> {
    let doing = || Error::postgres(format!("reading schema \"{name}\""));
    let reader = Reader { tx, name };
    // As pg_dump has it: what is printed must mean the same wherever it is read.
    let settings = "SET LOCAL search_path = pg_catalog; SET LOCAL datestyle = ISO; SET LOCAL intervalstyle = postgres; \
                    SET LOCAL extra_float_digits = 3; SET LOCAL quote_all_identifiers = off";
    tx.batch_execute(settings).await.map_err(doing())?;
    let schema: u32 = tx
        .query_opt("SELECT oid FROM pg_namespace WHERE nspname = $1::text::name", &[&name])
        .await
        .map_err(doing())?
        .ok_or_else(|| Error::Missing(name.to_owned()))?
        .get(0);
    let version: i32 = reader.one("SELECT current_setting('server_version_num')::int").await?.get(0);
    let classes = Classes::of(&reader.one(Classes::SQL).await?);
    let mut facts = Facts::raw(&reader, schema, classes, version, wanted).await?;
    let guard = format!("pgstrata_reading_{}", reader.one("SELECT pg_backend_pid()").await?.get::<_, i32>(0));
    let path = search_path([&guard, name, "pg_catalog"].into_iter().chain(like).chain(["pg_temp"]));
    let guarded = format!("{}; SET LOCAL search_path = {path}", GUARD.replace("guard", &guard));
    tx.batch_execute(&guarded).await.map_err(doing())?;
    facts.printed = Printed::read(&reader, &facts).await?;
    tx.batch_execute("ROLLBACK TO reading; RELEASE reading").await.map_err(doing())?;
    Ok(facts)
}

/// PostgreSQL looks views and rules up by queries of its own, with operators as the path finds them. No schema's
/// owner is to have others run there: these come first, for as long as is read.
const GUARD: &str = "SAVEPOINT reading; CREATE SCHEMA guard; \
                     CREATE OPERATOR guard.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = oideq); \
                     CREATE OPERATOR guard.= (LEFTARG = name, RIGHTARG = name, FUNCTION = nameeq)";

/// Asks in one transaction.
pub(super) struct Reader<'a> {
    tx: &'a Transaction<'a>,
    name: &'a str,
}

impl Reader<'_> {
    pub async fn one(&self, sql: &str) -> Result<Row, Error> {
        self.tx.query_one(sql, &[]).await.map_err(self.failed())
    }

    pub async fn rows(&self, sql: &str, ids: &[u32]) -> Result<Vec<Row>, Error> {
        self.tx.query(sql, &[&ids]).await.map_err(self.failed())
    }

    /// Of the objects `ids`, what `sql` prints.
    pub async fn texts(&self, sql: &str, ids: &[u32]) -> Result<HashMap<u32, String>, Error> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let rows = self.rows(sql, ids).await?;
        Ok(rows.iter().filter_map(|row| Some((row.get(0), row.get::<_, Option<String>>(1)?))).collect())
    }

    fn failed(&self) -> impl FnOnce(tokio_postgres::Error) -> Error {
        Error::postgres(format!("reading schema \"{}\"", self.name))
    }
}

/// The ids of rows.
pub(super) fn oids(rows: &[Row]) -> Vec<u32> {
    rows.iter().map(|row| row.get("oid")).collect()
}

impl Facts {
    async fn raw(
        reader: &Reader<'_>,
        schema: u32,
        classes: Classes,
        version: i32,
        wanted: Wanted<'_>,
    ) -> Result<Self, Error> {
        let of_schema = async |sql: &str| reader.tx.query(sql, &[&schema]).await.map_err(reader.failed());
        let mut relations = of_schema(include_str!("sql/relations.sql")).await?;
        let all = oids(&relations);
        let mut sequences = reader.rows(include_str!("sql/sequences.sql"), &all).await?;
        let is_table = |row: &Row| matches!(row.get("kind"), "r" | "p" | "f");
        relations.retain(|row| !is_table(row) || wanted(row.get("name")));
        // A sequence goes with the table that owns it.
        let tables = oids(&relations);
        let gone =
            |owner: Option<u32>| owner.is_some_and(|owner| all.contains(&owner) && !tables.contains(&owner));
        sequences.retain(|row| !gone(row.get("table_oid")));
        let kept = oids(&sequences);
        relations.retain(|row| row.get::<_, &str>("kind") != "S" || kept.contains(&row.get("oid")));
        let relation_ids = oids(&relations);

        let types = of_schema(include_str!("sql/types.sql")).await?;
        let indexes = reader.rows(include_str!("sql/indexes.sql"), &relation_ids).await?;
        let heirs: Vec<u32> = relation_ids.iter().copied().chain(oids(&indexes)).collect();
        let constraints = reader
            .tx
            .query(include_str!("sql/constraints.sql"), &[&relation_ids, &oids(&types)])
            .await
            .map_err(reader.failed())?;
        Ok(Self {
            schema,
            name: reader.name.to_owned(),
            classes,
            version,
            columns: reader.rows(include_str!("sql/columns.sql"), &relation_ids).await?,
            parents: reader.rows(include_str!("sql/parents.sql"), &heirs).await?,
            sequences,
            constraints,
            indexes,
            functions: of_schema(include_str!("sql/functions.sql")).await?,
            types,
            rules: reader.rows(include_str!("sql/rules.sql"), &relation_ids).await?,
            triggers: reader.rows(include_str!("sql/triggers.sql"), &relation_ids).await?,
            policies: reader.rows(include_str!("sql/policies.sql"), &relation_ids).await?,
            statistics: of_schema(include_str!("sql/statistics.sql")).await?,
            default_privileges: of_schema(include_str!("sql/defaults.sql")).await?,
            rare: of_schema(&rare::query()).await?,
            relations,
            printed: Printed::default(),
        })
    }

    /// The dependencies of `objects`.
    pub async fn depends(tx: &Transaction<'_>, objects: &[ObjectId]) -> Result<Depends, Error> {
        let (classes, ids) = columns(objects);
        let rows = tx
            .query(include_str!("sql/depends.sql"), &[&classes, &ids])
            .await
            .map_err(Error::postgres("reading what depends on what"))?;
        let id = |row: &Row, class, oid| ObjectId { class: row.get(class), oid: row.get(oid) };
        let on_column = |row: &Row| {
            let number = row.get::<_, Option<i16>>("on_column")?;
            Some((id(row, "class", "oid"), (row.get("on_oid"), number)))
        };
        Ok(Depends {
            pairs: rows.iter().map(|row| (id(row, "class", "oid"), id(row, "on_class", "on_oid"))).collect(),
            columns: rows.iter().filter_map(on_column).collect(),
        })
    }
}

/// What depends on what.
pub(super) struct Depends {
    /// An object and one that it needs.
    pub pairs: Vec<(ObjectId, ObjectId)>,
    /// An object and a column that it needs.
    pub columns: Vec<(ObjectId, Column)>,
}

/// Objects as two arrays.
pub(super) fn columns(objects: &[ObjectId]) -> (Vec<u32>, Vec<u32>) {
    objects.iter().map(|id| (id.class, id.oid)).unzip()
}
