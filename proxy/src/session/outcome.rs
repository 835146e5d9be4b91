//! How a request ends: answered, refused, run again, or lost with its server.

use std::borrow::Cow;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};

use super::draws::DrawAnswer;
use super::expect::{Expect, PATH_BEHIND, PATH_FIRST, QueryReply, ROLE_FIRST};
use super::kept::KeptError;
use super::link::Link;
use super::names::FAILED;
use super::reply::Relayed;
use super::role::Settled;
use super::sequences::with_advice;
use super::wording::{TEMPORARY, without_schema};
use super::{End, Session, Status, columns};
use crate::catalog::Change;
use crate::pool::server::Standing;
use crate::simulation::{Fault, fault};
use crate::sql::limits;
use crate::sql::plan::Refusal;
use crate::sql::rewrite::PositionMap;
use crate::wire::frame;
use crate::wire::message::{self, Severity};

/// The SQLSTATE for a missing prepared statement.
pub(super) const NO_STATEMENT: &[u8] = b"26000";

/// The SQLSTATE for a write in a read-only transaction.
const READ_ONLY: &[u8] = b"25006";

/// The SQLSTATE for a function that needs a value which the session has not drawn yet.
const UNDRAWN: &[u8] = b"55000";

/// The field of a position in an error or a notice.
const POSITION: u8 = b'P';
/// The field of the message in an error or a notice.
const MESSAGE: u8 = b'M';
/// PostgreSQL's message at an unexpected end of a text.
const END_OF_INPUT: &[u8] = b"syntax error at end of input";

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// `ErrorResponse`.
    pub(super) fn error(&mut self, body: &[u8], whole: &[u8]) -> Result<(), End> {
        let severity = frame::field(body, b'V').or_else(|| frame::field(body, b'S'));
        let Some(link) = &mut self.link else { return Ok(()) };
        if matches!(severity, Some(b"FATAL" | b"PANIC")) {
            // The connection ends; the client's error is chosen when it has ended.
            link.last_words = Some(body.into());
            link.lease.in_doubt = true;
            return Ok(());
        }
        if let Some(Expect::Draw(answer)) = link.expects.front_mut() {
            // PostgreSQL's error if the session has drawn nothing.
            let undrawn = frame::field(body, b'C') == Some(UNDRAWN);
            *answer = if undrawn { DrawAnswer::Nothing } else { DrawAnswer::Unknown };
            return Ok(());
        }
        (link.copy_in, link.awaits_copy) = (false, false);
        link.request.erred = true;
        // The state that would have pinned the client may not exist.
        self.pins.doubt();
        let code = frame::field(body, b'C').unwrap_or(b"XX000");
        match self.error_of_kept(code) {
            KeptError::Other => {}
            KeptError::BehindParse => self.tell_due_parse(),
            KeptError::Again { refused } => {
                self.drop_kept(refused);
                if columns::is_overtaken(body, code) {
                    // DDL has bypassed the proxy. The server closes its outdated statements when their places are
                    // needed.
                    self.cluster().catalog.invalidate(&self.tenants.now().scope.schema);
                }
                return if code == NO_STATEMENT { self.run_again() } else { self.send_again() };
            }
        }
        if self.can_run_again(body, code) {
            return self.run_again();
        }
        let outnumbered = self.is_outnumbered(body, code);
        if outnumbered || columns::is_overtaken(body, code) {
            // DDL has bypassed the proxy: statements prepared from now on share nothing with earlier ones.
            self.cluster().catalog.invalidate(&self.tenants.now().scope.schema);
        }
        let message = frame::field(body, b'M').unwrap_or_default();
        let front = self.link.as_ref().and_then(|link| link.expects.front());
        let found = front.and_then(|front| front.found(code, message)).cloned();
        let found = found.map(|refusal| limits::with_limit(refusal, message));
        let found = found.or_else(|| self.refuses_missing(code, message));
        match &found {
            Some(refusal) => self.count_refusal(refusal.code),
            None => self.count_error(code),
        }
        let told = self.statements.in_own_words(&self.shared.store, body);
        let told = match &self.link {
            Some(link) if link.request.spliced => {
                let told = without_schema(told, &self.tenants.now().scope.schema);
                if link.request.pins_temporary { without_schema(told, TEMPORARY) } else { told }
            }
            _ => told,
        };
        let told = with_advice(told, code);
        let (body, whole) = match &told {
            Cow::Borrowed(_) => (body, Some(whole)),
            Cow::Owned(told) => (&told[..], None),
        };
        let Some(link) = &mut self.link else { return Ok(()) };
        link.request.delivered = true;
        // After a failover the address may lead to another server: this one is a standby now.
        link.lease.in_doubt |= code == READ_ONLY && link.lease.is_standby();
        let added = link.expects.front().is_some_and(|front| !front.is_clients());
        if code == NO_STATEMENT && whole.is_none() {
            // Code of the client has dropped the statement: only this client relies on it, and gets the error.
            link.lease.lose_prepared();
        } else if added && matches!(code, NO_STATEMENT | b"34000" | b"42P03" | b"42P05") {
            // The tracked state of this server is wrong.
            link.lease.in_doubt = true;
            return Err(End::fatal("XX000", "the server lost a prepared statement of the proxy's"));
        }
        if link.is_early() {
            // PostgreSQL continues with the text: the client gets the error there.
            link.request.early = Some(found.as_ref().map_or_else(|| body.into(), refused));
            self.void_pipeline(added);
            return Ok(());
        }
        match link.expects.front_mut() {
            Some(Expect::SessionRole(_)) => {
                link.request.role = Settled::Refused(body.into());
                return Ok(());
            }
            // A cancel request or a time-out: the known pins remain.
            Some(Expect::Probe(_)) => return Ok(()),
            Some(Expect::OwnQuery) => {
                link.lease.in_doubt = true;
                let text = String::from_utf8_lossy(frame::field(body, b'M').unwrap_or_default()).into_owned();
                let code = String::from_utf8_lossy(code).into_owned();
                return Err(End::Fatal {
                    code,
                    message: format!("can not set up the server for this client: {text}"),
                });
            }
            Some(Expect::Query(reply)) => {
                let early = link.request.early.take().filter(|_| reply.prepared && is_for_missing(code));
                match (reply.refusal(code).or(found.as_ref()), early) {
                    (Some(refusal), _) => put_refusal(&mut self.outbuf, refusal),
                    (None, Some(early)) => message::raw(&mut self.outbuf, b'E', &early),
                    (None, None) => put_error(&mut self.outbuf, body, whole, &reply.map),
                }
                return Ok(());
            }
            Some(Expect::Poison(refusal)) => put_refusal(&mut self.outbuf, refusal),
            Some(Expect::Bind { .. }) if outnumbered => columns::put_changed(&mut self.outbuf),
            _ if found.is_some() => found.iter().for_each(|refusal| put_refusal(&mut self.outbuf, refusal)),
            // The error has no position in a text of the client.
            Some(front) if !front.is_clients() => put_unplaced(&mut self.outbuf, body),
            Some(Expect::Parse { map, .. } | Expect::Trial(map)) => {
                put_error(&mut self.outbuf, body, whole, map)
            }
            _ => put_error(&mut self.outbuf, body, whole, &PositionMap::default()),
        }
        self.message_failed();
        self.void_pipeline(added);
        Ok(())
    }

    /// PostgreSQL discards all messages up to `Sync`: predictions about them are reverted. `ours`: the error answers a
    /// message of the proxy.
    pub(super) fn void_pipeline(&mut self, ours: bool) {
        self.framing.end_wait();
        self.transaction.void();
        let Some(link) = &mut self.link else { return };
        let until = link.expects.iter().position(|expect| matches!(expect, Expect::Sync | Expect::OwnSync));
        let end = until.unwrap_or(link.expects.len());
        let void: Vec<Expect> = link.expects.drain(..end).collect();
        // PostgreSQL ignores a Query behind an error of the proxy's message, and its sender waits for an answer.
        let lost = |expect: &Expect| matches!(expect, Expect::Query(reply) if ours || reply.prepared);
        let ends_here = until.is_none() && void.iter().any(lost);
        // From back to front: the last prediction is reverted first.
        for expect in void.into_iter().rev() {
            match expect {
                Expect::Parse { id, named, client, .. } => {
                    match (id, named) {
                        (PATH_FIRST, _) => link.lease.path_statement = Standing::Doubtful,
                        (ROLE_FIRST, _) => link.lease.role_statement = Standing::Doubtful,
                        (PATH_BEHIND, _) => {}
                        (_, true) if fault(Fault::PreparedDespiteError) => {}
                        (id, true) => link.lease.prepared.remove(id),
                        (_, false) => link.lease.unnamed = None,
                    }
                    if let Some(name) = client {
                        self.statements.remove(&name);
                    }
                }
                Expect::Local { opened, closed, .. } => {
                    if let Some(name) = opened {
                        self.statements.remove(&name);
                    }
                    if let Some((name, statement)) = closed.map(|closed| *closed) {
                        self.statements.insert(name, statement);
                    }
                }
                Expect::Bind { spared: true, .. } => drop(self.statements.remove(b"")),
                Expect::SessionRole(_) => link.request.role = Settled::No,
                Expect::Dropped(dropped) => {
                    self.statements = dropped.of_client;
                    link.lease.take_back(dropped.on_server);
                }
                _ => {}
            }
        }
        if until.is_some() {
            return;
        }
        if ends_here {
            message::sync(&mut link.lease.outbuf);
            return link.expects.push_back(Expect::Sync);
        }
        link.request.failed = true;
        link.request.awaiting = false;
    }

    /// `ReadyForQuery`.
    pub(super) fn ready(&mut self, status: u8) -> Result<Relayed, End> {
        let status = match status {
            b'I' => Status::Idle,
            b'T' => Status::Block,
            b'E' => Status::Failed,
            _ => {
                self.broken_server("an unknown transaction status")?;
                return Ok(Relayed::Not);
            }
        };
        let Some(link) = &mut self.link else { return Ok(Relayed::Not) };
        match link.expects.pop_front() {
            Some(Expect::OwnQuery | Expect::OwnSync) if !fault(Fault::ReadyMiscounted) => {
                return Ok(Relayed::Not);
            }
            Some(Expect::SessionRole(role)) => {
                self.role_settled(role);
                return Ok(Relayed::Not);
            }
            Some(Expect::Probe(probe)) => {
                self.pins_probed(&probe);
                return Ok(Relayed::Not);
            }
            Some(Expect::Draw(value)) => {
                self.draw_answered(value);
                return Ok(Relayed::Not);
            }
            Some(front) if !front.ends_ready() => link.expects.retain(Expect::is_restored),
            _ => {}
        }
        self.end_request(status);
        self.tell_again()?;
        self.probe_pins();
        if self.ask_for_draw(status) {
            return Ok(Relayed::Not);
        }
        if self.has_channels_to_settle() {
            self.transaction.hold_ready(status);
            return Ok(Relayed::Not);
        }
        Ok(Relayed::AsItIs)
    }

    /// A request is answered: PostgreSQL's status replaces the predicted one.
    pub(super) fn end_request(&mut self, status: Status) {
        self.count_request(status);
        self.note_use(status);
        self.status = status;
        self.entry.set_status(status.byte());
        self.entry.set_prepared(self.statements.len());
        self.entry.set_pins(self.pins.bits());
        self.transaction.confirm(status);
        self.see_changes();
        let Some(link) = &mut self.link else { return };
        let erred = link.request.erred;
        link.copy_in = false;
        link.setup.settle_bind(None);
        if link.request.opaque {
            link.lease.doubt_prepared();
        }
        link.next_request();
        link.own_last = false;
        if status == Status::Idle {
            link.setup.end(link.resting_role());
            link.own_portal = false;
            (link.explicit, link.reads_otherwise) = (false, false);
            link.watch = None;
            link.ddl.drain(..).for_each(Change::ended);
            self.portals.clear();
            self.accounts.close_portals();
            // An error is the last answer of a request: if no transaction is open behind it, it ended the open one.
            if erred {
                self.undo_settings()
            } else {
                self.keep_settings()
            }
            self.complete_datestyle();
        }
        self.refresh_effective();
    }
}

impl Link {
    /// Whether the error answers a statement that is prepared in front of a `Query`.
    fn is_early(&self) -> bool {
        matches!(self.expects.iter().find(|expect| expect.ends_ready()), Some(Expect::OwnSync))
    }
}

impl QueryReply {
    /// The refusal that replaces an error with this SQLSTATE.
    fn refusal(&self, code: &[u8]) -> Option<&Refusal> {
        let fails = self.fails.as_ref().filter(|(number, _)| *number == self.seen && code == FAILED);
        self.poison.as_deref().or(fails.map(|(_, refusal)| &**refusal))
    }
}

/// Whether this is the error of a text whose statements could not be prepared, inside or outside of a transaction.
fn is_for_missing(code: &[u8]) -> bool {
    matches!(code, NO_STATEMENT | b"25P02")
}

/// Writes PostgreSQL's error for the client; `whole` is the message, if it may be passed on unchanged.
fn put_error(out: &mut BytesMut, body: &[u8], whole: Option<&[u8]>, map: &PositionMap) {
    match whole {
        Some(whole) if map.is_empty() => out.extend_from_slice(whole),
        _ => put_mapped(out, b'E', body, map),
    }
}

fn put_refusal(out: &mut BytesMut, refusal: &Refusal) {
    if columns::is_changed(refusal) {
        return columns::put_changed(out);
    }
    message::error(out, Severity::Error, refusal.code, &refusal.message, refusal.hint.as_deref());
}

/// The body of the error for a refusal.
fn refused(refusal: &Refusal) -> Box<[u8]> {
    let mut out = BytesMut::new();
    put_refusal(&mut out, refusal);
    out.get(frame::HEADER..).unwrap_or_default().into()
}

/// Writes an error without its position.
fn put_unplaced(out: &mut BytesMut, body: &[u8]) {
    message::fields(out, b'E', frame::fields(body).filter(|(code, _)| *code != POSITION));
}

/// Writes an error or notice with its position in the client's text.
pub(super) fn put_mapped(out: &mut BytesMut, tag: u8, body: &[u8], map: &PositionMap) {
    let at = frame::field(body, POSITION).and_then(|p| std::str::from_utf8(p).ok()?.parse().ok());
    let moved = at.map(|at: usize| map.to_client(at).to_string());
    let ends = at.is_some_and(|at| map.is_end_of_input(at));
    let fields = frame::fields(body).map(|(code, value)| match &moved {
        Some(moved) if code == POSITION => (code, moved.as_bytes()),
        // The named token was added by the proxy: behind the client's text there is nothing.
        Some(_) if ends && code == MESSAGE && value.ends_with(b"at or near \"\\\"") => (code, END_OF_INPUT),
        _ => (code, value),
    });
    message::fields(out, tag, fields);
}
