//! The parts that a schema is made of, each with the SQL that makes it and the SQL that takes it away.

use std::fmt;

use pgstrata_tenancy::ident::quoted;
use serde::Serialize;

/// An object of PostgreSQL's: its catalog and its id in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ObjectId {
    /// The catalog's own id: `pg_class` and so on.
    pub class: u32,
    /// The object's.
    pub oid: u32,
}

/// What an item is. Of items that do not depend on each other, those of an earlier kind are made first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A cast.
    Cast,
    /// A base type that has no functions yet.
    Shell,
    /// A collation.
    Collation,
    /// An enum, a domain, a range, a base or a composite type.
    Type,
    /// A constraint of a domain.
    DomainConstraint,
    /// A function or procedure.
    Function,
    /// An operator.
    Operator,
    /// An operator family.
    OperatorFamily,
    /// An operator class, or more operators for a family.
    OperatorClass,
    /// An aggregate.
    Aggregate,
    /// A conversion between encodings.
    Conversion,
    /// A parser, template, dictionary or configuration of text search.
    TextSearch,
    /// A sequence that is no column's identity.
    Sequence,
    /// A table, partitioned or foreign ones too.
    Table,
    /// How a table is stored and what it inherits.
    Tail,
    /// A column.
    Column,
    /// A column's identity.
    Identity,
    /// A column's `NOT NULL`.
    NotNull,
    /// A column's default.
    Default,
    /// A partition in its table.
    Attach,
    /// A check constraint.
    Check,
    /// A primary key, unique or exclusion constraint.
    Key,
    /// An index.
    Index,
    /// An index of a partition in its table's.
    AttachIndex,
    /// A view.
    View,
    /// A materialized view.
    MaterializedView,
    /// Extended statistics.
    Statistics,
    /// A rule.
    Rule,
    /// The column that a sequence goes with.
    Owned,
    /// Rows that are copied.
    Seed,
    /// A foreign key.
    ForeignKey,
    /// A trigger.
    Trigger,
    /// A policy.
    Policy,
    /// Something that is set on an object which is there.
    Setting,
    /// A comment.
    Comment,
    /// An owner.
    Owner,
    /// A privilege that is not as it was at first.
    Privilege,
    /// A privilege on what is yet to be made.
    DefaultPrivilege,
    /// A materialized view's rows.
    Refresh,
}

/// One part of a schema. Names in its SQL have no schema where the source's is meant.
#[derive(Clone, Debug)]
pub struct Item {
    /// What it is.
    pub kind: Kind,
    /// Its name among those of its kind, quoted as in SQL.
    pub name: String,
    /// What others know it by.
    pub ids: Vec<ObjectId>,
    /// What it is a part of, or hangs on: with that it is dropped.
    pub of: Option<ObjectId>,
    /// What has to be there before it.
    pub needs: Vec<ObjectId>,
    /// Makes it. [`SCHEMA`] stands for the tenant's schema, quoted.
    pub create: Create,
    /// Takes it away.
    pub drop: String,
}

/// Stands for the tenant's schema where SQL has to name it: no text of PostgreSQL's has a NUL.
pub const SCHEMA: &str = "\0";

/// The same within a string, `'..'`.
pub const SCHEMA_IN_STRING: &str = "\0'";

/// The same within a string that is a format.
pub const SCHEMA_IN_FORMAT: &str = "\0%";

/// Stands for the dollars around a function's body in which [`SCHEMA`] is, as that may have any text in its name.
pub const QUOTE: &str = "\0$";

/// The SQL for a tenant whose schema is `name`.
pub fn filled(sql: &str, name: &str) -> String {
    let name = quoted(name);
    let mut dollars = "$pgstrata$".to_owned();
    while sql.contains(&dollars) || name.contains(&dollars) {
        dollars.insert(1, 'x');
    }
    let in_string = name.replace('\'', "''");
    sql.replace(QUOTE, &dollars)
        .replace(SCHEMA_IN_FORMAT, &in_string.replace('%', "%%"))
        .replace(SCHEMA_IN_STRING, &in_string)
        .replace(SCHEMA, &name)
}

/// How an item is made.
#[derive(Clone, Debug)]
pub enum Create {
    /// By one statement or several.
    Sql(String),
    /// By one statement that has parts, which can also come later: `head (parts) tail`.
    Whole(Whole),
    /// A view, of which there can be an empty shell first.
    View {
        /// With the same columns, and nothing that it depends on but their types.
        shell: String,
        /// These.
        shell_needs: Vec<ObjectId>,
        /// The view itself.
        create: String,
        /// The view in the place of its shell.
        replace: String,
    },
}

/// A statement with parts.
#[derive(Clone, Debug)]
pub struct Whole {
    /// In front of them.
    pub head: String,
    /// The bracket that is around them, if they are in one: a table's are, a domain's not.
    pub brackets: bool,
    /// Its parts, in order.
    pub parts: Vec<Part>,
    /// Behind them.
    pub tail: String,
}

/// What can stand in the statement that makes its table, or in one of its own.
#[derive(Clone, Debug)]
pub struct Part {
    /// What it is.
    pub kind: Kind,
    /// Its name among those of its kind.
    pub name: String,
    /// What others know it by; none for what no other depends on.
    pub id: Option<ObjectId>,
    /// What has to be there before it.
    pub needs: Vec<ObjectId>,
    /// In the statement of its table; empty if it can't stand there.
    pub inline: String,
    /// It goes on with the part before it: `NOT NULL` behind its column.
    pub continues: bool,
    /// By itself.
    pub separate: String,
    /// Takes it away.
    pub drop: String,
}

impl Item {
    /// An item that one statement makes.
    pub fn new(
        kind: Kind,
        name: impl Into<String>,
        create: impl Into<String>,
        drop: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            name: name.into(),
            ids: Vec::new(),
            of: None,
            needs: Vec::new(),
            create: Create::Sql(create.into()),
            drop: drop.into(),
        }
    }

    /// The same, known by `id` as well.
    pub fn id(mut self, id: ObjectId) -> Self {
        self.ids.push(id);
        self
    }

    /// The same, which comes after `id`; the first one that is named is what it hangs on.
    pub fn after(mut self, id: ObjectId) -> Self {
        self.of.get_or_insert(id);
        self.needs.push(id);
        self
    }

    /// What it and its parts need.
    pub fn all_needs(&self) -> Vec<ObjectId> {
        let parts = match &self.create {
            Create::Whole(whole) => whole.parts.as_slice(),
            _ => &[],
        };
        self.needs.iter().chain(parts.iter().flat_map(|part| &part.needs)).copied().collect()
    }

    /// All that makes it.
    pub fn sql(&self) -> String {
        match &self.create {
            Create::Sql(sql) | Create::View { create: sql, .. } => sql.clone(),
            Create::Whole(whole) => whole.sql(),
        }
    }
}

impl Whole {
    fn sql(&self) -> String {
        let mut parts = String::new();
        for part in self.parts.iter().filter(|part| !part.inline.is_empty()) {
            let between = match part.continues || !self.brackets {
                _ if parts.is_empty() => "",
                true => " ",
                false => ", ",
            };
            parts.push_str(between);
            parts.push_str(&part.inline);
        }
        match self.brackets {
            true => format!("{} ({parts}){}", self.head, self.tail),
            false if parts.is_empty() => format!("{}{}", self.head, self.tail),
            false => format!("{} {parts}{}", self.head, self.tail),
        }
    }
}

impl fmt::Display for Kind {
    /// In words: `materialized view`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = format!("{self:?}");
        let spaced = |(at, c): (usize, char)| {
            let space = (at > 0 && c.is_ascii_uppercase()).then_some(' ');
            space.into_iter().chain([c.to_ascii_lowercase()])
        };
        f.pad(&name.chars().enumerate().flat_map(spaced).collect::<String>())
    }
}

impl Kind {
    /// Whether it is a part of a table or a domain.
    pub fn is_part(self) -> bool {
        matches!(
            self,
            Self::Tail
                | Self::Column
                | Self::Identity
                | Self::NotNull
                | Self::Default
                | Self::Check
                | Self::Key
                | Self::DomainConstraint
        )
    }

    /// Whether it has such parts.
    pub fn is_whole(self) -> bool {
        matches!(self, Self::Table | Self::Type)
    }
}
