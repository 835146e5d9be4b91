//! Each error that a client may get is explained in docs/reference/errors.md.

use std::fs;

use pgstrata_tests::program::project;

use crate::documents::code::{literals, of_sessions};

/// What stands in front of a message in the code.
const MARKS: [&str; 11] = [
    "message: ", "let message = ", "unauthorized(", "violation(", "unsupported(", "never(", "End::fatal(",
    "Refusal::new(", "refusal(", "refuse(shape, ", "=> (",
];

/// Parts of sentences that are told elsewhere: see the rows for `set …` and `statement too complex: …`.
const NO_MESSAGES: [&str; 2] =
    ["statement too complex: {error}", "SET LOCAL can only be used in transaction blocks"];

/// With a sign for whatever is put in.
fn plain(message: &str) -> String {
    let mut out = String::new();
    let mut depth = 0;
    for c in message.chars() {
        match c {
            '{' if depth == 0 => {
                depth = 1;
                out.push('…');
            }
            '}' => depth = 0,
            c if depth == 0 => out.push(c),
            _ => {}
        }
    }
    // Numbers of several parts are one.
    out.replace("….…", "…")
}

fn page() -> String {
    fs::read_to_string(project().join("docs/reference/errors.md")).unwrap()
}

#[test]
fn each_message_is_explained() {
    let (page, messages) = (page(), literals(&of_sessions(), &MARKS));
    assert!(messages.len() > 120, "{}", messages.len());
    let explained: Vec<&str> = page.split('`').skip(1).step_by(2).collect();
    let missing: Vec<&String> = messages
        .iter()
        .filter(|message| !NO_MESSAGES.contains(&message.as_str()))
        .filter(|message| {
            let message = plain(message);
            !explained.iter().any(|known| *known == message || known.starts_with(&message))
        })
        .collect();
    assert!(missing.is_empty(), "not in docs/reference/errors.md: {missing:#?}");
}

#[test]
fn each_sqlstate_is_explained() {
    let (page, code) = (page(), of_sessions());
    // The classes that a client is answered with.
    let classes = ["08", "0A", "22023", "25", "26", "28", "34", "3D", "42", "53", "54", "55000", "57", "XX"];
    let codes = code.split('"').filter(|text| {
        let is_code = text.len() == 5 && text.bytes().all(|c| c.is_ascii_digit() || c.is_ascii_uppercase());
        is_code
            && text.bytes().any(|c| c.is_ascii_digit())
            && classes.iter().any(|class| text.starts_with(class))
    });
    let mut codes: Vec<&str> = codes.collect();
    codes.sort_unstable();
    codes.dedup();
    assert!(codes.len() > 25, "{codes:?}");
    // Seen in PostgreSQL's answers, and never made.
    let codes = codes.into_iter().filter(|code| !["42P01", "42P03"].contains(code));
    let missing: Vec<&str> = codes.filter(|code| !page.contains(code)).collect();
    assert!(missing.is_empty(), "not in docs/reference/errors.md: {missing:?}");
}
