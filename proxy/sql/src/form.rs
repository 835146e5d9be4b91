//! The normalized form of a text, which statistics tell statements apart by: no literals and no comments are in it, as
//! both may be secrets.
//!
//! What goes into a form is listed, by the kinds of tokens. A list of constants behind `IN` or `ARRAY` is `...`, however
//! long it is, and of many rows of constants behind `VALUES` two are left ([`super::rows`]). Words that are values are
//! replaced, too ([`values`]). Of a text that PostgreSQL's grammar does not read as we do, nobody knows which part is a
//! literal: its first keyword is shown, and nothing else.

pub mod reason;
mod values;

use std::hash::BuildHasher;

use foldhash::quality::FixedState;

use super::bounds::SHORT_TEXT;
use super::lexer::{Lexer, TokenKind};
use super::rows;
use super::tokens::Tokens;

/// A shown form is at most so long, in bytes.
pub const MAX_SHOWN: usize = 1024;
/// So many bytes of a text are read for what is shown: a client's thread does it, and other clients wait.
const MAX_READ: usize = SHORT_TEXT;
/// Behind a form that is longer.
const MORE: &str = "...";
/// In the place of a literal.
const VALUE: &[u8] = b"?";
/// In the place of a list of constants.
const VALUES: &[u8] = b"...";
/// Any number: with the same one, forms have the same identifiers in each process.
const SEED: u64 = 0x7067_7374_7261_7461;
/// Set in the identifiers of texts that are not read.
const UNREAD: u64 = 1;

/// Identifies the normalized form of a text; [`FormId::NONE`] if it has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FormId(pub u64);

impl FormId {
    /// Of a text that was not planned.
    pub const NONE: Self = Self(0);

    /// Of a text's tokens. Never [`FormId::NONE`].
    pub(super) fn of(t: &Tokens<'_>) -> Self {
        if t.all.iter().any(|token| !is_read(token.kind)) {
            return Self::unread(t);
        }
        let id = FixedState::with_seed(SEED).hash_one(normalized(t, usize::MAX, Purpose::Identify));
        Self((id & !UNREAD).max(UNREAD + 1))
    }

    /// Of a text that PostgreSQL's grammar does not read, or reads otherwise.
    pub(super) fn unread(t: &Tokens<'_>) -> Self {
        Self(FixedState::with_seed(SEED).hash_one(outline(t.text)) | UNREAD)
    }

    /// Whether the form shows nothing of its text.
    fn is_outline(self) -> bool {
        self == Self::NONE || self.0 & UNREAD != 0
    }
}

fn is_read(kind: TokenKind) -> bool {
    !matches!(kind, TokenKind::Other | TokenKind::Error)
}

/// What is shown of a text that is not read: its first keyword. So all texts of one shape have the same.
fn outline(text: &[u8]) -> String {
    let first: Vec<_> = Lexer::new(text, true).take(1).collect();
    let keyword = values::keyword(&Tokens { text, all: &first, conforming: true, closes: &[] });
    let separator = if keyword.is_some() { " " } else { "" };
    format!("{}{separator}(not read)", keyword.unwrap_or_default())
}

/// The form of `text`, whose plan has it as `id`, as it is shown: cut off behind [`MAX_SHOWN`] bytes.
pub fn shown(text: &[u8], id: FormId) -> String {
    let mut all = Vec::new();
    let front = beginning(text);
    if id.is_outline() || rows::collect(front, true, &mut all).is_err() {
        return outline(front);
    }
    let (is_cut, text) = (front.len() < text.len(), front);
    // A byte that is no UTF-8 takes more room in what is shown.
    let tokens = Tokens { text, all: &all, conforming: true, closes: &[] };
    let form = normalized(&tokens, MAX_SHOWN + 1, Purpose::Show);
    let mut form = String::from_utf8_lossy(&form).into_owned();
    if form.len() > MAX_SHOWN || is_cut {
        let end =
            (0..=MAX_SHOWN - MORE.len()).rev().find(|&at| form.is_char_boundary(at)).unwrap_or_default();
        form.truncate(end);
        if !form.ends_with(MORE) {
            form.push_str(MORE);
        }
    }
    form
}

/// The whole tokens in the first [`MAX_READ`] bytes of a text, or all of it: of a literal that is cut, the rest would be
/// read as words.
fn beginning(text: &[u8]) -> &[u8] {
    if text.len() <= MAX_READ {
        return text;
    }
    let ends = Lexer::new(text, true).map(|token| token.span().end);
    text.get(..ends.take_while(|end| *end <= MAX_READ).last().unwrap_or_default()).unwrap_or_default()
}

/// What a form is made for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// With the blanks of the text.
    Show,
    /// The same for all texts of one shape, whatever their blanks are, and whether their words are in capitals.
    Identify,
}

/// The form of a text, as far as its first `most` bytes, or some more.
fn normalized(t: &Tokens<'_>, most: usize, purpose: Purpose) -> Vec<u8> {
    let (mut form, mut behind, mut at) = (Vec::new(), 0, 0);
    let mut last = None;
    let is_value = values::marked(t);
    // Many write a semicolon behind a lone statement, and many do not.
    let length =
        t.all.iter().rposition(|token| token.kind != TokenKind::Semicolon).map_or(0, |last| last + 1);
    let all = t.all.get(..length).unwrap_or_default();
    while let Some(token) = all.get(at).filter(|_| form.len() < most) {
        let span = token.span();
        // Where rows were left out, a comma stands as everywhere.
        let apart = last == Some(TokenKind::Comma) || span.start > behind && token.kind != TokenKind::Comma;
        if (apart || purpose == Purpose::Identify) && !form.is_empty() {
            form.push(b' ');
        }
        (behind, last) = (span.end, Some(token.kind));
        match token.kind {
            kind if kind != TokenKind::Param && kind.is_literal() => form.extend_from_slice(VALUE),
            // Nobody knows what stands in it.
            kind if !is_read(kind) => form.extend_from_slice(VALUE),
            _ if is_value.get(at).copied().unwrap_or_default() => form.extend_from_slice(VALUE),
            TokenKind::Param if purpose == Purpose::Identify => form.push(b'$'),
            TokenKind::Word if purpose == Purpose::Identify => {
                form.extend(t.text.get(span).unwrap_or_default().iter().map(u8::to_ascii_lowercase));
            }
            _ => form.extend_from_slice(t.text.get(span).unwrap_or_default()),
        }
        at += 1;
        if let Some(end) = list_behind(t, at) {
            form.extend_from_slice(VALUES);
            behind = t.all.get(end).map_or(behind, |close| close.span().start);
            at = end;
        }
    }
    form
}

/// The bracket that closes the list of constants that begins at token `at`: behind `IN (` or `ARRAY[`, two or more.
fn list_behind(t: &Tokens<'_>, at: usize) -> Option<usize> {
    let open = at.checked_sub(1)?;
    let word = open.checked_sub(1)?;
    let opens = match t.kind(open)? {
        TokenKind::Open => t.kw(word, "in"),
        TokenKind::OpenBracket => t.kw(word, "array"),
        _ => false,
    };
    if !opens {
        return None;
    }
    let is_item = |kind: TokenKind| kind.is_literal() || kind == TokenKind::Comma;
    let length = t.all.get(at..)?.iter().take_while(|token| is_item(token.kind)).count();
    let end = at + length;
    // Of a text that is read in part, the bracket may stand behind.
    let closes = t.kind(end).is_none_or(|kind| matches!(kind, TokenKind::Close | TokenKind::CloseBracket));
    (closes && length > 1).then_some(end)
}

#[cfg(test)]
mod tests;
