//! The objects that a statement creates, changes or drops: a tenant may not change shared schemas.
//!
//! The witness finds the relations that the statement writes, and those that it names in addition to its object.

use std::ops::Range;

use super::kinds::{self, Kind};
use super::never;
use crate::lexer::TokenKind;
use crate::plan::StatementKind;
use crate::shape::{Act, Demand, Object, Resolved, Site, StatementShape, Write};
use crate::tokens::{Tokens, is_routine};

/// When the names of the statement's targets are resolved.
pub(crate) fn resolved(t: &Tokens<'_>, statement: &StatementShape) -> Resolved {
    let Range { start, end } = statement.tokens;
    let is_rule = || t.kw(start, "create") && t.kw(kinds::behind_prefix(t, start + 1, end), "rule");
    match &statement.kind {
        StatementKind::Prepare { .. } => Resolved::AtEachExecute,
        _ if is_routine(t, start) || is_rule() => Resolved::Later,
        _ => Resolved::AtOnce,
    }
}

/// A write demand for each object that the statement creates, changes or drops by name.
pub fn demands(t: &Tokens<'_>, statement: &StatementShape, out: &mut Vec<Demand>) {
    let Range { start, end } = statement.tokens;
    Targets { t, lo: start, hi: end }.command(out);
}

/// Reads the targets of one statement.
struct Targets<'a> {
    t: &'a Tokens<'a>,
    lo: usize,
    hi: usize,
}

/// The action on a target.
#[derive(Clone, Copy)]
struct Aim {
    object: Object,
    act: Act,
}

impl Aim {
    fn changed(object: Object) -> Self {
        Self { object, act: Act::Change }
    }

    fn made(object: Object) -> Self {
        Self { object, act: Act::Create }
    }
}

const RELATION: Aim = Aim { object: Object::Relation, act: Act::Change };

impl Targets<'_> {
    /// The object at `at`, with or without `ONLY` and a bracket; returns the token behind it.
    fn target(&self, at: usize, aim: Aim, out: &mut Vec<Demand>) -> usize {
        let only = usize::from(self.t.kw(at, "only"));
        let bracket = usize::from(only > 0 && self.t.is(at + 1, TokenKind::Open));
        let behind = self.named(at + only + bracket, aim, out);
        behind + bracket
    }

    /// The target at `at`; returns the token behind it.
    fn named(&self, at: usize, aim: Aim, out: &mut Vec<Demand>) -> usize {
        let part = |i: usize| match self.t.is(i, TokenKind::Op) && i < self.hi {
            true => Some(String::from_utf8_lossy(self.t.raw(i)).into()),
            false => self.t.name(i).filter(|_| i < self.hi).map(Box::from),
        };
        let Some(first) = part(at) else { return at };
        let mut parts: Vec<Box<str>> = vec![first];
        let mut next = at + 1;
        while self.t.is(next, TokenKind::Dot)
            && let Some(part) = part(next + 1)
        {
            parts.push(part);
            next += 2;
        }
        let name = parts.pop().unwrap_or_default();
        let Aim { object, act } = aim;
        let (schema, token) = (parts.pop(), at as u32);
        out.push(Demand::Write(Write {
            schema,
            name,
            token,
            object,
            act,
            sure: true,
            resolved: Resolved::AtOnce,
        }));
        next
    }

    /// Targets separated by commas, each with or without an argument or column list.
    fn list(&self, mut at: usize, aim: Aim, out: &mut Vec<Demand>) {
        loop {
            at = self.target(at, aim, out);
            at = if self.t.is(at, TokenKind::Open) { self.behind(at) } else { at };
            at += usize::from(self.t.op(at, "*"));
            if !self.t.is(at, TokenKind::Comma) || at >= self.hi {
                return;
            }
            at += 1;
        }
    }

    /// Statements with their own verb.
    fn command(&self, out: &mut Vec<Demand>) {
        let (t, lo) = (self.t, self.lo);
        match t.raw(lo).to_ascii_lowercase().as_slice() {
            b"create" => self.create(out),
            b"alter" => self.alter(out),
            b"drop" => self.drop(out),
            b"comment" => self.comment(out),
            b"grant" | b"revoke" => self.grant(out),
            _ => {}
        }
    }

    fn skip(&self, mut at: usize, words: &[&str]) -> usize {
        while at < self.hi && self.t.any_kw(at, words) {
            at += 1;
        }
        at
    }

    /// The token behind `IF EXISTS` or `IF NOT EXISTS`, if it is at `at`.
    fn behind_if(&self, at: usize) -> usize {
        match () {
            () if self.t.kws(at, &["if", "exists"]) => at + 2,
            () if self.t.kws(at, &["if", "not", "exists"]) => at + 3,
            () => at,
        }
    }

    /// The next such word, in no bracket.
    fn find(&self, from: usize, word: &str) -> Option<usize> {
        let mut at = from;
        while at < self.hi {
            if self.t.kw(at, word) {
                return Some(at);
            }
            at = self.behind(at);
        }
        None
    }

    /// The token behind this token, or behind the bracket that it opens.
    fn behind(&self, at: usize) -> usize {
        if self.t.is(at, TokenKind::Open) { self.t.behind_close(at, self.hi) } else { at + 1 }
    }

    /// The created object, if it is an object by itself.
    fn create(&self, out: &mut Vec<Demand>) {
        let at = kinds::behind_prefix(self.t, self.lo + 1, self.hi);
        let (kind, behind) = kinds::at(self.t, at);
        match kind {
            Kind::Rule => return self.rule(behind, out),
            Kind::OnTable | Kind::Index | Kind::Column | Kind::Unknown => return,
            Kind::Statistics if self.t.kw(self.behind_if(behind), "on") => return,
            _ => {}
        }
        let temporary = (self.lo..at).any(|i| self.t.any_kw(i, &["temp", "temporary"]));
        let mut made = Vec::new();
        self.named(self.behind_if(behind), Aim::made(kind.object()), &mut made);
        if kind == Kind::View {
            let site = if temporary { Site::Temporary } else { Site::Made };
            self.seal(&made, site, None, out);
        }
        // An object that is created without a schema goes into the first schema of the path, unless it is temporary.
        out.extend(made.into_iter().filter(|made| !temporary || has_schema(made)));
    }

    /// `RULE name AS ON event TO table`.
    fn rule(&self, at: usize, out: &mut Vec<Demand>) {
        if self.find(at, "on").is_some_and(|on| self.t.kw(on + 1, "select")) {
            out.push(never("make a rule ON SELECT", Some("Use CREATE VIEW.")));
        }
    }

    fn alter(&self, out: &mut Vec<Demand>) {
        let (kind, behind) = kinds::at(self.t, self.lo + 1);
        let name = self.behind_if(behind);
        match kind {
            Kind::OnTable | Kind::Rule => return self.behind_on(name, out),
            Kind::Column | Kind::Unknown => return,
            _ => {}
        }
        let first = out.len();
        let behind = self.target(name, Aim::changed(kind.object()), out);
        let behind = behind + usize::from(self.t.op(behind, "*"));
        let named: Vec<_> = out.get(first..).unwrap_or_default().to_vec();
        // `ALTER INDEX` renames views, too.
        let relation = kind.object() == Object::Relation || kind == Kind::Index;
        if relation && self.t.kws(behind, &["rename", "to"]) {
            self.seal(&named, Site::Found, self.t.name(behind + 2).map(Box::from), out);
        }
    }

    fn drop(&self, out: &mut Vec<Demand>) {
        let (kind, behind) = kinds::at(self.t, self.lo + 1);
        let name = self.behind_if(self.skip(behind, &["concurrently"]));
        match kind {
            Kind::OnTable | Kind::Rule => self.behind_on(name, out),
            Kind::Column | Kind::Unknown => {}
            _ => self.list(name, Aim::changed(kind.object()), out),
        }
    }

    /// `.. name ON table`
    fn behind_on(&self, from: usize, out: &mut Vec<Demand>) {
        if let Some(on) = self.find(from, "on") {
            self.target(on + 1, RELATION, out);
        }
    }

    /// `COMMENT ON TABLE a`, `COMMENT ON TRIGGER t ON a`, `COMMENT ON COLUMN a.c`.
    fn comment(&self, out: &mut Vec<Demand>) {
        let (kind, at) = kinds::at(self.t, self.lo + 2);
        match kind {
            Kind::Unknown => {}
            Kind::Column => self.column(at, out),
            Kind::OnTable | Kind::Rule => {
                let Some(on) = self.find(at, "on") else { return };
                match self.t.kw(on + 1, "domain") && !self.t.kw(on + 2, "is") {
                    true => _ = self.named(on + 2, Aim::changed(Object::Type), out),
                    false => _ = self.named(on + 1, RELATION, out),
                }
            }
            _ => _ = self.named(at, Aim::changed(kind.object()), out),
        }
    }

    /// `COMMENT ON COLUMN a.t.c`: the table is the part before the last one.
    fn column(&self, at: usize, out: &mut Vec<Demand>) {
        let parts = (0..).take_while(|n| *n == 0 || self.t.is(at + 2 * n - 1, TokenKind::Dot)).count();
        let name = |n: usize| self.t.name(at + 2 * n).map(Box::from);
        let table = parts.saturating_sub(2);
        let Some(found) = name(table) else { return };
        out.push(Demand::Write(Write {
            schema: table.checked_sub(1).and_then(name),
            name: found,
            token: at as u32,
            object: Object::Relation,
            act: Act::Change,
            sure: parts > 1,
            resolved: Resolved::AtOnce,
        }));
    }

    /// `GRANT SELECT ON [TABLE] a, b TO c`, `.. ON ALL TABLES IN SCHEMA s`.
    fn grant(&self, out: &mut Vec<Demand>) {
        let Some(on) = self.find(self.lo, "on") else { return };
        let writes = |i: usize| !self.t.any_kw(i, &["select", "references", "trigger"]);
        let words = |i: &usize| self.t.kind(*i).is_some_and(TokenKind::is_word);
        let grants = self.t.kw(self.lo, "grant") && (self.lo + 1..on).filter(words).any(writes);
        if self.t.kw(on + 1, "all") && !self.t.any_kw(on + 2, &["to", "from"]) {
            let schemas = self.find(on, "schema").filter(|_| grants && self.t.kw(on + 2, "tables"));
            return schemas.into_iter().for_each(|at| self.seal_schemas(at + 1, out));
        }
        let (kind, at) = match kinds::at(self.t, on + 1) {
            // A relation may have the name of a kind.
            (_, at) if self.t.any_kw(at, &["to", "from"]) => (Kind::Table, on + 1),
            (_, at) if matches!(self.t.kind(at), Some(TokenKind::Comma | TokenKind::Dot)) => {
                (Kind::Table, on + 1)
            }
            (Kind::Unknown, _) => (Kind::Table, on + 1),
            known => known,
        };
        let first = out.len();
        self.list(at, Aim::changed(kind.object()), out);
        if grants && kind.object() == Object::Relation {
            let named: Vec<_> = out.get(first..).unwrap_or_default().to_vec();
            self.seal(&named, Site::Found, None, out);
        }
    }

    /// Demands a check of the views with these names, or of the new name.
    fn seal(&self, named: &[Demand], site: Site, renamed: Option<Box<str>>, out: &mut Vec<Demand>) {
        out.extend(named.iter().filter_map(|demand| match demand {
            Demand::Write(Write { schema, name, token, .. }) => Some(Demand::Seal {
                schema: schema.clone(),
                name: Some(renamed.clone().unwrap_or_else(|| name.clone())),
                token: *token,
                site,
            }),
            _ => None,
        }));
    }

    fn seal_schemas(&self, mut at: usize, out: &mut Vec<Demand>) {
        while let Some(name) = self.t.name(at).filter(|_| at < self.hi) {
            let (schema, token, site) = (Some(name.into()), at as u32, Site::Found);
            out.push(Demand::Seal { schema, name: None, token, site });
            if !self.t.is(at + 1, TokenKind::Comma) {
                return;
            }
            at += 2;
        }
    }
}

fn has_schema(demand: &Demand) -> bool {
    matches!(demand, Demand::Write(Write { schema: Some(_), .. }))
}
