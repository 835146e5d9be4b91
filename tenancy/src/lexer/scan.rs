//! The pieces of the scanner: where each kind of token ends.

use super::steps;

/// The byte at `at`, NUL behind the end.
fn byte(text: &[u8], at: usize) -> u8 {
    steps::count(1);
    text.get(at).copied().unwrap_or(0)
}

/// The first offset from `at` on whose byte does not satisfy `wanted`.
#[inline]
pub(super) fn run(text: &[u8], at: usize, wanted: impl Fn(u8) -> bool) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let length = rest.iter().position(|&c| !wanted(c)).unwrap_or(rest.len());
    steps::count(length + 1);
    at + length
}

fn find(text: &[u8], at: usize, needle: u8) -> Option<usize> {
    let rest = text.get(at..)?;
    let found = memchr::memchr(needle, rest);
    steps::count(found.unwrap_or(rest.len()));
    found.map(|found| at + found)
}

const SPACE: u8 = 1;
const WORD_START: u8 = 2;
const DIGIT: u8 = 4;
const DOLLAR: u8 = 8;
const OPERATOR: u8 = 16;

/// What each byte may be, looked up: words and blanks are read byte by byte.
#[expect(clippy::indexing_slicing, reason = "const: an index out of bounds does not compile")]
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut c = 0;
    while c < 256 {
        classes[c] = match c as u8 {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0c | 0x0b => SPACE,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80.. => WORD_START,
            b'0'..=b'9' => DIGIT,
            b'$' => DOLLAR,
            b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' => OPERATOR,
            b'+' | b'-' | b'*' | b'/' | b'%' | b'<' | b'>' | b'=' => OPERATOR,
            _ => 0,
        };
        c += 1;
    }
    classes
};

fn is(c: u8, classes: u8) -> bool {
    CLASSES.get(usize::from(c)).is_some_and(|class| class & classes != 0)
}

pub(super) fn is_space(c: u8) -> bool {
    is(c, SPACE)
}

pub(super) fn starts_word(c: u8) -> bool {
    is(c, WORD_START)
}

fn continues_word(c: u8) -> bool {
    is(c, WORD_START | DIGIT | DOLLAR)
}

pub(super) fn is_operator(c: u8) -> bool {
    is(c, OPERATOR)
}

#[inline]
pub(super) fn word(text: &[u8], at: usize) -> usize {
    run(text, at, continues_word)
}

/// Where the whitespace from `at` on ends.
#[inline]
pub(super) fn skip_spaces(text: &[u8], at: usize) -> usize {
    run(text, at, is_space)
}

/// Where the whitespace and comments from `at` on end.
pub(super) struct Blank {
    /// The first byte of the next token, or of a comment with no end.
    pub end: usize,
    /// A comment has no end.
    pub unterminated: bool,
}

pub(super) fn skip_blank(text: &[u8], mut at: usize) -> Blank {
    loop {
        at = skip_spaces(text, at);
        match byte(text, at) {
            b'-' if byte(text, at + 1) == b'-' => at = line_end(text, at),
            b'/' if byte(text, at + 1) == b'*' => match block_comment(text, at) {
                Some(end) => at = end,
                None => {
                    return Blank { end: at, unterminated: true };
                }
            },
            _ => {
                return Blank { end: at, unterminated: false };
            }
        }
    }
}

fn line_end(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let length = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
    steps::count(length);
    at + length
}

/// The end of the comment that starts at `at`; comments nest.
fn block_comment(text: &[u8], at: usize) -> Option<usize> {
    let (mut depth, mut at) = (1usize, at + 2);
    while depth > 0 {
        let rest = text.get(at..)?;
        let found = memchr::memchr2(b'*', b'/', rest);
        steps::count(found.unwrap_or(rest.len()));
        at += found?;
        match (byte(text, at), byte(text, at + 1)) {
            (b'/', b'*') => (depth, at) = (depth + 1, at + 2),
            (b'*', b'/') => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    Some(at)
}

/// The end of a quoted identifier whose first byte behind the quote is at `at`.
pub(super) fn quoted(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = find(text, at, b'"')? + 1;
        if byte(text, at) != b'"' {
            return Some(at);
        }
        at += 1;
    }
}

/// The end of one piece of a string whose first byte behind the quote is at `at`.
///
/// `doubles`: two quotes are a quote; not so in bit strings, where they end one
/// string and start another.
pub(super) fn string(text: &[u8], mut at: usize, escapes: bool, doubles: bool) -> Option<usize> {
    loop {
        let rest = text.get(at..)?;
        let found = match escapes {
            true => memchr::memchr2(b'\'', b'\\', rest),
            false => memchr::memchr(b'\'', rest),
        };
        steps::count(found.unwrap_or(rest.len()));
        at += found? + 1;
        let escaped = byte(text, at - 1) == b'\\';
        if escaped || (doubles && byte(text, at) == b'\'') {
            at += 1;
        } else {
            return Some(at);
        }
    }
}

/// Behind the quote that continues a string that ended at `at`: on another line,
/// with nothing but whitespace and `--` comments in between.
pub(super) fn continuation(text: &[u8], mut at: usize) -> Option<usize> {
    let mut newline = false;
    loop {
        match byte(text, at) {
            b'\n' | b'\r' => (newline, at) = (true, at + 1),
            c if is_space(c) => at += 1,
            b'-' if byte(text, at + 1) == b'-' => at = line_end(text, at),
            b'\'' if newline => return Some(at + 1),
            _ => return None,
        }
    }
}

/// The end of a `UESCAPE 'c'` that follows `at`.
pub(super) fn uescape(text: &[u8], at: usize) -> Option<usize> {
    let start = skip_blank(text, at).end;
    let end = word(text, start);
    if !text.get(start..end)?.eq_ignore_ascii_case(b"uescape") {
        return None;
    }
    let quote = skip_blank(text, end).end;
    let [open, escape, close, behind] = [0, 1, 2, 3].map(|at| byte(text, quote + at));
    // Two quotes are one, and the string goes on.
    let simple = open == b'\'' && close == b'\'' && escape != b'\'' && behind != b'\'';
    (simple && continuation(text, quote + 3).is_none()).then_some(quote + 3)
}

/// What starts at a dollar sign.
pub(super) enum Dollar {
    None,
    Open,
    Closed(usize),
}

pub(super) fn dollar_quote(text: &[u8], at: usize) -> Dollar {
    let tag = match starts_word(byte(text, at + 1)) {
        true => run(text, at + 1, |c| starts_word(c) || c.is_ascii_digit()),
        false => at + 1,
    };
    if byte(text, tag) != b'$' {
        return Dollar::None;
    }
    let (Some(delimiter), Some(body)) = (text.get(at..=tag), text.get(tag + 1..)) else {
        return Dollar::None;
    };
    let found = memchr::memmem::find(body, delimiter);
    steps::count(found.unwrap_or(body.len()) + delimiter.len());
    match found {
        Some(found) => Dollar::Closed(tag + 1 + found + delimiter.len()),
        None => Dollar::Open,
    }
}

/// Where the operator ends that starts at `at`, and where the signs end behind it, each of which
/// is an operator by itself: they need not be looked at again.
///
/// PostgreSQL takes all signs up to a comment, and gives back the `+` and `-` at the end, as the standard's
/// operators end in none (`=-1` is `=` and `-1`), unless one of the other signs is among them (`@-`).
pub(super) fn operator(text: &[u8], at: usize) -> (usize, usize) {
    // `=`, `*`: most are one sign, and nothing is left to find out.
    if !is_operator(byte(text, at + 1)) {
        return (at + 1, at + 1);
    }
    let (mut end, mut kept, mut other) = (at, at + 1, false);
    loop {
        let c = byte(text, end);
        let comment = matches!((c, byte(text, end + 1)), (b'/', b'*') | (b'-', b'-'));
        if !is_operator(c) || comment {
            break;
        }
        end += 1;
        if !matches!(c, b'+' | b'-') {
            kept = end;
        }
        other |= b"~!@#^&|`?%".contains(&c);
    }
    if other { (end.max(at + 1), end) } else { (kept, end) }
}

/// The end of the number that starts at `at`.
pub(super) fn number(text: &[u8], at: usize) -> usize {
    if byte(text, at) == b'0' {
        let based = match byte(text, at + 1) {
            b'x' | b'X' => Some(digits(text, at + 2, |c| c.is_ascii_hexdigit(), true)),
            b'o' | b'O' => Some(digits(text, at + 2, |c| matches!(c, b'0'..=b'7'), true)),
            b'b' | b'B' => Some(digits(text, at + 2, |c| matches!(c, b'0' | b'1'), true)),
            _ => None,
        };
        if let Some(end) = based {
            return if end > at + 2 { end } else { at + 1 };
        }
    }
    let decimal = |c: u8| c.is_ascii_digit();
    let mut end = digits(text, at, decimal, false);
    // `1..10` is a range: the dots are not the number's.
    if byte(text, end) == b'.' && byte(text, end + 1) != b'.' {
        end = digits(text, end + 1, decimal, false);
    }
    if matches!(byte(text, end), b'e' | b'E') {
        let sign = usize::from(matches!(byte(text, end + 1), b'+' | b'-'));
        let exponent = digits(text, end + 1 + sign, decimal, false);
        if exponent > end + 1 + sign {
            end = exponent;
        }
    }
    end
}

/// Digits with single underscores between them; one may come first where `lead`.
fn digits(text: &[u8], mut at: usize, digit: impl Fn(u8) -> bool, lead: bool) -> usize {
    let start = at;
    loop {
        if digit(byte(text, at)) {
            at += 1;
        } else if byte(text, at) == b'_' && (at > start || lead) && digit(byte(text, at + 1)) {
            at += 2;
        } else {
            return at;
        }
    }
}
