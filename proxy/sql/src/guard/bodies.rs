//! Functions that must not be in code that runs later.
//!
//! A query of a view runs the view's code, and the query's text does not show that code. So a view's query, a policy
//! or a function's body must not call a function that reveals what the server's session has done for others, or that
//! changes the session beyond the transaction. Defaults, checks, rules and triggers run with writes, in front of
//! which the proxy discards the sequence state of a server.

use super::kinds::behind_prefix;
use super::never;
use crate::lexer::TokenKind;
use crate::shape::{Demand, StatementShape};
use crate::tokens::Tokens;

/// Functions that reveal or change the session's state.
const SESSION: &[&str] = &[
    "currval", "lastval", "pg_advisory_lock", "pg_advisory_lock_shared", "pg_advisory_unlock",
    "pg_advisory_unlock_all", "pg_advisory_unlock_shared", "pg_try_advisory_lock",
    "pg_try_advisory_lock_shared", "setseed",
];

/// Kinds whose definitions run with writes, or now.
const WRITTEN: &[&str] = &["table", "rule", "trigger", "sequence", "index", "materialized"];

/// The demands of the body of a definition.
pub(super) fn demands(t: &Tokens<'_>, statement: &StatementShape, out: &mut Vec<Demand>) {
    let (start, end) = (statement.tokens.start, statement.tokens.end);
    if !t.any_kw(start, &["create", "alter"]) {
        return;
    }
    let kind = behind_prefix(t, start + 1, end);
    if t.kws(kind, &["foreign", "table"]) && (kind..end).any(|i| t.kw(i, "options")) {
        out.push(Demand::Dynamic(
            "give options to foreign tables, which name others' tables in strings".into(),
        ));
    }
    if t.any_kw(kind, WRITTEN) {
        return;
    }
    for i in start..end {
        let Some(name) = t.name(i).filter(|name| SESSION.contains(&name.as_ref())) else { continue };
        let called = t.is(i + 1, TokenKind::Open) || t.is(i.wrapping_sub(1), TokenKind::Dot);
        // `FUNCTION = setseed` of an operator.
        let named = t.op(i.wrapping_sub(1), "=");
        if called || named {
            out.push(never(format!("call {name} in what is run later"), Some(HINT)));
        }
    }
}

const HINT: &str = "The function reads or changes the state of the session: call it in a statement, not in a stored definition.";
