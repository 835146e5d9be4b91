//! Dotted names: `a.b`, `a.b.c`. The first part is a schema, unless proven otherwise.

use foldhash::{HashSet, HashSetExt};

use super::clauses::Clauses;
use super::never;
use crate::analyse::Names;
use crate::lexer::TokenKind;
use crate::plan::StatementKind;
use crate::shape::{Demand, StatementShape};
use crate::tokens::Tokens;

/// The demands of the dotted names of a statement.
pub fn demands(t: &Tokens<'_>, statement: &StatementShape, names: Option<&Names>, out: &mut Vec<Demand>) {
    // A parameter's name may contain dots, which do not mean a schema.
    let setting = matches!(
        statement.kind,
        StatementKind::Set(_)
            | StatementKind::Reset { .. }
            | StatementKind::ResetAll
            | StatementKind::Show(_)
    );
    let range = statement.tokens.clone();
    for i in range.clone() {
        let odd = t.is(i, TokenKind::UnicodeQuoted) && t.kw(i + 1, "uescape");
        if odd {
            out.push(never(
                "write UESCAPE in this form",
                Some("Write UESCAPE with one character in plain quotes."),
            ));
        }
    }
    if setting || !range.clone().any(|i| t.is(i, TokenKind::Dot)) {
        return;
    }
    let clauses = Clauses::of(t, range.clone());
    let inserted = insert_columns(t, range.clone());
    let commented = t.kws(range.start, &["comment", "on", "column"]).then_some(range.start + 3);
    let stored = t.any_kw(range.start, &["alter", "create"]);
    let mut demanded = HashSet::new();
    // In `UPDATE t SET a.b = 1, c.d.e = 2`: up to the end of the list.
    let mut assigns = t.kw(range.start, "update");
    let mut depth = 0usize;
    // The last bracket in front of the token.
    let mut bracket = range.start;
    for i in range.clone() {
        if matches!(t.kind(i.wrapping_sub(1)), Some(TokenKind::Open | TokenKind::Close)) {
            bracket = i - 1;
        }
        match t.kind(i) {
            Some(TokenKind::Open) => depth += 1,
            Some(TokenKind::Close) => depth = depth.saturating_sub(1),
            _ => assigns &= depth > 0 || !t.any_kw(i, &["from", "where", "returning"]),
        }
        let Some(length) = chain_at(t, i) else {
            continue;
        };
        let column = names.is_some_and(|names| names.column_chains.contains(&i))
            || clauses.operands.contains(i)
            || is_assignment(t, i, length, assigns && depth == 0);
        // `COMMENT ON COLUMN table.column`, a sequence's `OWNED BY table.column`, and `toast.name`
        // among a table's storage parameters.
        let owner = i >= 2 && t.kws(i - 2, &["owned", "by"]);
        let typed = t.op(i + 3, "%") && t.kw(i + 4, "type");
        if length == 2
            && (owner || typed || commented == Some(i) || stored && is_storage_parameter(t, bracket, i))
        {
            continue;
        }
        // They stand there in their order.
        if inserted.binary_search(&i).is_ok() {
            continue;
        }
        // PostgreSQL resolves `a.b` among the relations of the statement only.
        let free = length == 2 || is_assignment(t, i, length, assigns && depth == 0);
        if !(column && free) || takes_schema(t, i, length, &clauses) {
            let part = |n: usize| t.name(i + 2 * n).unwrap_or_default();
            let names = (part(0), (length > 2).then(|| part(1)));
            // Once is enough.
            if !demanded.contains(&names) {
                out.push(schema(&names.0, names.1.as_deref()));
                demanded.insert(names);
            }
        }
    }
}

fn schema(first: &str, second: Option<&str>) -> Demand {
    Demand::Schema { first: first.into(), second: second.map(Into::into) }
}

/// The number of names in the dotted name that starts at `i`; `None` if none starts there.
fn chain_at(t: &Tokens<'_>, i: usize) -> Option<usize> {
    let word = |i| t.kind(i).is_some_and(TokenKind::is_word);
    if !word(i)
        || !t.is(i + 1, TokenKind::Dot)
        || (i > 0 && t.is(i - 1, TokenKind::Dot) && !starts_anew(t, i))
    {
        return None;
    }
    let mut length = 1;
    while t.is(i + 2 * length - 1, TokenKind::Dot) && word(i + 2 * length) {
        length += 1;
    }
    // `a.*`, and an operator's `a.+`.
    Some(length.max(2))
}

/// The dot in front of it follows no name, so it is not a field.
fn starts_anew(t: &Tokens<'_>, i: usize) -> bool {
    use TokenKind::{Close, CloseBracket, Param};
    let before = i.checked_sub(2).and_then(|at| t.kind(at));
    !before.is_some_and(|kind| kind.is_word() || matches!(kind, Close | CloseBracket | Param))
}

/// The start of the column list of an `INSERT` with fields: `INSERT INTO t (a, b.c, d[1].e)`.
fn insert_columns(t: &Tokens<'_>, range: std::ops::Range<usize>) -> Vec<usize> {
    let mut open = range.start + 3;
    while t.is(open, TokenKind::Dot) {
        open += 2;
    }
    let query = t.any_kw(open + 1, &["select", "with", "values", "table"]) || t.is(open + 1, TokenKind::Open);
    if !t.kws(range.start, &["insert", "into"]) || !t.is(open, TokenKind::Open) || query {
        return Vec::new();
    }
    let (mut out, mut depth) = (vec![open + 1], 0usize);
    for i in open + 1..t.behind_close(open, range.end) {
        match t.kind(i) {
            // A subscript is an expression.
            Some(TokenKind::Open | TokenKind::OpenBracket) => depth += 1,
            Some(TokenKind::Close | TokenKind::CloseBracket) => depth = depth.saturating_sub(1),
            Some(TokenKind::Comma) if depth == 0 => out.push(i + 1),
            _ => {}
        }
    }
    out
}

/// The context makes the dotted name a function, type, collation or operator.
fn takes_schema(t: &Tokens<'_>, i: usize, length: usize, clauses: &Clauses) -> bool {
    let behind = i + 2 * length - 1;
    let before = i.wrapping_sub(1);
    let operator = t.is(before, TokenKind::Open) && t.kw(i.wrapping_sub(2), "operator");
    let names = ["collate", "as", "from", "join", "into", "table", "only", "references", "using"];
    t.is(behind, TokenKind::Open)
        || t.is_string(behind)
        || t.is(before, TokenKind::Cast)
        || (t.any_kw(before, &names) && !clauses.separators.contains(before))
        || operator
}

/// `toast.autovacuum_enabled` in `SET (..)`, `RESET (..)` or `WITH (..)`, where no relation can be. The last bracket
/// in front of it is `bracket`.
fn is_storage_parameter(t: &Tokens<'_>, bracket: usize, i: usize) -> bool {
    t.kw(i, "toast")
        && t.is(bracket, TokenKind::Open)
        && t.any_kw(bracket.wrapping_sub(1), &["set", "reset", "with"])
}

/// `SET a.b = ..`, or an element of a parsed list `(a.b, ..)`: the target of an assignment.
fn is_assignment(t: &Tokens<'_>, i: usize, length: usize, listed: bool) -> bool {
    let begins = t.kw(i.wrapping_sub(1), "set") || listed && t.is(i.wrapping_sub(1), TokenKind::Comma);
    begins && t.op(i + 2 * length - 1, "=")
}
