//! The level `read` also makes a session's transactions read-only in PostgreSQL, by a setting that is set on each
//! server with the session's other settings (`session::start`). This module refuses statements that would reset it.

use super::refused;
use crate::lexer::TokenKind;
use crate::plan::{Discard, Refusal, StatementKind};
use crate::scope::{Scope, TextMode};
use crate::shape::{Shape, StatementShape};
use crate::tokens::{Literals, Tokens};

/// The setting of a session of this level.
pub const SETTING: &str = "default_transaction_read_only";

/// The SQL that sets it.
pub const SET: &str = "SET default_transaction_read_only TO on";

/// The settings that decide whether a transaction may write.
const SETTINGS: [&str; 2] = [SETTING, "transaction_read_only"];

/// The refusal of a text that could make a transaction read-write.
pub(super) fn refusal(shape: &Shape, t: &Tokens<'_>, scope: &Scope, mode: TextMode) -> Option<Refusal> {
    let last = shape.statements.len().saturating_sub(1);
    let statements = shape.statements.iter().enumerate();
    let found = statements.filter(|(i, s)| lifts(s, t) || resets(s) && (mode.pipelined || *i < last));
    let (_, statement) = found.into_iter().next()?;
    Some(match resets(statement) {
        true => {
            let mut refusal = refused(scope, "reset its session in front of other statements");
            refusal.hint = Some("Send it as the last statement of a Query message.".into());
            refusal
        }
        false => refused(scope, "make a transaction READ WRITE"),
    })
}

/// Whether the statement resets the setting until the session's settings are set on the server again.
fn resets(statement: &StatementShape) -> bool {
    matches!(statement.kind, StatementKind::ResetAll | StatementKind::Discard(Discard::All))
}

/// Whether a transaction may be read-write after this statement.
fn lifts(statement: &StatementShape, t: &Tokens<'_>) -> bool {
    let names_setting = |name: &str| SETTINGS.iter().any(|setting| name.eq_ignore_ascii_case(setting));
    let tokens = || statement.tokens.clone();
    let word = |i: usize| t.name(i).is_some_and(|name| names_setting(&name));
    match &statement.kind {
        StatementKind::Begin => tokens().any(|i| t.kws(i, &["read", "write"])),
        StatementKind::SetTransaction => tokens().any(|i| t.kws(i, &["read", "write"]) || word(i)),
        StatementKind::Characteristics(modes) => modes.contains(&(SETTING, "off")),
        StatementKind::Set(setting) if names_setting(&setting.name) => !is_on(t, setting.value.clone()),
        StatementKind::Reset { name, .. } => names_setting(name),
        // An unknown form of SET.
        StatementKind::Plain if t.kw(statement.tokens.start, "set") => tokens().any(word),
        _ if tokens().any(|i| calls_set_config(t, i)) => {
            tokens().any(|i| Literals(t).string(i).is_some_and(|name| names_setting(&name)))
        }
        _ => false,
    }
}

fn calls_set_config(t: &Tokens<'_>, i: usize) -> bool {
    t.is(i + 1, TokenKind::Open) && t.name(i).is_some_and(|name| name == "set_config")
}

fn is_on(t: &Tokens<'_>, value: std::ops::Range<usize>) -> bool {
    let on = |value: &str| value.eq_ignore_ascii_case("on") || value.eq_ignore_ascii_case("true");
    let literal = || Literals(t).string(value.start).is_some_and(|value| on(&value));
    value.len() == 1 && (t.any_kw(value.start, &["on", "true"]) || literal())
}
