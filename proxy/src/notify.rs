//! What systemd is told of a running server, where it has started it (`Type=notify`). Elsewhere nothing is said.

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};

/// Clients are taken.
pub fn ready() {
    say(&[NotifyState::Ready]);
}

/// The configuration is read again, until what is returned is dropped.
pub fn reloading() -> Reloading {
    let now = NotifyState::monotonic_usec_now();
    match now {
        Ok(now) => say(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "systemd was not told"),
    }
    Reloading(())
}

/// A reload that systemd was told of.
#[must_use]
pub struct Reloading(());

impl Drop for Reloading {
    fn drop(&mut self) {
        ready();
    }
}

/// The process with that number has taken over. It says that it is alive as soon as it is heard: until then this counts.
pub fn replaced_by(process: u32) {
    say(&[NotifyState::MainPid(process), NotifyState::Watchdog]);
}

/// This process serves again, in place of one that has taken over and has ended.
pub fn resumed() {
    say(&[NotifyState::MainPid(std::process::id()), NotifyState::Ready, NotifyState::Watchdog]);
}

/// Clients are told to leave.
pub fn stopping() {
    say(&[NotifyState::Stopping]);
}

/// Shows that the thread which accepts clients goes on: `WatchdogSec`. Never ends, but where nobody watches.
pub async fn watchdog() {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    // Two thirds are left for the process that takes over.
    let mut ticks = interval(limit / 3);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        say(&[NotifyState::Watchdog]);
    }
}

fn say(what: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(what) {
        tracing::debug!(%error, "systemd was not told");
    }
}
