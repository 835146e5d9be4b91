//! The configuration as it is now, and how it is read again.
//!
//! A snapshot never changes. A reload makes the next one, whole, and puts it in the place of the last: from then on
//! logins go by it, and sessions look at once whether they may go on by it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use super::parts::Parts;
use super::{DatabaseHandle, SetupError, Shared};
use crate::auth::accept::AcceptContext;
use crate::clients::Origin;
use crate::config::{Changes, Config, ConfigError};
use crate::logging::{self, LogError};
use crate::metrics::Metrics;
use crate::notify;

/// The configuration, and what was made of it.
pub struct Snapshot {
    /// The configuration.
    pub config: Arc<Config>,
    /// What logins are judged by.
    pub accept: AcceptContext,
    /// The databases, by the names that clients use.
    pub databases: HashMap<String, Arc<DatabaseHandle>>,
}

/// One reload at a time.
pub(super) type Queue = Mutex<()>;

/// What a reload did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReloadReport {
    /// The keys that have changed and act now, by path.
    pub changed: Vec<String>,
    /// Those that differ from what the process runs with, and need a restart.
    pub restart: Vec<String>,
    /// What the file is warned of.
    pub warnings: Vec<String>,
}

/// Why everything is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The file is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// It can't be put to work.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// Nothing can be logged by it.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The process is on its way out, or out of threads.
    #[error("the file was not read: {0}")]
    Thread(#[from] tokio::task::JoinError),
}

impl fmt::Display for ReloadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.changed[..] {
            [] => f.write_str("nothing has changed")?,
            changed => write!(f, "changed: {}", changed.join(", "))?,
        }
        match &self.restart[..] {
            [] => Ok(()),
            restart => write!(f, "; needs a restart: {}", restart.join(", ")),
        }
    }
}

impl Snapshot {
    /// That of a process that starts. Must be called inside a runtime.
    pub(super) fn first(config: Config, metrics: &Arc<Metrics>, origin: Origin) -> Result<Self, SetupError> {
        let mut databases = HashMap::new();
        for name in config.databases.keys() {
            let parts = Parts::new(name, &config, metrics, origin)?;
            databases.insert(name.clone(), DatabaseHandle::new(name, &config, parts, metrics));
        }
        Ok(Self { accept: AcceptContext::new(&config)?, config: Arc::new(config), databases })
    }
}

/// All that can fail of a reload, done, before any of it acts.
struct Next {
    config: Config,
    changes: Changes,
    accept: AcceptContext,
    parts: HashMap<String, Parts>,
}

impl Next {
    /// Reads the file of the `running` configuration. Slow, and blocking.
    fn read(running: &Snapshot, metrics: &Arc<Metrics>, origin: Origin) -> Result<Self, ReloadError> {
        let mut config = Config::load(&running.config.origin)?;
        let changes = config.succeed(&running.config);
        logging::check_level(&config.log.level)?;
        let accept = running.accept.renewed(&config).map_err(SetupError::from)?;
        let mut parts = HashMap::new();
        for name in config.databases.keys() {
            let made = Parts::new(name, &config, metrics, origin)?;
            let kept = running.databases.get(name).filter(|_| !changes.replace(name));
            let made = match kept {
                Some(database) => made.after(&database.servers.kind(), reconnects(name, &changes)),
                None => made,
            };
            parts.insert(name.clone(), made);
        }
        Ok(Self { config, changes, accept, parts })
    }
}

/// Whether servers of a database are to be connected in another way from now on.
fn reconnects(database: &str, changes: &Changes) -> bool {
    let keys = ["tls", "tls_ca"].map(|key| format!("databases.{database}.{key}"));
    changes.acting.iter().any(|path| keys.contains(path))
}

impl Shared {
    /// Reads the file again, whole. If anything in it is wrong, nothing changes, and the error says what and where;
    /// else it acts, and the report says which keys changed and which of them need a restart. Both are in the log
    /// and counted. Whoever stops waiting for it does not stop it.
    pub async fn reload(self: &Arc<Self>) -> Result<ReloadReport, ReloadError> {
        let shared = Arc::clone(self);
        self.home.spawn(async move { shared.read_again().await }).await?
    }

    async fn read_again(self: &Arc<Self>) -> Result<ReloadReport, ReloadError> {
        let _turn = self.reloads.lock().await;
        let _told = notify::reloading();
        let (running, metrics) = (self.current(), Arc::clone(&self.metrics));
        let origin = self.clients.origin();
        let read = spawn_blocking(move || Next::read(&running, &metrics, origin)).await;
        let done = read.map_err(ReloadError::from).and_then(|next| Ok(self.put_to_work(next?)?));
        self.metrics.reloaded(done.is_ok());
        match &done {
            Ok(report) => {
                for warning in &report.warnings {
                    tracing::warn!("{warning}");
                }
                let (changed, restart) = (report.changed.join(", "), report.restart.join(", "));
                tracing::info!(changed, needs_restart = restart, "configuration reloaded");
            }
            Err(error) => tracing::error!(%error, "configuration not reloaded: nothing was changed"),
        }
        done
    }

    fn put_to_work(self: &Arc<Self>, next: Next) -> Result<ReloadReport, LogError> {
        let Next { config, changes, accept, mut parts } = next;
        logging::set_level(&config.log.level)?;
        let running = self.current();
        let mut databases = HashMap::new();
        for name in config.databases.keys() {
            let Some(parts) = parts.remove(name) else { continue };
            let kept = running.databases.get(name).filter(|_| !changes.replace(name));
            let database = match kept {
                Some(database) => {
                    database.change(&config, parts, &changes);
                    Arc::clone(database)
                }
                None => {
                    let database = DatabaseHandle::new(name, &config, parts, &self.metrics);
                    if let Some(before) = running.databases.get(name) {
                        database.gate.succeed(&before.gate);
                    }
                    database.watch();
                    database
                }
            };
            databases.insert(name.clone(), database);
        }
        let warnings = [config.warnings.clone(), config.expired.clone()].concat();
        let next = Arc::new(Snapshot { config: Arc::new(config), accept, databases });
        self.newest.send_replace(Arc::clone(&next));
        // Behind it: whoever is woken finds the newer one.
        self.clients.wake_all();
        for (name, database) in &running.databases {
            if !next.databases.get(name).is_some_and(|kept| Arc::ptr_eq(kept, database)) {
                database.retire();
            }
        }
        self.metrics.certificates(&next.config.certificates);
        Ok(ReloadReport { changed: changes.acting, restart: changes.restart, warnings })
    }
}
