//! The signals of a running server: those that end it, the one that has it read its configuration again, the one that
//! has a new process take over, and those that mean nothing.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;

use crate::exit::Stop;
use crate::handover::Stage;
use crate::shared::Shared;

/// They would end the process, or say nothing of what they were meant for: the log has a line for each.
const MEANINGLESS: [(&str, i32); 7] = [
    ("SIGUSR1", nix::sys::signal::Signal::SIGUSR1 as i32),
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
    hand_over: Signal,
    meaningless: Vec<(&'static str, Signal)>,
}

/// What the process is told.
enum Word {
    Stop(Stop),
    Quit,
    Reload,
    HandOver,
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
            hand_over: signal(SignalKind::user_defined2())?,
            meaningless: meaningless.collect::<io::Result<_>>()?,
        })
    }

    /// Done at SIGTERM or SIGINT. The second of them ends the process with no waiting for clients, as SIGQUIT does.
    /// Until then SIGHUP reloads the configuration of `shared`, and SIGUSR2 has a new process take over.
    pub async fn stop(mut self, shared: Arc<Shared>) -> Stop {
        let mut reloads = Reloads(JoinSet::new());
        let how = loop {
            match self.next().await {
                Word::Stop(how) => break how,
                Word::Quit => quit(&shared),
                Word::Reload => reloads.begin(&shared),
                Word::HandOver if shared.handover.ask() => {}
                Word::HandOver => ignore("SIGUSR2"),
                Word::Nothing(name) => ignore(name),
            }
        };
        tokio::spawn(async move {
            loop {
                match self.next().await {
                    Word::Stop(_) | Word::Quit => quit(&shared),
                    Word::Reload => ignore("SIGHUP"),
                    Word::HandOver => ignore("SIGUSR2"),
                    Word::Nothing(name) => ignore(name),
                }
            }
        });
        how
    }

    async fn next(&mut self) -> Word {
        let Self { terminate, interrupt, quit, hang_up, hand_over, meaningless } = self;
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
            _ = hand_over.recv() => Word::HandOver,
            name = nothing => Word::Nothing(name),
        }
    }
}

/// Reloads at work. Other signals are heard meanwhile.
struct Reloads(JoinSet<()>);

impl Reloads {
    /// One more, which comes behind the one at work. One that has not begun to read yet is enough.
    fn begin(&mut self, shared: &Arc<Shared>) {
        while self.0.try_join_next().is_some() {}
        if self.0.len() < 2 {
            let shared = Arc::clone(shared);
            // Its result is in the log.
            self.0.spawn(async move { _ = shared.reload().await });
        }
    }
}

/// Ends the process at once. No process before this one is to serve again: somebody has asked for the end.
fn quit(shared: &Shared) -> ! {
    if shared.handover.stage() != Stage::Replaced {
        shared.handover.predecessors.close_sockets();
    }
    std::process::exit(1)
}

fn ignore(name: &str) {
    tracing::warn!(signal = name, "signal ignored");
}
