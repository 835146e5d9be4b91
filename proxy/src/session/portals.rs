//! Portals: their recorded state, and their `Execute`.

use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::bound::{bind_setting, is_function_that_sets};
use super::effect::effect_of;
use super::expect::Expect;
use super::extended::malformed;
use super::listen::name_channel;
use super::names::Found;
use super::request::Step;
use super::statements::{ClientStatement, Runs};
use super::{End, Session, names};
use crate::simulation::{Fault, fault};
use crate::sql::plan::{Plan, Statement, StatementKind};
use crate::wire::frame;

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Records a portal whose statement has an effect on the session, or a check behind it.
    pub(super) fn note_portal(&mut self, portal: &[u8], name: &[u8], values: &[u8]) {
        self.portals.close(portal);
        let Some(statement) = self.statements.get(name) else { return };
        let plan = &statement.plan;
        let opaque = plan.opaque;
        let notable = |s: &Statement| opaque || s.kind != StatementKind::Plain || s.pin.is_some() || s.ddl;
        if plan.checks.is_empty() && !plan.statements.iter().any(notable) {
            return;
        }
        let mut statement = statement.clone();
        bind_setting(&mut statement, values, self.reads_utf8());
        if !portal.is_empty() && statement.plan.statements.iter().any(is_function_that_sets) {
            self.lose_track();
        }
        let run = match &statement.runs {
            Runs::Own(name, _) => self.statements.get(name).map(|run| Arc::clone(&run.plan)),
            _ => None,
        };
        // A `FETCH` can run a portal too, without an Execute.
        let plans = std::iter::once(&statement.plan).chain(&run);
        for reason in plans.flat_map(|plan| &plan.statements).filter_map(|s| s.pin) {
            self.pin(reason);
        }
        if let Some(link) = self.link.as_mut().filter(|_| opaque) {
            link.setup.bind_may_move(Bytes::copy_from_slice(portal));
        }
        self.portals.open(portal, statement);
    }

    /// `Execute` of a portal.
    pub(super) fn execute(&mut self, body: &[u8]) -> Result<Step, End> {
        let Some((portal, rows)) = frame::cstr(body) else { return Ok(self.refuse_in_pipeline(malformed())) };
        let statement = self.portals.get(portal).cloned();
        if let Some(statement) = statement.as_ref().filter(|statement| statement.is_here()) {
            let step = self.execute_command(statement);
            if matches!(step, Step::Done) {
                self.keep(b'E', body);
            }
            return Ok(step);
        }
        if let Err(step) = self.begin_extended(b'E', body) {
            return Ok(step);
        }
        if self.is_foreign_portal(portal) {
            return Ok(self.poison(names::no_portal(portal)));
        }
        self.set_up_portal(portal, statement.as_ref());
        if let Some(step) = statement.as_ref().and_then(|statement| self.execute_by_name(statement)) {
            return Ok(step);
        }
        if let Some(statement) = &statement {
            self.ask_again(portal, &statement.plan);
        }
        // A portal without a record reads or writes.
        self.transaction.touch_if(statement.is_none());
        let mut effect = None;
        if let Some(statement) = &statement {
            for one in &statement.plan.statements {
                self.before(one, &statement.plan, &statement.text);
                effect = effect_of(one, &statement.text, self.reads_utf8())
                    .map(|effect| name_channel(effect, &self.tenants.now().scope));
            }
            // A second run returns the remaining rows, and sets nothing.
            if statement.plan.statements.iter().any(is_function_that_sets) {
                self.portals.close(portal);
            }
        }
        self.pass_message(b'E', body);
        let copies = |statement: &ClientStatement| {
            statement.plan.statements.iter().any(|one| one.kind == StatementKind::CopyIn)
        };
        let run = self.run_portal(portal, frame::u32(rows).map_or(0, |(rows, _)| rows));
        if let Some(link) = &mut self.link {
            link.expect_reply(Expect::Execute { client: true, effect, run });
            link.request.ran = true;
            (link.request.asked, link.request.analysed) = (None, None);
            link.request.runs += 1;
            link.request.limited |= frame::u32(rows).is_none_or(|(rows, _)| rows != 0);
            if statement.as_ref().is_some_and(copies) {
                link.awaits_copy = true;
                link.flush();
            }
        }
        if let Some(statement) = &statement {
            self.ask(&statement.plan, true);
            for one in &statement.plan.statements {
                // A statement that has the name stays, and so do its checks.
                let made = match &one.kind {
                    StatementKind::Prepare { name, .. } if self.find(name) != Found::Sql => Some(name),
                    _ => None,
                };
                self.foresee(one, &statement.text, statement.plan.opaque);
                made.into_iter().for_each(|name| self.note_checks(name, &statement.plan.checks));
            }
        }
        Ok(Step::Done)
    }

    /// Sends the checks in front of the `Bind` of the statement `id`.
    pub(super) fn ask_to_bind(&mut self, portal: &[u8], plan: &Plan, id: u64) {
        let asked = self.has_analysed(id);
        self.ask_those(plan, |check| !(check.behind || asked && check.of_names));
        self.note_asked(portal);
    }

    /// Sends the checks in front of a portal's statement.
    fn ask_for_portal(&mut self, portal: &[u8], plan: &Plan) {
        self.ask(plan, false);
        self.note_asked(portal);
    }

    fn note_asked(&mut self, portal: &[u8]) {
        if let Some(link) = &mut self.link {
            link.request.asked = Some(Bytes::copy_from_slice(portal));
        }
    }

    /// The same, for checks that are outdated because something ran since: a utility statement resolves its names when
    /// it runs, and one that must be outside of a transaction block may be in one by now.
    fn ask_again(&mut self, portal: &[u8], plan: &Plan) {
        let asked = self.link.as_ref().and_then(|link| link.request.asked.as_deref());
        let again = asked != Some(portal) && !fault(Fault::PortalNotAskedAgain);
        if !plan.checks.is_empty() && again && !self.fails_alone(plan) {
            self.ask_for_portal(portal, plan);
        }
    }
}
