//! Converts our tokens for sqlparser, and maps its positions back.

use std::ops::Range;

use sqlparser::tokenizer::{Location, Span, Token as Fed, TokenWithSpan};

use super::reduce::{Instead, reduce};
use crate::lexer::TokenKind;
use crate::tokens::Tokens;

/// Deeper nesting of brackets is not parsed.
const MAX_OPEN: usize = 48;
/// More operators are not parsed: each may be a level of the tree, and a tree is dropped by recursion.
const MAX_LINKS: usize = 2000;
/// More joins nested without brackets (`a JOIN b JOIN c ON .. ON ..`) are not parsed.
const MAX_JOINS: usize = 24;

/// Words that make a tree one level deeper, like an operator.
const LINKS: &[&str] = &[
    "and", "or", "not", "is", "like", "ilike", "similar", "between", "in", "union", "except", "intersect",
    "collate", "at", "isnull", "notnull", "escape", "overlaps",
];
/// The same for words of other databases, which sqlparser knows.
const FOREIGN_LINKS: &[&str] =
    &["div", "glob", "match", "member", "minus", "pivot", "regexp", "rlike", "unpivot", "xor"];

/// A statement as sqlparser gets it.
#[derive(Default)]
pub(super) struct Feed {
    pub(super) tokens: Vec<TokenWithSpan>,
    /// Words that sqlparser does not get, because they name nothing that matters.
    pub(super) left_out: Vec<usize>,
    /// The function names among these.
    pub(super) calls: Vec<usize>,
}

/// The tokens of `range`, or `None` if sqlparser should not get them. The cost of parsing is deducted from
/// `allowance`.
pub(super) fn feed(t: &Tokens<'_>, range: Range<usize>, allowance: &mut usize) -> Option<Feed> {
    if !is_shallow(t, range.clone()) {
        return None;
    }
    let mut out = Feed { tokens: Vec::with_capacity(range.len().min(*allowance) + 1), ..Feed::default() };
    let mut closing: Vec<(usize, &[Instead])> = Vec::new();
    let mut i = range.start;
    while i < range.end {
        *allowance = allowance.checked_sub(cost(t, i))?;
        if let Some((_, instead)) = closing.pop_if(|(close, _)| *close == i) {
            out.tokens.extend(instead.iter().map(|word| fed(word.token(), i)));
            i += 1;
            continue;
        }
        match reduce(t, i, &range) {
            Some(reduced) => {
                let words = (i..reduced.end).filter(|&i| t.kind(i).is_some_and(TokenKind::is_word));
                out.left_out.extend(words);
                out.tokens.extend(reduced.instead.iter().map(|word| fed(word.token(), i)));
                out.calls.extend(reduced.calls);
                if let Some(instead) = reduced.closing {
                    let close = t.behind_close(reduced.end - 1, range.end).checked_sub(1)?;
                    closing.push((close, instead));
                }
                i = reduced.end;
            }
            None => {
                out.tokens.push(fed(token(t, i)?, i));
                i += 1;
            }
        }
    }
    out.tokens.push(fed(Fed::EOF, range.end));
    Some(out)
}

/// The cost of the node that token `i` begins, in plain tokens.
fn cost(t: &Tokens<'_>, i: usize) -> usize {
    match t.kind(i) {
        Some(TokenKind::Open) if t.kw(i + 1, "values") => 30,
        Some(TokenKind::Word) if t.any_kw(i, &["select", "case", "with", "join"]) => 4,
        _ => 1,
    }
}

fn fed(token: Fed, i: usize) -> TokenWithSpan {
    let at = Location { line: 1, column: i as u64 + 1 };
    TokenWithSpan { token, span: Span { start: at, end: at } }
}

/// The number of the token that a span of the tree starts with.
pub(super) fn token_of(span: Span) -> Option<usize> {
    (span.start.line == 1).then(|| (span.start.column as usize).checked_sub(1)).flatten()
}

/// Whether both sqlparser's recursion and its tree stay shallow.
fn is_shallow(t: &Tokens<'_>, range: Range<usize>) -> bool {
    // For each open bracket, the number of joins whose condition is still missing: each is nested in the previous
    // one.
    let (mut joins, mut links) = (vec![0usize], 0usize);
    for i in range {
        match t.kind(i) {
            Some(TokenKind::Open) => joins.push(0),
            Some(TokenKind::OpenBracket) => {
                joins.push(0);
                links += 1;
            }
            Some(TokenKind::Close | TokenKind::CloseBracket) if joins.len() > 1 => _ = joins.pop(),
            Some(TokenKind::Op | TokenKind::Cast | TokenKind::Assign) => links += 1,
            Some(TokenKind::Word) => {
                links += usize::from(t.any_kw(i, LINKS) || t.any_kw(i, FOREIGN_LINKS));
                if let Some(pending) = joins.last_mut() {
                    if t.kw(i, "join") && waits_for_condition(t, i) {
                        *pending += 1;
                    } else if t.any_kw(i, &["on", "using"]) {
                        *pending = pending.saturating_sub(1);
                    }
                    if *pending > MAX_JOINS {
                        return false;
                    }
                }
            }
            _ => {}
        }
        if joins.len() > MAX_OPEN + 1 || links > MAX_LINKS {
            return false;
        }
    }
    true
}

/// Whether a condition follows this `JOIN`: not in `CROSS JOIN`, `NATURAL [LEFT [OUTER]] JOIN`.
fn waits_for_condition(t: &Tokens<'_>, join: usize) -> bool {
    !(1..=3).any(|back| t.any_kw(join.wrapping_sub(back), &["cross", "natural"]))
}

fn token(t: &Tokens<'_>, i: usize) -> Option<Fed> {
    Some(match t.kind(i)? {
        // sqlparser would read a keyword there: a type whose position is lost.
        TokenKind::Word if t.kw(i, "regclass") => Fed::make_word("regclass", Some('"')),
        TokenKind::Word => Fed::make_word(std::str::from_utf8(t.raw(i)).ok()?, None),
        TokenKind::Quoted | TokenKind::UnicodeQuoted => Fed::make_word(&t.name(i)?, Some('"')),
        // The value is not passed on, because nothing depends on it.
        TokenKind::Str
        | TokenKind::NationalStr
        | TokenKind::EscapeStr
        | TokenKind::UnicodeStr
        | TokenKind::DollarStr => Fed::SingleQuotedString(String::new()),
        TokenKind::BitStr => Fed::SingleQuotedByteStringLiteral(String::new()),
        TokenKind::HexStr => Fed::HexStringLiteral(String::new()),
        TokenKind::Number => Fed::Number("1".into(), false),
        TokenKind::Param => Fed::Placeholder("$1".into()),
        TokenKind::Op => operator(t.raw(i))?,
        TokenKind::Dot => Fed::Period,
        TokenKind::Comma => Fed::Comma,
        TokenKind::Semicolon => Fed::SemiColon,
        TokenKind::Open => Fed::LParen,
        TokenKind::Close => Fed::RParen,
        TokenKind::OpenBracket => Fed::LBracket,
        TokenKind::CloseBracket => Fed::RBracket,
        TokenKind::Colon => Fed::Colon,
        TokenKind::Cast => Fed::DoubleColon,
        TokenKind::Assign => Fed::Assignment,
        TokenKind::DotDot | TokenKind::Other | TokenKind::Error => return None,
    })
}

fn operator(raw: &[u8]) -> Option<Fed> {
    Some(match raw {
        b"=" => Fed::Eq,
        b"<>" | b"!=" => Fed::Neq,
        b"<" => Fed::Lt,
        b">" => Fed::Gt,
        b"<=" => Fed::LtEq,
        b">=" => Fed::GtEq,
        b"+" => Fed::Plus,
        b"-" => Fed::Minus,
        b"*" => Fed::Mul,
        b"/" => Fed::Div,
        b"%" => Fed::Mod,
        b"||" => Fed::StringConcat,
        b"=>" => Fed::RArrow,
        b"&" => Fed::Ampersand,
        b"|" => Fed::Pipe,
        b"^" => Fed::Caret,
        b"#" => Fed::Sharp,
        b"~" => Fed::Tilde,
        b"~*" => Fed::TildeAsterisk,
        b"!~" => Fed::ExclamationMarkTilde,
        b"!~*" => Fed::ExclamationMarkTildeAsterisk,
        b"~~" => Fed::DoubleTilde,
        b"~~*" => Fed::DoubleTildeAsterisk,
        b"!~~" => Fed::ExclamationMarkDoubleTilde,
        b"!~~*" => Fed::ExclamationMarkDoubleTildeAsterisk,
        b"<<" => Fed::ShiftLeft,
        b">>" => Fed::ShiftRight,
        b"&&" => Fed::Overlap,
        b"@" => Fed::AtSign,
        b"->" => Fed::Arrow,
        b"->>" => Fed::LongArrow,
        b"#>" => Fed::HashArrow,
        b"#>>" => Fed::HashLongArrow,
        b"@>" => Fed::AtArrow,
        b"<@" => Fed::ArrowAt,
        b"#-" => Fed::HashMinus,
        b"@?" => Fed::AtQuestion,
        b"@@" => Fed::AtAt,
        b"?" => Fed::Question,
        b"?&" => Fed::QuestionAnd,
        b"?|" => Fed::QuestionPipe,
        other => Fed::CustomBinaryOperator(std::str::from_utf8(other).ok()?.into()),
    })
}
