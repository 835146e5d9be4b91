//! The SQL of a file, parsed as PostgreSQL does: the positions of its statements, and statements that are not
//! allowed.

use std::fmt;
use std::ops::Range;

use pgstrata_tenancy::lexer::{Lexer, Token, TokenKind};
use serde::Serialize;

/// The SQL of one file.
#[derive(Clone, Debug)]
pub(super) struct Script {
    text: Box<str>,
    statements: Vec<Statement>,
    refused: Option<(Place, String)>,
}

/// One statement of it.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    /// Its position, without its semicolon.
    pub span: Range<usize>,
    /// Whether it is atomic. Other statements may leave an incomplete object, such as an invalid index.
    pub atomic: bool,
}

/// A position in a file; both numbers count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

impl Script {
    /// Reads `text`, with `standard_conforming_strings` on.
    pub fn new(text: &str) -> Self {
        let mut reader = Reader { text, statements: Vec::new(), refused: None };
        reader.read();
        let (statements, refused) = (reader.statements, reader.refused);
        let refused = refused.map(|(at, why)| (place(text, at), why));
        Self { text: text.into(), statements, refused }
    }

    /// The text that PostgreSQL gets.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first statement that is not allowed in a file, if there is one.
    pub(super) fn refused(&self) -> Option<&(Place, String)> {
        self.refused.as_ref()
    }

    pub(super) fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// The text of one statement.
    pub(super) fn of(&self, statement: &Statement) -> &str {
        self.text.get(statement.span.clone()).unwrap_or_default()
    }

    /// The beginning of the `n`th statement, counted from 0.
    pub(super) fn statement_at(&self, n: usize) -> Option<Place> {
        self.statements.get(n).map(|statement| place(&self.text, statement.span.start))
    }

    /// The end of the file.
    pub(super) fn end(&self) -> Place {
        place(&self.text, self.text.len())
    }

    /// The position of the character that is, from 1, the `position`th behind the byte `start`.
    pub(super) fn character_at(&self, start: usize, position: usize) -> Place {
        let rest = self.text.get(start..).unwrap_or_default();
        let behind = rest.char_indices().nth(position.saturating_sub(1)).map_or(rest.len(), |(at, _)| at);
        place(&self.text, start + behind)
    }
}

fn place(text: &str, at: usize) -> Place {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
    Place { line: before.matches('\n').count() + 1, column }
}

/// Splits a text. If it splits wrongly, the text is a syntax error for PostgreSQL too, and nothing of it runs.
struct Reader<'a> {
    text: &'a str,
    statements: Vec<Statement>,
    refused: Option<(usize, String)>,
}

impl Reader<'_> {
    fn read(&mut self) {
        let mut tokens = Vec::new();
        let (mut depth, mut in_body) = (0usize, false);
        for token in Lexer::new(self.text.as_bytes(), true) {
            match token.kind {
                TokenKind::Open => depth += 1,
                TokenKind::Close => depth = depth.saturating_sub(1),
                TokenKind::Semicolon if depth == 0 && !in_body => {
                    self.statement(&tokens);
                    tokens.clear();
                    continue;
                }
                TokenKind::Word if depth == 0 => {
                    let behind = tokens.last().copied();
                    if in_body {
                        in_body = !self.ends_body(token, behind);
                    } else if self.is(Some(&token), "atomic") && self.is(behind.as_ref(), "begin") {
                        in_body = self.makes_routine(&tokens);
                    }
                }
                _ => {}
            }
            tokens.push(token);
        }
        self.statement(&tokens);
    }

    /// Whether `END` belongs to the body: a `CASE` ends behind an expression, and no label is there.
    fn ends_body(&self, token: Token, behind: Option<Token>) -> bool {
        let first = behind.is_some_and(|behind| behind.kind == TokenKind::Semicolon)
            || self.is(behind.as_ref(), "atomic");
        first && self.is(Some(&token), "end")
    }

    /// `CREATE [OR REPLACE] {FUNCTION | PROCEDURE}`, whose body may be statements: `BEGIN ATOMIC .. END`.
    fn makes_routine(&self, tokens: &[Token]) -> bool {
        let what = if self.is(tokens.get(1), "or") { 3 } else { 1 };
        self.is(tokens.first(), "create")
            && ["function", "procedure"].iter().any(|word| self.is(tokens.get(what), word))
    }

    fn word(&self, token: Option<&Token>) -> &str {
        let token = token.filter(|token| token.kind == TokenKind::Word);
        token.and_then(|token| self.text.get(token.span())).unwrap_or_default()
    }

    fn is(&self, token: Option<&Token>, word: &str) -> bool {
        self.word(token).eq_ignore_ascii_case(word)
    }

    fn statement(&mut self, tokens: &[Token]) {
        let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else { return };
        if self.refused.is_none() {
            let refused = self.refusal(tokens);
            self.refused = refused.map(|why| (first.span().start, why));
        }
        let has = |word| tokens.iter().any(|token| self.is(Some(token), word));
        let leaves_halves = self.is(Some(first), "call") || self.is(Some(first), "do") || has("concurrently");
        let span = first.span().start..last.span().end;
        self.statements.push(Statement { span, atomic: !leaves_halves });
    }

    fn refusal(&self, tokens: &[Token]) -> Option<String> {
        let first = self.word(tokens.first()).to_ascii_uppercase();
        match first.as_str() {
            "BEGIN" | "START" | "COMMIT" | "END" | "ROLLBACK" | "ABORT" | "SAVEPOINT" | "RELEASE" => {}
            "PREPARE" if self.is(tokens.get(1), "transaction") => {}
            "COPY" if self.copies_over_the_wire(tokens) => {
                return Some("COPY from or to the client has no place in a migration: use INSERT".into());
            }
            _ => return None,
        }
        let why = "is refused: a migration runs in one transaction, together with its row in the ledger";
        Some(format!("{first} {why}; leave transactions out of the file"))
    }

    /// `COPY .. {FROM | TO} {STDIN | STDOUT}`; PostgreSQL accepts either word for the other.
    fn copies_over_the_wire(&self, tokens: &[Token]) -> bool {
        let mut depth = 0usize;
        tokens.windows(2).any(|pair| {
            let [first, second] = pair else { return false };
            match first.kind {
                TokenKind::Open => depth += 1,
                TokenKind::Close => depth = depth.saturating_sub(1),
                _ => {}
            }
            let (way, end) = (self.word(Some(first)), self.word(Some(second)));
            let is_one_of =
                |word: &str, these: [&str; 2]| these.iter().any(|it| word.eq_ignore_ascii_case(it));
            depth == 0 && is_one_of(way, ["from", "to"]) && is_one_of(end, ["stdin", "stdout"])
        })
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
