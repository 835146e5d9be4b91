//! Migrations that cannot run in a transaction: statement by statement, with a mark in the ledger meanwhile.

use deadpool_postgres::Client;
use tokio::time::sleep;

use super::ledger::{self, BEGIN, Open};
use super::migration::Migration;
use super::pause::Pauses;
use super::report::{Event, Failure};
use super::run::Run;
use super::script::{Script, Statement};
use super::step::{End, Trouble, end};

impl Run {
    /// Runs a file in the session. If it is interrupted, the mark remains, and the schema must be inspected.
    pub(super) async fn outside(
        &self,
        client: &Client,
        schema: &str,
        open: &Open,
        (migration, script): (&Migration, &Script),
        retries: &mut u32,
    ) -> Result<End, Trouble> {
        let refused = |error| Failure::postgres(Some(migration), &error);
        let claim = format!("{}; COMMIT", ledger::claim(schema, migration));
        client.batch_execute(&claim).await.map_err(refused)?;
        for (done, statement) in script.statements().iter().enumerate() {
            let ran = self.patiently(client, schema, (migration, script), (done, statement), retries).await;
            let Err(mut failure) = ran else { continue };
            if done > 0 || !statement.atomic {
                failure.message += ". What ran before stays: look at it, then have the file run again from its \
                                    start (redo) or count as done (done)";
            } else if let Err(error) = client.batch_execute(&ledger::unclaim(schema, migration)).await {
                failure.message = format!("{}. The mark in the ledger stays: {error}", failure.message);
            }
            return Err(Trouble::Final(failure));
        }
        let record = ledger::record_outside(schema, open.version, migration);
        end(client, migration, &format!("{BEGIN}; {record}; COMMIT")).await.map_err(Trouble::Final)
    }

    /// Runs one statement, and tries again after a lock time-out if that is safe.
    async fn patiently(
        &self,
        client: &Client,
        schema: &str,
        (migration, script): (&Migration, &Script),
        (done, statement): (usize, &Statement),
        retries: &mut u32,
    ) -> Result<(), Failure> {
        let mut surroundings = ledger::surroundings("SET", self.settings(), schema);
        surroundings += &format!("; SELECT {}", ledger::notices_loss(false));
        if !statement.atomic {
            // An interrupted index creation leaves an invalid index, which the next attempt would find. It blocks no
            // other session meanwhile.
            surroundings += "; SET lock_timeout TO 0";
        }
        let mut pauses = Pauses::long();
        loop {
            // Set each time, because a statement may have reset it.
            let (set, ran) =
                tokio::join!(client.batch_execute(&surroundings), client.batch_execute(script.of(statement)));
            let Err(error) = set.and(ran) else { return Ok(()) };
            let failure = Failure::script((migration, script), (statement.span.start, done), &error);
            if !statement.atomic || !failure.is_transient() || pauses.taken() >= self.settings().retries {
                return Err(failure);
            }
            let pause = pauses.next();
            *retries += 1;
            self.options.tell(&Event::Retrying { schema, failure: &failure, retry: pauses.taken() });
            sleep(pause).await;
        }
    }
}
