//! The result of the engine: a route for the text, and the effects of each statement.

use std::ops::Range;
use std::sync::Arc;

use smallvec::SmallVec;

use super::form::FormId;

/// The plan of one text (of a `Query` or a `Parse` message).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// How the text reaches the tenant's schema.
    pub route: Route,
    /// The splices of the text, sorted by offset. With [`Route::Splice`] they include at least one schema. With every
    /// route that sends the text they include the filters of the catalog, and the splices that make channels, locks
    /// and prepared transactions private to the tenant.
    pub splices: SmallVec<[Splice; 4]>,
    /// The statements of the text in order. Empty ones are left out, so entry *i* gets the *i*th `CommandComplete`.
    pub statements: SmallVec<[Statement; 1]>,
    /// The text may run code outside of it: a user's function, a trigger, a `DO` block. The effects of such code on
    /// the server's session are unknown, so the session is reset before the next client uses it.
    pub opaque: bool,
    /// The names keep their meaning as long as their objects exist: no new object can replace them. PostgreSQL
    /// revalidates a prepared statement when one of its objects changes, but not when a new object would be found
    /// first.
    pub lasting: bool,
    /// The text cannot run in a transaction block, whatever its route is.
    pub runs_alone: bool,
    /// The text sends notifications.
    pub notifies: bool,
    /// A name in the text is qualified with `pg_temp`.
    pub pins_temporary: bool,
    /// The key of the statistics of the text.
    pub form: FormId,
    /// The checks that run in PostgreSQL around the statements, in order.
    pub checks: Vec<Check>,
}

/// A statement of the proxy around one of the text's, in the same transaction. It fails if the text may not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The index of the text's statement.
    pub statement: usize,
    /// The check runs behind that statement, not in front of it.
    pub behind: bool,
    /// The check is about the meaning of names: it also runs in front of a message for which PostgreSQL resolves them.
    pub of_names: bool,
    /// The statement.
    pub sql: Arc<str>,
    /// The error for the client if the check fails.
    pub refusal: Refusal,
}

/// How a text reaches the tenant's schema. It is one route for the whole text.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Route {
    /// Sent unchanged: the text means the same under every search path.
    #[default]
    Pass,
    /// Sent with a schema in front of each name that needs one.
    Splice,
    /// Sent under the tenant's search path.
    SearchPath,
    /// Like [`Route::SearchPath`], for one statement that cannot run in a transaction block: the path of the server's
    /// session is set before the statement and reset after it.
    OwnTransaction,
    /// Not sent.
    Refuse(Box<Refusal>),
    /// Not sent yet: the decision needs the catalog of the schemas, which is not loaded.
    NeedNames,
}

/// A change of the text at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splice {
    /// The byte offset in the client's text at which the insert goes.
    pub at: usize,
    /// The number of bytes of the client's text that the insert replaces.
    pub cut: u32,
    /// The inserted SQL.
    pub insert: Insert,
}

impl Splice {
    /// `insert` in front of the byte `at`, replacing nothing.
    pub fn new(at: usize, insert: Insert) -> Self {
        Self { at, cut: 0, insert }
    }
}

/// SQL that the proxy inserts into a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Insert {
    /// A schema and the dot, in front of a relation's name.
    Schema(SchemaRef),
    /// A schema-qualified table whose alias is the client's name for it. The value is an index into
    /// [`super::Scope::moved`], as in the next variant.
    Aliased(u16),
    /// A schema-qualified table, and the start of a comment around the client's name.
    Instead(u16),
    /// A subquery with a filter over a relation of the catalog; an alias must follow.
    Filtered(u16),
    /// `AS`, which turns the client's name into an alias.
    As,
    /// The start of a comment.
    Open,
    /// The end of a comment.
    Close,
    /// Opens the expression that makes the channel behind it private to the tenant.
    Channel,
    /// Closes that expression.
    End,
    /// Opens the expression that makes the key of an advisory lock private to the tenant.
    LockKey,
    /// The same for the first of two keys.
    LockPair,
    /// Replaces the comma between the two keys.
    LockComma,
    /// Closes an expression of a lock key.
    LockEnd,
    /// Behind a text that PostgreSQL's grammar cannot parse: text that no grammar accepts, so that no version of
    /// PostgreSQL runs it.
    Unreadable,
    /// Any other text.
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
    /// The SQLSTATE, usually 42501.
    pub code: &'static str,
    /// The refused action, for the application's developer.
    pub message: String,
    /// The remedy.
    pub hint: Option<String>,
}

/// One statement of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// The position in the text, in bytes, from the first token to the end of the last one, without the semicolon.
    pub span: Range<usize>,
    /// The effect on the session.
    pub kind: StatementKind,
    /// Set if the statement leaves state on its server that pins the client.
    pub pin: Option<PinReason>,
    /// Whether the statement may write: anything but a SELECT, VALUES, TABLE, SHOW or EXPLAIN without a
    /// data-modifying CTE and without a locking clause.
    pub writes: bool,
    /// Whether the statement changes the catalog (DDL of any kind).
    pub ddl: bool,
    /// Whether the statement may end a pin: `DROP`, `CLOSE`, `DEALLOCATE`, `pg_advisory_unlock` ...
    pub frees: bool,
    /// Whether the statement calls a sequence function by its name.
    pub draws: bool,
}

/// The effect of a statement on its session.
#[derive(Clone, Debug, PartialEq)]
pub enum StatementKind {
    /// No effect.
    Plain,
    /// `BEGIN`, `START TRANSACTION`.
    Begin,
    /// `COMMIT`, `END`, `PREPARE TRANSACTION`; with `AND CHAIN`, a new transaction begins at once.
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
    /// `SET SESSION CHARACTERISTICS`, with the settings and their values.
    Characteristics(Box<[(&'static str, &'static str)]>),
    /// `SET [SESSION | LOCAL] name = value`, `SET TIME ZONE`, and each other spelling.
    Set(Box<Setting>),
    /// A `SELECT` without FROM that calls `set_config('name', value, local)` once. This variant exists in a shape
    /// only, with token numbers. With known values it becomes a [`StatementKind::Set`] or a
    /// [`StatementKind::SetParameter`].
    SetConfig {
        /// The token of the name; the token of the value is two further.
        name: usize,
        /// `SET LOCAL`.
        local: bool,
    },
    /// `set_config` with a parameter as the value.
    SetParameter {
        /// The setting's name in lower case.
        name: Box<str>,
        /// The number of the parameter, from 1.
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
        /// Whether the prepared statement may write.
        writes: bool,
    },
    /// `EXECUTE`, by itself, in `EXPLAIN`, or in `CREATE TABLE AS`.
    Execute(Box<Execution>),
    /// `FETCH`, `MOVE`: it executes functions that the cursor's query calls.
    Fetch,
    /// `DEALLOCATE name`; `None` is `DEALLOCATE ALL`.
    Deallocate(Option<Box<str>>),
    /// `LISTEN channel`.
    Listen(Box<str>),
    /// `UNLISTEN channel`; `None` is `UNLISTEN *`.
    Unlisten(Option<Box<str>>),
    /// `CREATE SCHEMA IF NOT EXISTS name` without elements: the tenant's own schema exists already.
    KeptSchema(Box<str>),
    /// `COPY ... FROM STDIN`.
    CopyIn,
    /// Leaves no state, and PostgreSQL refuses it outside of a block, or it has no effect there: `LOCK`, `DECLARE`
    /// without `WITH HOLD`, `SET CONSTRAINTS`.
    BlockOnly,
    /// `COMMIT PREPARED`, `ROLLBACK PREPARED`: PostgreSQL refuses it inside a block.
    EndPrepared,
}

/// A `SET` whose effect lasts beyond the statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The parameter's name in lower case (`TIME ZONE` is `timezone`, `NAMES` is `client_encoding`).
    pub name: Box<str>,
    /// The value's position in the text, in bytes: everything behind `=` or `TO`.
    pub value: Range<usize>,
    /// The argument of `set_config`, which has another syntax than a value behind `SET`.
    pub given: Option<Box<str>>,
    /// `SET LOCAL`.
    pub local: bool,
}

/// The prepared statement that an `EXECUTE` runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// Its name.
    pub name: Box<str>,
    /// The name's position in the text, in bytes.
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

/// The reason why a client is pinned to its server.
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
    /// `LISTEN`, if the proxy does not route (`mode = "observe"`).
    Listen,
    /// `lastval()`, `currval()`: the session's sequence state.
    Sequence,
    /// `set_config(.., false)`, `LOAD`, `SET` in a form that is not tracked.
    SessionState,
}

impl PinReason {
    /// All reasons.
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

    /// A description of the reason, for people.
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

    /// The name of the reason in metrics and logs.
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
