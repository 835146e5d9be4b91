//! Statements that are refused, or restricted to the tenant.

use super::never;
use crate::lexer::TokenKind;
use crate::name;
use crate::plan::StatementKind;
use crate::shape::{Demand, KeyKind, StatementShape};
use crate::tokens::{Tokens, is_routine};

const CLIENT_ENCODING: &str = "client_encoding";

pub(super) const SHARED: &str = "It is shared by all tenants; run it as an administrator, past the proxy.";

/// The demands of the statement's verb.
pub fn demands(t: &Tokens<'_>, statement: &StatementShape, out: &mut Vec<Demand>) {
    let command = Command { t, lo: statement.tokens.start, hi: statement.tokens.end };
    if let StatementKind::KeptSchema(name) = &statement.kind {
        return out.push(Demand::KeptSchema(name.clone()));
    }
    command.setting(&statement.kind, out);
    command.verb(out);
    command.names(out);
    // The verb of a nested statement (`EXPLAIN`, a rule's action) is in the middle.
    command.inner(out);
}

struct Command<'a> {
    t: &'a Tokens<'a>,
    lo: usize,
    hi: usize,
}

impl Command<'_> {
    fn at(&self, offset: usize, keywords: &[&str]) -> bool {
        self.lo + offset < self.hi && self.t.any_kw(self.lo + offset, keywords)
    }

    fn find(&self, keywords: &[&str]) -> Option<usize> {
        (self.lo..self.hi).find(|&i| self.t.kws(i, keywords))
    }

    fn has(&self, keywords: &[&str]) -> bool {
        self.find(keywords).is_some()
    }

    /// `SET` and `RESET`: the proxy decides about the role and about the first schemas of the path.
    fn setting(&self, kind: &StatementKind, out: &mut Vec<Demand>) {
        let name = match kind {
            StatementKind::Set(setting) => {
                out.push(Demand::Setting(setting.name.clone()));
                &setting.name
            }
            StatementKind::Characteristics(settings) => {
                out.extend(settings.iter().map(|(name, _)| Demand::Setting((*name).into())));
                return;
            }
            StatementKind::Reset { name, .. } => name,
            StatementKind::Plain if self.at(0, &["set"]) => return self.odd_set(out),
            _ => return,
        };
        match (&**name, kind) {
            ("role" | "session_authorization", kind) => out.push(Demand::Role {
                setting: name.clone(),
                value: match kind {
                    StatementKind::Set(setting) => Some(setting.value.clone()),
                    _ => None,
                },
            }),
            ("search_path", StatementKind::Set(setting)) => out.push(Demand::Path(setting.value.clone())),
            _ => {}
        }
    }

    /// A `SET` of unknown form must not concern a protected setting.
    fn odd_set(&self, out: &mut Vec<Demand>) {
        let at = self.lo + 1 + usize::from(self.t.any_kw(self.lo + 1, &["local", "session"]));
        out.push(Demand::Setting(self.parameter(at)));
        let matters = (self.lo + 1..self.hi).any(|i| {
            self.t.name(i).is_some_and(|n| {
                matches!(
                    n.to_ascii_lowercase().as_str(),
                    "search_path"
                        | "role"
                        | "session_authorization"
                        | "schema"
                        | "client_encoding"
                        | "standard_conforming_strings"
                )
            })
        });
        if matters {
            out.push(never("use SET in this form", None));
        }
    }

    fn verb(&self, out: &mut Vec<Demand>) {
        let first = self.t.raw(self.lo).to_ascii_lowercase();
        match first.as_slice() {
            b"create" | b"drop" | b"alter" => self.define(out),
            b"do" => out.push(Demand::Dynamic("run DO, whose text no one can check".into())),
            b"copy" => self.copy(out),
            b"grant" | b"revoke" => self.grant(out),
            b"comment" if self.at(2, SHARED_KINDS) => {
                out.push(never("comment on what is shared", Some(SHARED)))
            }
            b"comment" if self.at(2, &["schema"]) => out.push(never("comment on a schema", Some(SHARED))),
            b"listen" | b"notify" => out.push(Demand::Keys(KeyKind::Channel)),
            b"security" => out.push(never("set security labels", None)),
            b"load" => out.push(never("load libraries", None)),
            b"checkpoint" => out.push(never("run CHECKPOINT", None)),
            b"import" => out.push(never("import foreign schemas", Some(SHARED))),
            b"reassign" => out.push(never("reassign what roles own", Some(SHARED))),
            b"prepare" if self.at(1, &["transaction"]) && self.t.is_string(self.lo + 2) => {
                out.push(Demand::Keys(KeyKind::Transaction))
            }
            b"commit" | b"rollback" if self.at(1, &["prepared"]) => {
                out.push(Demand::Keys(KeyKind::Transaction));
            }
            b"reindex" => self.reindex(out),
            b"execute" => out.push(Demand::Replay),
            b"vacuum" | b"analyze" | b"analyse" | b"cluster" if self.names_nothing() => {
                out.push(never("maintain all tables at once", Some("Name the tables, each of them.")));
            }
            _ => {}
        }
    }

    /// Prepared statements and cursors: the proxy's names cannot be created or used.
    fn names(&self, out: &mut Vec<Demand>) {
        let reserved = |at| self.t.name(at).filter(|name| name::is_reserved(name)).map(Into::into);
        if self.at(0, &["prepare", "declare"]) {
            out.extend(reserved(self.lo + 1).map(Demand::Reserved));
        }
        if self.at(0, &["fetch", "move", "close"]) {
            out.extend(reserved(self.hi.saturating_sub(1)).map(Demand::NoCursor));
        }
        let current = (self.lo..self.hi).filter(|&i| self.t.kws(i, &["current", "of"]));
        out.extend(current.filter_map(|i| reserved(i + 2)).map(Demand::NoCursor));
    }

    /// `VACUUM`, `ANALYZE` or `CLUSTER` without a table: they process the tables of all tenants.
    fn names_nothing(&self) -> bool {
        let options = ["full", "freeze", "verbose", "analyze", "analyse"];
        let mut at = self.lo + 1;
        if self.t.is(at, TokenKind::Open) {
            at = self.t.behind_close(at, self.hi);
        }
        while at < self.hi && self.t.any_kw(at, &options) {
            at += 1;
        }
        at >= self.hi
    }

    fn reindex(&self, out: &mut Vec<Demand>) {
        let Some(at) = (self.lo..self.hi).find(|&i| self.t.any_kw(i, &["schema", "database", "system"]))
        else {
            return;
        };
        let name = at + 1 + usize::from(self.t.kw(at + 1, "concurrently"));
        match self.t.name(name) {
            Some(name) if self.t.kw(at, "schema") => out.push(Demand::WriteSchema(name.into())),
            _ => out.push(never("reindex the database", Some(SHARED))),
        }
    }

    /// CREATE, ALTER, DROP.
    fn define(&self, out: &mut Vec<Demand>) {
        let kind = self.object_kind();
        if self.t.any_kw(kind, SHARED_KINDS)
            || self.t.any_kw(kind, &["schema"])
            || self.is_two_word_kind(kind)
        {
            let what = String::from_utf8_lossy(self.t.raw(kind)).to_ascii_uppercase();
            let verb = String::from_utf8_lossy(self.t.raw(self.lo)).to_ascii_uppercase();
            out.push(never(format!("run {verb} {what}"), Some(SHARED)));
        }
        if self.at(0, &["drop"]) && self.at(1, &["owned"]) {
            out.push(never("drop what roles own", Some(SHARED)));
        }
        if self.at(0, &["alter"]) {
            if self.has(&["set", "schema"]) {
                out.push(never("move objects to another schema", None));
            }
            if self.at(1, &["default"]) {
                out.push(never("alter default privileges", Some(SHARED)));
            }
            if let Some(at) = self.find(&["owner", "to"]) {
                self.owner(at + 2, out);
            }
            // `ALTER TABLE ALL IN TABLESPACE` moves the tables of all schemas.
            if self.at(2, &["all"]) && self.at(3, &["in"]) {
                out.push(never("move all that a tablespace holds", Some(SHARED)));
            }
        }
        self.routine(out);
    }

    /// `OWNER TO role`.
    fn owner(&self, at: usize, out: &mut Vec<Demand>) {
        // The current role; a role with such a name must be quoted.
        if self.t.any_kw(at, &["current_user", "current_role", "session_user"]) && at + 1 == self.hi {
            return;
        }
        out.push(match self.t.name(at).filter(|_| at + 1 == self.hi) {
            Some(role) => Demand::Owner(role.into()),
            None => never("change owners", Some(SHARED)),
        });
    }

    /// The token of the kind of object that is created, altered or dropped.
    fn object_kind(&self) -> usize {
        let mut at = self.lo + 1;
        while at < self.hi
            && self.t.any_kw(
                at,
                &[
                    "or", "replace", "trusted", "procedural", "temp", "temporary", "global", "local",
                    "unlogged",
                ],
            )
        {
            at += 1;
        }
        at
    }

    fn is_two_word_kind(&self, kind: usize) -> bool {
        [
            ["event", "trigger"],
            ["foreign", "data"],
            ["user", "mapping"],
            ["access", "method"],
            ["large", "object"],
        ]
        .iter()
        .any(|words| self.t.kws(kind, words))
    }

    /// Functions: their bodies and their settings.
    fn routine(&self, out: &mut Vec<Demand>) {
        let alters = self.at(0, &["alter"]) && self.at(1, &["function", "procedure", "routine", "aggregate"]);
        if !alters && !is_routine(self.t, self.lo) {
            return;
        }
        self.settings_inside(out);
        if !alters && !self.has(&["begin", "atomic"]) && !self.has(&["return"]) {
            out.push(Demand::Dynamic("create functions whose body is a string".into()));
        }
        let body = (self.lo..self.hi).find(|&i| self.t.kw(i, "as") && self.t.is_string(i + 1));
        if body.is_some() && (self.has(&["begin", "atomic"]) || self.has(&["return"])) {
            out.push(Demand::Dynamic("create functions whose body is a string".into()));
        }
    }

    /// `SET search_path ..` as a clause of a function.
    fn settings_inside(&self, out: &mut Vec<Demand>) {
        for i in self.lo + 1..self.hi {
            if !self.t.any_kw(i, &["set", "reset"]) {
                continue;
            }
            let at = i + 1 + usize::from(self.t.any_kw(i + 1, &["local", "session"]));
            let Some(name) = self.t.name(at).map(|n| n.to_ascii_lowercase()) else {
                continue;
            };
            out.extend(self.t.kw(i, "set").then(|| Demand::Clause(self.parameter(at))));
            let value = at + 1;
            let sets = self.t.kw(value, "to") || self.t.op(value, "=");
            match name.as_str() {
                "search_path" if sets => out.push(Demand::Path(value + 1..self.value_end(value + 1))),
                "search_path" if self.t.kw(i, "reset") || self.t.kw(value, "from") => {}
                "search_path" | "role" | "session_authorization" | "schema" | "authorization" => {
                    out.push(never(format!("set {name} in a function"), None));
                }
                _ => {}
            }
        }
    }

    /// The dotted name of a parameter that begins at this token.
    fn parameter(&self, mut at: usize) -> Box<str> {
        let spelt = [
            (&["time", "zone"][..], "timezone"),
            (&["xml", "option"], "xmloption"),
            (&["names"], CLIENT_ENCODING),
        ];
        if let Some((_, name)) = spelt.iter().find(|(words, _)| self.t.kws(at, words)) {
            return (*name).into();
        }
        let mut name = String::new();
        while let Some(part) = self.t.name(at).filter(|_| at < self.hi) {
            name.push_str(&part.to_ascii_lowercase());
            if !self.t.is(at + 1, TokenKind::Dot) {
                break;
            }
            name.push('.');
            at += 2;
        }
        name.into()
    }

    /// The token behind a list of values: names and strings separated by commas.
    fn value_end(&self, mut at: usize) -> usize {
        while at < self.hi && self.t.is(at + 1, TokenKind::Comma) {
            at += 2;
        }
        (at + 1).min(self.hi)
    }

    /// COPY accesses the server's files and programs, unless it uses the client's stream.
    fn copy(&self, out: &mut Vec<Demand>) {
        let mut i = self.lo + 1;
        while i < self.hi {
            if self.t.is(i, TokenKind::Open) {
                i = self.t.behind_close(i, self.hi);
                continue;
            }
            if self.t.any_kw(i, &["to", "from"]) {
                if !self.t.any_kw(i + 1, &["stdin", "stdout"]) {
                    out.push(never(
                        "copy to or from the server's files and programs",
                        Some("Use STDIN or STDOUT."),
                    ));
                }
                return;
            }
            i += 1;
        }
    }

    fn grant(&self, out: &mut Vec<Demand>) {
        let Some(on) = self.find(&["on"]) else {
            return out.push(never("grant or revoke roles", Some(SHARED)));
        };
        if self.t.any_kw(on + 1, SHARED_KINDS)
            || self.t.any_kw(on + 1, &["schema", "foreign", "large", "parameter"])
        {
            out.push(never("grant or revoke on what is shared", Some(SHARED)));
        }
        if let Some(at) = self.find(&["in", "schema"]) {
            self.schemas(at + 2, out);
        }
    }

    fn schemas(&self, mut at: usize, out: &mut Vec<Demand>) {
        while let Some(name) = self.t.name(at).filter(|_| at < self.hi) {
            out.push(Demand::WriteSchema(name.into()));
            if !self.t.is(at + 1, TokenKind::Comma) {
                break;
            }
            at += 2;
        }
    }

    /// A rule's action may be NOTIFY.
    fn inner(&self, out: &mut Vec<Demand>) {
        let executes = |i| self.t.kw(i, "execute") && !self.t.any_kw(i + 1, &["function", "procedure"]);
        if self.at(0, &["create", "explain"]) && (self.lo..self.hi).any(executes) {
            out.push(Demand::Replay);
        }
        if self.at(0, &["create"]) && self.has_rule() && self.has(&["notify"]) {
            out.push(never("use NOTIFY in a rule", Some("Call pg_notify.")));
        }
    }

    fn has_rule(&self) -> bool {
        self.t.kw(self.object_kind(), "rule")
    }
}

/// Objects of the database or the cluster, not of a schema.
const SHARED_KINDS: &[&str] = &[
    "database", "role", "user", "group", "tablespace", "extension", "language", "subscription",
    "publication", "server", "system", "cast", "transform",
];
