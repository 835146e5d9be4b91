//! Sequences that functions take: by a plain literal, which is judged here, or by an expression, which PostgreSQL
//! judges when it runs ([`opens`](crate::opens)).

use std::ops::Range;

use crate::lexer::TokenKind;
use crate::opens::{self, Opens};
use crate::tokens::Tokens;

/// How the first argument of a call names a sequence, or the table that has one.
pub(crate) enum Named {
    /// By the literal at this token.
    Literal(usize),
    /// As `pg_get_serial_sequence('table', 'column')`: the token of the table's name.
    Serial(usize),
    /// In another way: only PostgreSQL knows which it is.
    Expression,
}

/// How the arguments of `nextval` and its kin name a sequence.
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

/// The literal that the first argument is, casts to the types of names and texts left aside.
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

/// How PostgreSQL is made to judge the call at token `i`, if its first argument is an expression; `start` is where the
/// statement begins.
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

/// Whether what stands in the statement runs in this session only, so that it may hold what is this tenant's; nor does
/// its grammar keep a subquery out.
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

/// Behind `::text::regclass`, where only such casts stand.
fn behind_casts(t: &Tokens<'_>, mut at: usize) -> usize {
    while t.is(at, TokenKind::Cast) && t.any_kw(at + 1, &["regclass", "text", "varchar"]) {
        at += 2;
    }
    at
}
