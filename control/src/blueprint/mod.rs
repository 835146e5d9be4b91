//! The definitions of a schema, as SQL that creates a copy of it.
//!
//! # Layout
//! - [`item`]: the definitions, each with the SQL that creates it and the SQL that drops it.
//! - `read`: the rows of the catalog; `printed`: the definitions that PostgreSQL prints; `sql/`: the queries.
//! - `relations` (`tables`, `columns`, `inherited`, `views`, `sequences`), `objects`, `attached`, `rare`, `facts`:
//!   convert these to items.
//! - `left_out`: objects that are needed and not copied.
//! - `mentions`: texts that name the schema.
//! - `seed`: rows that are copied.
//! - `refresh`: the rows of materialized views.
//! - `order`: sorts items so that each one's dependencies come first.

mod attached;
mod columns;
mod facts;
mod inherited;
pub mod item;
mod left_out;
mod mentions;
mod objects;
mod order;
mod printed;
mod rare;
mod read;
mod refresh;
mod relations;
mod seed;
mod sequences;
mod tables;
mod views;

use pgstrata_tenancy::Pattern;
use tokio_postgres::Transaction;

use crate::error::Error;
use crate::settings::Settings;
use item::{Item, Kind, ObjectId, SCHEMA};
use read::Facts;

/// The objects of a schema that are copied.
#[derive(Clone, Copy, Debug)]
pub enum Chosen<'a> {
    /// Tables and rows by the settings: for a new tenant.
    Some(&'a Settings),
    /// All tables and no rows.
    Structure,
    /// The structure of a copy of this schema, for a comparison: objects that are not copied have the same names.
    Like(&'a str),
    /// Everything.
    All,
}

impl Chosen<'_> {
    fn has(self, table: &str) -> bool {
        let Self::Some(settings) = self else { return true };
        (settings.include.is_empty() || any(&settings.include, table)) && !any(&settings.exclude, table)
    }

    /// Whether all tenants can reach the objects of schema `source` that are not copied.
    fn shares(self, source: &str) -> bool {
        match self {
            Self::Some(settings) => settings.shared.iter().any(|shared| shared == source),
            // Nothing is left out.
            Self::Structure | Self::Like(_) | Self::All => true,
        }
    }

    fn has_rows(self, table: &str) -> bool {
        match self {
            Self::Some(settings) => any(&settings.seed, table),
            Self::Structure | Self::Like(_) => false,
            Self::All => true,
        }
    }
}

fn any(patterns: &[Pattern], name: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(name))
}

/// The definitions of a schema, in an order in which they can be created.
#[derive(Clone, Debug)]
pub struct Blueprint {
    /// The schema that it was read from.
    pub source: String,
    /// Its parts.
    pub items: Vec<Item>,
    /// Texts that contain the schema's name, and may refer to it.
    pub remarks: Vec<String>,
    /// The source's own objects: nothing in a copy may depend on them.
    originals: Vec<ObjectId>,
}

impl Blueprint {
    /// Reads the `chosen` objects of schema `source`.
    ///
    /// `tx` must be `REPEATABLE READ`, so that everything is from one snapshot.
    pub async fn read(tx: &Transaction<'_>, source: &str, chosen: Chosen<'_>) -> Result<Self, Error> {
        let like = match chosen {
            Chosen::Like(original) => Some(original),
            _ => None,
        };
        let facts = read::read(tx, source, like, &|table| chosen.has(table)).await?;
        refuse_strangers(tx, &facts).await?;
        let Parts { items, late } = Parts::new(&facts, chosen, true)?;
        let mut objects: Vec<ObjectId> = Vec::new();
        for item in &items {
            objects.extend(&item.ids);
            if let item::Create::Whole(whole) = &item.create {
                objects.extend(whole.parts.iter().filter_map(|part| part.id));
            }
        }
        let read::Depends { pairs: mut depends, columns } = Facts::depends(tx, &objects).await?;
        left_out::refuse(tx, &facts, &objects, &depends, chosen.shares(source)).await?;
        rare::shells_first(&facts, &mut depends);
        let said = said_of(tx, &facts).await?;
        let mut orderly = depends.clone();
        late.resolve(&mut orderly, &columns);
        let ordered = order::order(items.into_iter().chain(said.clone()).collect(), &orderly);
        let mut items = match ordered {
            // The order of columns has another cause. The copy then has them in another order.
            Err(_) if !late.is_empty() => {
                let parts = Parts::new(&facts, chosen, false)?.items;
                order::order(parts.into_iter().chain(said).collect(), &depends)?
            }
            ordered => ordered?,
        };
        refresh::complete(&mut items, &facts);
        // Each of these names objects that others create.
        items.sort_by_key(phase);
        let remarks = mentions::remarks(&items, source);
        Ok(Self { source: source.to_owned(), items, remarks, originals: objects })
    }

    /// The source's own objects.
    pub(crate) fn originals(&self) -> &[ObjectId] {
        &self.originals
    }

    /// SQL that creates everything in the new and empty schema `name`, which must be first on the path.
    pub fn sql(&self, name: &str) -> String {
        let mut sql = String::new();
        for item in &self.items {
            sql.push_str(&item.sql());
            sql.push_str(";\n");
        }
        item::filled(&sql, name)
    }

    /// The same in two parts: what comes before the rows of the tables, and what comes behind them.
    pub(crate) fn sql_around_rows(&self, name: &str) -> (String, String) {
        let of = |is_before: bool| {
            let items = self.items.iter().filter(|item| (phase(item) == 0) == is_before);
            let sql: String = items.map(|item| item.sql() + ";\n").collect();
            item::filled(&sql, name)
        };
        (of(true), of(false))
    }

    /// SQL, for the path pg_catalog, that fails if an object that its transaction has created depends on an object of
    /// the source, or if the transaction has changed one.
    pub fn proof(&self) -> String {
        let list = |ids: Vec<u32>| ids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let (classes, ids) = read::columns(&self.originals);
        include_str!("sql/proof.sql").replace("$1", &list(classes)).replace("$2", &list(ids))
    }
}

/// All definitions of a schema, unsorted.
struct Parts {
    items: Vec<Item>,
    late: inherited::Late,
}

impl Parts {
    fn new(facts: &Facts, chosen: Chosen<'_>, orderly: bool) -> Result<Self, Error> {
        let relations = relations::Relations::new(facts, orderly);
        let mut items = relations.items();
        items.extend(objects::functions(facts)?);
        items.extend(objects::types(facts));
        items.extend(rare::items(facts)?);
        items.extend(attached::items(facts)?);
        items.extend(seed::items(facts, &|table| chosen.has_rows(table)));
        Ok(Self { items, late: relations.into_late() })
    }
}

/// Comments, owners, privileges.
async fn said_of(tx: &Transaction<'_>, facts: &Facts) -> Result<Vec<Item>, Error> {
    let names = facts::names(facts);
    let me: u32 = tx
        .query_one("SELECT oid FROM pg_roles WHERE rolname = current_user", &[])
        .await
        .map_err(Error::postgres("asking who we are"))?
        .get(0);
    let mut items = Vec::new();
    facts::comments(tx, facts, &names, &mut items).await?;
    facts::owners(tx, facts, &names, me, &mut items).await?;
    facts::privileges(tx, facts, &names, me, &mut items).await?;
    facts::extensions(tx, &names, &mut items).await?;
    Ok(items)
}

/// Objects of unknown kinds are an error, never silently omitted.
async fn refuse_strangers(tx: &Transaction<'_>, facts: &Facts) -> Result<(), Error> {
    let rows = tx
        .query(include_str!("sql/strangers.sql"), &[&facts.schema])
        .await
        .map_err(Error::postgres("reading what else there is"))?;
    let strange: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    match strange.is_empty() {
        true => Ok(()),
        false => Err(Error::Refused(format!(
            "schema \"{}\" has objects that cannot be copied: {}",
            facts.name,
            strange.join(", ")
        ))),
    }
}

/// The phase of an item: definitions, rows, properties, and then queries.
fn phase(item: &Item) -> u8 {
    match item.kind {
        Kind::Seed => 1,
        // Existing rows need not satisfy it.
        Kind::Check | Kind::DomainConstraint | Kind::NotNull if item.sql().ends_with(" NOT VALID") => 2,
        Kind::ForeignKey | Kind::Trigger | Kind::Rule => 2,
        Kind::Setting | Kind::Policy => 3,
        Kind::Comment => 4,
        // The privileges that owners need to own objects there.
        Kind::Privilege if item.name.contains(&format!(" ON SCHEMA {SCHEMA} ")) => 5,
        Kind::Owner => 6,
        Kind::Privilege | Kind::DefaultPrivilege => 7,
        // The owner runs the query, with the owner's privileges.
        Kind::Refresh => 8,
        _ => 0,
    }
}
