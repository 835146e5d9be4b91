//! What a statement needs in front of it: the path, the role, or nothing at all.

use crate::pool::settings::SEARCH_PATH;
use crate::sql::plan::{Plan, Route, Statement, StatementKind};

/// Whether the path must be set before the statement runs. `opaque`: code outside of the text may have run in this
/// transaction; the query of a cursor may then be such code.
pub fn needs_path(statement: &Statement, route: &Route, opaque: bool) -> bool {
    match &statement.kind {
        StatementKind::Fetch => opaque,
        // A rollback to the savepoint must return to this path.
        StatementKind::Savepoint(_) => true,
        StatementKind::Show(name) => matches!(&**name, SEARCH_PATH | "all"),
        StatementKind::Set(setting) if setting.given.is_some() => matches!(route, Route::SearchPath),
        StatementKind::SetParameter { .. } => matches!(route, Route::SearchPath),
        StatementKind::Plain
        | StatementKind::BlockOnly
        | StatementKind::EndPrepared
        | StatementKind::CopyIn
        | StatementKind::Prepare { .. }
        | StatementKind::Execute(_) => {
            matches!(route, Route::SearchPath | Route::OwnTransaction)
        }
        _ => false,
    }
}

/// Whether the tenant's role must be in force when the statement runs. An unknown statement needs it.
pub fn needs_role(statement: &Statement) -> bool {
    use StatementKind as Kind;
    !matches!(
        &statement.kind,
        // They touch no object; some of them must be first in a transaction, or alone.
        Kind::Begin
            | Kind::Commit { .. }
            | Kind::Rollback { .. }
            | Kind::RollbackTo(_)
            | Kind::Release(_)
            | Kind::SetTransaction
            | Kind::Characteristics(_)
            | Kind::ResetAll
            | Kind::Discard(_)
            | Kind::Deallocate(_)
    )
}

/// Whether the statement fails, or has another effect, if another one is in front of it.
pub fn stands_alone(plan: &Plan) -> bool {
    let alone = |kind: &StatementKind| matches!(kind, StatementKind::BlockOnly | StatementKind::EndPrepared);
    runs_by_itself(plan) || matches!(&plan.statements[..], [only] if alone(&only.kind))
}

/// Whether a statement in front of the text would change its meaning, by turning it into a block.
pub fn runs_by_itself(plan: &Plan) -> bool {
    let alone = matches!(&plan.statements[..], [Statement { kind: StatementKind::BlockOnly, .. }]);
    plan.route == Route::OwnTransaction || alone && plan.route == Route::SearchPath
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_touches_nothing_goes_without() {
        use crate::sql::Engine;
        use crate::sql::scope::TextMode;
        let (engine, scope) = (Engine::new(1 << 20), crate::sql::fixture::scope());
        let needs = |text: &str| {
            let plan = engine.plan(text.as_bytes(), &scope, TextMode::default());
            plan.statements.iter().any(needs_role)
        };
        for text in [
            "begin",
            "commit and chain",
            "end",
            "abort",
            "rollback to s",
            "release s",
            "reset all",
            "discard all",
            "discard temp",
            "deallocate all",
            "set transaction read only",
            "prepare transaction 'x'",
            "set session characteristics as transaction read only",
            "",
        ] {
            assert!(!needs(text), "{text}");
        }
        for text in [
            "select 1",
            "savepoint s",
            "set a.b = 1",
            "set search_path to acme",
            "reset a.b",
            "show all",
            "listen c",
            "fetch c",
            "close c",
            "execute p",
            "prepare p as select 1",
            "commit prepared 'x'",
            "lock t",
            "notify c",
            "select set_config('a.b', 'x', true)",
            "copy t from stdin",
            "vacuum t",
            "table t",
        ] {
            assert!(needs(text), "{text}");
        }
    }
}
