//! What the server still owes: one entry for each message that it was sent, in their order.

use std::sync::Arc;

use bytes::Bytes;
use pgstrata_tenancy::RoleName;
use smallvec::SmallVec;

use super::pins::Probe;
use super::statements::{ClientStatement, ClientStatements};
use super::tenant::Tenancy;
use crate::pool::server::PreparedState;
use crate::pool::settings::Assignment;
use crate::sql::fresh;
use crate::sql::plan::Refusal;
use crate::sql::rewrite::PositionMap;

/// What a statement does to the session once PostgreSQL says that it is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A setting holds: its name, and how it is set elsewhere.
    Set(Box<str>, Assignment),
    /// The path that holds for the transaction.
    SetLocalPath(Box<str>),
    /// The role stays as it is. With the command tag.
    KeepRole(&'static str),
    /// The schema of this name was there already.
    KeepSchema(Box<str>),
    /// A setting is back at the start-up's value.
    Reset(Box<str>),
    /// The path is, for the transaction.
    ResetLocalPath,
    /// All of them are.
    ResetAll,
    /// `DISCARD ALL`.
    DiscardAll,
    /// `PREPARE`: a statement of this name is there.
    Prepared(Box<str>),
    /// `DEALLOCATE`: it is there no more.
    Deallocated(Box<str>),
    /// `DEALLOCATE ALL`.
    DeallocateAll,
    /// `DISCARD SEQUENCES`.
    DiscardSequences,
    /// `SET SESSION CHARACTERISTICS`: settings and their values.
    Characteristics(Box<[(&'static str, &'static str)]>),
    /// `SAVEPOINT`.
    Savepoint(Box<str>),
    /// `ROLLBACK TO`.
    RollbackTo(Box<str>),
    /// `RELEASE`.
    Release(Box<str>),
    /// A transaction block began.
    Begin,
    /// The transaction ended. Unless its block had failed before, it was kept, or is prepared.
    End {
        /// `ROLLBACK`.
        rolls_back: bool,
        /// `AND CHAIN`: another block began.
        chain: bool,
    },
    /// `LISTEN`, once the transaction is committed.
    Listen {
        /// The channel, as PostgreSQL knows it.
        channel: Box<str>,
        /// As the client calls it.
        name: Box<str>,
    },
    /// `UNLISTEN`, likewise, of a channel as PostgreSQL knows it; `None` is all channels.
    Unlisten(Option<Box<str>>),
}

impl Effect {
    /// Whether it changes settings of the session.
    pub fn sets(&self) -> bool {
        use Effect::{Characteristics, DiscardAll, Reset, ResetAll, Set};
        matches!(self, Set(..) | Reset(_) | ResetAll | DiscardAll | Characteristics(_))
    }

    /// Whether it is more than the state of the transaction.
    pub fn outlives_transaction(&self) -> bool {
        !matches!(self, Effect::Begin)
    }
}

/// The statement that sets the path, which stays prepared.
pub const PATH_FIRST: u64 = 0;
/// The one that sets it later on, which does not.
pub const PATH_BEHIND: u64 = u64::MAX;
/// The one that sets role and path, which stays prepared.
pub const ROLE_FIRST: u64 = u64::MAX - 1;

/// An answer that is due.
#[derive(Debug)]
pub enum Expect {
    /// All of a `Query`, up to `ReadyForQuery`.
    Query(QueryReply),
    /// A `Query` of our own: nothing of it reaches the client.
    OwnQuery,
    /// The same, that sets a role for the session: it must be in force before anything else is sent.
    SessionRole(RoleName),
    /// The same, which takes off what the client leaves. It is not answered before the server is on its way back.
    Restored,
    /// The same, to find out what still ties the client to its server.
    Probe(Probe),
    /// `ParseComplete`.
    Parse {
        /// The statement's number; [`PATH_FIRST`], [`PATH_BEHIND`] and [`ROLE_FIRST`] are our own.
        id: u64,
        /// It has a name on the server.
        named: bool,
        /// The client's `Parse`, and the name that it gave.
        client: Option<Bytes>,
        /// Where errors stand in the client's text.
        map: PositionMap,
    },
    /// `BindComplete`.
    Bind {
        /// The client sent it.
        client: bool,
        /// How many columns the client was told that its statement has.
        told: Option<u16>,
    },
    /// `ParameterDescription`, then `RowDescription` or `NoData`.
    Describe {
        /// The statement's name and number; none for a portal.
        statement: Option<(Bytes, u64)>,
        /// The client sent it.
        client: bool,
        /// The hash of the parameters, once they have come.
        parameters: u64,
    },
    /// Rows up to `CommandComplete`, `EmptyQueryResponse` or `PortalSuspended`.
    Execute {
        /// The client sent it.
        client: bool,
        /// What it does when it is complete.
        effect: Option<Effect>,
    },
    /// The end of a check of ours; if it finds something, the client gets this.
    Check(Box<Refusal>),
    /// `CloseComplete`.
    Close {
        /// The client sent it.
        client: bool,
    },
    /// Nothing: this is the client's when its turn has come.
    Local {
        /// The message, or several.
        message: Bytes,
        /// The name of a statement that came about with it.
        opened: Option<Bytes>,
        /// A statement that the client closed; it lives on if the pipeline failed before.
        closed: Option<(Bytes, ClientStatement)>,
    },
    /// Nothing: what the statement in front of it drops, which comes back if that fails.
    Dropped(Box<Dropped>),
    /// `ParseComplete` of a statement that is not kept: the client gets its error, and nothing else.
    Trial(PositionMap),
    /// An error, made to happen: the client gets this one instead.
    Poison(Box<Refusal>),
    /// `ReadyForQuery`.
    Sync,
    /// The same, behind messages of our own: nothing of it reaches the client.
    OwnSync,
}

impl Expect {
    /// The tenants that texts tie statements to which come back if what is on its way fails.
    pub fn tied(&self) -> impl Iterator<Item = &Arc<Tenancy>> {
        let (closed, dropped) = match self {
            Expect::Local { closed: Some((_, statement)), .. } => (statement.tied.as_ref(), None),
            Expect::Dropped(dropped) => (None, Some(dropped.of_client.tied())),
            _ => (None, None),
        };
        closed.into_iter().chain(dropped.into_iter().flatten())
    }
}

/// The prepared statements of before a statement that drops all of them.
#[derive(Debug)]
pub struct Dropped {
    /// As their client knows them.
    pub of_client: ClientStatements,
    /// As the server does.
    pub on_server: PreparedState,
}

/// What is known of a `Query` on its way.
#[derive(Debug, Default)]
pub struct QueryReply {
    /// Which `CommandComplete`s are those of statements that were put in.
    pub injected: SmallVec<[u32; 2]>,
    /// How many came already.
    pub seen: u32,
    /// Where errors stand in the client's text.
    pub map: PositionMap,
    /// What each of the statements sent does, by its number.
    pub effects: SmallVec<[(u32, Effect); 1]>,
    /// The error that is made to happen, and what the client gets instead.
    pub poison: Option<Box<Refusal>>,
    /// The same, of one statement of the text, by its number.
    pub fails: Option<(u32, Box<Refusal>)>,
    /// Statements were prepared for it in front of it.
    pub prepared: bool,
    /// Which of the injected statements are checks, and what the client gets where one finds something.
    pub checks: Vec<(u32, Refusal)>,
}

impl QueryReply {
    /// Whether what comes now answers a statement that was put in.
    pub fn is_injected(&self) -> bool {
        self.injected.contains(&self.seen)
    }
}

impl Expect {
    /// Whether what arrives now is for the client.
    pub fn is_clients(&self) -> bool {
        match self {
            Expect::OwnQuery
            | Expect::OwnSync
            | Expect::SessionRole(_)
            | Expect::Restored
            | Expect::Probe(_)
            | Expect::Check(_) => false,
            Expect::Parse { client, .. } => client.is_some(),
            Expect::Bind { client, .. }
            | Expect::Execute { client, .. }
            | Expect::Describe { client, .. }
            | Expect::Close { client } => *client,
            _ => true,
        }
    }

    /// Whether it is what takes off what the client leaves.
    pub fn is_restored(&self) -> bool {
        matches!(self, Expect::Restored)
    }

    /// Whether it is a `Query` of the proxy's own.
    pub fn is_own_query(&self) -> bool {
        matches!(self, Expect::OwnQuery | Expect::SessionRole(_) | Expect::Probe(_) | Expect::Restored)
    }

    /// What the client gets in the place of an error, if that is a check's that has found something.
    pub fn found(&self, code: &[u8], message: &[u8]) -> Option<&Refusal> {
        let refusal = match self {
            Expect::Check(refusal) => Some(&**refusal),
            Expect::Query(reply) => {
                reply.checks.iter().find(|(number, _)| *number == reply.seen).map(|(_, refusal)| refusal)
            }
            _ => None,
        };
        refusal.filter(|_| fresh::is_found(code, message))
    }

    /// Whether `ReadyForQuery` ends it.
    pub fn ends_ready(&self) -> bool {
        matches!(
            self,
            Expect::Query(_)
                | Expect::OwnQuery
                | Expect::OwnSync
                | Expect::SessionRole(_)
                | Expect::Restored
                | Expect::Probe(_)
                | Expect::Sync
        )
    }
}
