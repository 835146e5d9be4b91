//! `LISTEN` for all clients of a database, on one connection to PostgreSQL.
//!
//! # Layout
//! - [`hub`]: the task that holds the connection, and the clients of each channel.
//! - this file: a client's side.
//!
//! A client that listens keeps no server for it. Each notification is passed to each client of its channel. If that is
//! not possible (the connection was lost, or a client does not read), the client's session ends, because it would miss
//! notifications without noticing.

mod hub;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};

pub use self::hub::Settings;
use self::hub::{Command, Hub};

/// The maximum size of the notifications that wait for one client, in bytes.
const INBOX: usize = 8 << 20;

/// A notification for one client.
#[derive(Clone, Debug)]
pub struct Notification {
    /// The client's name for the channel.
    pub channel: Arc<str>,
    /// The payload.
    pub payload: Arc<str>,
    /// The process ID of the sender.
    pub pid: i32,
}

impl Notification {
    /// Its approximate size in bytes.
    fn weight(&self) -> usize {
        64 + self.payload.len()
    }
}

/// The hub's side of a client's inbox, which is limited in bytes.
struct Outlet {
    to: mpsc::UnboundedSender<Notification>,
    waiting: Arc<AtomicUsize>,
}

impl Outlet {
    /// Whether there was room.
    fn send(&self, notification: Notification) -> bool {
        let weight = notification.weight();
        let before = self.waiting.fetch_add(weight, Ordering::Relaxed);
        before + weight <= INBOX && self.to.send(notification).is_ok()
    }
}

struct Inbox {
    from: mpsc::UnboundedReceiver<Notification>,
    waiting: Arc<AtomicUsize>,
}

impl Inbox {
    fn taken(&self, notification: Notification) -> Notification {
        self.waiting.fetch_sub(notification.weight(), Ordering::Relaxed);
        notification
    }
}

fn inbox() -> (Outlet, Inbox) {
    #[expect(clippy::disallowed_methods, reason = "it is bounded in bytes, by what is waiting")]
    let (to, from) = mpsc::unbounded_channel();
    let waiting = Arc::<AtomicUsize>::default();
    (Outlet { to, waiting: Arc::clone(&waiting) }, Inbox { from, waiting })
}

/// Why a client gets no notifications (any more).
#[derive(Clone, Debug, thiserror::Error)]
pub enum ListenError {
    /// PostgreSQL refused the `LISTEN`.
    #[error("can not listen: {0}")]
    Refused(Arc<str>),
    /// Notifications may have been lost.
    #[error("notifications were lost: the connection that hears them broke, or they were not read in time")]
    Lost,
    /// The configuration has the database elsewhere, or no more.
    #[error("the configuration of the PostgreSQL that the client listens on has changed")]
    Closed,
}

/// The channels of one database.
pub struct Channels {
    commands: mpsc::UnboundedSender<Command>,
    settings: Arc<ArcSwap<Settings>>,
    next: AtomicU64,
    closed: Arc<AtomicBool>,
}

impl Channels {
    /// Without clients and without a connection. Must be called inside a runtime.
    pub fn new(settings: Settings) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "a client waits for its answer: two commands of each at most"
        )]
        let (commands, inbox) = mpsc::unbounded_channel();
        let settings = Arc::new(ArcSwap::from_pointee(settings));
        tokio::spawn(Hub::new(Arc::clone(&settings), inbox).run());
        Self { commands, settings, next: AtomicU64::new(1), closed: Arc::default() }
    }

    /// Nothing is heard from now on: all who listen are told so, and those who would.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        // If it is gone, nobody listens.
        let _ = self.commands.send(Command::Close);
    }

    /// Changes the settings of the next connection. The current one remains, so no notification is lost.
    pub fn change(&self, settings: Settings) {
        self.settings.store(Arc::new(settings));
    }

    /// A subscription for one client.
    pub fn subscribe(&self) -> Subscriber {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (commands, closed) = (self.commands.clone(), Arc::clone(&self.closed));
        Subscriber { id, inbox: None, commands, channels: 0, closed }
    }
}

/// The channels of one client. Dropping it ends all of them.
pub struct Subscriber {
    id: u64,
    /// While the client listens to any channel.
    inbox: Option<Inbox>,
    commands: mpsc::UnboundedSender<Command>,
    channels: usize,
    closed: Arc<AtomicBool>,
}

impl Subscriber {
    /// Listens to `channel`, which the client calls `name`.
    pub async fn listen(&mut self, channel: &str, name: &str) -> Result<(), ListenError> {
        let to = match self.inbox {
            Some(_) => None,
            None => {
                let (to, inbox) = inbox();
                self.inbox = Some(inbox);
                Some(to)
            }
        };
        let id = self.id;
        let (channel, name) = (channel.into(), name.into());
        self.channels = self.ask(|reply| Command::Listen { id, to, channel, name, reply }).await??;
        Ok(())
    }

    /// Stops listening to `channel`, or to all channels.
    pub async fn unlisten(&mut self, channel: Option<&str>) -> Result<(), ListenError> {
        let (id, channel) = (self.id, channel.map(Into::into));
        self.channels = self.ask(|reply| Command::Unlisten { id, channel, reply }).await?;
        if self.channels == 0 {
            self.inbox = None;
        }
        Ok(())
    }

    /// Returns when all earlier notifications have arrived.
    pub async fn catch_up(&mut self) -> Result<(), ListenError> {
        self.ask(|reply| Command::CatchUp { reply }).await?
    }

    /// The number of channels.
    pub fn count(&self) -> usize {
        self.channels
    }

    /// The next notification, if it has arrived.
    pub fn next_now(&mut self) -> Option<Notification> {
        let inbox = self.inbox.as_mut()?;
        let notification = inbox.from.try_recv().ok()?;
        Some(inbox.taken(notification))
    }

    /// The next notification.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Notification, ListenError>> {
        let Some(inbox) = &mut self.inbox else { return Poll::Pending };
        let next = std::task::ready!(inbox.from.poll_recv(cx));
        Poll::Ready(next.map(|next| inbox.taken(next)).ok_or_else(|| self.why()))
    }

    /// Why nothing is heard any more.
    fn why(&self) -> ListenError {
        if self.closed.load(Ordering::Acquire) { ListenError::Closed } else { ListenError::Lost }
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, ListenError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).map_err(|_| self.why())?;
        answer.await.map_err(|_| self.why())
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        if self.inbox.is_some() {
            let (reply, _) = oneshot::channel();
            let _ = self.commands.send(Command::Unlisten { id: self.id, channel: None, reply });
        }
    }
}
