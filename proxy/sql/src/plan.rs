//! What the engine answers: a route for the text, and what each statement in it does.

use std::ops::Range;
use std::sync::Arc;

use smallvec::SmallVec;

/// What one text (of a `Query` or a `Parse` message) needs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// How the text reaches the tenant's schema.
    pub route: Route,
    /// What goes into the text, sorted by offset: with [`Route::Splice`] at least one schema, with
    /// every route that is sent the filters of catalogs that hide other tenants, and what makes
    /// channels, locks and prepared transactions the tenant's own.
    pub splices: SmallVec<[Splice; 4]>,
    /// The statements of the text in their order; empty ones are left out, so
    /// that entry *i* is the one that gets the *i*th `CommandComplete`.
    pub statements: SmallVec<[Statement; 1]>,
    /// It may run code that is not in it: a user's function, a trigger, a `DO` block. What
    /// that leaves in its server's session can't be seen, so the session is wiped for the next client.
    pub opaque: bool,
    /// It can not run in a transaction block, whatever its route is.
    pub runs_alone: bool,
    /// It sends notifications.
    pub notifies: bool,
    /// `pg_temp` goes in front of a name in it.
    pub pins_temporary: bool,
    /// What PostgreSQL is asked around its statements, in that order.
    pub checks: Vec<Check>,
}

/// A statement of ours around one of the text's, in the same transaction. It fails where the text may not run.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// The number of the text's statement.
    pub statement: usize,
    /// It runs behind that one, not in front.
    pub behind: bool,
    /// The statement.
    pub sql: Arc<str>,
    /// What the client is told where it fails.
    pub refusal: Refusal,
}

/// How a text reaches the tenant's schema. It is one route for the whole text.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Route {
    /// Means the same under every search path: sent as it is.
    #[default]
    Pass,
    /// Sent with a schema in front of each name that needs one.
    Splice,
    /// Sent under the tenant's search path.
    SearchPath,
    /// As [`Route::SearchPath`], for one statement that can't run in a transaction
    /// block: the server's session path is set before and put back after it.
    OwnTransaction,
    /// Not sent at all.
    Refuse(Box<Refusal>),
    /// Not to be sent yet: whether it may be hangs on what the schemas hold, which is not known now.
    NeedNames,
}

/// A place where something goes into the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splice {
    /// The byte offset in the client's text before which it goes.
    pub at: usize,
    /// So many bytes of the client's text give way to it.
    pub cut: u32,
    /// What it is.
    pub insert: Insert,
}

impl Splice {
    /// `insert` in front of the byte `at`.
    pub fn new(at: usize, insert: Insert) -> Self {
        Self { at, cut: 0, insert }
    }
}

/// What goes into a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Insert {
    /// A schema and the dot, in front of a relation's name.
    Schema(SchemaRef),
    /// Another table with its schema, to which the client's name becomes an alias. It is an
    /// index of [`super::Scope::moved`], as in the next one.
    Aliased(u16),
    /// Another table with its schema, and the start of a comment that hides the client's name.
    Instead(u16),
    /// A filter over a relation of the catalog: a subquery, for which an alias must follow.
    Filtered(u16),
    /// `AS`, to which the client's name becomes the alias.
    As,
    /// The start of a comment.
    Open,
    /// The end of a comment.
    Close,
    /// What makes the channel behind it, an expression in brackets, the tenant's own.
    Channel,
    /// The bracket that ends it.
    End,
    /// What makes the key of an advisory lock behind it the tenant's own.
    LockKey,
    /// The same for the first of two keys.
    LockPair,
    /// In the place of the comma between them.
    LockComma,
    /// The end of one of these.
    LockEnd,
    /// Behind a text that PostgreSQL's grammar can't read: what no grammar takes, so that no version of PostgreSQL runs
    /// the text.
    Unreadable,
    /// A text of its own.
    Text(Arc<str>),
}

/// One of the schemas of a [`super::Scope`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SchemaRef {
    /// The tenant's own.
    Tenant,
    /// The shared schema with this index.
    Shared(u16),
}

/// Why the guard refuses a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The SQLSTATE: 42501 mostly.
    pub code: &'static str,
    /// What was refused, in words for the application's developer.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// One statement of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// Where it stands in the text, in bytes, from its first token to the end
    /// of its last one (its semicolon is outside).
    pub span: Range<usize>,
    /// What it does to the session.
    pub kind: StatementKind,
    /// Set where the statement leaves state on its server that ties the client to it.
    pub pin: Option<PinReason>,
    /// Whether it (may) write: anything but a SELECT, VALUES, TABLE, SHOW or EXPLAIN
    /// with no data-modifying CTE and no locking clause.
    pub writes: bool,
    /// Whether it changes what a catalog snapshot holds (DDL of any kind).
    pub ddl: bool,
    /// It may end what a pin is for: `DROP`, `CLOSE`, `DEALLOCATE`, `pg_advisory_unlock` ...
    pub frees: bool,
    /// It calls a function of sequences by its name.
    pub draws: bool,
}

/// What a statement does to the session that runs it.
#[derive(Clone, Debug, PartialEq)]
pub enum StatementKind {
    /// Nothing that the session must know.
    Plain,
    /// `BEGIN`, `START TRANSACTION`.
    Begin,
    /// `COMMIT`, `END`, `PREPARE TRANSACTION`; with `AND CHAIN`, a new one begins at once.
    Commit {
        /// `AND CHAIN`.
        chain: bool,
    },
    /// `ROLLBACK`, `ABORT`.
    Rollback {
        /// `AND CHAIN`.
        chain: bool,
    },
    /// `SAVEPOINT name`.
    Savepoint(Box<str>),
    /// `ROLLBACK TO name`.
    RollbackTo(Box<str>),
    /// `RELEASE name`.
    Release(Box<str>),
    /// `SET TRANSACTION ...`: must come before any snapshot, and needs no path.
    SetTransaction,
    /// `SET SESSION CHARACTERISTICS`: the settings that it sets, with their values.
    Characteristics(Box<[(&'static str, &'static str)]>),
    /// `SET [SESSION | LOCAL] name = value`, `SET TIME ZONE`, and each other spelling.
    Set(Box<Setting>),
    /// A `SELECT` from nowhere that calls `set_config('name', value, local)` once. In a shape only, as
    /// numbers of tokens: with its values known it is a [`StatementKind::Set`] or a [`StatementKind::SetParameter`].
    SetConfig {
        /// The token of the name; that of the value is two behind it.
        name: usize,
        /// `SET LOCAL`.
        local: bool,
    },
    /// The same, with a parameter for the value.
    SetParameter {
        /// The setting's name in lower case.
        name: Box<str>,
        /// Which parameter, from 1.
        number: usize,
        /// `SET LOCAL`.
        local: bool,
    },
    /// `RESET name`, `SET name TO DEFAULT`; the name in lower case.
    Reset {
        /// The parameter's name in lower case.
        name: Box<str>,
        /// `SET LOCAL name TO DEFAULT`.
        local: bool,
    },
    /// `RESET ALL`.
    ResetAll,
    /// `SHOW name`; the name in lower case (`search_path`, `all` ...).
    Show(Box<str>),
    /// `DISCARD ALL`, `DISCARD PLANS` ...
    Discard(Discard),
    /// SQL `PREPARE`.
    Prepare {
        /// The statement's name.
        name: Box<str>,
        /// What it prepares may write.
        writes: bool,
    },
    /// `EXECUTE`, by itself, in `EXPLAIN`, or in `CREATE TABLE AS`.
    Execute(Box<Execution>),
    /// `FETCH`, `MOVE`: what the cursor's query calls is run by it.
    Fetch,
    /// `DEALLOCATE name`; `None` is `DEALLOCATE ALL`.
    Deallocate(Option<Box<str>>),
    /// `LISTEN channel`.
    Listen(Box<str>),
    /// `UNLISTEN channel`; `None` is `UNLISTEN *`.
    Unlisten(Option<Box<str>>),
    /// `CREATE SCHEMA IF NOT EXISTS name`, with nothing in it: the tenant's own is there already.
    KeptSchema(Box<str>),
    /// `COPY ... FROM STDIN`.
    CopyIn,
    /// Leaves nothing, and PostgreSQL refuses it outside a block, or does nothing there: `LOCK`,
    /// `DECLARE` without `WITH HOLD`, `SET CONSTRAINTS`.
    BlockOnly,
    /// `COMMIT PREPARED`, `ROLLBACK PREPARED`: PostgreSQL refuses it inside a block.
    EndPrepared,
}

/// A `SET` that holds beyond the statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The parameter's name in lower case (`TIME ZONE` is `timezone`, `NAMES` is `client_encoding`).
    pub name: Box<str>,
    /// The value as it stands in the text, in bytes: all that is behind `=` or `TO`.
    pub value: Range<usize>,
    /// The value given to `set_config`, which is read in another way than one behind `SET`.
    pub given: Option<Box<str>>,
    /// `SET LOCAL`.
    pub local: bool,
}

/// The prepared statement that an `EXECUTE` runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// Its name.
    pub name: Box<str>,
    /// Where the name stands in the text, in bytes.
    pub at: Range<usize>,
}

/// What `DISCARD` discards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discard {
    /// Everything.
    All,
    /// Cached plans.
    Plans,
    /// Sequence state.
    Sequences,
    /// Temporary tables.
    Temp,
}

/// What ties a client to its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PinReason {
    /// Session pooling, by configuration.
    SessionPooling,
    /// A temporary table, view or sequence.
    TempTable,
    /// SQL `PREPARE`.
    SqlPrepare,
    /// A cursor `WITH HOLD`.
    HoldCursor,
    /// A session-level advisory lock.
    AdvisoryLock,
    /// `LISTEN`, where nothing is routed.
    Listen,
    /// `lastval()`, `currval()`: what the session has drawn from sequences.
    Sequence,
    /// `set_config(.., false)`, `LOAD`, `SET` in a form that is not tracked.
    SessionState,
}

impl PinReason {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::SessionPooling,
        Self::TempTable,
        Self::SqlPrepare,
        Self::HoldCursor,
        Self::AdvisoryLock,
        Self::Listen,
        Self::Sequence,
        Self::SessionState,
    ];

    /// What it is, for people.
    pub fn in_words(self) -> &'static str {
        match self {
            PinReason::SessionPooling => "session pooling",
            PinReason::TempTable => "temporary table",
            PinReason::SqlPrepare => "prepared statement in SQL",
            PinReason::HoldCursor => "cursor WITH HOLD",
            PinReason::AdvisoryLock => "advisory lock of the session",
            PinReason::Listen => "LISTEN",
            PinReason::Sequence => "lastval() or currval()",
            PinReason::SessionState => "state of the session that can't be followed",
        }
    }

    /// The name in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            PinReason::SessionPooling => "session_pooling",
            PinReason::TempTable => "temp_table",
            PinReason::SqlPrepare => "sql_prepare",
            PinReason::HoldCursor => "hold_cursor",
            PinReason::AdvisoryLock => "advisory_lock",
            PinReason::Listen => "listen",
            PinReason::Sequence => "sequence",
            PinReason::SessionState => "session_state",
        }
    }
}
