//! The replies that the server still has to send: one entry for each message that it got, in order.

use std::sync::Arc;

use bytes::Bytes;
use pgstrata_tenancy::RoleName;
use smallvec::SmallVec;

use super::accounts::Run;
use super::draws::DrawAnswer;
use super::pins::Probe;
use super::statements::{ClientStatement, ClientStatements};
use crate::pool::server::PreparedState;
use crate::pool::settings::Assignment;
use crate::shared::tenancy::Tenancy;
use crate::sql::fresh;
use crate::sql::plan::{Check, Refusal};
use crate::sql::rewrite::PositionMap;

/// The tenant of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// Its name.
    pub tenant: Box<str>,
    /// Its schema.
    pub schema: Box<str>,
}

/// The effect of a statement on the session, once PostgreSQL has completed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A setting: its name, and the SQL that makes it on another server.
    Set(Box<str>, Assignment),
    /// The path of the transaction.
    SetLocalPath(Box<str>),
    /// The role stays the same. With the command tag.
    KeepRole(&'static str),
    /// The schema of this name existed already.
    KeepSchema(Box<str>),
    /// A setting returns to the value of the start-up packet.
    Reset(Box<str>),
    /// The path does, for the transaction.
    ResetLocalPath,
    /// All settings do.
    ResetAll,
    /// `DISCARD ALL`.
    DiscardAll,
    /// `PREPARE` of this name, with the checks in front of each `EXECUTE`.
    Prepared(Box<str>, Arc<[Check]>),
    /// `DEALLOCATE` of this name.
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
    /// The transaction ended. It was committed or prepared, unless its block had failed before.
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
        /// The tenant whose channel it is; `None`: no tenant's.
        of: Option<Box<Home>>,
    },
    /// `UNLISTEN`, likewise, of a channel as PostgreSQL knows it; `None` is all channels.
    Unlisten(Option<Box<str>>),
}

impl Effect {
    /// Whether the effect changes settings of the session.
    pub fn sets(&self) -> bool {
        use Effect::{Characteristics, DiscardAll, Reset, ResetAll, Set};
        matches!(self, Set(..) | Reset(_) | ResetAll | DiscardAll | Characteristics(_))
    }

    /// Whether the effect lasts longer than the transaction.
    pub fn outlives_transaction(&self) -> bool {
        !matches!(self, Effect::Begin)
    }
}

/// The statement that sets the path at the head of a request, and stays prepared.
pub const PATH_FIRST: u64 = 0;
/// The statement that sets the path later in a pipeline, and is not kept.
pub const PATH_BEHIND: u64 = u64::MAX;
/// The statement that sets role and path, and stays prepared.
pub const ROLE_FIRST: u64 = u64::MAX - 1;

/// An expected reply.
#[derive(Debug)]
pub enum Expect {
    /// The whole reply to a `Query`, up to `ReadyForQuery`. Boxed, because it is far larger than the frequent ones.
    Query(Box<QueryReply>),
    /// A `Query` of the proxy: no part of the reply reaches the client.
    OwnQuery,
    /// The same, for a role of the session. The role must be in force before anything else is sent.
    SessionRole(RoleName),
    /// The same, for the reset of what the client leaves. Its end is awaited when the server is on its way back.
    Restored,
    /// The same, for the question whether the client is still pinned.
    Probe(Probe),
    /// The same, for the values that the client has drawn from sequences.
    Draw(DrawAnswer),
    /// `ParseComplete`.
    Parse {
        /// The number of the statement; [`PATH_FIRST`], [`PATH_BEHIND`] and [`ROLE_FIRST`] are the proxy's own.
        id: u64,
        /// The statement has a name on the server.
        named: bool,
        /// The client's `Parse`, and its name for the statement.
        client: Option<Bytes>,
        /// The position map for errors.
        map: PositionMap,
    },
    /// `BindComplete`.
    Bind {
        /// The client sent the message.
        client: bool,
        /// The number of the client's portal.
        portal: u64,
        /// The number of columns in the client's description of the statement.
        told: Option<u16>,
        /// The `Parse` in front was not sent: the client gets `ParseComplete` with this reply.
        spared: bool,
    },
    /// `ParameterDescription`, then `RowDescription` or `NoData`.
    Describe {
        /// The name and the number of the statement; `None` for a portal.
        statement: Option<(Bytes, u64)>,
        /// The client sent the message.
        client: bool,
        /// The hash of the parameters, once they have arrived.
        parameters: u64,
    },
    /// Rows up to `CommandComplete`, `EmptyQueryResponse` or `PortalSuspended`.
    Execute {
        /// The client sent the message.
        client: bool,
        /// The effect of the statement.
        effect: Option<Effect>,
        /// The statistics of the statement.
        run: Option<Run>,
    },
    /// The end of a check; if it finds something, the client gets this refusal.
    Check(Box<Refusal>),
    /// `CloseComplete`.
    Close {
        /// The client sent the message.
        client: bool,
    },
    /// No reply of the server: the client gets this message in order.
    Local {
        /// One message, or several.
        message: Bytes,
        /// The name of a statement that this message creates.
        opened: Option<Bytes>,
        /// A statement that the client has closed; it exists again if the pipeline failed before.
        closed: Option<Box<(Bytes, ClientStatement)>>,
    },
    /// No reply: the statements that the statement in front drops, which exist again if that fails.
    Dropped(Box<Dropped>),
    /// `ParseComplete` of a statement that is not kept: only an error reaches the client.
    Trial(PositionMap),
    /// A forced error: the client gets this refusal instead.
    Poison(Box<Refusal>),
    /// `ReadyForQuery`.
    Sync,
    /// The same, behind messages of the proxy: it does not reach the client.
    OwnSync,
}

impl Expect {
    /// The tenants of statements that exist again if a message in progress fails.
    pub fn tied(&self) -> impl Iterator<Item = &Arc<Tenancy>> {
        let (closed, dropped) = match self {
            Expect::Local { closed: Some(closed), .. } => (closed.1.tied.as_ref(), None),
            Expect::Dropped(dropped) => (None, Some(dropped.of_client.tied())),
            _ => (None, None),
        };
        closed.into_iter().chain(dropped.into_iter().flatten())
    }
}

/// The prepared statements before a statement that drops all of them.
#[derive(Debug)]
pub struct Dropped {
    /// The client's.
    pub of_client: ClientStatements,
    /// The server's.
    pub on_server: PreparedState,
}

/// The expected reply to a `Query`.
#[derive(Debug, Default)]
pub struct QueryReply {
    /// The numbers of `CommandComplete`s of added statements.
    pub injected: SmallVec<[u32; 2]>,
    /// The number of those that have arrived.
    pub seen: u32,
    /// The position map for errors.
    pub map: PositionMap,
    /// The effect of each sent statement, by its number.
    pub effects: SmallVec<[(u32, Effect); 1]>,
    /// The refusal that the client gets in place of a forced error.
    pub poison: Option<Box<Refusal>>,
    /// The same, for one statement of the text, by its number.
    pub fails: Option<(u32, Box<Refusal>)>,
    /// Statements were prepared in front of the text.
    pub prepared: bool,
    /// The added statements that are checks, by number, with the refusal of each.
    pub checks: Vec<(u32, Refusal)>,
}

impl QueryReply {
    /// Whether the next reply belongs to an added statement.
    pub fn is_injected(&self) -> bool {
        self.injected.contains(&self.seen)
    }
}

impl Expect {
    /// Whether the next reply belongs to the client.
    pub fn is_clients(&self) -> bool {
        match self {
            Expect::OwnQuery
            | Expect::OwnSync
            | Expect::SessionRole(_)
            | Expect::Restored
            | Expect::Probe(_)
            | Expect::Draw(_)
            | Expect::Check(_) => false,
            Expect::Parse { client, .. } => client.is_some(),
            Expect::Bind { client, .. }
            | Expect::Execute { client, .. }
            | Expect::Describe { client, .. }
            | Expect::Close { client } => *client,
            _ => true,
        }
    }

    /// Whether it is the reset of what the client leaves.
    pub fn is_restored(&self) -> bool {
        matches!(self, Expect::Restored)
    }

    /// Whether it is a `Query` of the proxy.
    pub fn is_own_query(&self) -> bool {
        use Expect::{Draw, OwnQuery, Probe, Restored, SessionRole};
        matches!(self, OwnQuery | SessionRole(_) | Probe(_) | Draw(_) | Restored)
    }

    /// The refusal that replaces an error, if the error is that of a check.
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

    /// Whether `ReadyForQuery` is its last message.
    pub fn ends_ready(&self) -> bool {
        matches!(
            self,
            Expect::Query(_)
                | Expect::OwnQuery
                | Expect::OwnSync
                | Expect::SessionRole(_)
                | Expect::Restored
                | Expect::Probe(_)
                | Expect::Draw(_)
                | Expect::Sync
        )
    }
}
