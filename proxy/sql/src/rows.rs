//! The tokens of a text, with no more of its rows of constants than there need be.
//!
//! `VALUES (1, 'a', NULL), (2, 'b', -3.5), ..`: nothing in such a row names anything or is called, so of many
//! that stand side by side the first and the last say all. A load of a million rows takes as much room as one of
//! two, and has the same key.

use super::bounds::{MAX_SIGNS, MAX_TOKENS, TooComplex};
use super::comments::Comments;
use super::lexer::{Lexer, Token, TokenKind};
use super::steps;

/// Reads `text` into `out`; not to its end, if that would be too much.
pub fn collect(text: &[u8], conforming: bool, out: &mut Vec<Token>) -> Result<(), TooComplex> {
    let (mut rows, mut depth) = (Rows::default(), 0usize);
    // Where the operators end that stand side by side, and how many they are.
    let (mut behind, mut signs) = (0, 0);
    let (mut comments, mut read) = (Comments::new(text), 0);
    for token in Lexer::new(text, conforming) {
        let span = token.span();
        comments.see(read..span.start)?;
        read = span.end;
        out.push(token);
        match token.kind {
            TokenKind::Open => depth += 1,
            TokenKind::Close => depth = depth.saturating_sub(1),
            TokenKind::Op => {
                signs = if token.start == behind { signs + 1 } else { 1 };
                behind = token.end;
                if signs > MAX_SIGNS {
                    return Err(TooComplex::Signs);
                }
                comments.begin(span.start)?;
            }
            TokenKind::Error if token.of(text).starts_with(b"/*") => comments.see(span)?,
            _ => {}
        }
        // In brackets they may be what a function is called with, and that is looked at.
        if rows.place != Place::Elsewhere || depth == 0 && is_word(token, text, b"values") {
            rows.see(token, depth, text, out);
        }
        if out.len() > MAX_TOKENS {
            return Err(TooComplex::Tokens);
        }
    }
    comments.see(read..text.len())
}

fn is_word(token: Token, text: &[u8], word: &[u8]) -> bool {
    token.kind == TokenKind::Word && token.of(text).eq_ignore_ascii_case(word)
}

/// Where in a list of rows a token stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// In none.
    #[default]
    Elsewhere,
    /// Behind `VALUES`, or behind the comma between two rows.
    Before,
    /// In a row whose tokens so far are those of constants.
    Row(Part),
    /// In a row that holds something else.
    OtherRow,
    /// Behind a row.
    Behind,
}

/// What comes next in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Value,
    Number,
    Comma,
}

#[derive(Default)]
struct Rows {
    place: Place,
    /// Where the row at hand begins in the tokens.
    open: usize,
    /// How many rows of constants stand in front of it, side by side; two at most, as others are taken out.
    kept: usize,
    /// Where the second of them begins.
    second: usize,
}

impl Rows {
    /// Looks at a token, the last one in `out`; `depth` is that of the brackets behind it.
    fn see(&mut self, token: Token, depth: usize, text: &[u8], out: &mut Vec<Token>) {
        steps::count(1);
        self.place = match (self.place, token.kind) {
            (Place::Elsewhere, _) => {
                self.kept = 0;
                Place::Before
            }
            (Place::Before, TokenKind::Open) if depth == 1 => {
                self.open = out.len() - 1;
                Place::Row(Part::Value)
            }
            (Place::Row(Part::Comma), TokenKind::Close) => {
                self.keep(out);
                Place::Behind
            }
            (Place::OtherRow | Place::Row(_), TokenKind::Close) if depth == 0 => {
                self.kept = 0;
                Place::Behind
            }
            (Place::Row(part), _) => part.behind(token, text).map_or(Place::OtherRow, Place::Row),
            (Place::OtherRow, _) => Place::OtherRow,
            (Place::Behind, TokenKind::Comma) => Place::Before,
            _ if depth == 0 && is_word(token, text, b"values") => {
                self.kept = 0;
                Place::Before
            }
            (Place::Before | Place::Behind, _) => Place::Elsewhere,
        };
    }

    /// A row of constants is over: it takes the place of the one in front of it, unless that is the first.
    fn keep(&mut self, out: &mut Vec<Token>) {
        match self.kept {
            0 => self.kept = 1,
            1 => (self.kept, self.second) = (2, self.open),
            _ => {
                steps::count(out.len() - self.open);
                drop(out.drain(self.second..self.open));
            }
        }
    }
}

impl Part {
    /// What comes behind this token; `None` if it is no part of a constant.
    fn behind(self, token: Token, text: &[u8]) -> Option<Part> {
        let is_sign = || matches!(token.of(text), b"-" | b"+");
        let is_constant =
            || [&b"null"[..], b"default", b"true", b"false"].iter().any(|word| is_word(token, text, word));
        match (self, token.kind) {
            (Part::Comma, TokenKind::Comma) => Some(Part::Value),
            (Part::Value | Part::Number, TokenKind::Number) => Some(Part::Comma),
            (Part::Value, TokenKind::Op) if is_sign() => Some(Part::Number),
            // A type and a string, to PostgreSQL.
            (Part::Value, TokenKind::NationalStr) => None,
            (Part::Value, kind) if kind.is_literal() || is_constant() => Some(Part::Comma),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(text: &str) -> String {
        let mut tokens = Vec::new();
        collect(text.as_bytes(), true, &mut tokens).unwrap();
        let texts: Vec<_> = tokens.iter().map(|token| &text[token.span()]).collect();
        texts.join(" ")
    }

    #[test]
    fn first_and_last_of_many_rows_are_kept() {
        for (text, tokens) in [
            ("insert into t values (1),(2)", "insert into t values ( 1 ) , ( 2 )"),
            ("insert into t values (1),(2),(3)", "insert into t values ( 1 ) , ( 3 )"),
            (
                "Values ($1, -2.5, NULL),('b', +3, default),(true, 1, E'\\n'),(1,2,3) limit 1",
                "Values ( $1 , - 2.5 , NULL ) , ( 1 , 2 , 3 ) limit 1",
            ),
            ("values (1),(2),(3); values (4),(5),(6)", "values ( 1 ) , ( 3 ) ; values ( 4 ) , ( 6 )"),
            (
                "values (1),(2),(3) union values (4),(5),(6)",
                "values ( 1 ) , ( 3 ) union values ( 4 ) , ( 6 )",
            ),
        ] {
            assert_eq!(kept(text), tokens, "{text}");
        }
    }

    #[test]
    fn what_is_no_constant_stays() {
        for text in [
            "values ( now ( ) ) , ( 'a' :: regclass ) , ( a . b ) , ( - - 1 ) , ( ) , ( 1 2 ) , ( 1 , )",
            "values ( 1 ) , ( ( 2 ) ) , ( 3 ) , ( regclass 'a' ) , ( 4 ) , ( - 'a' ) , ( 5 ) , ( 1 a )",
            // Here a function is called with them.
            "select to_regclass ( ( values ( 'a' ) , ( 'b' ) , ( 'globex.users' ) , ( 'c' ) offset 2 ) )",
            "select f ( 1 ) , ( 2 ) , ( 3 ) , ( 4 )",
            "values ( 1 ) , ( 2 ) values , ( 3 ) , ( 4 )",
            "values a ( 1 ) , ( 2 ) , ( 3 )",
        ] {
            assert_eq!(kept(text), text);
        }
        let text = "values ( 1 ) , ( 2 ) , ( 3 ) , ( now ( ) ) , ( 4 ) , ( 5 ) , ( 6 )";
        assert_eq!(kept(text), "values ( 1 ) , ( 3 ) , ( now ( ) ) , ( 4 ) , ( 6 )");
    }
}
