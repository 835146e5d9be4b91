//! Rows of constants: `VALUES (1, 'a', NULL), (2, 'b', -3.5), ..`. One of them says as much as a million.

use super::lexer::TokenKind;
use super::tokens::Tokens;

/// Behind all the rows of constants that stand from the comma at `comma` on, one behind the other; `comma` where
/// none does.
pub fn behind(t: &Tokens<'_>, comma: usize, end: usize) -> usize {
    let mut at = comma;
    while at < end
        && t.is(at, TokenKind::Comma)
        && let Some(next) = row(t, at + 1, end)
    {
        at = next;
    }
    at
}

/// Behind the row that begins with the bracket at `open`, if there is nothing but constants in it.
fn row(t: &Tokens<'_>, open: usize, end: usize) -> Option<usize> {
    let mut at = open;
    if !t.is(open, TokenKind::Open) {
        return None;
    }
    loop {
        at = constant(t, at + 1)?;
        match t.kind(at).filter(|_| at < end)? {
            TokenKind::Comma => {}
            TokenKind::Close => return Some(at + 1),
            _ => return None,
        }
    }
}

/// Behind the constant at `at`.
fn constant(t: &Tokens<'_>, at: usize) -> Option<usize> {
    match t.kind(at)? {
        kind if kind.is_literal() => Some(at + 1),
        TokenKind::Op if t.is(at + 1, TokenKind::Number) && (t.op(at, "-") || t.op(at, "+")) => Some(at + 2),
        TokenKind::Word if t.any_kw(at, &["null", "default", "true", "false"]) => Some(at + 1),
        _ => None,
    }
}
