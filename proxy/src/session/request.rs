//! The client's messages: each is one step, which is done, waits, or needs a server.

use std::mem;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use pgstrata_tenancy::TenantId;
use tokio::io::{AsyncRead, AsyncWrite};

use super::extended::{malformed, refusal};
use super::judge::Question;
use super::link::Link;
use super::tenant::Tenancy;
use super::{End, Session, Status};
use crate::sql::plan::Refusal;
use crate::wire::frame::{self, Header};
use crate::wire::message::{self, Severity};

/// What a step came to.
pub(super) enum Step {
    /// A message was dealt with.
    Done,
    /// The same message again, once there is a server.
    NeedServer,
    /// The same message again, once it is known what the tenant's schemas hold.
    NeedNames,
    /// The same message again, once it is known whether there is this tenant.
    NeedTenant(TenantId),
    /// The same message again, once it is known how this tenant fares.
    NeedState(Arc<Tenancy>),
    /// The same message again, once its text is judged.
    NeedJudgement(Box<Question>),
    /// Nothing to do before bytes come or go.
    Wait,
}

/// With so many answers due, nothing more is asked for.
pub(super) const MAX_OWED: usize = 2000;

/// Above this many bytes to be written, nothing more is taken in.
pub(super) const HIGH_WATER: usize = 64 << 10;

/// A `Bind` up to this length is looked at as a whole; of a longer one, its names.
const WHOLE_BIND: usize = 64 << 10;

/// How much of a client's message must be in the buffer before it is dealt with.
enum Need {
    Whole,
    Header,
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Deals with the next message of the client, or finds out what is missing for it.
    pub(super) fn step(&mut self) -> Result<Step, End> {
        let awaits = |link: &Link| link.awaits_copy || link.request.role.is_open();
        let waits = self.checking || self.link.as_deref().is_some_and(awaits);
        if waits || self.outbuf.len() > HIGH_WATER || self.server_is_full() {
            return Ok(Step::Wait);
        }
        if self.stream_left > 0 {
            return self.stream_on();
        }
        if self.link.as_ref().is_some_and(|link| link.expects.len() > MAX_OWED) {
            // PostgreSQL was asked for the answers so far; see Link::owe.
            return Ok(Step::Wait);
        }
        let header = frame::header(&self.inbuf).map_err(|error| End::fatal("08P01", error.to_string()))?;
        let Some(header) = header else { return self.no_message() };
        let need = self.check_length(header)?;
        if self.is_awaiting() {
            return self.step_aside(header);
        }
        if matches!(need, Need::Whole) && self.inbuf.len() < header.total {
            return self.no_message();
        }
        // Taken out for the time of the step, so that its message can be read while the session changes.
        let mut buf = mem::take(&mut self.inbuf);
        let step = self.dispatch(header, &mut buf);
        self.inbuf = buf;
        step
    }

    /// The next message is not there yet.
    pub(super) fn no_message(&self) -> Result<Step, End> {
        if self.eof && !self.is_awaiting() {
            return Err(if self.leaving { End::Terminated } else { End::ClientGone });
        }
        Ok(Step::Wait)
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

    /// A request is on its way: only what belongs to it may pass.
    fn step_aside(&mut self, header: Header) -> Result<Step, End> {
        match header.tag {
            b'd' | b'c' | b'f' | b'S' | b'H' if self.is_copying_in() => {
                if header.tag != b'd' && self.inbuf.len() < header.total {
                    return self.no_message();
                }
                let mut buf = mem::take(&mut self.inbuf);
                self.copy_in(header, &mut buf);
                self.inbuf = buf;
                Ok(Step::Done)
            }
            // PostgreSQL waits for the rest of the data, which won't come.
            b'X' if self.is_copying_in() => Err(End::Terminated),
            b'X' => {
                self.leaving = true;
                Ok(Step::Wait)
            }
            tag if self.is_copying_in() => {
                // PostgreSQL says so, and can't go on.
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
        if self.skip_to_sync || self.has_failed() {
            return Ok(self.skip(header, buf));
        }
        let total = header.total.min(buf.len());
        let body = buf.get(frame::HEADER..total).unwrap_or_default();
        let step = match header.tag {
            b'Q' => match text_of(body) {
                Some(text) => self.query(text)?,
                None => self.refuse_request(malformed()),
            },
            b'P' => self.parse(body)?,
            b'B' => self.bind(body, header, buf.get(header.total).copied())?,
            b'D' => self.describe(body)?,
            b'E' => self.execute(body)?,
            b'C' => self.close(body)?,
            // PostgreSQL ignores them in a COPY.
            b'S' | b'H' if self.is_copying_in() => Step::Done,
            b'H' => self.flush(),
            b'S' => self.sync(),
            b'F' => self.refuse_request(function_call()),
            b'd' | b'c' | b'f' if self.is_copying_in() => {
                self.copy_in(header, buf);
                return Ok(Step::Done);
            }
            // What is left of a COPY that failed: PostgreSQL ignores it too.
            b'd' | b'c' | b'f' => return Ok(self.skip(header, buf)),
            tag => return Err(End::fatal("08P01", format!("invalid frontend message type {tag}"))),
        };
        if matches!(step, Step::Done) {
            // It was for this message.
            self.plan = None;
            self.judged = None;
            self.attendance.begun = false;
            buf.advance(total);
            if header.tag == b'B' {
                self.stream_left = header.total - total;
                self.stream_on = !self.has_failed();
            }
        }
        Ok(step)
    }

    /// Drops a message; at a `Sync`, the time of dropping is over.
    fn skip(&mut self, header: Header, buf: &mut BytesMut) -> Step {
        self.judged = None;
        if header.tag == b'S' {
            buf.advance(header.total);
            self.skip_to_sync = false;
            return self.sync();
        }
        let total = header.total.min(buf.len());
        buf.advance(total);
        self.stream_left = header.total - total;
        self.stream_on = false;
        Step::Done
    }

    /// Part of a message that is passed on as it comes.
    fn stream_on(&mut self) -> Result<Step, End> {
        let length = self.stream_left.min(self.inbuf.len());
        if length == 0 {
            return self.no_message();
        }
        self.stream_left -= length;
        let part = self.inbuf.split_to(length);
        // Where its head went, the rest must go: PostgreSQL counts bytes, whatever became of the request.
        if let Some(link) = self.link.as_mut().filter(|_| self.stream_on) {
            link.lease.outbuf.extend_from_slice(&part);
        }
        Ok(Step::Done)
    }

    /// Answers a request with an error before any of it runs, and fails the transaction as PostgreSQL would.
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

    /// Answers a message of a pipeline with an error: what follows up to `Sync` is void.
    pub(super) fn refuse_in_pipeline(&mut self, refusal: Refusal) -> Step {
        if self.link.is_some() {
            return self.poison(refusal);
        }
        self.tell(&refusal);
        self.fail_local();
        self.skip_to_sync = true;
        Step::Done
    }

    /// An error that the client gets now.
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

/// The text of a `Query`: all of the body, with the NUL at its end and nowhere else.
fn text_of(body: &[u8]) -> Option<&[u8]> {
    match frame::cstr(body) {
        Some((text, [])) => Some(text),
        _ => None,
    }
}

fn function_call() -> Refusal {
    Refusal {
        code: "0A000",
        message: "the FunctionCall message is not supported".into(),
        hint: Some("Call the function with SELECT.".into()),
    }
}
