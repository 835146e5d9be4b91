//! From byte offsets to tokens.

use std::borrow::Cow;

use pgstrata_grammar::Statement;

use super::{Agreed, differ};
use crate::sql::lexer::TokenKind;
use crate::sql::rows;
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

/// A text with its comments left out, and of rows of constants (`VALUES (1, 'a'), (2, 'b') ..`) all but the first:
/// what is left of a long load is short, and says as much.
pub(super) struct Excerpt {
    pub text: String,
    /// Where each token stands in it, in order.
    starts: Vec<u32>,
    /// Which tokens of the whole text those are.
    tokens: Vec<u32>,
}

impl Excerpt {
    /// Of `text`, which [`readable`] has given; `None` if more than `most` tokens are left.
    pub fn of(t: &Tokens<'_>, text: &str, rows: bool, most: usize) -> Option<Self> {
        let (mut out, mut starts, mut tokens) = (Vec::new(), Vec::new(), Vec::new());
        let (mut i, mut depth) = (0, 0usize);
        while let Some(token) = t.all.get(i) {
            match token.kind {
                TokenKind::Open => depth += 1,
                TokenKind::Close => depth = depth.saturating_sub(1),
                // In brackets they may be what a function is called with.
                TokenKind::Comma if rows && depth == 0 && i > 0 && t.is(i - 1, TokenKind::Close) => {
                    let behind = rows::behind(t, i, t.all.len());
                    if behind > i {
                        i = behind;
                        continue;
                    }
                }
                _ => {}
            }
            let start = out.len();
            starts.push(u32::try_from(start).ok()?);
            tokens.push(i as u32);
            out.extend_from_slice(text.as_bytes().get(token.span())?);
            continued(token.kind, out.get_mut(start..)?);
            out.push(b' ');
            i += 1;
            if tokens.len() > most {
                return None;
            }
        }
        String::from_utf8(out).ok().map(|text| Self { text, starts, tokens })
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
                let token = excerpt.tokens.get(index).map_or(all.len(), |token| *token as usize);
                (token, excerpt.starts.get(index).copied())
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
