//! What one shape of text needs, whoever's it is: the part of a plan that is cached.

use std::ops::Range;

use super::level::StatementClass;
use super::opens::Opens;
use super::plan::{PinReason, StatementKind};

/// What is known of all texts of one shape. Positions are token numbers, so
/// that it holds whatever the literals are.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    /// The statements, empty ones left out.
    pub statements: Box<[StatementShape]>,
    /// How much the text as a whole depends on the path.
    pub way: Way,
    /// Unqualified relations that are no CTEs.
    pub relations: Box<[Named]>,
    /// Relations with a schema: that schema, and the name.
    pub qualified: Box<[Qualified]>,
    /// Unqualified functions.
    pub functions: Box<[Box<str>]>,
    /// The last parts of column references with dots, which may mean a function.
    pub columns: Box<[Box<str>]>,
    /// Unqualified types that the grammar does not know.
    pub types: Box<[Box<str>]>,
    /// It has operators, which a schema may overload.
    pub operators: bool,
    /// What the guard asks of the scope.
    pub demands: Box<[Demand]>,
    /// Keys in it that all of the database shares, in the order of the text.
    pub keys: Box<[Key]>,
    /// It may show the values that `pg_attribute` holds of rows.
    pub missing_values: bool,
    /// PostgreSQL's grammar can't read it: nothing above is known of it, and it must not run. This may hang on a
    /// literal (`E'\\xff'`), so that such a shape is not kept.
    pub unreadable: bool,
}

/// A key that all of a database shares, and the tokens that it stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// All of a `LISTEN`, which no server gets to see.
    Listen {
        /// The statement's tokens.
        tokens: Range<usize>,
    },
    /// All of a statement that changes nothing: it sets the role that is in force, or goes back to it, or makes the schema
    /// that is there.
    Idle {
        /// The statement's tokens.
        tokens: Range<usize>,
    },
    /// The name of a channel.
    Channel(u32),
    /// An expression for one.
    ChannelArgument(Range<u32>),
    /// Expressions for the key of an advisory lock, or for its two keys.
    Lock {
        /// Their tokens.
        keys: Range<u32>,
        /// The token between two.
        comma: Option<u32>,
    },
    /// The literal that names a prepared transaction.
    Transaction(u32),
    /// `pg_prepared_xacts`, of which only the tenant's rows may be read.
    Prepared {
        /// Its tokens.
        tokens: Range<u32>,
        /// An alias stands behind it.
        named: bool,
    },
    /// `pg_settings WHERE name = '..'`, which must be PostgreSQL's own: the relation and the operator.
    Setting(u32, u32),
    /// The argument of a function that opens what it names, which must be the tenant's or shared.
    Opened {
        /// Its tokens.
        argument: Range<u32>,
        /// What the function opens.
        opens: Opens,
    },
    /// `pg_sequence`, of which only the tenant's rows may be read: these tokens.
    Sequences(Range<u32>),
}

/// One statement of a shape.
#[derive(Clone, Debug)]
pub struct StatementShape {
    /// Its tokens.
    pub tokens: Range<usize>,
    /// What it does; a [`super::plan::Setting`]'s value and an [`super::plan::Execution`]'s name are ranges
    /// of tokens here.
    pub kind: StatementKind,
    /// What it does, as far as a user's level is concerned.
    pub class: StatementClass,
    /// What of it ties the client to its server.
    pub pin: Option<PinReason>,
    /// Whether it may write.
    pub writes: bool,
    /// Whether it changes the catalog.
    pub ddl: bool,
    /// Whether it may end what a pin is for.
    pub frees: bool,
    /// Whether it calls a function of sequences.
    pub draws: bool,
    /// How much it depends on the path.
    pub way: Way,
}

/// How much a statement depends on the search path; the later, the more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// Not at all.
    #[default]
    Free,
    /// By the names in it and nothing else: all are listed.
    Names,
    /// In ways that are not listed.
    Path,
    /// As `Path`, and it can't run in a transaction block.
    Own,
}

/// A relation's name and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The token.
    pub token: u32,
    /// The name, as PostgreSQL reads it.
    pub name: Box<str>,
    /// What the rest of the statement calls it.
    pub alias: Alias,
}

/// A relation's name with its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Qualified {
    /// The schema.
    pub schema: Box<str>,
    /// The relation; its token is the schema's, and its own is two behind that.
    pub named: Named,
}

/// What a relation is called where it is not named in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alias {
    /// As the alias says that stands behind it.
    Given,
    /// As the relation itself is; an alias could stand behind it.
    Name,
    /// Nothing calls it, and no alias may stand there: `COPY t`, `TRUNCATE t`, `TABLE t`.
    None,
    /// As the relation itself is, and no alias may stand right behind it: `ONLY (t)`, `t *`.
    Fixed,
}

/// Something that the guard holds against the scope.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Demand {
    /// A chain of names that starts with a schema (or, with three parts, a database).
    Schema {
        /// The first part.
        first: Box<str>,
        /// The second of three or more.
        second: Option<Box<str>>,
    },
    /// A relation or other object that is written or changed.
    Write(Write),
    /// Views whose privileges are looked at once the statement has run: a view over what the tenant may
    /// not write loses those that it would be written with.
    Seal {
        /// The schema that is written in front of the view, or whose views all of them are.
        schema: Option<Box<str>>,
        /// The view; none: all of the schema's.
        name: Option<Box<str>>,
        /// A token of the statement.
        token: u32,
        /// Where the view stands.
        site: Site,
    },
    /// All of a schema is changed.
    WriteSchema(Box<str>),
    /// Never let through.
    Never {
        /// What it is, as it stands behind "may not".
        what: Box<str>,
        /// What to do about it.
        hint: Option<&'static str>,
    },
    /// A prepared statement or a cursor shall have this name, which the proxy keeps for its own.
    Reserved(Box<str>),
    /// A cursor of such a name, which no client can have made, is used.
    NoCursor(Box<str>),
    /// Too much of it to look at.
    TooComplex,
    /// Let through with `dynamic_sql` only.
    Dynamic(Box<str>),
    /// A function that is none of those of `pg_catalog` that are known.
    Function {
        /// The schema that is written in front of it.
        schema: Option<Box<str>>,
        /// Its name.
        name: Box<str>,
        /// It is a trigger's, and is given arguments.
        trigger_arguments: bool,
    },
    /// The token is a relation of which the tenant may read its own rows, where it stands as one.
    Filtered(u32),
    /// The role that something shall belong to.
    Owner(Box<str>),
    /// A schema is made, unless it is there: let through if it is the tenant's own, which is.
    KeptSchema(Box<str>),
    /// `pg_prepared_xacts` is read where it can give way to the tenant's rows.
    OwnPrepared,
    /// Let through where keys of this kind may be used.
    Keys(KeyKind),
    /// The string literal at this token names an object.
    ObjectLiteral {
        /// The token.
        token: u32,
        /// The object is changed (`setval`).
        write: bool,
        /// Its number will not do.
        by_name: bool,
    },
    /// The string literal at this token names a schema.
    SchemaLiteral(u32),
    /// `SET ROLE`, `SET SESSION AUTHORIZATION` and their `RESET`.
    Role {
        /// Which of them.
        setting: Box<str>,
        /// The tokens of the value.
        value: Option<Range<usize>>,
    },
    /// A parameter of this name, in lower case, is set.
    Setting(Box<str>),
    /// The same of a function's clause.
    Clause(Box<str>),
    /// A value for `search_path`: these tokens.
    Path(Range<usize>),
    /// Something that was let through under the tenant's own path is run again: what it
    /// names must not mean other things now.
    Replay,
    /// A call of `set_config`, whose first argument is this token.
    Config {
        /// The token.
        token: u32,
        /// Where it is called.
        place: ConfigPlace,
    },
}

/// What a statement does to an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Write {
    /// The schema that is written in front of the name.
    pub schema: Option<Box<str>>,
    /// The name.
    pub name: Box<str>,
    /// The first token of both.
    pub token: u32,
    /// What the object is.
    pub object: Object,
    /// What is done to it.
    pub act: Act,
    /// It is certain that a target stands there: in doubt, nothing is put in front of it.
    pub sure: bool,
    /// It stands in what is run later: a rule, a function's body, a prepared statement.
    pub kept: bool,
}

/// Where a view stands that has no schema in front of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Site {
    /// Where the statement makes it: in the first schema of the path, or among the temporary ones.
    Made,
    /// Among the temporary ones.
    Temporary,
    /// Where it has been.
    Found,
}

/// What kind of object is written, as far as its name is looked up by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Object {
    /// A table, view, sequence ...
    #[default]
    Relation,
    /// A type or domain.
    Type,
    /// A function or the like, of which several have one name.
    Routine,
    /// Of a kind whose names are not known here: an index, an operator, a collation ...
    Other,
}

/// What is done to an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Act {
    /// It comes into being.
    Create,
    /// Its rows are written or locked, and so is what stands behind it, if it is a view.
    Rows,
    /// It is changed or dropped itself.
    #[default]
    Change,
}

/// What a key is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// `LISTEN`, `NOTIFY`.
    Channel,
    /// Advisory locks.
    Lock,
    /// Two-phase commit.
    Transaction,
}

/// Where `set_config` is called: what it sets must be seen to hold when it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConfigPlace {
    /// In a `SELECT` with nothing else in it, which is as good as a `SET`.
    Alone,
    /// The same for the session, with a parameter for the value.
    Bound,
    /// The same for the transaction.
    BoundLocally,
    /// Somewhere in a statement.
    Inside,
    /// With a name that comes from `pg_settings` and is pinned to a literal: this token.
    Known,
    /// In the body of what is created: it would act where nobody looks.
    Body,
}

impl Shape {
    /// About how many bytes it holds on the heap.
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
