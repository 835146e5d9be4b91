//! `pgstrata demo`: the proxy with a temporary PostgreSQL, to try it out.
//!
//! # Layout
//! - [`find`]: the location of PostgreSQL's programs.
//! - [`account`]: the account that runs them; PostgreSQL refuses to run as root.
//! - [`postgres`]: a temporary cluster.
//! - `keeper`: stops the cluster if this process is killed.
//! - [`seed`]: the contents of its database.
//! - [`background`]: the proxy on another thread.
//! - `words`: the configuration, and the printed text.

pub mod account;
pub mod background;
pub mod find;
mod keeper;
pub mod postgres;
pub mod seed;
mod words;

use std::fs::{self, File, TryLockError};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pgstrata_tenancy::Strategy;
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::background::Background;
use self::postgres::{Cluster, ClusterError, Options};
use crate::ServeError;
use crate::config::{Config, ConfigError};
use crate::logging::{self, LogError};
use crate::terminal;

/// `pgstrata demo`
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The port for PostgreSQL clients.
    #[arg(long, default_value_t = 6432)]
    pub port: u16,
    /// The port for metrics and health checks.
    #[arg(long, default_value_t = 9187)]
    pub http_port: u16,
    /// Keep the data in this directory, and use it again the next time.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// How statements reach the tenant's schema.
    #[arg(long, default_value_t)]
    pub strategy: Strategy,
}

/// Why the demo cannot run.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The port is in use.
    #[error("port {port} is in use: choose another one with {flag}")]
    PortInUse {
        /// The port.
        port: u16,
        /// The flag that chooses another one.
        flag: &'static str,
    },
    /// Two demos cannot share their data.
    #[error("another demo is running with its data in {0}")]
    FolderInUse(PathBuf),
    /// The directory of the data cannot be used.
    #[error("cannot use the directory {path}: {source}")]
    Folder {
        /// The directory.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// PostgreSQL did not start.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The tables could not be created.
    #[error("filling the database failed: {}", pgstrata_control::error::postgres_words(.0))]
    Seed(#[from] tokio_postgres::Error),
    /// The schemas could not be created.
    #[error(transparent)]
    Control(#[from] pgstrata_control::Error),
    /// The log could not be started.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The demo's own configuration has an error.
    #[error("the demo's configuration has an error: {0}")]
    Config(#[from] ConfigError),
    /// The operating system refused something.
    #[error("cannot start: {0}")]
    Io(#[from] io::Error),
    /// The proxy ended with an error.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// Runs until Ctrl-C or SIGTERM.
pub fn run(args: &Args) -> Result<(), DemoError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    // From here on signals are handled, so that a signal while PostgreSQL starts does not leave it running.
    let mut signals = runtime.block_on(async { Signals::new() })?;
    check_port(args.port, "--port")?;
    check_port(args.http_port, "--http-port")?;
    let _lock = args.data.as_deref().map(lock_folder).transpose()?;
    let data = args.data.as_deref().map(fs::canonicalize).transpose()?;
    let options = Options { data: data.map(|dir| dir.join("postgres")), ..Options::default() };
    let cluster = Cluster::start(options)?;
    runtime.block_on(seed::seed(&cluster))?;
    runtime.block_on(seed::own(&cluster))?;
    runtime.block_on(seed::harden(&cluster))?;
    let file = args.data.as_deref().unwrap_or(cluster.socket_dir()).join("demo.toml");
    let file = write(&file, &words::configuration(args, &cluster))?;
    let config = Config::load(&file)?;
    runtime.block_on(seed::register(&config))?;
    let log = logging::init(&config.log)?;
    let mut proxy = Background::start(config)?;
    // A closed stdout is no reason to stop.
    let _ = terminal::out(format_args!("{}", words::welcome(args, &cluster, &file)));
    runtime.block_on(async {
        while !proxy.has_ended() && !signals.arrive_within(Duration::from_millis(200)).await {}
    });
    let stopped = proxy.stop();
    log.flush();
    stopped.map_err(DemoError::from)
}

/// The signals that end the demo.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: signal(SignalKind::terminate())? })
    }

    async fn arrive_within(&mut self, time: Duration) -> bool {
        tokio::select! {
            _ = self.interrupt.recv() => true,
            _ = self.terminate.recv() => true,
            () = tokio::time::sleep(time) => false,
        }
    }
}

fn check_port(port: u16, flag: &'static str) -> Result<(), DemoError> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(DemoError::PortInUse { port, flag }),
        other => other.map(drop).map_err(DemoError::from),
    }
}

/// Creates the directory if it is missing, and locks it as long as the returned file is open.
fn lock_folder(dir: &Path) -> Result<File, DemoError> {
    let folder = |source| DemoError::Folder { path: dir.to_owned(), source };
    fs::create_dir_all(dir).map_err(folder)?;
    let file = File::options().create(true).append(true).open(dir.join("demo.lock")).map_err(folder)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DemoError::FolderInUse(dir.to_owned())),
        Err(TryLockError::Error(source)) => Err(folder(source)),
    }
}

/// Writes the configuration, readable by its owner only, because it contains passwords. Returns the full path.
fn write(file: &Path, text: &str) -> Result<PathBuf, DemoError> {
    fs::write(file, text)?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600))?;
    Ok(fs::canonicalize(file)?)
}
