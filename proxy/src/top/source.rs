//! What the console answers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use tokio::time::timeout;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::password::{self, For};
use super::tls::{self, Tls};
use crate::config::{ControlLogin, Database, LimitTable, Secret, ServerTls};
use crate::error_text::with_sources;
use crate::net::tls::client_tls_config;

/// The console of a proxy on this machine.
pub const HERE: &str = "postgresql://127.0.0.1:6432/pgstrata";
/// How long a connection, and an answer, may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// One row of a table, by the columns' names.
pub type Row = HashMap<String, String>;

/// What was asked, all at about the same time.
#[derive(Debug, Default)]
pub struct Answers {
    /// The version of the proxy.
    pub version: Vec<Row>,
    /// Its pools.
    pub pools: Vec<Row>,
    /// Its databases.
    pub databases: Vec<Row>,
    /// Its tenants.
    pub tenants: Vec<Row>,
    /// What they run.
    pub statements: Vec<Row>,
    /// Its clients.
    pub clients: Vec<Row>,
}

/// A console, and the way there.
pub struct Source {
    config: Config,
    tls: Option<Arc<ClientConfig>>,
    place: String,
    client: Option<Client>,
}

impl Source {
    /// Of the console at `url`. The error says what is wrong with that.
    pub fn new(url: &str) -> Result<Self, String> {
        let (url, tls) = tls::split(url)?;
        let mut config: Config =
            url.parse().map_err(|error| format!("--url is no connection URL: {error}"))?;
        let host = match config.get_hosts() {
            [Host::Tcp(host)] => host.clone(),
            [Host::Unix(folder)] => folder.to_string_lossy().into_owned(),
            _ => return Err("--url must name one host".into()),
        };
        let port = config.get_ports().first().copied().unwrap_or(6432);
        let user = std::env::var("PGUSER").or_else(|_| std::env::var("USER"));
        let user = config.get_user().map(str::to_owned).or(user.ok()).unwrap_or_default();
        let database = config.get_dbname().unwrap_or("pgstrata").to_owned();
        if config.get_password().is_none()
            && let Some(password) =
                password::find(&For { host: &host, port, database: &database, user: &user })
        {
            config.password(password);
        }
        config.user(&user).dbname(&database).application_name("pgstrata top").connect_timeout(PATIENCE);
        if config.get_ports().is_empty() {
            config.port(port);
        }
        config.ssl_mode(match tls.mode {
            ServerTls::Disable => SslMode::Disable,
            ServerTls::Prefer => SslMode::Prefer,
            ServerTls::Require | ServerTls::VerifyCa | ServerTls::VerifyFull => SslMode::Require,
        });
        let tls = client_tls_config(&entry(&host, port, tls)).map_err(|error| error.to_string())?;
        Ok(Self { config, tls, place: format!("{host}:{port}"), client: None })
    }

    /// Host and port.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Asks, and ends the connection.
    pub async fn ask_once(&self) -> Result<Answers, String> {
        let mut own =
            Self { config: self.config.clone(), tls: self.tls.clone(), place: String::new(), client: None };
        own.ask().await
    }

    /// Asks; over a new connection, where there is none or it is broken.
    pub async fn ask(&mut self) -> Result<Answers, String> {
        let asked = timeout(PATIENCE, async {
            let client = match self.client.take().filter(|client| !client.is_closed()) {
                Some(client) => client,
                None => self.connect().await?,
            };
            let answers = all(&client).await?;
            self.client = Some(client);
            Ok(answers)
        });
        let answered: Result<Answers, tokio_postgres::Error> =
            asked.await.map_err(|_| format!("{} does not answer", self.place))?;
        answered.map_err(|error| with_sources(&error))
    }

    async fn connect(&self) -> Result<Client, tokio_postgres::Error> {
        match &self.tls {
            Some(tls) => {
                let tls = MakeRustlsConnect::new((**tls).clone());
                let (client, connection) = self.config.connect(tls).await?;
                drop(tokio::spawn(connection));
                Ok(client)
            }
            None => {
                let (client, connection) = self.config.connect(NoTls).await?;
                drop(tokio::spawn(connection));
                Ok(client)
            }
        }
    }
}

async fn all(client: &Client) -> Result<Answers, tokio_postgres::Error> {
    Ok(Answers {
        version: table(client, "SHOW VERSION").await?,
        pools: table(client, "SHOW POOLS").await?,
        databases: table(client, "SHOW DATABASES").await?,
        tenants: table(client, "SHOW TENANTS").await?,
        statements: table(client, "SHOW STATEMENTS").await?,
        clients: table(client, "SHOW CLIENTS").await?,
    })
}

async fn table(client: &Client, text: &str) -> Result<Vec<Row>, tokio_postgres::Error> {
    let messages = client.simple_query(text).await?;
    let row = |message: SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => {
            let names = row.columns().iter().map(|column| column.name().to_owned());
            let values = names.enumerate().filter_map(|(at, name)| Some((name, row.get(at)?.to_owned())));
            Some(values.collect())
        }
        _ => None,
    };
    Ok(messages.into_iter().filter_map(row).collect())
}

/// The server's entry in a configuration, as far as TLS goes.
fn entry(host: &str, port: u16, tls: Tls) -> Database {
    Database {
        host: host.to_owned(),
        port,
        database: None,
        user: String::new(),
        password: Secret::default(),
        tls: tls.mode,
        tls_ca: tls.authorities,
        control: ControlLogin::default(),
        limits: LimitTable::default(),
        cluster: None,
    }
}
