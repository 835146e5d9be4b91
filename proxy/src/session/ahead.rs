//! The status and the path behind statements that are in progress. Statements behind them are resolved under this path.

use std::sync::Arc;

use super::Status;
use super::effect::status_behind;
use super::expect::Effect;
use super::path::Effective;
use super::query::ends_failure;
use crate::pool::settings::{Assignment, LOCAL_PATH, SEARCH_PATH, Settings, Tracked};
use crate::shared::tenancy::Tenancy;
use crate::sql::plan::{Statement, StatementKind};

/// What PostgreSQL has confirmed, on which predictions rest.
pub(super) struct Confirmed<'a> {
    /// The status of the last `ReadyForQuery`.
    pub status: Status,
    /// The client's settings.
    pub settings: &'a Tracked,
    /// Those of its start-up packet.
    pub base: &'a Arc<Settings>,
    /// The tenant's own path.
    pub home: &'a str,
}

/// The status and the path behind the statements in progress, if these succeed.
///
/// Both protocols follow each statement with [`Ahead::advance`], and what it does to its server with
/// [`Link::advance`](super::link::Link::advance).
#[derive(Default)]
pub(super) struct Ahead {
    /// The status, where the statements determine it.
    status: Option<Status>,
    /// The client's settings as far as they determine the path, if they are not as confirmed. Rare, so they are boxed.
    settings: Option<Box<Tracked>>,
}

impl Ahead {
    /// For a text behind these statements: its own statements are followed from the confirmed status, because a `Query`
    /// is sent by that.
    pub fn behind(ahead: &Self) -> Self {
        Self { status: None, settings: ahead.settings.clone() }
    }

    /// The status, if it is not as confirmed.
    pub fn status(&self) -> Option<Status> {
        self.status
    }

    /// Whether the transaction has failed.
    pub fn has_failed(&self, now: &Confirmed<'_>) -> bool {
        self.status.unwrap_or(now.status) == Status::Failed
    }

    /// A statement was written; `effect` is what it does to the session. Returns whether its transaction has failed
    /// before it.
    pub fn advance(&mut self, statement: &Statement, effect: Option<&Effect>, now: &Confirmed<'_>) -> bool {
        let failed = self.has_failed(now);
        if !failed || ends_failure(statement) {
            self.status = status_behind(statement).or(self.status);
        }
        if self.settings.is_none() && effect.is_some_and(matters) {
            self.settings = Some(Box::new(now.settings.clone()));
        }
        let Some(settings) = &mut self.settings else { return failed };
        match &statement.kind {
            StatementKind::Commit { .. } if !failed => settings.commit(),
            StatementKind::Commit { .. } | StatementKind::Rollback { .. } => settings.roll_back(),
            _ => {}
        }
        if let Some(effect) = effect {
            follow(settings, effect, now.base, now.home);
        }
        failed
    }

    /// The status is as confirmed: the statements will not run.
    pub fn void(&mut self) {
        self.status = None;
    }

    /// A path was refused.
    pub fn distrust_path(&mut self) {
        if let Some(settings) = &mut self.settings {
            settings.distrust_path();
        }
    }

    /// Whether a path was refused, and no permitted one has been set since. `confirmed`: the client's settings.
    pub fn distrusts_path(&self, confirmed: &Tracked) -> bool {
        self.settings.as_deref().unwrap_or(confirmed).distrusts_path()
    }

    /// The path under which texts behind these statements are resolved, if it is not as confirmed.
    pub fn effective(&self, tenancy: &Arc<Tenancy>) -> Option<Effective> {
        self.settings.as_ref().map(|settings| Effective::of(settings.current(), tenancy))
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

    /// What holds behind a text in a transaction with this status.
    fn behind(status: Status, text: &str) -> (Ahead, Arc<Tenancy>) {
        let tenancy = Arc::new(Tenancy::of(scope(), "", true));
        let plan = Engine::new(1 << 20).plan(text.as_bytes(), &tenancy.scope, TextMode::default());
        let (settings, base, mut ahead) = (Tracked::default(), Arc::default(), Ahead::default());
        let now = Confirmed { status, settings: &settings, base: &base, home: &tenancy.home };
        for statement in &plan.statements {
            let effect = effect_of(statement, text.as_bytes(), true);
            ahead.advance(statement, effect.as_ref(), &now);
        }
        (ahead, tenancy)
    }

    /// The path behind a text in a transaction.
    fn path_behind(text: &str) -> String {
        let (ahead, tenancy) = behind(Status::Block, text);
        ahead.effective(&tenancy).map_or_else(|| tenancy.home.to_string(), |path| path.path.to_string())
    }

    #[test]
    fn path_is_followed_through_savepoints_and_ends() {
        let (home, public, catalog) = (path_behind("select 1"), "\"public\"", "\"pg_catalog\"");
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
            assert_eq!(path_behind(text), path, "{text}");
        }
    }

    #[test]
    fn status_is_followed_from_each_start() {
        for (from, text, then) in [
            (Status::Idle, "select 1", None),
            (Status::Idle, "begin", Some(Status::Block)),
            (Status::Idle, "begin; commit", Some(Status::Idle)),
            (Status::Block, "commit and chain", Some(Status::Block)),
            (Status::Block, "rollback; select 1", Some(Status::Idle)),
            (Status::Failed, "select 1", None),
            (Status::Failed, "begin", None),
            (Status::Failed, "rollback", Some(Status::Idle)),
            (Status::Failed, "rollback to s", Some(Status::Block)),
            (Status::Failed, "commit; begin", Some(Status::Block)),
        ] {
            assert_eq!(behind(from, text).0.status(), then, "{from:?}: {text}");
        }
    }

    #[test]
    fn end_of_a_failed_transaction_reverts_its_path() {
        let path = |status, text| {
            let (ahead, tenancy) = behind(status, text);
            ahead.effective(&tenancy).map(|path| path.path.to_string())
        };
        let text = "set search_path to public; commit";
        assert_eq!(path(Status::Block, text).as_deref(), Some("\"public\""));
        let (_, tenancy) = behind(Status::Idle, "select 1");
        assert_eq!(path(Status::Failed, text).as_deref(), Some(&*tenancy.home));
        assert_eq!(path(Status::Block, "select 1; set statement_timeout to 1"), None, "as confirmed");
    }

    #[test]
    fn text_begins_with_the_path_and_the_confirmed_status() {
        let (ahead, tenancy) = behind(Status::Failed, "rollback; set search_path to public");
        let text = Ahead::behind(&ahead);
        assert_eq!((ahead.status(), text.status()), (Some(Status::Idle), None));
        assert_eq!(text.effective(&tenancy).unwrap().path, ahead.effective(&tenancy).unwrap().path);
    }
}
