//! From byte offsets to tokens.

use std::borrow::Cow;
use std::ops::Range;

use pgstrata_grammar::Statement;

use super::{Agreed, differ};
use crate::sql::lexer::TokenKind;
use crate::sql::shape::StatementShape;
use crate::sql::tokens::Tokens;

/// The text as the parser can read it, byte for byte in the same places.
///
/// Bytes that are no UTF-8 stand for themselves in another encoding: in literals and comments any letter will do
/// for them, as no decision hangs on what a literal says. `None` where one stands in a name.
pub(super) fn readable<'a>(t: &Tokens<'a>) -> Option<Cow<'a, str>> {
    if let Ok(text) = std::str::from_utf8(t.text) {
        return Some(Cow::Borrowed(text));
    }
    let foreign = |token: &super::super::lexer::Token| {
        let named = token.kind.is_word() || !token.kind.is_closed();
        named && !token.of(t.text).is_ascii()
    };
    if t.all.iter().any(foreign) {
        return None;
    }
    let ascii = t.text.iter().map(|&byte| if byte.is_ascii() { byte } else { b'x' }).collect();
    String::from_utf8(ascii).ok().map(Cow::Owned)
}

/// `text` with blanks for the bytes of its comments; `None` where it has none.
pub(super) fn without_comments(t: &Tokens<'_>, text: &str) -> Option<String> {
    let mut bytes = text.as_bytes().to_vec();
    let (mut behind, mut found) = (0, false);
    for token in t.all {
        let Range { start, end } = token.span();
        for byte in bytes.get_mut(behind..start)? {
            if !byte.is_ascii_whitespace() && *byte != 0x0b {
                (*byte, found) = (b' ', true);
            }
        }
        found |= continued(token.kind, bytes.get_mut(start..end)?);
        behind = end;
    }
    for byte in bytes.get_mut(behind..)? {
        if !byte.is_ascii_whitespace() && *byte != 0x0b {
            (*byte, found) = (b' ', true);
        }
    }
    String::from_utf8(bytes).ok().filter(|_| found)
}

/// Puts blanks for comments between the parts of a string that goes on on further lines: `'a' -- x`, and `'b'`.
fn continued(kind: TokenKind, string: &mut [u8]) -> bool {
    let doubles = !matches!(kind, TokenKind::BitStr | TokenKind::HexStr);
    if !kind.is_literal() || kind == TokenKind::DollarStr || !string.contains(&b'\n') {
        return false;
    }
    let (mut at, mut inside, mut found) = (0, false, false);
    while let Some(&byte) = string.get(at) {
        let next = string.get(at + 1).copied();
        match (byte, next) {
            (b'\\', Some(_)) if inside && kind == TokenKind::EscapeStr => at += 1,
            (b'\'', Some(b'\'')) if inside && doubles => at += 1,
            (b'\'', _) => inside = !inside,
            (b'-', Some(b'-')) if !inside => {
                let line = string.get_mut(at..).unwrap_or_default();
                line.iter_mut()
                    .take_while(|byte| !matches!(byte, b'\n' | b'\r'))
                    .for_each(|byte| *byte = b' ');
                found = true;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// The tokens of a text by where they stand.
pub(super) struct Places<'a> {
    pub t: &'a Tokens<'a>,
}

impl<'a> Places<'a> {
    pub fn new(t: &'a Tokens<'a>) -> Self {
        Self { t }
    }

    /// The token that starts at the byte `location`, which the parser gives; `None` for -1, its "nowhere".
    pub fn token(&self, location: i32) -> Option<usize> {
        let at = u32::try_from(location).ok()?;
        let index = self.t.all.partition_point(|token| token.start < at);
        let found = self.t.all.get(index).filter(|token| token.start == at).map(|_| index);
        // `N'..'` is a type and a string to the parser.
        let national = |index: &usize| {
            self.t.is(*index, TokenKind::NationalStr)
                && self.t.all.get(*index).is_some_and(|token| token.start + 1 == at)
        };
        found.or_else(|| index.checked_sub(1).filter(national))
    }

    /// Whether a statement of the parser's has the tokens of one of ours, and no others.
    pub fn same_extent(&self, theirs: &Statement<'_>, ours: &StatementShape) -> Agreed {
        let Range { start, end } = self.t.bytes(&ours.tokens);
        let theirs_end = theirs.end.unwrap_or(self.t.text.len());
        let first = self.t.all.partition_point(|token| (token.start as usize) < theirs.start);
        let behind = self.t.all.partition_point(|token| (token.start as usize) < theirs_end);
        match first == ours.tokens.start
            && behind == ours.tokens.end
            && start >= theirs.start
            && end <= theirs_end
        {
            true => Ok(()),
            false => differ("statements"),
        }
    }
}
