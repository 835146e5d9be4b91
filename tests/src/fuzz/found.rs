//! Sessions that went wrong once, as they are written to a file and read from it.
//!
//! A session is a paragraph, a text is a line: how it is sent, and each part of it in quotes. Lines that begin with
//! `#` say what it was.

use super::compose::{Form, Text};

/// What is tried before anything new.
const KNOWN: &str = include_str!("found.txt");

/// The sessions of the file in this folder.
pub fn known() -> Vec<Vec<Text>> {
    sessions(KNOWN)
}

/// The sessions of such a file.
pub fn sessions(file: &str) -> Vec<Vec<Text>> {
    let paragraphs = file.split("\n\n").map(|paragraph| {
        let lines =
            paragraph.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.map(text).collect::<Vec<_>>()
    });
    paragraphs.filter(|session| !session.is_empty()).collect()
}

/// A text as a line.
pub fn line(text: &Text) -> String {
    let form = match text.form {
        Form::Simple => "simple",
        Form::Extended => "extended",
        Form::Pipeline => "pipeline",
    };
    let parts = text.parts.iter().map(|part| format!(" {part:?}"));
    parts.fold(form.to_owned(), |line, part| line + &part)
}

fn text(line: &str) -> Text {
    let (form, rest) = line.split_once(' ').unwrap_or((line, ""));
    let form = match form {
        "simple" => Form::Simple,
        "extended" => Form::Extended,
        "pipeline" => Form::Pipeline,
        other => panic!("{other:?} is no way to send a text: {line}"),
    };
    let mut parts = Vec::new();
    let mut chars = rest.chars();
    while chars.find(|c| *c == '"').is_some() {
        parts.push(quoted(&mut chars));
    }
    Text { form, parts }
}

/// Up to the closing quote, as Rust would read it.
fn quoted(chars: &mut std::str::Chars<'_>) -> String {
    let mut out = String::new();
    while let Some(c) = chars.next().filter(|c| *c != '"') {
        out.push(match c {
            '\\' => match chars.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some('0') => '\0',
                Some('u') => {
                    let code: String = chars.by_ref().skip(1).take_while(|c| *c != '}').collect();
                    u32::from_str_radix(&code, 16)
                        .ok()
                        .and_then(char::from_u32)
                        .expect("a character's number")
                }
                other => other.expect("a character behind a backslash"),
            },
            c => c,
        });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_they_are_written() {
        let parts = vec!["a\n\"b\\ \u{200b}'é\u{b}".to_owned(), String::new()];
        for form in [Form::Simple, Form::Extended, Form::Pipeline] {
            let text = Text { form, parts: parts.clone() };
            assert_eq!(sessions(&line(&text)), [[text]]);
        }
    }
}
