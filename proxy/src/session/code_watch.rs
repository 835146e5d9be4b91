//! Code that appears behind a plan. A plan knows which statements may run code outside of their text: by views, defaults,
//! triggers, policies. DDL of another session may add some while a statement waits for its lock, or is on its way. After
//! each request the catalog is asked whether there was such DDL; if so, the request counts as one that has run code:
//! path and role are set again, and the server is reset before another client has it.
//!
//! DDL that another proxy or an administrator runs is known when the catalog hears of it: see the section on several
//! proxies in `docs/isolation.md`.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use super::Session;
use super::link::Link;
use super::switch::touches;
use crate::catalog::Change;
use crate::shared::cluster::Cluster;
use crate::shared::tenancy::Tenancy;
use crate::sql::plan::Plan;

/// What the plans of a transaction know of code.
pub(super) struct CodeWatch {
    /// The epoch of the catalog that the oldest of them was made with.
    epoch: u64,
}

impl<C> Session<C> {
    /// The catalog's epoch of a plan that was made just now for a tenant.
    pub(super) fn epoch_of_plan(&self, tenancy: &Tenancy) -> u64 {
        match Arc::ptr_eq(&tenancy.scope, &self.scope_basis.scope) {
            true => self.scope_basis.epoch,
            false => self.cluster_of(tenancy).epoch(&tenancy.scope.schema),
        }
    }

    /// The cluster and the tenant that the plans of the transaction were made with.
    pub(super) fn watched(&self) -> (Arc<Cluster>, Arc<Tenancy>) {
        let tenancy = &self.effective.tenancy;
        (Arc::clone(self.cluster_of(tenancy)), Arc::clone(tenancy))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// A plan is about to be sent that was made when the catalog had this `epoch`.
    pub(super) fn watch_code(&mut self, plan: &Plan, epoch: u64) {
        let Some(link) = self.link.as_mut().filter(|_| plan.statements.iter().any(touches)) else { return };
        match &mut link.watch {
            Some(watch) => watch.epoch = watch.epoch.min(epoch),
            None => link.watch = Some(CodeWatch { epoch }),
        }
    }

    /// A request is over: notes whether it has run beside DDL of its tenant.
    pub(super) fn see_changes(&mut self) {
        let tenancy = &self.effective.tenancy;
        let cluster = tenancy.away.as_ref().unwrap_or(&self.identity.database.home);
        if let Some(link) = &mut self.link {
            link.see_changes(cluster, &tenancy.scope.schema);
        }
    }

    /// The next statements are another tenant's.
    pub(super) fn leave_watch(&mut self) {
        self.see_changes();
        let Some(link) = self.link.as_mut().filter(|link| link.watch.is_some()) else { return };
        if link.request.sent {
            // What is on its way is not looked at again.
            link.note_unseen_code();
        }
        link.watch = None;
    }

    /// A statement with DDL is about to be sent. What runs beside it is told.
    pub(super) fn begin_change(&mut self) {
        let tenancy = self.tenants.now();
        let cluster = tenancy.away.as_ref().unwrap_or(&self.identity.database.home);
        let Some(link) = self.link.as_mut() else { return };
        if !link.ddl.iter().any(|change| change.is_of(&tenancy.scope.schema)) {
            link.ddl.push(Change::begin(&cluster.catalog, &tenancy.scope.schema));
        }
    }
}

impl Link {
    /// See [`Session::see_changes`].
    pub(super) fn see_changes(&mut self, cluster: &Cluster, schema: &str) {
        let Some(watch) = &self.watch else { return };
        // In this order: DDL that ends between the two is seen by the second.
        if cluster.catalog.is_changing(schema, &self.ddl) || cluster.epoch(schema) != watch.epoch {
            self.note_unseen_code();
        }
    }

    /// Code may have run that no plan knew of.
    fn note_unseen_code(&mut self) {
        if !self.opaque && self.is_being_restored() {
            // The reset that is on its way was for less.
            self.lease.in_doubt = true;
        }
        (self.opaque, self.may_hide, self.request.opaque) = (true, true, true);
        self.setup.moved();
    }
}
