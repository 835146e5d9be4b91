use crate::Route;
use crate::tests::plans::*;

#[test]
fn deep_and_long_texts_are_taken() {
    let deep = format!("select {}1{}", "(".repeat(10_000), ")".repeat(10_000));
    // More than PostgreSQL's parser takes.
    assert_eq!(plan(&deep).route, Route::Pass);
    for text in [
        format!("select 1{}", " + 1".repeat(100_000)),
        format!("select 1{}", "::int".repeat(50_000)),
        format!("select 1{}", " union select 1".repeat(20_000)),
        format!("select {}1", "- ".repeat(50_000)),
        format!("select {}", "nextval(".repeat(50_000)),
        format!("select {}", "f('a', ".repeat(50_000)),
        format!("create table t () {}", "inherits (".repeat(50_000)),
        format!("select {}", "case when ".repeat(50_000)),
        format!("select 'x'{}", "::regclass".repeat(50_000)),
        format!("select {}", "a.".repeat(100_000)),
        format!("select * from {}t", "(".repeat(40)),
        "(".repeat(1 << 20),
        ";".repeat(1 << 20),
        format!("select '{}'", "x".repeat(16 << 20)),
    ] {
        plan(&text);
    }
}

/// A small generator of our own: tests need no seed but a fixed one.
fn next(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 11) as usize
}

#[test]
fn mutated_text_never_panics() {
    let pieces = [
        "select", "from", "users", "globex", ".", "'", "\"", "$$", "$a$", "/*", "*/", "--", "\n", "(", ")",
        ";", "::", "regclass", "E'\\", "U&\"", "uescape '!'", "begin atomic", "end", "set", "search_path",
        "=", ",", "copy", "insert into", "é", "\u{0}", "with", "as", "nextval", "set_config", "update", "1.",
        "1e", "0x", "create function", "[", "]", ":=", "..", "$1", "@-",
    ];
    let mut state = 0x9E37_79B9_7F4A_7C15;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..next(&mut state) % 14 {
            text.push_str(pieces[next(&mut state) % pieces.len()]);
            if !next(&mut state).is_multiple_of(3) {
                text.push(' ');
            }
        }
        for statement in plan(&text).statements {
            assert!(statement.span.end <= text.len(), "{text}");
        }
        // Bytes that are no UTF-8 at all.
        let mut bytes = text.into_bytes();
        if let Some(at) = next(&mut state).checked_rem(bytes.len()) {
            bytes[at] = next(&mut state) as u8;
        }
        crate::Engine::new(4096).plan(&bytes, &scope(), crate::TextMode::default());
    }
}
