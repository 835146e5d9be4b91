//! What may not stand in what is run later, where nobody looks.
//!
//! A read of a view's runs what stands in it, and nobody knows it by the statement that reads. So a view's query, a policy or
//! a function's body calls nothing that tells what the server's session has done for others, or changes it beyond
//! the transaction. Defaults, checks, rules and triggers run with writes, in front of which a server forgets what it has drawn.

use super::kinds::behind_prefix;
use super::never;
use crate::lexer::TokenKind;
use crate::shape::{Demand, StatementShape};
use crate::tokens::Tokens;

/// Calls that tell of the session, or change it.
const SESSION: &[&str] = &[
    "currval", "lastval", "pg_advisory_lock", "pg_advisory_lock_shared", "pg_advisory_unlock",
    "pg_advisory_unlock_all", "pg_advisory_unlock_shared", "pg_try_advisory_lock",
    "pg_try_advisory_lock_shared", "setseed",
];

/// Kinds whose definitions run with writes, or now.
const WRITTEN: &[&str] = &["table", "rule", "trigger", "sequence", "index", "materialized"];

/// What the body of a definition asks.
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

const HINT: &str = "It tells of the session, or changes it: call it in the statement itself.";
