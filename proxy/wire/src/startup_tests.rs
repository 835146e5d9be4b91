use bytes::{BufMut, BytesMut};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::refusal::Refusal;
use super::startup::{CancelRequest, FirstPacket, ProtocolVersion, StartupParams, take_packet};

/// A packet with its length word.
fn packet(code: u32, body: &[u8]) -> BytesMut {
    let mut packet = BytesMut::new();
    packet.put_u32(u32::try_from(body.len() + 8).unwrap());
    packet.put_u32(code);
    packet.put_slice(body);
    packet
}

fn read(code: u32, body: &[u8]) -> Result<FirstPacket, Refusal> {
    take_packet(&mut packet(code, body)).map(|packet| packet.expect("a whole packet"))
}

fn startup(code: u32, body: &[u8]) -> StartupParams {
    match read(code, body).unwrap() {
        FirstPacket::Startup(startup) => startup,
        other => panic!("{other:?}"),
    }
}

const V3: u32 = 3 << 16;

#[test]
fn startup_gives_version_and_parameters() {
    let read = startup(V3 | 2, b"user\0app\0database\0shop\0user\0other\0\0");
    assert_eq!(read.protocol, ProtocolVersion { major: 3, minor: 2 });
    assert_eq!(read.params.len(), 3);
    assert_eq!(read.get("user"), Some("other"), "the last one wins");
    assert_eq!(read.get("database"), Some("shop"));
    assert_eq!(read.get("options"), None);
}

#[test]
fn requests_are_told_apart() {
    assert_eq!(read(80_877_103, b""), Ok(FirstPacket::Ssl));
    assert_eq!(read(80_877_104, b""), Ok(FirstPacket::Gss));
    let cancel = read(80_877_102, b"\0\0\0\x07abcd").unwrap();
    let request = CancelRequest { pid: 7, key: "abcd".into(), passed_on: false };
    assert_eq!(cancel, FirstPacket::Cancel(request.clone()));
    let mut packet = BytesMut::new();
    request.put_passed_on(&mut packet);
    let passed_on = take_packet(&mut packet).unwrap().unwrap();
    assert_eq!(passed_on, FirstPacket::Cancel(CancelRequest { passed_on: true, ..request }));
}

#[test]
fn cancel_key_has_4_to_256_bytes() {
    for (length, good) in [(0, false), (3, false), (4, true), (256, true), (257, false)] {
        let body = vec![0; 4 + length];
        assert_eq!(read(80_877_102, &body).is_ok(), good, "{length}");
    }
}

#[test]
fn length_is_judged_before_the_rest_comes() {
    for length in [0, 4, 7, 10_005, u32::MAX, 0x4745_5420] {
        let mut buffer = BytesMut::from(&length.to_be_bytes()[..]);
        assert_eq!(take_packet(&mut buffer).unwrap_err().code, "08P01", "{length}");
    }
    assert_eq!(take_packet(&mut BytesMut::from(&10_004_u32.to_be_bytes()[..])), Ok(None));
}

#[test]
fn packet_in_pieces_is_waited_for() {
    let whole = packet(V3, b"user\0app\0\0");
    for end in 0..whole.len() {
        let mut part = BytesMut::from(&whole[..end]);
        assert_eq!(take_packet(&mut part), Ok(None));
        assert_eq!(part.len(), end, "nothing is taken");
    }
}

#[test]
fn bytes_behind_the_packet_stay() {
    let mut buffer = packet(V3, b"user\0app\0\0");
    buffer.put_slice(b"more");
    assert!(take_packet(&mut buffer).unwrap().is_some());
    assert_eq!(&buffer[..], b"more");
}

#[test]
fn malformed_layout_is_a_protocol_violation() {
    for body in [
        &b""[..],
        b"user\0app\0",
        b"user\0app",
        b"user\0",
        b"user",
        b"user\0app\0\0x",
        b"\0\0",
        b"user\0\xff\0\0",
        b"us\xc3\0app\0\0",
    ] {
        assert_eq!(read(V3, body).unwrap_err().code, "08P01", "{body:?}");
    }
}

#[test]
fn user_must_be_named() {
    for body in [&b"\0"[..], b"database\0x\0\0", b"user\0\0\0"] {
        assert_eq!(read(V3, body).unwrap_err().code, "28000", "{body:?}");
    }
}

#[test]
fn other_major_version_is_not_read_further() {
    let read = startup(2 << 16, &[0xff; 288]);
    assert_eq!(read.protocol.major, 2);
    assert!(read.params.is_empty());
}

#[test]
fn newer_minor_and_unknown_options_are_negotiated() {
    let negotiation = |code, body: &[u8]| {
        let told = startup(code, body).negotiation()?;
        Some((told.newest_minor_protocol, told.unsupported_options))
    };
    let spoken = |minor| (3 << 16) | minor;
    for minor in 0..=2 {
        assert_eq!(negotiation(V3 | minor, b"user\0a\0\0"), None);
    }
    assert_eq!(negotiation(V3 | 9999, b"user\0a\0\0"), Some((spoken(2), vec![])));
    assert_eq!(negotiation(V3, b"user\0a\0_pq_.x\x001\0\0"), Some((spoken(0), vec!["_pq_.x".to_owned()])));
    assert_eq!(startup(V3 | 9999, b"user\0a\0\0").minor(), 2);
    assert_eq!(startup(V3, b"user\0a\0\0").minor(), 0);
}

#[test]
fn any_bytes_are_read_or_refused() {
    let mut random = StdRng::seed_from_u64(3);
    let codes = [V3, V3 | 2, 80_877_102, 80_877_103, 80_877_104, 0, u32::MAX];
    for _ in 0..50_000 {
        let bytes = b"user\0app\xff\0\0x".len();
        let body: Vec<u8> = (0..random.random_range(0..24))
            .map(|_| b"user\0app\xff\0\0x"[random.random_range(0..bytes)])
            .collect();
        let mut buffer = packet(codes[random.random_range(0..codes.len())], &body);
        buffer.truncate(random.random_range(0..=buffer.len()));
        let _ = take_packet(&mut buffer);
    }
}
