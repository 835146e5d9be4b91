//! Values of settings that determine how texts are read. A value that the proxy cannot follow is refused, and a value
//! that PostgreSQL would refuse gets PostgreSQL's error.

use std::borrow::Cow;

use super::bounds::MAX_PATH;
use super::effect::plain_value;
use super::path;
use crate::pool::settings::{CLIENT_ENCODING, SEARCH_PATH};
use crate::sql::lexer::{Lexer, TokenKind};
use crate::sql::plan::{Refusal, Setting, Statement, StatementKind};
use crate::wire::encoding;

/// The parameter that determines where a string ends.
pub(super) const CONFORMING: &str = "standard_conforming_strings";

/// The refusal of a setting that the proxy must understand and cannot.
pub(super) fn unreadable_setting(statement: &Statement, text: &[u8]) -> Option<Refusal> {
    let StatementKind::Set(setting) = &statement.kind else { return None };
    match &*setting.name {
        SEARCH_PATH => unreadable_path(setting, text),
        // The guard reads strings in the standard way, and no server may read them in another way.
        CONFORMING => match value(setting, text) {
            Value::One(value) if !is_off(&value) => None,
            Value::Several => None,
            _ => Some(refusal("0A000", NOT_CONFORMING, Some("Write backslash escapes as E'...'."))),
        },
        CLIENT_ENCODING => match value(setting, text) {
            Value::One(value) => encoding::check_client_encoding(&value).err().map(|refused| Refusal {
                code: refused.code,
                message: refused.message,
                hint: refused.hint,
            }),
            Value::Several => None,
            Value::Unseen => {
                let hint = "Write it as one plain string.";
                Some(refusal("22023", "this client_encoding can not be read", Some(hint)))
            }
        },
        _ => None,
    }
}

/// The message for a text that would be read in another way.
pub(super) const NOT_CONFORMING: &str = "standard_conforming_strings can only be on";

fn unreadable_path(setting: &Setting, text: &[u8]) -> Option<Refusal> {
    if path::of_setting(setting, text).is_none() {
        let message = "search_path can only be set to a list of schema names";
        return Some(refusal("0A000", message, Some("Write it as: SET search_path TO name, \"Name\"")));
    }
    let length = setting.given.as_ref().map_or(setting.value.len(), |given| given.len());
    let message = format!("search_path can only be set to a list of up to {MAX_PATH} bytes");
    (length > MAX_PATH).then(|| refusal("54000", &message, Some("Name each schema once.")))
}

/// The value of a `SET`.
enum Value<'a> {
    /// One value.
    One(Cow<'a, str>),
    /// A list, which PostgreSQL refuses for other parameters.
    Several,
    /// A value that is not a literal.
    Unseen,
}

fn value<'a>(setting: &'a Setting, text: &'a [u8]) -> Value<'a> {
    if let Some(given) = &setting.given {
        return Value::One(Cow::Borrowed(given));
    }
    let raw = text.get(setting.value.clone()).unwrap_or_default();
    match plain_value(raw) {
        Some(value) => Value::One(value),
        None if Lexer::new(raw, true).any(|token| token.kind == TokenKind::Comma) => Value::Several,
        None => Value::Unseen,
    }
}

/// Whether PostgreSQL reads the value as false (`parse_bool`): a prefix is enough.
pub(super) fn is_off(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    let begins = |word: &str, least: usize| value.len() >= least && word.starts_with(&value);
    value == "0" || begins("false", 1) || begins("no", 1) || begins("off", 2)
}

fn refusal(code: &'static str, message: &str, hint: Option<&str>) -> Refusal {
    Refusal { code, message: message.into(), hint: hint.map(Into::into) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn false_is_read_as_postgresql_reads_it() {
        for off in ["off", "OFF", "of", "false", "fal", "f", "no", "n", "0"] {
            assert!(is_off(off), "{off}");
        }
        for other in ["", "o", "on", "tru", "1", "2", "00", "falsehood", " off", "maybe", "'off'"] {
            assert!(!is_off(other), "{other}");
        }
    }
}
