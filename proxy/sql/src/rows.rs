//! The tokens of a text, with as few of its rows of constants as necessary.
//!
//! `VALUES (1, 'a', NULL), (2, 'b', -3.5), ..`: such rows contain no names and no calls, so the first and the last of
//! adjacent ones suffice. An insert of a million rows takes as much memory as one of two, and has the same key.

use super::bounds::{MAX_DOTS, MAX_SIGNS, MAX_TOKENS, TooComplex};
use super::comments::Comments;
use super::lexer::{Lexer, Token, TokenKind};
use super::steps;

/// Tokenizes `text` into `out`, and stops if the text is too large.
pub fn collect(text: &[u8], conforming: bool, out: &mut Vec<Token>) -> Result<(), TooComplex> {
    let (mut rows, mut depth) = (Rows::default(), 0usize);
    // The end of the adjacent operators, and their number.
    let (mut behind, mut signs) = (0, 0);
    // The dots of the current name, and whether the last token is one.
    let (mut dots, mut joins) = (0, false);
    let (mut comments, mut read) = (Comments::new(text), 0);
    for token in Lexer::new(text, conforming) {
        let span = token.span();
        comments.see(read..span.start)?;
        read = span.end;
        out.push(token);
        let is_dot = token.kind == TokenKind::Dot;
        dots = if is_dot || joins { dots + usize::from(is_dot) } else { 0 };
        joins = is_dot;
        if dots > MAX_DOTS {
            return Err(TooComplex::Dots);
        }
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
        // In brackets they may be arguments of a function, which are checked.
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

/// The place of a token in a list of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// In none.
    #[default]
    Elsewhere,
    /// Behind `VALUES`, or behind the comma between two rows.
    Before,
    /// In a row that consists of constants so far.
    Row(Part),
    /// In a row with other contents.
    OtherRow,
    /// Behind a row.
    Behind,
}

/// The next part of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Value,
    Number,
    Comma,
}

#[derive(Default)]
struct Rows {
    place: Place,
    /// The first token of the current row.
    open: usize,
    /// The number of adjacent rows of constants in front of it; at most two, because others are removed.
    kept: usize,
    /// Where the second of them begins.
    second: usize,
}

impl Rows {
    /// Handles a token, the last one in `out`; `depth` is the nesting of brackets behind it.
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

    /// A row of constants has ended: it replaces the previous one, unless that is the first.
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
    /// The part behind this token; `None` if the token is not part of a constant.
    fn behind(self, token: Token, text: &[u8]) -> Option<Part> {
        let is_sign = || matches!(token.of(text), b"-" | b"+");
        let is_constant =
            || [&b"null"[..], b"default", b"true", b"false"].iter().any(|word| is_word(token, text, word));
        match (self, token.kind) {
            (Part::Comma, TokenKind::Comma) => Some(Part::Value),
            (Part::Value | Part::Number, TokenKind::Number) => Some(Part::Comma),
            (Part::Value, TokenKind::Op) if is_sign() => Some(Part::Number),
            // For PostgreSQL a type and a string.
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
            // Here they are arguments of a function.
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
