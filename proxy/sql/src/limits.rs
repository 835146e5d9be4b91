//! Time-outs that protect others: a client may set them lower than role, database and configuration do, but not
//! higher.
//!
//! The limit is the parameter's value for `RESET`, which only PostgreSQL knows, on the current server. So the
//! statement is sent, and a check runs behind it in its transaction: a higher value fails, and the statement is
//! rolled back.

use std::fmt::Write;

use super::fresh::MARK;
use super::plan::{Check, Refusal, StatementKind};
use super::scope::Scope;
use super::shape::Shape;
use super::tokens::{Literals, Tokens};

/// The parameters, in lower case. `idle_session_timeout` is not included: it applies between transactions, when no
/// client holds the server.
pub const LIMITED: [&str; 4] =
    ["idle_in_transaction_session_timeout", "lock_timeout", "statement_timeout", "transaction_timeout"];

/// The placeholder of the limit in a hint.
const LIMIT: &str = "{limit}";

/// The parameter with this name (in lower case), if it is limited.
pub fn limited(name: &str) -> Option<&'static str> {
    LIMITED.into_iter().find(|limited| *limited == name)
}

/// The limited parameters that the statements of a text set, with the statements' numbers.
pub(super) fn set_by(shape: &Shape, t: &Tokens<'_>, scope: &Scope) -> Vec<(usize, &'static str)> {
    if !scope.limits_time {
        return Vec::new();
    }
    let name_of = |kind: &StatementKind| match kind {
        StatementKind::Set(setting) => limited(&setting.name),
        StatementKind::SetConfig { name, .. } => limited(&Literals(t).string(*name)?.to_ascii_lowercase()),
        _ => None,
    };
    let each = shape.statements.iter().enumerate();
    each.filter_map(|(at, statement)| Some((at, name_of(&statement.kind)?))).collect()
}

/// The check behind the statement that sets `name`.
pub(super) fn check(statement: usize, name: &'static str) -> Check {
    let sql = question(name).into();
    Check { statement, behind: true, of_names: false, sql, refusal: refusal(name) }
}

/// The check in front of a statement that sets `name` in the middle, where the value cannot be checked: there must be
/// no limit.
pub(super) fn check_none(statement: usize, name: &'static str) -> Check {
    let sql = format!(
        "SELECT pg_catalog.parse_ident(pg_catalog.concat('{MARK}', s.reset_val)) FROM pg_catalog.pg_settings s \
         WHERE s.name OPERATOR(pg_catalog.=) '{name}' AND s.reset_val OPERATOR(pg_catalog.<>) '0'"
    );
    Check { statement, behind: false, of_names: false, sql: sql.into(), refusal: unseen(name) }
}

/// A statement that fails if a parameter is higher than its reset value. Its own change of the parameter is local to
/// the transaction and is reverted; it returns no rows.
pub fn question(name: &str) -> String {
    let mut sql = String::new();
    let (zero, above) = ("'0'::pg_catalog.interval", "OPERATOR(pg_catalog.>)");
    _ = write!(
        sql,
        "SELECT 1 FROM (SELECT a.v, pg_catalog.set_config('{name}', NULL, true) AS r \
         FROM (SELECT pg_catalog.current_setting('{name}') AS v OFFSET 0) a OFFSET 0) l \
         WHERE CASE WHEN l.r::pg_catalog.interval {above} {zero} \
         AND (l.v::pg_catalog.interval OPERATOR(pg_catalog.=) {zero} \
         OR l.v::pg_catalog.interval {above} l.r::pg_catalog.interval) \
         THEN pg_catalog.parse_ident(pg_catalog.concat('{MARK}', l.r)) IS NULL \
         ELSE pg_catalog.set_config('{name}', l.v, true) IS NULL END"
    );
    sql
}

/// The refusal of a value above the limit.
pub fn refusal(name: &str) -> Refusal {
    Refusal {
        code: "42501",
        message: format!("permission denied to set parameter \"{name}\" above its limit"),
        hint: Some(format!(
            "The server's role, database or configuration sets it to {LIMIT}, and clients may set it lower only \
             (tenancy.time_limits)."
        )),
    }
}

/// The refusal of a `SET` whose value cannot be checked.
pub fn unseen(name: &str) -> Refusal {
    Refusal {
        code: "42501",
        message: format!("permission denied to set parameter \"{name}\" in this form"),
        hint: Some(
            "Clients may set it lower only (tenancy.time_limits). Use SET, or SELECT set_config(...) with nothing else in it."
                .into(),
        ),
    }
}

/// The refusal with the limit from the message of the check's error.
pub fn with_limit(mut refusal: Refusal, message: &[u8]) -> Refusal {
    let Some(hint) = refusal.hint.as_mut().filter(|hint| hint.contains(LIMIT)) else { return refusal };
    let message = String::from_utf8_lossy(message);
    let found = message.split_once(MARK).and_then(|(_, rest)| rest.rsplit_once('"')).map(|(limit, _)| limit);
    *hint = hint.replace(LIMIT, found.unwrap_or("another value"));
    refusal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hint_says_the_limit() {
        let told =
            with_limit(refusal("lock_timeout"), b"string is not a valid identifier: \"pgstrata: 30s\"");
        assert!(told.hint.unwrap().contains("sets it to 30s, and"));
    }

    #[test]
    fn parameters_are_known_by_their_names() {
        assert_eq!(limited("statement_timeout"), Some("statement_timeout"));
        assert_eq!((limited("work_mem"), limited("idle_session_timeout")), (None, None));
    }
}
