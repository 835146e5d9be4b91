//! The path in force behind statements that are in progress. Statements behind them are resolved under this path.

use std::sync::Arc;

use super::expect::Effect;
use super::path::Effective;
use super::tenant::Tenancy;
use crate::pool::settings::{Assignment, LOCAL_PATH, SEARCH_PATH, Settings, Tracked};
use crate::sql::plan::{Statement, StatementKind};

/// The client's settings after the statements in progress, as far as they determine the path.
pub(super) struct Ahead {
    settings: Tracked,
}

impl Ahead {
    /// The settings that PostgreSQL has confirmed so far.
    pub fn of(settings: &Tracked) -> Self {
        Self { settings: settings.clone() }
    }

    /// The settings behind `statement`, if it succeeds. `failed`: it is in a transaction that has failed; `base`: the
    /// settings of the start-up packet; `home`: the tenant's own path.
    pub fn run(
        &mut self,
        statement: &Statement,
        effect: Option<&Effect>,
        failed: bool,
        base: &Arc<Settings>,
        home: &str,
    ) {
        match &statement.kind {
            StatementKind::Commit { .. } if !failed => self.settings.commit(),
            StatementKind::Commit { .. } | StatementKind::Rollback { .. } => self.settings.roll_back(),
            _ => {}
        }
        if let Some(effect) = effect {
            follow(&mut self.settings, effect, base, home);
        }
    }

    /// A path was refused.
    pub fn distrust_path(&mut self) {
        self.settings.distrust_path();
    }

    /// Whether a path was refused, and no permitted one has been set since.
    pub fn distrusts_path(&self) -> bool {
        self.settings.distrusts_path()
    }

    /// The path under which texts behind these statements are resolved.
    pub fn effective(&self, tenancy: &Arc<Tenancy>) -> Effective {
        Effective::of(self.settings.current(), tenancy)
    }
}

/// Whether the effect of a statement changes the path, or the path to which a rollback returns.
pub(super) fn matters(effect: &Effect) -> bool {
    match effect {
        Effect::Set(name, _) | Effect::Reset(name) => **name == *SEARCH_PATH,
        Effect::SetLocalPath(_)
        | Effect::ResetLocalPath
        | Effect::ResetAll
        | Effect::DiscardAll
        | Effect::Savepoint(_)
        | Effect::RollbackTo(_)
        | Effect::End { .. } => true,
        _ => false,
    }
}

/// Applies the effect of a statement to the path.
pub(super) fn follow(settings: &mut Tracked, effect: &Effect, base: &Arc<Settings>, home: &str) {
    match effect {
        Effect::Set(name, list) if **name == *SEARCH_PATH => settings.set(name, list.clone()),
        Effect::Reset(name) if **name == *SEARCH_PATH => settings.reset(name, base),
        Effect::SetLocalPath(list) => settings.set(LOCAL_PATH, Assignment::of_ours(list)),
        Effect::ResetLocalPath => {
            let path = base.get(SEARCH_PATH).unwrap_or(home);
            settings.set(LOCAL_PATH, Assignment::of_ours(path));
        }
        Effect::ResetAll | Effect::DiscardAll => settings.reset_all(base),
        Effect::Savepoint(name) => settings.savepoint(name),
        Effect::RollbackTo(name) => settings.roll_back_to(name),
        Effect::Release(name) => settings.release(name),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::effect::effect_of;
    use crate::sql::Engine;
    use crate::sql::fixture::scope;
    use crate::sql::scope::TextMode;

    /// The path behind a text in a transaction.
    fn behind(text: &str) -> String {
        let tenancy = Arc::new(Tenancy::of(scope(), "", true));
        let plan = Engine::new(1 << 20).plan(text.as_bytes(), &tenancy.scope, TextMode::default());
        let mut ahead = Ahead::of(&Tracked::default());
        for statement in &plan.statements {
            let effect = effect_of(statement, text.as_bytes(), true);
            ahead.run(statement, effect.as_ref(), false, &Arc::default(), &tenancy.home);
        }
        ahead.effective(&tenancy).path.to_string()
    }

    #[test]
    fn path_is_followed_through_savepoints_and_ends() {
        let (home, public, catalog) = (behind("select 1"), "\"public\"", "\"pg_catalog\"");
        for (text, path) in [
            ("set local search_path to public", public),
            ("set search_path to public; set local search_path to pg_catalog", catalog),
            ("set local search_path to pg_catalog; set search_path to public", public),
            ("set search_path to public; set local search_path to pg_catalog; commit", public),
            ("set local search_path to public; commit", &home),
            ("set search_path to public; rollback", &home),
            ("set search_path to public; set local search_path to default", &home),
            ("set search_path to public; set local search_path to default; commit", public),
            ("set local search_path to public; reset search_path", &home),
            ("set local search_path to public; reset all", &home),
            (
                "set local search_path to public; savepoint a; set search_path to pg_catalog; rollback to a",
                public,
            ),
            ("savepoint a; set local search_path to public; release a", public),
            ("savepoint a; set local search_path to public; rollback to a", &home),
            ("set local statement_timeout to 1", &home),
        ] {
            assert_eq!(behind(text), path, "{text}");
        }
    }
}
