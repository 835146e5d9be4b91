//! Text -> tokens, by the rules of PostgreSQL's own scanner (`scan.l`).
//!
//! Nothing is allocated and nothing is decoded: a token is a kind and two
//! offsets. All bytes from 0x80 up are letters, as in PostgreSQL, so texts in
//! any encoding that is safe to scan as ASCII are tokenized correctly.

#[cfg(test)]
mod linear_tests;
mod scan;
mod steps;
#[cfg(test)]
mod tests;

use std::ops::Range;

/// The kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TokenKind {
    /// A word: identifier or keyword, not quoted.
    Word = 1,
    /// `"identifier"`.
    Quoted,
    /// `U&"identifier"`, a simple `UESCAPE 'c'` behind it included.
    UnicodeQuoted,
    /// `'string'`, with its continuations on further lines, as for all strings.
    Str,
    /// `N'string'`.
    NationalStr,
    /// `E'string'`.
    EscapeStr,
    /// `U&'string'`, a simple `UESCAPE 'c'` behind it included.
    UnicodeStr,
    /// `B'0101'`.
    BitStr,
    /// `X'1F'`.
    HexStr,
    /// `$tag$string$tag$`.
    DollarStr,
    /// A number in any base.
    Number,
    /// `$1`.
    Param,
    /// An operator, `=` and `*` among them.
    Op,
    /// `.`
    Dot,
    /// `..`
    DotDot,
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `[`
    OpenBracket,
    /// `]`
    CloseBracket,
    /// `:`
    Colon,
    /// `::`
    Cast,
    /// `:=`
    Assign,
    /// A byte that starts no token, which PostgreSQL refuses.
    Other,
    /// An unterminated string, identifier or comment: the whole rest of the text.
    Error,
}

impl TokenKind {
    /// Whether it is a name or a keyword, in any spelling.
    pub fn is_word(self) -> bool {
        matches!(self, TokenKind::Word | TokenKind::Quoted | TokenKind::UnicodeQuoted)
    }

    /// Whether its spelling tells texts apart: not a literal's, whose value may be any, and
    /// not that of a sign which is always the same.
    pub fn is_spelt(self) -> bool {
        self.is_word() || matches!(self, TokenKind::Op | TokenKind::Other | TokenKind::Error)
    }

    /// Whether it is complete, and not unterminated.
    pub fn is_closed(self) -> bool {
        self != TokenKind::Error
    }

    /// Whether it is a string whose value is text.
    pub fn is_string(self) -> bool {
        use TokenKind::{DollarStr, EscapeStr, NationalStr, Str, UnicodeStr};
        matches!(self, Str | NationalStr | EscapeStr | UnicodeStr | DollarStr)
    }

    /// Whether it is a constant or a parameter, which a normalized query does not contain.
    pub fn is_literal(self) -> bool {
        use TokenKind::{BitStr, HexStr, Number, Param};
        self.is_string() || matches!(self, BitStr | HexStr | Number | Param)
    }
}

/// One token: its kind and its position, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its kind.
    pub kind: TokenKind,
    /// Its first byte.
    pub start: u32,
    /// The byte behind its last.
    pub end: u32,
}

impl Token {
    /// Its position.
    pub fn span(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Its bytes in `text`, which must be the text from which it was read.
    pub fn of<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        text.get(self.span()).unwrap_or_default()
    }
}

/// Reads tokens; whitespace and comments are skipped.
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    /// Each operator character up to here is an operator by itself.
    signs: usize,
    /// `standard_conforming_strings`: a backslash in `'..'` is a backslash.
    conforming: bool,
}

impl<'a> Lexer<'a> {
    /// Reads `text` from its start. Offsets are 32 bits wide: what is behind 4 GiB
    /// (no message is that long) is not read.
    pub fn new(text: &'a [u8], standard_conforming_strings: bool) -> Self {
        let text = text.get(..u32::MAX as usize).unwrap_or(text);
        Self { text, at: 0, signs: 0, conforming: standard_conforming_strings }
    }

    fn peek(&self, ahead: usize) -> u8 {
        // NUL never is in a text (it ends the message), so it stands for the end.
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    #[inline]
    fn token(&mut self, kind: TokenKind, start: usize, end: usize) -> Token {
        let end = end.min(self.text.len());
        self.at = end;
        Token { kind, start: start as u32, end: end as u32 }
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    // Words, which most of a text is, in line; all else is a call away. Where the token went
    // through memory, its caller would read at once what was just written in smaller pieces.
    #[inline(always)]
    fn next(&mut self) -> Option<Token> {
        self.at = scan::skip_spaces(self.text, self.at);
        let (start, first) = (self.at, *self.text.get(self.at)?);
        if scan::starts_word(first) {
            let end = scan::word(self.text, start + 1);
            // One letter may be the prefix of a string: `E'..'`, `U&".."`.
            if end > start + 1 || !matches!(self.peek(1), b'\'' | b'&') {
                return Some(self.token(TokenKind::Word, start, end));
            }
        }
        if matches!(first, b'-' | b'/') {
            let blank = scan::skip_blank(self.text, start);
            self.at = blank.end;
            if blank.unterminated {
                return Some(self.token(TokenKind::Error, blank.end, self.text.len()));
            }
            if blank.end >= self.text.len() {
                return None;
            }
        }
        let start = self.at;
        let (kind, end) = self.read();
        Some(self.token(kind, start, end))
    }
}

impl Lexer<'_> {
    /// The kind and the end of the token that starts here.
    fn read(&mut self) -> (TokenKind, usize) {
        let at = self.at;
        let next = self.peek(1);
        let one = |kind| (kind, at + 1);
        match self.peek(0) {
            b'\'' => self.string(TokenKind::Str, at, !self.conforming, true),
            b'"' => self.closed(TokenKind::Quoted, scan::quoted(self.text, at + 1)),
            b'e' | b'E' if next == b'\'' => self.string(TokenKind::EscapeStr, at + 1, true, true),
            b'n' | b'N' if next == b'\'' => {
                self.string(TokenKind::NationalStr, at + 1, !self.conforming, true)
            }
            b'b' | b'B' if next == b'\'' => self.string(TokenKind::BitStr, at + 1, false, false),
            b'x' | b'X' if next == b'\'' => self.string(TokenKind::HexStr, at + 1, false, false),
            b'u' | b'U' if next == b'&' && matches!(self.peek(2), b'\'' | b'"') => self.unicode(),
            b'$' => self.dollar(),
            b'0'..=b'9' => (TokenKind::Number, scan::number(self.text, at)),
            b'.' if next.is_ascii_digit() => (TokenKind::Number, scan::number(self.text, at)),
            b'.' if next == b'.' => (TokenKind::DotDot, at + 2),
            b'.' => one(TokenKind::Dot),
            b',' => one(TokenKind::Comma),
            b';' => one(TokenKind::Semicolon),
            b'(' => one(TokenKind::Open),
            b')' => one(TokenKind::Close),
            b'[' => one(TokenKind::OpenBracket),
            b']' => one(TokenKind::CloseBracket),
            b':' if next == b':' => (TokenKind::Cast, at + 2),
            b':' if next == b'=' => (TokenKind::Assign, at + 2),
            b':' => one(TokenKind::Colon),
            c if scan::is_operator(c) => (TokenKind::Op, self.operator()),
            c if scan::starts_word(c) => (TokenKind::Word, scan::word(self.text, at)),
            _ => one(TokenKind::Other),
        }
    }

    fn operator(&mut self) -> usize {
        if self.at < self.signs {
            return self.at + 1;
        }
        let (end, signs) = scan::operator(self.text, self.at);
        self.signs = signs;
        end
    }

    fn closed(&self, kind: TokenKind, end: Option<usize>) -> (TokenKind, usize) {
        end.map_or((TokenKind::Error, self.text.len()), |end| (kind, end))
    }

    /// A string whose quote stands at `quote`, with all its continuations.
    fn string(&self, kind: TokenKind, quote: usize, escapes: bool, doubles: bool) -> (TokenKind, usize) {
        let mut end = scan::string(self.text, quote + 1, escapes, doubles);
        while let Some(next) = end.and_then(|end| scan::continuation(self.text, end)) {
            end = scan::string(self.text, next, escapes, doubles);
        }
        self.closed(kind, end)
    }

    /// `U&'..'` or `U&".."`, and the `UESCAPE 'c'` behind it.
    fn unicode(&self) -> (TokenKind, usize) {
        let (kind, end) = if self.peek(2) == b'"' {
            self.closed(TokenKind::UnicodeQuoted, scan::quoted(self.text, self.at + 3))
        } else {
            self.string(TokenKind::UnicodeStr, self.at + 2, false, true)
        };
        if kind == TokenKind::Error {
            return (kind, end);
        }
        (kind, scan::uescape(self.text, end).unwrap_or(end))
    }

    /// `$1`, `$tag$..$tag$`, or a lone dollar.
    fn dollar(&self) -> (TokenKind, usize) {
        if self.peek(1).is_ascii_digit() {
            let digits = scan::run(self.text, self.at + 1, |c| c.is_ascii_digit());
            return (TokenKind::Param, digits);
        }
        match scan::dollar_quote(self.text, self.at) {
            scan::Dollar::None => (TokenKind::Other, self.at + 1),
            scan::Dollar::Open => (TokenKind::Error, self.text.len()),
            scan::Dollar::Closed(end) => (TokenKind::DollarStr, end),
        }
    }
}
