//! Sequences in function arguments: a plain literal is checked here; an expression is checked in PostgreSQL at run
//! time ([`opens`](crate::opens)).

use std::ops::Range;

use crate::lexer::TokenKind;
use crate::opens::{self, Opens};
use crate::tokens::Tokens;

/// How the first argument of a call names a sequence, or the table that owns one.
pub(crate) enum Named {
    /// By the literal at this token.
    Literal(usize),
    /// As `pg_get_serial_sequence('table', 'column')`: the token of the table's name.
    Serial(usize),
    /// By an expression: only PostgreSQL knows the sequence.
    Expression,
}

/// How the arguments of `nextval` and the related functions name a sequence.
pub(super) fn named(t: &Tokens<'_>, args: &Range<usize>) -> Named {
    let at = args.start;
    if let Some(literal) = literal(t, args) {
        return Named::Literal(literal);
    }
    let serial = at + usize::from(t.kw(at, "pg_catalog") && t.is(at + 1, TokenKind::Dot)) * 2;
    if t.kw(serial, "pg_get_serial_sequence") && t.is(serial + 1, TokenKind::Open) {
        let close = t.behind_close(serial + 1, args.end + 1);
        let literals = t.is_string(serial + 2) && t.is(serial + 3, TokenKind::Comma) && close <= serial + 6;
        if literals && ends_argument(t, behind_casts(t, close), args) {
            return Named::Serial(serial + 2);
        }
    }
    Named::Expression
}

/// The literal in the first argument, without casts to name types and text.
pub(super) fn literal(t: &Tokens<'_>, args: &Range<usize>) -> Option<usize> {
    let at = args.start;
    if t.is_string(at) && ends_argument(t, behind_casts(t, at + 1), args) {
        return Some(at);
    }
    if t.kw(at, "regclass") && t.is_string(at + 1) && ends_argument(t, at + 2, args) {
        return Some(at + 1);
    }
    let cast =
        t.kw(at, "cast") && t.is_string(at + 2) && t.kw(at + 3, "as") && t.is(at + 5, TokenKind::Close);
    cast.then_some(at + 2)
}

/// The check in PostgreSQL for the call at token `i`, if its first argument is an expression; `start` is the
/// beginning of the statement.
pub(crate) fn opens(t: &Tokens<'_>, i: usize, args: &Range<usize>, start: usize) -> Option<Opens> {
    let name = t.name(i)?;
    let (opens, plain) = match &*name {
        "nextval" | "currval" => (Opens::Sequence, !matches!(named(t, args), Named::Expression)),
        "setval" => (Opens::Setting, !matches!(named(t, args), Named::Expression)),
        "pg_get_serial_sequence" => (Opens::Owner, literal(t, args).is_some()),
        _ => return None,
    };
    (!plain && runs_now(t, start) && opens::is_builtin(t, i)).then_some(opens)
}

/// Whether the code of the statement runs in this session only, so that it may contain conditions about this tenant,
/// and whether its grammar allows a subquery.
fn runs_now(t: &Tokens<'_>, start: usize) -> bool {
    const QUERIES: &[&str] = &[
        "select", "insert", "update", "delete", "merge", "with", "values", "explain", "copy", "declare",
        "prepare",
    ];
    t.any_kw(start, QUERIES) || t.is(start, TokenKind::Open)
}

fn ends_argument(t: &Tokens<'_>, at: usize, args: &Range<usize>) -> bool {
    at >= args.end || t.is(at, TokenKind::Comma)
}

/// The token behind `::text::regclass`, if there are only such casts.
fn behind_casts(t: &Tokens<'_>, mut at: usize) -> usize {
    while t.is(at, TokenKind::Cast) && t.any_kw(at + 1, &["regclass", "text", "varchar"]) {
        at += 2;
    }
    at
}
