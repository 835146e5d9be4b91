//! The simple protocol: one `Query`, one write, one round trip.

use std::sync::Arc;

use pgstrata_tenancy::ident;
use smallvec::SmallVec;
use tokio::io::{AsyncRead, AsyncWrite};

use super::effect::{PathChange, effect_of, needs_path, path_change};
use super::expect::{Expect, QueryReply};
use super::link::Link;
use super::request::Step;
use super::{End, Session, Status};
use crate::metrics::Kind;
use crate::pool::settings::SEARCH_PATH;
use crate::sql::plan::{Discard, Plan, Refusal, Route, SchemaRef, Statement, StatementKind};
use crate::sql::scope::TextMode;
use crate::wire::message;
use crate::wire::position::{PositionMap, chars};

/// A statement that always fails and touches nothing: for errors that are ours.
const FAILS: &[u8] = b"EXECUTE \"pgstrata: refused\"";

/// The text that is sent, in pieces, and where the client's text is in it.
pub(super) struct Rewritten<'a> {
    pub pieces: SmallVec<[&'a [u8]; 8]>,
    pub map: PositionMap,
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// A `Query` message with this text.
    pub(super) fn query(&mut self, text: &[u8]) -> Result<Step, End> {
        let plan = match self.plan.take() {
            Some(plan) => plan,
            None => self.plan_for(text),
        };
        if let Route::Refuse(refusal) = plan.route {
            self.shared.metrics.guarded();
            return Ok(self.refuse_request(refusal));
        }
        if self.answer_locally(&plan, text) {
            return Ok(Step::Done);
        }
        if self.link.is_none() {
            self.plan = Some(plan);
            return Ok(Step::NeedServer);
        }
        for statement in &plan.statements {
            self.before(statement, text);
        }
        self.send_query(&plan, text);
        Ok(Step::Done)
    }

    /// What the engine says of a text that comes now.
    pub(super) fn plan_for(&mut self, text: &[u8]) -> Plan {
        self.refresh_scope();
        let link = self.link.as_ref();
        let mode = TextMode {
            standard_conforming_strings: self.effective.conforming,
            own_path: self.effective.own || link.is_some_and(|link| link.local_path || link.ddl),
            temp_tables: self.temp,
        };
        let mut plan = self.shared.engine.plan(text, &self.scope, mode);
        if let Some(refusal) = plan.statements.iter().find_map(|s| unreadable_setting(s, text)) {
            plan.route = Route::Refuse(refusal);
        }
        plan
    }

    fn send_query(&mut self, plan: &Plan, text: &[u8]) {
        let own_transaction = plan.route == Route::OwnTransaction && self.status == Status::Idle;
        let failed = self.status == Status::Failed;
        let Some(link) = &mut self.link else { return };
        link.begin(&self.settings, self.status);
        link.request.kind = kind_of(&self.scope.tenant, plan);
        let path = Arc::clone(&self.effective.path);
        if own_transaction && !path.is_empty() {
            link.set_session_path(&path);
            link.path_set = true;
        }
        let set_path = format_set_local(&path);
        let mut reply = QueryReply::default();
        let mut path_set = link.path_set || path.is_empty() || failed;
        let mut places = SmallVec::<[usize; 2]>::new();
        for (index, statement) in plan.statements.iter().enumerate() {
            if !path_set && needs_path(statement, &plan.route) {
                reply.injected.push((index + places.len()) as u32);
                places.push(statement.span.start);
                path_set = true;
            }
            let number = (index + places.len()) as u32;
            reply.effects.extend(effect_of(statement, text).map(|effect| (number, effect)));
            match path_change(statement) {
                PathChange::Keep => {}
                PathChange::Set => path_set = true,
                PathChange::Own => {
                    path_set = true;
                    link.local_path = true;
                }
                PathChange::Lost => {
                    path_set = path.is_empty();
                    link.local_path = false;
                }
            }
        }
        link.path_set = path_set && !path.is_empty() || link.local_path;
        let rewritten = rewrite(text, plan, &places, &set_path, &self.identity);
        message::query(&mut link.lease.outbuf, &rewritten.pieces);
        reply.map = rewritten.map;
        link.expect(Expect::Query(reply));
        link.lease.unnamed = None;
        link.request.awaiting = true;
        // A simple query closes the unnamed portal and drops the unnamed statement.
        self.portals.retain(|(name, _)| !name.is_empty());
        self.statements.remove(b"");
    }

    /// Makes the server fail where the client's text was refused, so that its transaction fails with it.
    pub(super) fn poison_query(&mut self, refusal: Refusal) {
        let Some(link) = &mut self.link else { return };
        message::query(&mut link.lease.outbuf, &[FAILS]);
        link.expect(Expect::Query(QueryReply { poison: Some(Box::new(refusal)), ..QueryReply::default() }));
        link.request.awaiting = true;
    }

    /// Statements about prepared statements and the whole session, where no server knows more than we do.
    fn answer_locally(&mut self, plan: &Plan, text: &[u8]) -> bool {
        let [statement] = &plan.statements[..] else { return false };
        let tied = self.pin.is_some() || self.has_sent();
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
                self.forget_session();
                "DISCARD ALL"
            }
            _ => return false,
        };
        tracing::trace!(bytes = text.len(), tag, "answered without a server");
        message::command_complete(&mut self.outbuf, tag);
        message::ready_for_query(&mut self.outbuf, self.status.byte());
        true
    }
}

impl Link {
    /// The first message of a request is about to be written.
    pub(super) fn begin(&mut self, wants: &crate::pool::settings::Tracked, status: Status) {
        if !self.request.sent {
            self.bring_settings(wants, status);
        }
    }

    /// Sets the path for the session: for a statement that runs in no transaction of ours.
    /// It is taken off again before anything else runs on this server.
    pub(super) fn set_session_path(&mut self, path: &str) {
        message::query(&mut self.lease.outbuf, &[b"SET search_path TO ", path.as_bytes()]);
        self.expect(Expect::OwnQuery);
        self.settings.set(SEARCH_PATH, path);
        self.settings.commit();
    }
}

/// `SET LOCAL search_path` as a statement in front of others.
pub(super) fn format_set_local(path: &str) -> String {
    format!("SET LOCAL search_path TO {path}; ")
}

/// The client's text with schemas and path settings put in.
pub(super) fn rewrite<'a>(
    text: &'a [u8],
    plan: &Plan,
    places: &[usize],
    set_path: &'a str,
    identity: &'a super::Identity,
) -> Rewritten<'a> {
    let mut out = Rewritten { pieces: SmallVec::new(), map: PositionMap::default() };
    let splices: &[_] = if let Route::Splice(splices) = &plan.route { splices } else { &[] };
    let (mut places, mut splices) = (places.iter().copied().peekable(), splices.iter().peekable());
    let (mut done, mut done_chars) = (0, 0);
    loop {
        let place = places.peek().copied().unwrap_or(usize::MAX);
        let splice = splices.peek().map_or(usize::MAX, |splice| splice.at);
        let at = place.min(splice);
        let until = at.min(text.len());
        let piece = text.get(done..until).unwrap_or_default();
        out.pieces.push(piece);
        if at == usize::MAX {
            return out;
        }
        done = until;
        done_chars += chars(piece);
        let insert = if place <= splice {
            places.next();
            set_path.as_bytes()
        } else {
            splices.next().map_or(&[][..], |splice| identity.prefix(splice.schema))
        };
        out.map.insert(done_chars, chars(insert));
        out.pieces.push(insert);
    }
}

impl super::Identity {
    /// A schema as it stands in front of a name: quoted, with the dot.
    pub(super) fn prefix(&self, schema: SchemaRef) -> &[u8] {
        match schema {
            SchemaRef::Tenant => self.prefixes.first(),
            SchemaRef::Shared(index) => self.prefixes.get(usize::from(index) + 1),
        }
        .map_or(&[][..], |prefix| prefix.as_bytes())
    }

    /// The prefixes of a scope: its own schema's first, then those of the shared ones.
    pub fn prefixes_of(scope: &crate::sql::scope::Scope) -> Box<[Box<str>]> {
        let schemas = std::iter::once(&scope.schema).chain(scope.shared.iter());
        schemas.map(|schema| format!("{}.", ident::quoted(schema)).into()).collect()
    }
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

/// A setting that we must understand and can't.
fn unreadable_setting(statement: &Statement, text: &[u8]) -> Option<Refusal> {
    let StatementKind::Set(setting) = &statement.kind else { return None };
    let value = std::str::from_utf8(text.get(setting.value.clone())?).ok()?;
    let refusal =
        |code, message: String, hint: &str| Some(Refusal { code, message, hint: Some(hint.into()) });
    match &*setting.name {
        SEARCH_PATH if super::path::parse_list(value).is_none() => refusal(
            "0A000",
            "search_path can only be set to a list of schema names".into(),
            "Write it as: SET search_path TO name, \"Name\"",
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
