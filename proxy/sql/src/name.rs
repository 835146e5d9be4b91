//! Identifiers as PostgreSQL reads them: folded, decoded, and truncated.

use std::borrow::Cow;

use pgstrata_tenancy::ident::MAX_BYTES;

use super::lexer::TokenKind;

/// The prefix of the proxy's prepared statements and portals on servers. Clients cannot create or use names with it.
pub const RESERVED: &str = "pgstrata_";

/// Whether a name is reserved for the proxy.
pub fn is_reserved(name: &str) -> bool {
    name.starts_with(RESERVED)
}

/// The name in a word token; `raw` is the token's text.
pub fn decode(kind: TokenKind, raw: &[u8]) -> Cow<'_, str> {
    let name = match kind {
        TokenKind::Quoted => unquoted(raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default()),
        TokenKind::UnicodeQuoted => Cow::Owned(unicode(raw)),
        _ => folded(raw),
    };
    cut(name)
}

/// ASCII letters in lower case. In UTF-8, PostgreSQL does not fold other characters.
fn folded(raw: &[u8]) -> Cow<'_, str> {
    // The check alone is faster than the conversion, and nearly all names pass it.
    let text = std::str::from_utf8(raw).map_or_else(|_| String::from_utf8_lossy(raw), Cow::Borrowed);
    match text.bytes().any(|c| c.is_ascii_uppercase()) {
        true => Cow::Owned(text.to_ascii_lowercase()),
        false => text,
    }
}

/// The inside of a quoted identifier, with doubled quotes replaced by one.
fn unquoted(inner: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(inner);
    match text.contains('"') {
        true => Cow::Owned(text.replace("\"\"", "\"")),
        false => text,
    }
}

/// Truncated to PostgreSQL's maximum length, at a character boundary.
fn cut(name: Cow<'_, str>) -> Cow<'_, str> {
    if name.len() <= MAX_BYTES {
        return name;
    }
    let end = (0..=MAX_BYTES).rev().find(|&i| name.is_char_boundary(i)).unwrap_or(0);
    Cow::Owned(name.get(..end).unwrap_or_default().to_owned())
}

/// `U&"d!0061" UESCAPE '!'`. A sequence that PostgreSQL would refuse becomes U+FFFD, which occurs in no name.
fn unicode(raw: &[u8]) -> String {
    let close = raw.iter().rposition(|&c| c == b'"').unwrap_or(0);
    let inner = unquoted(raw.get(3..close).unwrap_or_default());
    let escape = match raw.get(close + 1..) {
        // The suffix is `UESCAPE 'c'`: the lexer accepts no other form.
        Some([.., c, b'\'']) => char::from(*c),
        _ => '\\',
    };
    let mut out = String::with_capacity(inner.len());
    let mut high = None;
    let mut rest = inner.as_ref();
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        if c != escape {
            out.push(c);
            continue;
        }
        if let Some(after) = rest.strip_prefix(escape) {
            out.push(escape);
            rest = after;
            continue;
        }
        let digits = if rest.starts_with('+') { 1..7 } else { 0..4 };
        let unit = rest.get(digits.clone()).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        rest = rest.get(digits.end..).unwrap_or_default();
        match (high.take(), unit) {
            (None, Some(unit @ 0xD800..0xDC00)) => high = Some(unit),
            (Some(first), Some(second @ 0xDC00..0xE000)) => {
                out.push(scalar(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00)));
            }
            (_, unit) => out.push(scalar(unit.unwrap_or(0xD800))),
        }
    }
    out
}

fn scalar(unit: u32) -> char {
    char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The text of a string literal without escapes except doubled quotes; `None` for all others, whose value is not
/// interpreted here.
pub fn plain_string(kind: TokenKind, raw: &[u8], conforming: bool) -> Option<Cow<'_, str>> {
    let inner = match kind {
        TokenKind::Str => raw.get(1..raw.len().checked_sub(1)?)?,
        TokenKind::EscapeStr | TokenKind::NationalStr => raw.get(2..raw.len().checked_sub(1)?)?,
        TokenKind::DollarStr => {
            let tag = memchr::memchr(b'$', raw.get(1..)?)? + 2;
            let body = raw.get(tag..raw.len().checked_sub(tag)?)?;
            return std::str::from_utf8(body).ok().map(Cow::Borrowed);
        }
        _ => return None,
    };
    let backslash = inner.contains(&b'\\');
    let escapes = kind == TokenKind::EscapeStr || !conforming;
    let text = std::str::from_utf8(inner).ok()?;
    // A quote that is not doubled ends one part of a continued string.
    if (backslash && escapes) || text.replace("''", "").contains('\'') {
        return None;
    }
    Some(match text.contains('\'') {
        true => Cow::Owned(text.replace("''", "'")),
        false => Cow::Borrowed(text),
    })
}

/// The parts of `text`, parsed as PostgreSQL parses a name in a string (`'Acme."T"'::regclass`); `None` if it is not
/// a list of dotted identifiers.
pub fn parts(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text.trim_start_matches(blank);
    loop {
        let (part, after) = one_part(rest)?;
        parts.push(part);
        rest = after.trim_start_matches(blank);
        match rest.strip_prefix('.') {
            Some(next) => rest = next.trim_start_matches(blank),
            None if rest.is_empty() => return Some(parts),
            None => return None,
        }
    }
}

/// Like PostgreSQL's `scanner_isspace`: other blanks do not separate names.
pub fn blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

fn one_part(text: &str) -> Option<(String, &str)> {
    if let Some(quoted) = text.strip_prefix('"') {
        let mut end = 0;
        loop {
            end += quoted.get(end..)?.find('"')?;
            if !quoted.get(end + 1..)?.starts_with('"') {
                break;
            }
            end += 2;
        }
        let name = cut(unquoted(quoted.get(..end)?.as_bytes())).into_owned();
        return Some((name, quoted.get(end + 1..)?));
    }
    let end = text.find(|c: char| c == '.' || c == ',' || c == '"' || blank(c)).unwrap_or(text.len());
    let name = text.get(..end)?;
    (!name.is_empty())
        .then(|| (cut(folded(name.as_bytes())).into_owned(), text.get(end..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_decoded_and_cut() {
        assert_eq!(decode(TokenKind::Word, b"GloBex"), "globex");
        assert_eq!(decode(TokenKind::Quoted, b"\"Glo\"\"bex\""), "Glo\"bex");
        assert_eq!(decode(TokenKind::UnicodeQuoted, b"U&\"gl\\006fbex\""), "globex");
        assert_eq!(decode(TokenKind::UnicodeQuoted, b"u&\"gl!006f!!\" uescape '!'"), "glo!");
        assert_eq!(decode(TokenKind::UnicodeQuoted, b"U&\"\\+01F600\\D83D\\DE00\""), "😀😀");
        let long = "é".repeat(40);
        assert_eq!(decode(TokenKind::Word, long.as_bytes()), "é".repeat(31));
    }

    #[test]
    fn names_in_strings_have_parts() {
        assert_eq!(parts("Acme.\"T.x\"").unwrap(), ["acme", "T.x"]);
        assert_eq!(parts(" a . b ").unwrap(), ["a", "b"]);
        assert_eq!(parts("a b"), None);
        assert_eq!(parts("a."), None);
        assert_eq!(parts("\"a"), None);
    }

    #[test]
    fn strings_are_read_only_where_that_is_certain() {
        assert_eq!(plain_string(TokenKind::Str, b"'a''b'", true).unwrap(), "a'b");
        assert_eq!(plain_string(TokenKind::Str, b"'a'\n'b'", true), None);
        assert_eq!(plain_string(TokenKind::Str, b"'a\\b'", false), None);
        assert_eq!(plain_string(TokenKind::EscapeStr, b"E'\\x61'", true), None);
        assert_eq!(plain_string(TokenKind::DollarStr, b"$q$a'b$q$", true).unwrap(), "a'b");
    }
}
