//! The input of a plan besides the text: tenant, permissions, and the catalog of the schemas.

use std::sync::Arc;

use foldhash::{HashMap, HashSet};

use pgstrata_tenancy::Strategy;

use super::builtin;
use super::keys::KeySpaces;
use super::level::Level;
use super::plan::SchemaRef;

/// Everything that a plan depends on besides the text. There is one scope for each tenant and user policy. Its
/// clients share it, and it is replaced when the catalog changes.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The tenant's name, for messages; `None` for a client without a tenant.
    pub tenant: Option<Box<str>>,
    /// The first schema on the path of unqualified names.
    pub schema: Box<str>,
    /// The schemas behind it on the path, in order; the tenant may read them.
    pub shared: Arc<[Box<str>]>,
    /// The name of the database, for names with three parts.
    pub database: Box<str>,
    /// The role that statements run as: the meaning of `"$user"`.
    pub role: Box<str>,
    /// The preferred strategy, if both are possible.
    pub strategy: Strategy,
    /// Whether dynamic SQL (`DO`, function bodies, `query_to_xml` ...) is allowed.
    pub dynamic_sql: bool,
    /// Whether large objects, which belong to the database, are allowed.
    pub large_objects: bool,
    /// The kinds of statements that are allowed.
    pub statements: Level,
    /// Whether writes and DDL in shared schemas are allowed.
    pub shared_writes: bool,
    /// The remapped tables, sorted by the names that statements use.
    pub moved: Arc<[Moved]>,
    /// The catalog shows no object of another schema.
    pub hide_others: bool,
    /// Whether channels, advisory locks and prepared transactions are private to the tenant.
    pub keys: KeySpaces,
    /// The catalog of the schemas. `None` until the shared schemas are loaded. Names are spliced only if the catalog
    /// is [`Currency::Current`].
    pub names: Option<Arc<Names>>,
    /// Functions that the administrator trusts: `name` or `schema.name`.
    pub trusted_functions: Arc<[Box<str>]>,
    /// Parameters that clients may not set, in lower case.
    pub locked_settings: Arc<[Box<str>]>,
    /// Whether time-outs may only be lowered: see [`super::limits`].
    pub limits_time: bool,
    /// The functions that all tenants can call. `None` until they are loaded.
    pub functions: Option<Arc<CommonFunctions>>,
}

impl Scope {
    /// Whether both scopes have the same rules, whatever catalog they have.
    pub fn has_the_rules_of(&self, other: &Self) -> bool {
        // All fields by name, so that a new rule must be added here.
        let Self {
            tenant,
            schema,
            shared,
            database,
            role,
            strategy,
            dynamic_sql,
            large_objects,
            statements,
            shared_writes,
            moved,
            hide_others,
            keys,
            trusted_functions,
            locked_settings,
            limits_time,
            names: _,
            functions: _,
        } = self;
        *tenant == other.tenant
            && *schema == other.schema
            && *shared == other.shared
            && *database == other.database
            && *role == other.role
            && *strategy == other.strategy
            && *dynamic_sql == other.dynamic_sql
            && *large_objects == other.large_objects
            && *statements == other.statements
            && *shared_writes == other.shared_writes
            && *moved == other.moved
            && *hide_others == other.hide_others
            && *keys == other.keys
            && *trusted_functions == other.trusted_functions
            && *locked_settings == other.locked_settings
            && *limits_time == other.limits_time
    }

    /// The schemas on the path, in order.
    pub fn path(&self) -> impl Iterator<Item = &str> {
        let shared = self.shared.iter().map(|schema| &**schema).filter(|schema| **schema != *self.schema);
        std::iter::once(&*self.schema).chain(shared)
    }

    /// Whether clients may not set this parameter (name in lower case).
    pub fn locks(&self, name: &str) -> bool {
        self.locked_settings.iter().any(|locked| **locked == *name)
    }

    /// Whether a client's own search path may name this schema.
    pub fn may_be_on_path(&self, name: &str) -> bool {
        [&*self.schema, "pg_catalog", "pg_temp", ""].contains(&name)
            || name == "information_schema" && !self.hide_others
            || self.shared.iter().any(|shared| **shared == *name)
    }

    /// The remapped table for the name `name`, with its index, if there is one.
    pub fn moved(&self, name: &str) -> Option<(u16, &Moved)> {
        let index = self.moved.binary_search_by(|moved| (*moved.name).cmp(name)).ok()?;
        Some((u16::try_from(index).ok()?, self.moved.get(index)?))
    }

    /// Whether [`Scope::names`] is the current catalog of the schemas, as far as the proxy knows.
    pub fn is_current(&self) -> bool {
        self.names.as_ref().is_some_and(|names| names.currency == Currency::Current)
    }

    /// Whether a schema on the path is read-only, so that the meaning of a name decides.
    pub fn guards_shared(&self) -> bool {
        !self.shared_writes && self.shared.iter().any(|shared| *shared != self.schema)
    }

    /// Whether the first schema of the path is itself read-only because it is shared: for a client without a tenant.
    pub fn is_read_only(&self) -> bool {
        !self.shared_writes && self.shared.contains(&self.schema)
    }

    /// Whether objects of this schema may be written; temporary objects are not considered.
    pub fn may_write(&self, schema: &str) -> bool {
        let own = *schema == *self.schema && !self.is_read_only();
        own || self.shared_writes && self.shared.iter().any(|shared| **shared == *schema)
    }
}

/// A remapped table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The name that statements use.
    pub name: Box<str>,
    /// The schema that contains the table.
    pub schema: SchemaRef,
    /// The table's real name.
    pub table: Box<str>,
}

/// The catalog of the schemas on one path.
#[derive(Clone, Debug)]
pub struct Names {
    /// The tenant's schema.
    pub tenant: Arc<SchemaNames>,
    /// The shared schemas, in the order of [`Scope::shared`].
    pub shared: Vec<Arc<SchemaNames>>,
    /// `pg_catalog`.
    pub builtin: Arc<Builtins>,
    /// How far the catalog can be relied on.
    pub currency: Currency,
}

/// How far [`Names`] can be relied on. Names that are not current are not spliced, and a name that they lack is not
/// refused for that. Targets get the tenant's schema in front, or are checked in PostgreSQL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Currency {
    /// Everything, as far as the proxy knows.
    #[default]
    Current,
    /// The tenant has run DDL since. Only facts that no tenant can change are reliable: which functions have unknown
    /// code.
    Overtaken,
    /// Nothing about the tenant's schema, which appears as an empty one.
    SharedOnly,
}

/// The catalog of one schema.
#[derive(Clone, Debug, Default)]
pub struct SchemaNames {
    /// Tables, views, sequences and so on, by name, without indexes and composite types.
    pub relations: HashMap<Box<str>, Relation>,
    /// The names of its functions, procedures and aggregates.
    pub functions: HashSet<Box<str>>,
    /// The names of its types, without the row types of its relations.
    pub types: HashSet<Box<str>>,
    /// Functions in C that belong to no known extension, so that the use of their arguments is unknown.
    pub unknown_code: HashSet<Box<str>>,
    /// Whether it contains operators, operator classes or collations.
    pub has_operators: bool,
    /// Whether a table in it has a trigger or rule that runs a user's function.
    pub has_triggers: bool,
    /// Whether a table in it has a foreign key to another schema. A tenant cannot create one to a schema that it may
    /// not write.
    pub refers_outward: bool,
    /// The relations through which other relations are written or locked, with the schemas of those.
    pub outward: HashMap<Box<str>, Vec<Box<str>>>,
}

/// A relation of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relation {
    /// `pg_class.relkind`.
    pub kind: u8,
    /// Whether no code behind the relation resolves names at run time: no trigger, rule or policy with a user's
    /// function, and no user function in a default, check or index. A view also requires this of all relations that
    /// it reads.
    pub plain: bool,
}

impl Relation {
    /// Whether the relation stores its own rows: a write to it goes nowhere else, except by its rules.
    pub fn is_table(&self) -> bool {
        matches!(self.kind, b'r' | b'p' | b'f' | b'S' | b'm')
    }
}

/// The functions that every tenant can call, as of the last load. No tenant can change them.
#[derive(Clone, Debug, Default)]
pub struct CommonFunctions {
    /// The catalog of `pg_catalog`.
    pub builtin: Arc<Builtins>,
    /// The catalog of the shared schemas, in order.
    pub shared: Vec<Arc<SchemaNames>>,
}

/// The catalog of `pg_catalog`.
#[derive(Clone, Debug, Default)]
pub struct Builtins {
    /// Relations, by name.
    pub relations: HashSet<Box<str>>,
    /// Functions and aggregates, by name.
    pub functions: HashSet<Box<str>>,
    /// Functions whose result does not depend on the path.
    pub steady: HashSet<Box<str>>,
    /// Types, by name.
    pub types: HashSet<Box<str>>,
}

impl Builtins {
    /// Adds a function, or all functions of one name; `immutable`: all of them are declared immutable.
    pub fn add_function(&mut self, name: Box<str>, immutable: bool) {
        if !builtin::depends_on_path(&name, immutable) {
            self.steady.insert(name.clone());
        }
        self.functions.insert(name);
    }
}

/// How to read the bytes of the text, and the state of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextMode {
    /// The session's `standard_conforming_strings`.
    pub standard_conforming_strings: bool,
    /// The client has set its own `search_path`: nothing is spliced.
    pub own_path: bool,
    /// That path, if there is one, begins with the tenant's schema.
    pub tenant_first: bool,
    /// The transaction has changed the catalog: nothing is spliced.
    pub stale_names: bool,
    /// The client may have temporary tables, which hide the tenant's: nothing is spliced.
    pub temp_tables: bool,
    /// Whether the statement that `EXECUTE` runs may write.
    pub replays_write: bool,
    /// Whether other statements of the extended protocol may run behind it before its `Sync`.
    pub pipelined: bool,
}

impl Default for TextMode {
    fn default() -> Self {
        Self {
            standard_conforming_strings: true,
            own_path: false,
            tenant_first: true,
            stale_names: false,
            temp_tables: false,
            replays_write: true,
            pipelined: false,
        }
    }
}
