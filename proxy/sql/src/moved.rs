//! Remapped tables: a tenant's own name for a table, or a shared table in place of a tenant's table with the same
//! name.
//!
//! No path leads to them. So a statement that names one is rewritten under both strategies, and refused if it cannot
//! be rewritten: a table that has the name by chance is never read.

use super::lexer::TokenKind;
use super::plan::{Insert, Refusal, SchemaRef, Splice};
use super::scope::{Currency, Moved, Names, Scope, TextMode};
use super::shape::{Alias, Named, Shape, Way};
use super::tokens::Tokens;

/// The relation of a text to remapped tables.
#[derive(Debug, PartialEq, Eq)]
pub enum Use<'a> {
    /// Nothing.
    None,
    /// The text names this one, and the path would find another table.
    Named(&'a Moved),
    /// The text names one; whether the path would find another table is not known now.
    Unknown,
}

/// Whether `shape` names a remapped table that the path does not find.
pub fn used<'a>(shape: &Shape, t: &Tokens<'_>, scope: &'a Scope) -> Use<'a> {
    if scope.moved.is_empty() {
        return Use::None;
    }
    let named: Vec<&Moved> = match shape.way {
        Way::Free => Vec::new(),
        Way::Names => shape.relations.iter().filter_map(|named| Some(scope.moved(&named.name)?.1)).collect(),
        // Any word may be a table's name.
        Way::Path | Way::Own => (0..t.all.len()).filter_map(|i| Some(scope.moved(&t.name(i)?)?.1)).collect(),
    };
    match (&scope.names, named.is_empty()) {
        (_, true) => Use::None,
        (Some(names), _) if names.currency == Currency::Current => {
            let elsewhere = named.into_iter().find(|moved| !is_on_path(moved, names));
            elsewhere.map_or(Use::None, Use::Named)
        }
        _ => Use::Unknown,
    }
}

/// Whether the path finds the table by its own name.
fn is_on_path(moved: &Moved, names: &Names) -> bool {
    let tenants = names.tenant.relations.contains_key(&moved.name);
    let found = match tenants {
        true => Some(SchemaRef::Tenant),
        false => {
            let index = names.shared.iter().position(|schema| schema.relations.contains_key(&moved.name));
            index.and_then(|index| u16::try_from(index).ok()).map(SchemaRef::Shared)
        }
    };
    moved.name == moved.table && found == Some(moved.schema)
}

/// The splices that replace `named` by the table with this index; `None` if the grammar does not allow it.
pub fn splices(named: &Named, index: u16, moved: &Moved, t: &Tokens<'_>) -> Option<Vec<Splice>> {
    let token = t.all.get(named.token as usize)?;
    let (start, end) = (token.start as usize, token.end as usize);
    if moved.name == moved.table {
        return Some(vec![Splice::new(start, Insert::Schema(moved.schema))]);
    }
    match named.alias {
        Alias::Name => Some(vec![Splice::new(start, Insert::Aliased(index))]),
        // The hidden part must not end the comment around it, which `UESCAPE` with a comment could.
        Alias::Given | Alias::None if token.kind != TokenKind::UnicodeQuoted => {
            Some(vec![Splice::new(start, Insert::Instead(index)), Splice::new(end, Insert::Close)])
        }
        _ => None,
    }
}

/// The refusal of a text that names `moved` and cannot be rewritten, with the reason `why`.
pub fn refusal(moved: &Moved, mode: TextMode, why: &dyn std::fmt::Display) -> Refusal {
    let why: &dyn std::fmt::Display = match () {
        () if mode.own_path => &"the session has a search_path of its own",
        () if mode.temp_tables => &"the session may have temporary tables",
        () if mode.stale_names => &"the transaction has changed what the schemas hold",
        () => why,
    };
    Refusal {
        code: "0A000",
        message: format!("\"{}\" is kept elsewhere, and this text can not be rewritten: {why}", moved.name),
        hint: Some("Use the table's own name with its schema, or a plainer statement.".into()),
    }
}
