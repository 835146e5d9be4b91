//! From byte offsets to tokens.

use std::borrow::Cow;
use std::cell::Cell;

use pgstrata_grammar::Statement;

use super::{Agreed, differ};
use crate::lexer::TokenKind;
use crate::shape::StatementShape;
use crate::tokens::Tokens;

/// The text in a form that the parser can read, with the same byte offsets.
///
/// Bytes that are not UTF-8 belong to another encoding. In literals and comments a letter replaces them, because no
/// decision depends on the value of a literal. `None` if a name contains one.
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

/// A text without its comments and other parts that are not needed: of a long load, all rows of constants but two.
pub(super) struct Excerpt {
    pub text: String,
    /// The offset of each token in it, in order.
    starts: Vec<u32>,
}

impl Excerpt {
    /// The excerpt of `text`, a result of [`readable`]; `None` if it is too long.
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

/// Replaces comments by blanks between the parts of a string that continues on further lines: `'a' -- x`, and `'b'`.
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

/// The tokens of a text by their offsets in the parsed text.
pub(super) struct Places<'a> {
    pub t: &'a Tokens<'a>,
    /// The parser has read this excerpt instead of the text.
    excerpt: Option<&'a Excerpt>,
    /// The token that was found last. The next one is near it as a rule.
    last: Cell<usize>,
}

impl<'a> Places<'a> {
    pub fn new(t: &'a Tokens<'a>, excerpt: Option<&'a Excerpt>) -> Self {
        Self { t, excerpt, last: Cell::new(0) }
    }

    /// The first token at or behind the byte `at`, and its offset.
    fn from(&self, at: u32) -> (usize, Option<u32>) {
        let start = |index: usize| match self.excerpt {
            Some(excerpt) => excerpt.starts.get(index).copied(),
            None => self.t.all.get(index).map(|token| token.start),
        };
        let index = search(self.last.get(), self.t.all.len(), |index| start(index).is_some_and(|s| s < at));
        self.last.set(index);
        (index, start(index))
    }

    /// The token at the parser's byte offset `location`; `None` for -1, the parser's "unknown".
    pub fn token(&self, location: i32) -> Option<usize> {
        let at = u32::try_from(location).ok()?;
        if let (index, Some(start)) = self.from(at)
            && start == at
        {
            return Some(index);
        }
        // The parser splits `N'..'` into a type and a string.
        let (index, start) = self.from(at.checked_sub(1)?);
        (start == at.checked_sub(1) && self.t.is(index, TokenKind::NationalStr)).then_some(index)
    }

    /// Whether a statement of the parser has exactly the tokens of one of ours.
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

/// The first of `count` indexes that is not `in_front`, searched for from `near` on; all that are come first.
fn search(near: usize, count: usize, in_front: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high, mut step) = (near.min(count), near.min(count), 1);
    while high < count && in_front(high) {
        (low, high) = (high + 1, (high + step).min(count));
        step *= 2;
    }
    step = 1;
    while low > 0 && !in_front(low - 1) {
        (low, high) = (low.saturating_sub(step), low - 1);
        step *= 2;
    }
    while low < high {
        let middle = low.midpoint(high);
        match in_front(middle) {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::search;

    #[test]
    fn index_is_found_from_anywhere() {
        for count in 0..20 {
            for (near, first) in (0..22).flat_map(|near| (0..=count).map(move |first| (near, first))) {
                assert_eq!(search(near, count, |index| index < first), first, "{near} of {count}");
            }
        }
    }
}
