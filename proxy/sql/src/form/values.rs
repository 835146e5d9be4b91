//! Words that are values: what a setting gets, and names that exist as long as a session or less.
//!
//! The words of a statement are names of objects only in the statements that [`NAMED`] lists. In all others a word is
//! shown if it is one of [`KEYWORDS`], or the name of a setting.

use std::ops::Range;

use super::super::lexer::TokenKind;
use super::super::tokens::{self, Tokens};

/// The first words of statements whose words are names of objects.
const NAMED: &[&str] = &[
    "alter", "analyse", "analyze", "call", "cluster", "comment", "copy", "create", "declare", "delete", "do",
    "drop", "explain", "grant", "import", "insert", "lock", "merge", "prepare", "reassign", "refresh",
    "reindex", "revoke", "security", "select", "table", "truncate", "update", "vacuum", "values", "with",
];

/// What is shown of all other statements. No word that a setting may have as its value is needed.
const KEYWORDS: &[&str] = &[
    "abort", "absolute", "all", "and", "as", "authorization", "backward", "begin", "catalog", "chain",
    "characteristics", "checkpoint", "close", "commit", "committed", "constraints", "deallocate", "default",
    "deferrable", "deferred", "discard", "end", "execute", "fetch", "first", "forward", "from", "immediate",
    "in", "isolation", "last", "level", "listen", "load", "local", "move", "names", "next", "no", "none",
    "not", "notify", "only", "option", "plans", "prepare", "prepared", "prior", "read", "relative",
    "release", "repeatable", "reset", "role", "rollback", "savepoint", "schema", "sequences", "serializable",
    "session", "set", "show", "snapshot", "start", "temp", "temporary", "time", "to", "transaction",
    "uncommitted", "unlisten", "work", "write", "xml", "zone",
];

/// Behind `SET`, these begin no name of a setting.
const PARTS: &[&str] =
    &["catalog", "constraints", "names", "role", "schema", "session", "time", "transaction", "xml"];

/// Which tokens of a text are values although they are no literals.
///
/// Linear in the number of tokens.
pub fn marked(t: &Tokens<'_>) -> Vec<bool> {
    let mut marks = Marks { t, hidden: vec![false; t.all.len()] };
    tokens::statements(t).into_iter().for_each(|range| marks.statement(&range));
    marks.hidden
}

/// The first word of a text, in capitals, if it begins a statement.
pub fn keyword(t: &Tokens<'_>) -> Option<String> {
    let known = NAMED.iter().chain(KEYWORDS).find(|word| t.kw(0, word))?;
    Some(known.to_ascii_uppercase())
}

struct Marks<'a> {
    t: &'a Tokens<'a>,
    hidden: Vec<bool>,
}

impl Marks<'_> {
    fn statement(&mut self, range: &Range<usize>) {
        let first = range.start;
        if !self.t.any_kw(first, NAMED) && !self.t.is(first, TokenKind::Open) {
            return self.command(range);
        }
        if self.t.any_kw(first, &["prepare", "declare"]) {
            self.hide(first + 1, range.end);
        }
        let defines = self.t.any_kw(first, &["create", "alter"]);
        let runs = self.t.any_kw(first, &["create", "explain"]);
        for at in first + 1..range.end {
            let precedes = runs && self.t.any_kw(at, &["execute", "declare"]) && !self.is_routine(at + 1)
                || defines && self.t.kw(at, "password");
            if self.t.kws(at, &["current", "of"]) {
                self.hide(at + 2, range.end);
            } else if precedes {
                self.hide(at + 1, range.end);
            } else if defines && self.t.kw(at, "set") {
                self.setting(at + 1, range.end);
            }
        }
    }

    /// `EXECUTE FUNCTION f()` of a trigger.
    fn is_routine(&self, at: usize) -> bool {
        self.t.any_kw(at, &["function", "procedure"])
    }

    /// A statement that has no names of objects: keywords and a setting's name are shown.
    fn command(&mut self, range: &Range<usize>) {
        let (first, end) = (range.start, range.end);
        let shown = match self.t.any_kw(first, &["set", "show", "reset"]) {
            true => self.setting_of_command(first, end),
            false => 0..0,
        };
        // Behind a setting's name all is its value, but for DEFAULT.
        let is_value = |at: usize| !shown.is_empty() && at > shown.end && self.t.kw(first, "set");
        for at in first..end {
            let known = self.t.any_kw(at, KEYWORDS) && !is_value(at) || self.t.kw(at, "default");
            if !known && !shown.contains(&at) {
                self.hide(at, end);
            }
        }
    }

    /// The name of the setting that a `SET`, `SHOW` or `RESET` names; empty if it names none.
    fn setting_of_command(&self, first: usize, end: usize) -> Range<usize> {
        let scoped = self.t.kw(first, "set") && self.t.any_kw(first + 1, &["session", "local"]);
        let at = first + 1 + usize::from(scoped);
        let behind = self.parameter(at, end);
        let is_set = self.t.kw(behind, "to") || self.t.op(behind, "=") || self.t.kw(behind, "from");
        match self.t.kw(first, "set") {
            true if !is_set || self.t.any_kw(at, PARTS) && behind == at + 1 && !self.t.op(behind, "=") => {
                0..0
            }
            _ => at..behind,
        }
    }

    /// `name TO value, ..` or `name = value, ..` behind a `SET` of a definition: the values are hidden.
    fn setting(&mut self, at: usize, end: usize) {
        let behind = self.parameter(at, end);
        if behind == at || !(self.t.kw(behind, "to") || self.t.op(behind, "=")) {
            return;
        }
        let mut value = behind + 1;
        while value < end {
            self.hide(value, end);
            if !self.t.is(value + 1, TokenKind::Comma) {
                return;
            }
            value += 2;
        }
    }

    /// The token behind a dotted name.
    fn parameter(&self, mut at: usize, end: usize) -> usize {
        while at < end && self.t.kind(at).is_some_and(TokenKind::is_word) {
            if at + 1 >= end || !self.t.is(at + 1, TokenKind::Dot) {
                return at + 1;
            }
            at += 2;
        }
        at.min(end)
    }

    /// Hides a word; what is no word is no name.
    fn hide(&mut self, at: usize, end: usize) {
        let is_word = at < end && self.t.kind(at).is_some_and(TokenKind::is_word);
        if let Some(hidden) = self.hidden.get_mut(at).filter(|_| is_word) {
            *hidden = true;
        }
    }
}
