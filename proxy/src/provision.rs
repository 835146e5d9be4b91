//! Tenants that are created when a client first names them (`provision.auto`).

use std::sync::Arc;

use pgstrata_control::{Control, SchemaName};
use pgstrata_tenancy::{Pattern, TenantId};
use tokio::sync::{mpsc, oneshot};

use crate::config::Config;

/// The length of the queue of tenants to create; further requests wait.
const QUEUE: usize = 64;

/// Creates the permitted tenants.
pub struct Provisioner {
    patterns: Vec<Pattern>,
    requests: mpsc::Sender<Request>,
}

/// A schema to create, and the channel for the answer: whether it exists now.
type Request = (Arc<str>, oneshot::Sender<bool>);

/// The worker; it may run on another runtime than the requests.
pub struct ProvisionQueue {
    control: Control,
    most: usize,
    database: String,
    requests: mpsc::Receiver<Request>,
}

impl Provisioner {
    /// For a database with this name and control. The [`ProvisionQueue`] must be run.
    pub fn new(config: &Config, database: &str, control: Control) -> (Self, ProvisionQueue) {
        let (requests, queue) = mpsc::channel(QUEUE);
        let patterns = config.provision.auto.iter().map(|pattern| Pattern::new(pattern)).collect();
        let births = ProvisionQueue {
            control,
            most: config.provision.auto_max,
            database: database.to_owned(),
            requests: queue,
        };
        (Self { patterns, requests }, births)
    }

    /// Creates the tenant with this schema if a pattern of `provision.auto` matches it. `None`: none matches; otherwise
    /// whether the schema exists now.
    pub async fn ensure(&self, tenant: &TenantId, schema: &Arc<str>) -> Option<bool> {
        if !self.patterns.iter().any(|pattern| pattern.matches(tenant.as_str())) {
            return None;
        }
        let (answer, made) = oneshot::channel();
        if self.requests.send((Arc::clone(schema), answer)).await.is_err() {
            return Some(false);
        }
        Some(made.await.unwrap_or(false))
    }
}

impl ProvisionQueue {
    /// Creates the requested schemas, one after the other, until all senders are dropped.
    pub async fn run(mut self) {
        while let Some((schema, answer)) = self.requests.recv().await {
            // The client may have disconnected; its driver tries again.
            if answer.is_closed() {
                continue;
            }
            let made = make(&self.control, &schema, self.most).await;
            match &made {
                Ok(true) => tracing::info!(
                    database = self.database,
                    schema = &*schema,
                    "tenant created at first login"
                ),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(
                        database = self.database,
                        schema = &*schema,
                        error,
                        "tenant creation failed"
                    );
                }
            }
            let _ = answer.send(made.is_ok());
        }
    }
}

/// Creates a schema; returns whether it did not exist before.
async fn make(control: &Control, schema: &str, most: usize) -> Result<bool, String> {
    let text = |error: pgstrata_control::Error| error.to_string();
    let name = SchemaName::new(schema, control.settings()).map_err(text)?;
    if control.is_provisioned(schema).await.map_err(text)? {
        return Ok(false);
    }
    let there = control.get_provisioned_schemas().await.map_err(text)?.len();
    if there >= most {
        return Err(format!("there are {there} tenants, and provision.auto_max is {most}"));
    }
    let ensured = control.ensure_schema(&name).await.map_err(text)?;
    Ok(ensured == pgstrata_control::provision::Ensured::Created)
}
