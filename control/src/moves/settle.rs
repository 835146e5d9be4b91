//! Finishes what was interrupted, or takes it back; drops what was kept long enough.

use serde::Serialize;

use super::record::{Move, Recorded, forget, running};
use super::site::{Site, Sites};
use super::{Clusters, Moved, Options};
use crate::Control;
use crate::error::Error;
use crate::name::SchemaName;
use crate::registry::{literal, lock_key};

/// What became of an interrupted move.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Settled {
    /// The tenant is served at the target.
    Finished(Moved),
    /// The tenant is served at the source.
    TakenBack,
}

impl Clusters {
    /// Takes the move of the tenant back that was interrupted, or finishes it if the placement is changed already. `None`:
    /// there is none.
    pub async fn abort_move(&self, schema: &SchemaName, options: &Options) -> Result<Option<Settled>, Error> {
        let registry = Site::lock(self, &self.registry, schema).await?;
        let Some(mover) = running(&registry.held, schema).await? else { return Ok(None) };
        let sites = Sites::lock(self, registry, (&mover.source, &mover.target), schema).await?;
        sites.settle(&mover, options, true).await.map(Some)
    }

    /// Drops the schemas that tenants have left behind, as far as they were kept for long enough. Returns their moves; for
    /// each that could not be dropped, the reason.
    pub async fn sweep(&self) -> Result<Vec<(Move, Option<Error>)>, Error> {
        let mut swept = Vec::new();
        for mover in self.outlived().await? {
            let dropped = match self.get(&mover.source) {
                Ok(source) => drop_aside(source, &mover).await,
                Err(error) => Err(error),
            };
            let done = match dropped {
                Ok(()) => forget(&*self.registry()?.client().await?, mover.id).await,
                Err(error) => Err(error),
            };
            swept.push((mover, done.err()));
        }
        Ok(swept)
    }
}

impl Sites {
    /// Finishes an interrupted move whose source has left already, and takes back any other. With `back`, a move is
    /// finished only if its placement is changed.
    pub(super) async fn settle(&self, mover: &Move, options: &Options, back: bool) -> Result<Settled, Error> {
        // Its commit may be on its way, with the next step in it.
        self.await_source(mover).await?;
        let schema = SchemaName::new(&mover.schema, self.source().control.settings())?;
        let mover = match running(&self.registry().held, &schema).await? {
            Some(now) if now.id == mover.id => now,
            _ => {
                return Err(Error::Refused(
                    "another command has finished this move or has taken it back".into(),
                ));
            }
        };
        let renamed = self.source().control.is_provisioned(&mover.aside()).await?;
        let goes_on = match mover.step {
            Recorded::Fence | Recorded::Copy => false,
            Recorded::Leave => renamed && !back,
            Recorded::Arrive | Recorded::Kept => true,
        };
        if !goes_on {
            self.take_back(&mover, renamed).await?;
            return Ok(Settled::TakenBack);
        }
        self.arrive(&mover, options).await?;
        self.keep(&mover, options).await.map(Settled::Finished)
    }

    /// Waits for the end of the move's transaction at the source, which may be one of a process that was killed.
    async fn await_source(&self, mover: &Move) -> Result<(), Error> {
        let source = self.source();
        let wait = format!(
            "BEGIN; SET LOCAL lock_timeout = '10s'; SELECT pg_catalog.pg_advisory_xact_lock({}); COMMIT",
            lock_key(&mover.aside())
        );
        let waited = source.held.batch_execute(&wait).await;
        if waited.is_err() {
            let _ = source.held.batch_execute("ROLLBACK").await;
        }
        waited.map_err(Error::postgres(format!(
            "waiting for the transaction of the interrupted move on cluster \"{}\"",
            source.name
        )))
    }

    /// Serves the tenant at the source again, and drops the copy.
    async fn take_back(&self, mover: &Move, renamed: bool) -> Result<(), Error> {
        let (name, aside) = (literal(&mover.schema), literal(&mover.aside()));
        let quoted = pgstrata_tenancy::ident::quoted(&mover.schema);
        let rename = match renamed {
            true => format!("ALTER SCHEMA {} RENAME TO {quoted};", mover.aside()),
            false => String::new(),
        };
        let sql = format!(
            "{rename} DELETE FROM pgstrata_control.schemas WHERE schema = {aside}; \
             UPDATE pgstrata_control.schemas SET state = '{}', changed_at = pg_catalog.now() \
             WHERE schema = {name} AND state IN ('migrating', 'provisioning')",
            mover.state
        );
        self.source().transact(&sql, "serving the tenant again").await?;
        self.drop_copy(mover).await?;
        forget(&self.registry().held, mover.id).await
    }

    /// Drops the copy that this move has made, and nothing else of that name.
    async fn drop_copy(&self, mover: &Move) -> Result<(), Error> {
        let (name, aside) = (literal(&mover.schema), literal(&mover.aside()));
        let target = self.target();
        let wait = format!(
            "SET LOCAL lock_timeout = '10s'; SET LOCAL client_min_messages = warning; \
             SELECT pg_catalog.pg_advisory_xact_lock({})",
            lock_key(&mover.aside())
        );
        let forgotten = match self.enters_registry() {
            // The registry's rows of the tenant come with its placement.
            true => String::new(),
            false => format!("DELETE FROM pgstrata_control.schemas WHERE schema = {name};"),
        };
        let drop = crate::registry::block(&format!(
            "BEGIN DELETE FROM pgstrata_control.copies WHERE schema = {name} AND aside = {aside}; \
             IF FOUND THEN EXECUTE {}; DELETE FROM pgstrata_control.migrations WHERE schema = {name}; {forgotten} \
             END IF; END",
            literal(&format!("DROP SCHEMA {} CASCADE", pgstrata_tenancy::ident::quoted(&mover.schema)))
        ));
        target.transact(&format!("{wait}; {drop}"), "dropping the copy").await
    }

    /// Drops the source's schema at once.
    pub(super) async fn drop_kept(&self, mover: &Move) -> Result<(), Error> {
        drop_aside(&self.source().control, mover).await?;
        forget(&self.registry().held, mover.id).await
    }
}

/// Drops the schema that a tenant has left behind.
async fn drop_aside(source: &Control, mover: &Move) -> Result<(), Error> {
    let aside = SchemaName::new(&mover.aside(), source.settings())?;
    match source.drop_schema(&aside).await {
        Ok(()) | Err(Error::Missing(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
