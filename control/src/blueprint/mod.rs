//! What a schema is made of, as SQL that makes another one like it.
//!
//! # Layout
//! - [`item`]: the parts, each with the SQL that makes it and the SQL that takes it away.
//! - `read`: the catalog's rows; `printed`: what PostgreSQL prints for them; `sql/`: the queries.
//! - `relations` (`tables`, `columns`, `inherited`, `views`, `sequences`), `objects`, `attached`, `rare`, `facts`: from
//!   these to items.
//! - `left_out`: what is needed and not copied.
//! - `mentions`: where texts name the schema.
//! - `seed`: rows that come along.
//! - `refresh`: the rows of materialized views.
//! - `order`: items in an order in which each finds what it needs.

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

/// What of a schema is copied.
#[derive(Clone, Copy, Debug)]
pub enum Chosen<'a> {
    /// Tables and rows as the settings want it: for a new tenant.
    Some(&'a Settings),
    /// All tables and no rows.
    Structure,
    /// The same of a copy of this schema, to compare: what is not copied and found there is called the same.
    Like(&'a str),
    /// All of it.
    All,
}

impl Chosen<'_> {
    fn has(self, table: &str) -> bool {
        let Self::Some(settings) = self else { return true };
        (settings.include.is_empty() || any(&settings.include, table)) && !any(&settings.exclude, table)
    }

    /// Whether all tenants can reach what stays behind in schema `source`.
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

/// A schema's parts, in an order in which they can be made.
#[derive(Clone, Debug)]
pub struct Blueprint {
    /// The schema that it was read from.
    pub source: String,
    /// Its parts.
    pub items: Vec<Item>,
    /// What its texts say of the schema where nobody can tell whether they mean it.
    pub remarks: Vec<String>,
    /// The source's objects themselves: nothing of a copy may depend on them.
    originals: Vec<ObjectId>,
}

impl Blueprint {
    /// Reads of schema `source` what is `chosen`.
    ///
    /// `tx` must be `REPEATABLE READ`, so that all of it is of one moment.
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
            // Some other way led to this order of columns. It is no reason to have none of them.
            Err(_) if !late.is_empty() => {
                let parts = Parts::new(&facts, chosen, false)?.items;
                order::order(parts.into_iter().chain(said).collect(), &depends)?
            }
            ordered => ordered?,
        };
        refresh::complete(&mut items, &facts);
        // All of these name what others make.
        items.sort_by_key(phase);
        let remarks = mentions::remarks(&items, source);
        Ok(Self { source: source.to_owned(), items, remarks, originals: objects })
    }

    /// Its objects themselves.
    pub(crate) fn originals(&self) -> &[ObjectId] {
        &self.originals
    }

    /// SQL that makes all of it in the new and empty schema `name`, which must be first on the path.
    pub fn sql(&self, name: &str) -> String {
        let mut sql = String::new();
        for item in &self.items {
            sql.push_str(&item.sql());
            sql.push_str(";\n");
        }
        item::filled(&sql, name)
    }

    /// SQL, for the path of pg_catalog, that fails if anything that its transaction has made depends on
    /// an object of the source itself, or if it has changed one.
    pub fn proof(&self) -> String {
        let list = |ids: Vec<u32>| ids.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let (classes, ids) = read::columns(&self.originals);
        include_str!("sql/proof.sql").replace("$1", &list(classes)).replace("$2", &list(ids))
    }
}

/// All that a schema is made of, in no order.
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

/// What nobody knows how to copy is not left out in silence.
async fn refuse_strangers(tx: &Transaction<'_>, facts: &Facts) -> Result<(), Error> {
    let rows = tx
        .query(include_str!("sql/strangers.sql"), &[&facts.schema])
        .await
        .map_err(Error::postgres("reading what else there is"))?;
    let strange: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    match strange.is_empty() {
        true => Ok(()),
        false => Err(Error::Refused(format!(
            "schema \"{}\" has what can not be copied: {}",
            facts.name,
            strange.join(", ")
        ))),
    }
}

/// What is made, what is copied into it, what is said of it, what is read from it, in this order.
fn phase(item: &Item) -> u8 {
    match item.kind {
        Kind::Seed => 1,
        // Rows that are there need not obey it.
        Kind::Check | Kind::DomainConstraint | Kind::NotNull if item.sql().ends_with(" NOT VALID") => 2,
        Kind::ForeignKey | Kind::Trigger | Kind::Rule => 2,
        Kind::Setting | Kind::Policy => 3,
        Kind::Comment => 4,
        // What owners need to own anything there.
        Kind::Privilege if item.name.contains(&format!(" ON SCHEMA {SCHEMA} ")) => 5,
        Kind::Owner => 6,
        Kind::Privilege | Kind::DefaultPrivilege => 7,
        // It is its owner who reads, with the owner's rights.
        Kind::Refresh => 8,
        _ => 0,
    }
}
