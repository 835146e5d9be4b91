//! The tier `login`: a message goes to a server that has logged in as its tenant's role, and to no other.

use std::time::Instant;

use pgstrata_tenancy::RoleName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::link::Link;
use super::{Session, Status};
use crate::pool::restore::CLEAN_LIMIT;
use crate::sql::plan::Refusal;

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Whether a server must be had before the tenant's next message is sent: there is none, or it is one of
    /// another login. `Err`: there is, and it can't be left now.
    pub(super) fn lacks_server(&mut self) -> Result<bool, Refusal> {
        let login = self.tenants.now().isolation.login();
        if self.link.as_ref().is_some_and(|link| link.login.as_ref() == login) {
            return Ok(false);
        }
        if !self.may_move(login) {
            return Err(holds_server());
        }
        if self.attach_at_once() {
            return Ok(false);
        }
        self.wanted = self.tenants.now().isolation.clone();
        Ok(true)
    }

    /// Whether the next message may go to a server of this login.
    pub(super) fn may_move(&self, login: Option<&RoleName>) -> bool {
        let Some(link) = &self.link else { return true };
        let free = self.status_then() == Status::Idle && !self.has_sent() && !self.pins.has_state();
        free || link.login.as_ref() == login
    }

    /// Puts a server back, between two requests, that its client goes without from now on.
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

/// No transaction runs on two servers.
pub(super) fn holds_server() -> Refusal {
    Refusal {
        code: "25001",
        message: "a tenant that has servers of its own can't be changed in a transaction or a pipeline"
            .into(),
        hint: Some("Change it between two of them.".into()),
    }
}
