//! Moves a session to the new cluster of its tenant, between two transactions.
//!
//! State on a server of the old cluster cannot follow. Prepared statements of the client can: they are prepared on the
//! new server when they are needed. If a reload has moved the cluster to another host, an open transaction ends on the
//! old one first.

use std::sync::Arc;

use pgstrata_tenancy::TenantId;
use tokio::io::{AsyncRead, AsyncWrite};

use super::standing::Unserved;
use super::{End, Session};
use crate::shared::Located;
use crate::shared::tenancy::Tenancy;
use crate::sql::plan::Refusal;

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Moves the session to the current cluster of its tenant. Then the message at hand is for that cluster; a refusal
    /// is its answer. The error: the client has to leave, because its state cannot follow.
    pub(super) fn follow(&mut self, old: &Arc<Tenancy>, place: &Located) -> Result<Option<Refusal>, End> {
        let Some(tenant) = old.scope.tenant.as_deref() else { return Ok(None) };
        let from = self.cluster_of(old);
        let listens = self.listens_on(from.id);
        // What the session has on a server of another cluster stays there.
        let has_server = self.link.as_ref().is_none_or(|link| link.cluster == from.id);
        let is_open = has_server && self.is_in_a_transaction();
        let is_same = from.name == place.cluster.name;
        if is_same && self.link.is_some() && (is_open || has_server && self.has_sent()) {
            // The tenant has not moved, its cluster has, by a reload: what was begun ends where it is.
            self.head.clear(old);
            return Ok(None);
        }
        if is_open || has_server && self.pins.has_state() || listens {
            return Err(End::fatal("57P01", if is_same { reloaded() } else { moved(tenant) }));
        }
        match Unserved::of(place.look.state) {
            // In a pipeline, the answers of the messages in front reach the client first.
            Some(Unserved::Gone) if !self.has_sent() => {
                return Err(End::fatal("57P01", super::standing::gone(tenant)));
            }
            Some(unserved) => return Ok(Some(unserved.refusal(tenant))),
            None if self.has_sent() => return Ok(Some(in_a_pipeline(tenant))),
            None => {}
        }
        let (database, user) = (&self.identity.database, &self.identity.user);
        let id = TenantId::new(tenant).map_err(|error| End::fatal("57P01", error.to_string()))?;
        let there = (&place.cluster, &*old.scope.schema);
        let new = match database.tenancy(Some(&id), there, user.policy(), &self.config) {
            Ok(new) => new,
            Err(error) => {
                return Ok(Some(Refusal { code: error.sqlstate(), message: error.to_string(), hint: None }));
            }
        };
        new.served.note(place.look.changes, place.look.epoch);
        self.tenants.replace(old, &new);
        self.statements.retie(old, &new);
        self.head.forget_tenant();
        self.tenant_changed();
        self.head.clear(&new);
        Ok(None)
    }
}

/// The error of a client that cannot follow its tenant.
pub(super) fn moved(tenant: &str) -> String {
    format!("terminating connection: tenant \"{tenant}\" has moved to another cluster")
}

/// The same, where its cluster is elsewhere by the configuration.
pub(super) fn reloaded() -> String {
    "terminating connection: the configuration of the tenant's cluster has changed".into()
}

fn in_a_pipeline(tenant: &str) -> Refusal {
    Refusal {
        code: "57P03",
        message: format!("tenant \"{tenant}\" has moved to another cluster in the middle of a pipeline"),
        hint: Some("Send the pipeline again.".into()),
    }
}
