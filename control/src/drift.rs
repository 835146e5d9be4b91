//! How a tenant's schema differs from the source, as SQL that mends it.

use std::collections::{HashMap, HashSet};

use pgstrata_tenancy::ident::search_path;
use serde::Serialize;
use tokio_postgres::IsolationLevel;

use crate::Control;
use crate::access::is_about;
use crate::blueprint::item::{Create, Item, Kind, ObjectId, SCHEMA, filled};
use crate::blueprint::{Blueprint, Chosen};
use crate::error::Error;
use crate::name::SchemaName;
use crate::registry::lock;

/// How something differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Difference {
    /// The source has it, the tenant not.
    Missing,
    /// The tenant has it, the source not.
    Extra,
    /// Both have it, each in its way.
    Changed,
}

/// One thing that differs, and what mends it.
#[derive(Clone, Debug, Serialize)]
pub struct Change {
    /// How.
    pub difference: Difference,
    /// What it is.
    pub kind: Kind,
    /// Its name, quoted as in SQL.
    pub name: String,
    /// What mends it, run in the order of the list; empty where nothing short of a migration does.
    pub sql: String,
    /// It takes data away.
    pub loses_data: bool,
    /// Why there is no SQL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
}

/// One definition to compare: an item, or a part of one.
struct Definition<'a> {
    /// What it was made by.
    text: &'a str,
    /// What makes it where its table is there already.
    create: String,
    drop: &'a str,
    ids: Vec<ObjectId>,
    needs: Vec<ObjectId>,
    /// It needs what is another schema's: the same words mean something else in it.
    astray: bool,
}

/// A kind and a name: what a definition is found by.
type Key = (Kind, String);

/// The definitions of a schema, in their order.
struct Definitions<'a> {
    order: Vec<Key>,
    by_key: HashMap<Key, Definition<'a>>,
}

impl<'a> Definitions<'a> {
    /// Those of a schema, in which nothing must need the `foreign` objects.
    fn new(blueprint: &'a Blueprint, foreign: &[ObjectId]) -> Self {
        let mut all = Self { order: Vec::new(), by_key: HashMap::new() };
        let foreign: HashSet<&ObjectId> = foreign.iter().collect();
        for item in &blueprint.items {
            all.add(item);
        }
        for definition in all.by_key.values_mut() {
            definition.astray = definition.needs.iter().any(|need| foreign.contains(need));
        }
        all
    }

    fn add(&mut self, item: &'a Item) {
        // How many rows there are is no difference of structure.
        if matches!(item.kind, Kind::Seed | Kind::Refresh) {
            return;
        }
        let text = match &item.create {
            Create::Sql(sql) | Create::View { create: sql, .. } => sql.as_str(),
            Create::Whole(whole) => whole.head.as_str(),
        };
        let (ids, needs) = (item.ids.clone(), item.needs.clone());
        let whole = Definition { text, create: item.sql(), drop: &item.drop, ids, needs, astray: false };
        self.insert((item.kind, item.name.clone()), whole);
        let Create::Whole(whole) = &item.create else { return };
        let tail = Definition {
            text: &whole.tail,
            create: String::new(),
            drop: "",
            ids: vec![],
            needs: item.ids.clone(),
            astray: false,
        };
        self.insert((Kind::Tail, item.name.clone()), tail);
        for (at, part) in whole.parts.iter().enumerate() {
            let text = if part.separate.is_empty() { &part.inline } else { &part.separate };
            let mut create = part.separate.clone();
            if part.kind == Kind::Column {
                // A column comes with its default and its NOT NULL: rows that are there need them.
                let more = whole.parts.iter().skip(at + 1).take_while(|part| part.continues);
                create.extend(more.map(|part| format!(" {}", part.inline)));
            }
            let ids = part.id.into_iter().collect();
            let needs = part.needs.iter().chain(&item.ids).copied().collect();
            let key = (part.kind, part.name.clone());
            self.insert(key, Definition { text, create, drop: &part.drop, ids, needs, astray: false });
        }
    }

    fn insert(&mut self, key: Key, definition: Definition<'a>) {
        self.order.push(key.clone());
        self.by_key.insert(key, definition);
    }
}

/// What has to be done to `tenant` for it to be as `source` is.
pub fn compare(source: &Blueprint, tenant: &Blueprint) -> Vec<Change> {
    let (wanted, there) = (Definitions::new(source, &[]), Definitions::new(tenant, source.originals()));
    let mut comparison =
        Comparison { wanted: &wanted, there: &there, remade: HashSet::new(), changes: Vec::new() };
    comparison.run();
    comparison.changes
}

struct Comparison<'a> {
    wanted: &'a Definitions<'a>,
    there: &'a Definitions<'a>,
    /// The tenant's definitions that are dropped and made again.
    remade: HashSet<Key>,
    changes: Vec<Change>,
}

impl Comparison<'_> {
    fn run(&mut self) {
        let (wanted, there) = (self.wanted, self.there);
        self.find_remade();
        // What goes first is what was made last.
        for key in there.order.iter().rev() {
            let Some(old) = there.by_key.get(key) else { continue };
            let gone = !wanted.by_key.contains_key(key);
            if (gone || self.remade.contains(key)) && !self.goes_along(key) {
                self.drop(key, old, gone);
            }
        }
        for key in &wanted.order {
            let Some(new) = wanted.by_key.get(key) else { continue };
            match there.by_key.get(key) {
                None => self.create(key, new, Difference::Missing),
                Some(_) if self.remade.contains(key) => self.create(key, new, Difference::Changed),
                Some(old) if old.astray || old.text != new.text => self.alter(key, old, new),
                Some(_) => {}
            }
        }
    }

    /// What differs and can't be altered is made again, and with it what needs it.
    fn find_remade(&mut self) {
        let (wanted, there) = (self.wanted, self.there);
        let mut queue: Vec<ObjectId> = Vec::new();
        for key in &there.order {
            let Some(old) = there.by_key.get(key) else { continue };
            let new = wanted.by_key.get(key);
            let differs = old.astray || new.is_none_or(|new| new.text != old.text);
            if differs && is_remade(key.0, old.text, new.map(|new| new.text)) {
                if new.is_some() {
                    self.remade.insert(key.clone());
                }
                queue.extend(&old.ids);
            }
        }
        let mut seen: HashSet<ObjectId> = HashSet::new();
        while let Some(id) = queue.pop() {
            if !seen.insert(id) {
                continue;
            }
            for key in &there.order {
                let Some(old) = there.by_key.get(key) else { continue };
                let follows = old.needs.contains(&id) && !keeps_data(key.0);
                if follows && wanted.by_key.contains_key(key) && self.remade.insert(key.clone()) {
                    queue.extend(&old.ids);
                }
            }
        }
    }

    /// Whether it goes with the table or the column that it is of.
    fn goes_along(&self, (kind, name): &Key) -> bool {
        if *kind == Kind::Tail {
            return true;
        }
        let of_column = matches!(kind, Kind::Default | Kind::Identity | Kind::NotNull);
        let column = (Kind::Column, name.clone());
        let gone = |key: &Key| self.there.by_key.contains_key(key) && !self.wanted.by_key.contains_key(key);
        if of_column && gone(&column) {
            return true;
        }
        let Some(definition) = self.there.by_key.get(&(*kind, name.clone())) else { return false };
        if matches!(kind, Kind::Table | Kind::View | Kind::MaterializedView | Kind::Function | Kind::Type) {
            return false;
        }
        // What is said of it, and what hangs on it, is dropped with it.
        self.there.order.iter().any(|key| {
            let whole = matches!(
                key.0,
                Kind::Table | Kind::View | Kind::MaterializedView | Kind::Function | Kind::Type
            ) && (gone(key) || self.remade.contains(key));
            whole
                && self
                    .there
                    .by_key
                    .get(key)
                    .is_some_and(|whole| whole.ids.iter().any(|id| definition.needs.contains(id)))
                && !matches!(kind, Kind::ForeignKey)
        })
    }

    fn drop(&mut self, (kind, name): &Key, old: &Definition<'_>, gone: bool) {
        let loses_data = gone && keeps_data(*kind);
        let why_not = (old.drop.is_empty()).then(|| "there is no command that takes it away".to_owned());
        let difference = if gone { Difference::Extra } else { Difference::Changed };
        // An owner that is not the source's is changed when the source's is set.
        if *kind == Kind::Owner {
            return;
        }
        self.changes.push(Change {
            difference,
            kind: *kind,
            name: name.clone(),
            sql: old.drop.to_owned(),
            loses_data,
            why_not,
        });
    }

    fn create(&mut self, (kind, name): &Key, new: &Definition<'_>, difference: Difference) {
        if self.comes_along(*kind, name) {
            return;
        }
        let why_not = new.create.is_empty().then(|| "it can't be added to what is there".to_owned());
        self.changes.push(Change {
            difference,
            kind: *kind,
            name: name.clone(),
            sql: new.create.clone(),
            loses_data: false,
            why_not,
        });
    }

    /// Whether it is made with the table or the column that it is of.
    fn comes_along(&self, kind: Kind, name: &str) -> bool {
        if kind == Kind::Tail {
            return true;
        }
        let missing =
            |key: &Key| self.wanted.by_key.contains_key(key) && !self.there.by_key.contains_key(key);
        if !kind.is_part() {
            return false;
        }
        let of_column = matches!(kind, Kind::Default | Kind::Identity | Kind::NotNull);
        if of_column && missing(&(Kind::Column, name.to_owned())) {
            return true;
        }
        let Some(definition) = self.wanted.by_key.get(&(kind, name.to_owned())) else { return false };
        // A part that was split off is an item of its own, and not in its table's statement.
        let table = self.wanted.order.iter().find(|key| {
            key.0.is_whole()
                && self
                    .wanted
                    .by_key
                    .get(*key)
                    .is_some_and(|whole| whole.ids.iter().any(|id| definition.needs.contains(id)))
        });
        table.is_some_and(|table| {
            missing(table)
                && self
                    .wanted
                    .by_key
                    .get(table)
                    .is_some_and(|whole| whole.create.contains(inline(definition.text)))
        })
    }

    /// What is the same thing in another way.
    fn alter(&mut self, (kind, name): &Key, old: &Definition<'_>, new: &Definition<'_>) {
        let mut change = Change {
            difference: Difference::Changed,
            kind: *kind,
            name: name.clone(),
            sql: String::new(),
            loses_data: false,
            why_not: None,
        };
        match altered(*kind, name, old.text, new.text) {
            Some(sql) => change.sql = sql,
            None => change.why_not = Some(format!("the source has: {}", new.text.trim())),
        }
        self.changes.push(change);
    }
}

/// What follows `ADD` in a statement of a part: as it stands in its table's.
fn inline(text: &str) -> &str {
    text.split_once(" ADD COLUMN ").or_else(|| text.split_once(" ADD ")).map_or(text, |(_, inline)| inline)
}

/// Whether rows go with it.
fn keeps_data(kind: Kind) -> bool {
    matches!(kind, Kind::Table | Kind::Column | Kind::Sequence | Kind::Type | Kind::Attach)
}

/// Whether one that differs is dropped and made again.
fn is_remade(kind: Kind, old: &str, new: Option<&str>) -> bool {
    use Kind::{
        Aggregate, Check, DomainConstraint, ForeignKey, Function, Index, Key, MaterializedView, NotNull,
        Policy, Rule, Statistics, Trigger, View,
    };
    match kind {
        // Another body can take the place of the old one; other arguments or results can't.
        Function => new.is_none_or(|new| head(old) != head(new)),
        Aggregate | Check | DomainConstraint | ForeignKey | Index | Key | MaterializedView | NotNull
        | Policy | Rule | Statistics | Trigger | View => true,
        _ => false,
    }
}

/// A function's arguments and what it returns.
fn head(function: &str) -> &str {
    function.split_once("\n LANGUAGE ").map_or(function, |(head, _)| head)
}

/// SQL that makes the new of the old; `None` where there is no such command.
fn altered(kind: Kind, name: &str, old: &str, new: &str) -> Option<String> {
    match kind {
        Kind::Function | Kind::Default | Kind::Setting | Kind::Comment | Kind::Owner | Kind::Owned => {
            // A generated column's expression has no statement of its own.
            (!new.starts_with("GENERATED")).then(|| new.to_owned())
        }
        Kind::Sequence => {
            let settings = new.replacen("CREATE SEQUENCE", "ALTER SEQUENCE", 1);
            let cycle = if settings.ends_with(" CYCLE") { "" } else { " NO CYCLE" };
            settings.starts_with("ALTER SEQUENCE").then(|| format!("{settings}{cycle}"))
        }
        Kind::Column => column(name, new),
        Kind::Identity => identity(new),
        Kind::Type => labels(name, old, new),
        _ => None,
    }
}

/// Another type of a column; its values are cast.
fn column(name: &str, new: &str) -> Option<String> {
    let (table, rest) = new.strip_prefix("ALTER TABLE ")?.split_once(" ADD COLUMN ")?;
    let column = name.strip_prefix(table)?.strip_prefix('.')?;
    let ty = rest.strip_prefix(column)?.trim();
    let bare = ty.split_once(" COLLATE ").map_or(ty, |(bare, _)| bare);
    Some(format!("ALTER TABLE {table} ALTER COLUMN {column} TYPE {ty} USING {column}::{bare}"))
}

/// Other settings of an identity, which goes on counting from where it is.
fn identity(new: &str) -> Option<String> {
    let (alter, rest) = new.split_once(" ADD GENERATED ")?;
    let (how, rest) = rest.split_once(" AS IDENTITY (SEQUENCE NAME ")?;
    let settings = rest.get(rest.find(" START WITH ")?..)?.strip_suffix(')')?;
    let mut set = settings.strip_suffix(" CYCLE").unwrap_or(settings).to_owned();
    for word in [" START WITH", " INCREMENT BY", " MINVALUE", " MAXVALUE", " CACHE"] {
        set = set.replacen(word, &format!(" SET{word}"), 1);
    }
    let cycle = if settings.ends_with(" CYCLE") { "CYCLE" } else { "NO CYCLE" };
    Some(format!("{alter} SET GENERATED {how}{set} SET {cycle}"))
}

/// More labels of an enum, in their places; `None` if some are gone.
fn labels(name: &str, old: &str, new: &str) -> Option<String> {
    let list = |text: &str| -> Option<Vec<String>> {
        let list = text.strip_prefix(&format!("CREATE TYPE {name} AS ENUM ("))?.strip_suffix(')')?;
        Some(list.split(", ").map(str::to_owned).collect())
    };
    let (old, new) = (list(old)?, list(new)?);
    let kept: Vec<&String> = new.iter().filter(|label| old.contains(label)).collect();
    if kept.len() != old.len() || !kept.into_iter().eq(old.iter()) {
        return None;
    }
    let mut sql = Vec::new();
    let mut before: Option<&String> = None;
    for label in &new {
        if !old.contains(label) {
            let place = match (before, old.first()) {
                (Some(before), _) => format!(" AFTER {before}"),
                (None, Some(first)) => format!(" BEFORE {first}"),
                (None, None) => String::new(),
            };
            sql.push(format!("ALTER TYPE {name} ADD VALUE {label}{place}"));
        }
        before = Some(label);
    }
    Some(sql.join(";\n"))
}

impl Control {
    /// The source's structure, to compare with. With tables that tenants do not get left out.
    pub async fn structure(&self) -> Result<Blueprint, Error> {
        self.install().await?;
        Ok(self.read_source(&self.settings().source, Chosen::Some(self.settings())).await?.into_blueprint())
    }

    /// How the tenant differs from the source.
    pub async fn diff(&self, schema: &SchemaName, source: &Blueprint) -> Result<Vec<Change>, Error> {
        let mut client = self.client().await?;
        let doing = || Error::postgres(format!("reading schema \"{schema}\""));
        let tx = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).start();
        let tx = tx.await.map_err(doing())?;
        let tenant = Blueprint::read(&tx, schema.as_str(), Chosen::Like(&source.source)).await?;
        tx.commit().await.map_err(doing())?;
        let mut changes = compare(source, &tenant);
        // Whose a schema is, and so what is granted on it, is not the source's business.
        let on_schema = format!(" ON SCHEMA {SCHEMA} ");
        changes.retain(|change| change.kind != Kind::Privilege || !change.sql.contains(&on_schema));
        if let Some(role) = self.settings().role(schema)? {
            let privilege = |kind| matches!(kind, Kind::Privilege | Kind::DefaultPrivilege);
            changes.retain(|change| !privilege(change.kind) || !is_about(&change.sql, &role.name));
        }
        for change in &mut changes {
            change.sql = filled(&change.sql, schema.as_str());
            change.name = filled(&change.name, schema.as_str());
        }
        Ok(changes)
    }

    /// Runs what mends the tenant, all or nothing; what loses data only if `lossy`. Gives what was run.
    pub async fn mend(
        &self,
        schema: &SchemaName,
        source: &Blueprint,
        lossy: bool,
    ) -> Result<(Vec<Change>, Vec<Change>), Error> {
        let changes = self.diff(schema, source).await?;
        let (run, left): (Vec<_>, Vec<_>) = changes.into_iter().partition(|change| {
            change.why_not.is_none() && !change.sql.is_empty() && (lossy || !change.loses_data)
        });
        self.grant_role(schema).await?;
        if run.is_empty() {
            return Ok((run, left));
        }
        let path = search_path(self.settings().path(schema.as_str(), &source.source));
        let mut sql = format!(
            "BEGIN; SET LOCAL client_min_messages = warning; SET LOCAL check_function_bodies = off;\n\
             SET LOCAL lock_timeout = {}; {}; SET LOCAL search_path = {path};\n",
            self.settings().lock_timeout.as_millis(),
            lock(schema.as_str(), false),
        );
        for change in &run {
            sql += &change.sql;
            sql += ";\n";
        }
        sql += &format!("SET LOCAL search_path = pg_catalog;\n{};\nCOMMIT", source.proof());
        let client = self.client().await?;
        self.persistently(&client, &sql).await.map_err(Error::postgres(format!("mending \"{schema}\"")))?;
        Ok((run, left))
    }
}
