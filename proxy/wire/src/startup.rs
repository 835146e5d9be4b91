//! The first packet of a connection, and the answers to it.
//!
//! See <https://www.postgresql.org/docs/current/protocol-message-formats.html>:
//! `StartupMessage`, `SSLRequest`, `GSSENCRequest`, `CancelRequest`.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use pgwire::messages::Message;
use pgwire::messages::startup::NegotiateProtocolVersion;

use super::refusal::{Refusal, sqlstate};

/// The longest start-up packet, without its length word (`MAX_STARTUP_PACKET_LENGTH`).
pub const MAX_PACKET: usize = 10_000;
/// The protocol's name in ALPN.
pub const ALPN: &[u8] = b"postgresql";
/// The newest protocol that is spoken.
pub const NEWEST: ProtocolVersion = ProtocolVersion { major: 3, minor: 2 };

const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
const CANCEL_REQUEST: u32 = 80_877_102;
/// A `CancelRequest` that another proxy passes on. PostgreSQL has no such code: it ends with the default port.
const PASSED_CANCEL_REQUEST: u32 = 1_234 << 16 | 6_432;

/// The first message of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirstPacket {
    /// `SSLRequest`
    Ssl,
    /// `GSSENCRequest`
    Gss,
    /// `CancelRequest`
    Cancel(CancelRequest),
    /// `StartupMessage`
    Startup(StartupParams),
}

/// A `CancelRequest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelRequest {
    /// The process that was named in `BackendKeyData`.
    pub pid: i32,
    /// The key that was given with it: 4 to 256 bytes.
    pub key: Bytes,
    /// Whether another proxy passes it on, which did not know the key: it is not passed on again.
    pub passed_on: bool,
}

impl CancelRequest {
    /// The packet by which a proxy passes it on to another one.
    pub fn put_passed_on(&self, out: &mut BytesMut) {
        // A key has 256 bytes at most.
        let length = u32::try_from(12 + self.key.len()).unwrap_or_default();
        out.put_u32(length);
        out.put_u32(PASSED_CANCEL_REQUEST);
        out.put_i32(self.pid);
        out.put_slice(&self.key);
    }
}

/// A protocol version: 3.0, 3.2 ...
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProtocolVersion {
    /// 3, in all that is alive.
    pub major: u16,
    /// The minor version that the client requests.
    pub minor: u16,
}

/// A `StartupMessage`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartupParams {
    /// The version that the client asks for.
    pub protocol: ProtocolVersion,
    /// Names and values, in the client's order.
    pub params: Vec<(String, String)>,
}

impl StartupParams {
    /// The value of the last parameter of that name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.params.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The minor version that is spoken from here on.
    pub fn minor(&self) -> u16 {
        self.protocol.minor.min(NEWEST.minor)
    }

    /// The `NegotiateProtocolVersion` that the client must have, if it must have one:
    /// for a newer minor version, or for unknown `_pq_.` options.
    pub fn negotiation(&self) -> Option<NegotiateProtocolVersion> {
        let names = self.params.iter().map(|(name, _)| name);
        let unknown: Vec<_> = names.filter(|name| name.starts_with("_pq_.")).cloned().collect();
        if self.protocol <= NEWEST && unknown.is_empty() {
            return None;
        }
        // As PostgreSQL does it: the whole version number, not only the minor one.
        let spoken = i32::from(NEWEST.major) << 16 | i32::from(self.minor());
        Some(NegotiateProtocolVersion::new(spoken, unknown))
    }
}

/// Takes the first packet out of `buffer`; `None` if it is not all there yet.
///
/// The length is judged before the rest is waited for, so `buffer` never has
/// to hold more than [`MAX_PACKET`] bytes and the length word.
pub fn take_packet(buffer: &mut BytesMut) -> Result<Option<FirstPacket>, Refusal> {
    let Some(length) = buffer.first_chunk().map(|word| u32::from_be_bytes(*word)) else {
        return Ok(None);
    };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if !(8..=MAX_PACKET + 4).contains(&length) {
        return Err(violation("invalid length of startup packet"));
    }
    if buffer.len() < length {
        return Ok(None);
    }
    let mut body = buffer.split_to(length).freeze();
    body.advance(4);
    parse(body).map(Some)
}

fn parse(mut body: Bytes) -> Result<FirstPacket, Refusal> {
    let code = body.get_u32();
    match code {
        SSL_REQUEST => Ok(FirstPacket::Ssl),
        GSS_REQUEST => Ok(FirstPacket::Gss),
        CANCEL_REQUEST => cancel(body, false),
        PASSED_CANCEL_REQUEST => cancel(body, true),
        _ => startup(code, &body),
    }
}

fn cancel(mut body: Bytes, passed_on: bool) -> Result<FirstPacket, Refusal> {
    // The process, and a key of 4 bytes (protocol 3.0) up to 256 (3.2).
    if !(8..=260).contains(&body.len()) {
        return Err(violation("invalid length of cancel request packet"));
    }
    let pid = body.get_i32();
    Ok(FirstPacket::Cancel(CancelRequest { pid, key: body, passed_on }))
}

fn startup(code: u32, body: &[u8]) -> Result<FirstPacket, Refusal> {
    let [a, b, c, d] = code.to_be_bytes();
    let protocol = ProtocolVersion { major: u16::from_be_bytes([a, b]), minor: u16::from_be_bytes([c, d]) };
    if protocol.major != NEWEST.major {
        // The rest of the packet has another layout: it is not read.
        return Ok(FirstPacket::Startup(StartupParams { protocol, params: Vec::new() }));
    }
    let params = parameters(body)?;
    let startup = StartupParams { protocol, params };
    if startup.get("user").is_none_or(str::is_empty) {
        let message = "no PostgreSQL user name specified in startup packet";
        return Err(Refusal::new(sqlstate::INVALID_AUTHORIZATION, message));
    }
    Ok(FirstPacket::Startup(startup))
}

/// Pairs of NUL-terminated texts, and one more NUL as the very last byte.
fn parameters(mut body: &[u8]) -> Result<Vec<(String, String)>, Refusal> {
    let layout = || violation("invalid startup packet layout: expected terminator as last byte");
    let mut params = Vec::new();
    loop {
        let name = take_text(&mut body).ok_or_else(layout)?;
        if name.is_empty() {
            return if body.is_empty() { Ok(params) } else { Err(layout()) };
        }
        let value = take_text(&mut body).ok_or_else(layout)?;
        params.push((utf8(name)?, utf8(value)?));
    }
}

/// The bytes up to the next NUL, which is taken too.
pub fn take_text<'a>(body: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (text, rest) = body.split_at_checked(memchr::memchr(0, body)?)?;
    *body = rest.get(1..)?;
    Some(text)
}

fn utf8(bytes: &[u8]) -> Result<String, Refusal> {
    let text = std::str::from_utf8(bytes);
    text.map(str::to_owned).map_err(|_| violation("startup packet holds text that is not UTF-8"))
}

fn violation(message: &str) -> Refusal {
    Refusal::new(sqlstate::PROTOCOL_VIOLATION, message)
}

/// Appends a message of ours: those are always short enough to be sent.
pub fn put(message: &impl Message, out: &mut BytesMut) {
    let _ = message.encode(out);
}
