//! The current configuration, and its reload.
//!
//! A snapshot never changes. A reload creates the next one completely, and then replaces the current one: from then on
//! logins use it, and sessions check at once whether they may continue with it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use super::cluster::Cluster;
use super::parts::Parts;
use super::{DatabaseHandle, SetupError, Shared};
use crate::auth::accept::AcceptContext;
use crate::clients::Origin;
use crate::config::{Changes, Config, ConfigError};
use crate::logging::{self, LogError};
use crate::metrics::Metrics;
use crate::notify;

/// The configuration, and the objects that are built from it.
pub struct Snapshot {
    /// The configuration.
    pub config: Arc<Config>,
    /// The rules for logins.
    pub accept: AcceptContext,
    /// The databases, by the names that clients use.
    pub databases: HashMap<String, Arc<DatabaseHandle>>,
}

/// One reload at a time.
pub(super) type Queue = Mutex<()>;

/// The result of a reload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReloadReport {
    /// The changed keys that are in effect, by path.
    pub changed: Vec<String>,
    /// The keys that differ from the running values, and need a restart.
    pub restart: Vec<String>,
    /// The warnings about the file.
    pub warnings: Vec<String>,
}

/// Why nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The file has an error.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Its objects cannot be built.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// Its log settings cannot be used.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The process is ending, or has no thread.
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
    /// The snapshot at the start of a process. Must be called inside a runtime.
    pub(super) fn first(config: Config, metrics: &Arc<Metrics>, origin: Origin) -> Result<Self, SetupError> {
        let mut parts = HashMap::new();
        for name in config.databases.keys() {
            parts.insert(name.clone(), Parts::new(name, &config, metrics, origin)?);
        }
        let mut databases = HashMap::new();
        for (name, _) in config.entrances() {
            databases.extend(
                DatabaseHandle::new(name, &config, &mut parts, metrics).map(|new| (name.to_owned(), new)),
            );
        }
        Ok(Self { accept: AcceptContext::new(&config)?, config: Arc::new(config), databases })
    }

    /// The clusters of all databases, by their names.
    pub fn clusters(&self) -> Vec<Arc<Cluster>> {
        let mut all: Vec<_> = self.databases.values().flat_map(|database| database.clusters()).collect();
        all.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        all
    }
}

/// Everything of a reload that can fail, done before any of it takes effect.
struct Next {
    config: Config,
    changes: Changes,
    accept: AcceptContext,
    parts: HashMap<String, Parts>,
}

impl Next {
    /// Reads the file of the `running` configuration. Slow, and blocks.
    fn read(running: &Snapshot, metrics: &Arc<Metrics>, origin: Origin) -> Result<Self, ReloadError> {
        Self::of(Config::load(&running.config.origin)?, running, metrics, origin)
    }

    /// For a configuration that was read.
    fn of(
        mut config: Config,
        running: &Snapshot,
        metrics: &Arc<Metrics>,
        origin: Origin,
    ) -> Result<Self, ReloadError> {
        let changes = config.succeed(&running.config);
        logging::check_level(&config.log.level)?;
        let accept = running.accept.renewed(&config).map_err(SetupError::from)?;
        let mut parts = HashMap::new();
        let clusters = running.clusters();
        for (name, entry) in &config.databases {
            let made = Parts::new(name, &config, metrics, origin)?;
            let kept =
                clusters.iter().find(|one| one.name == *name).filter(|_| !changes.replace(name, entry));
            let made = match kept {
                Some(kept) => made.after(&kept.servers.kind(), changes.reconnect(name, entry)),
                None => made,
            };
            parts.insert(name.clone(), made);
        }
        Ok(Self { config, changes, accept, parts })
    }
}

impl Shared {
    /// Reads the whole file again. If it has an error, nothing changes, and the error names the place. Otherwise the
    /// new configuration takes effect, and the report names the changed keys and those that need a restart. Both are
    /// logged and counted. A caller that stops waiting does not stop the reload.
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

    /// Like [`Shared::reload`] with this configuration, at once.
    #[cfg(feature = "simulation")]
    pub fn go_on_by(self: &Arc<Self>, config: Config) -> Result<ReloadReport, ReloadError> {
        let next = Next::of(config, &self.current(), &self.metrics, self.clients.origin())?;
        Ok(self.put_to_work(next)?)
    }

    fn put_to_work(self: &Arc<Self>, next: Next) -> Result<ReloadReport, LogError> {
        let Next { config, changes, accept, mut parts } = next;
        logging::set_level(&config.log.level)?;
        self.clients.journal.follow(&config.log);
        let running = self.current();
        let mut databases = HashMap::new();
        for (name, entry) in config.entrances() {
            let kept = running.databases.get(name).filter(|_| !changes.replace(name, entry));
            let database = match kept {
                Some(database) => {
                    database.change(&config, &mut parts, &changes);
                    Arc::clone(database)
                }
                None => {
                    let made = DatabaseHandle::new(name, &config, &mut parts, &self.metrics);
                    let Some(database) = made else { continue };
                    if let Some(before) = running.databases.get(name) {
                        database.succeed(before);
                    }
                    database.watch();
                    database
                }
            };
            databases.insert(name.to_owned(), database);
        }
        let warnings = [config.warnings.clone(), config.expired.clone()].concat();
        let next = Arc::new(Snapshot { config: Arc::new(config), accept, databases });
        self.newest.send_replace(Arc::clone(&next));
        // Afterwards, so that each woken session finds the newer snapshot.
        self.clients.wake_all();
        for (name, database) in &running.databases {
            if !next.databases.get(name).is_some_and(|kept| Arc::ptr_eq(kept, database)) {
                database.retire();
            }
        }
        self.metrics.certificates(&next.config.certificates);
        self.metrics.statements.set_limit(next.config.metrics.statements_memory);
        Ok(ReloadReport { changed: changes.acting, restart: changes.restart, warnings })
    }
}
