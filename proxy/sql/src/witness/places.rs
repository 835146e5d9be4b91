//! From byte offsets to tokens.

use std::borrow::Cow;

use pgstrata_grammar::Statement;

use super::{Agreed, differ};
use crate::lexer::TokenKind;
use crate::shape::StatementShape;
use crate::tokens::Tokens;

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

/// A text with its comments left out, and what else is none of its tokens: of a long load, all but two rows of
/// constants.
pub(super) struct Excerpt {
    pub text: String,
    /// Where each token stands in it, in order.
    starts: Vec<u32>,
}

impl Excerpt {
    /// Of `text`, which [`readable`] has given; `None` if it is longer than any text.
    pub fn of(t: &Tokens<'_>, text: &str) -> Option<Self> {
        let (mut out, mut starts) = (Vec::new(), Vec::new());
        for token in t.all {
            let start = out.len();
            starts.push(u32::try_from(start).ok()?);
            out.extend_from_slice(text.as_bytes().get(token.span())?);
            continued(token.kind, out.get_mut(start..)?);
            out.push(b' ');
        }
        String::from_utf8(out).ok().map(|text| Self { text, starts })
    }
}

/// Puts blanks for comments between the parts of a string that goes on on further lines: `'a' -- x`, and `'b'`.
fn continued(kind: TokenKind, string: &mut [u8]) {
    let doubles = !matches!(kind, TokenKind::BitStr | TokenKind::HexStr);
    if !kind.is_literal() || kind == TokenKind::DollarStr || !string.contains(&b'\n') {
        return;
    }
    let (mut at, mut inside) = (0, false);
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
            }
            _ => {}
        }
        at += 1;
    }
}

/// The tokens of a text by where they stand in what the parser has read.
pub(super) struct Places<'a> {
    pub t: &'a Tokens<'a>,
    /// It has read this, and not the text.
    excerpt: Option<&'a Excerpt>,
}

impl<'a> Places<'a> {
    pub fn new(t: &'a Tokens<'a>, excerpt: Option<&'a Excerpt>) -> Self {
        Self { t, excerpt }
    }

    /// The first token that does not start in front of the byte `at`, and where it starts.
    fn from(&self, at: u32) -> (usize, Option<u32>) {
        let all = self.t.all;
        match self.excerpt {
            Some(excerpt) => {
                let index = excerpt.starts.partition_point(|start| *start < at);
                (index, excerpt.starts.get(index).copied())
            }
            None => {
                let index = all.partition_point(|token| token.start < at);
                (index, all.get(index).map(|token| token.start))
            }
        }
    }

    /// The token that starts at the byte `location`, which the parser gives; `None` for -1, its "nowhere".
    pub fn token(&self, location: i32) -> Option<usize> {
        let at = u32::try_from(location).ok()?;
        if let (index, Some(start)) = self.from(at)
            && start == at
        {
            return Some(index);
        }
        // `N'..'` is a type and a string to the parser.
        let (index, start) = self.from(at.checked_sub(1)?);
        (start == at.checked_sub(1) && self.t.is(index, TokenKind::NationalStr)).then_some(index)
    }

    /// Whether a statement of the parser's has the tokens of one of ours, and no others.
    pub fn same_extent(&self, theirs: &Statement<'_>, ours: &StatementShape) -> Agreed {
        let at = |byte: usize| u32::try_from(byte).unwrap_or(u32::MAX);
        let (first, _) = self.from(at(theirs.start));
        let behind = theirs.end.map_or(self.t.all.len(), |end| self.from(at(end)).0);
        match (first, behind) == (ours.tokens.start, ours.tokens.end) {
            true => Ok(()),
            false => differ("statements"),
        }
    }
}
