//! Texts that are nearly those that they are made from.

use pgstrata_tenancy::lexer::{Lexer, TokenKind};

use super::random::Random;
use super::{names, snippets};

const PIECES: &[&str] = &[
    ";", ";", "; ;", "'", "\"", "$$", "$a$", "/*", "*/", "--", "\n", "(", ")", ",", ".", "::", "case", "end",
    "begin atomic", "end;", "case;", "return", "do", "as", "from", "only", "with", "into", "select", "union",
    "returning", "\\", "E'", "U&'", "uescape '!'", "language sql", "execute", "$1", "[", "]", ":=", "=>",
    "*", "@", "--;\n", "/*;*/", "\u{a0}", "é", "\u{200b}", "begin", "commit", "set", "values", "over ()",
    "filter (where true)", "operator(pg_catalog.+)", "collate \"C\"",
];

/// The tokens of a text, blanks left out.
pub fn tokens(text: &str) -> Vec<String> {
    let lexer = Lexer::new(text.as_bytes(), true);
    lexer.filter_map(|token| text.get(token.span()).map(str::to_owned)).collect()
}

/// The tokens as a text.
pub fn joined(random: &mut Random, tokens: &[String]) -> String {
    let mut text = String::new();
    for (i, token) in tokens.iter().enumerate() {
        let tight = i > 0 && (token == "." || tokens[i - 1] == ".");
        if i > 0 && !(tight && random.chance(80)) {
            text.push_str(names::blank(random));
        }
        text.push_str(token);
    }
    text
}

fn kind(token: &str) -> Option<TokenKind> {
    Lexer::new(token.as_bytes(), true).next().map(|token| token.kind)
}

/// A few changes.
pub fn mutated(random: &mut Random, text: &str) -> String {
    let mut tokens = tokens(text);
    for _ in 0..1 + random.below(3) {
        change(random, &mut tokens);
    }
    joined(random, &tokens)
}

fn change(random: &mut Random, tokens: &mut Vec<String>) {
    if tokens.is_empty() {
        return;
    }
    let (at, other) = (random.below(tokens.len()), random.below(tokens.len()));
    let words: Vec<usize> =
        (0..tokens.len()).filter(|i| kind(&tokens[*i]) == Some(TokenKind::Word)).collect();
    let word = if words.is_empty() { at } else { random.pick(&words) };
    match random.below(14) {
        0 => _ = tokens.remove(at),
        1 => tokens.insert(at, tokens[at].clone()),
        2 => tokens.swap(at, other),
        3 => tokens[word] = tokens[other].clone(),
        4 => tokens.insert(at, random.pick(PIECES).to_owned()),
        5 => tokens[word] = names::keyword(random).to_owned(),
        6 => tokens[word] = format!("\"{}\"", tokens[word]),
        7 => tokens[word] = names::relation(random),
        8 => tokens[word] = names::others(random),
        9 => tokens.insert(at, snippets::operand(random)),
        10 => tokens.truncate(at + 1),
        11 => tokens.insert(at, names::string(random)),
        12 => tokens.insert(at, names::keyword(random).to_owned()),
        _ => tokens[word] = tokens[word].to_uppercase(),
    }
}

/// The first part of one text and the last part of another.
pub fn crossed(random: &mut Random, first: &str, second: &str) -> String {
    let (mut first, second) = (tokens(first), tokens(second));
    first.truncate(random.below(first.len() + 1));
    let from = random.below(second.len() + 1);
    first.extend_from_slice(&second[from..]);
    joined(random, &first)
}

/// One name or string of a text gives way to one of the other tenant's.
pub fn reaching(random: &mut Random, text: &str) -> String {
    let mut tokens = tokens(text);
    let names: Vec<usize> = (0..tokens.len())
        .filter(|i| {
            matches!(
                kind(&tokens[*i]),
                Some(TokenKind::Word | TokenKind::Quoted | TokenKind::Str | TokenKind::EscapeStr)
            )
        })
        .collect();
    if names.is_empty() {
        return text.to_owned();
    }
    let at = random.pick(&names);
    let is_name = matches!(kind(&tokens[at]), Some(TokenKind::Word | TokenKind::Quoted));
    tokens[at] = match is_name {
        true => names::others(random),
        false => names::strange(random),
    };
    // A name that had a schema has another now.
    if at >= 2 && tokens[at - 1] == "." && is_name {
        tokens.drain(at - 2..at);
    }
    joined(random, &tokens)
}

/// Some names of a text give way to names that the world has, each in all its places. Words of which
/// `is_keyword` is true stay what they are.
pub fn renamed(random: &mut Random, text: &str, is_keyword: impl Fn(&str) -> bool) -> String {
    let mut tokens = tokens(text);
    for _ in 0..1 + random.below(4) {
        let i = random.below(tokens.len());
        let Some(old) = tokens.get(i).filter(|token| kind(token) == Some(TokenKind::Word)).cloned() else {
            continue;
        };
        if is_keyword(&old) {
            continue;
        }
        let new = if random.chance(60) { names::relation(random) } else { names::simple(random) };
        for token in tokens.iter_mut().filter(|token| **token == old) {
            token.clone_from(&new);
        }
    }
    joined(random, &tokens)
}
