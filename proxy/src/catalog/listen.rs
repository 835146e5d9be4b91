//! Listens for DDL that did not come through this proxy.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::io;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::control::{self, CatalogError};
use super::{Catalog, TenantDirectory};
use crate::config::Database;
use crate::metrics::Metrics;

/// The channel of `install/event_trigger.sql`.
const LISTEN: &str = "LISTEN pgstrata_catalog";

/// No name of PostgreSQL's is longer.
const LONGEST_NAME: usize = 63;

/// How long connecting may take, and LISTEN.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two attempts: it doubles from the first to the second.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Notifications that are handled before others get their turn on the thread.
const BATCH: u32 = 64;

/// As the other control connections, but there is nothing to do most of the time.
const OPTIONS: &str =
    "-c search_path=pg_catalog -c default_transaction_read_only=on -c idle_session_timeout=0";

/// One connection that only listens.
pub struct Listener {
    name: String,
    settings: tokio_postgres::Config,
    tls: Option<MakeRustlsConnect>,
}

/// What is told of changes.
pub struct Audience<'a> {
    /// What schemas hold.
    pub catalog: &'a Catalog,
    /// Which tenants there are.
    pub directory: &'a TenantDirectory,
    /// Counts the notifications.
    pub metrics: &'a Metrics,
}

/// Why there is no listening (any more).
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("{0}")]
    Postgres(#[from] tokio_postgres::Error),
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Late(#[from] tokio::time::error::Elapsed),
    #[error("{0}")]
    Closed(#[from] io::Error),
}

impl Listener {
    /// For `database`, which clients call `name`. Connects to nobody yet.
    ///
    /// `tls` is as for [`super::Control::new`].
    pub fn new(
        name: &str,
        database: &Database,
        tls: Option<Arc<ClientConfig>>,
    ) -> Result<Self, CatalogError> {
        let mut settings = control::settings(name, database, tls.is_some())?;
        // Nothing is ever sent: without probes, a connection that died in silence would look alive.
        settings
            .application_name("pgstrata listener")
            .options(OPTIONS)
            .keepalives_idle(Duration::from_secs(30))
            .keepalives_interval(Duration::from_secs(10))
            .keepalives_retries(3);
        let tls = tls.map(|tls| MakeRustlsConnect::new((*tls).clone()));
        Ok(Self { name: name.to_owned(), settings, tls })
    }

    /// Listens for ever; where the connection is lost, another one takes its place.
    pub async fn run(&self, audience: &Audience<'_>) {
        let mut pause = PAUSES.0;
        loop {
            audience.metrics.listening(&self.name, false);
            let begun = Instant::now();
            let lost = match &self.tls {
                Some(tls) => self.listen(tls.clone(), audience).await,
                None => self.listen(NoTls, audience).await,
            };
            audience.metrics.listening(&self.name, false);
            // Only one that stood for a while is a reason to be quick again.
            if begun.elapsed() > PAUSES.1 {
                pause = PAUSES.0;
            }
            if let Err(error) = lost {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(database = self.name, %error, cause, "not listening for DDL: it is seen by age");
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// One connection's life.
    async fn listen<T>(&self, tls: T, audience: &Audience<'_>) -> Result<(), Lost>
    where
        T: MakeTlsConnect<Socket>,
    {
        let (client, mut connection) = timeout(PATIENCE, self.settings.connect(tls)).await??;
        let mut start = pin!(timeout(PATIENCE, client.batch_execute(LISTEN)));
        let mut listening = false;
        let mut handled = 0;
        loop {
            let message = tokio::select! {
                started = &mut start, if !listening => {
                    started??;
                    listening = true;
                    // What was announced before is lost.
                    audience.forget(None);
                    audience.metrics.listening(&self.name, true);
                    tracing::info!(database = self.name, "listening for DDL");
                    continue;
                }
                message = poll_fn(|context| connection.poll_message(context)) => message,
            };
            match message {
                Some(Ok(AsyncMessage::Notification(notification))) => {
                    audience.metrics.notified();
                    audience.forget(Some(notification.payload()));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            }
            // Anybody may send them, as many as they like.
            handled += 1;
            if handled % BATCH == 0 {
                tokio::task::yield_now().await;
            }
        }
    }
}

impl Audience<'_> {
    /// What a notification says, which may be anything; `None`: some may have been lost.
    fn forget(&self, payload: Option<&str>) {
        match payload {
            Some(schema) if !schema.is_empty() && schema.len() <= LONGEST_NAME => {
                self.catalog.invalidate(schema);
                self.directory.invalidate(schema);
            }
            _ => {
                self.catalog.invalidate_all();
                self.directory.invalidate_all();
            }
        }
    }
}
