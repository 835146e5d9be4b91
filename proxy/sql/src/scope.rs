//! Whose SQL it is, and what the schemas hold that its names may mean.

use std::sync::Arc;

use foldhash::{HashMap, HashSet};

use pgstrata_tenancy::Strategy;

use super::builtin;
use super::keys::KeySpaces;
use super::level::Level;
use super::plan::SchemaRef;

/// All that a plan depends on besides the text. One for each tenant and user
/// policy, shared by its clients, replaced when the catalog changes.
#[derive(Clone, Debug)]
pub struct Scope {
    /// The tenant's name, for messages; `None` for a client with no tenant.
    pub tenant: Option<Box<str>>,
    /// The schema that unqualified names mean first.
    pub schema: Box<str>,
    /// The schemas behind it on the path, in order; the tenant may read them.
    pub shared: Arc<[Box<str>]>,
    /// The name of the database, for names of three parts.
    pub database: Box<str>,
    /// The role that statements run as: what `"$user"` would mean.
    pub role: Box<str>,
    /// The way that is wanted where both are possible.
    pub strategy: Strategy,
    /// SQL that carries SQL (`DO`, function bodies, `query_to_xml` ...) is let through.
    pub dynamic_sql: bool,
    /// What kinds of statements are let through at all.
    pub statements: Level,
    /// Writes and DDL in shared schemas are let through.
    pub shared_writes: bool,
    /// Tables that are not where the path would find them, sorted by the names that statements use.
    pub moved: Arc<[Moved]>,
    /// The catalog shows no object of another schema.
    pub hide_others: bool,
    /// Whose channels, advisory locks and prepared transactions are.
    pub keys: KeySpaces,
    /// What the schemas hold. `None` until what all tenants share is loaded; nothing is spliced by names that are
    /// not [`Currency::Current`].
    pub names: Option<Arc<Names>>,
    /// Functions that the administrator has listed: `name` or `schema.name`.
    pub trusted_functions: Arc<[Box<str>]>,
    /// Parameters that clients may not set, in lower case.
    pub locked_settings: Arc<[Box<str>]>,
    /// Time-outs may be set lower only: see [`super::limits`].
    pub limits_time: bool,
    /// Functions that all tenants can call. `None` until they are loaded.
    pub functions: Option<Arc<CommonFunctions>>,
}

impl Scope {
    /// Whether its rules are those of the other, whatever is known of the schemas.
    pub fn has_the_rules_of(&self, other: &Self) -> bool {
        // All of them by name: a rule that is added must be added here.
        let Self {
            tenant,
            schema,
            shared,
            database,
            role,
            strategy,
            dynamic_sql,
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
            && *statements == other.statements
            && *shared_writes == other.shared_writes
            && *moved == other.moved
            && *hide_others == other.hide_others
            && *keys == other.keys
            && *trusted_functions == other.trusted_functions
            && *locked_settings == other.locked_settings
            && *limits_time == other.limits_time
    }

    /// The schemas on the path, in their order.
    pub fn path(&self) -> impl Iterator<Item = &str> {
        let shared = self.shared.iter().map(|schema| &**schema).filter(|schema| **schema != *self.schema);
        std::iter::once(&*self.schema).chain(shared)
    }

    /// Whether clients may not set the parameter of this name, in lower case.
    pub fn locks(&self, name: &str) -> bool {
        self.locked_settings.iter().any(|locked| **locked == *name)
    }

    /// Whether a client's own search path may name this schema.
    pub fn may_be_on_path(&self, name: &str) -> bool {
        [&*self.schema, "pg_catalog", "pg_temp", ""].contains(&name)
            || name == "information_schema" && !self.hide_others
            || self.shared.iter().any(|shared| **shared == *name)
    }

    /// Where the table is kept that statements call `name`, with its index, if not where the
    /// path would find it.
    pub fn moved(&self, name: &str) -> Option<(u16, &Moved)> {
        let index = self.moved.binary_search_by(|moved| (*moved.name).cmp(name)).ok()?;
        Some((u16::try_from(index).ok()?, self.moved.get(index)?))
    }

    /// Whether [`Scope::names`] says what the schemas hold now, as far as the proxy has heard.
    pub fn is_current(&self) -> bool {
        self.names.as_ref().is_some_and(|names| names.currency == Currency::Current)
    }

    /// Whether some schema on the path is to be read only: what a name means then decides.
    pub fn guards_shared(&self) -> bool {
        !self.shared_writes && self.shared.iter().any(|shared| *shared != self.schema)
    }

    /// Whether the first schema of the path is read only itself, being one that is shared: for a client
    /// with no tenant.
    pub fn is_read_only(&self) -> bool {
        !self.shared_writes && self.shared.contains(&self.schema)
    }

    /// Whether objects of this schema may be written, temporary ones left aside.
    pub fn may_write(&self, schema: &str) -> bool {
        let own = *schema == *self.schema && !self.is_read_only();
        own || self.shared_writes && self.shared.iter().any(|shared| **shared == *schema)
    }
}

/// A table that is kept elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The name that statements use.
    pub name: Box<str>,
    /// The schema that it is in.
    pub schema: SchemaRef,
    /// Its name there.
    pub table: Box<str>,
}

/// What the schemas on one path hold.
#[derive(Clone, Debug)]
pub struct Names {
    /// The tenant's schema.
    pub tenant: Arc<SchemaNames>,
    /// The shared schemas, as [`Scope::shared`] orders them.
    pub shared: Vec<Arc<SchemaNames>>,
    /// `pg_catalog`.
    pub builtin: Arc<Builtins>,
    /// What of it may be relied on.
    pub currency: Currency,
}

/// What may be relied on of [`Names`]. By names that are not current nothing is spliced and nothing is refused that
/// they have not; targets are named with the tenant's schema, or PostgreSQL is asked about them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Currency {
    /// All of it, as far as the proxy has heard.
    #[default]
    Current,
    /// The tenant has run DDL since. What no tenant can make holds still: code whose arguments nobody can judge.
    Overtaken,
    /// Nothing about the tenant's schema, which they show as an empty one.
    SharedOnly,
}

/// What one schema holds.
#[derive(Clone, Debug, Default)]
pub struct SchemaNames {
    /// Tables, views, sequences ... by name. Indexes and composite types are left out.
    pub relations: HashMap<Box<str>, Relation>,
    /// The names of its functions, procedures and aggregates.
    pub functions: HashSet<Box<str>>,
    /// The names of its types, the row types of its relations left out.
    pub types: HashSet<Box<str>>,
    /// Functions in C that no known extension brought: what they do with their arguments is not known.
    pub unknown_code: HashSet<Box<str>>,
    /// It holds operators, casts' operator classes or collations of its own.
    pub has_operators: bool,
    /// Some table in it has a trigger or rule that runs a user's function.
    pub has_triggers: bool,
    /// The relations through which others are written or locked, and the schemas of those.
    pub outward: HashMap<Box<str>, Vec<Box<str>>>,
}

/// A relation of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relation {
    /// `pg_class.relkind`.
    pub kind: u8,
    /// Nothing behind it resolves names at run time: no trigger, rule or policy
    /// with a user's function, no user function in a default, check or index,
    /// and, if it is a view, the same for all that it reads.
    pub plain: bool,
}

impl Relation {
    /// Whether its rows are its own: whatever is written to it is not written elsewhere, but for what its
    /// rules do.
    pub fn is_table(&self) -> bool {
        matches!(self.kind, b'r' | b'p' | b'f' | b'S' | b'm')
    }
}

/// Functions that every tenant can call, as they were when they were last looked at: a tenant changes none of them.
#[derive(Clone, Debug, Default)]
pub struct CommonFunctions {
    /// What `pg_catalog` holds.
    pub builtin: Arc<Builtins>,
    /// What the shared schemas hold, in their order.
    pub shared: Vec<Arc<SchemaNames>>,
}

/// What `pg_catalog` holds.
#[derive(Clone, Debug, Default)]
pub struct Builtins {
    /// Relations, by name.
    pub relations: HashSet<Box<str>>,
    /// Functions and aggregates, by name.
    pub functions: HashSet<Box<str>>,
    /// Those that answer in the same way under each path.
    pub steady: HashSet<Box<str>>,
    /// Types, by name.
    pub types: HashSet<Box<str>>,
}

impl Builtins {
    /// A function, or all of one name; `immutable`: so PostgreSQL has each of them.
    pub fn add_function(&mut self, name: Box<str>, immutable: bool) {
        if !builtin::depends_on_path(&name, immutable) {
            self.steady.insert(name.clone());
        }
        self.functions.insert(name);
    }
}

/// How the bytes of the text are to be read, and what the session has done before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextMode {
    /// The session's `standard_conforming_strings`.
    pub standard_conforming_strings: bool,
    /// The client has a `search_path` of its own in force: nothing is spliced.
    pub own_path: bool,
    /// That path, if there is one, begins with the tenant's schema.
    pub tenant_first: bool,
    /// The transaction has changed what the schemas hold: nothing is spliced.
    pub stale_names: bool,
    /// The client may hold temporary tables, which shadow the tenant's: nothing is spliced.
    pub temp_tables: bool,
    /// What `EXECUTE` would run may write.
    pub replays_write: bool,
    /// Others of the extended protocol may run behind it before its `Sync`.
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
