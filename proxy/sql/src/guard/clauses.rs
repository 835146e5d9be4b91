//! The places of expressions, by keywords only, without a parser.

use std::ops::Range;

use crate::lexer::TokenKind;
use crate::marks::Marks;
use crate::tokens::Tokens;

/// The places in a statement.
pub struct Clauses {
    /// Tokens at places where a column may be, and no relation, function or type.
    pub operands: Marks,
    /// FROMs that introduce no relation: `EXTRACT(year FROM a)`, `a IS DISTINCT FROM b`.
    pub separators: Marks,
    /// For each open bracket and the statement itself.
    stack: Vec<Clause>,
}

/// Where relations stand.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum List {
    /// Nowhere here.
    #[default]
    None,
    /// Behind a verb that changes them: `UPDATE`, `INSERT INTO` ...
    Targets,
    /// Behind `FROM`, `JOIN` or `USING`. Any unreserved word may be a name or an alias there, so none of those ends
    /// it.
    Sources,
}

/// The clause that a token stands in.
#[derive(Clone, Copy, Default)]
struct Clause {
    /// Expressions stand here.
    expressions: bool,
    /// A list of relations: a comma is followed by another one, even after a join condition.
    list: List,
    /// The arguments of a function with keywords between them.
    worded: bool,
    /// The arguments of a JSON function: RETURNING is followed by a type.
    json: bool,
}

impl Clauses {
    /// Reads statement `range`.
    pub fn of(t: &Tokens<'_>, range: Range<usize>) -> Self {
        let first = first_query(t, range.clone());
        // The last operand begins behind the last token.
        let marks = || Marks::of(&(range.start..range.end + 1));
        let mut clauses = Self { operands: marks(), separators: marks(), stack: vec![Clause::default()] };
        for i in range {
            clauses.step(t, i);
            if first.is_some_and(|first| i >= first) && clauses.here().expressions && clauses.begins(t, i) {
                clauses.operands.insert(i + 1);
            }
        }
        clauses
    }

    fn here(&self) -> Clause {
        self.stack.last().copied().unwrap_or_default()
    }

    fn set(&mut self, expressions: bool) {
        if let Some(last) = self.stack.last_mut() {
            last.expressions = expressions;
        }
    }

    fn list(&mut self, list: List) {
        if let Some(last) = self.stack.last_mut() {
            last.list = list;
        }
    }

    /// Whether an operand may follow token `at`.
    fn begins(&self, t: &Tokens<'_>, at: usize) -> bool {
        use TokenKind::{Assign, Colon, Comma, Op, Open, OpenBracket};
        match t.kind(at) {
            Some(Op | Comma | Open | OpenBracket | Colon | Assign) => true,
            Some(TokenKind::Word) if t.kw(at, "returning") => !self.here().json,
            Some(TokenKind::Word) => {
                t.any_kw(at, OPERAND)
                    || self.separators.contains(at)
                    || is_grouping(t, at)
                    // A column with that name would be at a place without a preceding operand.
                    || (t.any_kw(at, &["between", "like", "ilike"])
                        && !matches!(t.kind(at.wrapping_sub(1)), Some(Open | Comma) | None))
            }
            _ => false,
        }
    }

    fn step(&mut self, t: &Tokens<'_>, i: usize) {
        match t.kind(i) {
            Some(TokenKind::Open) => self.open(t, i),
            Some(TokenKind::Close) if self.stack.len() > 1 => _ = self.stack.pop(),
            Some(TokenKind::Comma) if self.here().list != List::None => self.set(false),
            // A label may be any word.
            Some(TokenKind::Word) if t.is(i.wrapping_sub(1), TokenKind::Dot) => {}
            // In a list of relations these are names.
            Some(TokenKind::Word)
                if self.here().list == List::Sources
                    && (t.any_kw(i, &["set", "values"])
                        || t.kws(i.wrapping_sub(1), &["partition", "by"])) => {}
            Some(TokenKind::Word)
                if self.here().list == List::Sources
                    && t.any_kw(i, VERBS)
                    && !t.any_kw(i.wrapping_sub(1), &["do", "then"]) => {}
            Some(TokenKind::Word) if t.any_kw(i, &["union", "except", "intersect"]) => {
                self.set(false);
                self.list(List::None);
            }
            Some(TokenKind::Word) if t.any_kw(i, EXPRESSIONS) || is_grouping(t, i) => {
                self.set(true);
                if !t.any_kw(i, WITHIN_LIST) {
                    self.list(List::None);
                }
            }
            Some(TokenKind::Word) if t.kw(i, "from") && (self.here().worded || is_comparison(t, i)) => {
                self.separators.insert(i);
            }
            Some(TokenKind::Word) if t.any_kw(i, NAMES) => {
                self.set(false);
                let sources = t.any_kw(i, &["from", "join", "using"]);
                self.list(if sources { List::Sources } else { List::Targets });
            }
            _ => {}
        }
    }

    fn open(&mut self, t: &Tokens<'_>, i: usize) {
        let before = i.wrapping_sub(1);
        let named =
            t.kind(before).is_some_and(TokenKind::is_word) && !t.is(i.wrapping_sub(2), TokenKind::Dot);
        let call = t.kind(before).is_some_and(TokenKind::is_word) && !t.any_kw(before, BRACKETS_RELATIONS);
        let json = named && t.raw(before).get(..4).is_some_and(|word| word.eq_ignore_ascii_case(b"json"));
        let worded = named
            && t.any_kw(before, &["extract", "substring", "trim", "overlay"])
            && !t.any_kw(i.wrapping_sub(2), NAMES)
            && !holds_query(t, i);
        self.stack.push(Clause {
            expressions: call || self.here().expressions,
            list: List::None,
            worded,
            json,
        });
    }
}

/// Whether the bracket at `open` contains a query, possibly in further brackets.
fn holds_query(t: &Tokens<'_>, open: usize) -> bool {
    let first = (open..).find(|&i| !t.is(i, TokenKind::Open)).unwrap_or(open);
    t.any_kw(first, &["select", "with", "values", "table"])
}

/// `ORDER BY`, `GROUP BY`, `PARTITION BY`; a column may have the name `by`.
fn is_grouping(t: &Tokens<'_>, by: usize) -> bool {
    t.kw(by, "by") && t.any_kw(by.wrapping_sub(1), &["order", "group", "partition"])
}

/// `a IS [NOT] DISTINCT FROM b`.
fn is_comparison(t: &Tokens<'_>, from: usize) -> bool {
    let back = |n: usize| from.wrapping_sub(n);
    let is = |n: usize| t.kw(back(n), "is") && !t.is(back(n + 1), TokenKind::Dot) && !t.kw(back(n + 1), "as");
    t.kw(back(1), "distinct") && (is(2) || (t.kw(back(2), "not") && is(3)))
}

/// The start of the queries and expressions of a statement; everything in front is names.
fn first_query(t: &Tokens<'_>, range: Range<usize>) -> Option<usize> {
    let lo = range.start;
    if t.kw(lo, "prepare") {
        // In front of it stand types.
        return range.clone().find(|&i| t.kw(i, "as"));
    }
    if t.is(lo, TokenKind::Open) || t.any_kw(lo, QUERIES) {
        return Some(lo);
    }
    let kind =
        (lo + 1..lo + 7).find(|&i| t.any_kw(i, DEFINED)).filter(|_| t.any_kw(lo, &["create", "alter"]))?;
    let words: &[&str] = match () {
        () if t.kw(kind, "table") && t.kw(lo, "alter") => &["check"],
        () if t.kw(kind, "table") => &["as"],
        () if t.kw(kind, "index") => &["where"],
        () => BODIES,
    };
    // A function may have the name of one of these words; a bracket follows its name.
    let routine = t.any_kw(kind, &["function", "procedure"]);
    let from = match range.clone().find(|&i| routine && i > kind && t.is(i, TokenKind::Open)) {
        Some(open) => open,
        None if routine => return None,
        None => kind,
    };
    let words = if routine {
        words
    } else {
        &words.iter().copied().filter(|w| !matches!(*w, "atomic" | "return")).collect::<Vec<_>>()[..]
    };
    let mut depth = 0usize;
    range.clone().skip_while(|&i| i < from).find(|&i| {
        match t.kind(i) {
            Some(TokenKind::Open) => depth += 1,
            Some(TokenKind::Close) => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && t.any_kw(i, words)
    })
}

const QUERIES: &[&str] = &[
    "select", "with", "values", "table", "insert", "update", "delete", "merge", "explain", "declare", "copy",
    "execute",
];
/// Objects whose definitions contain queries or expressions.
const DEFINED: &[&str] = &["table", "view", "rule", "policy", "trigger", "function", "procedure", "index"];
const BODIES: &[&str] = &["as", "do", "when", "using", "check", "where", "atomic", "return"];
const EXPRESSIONS: &[&str] = &[
    "select", "where", "having", "returning", "values", "when", "then", "else", "set", "on", "and", "or",
    "limit", "offset",
];
/// Those of them that may be followed by more of a FROM list.
const WITHIN_LIST: &[&str] = &["on", "and", "or", "when", "then", "else"];
const NAMES: &[&str] = &[
    "from", "join", "into", "update", "table", "only", "using", "with", "insert", "delete", "merge", "of",
    "to",
];
/// Verbs that are names elsewhere.
const VERBS: &[&str] = &["update", "insert", "delete", "merge", "of"];
/// A bracket behind one of these contains relations or queries.
const BRACKETS_RELATIONS: &[&str] =
    &["from", "join", "into", "only", "lateral", "using", "as", "materialized", "table", "with", "of", "to"];
const OPERAND: &[&str] = &[
    "select", "where", "having", "when", "then", "else", "and", "or", "not", "case", "distinct", "all", "in",
    "on", "limit", "offset", "variadic",
];
