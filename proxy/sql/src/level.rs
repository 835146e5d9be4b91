//! The kinds of statements that a user may run: the key `statements` of a user. This is an allow list: a kind that is
//! not known here is allowed with [`Level::All`] only.
//!
//! A level limits the damage of an injected statement in its own tenant. The guard keeps tenants apart, at each
//! level.

mod class;
pub mod read_only;
#[cfg(test)]
mod tests;

pub use class::{StatementClass, class_of};
pub use pgstrata_tenancy::Level;

use super::plan::Refusal;
use super::scope::{Scope, TextMode};
use super::shape::Shape;
use super::tokens::Tokens;

impl StatementClass {
    /// The lowest level that allows statements of this class.
    pub fn level(self) -> Level {
        match self {
            StatementClass::Control | StatementClass::Query => Level::Read,
            StatementClass::Change => Level::Write,
            StatementClass::Define => Level::Ddl,
            StatementClass::Other => Level::All,
        }
    }
}

/// The refusal of a text with a statement beyond the user's level.
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
            StatementClass::Control | StatementClass::Query | StatementClass::Other => {
                "runs code, or is of an unknown kind"
            }
        };
        let needs = statement.class.level().as_str();
        return Some(refused(scope, &format!("run {verb}, which {what}: it needs statements = \"{needs}\"")));
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
