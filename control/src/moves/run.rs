//! The steps of a move in order.

use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use tokio::time::{Instant, timeout};
use tokio_postgres::error::SqlState;
use tokio_postgres::{IsolationLevel, Transaction};

use super::copy::{Copying, hold, registration};
use super::drain::drain;
use super::record::{Beginning, Move, Recorded, advance, begin, running};
use super::settle::Settled;
use super::site::{Site, Sites};
use super::{Clusters, Moved, Options, Plan, Step, compare};
use crate::error::Error;
use crate::name::SchemaName;
use crate::registry::{State, literal};

impl Clusters {
    /// Moves the tenant of `schema` to cluster `to`.
    ///
    /// An interrupted move of the tenant is finished, or taken back, first. The error: the tenant is served where it was,
    /// unless the error says that the command has to be run again.
    pub async fn move_tenant(
        &self,
        schema: &SchemaName,
        to: &str,
        options: &Options,
    ) -> Result<Moved, Error> {
        self.get(to)?;
        let mut registry = Site::lock(self, &self.registry, schema).await?;
        let mut took_back = false;
        if let Some(earlier) = running(&registry.held, schema).await? {
            let sites = Sites::lock(self, registry, (&earlier.source, &earlier.target), schema).await?;
            match sites.settle(&earlier, options, false).await? {
                Settled::Finished(moved) if moved.to == to => return Ok(moved),
                Settled::Finished(_) => {}
                Settled::TakenBack => took_back = true,
            }
            registry = sites.into_registry();
        }
        (options.on_step)(Step::Plan);
        let plan = self.plan(schema, to).await?;
        plan.refuse()?;
        let sites = Sites::lock(self, registry, (&plan.from, to), schema).await?;
        let run = Run { sites: &sites, schema, plan: &plan, options };
        let moved = run.run().await?;
        Ok(Moved { took_back, ..moved })
    }
}

/// One move.
struct Run<'a> {
    sites: &'a Sites,
    schema: &'a SchemaName,
    plan: &'a Plan,
    options: &'a Options,
}

/// What was counted on the way.
#[derive(Default)]
struct Counted {
    tables: usize,
    rows: u64,
    terminated: usize,
}

impl Run<'_> {
    async fn run(&self) -> Result<Moved, Error> {
        let (source, target) = (self.sites.source(), self.sites.target());
        let beginning = Beginning {
            schema: self.schema,
            source: &source.name,
            target: &target.name,
            state: self.plan.state,
            version: self.plan.version,
            keep: self.options.keep,
        };
        let mover = begin(&self.sites.registry().held, &beginning).await?;
        let begun = Instant::now();
        let (mut from, mut to) = (source.control.detached().await?, target.control.detached().await?);
        let mut counted = Counted::default();
        let left =
            match timeout(self.options.max_pause, self.prepare(&mover, (&mut from, &mut to), &mut counted))
                .await
            {
                Ok(Ok(tx)) => self.leave(&mover, tx).await,
                Ok(Err(error)) => Err(error),
                Err(_) => Err(Error::Refused(format!(
                    "the clients have waited for {} s, which is all that --max-pause allows",
                    self.options.max_pause.as_secs_f64()
                ))),
            };
        // Their transactions end with them: whatever takes the move back waits for that.
        drop((from, to));
        if let Err(error) = left {
            return Err(self.take_back(&mover, error).await);
        }
        let pause = self.sites.arrive(&mover, self.options).await.map(|()| begun.elapsed())?;
        let mut moved = self.sites.keep(&mover, self.options).await?;
        moved.pause_ms = Some(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
        (moved.tables, moved.rows, moved.terminated) = (counted.tables, counted.rows, counted.terminated);
        moved.warnings.extend(self.plan.warnings.iter().cloned());
        Ok(moved)
    }

    fn begins(&self, step: Step) {
        (self.options.on_step)(step);
    }

    /// All up to a complete copy, and a transaction at the source that holds its tables.
    async fn prepare<'t>(
        &self,
        mover: &Move,
        (from, to): (&'t mut ClientWrapper, &'t mut ClientWrapper),
        counted: &mut Counted,
    ) -> Result<Transaction<'t>, Error> {
        let (source, target) = (self.sites.source(), self.sites.target());
        self.begins(Step::Fence);
        self.fence(mover).await.map_err(at(Step::Fence))?;
        self.begins(Step::Drain);
        let shared = &source.control.settings().shared;
        let drained = drain(&source.held, self.schema, shared, self.options.pin_timeout).await;
        counted.terminated = drained.map_err(at(Step::Drain))?;
        // In front of the snapshot, in which the row may be changed again.
        self.record(mover, Recorded::Fence, Recorded::Copy).await?;
        let client: &'t mut tokio_postgres::Client = from;
        let tx = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).start().await;
        let tx = tx.map_err(Error::postgres("beginning the transaction at the source"))?;
        let relations = hold(&tx, &source.held, mover, self.schema).await.map_err(at(Step::Drain))?;
        counted.tables = relations.tables.len();
        self.begins(Step::Structure);
        let copying = Copying {
            schema: self.schema,
            mover,
            relations: &relations,
            settings: target.control.settings(),
            enters_registry: self.sites.enters_registry(),
        };
        let behind = copying.structure(&tx, to).await.map_err(at(Step::Structure))?;
        self.begins(Step::Data);
        counted.rows = copying.data(&tx, to, &behind).await.map_err(at(Step::Data))?;
        self.begins(Step::Compare);
        let compared = compare::compare(&tx, to, self.schema, &relations, self.options.verify).await;
        compared.map_err(at(Step::Compare))?;
        let now = super::copy::Relations::read(&source.held, self.schema).await;
        if now.map_err(Error::postgres("looking for new objects at the source"))? != relations {
            return Err(at(Step::Compare)(Error::Refused(
                "objects of the schema were created or dropped meanwhile, past the proxies".into(),
            )));
        }
        to.batch_execute("COMMIT").await.map_err(Error::postgres("committing the copy"))?;
        Ok(tx)
    }

    /// From now on clients wait.
    async fn fence(&self, mover: &Move) -> Result<(), Error> {
        if mover.state != State::Active {
            return Ok(());
        }
        let sql = format!(
            "UPDATE pgstrata_control.schemas SET state = 'migrating', changed_at = pg_catalog.now() \
             WHERE schema = {} AND state = 'active'",
            literal(self.schema.as_str())
        );
        let source = self.sites.source();
        let raised = source.held.execute(&sql, &[]).await;
        match raised.map_err(Error::postgres("letting the tenant's clients wait"))? {
            1 => Ok(()),
            _ => Err(Error::Refused("the tenant's state was changed meanwhile".into())),
        }
    }

    async fn record(&self, mover: &Move, from: Recorded, to: Recorded) -> Result<(), Error> {
        let done = self.sites.registry().held.batch_execute(&advance(mover.id, from, to)).await;
        done.map_err(Error::postgres("recording the next step of the move"))
    }

    /// Ends the service at the source. If the source has the registry, the placement is changed in the same transaction.
    async fn leave(&self, mover: &Move, tx: Transaction<'_>) -> Result<(), Error> {
        self.begins(Step::Leave);
        let (name, aside) = (literal(self.schema.as_str()), literal(&mover.aside()));
        let mut sql = format!(
            "ALTER SCHEMA {} RENAME TO {};
             INSERT INTO pgstrata_control.schemas (schema, state) VALUES ({aside}, 'dropping');\n",
            self.schema.quoted(),
            mover.aside()
        );
        if self.sites.leaves_registry() {
            let database = self.sites.target().control.database_name().await?;
            sql += &format!(
                "DELETE FROM pgstrata_control.migrations WHERE schema = {name};
                 DELETE FROM pgstrata_control.schemas WHERE schema = {name};
                 INSERT INTO pgstrata_control.placements (schema, cluster, database) VALUES ({name}, {}, {});
                 {};\n",
                literal(&mover.target),
                literal(&database),
                advance(mover.id, Recorded::Copy, Recorded::Arrive)
            );
        } else {
            // Without a schema, clients of a tenant in this state wait.
            sql += &format!(
                "UPDATE pgstrata_control.schemas SET state = 'provisioning', changed_at = pg_catalog.now() \
                 WHERE schema = {name};\n"
            );
        }
        tx.batch_execute(&sql).await.map_err(Error::postgres("renaming the schema at the source"))?;
        if !self.sites.leaves_registry() {
            self.record(mover, Recorded::Copy, Recorded::Leave).await?;
        }
        tx.commit().await.map_err(Error::postgres("renaming the schema at the source"))
    }

    /// Takes the move back after an error. What the administrator has to know.
    async fn take_back(&self, mover: &Move, error: Error) -> Error {
        let (schema, to) = (self.schema, &mover.target);
        match self.sites.settle(mover, self.options, false).await {
            Ok(Settled::TakenBack) => Error::Refused(format!(
                "tenant schema \"{schema}\" was not moved to cluster \"{to}\" and is served on cluster \"{}\" as before: \
                 {error}",
                mover.source
            )),
            Ok(Settled::Finished(_)) => Error::Refused(format!(
                "tenant schema \"{schema}\" has moved to cluster \"{to}\", after an error: {error}"
            )),
            Err(other) => Error::Refused(format!(
                "the move of tenant schema \"{schema}\" to cluster \"{to}\" was interrupted: {error}. It could not be \
                 taken back: {other}. Run the command again, or with --abort"
            )),
        }
    }
}

/// The step in front of an error.
fn at(step: Step) -> impl FnOnce(Error) -> Error {
    move |error| Error::Refused(format!("step {step}: {error}"))
}

impl Sites {
    /// Changes the placement of a tenant that has left a cluster without the registry.
    pub(super) async fn switch(&self, mover: &Move, options: &Options) -> Result<(), Error> {
        (options.on_step)(Step::Switch);
        let (name, source) = (literal(&mover.schema), literal(&mover.source));
        let placed = match self.enters_registry() {
            true => format!(
                "DELETE FROM pgstrata_control.placements WHERE schema = {name} AND cluster = {source}"
            ),
            false => {
                let database = self.target().control.database_name().await?;
                format!(
                    "UPDATE pgstrata_control.placements SET cluster = {}, database = {}, \
                     generation = pg_catalog.nextval('pgstrata_control.generations'), changed_at = pg_catalog.now() \
                     WHERE schema = {name} AND cluster = {source}",
                    literal(&mover.target),
                    literal(&database)
                )
            }
        };
        let placed = crate::registry::block(&format!(
            "BEGIN {placed}; IF NOT FOUND THEN RAISE EXCEPTION 'the placement was changed by another command' \
             USING ERRCODE = 'serialization_failure'; END IF; END"
        ));
        let registered = if self.enters_registry() { registration(mover) } else { String::new() };
        let step = advance(mover.id, Recorded::Leave, Recorded::Arrive);
        self.registry().transact(&format!("{placed}; {registered} {step}"), "changing the placement").await
    }

    /// Serves the tenant at the target.
    pub(super) async fn arrive(&self, mover: &Move, options: &Options) -> Result<(), Error> {
        if !self.leaves_registry() && self.is_at(mover, Recorded::Leave).await? {
            self.switch(mover, options).await.map_err(again)?;
        }
        (options.on_step)(Step::Arrive);
        let name = literal(&mover.schema);
        let sql = format!(
            "UPDATE pgstrata_control.schemas SET state = '{}', changed_at = pg_catalog.now() \
             WHERE schema = {name} AND state = 'migrating'; \
             DELETE FROM pgstrata_control.copies WHERE schema = {name}",
            mover.state
        );
        self.target().transact(&sql, "serving the tenant").await.map_err(again)
    }

    /// The end of a move: what is left at the source is kept, or dropped.
    pub(super) async fn keep(&self, mover: &Move, options: &Options) -> Result<Moved, Error> {
        (options.on_step)(Step::Keep);
        if !self.leaves_registry() {
            let name = literal(&mover.schema);
            let sql = format!(
                "DELETE FROM pgstrata_control.migrations WHERE schema = {name}; \
                 DELETE FROM pgstrata_control.schemas WHERE schema = {name}"
            );
            self.source().transact(&sql, "forgetting the tenant").await.map_err(again)?;
        }
        let step = advance(mover.id, Recorded::Arrive, Recorded::Kept);
        self.registry().transact(&step, "recording the end of the move").await.map_err(again)?;
        let kept = "SELECT drop_after::text FROM pgstrata_control.moves WHERE id = $1";
        let kept = self.registry().held.query_one(kept, &[&mover.id]).await;
        let kept = kept.map_err(Error::postgres("reading the record of the move"))?;
        let mut moved = Moved {
            schema: mover.schema.clone(),
            from: mover.source.clone(),
            to: mover.target.clone(),
            pause_ms: None,
            tables: 0,
            rows: 0,
            terminated: 0,
            kept_as: Some(mover.aside()),
            drop_after: kept.get(0),
            took_back: false,
            warnings: Vec::new(),
        };
        if options.keep == Duration::ZERO {
            match self.drop_kept(mover).await {
                Ok(()) => (moved.kept_as, moved.drop_after) = (None, None),
                // The tenant is served: what it has left is dropped by the next command.
                Err(error) => moved.warnings.push(format!("the source's schema is still there: {error}")),
            }
        }
        Ok(moved)
    }

    async fn is_at(&self, mover: &Move, step: Recorded) -> Result<bool, Error> {
        let sql = "SELECT FROM pgstrata_control.moves WHERE id = $1 AND step = $2";
        let row = self.registry().held.query_opt(sql, &[&mover.id, &step.as_str()]).await;
        Ok(row.map_err(Error::postgres("reading the record of the move"))?.is_some())
    }
}

/// The error of a move that can only go on.
fn again(error: Error) -> Error {
    let waits = "the tenant has left its cluster, and its clients wait until it arrives";
    match error.sqlstate() == Some(SqlState::T_R_SERIALIZATION_FAILURE.code()) {
        true => error,
        false => Error::Refused(format!("{error}. Run the command again at once: {waits}")),
    }
}
