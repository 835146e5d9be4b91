//! The process that takes over: the same program, started with the same arguments, which reads the configuration anew.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::HandoverError;
use super::channel::{Channel, GO, SERVING, connected, read_line, used};
use super::inherited::VARIABLE;
use super::message::{self, Label};

/// How long the new process may take until it is ready: it may have to hash passwords of many users.
const PREPARATION: Duration = Duration::from_secs(60);

/// How long it may take from there until it accepts: nothing is left to be done then.
const TAKEOVER: Duration = Duration::from_secs(10);

/// How long a process may take to end that has closed its channel, or was killed.
pub const END: Duration = Duration::from_secs(5);

/// A process that is to take over.
#[derive(Debug)]
pub struct Successor {
    process: Process,
    channel: Channel,
    used: Vec<usize>,
}

/// The process itself. It is killed if this is dropped before the process has taken over.
#[derive(Debug)]
pub struct Process {
    child: Child,
    is_on_trial: bool,
}

impl Successor {
    /// Starts it with these sockets and channels, and waits until it is ready.
    pub async fn start(
        sockets: &[(Label, OwnedFd)],
        channels: &[Arc<OwnedFd>],
    ) -> Result<Self, HandoverError> {
        let (ours, theirs) = UnixStream::pair()?;
        let sockets: Vec<_> = sockets.iter().map(|(label, socket)| (*label, socket.as_fd())).collect();
        let channels: Vec<BorrowedFd<'_>> = channels.iter().map(|channel| channel.as_fd()).collect();
        message::send(&ours, &sockets, &channels)?;
        let channel = connected(ours)?;
        let process = Process { child: spawn(theirs.into())?, is_on_trial: true };
        let mut successor = Self { process, channel, used: Vec::new() };
        let said = successor.hear(PREPARATION).await?;
        successor.used = used(&said).ok_or_else(|| HandoverError::unknown(&said))?;
        Ok(successor)
    }

    /// The number of its process.
    pub fn id(&self) -> Option<u32> {
        self.process.child.id()
    }

    /// Which of the sockets it uses, by their places.
    pub fn used(&self) -> &[usize] {
        &self.used
    }

    /// Has it take over; done when it serves. If it fails, it is to be ended.
    pub async fn take_over(&mut self) -> Result<(), HandoverError> {
        timeout(TAKEOVER, self.channel.get_mut().write_all(GO.as_bytes()))
            .await
            .map_err(|_| HandoverError::Late(TAKEOVER))??;
        let said = self.hear(TAKEOVER).await?;
        if said == SERVING { Ok(()) } else { Err(HandoverError::unknown(&said)) }
    }

    /// It has taken over, and lives on by itself: its channel, which asks for cancels from here on, and the process.
    pub fn release(self) -> (Channel, Process) {
        let Self { mut process, channel, .. } = self;
        process.is_on_trial = false;
        (channel, process)
    }

    /// Kills it, and waits until it has ended.
    pub async fn end(mut self) {
        self.process.end(Duration::ZERO).await;
    }

    /// The next line that it says.
    async fn hear(&mut self, limit: Duration) -> Result<String, HandoverError> {
        match timeout(limit, read_line(&mut self.channel)).await {
            Err(_) => Err(HandoverError::Late(limit)),
            Ok(Ok(Some(said))) => Ok(said),
            Ok(Ok(None) | Err(_)) => Err(HandoverError::Ended(self.status().await)),
        }
    }

    /// How it ended, whose channel is closed.
    async fn status(&mut self) -> String {
        match timeout(END, self.process.child.wait()).await {
            Ok(Ok(status)) => status.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it has closed its channel".to_owned(),
        }
    }
}

impl Process {
    /// Waits so long until it has ended. Then it is killed, and waited for again.
    pub async fn end(&mut self, patience: Duration) {
        if !patience.is_zero() && timeout(patience, self.child.wait()).await.is_ok() {
            return;
        }
        let _ = self.child.start_kill();
        if timeout(END, self.child.wait()).await.is_err() {
            tracing::error!(process = self.child.id(), "a process that was killed does not end");
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_on_trial {
            let _ = self.child.start_kill();
        }
    }
}

/// This program with its own arguments, and the channel as its standard input. By the name that it was started by: a
/// new version may stand there.
fn spawn(channel: OwnedFd) -> Result<Child, HandoverError> {
    let mut arguments = std::env::args_os();
    let program = PathBuf::from(arguments.next().unwrap_or_default());
    let mut command = Command::new(&program);
    // What systemd has said is for the process that it has started.
    for variable in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"] {
        command.env_remove(variable);
    }
    command.args(arguments).env(VARIABLE, std::process::id().to_string()).stdin(Stdio::from(channel));
    command.spawn().map_err(|source| HandoverError::Start { program, source })
}
