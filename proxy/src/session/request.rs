//! The client's messages: each is one step, which is done, waits, or needs a server.

use std::sync::Arc;

use bytes::{Buf, BytesMut};
use pgstrata_tenancy::TenantId;
use tokio::io::{AsyncRead, AsyncWrite};

use super::extended::{malformed, refusal};
use super::judge::Question;
use super::link::Link;
use super::{End, Session, Status};
use crate::shared::tenancy::Tenancy;
use crate::sql::plan::Refusal;
use crate::wire::frame::{self, Header};
use crate::wire::message::{self, Severity};

/// The result of a step.
pub(super) enum Step {
    /// A message was processed.
    Done,
    /// The same message again, once the session has a server.
    NeedServer,
    /// The same message again, once the catalog of the tenant's schemas is loaded.
    NeedNames,
    /// The same message again, once this tenant was looked up.
    NeedTenant(TenantId),
    /// The same message again, once the state of this tenant was looked up.
    NeedState(Arc<Tenancy>),
    /// The same message again, once its text has a plan.
    NeedJudgement(Box<Question>),
    /// A message of this size needs room.
    NeedRoom(usize),
    /// Nothing to do until bytes are read or written.
    Wait,
}

/// The maximum number of outstanding replies.
pub(super) const MAX_OWED: usize = 2000;

/// Above this number of outstanding bytes, the proxy reads no more.
pub(super) const HIGH_WATER: usize = 64 << 10;

/// The maximum length of a `Bind` that is processed as a whole; of a longer one, only the names are.
const WHOLE_BIND: usize = 64 << 10;

/// The part of a client's message that must be in the buffer before it is processed.
enum Need {
    Whole,
    Header,
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Processes the client's next message, or finds out what it needs first.
    pub(super) fn step(&mut self) -> Result<Step, End> {
        let awaits = |link: &Link| link.awaits_copy || link.request.role.is_open();
        let waits = self.framing.awaits_description() || self.link.as_deref().is_some_and(awaits);
        if waits || self.outbuf.len() > HIGH_WATER || self.server_is_full() {
            return Ok(Step::Wait);
        }
        if self.framing.is_streaming() {
            return self.stream_on();
        }
        if self.link.as_ref().is_some_and(|link| link.expects.len() > MAX_OWED) {
            // A `Flush` was sent; see Link::expect_reply.
            return Ok(Step::Wait);
        }
        let header = self.framing.header().map_err(|error| End::fatal("08P01", error.to_string()))?;
        let Some(header) = header else { return self.no_message() };
        let need = self.check_length(header)?;
        let lacks = matches!(need, Need::Whole) && self.framing.len() < header.total;
        if !lacks {
            self.framing.note_complete();
        }
        if self.is_awaiting() {
            return self.step_aside(header);
        }
        if lacks {
            return self.read_on(header);
        }
        // Taken out during the step, so that the message can be borrowed while the session changes.
        let mut buf = self.framing.take_out();
        let step = self.dispatch(header, &mut buf);
        self.framing.put_back(buf);
        step
    }

    /// The next message is incomplete.
    pub(super) fn no_message(&mut self) -> Result<Step, End> {
        self.framing.note_incomplete(|| self.clock.latest());
        match self.framing.end().filter(|_| !self.is_awaiting()) {
            Some(end) => Err(end),
            None => Ok(Step::Wait),
        }
    }

    fn check_length(&self, header: Header) -> Result<Need, End> {
        let limits = &self.config.limits;
        let (need, limit, key) = match header.tag {
            b'B' if header.total > WHOLE_BIND => {
                (Need::Header, limits.max_message_bytes, "max_message_bytes")
            }
            b'd' => (Need::Header, limits.max_message_bytes, "max_message_bytes"),
            _ => (Need::Whole, limits.max_query_bytes, "max_query_bytes"),
        };
        if header.total > limit.saturating_add(frame::HEADER) {
            let bytes = header.total - 1;
            return Err(End::fatal(
                "54000",
                format!("a message of {bytes} bytes is longer than limits.{key} ({limit})"),
            ));
        }
        Ok(need)
    }

    /// A request is in progress: only messages that belong to it may pass.
    fn step_aside(&mut self, header: Header) -> Result<Step, End> {
        match header.tag {
            b'd' | b'c' | b'f' | b'S' | b'H' if self.is_copying_in() => {
                if header.tag != b'd' && self.framing.len() < header.total {
                    return self.read_on(header);
                }
                let mut buf = self.framing.take_out();
                self.copy_in(header, &mut buf);
                self.framing.put_back(buf);
                self.framing.note_taken();
                Ok(Step::Done)
            }
            // PostgreSQL waits for the rest of the data, which will not come.
            b'X' if self.is_copying_in() => Err(End::Terminated),
            b'X' => {
                self.framing.leave();
                Ok(Step::Wait)
            }
            tag if self.is_copying_in() => {
                // PostgreSQL raises this error, and cannot continue.
                let message = format!("unexpected message type 0x{tag:02X} during COPY from stdin");
                self.tell(&refusal("08P01", message));
                let lost = "terminating connection because protocol synchronization was lost";
                Err(End::fatal("08P01", lost))
            }
            _ => Ok(Step::Wait),
        }
    }

    fn dispatch(&mut self, header: Header, buf: &mut BytesMut) -> Result<Step, End> {
        if header.tag == b'X' {
            return Err(End::Terminated);
        }
        if self.framing.skips_to_sync() || self.has_failed() {
            return Ok(self.skip(header, buf));
        }
        let header = if self.draws.is_some() { self.put_drawn(header, buf) } else { header };
        let total = header.total.min(buf.len());
        let body = buf.get(frame::HEADER..total).unwrap_or_default();
        let step = match header.tag {
            b'Q' => match text_of(body) {
                Some(text) => self.query(text)?,
                None => self.refuse_request(malformed()),
            },
            b'P' => self.parse(body, buf.get(header.total..).unwrap_or_default())?,
            b'B' => self.bind(body, header, buf.get(header.total).copied())?,
            b'D' => self.describe(body)?,
            b'E' => self.execute(body)?,
            b'C' => self.close(body)?,
            // PostgreSQL ignores them in a COPY.
            b'S' | b'H' if self.is_copying_in() => Step::Done,
            b'H' => self.flush(),
            b'S' => self.sync(),
            b'F' => self.function_call(body, buf.get(..total).unwrap_or_default()),
            b'd' | b'c' | b'f' if self.is_copying_in() => {
                self.copy_in(header, buf);
                self.framing.note_taken();
                return Ok(Step::Done);
            }
            // The rest of a failed COPY, which PostgreSQL ignores, too.
            b'd' | b'c' | b'f' => return Ok(self.skip(header, buf)),
            tag => return Err(End::fatal("08P01", format!("invalid frontend message type {tag}"))),
        };
        if matches!(step, Step::Done) {
            // The plan was for this message.
            self.head.done();
            self.note_message();
            self.framing.note_taken();
            buf.advance(total);
            if matches!(header.tag, b'Q' | b'S' | b'F') {
                self.head.end_turn();
            }
            if header.tag == b'B' {
                self.framing.begin_rest(header.total - total, !self.has_failed());
            }
        }
        Ok(step)
    }

    /// Discards a message; a `Sync` ends the discarding.
    fn skip(&mut self, header: Header, buf: &mut BytesMut) -> Step {
        self.head.forget_judged();
        self.framing.note_taken();
        if header.tag == b'S' {
            buf.advance(header.total);
            self.head.end_turn();
            self.framing.end_skipping();
            return self.sync();
        }
        let total = header.total.min(buf.len());
        buf.advance(total);
        self.framing.begin_rest(header.total - total, false);
        Step::Done
    }

    /// Passes on a part of a streamed message.
    fn stream_on(&mut self) -> Result<Step, End> {
        let Some(part) = self.framing.next_part() else { return self.no_message() };
        if let Some(link) = self.link.as_mut().filter(|_| part.passes) {
            link.lease.outbuf.extend_from_slice(&part.bytes);
        }
        Ok(Step::Done)
    }

    /// Answers a request with an error before any part of it runs, and fails the transaction as PostgreSQL would.
    pub(super) fn refuse_request(&mut self, refusal: Refusal) -> Step {
        if self.link.is_some() && (self.status == Status::Block || self.has_sent()) {
            self.poison_query(refusal);
            return Step::Done;
        }
        self.tell(&refusal);
        self.fail_local();
        message::ready_for_query(&mut self.outbuf, self.status.byte());
        Step::Done
    }

    /// Answers a message of a pipeline with an error: later messages up to `Sync` are void.
    pub(super) fn refuse_in_pipeline(&mut self, refusal: Refusal) -> Step {
        if self.link.is_some() {
            return self.poison(refusal);
        }
        self.tell(&refusal);
        self.fail_local();
        self.framing.skip_to_sync();
        Step::Done
    }

    /// Sends the client an error now.
    pub(super) fn tell(&mut self, refusal: &Refusal) {
        self.count_error(refusal.code.as_bytes());
        message::error(
            &mut self.outbuf,
            Severity::Error,
            refusal.code,
            &refusal.message,
            refusal.hint.as_deref(),
        );
    }
}

/// The text of a `Query`: the body, with a NUL at its end and nowhere else.
fn text_of(body: &[u8]) -> Option<&[u8]> {
    match frame::cstr(body) {
        Some((text, [])) => Some(text),
        _ => None,
    }
}
