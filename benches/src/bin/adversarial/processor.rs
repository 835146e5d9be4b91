//! Which part of the work took the processor: the proxy's threads of this process, and PostgreSQL's processes.

use std::fs;
use std::ops::{AddAssign, Sub};
use std::time::Duration;

/// The unit of `/proc/PID/stat` on Linux, in milliseconds.
const TICK: u64 = 10;

/// Time on a processor. Zero where the system does not tell.
#[derive(Clone, Copy, Default)]
pub struct Spent {
    judges: Duration,
    workers: Duration,
    postgres: Duration,
}

impl Spent {
    /// Until now; `postmaster` is the process that all of PostgreSQL's are children of.
    pub fn so_far(postmaster: u32) -> Self {
        let mut spent = Self { postgres: postgres(postmaster), ..Self::default() };
        for task in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
            let read = |name| fs::read_to_string(task.path().join(name)).unwrap_or_default();
            let nanoseconds = read("schedstat").split(' ').next().and_then(|first| first.parse().ok());
            let time = Duration::from_nanos(nanoseconds.unwrap_or(0));
            match read("comm").trim_end() {
                "pgstrata-judge" => spent.judges += time,
                name if name.starts_with("pgstrata-") => spent.workers += time,
                _ => {}
            }
        }
        spent
    }

    /// The parts of a processor in so much time.
    pub fn shares(&self, time: Duration) -> String {
        let share = |spent: Duration| spent.as_secs_f64() / time.as_secs_f64() * 1e2;
        format!(
            "processor: analysis {:.0}%, clients' threads {:.0}%, PostgreSQL {:.0}%",
            share(self.judges),
            share(self.workers),
            share(self.postgres)
        )
    }
}

impl Sub for Spent {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            judges: self.judges.saturating_sub(before.judges),
            workers: self.workers.saturating_sub(before.workers),
            postgres: self.postgres.saturating_sub(before.postgres),
        }
    }
}

impl AddAssign for Spent {
    fn add_assign(&mut self, more: Self) {
        self.judges += more.judges;
        self.workers += more.workers;
        self.postgres += more.postgres;
    }
}

/// The process that started this one.
pub fn parent(process: u32) -> Option<u32> {
    fields(process)?.get(1)?.parse().ok()
}

/// A process and its children, those that have ended included.
fn postgres(postmaster: u32) -> Duration {
    let own = fields(postmaster).map_or(0, |fields| ticks(&fields, 11..15));
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let children = ids.filter_map(fields).filter(|fields| fields.get(1) == Some(&postmaster.to_string()));
    let ticks: u64 = own + children.map(|fields| ticks(&fields, 11..13)).sum::<u64>();
    Duration::from_millis(ticks * TICK)
}

/// The fields of `/proc/PID/stat` behind the name: state, parent ...
fn fields(process: u32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, behind) = stat.rsplit_once(')')?;
    Some(behind.split_whitespace().map(str::to_owned).collect())
}

/// Time in the user's space and in the kernel, and that of children that have ended.
fn ticks(fields: &[String], which: std::ops::Range<usize>) -> u64 {
    fields.get(which).into_iter().flatten().filter_map(|field| field.parse::<u64>().ok()).sum()
}
