//! The tokens of a text, with the queries that the recognizers need.

use std::borrow::Cow;
use std::ops::Range;

use super::lexer::{Token, TokenKind};
use super::{name, steps};

/// A text and its tokens. Indexes are token numbers in the whole text; positions outside of the text give `None` or
/// `false`.
#[derive(Clone, Copy, Debug)]
pub struct Tokens<'a> {
    /// The text.
    pub text: &'a [u8],
    /// All tokens.
    pub all: &'a [Token],
    /// The session's `standard_conforming_strings`.
    pub conforming: bool,
    /// For each opening bracket, the token that closes it, as computed by [`closes`].
    pub closes: &'a [u32],
}

/// For each token that is an opening bracket, the closing one; 0 for all others and for unclosed brackets.
///
/// Computed once, so that nesting makes no recognizer quadratic.
pub fn closes(all: &[Token]) -> Vec<u32> {
    let mut out = vec![0; all.len()];
    let mut open = Vec::new();
    for (i, token) in all.iter().enumerate() {
        match token.kind {
            TokenKind::Open => open.push(i),
            TokenKind::Close => {
                if let Some(slot) = open.pop().and_then(|at| out.get_mut(at)) {
                    *slot = i as u32;
                }
            }
            _ => {}
        }
    }
    out
}

impl<'a> Tokens<'a> {
    /// The kind of token `i`.
    pub fn kind(&self, i: usize) -> Option<TokenKind> {
        steps::count(1);
        self.all.get(i).map(|t| t.kind)
    }

    /// Whether token `i` is of this kind.
    pub fn is(&self, i: usize, kind: TokenKind) -> bool {
        self.kind(i) == Some(kind)
    }

    /// The bytes of token `i`; empty for a literal, which is not part of a shape. See [`Literals`].
    pub fn raw(&self, i: usize) -> &'a [u8] {
        steps::count(1);
        self.all.get(i).filter(|t| t.kind.is_spelt()).map_or(&[], |t| t.of(self.text))
    }

    /// The bytes of token `i`, if it is an unquoted word.
    fn word(&self, i: usize) -> Option<&'a [u8]> {
        steps::count(1);
        let token = self.all.get(i).filter(|token| token.kind == TokenKind::Word)?;
        Some(token.of(self.text))
    }

    /// Whether token `i` is this keyword (in lower case), unquoted.
    pub fn kw(&self, i: usize, keyword: &str) -> bool {
        self.word(i).is_some_and(|word| word.eq_ignore_ascii_case(keyword.as_bytes()))
    }

    /// Whether token `i` is one of these keywords.
    pub fn any_kw(&self, i: usize, keywords: &[&str]) -> bool {
        let Some(word) = self.word(i) else { return false };
        keywords.iter().any(|keyword| word.eq_ignore_ascii_case(keyword.as_bytes()))
    }

    /// Whether the tokens from `i` on are these keywords.
    pub fn kws(&self, i: usize, keywords: &[&str]) -> bool {
        keywords.iter().enumerate().all(|(n, k)| self.kw(i + n, k))
    }

    /// Whether token `i` is this operator.
    pub fn op(&self, i: usize, operator: &str) -> bool {
        self.is(i, TokenKind::Op) && self.raw(i) == operator.as_bytes()
    }

    /// The name in token `i`, if it is a word.
    pub fn name(&self, i: usize) -> Option<Cow<'a, str>> {
        let kind = self.kind(i).filter(|k| k.is_word())?;
        let raw = self.raw(i);
        steps::count(raw.len());
        Some(name::decode(kind, raw))
    }

    /// Whether token `i` is a string literal.
    pub fn is_string(&self, i: usize) -> bool {
        self.kind(i).is_some_and(TokenKind::is_string)
    }

    /// The bytes from the first to the last token of `range`.
    pub fn bytes(&self, range: &Range<usize>) -> Range<usize> {
        let first = self.all.get(range.start).map_or(self.text.len(), |t| t.start as usize);
        let last = range.end.checked_sub(1).and_then(|i| self.all.get(i));
        first..last.map_or(first, |t| t.end as usize).max(first)
    }

    /// The token behind the closing bracket of the one at `open`, or `end`.
    pub fn behind_close(&self, open: usize, end: usize) -> usize {
        steps::count(1);
        match self.closes.get(open) {
            Some(&close) if close > 0 => (close as usize + 1).min(end),
            _ => end,
        }
    }
}

/// The values of a text's literals, for decisions about a single text. A shape must not depend on them, because it
/// applies to all texts that differ in literals only.
#[derive(Clone, Copy, Debug)]
pub struct Literals<'a>(pub &'a Tokens<'a>);

impl<'a> Literals<'a> {
    /// The value of string literal `i`, if it is recognizable.
    pub fn string(&self, i: usize) -> Option<Cow<'a, str>> {
        let token = self.0.all.get(i)?;
        steps::count(token.span().len());
        name::plain_string(token.kind, token.of(self.0.text), self.0.conforming)
    }
}

/// The statements of a text as ranges of token numbers, without empty ones.
pub fn statements(t: &Tokens<'_>) -> Vec<Range<usize>> {
    let mut out = Vec::new();
    let (mut start, mut parens, mut body) = (0, 0usize, Body::default());
    for i in 0..t.all.len() {
        match t.kind(i) {
            Some(TokenKind::Open) => parens += 1,
            Some(TokenKind::Close) => parens = parens.saturating_sub(1),
            Some(TokenKind::Word) => body.word(t, start, i),
            Some(TokenKind::Semicolon) if parens == 0 && body.depth == 0 => {
                if i > start {
                    out.push(start..i);
                }
                (start, body) = (i + 1, Body::default());
            }
            _ => {}
        }
    }
    if t.all.len() > start {
        out.push(start..t.all.len());
    }
    out
}

/// The nesting in `BEGIN ATOMIC .. END`.
#[derive(Default)]
struct Body {
    depth: usize,
}

impl Body {
    fn word(&mut self, t: &Tokens<'_>, start: usize, i: usize) {
        // A label may be any keyword: `x AS end`, `x.end`.
        let label = i > 0 && (t.kw(i - 1, "as") || t.is(i - 1, TokenKind::Dot));
        if label {
            return;
        }
        if self.depth == 0 {
            if t.kws(i, &["begin", "atomic"]) && is_routine(t, start) {
                self.depth = 1;
            }
        } else if t.kw(i, "case") {
            self.depth += 1;
        } else if t.kw(i, "end") {
            self.depth -= 1;
        }
    }
}

/// Whether the statement at `start` is `CREATE [OR REPLACE] FUNCTION | PROCEDURE`.
pub fn is_routine(t: &Tokens<'_>, start: usize) -> bool {
    let at = start + if t.kws(start + 1, &["or", "replace"]) { 3 } else { 1 };
    t.kw(start, "create") && t.any_kw(at, &["function", "procedure"])
}

#[cfg(test)]
mod tests {
    use super::super::lexer::Lexer;
    use super::*;

    fn split(text: &str) -> Vec<&str> {
        let all: Vec<_> = Lexer::new(text.as_bytes(), true).collect();
        let t = Tokens { text: text.as_bytes(), all: &all, conforming: true, closes: &[] };
        statements(&t).iter().map(|r| &text[t.bytes(r)]).collect()
    }

    #[test]
    fn statements_end_at_top_level_semicolons() {
        assert_eq!(split(" ; select 1 ;; select ';' -- x\n; "), ["select 1", "select ';'"]);
        assert_eq!(split("/* only a comment */"), [""; 0]);
        assert_eq!(split("create rule r as on insert to t do (select 1; select 2); x").len(), 2);
    }

    #[test]
    fn atomic_bodies_are_one_statement() {
        let body = "create function f() returns int begin atomic select case when true then 1 end as end; select 2; end";
        assert_eq!(split(&format!("{body}; select 1")), [body, "select 1"]);
        assert_eq!(split("begin atomic; select 1").len(), 2);
    }
}
