//! The leased server: the tracked state of its session, and of the request in progress.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use pgstrata_tenancy::RoleName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::accounts::Run;
use super::code_watch::CodeWatch;
use super::effect::{may_move, strays};
use super::expect::Expect;
use super::kept::Kept;
use super::request::MAX_OWED;
use super::role::{InForce, Settled};
use super::runs::Ran;
use super::spare::{self, Expects};
use super::state::setup::Setup;
use super::{Session, Status};
use crate::catalog::Change;
use crate::metrics::Kind;
use crate::pool::server::User;
use crate::pool::servers::Lease;
use crate::pool::settings::{self, Tracked};
use crate::shared::cluster::ClusterId;
use crate::simulation::{Fault, fault};
use crate::sql::plan::{Plan, Statement, StatementKind};
use crate::wire::message;

/// A server, and the state of the request in progress on it.
pub(super) struct Link {
    pub lease: Lease,
    /// The cluster of the server.
    pub cluster: ClusterId,
    /// The role that it has logged in as; `None`: the servers' role.
    pub login: Option<RoleName>,
    pub expects: Expects,
    /// The settings of its session, with those of the open transaction.
    pub settings: Tracked,
    /// The path and the role that are in force.
    pub setup: Setup,
    /// A request of this transaction has reached the tenant's schema.
    pub has_reached: bool,
    /// The time since which the client has the server for a transaction.
    pub in_use_since: Option<Instant>,
    /// Code outside of the text has run.
    pub opaque: bool,
    /// It ran for the current tenant, and may have prepared statements.
    pub may_hide: bool,
    /// Statements that were not prepared for the current tenant must be dropped.
    pub voids_prepared: bool,
    /// The unnamed portal is the proxy's.
    pub own_portal: bool,
    /// The last answer was to a message of the proxy.
    pub own_last: bool,
    /// The client has begun the open transaction itself, so only the client ends it.
    pub explicit: bool,
    /// `datestyle` was set in this transaction.
    pub sets_datestyle: bool,
    /// The client has changed settings that determine the meaning of texts, for this transaction.
    pub reads_otherwise: bool,
    /// The DDL of this transaction, by tenant.
    pub ddl: Vec<Change>,
    /// What the plans of this transaction know of code.
    pub watch: Option<CodeWatch>,
    /// A `COPY .. FROM STDIN` was sent, and PostgreSQL has not answered yet.
    pub awaits_copy: bool,
    /// PostgreSQL waits for `CopyData`.
    pub copy_in: bool,
    /// The number of bytes of PostgreSQL's message that are still to come.
    pub pass_left: usize,
    /// They are for the client.
    pub pass_on: bool,
    /// PostgreSQL's FATAL error, if there was one.
    pub last_words: Option<Box<[u8]>>,
    pub request: Request,
}

/// A request in progress.
pub(super) struct Request {
    /// A message of it was sent.
    pub sent: bool,
    /// The proxy has ended the transaction of the messages sent so far.
    pub ended: bool,
    /// A portal of the proxy has run in the open implicit transaction.
    pub ran_ours: bool,
    /// The number of portals of the client that have run, and whether one of them had a row limit.
    pub runs: u32,
    /// See [`Request::runs`].
    pub limited: bool,
    /// A portal of the client has run in the open implicit transaction.
    pub ran: bool,
    /// A portal was bound.
    pub bound: bool,
    /// A named portal was bound.
    pub bound_by_name: bool,
    /// One of its statements may have changed the client encoding of the next messages.
    pub reencodes: bool,
    /// One of its statements may have changed other settings that determine the meaning of the next messages.
    pub rereads: bool,
    /// A `Flush` or `Sync` behind all sent messages was sent.
    pub flushed: bool,
    /// One of its texts contains additions of the proxy, such as a schema in front of a name.
    pub spliced: bool,
    /// The proxy has put `pg_temp` in front of a name in one of its texts.
    pub pins_temporary: bool,
    /// Its last message was sent: `ReadyForQuery` will follow.
    pub awaiting: bool,
    /// An error has arrived: all messages up to `Sync` are void.
    pub failed: bool,
    /// A part of its answer has reached the client.
    pub delivered: bool,
    /// Its answer contains an error.
    pub erred: bool,
    /// The kind for the metrics.
    pub kind: Kind,
    /// It opens a transaction block.
    pub begins: bool,
    /// When its first byte was written.
    pub begun: Option<Instant>,
    /// When PostgreSQL was last read.
    pub heard_at: Option<Instant>,
    /// Bytes that were read for it.
    pub received: u64,
    /// Bytes that were written for it.
    pub written: u64,
    /// Waits on the server so far.
    pub round_trips: u64,
    /// The last that happened on the wire was a read: the next write begins a round trip.
    pub heard: bool,
    /// It binds a statement that the client has described.
    pub described: bool,
    /// It may run code outside of the text.
    pub opaque: bool,
    /// The error of a statement that was prepared in front of a `Query`.
    pub early: Option<Box<[u8]>>,
    /// Whether the role for the session, if it needs one, is in force.
    pub role: Settled,
    /// The portal of the last check, if nothing has run since.
    pub asked: Option<Bytes>,
    /// The number of the statement that was checked and parsed last, if nothing has run since.
    pub analysed: Option<u64>,
    /// Its unnamed statement, if that has a name on the server.
    pub kept: Option<Kept>,
    /// The statistics of the text of a `Query`.
    pub run: Option<Run>,
    /// The rows that its statements returned or changed.
    pub rows: u64,
    /// The statements that have run so far.
    pub ran_so_far: Ran,
    /// Its messages, unchanged, while it can still run again.
    pub replay: Option<BytesMut>,
}

impl Request {
    fn new() -> Self {
        Self {
            sent: false,
            ended: false,
            ran_ours: false,
            runs: 0,
            limited: false,
            ran: false,
            bound: false,
            bound_by_name: false,
            reencodes: false,
            rereads: false,
            flushed: false,
            spliced: false,
            pins_temporary: false,
            awaiting: false,
            failed: false,
            delivered: false,
            erred: false,
            kind: Kind::Shared,
            begins: false,
            begun: None,
            heard_at: None,
            received: 0,
            written: 0,
            round_trips: 0,
            heard: true,
            described: false,
            opaque: false,
            early: None,
            role: Settled::No,
            asked: None,
            analysed: None,
            kept: None,
            run: None,
            rows: 0,
            ran_so_far: Ran::default(),
            replay: None,
        }
    }
}

impl Link {
    pub(super) fn new(lease: Lease, login: Option<RoleName>, cluster: ClusterId) -> Self {
        Self {
            settings: Tracked::new(Arc::clone(&lease.settings)),
            lease,
            login,
            cluster,
            expects: Expects::new(),
            setup: Setup::default(),
            has_reached: false,
            in_use_since: None,
            opaque: false,
            may_hide: false,
            voids_prepared: false,
            own_portal: false,
            own_last: false,
            explicit: false,
            sets_datestyle: false,
            reads_otherwise: false,
            ddl: Vec::new(),
            watch: None,
            awaits_copy: false,
            copy_in: false,
            pass_left: 0,
            pass_on: false,
            last_words: None,
            request: Request::new(),
        }
    }

    /// Records the expected reply to a message in the write buffer.
    pub fn expect_reply(&mut self, expect: Expect) {
        (self.request.sent, self.request.ended, self.request.flushed) = (true, false, false);
        self.expects.push_back(expect);
        if self.expects.len().is_multiple_of(MAX_OWED / 2) {
            self.flush();
        }
    }

    /// Requests all outstanding answers.
    pub fn flush(&mut self) {
        message::flush(&mut self.lease.outbuf);
        self.request.flushed = true;
    }

    /// The reply in front of the queue has arrived.
    pub fn answered(&mut self) -> Option<Expect> {
        let front = self.expects.pop_front();
        self.own_last = front.as_ref().is_some_and(|front| !front.is_clients());
        front
    }

    /// Records the effects of a plan before it is sent.
    pub fn note_plan(&mut self, plan: &Plan) {
        self.opaque |= plan.opaque;
        self.may_hide |= plan.opaque;
        self.request.opaque |= plan.opaque;
        self.request.spliced |= !plan.splices.is_empty();
        self.request.pins_temporary |= plan.pins_temporary;
    }

    /// A statement was written: path and role are followed. `opaque`: its text may run code outside of it. Returns
    /// whether such code may run now.
    ///
    /// Both protocols call this for each statement, and [`Ahead::advance`](super::ahead::Ahead::advance).
    pub fn advance(&mut self, statement: &Statement, text: &[u8], schema: &str, opaque: bool) -> bool {
        let opaque = opaque || self.opaque && statement.kind == StatementKind::Fetch;
        let moves = may_move(statement, opaque);
        self.setup.stray_if(strays(statement, text, schema));
        let settings = &self.settings;
        self.setup.advance(statement, || InForce::outside_of_transaction(settings), moves);
        moves
    }

    /// Whether code outside of the text may have run in this session since its last reset.
    pub fn has_run_code(&self) -> bool {
        self.opaque || self.lease.used_by.is_some()
    }

    /// The session switches to another tenant: statements that code of the previous one has prepared must not run for
    /// it.
    pub fn change_tenant(&mut self) {
        if self.has_run_code() {
            self.lease.lose_prepared();
            (self.voids_prepared, self.may_hide) = (true, false);
        }
    }

    /// Whether the client has got only a part of a message.
    pub fn is_in_a_message(&self) -> bool {
        self.pass_left > 0 && self.pass_on
    }

    /// Whether the next answer has the values that the client has drawn.
    pub fn awaits_draw(&self) -> bool {
        matches!(self.expects.front(), Some(Expect::Draw(_)))
    }

    /// The request is over.
    pub fn next_request(&mut self) {
        if let Some(replay) = self.request.replay.take() {
            spare::leave(replay);
        }
        self.request = Request::new();
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    pub(super) fn is_awaiting(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.request.awaiting)
    }

    pub(super) fn is_copying_in(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.copy_in)
    }

    pub(super) fn has_failed(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.request.failed)
    }

    /// Whether a statement has run in this request, of the client or of the proxy: it may have turned the pipeline into
    /// a transaction block.
    pub(super) fn has_run(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.request.ran || link.request.ran_ours)
    }

    pub(super) fn has_sent(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.request.sent)
    }
}

impl Link {
    /// Gives the server's session to the client, in front of its first request. The client's settings are made under
    /// `role`.
    pub fn hand_over(&mut self, user: User<'_>, wants: &Tracked, role: Option<&RoleName>) {
        if let Some(sql) = self.lease.forget_last_user(user) {
            self.ask(&sql);
        }
        self.bring_settings(wants, Status::Idle, role);
    }

    /// Drops the prepared statements of others than the current tenant.
    pub fn drop_prepared(&mut self, status: Status) {
        if self.voids_prepared && status != Status::Failed {
            self.ask("DEALLOCATE ALL");
            self.lease.forget_prepared();
            self.voids_prepared = false;
        }
    }

    /// Ends a request of the proxy in front of the client's.
    pub fn sync_own(&mut self, status: Status) {
        message::sync(&mut self.lease.outbuf);
        self.expects.push_back(Expect::OwnSync);
        self.request.sent = false;
        if status == Status::Idle {
            self.setup.rest(self.resting_role());
            self.own_portal = false;
        }
    }

    /// Writes the statements that change the server's settings to the client's, in front of a request.
    pub fn bring_settings(&mut self, wants: &Tracked, status: Status, role: Option<&RoleName>) {
        if status == Status::Failed {
            return;
        }
        let (has, wants, idle) = (self.settings.current(), wants.current(), status == Status::Idle);
        if !settings::are_the_same(has, wants) {
            let mut statements = settings::difference(has, wants, idle, role);
            if fault(Fault::SettingNotReplayed) {
                statements.pop();
            }
            let now = settings::after(has, wants, idle);
            match idle {
                true if statements.is_empty() => {}
                true => self.ask(&statements.join("; ")),
                // Several statements in one text would end a transaction that is open since a pipeline without being a
                // block.
                false => statements.iter().for_each(|statement| self.ask(statement)),
            }
            self.settings.replace(now);
        }
        if idle {
            self.settings.commit();
            self.setup.set_role(self.resting_role());
        }
    }

    /// Sends a `Query` of the proxy, whose answer does not reach the client.
    pub fn ask(&mut self, sql: &str) {
        self.lease.query(&[sql.as_bytes()]);
        self.expects.push_back(Expect::OwnQuery);
    }

    /// Closes the server; the pool opens another one when it is needed.
    pub fn discard(self) {
        drop(self.lease);
    }
}
