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
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::shared::incoming::Incoming;
    use crate::wire::message;

    /// A message with this body.
    fn message(tag: u8, body: &[u8]) -> BytesMut {
        let mut out = BytesMut::new();
        message::raw(&mut out, tag, body);
        out
    }

    fn holding(data: &[u8]) -> Framing {
        let mut framing = Framing::default();
        framing.receive(data);
        framing
    }

    #[test]
    fn end_of_the_stream_is_the_end_that_the_client_chose() {
        let mut framing = holding(b"Q");
        assert!(framing.end().is_none() && framing.wants_more() && framing.has_space());
        framing.receive(b"");
        assert!(matches!(framing.end(), Some(End::ClientGone)));
        assert!(framing.has_ended() && !framing.wants_more() && !framing.has_space());
        assert_eq!(framing.len(), 1, "what has arrived is processed");
        framing.leave();
        assert!(matches!(framing.end(), Some(End::Terminated)));
        let mut early = Framing::default();
        early.leave();
        assert!(early.end().is_none(), "the answer to the request in progress comes first");
    }

    #[test]
    fn rest_goes_where_its_head_went() {
        for passes in [true, false] {
            let mut framing = holding(b"abcdef");
            framing.begin_rest(4, passes);
            assert!(framing.is_streaming() && framing.owes_server() == passes);
            let part = framing.next_part();
            assert_eq!(part, Some(Part { bytes: BytesMut::from("abcd"), passes }));
            assert!(!framing.is_streaming() && !framing.owes_server());
            assert_eq!(framing.next_part(), None, "the bytes behind it are another message");
            assert_eq!(framing.len(), 2);
        }
        let mut waiting = Framing::default();
        waiting.begin_rest(4, true);
        assert_eq!(waiting.next_part(), None);
        assert!(waiting.owes_server(), "the server counts on bytes that have not come");
    }

    #[test]
    fn only_requests_of_their_own_are_dropped() {
        for (tag, dropped) in [(b'Q', true), (b'F', true), (b'P', false), (b'B', false), (b'S', false)] {
            let first = message(tag, b"x\0");
            let mut framing = holding(&[&first[..], b"next"].concat());
            framing.since_now();
            assert_eq!(framing.drop_request(), dropped, "{}", tag as char);
            assert_eq!(framing.len(), if dropped { 4 } else { first.len() + 4 });
            assert_eq!(framing.since().is_none(), dropped);
        }
        assert!(!holding(b"Q\0").drop_request(), "its header is incomplete");
        let mut partial = holding(&message(b'F', b"abc")[..6]);
        assert!(partial.drop_request() && partial.len() == 0);
    }

    #[test]
    fn head_returns_in_front_of_what_came_meanwhile() {
        let (first, second) = (message(b'Q', b"one\0"), message(b'Q', b"two\0"));
        let mut framing = holding(&[&first[..], &second[..]].concat());
        let head = framing.take_head();
        assert_eq!((&head[..], framing.len()), (&first[..], second.len()));
        framing.receive(b"more");
        let kept = head.clone();
        framing.put_head_back(head);
        assert_eq!(kept, first, "another holder of the text keeps it");
        assert_eq!(framing.take_out(), [&first[..], &second[..], b"more"].concat());
        assert!(Framing::default().take_head().is_empty());
    }

    #[test]
    fn messages_run_again_before_those_behind_them() {
        let mut framing = holding(b"behind");
        framing.put_in_front(BytesMut::from("again, "));
        assert_eq!(framing.take_out(), &b"again, behind"[..]);
        framing.put_back(BytesMut::from("rest"));
        assert_eq!(framing.len(), 4);
    }

    #[test]
    fn time_of_a_message_runs_until_it_is_taken() {
        let (early, late) = (Instant::now(), Instant::now() + Duration::from_secs(1));
        let mut framing = Framing::default();
        framing.note_incomplete(|| early);
        assert_eq!(framing.since(), None, "there is no message");
        framing.receive(b"Q");
        framing.note_incomplete(|| early);
        framing.note_incomplete(|| late);
        assert_eq!((framing.since(), framing.since_now()), (Some(early), early), "no part restarts it");
        framing.note_complete();
        assert_eq!(framing.since(), None);
        framing.note_incomplete(|| late);
        framing.note_taken();
        assert_eq!(framing.since(), None);
    }

    #[test]
    fn long_message_is_read_on_with_room_only() {
        let incoming = Incoming::new(64 << 20);
        let key = ("app".into(), None);
        let long = 2 * HIGH_WATER;
        let mut head = vec![b'Q'];
        head.extend((long as u32 - 1).to_be_bytes());
        let mut framing = holding(&head);
        let header = framing.header().unwrap().unwrap();
        assert!(!framing.needs_room(header), "a good part of it must have arrived");
        framing.receive(&vec![b'x'; HIGH_WATER - head.len()]);
        assert!(framing.needs_room(header) && !framing.wants_more());
        framing.grant(incoming.try_take(false, &key, long).unwrap(), long);
        assert!(!framing.needs_room(header) && framing.wants_more());
        assert!(!framing.has_space(), "while its request waits, there is no reason to read it");
        framing.receive(&vec![b'x'; HIGH_WATER]);
        assert!(!framing.wants_more(), "it is complete");
        framing.note_taken();
        assert!(framing.needs_room(header), "the next one needs room of its own");
        let short = Header { total: HIGH_WATER, ..header };
        assert!(!framing.needs_room(short));
    }

    #[test]
    fn rest_of_a_message_is_not_read_as_a_header() {
        let incoming = Incoming::new(64 << 20);
        let mut framing = holding(&vec![0; HIGH_WATER]);
        framing.begin_rest(4 * HIGH_WATER, false);
        framing.grant(incoming.try_take(true, &("app".into(), None), 1).unwrap(), 1);
        assert!(!framing.wants_more(), "data that looks like a header would be read without bound");
    }

    #[test]
    fn waits_and_void_messages_end_as_they_began() {
        let mut framing = Framing::default();
        framing.skip_to_sync();
        framing.await_description();
        assert!(framing.skips_to_sync() && framing.awaits_description());
        framing.end_wait();
        assert!(framing.skips_to_sync() && !framing.awaits_description());
        framing.end_skipping();
        assert!(!framing.skips_to_sync());
        framing.cut_answer(true);
        assert!(framing.cuts_answer());
        framing.cut_answer(false);
        assert!(!framing.cuts_answer());
    }

    #[test]
    fn idle_client_holds_no_memory() {
        let mut framing = holding(b"ab");
        framing.free_memory();
        assert_eq!(framing.len(), 2, "unprocessed bytes stay");
        drop(framing.take_out());
        framing.put_back(BytesMut::with_capacity(100));
        framing.free_memory();
        assert_eq!(framing.buffer.capacity(), 0);
    }
}
