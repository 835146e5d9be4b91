//! What the process itself takes, by the names that all Prometheus' clients use.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::TimeVal;

use super::text::{Page, Type};

/// The log lines of this process that were dropped: stderr failed, or its reader was too slow. The log is the process's,
/// and so is this count.
pub static LOG_LINES_DROPPED: AtomicU64 = AtomicU64::new(0);

/// As far as the system tells: memory and descriptors in use are Linux's only.
pub(super) fn render(page: &mut Page) {
    if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
        let name = "process_cpu_seconds_total";
        page.family(name, Type::Counter, "CPU time of the process, in user space and in the kernel.");
        page.sample(name, &[], seconds(usage.user_time()) + seconds(usage.system_time()));
    }
    if let Some(bytes) = resident() {
        let name = "process_resident_memory_bytes";
        page.family(name, Type::Gauge, "Memory of the process.");
        page.sample(name, &[], bytes);
    }
    let name = "pgstrata_log_lines_dropped_total";
    page.family(name, Type::Counter, "Log lines of the process that stderr did not take, or not in time.");
    page.sample(name, &[], LOG_LINES_DROPPED.load(Ordering::Relaxed));
    if let Ok(descriptors) = fs::read_dir("/proc/self/fd") {
        let name = "process_open_fds";
        page.family(name, Type::Gauge, "File descriptors in use.");
        page.sample(name, &[], descriptors.count());
    }
    if let Ok((limit, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let name = "process_max_fds";
        page.family(name, Type::Gauge, "File descriptors at most.");
        page.sample(name, &[], limit);
    }
}

fn seconds(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}

fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kibibytes.checked_mul(1024)
}
