//! Names with dots: `a.b`, `a.b.c`. The first part is a schema, unless proven otherwise.

use std::collections::HashSet;
use std::ops::Range;

use super::never;
use crate::sql::analyse::Names;
use crate::sql::lexer::TokenKind;
use crate::sql::plan::StatementKind;
use crate::sql::shape::{Demand, StatementShape};
use crate::sql::tokens::Tokens;

/// What the chains of a statement ask.
pub fn demands(t: &Tokens<'_>, statement: &StatementShape, names: Option<&Names>, out: &mut Vec<Demand>) {
    // A parameter's name has dots of its own, which mean no schema.
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
    if setting {
        return;
    }
    if !range.clone().any(|i| t.is(i, TokenKind::Dot)) {
        return;
    }
    let declared = declared(t, range.clone());
    let free = if names.is_none() { Clauses::expressions(t, range.clone()) } else { HashSet::new() };
    for i in range {
        let Some(length) = chain_at(t, i) else {
            continue;
        };
        let known = t.name(i).is_some_and(|name| declared.contains(name.as_ref()));
        let assigned = names.is_some_and(|names| names.column_chains.contains(&i));
        let proven = match names {
            Some(names) => names.column_chains.contains(&i) && known,
            None => known && free.contains(&i),
        };
        let target = assigned && is_assignment(t, i, length);
        if (proven || target) && !takes_schema(t, i, length) {
            continue;
        }
        out.push(schema(t, i, length));
    }
}

fn schema(t: &Tokens<'_>, i: usize, length: usize) -> Demand {
    let part = |n: usize| Box::from(t.name(i + 2 * n).unwrap_or_default());
    Demand::Schema { first: part(0), second: (length > 2).then(|| part(1)) }
}

/// How many names stand in the chain that starts at `i`; `None` where none starts.
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

/// A dot in front of it follows no name: it belongs to nothing that could be a field.
fn starts_anew(t: &Tokens<'_>, i: usize) -> bool {
    use TokenKind::{Close, CloseBracket, Param};
    let before = i.checked_sub(2).and_then(|at| t.kind(at));
    !before.is_some_and(|kind| kind.is_word() || matches!(kind, Close | CloseBracket | Param))
}

/// What stands around the chain makes it a function, type, collation or operator.
fn takes_schema(t: &Tokens<'_>, i: usize, length: usize) -> bool {
    let behind = i + 2 * length - 1;
    let before = i.wrapping_sub(1);
    let operator = t.is(before, TokenKind::Open) && t.kw(i.wrapping_sub(2), "operator");
    t.is(behind, TokenKind::Open)
        || t.is_string(behind)
        || t.is(before, TokenKind::Cast)
        || (!is_comparison(t, before)
            && t.any_kw(
                before,
                &["collate", "as", "from", "join", "into", "table", "only", "references", "using"],
            ))
        || operator
}

/// `a IS [NOT] DISTINCT FROM b`: this FROM introduces no relation.
fn is_comparison(t: &Tokens<'_>, from: usize) -> bool {
    let back = |n: usize| from.wrapping_sub(n);
    t.kws(back(1), &["distinct", "from"])
        && (t.kw(back(2), "is") || (t.kw(back(2), "not") && t.kw(back(3), "is")))
}

/// `SET a.b = ..`, `(a.b, ..) VALUES`: the chain stands where something is assigned.
fn is_assignment(t: &Tokens<'_>, i: usize, length: usize) -> bool {
    let before = i.wrapping_sub(1);
    let behind = i + 2 * length - 1;
    (t.kw(before, "set") || t.is(before, TokenKind::Comma) || t.is(before, TokenKind::Open))
        && (t.op(behind, "=") || t.is(behind, TokenKind::Comma) || t.is(behind, TokenKind::Close))
}

/// Names that the statement itself declares: relations, aliases, CTEs, `excluded`.
fn declared(t: &Tokens<'_>, range: Range<usize>) -> HashSet<Box<str>> {
    let mut out = HashSet::new();
    let mut add = |i: usize| {
        // What a dot follows is a schema's or a table's name in use, no declaration.
        if i < range.end && !t.is(i + 1, TokenKind::Dot) {
            out.extend(t.name(i).map(Box::from));
        }
    };
    for i in range.clone() {
        match t.kind(i) {
            Some(kind) if kind.is_word() => {
                let follows = i > range.start;
                let before = i.wrapping_sub(1);
                let word = t.kind(before).is_some_and(TokenKind::is_word);
                // `FROM t`, `t x`, `t AS x`, `) x`, and the last part of `s.t`.
                let relation = t.any_kw(before, INTRODUCE) || t.is(before, TokenKind::Comma);
                if follows
                    && (relation || word || t.is(before, TokenKind::Close) || t.is(before, TokenKind::Dot))
                {
                    add(i);
                }
            }
            _ => {}
        }
    }
    if (range.clone()).any(|i| t.kw(i, "conflict")) {
        out.insert("excluded".into());
    }
    if t.kw(range.start, "create") {
        out.extend(["new", "old"].map(Box::from));
    }
    out
}

const INTRODUCE: &[&str] =
    &["from", "join", "into", "update", "using", "as", "only", "with", "recursive", "lateral"];

/// Where expressions stand, told by keywords alone, for text that no parser reads.
struct Clauses {
    /// For each open bracket and the statement itself.
    stack: Vec<Clause>,
}

/// The clause that a token stands in.
#[derive(Clone, Copy, Default)]
struct Clause {
    /// Expressions stand here.
    expressions: bool,
    /// It is a FROM list: behind a comma stands a relation, whatever a join condition had in between.
    list: bool,
}

impl Clauses {
    /// Tokens of `range` that stand where a column may, and no relation, function or type.
    fn expressions(t: &Tokens<'_>, range: Range<usize>) -> HashSet<usize> {
        let mut clauses = Clauses { stack: vec![Clause::default()] };
        let mut out = HashSet::new();
        for i in range {
            if clauses.here() && Self::begins(t, i.wrapping_sub(1)) {
                out.insert(i);
            }
            clauses.step(t, i);
        }
        out
    }

    fn here(&self) -> bool {
        self.stack.last().is_some_and(|clause| clause.expressions)
    }

    fn set(&mut self, expressions: bool) {
        if let Some(last) = self.stack.last_mut() {
            last.expressions = expressions;
        }
    }

    fn list(&mut self, list: bool) {
        if let Some(last) = self.stack.last_mut() {
            last.list = list;
        }
    }

    /// Whether an operand may stand behind token `before`.
    fn begins(t: &Tokens<'_>, before: usize) -> bool {
        t.any_kw(before, OPERAND)
            || is_comparison(t, before)
            || matches!(
                t.kind(before),
                Some(
                    TokenKind::Op
                        | TokenKind::Comma
                        | TokenKind::Open
                        | TokenKind::OpenBracket
                        | TokenKind::Colon
                )
            )
    }

    fn step(&mut self, t: &Tokens<'_>, i: usize) {
        match t.kind(i) {
            Some(TokenKind::Open) => {
                let expressions = self.here();
                self.stack.push(Clause { expressions, list: false });
            }
            Some(TokenKind::Close) if self.stack.len() > 1 => _ = self.stack.pop(),
            Some(TokenKind::Comma) if self.stack.last().is_some_and(|clause| clause.list) => self.set(false),
            Some(TokenKind::Word) if t.any_kw(i, EXPRESSIONS) => {
                self.set(true);
                if t.any_kw(i, ENDS_LIST) {
                    self.list(false);
                }
            }
            Some(TokenKind::Word) if t.any_kw(i, NAMES) && !is_comparison(t, i) => {
                self.set(false);
                self.list(true);
            }
            _ => {}
        }
    }
}

const EXPRESSIONS: &[&str] = &[
    "select", "where", "having", "returning", "by", "values", "when", "then", "else", "set", "on", "and",
    "or", "limit", "offset",
];
/// Of these, the ones that a FROM list does not go on behind.
const ENDS_LIST: &[&str] =
    &["select", "where", "having", "returning", "by", "values", "set", "limit", "offset"];
const NAMES: &[&str] = &[
    "from", "join", "into", "update", "table", "only", "using", "references", "inherits", "like", "create",
    "alter", "drop", "to", "truncate", "lock", "comment", "grant", "revoke", "of", "with", "insert",
    "delete", "merge", "copy", "collate", "execute", "function", "procedure", "operator", "type", "returns",
    "trigger", "rule", "policy", "index",
];
const OPERAND: &[&str] = &[
    "select", "where", "having", "returning", "by", "when", "then", "else", "and", "or", "not", "case",
    "distinct", "all", "between", "in", "ilike", "on", "limit", "offset",
];
