//! The simple protocol: one `Query`, one write, one round trip.

use std::borrow::Cow;
use std::sync::Arc;

use pgstrata_tenancy::RoleName;
use smallvec::SmallVec;
use tokio::io::{AsyncRead, AsyncWrite};

use super::admission::is_nobodys;
use super::clock::begins_block;
use super::effect::{PathChange, effect_of, needs_path, path_change, strays};
use super::expect::{Effect, Expect, QueryReply};
use super::link::Link;
use super::listen::name_channel;
use super::path::{self, Effective};
use super::request::Step;
use super::role::{InForce, Settled};
use super::switch::touches;
use super::{End, Session, Status};
use crate::metrics::Kind;
use crate::pool::settings::{SEARCH_PATH, Tracked};
use crate::sql::plan::{Discard, PinReason, Plan, Refusal, Route, Statement, StatementKind};
use crate::sql::rewrite::rewrite;
use crate::sql::scope::TextMode;
use crate::wire::message;

/// A client may set so many parameters.
const MAX_SETTINGS: usize = 1000;

/// A statement that always fails and touches nothing: for errors that are ours.
const FAILS: &[u8] = b"EXECUTE \"pgstrata: refused\"";

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// A `Query` message with this text.
    pub(super) fn query(&mut self, text: &[u8]) -> Result<Step, End> {
        if let Some(step) = self.explain_route(text) {
            return Ok(step);
        }
        let plan = match self.plan.take() {
            Some(plan) => plan,
            None => match self.plan_query(text) {
                Ok(plan) => plan,
                Err(step) => return Ok(step),
            },
        };
        if self.answered_here(&plan) {
            return Ok(Step::Done);
        }
        if !self.may_begin(self.tenancy()) && !is_nobodys(&plan) {
            self.plan = Some(plan).filter(|_| self.attendance.begun);
            return Ok(Step::NeedState(Arc::clone(self.tenancy())));
        }
        match plan.route {
            Route::NeedNames => return Ok(Step::NeedNames),
            Route::Refuse(refusal) => {
                self.count_refusal(refusal.code);
                return Ok(self.refuse_request(*refusal));
            }
            _ => {}
        }
        if self.answer_locally(&plan, text) {
            return Ok(Step::Done);
        }
        match self.lacks_server() {
            Ok(lacks) if lacks || self.drops_stale_server(&plan) => {
                self.plan = Some(plan);
                return Ok(Step::NeedServer);
            }
            Ok(_) => {}
            Err(refusal) => return Ok(self.refuse_request(refusal)),
        }
        if let Some(step) = self.settle_role(&plan, true) {
            self.plan = Some(plan);
            return Ok(step);
        }
        for statement in &plan.statements {
            self.before(statement, text);
        }
        self.send_query(&plan, text);
        Ok(Step::Done)
    }

    /// What the engine says of the text of a `Query`.
    pub(super) fn plan_for(&mut self, text: &[u8]) -> Plan {
        self.plan_in(text, false)
    }

    /// What the engine says of a statement of the extended protocol.
    pub(super) fn plan_pipelined(&mut self, text: &[u8]) -> Plan {
        self.plan_in(text, true)
    }

    fn plan_in(&mut self, text: &[u8], pipelined: bool) -> Plan {
        self.refresh_scope();
        let mode = TextMode { pipelined, ..self.text_mode() };
        let mut plan = self.shared.engine.plan(text, &self.scope, mode);
        if std::mem::take(&mut self.names_late) && plan.route == Route::NeedNames {
            plan.route = Route::Refuse(Box::new(names_late()));
        }
        if let Some(observer) = &self.shared.observer {
            plan = observer.note(text, &self.scope, plan);
        }
        let refusal = plan.statements.iter().find_map(|s| unreadable_setting(s, text));
        let refusal = refusal
            .or_else(|| self.refuses_setting(&plan))
            .or_else(|| self.refuses_pin(&plan))
            .or_else(|| self.refuses_listen(&plan));
        if let Some(refusal) = refusal {
            plan.route = Route::Refuse(Box::new(refusal));
        }
        plan
    }

    /// The refusal of a plan that sets more than is remembered.
    fn refuses_setting(&self, plan: &Plan) -> Option<Refusal> {
        let current = self.settings.current();
        let new = |s: &Statement| match &s.kind {
            StatementKind::Set(setting) => !setting.local && !current.contains_key(&*setting.name),
            _ => false,
        };
        let more = plan.statements.iter().filter(|s| new(s)).count();
        (more > 0 && current.len() + more > MAX_SETTINGS).then(|| Refusal {
            code: "53400",
            message: format!("a session may not set more than {MAX_SETTINGS} parameters"),
            hint: Some("RESET those that are not needed.".into()),
        })
    }

    /// What the session has done so far, as far as a plan depends on it.
    pub(super) fn text_mode(&self) -> TextMode {
        let link = self.link.as_ref();
        TextMode {
            standard_conforming_strings: true,
            own_path: self.effective.own || link.is_some_and(|link| link.local_path),
            tenant_first: !self.has_strayed(),
            stale_names: link.is_some_and(|link| link.ddl.is_some()),
            temp_tables: self.pins.may_have_temp(),
            // A server of one's own may hold what code that we do not see has prepared.
            replays_write: self.sql_writes || self.pins.has(PinReason::SessionPooling),
            pipelined: false,
        }
    }

    fn send_query(&mut self, plan: &Plan, text: &[u8]) {
        let own_transaction = self.is_own_transaction(plan);
        let failed = self.status == Status::Failed;
        let role = self.role();
        let strayed = self.has_strayed();
        self.note_notifier(plan);
        self.keep_sequences_apart(plan);
        let tenancy = self.tenants.now();
        let drawer = (self.cancel.slot().pid, self.changes);
        let Some(link) = &mut self.link else { return };
        link.begin(&self.settings, self.status, role.as_ref());
        link.opaque |= plan.opaque;
        link.doubts_role |= plan.opaque;
        // No savepoint is there that could bring a path of before back.
        let resets =
            |s: &Statement| matches!(&s.kind, StatementKind::Reset { name, .. } if &**name == SEARCH_PATH);
        let returns = matches!(&plan.statements[..], [only] if resets(only));
        let returns = returns && link.expects.is_empty() && !self.settings.has_savepoints();
        link.strayed = (link.strayed || strayed) && !returns;
        link.request.kind = kind_of(&self.scope.tenant, plan);
        link.request.begins = begins_block(plan);
        let mut path = Cow::Borrowed(&*self.effective.path);
        // With a role it was set with that.
        if own_transaction && role.is_none() && !path.is_empty() {
            link.set_session_path(&path);
            link.path_set = true;
        }
        // PostgreSQL 18 goes on with the transaction of a pipeline behind a lone statement, not behind several.
        if let [only] = &plan.statements[..]
            && link.request.sent
            && !(own_transaction || failed)
        {
            let name = self.shared.store.path_name();
            if let Some(sql) = link.role.change(role.as_ref()).filter(|_| link.role.matters_to(only)) {
                link.set_role_behind(&sql, role.as_ref(), false, name);
            }
            if !link.path_set && !path.is_empty() && needs_path(only, &plan.route) {
                link.set_path_behind(&path, false, name);
                link.path_set = true;
            }
        }
        let mut reply = QueryReply::default();
        let mut path_set = link.path_set || failed;
        let mut places = SmallVec::<[(usize, String); 1]>::new();
        // In a failed transaction it could not be done in front of the text.
        let mut forgets = failed && link.lease.drawn_by != Some(drawer);
        let (mut ended, mut aborted) = (false, failed);
        for (index, statement) in plan.statements.iter().enumerate() {
            if forgets && ended && touches(statement) {
                link.lease.drawn_by = Some(drawer);
                reply.injected.push((index + places.len()) as u32);
                places.push((statement.span.start, "DISCARD SEQUENCES; ".to_owned()));
                forgets = false;
            }
            ended |= matches!(statement.kind, StatementKind::Commit { .. } | StatementKind::Rollback { .. });
            if !aborted
                && link.role.matters_to(statement)
                && let Some(sql) = link.role.change(role.as_ref())
            {
                reply.injected.push((index + places.len()) as u32);
                places.push((statement.span.start, sql));
                link.role = InForce::of(role.as_ref());
            }
            aborted &= !ends_failure(statement);
            link.follow_role(statement);
            if !path_set && !path.is_empty() && needs_path(statement, &plan.route) {
                reply.injected.push((index + places.len()) as u32);
                places.push((statement.span.start, format_set_local(&path)));
                path_set = true;
            }
            let number = (index + places.len()) as u32;
            let effect = effect_of(statement, text).map(|effect| name_channel(effect, &tenancy.scope));
            match path_change(statement) {
                PathChange::Keep => {}
                PathChange::Set => path_set = true,
                PathChange::Own => {
                    path_set = true;
                    link.local_path = true;
                    link.strayed |= strays(statement, text, &tenancy.scope.schema);
                    if let Some(Effect::Set(_, list)) = &effect {
                        path = Cow::Owned(list.to_string());
                    }
                }
                PathChange::Lost => {
                    path_set = false;
                    link.local_path = false;
                    path = match statement.kind {
                        StatementKind::Commit { .. } => path,
                        StatementKind::Rollback { .. } => {
                            let before = Effective::of(self.settings.committed(), tenancy);
                            Cow::Owned(before.path.to_string())
                        }
                        _ => Cow::Borrowed(&tenancy.home),
                    };
                }
            }
            reply.effects.extend(effect.map(|effect| (number, effect)));
        }
        link.path_set = path_set;
        let rewritten = rewrite(text, &plan.splices, &tenancy.prefixes, &places);
        link.lease.query(&rewritten.pieces);
        reply.map = rewritten.map;
        link.owe(Expect::Query(reply));
        link.request.awaiting = true;
        // A simple query closes the unnamed portal and drops the unnamed statement.
        self.portals.retain(|(name, _)| !name.is_empty());
        self.statements.remove(b"");
    }

    /// Makes the server fail where the client's text was refused, so that its transaction fails with it.
    pub(super) fn poison_query(&mut self, refusal: Refusal) {
        let Some(link) = &mut self.link else { return };
        link.lease.query(&[FAILS]);
        link.owe(Expect::Query(QueryReply { poison: Some(Box::new(refusal)), ..QueryReply::default() }));
        link.request.awaiting = true;
    }

    /// Statements about prepared statements and the whole session, where no server knows more than we do.
    fn answer_locally(&mut self, plan: &Plan, text: &[u8]) -> bool {
        let [statement] = &plan.statements[..] else { return false };
        let tied = !self.pins.is_empty() || self.has_sent();
        let tag = match &statement.kind {
            StatementKind::Deallocate(Some(name)) if self.status != Status::Failed && !self.has_sent() => {
                if self.statements.remove(name.as_bytes()).is_none() {
                    return false;
                }
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
                "DISCARD ALL"
            }
            _ => return false,
        };
        tracing::trace!(bytes = text.len(), tag, "answered without a server");
        message::command_complete(&mut self.outbuf, tag);
        if self.has_channels_to_settle() {
            self.held_ready = Some(self.status);
        } else {
            message::ready_for_query(&mut self.outbuf, self.status.byte());
        }
        true
    }
}

impl Link {
    /// The first message of a request is about to be written.
    pub(super) fn begin(&mut self, wants: &Tracked, status: Status, role: Option<&RoleName>) {
        if !self.request.sent && self.request.role == Settled::No {
            self.bring_settings(wants, status, role);
        }
    }

    /// Sets the path for the session: for a statement that runs in no transaction of ours.
    /// It is taken off again before anything else runs on this server.
    pub(super) fn set_session_path(&mut self, path: &str) {
        self.lease.query(&[b"SET search_path TO ", path::in_sql(path).as_bytes()]);
        self.owe(Expect::OwnQuery);
        self.note_for_session(Some(path), false);
    }
}

/// Whether a statement in front of it would change what PostgreSQL does with the text: with one it
/// would run in a block.
pub(super) fn runs_by_itself(plan: &Plan) -> bool {
    let alone = matches!(&plan.statements[..], [Statement { kind: StatementKind::BlockOnly, .. }]);
    plan.route == Route::OwnTransaction || alone && plan.route == Route::SearchPath
}

/// Whether a transaction that has failed goes on, or is over, behind it.
fn ends_failure(statement: &Statement) -> bool {
    use StatementKind::{Commit, Rollback, RollbackTo};
    matches!(&statement.kind, Commit { .. } | Rollback { .. } | RollbackTo(_))
}

/// `SET LOCAL search_path` as a statement in front of others.
pub(super) fn format_set_local(path: &str) -> String {
    format!("SET LOCAL search_path TO {}; ", path::in_sql(path))
}

/// What a text is counted as.
pub(super) fn kind_of(tenant: &Option<Box<str>>, plan: &Plan) -> Kind {
    let reaches = !matches!(plan.route, Route::Pass) && tenant.is_some();
    match (reaches, plan.statements.iter().any(|s| s.writes)) {
        (false, _) => Kind::Shared,
        (true, false) => Kind::TenantRead,
        (true, true) => Kind::TenantWrite,
    }
}

/// What the schemas hold could not be loaded, and nobody can tell what would be written.
fn names_late() -> Refusal {
    Refusal {
        code: "57P03",
        message: "what the tenant's schemas hold could not be loaded in time".into(),
        hint: Some("Write the schema in front of the name, or try again.".into()),
    }
}

/// A setting that we must understand and can't.
fn unreadable_setting(statement: &Statement, text: &[u8]) -> Option<Refusal> {
    let StatementKind::Set(setting) = &statement.kind else { return None };
    let value = match &setting.given {
        Some(value) => value,
        None => std::str::from_utf8(text.get(setting.value.clone())?).ok()?,
    };
    let refusal =
        |code, message: String, hint: &str| Some(Refusal { code, message, hint: Some(hint.into()) });
    match &*setting.name {
        SEARCH_PATH if path::of_setting(setting, text).is_none() => refusal(
            "0A000",
            "search_path can only be set to a list of schema names".into(),
            "Write it as: SET search_path TO name, \"Name\"",
        ),
        // The guard reads texts as the standard has it, and no server may read them in another way.
        "standard_conforming_strings" if !is_on(value) => refusal(
            "0A000",
            "standard_conforming_strings can only be on".into(),
            "Write backslash escapes as E'...'.",
        ),
        "client_encoding" if !crate::wire::encoding::is_ascii_safe(value.trim_matches(['\'', '"'])) => {
            refusal(
                "22023",
                "this client_encoding is not supported".into(),
                "Use UTF8, or another encoding whose characters hold no ASCII bytes.",
            )
        }
        _ => None,
    }
}

/// Whether PostgreSQL reads the value as true, in one of its usual spellings.
pub(super) fn is_on(value: &str) -> bool {
    let value = value.trim().trim_matches('\'');
    ["on", "true", "yes", "1", "default"].iter().any(|on| value.eq_ignore_ascii_case(on))
}
