//! The message of a refusal, without what stands in no form: for statistics, which hold no value.

use foldhash::{HashSet, HashSetExt};

use super::super::lexer::{Lexer, TokenKind};
use super::MAX_READ;

/// A message is shown up to this length, in bytes.
const MAX_SHOWN: usize = 300;
/// PostgreSQL cuts longer names off, so that they stand in no text as they are told.
const MAX_NAME: usize = 62;
/// In the place of what is not shown.
const HIDDEN: &str = "...";

/// The words of `message` that stand in `form`, the text's, or that do not come from `text` at all.
///
/// A refusal's message has our own words, the tenant's name, and names as the text has them, some of them in literals. A
/// word of the text that its form does not show is replaced. If the value of a token is not what is written, as in
/// `E'\x41'`, or the text is too long to be read here, all of the message is.
pub fn shown(message: &str, text: &[u8], form: &str, tenant: &str) -> String {
    let message = cut(message, MAX_SHOWN);
    if text.len() > MAX_READ || Lexer::new(text, true).any(|token| is_encoded(token.kind, token.of(text))) {
        return HIDDEN.to_owned();
    }
    let known: HashSet<String> = words(form).chain(words(tenant)).map(|(_, word)| word).collect();
    let told: HashSet<String> = words(&message).map(|(_, word)| word).collect();
    let mut hidden: HashSet<String> = HashSet::new();
    for token in Lexer::new(text, true) {
        let token = String::from_utf8_lossy(token.of(text));
        let words = words(&token).map(|(_, word)| word);
        hidden.extend(words.filter(|word| told.contains(word) && !known.contains(word)));
    }
    replace(&message, |word| hidden.contains(word) || word.len() > MAX_NAME && !known.contains(word))
}

/// Whether the words of a token's value may be others than those that are written.
fn is_encoded(kind: TokenKind, token: &[u8]) -> bool {
    use TokenKind::{Error, EscapeStr, NationalStr, Str, UnicodeQuoted, UnicodeStr};
    match kind {
        EscapeStr | UnicodeStr | UnicodeQuoted | Error => true,
        // It may go on behind a line's end, with no blank between.
        Str | NationalStr => token.iter().filter(|byte| **byte == b'\'').count() > 2,
        _ => false,
    }
}

/// As much of `message` as has room; a word that has none is left out.
fn cut(message: &str, most: usize) -> String {
    if message.len() <= most {
        return message.to_owned();
    }
    let end = message.char_indices().map(|(at, _)| at).take_while(|at| *at <= most - HIDDEN.len()).last();
    let whole = message.get(..end.unwrap_or_default()).unwrap_or_default();
    whole.trim_end_matches(is_of_word).to_owned() + HIDDEN
}

fn replace(message: &str, is_hidden: impl Fn(&str) -> bool) -> String {
    let (mut told, mut behind) = (String::with_capacity(message.len()), 0);
    for (at, _) in words(message).filter(|(_, word)| is_hidden(word)) {
        told.push_str(message.get(behind..at.start).unwrap_or_default());
        told.push_str(HIDDEN);
        behind = at.end;
    }
    told + message.get(behind..).unwrap_or_default()
}

/// Runs of letters, digits and underlines, in lower case, with their places.
fn words(text: &str) -> impl Iterator<Item = (std::ops::Range<usize>, String)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..)?;
        let start = at + rest.find(is_of_word)?;
        let rest = text.get(start..)?;
        let end = start + rest.find(|letter| !is_of_word(letter)).unwrap_or(rest.len());
        at = end;
        Some((start..end, text.get(start..end)?.to_lowercase()))
    })
}

fn is_of_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_has_nothing_of_a_value() {
        let text = "SELECT * FROM globex.users WHERE a = 'hunter2' -- may";
        let why = |message| shown(message, text.as_bytes(), "SELECT * FROM globex.users WHERE a = ?", "acme");
        for (message, told) in [
            (
                "tenant \"acme\" may not name schema \"globex\"",
                "tenant \"acme\" may not name schema \"globex\"",
            ),
            ("may not name \"hunter2\" here", "may not name \"...\" here"),
            ("may not set Hunter2", "may not set ..."),
            ("the name \"a\" b\" is \"hunter2\" and hunter2", "the name \"a\" b\" is \"...\" and ..."),
        ] {
            assert_eq!(why(message), told);
        }
        for text in [
            "SELECT E'\\x73ecret'", "SELECT U&'\\0073ecret'", "SELECT U&\"\\0073ecret\"",
            "SELECT 'sec'\n'ret'", "SELECT 'a",
        ] {
            assert_eq!(shown("no \"secret\"", text.as_bytes(), "SELECT ?", "acme"), HIDDEN, "{text}");
        }
        // It may be the beginning of a name that stands in the text as a whole.
        let name = "s".repeat(63);
        let text = format!("SELECT '{name}s'");
        assert_eq!(shown(&format!("no \"{name}\""), text.as_bytes(), "SELECT ?", "acme"), "no \"...\"");
    }

    #[test]
    fn long_reason_is_cut_off_in_front_of_a_word() {
        let why = shown(&"äbc ".repeat(1000), b"", "", "acme");
        assert!(why.len() <= MAX_SHOWN && why.ends_with("äbc ..."), "{why}");
        assert_eq!(shown(&"x".repeat(1000), b"", "", "acme"), HIDDEN);
    }
}
