//! How many system calls a process makes: by perf where it is allowed, else by strace, which slows it down.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::Outcome;

/// What counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// `perf stat -e raw_syscalls:sys_enter`
    Perf,
    /// `strace -c -f`
    Strace,
}

impl Counter {
    /// The first that works here, tried on a process of ours.
    pub async fn find(process: u32, folder: &Path) -> Option<Self> {
        for counter in [Self::Perf, Self::Strace] {
            if let Ok(counting) = counter.start(process, folder).await
                && counting.stop().await.is_ok()
            {
                return Some(counter);
            }
        }
        None
    }

    /// Begins to count for a process, all of its threads.
    pub async fn start(self, process: u32, folder: &Path) -> Outcome<Counting> {
        let file = folder.join("syscalls");
        let mut command = match self {
            Self::Perf => Command::new("perf"),
            Self::Strace => Command::new("strace"),
        };
        match self {
            Self::Perf => command.args(["stat", "-x", ",", "-e", "raw_syscalls:sys_enter"]),
            Self::Strace => command.args(["-c", "-f"]),
        };
        command.args(["-p", &process.to_string(), "-o"]).arg(&file);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = child.kill_on_drop(true).spawn()?;
        sleep(Duration::from_millis(200)).await;
        Ok(Counting { counter: self, child, file })
    }

    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Perf => "perf stat -e raw_syscalls:sys_enter",
            Self::Strace => "strace -c -f, which slows what it watches and so lets it do more with one call",
        }
    }
}

/// A count that goes on.
#[derive(Debug)]
pub struct Counting {
    counter: Counter,
    child: Child,
    file: std::path::PathBuf,
}

impl Counting {
    /// Ends it: how many calls there were.
    pub async fn stop(mut self) -> Outcome<f64> {
        let id = self.child.id().ok_or("the counter ended by itself")?;
        kill(Pid::from_raw(i32::try_from(id)?), Signal::SIGINT)?;
        self.child.wait().await?;
        let said = std::fs::read_to_string(&self.file)?;
        let count = match self.counter {
            Counter::Perf => perf_total(&said),
            Counter::Strace => strace_total(&said),
        };
        count.ok_or_else(|| format!("the counter said: {said}").into())
    }
}

/// The line `56789,,raw_syscalls:sys_enter,...`; what made no call at all was not counted.
fn perf_total(said: &str) -> Option<f64> {
    let count = said.lines().find_map(|line| Some(line.split_once(",,raw_syscalls")?.0))?;
    if count == "<not counted>" { Some(0.0) } else { count.parse().ok() }
}

/// The line `100.00 0.123 4 56789 12 total`; the errors are missing where there were none.
fn strace_total(said: &str) -> Option<f64> {
    let line = said.lines().find(|line| line.trim_end().ends_with("total"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn total_of_perf_is_read() {
        let said = "# started on Wed Nov 25 23:50:54 2026\n\n10005,,raw_syscalls:sys_enter,412,100.00,,\n";
        assert_eq!(perf_total(said), Some(10005.0));
        assert_eq!(perf_total("<not counted>,,raw_syscalls:sys_enter,0,100.00,,\n"), Some(0.0));
        assert_eq!(perf_total("<not supported>,,raw_syscalls:sys_enter,0,100.00,,\n"), None);
    }

    #[test]
    fn total_of_strace_is_read() {
        let said = "% time     seconds  usecs/call     calls    errors syscall\n\
                    ------ ----------- ----------- --------- --------- ----------------\n\
                    100.00    0.012345           1     10005        17 total\n";
        assert_eq!(strace_total(said), Some(10005.0));
        assert_eq!(strace_total("100.00    0.000000           0         3           total"), Some(3.0));
    }
}
