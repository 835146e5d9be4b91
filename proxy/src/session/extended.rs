//! The extended protocol: named statements, on whichever server the client has.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};

use super::expect::Expect;
use super::judge::Source;
use super::link::Link;
use super::prepared::Sharing;
use super::prepared::user_types;
use super::request::Step;
use super::statements::Origin;
use super::{End, Session, Status, names, spare};
use crate::sql::plan::{Refusal, Route};
use crate::wire::frame::{self, Header};
use crate::wire::message;

/// `ParseComplete` and `CloseComplete`.
pub(super) const PARSE_COMPLETE: Bytes = Bytes::from_static(b"1\0\0\0\x04");
const CLOSE_COMPLETE: Bytes = Bytes::from_static(b"3\0\0\0\x04");

/// The maximum length of a request that is kept until its first answer, so that it can run again.
pub(super) const MAX_REPLAY: usize = 64 << 10;

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// `Parse`: name, text, parameter types.
    ///
    /// `behind` is the data that has arrived behind the message.
    pub(super) fn parse(&mut self, body: &[u8], behind: &[u8]) -> Result<Step, End> {
        let parts = frame::cstr(body).and_then(|(name, rest)| Some((name, frame::cstr(rest)?)));
        let Some((name, (text, types))) = parts else { return Ok(self.refuse_in_pipeline(malformed())) };
        let mut tied = match self.tied_to(text) {
            Ok(tied) => tied,
            Err(hindered) => return Ok(self.hindered(hindered)),
        };
        if let Err(refusal) = self.may_stand_in(tied.as_ref()) {
            return Ok(self.refuse_in_pipeline(refusal));
        }
        let plan = match self.head.take_plan() {
            Some(plan) => plan,
            None => {
                let source = Source::Head(frame::HEADER + name.len() + 1);
                match self.on_behalf_of(tied.clone(), |session| session.plan_pipelined(text, source)) {
                    Ok(plan) => plan,
                    Err(question) => return Ok(Step::NeedJudgement(question)),
                }
            }
        };
        let source = Source::Head(frame::HEADER + name.len() + 1);
        let plan = match self.tie_by_path(plan, text, source, &mut tied) {
            Ok(plan) => plan,
            Err(step) => return Ok(step),
        };
        if plan.route == Route::NeedNames {
            return Ok(Step::NeedNames);
        }
        let taken = !name.is_empty() && self.statements.get(name).is_some();
        let limits = &self.config.limits;
        let (count, bytes) =
            (limits.max_prepared_statements_per_client, limits.max_prepared_bytes_per_client);
        let full = !name.is_empty() && !self.statements.fits(text.len(), count, bytes);
        if self.is_ours(&plan) && !taken && !full {
            let mut statement = self.statement(text, types, plan, tied, Sharing::Unnamed);
            statement.origin = Origin::Here;
            self.statements.insert(Bytes::copy_from_slice(name), statement);
            self.no_second_run();
            self.answer_in_turn(PARSE_COMPLETE);
            return Ok(Step::Done);
        }
        let tenancy = tied.as_ref().unwrap_or(self.tenancy());
        if !self.may_begin(tenancy) {
            return Ok(Step::NeedState(Arc::clone(tenancy)));
        }
        if let Err(step) = self.renew_run(&plan) {
            self.head.keep_plan(plan);
            return Ok(step);
        }
        let begun = self.on_behalf_of(tied.clone(), |session| {
            let stale = matches!(session.lacks_server(), Ok(false)) && session.drops_stale_server(&plan);
            if stale { Err(Step::NeedServer) } else { session.begin_extended(b'P', body) }
        });
        if let Err(step) = begun {
            self.head.keep_plan(plan);
            return Ok(step);
        }
        if let Some(refusal) = self.refuses_encoding(text) {
            return Ok(self.poison(refusal));
        }
        if let Route::Refuse(ref refusal) = plan.route {
            self.count_refusal(refusal.code);
            self.text_refused(refusal, plan.form, text);
            self.note_refused_path(&plan, text);
            return Ok(self.poison(*refusal.clone()));
        }
        if full && !taken {
            return Ok(self.poison(too_many_statements(count, bytes)));
        }
        if let Some(step) = self.on_behalf_of(tied.clone(), |session| session.settle_role(&plan, false)) {
            self.head.keep_plan(plan);
            return Ok(step);
        }
        let plain = name.is_empty() && tied.is_none() && user_types(types).is_empty();
        let sharing = match plain && self.may_repeat(&plan, text, behind) {
            true => Sharing::Repeated,
            false if taken => Sharing::Unnamed,
            false => Sharing::of(name),
        };
        self.on_behalf_of(tied.clone(), |session| {
            session.ask_for_types(types);
            let statement = session.statement(text, types, plan, tied, sharing);
            match taken {
                true => session.try_parse(&statement),
                false => session.send_parse(Bytes::copy_from_slice(name), statement),
            }
        });
        Ok(if taken { self.poison(names::taken(name)) } else { Step::Done })
    }

    /// `Describe` of a statement or portal.
    pub(super) fn describe(&mut self, body: &[u8]) -> Result<Step, End> {
        let parts = body.split_first().and_then(|(what, rest)| Some((*what, frame::cstr(rest)?)));
        let Some((what, (name, b""))) = parts else { return Ok(self.refuse_in_pipeline(malformed())) };
        let found = match what {
            b'S' => self.statements.get(name),
            _ => self.portals.get(name),
        };
        if let Some(statement) = found.filter(|statement| statement.is_here()).cloned() {
            self.keep(b'D', body);
            self.describe_command(&statement, what != b'S');
            return Ok(Step::Done);
        }
        if what == b'S' {
            let tied = found.and_then(|statement| statement.tied.clone());
            if let Err(refusal) = self.may_stand_in(tied.as_ref()) {
                return Ok(self.refuse_in_pipeline(refusal));
            }
            let tenancy = tied.as_ref().unwrap_or(self.tenancy());
            if !self.may_begin(tenancy) {
                return Ok(Step::NeedState(Arc::clone(tenancy)));
            }
            return Ok(self.on_behalf_of(tied, |session| session.describe_statement(name, body)));
        }
        let by_name = found.filter(|statement| statement.has_run()).cloned();
        if let Err(step) = self.begin_extended(b'D', body) {
            return Ok(step);
        }
        if self.is_foreign_portal(name) {
            return Ok(self.poison(names::no_portal(name)));
        }
        if let Some(statement) = by_name {
            self.ask_to_describe_run(&statement);
        }
        self.pass_message(b'D', body);
        let statement = name.is_empty().then(|| self.portals.unnamed());
        if let Some(link) = &mut self.link {
            link.expect_reply(Expect::Describe { statement, client: true, parameters: 0 });
        }
        Ok(Step::Done)
    }

    /// `Describe` of a statement, whose names are resolved for the current tenant.
    fn describe_statement(&mut self, name: &[u8], body: &[u8]) -> Step {
        if let Err(step) = self.renew(name) {
            return step;
        }
        if let Err(step) = self.begin_extended(b'D', body) {
            return step;
        }
        if let Some(step) = self.settle_role_of(name) {
            return step;
        }
        let Some(on_server) = self.ensure_statement(name) else { return Step::Done };
        let asked = self.statements.get(name).filter(|one| one.is_analysed() || one.has_run());
        if let Some(statement) = asked.cloned() {
            self.ask_to_analyse(&statement, on_server.id);
            self.ask_to_describe_run(&statement);
        }
        if let Some(link) = &mut self.link {
            message::describe_statement(&mut link.lease.outbuf, on_server.name.as_bytes());
            let statement = Some((Bytes::copy_from_slice(name), on_server.id));
            link.expect_reply(Expect::Describe { statement, client: true, parameters: 0 });
        }
        Step::Done
    }

    /// `Close` of a statement, which the proxy answers, or of a portal.
    pub(super) fn close(&mut self, body: &[u8]) -> Result<Step, End> {
        let parts = body.split_first().and_then(|(what, rest)| Some((*what, frame::cstr(rest)?)));
        let Some((what, (name, b""))) = parts else { return Ok(self.refuse_in_pipeline(malformed())) };
        if what != b'S' {
            if let Err(step) = self.begin_extended(b'C', body) {
                return Ok(step);
            }
            self.portals.close(name);
            self.pass_message(b'C', body);
            if let Some(link) = &mut self.link {
                link.expect_reply(Expect::Close { client: true });
                link.own_portal &= !name.is_empty();
            }
            return Ok(Step::Done);
        }
        if self.statements.get(name).is_some_and(|statement| statement.origin == Origin::Sql) {
            return Ok(self.close_sql(name, body));
        }
        let closed = self.statements.remove(name);
        let closed = closed.map(|statement| Box::new((Bytes::copy_from_slice(name), statement)));
        self.keep(b'C', body);
        let role = self.role();
        let fits =
            self.link.as_ref().is_some_and(|link| link.request.sent || self.suits(link, self.tenancy()));
        match self.link.as_mut().filter(|_| fits) {
            Some(link) => {
                link.begin(&self.settings, self.status, role.as_ref());
                link.expect_reply(Expect::Local { message: CLOSE_COMPLETE, opened: None, closed });
                self.emit_locals();
            }
            None => self.outbuf.extend_from_slice(&CLOSE_COMPLETE),
        }
        Ok(Step::Done)
    }

    /// `Close` of a statement of SQL `PREPARE`.
    fn close_sql(&mut self, name: &[u8], body: &[u8]) -> Step {
        if let Err(step) = self.begin_extended(b'C', body) {
            return step;
        }
        self.pass_message(b'C', body);
        if let Some(link) = &mut self.link {
            link.expect_reply(Expect::Close { client: true });
        }
        self.pins.doubt();
        self.foresee_deallocated(&String::from_utf8_lossy(name));
        Step::Done
    }

    /// `Flush`.
    pub(super) fn flush(&mut self) -> Step {
        if let Some(link) = &mut self.link {
            link.flush();
        }
        Step::Done
    }

    /// `Sync`: the request is complete.
    pub(super) fn sync(&mut self) -> Step {
        let ends = self.ends_with_sync();
        match &mut self.link {
            Some(link) => {
                link.keep(b'S', &[]);
                message::sync(&mut link.lease.outbuf);
                link.expect_reply(Expect::Sync);
                link.request.awaiting = true;
                self.clean_behind(ends);
            }
            None => {
                self.end_local();
                message::ready_for_query(&mut self.outbuf, self.status.byte());
            }
        }
        Step::Done
    }

    /// `CopyData`, `CopyDone`, `CopyFail`, and messages that PostgreSQL ignores in between.
    pub(super) fn copy_in(&mut self, header: Header, buf: &mut BytesMut) {
        let Some(link) = &mut self.link else { return };
        let part = buf.split_to(header.total.min(buf.len()));
        self.framing.begin_rest(header.total - part.len(), true);
        link.lease.outbuf.extend_from_slice(&part);
        match header.tag {
            b'c' | b'f' => link.copy_in = false,
            _ => {}
        }
    }

    /// Begins a pipeline on a server with the right settings. `Err`: the message is answered, or there is no such
    /// server yet.
    pub(super) fn begin_extended(&mut self, tag: u8, body: &[u8]) -> Result<(), Step> {
        match self.lacks_server() {
            Ok(false) => {}
            Ok(true) => return Err(Step::NeedServer),
            Err(refusal) => return Err(self.refuse_in_pipeline(refusal)),
        }
        let role = self.role();
        let Some(link) = &mut self.link else { return Err(Step::NeedServer) };
        if !link.request.sent {
            link.begin(&self.settings, self.status, role.as_ref());
            let again = tag == b'B' && self.status == Status::Idle;
            link.request.replay = again.then(spare::buffer);
        }
        link.keep(tag, body);
        Ok(())
    }

    /// Keeps a message that the proxy answers, in case its request runs again.
    pub(super) fn keep(&mut self, tag: u8, body: &[u8]) {
        if let Some(link) = &mut self.link {
            link.keep(tag, body);
        }
    }

    /// The request has had an effect in the proxy, so it cannot run again.
    pub(super) fn no_second_run(&mut self) {
        if let Some(link) = &mut self.link {
            link.request.replay = None;
        }
    }

    /// Passes a message on unchanged.
    pub(super) fn pass_message(&mut self, tag: u8, body: &[u8]) {
        let Some(link) = &mut self.link else { return };
        message::raw(&mut link.lease.outbuf, tag, body);
    }

    /// Makes the server fail at the place of the refusal, so that its transaction fails, too.
    pub(super) fn poison(&mut self, refusal: Refusal) -> Step {
        self.settle_due_parse();
        let Some(link) = &mut self.link else { return Step::NeedServer };
        message::fail(&mut link.lease.outbuf);
        link.expect_reply(Expect::Poison(Box::new(refusal)));
        link.request.failed = true;
        Step::Done
    }
}

impl Link {
    /// Keeps a message of a request that may have to be run again.
    fn keep(&mut self, tag: u8, body: &[u8]) {
        let Some(replay) = &mut self.request.replay else { return };
        if replay.len() + body.len() > MAX_REPLAY {
            self.request.replay = None;
            return;
        }
        message::raw(replay, tag, body);
    }
}

pub(super) fn refusal(code: &'static str, message: String) -> Refusal {
    Refusal { code, message, hint: None }
}

pub(super) fn too_many_statements(count: usize, bytes: usize) -> Refusal {
    let mut refusal = refusal("53400", "too many prepared statements".into());
    refusal.hint = Some(format!(
        "A client may hold {count} of them with {bytes} bytes of text (limits.max_prepared_statements_per_client, limits.max_prepared_bytes_per_client). Close those that are not needed."
    ));
    refusal
}

/// PostgreSQL's error for an unreadable message; the session continues.
pub(super) fn malformed() -> Refusal {
    refusal("08P01", "invalid message format".to_owned())
}
