//! See [`super::Framing`].

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
    let mut data = vec![b'Q', 0, 16, 0, 0];
    data.resize(HIGH_WATER, 0);
    let mut framing = holding(&data);
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
