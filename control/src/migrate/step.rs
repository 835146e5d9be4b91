//! The next migration of one schema: one transaction.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use deadpool_postgres::Client;
use futures_util::{FutureExt, TryStreamExt};
use tokio::time::sleep;
use tokio_postgres::SimpleQueryMessage;

use super::ledger::{self, Begin, Open};
use super::migration::{Body, Migration, Transaction};
use super::options::{Mode, Unfinished};
use super::pause::Pauses;
use super::report::{Applied, Ended, Event, Failure};
use super::run::Run;
use super::schema::SoFar;
use super::script::Script;
use super::session::{CLEAN, Session};
use crate::registry::State;

/// The result of a step.
pub(super) enum Step {
    /// More migrations may be pending.
    More,
    /// The schema has ended.
    Through(Ended),
}

/// The state of the connection after a migration.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The session is reset.
    Clean,
    /// The state is unknown.
    Unclean,
}

/// Why a step failed. Nothing of it remains, unless it ran outside of a transaction.
pub(super) enum Trouble {
    /// A retry may succeed.
    Transient(Failure),
    /// A retry would not succeed.
    Final(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        if failure.is_transient() { Self::Transient(failure) } else { Self::Final(failure) }
    }
}

impl From<crate::Error> for Trouble {
    fn from(error: crate::Error) -> Self {
        Self::from(Failure::from(error))
    }
}

impl Run {
    /// Begins a transaction in a schema when no other command works on it.
    pub(super) async fn open(&self, client: &Client, schema: &str) -> Result<Option<Open>, Failure> {
        let asked = Instant::now();
        let mut pauses = Pauses::short();
        loop {
            let begun = ledger::begin(client, self.settings(), schema).await;
            match begun.map_err(|error| Failure::postgres(None, &error))? {
                Begin::Open(open) => return Ok(Some(open)),
                Begin::Gone => return Ok(None),
                Begin::Busy => {}
            }
            let rolled_back = client.batch_execute("ROLLBACK").await;
            rolled_back.map_err(|error| Failure::postgres(None, &error))?;
            if self.options.patience.is_some_and(|patience| asked.elapsed() >= patience) {
                let why = "another command is still at work on the schema: run this again when it is through";
                return Err(Failure::new(None, why));
            }
            if pauses.taken() == 0 {
                self.options.tell(&Event::Waiting { schema });
            }
            sleep(pauses.next()).await;
        }
    }

    /// Runs the next pending migration of the schema. The schema's version is read again after it is locked.
    pub(super) async fn step(
        &self,
        session: &mut Session,
        schema: &str,
        so_far: &mut SoFar,
    ) -> Result<Step, Trouble> {
        let client = session.client().await?;
        let Some(open) = self.open(client, schema).await? else {
            session.clean().await;
            return Ok(Step::Through(Ended::Gone));
        };
        so_far.version = open.version;
        so_far.fenced |= open.state == State::Migrating;
        if !open.is_usable {
            let why = "there is no schema of this name, or the role that migrates may not use it";
            return Err(Trouble::Final(Failure::new(None, why)));
        }
        let Some(migration) = self.migrations.after(open.version).next() else {
            session.clean().await;
            return Ok(Step::Through(Ended::Done));
        };
        if self.options.mode == Mode::Rehearse {
            self.rehearse(client, schema, open, so_far).await?;
            session.clean().await;
            return Ok(Step::Through(Ended::Rehearsed));
        }
        if let (Some(pause), State::Active) = (self.options.fence, open.state) {
            session.clean().await;
            self.raise_fence(session, schema).await?;
            so_far.fenced = true;
            sleep(pause).await;
            return Ok(Step::More);
        }
        // Checked before anything ran, except for schemas to which the migration became pending meanwhile.
        migration.check().map_err(crate::Error::from)?;
        let began = Instant::now();
        let end = self.apply(client, schema, &open, migration, &mut so_far.retries).await?;
        // The client keeps a record of the statements that the code has prepared, which the reset drops.
        if end == End::Unclean || matches!(migration.body, Body::Code(_)) {
            session.leave();
        }
        let applied =
            Applied { version: migration.version, name: migration.name.to_string(), took: began.elapsed() };
        self.options.tell(&Event::Applied { schema, migration: &applied });
        so_far.applied.push(applied);
        so_far.version = Some(migration.version);
        let is_last = Some(migration.version) == self.migrations.newest();
        Ok(if is_last { Step::Through(Ended::Done) } else { Step::More })
    }

    /// Runs a migration, and records it.
    async fn apply(
        &self,
        client: &Client,
        schema: &str,
        open: &Open,
        migration: &Migration,
        retries: &mut u32,
    ) -> Result<End, Trouble> {
        if open.unfinished == Some(migration.version) {
            match self.options.unfinished {
                Unfinished::Refuse => {
                    let why = "it was stopped in the middle, in no transaction: look at what it did, then have \
                               it run again from its start (redo) or count as done (done)";
                    return Err(Trouble::Final(Failure::new(Some(migration), why)));
                }
                Unfinished::Done => return Ok(commit(client, schema, open, migration).await?),
                Unfinished::Redo => {}
            }
        }
        if let Body::Outside(script) = &migration.body {
            return self.outside(client, schema, open, (migration, script), retries).await;
        }
        run(client, schema, migration).await?;
        Ok(commit(client, schema, open, migration).await?)
    }

    /// Runs all pending migrations in this transaction, up to the first one that cannot run in one, and rolls back.
    async fn rehearse(
        &self,
        client: &Client,
        schema: &str,
        mut open: Open,
        so_far: &mut SoFar,
    ) -> Result<(), Failure> {
        so_far.applied.clear();
        for migration in self.migrations.after(open.version) {
            if matches!(migration.body, Body::Outside(_)) {
                break;
            }
            let began = Instant::now();
            run(client, schema, migration).await?;
            let again = ledger::surroundings("SET LOCAL", self.settings(), schema);
            let recorded = format!("{}; {again}", open.record(schema, migration));
            client
                .batch_execute(&recorded)
                .await
                .map_err(|error| Failure::postgres(Some(migration), &error))?;
            open.version = Some(migration.version);
            let (version, name) = (migration.version, migration.name.to_string());
            so_far.applied.push(Applied { version, name, took: began.elapsed() });
        }
        Ok(())
    }
}

/// Runs a migration in the open transaction.
async fn run(client: &Client, schema: &str, migration: &Migration) -> Result<(), Failure> {
    match &migration.body {
        Body::Sql(script) | Body::Outside(script) => run_script(client, migration, script).await,
        Body::Code(code) => {
            let transaction = Transaction { client, schema };
            // A panic counts as an error.
            match AssertUnwindSafe(async { code(transaction).await }).catch_unwind().await {
                Ok(result) => result.map_err(|error| Failure::code(migration, &error)),
                Err(_) => Err(Failure::new(Some(migration), "the migration panicked")),
            }
        }
    }
}

async fn run_script(client: &Client, migration: &Migration, script: &Script) -> Result<(), Failure> {
    let mut done = 0;
    let failed = async {
        let mut messages = std::pin::pin!(client.simple_query_raw(script.text()).await?);
        while let Some(message) = messages.try_next().await? {
            done += usize::from(matches!(message, SimpleQueryMessage::CommandComplete(_)));
        }
        Ok(())
    };
    failed.await.map_err(|error| Failure::script((migration, script), (0, done), &error))
}

/// Records the migration and commits; no session state of it remains.
async fn commit(client: &Client, schema: &str, open: &Open, migration: &Migration) -> Result<End, Failure> {
    end(client, migration, &format!("{}; COMMIT", open.record(schema, migration))).await
}

/// Runs the end of a migration, and resets the session.
pub(super) async fn end(client: &Client, migration: &Migration, sql: &str) -> Result<End, Failure> {
    // The second message cannot run in a transaction, so it is separate. It fails if the first does.
    let (ended, cleaned) = tokio::join!(client.batch_execute(sql), client.batch_execute(CLEAN));
    ended.map_err(|error| Failure::postgres(Some(migration), &error))?;
    Ok(if cleaned.is_ok() { End::Clean } else { End::Unclean })
}
