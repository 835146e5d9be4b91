//! `Bind`: a portal of a statement, on whichever server the client has.

use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::columns::{self, Columns};
use super::expect::Expect;
use super::extended::{MAX_REPLAY, malformed, refusal};
use super::link::Link;
use super::request::Step;
use super::{End, Session, names, path_switch, switch};
use crate::clients::counts::Counts;
use crate::sql::name;
use crate::sql::plan::Refusal;
use crate::wire::frame::{self, Header};
use crate::wire::message;

/// `BindComplete`.
const BIND_COMPLETE: Bytes = Bytes::from_static(b"2\0\0\0\x04");

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// `Bind`: portal, statement, and the rest of the message.
    ///
    /// `next` is the type of the next message, if it has arrived.
    pub(super) fn bind(&mut self, body: &[u8], header: Header, next: Option<u8>) -> Result<Step, End> {
        let names = frame::cstr(body).and_then(|(portal, rest)| Some((portal, frame::cstr(rest)?)));
        let Some((portal, (name, rest))) = names else {
            // Of a long message, only the names must be complete, and only up to this length.
            let partial = body.len() + frame::HEADER < header.total.min(MAX_REPLAY);
            return if partial { self.no_message() } else { Ok(self.refuse_in_pipeline(malformed())) };
        };
        if let Some(step) = self.settle_path(name, rest) {
            return Ok(step);
        }
        if let Some(refusal) = self.refuses_old_draw(name) {
            return Ok(self.refuse_in_pipeline(refusal));
        }
        if let Some(step) = self.bind_here(portal, name, body) {
            return Ok(step);
        }
        if !self.may_begin(self.tenancy()) {
            return Ok(Step::NeedState(Arc::clone(self.tenancy())));
        }
        if let Err(step) = self.renew(name) {
            return Ok(step);
        }
        if let Err(step) = self.begin_extended(b'B', body) {
            return Ok(step);
        }
        if self.portals.is_full() {
            return Ok(self.poison(too_many_portals()));
        }
        if name::is_reserved(&String::from_utf8_lossy(portal)) {
            return Ok(self.poison(names::reserved(portal)));
        }
        if let Some(refusal) = self.refuses_bind(name, portal, rest) {
            self.count_refusal(refusal.code);
            return Ok(self.poison(refusal));
        }
        if let Some(step) = self.settle_role_of(name) {
            return Ok(step);
        }
        // A `FETCH` could run the portal without the check.
        if !portal.is_empty() && self.statements.get(name).is_some_and(|one| self.runs_what_is_asked(one)) {
            return Ok(self.poison(execute_in_a_portal()));
        }
        let plan = self.statements.get(name).map(|statement| Arc::clone(&statement.plan));
        let asked = plan.filter(|plan| !plan.checks.is_empty() && !self.fails_alone(plan));
        let Some(on_server) = self.ensure_statement(name) else { return Ok(Step::Done) };
        // PostgreSQL does not compare the columns of an `EXECUTE`.
        let bound = self.statements.get(name).filter(|statement| !statement.has_run());
        let columns = bound.map(|statement| statement.columns).unwrap_or_default();
        match columns {
            // The client gets a new description before it reads a row.
            _ if next == Some(b'D') => {}
            Columns::Doubtful(_) => return Ok(self.check_columns(name, &on_server)),
            Columns::Changed(_) => return Ok(self.poison(columns::changed())),
            Columns::Described(_) | Columns::Undescribed => {}
        }
        // From here on the statement may run, also by a `FETCH`.
        if let Some(plan) = asked {
            self.ask_to_bind(portal, &plan, on_server.id);
        }
        let spared = self.take_due_parse();
        let behind = header.total - frame::HEADER - portal.len() - name.len() - 2;
        let Some(link) = &mut self.link else { return Ok(Step::NeedServer) };
        link.give_up_portal(portal);
        message::bind_head(&mut link.lease.outbuf, portal, on_server.name.as_bytes(), behind);
        link.lease.outbuf.extend_from_slice(rest);
        let number = self.accounts.next_portal();
        link.expect_reply(Expect::Bind { client: true, portal: number, told: columns.count(), spared });
        link.request.bound = true;
        if !name.is_empty() {
            self.entry.counts.add(Counts::BINDS, 1);
        }
        link.request.bound_by_name |= !portal.is_empty();
        link.request.described |= columns != Columns::Undescribed && next != Some(b'D');
        if portal.is_empty() {
            self.portals.bind_unnamed(name, on_server.id);
        }
        // From here on the statement may run, also by a `FETCH`.
        let touches =
            self.statements.get(name).is_some_and(|s| s.plan.statements.iter().any(switch::touches));
        self.transaction.touch_if(touches);
        if behind > rest.len() {
            link.request.replay = None;
        }
        self.bind_run(portal, name, number);
        self.note_portal(portal, name, rest);
        Ok(Step::Done)
    }

    /// Handles a `Bind` of a statement that the proxy answers, or that belongs to another tenant.
    fn bind_here(&mut self, portal: &[u8], name: &[u8], body: &[u8]) -> Option<Step> {
        let statement = self.statements.get(name)?;
        if statement.is_here() {
            let statement = statement.clone();
            if self.portals.is_full() {
                return Some(self.refuse_in_pipeline(too_many_portals()));
            }
            self.portals.open(portal, statement);
            self.keep(b'B', body);
            self.answer_in_turn(BIND_COMPLETE);
            return Some(Step::Done);
        }
        let tied = statement.tied.clone()?;
        // A tenant switch by a path lasts as PostgreSQL's settings do; one by a comment lasts for its statement.
        let local = !statement.plan.statements.iter().any(path_switch::is_for_session);
        let sets_path = statement.plan.statements.iter().any(path_switch::is_path);
        if let Err(hindered) = self.may_enter(&tied) {
            return Some(self.hindered(hindered));
        }
        self.enter(tied, local).err().map(|refusal| {
            if sets_path {
                self.distrust_path();
            }
            self.refuse_in_pipeline(refusal)
        })
    }
}

impl Link {
    /// The client binds a portal: the proxy's unnamed portal is closed, so that the two are not confused.
    fn give_up_portal(&mut self, portal: &[u8]) {
        if self.own_portal && !portal.is_empty() {
            message::close(&mut self.lease.outbuf, b'P', b"");
            self.expect_reply(Expect::Close { client: false });
        }
        self.own_portal = false;
    }
}

fn execute_in_a_portal() -> Refusal {
    let mut refusal = refusal("0A000", "this EXECUTE can't be bound to a portal with a name".into());
    refusal.hint = Some("Bind it to the unnamed portal, or bind the statement itself.".into());
    refusal
}

fn too_many_portals() -> Refusal {
    refusal("53400", "too many open portals in one transaction".into())
}
