//! Texts that nobody wrote. A second each here; `make fuzz` goes on for longer.

use bolero::check;
use pgstrata_grammar::Tree;
use pgstrata_grammar::oracle::without_comments;

use super::oracle::{self, corpus, mutate::mutate, random::Random};
use crate::lexer::{Lexer, Token, TokenKind};
use crate::plan::{Insert, Splice};
use crate::tests::plans::*;
use crate::tokens::Tokens;
use crate::{Engine, Route, TextMode, cache};

/// What is likely to be read wrong, by one byte each.
const PIECES: &[&str] = &[
    "select", "from", "users", "globex", "acme", "items", ".", "..", "'", "''", "\"", "$$", "$a$", "$1",
    "/*", "*/", "--", "\n", "\r", "\t", "\x0b", " ", "(", ")", "[", "]", ";", ":", "::", ":=", "=", ",",
    "\\", "E'", "U&'", "U&\"", "N'", "B'", "x'", "uescape", "'!'", "regclass", "begin atomic", "end", "set",
    "search_path", "to", "copy", "insert into", "values", "é", "\u{a0}", "with", "as", "nextval",
    "set_config", "update", "1", "1.", ".5", "1e", "0x", "1_0", "create function", "-", "+", "*", "/", "@",
    "<", "union", "where", "a", "e", "u", "&", "$", "join", "on",
];

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|&b| PIECES[usize::from(b) % PIECES.len()]).collect()
}

#[test]
fn tokens_end_where_postgresql_says() {
    check!().with_max_len(32).for_each(|bytes| oracle::check_tokens(&text(bytes)));
}

#[test]
fn tokens_cover_any_bytes_in_order() {
    check!().with_max_len(256).for_each(|bytes| {
        for conforming in [true, false] {
            let mut at = 0;
            for token in Lexer::new(bytes, conforming) {
                assert!(at <= token.start && token.start < token.end, "{token:?} behind {at}");
                at = token.end;
            }
            assert!(at as usize <= bytes.len());
        }
    });
}

/// The engine takes two texts of one key for one shape.
#[test]
fn texts_of_one_key_have_the_same_tokens() {
    check!().with_max_len(16).for_each(|bytes: &[u8]| {
        let (known, seen) = keyed(&text(bytes));
        let Some(known) = known else { return };
        for (i, piece) in (0..bytes.len()).flat_map(|i| PIECES.iter().map(move |piece| (i, piece))) {
            let (front, behind) = (text(&bytes[..i]), text(&bytes[i + 1..]));
            let (key, tokens) = keyed(&[&front, *piece, &behind].concat());
            assert!(key.as_ref() != Some(&known) || tokens == seen, "{front}{piece}{behind}");
        }
    });
}

/// Kinds and texts.
type Kept = Vec<(TokenKind, Vec<u8>)>;

/// The key of a text, and its tokens as far as a shape may know them.
fn keyed(text: &str) -> (Option<Vec<u8>>, Kept) {
    let all: Vec<_> = Lexer::new(text.as_bytes(), true).collect();
    let t = Tokens { text: text.as_bytes(), all: &all, conforming: true, closes: &[] };
    let mut key = Vec::new();
    let kept = cache::key(&t, &mut key);
    let tokens = (0..all.len()).map(|i| (all[i].kind, t.raw(i).to_vec())).collect();
    (kept.then_some(key), tokens)
}

#[test]
fn any_text_has_one_plan() {
    check!().with_max_len(32).for_each(|bytes| check_plan(text(bytes).as_bytes()));
}

#[test]
fn any_bytes_have_one_plan() {
    check!().with_max_len(256).for_each(check_plan);
}

#[test]
fn changed_statements_are_planned_as_postgresql_reads_them() {
    let corpus = corpus::corpus();
    check!().with_type::<(u16, u64)>().for_each(|&(number, seed)| {
        // A state of zero would stay zero.
        let mut random = Random::new(seed | 1);
        let text = mutate(&mut random, &corpus[usize::from(number) % corpus.len()].1);
        let plan = Engine::new(1 << 16).plan(text.as_bytes(), &scope(), TextMode::default());
        oracle::check(&text, &plan);
        check_plan(text.as_bytes());
    });
}

/// Whether PostgreSQL's grammar reads a text, bytes of other encodings being letters.
fn is_readable(text: &[u8]) -> bool {
    match std::str::from_utf8(text) {
        Ok(text) => Tree::parse(&without_comments(text)).is_ok(),
        Err(_) => {
            let letters = text.iter().map(|&byte| if byte.is_ascii() { char::from(byte) } else { 'x' });
            Tree::parse(&without_comments(&letters.collect::<String>())).is_ok()
        }
    }
}

/// The plan is of this text alone, whichever text of its shape came first, and fits the text.
///
/// One thing may hang on a literal: whether the grammar can read it (`E'\xff'`). A text that it can't read has a
/// plan that is certain to fail, unless its shape is known by a text that can be read.
fn check_plan(text: &[u8]) {
    for standard_conforming_strings in [true, false] {
        let mode = TextMode { standard_conforming_strings, ..TextMode::default() };
        let lexed = |text: &[u8]| Lexer::new(text, standard_conforming_strings).collect::<Vec<_>>();
        let tokens = lexed(text);
        let kinds = |tokens: &[Token]| tokens.iter().map(|token| token.kind).collect::<Vec<_>>();
        let mut other = with_other_literals(text, &tokens, "");
        if kinds(&lexed(&other)) != kinds(&tokens) {
            other = with_other_literals(text, &tokens, " ");
        }
        assert_eq!(kinds(&lexed(&other)), kinds(&tokens), "{}", String::from_utf8_lossy(&other));

        let (cold, warm) = (Engine::new(1 << 16), Engine::new(1 << 16));
        let plan = cold.plan(text, &scope(), mode);
        warm.plan(&other, &scope(), mode);
        let readable = is_readable(text);
        if readable || !is_readable(&other) {
            assert_eq!(warm.plan(text, &scope(), mode), plan, "{}", String::from_utf8_lossy(text));
        }
        if !readable && !matches!(plan.route, Route::Refuse(_)) {
            let sent = splice(text, &plan.splices);
            // What has no end is refused by each version of PostgreSQL as it is.
            let marks: &[u8] = if tokens.iter().all(|token| token.kind.is_closed()) { b"\n\\" } else { b"" };
            assert_eq!(sent, [text, marks].concat(), "{}", String::from_utf8_lossy(text));
            assert!(!is_readable(&sent), "{}", String::from_utf8_lossy(&sent));
        }

        // A text that comes again and again is known as it is.
        assert!((0..3).all(|_| cold.plan(text, &scope(), mode) == plan), "{}", String::from_utf8_lossy(text));

        // An operator may have a schema, too.
        let is_name = |token: &Token| token.kind.is_word() || token.kind == TokenKind::Op;
        let starts_word = |at: usize| tokens.iter().any(|token| token.start as usize == at && is_name(token));
        let schemas: Vec<_> = plan.splices.iter().filter(|s| matches!(s.insert, Insert::Schema(_))).collect();
        assert!(schemas.iter().all(|splice| starts_word(splice.at)), "{plan:?}");
        assert!(schemas.is_sorted_by(|a, b| a.at < b.at), "{plan:?}");
        assert!(plan.route != Route::Splice || !schemas.is_empty());
        let ends = |splice: &Splice| splice.at + splice.cut as usize;
        assert!(plan.splices.is_sorted_by(|a, b| ends(a) <= b.at), "{plan:?}");
        assert!(plan.splices.last().is_none_or(|last| ends(last) <= text.len()), "{plan:?}");
        let mut at = 0;
        for statement in &plan.statements {
            assert!(at <= statement.span.start && statement.span.start <= statement.span.end, "{plan:?}");
            at = statement.span.end;
        }
        assert!(at <= text.len(), "{plan:?}");
    }
}

/// A text of the same shape whose literals have other values and lengths, kept apart from
/// their neighbours by `blank`.
fn with_other_literals(text: &[u8], tokens: &[Token], blank: &str) -> Vec<u8> {
    let (mut out, mut at) = (Vec::new(), 0);
    for token in tokens {
        let other: &[u8] = match token.kind {
            TokenKind::Str => b"'search_path'",
            TokenKind::NationalStr => b"N'globex.users'",
            TokenKind::EscapeStr => b"E'globex'",
            TokenKind::UnicodeStr => b"U&'globex.users'",
            TokenKind::BitStr => b"B'1'",
            TokenKind::HexStr => b"X'1F'",
            TokenKind::DollarStr => b"$x$globex.users$x$",
            TokenKind::Number => b"42",
            TokenKind::Param => b"$9",
            _ => continue,
        };
        out.extend(&text[at..token.start as usize]);
        // A comment: a string of the next line is not to continue it.
        let comment = if blank.is_empty() { "" } else { "/**/" };
        out.extend([blank.as_bytes(), other, blank.as_bytes(), comment.as_bytes()].concat());
        at = token.end as usize;
    }
    out.extend(&text[at..]);
    out
}
