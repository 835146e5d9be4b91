//! The signals of a running server: those that end it, and those that mean nothing yet.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The handlers. From their making on, no other signal of these ends the process.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    user_1: Signal,
    user_2: Signal,
}

impl Signals {
    /// Installs them. Must be called inside a runtime. The error: the system refuses.
    pub fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            user_1: signal(SignalKind::user_defined1())?,
            user_2: signal(SignalKind::user_defined2())?,
        })
    }

    /// Done at SIGTERM or SIGINT. The second of them ends the process with no waiting for clients.
    pub async fn stop(mut self) {
        self.wanted().await;
        tokio::spawn(async move {
            self.wanted().await;
            std::process::exit(1);
        });
    }

    /// Waits for a signal that ends the process. A log line for each of the others is all that they do.
    async fn wanted(&mut self) {
        loop {
            let name = tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hang_up.recv() => "SIGHUP",
                _ = self.user_1.recv() => "SIGUSR1",
                _ = self.user_2.recv() => "SIGUSR2",
            };
            tracing::warn!(signal = name, "signal ignored");
        }
    }
}
