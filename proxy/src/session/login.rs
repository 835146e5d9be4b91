//! A message is sent only to a server on its tenant's cluster, and in the tier `login` only to one that has logged in
//! as its tenant's role.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout};

use super::link::Link;
use super::{Session, Status};
use crate::pool::restore::CLEAN_LIMIT;
use crate::shared::cluster::Cluster;
use crate::shared::tenancy::Tenancy;
use crate::sql::plan::Refusal;

impl<C> Session<C> {
    /// The cluster of a tenant of this session.
    #[inline]
    pub(super) fn cluster_of<'a>(&'a self, tenancy: &'a Tenancy) -> &'a Arc<Cluster> {
        tenancy.away.as_ref().unwrap_or(&self.identity.database.home)
    }

    /// The cluster of the current tenant.
    #[inline]
    pub(super) fn cluster(&self) -> &Arc<Cluster> {
        self.cluster_of(self.tenants.now())
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Whether the session needs a server for the tenant's next message: it has none, or one of another login or
    /// cluster. `Err`: it needs another one, and cannot leave its own now.
    pub(super) fn lacks_server(&mut self) -> Result<bool, Refusal> {
        let now = self.tenants.now();
        if self.link.as_ref().is_some_and(|link| self.suits(link, now)) {
            return Ok(false);
        }
        if let Some(refusal) = self.hindrance_to_move(now) {
            return Err(refusal);
        }
        if self.attach_at_once() {
            return Ok(false);
        }
        self.head.want_server_for(self.tenants.now());
        Ok(true)
    }

    /// Whether the leased server is suitable for this tenant.
    pub(super) fn suits(&self, link: &Link, tenancy: &Tenancy) -> bool {
        link.login.as_ref() == tenancy.isolation.login() && link.cluster == self.cluster_of(tenancy).id
    }

    /// The reason why the next message may not go to a server of this tenant.
    pub(super) fn hindrance_to_move(&self, tenancy: &Tenancy) -> Option<Refusal> {
        let link = self.link.as_ref().filter(|link| !self.suits(link, tenancy))?;
        let free = self.status_then() == Status::Idle && !self.has_sent() && !self.pins.has_state();
        (!free).then(|| match link.cluster == self.cluster_of(tenancy).id {
            true => holds_server(),
            false => holds_cluster(),
        })
    }

    /// Returns a server that the client does not use any more, between two requests.
    pub(super) async fn give_up(&mut self, mut link: Box<Link>) {
        if self.let_go() {
            self.cancel.settled().await;
        }
        let session = !self.pins.is_empty();
        let cleaned = timeout(CLEAN_LIMIT, link.clean(Status::Idle, session, &self.shared.metrics)).await;
        link.lease.in_doubt |= !matches!(cleaned, Ok(Ok(())));
        link.give_back(self.server_user(), Instant::now(), &self.shared.metrics);
    }
}

/// A transaction runs on one server.
fn holds_server() -> Refusal {
    Refusal {
        code: "25001",
        message: "a tenant that has servers of its own can't be changed in a transaction or a pipeline"
            .into(),
        hint: Some("Change it between two of them.".into()),
    }
}

/// A transaction runs on one cluster.
fn holds_cluster() -> Refusal {
    Refusal {
        code: "25001",
        message: "a tenant on another cluster can't be entered in a transaction or a pipeline".into(),
        hint: Some("Change the tenant between two of them.".into()),
    }
}
