//! The analysis of a normalized query, independent of the tenant: the part of a plan that is cached.

use std::ops::Range;

use super::form::FormId;
use super::level::StatementClass;
use super::opens::Opens;
use super::plan::{PinReason, StatementKind};

/// The analysis of all texts that differ in literals and comments only. Positions are token numbers, so that they are
/// valid whatever the literals are.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// The statements, without empty ones.
    pub statements: Box<[StatementShape]>,
    /// The normalized query.
    pub form: FormId,
    /// How far the whole text depends on the path.
    pub way: Way,
    /// Unqualified relations that are not CTEs.
    pub relations: Box<[Named]>,
    /// Schema-qualified relations: schema and name.
    pub qualified: Box<[Qualified]>,
    /// Unqualified functions.
    pub functions: Box<[Box<str>]>,
    /// Whether one of the functions is called with arguments: a new function of the same name could match them
    /// better.
    pub arguments: bool,
    /// The last parts of dotted column references, which may be function calls.
    pub columns: Box<[Box<str>]>,
    /// Unqualified types that are not built into the grammar.
    pub types: Box<[Box<str>]>,
    /// Whether the text contains operators, which a schema may overload.
    pub operators: bool,
    /// The conditions of the guard, to be evaluated in a scope.
    pub demands: Box<[Demand]>,
    /// The names and numbers that all schemas of a database share, in the order of the text.
    pub keys: Box<[Key]>,
    /// Whether the text may show the row values in `pg_attribute`.
    pub missing_values: bool,
    /// PostgreSQL's grammar cannot parse the text: the other fields are unknown, and the text must not run. A literal
    /// may be the cause (`E'\\xff'`), so such a shape is not cached.
    pub unreadable: bool,
}

/// A name or number that all schemas of a database share, and its tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// A whole `LISTEN`, which is never sent to a server.
    Listen {
        /// The statement's tokens.
        tokens: Range<usize>,
    },
    /// A whole statement without effect: it sets the current role again, resets to it, or creates the schema that
    /// exists.
    Idle {
        /// The statement's tokens.
        tokens: Range<usize>,
    },
    /// The name of a channel.
    Channel(u32),
    /// An expression for a channel.
    ChannelArgument(Range<u32>),
    /// The expressions for the key of an advisory lock, or for its two keys.
    Lock {
        /// Their tokens.
        keys: Range<u32>,
        /// The comma between two keys.
        comma: Option<u32>,
    },
    /// The literal that identifies a prepared transaction.
    Transaction(u32),
    /// `pg_prepared_xacts`, of which only the tenant's rows may be read.
    Prepared {
        /// Its tokens.
        tokens: Range<u32>,
        /// Whether an alias follows.
        named: bool,
    },
    /// `pg_settings WHERE name = '..'`: the relation and the operator, both of which must be PostgreSQL's own.
    Setting(u32, u32),
    /// The argument of a function that opens the named object, which must be the tenant's or shared.
    Opened {
        /// Its tokens.
        argument: Range<u32>,
        /// The kind of object that the function opens.
        opens: Opens,
    },
    /// `pg_sequence`, of which only the tenant's rows may be read, at these tokens.
    Sequences(Range<u32>),
}

/// One statement of a shape.
#[derive(Clone, Debug)]
pub struct StatementShape {
    /// Its tokens.
    pub tokens: Range<usize>,
    /// The effect on the session. A [`super::plan::Setting`]'s value and an [`super::plan::Execution`]'s name are
    /// token ranges here.
    pub kind: StatementKind,
    /// The class of the statement, for the user's level.
    pub class: StatementClass,
    /// The reason why the statement pins the client, if it does.
    pub pin: Option<PinReason>,
    /// Whether it may write.
    pub writes: bool,
    /// Whether it changes the catalog.
    pub ddl: bool,
    /// The foreign keys that the statement may drop or create again.
    pub keys: KeyChange,
    /// Whether the statement may end a pin.
    pub frees: bool,
    /// Whether the statement calls a sequence function.
    pub draws: bool,
    /// How far the statement depends on the path.
    pub way: Way,
}

/// The foreign keys that a statement may drop or create again. PostgreSQL takes ACCESS EXCLUSIVE on the referenced
/// tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyChange {
    /// None.
    #[default]
    None,
    /// Those of the named tables, and of their partitions and inheritance children.
    Named,
    /// Those of any table in the schema.
    Any,
}

/// How far a statement depends on the search path, in increasing order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// Not at all.
    #[default]
    Free,
    /// By the listed names only.
    Names,
    /// In ways that are not listed.
    Path,
    /// Like `Path`, and the statement cannot run in a transaction block.
    Own,
}

/// The name of a relation and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The token.
    pub token: u32,
    /// The name, as PostgreSQL reads it.
    pub name: Box<str>,
    /// The name by which the rest of the statement refers to the relation.
    pub alias: Alias,
}

/// The schema-qualified name of a relation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Qualified {
    /// The schema.
    pub schema: Box<str>,
    /// The relation. Its token is that of the schema; the name itself is two tokens further.
    pub named: Named,
}

/// The name by which a statement refers to a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alias {
    /// The alias behind the relation.
    Given,
    /// The relation's own name; an alias could follow.
    Name,
    /// No name, and no alias may follow: `COPY t`, `TRUNCATE t`, `TABLE t`.
    None,
    /// The relation's own name, and no alias may follow directly: `ONLY (t)`, `t *`.
    Fixed,
}

/// A condition of the guard, to be evaluated in a scope.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Demand {
    /// A dotted name that starts with a schema (or, with three parts, a database).
    Schema {
        /// The first part.
        first: Box<str>,
        /// The second part, if there are three or more.
        second: Option<Box<str>>,
    },
    /// A relation or other object that is written or changed.
    Write(Write),
    /// Views whose privileges are checked after the statement: a view over objects that the tenant may not write
    /// loses its write privileges.
    Seal {
        /// The written schema of the view, or the schema whose views are all checked.
        schema: Option<Box<str>>,
        /// The view; none: all views of the schema.
        name: Option<Box<str>>,
        /// A token of the statement.
        token: u32,
        /// The schema of a view without a written schema.
        site: Site,
    },
    /// All objects of a schema are changed.
    WriteSchema(Box<str>),
    /// Never allowed.
    Never {
        /// The refused action, as it follows "may not" in the message.
        what: Box<str>,
        /// The remedy.
        hint: Option<&'static str>,
    },
    /// A prepared statement or a cursor would get this name, which is reserved for the proxy.
    Reserved(Box<str>),
    /// A cursor with a name that no client can have created.
    NoCursor(Box<str>),
    /// The text is too complex to analyse.
    TooComplex,
    /// The definition of an operator makes another operator its commutator or negator, and thereby changes that one.
    /// The value is the other operator's schema, if it is written.
    Operator(Option<Box<str>>),
    /// A large object function is called.
    LargeObject(Box<str>),
    /// Allowed with `dynamic_sql` only.
    Dynamic(Box<str>),
    /// A function that is not a known function of `pg_catalog`.
    Function {
        /// The written schema of the function.
        schema: Option<Box<str>>,
        /// Its name.
        name: Box<str>,
        /// It is a trigger function with arguments.
        trigger_arguments: bool,
    },
    /// The token may be a relation of which the tenant may read only its own rows.
    Filtered(u32),
    /// The role that becomes the owner of an object.
    Owner(Box<str>),
    /// `CREATE SCHEMA IF NOT EXISTS`: allowed for the tenant's own schema, which exists.
    KeptSchema(Box<str>),
    /// `pg_prepared_xacts` is read at a place where a subquery can replace it.
    OwnPrepared,
    /// Allowed if names of this kind may be used.
    Keys(KeyKind),
    /// The string literal at this token names an object.
    ObjectLiteral {
        /// The token.
        token: u32,
        /// The object is changed (`setval`).
        write: bool,
        /// Its oid is not accepted.
        by_name: bool,
    },
    /// The string literal at this token names a schema.
    SchemaLiteral(u32),
    /// `SET ROLE`, `SET SESSION AUTHORIZATION` and their `RESET` forms.
    Role {
        /// The setting.
        setting: Box<str>,
        /// The tokens of the value.
        value: Option<Range<usize>>,
    },
    /// A parameter of this name, in lower case, is set.
    Setting(Box<str>),
    /// The same in a function's clause.
    Clause(Box<str>),
    /// A value for `search_path`, at these tokens.
    Path(Range<usize>),
    /// A statement that was allowed under the tenant's own path runs again: its names must still have the same
    /// meaning.
    Replay,
    /// A call of `set_config`, whose first argument is this token.
    Config {
        /// The token.
        token: u32,
        /// The place of the call.
        place: ConfigPlace,
    },
}

/// The effect of a statement on an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Write {
    /// The written schema of the name.
    pub schema: Option<Box<str>>,
    /// The name.
    pub name: Box<str>,
    /// The first token of schema and name.
    pub token: u32,
    /// The kind of the object.
    pub object: Object,
    /// The action.
    pub act: Act,
    /// Whether the place certainly holds a target. Otherwise no prefix is inserted.
    pub sure: bool,
    /// When its name is resolved.
    pub resolved: Resolved,
}

/// When PostgreSQL resolves the name of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resolved {
    /// When the statement runs.
    AtOnce,
    /// At the `PREPARE` of its statement, and again at any `EXECUTE`.
    AtEachExecute,
    /// When stored code runs: a rule, a function's body.
    Later,
}

/// The schema of a view that is named without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Site {
    /// Where the statement creates it: the first schema of the path, or the schema of temporary objects.
    Made,
    /// The schema of temporary objects.
    Temporary,
    /// The schema where it exists.
    Found,
}

/// The kind of an object, as far as it matters for the lookup of its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Object {
    /// A table, view, sequence ...
    #[default]
    Relation,
    /// A type or domain.
    Type,
    /// A function or another routine, several of which may have one name.
    Routine,
    /// An index. Its name is not in the catalog, and may be that of a temporary table's index.
    Index,
    /// Of a kind whose names are not in the catalog: an operator, a collation ...
    Other,
}

/// An action on an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Act {
    /// It is created.
    Create,
    /// Its rows are written or locked; for a view, also those of the relations behind it.
    Rows,
    /// The object itself is changed or dropped.
    #[default]
    Change,
}

/// A kind of shared name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// `LISTEN`, `NOTIFY`.
    Channel,
    /// Advisory locks.
    Lock,
    /// Two-phase commit.
    Transaction,
}

/// The place of a call of `set_config`. The effect must be known at the time of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConfigPlace {
    /// In a `SELECT` with nothing else in it, which is equivalent to a `SET`.
    Alone,
    /// The same for the session, with a parameter for the value.
    Bound,
    /// The same for the transaction.
    BoundLocally,
    /// Somewhere in a statement.
    Inside,
    /// With a name that comes from `pg_settings` and is compared with a literal: this token.
    Known,
    /// In the body of a new object: it would take effect where the proxy cannot see it.
    Body,
}

impl Shape {
    /// The approximate size on the heap, in bytes.
    pub fn weight(&self) -> u64 {
        let names = |names: &[Box<str>]| names.iter().map(|n| n.len() + 16).sum::<usize>();
        let bytes = size_of::<Self>()
            + self.statements.len() * size_of::<StatementShape>()
            + self.relations.iter().map(|r| r.name.len() + size_of::<Named>()).sum::<usize>()
            + self
                .qualified
                .iter()
                .map(|q| q.schema.len() + q.named.name.len() + size_of::<Qualified>())
                .sum::<usize>()
            + names(&self.functions)
            + names(&self.columns)
            + names(&self.types)
            + self.demands.len() * (size_of::<Demand>() + 64)
            + self.keys.len() * size_of::<Key>();
        bytes as u64
    }
}
