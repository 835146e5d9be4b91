//! Another tenant on an open connection: `SET tenant`, `SHOW tenant`, and the comment in front of a statement. The
//! proxy answers them, without a round trip.
//!
//! The rules are PostgreSQL's for settings: `SET LOCAL` and a rollback end with the transaction. A transaction has one
//! tenant: once it has read or written, another tenant is refused.

use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use pgstrata_tenancy::TenantId;
use tokio::io::{AsyncRead, AsyncWrite};

use super::command::{Command, TENANT, command, is_command, is_local, tenant_id};
use super::expect::Expect;
use super::judge::{Question, Source};
use super::names::Found;
use super::naming::commented;
use super::path::Effective;
use super::request::Step;
use super::statements::ClientStatement;
use super::{End, Session, Status};
use crate::shared::tenancy::Tenancy;
use crate::simulation::{Fault, fault};
use crate::sql::plan::{Insert, Plan, Refusal, Route, Splice, Statement, StatementKind};
use crate::wire::frame;
use crate::wire::message::{self, Severity};

/// Whether a statement may read or write.
pub(super) fn touches(statement: &Statement) -> bool {
    use StatementKind::{
        BlockOnly, CopyIn, EndPrepared, Execute, Fetch, Plain, Prepare, Savepoint, SetConfig,
    };
    matches!(
        &statement.kind,
        Plain
            | BlockOnly
            | EndPrepared
            | CopyIn
            | Prepare { .. }
            | Execute(_)
            | Fetch
            | Savepoint(_)
            | SetConfig { .. }
    )
}

/// The refusal of a second tenant in a transaction.
fn spans_two() -> Refusal {
    Refusal {
        code: "25001",
        message: "the tenant can't be changed in a transaction that has read or written".into(),
        hint: Some("Change it first in the transaction, or between two of them.".into()),
    }
}

/// PostgreSQL's error.
pub(super) fn aborted() -> Refusal {
    let message = "current transaction is aborted, commands ignored until end of transaction block";
    Refusal { code: "25P02", message: message.into(), hint: None }
}

/// The refusal of a switch with state on the server.
fn holds_objects() -> Refusal {
    Refusal {
        code: "55000",
        message: "the tenant can't be changed while the session holds objects of its own".into(),
        hint: Some("DISCARD ALL drops temporary tables, prepared statements, cursors and locks.".into()),
    }
}

/// Why a switch is not possible now.
pub(super) enum TenantSwitchError {
    /// The tenant must be looked up first.
    Ask(TenantId),
    /// It is refused.
    Refused(Refusal),
    /// The text must be planned first.
    Unjudged(Box<Question>),
}

impl From<Refusal> for TenantSwitchError {
    fn from(refusal: Refusal) -> Self {
        TenantSwitchError::Refused(refusal)
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// The current tenant, under which names are resolved.
    pub(super) fn tenancy(&self) -> &Arc<Tenancy> {
        self.tenants.now()
    }

    /// The plan of a `Query`, for the tenant that its text may name. Commands that the proxy has answered are removed
    /// from it.
    pub(super) fn plan_query(&mut self, text: &[u8]) -> Result<Plan, Step> {
        self.try_plan_query(text).map_err(|hindered| match hindered {
            TenantSwitchError::Ask(tenant) => Step::NeedTenant(tenant),
            TenantSwitchError::Refused(refusal) => self.refuse_request(refusal),
            TenantSwitchError::Unjudged(question) => Step::NeedJudgement(question),
        })
    }

    fn try_plan_query(&mut self, text: &[u8]) -> Result<Plan, TenantSwitchError> {
        let utf8 = self.reads_utf8();
        if let Some(tenant) = commented(text, utf8)? {
            let tenancy = self.tenancy_of(tenant_id(&tenant)?)?;
            self.enter(tenancy, true)?;
        }
        let source = Source::Head(frame::HEADER);
        let mut plan = self.plan_for(text, source).map_err(TenantSwitchError::Unjudged)?;
        if self.switch_by_path(&plan, text)? {
            plan = self.plan_for(text, source).map_err(TenantSwitchError::Unjudged)?;
        }
        let Some((first, others)) = plan.statements.split_first() else { return Ok(plan) };
        if others.iter().any(is_command) {
            let message = "SET, SHOW and RESET tenant must come first in a text".into();
            let hint = Some("Send it by itself, or as the first statement.".into());
            return Err(Refusal { code: "0A000", message, hint }.into());
        }
        if !is_command(first) {
            self.one_tenant(&plan)?;
            return Ok(plan);
        }
        let (alone, before) = (others.is_empty(), Arc::clone(self.tenancy()));
        let answer = self.run_command(command(first, text, utf8)?, alone && self.status == Status::Idle)?;
        if alone {
            self.outbuf.extend_from_slice(&answer);
            return Ok(plan);
        }
        // The rest is planned for the new tenant, if it has changed.
        let mut plan = match Arc::ptr_eq(&before, self.tenancy()) {
            true => plan,
            false => self.plan_for(text, source).map_err(TenantSwitchError::Unjudged)?,
        };
        if !matches!(plan.route, Route::Refuse(_) | Route::NeedNames) {
            self.outbuf.extend_from_slice(&answer);
            self.head.begin();
            let behind = plan.statements.get(1).map_or(0, |second| second.span.start);
            let cut = u32::try_from(behind).unwrap_or(u32::MAX);
            plan.splices.insert(0, Splice { at: 0, cut, insert: Insert::Text("".into()) });
        }
        plan.statements.remove(0);
        self.one_tenant(&plan)?;
        Ok(plan)
    }

    /// Refuses a text that would continue for another tenant behind the end of its transaction.
    fn one_tenant(&self, plan: &Plan) -> Result<(), Refusal> {
        let failed = self.status_then() == Status::Failed;
        let changes = |s: &Statement| match s.kind {
            StatementKind::Commit { .. } => self.tenants.ends(failed),
            StatementKind::Rollback { .. } => self.tenants.ends(true),
            _ => false,
        };
        match plan.statements.iter().skip_while(|s| !changes(s)).any(touches) {
            true => Err(Refusal {
                code: "0A000",
                message: "a text whose tenant is its transaction's must end with that transaction".into(),
                hint: Some("Send what follows COMMIT or ROLLBACK by itself.".into()),
            }),
            false => Ok(()),
        }
    }

    /// The tenant of that name, if it is known to exist and may be named.
    pub(super) fn tenancy_of(&mut self, tenant: TenantId) -> Result<Arc<Tenancy>, TenantSwitchError> {
        if self.tenancy().scope.tenant.as_deref() == Some(tenant.as_str()) {
            return Ok(Arc::clone(self.tenancy()));
        }
        match self.head.take_tenant(&tenant) {
            Some(answer) => answer.map_err(TenantSwitchError::from),
            None => Err(TenantSwitchError::Ask(tenant)),
        }
    }

    /// Whether a known tenant may be entered now.
    pub(super) fn may_enter(&mut self, tenancy: &Arc<Tenancy>) -> Result<(), TenantSwitchError> {
        match &tenancy.scope.tenant {
            Some(tenant) if !self.may_begin(tenancy) => self.tenancy_of(tenant_id(tenant)?).map(drop),
            _ => Ok(()),
        }
    }

    /// Looks up whether the tenant exists, whether this user may name it, and its state.
    pub(super) async fn ask_for_tenant(&mut self, tenant: TenantId) -> Result<(), End> {
        let answer = self.find_tenant(&tenant).await?;
        self.head.note_tenant(tenant, answer);
        Ok(())
    }

    /// Makes `tenancy` the session's, if its transaction and its server allow it.
    pub(super) fn enter(&mut self, tenancy: Arc<Tenancy>, local: bool) -> Result<(), Refusal> {
        let same = tenancy.scope.tenant == self.tenancy().scope.tenant;
        if !same && self.transaction.has_touched() {
            return Err(spans_two());
        }
        if !same && self.pins.has_state() {
            return Err(holds_objects());
        }
        if let Some(refusal) = self.hindrance_to_move(&tenancy) {
            return Err(refusal);
        }
        let tenancy = if same { Arc::clone(self.tenancy()) } else { tenancy };
        if !(same && local) {
            self.tenants.set(tenancy, local);
        }
        self.tenant_changed();
        Ok(())
    }

    /// The current path may be that of the previous tenant.
    pub(super) fn tenant_changed(&mut self) {
        if Arc::ptr_eq(&self.effective.tenancy, self.tenancy()) || fault(Fault::TenantWithoutPath) {
            return;
        }
        self.leave_watch();
        self.effective = Effective::of(self.settings.current(), self.tenancy());
        self.tenants.note_change();
        if let Some(link) = &mut self.link {
            link.setup.change_tenant();
            link.change_tenant();
        }
    }

    /// Runs a command, and returns its answer. `idle`: the command is a transaction of its own.
    fn run_command(&mut self, command: Command, idle: bool) -> Result<BytesMut, TenantSwitchError> {
        if self.status_then() == Status::Failed {
            return Err(aborted().into());
        }
        let mut out = BytesMut::new();
        let (tenancy, local, tag) = match command {
            Command::Show => {
                let tenant = self.tenancy().scope.tenant.clone().unwrap_or_default();
                message::text_table(&mut out, TENANT, std::iter::once(&*tenant));
                message::command_complete(&mut out, "SHOW");
                return Ok(out);
            }
            Command::Set { name, local } => (self.tenancy_of(name)?, local, "SET"),
            Command::Reset { local } => {
                let login = Arc::clone(self.tenants.login());
                // Between two transactions, the next message is checked.
                if self.is_in_a_transaction() || self.has_sent() {
                    self.may_enter(&login)?;
                }
                (login, local, if local { "SET" } else { "RESET" })
            }
        };
        if local && idle {
            let message = "SET LOCAL can only be used in transaction blocks";
            message::error(&mut out, Severity::Warning, "25P01", message, None);
        } else {
            self.enter(tenancy, local)?;
            self.settings.trust_path(local);
        }
        message::command_complete(&mut out, tag);
        Ok(out)
    }

    // The extended protocol.

    /// The tenant that a statement's comment names.
    pub(super) fn tied_to(&mut self, text: &[u8]) -> Result<Option<Arc<Tenancy>>, TenantSwitchError> {
        let Some(tenant) = commented(text, self.reads_utf8())? else { return Ok(None) };
        Ok(Some(self.tenancy_of(tenant_id(&tenant)?)?))
    }

    /// Whether the proxy answers a statement: one about the tenant, or about a statement without a server.
    pub(super) fn is_ours(&self, plan: &Plan) -> bool {
        let known = |statement: &Statement| match &statement.kind {
            StatementKind::Deallocate(Some(name)) => self.find(name) == Found::Own,
            _ => false,
        };
        let fails = self.status_then() == Status::Failed;
        is_local(plan) || !fails && matches!(&plan.statements[..], [only] if known(only))
    }

    /// Whether names may be resolved for another tenant now: not if the path of the transaction counts.
    pub(super) fn may_stand_in(&self, tied: Option<&Arc<Tenancy>>) -> Result<(), Refusal> {
        let other = tied.is_some_and(|tied| tied.scope.tenant != self.tenancy().scope.tenant);
        let counts = self.transaction.has_touched()
            || self.link.as_ref().is_some_and(|link| link.setup.has_local_path());
        match tied.filter(|_| other) {
            Some(_) if counts => Err(spans_two()),
            Some(_) if self.pins.has_state() => Err(holds_objects()),
            Some(tied) => self.hindrance_to_move(tied).map_or(Ok(()), Err),
            None => Ok(()),
        }
    }

    /// Runs `work` with names resolved for another tenant.
    pub(super) fn on_behalf_of<T>(
        &mut self,
        tenancy: Option<Arc<Tenancy>>,
        work: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let Some(tenancy) = tenancy else { return work(self) };
        let before = self.tenants.stand_in(tenancy);
        self.tenant_changed();
        let done = work(self);
        self.tenants.stand_in(before);
        self.tenant_changed();
        done
    }

    /// `Describe` of a command.
    pub(super) fn describe_command(&mut self, statement: &ClientStatement, portal: bool) {
        let mut out = BytesMut::new();
        if !portal {
            message::no_parameters(&mut out);
        }
        match matches!(statement.plan.statements.first().map(|s| &s.kind), Some(StatementKind::Show(_))) {
            true => message::text_column(&mut out, TENANT),
            false => message::empty(&mut out, b'n'),
        }
        self.answer_in_turn(out.freeze());
    }

    /// `Execute` of a command.
    pub(super) fn execute_command(&mut self, statement: &ClientStatement) -> Step {
        let Some(first) = statement.plan.statements.first() else { return Step::Done };
        if let StatementKind::Deallocate(Some(name)) = &first.kind {
            return self.deallocate(name);
        }
        let answer = command(first, &statement.text, self.reads_the_same(statement))
            .map_err(TenantSwitchError::from)
            .and_then(|command| self.run_command(command, false));
        match answer {
            Ok(mut answer) => {
                if let (StatementKind::Show(_), Ok(Some(columns))) = (&first.kind, frame::header(&answer)) {
                    // Its columns are sent only after a `Describe`.
                    answer.advance(columns.total);
                }
                self.answer_in_turn(answer.freeze());
                Step::Done
            }
            Err(hindered) => self.hindered(hindered),
        }
    }

    /// Answers a message of a pipeline whose switch is not possible now.
    pub(super) fn hindered(&mut self, hindered: TenantSwitchError) -> Step {
        match hindered {
            TenantSwitchError::Ask(tenant) => Step::NeedTenant(tenant),
            TenantSwitchError::Refused(refusal) => self.refuse_in_pipeline(refusal),
            TenantSwitchError::Unjudged(question) => Step::NeedJudgement(question),
        }
    }

    /// Answers a message behind the outstanding replies.
    pub(super) fn answer_in_turn(&mut self, message: Bytes) {
        self.answer_closing(message, None);
    }

    /// The same; the closed statement exists again if its pipeline has failed before.
    pub(super) fn answer_closing(&mut self, message: Bytes, closed: Option<(Bytes, ClientStatement)>) {
        match self.link.as_mut().filter(|link| link.request.sent) {
            Some(link) => {
                let closed = closed.map(Box::new);
                link.expect_reply(Expect::Local { message, opened: None, closed });
                self.emit_locals();
            }
            None => self.outbuf.extend_from_slice(&message),
        }
    }

    /// Ends a transaction that the proxy has answered alone.
    pub(super) fn end_local(&mut self) {
        if self.status == Status::Idle {
            self.tenants.commit();
            self.transaction.begin_anew();
            self.portals.clear();
            self.tenant_changed();
        }
    }

    /// Ends it as failed.
    pub(super) fn fail_local(&mut self) {
        if self.status == Status::Idle {
            self.tenants.roll_back();
            self.transaction.begin_anew();
            self.tenant_changed();
        }
    }

    /// Answers a text that was only a command.
    pub(super) fn answered_here(&mut self, plan: &Plan) -> bool {
        if !is_local(plan) {
            return false;
        }
        self.end_local();
        message::ready_for_query(&mut self.outbuf, self.status.byte());
        true
    }
}
