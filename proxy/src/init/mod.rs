//! `pgstrata init`: inspects a database, and writes a configuration for it.
//!
//! # Layout
//! - `look`: the properties of the server. It only reads.
//! - `tenants`: which schemas are probably tenants.
//! - `words`: the configuration, and the SQL that creates the roles.

mod look;
mod tenants;
mod words;

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use self::look::Server;
use crate::config::{ControlLogin, Database, LimitTable, Secret, ServerTls};
use crate::net::tls::client_tls_config;
use crate::terminal;

/// The time limit for the inspection.
const PATIENCE: Duration = Duration::from_secs(30);

/// `pgstrata init`
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  pgstrata init --url postgresql://postgres@127.0.0.1/app\n  \
                  pgstrata init --url postgresql://postgres@127.0.0.1/app --output pgstrata.toml > roles.sql\n\n\
                  The command changes nothing. An administrator reads the printed SQL and runs it.")]
pub struct Args {
    /// The database: postgresql://USER:PASSWORD@HOST:PORT/DATABASE. PGPASSWORD is used if the URL has no password.
    #[arg(long, env = "PGSTRATA_ADMIN_URL", hide_env_values = true)]
    url: String,
    /// Writes the configuration to this new file, and only the SQL to standard output.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The role that the proxy's servers will log in as.
    #[arg(long, default_value = "pgstrata_servers", value_name = "NAME")]
    role: String,
    /// The role that will create and change tenants.
    #[arg(long, default_value = "pgstrata_owner", value_name = "NAME")]
    owner: String,
    /// The user that the application will log in to the proxy as.
    #[arg(long, default_value = "app", value_name = "NAME")]
    user: String,
}

/// The address of the server in the URL.
struct Place {
    host: String,
    port: u16,
    tls: ServerTls,
}

/// Inspects the database and writes the results. The error is one line.
pub fn run(args: &Args) -> Result<(), String> {
    let config: Config = args.url.parse().map_err(|error| no_url(&args.url, &error))?;
    let place = Place::of(&config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let looking = async { timeout(PATIENCE, look(config, &place)).await };
    let server = runtime.map_err(|error| error.to_string())?.block_on(looking);
    let server = server.map_err(|_| format!("{} does not answer within {PATIENCE:?}", place.host))??;
    let configuration = words::configuration(args, &place, &server);
    let roles = words::roles(args, &server);
    match &args.output {
        Some(file) => {
            write(file, &configuration)
                .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
            terminal::err(format_args!("{}", words::next(file)));
            terminal::out(format_args!("{roles}"))
        }
        None => {
            let roles: String =
                roles.lines().map(|line| format!("# {line}").trim_end().to_owned() + "\n").collect();
            terminal::out(format_args!("{configuration}\n# The SQL that creates its roles:\n#\n{roles}"))
        }
    }
    .map_err(|error| error.to_string())
}

fn no_url(url: &str, error: &tokio_postgres::Error) -> String {
    match url.contains("sslmode=verify-") {
        true => {
            "--url does not support sslmode=verify-ca and verify-full: use sslmode=require, and set \"tls\" in the written file"
                .into()
        }
        false => format!("--url is not a connection URL: {error}"),
    }
}

/// An existing file is not overwritten.
fn write(file: &Path, text: &str) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    file.write_all(text.as_bytes())
}

impl Place {
    fn of(config: &Config) -> Result<Self, String> {
        let host = match config.get_hosts() {
            [Host::Tcp(host)] => host.clone(),
            [Host::Unix(folder)] => folder.to_string_lossy().into_owned(),
            [] => return Err("--url has no host".into()),
            _ => return Err("--url has several hosts: use that of the primary".into()),
        };
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => ServerTls::Disable,
            SslMode::Require => ServerTls::Require,
            _ => ServerTls::Prefer,
        };
        Ok(Self { host, port: config.get_ports().first().copied().unwrap_or(5432), tls })
    }

    /// The database entry of the configuration, for the connection's TLS.
    fn entry(&self) -> Database {
        Database {
            host: self.host.clone(),
            port: self.port,
            database: None,
            user: String::new(),
            password: Secret::default(),
            tls: self.tls,
            tls_ca: None,
            control: ControlLogin::default(),
            limits: LimitTable::default(),
            cluster: None,
        }
    }
}

async fn look(mut config: Config, place: &Place) -> Result<Server, String> {
    if config.get_password().is_none()
        && let Some(password) = std::env::var_os("PGPASSWORD")
    {
        config.password(password.as_encoded_bytes());
    }
    config.application_name("pgstrata init");
    let client = connect(&config, place).await?;
    Server::look(&client).await.map_err(|error| pgstrata_control::error::postgres_words(&error))
}

async fn connect(config: &Config, place: &Place) -> Result<Client, String> {
    let words = |error: tokio_postgres::Error| {
        format!("cannot connect to {}: {}", place.host, crate::error_text::with_sources(&error))
    };
    match client_tls_config(&place.entry()).map_err(|error| error.to_string())? {
        Some(tls) => {
            let (client, connection) =
                config.connect(MakeRustlsConnect::new((*tls).clone())).await.map_err(words)?;
            tokio::spawn(connection);
            Ok(client)
        }
        None => {
            let (client, connection) = config.connect(NoTls).await.map_err(words)?;
            tokio::spawn(connection);
            Ok(client)
        }
    }
}
