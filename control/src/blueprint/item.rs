//! The definitions of a schema, each with the SQL that creates it and the SQL that drops it.

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

/// The kind of an item. Independent items are created in the order of their kinds.
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
    /// The storage of a table, and its parents.
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
    /// The column that owns a sequence.
    Owned,
    /// Rows that are copied.
    Seed,
    /// A foreign key.
    ForeignKey,
    /// A trigger.
    Trigger,
    /// A policy.
    Policy,
    /// A setting of an existing object.
    Setting,
    /// A comment.
    Comment,
    /// An owner.
    Owner,
    /// A privilege that differs from the default.
    Privilege,
    /// A default privilege for future objects.
    DefaultPrivilege,
    /// A materialized view's rows.
    Refresh,
}

/// One definition of a schema. Names of the source's objects are unqualified in its SQL.
#[derive(Clone, Debug)]
pub struct Item {
    /// The kind of the item.
    pub kind: Kind,
    /// Its name among those of its kind, quoted as in SQL.
    pub name: String,
    /// The ids under which other items depend on it.
    pub ids: Vec<ObjectId>,
    /// The object that it belongs to, and with which it is dropped.
    pub of: Option<ObjectId>,
    /// The objects that must exist before it.
    pub needs: Vec<ObjectId>,
    /// Creates it. [`SCHEMA`] is the placeholder of the tenant's schema, quoted.
    pub create: Create,
    /// Drops it.
    pub drop: String,
}

/// The placeholder of the tenant's schema: PostgreSQL's texts never contain a NUL.
pub const SCHEMA: &str = "\0";

/// The same in a string, `'..'`.
pub const SCHEMA_IN_STRING: &str = "\0'";

/// The same in a format string.
pub const SCHEMA_IN_FORMAT: &str = "\0%";

/// The placeholder of the dollar quotes around a function's body that contains [`SCHEMA`], because the schema may
/// have any name.
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

/// How an item is created.
#[derive(Clone, Debug)]
pub enum Create {
    /// By one statement or several.
    Sql(String),
    /// By one statement with parts, which can also be added later: `head (parts) tail`.
    Whole(Whole),
    /// A view, for which a placeholder can be created first.
    View {
        /// A view with the same columns, which depends only on their types.
        shell: String,
        /// These types.
        shell_needs: Vec<ObjectId>,
        /// The view itself.
        create: String,
        /// The view, replacing its placeholder.
        replace: String,
    },
}

/// A statement with parts.
#[derive(Clone, Debug)]
pub struct Whole {
    /// In front of them.
    pub head: String,
    /// Whether brackets are around the parts: for a table, not for a domain.
    pub brackets: bool,
    /// Its parts, in order.
    pub parts: Vec<Part>,
    /// Behind them.
    pub tail: String,
}

/// A part of the statement that creates a table, or a separate statement.
#[derive(Clone, Debug)]
pub struct Part {
    /// The kind of the part.
    pub kind: Kind,
    /// Its name among those of its kind.
    pub name: String,
    /// The id under which other items depend on it, if any can.
    pub id: Option<ObjectId>,
    /// The objects that must exist before it.
    pub needs: Vec<ObjectId>,
    /// In the statement of its table; empty if that is not possible.
    pub inline: String,
    /// It continues the previous part: `NOT NULL` behind its column.
    pub continues: bool,
    /// By itself.
    pub separate: String,
    /// Drops it.
    pub drop: String,
}

impl Item {
    /// An item that one statement creates.
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

    /// The same, with the additional id `id`.
    pub fn id(mut self, id: ObjectId) -> Self {
        self.ids.push(id);
        self
    }

    /// The same, created after `id`; the first one is the object that it belongs to.
    pub fn after(mut self, id: ObjectId) -> Self {
        self.of.get_or_insert(id);
        self.needs.push(id);
        self
    }

    /// The dependencies of the item and its parts.
    pub fn all_needs(&self) -> Vec<ObjectId> {
        let parts = match &self.create {
            Create::Whole(whole) => whole.parts.as_slice(),
            _ => &[],
        };
        self.needs.iter().chain(parts.iter().flat_map(|part| &part.needs)).copied().collect()
    }

    /// The complete SQL that creates it.
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

    /// Whether it can have such parts.
    pub fn is_whole(self) -> bool {
        matches!(self, Self::Table | Self::Type)
    }
}
