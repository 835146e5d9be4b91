//! `LISTEN`, `UNLISTEN`, and what is heard: with no server of the client's own.
//!
//! On a server, `LISTEN` is run as a statement that does nothing, so that it fails, waits for its
//! transaction and is rolled back as PostgreSQL would have it. Once it is committed, the one connection
//! that listens for all ([`crate::channels`]) is told, and only then the client.

use std::collections::{BTreeMap, HashSet};
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite};

use super::expect::Effect;
use super::request::HIGH_WATER;
use super::{End, Session, Status};
use crate::channels::{Deaf, Subscriber};
use crate::sql::keys;
use crate::sql::plan::{Plan, Refusal, Statement, StatementKind};
use crate::sql::scope::Scope;
use crate::wire::message;

/// A client listens to so many channels at most.
const MAX_CHANNELS: usize = 1000;

/// What one client listens to, and what it wants to.
#[derive(Default)]
pub(super) struct Listening {
    ear: Option<Subscriber>,
    /// What the open transaction wants.
    wanted: Wanted,
    /// What a committed one wanted.
    due: Vec<Wish>,
    /// The transaction may have sent notifications.
    notified: bool,
}

enum Wish {
    Listen { channel: String, name: Box<str> },
    Unlisten(Option<String>),
}

/// The last wish for each channel: so one statement run again and again holds no more memory.
#[derive(Default)]
struct Wanted {
    /// `UNLISTEN *` came before all others.
    none: bool,
    /// By channel, as the client calls it where it is to be heard.
    channels: BTreeMap<Box<str>, Option<Box<str>>>,
}

impl Wanted {
    fn is_empty(&self) -> bool {
        !self.none && self.channels.is_empty()
    }

    /// Takes the wishes out, in an order in which they can be done.
    fn take(&mut self) -> impl Iterator<Item = Wish> {
        let Self { none, channels } = std::mem::take(self);
        let each = channels.into_iter().map(|(channel, name)| match name {
            Some(name) => Wish::Listen { channel: channel.into(), name },
            None => Wish::Unlisten(Some(channel.into())),
        });
        none.then_some(Wish::Unlisten(None)).into_iter().chain(each)
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

    /// Whether a plan would listen to too much.
    fn is_too_much(&self, plan: &Plan) -> bool {
        let listens =
            |s: &Statement| matches!(s.kind, StatementKind::Listen(_) | StatementKind::Unlisten(Some(_)));
        if !plan.statements.iter().any(listens) {
            return false;
        }
        // A text may name one of them again and again.
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
        let so_far = self.ear.as_ref().map_or(0, Subscriber::count) + wanted;
        // What it no longer wants is remembered up to the end of its transaction.
        more > 0 && so_far + more > MAX_CHANNELS || less > 0 && wanted + less > 2 * MAX_CHANNELS
    }
}

/// The effect of a statement that is sent now: a channel is that of the tenant in force.
pub(super) fn name_channel(effect: Effect, scope: &Scope) -> Effect {
    // What is too long was refused; where nothing is routed, servers listen themselves.
    let channel = |name: &str| keys::channel_of(scope, name).unwrap_or_default().into();
    match effect {
        Effect::Listen { name, .. } => Effect::Listen { channel: channel(&name), name },
        Effect::Unlisten(Some(name)) => Effect::Unlisten(Some(channel(&name))),
        other => other,
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// `LISTEN` or `UNLISTEN` is complete.
    pub(super) fn note_wish(&mut self, effect: Effect) {
        let quiet = self.listening.ear.is_none() && self.listening.wanted.is_empty();
        let wanted = &mut self.listening.wanted;
        match effect {
            Effect::Listen { channel, name } => drop(wanted.channels.insert(channel, Some(name))),
            Effect::Unlisten(Some(channel)) if !quiet => drop(wanted.channels.insert(channel, None)),
            Effect::Unlisten(None) if !quiet => *wanted = Wanted { none: true, ..Wanted::default() },
            _ => {}
        }
    }

    /// The refusal of a plan that would listen to too much.
    pub(super) fn refuses_listen(&self, plan: &Plan) -> Option<Refusal> {
        self.listening.is_too_much(plan).then(|| Refusal {
            code: "53400",
            message: format!("a client may not listen to more than {MAX_CHANNELS} channels"),
            hint: Some("UNLISTEN those that are not needed.".into()),
        })
    }

    /// A plan was sent: it may send notifications that this client hears itself.
    pub(super) fn note_notifier(&mut self, plan: &Plan) {
        self.listening.notified |= self.listening.ear.is_some() && (plan.notifies || plan.opaque);
    }

    /// Whether the client must not hear of the end of its request before [`Session::settle_channels`].
    pub(super) fn has_channels_to_settle(&self) -> bool {
        self.status == Status::Idle && (!self.listening.due.is_empty() || self.listening.notified)
    }

    /// Does what the committed transaction wanted, and waits for what it sent to itself.
    pub(super) async fn settle_channels(&mut self) -> Result<(), End> {
        for wish in std::mem::take(&mut self.listening.due) {
            let ear = self.listening.ear.get_or_insert_with(|| self.identity.database.channels.subscribe());
            let done = match wish {
                Wish::Listen { channel, name } => ear.listen(&channel, &name).await,
                Wish::Unlisten(channel) => ear.unlisten(channel.as_deref()).await,
            };
            done.map_err(deaf)?;
            if ear.count() == 0 {
                self.listening.ear = None;
            }
        }
        if std::mem::take(&mut self.listening.notified) {
            if let Some(ear) = &mut self.listening.ear {
                ear.catch_up().await.map_err(deaf)?;
            }
            self.tell_heard();
        }
        self.clock.see(Instant::now());
        if let Some(ready) = self.held_ready.take() {
            message::ready_for_query(&mut self.outbuf, ready.byte());
        }
        Ok(())
    }

    /// Passes on what has been heard so far.
    fn tell_heard(&mut self) {
        let own = self.link.as_ref().map(|link| link.lease.pid);
        let Some(ear) = &mut self.listening.ear else { return };
        while let Some(heard) = ear.next_now() {
            // A client knows itself by the number that it was given at the login.
            let pid = if own == Some(heard.pid) { self.cancel.slot().pid } else { heard.pid };
            message::notification(&mut self.outbuf, pid, heard.channel.as_bytes(), heard.payload.as_bytes());
        }
    }

    /// Between two transactions: whether something was heard, and put in the write buffer.
    pub(super) fn poll_channels(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        let idle = self.status == Status::Idle && !self.has_sent() && self.stream_left == 0;
        let idle = idle && self.outbuf.len() < HIGH_WATER;
        let Some(ear) = self.listening.ear.as_mut().filter(|_| idle) else { return Poll::Pending };
        match ear.poll_next(cx) {
            Poll::Ready(Ok(heard)) => {
                let (channel, payload) = (heard.channel.as_bytes(), heard.payload.as_bytes());
                message::notification(&mut self.outbuf, heard.pid, channel, payload);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(deaf(error))),
            Poll::Pending => Poll::Pending,
        }
    }
}

fn deaf(error: Deaf) -> End {
    End::fatal("08006", error.to_string())
}
