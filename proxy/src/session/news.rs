//! A newer configuration: whether the client may continue with it.
//!
//! The client may if its database, its user and the meaning of its tenants' names stay the same; then the session uses
//! the newer configuration at once. Otherwise the session finishes its transaction with the older one, and is closed.
//! No session mixes the two.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pgstrata_tenancy::TenantId;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::expect::Expect;
use super::{End, Identity, Session, Status};
use crate::config::{Config, User};
use crate::shared::snapshot::Snapshot;
use crate::shared::tenancy::Tenancy;
use crate::simulation::{Fault, fault};

/// The configuration of a session, and newer ones.
pub(super) struct News {
    newest: watch::Receiver<Arc<Snapshot>>,
    /// Wakes the session at a shutdown. For a newer configuration the client's slot wakes it, however often there is
    /// one.
    stop: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// The reason why the client has to leave.
    leave: Option<String>,
}

impl News {
    /// Watches for snapshots after the current one of `newest`.
    pub fn new(newest: watch::Receiver<Arc<Snapshot>>) -> Self {
        Self { newest, stop: None, leave: None }
    }

    /// Whether there is something to process. Called for each message, so it takes no lock.
    pub fn is_there(&self) -> bool {
        self.leave.is_some() || self.is_new()
    }

    /// Whether there is a newer configuration that was not processed.
    fn is_new(&self) -> bool {
        self.newest.has_changed().unwrap_or(false)
    }

    /// Ready at a newer configuration or a shutdown; otherwise the task of `cx` is woken then.
    pub fn poll(&mut self, shutdown: &watch::Receiver<bool>, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_new() {
            return Poll::Ready(());
        }
        if self.stop.is_some() {
            return Poll::Pending;
        }
        let mut shutdown = shutdown.clone();
        let mut stop: Pin<Box<dyn Future<Output = ()> + Send>> =
            Box::pin(async move { _ = shutdown.wait_for(|stop| *stop).await });
        // Polled once, it wakes once; and there is one shutdown.
        let came = stop.as_mut().poll(cx);
        self.stop = Some(stop);
        came
    }

    fn take(&mut self) -> Option<Arc<Snapshot>> {
        if !self.is_new() {
            return None;
        }
        let newest = Arc::clone(&self.newest.borrow_and_update());
        self.leave.is_none().then_some(newest)
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Processes a newer configuration, if there is one. The error: the client has to leave, and can.
    pub(super) fn heed_news(&mut self) -> Result<(), End> {
        if let Some(newer) = self.news.take() {
            match self.judge_by(&newer) {
                Err(_) if fault(Fault::ReloadUnheeded) => self.config = Arc::clone(&newer.config),
                Ok(user) => {
                    self.identity.user = user;
                    // Results of lookups under the older configuration are discarded.
                    self.head.forget_tenant();
                    self.config = Arc::clone(&newer.config);
                    self.renew_allowance();
                }
                Err(why) => self.news.leave = Some(why),
            }
        }
        let over = self.status == Status::Idle && !self.has_sent() && !self.transaction.holds_ready();
        match self.news.leave.take_if(|_| over || fault(Fault::ReloadInTransaction)) {
            Some(why) => Err(End::fatal("57P01", format!("terminating connection: {why}"))),
            None => Ok(()),
        }
    }

    /// The user in the newer configuration, or the reason why the client cannot continue with it.
    fn judge_by(&self, newer: &Snapshot) -> Result<Arc<User>, String> {
        let (database, user) = (&self.identity.database, &self.identity.user);
        match newer.databases.get(&database.name) {
            None => {
                return Err(format!("database \"{}\" was removed from the configuration", database.name));
            }
            Some(other) if !Arc::ptr_eq(other, database) => {
                return Err(format!("the configuration of database \"{}\" has changed", database.name));
            }
            Some(_) => {}
        }
        let Some(renewed) = newer.accept.users.renew(user) else {
            return Err(format!("user \"{}\" was removed from the configuration", user.name));
        };
        if !renewed.may_connect_to(&database.name) {
            let (user, database) = (&user.name, &database.name);
            return Err(format!(
                "user \"{user}\" may no longer connect to database \"{database}\" by the configuration"
            ));
        }
        if renewed.policy() != user.policy() {
            return Err(format!("what user \"{}\" may run has changed in the configuration", user.name));
        }
        let expects = || self.link.iter().flat_map(|link| link.expects.iter());
        let tied = || self.statements.tied().chain(expects().flat_map(Expect::tied));
        let new_meaning = newer.config.meaning != self.config.meaning;
        // Plans for earlier tenants are not inspected.
        let visited = new_meaning && (self.tenants.changes() > 0 || tied().next().is_some());
        for tenancy in self.tenants.all().into_iter().chain(tied()) {
            may_use(&renewed, tenancy)?;
            if visited || new_meaning && !self.still_means(tenancy, &newer.config) {
                return Err(changed(tenancy));
            }
        }
        Ok(renewed)
    }

    /// Whether names keep their meaning for a tenant of the session.
    fn still_means(&self, tenancy: &Tenancy, newer: &Config) -> bool {
        let meaning = || {
            let id = tenancy.scope.tenant.as_deref().map(TenantId::new).transpose().ok()?;
            let schema = match &id {
                Some(id) => newer.schemas.candidate(id)?,
                None => "public".into(),
            };
            let Identity { database, user, .. } = &self.identity;
            let place = (self.cluster_of(tenancy), &*schema);
            database.tenancy(id.as_ref(), place, user.policy(), newer).ok()
        };
        meaning().is_some_and(|other| tenancy.means_the_same(&other))
    }
}

/// The error: the user may not name the tenant any more.
fn may_use(user: &User, tenancy: &Tenancy) -> Result<(), String> {
    match tenancy.scope.tenant.as_deref() {
        Some(tenant) if !user.may_name(tenant) => {
            let name = &user.name;
            Err(format!("user \"{name}\" may no longer use tenant \"{tenant}\" by the configuration"))
        }
        _ => Ok(()),
    }
}

fn changed(tenancy: &Tenancy) -> String {
    match tenancy.scope.tenant.as_deref() {
        Some(tenant) => format!("the configuration of tenant \"{tenant}\" has changed"),
        None => "the configuration of clients with no tenant has changed".into(),
    }
}
