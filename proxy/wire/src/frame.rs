//! Message boundaries in a read buffer. Copies nothing, decodes nothing.
//!
//! Every message after start-up is a type byte and a length that counts itself but not the type byte
//! (<https://www.postgresql.org/docs/current/protocol-overview.html>).

/// Type byte and length: the bytes that are needed to know a message's size.
pub const HEADER: usize = 5;

/// The header of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The type byte.
    pub tag: u8,
    /// The size of the whole message in bytes, including type byte and length word.
    pub total: usize,
}

/// A length word below 4: the peer does not speak this protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid message length")]
pub struct BadLength;

/// The header at the start of `buf`; `None` while it is incomplete.
pub fn header(buf: &[u8]) -> Result<Option<Header>, BadLength> {
    let [tag, a, b, c, d, ..] = *buf else { return Ok(None) };
    match usize::try_from(i32::from_be_bytes([a, b, c, d])) {
        Ok(length) if length >= 4 => Ok(Some(Header { tag, total: length + 1 })),
        _ => Err(BadLength),
    }
}

/// The text up to the next NUL, and the rest behind that NUL.
pub fn cstr(buf: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(0, buf)?;
    Some((buf.get(..end)?, buf.get(end + 1..)?))
}

/// A big-endian 16-bit number, and the rest behind it.
pub fn u16(buf: &[u8]) -> Option<(u16, &[u8])> {
    let (head, rest) = buf.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*head), rest))
}

/// A big-endian 32-bit number, and the rest behind it.
pub fn u32(buf: &[u8]) -> Option<(u32, &[u8])> {
    let (head, rest) = buf.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*head), rest))
}

/// The fields of an `ErrorResponse` or `NoticeResponse` body, as (code, value).
pub fn fields(mut body: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let (&code, rest) = body.split_first()?;
        if code == 0 {
            return None;
        }
        let (value, rest) = cstr(rest)?;
        body = rest;
        Some((code, value))
    })
}

/// The value of one field of an `ErrorResponse` body.
pub fn field(body: &[u8], code: u8) -> Option<&[u8]> {
    fields(body).find(|(c, _)| *c == code).map(|(_, value)| value)
}

/// The value of parameter `number` (from 1) in a `Bind`, behind its two names; `None` if it is NULL, or the message
/// is incomplete.
pub fn bound_value(values: &[u8], number: usize) -> Option<&[u8]> {
    let (formats, rest) = split_count(values)?;
    let (count, mut rest) = split_count(rest.get(formats.checked_mul(2)?..)?)?;
    for at in 1..=count {
        let (length, behind) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(i32::from_be_bytes(*length)).ok();
        let value = behind.get(..length.unwrap_or(0))?;
        if at == number {
            return length.map(|_| value);
        }
        rest = behind.get(value.len()..)?;
    }
    None
}

fn split_count(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (count, rest) = bytes.split_first_chunk::<2>()?;
    Some((usize::from(u16::from_be_bytes(*count)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_waits_for_five_bytes() {
        assert_eq!(header(b"Q\0\0\0"), Ok(None));
        assert_eq!(header(b"Q\0\0\0\x05\0"), Ok(Some(Header { tag: b'Q', total: 6 })));
    }

    #[test]
    fn length_below_itself_is_refused() {
        assert_eq!(header(b"Q\0\0\0\x03"), Err(BadLength));
        assert_eq!(header(b"Q\xff\xff\xff\xff"), Err(BadLength));
    }

    #[test]
    fn fields_end_at_the_closing_nul() {
        let body = b"SERROR\0C42P01\0\0trailing";
        assert_eq!(field(body, b'C'), Some(&b"42P01"[..]));
        assert_eq!(fields(body).count(), 2);
        assert_eq!(fields(b"Sno end").count(), 0);
    }

    #[test]
    fn bound_values_are_found_by_their_number() {
        let values = b"\0\x01\0\0\0\x03\0\0\0\x02on\xff\xff\xff\xff\0\0\0\0\0\0";
        assert_eq!(bound_value(values, 1), Some(&b"on"[..]));
        assert_eq!(bound_value(values, 2), None);
        assert_eq!(bound_value(values, 3), Some(&b""[..]));
        assert_eq!(bound_value(values, 4), None);
        for cut in 0..values.len() - 6 {
            assert_eq!(bound_value(&values[..cut], 3), None, "{cut}");
        }
    }
}
