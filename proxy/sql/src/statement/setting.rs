//! `SET`, `RESET` and `SHOW` in each of their forms.

use super::*;
use crate::plan::Setting;

impl Reader<'_> {
    pub(super) fn set(&self) -> StatementKind {
        let scoped = self.at(1, &["session", "local"]) && !self.names_session_parts();
        let local = scoped && self.at(1, &["local"]);
        let at = self.lo + 1 + usize::from(scoped);
        let value = |name: &str, from: usize| self.setting(name, from, local);
        if self.t.kw(at, "transaction") {
            return StatementKind::SetTransaction;
        }
        if self.t.kws(at, &["time", "zone"]) {
            return match self.t.kw(at + 2, "local") {
                true => reset("timezone", local),
                false => value("timezone", at + 2),
            };
        }
        if self.t.kws(at, &["session", "characteristics", "as", "transaction"]) {
            return self.characteristics(at + 4);
        }
        if self.t.kw(at, "names") {
            return value("client_encoding", at + 1);
        }
        if self.t.kw(at, "schema") {
            return value("search_path", at + 1);
        }
        if self.t.kw(at, "role") {
            return value("role", at + 1);
        }
        if self.t.kws(at, &["session", "authorization"]) {
            return value("session_authorization", at + 2);
        }
        if self.t.kws(at, &["xml", "option"]) {
            return value("xmloption", at + 2);
        }
        let (name, next) = self.parameter(at);
        match !name.is_empty() && (self.t.kw(next, "to") || self.t.op(next, "=")) {
            true => value(&name, next + 1),
            // A statement that PostgreSQL would refuse.
            false => StatementKind::Plain,
        }
    }

    /// The modes of `SET SESSION CHARACTERISTICS AS TRANSACTION`, as settings.
    fn characteristics(&self, mut at: usize) -> StatementKind {
        const ISOLATION: &str = "default_transaction_isolation";
        let modes: [(&[&str], &str, &str); 8] = [
            (&["isolation", "level", "serializable"], ISOLATION, "serializable"),
            (&["isolation", "level", "repeatable", "read"], ISOLATION, "repeatable read"),
            (&["isolation", "level", "read", "committed"], ISOLATION, "read committed"),
            (&["isolation", "level", "read", "uncommitted"], ISOLATION, "read uncommitted"),
            (&["read", "only"], "default_transaction_read_only", "on"),
            (&["read", "write"], "default_transaction_read_only", "off"),
            (&["not", "deferrable"], "default_transaction_deferrable", "off"),
            (&["deferrable"], "default_transaction_deferrable", "on"),
        ];
        let mut out = Vec::new();
        while at < self.hi {
            let Some((words, name, value)) = modes.iter().find(|(words, ..)| self.t.kws(at, words)) else {
                return StatementKind::Plain;
            };
            out.push((*name, *value));
            at += words.len();
            at += usize::from(self.t.is(at, TokenKind::Comma));
        }
        StatementKind::Characteristics(out.into())
    }

    /// `SET SESSION AUTHORIZATION` and `SET SESSION CHARACTERISTICS`: `SESSION` is not a scope there.
    fn names_session_parts(&self) -> bool {
        self.at(1, &["session"]) && self.at(2, &["authorization", "characteristics"])
    }

    fn setting(&self, name: &str, from: usize, local: bool) -> StatementKind {
        if from >= self.hi || self.t.kw(from, "default") {
            return reset(name, local);
        }
        match name {
            // These apply to the transaction only.
            "transaction_isolation" | "transaction_read_only" | "transaction_deferrable" => {
                StatementKind::SetTransaction
            }
            // Replaying it on another server would restart the sequence of random numbers.
            "seed" => StatementKind::Plain,
            _ => {
                let setting = Setting { name: name.into(), value: from..self.hi, given: None, local };
                StatementKind::Set(Box::new(setting))
            }
        }
    }

    /// `SELECT [pg_catalog.]set_config('name', 'value' | $1, true | false)`, with no other call except
    /// `current_setting`: the function runs once, and its effect is known from the text.
    pub(super) fn set_config(&self) -> Option<(StatementKind, Way)> {
        if !self.at(0, &["select"]) {
            return None;
        }
        let mut calls = (self.lo..self.hi).filter(|&i| self.t.is(i + 1, TokenKind::Open));
        let is_config = |i: usize| self.t.kw(i, "set_config");
        let call = calls.clone().find(|&i| is_config(i))?;
        let name = call + 2;
        let comma = |at| self.t.is(at, TokenKind::Comma);
        let plain = self.t.is_string(name)
            && comma(name + 1)
            && (self.t.is_string(name + 2) || self.t.is(name + 2, TokenKind::Param))
            && comma(name + 3)
            && self.t.any_kw(name + 4, &["true", "false"])
            && self.t.is(name + 5, TokenKind::Close);
        if !plain {
            return None;
        }
        let kind = StatementKind::SetConfig { name, local: self.t.kw(name + 4, "true") };
        let qualified = self.t.kw(self.lo + 1, "pg_catalog") && self.t.is(self.lo + 2, TokenKind::Dot);
        let alone = self.hi == name + 6 && call == self.lo + if qualified { 3 } else { 1 };
        let once = calls.all(|i| i == call || self.t.kw(i, "current_setting"))
            && !(self.lo + 1..self.hi).any(|i| self.t.any_kw(i, ROWS));
        match (alone, once) {
            (true, _) => Some((kind, Way::Free)),
            (false, true) => Some((kind, Way::Path)),
            (false, false) => None,
        }
    }

    /// A dotted parameter name, and the token behind it.
    fn parameter(&self, mut at: usize) -> (String, usize) {
        let mut name = String::new();
        while let Some(part) = self.name_at(at) {
            name.push_str(&part.to_ascii_lowercase());
            if !self.t.is(at + 1, TokenKind::Dot) || at + 1 >= self.hi {
                return (name, at + 1);
            }
            name.push('.');
            at += 2;
        }
        (name, at)
    }

    pub(super) fn reset(&self) -> StatementKind {
        let at = self.lo + 1;
        if self.t.kw(at, "all") {
            return StatementKind::ResetAll;
        }
        reset(&self.shown(at), false)
    }

    /// The name behind `RESET` or `SHOW`.
    fn shown(&self, at: usize) -> String {
        match () {
            () if self.t.kws(at, &["time", "zone"]) => "timezone".into(),
            () if self.t.kws(at, &["session", "authorization"]) => "session_authorization".into(),
            () if self.t.kws(at, &["transaction", "isolation"]) => "transaction_isolation".into(),
            () => self.parameter(at).0,
        }
    }

    pub(super) fn show(&self) -> (StatementKind, Way) {
        let name = self.shown(self.lo + 1);
        // These two show the path itself.
        let way = if matches!(name.as_str(), "search_path" | "all") { Way::Path } else { Way::Free };
        (StatementKind::Show(name.into()), way)
    }
}

fn reset(name: &str, local: bool) -> StatementKind {
    StatementKind::Reset { name: name.into(), local }
}

/// With one of these keywords, a `SELECT` may return another number of rows than one.
const ROWS: &[&str] = &[
    "select", "from", "where", "having", "group", "limit", "offset", "fetch", "union", "except", "intersect",
    "values", "table", "into", "case", "and", "or", "coalesce",
];
