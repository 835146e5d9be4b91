//! `pgstrata reload`: has the proxy that serves a file read it again.
//!
//! It sends SIGHUP, and asks the HTTP port what came of it: that changes nothing there, and needs no login.

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

/// Between two looks at what came of it.
const PAUSE: Duration = Duration::from_millis(50);

/// Each question of the HTTP port.
const QUESTION: Duration = Duration::from_secs(2);

/// As a secret in an environment variable that the proxy has and this command has not.
const ELSEWHERE: &str = "a secret of the proxy's environment, of which nothing is known here";

/// How the proxy is found.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration file that the proxy serves.
    #[arg(long, default_value = "pgstrata.toml")]
    config: PathBuf,
    /// The number of its process; from `process.pid_file` if it is left out.
    #[arg(long)]
    pid: Option<i32>,
}

/// The proxy's environment may be another one than this command's: what is in there alone is taken for granted.
struct Lenient;

impl Surroundings for Lenient {
    fn env(&self, name: &str) -> Option<String> {
        Some(Os.env(name).unwrap_or_else(|| ELSEWHERE.to_owned()))
    }

    fn read(&self, path: &Path) -> std::io::Result<String> {
        Os.read(path)
    }
}

/// How many reloads went well so far, and how many did not.
type Counts = (u64, u64);

/// Has it reload. The error is what is wrong with the file, or why there is no reload.
pub fn run(args: &Args) -> Result<(), String> {
    let text = Os.read(&args.config).map_err(|error| format!("{}: {error}", args.config.display()))?;
    let config = Config::parse_with(&text, &args.config, &Lenient).map_err(|error| error.to_string())?;
    let pid = match (args.pid, &config.process.pid_file) {
        (Some(pid), _) => pid,
        (None, Some(file)) => PidFile::read(file)?,
        (None, None) => {
            return Err(
                "which process? Set \"pid_file\" in [process], or give --pid; or send it SIGHUP".into()
            );
        }
    };
    // 0 and less would mean more than one process.
    if pid < 1 {
        return Err(format!("{pid} is no process"));
    }
    let before = config.http.enabled.then(|| counts(config.http.address)).flatten();
    kill(Pid::from_raw(pid), Signal::SIGHUP).map_err(|error| format!("process {pid}: {error}"))?;
    let said = match before {
        Some(before) => outcome(config.http.address, before)?,
        None => "SIGHUP sent; the log says what came of it",
    };
    terminal::out(format_args!("{said}\n")).map_err(|error| error.to_string())
}

fn outcome(http: SocketAddr, before: Counts) -> Result<&'static str, String> {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        match counts(http) {
            Some((_, failed)) if failed > before.1 => {
                return Err("not reloaded, and nothing was changed: the log says why".into());
            }
            Some((well, _)) if well > before.0 => return Ok("reloaded; the log says what has changed"),
            _ => sleep(PAUSE),
        }
    }
    Err(format!("nothing was heard of the reload for {PATIENCE:?}: look into the log"))
}

/// What the proxy's metrics say; `None` where they can't be had.
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

/// An address that a listener on all of them has.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}
