//! PostgreSQL's answers: relayed in bulk, without the replies to messages of the proxy.

use std::borrow::Cow;
use std::mem;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};

use super::expect::{Effect, Expect};
use super::kept::PARSE_AND_BIND_COMPLETE;
use super::link::Link;
use super::outcome::put_mapped;
use super::runs::rows_of;
use super::wording::without_schema;
use super::{End, Session, columns, spare};
use crate::pool::restore::HAD_TEMP;
use crate::simulation::{Fault, fault};
use crate::wire::frame::{self, HEADER, Header};
use crate::wire::message;

/// `CommandComplete` of a `LISTEN`, and of a `DEALLOCATE`.
const LISTEN_COMPLETE: Bytes = Bytes::from_static(b"C\0\0\0\x0bLISTEN\0");
const DEALLOCATE_COMPLETE: Bytes = Bytes::from_static(b"C\0\0\0\x0fDEALLOCATE\0");

/// The severities, untranslated, of messages about PostgreSQL's internals, and of messages for its log.
const DEBUG: &[u8] = b"DEBUG";
const LOG: &[u8] = b"LOG";

/// The part of a control message that the client gets.
pub(super) enum Relayed {
    /// The whole message. Consecutive unchanged messages are passed on together.
    AsItIs,
    /// This message in its place.
    Instead(Bytes),
    /// Nothing, or a message that is written already.
    Not,
}

/// The maximum length of a control message; rows and COPY data are streamed.
const MAX_CONTROL: usize = 64 << 20;

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Processes all data that PostgreSQL has sent.
    pub(super) fn relay(&mut self) -> Result<(), End> {
        let Some(link) = &mut self.link else { return Ok(()) };
        if link.lease.inbuf.is_empty() {
            return Ok(());
        }
        let mut buf = mem::take(&mut link.lease.inbuf);
        if self.outbuf.capacity() == 0 {
            self.outbuf = spare::buffer();
        }
        let result = self.relay_all(&mut buf);
        if let Some(link) = &mut self.link {
            link.lease.inbuf = buf;
        }
        result
    }

    fn relay_all(&mut self, buf: &mut BytesMut) -> Result<(), End> {
        // Messages in `run..at` are passed on unchanged.
        let (mut run, mut at) = (0, 0);
        // The replies of a reset are not read here.
        while let Some(link) = self.link.as_mut().filter(|link| !link.is_being_restored()) {
            let rest = buf.get(at..).unwrap_or_default();
            let passed = link.pass(rest);
            if passed > 0 {
                if !link.pass_on {
                    self.outbuf.extend_from_slice(buf.get(run..at).unwrap_or_default());
                    run = at + passed;
                }
                at += passed;
                continue;
            }
            let Ok(header) = frame::header(rest) else {
                return self.broken_server("a message with an invalid length");
            };
            let Some(header) = header.filter(|_| link.pass_left == 0) else { break };
            if matches!(header.tag, b'D' | b'd') && !link.awaits_draw() {
                link.begin_pass(header);
                continue;
            }
            if rest.len() < header.total {
                if header.total > MAX_CONTROL {
                    return self.broken_server("a message that is too long");
                }
                break;
            }
            let whole = rest.get(..header.total).unwrap_or_default();
            // A replacement is written behind the messages in front of it.
            if matches!(header.tag, b'E' | b'N' | b'S' | b'A')
                || header.tag == b'Z' && (!link.is_clients_turn() || self.reported.is_stale())
            {
                self.outbuf.extend_from_slice(buf.get(run..at).unwrap_or_default());
                run = at;
            }
            let answered = self.answer(header, whole);
            at += header.total;
            if !matches!(answered, Ok(Relayed::AsItIs)) {
                self.outbuf.extend_from_slice(buf.get(run..at - header.total).unwrap_or_default());
                run = at;
            }
            if let Relayed::Instead(message) = answered? {
                self.outbuf.extend_from_slice(&message);
            }
            if self.has_local_answer() {
                self.outbuf.extend_from_slice(buf.get(run..at).unwrap_or_default());
                run = at;
                self.emit_locals();
            }
        }
        self.outbuf.extend_from_slice(buf.get(run..at).unwrap_or_default());
        buf.advance(at);
        Ok(())
    }

    /// Processes one control message. Rewritten messages are written here, and not relayed.
    fn answer(&mut self, header: Header, whole: &[u8]) -> Result<Relayed, End> {
        let body = whole.get(HEADER..).unwrap_or_default();
        match header.tag {
            b'Z' => return self.ready(body.first().copied().unwrap_or_default()),
            b'C' => return Ok(self.complete(body)),
            b'1' | b'2' | b'3' | b's' | b'I' => return Ok(self.settle(header.tag)),
            b'T' | b'n' => return Ok(self.row_description(body)),
            b't' => return Ok(self.parameter_description(body)),
            b'D' => self.note_drawn(body),
            b'G' => return Ok(self.copy_begins()),
            b'H' | b'c' | b'V' => return Ok(self.deliver()),
            b'E' => self.error(body, whole)?,
            b'S' => self.parameter(body)?,
            b'N' => self.notice(body, whole),
            b'A' => self.notification(whole),
            _ => self.broken_server("a message of an unknown type")?,
        }
        Ok(Relayed::Not)
    }

    /// Passes a message on if it is for the client.
    fn deliver(&mut self) -> Relayed {
        let Some(link) = &mut self.link else { return Relayed::Not };
        let is_clients = link.is_clients_turn() || fault(Fault::OwnAnswerToClient);
        link.request.delivered |= is_clients;
        if is_clients { Relayed::AsItIs } else { Relayed::Not }
    }

    /// Processes the last message of a reply.
    fn settle(&mut self, tag: u8) -> Relayed {
        if let Some(link) = self.link.as_mut().filter(|link| tag == b'1' && link.is_trials_turn()) {
            link.answered();
            return Relayed::Not;
        }
        let relayed = self.deliver();
        let Some(link) = &mut self.link else { return relayed };
        // The portal has more rows, but its setting may be made.
        let effect = |expect: Option<&Expect>| matches!(expect, Some(Expect::Execute { effect: Some(effect), .. }) if effect.sets());
        let unfinished = tag == b's' && effect(link.expects.front());
        let ends = match link.expects.front() {
            Some(expect) if expect.ends_ready() => false,
            None => false,
            Some(Expect::Parse { .. }) => tag == b'1',
            Some(Expect::Bind { .. }) => tag == b'2',
            Some(Expect::Close { .. }) => tag == b'3',
            Some(Expect::Execute { .. }) => matches!(tag, b's' | b'I'),
            Some(_) => false,
        };
        let answered = if ends { link.answered() } else { None };
        match answered {
            Some(Expect::Bind { spared: true, .. }) => return Relayed::Instead(PARSE_AND_BIND_COMPLETE),
            Some(Expect::Execute { client: true, run, .. }) if tag == b's' => self.portal_suspended(run),
            Some(Expect::Execute { client: true, run, .. }) => self.portal_ran(run, 0),
            _ => {}
        }
        if unfinished {
            self.lose_track();
        }
        relayed
    }

    /// `RowDescription` or `NoData`: in a `Query` or an `Execute` it is passed on with the rows.
    fn row_description(&mut self, body: &[u8]) -> Relayed {
        let relayed = self.deliver();
        let Some(link) = &mut self.link else { return relayed };
        match link.expects.front() {
            Some(Expect::Describe { .. }) => {}
            // A check has columns, and no rows.
            Some(Expect::Query(reply)) if reply.is_injected() => return Relayed::Not,
            _ => return relayed,
        }
        if let Some(Expect::Describe { statement: Some((name, id)), client, parameters }) = link.answered() {
            self.note_columns((&name, id), columns::Shape::of(parameters, body), client);
        }
        relayed
    }

    fn parameter_description(&mut self, body: &[u8]) -> Relayed {
        let relayed = self.deliver();
        let front = self.link.as_mut().and_then(|link| link.expects.front_mut());
        if let Some(Expect::Describe { parameters, .. }) = front {
            *parameters = columns::parameters(body);
        }
        relayed
    }

    fn has_local_answer(&self) -> bool {
        self.link.as_ref().is_some_and(|link| {
            matches!(link.expects.front(), Some(Expect::Local { .. } | Expect::Dropped(_)))
        })
    }

    /// Writes the local replies whose turn has come.
    pub(super) fn emit_locals(&mut self) {
        let Some(link) = &mut self.link else { return };
        loop {
            match link.expects.front() {
                Some(Expect::Local { message, .. }) => self.outbuf.extend_from_slice(message),
                Some(Expect::Dropped(_)) => {}
                _ => return,
            }
            link.expects.pop_front();
        }
    }

    /// `CommandComplete`.
    fn complete(&mut self, body: &[u8]) -> Relayed {
        let Some(link) = &mut self.link else { return Relayed::Not };
        let tag = frame::cstr(body).map_or(body, |(tag, _)| tag);
        let pipelined = matches!(link.expects.front(), Some(Expect::Execute { .. }));
        let mut ran = None;
        let (effect, is_clients) = match link.expects.front_mut() {
            Some(Expect::Query(reply)) => {
                let number = reply.seen;
                reply.seen += 1;
                // Both are in the order of the text, which may have many statements.
                if reply.injected.binary_search(&number).is_ok() {
                    return Relayed::Not;
                }
                link.request.rows += rows_of(tag);
                let mine = reply.effects.binary_search_by_key(&number, |(n, _)| *n).ok();
                (mine.and_then(|at| reply.effects.get(at)).map(|(_, effect)| effect.clone()), true)
            }
            Some(Expect::Execute { client, effect, run }) => {
                let (effect, is_clients) = (effect.take(), *client);
                ran = is_clients.then(|| run.take());
                link.answered();
                // While a COPY is awaited, no further message was sent; a completion in front of it belongs to an
                // earlier one.
                link.awaits_copy &= !link.expects.is_empty();
                (effect, is_clients)
            }
            Some(Expect::Check(_)) => {
                link.expects.pop_front();
                return Relayed::Not;
            }
            Some(Expect::Probe(probe)) => {
                probe.complete(tag);
                return Relayed::Not;
            }
            Some(Expect::OwnQuery) => {
                link.lease.had_temp |= tag == HAD_TEMP;
                return Relayed::Not;
            }
            _ => return Relayed::Not,
        };
        link.request.delivered |= is_clients;
        if let Some(run) = ran {
            self.portal_ran(run, rows_of(tag));
        }
        let relayed = match &effect {
            _ if !is_clients || pipelined && fault(Fault::AnswerDropped) => Relayed::Not,
            // Another statement ran in its place.
            Some(Effect::Listen { .. }) => Relayed::Instead(LISTEN_COMPLETE),
            Some(Effect::Deallocated(_)) => Relayed::Instead(DEALLOCATE_COMPLETE),
            Some(Effect::KeepRole(tag)) => {
                let mut complete = BytesMut::new();
                message::command_complete(&mut complete, tag);
                Relayed::Instead(complete.freeze())
            }
            // In observe mode, PostgreSQL itself has answered.
            Some(Effect::KeepSchema(name)) if tag == b"UNLISTEN" => {
                Relayed::Instead(schema_kept(name, self.hears_notices()))
            }
            _ => Relayed::AsItIs,
        };
        if let Some(effect) = effect {
            self.apply(effect, pipelined);
        }
        relayed
    }

    /// Whether the client's `client_min_messages` includes notices.
    pub(super) fn hears_notices(&self) -> bool {
        let level = self.settings.current().get("client_min_messages").map(str::to_ascii_lowercase);
        level.is_none_or(|level| !level.contains("warning") && !level.contains("error"))
    }

    /// `CopyInResponse`: the client's data is passed on from now on.
    fn copy_begins(&mut self) -> Relayed {
        let relayed = self.deliver();
        let Some(link) = &mut self.link else { return relayed };
        (link.copy_in, link.awaits_copy) = (true, false);
        if matches!(link.expects.front(), Some(Expect::Execute { .. })) && link.request.awaiting {
            // PostgreSQL reads the Sync that was sent before as part of the COPY, and needs another one.
            if matches!(link.expects.back(), Some(Expect::Sync)) {
                link.expects.pop_back();
            }
            link.request.awaiting = false;
        }
        relayed
    }

    /// `NotificationResponse`: only for a client that listens on this server.
    fn notification(&mut self, whole: &[u8]) {
        if !self.pins.is_empty() {
            self.outbuf.extend_from_slice(whole);
        }
    }

    /// `NoticeResponse`: messages about statements of the proxy, and about PostgreSQL's internals, do not reach the
    /// client.
    fn notice(&mut self, body: &[u8], whole: &[u8]) {
        let Some(link) = &mut self.link else { return };
        match frame::field(body, b'V').or_else(|| frame::field(body, b'S')) {
            Some(DEBUG) => return,
            // PostgreSQL logs a duration after the end, perhaps of the proxy's last statement.
            Some(LOG) if link.own_last => return,
            _ => {}
        }
        let map = match link.expects.front() {
            Some(front) if !front.is_clients() => return,
            Some(Expect::Query(reply)) => Some(&reply.map),
            Some(Expect::Parse { map, .. } | Expect::Trial(map)) => Some(map),
            _ => None,
        };
        let told = self.statements.in_own_words(&self.shared.store, body);
        let told = match link.request.spliced {
            true => without_schema(told, &self.tenants.now().scope.schema),
            false => told,
        };
        match (map.filter(|map| !map.is_empty()), &told) {
            (Some(map), _) => put_mapped(&mut self.outbuf, b'N', &told, map),
            (None, Cow::Owned(told)) => message::raw(&mut self.outbuf, b'N', told),
            (None, Cow::Borrowed(_)) => self.outbuf.extend_from_slice(whole),
        }
    }

    pub(super) fn broken_server(&mut self, what: &str) -> Result<(), End> {
        if let Some(link) = &mut self.link {
            link.lease.in_doubt = true;
        }
        tracing::warn!(what, "unexpected message from PostgreSQL");
        Err(End::fatal("08P01", format!("PostgreSQL sent {what}")))
    }
}

impl Link {
    /// Whether the next message is for the client.
    fn is_clients_turn(&self) -> bool {
        self.expects.front().is_some_and(Expect::is_clients)
    }

    /// Whether it answers a statement that is not kept.
    fn is_trials_turn(&self) -> bool {
        matches!(self.expects.front(), Some(Expect::Trial(_)))
    }

    /// A row or a piece of COPY data begins: it is passed on in pieces, whatever its length.
    fn begin_pass(&mut self, header: Header) {
        self.pass_left = header.total;
        self.pass_on = self.is_clients_turn();
        self.request.delivered |= self.pass_on;
    }

    /// The number of bytes of `rest` that belong to it.
    fn pass(&mut self, rest: &[u8]) -> usize {
        let length = self.pass_left.min(rest.len());
        self.pass_left -= length;
        length
    }
}

/// PostgreSQL's answer to `CREATE SCHEMA IF NOT EXISTS` of an existing schema.
fn schema_kept(name: &str, notice: bool) -> Bytes {
    let mut out = BytesMut::new();
    if notice {
        let said = format!("schema \"{name}\" already exists, skipping");
        let fields: [(u8, &[u8]); 4] =
            [(b'S', b"NOTICE"), (b'V', b"NOTICE"), (b'C', b"42P06"), (b'M', said.as_bytes())];
        message::fields(&mut out, b'N', fields);
    }
    message::command_complete(&mut out, "CREATE SCHEMA");
    out.freeze()
}
