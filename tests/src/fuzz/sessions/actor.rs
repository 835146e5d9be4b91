//! One client: who it is, its connection, and what it is told.

use std::time::Duration;

use tokio::time::timeout;

use super::message::Send;
use crate::Wire;
use crate::answer::{Fault, Message};
use crate::fuzz::world::World;
use crate::wire::CANCEL_REQUEST;

/// A request that takes longer than this waits for somebody else's.
const PATIENCE: Duration = Duration::from_millis(1200);
/// What comes without `ReadyForQuery` comes as soon as this.
const MOMENT: Duration = Duration::from_millis(12);

/// Who a client is.
#[derive(Clone, Copy, Debug)]
pub struct Who {
    /// The user, whose password is its name.
    pub user: &'static str,
    /// Its tenant, if it names one.
    pub tenant: Option<&'static str>,
    /// It may go over to other tenants, so that it is told what is theirs.
    pub switches: bool,
}

/// The clients of a session. The first two are of different tenants; the third may run code in strings.
pub const ACTORS: [Who; 5] = [
    Who { user: "acme", tenant: Some("acme_corp"), switches: false },
    Who { user: "app", tenant: Some("globex"), switches: true },
    Who { user: "tool", tenant: Some("acme_corp"), switches: true },
    Who { user: "app", tenant: None, switches: true },
    Who { user: "app", tenant: Some("acme_corp"), switches: true },
];

/// A client.
#[derive(Debug)]
pub struct Actor {
    /// Who it is.
    pub who: Who,
    wire: Option<Wire>,
    /// What `ReadyForQuery` said last.
    status: u8,
    /// Messages without `Sync` stand open.
    open: bool,
    /// There was an error since `ReadyForQuery`.
    failed: bool,
    /// It has sent something that may tie it to its server.
    pub holds: bool,
}

/// What became of a request.
#[derive(Debug, Default)]
pub struct Told {
    /// All that the client was sent.
    pub messages: Vec<Message>,
    /// No answer came in time.
    pub blocked: bool,
}

impl Actor {
    /// Not connected yet.
    pub fn new(who: Who) -> Self {
        Self { who, wire: None, status: b'I', open: false, failed: false, holds: false }
    }

    /// Whether a transaction, a pipeline or something of its session may hold a server.
    pub fn may_hold(&self) -> bool {
        self.wire.is_some() && (self.status != b'I' || self.open || self.holds)
    }

    /// Whether it is connected.
    pub fn is_connected(&self) -> bool {
        self.wire.is_some()
    }

    /// Ends its connection with no word.
    pub fn leave(&mut self) {
        *self = Self::new(self.who);
    }

    /// Connects, with more start-up parameters.
    pub async fn connect(&mut self, world: &World, options: &[(String, String)]) -> Result<(), Fault> {
        self.leave();
        let tenant = self.who.tenant.map(|tenant| format!("-ctenant={tenant}"));
        let mut parameters: Vec<(&str, &str)> =
            options.iter().map(|(name, value)| (&**name, &**value)).collect();
        if let Some(option) = &tenant {
            parameters.push(("options", option));
        }
        let login = Wire::login(world.port(), self.who.user, self.who.user, &parameters);
        let wire = timeout(PATIENCE * 4, login).await;
        self.wire = Some(wire.map_err(|_| hung())??);
        Ok(())
    }

    /// Sends the messages in one write, and reads what they bring.
    pub async fn ask(&mut self, world: &World, sends: &[Send]) -> Told {
        let mut told = Told::default();
        let Some(wire) = &mut self.wire else { return told };
        let mut due = 0;
        for send in sends {
            send.put(wire);
            due += usize::from(send.is_answered());
            self.open = !send.is_answered() && (self.open || !matches!(send, Send::Cancel));
        }
        wire.flush().await;
        if sends.contains(&Send::Cancel) {
            let key = wire.key.clone();
            let mut other = Wire::connect(world.port()).await;
            other.packet(CANCEL_REQUEST, &key).await;
        }
        if let Some(end) = sends.iter().find(|send| send.is_end()) {
            if *end == Send::Cut {
                wire.raw(b"Q\0\0\x10\0select").await;
            }
            if *end == Send::Reset {
                wire.reset();
            }
            self.leave();
            return told;
        }
        self.read(due, &mut told).await;
        told
    }

    async fn read(&mut self, mut due: usize, told: &mut Told) {
        let Some(wire) = &mut self.wire else { return };
        let (mut ready, mut synced) = (0, false);
        loop {
            // PostgreSQL passes over what stands behind an error, queries too, until a Sync comes.
            let failed = self.failed && !synced;
            let wait = if ready < due && !failed { PATIENCE } else { MOMENT };
            // Behind the last answer nothing comes.
            if ready >= due && due > 0 && !self.open {
                return;
            }
            let Ok(received) = timeout(wait, wire.receive()).await else {
                if ready < due && failed {
                    wire.sync().flush().await;
                    (synced, due) = (true, ready + 1);
                    continue;
                }
                told.blocked = ready < due;
                break;
            };
            let Some(message) = received else {
                self.leave();
                return;
            };
            match message.tag {
                b'Z' => {
                    self.status = message.body[0];
                    self.failed = false;
                    ready += 1;
                }
                b'E' => self.failed = true,
                b'G' => wire.copy_data("1\n").copy_done().sync().flush().await,
                _ => {}
            }
            told.messages.push(message);
        }
        if told.blocked {
            self.leave();
        }
    }
}

fn hung() -> Fault {
    Fault {
        severity: "HUNG".into(),
        code: "hung".into(),
        message: "no answer to the login".into(),
        detail: None,
        position: None,
        hint: None,
    }
}
