//! What a statement writes or defines: shared schemas are not a tenant's to change.

use std::ops::Range;

use crate::sql::lexer::TokenKind;
use crate::sql::shape::Demand;
use crate::sql::tokens::Tokens;

/// A write demand for each target in `range`.
pub fn demands(t: &Tokens<'_>, range: &Range<usize>, out: &mut Vec<Demand>) {
    let targets = Targets { t, hi: range.end };
    targets.command(range.start, out);
    for i in range.clone() {
        targets.change(i, out);
    }
}

struct Targets<'a> {
    t: &'a Tokens<'a>,
    hi: usize,
}

impl Targets<'_> {
    /// INSERT, UPDATE, DELETE and MERGE, wherever they stand (CTEs, rules, function bodies).
    fn change(&self, i: usize, out: &mut Vec<Demand>) {
        let t = self.t;
        let at = match () {
            () if t.any_kw(i, &["insert", "merge"]) && t.kw(i + 1, "into") => i + 2,
            () if t.kw(i, "delete") && t.kw(i + 1, "from") => i + 2,
            // `FOR UPDATE`, `DO UPDATE SET`, `THEN UPDATE SET`, `ON UPDATE CASCADE` have no target.
            () if t.kw(i, "update") && !t.any_kw(i.wrapping_sub(1), &["for", "key", "on", "do", "then"]) => {
                i + 1
            }
            () if t.kw(i, "into") && !t.any_kw(i.wrapping_sub(1), &["insert", "merge"]) => {
                self.behind_into(i + 1)
            }
            () => return,
        };
        let created = t.kw(i, "into");
        self.target(at, Made { created, rows: !created, routine: false }, out);
    }

    /// The relation at `at`, with `ONLY` and a bracket in front of it or not; answers the token behind it.
    fn target(&self, at: usize, made: Made, out: &mut Vec<Demand>) -> usize {
        let only = usize::from(self.t.kw(at, "only"));
        let bracket = usize::from(only > 0 && self.t.is(at + 1, TokenKind::Open));
        let behind = self.named(at + only + bracket, made, out);
        behind + bracket
    }

    /// `SELECT .. INTO [TEMP | UNLOGGED] [TABLE] name`.
    fn behind_into(&self, mut at: usize) -> usize {
        while self.t.any_kw(at, &["local", "global", "temp", "temporary", "unlogged", "table"]) {
            at += 1;
        }
        at
    }

    /// The target at `at`; answers the token behind it.
    fn name(&self, at: usize, out: &mut Vec<Demand>) -> usize {
        self.named(at, Made::default(), out)
    }

    fn named(&self, at: usize, made: Made, out: &mut Vec<Demand>) -> usize {
        let name = |i: usize| self.t.name(i).filter(|_| i < self.hi).map(Box::from);
        let Some(first) = name(at) else { return at };
        let mut parts: Vec<Box<str>> = vec![first];
        let mut next = at + 1;
        while self.t.is(next, TokenKind::Dot)
            && let Some(part) = name(next + 1)
        {
            parts.push(part);
            next += 2;
        }
        // `schema.+`: an operator's name is no word.
        if self.t.is(next, TokenKind::Dot) {
            parts.push("operator".into());
            next += 2;
        }
        let object = parts.pop().unwrap_or_default();
        let Made { created, routine, rows } = made;
        out.push(Demand::Write {
            schema: parts.pop(),
            name: object,
            token: at as u32,
            created,
            routine,
            rows,
        });
        next
    }

    fn list(&self, at: usize, out: &mut Vec<Demand>) {
        self.list_of(at, false, out);
    }

    fn list_of(&self, mut at: usize, routine: bool, out: &mut Vec<Demand>) {
        loop {
            at = match routine {
                true => self.named(at, Made { routine, ..Made::default() }, out),
                false => self.target(at, Made::default(), out),
            };
            if self.t.is(at, TokenKind::Open) {
                at = self.t.behind_close(at, self.hi);
            }
            at += usize::from(self.t.op(at, "*"));
            if !self.t.is(at, TokenKind::Comma) || at >= self.hi {
                return;
            }
            at += 1;
        }
    }

    /// Statements with a verb of their own.
    fn command(&self, lo: usize, out: &mut Vec<Demand>) {
        let t = self.t;
        match t.raw(lo).to_ascii_lowercase().as_slice() {
            b"truncate" => self.list(lo + 1 + usize::from(t.kw(lo + 1, "table")), out),
            b"copy" => self.copy(lo, out),
            b"create" => self.create(lo, out),
            b"alter" | b"drop" => self.alter(lo, out),
            b"comment" => self.behind_on(lo, out),
            b"grant" | b"revoke" => self.behind_on(lo, out),
            b"refresh" => _ = self.name(self.skip(lo + 1, &["materialized", "view", "concurrently"]), out),
            _ => {}
        }
    }

    fn skip(&self, mut at: usize, words: &[&str]) -> usize {
        while at < self.hi && self.t.any_kw(at, words) {
            at += 1;
        }
        at
    }

    fn copy(&self, lo: usize, out: &mut Vec<Demand>) {
        if self.t.is(lo + 1, TokenKind::Open) {
            return;
        }
        let mut found = Vec::new();
        let rows = Made { rows: true, ..Made::default() };
        let behind = self.named(lo + 1, rows, &mut found);
        let behind =
            if self.t.is(behind, TokenKind::Open) { self.t.behind_close(behind, self.hi) } else { behind };
        if self.t.kw(behind, "from") {
            out.append(&mut found);
        }
    }

    /// The object that is made, and for indexes, triggers, rules and policies the table it is on.
    fn create(&self, lo: usize, out: &mut Vec<Demand>) {
        let at = self.skip(lo + 1, PREFIX);
        let kind = self.t.raw(at).to_ascii_lowercase();
        match kind.as_slice() {
            b"index" | b"trigger" | b"rule" | b"policy" => {
                let mut from = at + 1;
                // A rule is `ON event TO table`.
                let word = if kind == b"rule" { "to" } else { "on" };
                while from < self.hi && !self.t.kw(from, word) {
                    from += 1;
                }
                from += 1;
                self.target(from, Made::default(), out);
            }
            _ => {
                let mut made = Vec::new();
                let name = self.skip(at, KINDS);
                let temporary = (lo..at).any(|i| self.t.any_kw(i, &["temp", "temporary"]));
                let name = self.skip(name, &["if", "not", "exists"]);
                self.named(name, Made { created: !temporary, ..Made::default() }, &mut made);
                // What is made without a schema comes to stand in the path's first.
                out.extend(made.into_iter().filter(|demand| {
                    matches!(
                        demand,
                        Demand::Write { schema: Some(_), .. } | Demand::Write { created: true, .. }
                    )
                }));
            }
        }
        // `INHERITS (t)` and `PARTITION OF t` change the parent.
        for i in at..self.hi {
            if self.t.kw(i, "inherits") && self.t.is(i + 1, TokenKind::Open) {
                self.list(i + 2, out);
            }
            if self.t.kws(i, &["partition", "of"]) {
                self.name(i + 2, out);
            }
            if self.t.kw(i, "references") {
                self.name(i + 1, &mut Vec::new());
            }
        }
    }

    fn alter(&self, lo: usize, out: &mut Vec<Demand>) {
        let at = self.skip(lo + 1, PREFIX);
        let on_table = self.t.any_kw(at, &["trigger", "rule", "policy"]);
        let name = self.skip(self.skip(at, KINDS), &["concurrently", "if", "exists"]);
        if on_table {
            return self.behind_on(name, out);
        }
        self.list_of(name, self.t.any_kw(at, ROUTINES), out);
        for i in name..self.hi {
            let parent = (self.t.kw(i, "inherit") && !self.t.kw(i.wrapping_sub(1), "no"))
                || (self.t.kw(i, "partition") && self.t.any_kw(i.wrapping_sub(1), &["attach", "detach"]));
            if parent {
                self.name(i + 1, out);
            }
        }
    }

    /// `COMMENT ON TABLE a`, `GRANT SELECT ON [TABLE] a, b`, `DROP TRIGGER t ON a`.
    fn behind_on(&self, lo: usize, out: &mut Vec<Demand>) {
        let Some(on) = (lo..self.hi).find(|&i| self.t.kw(i, "on")) else {
            return;
        };
        let comment = self.t.kw(lo, "comment");
        let at = self.skip(on + 1, KINDS);
        if self.t.kw(at, "all") {
            return;
        }
        let inner = (at..self.hi).find(|&i| comment && self.t.kw(i, "on"));
        match inner {
            Some(on) => _ = self.name(on + 1, out),
            None if self.t.kw(on + 1, "column") => self.column(at, out),
            None => self.list_of(at, self.t.any_kw(on + 1, ROUTINES), out),
        }
    }

    /// `COMMENT ON COLUMN a.t.c`: the table is the part before the last.
    fn column(&self, at: usize, out: &mut Vec<Demand>) {
        let mut found = Vec::new();
        self.name(at, &mut found);
        let parts = (0..).take_while(|n| *n == 0 || self.t.is(at + 2 * n - 1, TokenKind::Dot)).count();
        if parts > 2 {
            let name = |i: usize| self.t.name(i).unwrap_or_default().into();
            found = vec![Demand::Write {
                schema: Some(name(at + 2 * (parts - 3))),
                name: name(at + 2 * (parts - 2)),
                token: at as u32,
                created: false,
                routine: false,
                rows: false,
            }];
        } else if let Some(table) = self.t.name(at) {
            found = vec![Demand::Write {
                schema: None,
                name: table.into(),
                token: at as u32,
                created: false,
                routine: false,
                rows: false,
            }];
        }
        out.append(&mut found);
    }
}

/// What is done to a target.
#[derive(Clone, Copy, Default)]
struct Made {
    /// It is made.
    created: bool,
    /// It is a function or the like, of which several have one name.
    routine: bool,
    /// Its rows are written.
    rows: bool,
}

const ROUTINES: &[&str] = &["function", "procedure", "routine", "aggregate"];
const PREFIX: &[&str] = &[
    "or", "replace", "global", "local", "temp", "temporary", "unlogged", "unique", "recursive", "constraint",
];
const KINDS: &[&str] = &[
    "table", "view", "materialized", "sequence", "index", "function", "procedure", "routine", "aggregate",
    "type", "domain", "operator", "class", "family", "collation", "conversion", "statistics", "text",
    "search", "configuration", "dictionary", "parser", "template", "foreign", "trigger", "rule", "policy",
    "column", "constraint",
];
