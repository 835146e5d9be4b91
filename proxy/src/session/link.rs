//! The server at hand: what is known of it, and how it becomes clean.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use pgstrata_tenancy::RoleName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::expect::{Effect, Expect};
use super::request::MAX_OWED;
use super::role::{InForce, Settled};
use super::spare::Expects;
use super::tenant::Tenancy;
use super::{Session, Status};
use crate::metrics::{Kind, Metrics};
use crate::pool::restore::Dirt;
use crate::pool::server::User;
use crate::pool::servers::Lease;
use crate::pool::settings::{self, Tracked};
use crate::sql::plan::Plan;
use crate::wire::{frame, message};

/// A server, and what is known of the request that it works on.
pub(super) struct Link {
    pub lease: Lease,
    /// As whom it has logged in; `None`: as all do.
    pub login: Option<RoleName>,
    pub expects: Expects,
    /// The settings of its session, with those of the open transaction.
    pub settings: Tracked,
    /// The path is set for the transaction, as of what was written.
    pub path_set: bool,
    /// The role that is in force.
    pub role: InForce,
    /// Code ran in this transaction, or this pipeline, that may have set another path.
    pub path_moved: bool,
    /// The portal that was bound last, if code may have run with that.
    pub moved_by: Option<Bytes>,
    /// The client has set a path for this transaction by itself.
    pub local_path: bool,
    /// A request of this transaction has reached the tenant's schema.
    pub has_reached: bool,
    /// In this transaction a path was in force on which the tenant's schema is not the first. A
    /// rollback to a savepoint may bring it back.
    pub strayed: bool,
    /// Since when the client has it for a transaction.
    pub in_use_since: Option<Instant>,
    /// Code ran that we do not know.
    pub opaque: bool,
    /// It ran for the tenant that is in force, and may have prepared statements.
    pub may_hide: bool,
    /// What others than the tenant in force have prepared is to be dropped.
    pub voids_prepared: bool,
    /// The unnamed portal is ours.
    pub own_portal: bool,
    /// What was answered last is ours.
    pub own_last: bool,
    /// The client has begun the open transaction by itself: it ends where the client ends it.
    pub explicit: bool,
    /// `datestyle` was set in this transaction.
    pub sets_datestyle: bool,
    /// For this transaction, the client has set what gives texts their meaning.
    pub reads_otherwise: bool,
    /// The tenant for which DDL ran in this transaction.
    pub ddl: Option<Arc<Tenancy>>,
    /// A COPY from the client was sent, and it is not known yet whether PostgreSQL waits for its data.
    pub awaits_copy: bool,
    /// PostgreSQL waits for `CopyData`.
    pub copy_in: bool,
    /// So many bytes of PostgreSQL's message are still to come.
    pub pass_left: usize,
    /// They are for the client.
    pub pass_on: bool,
    /// PostgreSQL's FATAL error, if it sent one.
    pub last_words: Option<Box<[u8]>>,
    pub request: Request,
}

/// One request on its way.
pub(super) struct Request {
    /// Something was sent for it.
    pub sent: bool,
    /// The transaction of all that was sent for it so far has been ended by us.
    pub ended: bool,
    /// A portal of ours was run in the implicit transaction that is open.
    pub ran_ours: bool,
    /// How many portals of the client's were run, and whether only some of a portal's rows were asked for.
    pub runs: u32,
    /// See [`Request::runs`].
    pub limited: bool,
    /// A portal of the client's was run in the implicit transaction that is open.
    pub ran: bool,
    /// One was bound.
    pub bound: bool,
    /// One that has a name was.
    pub bound_by_name: bool,
    /// A statement of it may have changed the encoding that the next is read in.
    pub reencodes: bool,
    /// One may have changed other settings that give the next its meaning.
    pub rereads: bool,
    /// The answers to all that was sent were asked for.
    pub flushed: bool,
    /// Something of ours stands in one of its texts, such as the tenant's schema in front of a name.
    pub spliced: bool,
    /// `pg_temp` stands in front of a name of one of its texts, put there by us.
    pub pins_temporary: bool,
    /// Its last message was sent: `ReadyForQuery` will come.
    pub awaiting: bool,
    /// An error came: everything up to `Sync` is void.
    pub failed: bool,
    /// Some answer of it has reached the client.
    pub delivered: bool,
    /// An error was among its answers.
    pub erred: bool,
    /// What it is counted as.
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
    /// It binds a statement whose columns the client was told.
    pub described: bool,
    /// It may run code that we do not know.
    pub opaque: bool,
    /// An error to what was prepared for a `Query`, in front of it.
    pub early: Option<Box<[u8]>>,
    /// Whether the role that it needs for the session is in force.
    pub role: Settled,
    /// The portal whose statement PostgreSQL was asked about last, if nothing has run since.
    pub asked: Option<Bytes>,
    /// Its messages as the client sent them, while it can still be run again.
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
            replay: None,
        }
    }
}

impl Link {
    pub(super) fn new(lease: Lease, login: Option<RoleName>) -> Self {
        Self {
            settings: Tracked::new(Arc::clone(&lease.settings)),
            lease,
            login,
            expects: Expects::new(),
            path_set: false,
            role: InForce::Servers,
            path_moved: false,
            moved_by: None,
            local_path: false,
            has_reached: false,
            strayed: false,
            in_use_since: None,
            opaque: false,
            may_hide: false,
            voids_prepared: false,
            own_portal: false,
            own_last: false,
            explicit: false,
            sets_datestyle: false,
            reads_otherwise: false,
            ddl: None,
            awaits_copy: false,
            copy_in: false,
            pass_left: 0,
            pass_on: false,
            last_words: None,
            request: Request::new(),
        }
    }

    /// A message was put in the write buffer, and this is what it is answered with.
    pub fn owe(&mut self, expect: Expect) {
        (self.request.sent, self.request.ended, self.request.flushed) = (true, false, false);
        self.expects.push_back(expect);
        if self.expects.len().is_multiple_of(MAX_OWED / 2) {
            self.flush();
        }
    }

    /// Asks for all answers that are due.
    pub fn flush(&mut self) {
        message::flush(&mut self.lease.outbuf);
        self.request.flushed = true;
    }

    /// The message in front of the queue is answered.
    pub fn answered(&mut self) -> Option<Expect> {
        let front = self.expects.pop_front();
        self.own_last = front.as_ref().is_some_and(|front| !front.is_clients());
        front
    }

    /// A plan is about to be sent.
    pub fn note_plan(&mut self, plan: &Plan) {
        self.opaque |= plan.opaque;
        self.may_hide |= plan.opaque;
        self.request.opaque |= plan.opaque;
        self.request.spliced |= !plan.splices.is_empty();
        self.request.pins_temporary |= plan.pins_temporary;
    }

    /// Code ran that may have set another path and another role.
    pub fn moved(&mut self) {
        (self.path_set, self.path_moved, self.moved_by) = (false, true, None);
        if self.role != InForce::Servers {
            self.role = InForce::Unknown;
        }
    }

    /// A portal is about to be used: what ran with the `Bind` of another may have set another path.
    pub fn settle_bind(&mut self, portal: Option<&[u8]>) {
        if self.moved_by.as_deref().is_some_and(|bound| Some(bound) != portal) {
            self.moved();
        }
    }

    /// Whether code that we do not know may have run in this session since it was wiped.
    pub fn has_run_code(&self) -> bool {
        self.opaque || self.lease.used_by.is_some()
    }

    /// The session goes over to another tenant: what code of the one before has prepared must not run for it.
    pub fn change_tenant(&mut self) {
        if self.has_run_code() {
            self.lease.lose_prepared();
            (self.voids_prepared, self.may_hide) = (true, false);
        }
    }

    /// Whether the client has the beginning of a message, and the rest is still to come.
    pub fn is_in_a_message(&self) -> bool {
        self.pass_left > 0 && self.pass_on
    }

    /// The request is over.
    pub fn next_request(&mut self) {
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

    /// Whether a statement was run in this request, the client's or one of the proxy's: it may have made a transaction
    /// block of the pipeline.
    pub(super) fn has_run(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.request.ran || link.request.ran_ours)
    }

    pub(super) fn has_sent(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.request.sent)
    }
}

impl Link {
    /// Makes the server's session the client's, in front of its first request. Its settings are set under `role`.
    pub fn hand_over(&mut self, user: User<'_>, wants: &Tracked, role: Option<&RoleName>) {
        if let Some(sql) = self.lease.forget_last_user(user) {
            self.ask(&sql);
        }
        self.bring_settings(wants, Status::Idle, role);
    }

    /// Drops what others than the tenant in force have prepared.
    pub fn drop_prepared(&mut self, status: Status) {
        if self.voids_prepared && status != Status::Failed {
            self.ask("DEALLOCATE ALL");
            self.lease.forget_prepared();
            self.voids_prepared = false;
        }
    }

    /// Ends a request of our own in front of the client's.
    pub fn sync_own(&mut self, status: Status) {
        message::sync(&mut self.lease.outbuf);
        self.expects.push_back(Expect::OwnSync);
        self.request.sent = false;
        if status == Status::Idle {
            (self.path_set, self.own_portal) = (false, false);
            self.role = self.resting_role();
        }
    }

    /// Writes what brings the server's settings to the client's, in front of a request.
    pub fn bring_settings(&mut self, wants: &Tracked, status: Status, role: Option<&RoleName>) {
        if status == Status::Failed {
            return;
        }
        let (has, wants, idle) = (self.settings.current(), wants.current(), status == Status::Idle);
        if !settings::are_the_same(has, wants) {
            let statements = settings::difference(has, wants, idle, role);
            let now = settings::after(has, wants, idle);
            match idle {
                true if statements.is_empty() => {}
                true => self.ask(&statements.join("; ")),
                // Several in one text would end a transaction that is open since a pipeline, and no block.
                false => statements.iter().for_each(|statement| self.ask(statement)),
            }
            self.settings.replace(now);
        }
        if idle {
            self.settings.commit();
            self.role = self.resting_role();
        }
    }

    /// A `Query` of our own, whose answer nobody hears of.
    pub fn ask(&mut self, sql: &str) {
        self.lease.query(&[sql.as_bytes()]);
        self.expects.push_back(Expect::OwnQuery);
    }

    /// Closes the server: the pool makes a new one when it is needed.
    pub fn discard(self) {
        drop(self.lease);
    }

    /// Ends whatever is open on the server: a COPY, a pipeline, a transaction, a session.
    pub(super) async fn clean(&mut self, status: Status, session: bool, metrics: &Metrics) -> io::Result<()> {
        // Which of these came about can't be told from here on.
        let leaves = |expect: &Expect| match expect {
            Expect::Parse { named, .. } => *named,
            Expect::Execute { effect, .. } => effect.as_ref().is_some_and(Effect::outlives_transaction),
            Expect::Query(reply) => reply.effects.iter().any(|(_, effect)| effect.outlives_transaction()),
            _ => false,
        };
        if self.lease.in_doubt || self.expects.iter().any(leaves) {
            return Err(io::ErrorKind::Other.into());
        }
        if self.copy_in {
            message::copy_fail(&mut self.lease.outbuf, b"the client is gone");
        }
        if self.request.sent && !self.request.awaiting {
            // PostgreSQL would not commit a pipeline whose client is gone: it must fail before its Sync.
            message::fail(&mut self.lease.outbuf);
            message::sync(&mut self.lease.outbuf);
            self.expects.push_back(Expect::Sync);
        }
        let mut status = status.byte();
        let due = self.expects.iter().filter(|e| e.ends_ready()).count();
        if due > 0 {
            metrics.overhead_round_trip();
            let ours = |expect: &Expect| {
                matches!(expect, Expect::OwnQuery | Expect::SessionRole(_) | Expect::Restored)
            };
            let ours = self.expects.iter().any(ours);
            status = self.drain(due, ours).await?;
            // Nor can it whether the transaction was kept that ended just now.
            if status == b'I' && self.settings.is_pending() {
                return Err(io::ErrorKind::Other.into());
            }
        }
        if status != b'I' {
            metrics.overhead_round_trip();
            self.lease.query(&[b"ROLLBACK"]);
            status = self.drain(1, true).await?;
            self.settings.roll_back();
        }
        if status != b'I' {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if session {
            metrics.overhead_round_trip();
            // Not under the client's settings.
            self.lease.restore(Dirt::Settings).await?;
            self.settings = Tracked::default();
            self.lease.query(&[b"DISCARD ALL"]);
            self.drain(1, true).await?;
            self.lease.forget_prepared();
        }
        Ok(())
    }

    /// Reads and drops answers until so many `ReadyForQuery` have come; gives the last one's status.
    ///
    /// `ours`: what the proxy believes the server to have hangs on some of them, so that none may be an error.
    async fn drain(&mut self, due: usize, ours: bool) -> io::Result<u8> {
        let (mut left, mut status) = (due, b'I');
        loop {
            self.lease.send().await?;
            while let Some((tag, last)) = self.drop_message()? {
                match tag {
                    b'Z' => {
                        status = last;
                        left -= 1;
                    }
                    b'E' if ours => return Err(io::ErrorKind::InvalidData.into()),
                    // PostgreSQL has read our Sync as part of the COPY.
                    b'G' => {
                        message::copy_fail(&mut self.lease.outbuf, b"the client is gone");
                        if self.expects.iter().any(|expect| matches!(expect, Expect::Execute { .. })) {
                            message::sync(&mut self.lease.outbuf);
                        }
                    }
                    _ => {}
                }
                if left == 0 {
                    return Ok(status);
                }
            }
            if !self.lease.outbuf.is_empty() {
                continue;
            }
            let server = &mut *self.lease;
            if server.stream.read_buf(&mut server.inbuf).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Takes one message off the read buffer: its type and its last byte.
    fn drop_message(&mut self) -> io::Result<Option<(u8, u8)>> {
        let server = &mut *self.lease;
        let rest = self.pass_left.min(server.inbuf.len());
        server.inbuf.advance(rest);
        self.pass_left -= rest;
        if self.pass_left > 0 {
            return Ok(None);
        }
        let header = frame::header(&server.inbuf).map_err(|_| io::ErrorKind::InvalidData)?;
        let Some(header) = header else { return Ok(None) };
        if matches!(header.tag, b'D' | b'd') && server.inbuf.len() < header.total {
            self.pass_left = header.total;
            return self.drop_message();
        }
        if server.inbuf.len() < header.total {
            return Ok(None);
        }
        let message = server.inbuf.split_to(header.total);
        if header.tag == b'S' {
            server.note_parameter(message.get(frame::HEADER..).unwrap_or_default());
        }
        Ok(Some((header.tag, message.last().copied().unwrap_or_default())))
    }
}
