//! `LISTEN`, `UNLISTEN` and notifications, without a server of the client's own.
//!
//! On a server, `LISTEN` is replaced by a statement without effect, so that it fails, waits for its transaction and is
//! rolled back as in PostgreSQL. When the transaction is committed, the connection that listens for all clients
//! ([`crate::channels`]) subscribes, and then the client gets its answer.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::expect::{Effect, Home};
use super::request::HIGH_WATER;
use super::whereabouts::Watches;
use super::{End, Session, Status};
use crate::channels::{ListenError, Subscriber};
use crate::shared::cluster::{Cluster, ClusterId};
use crate::sql::keys;
use crate::sql::plan::{Plan, Refusal, Statement, StatementKind};
use crate::sql::scope::Scope;
use crate::wire::message;

/// The maximum number of channels of a client.
const MAX_CHANNELS: usize = 1000;

/// The channels of one client, and their pending changes.
#[derive(Default)]
pub(super) struct Listening {
    /// The subscription on each cluster.
    ears: Vec<(ClusterId, Subscriber)>,
    /// The tenants of the channels.
    pub(super) watches: Watches,
    /// The changes in the open transaction.
    wanted: Wanted,
    /// The changes of a committed transaction.
    due: Vec<PendingListen>,
    /// The transaction may have sent notifications.
    notified: bool,
}

enum PendingListen {
    Listen { channel: String, wish: ListenWish },
    Unlisten(Option<String>),
}

/// The client's name for a channel, and the tenant of the channel.
type ListenWish = (Box<str>, Option<Box<Home>>);

/// The last change for each channel, so that a repeated statement takes no more memory.
#[derive(Default)]
struct Wanted {
    /// `UNLISTEN *` came before the other changes.
    none: bool,
    /// By channel; the value is set for a channel to listen to.
    channels: BTreeMap<Box<str>, Option<ListenWish>>,
}

impl Wanted {
    fn is_empty(&self) -> bool {
        !self.none && self.channels.is_empty()
    }

    /// Takes the changes, in an order in which they can be made.
    fn take(&mut self) -> impl Iterator<Item = PendingListen> {
        let Self { none, channels } = std::mem::take(self);
        let each = channels.into_iter().map(|(channel, wish)| match wish {
            Some(wish) => PendingListen::Listen { channel: channel.into(), wish },
            None => PendingListen::Unlisten(Some(channel.into())),
        });
        none.then_some(PendingListen::Unlisten(None)).into_iter().chain(each)
    }
}

impl Listening {
    /// The transaction was committed.
    pub fn commit(&mut self) {
        if !self.wanted.is_empty() {
            self.due.extend(self.wanted.take());
        }
    }

    /// The transaction was rolled back.
    pub fn roll_back(&mut self) {
        self.wanted = Wanted::default();
        self.notified = false;
    }

    /// Makes a change of a transaction on that cluster. `UNLISTEN *` applies to all clusters.
    async fn settle(&mut self, cluster: &Arc<Cluster>, wish: PendingListen) -> Result<(), ListenError> {
        let at = self.ears.iter().position(|(id, _)| *id == cluster.id);
        match (wish, at.and_then(|at| self.ears.get_mut(at))) {
            (PendingListen::Listen { channel, wish: (name, of) }, Some((_, ear))) => {
                ear.listen(&channel, &name).await?;
                self.watches.add(channel, of, cluster);
            }
            (PendingListen::Listen { channel, wish: (name, of) }, None) => {
                let mut ear = cluster.channels.subscribe();
                ear.listen(&channel, &name).await?;
                self.ears.push((cluster.id, ear));
                self.watches.add(channel, of, cluster);
            }
            (PendingListen::Unlisten(Some(channel)), Some((_, ear))) => {
                ear.unlisten(Some(&channel)).await?;
                self.watches.remove(&channel);
            }
            (PendingListen::Unlisten(Some(_)), None) => {}
            (PendingListen::Unlisten(None), _) => {
                for (_, ear) in &mut self.ears {
                    ear.unlisten(None).await?;
                }
                self.watches = Watches::default();
            }
        }
        self.ears.retain(|(_, ear)| ear.count() > 0);
        Ok(())
    }

    /// Whether a plan would exceed the maximum number of channels.
    fn is_too_much(&self, plan: &Plan) -> bool {
        let listens =
            |s: &Statement| matches!(s.kind, StatementKind::Listen(_) | StatementKind::Unlisten(Some(_)));
        if !plan.statements.iter().any(listens) {
            return false;
        }
        // A text may name a channel several times.
        let distinct = |named: fn(&StatementKind) -> Option<&str>| {
            plan.statements.iter().filter_map(|s| named(&s.kind)).collect::<HashSet<_>>().len()
        };
        let more = distinct(|kind| match kind {
            StatementKind::Listen(name) => Some(name),
            _ => None,
        });
        let less = distinct(|kind| match kind {
            StatementKind::Unlisten(Some(name)) => Some(name),
            _ => None,
        });
        let wanted = self.wanted.channels.len();
        let so_far = self.ears.iter().map(|(_, ear)| ear.count()).sum::<usize>() + wanted;
        // Channels that the client leaves count until the end of the transaction.
        more > 0 && so_far + more > MAX_CHANNELS || less > 0 && wanted + less > 2 * MAX_CHANNELS
    }
}

/// The effect of a statement with the channel of the current tenant.
pub(super) fn name_channel(effect: Effect, scope: &Scope) -> Effect {
    // Too long names were refused before; in observe mode, servers listen themselves.
    let channel = |name: &str| keys::channel_of(scope, name).unwrap_or_default().into();
    match effect {
        Effect::Listen { name, .. } => {
            let home = |tenant: &str| Home { tenant: tenant.into(), schema: scope.schema.clone() };
            let of = scope.tenant.as_deref().map(home).map(Box::new);
            Effect::Listen { channel: channel(&name), name, of }
        }
        Effect::Unlisten(Some(name)) => Effect::Unlisten(Some(channel(&name))),
        other => other,
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Records a complete `LISTEN` or `UNLISTEN`.
    pub(super) fn note_wish(&mut self, effect: Effect) {
        let quiet = self.listening.ears.is_empty() && self.listening.wanted.is_empty();
        let wanted = &mut self.listening.wanted;
        match effect {
            Effect::Listen { channel, name, of } => drop(wanted.channels.insert(channel, Some((name, of)))),
            Effect::Unlisten(Some(channel)) if !quiet => drop(wanted.channels.insert(channel, None)),
            Effect::Unlisten(None) if !quiet => *wanted = Wanted { none: true, ..Wanted::default() },
            _ => {}
        }
    }

    /// The refusal of a plan that would exceed the maximum number of channels.
    pub(super) fn refuses_listen(&self, plan: &Plan) -> Option<Refusal> {
        self.listening.is_too_much(plan).then(|| Refusal {
            code: "53400",
            message: format!("a client may not listen to more than {MAX_CHANNELS} channels"),
            hint: Some("UNLISTEN those that are not needed.".into()),
        })
    }

    /// Records that a plan may send notifications which this client receives itself.
    pub(super) fn note_notifier(&mut self, plan: &Plan) {
        self.listening.notified |= !self.listening.ears.is_empty() && (plan.notifies || plan.opaque);
    }

    /// Whether [`Session::settle_channels`] must run before the client gets the end of its request.
    pub(super) fn has_channels_to_settle(&self) -> bool {
        self.status == Status::Idle && (!self.listening.due.is_empty() || self.listening.notified)
    }

    /// Whether the client listens on that cluster.
    pub(super) fn listens_on(&self, cluster: ClusterId) -> bool {
        self.listening.ears.iter().any(|(id, _)| *id == cluster)
    }

    /// The cluster of the transaction that has just ended; `None`: it is no longer one of the database's.
    fn cluster_at_hand(&self) -> Option<Arc<Cluster>> {
        match &self.link {
            Some(link) => self.identity.database.clusters().into_iter().find(|one| one.id == link.cluster),
            None => Some(Arc::clone(self.cluster())),
        }
    }

    /// Makes the changes of the committed transaction, and waits for the notifications that it sent to this client.
    pub(super) async fn settle_channels(&mut self) -> Result<(), End> {
        let cluster = self.cluster_at_hand().ok_or_else(|| deaf(ListenError::Closed))?;
        for wish in std::mem::take(&mut self.listening.due) {
            self.listening.settle(&cluster, wish).await.map_err(deaf)?;
        }
        if std::mem::take(&mut self.listening.notified) {
            if let Some((_, ear)) = self.listening.ears.iter_mut().find(|(id, _)| *id == cluster.id) {
                ear.catch_up().await.map_err(deaf)?;
            }
            self.tell_heard();
        }
        self.clock.see(Instant::now());
        if let Some(ready) = self.transaction.take_ready() {
            message::ready_for_query(&mut self.outbuf, ready.byte());
        }
        Ok(())
    }

    /// Passes on the notifications that have arrived.
    fn tell_heard(&mut self) {
        let own = self.link.as_ref().map(|link| (link.cluster, link.lease.pid));
        for (cluster, ear) in &mut self.listening.ears {
            while let Some(heard) = ear.next_now() {
                // A client recognizes itself by the process ID that it got at the login.
                let is_own = own == Some((*cluster, heard.pid));
                let pid = if is_own { self.cancel.slot().pid } else { heard.pid };
                let (channel, payload) = (heard.channel.as_bytes(), heard.payload.as_bytes());
                message::notification(&mut self.outbuf, pid, channel, payload);
            }
        }
    }

    /// Between two transactions: whether notifications have arrived and are in the write buffer.
    pub(super) fn poll_channels(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        let idle = self.status == Status::Idle && !self.has_sent() && !self.framing.is_streaming();
        let idle = idle && self.outbuf.len() < HIGH_WATER;
        for (_, ear) in self.listening.ears.iter_mut().filter(|_| idle) {
            match ear.poll_next(cx) {
                Poll::Ready(Ok(heard)) => {
                    let (channel, payload) = (heard.channel.as_bytes(), heard.payload.as_bytes());
                    message::notification(&mut self.outbuf, heard.pid, channel, payload);
                    return Poll::Ready(Ok(()));
                }
                // The configuration says more of it.
                Poll::Ready(Err(ListenError::Closed)) if self.news.is_there() => return Poll::Ready(Ok(())),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(deaf(error))),
                Poll::Pending => {}
            }
        }
        if idle {
            return self.listening.watches.poll(&self.identity.database, cx).map(Ok);
        }
        Poll::Pending
    }
}

fn deaf(error: ListenError) -> End {
    if let ListenError::Closed = error {
        return End::fatal("57P01", format!("terminating connection: {error}"));
    }
    End::fatal("08006", error.to_string())
}
