//! Texts that are nearly those of the corpus: tokens lost, doubled, moved or written otherwise.

use super::random::Random;
use crate::lexer::{Lexer, Token, TokenKind};

/// Words that mean much where they come to stand.
const WORDS: &[&str] = &[
    "from", "only", "lateral", "as", "w", "users", "items", "recursive", "with", "table", "select", "rows",
    "of", "for update", "full_name", "*", ",", "(", ")", "x.", "into", "using", "values",
    "tablesample system (1)", "[1]", "update", "set", "on conflict", "do nothing", "union", "current of",
    "overriding user value", "::mood", "materialized", "cycle", "search", "where", "default values",
    "globex.", "missing",
];
const BLANKS: &[&str] = &["/* from users */", "-- from users\n", "/* a /* b */ c */", "\n", "\t"];

/// A text made of `text` by a few changes.
pub(in crate::tests) fn mutate(random: &mut Random, text: &str) -> String {
    let mut pieces: Vec<String> =
        Lexer::new(text.as_bytes(), true).map(|token| text[token.span()].to_owned()).collect();
    for _ in 0..1 + random.below(3) {
        change(random, &mut pieces);
    }
    pieces.join(" ")
}

fn change(random: &mut Random, pieces: &mut Vec<String>) {
    if pieces.is_empty() {
        return;
    }
    let (at, other) = (random.below(pieces.len()), random.below(pieces.len()));
    let words: Vec<usize> =
        (0..pieces.len()).filter(|&i| kind(&pieces[i]) == Some(TokenKind::Word)).collect();
    let (word, second) = match words.as_slice() {
        [] => (at, other),
        words => (*random.pick(words), *random.pick(words)),
    };
    match random.below(10) {
        0 => _ = pieces.remove(at),
        1 => pieces.insert(at, pieces[at].clone()),
        2 => pieces.swap(at, at.saturating_sub(1)),
        3 => pieces.swap(word, second),
        4 => pieces[word] = pieces[second].clone(),
        5 => pieces.insert(at, (*random.pick(BLANKS)).to_owned()),
        6 => pieces[word] = pieces[word].to_uppercase(),
        7 => pieces[word] = format!("\"{}\"", pieces[word]),
        8 => pieces.insert(at, (*random.pick(WORDS)).to_owned()),
        _ => pieces[word] = (*random.pick(WORDS)).to_owned(),
    }
}

fn kind(piece: &str) -> Option<TokenKind> {
    Lexer::new(piece.as_bytes(), true).next().map(|token: Token| token.kind)
}
