//! The kind of object of a `CREATE`, `ALTER`, `DROP`, `COMMENT` or `GRANT`.
//!
//! Only the words of the grammar are read. The name follows them, and may itself be one of these words.

use crate::shape::Object;
use crate::tokens::Tokens;

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Table,
    View,
    /// Another relation: a sequence, a materialized view.
    Relation,
    Index,
    Type,
    Routine,
    Statistics,
    /// An object of a schema whose names are not in the catalog.
    Other,
    /// A trigger, policy or constraint, which belongs to a table: `name ON table`.
    OnTable,
    /// A rule, likewise.
    Rule,
    Column,
    /// Not an object of a schema, or unknown.
    Unknown,
}

impl Kind {
    /// How its name is looked up.
    pub fn object(self) -> Object {
        match self {
            Kind::Table | Kind::View | Kind::Relation => Object::Relation,
            Kind::Type => Object::Type,
            Kind::Routine => Object::Routine,
            Kind::Index => Object::Index,
            _ => Object::Other,
        }
    }
}

/// The kinds by their words; of those with the same beginning, the longest comes first.
const KINDS: &[(&[&str], Kind)] = &[
    (&["table"], Kind::Table),
    (&["foreign", "table"], Kind::Table),
    (&["materialized", "view"], Kind::Relation),
    (&["view"], Kind::View),
    (&["sequence"], Kind::Relation),
    (&["index"], Kind::Index),
    (&["type"], Kind::Type),
    (&["domain"], Kind::Type),
    (&["function"], Kind::Routine),
    (&["procedure"], Kind::Routine),
    (&["routine"], Kind::Routine),
    (&["aggregate"], Kind::Routine),
    (&["operator", "class"], Kind::Other),
    (&["operator", "family"], Kind::Other),
    (&["operator"], Kind::Other),
    (&["collation"], Kind::Other),
    (&["conversion"], Kind::Other),
    (&["statistics"], Kind::Statistics),
    (&["text", "search", "configuration"], Kind::Other),
    (&["text", "search", "dictionary"], Kind::Other),
    (&["text", "search", "parser"], Kind::Other),
    (&["text", "search", "template"], Kind::Other),
    (&["trigger"], Kind::OnTable),
    (&["policy"], Kind::OnTable),
    (&["constraint"], Kind::OnTable),
    (&["rule"], Kind::Rule),
    (&["column"], Kind::Column),
];

/// The kind at `at`, and the token behind its words.
pub(super) fn at(t: &Tokens<'_>, at: usize) -> (Kind, usize) {
    let found = KINDS.iter().find(|(words, _)| t.kws(at, words));
    found.map_or((Kind::Unknown, at), |(words, kind)| (*kind, at + words.len()))
}

/// The token behind the words between `CREATE` and the kind.
pub(super) fn behind_prefix(t: &Tokens<'_>, mut at: usize, end: usize) -> usize {
    const PREFIX: &[&str] = &[
        "or", "replace", "global", "local", "temp", "temporary", "unlogged", "unique", "recursive", "default",
    ];
    while at < end && (t.any_kw(at, PREFIX) || t.kws(at, &["constraint", "trigger"])) {
        at += 1;
    }
    at
}
