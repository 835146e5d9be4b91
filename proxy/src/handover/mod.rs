//! One process takes the place of another, and no client is refused meanwhile.
//!
//! The old process starts the new one (SIGUSR2) with a Unix socket as its standard input, the *channel*, and sends its
//! listening sockets over it. Connections wait in their queues, so none is lost between the two.
//!
//! | old | new |
//! | --- | --- |
//! | sends the sockets | reads its configuration, takes the sockets that it wants |
//! | | says `ready`, and which sockets it uses |
//! | accepts nobody from here on, gives up its PID file, says `go` | |
//! | | writes its own, says `serving`, accepts |
//! | closes the other sockets; its clients leave | passes on the cancel requests that it knows no key of |
//!
//! Where the new process ends before it says `serving`, the old one goes on as if nothing had been. It keeps the sockets
//! until it ends, and does not accept: if the new process ends later with no word, the old one accepts again. The word
//! is `close`: the new process shuts down, or one has taken over from it in turn.
//!
//! # Layout
//! - [`channel`]: the words between the two. [`message`]: the sockets, on the wire between them.
//! - [`inherited`]: what a process has from the one before it, or from systemd.
//! - [`successor`]: the process that is started.
//! - [`predecessors`], [`cancels`]: cancel requests for clients of other processes, at both ends.
//! - [`departure`]: the old process's clients leave.

pub mod cancels;
pub mod channel;
pub mod departure;
pub mod inherited;
pub mod message;
pub mod predecessors;
pub mod successor;

use std::io;
use std::path::PathBuf;

use tokio::sync::watch;

pub use self::predecessors::Predecessors;

/// Why no other process has taken over.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// It could not be talked to.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It could not be started.
    #[error("can not start {}: {source}", program.display())]
    Start {
        /// The program, by the name that this process was started by.
        program: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It has ended; mostly its configuration is wrong, and it has said so in the log.
    #[error("the new process has ended before it served: {0}")]
    Ended(String),
    /// It has not ended, and has said nothing for long.
    #[error("the new process has not been ready within {} s", .0.as_secs())]
    Late(std::time::Duration),
    /// It says what this process does not know.
    #[error("the new process says \"{0}\"")]
    Unknown(String),
}

impl HandoverError {
    fn unknown(said: &str) -> Self {
        Self::Unknown(said.trim().to_owned())
    }
}

/// Where a process is between two that serve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// It serves.
    #[default]
    Serving,
    /// It serves, and another process is asked for or starts.
    Starting,
    /// Another process has taken over.
    Replaced,
    /// It shuts down.
    Ending,
}

/// Whether another process is to take over, and those that this one has taken over from.
pub struct Handover {
    stage: watch::Sender<Stage>,
    /// The processes that this one has taken over from, as long as they run.
    pub predecessors: Predecessors,
}

impl Default for Handover {
    fn default() -> Self {
        Self { stage: watch::Sender::new(Stage::Serving), predecessors: Predecessors::default() }
    }
}

impl Handover {
    /// Asks for it. `false`: another process starts or has taken over already, or this one shuts down.
    pub fn ask(&self) -> bool {
        self.stage.send_if_modified(|stage| {
            let serves = *stage == Stage::Serving;
            if serves {
                *stage = Stage::Starting;
            }
            serves
        })
    }

    /// Waits until somebody asks for it.
    pub async fn asked(&self) {
        // The sender lives as long as this does.
        let _ = self.stage.subscribe().wait_for(|stage| *stage == Stage::Starting).await;
    }

    /// Where the process is now.
    pub fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// The process is there now.
    pub fn set(&self, stage: Stage) {
        self.stage.send_replace(stage);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn process_is_asked_for_once_at_a_time() {
        let handover = Handover::default();
        assert!(handover.ask());
        handover.asked().await;
        for stage in [Stage::Starting, Stage::Replaced, Stage::Ending] {
            handover.set(stage);
            assert!(!handover.ask() && handover.stage() == stage);
        }
        // What was asked meanwhile is not done later.
        handover.set(Stage::Serving);
        assert_eq!(handover.stage(), Stage::Serving);
        assert!(handover.ask());
    }
}
