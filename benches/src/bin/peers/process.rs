//! What a process of ours has used, as Linux tells it in /proc.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use pgstrata::demo::account::Account;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

use crate::Outcome;

const START_TIMEOUT: Duration = Duration::from_secs(20);

/// A peer's process. It ends when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    id: u32,
    log: PathBuf,
}

impl Process {
    /// Starts a command, under the account that PostgreSQL has (PgBouncer refuses to be root),
    /// and waits until it takes clients on `port`. What it complains of goes to `log`.
    pub async fn start(program: &Path, arguments: &[String], port: u16, log: PathBuf) -> Outcome<Self> {
        let mut command = Account::choose()?.command(program);
        let complaints = std::fs::File::create(&log)?;
        command.args(arguments).stdin(Stdio::null()).stdout(complaints.try_clone()?).stderr(complaints);
        let named = |error| format!("{}: {error}", program.display());
        let child = Command::from(command).kill_on_drop(true).spawn().map_err(named)?;
        let id = child.id().ok_or("the process ended at once")?;
        let mut process = Self { child, id, log };
        let deadline = Instant::now() + START_TIMEOUT;
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            if process.child.try_wait()?.is_some() || Instant::now() > deadline {
                let said = std::fs::read_to_string(&process.log).unwrap_or_default();
                let last = said.lines().last().unwrap_or("it said nothing").to_owned();
                return Err(format!("{} does not listen: {last}", program.display()).into());
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(process)
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Microseconds of processor time that all of its threads have used so far.
    pub fn cpu_micros(&self) -> Outcome<f64> {
        let mut nanos = 0;
        for task in std::fs::read_dir(format!("/proc/{}/task", self.id))? {
            // A thread that ends just now has no file any more, and has done next to nothing.
            let line = std::fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
            nanos += line.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(nanos as f64 / 1000.0)
    }

    /// Resident memory, in KiB.
    pub fn resident(&self) -> Outcome<f64> {
        resident(self.id)
    }
}

/// Microseconds of processor time that these processes, of one thread each, have used so far.
pub fn used(processes: &[i32]) -> f64 {
    let nanos = |id: &i32| {
        let line = std::fs::read_to_string(format!("/proc/{id}/schedstat")).ok()?;
        line.split(' ').next()?.parse::<u64>().ok()
    };
    processes.iter().filter_map(nanos).sum::<u64>() as f64 / 1000.0
}

/// Resident memory of a process, in KiB.
pub fn resident(id: u32) -> Outcome<f64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS in /proc")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}
