//! The log, to stderr, as text or JSON. Logging never blocks, and never fails.
//!
//! # Layout
//! - [`queue`]: the lines that wait for stderr, and the thread that writes them.

pub mod queue;

use std::io::{self, IsTerminal as _, Write};
use std::panic;
use std::sync::{Mutex, PoisonError};

use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use self::queue::Queue;
use crate::config::{Log, LogFormat};
use crate::metrics::LOG_LINES_DROPPED;

/// Changes the filter. The log belongs to the process, and so does this.
static CHANGE: Mutex<Option<Change>> = Mutex::new(None);

type Change = Box<dyn Fn(EnvFilter) -> Result<(), tracing_subscriber::reload::Error> + Send>;

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// `log.level` is not a filter.
    #[error("\"level\" in [log] is no filter that can be used")]
    Level(#[from] ParseError),
    /// Logging was started before.
    #[error("logging was started twice")]
    Twice(#[from] TryInitError),
    /// The thread cannot be started.
    #[error("can not start a thread: {0}")]
    Thread(#[from] io::Error),
    /// The filter cannot be changed any more.
    #[error("the log's level can not be changed: {0}")]
    Fixed(#[from] tracing_subscriber::reload::Error),
}

/// Starts logging for the whole process, to stderr. Panics are logged, too.
///
/// Returns the queue of lines: [`Queue::flush`] it at the end.
pub fn init(log: &Log) -> Result<Queue, LogError> {
    let queue = init_to(log, io::stderr(), io::stderr().is_terminal())?;
    // The default hook writes to stderr, and blocks if its reader has stalled.
    panic::set_hook(Box::new(|panic| tracing::error!(%panic, "panic")));
    Ok(queue)
}

/// Like [`init`], to another writer, with or without colours.
pub fn init_to(log: &Log, to: impl Write + Send + 'static, colours: bool) -> Result<Queue, LogError> {
    let filter = EnvFilter::builder().parse(&log.level)?;
    let queue = Queue::start(to, &LOG_LINES_DROPPED)?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(queue.clone());
    // The subscriber would write to stderr that stderr cannot be written, and panic.
    let lines = lines.log_internal_errors(false).with_ansi(colours);
    match log.format {
        LogFormat::Text => {
            let lines = lines.with_filter_reloading();
            let filter = lines.reload_handle();
            lines.finish().try_init()?;
            remember(move |to| filter.reload(to));
        }
        LogFormat::Json => {
            // Fields are at the top level, where log stores expect them.
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

/// Changes the filter of this process. Has no effect if the process does not log.
pub fn set_level(level: &str) -> Result<(), LogError> {
    let filter = EnvFilter::builder().parse(level)?;
    match &*CHANGE.lock().unwrap_or_else(PoisonError::into_inner) {
        Some(change) => Ok(change(filter)?),
        None => Ok(()),
    }
}
