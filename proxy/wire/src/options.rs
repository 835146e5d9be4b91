//! The start-up parameter `options`, parsed as PostgreSQL's server does.
//!
//! See <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-OPTIONS>.

use super::refusal::{Refusal, sqlstate};

/// The settings in `options`, in order: `-c name=value`, `-cname=value` and `--name=value`. Dashes in names are
/// underscores.
///
/// PostgreSQL's other switches (`-d`, `-e`, `-W` ...) are for debugging a server, and are refused.
pub fn parse(options: &str) -> Result<Vec<(String, String)>, Refusal> {
    let mut settings = Vec::new();
    let mut arguments = split(options).into_iter();
    while let Some(argument) = arguments.next() {
        let setting = if let Some(long) = argument.strip_prefix("--") {
            long_option(long, &format!("--{long}"))?
        } else if let Some(attached) = argument.strip_prefix("-c") {
            let value = if attached.is_empty() { arguments.next() } else { Some(attached.to_owned()) };
            let value = value.ok_or_else(|| unknown(&argument))?;
            long_option(&value, &format!("-c {value}"))?
        } else {
            return Err(unknown(&argument));
        };
        settings.push(setting);
    }
    Ok(settings)
}

/// Like `pg_split_opts`: white space separates, and a backslash escapes the next character.
pub fn split(options: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut chars = options.chars().peekable();
    loop {
        while chars.next_if(|c| is_space(*c)).is_some() {}
        if chars.peek().is_none() {
            return arguments;
        }
        let mut argument = String::new();
        while let Some(c) = chars.next_if(|c| !is_space(*c)) {
            // A backslash at the end is ignored.
            if c == '\\' {
                argument.extend(chars.next());
            } else {
                argument.push(c);
            }
        }
        arguments.push(argument);
    }
}

/// Like C's `isspace` in the C locale; Rust's own omits the vertical tab.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}

/// Like `ParseLongOption`: a dash in the name means an underscore.
fn long_option(text: &str, spelled: &str) -> Result<(String, String), Refusal> {
    match text.split_once('=') {
        Some(("", _)) => Err(unknown(spelled)),
        Some((name, value)) => Ok((name.replace('-', "_"), value.to_owned())),
        None if text.is_empty() => Err(unknown(spelled)),
        None => Err(Refusal::new(sqlstate::SYNTAX_ERROR, format!("{spelled} requires a value"))),
    }
}

fn unknown(argument: &str) -> Refusal {
    let message = format!("command-line argument \"{argument}\" in options is not supported");
    Refusal::new(sqlstate::FEATURE_NOT_SUPPORTED, message)
        .hint("Only -c name=value and --name=value are let through.")
}
