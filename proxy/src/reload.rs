//! `pgstrata reload`: makes the running proxy reload its configuration.
//!
//! It sends SIGHUP, and reads the result from the HTTP port, which needs no login.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::config::{Config, Os, Surroundings};
use crate::pid_file::PidFile;
use crate::terminal;

/// How long a reload may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The interval at which the result is read.
const PAUSE: Duration = Duration::from_millis(50);

/// The time limit of each HTTP request.
const QUESTION: Duration = Duration::from_secs(2);

/// In place of a secret in an environment variable that only the proxy has.
const ELSEWHERE: &str = "a secret of the proxy's environment, unknown to this command";

/// The arguments of `pgstrata reload`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration file of the proxy.
    #[arg(long, default_value = "pgstrata.toml")]
    config: PathBuf,
    /// The process ID of the proxy. Default: from `process.pid_file`.
    #[arg(long)]
    pid: Option<i32>,
}

/// The proxy's environment may differ from this command's: variables that are missing here are assumed to exist there.
struct Lenient;

impl Surroundings for Lenient {
    fn env(&self, name: &str) -> Option<String> {
        Some(Os.env(name).unwrap_or_else(|| ELSEWHERE.to_owned()))
    }

    fn read(&self, path: &Path) -> std::io::Result<String> {
        Os.read(path)
    }
}

/// The numbers of successful and failed reloads.
type Counts = (u64, u64);

/// Reloads. The error is the fault in the file, or the reason why there was no reload.
pub fn run(args: &Args) -> Result<(), String> {
    let text = Os.read(&args.config).map_err(|error| format!("{}: {error}", args.config.display()))?;
    let config = Config::parse_with(&text, &args.config, &Lenient).map_err(|error| error.to_string())?;
    let pid = match (args.pid, &config.process.pid_file) {
        (Some(pid), _) => pid,
        (None, Some(file)) => PidFile::read(file)?,
        (None, None) => {
            return Err("the process is unknown: set \"pid_file\" in [process], or use --pid".into());
        }
    };
    // 0 and negative numbers denote several processes.
    if pid < 1 {
        return Err(format!("{pid} is not a process ID"));
    }
    let before = config.http.enabled.then(|| counts(config.http.address)).flatten();
    kill(Pid::from_raw(pid), Signal::SIGHUP).map_err(|error| format!("process {pid}: {error}"))?;
    let said = match before {
        Some(before) => outcome(config.http.address, before)?,
        None => "SIGHUP sent; the log has the result",
    };
    terminal::out(format_args!("{said}\n")).map_err(|error| error.to_string())
}

fn outcome(http: SocketAddr, before: Counts) -> Result<&'static str, String> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        match counts(http) {
            Some((_, failed)) if failed > before.1 => {
                return Err(
                    "the configuration was not reloaded, and nothing has changed: the log has the reason"
                        .into(),
                );
            }
            Some((well, _)) if well > before.0 => return Ok("reloaded; the log has the changed keys"),
            _ => sleep(PAUSE),
        }
    }
    Err(format!("no result of the reload within {PATIENCE:?}: the log has the reason"))
}

/// The counters of the proxy's metrics; `None` if they cannot be read.
fn counts(http: SocketAddr) -> Option<Counts> {
    let mut stream = TcpStream::connect_timeout(&reachable(http), QUESTION).ok()?;
    stream.set_read_timeout(Some(QUESTION)).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut page = String::new();
    stream.read_to_string(&mut page).ok()?;
    let count = |result: &str| {
        let name = format!("pgstrata_config_reloads_total{{result=\"{result}\"}} ");
        page.lines().find_map(|line| line.strip_prefix(&name))?.parse().ok()
    };
    Some((count("ok")?, count("failed")?))
}

/// An address at which a listener on all addresses is reachable.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}
