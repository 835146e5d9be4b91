//! Whether new clients should be sent here: what one of them would get now.
//!
//! A database is ready if the pool gives a server that answers; or, where none is free or no new one can be had, if
//! PostgreSQL answers and there are servers to wait for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::shared::{DatabaseHandle, Shared};

/// How long a probe waits for a server's answer, and then for PostgreSQL's on another connection. Together they are
/// below the second that probes are given, most often.
const PATIENCE: Duration = Duration::from_millis(400);

/// The last answer, and when its question was asked.
#[derive(Clone, Default)]
pub struct Readiness(Arc<Mutex<Option<(Instant, Verdict)>>>);

/// The error: a database that can't serve.
type Verdict = Result<(), String>;

impl Readiness {
    /// Asks all databases at once. The error names the first that can't serve; the log has why.
    ///
    /// Those who come while others are asked share one question: a flood of probes is no flood for PostgreSQL.
    pub async fn ask(&self, shared: &Shared) -> Verdict {
        let came = Instant::now();
        let mut last = self.0.lock().await;
        if let Some((asked, verdict)) = &*last
            && *asked > came
        {
            return verdict.clone();
        }
        let begun = Instant::now();
        let mut asked = JoinSet::new();
        for (name, database) in &shared.current().databases {
            let (name, database) = (name.clone(), Arc::clone(database));
            asked.spawn(async move { serves(&database).await.map_err(|error| (name, error)) });
        }
        let mut verdict = Ok(());
        while let Some(answer) = asked.join_next().await {
            if let Ok(Err((name, error))) = answer {
                tracing::warn!(database = name, %error, "not ready");
                verdict = verdict.and(Err(name));
            }
        }
        *last = Some((begun, verdict.clone()));
        verdict
    }
}

/// Whether a client of this database would be served. The error says why not.
async fn serves(database: &DatabaseHandle) -> Result<(), String> {
    match timeout(PATIENCE, database.servers.probe()).await {
        Ok(Ok(())) => return Ok(()),
        // No new server is to be had, and there is none that could come back.
        Ok(Err(error)) if database.servers.status().size == 0 => return Err(error.to_string()),
        // Others are busy, or what was asked does not answer.
        Ok(Err(_)) | Err(_) => {}
    }
    database.answers(PATIENCE).await.map_err(|error| error.to_string())
}
