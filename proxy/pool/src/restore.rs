//! A server does nothing to others while it is idle, and is as it was born when another client uses it.
//!
//! What a client leaves on it that acts at rest is taken off before it is idle: its role, its settings, and the locks that
//! code has taken. These may act on the texts that take them off, which must do with any setting, role and encoding.
//! So the first of those texts takes no snapshot, which a client's `SERIALIZABLE READ ONLY DEFERRABLE` would
//! wait for, and holds ASCII and no literal; what comes then is another transaction, and runs under the settings of a
//! new session. Where one of them fails, or there is no answer in time, the server is closed.
//!
//! The rest does nothing until somebody uses the server: prepared statements, the state of sequences, temporary
//! objects. It is taken off in front of the first request of another user, and the same one finds it again.

use std::io;
use std::time::Duration;

use tokio::time::Instant;
use tokio::time::timeout;

use super::server::{Server, User};
use super::servers::Lease;
use crate::chance;
use crate::simulation::{Fault, fault};

/// How long a server may take to be cleaned behind a client; then it is closed.
pub const CLEAN_LIMIT: Duration = Duration::from_secs(5);

/// Role and settings.
const SETTINGS: &str = "SET SESSION AUTHORIZATION DEFAULT; RESET ALL";

/// The locks of the session.
const LOCKS: &str = "SELECT pg_catalog.pg_advisory_unlock_all()";

/// What `DISCARD ALL` takes off besides. Prepared statements go too: what code has put in the place of one would
/// run for the next client.
const REST: &str = "DEALLOCATE ALL; CLOSE ALL; UNLISTEN *; DISCARD TEMP; DISCARD SEQUENCES; \
                    SELECT FROM (VALUES (1), (2)) AS v WHERE pg_catalog.pg_my_temp_schema() \
                    OPERATOR(pg_catalog.<>) 0";

/// The command tag that says, among those of [`REST`], that the session had temporary objects.
pub const HAD_TEMP: &[u8] = b"SELECT 2";

/// What must be taken off a server before it is idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dirt {
    /// Nothing: its settings may stay.
    None,
    /// Its settings, which are known, and its role.
    Settings,
    /// All settings, and locks: code ran on it that nobody has read.
    Unknown,
}

impl Server {
    /// What is known to be left on it; `opaque`: such code ran.
    pub fn dirt(&self, opaque: bool) -> Dirt {
        match (opaque, self.settings.may_rest()) {
            (true, _) => Dirt::Unknown,
            (false, false) => Dirt::Settings,
            (false, true) => Dirt::None,
        }
    }

    /// Takes `dirt` off, between two transactions. The error: it may still be there.
    pub async fn restore(&mut self, dirt: Dirt) -> io::Result<()> {
        let due = self.put_restore(dirt);
        let restored = self.await_restored(due).await?;
        if restored { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    /// Writes what takes `dirt` off; gives how often PostgreSQL will answer with `ReadyForQuery`.
    pub fn put_restore(&mut self, dirt: Dirt) -> usize {
        match dirt {
            Dirt::None => 0,
            Dirt::Settings => {
                self.query(&[SETTINGS.as_bytes()]);
                // A time-out that struck while this ended is told with what comes next, not to the next client.
                self.query(&[]);
                2
            }
            Dirt::Unknown => {
                self.query(&[SETTINGS.as_bytes()]);
                self.query(&[LOCKS.as_bytes()]);
                2
            }
        }
    }

    /// The text that takes off what the last user has left, if that is another than `user`. To be sent before anything
    /// else, outside of a transaction.
    pub fn forget_last_user(&mut self, user: User<'_>) -> Option<String> {
        let last = self.used_by.take()?;
        if (last.0, &last.1) == user {
            self.used_by = Some(last);
            return None;
        }
        self.sequence_owner = None;
        self.forget_prepared();
        // Whatever set the seed of random() can't foresee the next client's numbers.
        let seed = chance::between(-1.0..1.0);
        Some(format!("{REST}; SELECT pg_catalog.setseed({seed:.17})"))
    }

    /// Waits until so many of those texts are through. `false`: one of them has failed, and all are answered. The error:
    /// who knows what PostgreSQL has still to say.
    pub async fn await_restored(&mut self, mut due: usize) -> io::Result<bool> {
        self.send().await?;
        let mut restored = true;
        while due > 0 {
            let answer = self.receive().await?;
            match answer.tag() {
                b'Z' => {
                    due -= 1;
                    restored &= answer.body() == b"I";
                }
                b'E' if fault(Fault::ResetHalfRead) => return Ok(false),
                b'E' => restored = false,
                _ => {}
            }
        }
        if restored {
            self.settings = Default::default();
        }
        Ok(restored)
    }
}

impl Lease {
    /// Lets the next one have the server: at once where nothing must be taken off, else as soon as that is done.
    /// Nobody waits for that.
    pub fn give_back_clean(mut self, dirt: Dirt, now: Instant) {
        if self.in_doubt {
            return self.give_back_at(now);
        }
        match self.put_restore(dirt) {
            0 => self.give_back_at(now),
            due => self.give_back_restored(due),
        }
    }

    /// Lets the next one have it as soon as so many texts are through that take off what is left on it.
    pub fn give_back_restored(mut self, due: usize) {
        tokio::spawn(async move {
            let restored = timeout(CLEAN_LIMIT, self.await_restored(due)).await;
            if !matches!(restored, Ok(Ok(true))) {
                tracing::debug!(pid = self.pid, "closing a server that failed to reset");
                self.in_doubt = true;
            }
            self.give_back();
        });
    }
}
