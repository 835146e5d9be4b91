//! The way out, for those inside of the process: an administrator asks for it, and the listener hears of it.

use std::time::Duration;

use tokio::sync::watch;

use crate::config::Config;

/// How long clients may take to hear that the proxy ends at once.
pub const LAST_WORDS: Duration = Duration::from_millis(200);

/// How long transactions may still take when a signal says that the proxy is to end fast.
const LAST_TRANSACTIONS: Duration = Duration::from_secs(1);

/// What is waited for before the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Nothing: clients and servers are closed.
    Now,
    /// Open transactions. Nobody else is let in, and clients leave at the end of theirs.
    Servers,
    /// Clients: they leave when they like. Nobody else is let in.
    Clients,
}

/// How a signal has the proxy end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Clients finish their transactions, up to `shutdown_timeout`.
    Drain,
    /// They have a moment for that.
    Fast,
}

/// Whether the process is to end.
pub struct Exit(watch::Sender<Option<How>>);

impl Default for Exit {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Exit {
    /// Asks for it. A later question counts, if it waits for less.
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

    /// Whether somebody has asked.
    pub fn is_asked(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Waits until somebody asks for it; behind `before`, until somebody asks for something else.
    pub async fn asked(&self, before: Option<How>) -> How {
        let mut news = self.0.subscribe();
        let asked = news.wait_for(|asked| asked.is_some() && *asked != before).await;
        // The sender lives as long as this does.
        asked.ok().and_then(|asked| *asked).unwrap_or(How::Now)
    }
}

/// Who wants the process to end, and what is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WayOut {
    /// A signal.
    Signal(Stop),
    /// An administrator.
    Asked(How),
}

impl WayOut {
    /// How long clients may go on.
    pub fn limit(self, config: &Config) -> Duration {
        match self {
            Self::Signal(Stop::Drain) => config.listen.shutdown_timeout,
            Self::Signal(Stop::Fast) => config.listen.shutdown_timeout.min(LAST_TRANSACTIONS),
            Self::Asked(How::Now) => LAST_WORDS,
            Self::Asked(How::Servers | How::Clients) => Duration::MAX,
        }
    }
}
