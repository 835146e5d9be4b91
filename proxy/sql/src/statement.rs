//! The kind of a statement, recognized by its keywords, without a parser.

mod setting;
#[cfg(test)]
mod tests;

use std::ops::Range;

use super::level::class_of;
use super::lexer::TokenKind;
use super::plan::{Discard, Execution, PinReason, StatementKind};
use super::shape::{KeyChange, StatementShape, Way};
use super::tokens::Tokens;

/// The properties of the statement `range`, before its names are analysed.
pub fn classify(t: &Tokens<'_>, range: Range<usize>) -> StatementShape {
    let reader = Reader { t, lo: range.start, hi: range.end };
    let (kind, way) = reader.kind();
    let ddl = reader.is_ddl() && !matches!(kind, StatementKind::KeptSchema(_));
    let writes = ddl || reader.writes(&kind);
    let (frees, draws) = (reader.frees(), reader.calls(&["nextval", "setval", "lastval", "currval"]));
    let class = class_of(t, &range);
    // PostgreSQL's parser determines this.
    let keys = KeyChange::None;
    StatementShape {
        pin: reader.pin(&kind),
        tokens: range,
        kind,
        class,
        writes,
        ddl,
        keys,
        frees,
        draws,
        way,
    }
}

/// Reads one statement.
struct Reader<'a> {
    t: &'a Tokens<'a>,
    lo: usize,
    hi: usize,
}

impl Reader<'_> {
    /// Whether the token `offset` behind the first is one of these keywords.
    fn at(&self, offset: usize, keywords: &[&str]) -> bool {
        self.lo + offset < self.hi && self.t.any_kw(self.lo + offset, keywords)
    }

    /// Whether these keywords occur in it, side by side.
    fn has(&self, keywords: &[&str]) -> bool {
        (self.lo..self.hi).any(|i| self.t.kws(i, keywords))
    }

    fn is_last(&self, offset: usize) -> bool {
        self.lo + offset >= self.hi
    }

    fn name_at(&self, i: usize) -> Option<Box<str>> {
        (i < self.hi).then(|| self.t.name(i)).flatten().map(Into::into)
    }

    fn name_or_empty(&self, offset: usize) -> Box<str> {
        self.name_at(self.lo + offset).unwrap_or_default()
    }

    /// Whether one of these functions is called in it.
    fn calls(&self, names: &[&str]) -> bool {
        let is_call = |i| {
            self.t.is(i + 1, TokenKind::Open) && self.t.name(i).is_some_and(|name| names.contains(&&*name))
        };
        (self.lo..self.hi).any(is_call)
    }

    /// Whether it may end a pin.
    fn frees(&self) -> bool {
        self.at(0, &["drop", "discard", "deallocate", "close"])
            || self.calls(&["pg_advisory_unlock", "pg_advisory_unlock_shared", "pg_advisory_unlock_all"])
    }

    fn kind(&self) -> (StatementKind, Way) {
        use StatementKind as Kind;
        let chain = self.has(&["and", "chain"]);
        if let Some(known) = self.set_config() {
            return known;
        }
        let first = self.t.raw(self.lo).to_ascii_lowercase();
        match first.as_slice() {
            b"begin" | b"start" => (Kind::Begin, Way::Free),
            b"commit" | b"end" if !self.at(1, &["prepared"]) => (Kind::Commit { chain }, Way::Free),
            b"rollback" | b"abort" if !self.at(1, &["prepared"]) => (self.rollback(chain), Way::Free),
            // `PREPARE transaction AS ..` prepares a statement with the name `transaction`.
            b"prepare" if self.at(1, &["transaction"]) && self.t.is_string(self.lo + 2) => {
                (Kind::Commit { chain: false }, Way::Free)
            }
            b"savepoint" => (Kind::Savepoint(self.name_or_empty(1)), Way::Free),
            b"release" => {
                let at = if self.at(1, &["savepoint"]) && !self.is_last(2) { 2 } else { 1 };
                (Kind::Release(self.name_or_empty(at)), Way::Free)
            }
            // Constraints are found by the path, and deferred triggers may fire.
            b"set" if self.at(1, &["constraints"]) => (Kind::BlockOnly, Way::Path),
            b"set" => (self.set(), Way::Free),
            b"reset" => (self.reset(), Way::Free),
            b"show" => self.show(),
            b"discard" => (self.discard().map_or(Kind::Plain, Kind::Discard), Way::Free),
            b"prepare" => {
                let writes = (self.lo..self.hi).any(|i| self.marks_write(i));
                (Kind::Prepare { name: self.name_or_empty(1), writes }, Way::Path)
            }
            b"execute" | b"explain" | b"create" if self.execution().is_some() => {
                (self.execution().map_or(Kind::Plain, |found| Kind::Execute(found.into())), Way::Path)
            }
            b"create" if self.kept_schema().is_some() => {
                (self.kept_schema().map_or(Kind::Plain, Kind::KeptSchema), Way::Free)
            }
            b"fetch" | b"move" => (Kind::Fetch, Way::Free),
            b"deallocate" => (self.deallocate().unwrap_or(Kind::Plain), Way::Free),
            b"lock" => (Kind::BlockOnly, Way::Names),
            b"declare" if !self.has(&["with", "hold"]) => (Kind::BlockOnly, Way::Names),
            b"copy" if self.copies_in() => (Kind::CopyIn, Way::Names),
            b"listen" => (self.name_at(self.lo + 1).map_or(Kind::Plain, Kind::Listen), Way::Free),
            b"unlisten" => (Kind::Unlisten(self.name_at(self.lo + 1)), Way::Free),
            b"commit" | b"rollback" if self.at(1, &["prepared"]) => (Kind::EndPrepared, Way::Free),
            b"close" | b"notify" | b"checkpoint" => (Kind::Plain, Way::Free),
            b"select" | b"insert" | b"update" | b"delete" | b"merge" | b"values" | b"with" | b"explain"
            | b"table" | b"copy" | b"truncate" | b"declare" => (Kind::Plain, Way::Names),
            _ if self.t.is(self.lo, TokenKind::Open) => (Kind::Plain, Way::Names),
            _ if self.needs_own_transaction() => (Kind::Plain, Way::Own),
            _ => (Kind::Plain, Way::Path),
        }
    }

    fn rollback(&self, chain: bool) -> StatementKind {
        let to = if self.at(1, &["work", "transaction"]) { 2 } else { 1 };
        if !self.at(to, &["to"]) {
            return StatementKind::Rollback { chain };
        }
        let at = if self.at(to + 1, &["savepoint"]) && !self.is_last(to + 2) { to + 2 } else { to + 1 };
        StatementKind::RollbackTo(self.name_or_empty(at))
    }

    /// The schema of `CREATE SCHEMA IF NOT EXISTS name`.
    fn kept_schema(&self) -> Option<Box<str>> {
        let known = self.t.kws(self.lo, &["create", "schema", "if", "not", "exists"]) && self.is_last(6);
        known.then(|| self.name_at(self.lo + 5)).flatten()
    }

    /// A `DISCARD` that PostgreSQL would refuse is not one.
    fn discard(&self) -> Option<Discard> {
        let known = [
            ("all", Discard::All),
            ("plans", Discard::Plans),
            ("sequences", Discard::Sequences),
            ("temp", Discard::Temp),
            ("temporary", Discard::Temp),
        ];
        known.into_iter().find(|(word, _)| self.at(1, &[word]) && self.is_last(2)).map(|(_, discard)| discard)
    }

    fn deallocate(&self) -> Option<StatementKind> {
        // `DEALLOCATE prepare` drops a statement with the name `prepare`.
        let at = if self.at(1, &["prepare"]) && !self.is_last(2) { 2 } else { 1 };
        let name = self.name_at(self.lo + at).filter(|_| self.is_last(at + 1))?;
        Some(StatementKind::Deallocate((!self.at(at, &["all"])).then_some(name)))
    }

    /// `EXECUTE name`, `EXPLAIN .. EXECUTE name`, `CREATE TABLE .. AS EXECUTE name`.
    fn execution(&self) -> Option<Execution> {
        let mut at = self.lo;
        if self.t.kw(at, "explain") {
            at += 1;
            if self.t.is(at, TokenKind::Open) {
                at = self.t.behind_close(at, self.hi);
            }
            while at < self.hi && self.t.any_kw(at, &["analyze", "analyse", "verbose"]) {
                at += 1;
            }
        }
        if self.t.kw(at, "create") {
            at = self.behind_as(at + 1)?;
        }
        let name = at + 1;
        let runs = at < self.hi && self.t.kw(at, "execute");
        Some(Execution { name: self.name_at(name).filter(|_| runs)?, at: name..name + 1 })
    }

    /// The source of the rows of a `CREATE TABLE`; `at` is the word behind `CREATE`.
    fn behind_as(&self, mut at: usize) -> Option<usize> {
        while self.t.any_kw(at, &["global", "local", "temp", "temporary", "unlogged"]) {
            at += 1;
        }
        if !self.t.kw(at, "table") {
            return None;
        }
        while at < self.hi && !self.t.kw(at, "as") {
            at = if self.t.is(at, TokenKind::Open) { self.t.behind_close(at, self.hi) } else { at + 1 };
        }
        Some(at + 1)
    }

    /// `COPY name [(columns)] FROM STDIN`.
    fn copies_in(&self) -> bool {
        let mut i = self.lo;
        while i < self.hi {
            if self.t.is(i, TokenKind::Open) {
                i = self.t.behind_close(i, self.hi);
                continue;
            }
            if self.t.kw(i, "from") {
                // PostgreSQL's own grammar accepts `STDOUT` as `STDIN` there.
                return self.t.any_kw(i + 1, &["stdin", "stdout"]);
            }
            i += 1;
        }
        false
    }

    fn needs_own_transaction(&self) -> bool {
        let concurrently = self.has(&["concurrently"]);
        match () {
            () if self.at(0, &["vacuum", "call", "do"]) => true,
            () if self.at(0, &["create", "drop", "alter"]) && self.at(1, &["subscription"]) => true,
            () if self.at(0, &["create", "drop"]) => {
                self.at(1, &["database", "tablespace"]) || (concurrently && self.at(1, &["index", "unique"]))
            }
            // For a partitioned relation, they cannot run in a transaction block.
            () if self.at(0, &["reindex", "cluster"]) => true,
            () if self.at(0, &["alter"]) => {
                self.at(1, &["system"])
                    || (self.at(1, &["table"]) && concurrently && self.has(&["detach", "partition"]))
                    || (self.at(1, &["database"]) && self.has(&["set", "tablespace"]))
            }
            () => false,
        }
    }

    fn is_ddl(&self) -> bool {
        // A `DO` block or a procedure may run DDL.
        self.at(0, &["create", "alter", "drop", "import", "do", "call"])
            // The prepared transaction may contain DDL.
            || self.at(0, &["commit"]) && self.at(1, &["prepared"])
            || (!self.at(0, &["insert", "merge"]) && self.selects_into())
    }

    /// `SELECT .. INTO table`: an `INTO` without an `INSERT` or `MERGE` in front of it.
    fn selects_into(&self) -> bool {
        (self.lo + 1..self.hi).any(|i| self.t.kw(i, "into") && !self.t.any_kw(i - 1, &["insert", "merge"]))
    }

    fn writes(&self, kind: &StatementKind) -> bool {
        match kind {
            StatementKind::CopyIn | StatementKind::Prepare { .. } | StatementKind::Execute(_) => return true,
            StatementKind::Plain | StatementKind::BlockOnly => {}
            _ => return false,
        }
        if self.at(0, &["close", "notify", "set", "lock", "commit", "rollback"]) {
            return false;
        }
        let reads = self.at(0, &["select", "values", "table", "with", "explain", "copy", "declare"])
            || self.t.is(self.lo, TokenKind::Open);
        !reads || (self.lo..self.hi).any(|i| self.marks_write(i))
    }

    fn marks_write(&self, i: usize) -> bool {
        self.t.any_kw(i, &["insert", "update", "delete", "merge", "into"])
            || (self.t.kw(i, "for") && self.t.any_kw(i + 1, &["update", "share", "no", "key"]))
    }

    fn pin(&self, kind: &StatementKind) -> Option<PinReason> {
        if matches!(kind, StatementKind::Prepare { .. }) {
            return Some(PinReason::SqlPrepare);
        }
        if matches!(kind, StatementKind::Plain) && self.at(0, &["set"]) {
            return Some(PinReason::SessionState);
        }
        // The settings and objects that a block creates are unknown.
        if self.at(0, &["load", "do"]) {
            return Some(PinReason::SessionState);
        }
        if self.at(0, &["declare"]) && self.has(&["with", "hold"]) {
            return Some(PinReason::HoldCursor);
        }
        if self.makes_temp() {
            return Some(PinReason::TempTable);
        }
        if matches!(kind, StatementKind::SetConfig { .. }) {
            return None;
        }
        (self.lo..self.hi).find_map(|i| self.pinned_by_call(i))
    }

    fn makes_temp(&self) -> bool {
        let creates = (self.lo..self.hi).any(|i| self.t.kw(i, "create"));
        (self.lo..self.hi).any(|i| {
            let temp = self.t.any_kw(i, &["temp", "temporary"]);
            let behind_into = i > self.lo
                && (self.t.kw(i - 1, "into")
                    || (self.t.any_kw(i - 1, &["local", "global"])
                        && i > self.lo + 1
                        && self.t.kw(i - 2, "into")));
            // Named in a path or in front of a name: an object that is created there hides a tenant's table.
            let is_named = || self.t.name(i).is_some_and(|n| n == "pg_temp");
            (temp && (behind_into || creates)) || self.t.raw(i).len() >= "pg_temp".len() && is_named()
        })
    }

    fn pinned_by_call(&self, i: usize) -> Option<PinReason> {
        if !self.t.is(i + 1, TokenKind::Open) {
            return None;
        }
        match self.t.name(i)?.as_ref() {
            "pg_advisory_lock"
            | "pg_advisory_lock_shared"
            | "pg_try_advisory_lock"
            | "pg_try_advisory_lock_shared" => Some(PinReason::AdvisoryLock),
            "lastval" | "currval" => Some(PinReason::Sequence),
            "setseed" => Some(PinReason::SessionState),
            "set_config" => {
                let close = self.t.behind_close(i + 1, self.hi).saturating_sub(1);
                let local = self.t.is(close - 2, TokenKind::Comma) && self.t.kw(close - 1, "true");
                (!local).then_some(PinReason::SessionState)
            }
            _ => None,
        }
    }
}
