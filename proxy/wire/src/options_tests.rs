use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::options::{parse, split};

fn settings(options: &str) -> Vec<(String, String)> {
    parse(options).unwrap()
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn three_spellings_are_one() {
    for options in ["-ctenant=acme", "-c tenant=acme", "--tenant=acme", "\t-c\x0b\n tenant=acme\r\x0c"] {
        assert_eq!(settings(options), [pair("tenant", "acme")], "{options:?}");
    }
}

#[test]
fn dashes_in_names_are_underscores() {
    assert_eq!(settings("--search-path=a-b"), [pair("search_path", "a-b")]);
    assert_eq!(settings("-c search-path=x"), [pair("search_path", "x")]);
}

#[test]
fn backslash_takes_the_next_character_as_it_is() {
    assert_eq!(split(r"-ctenant=a\ b c\\d \\\ e"), ["-ctenant=a b", r"c\d", r"\ e"]);
    assert_eq!(split(r"\-c\tx=1"), ["-ctx=1"]);
    assert_eq!(split("a\\\tb"), ["a\tb"]);
}

#[test]
fn backslash_at_the_end_stands_for_nothing() {
    assert_eq!(split(r"a\"), ["a"]);
    assert_eq!(split(r"a \"), ["a", ""]);
}

#[test]
fn several_settings_keep_their_order() {
    let all = settings("-c a=1 --b=2 -ca=3");
    assert_eq!(all, [pair("a", "1"), pair("b", "2"), pair("a", "3")]);
}

#[test]
fn value_may_be_empty_and_may_hold_equals_signs() {
    assert_eq!(settings("-cx= --y=a=b"), [pair("x", ""), pair("y", "a=b")]);
}

#[test]
fn argument_of_c_may_look_like_anything() {
    assert_eq!(settings("-c --x=1"), [pair("__x", "1")]);
}

#[test]
fn other_switches_are_refused() {
    for options in ["-d 5", "-e", "-Wx", "-S 100", "tenant=acme", "-", "--", "-c", "--=x", "-c =x", r"\"] {
        assert_eq!(parse(options).unwrap_err().code, "0A000", "{options:?}");
    }
}

#[test]
fn setting_without_a_value_is_a_syntax_error() {
    for options in ["--tenant", "-ctenant", "-c tenant"] {
        assert_eq!(parse(options).unwrap_err().code, "42601", "{options:?}");
    }
}

/// What is escaped character by character comes back, whatever it is.
#[test]
fn escaped_text_survives_splitting() {
    let mut random = StdRng::seed_from_u64(1);
    for _ in 0..20_000 {
        let arguments: Vec<String> = (0..random.random_range(0..4)).map(|_| text(&mut random, 1)).collect();
        let escaped = arguments.iter().map(|text| text.chars().flat_map(|c| ['\\', c]).collect());
        let options = escaped.collect::<Vec<String>>().join("\x0b ");
        assert_eq!(split(&options), arguments, "{options:?}");
    }
}

/// Any text is split and read without a panic, and no argument keeps an unescaped space.
#[test]
fn any_text_is_read_or_refused() {
    let mut random = StdRng::seed_from_u64(2);
    for _ in 0..50_000 {
        let options = text(&mut random, 0);
        if !options.contains('\\') {
            assert!(split(&options).iter().all(|argument| !argument.is_empty()
                && !argument.contains([' ', '\t', '\n', '\x0b', '\x0c', '\r'])));
        }
        if let Ok(settings) = parse(&options) {
            assert!(settings.iter().all(|(name, _)| !name.is_empty() && !name.contains(['=', '-'])));
        }
    }
}

fn text(random: &mut StdRng, least: usize) -> String {
    const ALPHABET: [char; 16] =
        ['-', 'c', '=', ' ', '\\', '\t', '\x0b', '\n', '\r', '\x0c', 'a', '_', '.', 'é', '\u{a0}', '"'];
    let length = random.random_range(least..12);
    (0..length).map(|_| ALPHABET[random.random_range(0..ALPHABET.len())]).collect()
}
