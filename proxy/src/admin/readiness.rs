//! Whether new clients should be sent here: what one of them would get now.
//!
//! The clusters that clients come in on decide: that of a database, or of its registry. Others are told of; only their own
//! tenants are without them.
//!
//! A database is ready if the pool gives a server that answers; or, where none is free or no new one can be had, if
//! PostgreSQL answers and there are servers to wait for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config::Database;
use crate::shared::Shared;
use crate::shared::cluster::Cluster;

/// How long a probe waits for a server's answer, and then for PostgreSQL's on another connection. Together they are
/// below the second that probes are given, most often.
const PATIENCE: Duration = Duration::from_millis(400);

/// How old an answer may be for those who look often, and are in no need of the newest.
const RECENT: Duration = Duration::from_secs(3);

/// The last answer, and when its question was asked.
#[derive(Clone, Default)]
pub struct Readiness(Arc<Mutex<Option<(Instant, Verdict)>>>);

/// Whether each database can serve, by its name.
pub type Verdict = BTreeMap<String, bool>;

impl Readiness {
    /// Asks all databases at once, on all of their clusters. Gives the names of clusters that can't serve, of those that
    /// do not decide; the error names those that do, and can't. The log has why.
    ///
    /// Those who come while others are asked share one question: a flood of probes is no flood for PostgreSQL.
    pub async fn ask(&self, shared: &Shared) -> Result<Vec<String>, Vec<String>> {
        let verdict = self.not_older(Duration::ZERO, shared).await;
        let away = verdict.into_iter().filter(|(_, serves)| !serves).map(|(name, _)| name);
        let config = Arc::clone(&shared.current().config);
        let decides = |name: &String| config.databases.get(name).is_none_or(Database::is_entrance);
        let (deciding, others): (Vec<_>, Vec<_>) = away.partition(decides);
        if deciding.is_empty() { Ok(others) } else { Err(deciding) }
    }

    /// Whether each database can serve, as it was a moment ago.
    pub async fn each(&self, shared: &Shared) -> Verdict {
        self.not_older(RECENT, shared).await
    }

    async fn not_older(&self, age: Duration, shared: &Shared) -> Verdict {
        let came = Instant::now();
        let mut last = self.0.lock().await;
        if let Some((asked, verdict)) = &*last
            && *asked + age > came
        {
            return verdict.clone();
        }
        let begun = Instant::now();
        let verdict = try_all(shared).await;
        *last = Some((begun, verdict.clone()));
        verdict
    }
}

async fn try_all(shared: &Shared) -> Verdict {
    let mut asked = JoinSet::new();
    for cluster in shared.current().clusters() {
        asked.spawn(async move { (cluster.name.clone(), serves(&cluster).await) });
    }
    let mut verdict = Verdict::new();
    while let Some(answer) = asked.join_next().await {
        let Ok((name, served)) = answer else { continue };
        if let Err(error) = &served {
            tracing::warn!(database = name, %error, "not ready");
        }
        shared.metrics.ready(&name, served.is_ok());
        verdict.insert(name, served.is_ok());
    }
    verdict
}

/// Whether a client of this database would be served. The error says why not.
async fn serves(database: &Cluster) -> Result<(), String> {
    match timeout(PATIENCE, database.servers.probe()).await {
        Ok(Ok(())) => return Ok(()),
        // No new server is to be had, and there is none that could come back.
        Ok(Err(error)) if database.servers.status().size == 0 => return Err(error.to_string()),
        // Others are busy, or what was asked does not answer.
        Ok(Err(_)) | Err(_) => {}
    }
    database.answers(PATIENCE).await.map_err(|error| error.to_string())
}
