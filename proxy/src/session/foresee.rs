//! The effects of statements in progress, as the messages behind them must find them.
//!
//! PostgreSQL has not confirmed them yet. They are verified when the request is over.

use tokio::io::{AsyncRead, AsyncWrite};

use super::ahead::Confirmed;
use super::effect::{PathChange, effect_of, path_change};
use super::expect::Effect;
use super::path::{self, Effective};
use super::{Session, Status};
use crate::pool::settings::SEARCH_PATH;
use crate::sql::plan::Statement;

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// The predicted status behind all sent messages.
    pub(super) fn status_then(&self) -> Status {
        self.transaction.foreseen().unwrap_or(self.status)
    }

    /// Whether unqualified names may find objects of another schema before the tenant's.
    pub(super) fn has_strayed(&self) -> bool {
        let own = self.effective.own && path::strays(&self.effective.path, &self.tenancy().scope.schema);
        own || self.link.as_ref().is_some_and(|link| link.setup.has_strayed())
    }

    /// A request is over: the next one is resolved under the path that is now in force.
    pub(super) fn refresh_effective(&mut self) {
        if !self.effective.is_of(self.settings.current(), self.tenancy()) {
            self.effective = Effective::of(self.settings.current(), self.tenancy());
        }
    }

    /// Predicts the effects of a statement of a pipeline that was sent, for the messages behind it. `opaque`: its text
    /// may run code outside of it.
    pub(super) fn foresee(&mut self, statement: &Statement, text: &[u8], opaque: bool) {
        let change = path_change(statement);
        let strayed = self.has_strayed();
        let utf8 = self.reads_utf8();
        let effect = effect_of(statement, text, utf8);
        self.foresee_reading(statement);
        let now = Confirmed {
            status: self.status,
            settings: &self.settings,
            base: &self.identity.base,
            home: &self.tenants.now().home,
        };
        let failed = self.transaction.advance(statement, effect.as_ref(), &now);
        let Some(link) = &mut self.link else { return };
        link.setup.stray_if(strayed);
        link.advance(statement, text, &self.tenants.now().scope.schema, opaque);
        match effect {
            Some(Effect::Set(name, list)) if &*name == SEARCH_PATH => {
                self.effective = Effective::new(list.sql().into(), true, self.tenants.now());
            }
            Some(Effect::SetLocalPath(list)) => {
                self.effective = Effective::new(list.into(), true, self.tenants.now());
            }
            Some(Effect::RollbackTo(_)) => {
                if let Some(path) = self.transaction.path_ahead(self.tenants.now()) {
                    self.effective = path;
                }
            }
            Some(Effect::Prepared(name, _)) => self.foresee_prepared(&name),
            Some(Effect::Deallocated(name)) => self.foresee_deallocated(&name),
            Some(Effect::DeallocateAll) => self.foresee_dropped(),
            Some(
                effect @ (Effect::Reset(_) | Effect::ResetLocalPath | Effect::ResetAll | Effect::DiscardAll),
            ) => {
                if effect == Effect::DiscardAll {
                    self.foresee_dropped();
                }
                // Until PostgreSQL has confirmed the statement, nothing is assumed.
                self.effective = Effective::home(self.tenants.now(), true);
            }
            // The next statement belongs to another transaction, of the session's tenant.
            Some(Effect::End { rolls_back, .. }) => {
                self.transaction.begin_anew();
                let request = &mut link.request;
                (request.ran, request.ran_ours) = (false, false);
                (request.bound, request.bound_by_name) = (false, false);
                let rolls_back = failed || rolls_back;
                self.tenants.foresee_end(rolls_back);
                self.tenant_changed();
                if let Some(path) = self.transaction.path_ahead(self.tenants.now()) {
                    self.effective = path;
                }
            }
            _ => {}
        }
        // Predictions are verified when the request is over.
        if change != PathChange::Keep {
            self.effective.doubt();
        }
    }
}
