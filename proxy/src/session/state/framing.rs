//! The client's messages in the read buffer: where one ends, and what becomes of its bytes.

use bytes::{Buf, Bytes, BytesMut};
use tokio::time::Instant;

use crate::session::request::HIGH_WATER;
use crate::session::{End, spare};
use crate::shared::incoming::Room;
use crate::wire::frame::{self, BadLength, Header};

/// The read buffer of a session.
///
/// During a step the session takes the bytes out ([`Framing::take_out`]), so that it can change while it borrows the
/// message; the buffer is empty meanwhile.
#[derive(Default)]
pub(in crate::session) struct Framing {
    /// Data that is not processed yet.
    buffer: BytesMut,
    /// The client will send no more data.
    eof: bool,
    /// The client sent `Terminate` behind a request in progress.
    leaving: bool,
    /// The rest of a message whose head was processed.
    rest: Rest,
    /// The message at the head of the buffer waits for the description of a statement.
    awaits_description: bool,
    /// The room of an incomplete message.
    room: Option<Room>,
    /// The time since which it is incomplete.
    since: Option<Instant>,
    /// An error was answered without a server: all messages up to `Sync` are void.
    skips: bool,
    /// The client has got the head of an answer whose end will never come.
    cuts_answer: bool,
}

/// The bytes of a message that are still to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Rest {
    left: usize,
    /// They go to the server, like the head of the message; otherwise they are discarded.
    passes: bool,
}

/// A part of a message that is passed on in pieces.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::session) struct Part {
    /// The bytes.
    pub bytes: BytesMut,
    /// They go to the server.
    pub passes: bool,
}

impl Framing {
    /// For data that the client has sent with its login.
    pub fn new(buffer: BytesMut) -> Self {
        Self { buffer, ..Self::default() }
    }

    // Bytes.

    /// Adds what was read from the client; nothing means the end of its stream.
    pub fn receive(&mut self, data: &[u8]) {
        self.eof |= data.is_empty();
        if self.buffer.capacity() == 0 {
            self.buffer = spare::buffer();
        }
        self.buffer.extend_from_slice(data);
    }

    /// The number of bytes that are not processed.
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Whether the next message may be read further. A long one needs room first.
    pub fn wants_more(&self) -> bool {
        let limit = match self.header() {
            // The rest of a message has no header.
            Ok(Some(header)) if !self.is_streaming() && self.room.is_some() => header.total.max(HIGH_WATER),
            _ => HIGH_WATER,
        };
        !self.eof && self.buffer.len() < limit
    }

    /// Whether the client may be read while its request waits.
    pub fn has_space(&self) -> bool {
        !self.eof && self.buffer.len() < HIGH_WATER
    }

    /// Gives the memory of an empty buffer back.
    pub fn free_memory(&mut self) {
        if self.buffer.is_empty() {
            spare::leave(std::mem::take(&mut self.buffer));
        }
    }

    /// Takes all bytes out for a step.
    pub fn take_out(&mut self) -> BytesMut {
        std::mem::take(&mut self.buffer)
    }

    /// Puts what the step has left back.
    pub fn put_back(&mut self, bytes: BytesMut) {
        self.buffer = bytes;
    }

    /// Puts messages in front of all others, so that they are processed again.
    pub fn put_in_front(&mut self, mut messages: BytesMut) {
        messages.extend_from_slice(&self.buffer);
        self.buffer = messages;
    }

    // The end of the stream.

    /// Whether the client will send no more data.
    pub fn has_ended(&self) -> bool {
        self.eof
    }

    /// The client sent `Terminate` behind a request in progress.
    pub fn leave(&mut self) {
        self.leaving = true;
    }

    /// The end of the session if no further message is in the buffer.
    pub fn end(&self) -> Option<End> {
        self.eof.then_some(if self.leaving { End::Terminated } else { End::ClientGone })
    }

    // The message at the head.

    /// The header of the message at the head; `None`: it is incomplete.
    pub fn header(&self) -> Result<Option<Header>, BadLength> {
        frame::header(&self.buffer)
    }

    /// Drops the message at the head if it is a request of its own, a `Query` or a `FunctionCall`. Returns whether it
    /// was.
    pub fn drop_request(&mut self) -> bool {
        let Ok(Some(header)) = self.header() else { return false };
        let is_request = matches!(header.tag, b'Q' | b'F');
        if is_request {
            self.buffer.advance(header.total.min(self.buffer.len()));
            self.note_taken();
        }
        is_request
    }

    /// Takes the message at the head out, without a copy. Data that arrives from then on stays behind it.
    pub fn take_head(&mut self) -> Bytes {
        let total = self.header().ok().flatten().map_or(0, |header| header.total);
        let behind = BytesMut::from(self.buffer.get(total..).unwrap_or_default());
        self.buffer.truncate(total);
        std::mem::replace(&mut self.buffer, behind).freeze()
    }

    /// Puts the message back in front of the data that has arrived meanwhile.
    pub fn put_head_back(&mut self, head: Bytes) {
        // A cancelled job may still hold a reference to the text.
        self.put_in_front(head.try_into_mut().unwrap_or_else(|head| BytesMut::from(&head[..])));
    }

    /// The message at the head waits for the description of a statement.
    pub fn await_description(&mut self) {
        self.awaits_description = true;
    }

    /// Whether it does.
    pub fn awaits_description(&self) -> bool {
        self.awaits_description
    }

    /// The description has arrived, or never will.
    pub fn end_wait(&mut self) {
        self.awaits_description = false;
    }

    // Its size and its time.

    /// Whether the message at the head needs room before more of it is read. The room is requested when a good part of
    /// the message has arrived.
    pub fn needs_room(&self, header: Header) -> bool {
        header.total > HIGH_WATER && self.buffer.len() >= HIGH_WATER && self.room.is_none()
    }

    /// The message at the head has room for its `bytes`.
    pub fn grant(&mut self, room: Room, bytes: usize) {
        self.room = Some(room);
        self.buffer.reserve(bytes.saturating_sub(self.buffer.len()));
    }

    /// The needed part of the message at the head has arrived.
    pub fn note_complete(&mut self) {
        self.since = None;
    }

    /// The message at the head is incomplete, if there is one: its time runs, from `now` on.
    pub fn note_incomplete(&mut self, now: impl FnOnce() -> Instant) {
        if self.buffer.is_empty() {
            self.since = None;
        } else {
            self.since.get_or_insert_with(now);
        }
    }

    /// The message at the head is processed.
    pub fn note_taken(&mut self) {
        (self.room, self.since) = (None, None);
    }

    /// Since when the message at the head is incomplete.
    pub fn since(&self) -> Option<Instant> {
        self.since
    }

    /// The same; at the latest since now.
    pub fn since_now(&mut self) -> Instant {
        *self.since.get_or_insert_with(Instant::now)
    }

    // The rest of a message.

    /// The head of a message was processed, and `left` bytes of it are still to come.
    pub fn begin_rest(&mut self, left: usize, passes: bool) {
        self.rest = Rest { left, passes };
    }

    /// Whether the next bytes belong to such a message.
    pub fn is_streaming(&self) -> bool {
        self.rest.left > 0
    }

    /// Whether the server still expects the rest of a message.
    pub fn owes_server(&self) -> bool {
        self.rest.passes && self.is_streaming()
    }

    /// The next bytes of the rest; `None`: none have arrived.
    ///
    /// They go where the head went: PostgreSQL counts bytes, whatever the state of the request.
    pub fn next_part(&mut self) -> Option<Part> {
        let length = self.rest.left.min(self.buffer.len());
        if length == 0 {
            return None;
        }
        self.rest.left -= length;
        Some(Part { bytes: self.buffer.split_to(length), passes: self.rest.passes })
    }

    // Void messages.

    /// An error was answered without a server: all messages up to `Sync` are void.
    pub fn skip_to_sync(&mut self) {
        self.skips = true;
    }

    /// Whether messages are void.
    pub fn skips_to_sync(&self) -> bool {
        self.skips
    }

    /// `Sync` has come.
    pub fn end_skipping(&mut self) {
        self.skips = false;
    }

    // The other direction.

    /// The server is gone. `halfway`: in the middle of a message for the client, whose end will never come.
    pub fn cut_answer(&mut self, halfway: bool) {
        self.cuts_answer = halfway;
    }

    /// Whether the client would read an error as a part of that message.
    pub fn cuts_answer(&self) -> bool {
        self.cuts_answer
    }
}

#[cfg(test)]
mod tests;
