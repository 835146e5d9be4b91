//! Listens for changes in the registry of tenants, and for DDL that did not come through this proxy; tells other proxies
//! of DDL that did.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use pgstrata_control::error::postgres_words;
use pgstrata_control::registry;
use rustls::ClientConfig;
use tokio::io;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, NoTls, SimpleQueryMessage, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::control::{self, CatalogError};
use super::{Catalog, TenantDirectory};
use crate::config::Database;
use crate::metrics::Metrics;

/// The channel of `install/event_trigger.sql`.
const CATALOG: &str = "pgstrata_catalog";

/// The channel on which proxies tell each other of tenants' DDL.
const CHANGES: &str = "pgstrata_changes";

/// No name of PostgreSQL's is longer.
pub(super) const LONGEST_NAME: usize = 63;

/// How long connecting may take, and LISTEN.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two attempts: it doubles from the first to the second.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Notifications that are handled before others get their turn on the thread.
const BATCH: u32 = 64;

/// As the other control connections, but there is nothing to do most of the time. A notification need not survive a crash
/// of PostgreSQL, after which no proxy listens.
const OPTIONS: &str = "-c search_path=pg_catalog -c default_transaction_read_only=on -c idle_session_timeout=0 -c synchronous_commit=off";

/// One connection that listens, and tells other proxies.
pub struct Listener {
    name: String,
    /// For DDL too.
    ddl: bool,
    settings: tokio_postgres::Config,
    tls: Option<MakeRustlsConnect>,
}

/// What is told of changes.
pub struct Audience<'a> {
    /// What schemas hold.
    pub catalog: &'a Catalog,
    /// Which tenants there are, and how they fare.
    pub directory: &'a TenantDirectory,
    /// Counts the notifications.
    pub metrics: &'a Metrics,
}

/// Why there is no listening (any more).
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("{}", postgres_words(.0))]
    Postgres(#[from] tokio_postgres::Error),
    #[error("no answer within {} s", PATIENCE.as_secs())]
    Late(#[from] tokio::time::error::Elapsed),
    #[error("{0}")]
    Closed(#[from] io::Error),
}

impl Listener {
    /// For `database`, which clients call `name`. Connects to nobody yet.
    ///
    /// `tls` is as for [`super::Control::new`]; with `ddl` it hears of DDL, too.
    pub fn new(
        name: &str,
        database: &Database,
        tls: Option<Arc<ClientConfig>>,
        ddl: bool,
    ) -> Result<Self, CatalogError> {
        let mut settings = control::settings(name, database, tls.is_some())?;
        // Hardly anything is ever sent: without probes, a connection that died in silence would look alive.
        settings
            .application_name("pgstrata listener")
            .options(OPTIONS)
            .keepalives_idle(Duration::from_secs(30))
            .keepalives_interval(Duration::from_secs(10))
            .keepalives_retries(3);
        let tls = tls.map(|tls| MakeRustlsConnect::new((*tls).clone()));
        Ok(Self { name: name.to_owned(), ddl, settings, tls })
    }

    /// Listens for ever; where the connection is lost, another one takes its place.
    pub async fn run(&self, audience: &Audience<'_>) {
        let mut pause = PAUSES.0;
        let mut failed = false;
        self.tell(audience, false);
        loop {
            let begun = Instant::now();
            let lost = match &self.tls {
                Some(tls) => self.listen(tls.clone(), audience).await,
                None => self.listen(NoTls, audience).await,
            };
            let listened = audience.directory.is_told();
            self.tell(audience, false);
            // Only one that stood for a while is a reason to be quick again.
            if begun.elapsed() > PAUSES.1 {
                pause = PAUSES.0;
            }
            if let Err(error) = lost {
                let database = &self.name;
                // A standby takes no LISTEN: once says it all.
                match failed && !listened {
                    true => tracing::debug!(database, %error, "listener still disconnected"),
                    false => tracing::warn!(
                        database, %error, "tenant-change listener disconnected; polling every tenant_cache"
                    ),
                }
                failed = true;
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
        let readable = audience.directory.registry().question();
        let mut start = pin!(timeout(PATIENCE, self.start(&client, readable)));
        let mut telling = pin!(tell_others(&client, audience.catalog));
        let mut listening = false;
        let mut handled = 0;
        loop {
            let message = tokio::select! {
                started = &mut start, if !listening => {
                    audience.directory.registry().note(started??);
                    listening = true;
                    // What was announced before is lost.
                    audience.directory.invalidate_all();
                    audience.catalog.invalidate_all();
                    self.tell(audience, true);
                    tracing::info!(database = self.name, ddl = self.ddl, "tenant-change listener connected");
                    continue;
                }
                told = &mut telling, if listening => match told? {},
                message = poll_fn(|context| connection.poll_message(context)) => message,
            };
            match message {
                Some(Ok(AsyncMessage::Notification(notification))) => {
                    audience.hear(notification.channel(), notification.payload());
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

    /// Begins to listen, and finds out whether there is a registry that is `readable`.
    async fn start(&self, client: &Client, readable: &str) -> Result<Option<bool>, tokio_postgres::Error> {
        let ddl = if self.ddl { format!("LISTEN {CATALOG};") } else { String::new() };
        let sql = format!("LISTEN {};LISTEN {CHANGES};{ddl} SELECT {readable}", registry::CHANNEL);
        let answers = client.simple_query(&sql).await?;
        let rows = answers.iter().filter_map(|answer| match answer {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        Ok(rows.map(|readable| readable == "t").next())
    }

    /// Tells who wants to know whether PostgreSQL would tell of changes.
    fn tell(&self, audience: &Audience<'_>, listening: bool) {
        audience.directory.set_told(listening);
        audience.metrics.listening(&self.name, listening, self.ddl);
    }
}

/// Tells other proxies of DDL, as long as the connection lasts.
async fn tell_others(client: &Client, catalog: &Catalog) -> Result<Infallible, tokio_postgres::Error> {
    loop {
        let untold = catalog.changes.untold().await;
        // A role may have lost the right to call pg_notify().
        let sql: String = untold.iter().map(|payload| format!("NOTIFY {CHANGES}, '{payload}';")).collect();
        client.batch_execute(&sql).await?;
    }
}

impl Audience<'_> {
    /// A notification, which may say anything.
    fn hear(&self, channel: &str, payload: &str) {
        if channel == CHANGES {
            return self.catalog.hear_of_change(payload);
        }
        let of_ddl = channel == CATALOG;
        match payload {
            schema if !schema.is_empty() && schema.len() <= LONGEST_NAME => {
                self.catalog.invalidate(schema);
                self.directory.invalidate(schema);
            }
            // Some were left out, or it can't be told which schema is meant.
            _ => {
                self.directory.invalidate_all();
                if of_ddl {
                    self.catalog.invalidate_all();
                }
            }
        }
        // Whoever sees the count sees what it stands for.
        match of_ddl {
            true => self.metrics.notified_of_ddl(),
            false => self.metrics.notified_of_tenant(),
        }
    }
}
