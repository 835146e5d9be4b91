//! What a schema is made of, as SQL that makes another one like it.
//!
//! # Layout
//! - [`item`]: the parts, each with the SQL that makes it and the SQL that takes it away.
//! - `read`: the catalog's rows, and what PostgreSQL prints for them; `sql/`: the queries.
//! - `relations`, `objects`, `attached`, `facts`: from these to items.
//! - `seed`: rows that come along.
//! - `order`: items in an order in which each finds what it needs.

mod attached;
mod facts;
pub mod item;
mod objects;
mod order;
mod read;
mod relations;
mod seed;

use pgstrata_tenancy::Pattern;
use pgstrata_tenancy::ident::quoted;
use tokio_postgres::Transaction;

use crate::error::Error;
use crate::settings::Settings;
use item::{Item, Kind, ObjectId, SCHEMA};
use read::Facts;

/// What of a schema is copied.
#[derive(Clone, Copy, Debug)]
pub enum Chosen<'a> {
    /// Tables and rows as the settings want it: for a new tenant.
    Some(&'a Settings),
    /// All tables and no rows: to compare.
    Structure,
    /// All of it.
    All,
}

impl Chosen<'_> {
    fn has(self, table: &str) -> bool {
        let Self::Some(settings) = self else { return true };
        (settings.include.is_empty() || any(&settings.include, table)) && !any(&settings.exclude, table)
    }

    fn has_rows(self, table: &str) -> bool {
        match self {
            Self::Some(settings) => any(&settings.seed, table),
            Self::Structure => false,
            Self::All => true,
        }
    }
}

fn any(patterns: &[Pattern], name: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(name))
}

/// A schema's parts, in an order in which they can be made.
#[derive(Clone, Debug)]
pub struct Blueprint {
    /// The schema that it was read from.
    pub source: String,
    /// Its parts.
    pub items: Vec<Item>,
    /// The source's objects themselves: nothing of a copy may depend on them.
    originals: Vec<ObjectId>,
}

impl Blueprint {
    /// Reads of schema `source` what is `chosen`.
    ///
    /// `tx` must be `REPEATABLE READ`, so that all of it is of one moment.
    pub async fn read(tx: &Transaction<'_>, source: &str, chosen: Chosen<'_>) -> Result<Self, Error> {
        let facts = read::read(tx, source, &|table| chosen.has(table)).await?;
        refuse_strangers(tx, &facts).await?;
        let relations = relations::Relations::new(&facts);
        let mut items = relations.items();
        items.extend(objects::functions(&facts)?);
        items.extend(objects::types(&facts));
        items.extend(attached::items(&facts)?);
        items.extend(seed::items(&facts, &|table| chosen.has_rows(table)));
        let mut objects: Vec<ObjectId> = Vec::new();
        for item in &items {
            objects.extend(&item.ids);
            if let item::Create::Whole(whole) = &item.create {
                objects.extend(whole.parts.iter().filter_map(|part| part.id));
            }
        }
        let mut depends = Facts::depends(tx, &objects).await?;
        depends.extend(view_rules(&facts, tx).await?);
        let names = facts::names(&facts);
        let me: u32 = tx
            .query_one("SELECT oid FROM pg_roles WHERE rolname = current_user", &[])
            .await
            .map_err(Error::postgres("asking who we are"))?
            .get(0);
        facts::comments(tx, &facts, &names, &mut items).await?;
        facts::owners(tx, &facts, &names, me, &mut items).await?;
        facts::privileges(tx, &facts, &names, &mut items).await?;
        let mut items = order::order(items, &depends)?;
        // All of these name what others make.
        items.sort_by_key(|item| item.kind.phase());
        Ok(Self { source: source.to_owned(), items, originals: objects })
    }

    /// SQL that makes all of it in the new and empty schema `name`, which must be first on the path.
    pub fn sql(&self, name: &str) -> String {
        let mut sql = String::new();
        for item in &self.items {
            sql.push_str(&item.sql());
            sql.push_str(";\n");
        }
        sql.replace(SCHEMA, &quoted(name))
    }

    /// SQL, for the path of pg_catalog, that fails if anything that its transaction has made depends on
    /// an object of the source itself.
    pub fn proof(&self) -> String {
        let list = |ids: Vec<u32>| ids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let (classes, ids) = read::columns(&self.originals);
        include_str!("sql/proof.sql").replace("$1", &list(classes)).replace("$2", &list(ids))
    }
}

/// Views depend on what their rules do.
async fn view_rules(facts: &Facts, tx: &Transaction<'_>) -> Result<Vec<(ObjectId, ObjectId)>, Error> {
    let rules = facts.rules.iter().filter(|row| row.get::<_, &str>("name") == "_RETURN");
    let class = facts.classes;
    let views: std::collections::HashMap<ObjectId, ObjectId> = rules
        .map(|row| {
            let rule = ObjectId { class: class.pg_rewrite, oid: row.get("oid") };
            (rule, ObjectId { class: class.pg_class, oid: row.get("relation") })
        })
        .collect();
    let rules: Vec<ObjectId> = views.keys().copied().collect();
    let depends = Facts::depends(tx, &rules).await?;
    Ok(depends.into_iter().filter_map(|(rule, needs)| Some((*views.get(&rule)?, needs))).collect())
}

/// What nobody knows how to copy is not left out in silence.
async fn refuse_strangers(tx: &Transaction<'_>, facts: &Facts) -> Result<(), Error> {
    let c = facts.classes;
    let known = [c.pg_class, c.pg_type, c.pg_proc, c.pg_constraint, c.pg_statistic_ext];
    let rows = tx
        .query(include_str!("sql/strangers.sql"), &[&facts.schema, &known.as_slice()])
        .await
        .map_err(Error::postgres("reading what else there is"))?;
    let mut strange: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let base = facts.types.iter().filter(|row| matches!(row.get("kind"), "b" | "p"));
    strange.extend(base.map(|row| format!("type {}", row.get::<_, &str>("name"))));
    let aggregates = facts.functions.iter().filter(|row| row.get::<_, &str>("kind") == "a");
    strange.extend(aggregates.map(|row| format!("aggregate {}", row.get::<_, &str>("name"))));
    match strange.is_empty() {
        true => Ok(()),
        false => Err(Error::Refused(format!(
            "schema \"{}\" has what can not be copied: {}",
            facts.name,
            strange.join(", ")
        ))),
    }
}

impl Kind {
    /// What is made, what is copied into it, what is said of it, in this order.
    fn phase(self) -> u8 {
        match self {
            Self::Seed => 1,
            Self::ForeignKey | Self::Trigger | Self::Rule => 2,
            Self::Setting | Self::Policy => 3,
            Self::Refresh => 4,
            Self::Comment => 5,
            Self::Owner => 6,
            Self::Privilege | Self::DefaultPrivilege => 7,
            _ => 0,
        }
    }
}
