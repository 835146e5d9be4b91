//! Tenants whose clients wait during a migration.
//!
//! Only active tenants are fenced, because clients of the others are refused anyway. So every tenant in state
//! `migrating` was active, even if the run that fenced it was killed, and no other information is needed.

use tokio_postgres::types::Type;

use super::migration::Migrations;
use super::options::Options;
use super::report::Failure;
use super::run::Run;
use super::session::Session;
use crate::error::Error;
use crate::{Control, registry};

impl Run {
    /// From now on clients wait.
    pub(super) async fn raise_fence(&self, session: &mut Session, schema: &str) -> Result<(), Failure> {
        let raise = "UPDATE pgstrata_control.schemas SET state = 'migrating', changed_at = pg_catalog.now()
                     WHERE schema = $1 AND state = 'active'";
        let client = session.client().await?;
        let raised = client.execute_typed(raise, &[(&schema, Type::TEXT)]).await;
        raised.map(drop).map_err(|error| Failure::postgres(None, &error))
    }

    /// Admits clients again when no command works on the schema. Another run that needs the fence raises it again.
    pub(super) async fn lower_fence(&self, session: &mut Session, schema: &str) -> Result<bool, Failure> {
        let lower = "UPDATE pgstrata_control.schemas SET state = 'active', changed_at = pg_catalog.now()
                     WHERE schema = $1 AND state = 'migrating'";
        let client = session.client().await?;
        self.open(client, schema).await?;
        let lowered = client.execute_typed(lower, &[(&schema, Type::TEXT)]).await;
        let ended = client.batch_execute("COMMIT").await;
        let lowered = lowered.and_then(|count| ended.map(|()| count > 0));
        lowered.map_err(|error| Failure::postgres(None, &error))
    }
}

impl Control {
    /// Admits the clients of tenants that an interrupted run has left fenced. Returns those tenants. The next run
    /// does this automatically.
    pub async fn lift_fences(&self) -> Result<Vec<String>, Error> {
        let fenced = "SELECT schema FROM pgstrata_control.schemas WHERE state = 'migrating' ORDER BY schema";
        let rows = match self.client().await?.query_typed(fenced, &[]).await {
            Err(error) if registry::is_missing(&error) => Vec::new(),
            rows => rows.map_err(Error::postgres("asking the registry which tenants are fenced"))?,
        };
        let run = Run::new(self, &Migrations::new(), &Options::default());
        let mut session = Session::new(self);
        let mut lifted = Vec::new();
        for row in rows {
            let schema: String = row.get(0);
            match run.lower_fence(&mut session, &schema).await {
                Ok(true) => lifted.push(schema),
                Ok(false) => {}
                Err(failure) => {
                    return Err(Error::Refused(format!(
                        "\"{schema}\" is still in the state migrating, so its clients wait: {failure}"
                    )));
                }
            }
        }
        Ok(lifted)
    }
}
