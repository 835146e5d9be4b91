//! A newer configuration: whether the client may go on by it.
//!
//! It may where its database, its user and what its tenants' names mean are the same; then it goes on by the newer
//! one at once. Else it finishes its transaction by the older one, and is closed. Nothing of a session is ever read by
//! one configuration in one part, and by another in the other.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pgstrata_tenancy::TenantId;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::expect::Expect;
use super::tenant::Tenancy;
use super::{End, Identity, Session, Status};
use crate::config::{Config, User};
use crate::shared::snapshot::Snapshot;

/// The configuration that a session goes by, and those that come behind it.
pub(super) struct News {
    newest: watch::Receiver<Arc<Snapshot>>,
    /// Wakes the session when the proxy stops. For a newer configuration its slot does, however often that comes.
    stop: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Why the client has to leave.
    leave: Option<String>,
}

impl News {
    /// What comes behind the one that `newest` has seen.
    pub fn new(newest: watch::Receiver<Arc<Snapshot>>) -> Self {
        Self { newest, stop: None, leave: None }
    }

    /// Whether there is something to look at. For each message, so without a lock.
    pub fn is_there(&self) -> bool {
        self.leave.is_some() || self.is_new()
    }

    /// Whether there is one that was not looked at.
    fn is_new(&self) -> bool {
        self.newest.has_changed().unwrap_or(false)
    }

    /// Ready when there is a newer one, or the proxy stops. Else the task of `cx` is woken for that.
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
        // Asked once, it wakes once; and the proxy stops once.
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
    /// Looks at a newer configuration, if there is one. The error: the client has to leave, and can.
    pub(super) fn heed_news(&mut self) -> Result<(), End> {
        if let Some(newer) = self.news.take() {
            match self.judge_by(&newer) {
                Ok(user) => {
                    self.identity.user = user;
                    // What was found by the older one is looked for again.
                    self.asked = None;
                    self.config = Arc::clone(&newer.config);
                }
                Err(why) => self.news.leave = Some(why),
            }
        }
        let over = self.status == Status::Idle && !self.has_sent() && self.held_ready.is_none();
        match self.news.leave.take_if(|_| over) {
            Some(why) => Err(End::fatal("57P01", format!("terminating connection: {why}"))),
            None => Ok(()),
        }
    }

    /// The user as the newer configuration has it; or why the client can't go on by that.
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
        let Some(account) = newer.accept.users.get(&user.name) else {
            return Err(format!("user \"{}\" was removed from the configuration", user.name));
        };
        if account.user.policy() != user.policy() {
            return Err(format!("what user \"{}\" may run has changed in the configuration", user.name));
        }
        let expects = || self.link.iter().flat_map(|link| link.expects.iter());
        let tied = || self.statements.tied().chain(expects().flat_map(Expect::tied));
        let new_meaning = newer.config.meaning != self.config.meaning;
        // What was planned for another tenant before is not looked through.
        let visited = new_meaning && (self.changes > 0 || tied().next().is_some());
        for tenancy in self.tenants.all().into_iter().chain(tied()) {
            may_use(&account.user, tenancy)?;
            if visited || new_meaning && !self.still_means(tenancy, &newer.config) {
                return Err(changed(tenancy));
            }
        }
        Ok(Arc::clone(&account.user))
    }

    /// Whether names go on meaning what they mean for a tenant of the session's.
    fn still_means(&self, tenancy: &Tenancy, newer: &Config) -> bool {
        let meaning = || {
            let id = tenancy.scope.tenant.as_deref().map(TenantId::new).transpose().ok()?;
            let schema = match &id {
                Some(id) => newer.schemas.candidate(id)?,
                None => "public".into(),
            };
            let Identity { database, user, .. } = &self.identity;
            database.tenancy(id.as_ref(), &schema, user.policy(), newer).ok()
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
