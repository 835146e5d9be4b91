//! A search path that names another tenant.
//!
//! If the user may switch, a path that begins with a tenant's schema is a switch to that tenant, like `SET tenant`;
//! then the statement sets a path of the new tenant. Any other path that reaches beyond the tenant is refused, and so
//! are the statements behind it: a client that ignores the error would read tables of a tenant that it did not mean. A
//! permitted path ends the block, and so do `RESET`, `DISCARD ALL` and `SET tenant`; a rollback does not.

use std::sync::Arc;

use pgstrata_tenancy::{TenantId, ident};
use tokio::io::{AsyncRead, AsyncWrite};

use super::bound::bound_path;
use super::judge::Source;
use super::path;
use super::request::Step;
use super::switch::{TenantSwitchError, aborted};
use super::{Session, Status};
use crate::pool::settings::SEARCH_PATH;
use crate::shared::tenancy::Tenancy;
use crate::sql::guard::check;
use crate::sql::plan::{Discard, Plan, Refusal, Route, Statement, StatementKind};

/// The path that a statement sets, and whether it is local to the transaction.
fn path_of(statement: &Statement, text: &[u8]) -> Option<(String, bool)> {
    match &statement.kind {
        StatementKind::Set(setting) if *setting.name == *SEARCH_PATH => {
            path::of_setting(setting, text).map(|path| (path, setting.local))
        }
        _ => None,
    }
}

/// Whether a statement is a `SET` of the path.
pub(super) fn is_path(statement: &Statement) -> bool {
    matches!(&statement.kind, StatementKind::Set(setting) if *setting.name == *SEARCH_PATH)
}

/// Whether it sets the path for longer than the transaction.
pub(super) fn is_for_session(statement: &Statement) -> bool {
    is_path(statement) && matches!(&statement.kind, StatementKind::Set(setting) if !setting.local)
}

/// Whether a statement sets the path in any form.
fn sets_path(statement: &Statement, text: &[u8]) -> bool {
    match &statement.kind {
        StatementKind::Set(setting) => *setting.name == *SEARCH_PATH,
        StatementKind::SetParameter { name, .. } => **name == *SEARCH_PATH,
        // In a form that is not understood.
        StatementKind::Plain => {
            let sql = text.get(statement.span.clone()).unwrap_or_default().to_ascii_lowercase();
            let has = |word: &str| memchr::memmem::find(&sql, word.as_bytes()).is_some();
            let begins = |words: &[&str]| words.iter().any(|word| sql.starts_with(word.as_bytes()));
            (begins(&["set"]) || begins(&["select", "with"]) && has("set_config")) && has(SEARCH_PATH)
        }
        _ => false,
    }
}

/// Whether the effect of a statement depends on the tenant: by the path, or by keys that are private to the tenant.
fn is_some_tenants(statement: &Statement, plan: &Plan) -> bool {
    use StatementKind::{
        Begin, Characteristics, Commit, Deallocate, Discard, Plain, Release, Reset, ResetAll, Rollback,
        RollbackTo, Savepoint, Set, SetParameter, SetTransaction, Show, Unlisten,
    };
    match &statement.kind {
        Begin
        | Commit { .. }
        | Rollback { .. }
        | Savepoint(_)
        | RollbackTo(_)
        | Release(_)
        | SetTransaction
        | Characteristics(_)
        | Set(_)
        | SetParameter { .. }
        | Reset { .. }
        | ResetAll
        | Show(_)
        | Discard(_)
        | Deallocate(_)
        | Unlisten(_) => false,
        Plain => plan.route != Route::Pass || !plan.splices.is_empty(),
        _ => true,
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// The tenant that a path names and the current tenant may not set, if a path may be a switch.
    fn wish(&self, path: &str) -> Option<TenantId> {
        let tenancy = self.tenancy();
        let legible = self.reads_utf8() || path.is_ascii();
        if !self.identity.user.rights.tenant_switch || !legible || tenancy.allows_path(path) {
            return None;
        }
        TenantId::new(check::search_path(path)?.first()?).ok()
    }

    /// The tenant of a path, if it is known already and the path has only schemas that it may name.
    fn tenancy_of_path(&mut self, path: &str) -> Result<Option<Arc<Tenancy>>, TenantSwitchError> {
        let Some(tenant) = self.wish(path) else { return Ok(None) };
        if self.status_then() == Status::Failed {
            return Err(aborted().into());
        }
        let tenancy = self.tenancy_of(tenant)?;
        let first = ident::quoted(&tenancy.scope.schema);
        let begins = path.strip_prefix(&first).is_some_and(|rest| rest.is_empty() || rest.starts_with(','));
        match begins && tenancy.allows_path(path) {
            true => Ok(Some(tenancy)),
            false => Err(beyond(&tenancy).into()),
        }
    }

    /// Switches to the tenant whose path the first statement of a `Query` sets. Returns whether it did.
    pub(super) fn switch_by_path(&mut self, plan: &Plan, text: &[u8]) -> Result<bool, TenantSwitchError> {
        let first = plan.statements.iter().find(|statement| statement.kind != StatementKind::Begin);
        let Some((path, local)) = first.and_then(|statement| path_of(statement, text)) else {
            return Ok(false);
        };
        let switched = match self.tenancy_of_path(&path) {
            Ok(None) => Ok(false),
            Ok(Some(tenancy)) => self.enter(tenancy, local).map(|()| true).map_err(TenantSwitchError::from),
            Err(hindered) => Err(hindered),
        };
        switched.map_err(|hindered| self.without_path(hindered))
    }

    /// The plan of a `Parse`, and the tenant of the path that its statement sets (`tied`).
    pub(super) fn tie_by_path(
        &mut self,
        plan: Plan,
        text: &[u8],
        source: Source<'_>,
        tied: &mut Option<Arc<Tenancy>>,
    ) -> Result<Plan, Step> {
        match self.tied_by_path(&plan, text) {
            Ok(None) => return Ok(plan),
            Ok(tenancy) => *tied = tenancy,
            Err(hindered) => return Err(self.hindered(hindered)),
        }
        self.on_behalf_of(tied.clone(), |session| session.plan_pipelined(text, source))
            .map_err(Step::NeedJudgement)
    }

    /// The tenant of a statement of `Parse`, by the path that it sets.
    fn tied_by_path(&mut self, plan: &Plan, text: &[u8]) -> Result<Option<Arc<Tenancy>>, TenantSwitchError> {
        let [only] = &plan.statements[..] else { return Ok(None) };
        let Some((path, _)) = path_of(only, text) else { return Ok(None) };
        let tied = self.tenancy_of_path(&path).and_then(|tied| {
            self.may_stand_in(tied.as_ref())?;
            Ok(tied)
        });
        tied.map_err(|hindered| self.without_path(hindered))
    }

    /// Handles a `Bind` of a statement that sets a path of another tenant. `Some`: it has been answered.
    pub(super) fn settle_path(&mut self, name: &[u8], values: &[u8]) -> Option<Step> {
        let statement = self.statements.get(name).filter(|statement| statement.tied.is_none())?;
        let [only] = &statement.plan.statements[..] else { return None };
        let bound = match &only.kind {
            StatementKind::SetParameter { name, local, .. } if **name == *SEARCH_PATH => Some(*local),
            _ => None,
        };
        let path = match bound {
            Some(_) => bound_path(statement, values, self.reads_utf8()),
            None => path_of(only, &statement.text).map(|(path, _)| path),
        }?;
        let settled = self.tenancy_of_path(&path).and_then(|tenancy| {
            let Some(tenancy) = tenancy else { return Ok(()) };
            match bound {
                Some(local) => self.enter(tenancy, local).map_err(TenantSwitchError::from),
                None => {
                    let statement = self.statements.get_mut(name);
                    statement.into_iter().for_each(|statement| statement.tied = Some(Arc::clone(&tenancy)));
                    Ok(())
                }
            }
        });
        settled.err().map(|hindered| {
            let hindered = self.without_path(hindered);
            self.hindered(hindered)
        })
    }

    /// A path was not set. If PostgreSQL would have set it, the statements behind it would run under another path than
    /// the client meant.
    fn without_path(&mut self, hindered: TenantSwitchError) -> TenantSwitchError {
        if let TenantSwitchError::Refused(refusal) = &hindered
            && refusal.code != aborted().code
        {
            self.distrust_path();
        }
        hindered
    }

    /// A path was refused.
    pub(super) fn distrust_path(&mut self) {
        self.settings.distrust_path();
        self.transaction.distrust_path();
    }

    /// Records that a plan was refused which may set a path.
    pub(super) fn note_refused_path(&mut self, plan: &Plan, text: &[u8]) {
        let unread =
            plan.statements.is_empty() && memchr::memmem::find(text, SEARCH_PATH.as_bytes()).is_some();
        let tenancy = self.tenancy();
        // A path that the tenant may set was not the reason of the refusal.
        let is_right = |s: &Statement| path_of(s, text).is_some_and(|(path, _)| tenancy.allows_path(&path));
        let is_wrong = |s: &Statement| sets_path(s, text) && !is_right(s);
        if tenancy.is_confined() && (unread || plan.statements.iter().any(is_wrong)) {
            self.distrust_path();
        }
    }

    /// The refusal of a plan behind a refused path.
    pub(super) fn refuses_behind_path(&self, plan: &Plan) -> Option<Refusal> {
        let distrusts = self.transaction.distrusts_path(&self.settings);
        if !distrusts || self.status_then() == Status::Failed {
            return None;
        }
        // A path that the text itself sets counts for the statements behind it.
        let (mut session, mut transaction) = (false, false);
        for statement in &plan.statements {
            if !(session || transaction) && is_some_tenants(statement, plan) {
                return Some(self.path_was_refused());
            }
            match &statement.kind {
                StatementKind::Set(setting) if *setting.name == *SEARCH_PATH => match setting.local {
                    true => transaction = true,
                    false => session = true,
                },
                StatementKind::Reset { name, local } if **name == *SEARCH_PATH => match local {
                    true => transaction = true,
                    false => session = true,
                },
                StatementKind::ResetAll | StatementKind::Discard(Discard::All) => session = true,
                StatementKind::Commit { .. } => transaction = false,
                StatementKind::Rollback { .. } | StatementKind::RollbackTo(_) => {
                    (session, transaction) = (false, false);
                }
                _ => {}
            }
        }
        None
    }

    fn path_was_refused(&self) -> Refusal {
        let schema = &self.tenancy().scope.schema;
        let how = match self.identity.user.rights.tenant_switch {
            true => "or to one that begins with the schema of a tenant which this user may name.",
            false => {
                "or name the tenant when connecting. With tenant_switch = true for this user in the proxy's \
                 configuration, a path that begins with a tenant's schema goes over to that tenant."
            }
        };
        Refusal {
            code: "42501",
            message: "permission denied: the search_path that was asked for is not in force".into(),
            hint: Some(format!(
                "A SET search_path was refused, and what follows would run under another. RESET search_path, set it to \
                 the schema \"{schema}\", {how}"
            )),
        }
    }
}

/// The refusal of a path that begins with a tenant's schema and contains other tenants' schemas.
fn beyond(tenancy: &Tenancy) -> Refusal {
    let hint = "It may name the tenant's own schema, and then those that all tenants share.";
    check::denied(&tenancy.scope, "have this search_path", Some(hint))
}
