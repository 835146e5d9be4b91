//! The clusters of one move, each with a connection that holds the lock of the tenant's schema there.

use std::time::Duration;

use deadpool_postgres::{Client as Pooled, ClientWrapper};
use tokio::time::{Instant, sleep};

use super::Clusters;
use crate::Control;
use crate::error::Error;
use crate::name::SchemaName;
use crate::registry::{MOVES, lock_key};

/// How long a command waits for the connections of one that was killed: PostgreSQL finds them closed within a second.
const PATIENCE: Duration = Duration::from_secs(5);

/// The time between two attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// One cluster. Its lock goes with the connection.
pub(super) struct Site {
    pub name: String,
    pub control: Control,
    /// Holds the lock, and runs whatever belongs to no transaction of the copy.
    pub held: ClientWrapper,
}

impl Site {
    /// Takes the lock of `schema` on the cluster: the lock of each command that changes the schema there.
    pub async fn lock(clusters: &Clusters, name: &str, schema: &SchemaName) -> Result<Self, Error> {
        let control = clusters.get(name)?;
        control.install_at_least(MOVES).await?;
        let held = control.detached().await?;
        let sql = format!("SELECT pg_catalog.pg_try_advisory_lock({})", lock_key(schema.as_str()));
        let until = Instant::now() + PATIENCE;
        loop {
            let row = held.query_one(&sql, &[]).await;
            if row.map_err(Error::postgres(format!("locking schema \"{schema}\"")))?.get(0) {
                return Ok(Self { name: name.to_owned(), control: control.clone(), held });
            }
            if Instant::now() >= until {
                return Err(Error::Refused(format!(
                    "another command is at work on schema \"{schema}\" on cluster \"{name}\": try again when it has ended"
                )));
            }
            sleep(PAUSE).await;
        }
    }

    /// Runs statements in one transaction.
    pub async fn transact(&self, sql: &str, doing: &str) -> Result<(), Error> {
        let done = self.held.batch_execute(&format!("BEGIN; {sql}; COMMIT")).await;
        if done.is_err() {
            // The first error is the one that counts.
            let _ = self.held.batch_execute("ROLLBACK").await;
        }
        done.map_err(Error::postgres(format!("{doing} on cluster \"{}\"", self.name)))
    }
}

/// The clusters of one move. Two of the three may be the same one.
pub(super) struct Sites {
    registry: Site,
    source: Option<Site>,
    target: Option<Site>,
}

impl Sites {
    /// The registry's cluster is locked first: it decides between two commands.
    pub async fn lock(
        clusters: &Clusters,
        registry: Site,
        (source, target): (&str, &str),
        schema: &SchemaName,
    ) -> Result<Self, Error> {
        let mut sites = Self { registry, source: None, target: None };
        if source != sites.registry.name {
            sites.source = Some(Site::lock(clusters, source, schema).await?);
        }
        if target != sites.registry.name {
            sites.target = Some(Site::lock(clusters, target, schema).await?);
        }
        Ok(sites)
    }

    pub fn registry(&self) -> &Site {
        &self.registry
    }

    pub fn source(&self) -> &Site {
        self.source.as_ref().unwrap_or(&self.registry)
    }

    pub fn target(&self) -> &Site {
        self.target.as_ref().unwrap_or(&self.registry)
    }

    /// Whether the tenant leaves the registry's cluster.
    pub fn leaves_registry(&self) -> bool {
        self.source.is_none()
    }

    /// Whether the tenant goes to the registry's cluster.
    pub fn enters_registry(&self) -> bool {
        self.target.is_none()
    }

    /// Gives the registry's lock back, for another command of the same process.
    pub fn into_registry(self) -> Site {
        self.registry
    }
}

impl Control {
    /// A connection that is no longer one of the pool's: it is closed when it is dropped, with its transaction and its
    /// locks.
    pub(super) async fn detached(&self) -> Result<ClientWrapper, Error> {
        Ok(Pooled::take(self.client().await?))
    }
}
