//! Ends the session of an idle client that listens to channels of a tenant which was dropped or has moved to another
//! cluster: no notification would reach the client any more.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};

use super::expect::Home;
use super::follow::{moved, reloaded};
use super::standing::{Unserved, gone};
use super::{End, Session};
use crate::shared::cluster::Cluster;
use crate::shared::{DatabaseHandle, Located};

/// The tenants whose channels a client listens to.
#[derive(Default)]
pub(super) struct Watches {
    /// By schema.
    tenants: BTreeMap<Arc<str>, Watch>,
    /// The schema that each channel belongs to.
    channels: BTreeMap<Box<str>, Arc<str>>,
    /// There may be news of one of them.
    pub(super) due: bool,
}

/// One of them.
struct Watch {
    tenant: Box<str>,
    /// Where it is listened to.
    cluster: Arc<Cluster>,
    channels: usize,
    /// [`DatabaseHandle::epoch`] as of the last look.
    epoch: Option<u64>,
    /// Done when there is news.
    news: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Watches {
    /// The client listens to this channel on `cluster`, which is that tenant's.
    pub(super) fn add(&mut self, channel: String, of: Option<Box<Home>>, cluster: &Arc<Cluster>) {
        let Some(home) = of else { return };
        if self.channels.contains_key(channel.as_str()) {
            return;
        }
        let Home { tenant, schema } = *home;
        let schema: Arc<str> = schema.into();
        let watch = self.tenants.entry(Arc::clone(&schema)).or_insert_with(|| Watch {
            tenant,
            cluster: Arc::clone(cluster),
            channels: 0,
            epoch: None,
            news: None,
        });
        watch.channels += 1;
        self.channels.insert(channel.into(), schema);
    }

    /// It no longer does.
    pub(super) fn remove(&mut self, channel: &str) {
        let Some(schema) = self.channels.remove(channel) else { return };
        if let Some(watch) = self.tenants.get_mut(&schema) {
            watch.channels -= 1;
            if watch.channels == 0 {
                self.tenants.remove(&schema);
            }
        }
    }

    /// Ready when there may be news of one of them, which is due then. Else the task of `cx` is woken for that.
    pub(super) fn poll(&mut self, database: &Arc<DatabaseHandle>, cx: &mut Context<'_>) -> Poll<()> {
        for (schema, watch) in &mut self.tenants {
            if watch.poll(schema, database, cx).is_ready() {
                self.due = true;
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    /// Those of which there may be news, each of which is looked at from now on.
    fn take_due(&mut self, database: &DatabaseHandle) -> Vec<(Arc<str>, Box<str>, Arc<Cluster>)> {
        self.due = false;
        let mut due = Vec::new();
        for (schema, watch) in &mut self.tenants {
            let epoch = Some(database.epoch(schema, &watch.cluster));
            if std::mem::replace(&mut watch.epoch, epoch) != epoch {
                due.push((Arc::clone(schema), watch.tenant.clone(), Arc::clone(&watch.cluster)));
            }
        }
        due
    }
}

impl Watch {
    fn poll(&mut self, schema: &Arc<str>, database: &Arc<DatabaseHandle>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let news = self.news.get_or_insert_with(|| {
                let (database, schema) = (Arc::clone(database), Arc::clone(schema));
                Box::pin(async move { database.home.directory.news(&schema).await })
            });
            let came = news.as_mut().poll(cx);
            if came.is_ready() {
                self.news = None;
            }
            // Behind it: what comes from then on wakes.
            if self.epoch != Some(database.epoch(schema, &self.cluster)) {
                return Poll::Ready(());
            }
            if came.is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Looks up the tenants that may have changed. The error: the session ends, because notifications of one of them
    /// would not arrive any more. If a lookup fails, the session stays: the listener announces all tenants again when it
    /// has reconnected.
    pub(super) async fn look_after_channels(&mut self) -> Result<(), End> {
        let database = Arc::clone(&self.identity.database);
        for (schema, tenant, cluster) in self.listening.watches.take_due(&database) {
            let Some(Ok(Located { cluster: now, look })) = self.hold(database.locate(&schema)).await? else {
                continue;
            };
            let last_words = if now.name != cluster.name {
                moved(&tenant)
            } else if now.id != cluster.id {
                reloaded()
            } else if Unserved::of(look.state) == Some(Unserved::Gone) {
                gone(&tenant)
            } else {
                continue;
            };
            return Err(End::fatal("57P01", last_words));
        }
        Ok(())
    }
}
