//! Logs: to stderr, for people or for machines. Logging never blocks, and never fails.
//!
//! # Layout
//! - [`queue`]: the lines that wait for stderr, and the thread that writes them.

pub mod queue;

use std::io::{self, IsTerminal as _, Write};
use std::panic;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use self::queue::Queue;
use crate::config::{Log, LogFormat};

/// The log lines of this process that were dropped. The log is the process's, and so is this count.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Puts another filter in force. The log is the process's, and so is this.
static CHANGE: Mutex<Option<Change>> = Mutex::new(None);

type Change = Box<dyn Fn(EnvFilter) -> Result<(), tracing_subscriber::reload::Error> + Send>;

/// Why logging can't start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// `log.level` is no filter.
    #[error("\"level\" in [log] is no filter that can be used")]
    Level(#[from] ParseError),
    /// This process logs already.
    #[error("logging was started twice")]
    Twice(#[from] TryInitError),
    /// There is no thread for it.
    #[error("can not start a thread: {0}")]
    Thread(#[from] io::Error),
    /// Its filter can't be changed any more.
    #[error("the log's level can not be changed: {0}")]
    Fixed(#[from] tracing_subscriber::reload::Error),
}

/// Starts logging for the whole process, to stderr. Panics are logged, too.
///
/// Returns the queue of lines: [`Queue::flush`] it at the end.
pub fn init(log: &Log) -> Result<Queue, LogError> {
    let queue = init_to(log, io::stderr(), io::stderr().is_terminal())?;
    // The default hook writes to stderr, and blocks where its reader has stalled.
    panic::set_hook(Box::new(|panic| tracing::error!(%panic, "panic")));
    Ok(queue)
}

/// As [`init`], to another writer, with colours or not.
pub fn init_to(log: &Log, to: impl Write + Send + 'static, colours: bool) -> Result<Queue, LogError> {
    let filter = EnvFilter::builder().parse(&log.level)?;
    let queue = Queue::start(to, &DROPPED)?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(queue.clone());
    // The subscriber would say on stderr that stderr can't be written to, and panic.
    let lines = lines.log_internal_errors(false).with_ansi(colours);
    match log.format {
        LogFormat::Text => {
            let lines = lines.with_filter_reloading();
            let filter = lines.reload_handle();
            lines.finish().try_init()?;
            remember(move |to| filter.reload(to));
        }
        LogFormat::Json => {
            // Fields at the top level: that is where log stores look for them.
            let lines = lines.json().flatten_event(true).with_filter_reloading();
            let filter = lines.reload_handle();
            lines.finish().try_init()?;
            remember(move |to| filter.reload(to));
        }
    }
    Ok(queue)
}

fn remember(change: impl Fn(EnvFilter) -> Result<(), tracing_subscriber::reload::Error> + Send + 'static) {
    *CHANGE.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(change));
}

/// Whether `level` is a filter.
pub fn check_level(level: &str) -> Result<(), LogError> {
    Ok(EnvFilter::builder().parse(level).map(drop)?)
}

/// What is logged by this process from now on. Does nothing where it does not log.
pub fn set_level(level: &str) -> Result<(), LogError> {
    let filter = EnvFilter::builder().parse(level)?;
    match &*CHANGE.lock().unwrap_or_else(PoisonError::into_inner) {
        Some(change) => Ok(change(filter)?),
        None => Ok(()),
    }
}

/// How many log lines of this process were dropped: stderr failed, or its reader was too slow.
pub fn dropped_lines() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}
