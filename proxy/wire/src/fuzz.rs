//! Bytes that no client sends. A second each here; `make fuzz` goes on for longer.

use bolero::check;
use bytes::BytesMut;

use super::startup::{FirstPacket, MAX_PACKET, take_packet};
use super::{encoding, frame, message, options};

/// Start-up packets are short, and mostly made of these.
const PIECES: &[&[u8]] = &[
    b"\0", b"\0\0", b"user\0", b"app\0", b"options\0", b"-ctenant=acme\0", b"database\0", b"_pq_.x\0",
    b"\xff", b"\xc3", b"\0\x03\0\0", b"\0\x03\0\x02", b"\x04\xd2\x16\x2e", b"\x04\xd2\x16\x2f",
    b"\x04\xd2\x16\x30", b"\0\0\0\x08", b"x",
];

fn piece(byte: &u8) -> &'static [u8] {
    PIECES[usize::from(*byte) % PIECES.len()]
}

#[test]
fn frames_are_within_their_length() {
    check!().with_max_len(64).for_each(|bytes| match frame::header(bytes) {
        Ok(None) => assert!(bytes.len() < frame::HEADER),
        Ok(Some(header)) => {
            assert_eq!(header.tag, bytes[0]);
            assert!(header.total >= frame::HEADER && header.total <= i32::MAX as usize + 1);
        }
        Err(_) => assert!(i32::from_be_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]) < 4),
    });
}

#[test]
fn frames_that_are_built_are_read_back() {
    check!().with_type::<(u8, Vec<u8>)>().for_each(|(tag, body)| {
        let mut out = BytesMut::new();
        message::raw(&mut out, *tag, body);
        let header = frame::header(&out).unwrap().unwrap();
        assert_eq!((header.tag, header.total), (*tag, out.len()));
        assert_eq!(&out[frame::HEADER..], body);
    });
}

#[test]
fn error_fields_are_read_back() {
    check!().with_type::<Vec<(u8, Vec<u8>)>>().for_each(|fields| {
        let fields: Vec<_> = fields.iter().filter(|(code, _)| *code != 0).collect();
        let mut out = BytesMut::new();
        message::fields(&mut out, b'E', fields.iter().map(|(code, value)| (*code, value.as_slice())));
        let read: Vec<_> = frame::fields(&out[frame::HEADER..]).collect();
        assert_eq!(read.len(), fields.len());
        for ((code, value), field) in read.into_iter().zip(fields) {
            // A NUL has no place in a value: it is left out.
            let sent: Vec<u8> = field.1.iter().copied().filter(|&c| c != 0).collect();
            assert_eq!((code, value), (field.0, sent.as_slice()));
        }
    });
}

#[test]
fn any_body_has_fields_within_it() {
    check!().with_max_len(64).for_each(|body| {
        let held: usize = frame::fields(body).map(|(_, value)| value.len() + 2).sum();
        assert!(held <= body.len());
        if let Some((text, rest)) = frame::cstr(body) {
            assert_eq!([text, b"\0", rest].concat(), body);
        }
        assert_eq!(frame::u16(body).map(|(_, rest)| rest.len()), body.len().checked_sub(2));
        assert_eq!(frame::u32(body).map(|(_, rest)| rest.len()), body.len().checked_sub(4));
    });
}

#[test]
fn first_packet_is_taken_whole_or_not_at_all() {
    check!().with_type::<(u32, u32, Vec<u8>)>().for_each(|(length, behind, pieces)| {
        let body: Vec<u8> = pieces.iter().flat_map(piece).copied().collect();
        // The right length mostly.
        let length = if length % 4 == 0 { *length } else { body.len() as u32 + 4 };
        let packet = [&length.to_be_bytes()[..], &body, &behind.to_be_bytes()].concat();
        let mut buffer = BytesMut::from(packet.as_slice());
        let result = take_packet(&mut buffer);
        let length = length as usize;
        assert!(length <= MAX_PACKET + 4 || result.is_err(), "{length}");
        match result {
            Ok(None) => assert!(length > packet.len() && buffer == packet),
            Ok(Some(first)) => {
                assert_eq!(buffer, packet[length..]);
                within(&first, length);
            }
            Err(refusal) => assert_eq!(refusal.code.len(), 5),
        }
    });
}

fn within(first: &FirstPacket, length: usize) {
    match first {
        FirstPacket::Ssl | FirstPacket::Gss => {}
        FirstPacket::Cancel(request) => assert!((4..=256).contains(&request.key.len())),
        FirstPacket::Startup(startup) => {
            let held: usize = startup.params.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
            assert!(held < length);
            assert!(startup.params.iter().all(|(name, _)| !name.is_empty()));
            startup.negotiation();
        }
    }
}

#[test]
fn options_are_split_as_postgresql_splits_them() {
    const PIECES: &[&str] = &[
        "-c", "--", "-", "=", " ", "\\", "\t", "\x0b", "\n", "tenant", "search-path", "a", "é", "\u{a0}", "'",
    ];
    check!().with_max_len(24).for_each(|bytes| {
        let text: String = bytes.iter().map(|&b| PIECES[usize::from(b) % PIECES.len()]).collect();
        let escaped = |argument: &String| argument.chars().flat_map(|c| ['\\', c]).collect::<String>();
        let arguments = options::split(&text);
        // An empty one can't be written: only a backslash at the very end makes it.
        let arguments: Vec<_> = arguments.into_iter().filter(|argument| !argument.is_empty()).collect();
        let again: Vec<_> = arguments.iter().map(escaped).collect();
        assert_eq!(options::split(&again.join(" ")), arguments, "{text:?}");
        if let Ok(settings) = options::parse(&text) {
            assert!(settings.len() <= arguments.len(), "{text:?}");
            assert!(
                settings.iter().all(|(name, _)| !name.is_empty() && !name.contains(['=', '-'])),
                "{text:?}"
            );
        }
        assert_eq!(encoding::is_ascii_safe(&text), encoding::check_client_encoding(&text).is_ok());
    });
}
