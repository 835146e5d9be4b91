//! PostgreSQL's answers: relayed in bulk, what we added taken out.

use std::mem;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};

use super::expect::{Effect, Expect, PATH_BEHIND, PATH_FIRST};
use super::link::Link;
use super::{End, Session, Status};
use crate::pool::settings::SEARCH_PATH;
use crate::sql::plan::Refusal;
use crate::sql::rewrite::PositionMap;
use crate::wire::frame::{self, HEADER, Header};
use crate::wire::message::{self, Severity};

/// A control message of PostgreSQL's is never longer; rows and COPY data are not held.
const MAX_CONTROL: usize = 64 << 20;

/// Asked for a position in an error or a notice.
const POSITION: u8 = b'P';

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Deals with all that PostgreSQL has sent so far.
    pub(super) fn relay(&mut self) -> Result<(), End> {
        let Some(link) = &mut self.link else { return Ok(()) };
        if link.lease.inbuf.is_empty() {
            return Ok(());
        }
        let mut buf = mem::take(&mut link.lease.inbuf);
        let result = self.relay_all(&mut buf);
        if let Some(link) = &mut self.link {
            link.lease.inbuf = buf;
        }
        result
    }

    fn relay_all(&mut self, buf: &mut BytesMut) -> Result<(), End> {
        // Messages in `run..at` go to the client as they are.
        let (mut run, mut at) = (0, 0);
        while let Some(link) = &mut self.link {
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
            if matches!(header.tag, b'D' | b'd') {
                link.begin_pass(header);
                continue;
            }
            if rest.len() < header.total {
                if header.total > MAX_CONTROL {
                    return self.broken_server("a message that is too long");
                }
                break;
            }
            self.outbuf.extend_from_slice(buf.get(run..at).unwrap_or_default());
            self.answer(header, rest.get(..header.total).unwrap_or_default())?;
            at += header.total;
            run = at;
        }
        self.outbuf.extend_from_slice(buf.get(run..at).unwrap_or_default());
        buf.advance(at);
        Ok(())
    }

    /// One control message.
    fn answer(&mut self, header: Header, whole: &[u8]) -> Result<(), End> {
        let body = whole.get(HEADER..).unwrap_or_default();
        match header.tag {
            b'Z' => return self.ready(body.first().copied().unwrap_or_default(), whole),
            b'E' => return self.error(body, whole),
            b'C' => self.complete(body, whole),
            b'S' => return self.parameter(body),
            b'N' => self.notice(body, whole),
            b'A' => self.notification(whole),
            b'1' | b'2' | b'3' | b's' | b'n' | b'I' => self.settle(header.tag, whole),
            b'T' => self.row_description(whole),
            b'G' => self.copy_begins(whole),
            b't' | b'H' | b'c' | b'V' => self.deliver(whole),
            _ => return self.broken_server("a message of an unknown type"),
        }
        Ok(())
    }

    /// Passes a message on if it answers the client and not us.
    fn deliver(&mut self, whole: &[u8]) {
        let Some(link) = &mut self.link else { return };
        if link.expects.front().is_some_and(Expect::is_clients) {
            link.request.delivered = true;
            self.outbuf.extend_from_slice(whole);
        }
    }

    /// The answers that end what they answer.
    fn settle(&mut self, tag: u8, whole: &[u8]) {
        self.deliver(whole);
        let Some(link) = &mut self.link else { return };
        let ends = match link.expects.front() {
            Some(Expect::Query(_) | Expect::OwnQuery) | None => false,
            Some(Expect::Parse { .. }) => tag == b'1',
            Some(Expect::Bind { .. }) => tag == b'2',
            Some(Expect::Close { .. }) => tag == b'3',
            Some(Expect::Describe) => tag == b'n',
            Some(Expect::Execute { .. }) => matches!(tag, b's' | b'I'),
            Some(_) => false,
        };
        if ends {
            link.expects.pop_front();
            self.emit_locals();
        }
    }

    fn row_description(&mut self, whole: &[u8]) {
        self.deliver(whole);
        let Some(link) = &mut self.link else { return };
        if matches!(link.expects.front(), Some(Expect::Describe)) {
            link.expects.pop_front();
            self.emit_locals();
        }
    }

    /// What is ours to answer and has its turn now.
    pub(super) fn emit_locals(&mut self) {
        let Some(link) = &mut self.link else { return };
        while let Some(Expect::Local { message, .. }) = link.expects.front() {
            self.outbuf.extend_from_slice(message);
            link.expects.pop_front();
        }
    }

    /// `CommandComplete`.
    fn complete(&mut self, body: &[u8], whole: &[u8]) {
        let Some(link) = &mut self.link else { return };
        let tag = frame::cstr(body).map_or(body, |(tag, _)| tag);
        let pipelined = matches!(link.expects.front(), Some(Expect::Execute { .. }));
        let effect = match link.expects.front_mut() {
            Some(Expect::Query(reply)) => {
                let number = reply.seen;
                reply.seen += 1;
                if reply.injected.contains(&number) {
                    return;
                }
                let mine = reply.effects.iter().find(|(n, _)| *n == number);
                let effect = mine.map(|(_, effect)| effect.clone());
                link.request.delivered = true;
                self.outbuf.extend_from_slice(whole);
                effect
            }
            Some(Expect::Execute { client, effect }) => {
                let effect = effect.take();
                if *client {
                    link.request.delivered = true;
                    self.outbuf.extend_from_slice(whole);
                }
                link.expects.pop_front();
                self.emit_locals();
                effect
            }
            _ => return,
        };
        if let Some(effect) = effect {
            match (&effect, tag) {
                // COMMIT of a block that failed says ROLLBACK.
                (Effect::EndBlock, b"ROLLBACK") => self.undo_settings(),
                (Effect::EndBlock, _) => self.keep_settings(),
                _ => self.apply(effect, pipelined),
            }
        }
    }

    /// `CopyInResponse`: the client's data is passed on from now on.
    fn copy_begins(&mut self, whole: &[u8]) {
        self.deliver(whole);
        let Some(link) = &mut self.link else { return };
        link.copy_in = true;
        if matches!(link.expects.front(), Some(Expect::Execute { .. })) && link.request.awaiting {
            // PostgreSQL reads the Sync that it was sent already as part of the COPY, and wants another.
            if matches!(link.expects.back(), Some(Expect::Sync)) {
                link.expects.pop_back();
            }
            link.request.awaiting = false;
        }
    }

    /// `ParameterStatus`: the client hears of it if it was told something else.
    fn parameter(&mut self, body: &[u8]) -> Result<(), End> {
        let Some((name, rest)) = frame::cstr(body) else { return Ok(()) };
        let Some((value, _)) = frame::cstr(rest) else { return Ok(()) };
        if let Some(link) = &mut self.link {
            link.lease.parameters.insert(name.into(), value.into());
        }
        match name {
            b"client_encoding" => {
                let safe = std::str::from_utf8(value).is_ok_and(crate::wire::encoding::is_ascii_safe);
                if !safe {
                    if let Some(link) = &mut self.link {
                        link.lease.in_doubt = true;
                    }
                    return Err(End::fatal("22023", "this client_encoding is not supported"));
                }
            }
            // Somebody's function: the texts that come now would be read in another way than we read them.
            b"standard_conforming_strings" if value != b"on" => {
                if let Some(link) = &mut self.link {
                    link.lease.in_doubt = true;
                }
                return Err(End::fatal("0A000", "standard_conforming_strings can only be on"));
            }
            // Ours on its way through; the client's own is told.
            b"search_path" if !self.settings.current().contains_key(SEARCH_PATH) => return Ok(()),
            _ => {}
        }
        if self.told.get(name).is_none_or(|told| **told != *value) {
            Arc::make_mut(&mut self.told).insert(name.into(), value.into());
            message::parameter_status(&mut self.outbuf, name, value);
        }
        Ok(())
    }

    /// `NotificationResponse`: only for a client that listens on this server.
    fn notification(&mut self, whole: &[u8]) {
        if self.pin.is_some() {
            self.outbuf.extend_from_slice(whole);
        }
    }

    /// `NoticeResponse`.
    fn notice(&mut self, body: &[u8], whole: &[u8]) {
        let Some(link) = &mut self.link else { return };
        match link.expects.front() {
            Some(front) if !front.is_clients() => {}
            Some(Expect::Query(reply)) if !reply.map.is_empty() => {
                put_mapped(&mut self.outbuf, b'N', body, &reply.map)
            }
            Some(Expect::Parse { map, .. }) if !map.is_empty() => {
                put_mapped(&mut self.outbuf, b'N', body, map)
            }
            _ => self.outbuf.extend_from_slice(whole),
        }
    }

    /// `ErrorResponse`.
    fn error(&mut self, body: &[u8], whole: &[u8]) -> Result<(), End> {
        let severity = frame::field(body, b'V').or_else(|| frame::field(body, b'S'));
        let Some(link) = &mut self.link else { return Ok(()) };
        if matches!(severity, Some(b"FATAL" | b"PANIC")) {
            // The connection ends: what the client hears of it is decided when it has.
            link.last_words = Some(body.into());
            link.lease.in_doubt = true;
            return Ok(());
        }
        link.copy_in = false;
        link.request.erred = true;
        let code = frame::field(body, b'C').unwrap_or(b"XX000");
        if self.can_run_again(body, code) {
            return self.run_again();
        }
        self.shared.metrics.error(code);
        let Some(link) = &mut self.link else { return Ok(()) };
        link.request.delivered = true;
        let ours = match link.expects.front() {
            Some(
                Expect::Bind { client: false }
                | Expect::Execute { client: false, .. }
                | Expect::Close { client: false },
            ) => true,
            _ => self.shared.store.names_in(frame::field(body, b'M').unwrap_or_default()),
        };
        if ours {
            // What we believe this server to hold is not what it holds.
            link.lease.in_doubt = true;
            return Err(End::fatal("XX000", "the server lost a prepared statement of the proxy's"));
        }
        match link.expects.front_mut() {
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
                match &reply.poison {
                    Some(refusal) => put_refusal(&mut self.outbuf, refusal),
                    None if reply.map.is_empty() => self.outbuf.extend_from_slice(whole),
                    None => put_mapped(&mut self.outbuf, b'E', body, &reply.map),
                }
                return Ok(());
            }
            Some(Expect::Poison(refusal)) => put_refusal(&mut self.outbuf, refusal),
            Some(Expect::Parse { map, .. }) if !map.is_empty() => {
                put_mapped(&mut self.outbuf, b'E', body, map)
            }
            _ => self.outbuf.extend_from_slice(whole),
        }
        self.void_pipeline();
        Ok(())
    }

    /// PostgreSQL drops everything up to `Sync`: what was foreseen of it did not come about.
    fn void_pipeline(&mut self) {
        let Some(link) = &mut self.link else { return };
        let until = link.expects.iter().position(|expect| matches!(expect, Expect::Sync));
        let void: Vec<Expect> = link.expects.drain(..until.unwrap_or(link.expects.len())).collect();
        // From back to front: what was foreseen last is taken back first.
        for expect in void.into_iter().rev() {
            match expect {
                Expect::Parse { id, named, client, .. } => {
                    match (id, named) {
                        (PATH_FIRST, _) => link.lease.has_path_statement = false,
                        (PATH_BEHIND, _) => {}
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
                    if let Some((name, statement)) = closed {
                        self.statements.insert(name, statement);
                    }
                }
                // Statements were forgotten that the server still has.
                Expect::Execute { effect: Some(Effect::DeallocateAll | Effect::DiscardAll), .. } => {
                    link.lease.in_doubt = true;
                }
                _ => {}
            }
        }
        if until.is_some() {
            return;
        }
        link.request.failed = true;
        link.request.awaiting = false;
    }

    /// `ReadyForQuery`.
    fn ready(&mut self, status: u8, whole: &[u8]) -> Result<(), End> {
        let status = match status {
            b'I' => Status::Idle,
            b'T' => Status::Block,
            b'E' => Status::Failed,
            _ => return self.broken_server("an unknown transaction status"),
        };
        let Some(link) = &mut self.link else { return Ok(()) };
        match link.expects.pop_front() {
            Some(Expect::OwnQuery) => return Ok(()),
            Some(front) if !front.ends_ready() => link.expects.clear(),
            _ => {}
        }
        self.outbuf.extend_from_slice(whole);
        self.end_request(status);
        Ok(())
    }

    /// A request is answered: what holds now is what PostgreSQL says.
    fn end_request(&mut self, status: Status) {
        let before = mem::replace(&mut self.status, status);
        let Some(link) = &mut self.link else { return };
        let request = &link.request;
        let took = request.started.elapsed();
        self.shared.metrics.request(self.scope.strategy, request.kind, request.round_trips, took);
        let erred = request.erred;
        link.copy_in = false;
        link.next_request();
        if status == Status::Idle {
            link.path_set = false;
            link.local_path = false;
            link.strayed = false;
            if mem::take(&mut link.ddl) {
                self.identity.database.catalog.invalidate(&self.identity.scope.schema);
            }
            self.portals.clear();
            if erred && before == Status::Idle { self.undo_settings() } else { self.keep_settings() }
        }
        self.refresh_effective();
    }

    /// Whether this is PostgreSQL refusing a plan that DDL has overtaken, with nothing lost by trying again.
    fn can_run_again(&self, body: &[u8], code: &[u8]) -> bool {
        let Some(link) = &self.link else { return false };
        code == b"0A000"
            && frame::field(body, b'R') == Some(b"RevalidateCachedQuery")
            && self.status == Status::Idle
            && !link.request.delivered
            && link.request.replay.is_some()
    }

    /// Runs the request once more, with its statements prepared anew.
    fn run_again(&mut self) -> Result<(), End> {
        let Some(link) = &mut self.link else { return Ok(()) };
        let Some(replay) = link.request.replay.take() else { return Ok(()) };
        tracing::debug!("running a request again: its plan was overtaken by DDL");
        // The catalog changed behind our back: no statement of before is bound again.
        self.identity.database.catalog.invalidate(&self.identity.scope.schema);
        if !link.request.awaiting {
            message::sync(&mut link.lease.outbuf);
        }
        self.void_pipeline();
        let Some(link) = &mut self.link else { return Ok(()) };
        link.expects.clear();
        link.expects.push_back(Expect::OwnQuery);
        link.path_set = false;
        link.next_request();
        let rest = mem::take(&mut self.inbuf);
        self.inbuf = replay;
        self.inbuf.extend_from_slice(&rest);
        Ok(())
    }

    fn broken_server(&mut self, what: &str) -> Result<(), End> {
        if let Some(link) = &mut self.link {
            link.lease.in_doubt = true;
        }
        tracing::warn!(what, "PostgreSQL sent what it should not");
        Err(End::fatal("08P01", format!("PostgreSQL sent {what}")))
    }

    /// PostgreSQL closed the connection. Outside a transaction the client loses a request and no more.
    pub(super) fn server_gone(&mut self) -> Result<(), End> {
        self.relay()?;
        let Some(mut link) = self.link.take() else { return Ok(()) };
        self.shared.metrics.server_lost();
        link.lease.in_doubt = true;
        self.cancel.detach();
        let words = link.last_words.take();
        let field =
            |code| words.as_deref().and_then(|body| frame::field(body, code)).map(String::from_utf8_lossy);
        let code = field(b'C').unwrap_or("08006".into()).into_owned();
        let message = field(b'M').unwrap_or("the connection to PostgreSQL was lost".into()).into_owned();
        let sent = link.request.sent;
        let keeps =
            self.status == Status::Idle && self.pin.is_none() && link.pass_left == 0 && self.stream_left == 0;
        let awaiting = link.request.awaiting;
        let failed = link.request.failed;
        link.discard();
        if !keeps {
            return Err(End::Fatal { code, message });
        }
        self.undo_settings();
        self.portals.clear();
        if !sent {
            return Ok(());
        }
        if !failed {
            self.shared.metrics.error(code.as_bytes());
            message::error(&mut self.outbuf, Severity::Error, &code, &message, None);
        }
        if awaiting {
            message::ready_for_query(&mut self.outbuf, Status::Idle.byte());
        } else {
            self.skip_to_sync = true;
        }
        self.refresh_effective();
        Ok(())
    }
}

impl Link {
    /// A row or a piece of COPY data begins: it goes on as it comes, however long it is.
    fn begin_pass(&mut self, header: Header) {
        self.pass_left = header.total;
        self.pass_on = self.expects.front().is_some_and(Expect::is_clients);
        self.request.delivered |= self.pass_on;
    }

    /// How much of `rest` belongs to it.
    fn pass(&mut self, rest: &[u8]) -> usize {
        let length = self.pass_left.min(rest.len());
        self.pass_left -= length;
        length
    }
}

fn put_refusal(out: &mut BytesMut, refusal: &Refusal) {
    message::error(out, Severity::Error, refusal.code, &refusal.message, refusal.hint.as_deref());
}

/// An error or notice with its position moved to the client's text.
fn put_mapped(out: &mut BytesMut, tag: u8, body: &[u8], map: &PositionMap) {
    let at = frame::field(body, POSITION).and_then(|p| std::str::from_utf8(p).ok()?.parse().ok());
    let moved = at.map(|at: usize| map.to_client(at).to_string());
    let fields = frame::fields(body).map(|(code, value)| match &moved {
        Some(moved) if code == POSITION => (code, moved.as_bytes()),
        _ => (code, value),
    });
    message::fields(out, tag, fields);
}
