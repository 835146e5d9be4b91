//! Our tokens as the parser wants them, and back.

use std::ops::Range;

use sqlparser::tokenizer::{Location, Span, Token as Fed, TokenWithSpan};

use super::reduce::{Instead, reduce};
use crate::sql::lexer::TokenKind;
use crate::sql::tokens::Tokens;

/// More text than this is not parsed.
const MAX_TOKENS: usize = 60_000;
/// Deeper brackets than this are not parsed.
const MAX_OPEN: usize = 48;
/// More operators than this are not parsed: each may be a level of the tree,
/// and a tree is dropped by recursion.
const MAX_LINKS: usize = 2000;

/// Words that make a tree deeper by one, as an operator does.
const LINKS: &[&str] = &[
    "and", "or", "not", "is", "like", "ilike", "similar", "between", "in", "union", "except", "intersect",
    "collate", "at", "isnull", "notnull", "escape", "overlaps",
];

/// A statement as the parser gets it.
#[derive(Default)]
pub(super) struct Feed {
    pub(super) tokens: Vec<TokenWithSpan>,
    /// Words that the parser does not see, as they name nothing that we ask for.
    pub(super) left_out: Vec<usize>,
    /// Of these, the names of functions.
    pub(super) calls: Vec<usize>,
}

/// The tokens of `range`, or `None` if the parser should not see them.
pub(super) fn feed(t: &Tokens<'_>, range: Range<usize>) -> Option<Feed> {
    if range.len() > MAX_TOKENS || !is_shallow(t, range.clone()) {
        return None;
    }
    let mut out = Feed { tokens: Vec::with_capacity(range.len() + 1), ..Feed::default() };
    let mut closing: Vec<(usize, &[Instead])> = Vec::new();
    let mut i = range.start;
    while i < range.end {
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

fn fed(token: Fed, i: usize) -> TokenWithSpan {
    let at = Location { line: 1, column: i as u64 + 1 };
    TokenWithSpan { token, span: Span { start: at, end: at } }
}

/// The number of the token that a span of the tree starts with.
pub(super) fn token_of(span: Span) -> Option<usize> {
    (span.start.line == 1).then(|| (span.start.column as usize).checked_sub(1)).flatten()
}

fn is_shallow(t: &Tokens<'_>, range: Range<usize>) -> bool {
    let (mut open, mut links) = (0usize, 0usize);
    for i in range {
        match t.kind(i) {
            Some(TokenKind::Open) => open += 1,
            Some(TokenKind::OpenBracket) => (open, links) = (open + 1, links + 1),
            Some(TokenKind::Close | TokenKind::CloseBracket) => open = open.saturating_sub(1),
            Some(TokenKind::Op | TokenKind::Cast) => links += 1,
            Some(TokenKind::Word) if t.any_kw(i, LINKS) => links += 1,
            _ => {}
        }
        if open > MAX_OPEN || links > MAX_LINKS {
            return false;
        }
    }
    true
}

fn token(t: &Tokens<'_>, i: usize) -> Option<Fed> {
    Some(match t.kind(i)? {
        // To the parser it would be a keyword: a type whose place is lost.
        TokenKind::Word if t.kw(i, "regclass") => Fed::make_word("regclass", Some('"')),
        TokenKind::Word => Fed::make_word(std::str::from_utf8(t.raw(i)).ok()?, None),
        TokenKind::Quoted | TokenKind::UnicodeQuoted => Fed::make_word(&t.name(i)?, Some('"')),
        // No value is handed over: nothing that we ask depends on one.
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
