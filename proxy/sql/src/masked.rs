//! Texts in another encoding than UTF-8.
//!
//! The engine reads names as UTF-8. In another client encoding, the same bytes are another name for PostgreSQL,
//! possibly the name of another tenant's schema. So such a text may have only ASCII names. Its strings may contain
//! any bytes; their non-ASCII bytes are masked, so that the engine does not read them as a name or a value.

use std::borrow::Cow;

use super::lexer::{Lexer, Token, TokenKind};
use super::plan::Refusal;

/// Not a byte of UTF-8.
const MASK: u8 = 0xFF;

/// `text` with all non-ASCII bytes masked, at the same offsets. Fails if a name contains such a byte.
pub fn mask(text: &[u8]) -> Result<Cow<'_, [u8]>, Refusal> {
    if text.is_ascii() {
        return Ok(Cow::Borrowed(text));
    }
    let mut masked = text.to_owned();
    for token in Lexer::new(text, true) {
        let raw = token.of(text);
        if !raw.is_ascii() && !names_nothing(token, raw) {
            return Err(refusal());
        }
    }
    masked.iter_mut().filter(|byte| !byte.is_ascii()).for_each(|byte| *byte = MASK);
    Ok(Cow::Owned(masked))
}

/// Whether a token is a string whose delimiters are ASCII.
fn names_nothing(token: Token, raw: &[u8]) -> bool {
    match token.kind {
        // Two different tags must not become equal.
        TokenKind::DollarStr => {
            let tag = raw.iter().skip(1).position(|byte| *byte == b'$');
            tag.and_then(|end| raw.get(..=end)).is_some_and(<[u8]>::is_ascii)
        }
        kind => kind.is_string(),
    }
}

/// For a name that could be another one in PostgreSQL.
pub fn refusal() -> Refusal {
    Refusal {
        code: "0A000",
        message: "names must be ASCII where client_encoding is not UTF8".into(),
        hint: Some("SET client_encoding TO 'UTF8'; strings may hold any character in each encoding.".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(text: &[u8]) -> Option<Vec<u8>> {
        mask(text).ok().map(Cow::into_owned)
    }

    #[test]
    fn strings_are_hidden_and_names_are_refused() {
        assert_eq!(masked(b"select 1").unwrap(), b"select 1");
        assert_eq!(
            masked(b"select '\xe9\xc3\xa9', $a$\xe9$a$ -- \xe9").unwrap(),
            b"select '\xff\xff\xff', $a$\xff$a$ -- \xff"
        );
        assert_eq!(masked(b"select E'\\'\xe9', n'\xe9'").unwrap(), b"select E'\\'\xff', n'\xff'");
        for name in [
            &b"select * from \"caf\xc3\xa9\".t"[..],
            b"select * from caf\xe9.t",
            b"select 1 as \xe9",
            b"select U&\"\xe9\"",
            b"select $\xe9$ a $\xfc$ b $\xe9$",
            b"select 'never ends \xe9",
            b"set a.\xe9 to 1",
        ] {
            assert_eq!(masked(name), None, "{}", String::from_utf8_lossy(name));
        }
    }
}
