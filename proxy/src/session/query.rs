//! The simple protocol: one `Query`, one write, one round trip.

use std::sync::Arc;

use pgstrata_tenancy::RoleName;
use tokio::io::{AsyncRead, AsyncWrite};

use super::admission::concerns_no_tenant;
use super::ahead::Confirmed;
use super::clock::begins_block;
use super::compose::{Composer, Under};
use super::expect::{Expect, QueryReply};
use super::link::Link;
use super::names::{Found, Names};
use super::naming::names_tenant;
use super::path;
use super::request::Step;
use super::role::Settled;
use super::{End, Session, Status};
use crate::metrics::Kind;
use crate::needs::needs_path;
use crate::pool::settings::{SEARCH_PATH, Tracked};
use crate::sql::plan::{Discard, Plan, Refusal, Route, Statement, StatementKind};
use crate::sql::rewrite::rewrite;
use crate::wire::message;

/// The maximum size of statements that are added to one text, in bytes.
const MAX_PUT_IN: usize = 16 << 20;

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Handles a `Query` message with this text.
    pub(super) fn query(&mut self, text: &[u8]) -> Result<Step, End> {
        if let Some(step) = self.explain_route(text) {
            return Ok(step);
        }
        let plan = match self.head.take_plan() {
            Some(plan) => plan,
            None => match self.plan_query(text) {
                Ok(plan) => plan,
                Err(step) => return Ok(step),
            },
        };
        if self.answered_here(&plan) {
            return Ok(Step::Done);
        }
        if !self.may_begin(self.tenancy()) && !concerns_no_tenant(&plan) {
            if self.head.has_begun() {
                self.head.keep_plan(plan);
            }
            return Ok(Step::NeedState(Arc::clone(self.tenancy())));
        }
        match plan.route {
            Route::NeedNames => return Ok(Step::NeedNames),
            Route::Refuse(ref refusal) => {
                self.count_refusal(refusal.code);
                self.text_refused(refusal, plan.form, text);
                self.note_refused_path(&plan, text);
                return Ok(self.refuse_request(*refusal.clone()));
            }
            _ => {}
        }
        if let Some(refusal) = self.refuses_behind_path(&plan)
            && !names_tenant(text)
        {
            self.count_refusal(refusal.code);
            return Ok(self.refuse_request(refusal));
        }
        if self.answer_locally(&plan, text) {
            return Ok(Step::Done);
        }
        let names = match self.look_names_up(&plan, text) {
            Ok(names) => names,
            Err(step) => {
                self.head.keep_plan(plan);
                return Ok(step);
            }
        };
        if let Some(refusal) = self.refuses_text(&plan, &names) {
            return Ok(self.refuse_request(refusal));
        }
        match self.lacks_server() {
            Ok(lacks) if lacks || self.drops_stale_server(&plan) => {
                self.head.keep_plan(plan);
                return Ok(Step::NeedServer);
            }
            Ok(_) => {}
            Err(refusal) => return Ok(self.refuse_request(refusal)),
        }
        self.end_empty_pipeline(&plan, true);
        if let Some(step) = self.settle_role(&plan, true) {
            self.head.keep_plan(plan);
            return Ok(step);
        }
        if let Err(refusal) = self.prepare_runs(&names) {
            return Ok(self.refuse_request(refusal));
        }
        for statement in &plan.statements {
            self.before(statement, &plan, text);
        }
        let ends = self.ends_with(&plan);
        self.send_query(&plan, text, &names);
        self.clean_behind(ends);
        Ok(Step::Done)
    }

    /// Whether PostgreSQL refuses the statement outside of a transaction block: a statement in front of it would open
    /// one.
    pub(super) fn fails_alone(&self, plan: &Plan) -> bool {
        needs_block(plan) && self.status_then() == Status::Idle && !self.has_run()
    }

    /// The reason why a permitted text is not sent: it fails at once, or the added SQL is too long.
    fn refuses_text(&self, plan: &Plan, names: &Names) -> Option<Refusal> {
        // In a failed transaction, PostgreSQL has another error.
        if let Some((0, refusal)) = names.fails.as_ref().filter(|_| self.status != Status::Failed) {
            return Some(refusal.clone());
        }
        let role = self.tenancy().isolation.set_role().map_or(0, |role| role.as_str().len());
        let each = self.effective.path.len() + role + 64;
        // A check behind it would change where the transaction ends.
        if plan.statements.len() == 1 && self.is_in_a_pipeline() && plan.checks.iter().any(|c| c.behind) {
            return Some(Refusal {
                code: "0A000",
                message: "a view can't be made, renamed or granted, and a time-out can't be set, in a Query behind \
                          extended messages"
                    .into(),
                hint: Some("Send a Sync in front of it.".into()),
            });
        }
        let long = plan.opaque && plan.statements.len().saturating_mul(each) > MAX_PUT_IN;
        long.then(|| Refusal {
            code: "54000",
            message: format!("a text of {} statements is too long", plan.statements.len()),
            hint: Some("Send it in several messages.".into()),
        })
    }

    fn send_query(&mut self, plan: &Plan, text: &[u8], names: &Names) {
        let own_transaction = self.is_own_transaction(plan);
        self.note_notifier(plan);
        self.keep_sequences_apart(plan);
        self.watch_code(plan, self.scope_basis.epoch);
        let role = self.role();
        self.begin_query(plan, role.as_ref());
        self.run_text(plan.form, text);
        let pipelined = self.is_in_a_pipeline();
        self.set_up_query(plan, names, own_transaction, role.as_ref());
        let tenancy = self.tenants.now();
        let under = Under {
            tenancy,
            role: role.as_ref(),
            effective: &self.effective,
            baseline: tenancy.is_confined().then_some(&self.identity.database.home.baseline),
            now: Confirmed {
                // Messages without a Sync may have ended the failed block: its path is gone, and the text needs its own.
                status: if self.status == Status::Failed { self.status_then() } else { self.status },
                settings: &self.settings,
                base: &self.identity.base,
                home: &tenancy.home,
            },
            ahead: self.transaction.ahead(),
            drawer: self.drawer(),
            utf8: self.reads_utf8(),
            asked: self.fails_alone(plan) || pipelined && plan.statements.len() == 1,
        };
        let Some(link) = &mut self.link else { return };
        let (mut places, mut reply) = Composer::new(link, &under, plan, text).compose(names);
        if self.config.tenancy.query_comment && !tenancy.comment.is_empty() {
            // In front of the other additions, because PostgreSQL shows only the beginning of a long text.
            places.insert(0, (0, tenancy.comment.to_string()));
        }
        let splices = names.splices(plan);
        let rewritten = rewrite(text, &splices, &under.tenancy.prefixes, &places);
        link.lease.query(&rewritten.pieces);
        reply.map = rewritten.map;
        reply.prepared = names.has_runs();
        link.expect_reply(Expect::Query(Box::new(reply)));
        link.request.awaiting = true;
        link.own_portal = false;
        // A simple query closes the unnamed portal and drops the unnamed statement.
        self.portals.close(b"");
        self.statements.remove(b"");
    }

    /// Begins the request of a text.
    fn begin_query(&mut self, plan: &Plan, role: Option<&RoleName>) {
        let strayed = self.has_strayed();
        let Some(link) = &mut self.link else { return };
        link.begin(&self.settings, self.status, role);
        link.setup.settle_bind(None);
        // No savepoint exists that could restore an earlier path.
        let resets =
            |s: &Statement| matches!(&s.kind, StatementKind::Reset { name, .. } if &**name == SEARCH_PATH);
        let returns = matches!(&plan.statements[..], [only] if resets(only));
        let returns = returns && link.expects.is_empty() && !self.settings.has_savepoints();
        link.setup.stray_if(strayed);
        if returns {
            link.setup.return_home();
        }
        link.request.kind = kind_of(&self.scope.tenant, plan);
        link.request.begins = begins_block(plan);
    }

    /// Makes the settings for the text that cannot be added to it.
    fn set_up_query(&mut self, plan: &Plan, names: &Names, own_transaction: bool, role: Option<&RoleName>) {
        let failed = self.status == Status::Failed;
        let confined = self.tenants.now().is_confined();
        let (pipelined, open) = (self.is_in_a_pipeline(), self.has_open_pipeline());
        let Some(link) = &mut self.link else { return };
        let baseline = confined.then_some(&self.identity.database.home.baseline);
        let path = self.effective.due(baseline, link.has_run_code());
        // With a role, both are set together.
        if own_transaction && !open && role.is_none() && !path.is_empty() {
            link.set_session_path(path);
            link.setup.set_path();
        }
        // Additions would turn a single statement into several.
        if let [only] = &plan.statements[..]
            && pipelined
            && !failed
        {
            let name = self.shared.store.path_name();
            if let Some(sql) = link.setup.role().change(role).filter(|_| link.setup.role().matters_to(only)) {
                link.set_role_behind(&sql, role, own_transaction, name);
            }
            if !link.setup.has_path() && !path.is_empty() && needs_path(only, &plan.route, link.opaque) {
                link.set_path_behind(path, own_transaction, name);
                link.setup.set_path();
            }
            self.ask(plan, false);
            if let Some(link) = &mut self.link {
                let name = self.shared.store.path_name();
                names.checks.iter().for_each(|check| link.run_check(check, name));
            }
        }
    }

    /// Makes the server fail at the place of the refused text, so that its transaction fails, too.
    pub(super) fn poison_query(&mut self, refusal: Refusal) {
        let Some(link) = &mut self.link else { return };
        link.lease.query(&[message::NO_SQL]);
        let reply = QueryReply { poison: Some(Box::new(refusal)), ..QueryReply::default() };
        link.expect_reply(Expect::Query(Box::new(reply)));
        link.request.awaiting = true;
    }

    /// Answers statements about prepared statements and the whole session, if they need no server.
    fn answer_locally(&mut self, plan: &Plan, text: &[u8]) -> bool {
        let [statement] = &plan.statements[..] else { return false };
        let tied = !self.pins.is_empty() || self.has_sent();
        let tag = match &statement.kind {
            StatementKind::Deallocate(Some(name)) if self.status != Status::Failed && !self.has_sent() => {
                if self.find(name) != Found::Own {
                    return false;
                }
                self.statements.remove(name.as_bytes());
                "DEALLOCATE"
            }
            StatementKind::Deallocate(None) if self.status != Status::Failed && !tied => {
                self.statements.clear();
                "DEALLOCATE ALL"
            }
            StatementKind::Discard(Discard::All) if self.status == Status::Idle && !tied => {
                self.settings.reset_all(&self.identity.base);
                self.settings.commit();
                self.refresh_effective();
                self.statements.clear();
                self.forget_session();
                self.listening.commit();
                self.tell_base();
                "DISCARD ALL"
            }
            _ => return false,
        };
        tracing::trace!(bytes = text.len(), tag, "answered without a server");
        message::command_complete(&mut self.outbuf, tag);
        if self.has_channels_to_settle() {
            self.transaction.hold_ready(self.status);
        } else {
            message::ready_for_query(&mut self.outbuf, self.status.byte());
        }
        true
    }
}

impl Link {
    /// Called before the first message of a request is written.
    pub(super) fn begin(&mut self, wants: &Tracked, status: Status, role: Option<&RoleName>) {
        if !self.request.sent && self.request.role == Settled::No {
            self.drop_prepared(status);
            self.bring_settings(wants, status, role);
        }
    }

    /// Sets the path for the session, for a statement that cannot run in a transaction of the proxy. No transaction may
    /// be open. The path is reset before anything else runs on this server.
    pub(super) fn set_session_path(&mut self, path: &str) {
        self.ask(&format!("SET search_path TO {}", path::in_sql(path)));
        self.note_for_session(Some(path), false);
    }
}

/// Whether a plan has one statement, which must be in a transaction block.
pub(super) fn needs_block(plan: &Plan) -> bool {
    matches!(&plan.statements[..], [only] if only.kind == StatementKind::BlockOnly)
}

/// Whether the statement ends a failed transaction.
pub(super) fn ends_failure(statement: &Statement) -> bool {
    use StatementKind::{Commit, Rollback, RollbackTo};
    matches!(&statement.kind, Commit { .. } | Rollback { .. } | RollbackTo(_))
}

/// `SET LOCAL search_path`, for use in front of other statements.
pub(super) fn format_set_local(path: &str) -> String {
    format!("SET LOCAL search_path TO {}; ", path::in_sql(path))
}

/// The kind of a text in the metrics.
pub(super) fn kind_of(tenant: &Option<Box<str>>, plan: &Plan) -> Kind {
    let reaches = !matches!(plan.route, Route::Pass) && tenant.is_some();
    match (reaches, plan.statements.iter().any(|s| s.writes)) {
        (false, _) => Kind::Shared,
        (true, false) => Kind::TenantRead,
        (true, true) => Kind::TenantWrite,
    }
}
