//! `LISTEN` for all clients of a database, on one connection to PostgreSQL.
//!
//! # Layout
//! - [`hub`]: the task that holds the connection, and who hears what.
//! - this file: a client's end of it.
//!
//! A client that listens keeps no server for it. What PostgreSQL tells is passed to each client that
//! listens to the channel; where that can't be done (the connection was lost, or a client does not read),
//! the client's session ends, as nobody could tell it what it has missed.

mod hub;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};

pub use self::hub::Settings;
use self::hub::{Command, Hub};

/// What may wait for one client to take it, in bytes.
const INBOX: usize = 8 << 20;

/// A notification for one client.
#[derive(Clone, Debug)]
pub struct Notification {
    /// The channel, as the client calls it.
    pub channel: Arc<str>,
    /// What was sent with it.
    pub payload: Arc<str>,
    /// The process of PostgreSQL's that sent it.
    pub pid: i32,
}

impl Notification {
    /// About how many bytes it holds.
    fn weight(&self) -> usize {
        64 + self.payload.len()
    }
}

/// The hub's end of a client's inbox, which is bounded in bytes.
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

/// Why a client hears nothing (any more).
#[derive(Clone, Debug, thiserror::Error)]
pub enum Deaf {
    /// PostgreSQL could not be asked to tell.
    #[error("can not listen: {0}")]
    Refused(Arc<str>),
    /// Nobody knows what was sent meanwhile.
    #[error("notifications were lost: the connection that hears them broke, or they were not read in time")]
    Lost,
}

/// The channels of one database.
pub struct Channels {
    commands: mpsc::UnboundedSender<Command>,
    settings: Arc<ArcSwap<Settings>>,
    next: AtomicU64,
}

impl Channels {
    /// Nobody listens yet, and nothing is connected. Must be called inside a runtime.
    pub fn new(settings: Settings) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "a client waits for its answer: two commands of each at most"
        )]
        let (commands, inbox) = mpsc::unbounded_channel();
        let settings = Arc::new(ArcSwap::from_pointee(settings));
        tokio::spawn(Hub::new(Arc::clone(&settings), inbox).run());
        Self { commands, settings, next: AtomicU64::new(1) }
    }

    /// The next connection is made like this. The one that stands goes on: nothing that it hears is lost.
    pub fn change(&self, settings: Settings) {
        self.settings.store(Arc::new(settings));
    }

    /// An ear for one client.
    pub fn subscribe(&self) -> Subscriber {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        Subscriber { id, inbox: None, commands: self.commands.clone(), channels: 0 }
    }
}

/// What one client listens to. Dropped, it listens to nothing.
pub struct Subscriber {
    id: u64,
    /// While it listens to anything.
    inbox: Option<Inbox>,
    commands: mpsc::UnboundedSender<Command>,
    channels: usize,
}

impl Subscriber {
    /// Hears what is sent to `channel`, which the client calls `name`, from now on.
    pub async fn listen(&mut self, channel: &str, name: &str) -> Result<(), Deaf> {
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

    /// Hears no more of `channel`, or of any.
    pub async fn unlisten(&mut self, channel: Option<&str>) -> Result<(), Deaf> {
        let (id, channel) = (self.id, channel.map(Into::into));
        self.channels = self.ask(|reply| Command::Unlisten { id, channel, reply }).await?;
        if self.channels == 0 {
            self.inbox = None;
        }
        Ok(())
    }

    /// Returns once all that was sent before has arrived.
    pub async fn catch_up(&mut self) -> Result<(), Deaf> {
        self.ask(|reply| Command::CatchUp { reply }).await?
    }

    /// To how many channels it listens.
    pub fn count(&self) -> usize {
        self.channels
    }

    /// The next notification, if there is one already.
    pub fn next_now(&mut self) -> Option<Notification> {
        let inbox = self.inbox.as_mut()?;
        let notification = inbox.from.try_recv().ok()?;
        Some(inbox.taken(notification))
    }

    /// The next notification.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Notification, Deaf>> {
        let Some(inbox) = &mut self.inbox else { return Poll::Pending };
        let next = std::task::ready!(inbox.from.poll_recv(cx));
        Poll::Ready(next.map(|next| inbox.taken(next)).ok_or(Deaf::Lost))
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Deaf> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).map_err(|_| Deaf::Lost)?;
        answer.await.map_err(|_| Deaf::Lost)
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
