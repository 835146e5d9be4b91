//! The plan of a text: what the engine says of it, and the checks of the session.

use std::borrow::Cow;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Session;
use super::elsewhere;
use super::judge::{Question, Source};
use super::values::unreadable_setting;
use crate::sql::plan::{PinReason, Plan, Refusal, Route};
use crate::sql::scope::TextMode;

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// The plan of the text of a `Query`. The error: the analysis takes long.
    pub(super) fn plan_for(&mut self, text: &[u8], source: Source<'_>) -> Result<Plan, Box<Question>> {
        self.refresh_scope();
        let plan = self.plan_legible(text, source, self.text_mode())?;
        Ok(self.checked(text, plan))
    }

    /// The same for a statement of the extended protocol.
    pub(super) fn plan_pipelined(&mut self, text: &[u8], source: Source<'_>) -> Result<Plan, Box<Question>> {
        self.refresh_scope();
        let mode = TextMode { pipelined: true, ..self.text_mode() };
        let plan = self.plan_legible(text, source, mode)?;
        Ok(self.checked(text, plan))
    }

    /// The same for a short text of the proxy.
    pub(super) fn plan_own(&mut self, text: &[u8]) -> Plan {
        self.refresh_scope();
        let plan = self.shared.engine.plan(text, &self.scope, self.text_mode());
        self.checked(text, plan)
    }

    /// The plan of a text that is readable as UTF-8, or masked.
    fn plan_legible(
        &mut self,
        text: &[u8],
        source: Source<'_>,
        mode: TextMode,
    ) -> Result<Plan, Box<Question>> {
        match self.legible(text) {
            Ok(Cow::Borrowed(text)) => self.plan_now(text, source, mode),
            Ok(Cow::Owned(masked)) => {
                let masked = Bytes::from(masked);
                self.plan_now(&masked, Source::Kept(&masked), mode)
            }
            Err(refusal) => Ok(Plan { route: Route::Refuse(Box::new(refusal)), ..Plan::default() }),
        }
    }

    /// A plan that passes the checks of the session, or its refusal.
    fn checked(&mut self, text: &[u8], mut plan: Plan) -> Plan {
        if self.head.take_names_late() && plan.route == Route::NeedNames {
            plan.route = Route::Refuse(Box::new(names_late()));
        }
        if let Some(observer) = &self.shared.observer {
            plan = observer.note(text, &self.scope, plan);
        }
        let own = self.link.as_ref().map_or(&[][..], |link| &link.ddl);
        if !plan.opaque && self.cluster().catalog.is_changing(&self.tenants.now().scope.schema, own) {
            // What waits for the lock of DDL runs the code that it adds.
            (plan.opaque, plan.lasting) = (true, false);
        }
        let refusal = plan.statements.iter().find_map(|s| unreadable_setting(s, text));
        let refusal = refusal
            .or_else(|| elsewhere::refusal(&plan, text))
            .or_else(|| self.refuses_setting(&plan))
            .or_else(|| self.refuses_pin(&plan))
            .or_else(|| self.refuses_listen(&plan))
            .or_else(|| self.refuses_growth(&plan));
        if let Some(refusal) = refusal {
            plan.route = Route::Refuse(Box::new(refusal));
        }
        plan
    }

    /// The state of the session that a plan depends on.
    pub(super) fn text_mode(&self) -> TextMode {
        let link = self.link.as_ref();
        TextMode {
            standard_conforming_strings: true,
            own_path: self.effective.own || link.is_some_and(|link| link.setup.has_local_path()),
            tenant_first: !self.has_strayed(),
            stale_names: link.is_some_and(|link| !link.ddl.is_empty()),
            temp_tables: self.pins.may_have_temp(),
            // A server that stays with the client may have statements that code has prepared.
            replays_write: self.sql_writes || self.pins.has(PinReason::SessionPooling),
            pipelined: false,
        }
    }
}

/// The refusal of a text that needs the catalog, which could not be loaded.
fn names_late() -> Refusal {
    Refusal {
        code: "57P03",
        message: "timed out loading the tenant's catalog".into(),
        hint: Some("Write the schema in front of the name, or try again.".into()),
    }
}
