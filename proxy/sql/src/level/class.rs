//! The class of a statement, by its keywords. It fails closed: a word that may be a verb counts as one.

use std::ops::Range;

use crate::lexer::TokenKind;
use crate::tokens::Tokens;

/// The effect of a statement, as far as it matters for a user's level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StatementClass {
    /// Transactions, settings, cursors, prepared statements and `LISTEN`.
    Control,
    /// Reads.
    Query,
    /// Changes or locks rows, advances sequences, notifies, or calls a procedure.
    Change,
    /// Defines, changes or maintains objects.
    Define,
    /// Anything that is not listed here.
    Other,
}

use StatementClass::{Change, Control, Define, Other, Query};

/// The class of the statement `range`, including nested statements.
pub fn class_of(t: &Tokens<'_>, range: &Range<usize>) -> StatementClass {
    let reader = Reader { t, lo: range.start, hi: range.end };
    match t.raw(reader.lo).to_ascii_lowercase().as_slice() {
        b"prepare" if reader.at(1, &["transaction"]) => Change,
        b"commit" | b"rollback" if reader.at(1, &["prepared"]) => Change,
        b"begin" | b"start" | b"commit" | b"end" | b"rollback" | b"abort" | b"savepoint" | b"release" => {
            Control
        }
        b"set" | b"reset" | b"show" | b"discard" | b"listen" | b"unlisten" => Control,
        b"fetch" | b"move" | b"close" | b"deallocate" => Control,
        b"explain" => reader.explain(),
        b"prepare" => reader.behind(reader.lo, "as"),
        b"declare" => reader.behind(reader.lo, "for"),
        b"copy" => reader.copy(),
        b"lock" => reader.lock(),
        b"notify" | b"call" => Change,
        b"comment" | b"grant" | b"revoke" | b"vacuum" | b"reindex" | b"cluster" => Define,
        b"alter" | b"drop" | b"truncate" | b"analyze" | b"analyse" => Define,
        // `DO`, `LOAD`, `CHECKPOINT`, `IMPORT`, `REASSIGN`, `SECURITY LABEL`, and statements of newer versions.
        _ => reader.plannable(reader.lo),
    }
}

struct Reader<'a> {
    t: &'a Tokens<'a>,
    lo: usize,
    hi: usize,
}

impl Reader<'_> {
    fn at(&self, offset: usize, keywords: &[&str]) -> bool {
        self.lo + offset < self.hi && self.t.any_kw(self.lo + offset, keywords)
    }

    /// A statement that may be nested in another one.
    fn plannable(&self, at: usize) -> StatementClass {
        match self.t.raw(at).to_ascii_lowercase().as_slice() {
            _ if at >= self.hi => Other,
            _ if self.t.is(at, TokenKind::Open) => self.query(at..self.hi),
            b"select" | b"values" | b"table" | b"with" => self.query(at..self.hi),
            b"insert" | b"update" | b"delete" | b"merge" => Change,
            b"create" | b"refresh" => Define,
            // The statement was checked when it was prepared.
            b"execute" => Query,
            _ => Other,
        }
    }

    /// A query has the highest class of its parts: a CTE that writes, `INTO`, a locking clause.
    fn query(&self, range: Range<usize>) -> StatementClass {
        range.map(|i| self.mark(i)).max().unwrap_or(Query)
    }

    fn mark(&self, i: usize) -> StatementClass {
        let t = self.t;
        let next = i + 1;
        if !t.kind(i).is_some_and(TokenKind::is_word) {
            return Query;
        }
        if t.is(next, TokenKind::Open) {
            let called = t.name(i).unwrap_or_default();
            return if CHANGING.contains(&&*called) { Change } else { Query };
        }
        // A label may be any word.
        if t.is(i.wrapping_sub(1), TokenKind::Dot) || t.kw(i.wrapping_sub(1), "as") {
            return Query;
        }
        match () {
            () if t.kw(i, "into") && !t.any_kw(i.wrapping_sub(1), &["insert", "merge"]) => Define,
            () if t.any_kw(i, &["insert", "merge"]) && t.kw(next, "into") => Change,
            () if t.kw(i, "delete") && t.kw(next, "from") => Change,
            () if t.kw(i, "update") && self.may_be_relation(next) => Change,
            () if t.kw(i, "for") && t.any_kw(next, &["update", "share", "no", "key"]) => Change,
            () => Query,
        }
    }

    /// Whether token `i` may begin the target of an `UPDATE`.
    fn may_be_relation(&self, i: usize) -> bool {
        i < self.hi && self.t.kind(i).is_some_and(TokenKind::is_word) && !self.t.any_kw(i, NO_RELATION)
    }

    /// `EXPLAIN` runs its statement with `ANALYZE` only.
    fn explain(&self) -> StatementClass {
        let (mut at, mut runs) = (self.lo + 1, false);
        let query = ["select", "values", "table", "with"];
        if self.t.is(at, TokenKind::Open)
            && !self.t.any_kw(at + 1, &query)
            && !self.t.is(at + 1, TokenKind::Open)
        {
            let behind = self.t.behind_close(at, self.hi);
            // `(ANALYZE off)` runs nothing, but the value may be a literal.
            // An option may be quoted.
            let analyzes = |name: &str| ["analyze", "analyse"].iter().any(|it| name.eq_ignore_ascii_case(it));
            runs = (at..behind).any(|i| self.t.name(i).is_some_and(|name| analyzes(&name)));
            at = behind;
        }
        while at < self.hi && self.t.any_kw(at, &["analyze", "analyse", "verbose"]) {
            runs |= !self.t.kw(at, "verbose");
            at += 1;
        }
        let inner = if self.t.kw(at, "declare") { self.behind(at, "for") } else { self.plannable(at) };
        if runs || inner == Other { inner } else { Query }
    }

    /// The statement behind this keyword, outside of brackets: `PREPARE p (int) AS ..`, `DECLARE c CURSOR FOR ..`.
    fn behind(&self, verb: usize, keyword: &str) -> StatementClass {
        let found = self.outside_of_brackets(verb).find(|&i| self.t.kw(i, keyword));
        found.map_or(Other, |i| self.plannable(i + 1))
    }

    fn copy(&self) -> StatementClass {
        let query = self.lo + 1;
        match self.outside_of_brackets(self.lo).find(|&i| self.t.any_kw(i, &["to", "from"])) {
            Some(i) if self.t.kw(i, "from") => Change,
            Some(_) if self.t.is(query, TokenKind::Open) => self.plannable(query + 1),
            Some(_) => Query,
            None => Other,
        }
    }

    /// pg_dump takes the weakest lock, which PostgreSQL allows in read-only transactions.
    fn lock(&self) -> StatementClass {
        let weakest = ["in", "access", "share", "mode"];
        if (self.lo..self.hi).any(|i| self.t.kws(i, &weakest)) { Query } else { Change }
    }

    fn outside_of_brackets(&self, verb: usize) -> impl Iterator<Item = usize> + '_ {
        let mut next = verb + 1;
        std::iter::from_fn(move || {
            let at = next;
            next = if self.t.is(at, TokenKind::Open) { self.t.behind_close(at, self.hi) } else { at + 1 };
            (at < self.hi).then_some(at)
        })
    }
}

/// Functions in a query that have effects on others.
const CHANGING: &[&str] = &["nextval", "setval", "pg_notify"];

/// Keywords that cannot name a relation, and that may follow a column with the name `update`.
const NO_RELATION: &[&str] = &[
    "and", "as", "asc", "collate", "cross", "desc", "else", "end", "except", "fetch", "for", "from", "full",
    "group", "having", "ilike", "in", "inner", "intersect", "is", "isnull", "join", "left", "like", "limit",
    "natural", "not", "notnull", "offset", "on", "or", "order", "right", "similar", "then", "union", "using",
    "when", "where", "window",
];
