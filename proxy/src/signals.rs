//! The signals of a running server: those that end it, the one that has it read its configuration again, and those
//! that mean nothing.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Stop;
use crate::shared::Shared;

/// They would end the process, or say nothing of what they were meant for: the log has a line for each.
const MEANINGLESS: [(&str, i32); 8] = [
    ("SIGUSR1", nix::sys::signal::Signal::SIGUSR1 as i32),
    ("SIGUSR2", nix::sys::signal::Signal::SIGUSR2 as i32),
    ("SIGALRM", nix::sys::signal::Signal::SIGALRM as i32),
    ("SIGVTALRM", nix::sys::signal::Signal::SIGVTALRM as i32),
    ("SIGPROF", nix::sys::signal::Signal::SIGPROF as i32),
    ("SIGIO", nix::sys::signal::Signal::SIGIO as i32),
    ("SIGXCPU", nix::sys::signal::Signal::SIGXCPU as i32),
    ("SIGXFSZ", nix::sys::signal::Signal::SIGXFSZ as i32),
];

/// The handlers. From their making on, no other signal of these ends the process.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    hang_up: Signal,
    meaningless: Vec<(&'static str, Signal)>,
}

/// What the process is told.
enum Word {
    Stop(Stop),
    Quit,
    Reload,
    Nothing(&'static str),
}

impl Signals {
    /// Installs them. Must be called inside a runtime. The error: the system refuses.
    pub fn install() -> io::Result<Self> {
        let meaningless =
            MEANINGLESS.iter().map(|(name, number)| Ok((*name, signal(SignalKind::from_raw(*number))?)));
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hang_up: signal(SignalKind::hangup())?,
            meaningless: meaningless.collect::<io::Result<_>>()?,
        })
    }

    /// Done at SIGTERM or SIGINT. The second of them ends the process with no waiting for clients, as SIGQUIT does.
    /// SIGHUP reloads the configuration of `shared` until then.
    pub async fn stop(mut self, shared: Arc<Shared>) -> Stop {
        let how = loop {
            match self.next().await {
                Word::Stop(how) => break how,
                Word::Quit => std::process::exit(1),
                // Its result is in the log.
                Word::Reload => _ = shared.reload().await,
                Word::Nothing(name) => ignore(name),
            }
        };
        tokio::spawn(async move {
            loop {
                match self.next().await {
                    Word::Stop(_) | Word::Quit => std::process::exit(1),
                    Word::Reload => ignore("SIGHUP"),
                    Word::Nothing(name) => ignore(name),
                }
            }
        });
        how
    }

    async fn next(&mut self) -> Word {
        let Self { terminate, interrupt, quit, hang_up, meaningless } = self;
        let nothing = poll_fn(|cx| {
            let came = meaningless
                .iter_mut()
                .find_map(|(name, signal)| signal.poll_recv(cx).is_ready().then_some(*name));
            came.map_or(Poll::Pending, Poll::Ready)
        });
        tokio::select! {
            _ = terminate.recv() => Word::Stop(Stop::Drain),
            _ = interrupt.recv() => Word::Stop(Stop::Fast),
            _ = quit.recv() => Word::Quit,
            _ = hang_up.recv() => Word::Reload,
            name = nothing => Word::Nothing(name),
        }
    }
}

fn ignore(name: &str) {
    tracing::warn!(signal = name, "signal ignored");
}
