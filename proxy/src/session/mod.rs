//! One client: the state machine that joins wire, engine and pool.
//!
//! A *request* is a `Query` message, or the extended messages up to their `Sync`. The
//! next one is looked at when PostgreSQL has answered the one before, so that the state
//! of the transaction is known, not guessed, wherever a decision hangs on it.
//!
//! # Layout
//! - [`start`]: from a proven identity to a session that runs.
//! - [`request`]: the client's messages, one step for each.
//! - [`query`], [`extended`]: what goes to the server for them; [`compose`]: what goes in between the statements of a text; [`bound`]: what is bound of a setting.
//! - [`expect`], [`reply`], [`outcome`]: what the server owes, what becomes of its answers, and how a request ends; `wording`: errors as the client may read them.
//! - `values`: settings that decide how texts are read.
//! - [`statements`]: prepared statements by identity; [`prepared`]: on the server at hand; [`columns`]: what clients were told of theirs.
//! - [`path`]: the search path, and when it must be set; [`role`]: the tenant's role, likewise.
//! - [`names`]: the prepared statements that texts name, and the portals: a session finds its own, and no others.
//! - [`effect`]: what statements leave behind in a session; [`ahead`]: the path behind those that are on their way; [`boundary`]: where transactions end.
//! - [`encoding`]: what the bytes of a text mean. `elsewhere`: commands that belong to the admin console.
//! - [`listen`]: `LISTEN`, and what is heard.
//! - [`news`]: a newer configuration, and whether the client may go on by it.
//! - [`standing`]: whether a tenant's clients are served now; [`arrival`], [`admission`]: at the login, and later.
//! - [`tenant`], [`switch`]: which tenant the session works for, and how it goes over to another; `path_switch`: by its search path.
//! - [`pins`]: what ties the client to its server, and how that ends.
//! - [`sequences`]: `lastval()` is the tenant's own.
//! - [`spare`]: room that is there while it is needed.
//! - `bounds`: what a text may make of a session, and of what is sent.
//! - `judge`: texts that are judged elsewhere, as it takes long.
//! - [`io`]: bytes in, bytes out, nothing buffered without bound.
//! - `birth`: a server comes that was born with other parameters than the client was told.
//! - [`attach`]: a server comes, and goes back; [`link`]: what is known of it, and how it becomes clean; [`login`]: it is one of the tenant's own, where it has its own; [`handback`]: it goes back clean.
//! - [`cancel`]: cancel keys. [`clock`]: whose time a request's time is; [`deadline`]: how long it may be.

mod admission;
mod ahead;
mod arrival;
mod attach;
mod birth;
mod bound;
mod boundary;
mod bounds;
pub mod cancel;
mod clock;
pub mod columns;
mod compose;
mod deadline;
pub(crate) mod effect;
mod elsewhere;
mod encoding;
mod expect;
mod explain;
mod extended;
mod handback;
mod io;
mod judge;
mod link;
mod listen;
mod login;
mod names;
mod news;
mod outcome;
pub mod path;
#[cfg(test)]
mod path_fuzz;
mod path_switch;
mod pins;
mod prepared;
mod query;
mod reply;
mod request;
pub(crate) mod role;
mod sequences;
mod spare;
mod standing;
pub mod start;
pub mod statements;
mod switch;
pub mod tenant;
mod values;
mod wording;

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use pgstrata_tenancy::TenantId;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use self::admission::Attendance;
use self::ahead::Ahead;
use self::cancel::CancelEntry;
use self::clock::Clock;
use self::encoding::Reading;
use self::expect::Expect;
use self::judge::Judged;
use self::link::Link;
use self::listen::Listening;
use self::news::News;
use self::path::Effective;
use self::pins::Pins;
use self::request::Step;
use self::statements::{ClientStatement, ClientStatements};
use self::tenant::{Basis, Tenancy, Tenants};
use crate::clients::ClientEntry;
use crate::config::{Config, Isolation, User};
use crate::pool::birth::Birth;
use crate::pool::settings::{Settings, Tracked};
use crate::pool::turns;
use crate::shared::{DatabaseHandle, Shared};
use crate::sql::plan::{Plan, Refusal};
use crate::sql::scope::Scope;
use crate::wire::message::{self, Severity};

/// The parameters that a client was told, with their values.
pub type Told = HashMap<Box<[u8]>, Box<[u8]>>;

/// The transaction status of `ReadyForQuery`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// `I`: in no transaction block.
    Idle,
    /// `T`: in one.
    Block,
    /// `E`: in one that failed.
    Failed,
}

impl Status {
    fn byte(self) -> u8 {
        match self {
            Status::Idle => b'I',
            Status::Block => b'T',
            Status::Failed => b'E',
        }
    }
}

/// The end of a session.
#[derive(Debug)]
pub enum End {
    /// The client said `Terminate`, and all it asked for was done before.
    Terminated,
    /// The client's connection broke or was closed.
    ClientGone,
    /// The client is told this, and then closed.
    Fatal {
        /// The SQLSTATE.
        code: String,
        /// What is wrong.
        message: String,
    },
}

impl End {
    fn fatal(code: &str, message: impl Into<String>) -> Self {
        End::Fatal { code: code.into(), message: message.into() }
    }
}

/// Who the client is. Fixed for the session.
pub struct Identity {
    /// The database's pool and catalog.
    pub database: Arc<DatabaseHandle>,
    /// What it may do.
    pub user: Arc<User>,
    /// The settings of the start-up packet: what `RESET` goes back to.
    pub base: Arc<Settings>,
    /// What servers report with these.
    pub base_told: Arc<Told>,
    /// For the log.
    pub peer: std::net::SocketAddr,
    /// It speaks TLS.
    pub tls: bool,
}

/// One client that is logged in.
pub struct Session<C> {
    stream: C,
    /// Read from the client and not yet looked at.
    inbuf: BytesMut,
    /// To be written to the client.
    outbuf: BytesMut,
    /// The client will send no more.
    eof: bool,
    /// The client said `Terminate` behind what is still running.
    leaving: bool,
    /// So many bytes of the client's message are still to come and to be passed on.
    stream_left: usize,
    /// To the server, as its head was; else they are dropped.
    stream_on: bool,
    /// The client has the beginning of a message whose end will never come.
    torn: bool,
    /// The message at the head of the buffer waits for what a statement's columns are.
    checking: bool,
    /// An error was answered with no server at hand: everything up to `Sync` is void.
    skip_to_sync: bool,
    shared: Arc<Shared>,
    /// The configuration that it goes by.
    config: Arc<Config>,
    news: News,
    identity: Identity,
    tenants: Tenants,
    /// A tenant that was asked for, and what was found.
    asked: Option<(TenantId, Result<Arc<Tenancy>, Refusal>)>,
    /// How often the tenant has changed.
    changes: u64,
    /// The transaction has read or written.
    touched: bool,
    /// The tenant's scope with the newest names in it, and what it was made of.
    scope: Arc<Scope>,
    scope_basis: Basis,
    settings: Tracked,
    effective: Effective,
    /// The settings that `effective` was made of.
    effective_of: Arc<Settings>,
    told: Arc<Told>,
    /// It was told that its texts are in UTF-8.
    told_utf8: bool,
    /// What it was told may not be so on the server that it has next.
    stale_told: bool,
    /// The settings that its texts are read with.
    reading: Reading,
    /// How the servers were born whose parameters it was told.
    told_of: Birth,
    statements: ClientStatements,
    /// Portals whose statement does something to the session.
    portals: Vec<(Bytes, ClientStatement)>,
    status: Status,
    /// What it will be behind what was sent so far, where that is foreseen.
    foreseen: Option<Status>,
    /// What its path will be behind that, where it is not what PostgreSQL has confirmed.
    ahead: Option<Box<Ahead>>,
    /// What it was behind what is complete so far.
    reached: Status,
    /// The statement that the unnamed portal was bound from, by its name and its number.
    bound: (Vec<u8>, u64),
    pins: Pins,
    listening: Listening,
    /// `ReadyForQuery`, while the client must not have it yet.
    held_ready: Option<Status>,
    /// It made temporary tables at some time: a server with their schema is what PostgreSQL would be to it.
    made_temp: bool,
    /// A statement that SQL has prepared may write.
    sql_writes: bool,
    /// What the schemas hold was waited for, and did not come.
    names_late: bool,
    /// For whom the server is that a message waits for.
    wanted: Isolation,
    /// What the engine said of the message that waits for a server.
    plan: Option<Plan>,
    /// The same, where it took long.
    judged: Option<Judged>,
    link: Option<Box<Link>>,
    attendance: Attendance,
    clock: Clock,
    cancel: CancelEntry,
    /// Cancel requests wait, as PostgreSQL works on a statement of the proxy's own.
    holds_cancels: bool,
    /// What others may know of it.
    entry: ClientEntry,
    /// The tenant that is shown there.
    shown: turns::Tenant,
    shutdown: watch::Receiver<bool>,
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Serves the client until it leaves, and puts its server back.
    pub async fn run(mut self: Box<Self>) -> End {
        let end = self.serve_until_ended().await;
        if let End::Fatal { code, message } = &end {
            tracing::info!(peer = %self.identity.peer, code, reason = ?message, "client closed");
            self.count_error(code.as_bytes());
            // In the middle of a row it would be read as a part of it.
            if !self.torn && !self.link.as_ref().is_some_and(|link| link.is_in_a_message()) {
                message::error(&mut self.outbuf, Severity::Fatal, code, message, None);
            }
        }
        Box::pin(self.leave(&end)).await;
        end
    }

    /// Serves it until an administrator ends it, whatever it waits for then: what it has is cleaned as if it had left.
    async fn serve_until_ended(&mut self) -> End {
        let slot = Arc::clone(self.entry.slot());
        let mut serving = pin!(self.serve());
        // Asked once, as for the stop: the task is the same for all of the session.
        poll_fn(|cx| {
            slot.wakes(cx.waker());
            Poll::Ready(())
        })
        .await;
        poll_fn(|cx| {
            if slot.is_ended() {
                return Poll::Ready(io::ended());
            }
            serving.as_mut().poll(cx).map(|end| match end {
                Ok(never) => match never {},
                Err(end) => end,
            })
        })
        .await
    }

    /// A cancel request reaches the client's own statements only.
    fn hold_cancels(&mut self) {
        let held = self.link.as_ref().and_then(|link| link.expects.front()).is_some_and(Expect::is_own_query);
        if held != self.holds_cancels {
            self.holds_cancels = held;
            self.cancel.hold(held);
        }
    }

    /// Waits for what must be known before the message at hand can go on.
    async fn await_answer(&mut self, step: Step) -> Result<(), End> {
        self.clock.stop();
        match step {
            Step::NeedNames => self.await_names().await,
            Step::NeedTenant(tenant) => self.ask_for_tenant(tenant).await?,
            Step::NeedState(tenancy) => self.await_tenant(tenancy).await?,
            Step::NeedJudgement(question) => self.await_judgement(*question).await?,
            Step::Done | Step::NeedServer | Step::Wait => {}
        }
        self.clock.start(Instant::now());
        Ok(())
    }

    /// What is rare is on the heap while it lasts: an idle session must not carry its room along.
    async fn serve(&mut self) -> Result<std::convert::Infallible, End> {
        loop {
            if self.news.is_there() {
                self.heed_news()?;
            }
            let step = self.step()?;
            self.attendance.cleared = None;
            match step {
                Step::Done if self.held_ready.is_some() => Box::pin(self.settle_channels()).await?,
                Step::Done => {}
                Step::NeedServer => self.attach().await?,
                Step::NeedNames | Step::NeedTenant(_) | Step::NeedState(_) | Step::NeedJudgement(_) => {
                    Box::pin(self.await_answer(step)).await?;
                }
                Step::Wait => {
                    self.hold_cancels();
                    self.exchange_in_time().await?;
                    self.relay()?;
                    if self.held_ready.is_some() {
                        Box::pin(self.settle_channels()).await?;
                    }
                    while self.release().await {
                        self.relay()?;
                    }
                }
            }
        }
    }
}
