//! Requests to end the process, from an administrator to the listener.

use std::time::Duration;

use tokio::sync::watch;

use crate::config::Config;

/// How long clients may take to receive their error when the proxy ends at once.
pub const LAST_WORDS: Duration = Duration::from_millis(200);

/// How long transactions may take after SIGINT.
const LAST_TRANSACTIONS: Duration = Duration::from_secs(1);

/// The condition for the end of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// None: clients and servers are closed.
    Now,
    /// The end of open transactions. No client is admitted, and clients leave at the end of theirs.
    Servers,
    /// All clients have disconnected by themselves. No client is admitted.
    Clients,
}

/// How the proxy ends after a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Clients finish their transactions, up to `shutdown_timeout`.
    Drain,
    /// Clients have a moment for that.
    Fast,
}

/// The request to end the process.
pub struct Exit(watch::Sender<Option<How>>);

impl Default for Exit {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Exit {
    /// Requests the end. A later request counts if it waits for less.
    pub fn ask(&self, how: How) {
        self.0.send_modify(|asked| {
            let patience = |how: How| match how {
                How::Now => 0,
                How::Servers => 1,
                How::Clients => 2,
            };
            if asked.is_none_or(|asked| patience(how) < patience(asked)) {
                *asked = Some(how);
            }
        });
    }

    /// Whether the end was requested.
    pub fn is_asked(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Waits for a request; after `before`, for another one.
    pub async fn asked(&self, before: Option<How>) -> How {
        let mut news = self.0.subscribe();
        let asked = news.wait_for(|asked| asked.is_some() && *asked != before).await;
        // The sender lives as long as this value.
        asked.ok().and_then(|asked| *asked).unwrap_or(How::Now)
    }
}

/// The reason for the end of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WayOut {
    /// A signal.
    Signal(Stop),
    /// An administrator.
    Asked(How),
    /// A new process has taken over.
    Replaced,
}

impl WayOut {
    /// How long clients may continue.
    pub fn limit(self, config: &Config) -> Duration {
        match self {
            Self::Signal(Stop::Drain) => config.listen.shutdown_timeout,
            // They have had it.
            Self::Replaced => Duration::ZERO,
            Self::Signal(Stop::Fast) => config.listen.shutdown_timeout.min(LAST_TRANSACTIONS),
            Self::Asked(How::Now) => LAST_WORDS,
            Self::Asked(How::Servers | How::Clients) => Duration::MAX,
        }
    }
}
