//! Objects that can be altered, without being created again.

use crate::blueprint::item::Kind;

/// Whether dropping it deletes rows.
pub(super) fn keeps_data(kind: Kind) -> bool {
    matches!(kind, Kind::Table | Kind::Column | Kind::Sequence | Kind::Type | Kind::Attach)
}

/// Whether it is dropped and created again if it differs.
pub(super) fn is_remade(kind: Kind, old: &str, new: Option<&str>) -> bool {
    use Kind::{
        Aggregate, Check, DomainConstraint, ForeignKey, Function, Index, Key, MaterializedView, NotNull,
        Policy, Rule, Statistics, Trigger, View,
    };
    match kind {
        // `CREATE OR REPLACE` can change the body, but not arguments or result.
        Function => new.is_none_or(|new| head(old) != head(new)),
        Aggregate | Check | DomainConstraint | ForeignKey | Index | Key | MaterializedView | NotNull
        | Policy | Rule | Statistics | Trigger | View => true,
        _ => false,
    }
}

/// A function's arguments and result type.
fn head(function: &str) -> &str {
    function.split_once("\n LANGUAGE ").map_or(function, |(head, _)| head)
}

/// SQL that alters the old definition into the new one; `None` if there is no such command.
pub(super) fn altered(kind: Kind, name: &str, old: &str, new: &str) -> Option<String> {
    match kind {
        Kind::Function | Kind::Default | Kind::Setting | Kind::Comment | Kind::Owner | Kind::Owned => {
            // The expression of a generated column cannot be altered by itself.
            (!new.starts_with("GENERATED")).then(|| new.to_owned())
        }
        Kind::Sequence => {
            let settings = new.replacen("CREATE SEQUENCE", "ALTER SEQUENCE", 1);
            let cycle = if settings.ends_with(" CYCLE") { "" } else { " NO CYCLE" };
            settings.starts_with("ALTER SEQUENCE").then(|| format!("{settings}{cycle}"))
        }
        Kind::Column => column(name, new),
        Kind::Identity => identity(new),
        Kind::Type => labels(name, old, new),
        _ => None,
    }
}

/// Another type of a column; its values are cast.
fn column(name: &str, new: &str) -> Option<String> {
    let (table, rest) = new.strip_prefix("ALTER TABLE ")?.split_once(" ADD COLUMN ")?;
    let column = name.strip_prefix(table)?.strip_prefix('.')?;
    let ty = rest.strip_prefix(column)?.trim();
    let bare = ty.split_once(" COLLATE ").map_or(ty, |(bare, _)| bare);
    Some(format!("ALTER TABLE {table} ALTER COLUMN {column} TYPE {ty} USING {column}::{bare}"))
}

/// Changed settings of an identity column, which keeps its current value.
fn identity(new: &str) -> Option<String> {
    let (alter, rest) = new.split_once(" ADD GENERATED ")?;
    let (how, rest) = rest.split_once(" AS IDENTITY (SEQUENCE NAME ")?;
    let settings = rest.get(rest.find(" START WITH ")?..)?.strip_suffix(')')?;
    let mut set = settings.strip_suffix(" CYCLE").unwrap_or(settings).to_owned();
    for word in [" START WITH", " INCREMENT BY", " MINVALUE", " MAXVALUE", " CACHE"] {
        set = set.replacen(word, &format!(" SET{word}"), 1);
    }
    let cycle = if settings.ends_with(" CYCLE") { "CYCLE" } else { "NO CYCLE" };
    Some(format!("{alter} SET GENERATED {how}{set} SET {cycle}"))
}

/// Added labels of an enum, in their places; `None` if labels were removed.
fn labels(name: &str, old: &str, new: &str) -> Option<String> {
    let list = |text: &str| -> Option<Vec<String>> {
        let list = text.strip_prefix(&format!("CREATE TYPE {name} AS ENUM ("))?.strip_suffix(')')?;
        Some(list.split(", ").map(str::to_owned).collect())
    };
    let (old, new) = (list(old)?, list(new)?);
    let kept: Vec<&String> = new.iter().filter(|label| old.contains(label)).collect();
    if kept.len() != old.len() || !kept.into_iter().eq(old.iter()) {
        return None;
    }
    let mut sql = Vec::new();
    let mut before: Option<&String> = None;
    for label in &new {
        if !old.contains(label) {
            let place = match (before, old.first()) {
                (Some(before), _) => format!(" AFTER {before}"),
                (None, Some(first)) => format!(" BEFORE {first}"),
                (None, None) => String::new(),
            };
            sql.push(format!("ALTER TYPE {name} ADD VALUE {label}{place}"));
        }
        before = Some(label);
    }
    Some(sql.join(";\n"))
}
