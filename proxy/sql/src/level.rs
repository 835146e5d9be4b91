//! What a user's SQL may do at most: `statements` of a user. An allow list by the kind of statement: a kind
//! that is not known here is let through with [`Level::All`] alone.
//!
//! It limits what an injected statement can do to its own tenant; that no statement reaches another tenant is
//! the guard's part, at each level.

mod class;
pub mod read_only;
#[cfg(test)]
mod tests;

pub use class::{StatementClass, class_of};

use super::plan::Refusal;
use super::scope::{Scope, TextMode};
use super::shape::Shape;
use super::tokens::Tokens;

/// What is let through, in the order of what it allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Queries, in transactions that PostgreSQL holds to be read only.
    Read,
    /// Changes of rows, locks and sequences as well.
    Write,
    /// The definition and maintenance of objects as well.
    Ddl,
    /// Whatever the guard lets through.
    #[default]
    All,
}

impl Level {
    /// The name in configuration files.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Read => "read",
            Level::Write => "write",
            Level::Ddl => "ddl",
            Level::All => "all",
        }
    }
}

impl StatementClass {
    /// The least level that lets statements of this class through.
    pub fn level(self) -> Level {
        match self {
            StatementClass::Control | StatementClass::Query => Level::Read,
            StatementClass::Change => Level::Write,
            StatementClass::Define => Level::Ddl,
            StatementClass::Other => Level::All,
        }
    }
}

/// The refusal of a text that holds a statement beyond the user's level.
pub fn refusal(shape: &Shape, t: &Tokens<'_>, scope: &Scope, mode: TextMode) -> Option<Refusal> {
    if scope.statements == Level::All {
        return None;
    }
    let beyond = shape.statements.iter().find(|s| s.class.level() > scope.statements);
    if let Some(statement) = beyond {
        let verb = String::from_utf8_lossy(t.raw(statement.tokens.start)).to_ascii_uppercase();
        let what = match statement.class {
            StatementClass::Change => "changes or locks rows",
            StatementClass::Define => "defines or maintains objects",
            StatementClass::Control | StatementClass::Query | StatementClass::Other => "is not limited",
        };
        let needs = statement.class.level().as_str();
        return Some(refused(scope, &format!("run {verb} here, which {what} and needs \"{needs}\"")));
    }
    (scope.statements == Level::Read).then(|| read_only::refusal(shape, t, scope, mode)).flatten()
}

fn refused(scope: &Scope, what: &str) -> Refusal {
    let level = scope.statements.as_str();
    Refusal {
        code: "42501",
        message: format!("permission denied: a user with statements = \"{level}\" may not {what}"),
        hint: Some(
            "An administrator may change \"statements\" of this user in the proxy's configuration.".into(),
        ),
    }
}
