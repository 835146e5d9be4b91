//! One client: the state machine that connects wire, engine and pool.
//!
//! A *request* is a `Query` message, or the extended messages up to their `Sync`. The next request is processed when
//! PostgreSQL has answered the previous one, so that the state of the transaction is known, not guessed, wherever a
//! decision depends on it.
//!
//! # Layout
//! - [`start`]: from an authenticated user to a running session; `validation`: of the settings that it brings.
//! - [`request`]: the client's messages, one step for each.
//! - [`query`], [`extended`], [`bind`], `function_call`: messages for the server; [`planning`]: the plans of texts;
//!   `portals`: `Execute`; [`compose`]: statements that are added to a text; [`bound`]: settings with bound values.
//! - [`expect`], [`reply`], [`outcome`]: expected replies, their processing, and the end of a request; [`again`]:
//!   requests that run again or are lost; `parameters`: `ParameterStatus`; `wording`: errors with the client's names.
//! - `values`: settings that determine how texts are read.
//! - [`statements`]: the client's prepared statements; [`prepared`]: on the leased server; [`columns`]: their
//!   descriptions.
//! - [`path`]: the search path, and when it must be set; [`role`]: the tenant's role, likewise.
//! - [`names`]: prepared statements and portals by name: a session finds its own only.
//! - [`effect`]: effects of statements on the session; [`foresee`], [`ahead`]: those of statements in progress;
//!   [`boundary`]: where transactions end.
//! - [`encoding`]: the encoding of texts. `elsewhere`: console commands that are sent to a database.
//! - [`listen`]: `LISTEN`, and notifications; [`whereabouts`]: whether the tenant of a channel is still on its cluster.
//! - [`news`]: a newer configuration, and whether the client may continue with it.
//! - `follow`: a tenant that has moved to another cluster.
//! - [`standing`]: whether a tenant's clients are served; [`arrival`], [`admission`]: checked at the login, and later.
//! - [`tenant`], [`switch`]: the tenants of the session, and the switch to another; `path_switch`: by the search path.
//! - [`code_watch`]: code that DDL of another session adds behind a plan.
//! - [`pins`]: why a client keeps its server, and how that ends.
//! - [`sequences`]: `lastval()` returns the client's own draws.
//! - [`state`]: the parts of the state, each with its invariants.
//! - [`spare`]: reused buffers.
//! - `bounds`: limits of what a text adds to the session and to what is sent.
//! - `judge`: texts that are analysed on other threads.
//! - [`io`]: reads and writes, with bounded buffers.
//! - `birth`: a server with other initial parameters than reported to the client.
//! - [`allowance`]: the limits of the client.
//! - [`rate`]: requests per second.
//! - [`attach`]: checkout and return of a server; [`link`]: its tracked state; [`clean`]: its clean-up; [`login`]:
//!   servers of the tier `login`; [`handback`]: the reset before a return.
//! - [`comment`]: the tenant in a comment in front of statements. [`naming`], [`command`]: how texts name a tenant.
//! - [`runs`]: statistics by statement; [`accounts`]: the running statements that they count.
//! - [`clock`]: the proxy's own time for a request; [`deadline`]: time limits.

mod accounts;
mod admission;
mod again;
mod ahead;
mod allowance;
mod arrival;
mod attach;
mod bind;
mod birth;
mod bound;
mod boundary;
mod bounds;
mod clean;
mod clock;
mod code_watch;
mod columns;
mod command;
mod comment;
mod compose;
mod deadline;
mod draws;
mod effect;
mod elsewhere;
mod encoding;
mod expect;
mod explain;
mod extended;
mod follow;
mod foresee;
mod function_call;
mod handback;
mod incoming;
mod io;
mod judge;
mod kept;
mod link;
mod listen;
mod login;
mod names;
mod naming;
mod news;
mod outcome;
mod parameters;
mod path;
#[cfg(test)]
mod path_fuzz;
mod path_switch;
mod pins;
mod planning;
mod portals;
mod prepared;
mod query;
mod rate;
mod reply;
mod request;
mod role;
mod runs;
mod sequences;
mod spare;
mod standing;
pub mod start;
mod state;
mod statements;
mod switch;
mod tenant;
mod validation;
mod values;
mod whereabouts;
mod wording;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::Instant;

use self::accounts::Accounts;
use self::admission::Counted;
use self::allowance::Allowance;
use self::clock::Clock;
use self::draws::Draws;
use self::encoding::Reading;
use self::expect::Expect;
use self::link::Link;
use self::listen::Listening;
use self::news::News;
use self::path::Effective;
use self::pins::Pins;
use self::request::Step;
use self::state::framing::Framing;
use self::state::head::Head;
use self::state::portals::Portals;
use self::state::reported::Reported;
use self::state::transaction::Transaction;
use self::statements::ClientStatements;
use self::tenant::{Basis, Tenants};
use crate::cancel::CancelEntry;
use crate::clients::ClientEntry;
use crate::config::{Config, User};
use crate::limits::places::Places;
use crate::net::socket::Peer;
use crate::pool::settings::{Settings, Tracked};
use crate::pool::turns;
use crate::shared::{DatabaseHandle, ReportedParameters, Shared};
use crate::simulation::{Fault, fault};
use crate::sql::scope::Scope;
use crate::wire::message::{self, Severity};

/// The transaction status of `ReadyForQuery`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// `I`: in no transaction block.
    Idle,
    /// `T`: in a transaction block.
    Block,
    /// `E`: in a failed transaction block.
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
    /// The client sent `Terminate`, and all earlier messages are processed.
    Terminated,
    /// The client's connection broke or was closed.
    ClientGone,
    /// The client gets this error, and its connection is closed.
    Fatal {
        /// The SQLSTATE.
        code: String,
        /// The message of the error.
        message: String,
    },
}

impl End {
    fn fatal(code: &str, message: impl Into<String>) -> Self {
        End::Fatal { code: code.into(), message: message.into() }
    }
}

/// The client's identity, fixed for the session.
pub struct Identity {
    /// The database's pool and catalog.
    pub database: Arc<DatabaseHandle>,
    /// The user, with its permissions.
    pub user: Arc<User>,
    /// The settings of the start-up packet, to which `RESET` returns.
    pub base: Arc<Settings>,
    /// The parameters that servers report with these settings.
    pub base_told: Arc<ReportedParameters>,
    /// For the log.
    pub peer: Peer,
    /// The client uses TLS.
    pub tls: bool,
}

/// A logged-in client.
pub struct Session<C> {
    stream: C,
    /// The client's messages that are not processed yet.
    framing: Framing,
    /// What is known of the first of them.
    head: Head,
    /// Output for the client.
    outbuf: BytesMut,
    shared: Arc<Shared>,
    /// The configuration of the session.
    config: Arc<Config>,
    news: News,
    identity: Identity,
    tenants: Tenants,
    /// The tenant's scope with the newest catalog, and its basis.
    scope: Arc<Scope>,
    scope_basis: Basis,
    settings: Tracked,
    effective: Effective,
    reported: Reported,
    /// The settings that determine how its texts are read.
    reading: Reading,
    statements: ClientStatements,
    portals: Portals,
    /// The status of the last `ReadyForQuery`. Only `end_request` changes it.
    status: Status,
    transaction: Transaction,
    pins: Pins,
    /// The values that the client has drawn from sequences, if clients of its tenant read them.
    draws: Option<Box<Draws>>,
    listening: Listening,
    /// A statement of SQL `PREPARE` may write.
    sql_writes: bool,
    link: Option<Box<Link>>,
    _counted: Counted,
    allowance: Allowance,
    /// Its place among the clients of its tenant, its user and its database.
    _place: Places,
    clock: Clock,
    cancel: CancelEntry,
    /// Cancel requests are delayed, because PostgreSQL runs a statement of the proxy.
    holds_cancels: bool,
    /// The statements with statistics.
    accounts: Accounts,
    /// The client's entry in `SHOW CLIENTS`.
    entry: ClientEntry,
    /// The tenant in that entry.
    shown: turns::Tenant,
    shutdown: watch::Receiver<bool>,
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Serves the client until its session ends, and returns its server.
    pub async fn run(mut self: Box<Self>) -> End {
        let end = self.serve_until_ended().await;
        if let End::Fatal { code, message } = &end {
            tracing::info!(peer = %self.identity.peer, code, reason = ?message, "client closed");
            self.count_error(code.as_bytes());
            // In the middle of a row, the client would read it as a part of the row.
            if !self.framing.cuts_answer() && !self.link.as_ref().is_some_and(|link| link.is_in_a_message()) {
                message::error(&mut self.outbuf, Severity::Fatal, code, message, None);
            }
        }
        Box::pin(self.leave(&end)).await;
        end
    }

    /// Serves the client until the session ends, also by an administrator, in any wait. The server is then cleaned as
    /// if the client had disconnected.
    async fn serve_until_ended(&mut self) -> End {
        let slot = Arc::clone(self.entry.slot());
        let mut serving = pin!(self.serve());
        // Polled once: the task is the same for the whole session.
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

    /// Delays cancel requests, which may reach the client's own statements only. `true`: one is on its way to the
    /// server, and could reach the statement of the proxy that is about to be written.
    fn hold_cancels(&mut self) -> bool {
        let link = self.link.as_ref();
        let held = link.and_then(|link| link.expects.front()).is_some_and(Expect::is_own_query);
        if held == self.holds_cancels {
            return false;
        }
        self.holds_cancels = held;
        let in_flight = self.cancel.hold(held);
        held && in_flight && link.is_some_and(|link| !link.lease.outbuf.is_empty())
    }

    /// Waits for the condition of the message at hand.
    async fn await_answer(&mut self, step: Step) -> Result<(), End> {
        self.clock.stop();
        match step {
            Step::NeedNames => self.await_names().await,
            Step::NeedTenant(tenant) => self.ask_for_tenant(tenant).await?,
            Step::NeedState(tenancy) => self.await_tenant(tenancy).await?,
            Step::NeedJudgement(question) => self.await_judgement(*question).await?,
            Step::NeedRoom(bytes) => self.await_room(bytes).await?,
            Step::Done | Step::NeedServer | Step::Wait => {}
        }
        self.clock.start(Instant::now());
        Ok(())
    }

    /// Rare states are on the heap while they last, so that an idle session does not include their size.
    async fn serve(&mut self) -> Result<std::convert::Infallible, End> {
        loop {
            if self.news.is_there() {
                self.heed_news()?;
            }
            let step = self.step()?;
            self.head.end_step();
            match step {
                Step::Done if self.transaction.holds_ready() => Box::pin(self.settle_channels()).await?,
                Step::Done => {}
                Step::NeedServer => self.attach().await?,
                Step::NeedNames
                | Step::NeedTenant(_)
                | Step::NeedState(_)
                | Step::NeedJudgement(_)
                | Step::NeedRoom(_) => {
                    Box::pin(self.await_answer(step)).await?;
                }
                Step::Wait => {
                    if self.hold_cancels() && !fault(Fault::CancelOvertaken) {
                        Box::pin(self.cancel.settled()).await;
                        self.clock.see(Instant::now());
                    }
                    self.exchange_in_time().await?;
                    self.relay()?;
                    if self.listening.watches.due {
                        Box::pin(self.look_after_channels()).await?;
                    }
                    if self.transaction.holds_ready() {
                        Box::pin(self.settle_channels()).await?;
                    }
                    while self.release().await? {
                        self.relay()?;
                    }
                }
            }
        }
    }
}
