//! Where it was measured, and with what.

use std::path::Path;

use tokio::process::Command;

use crate::bench::Bench;
use crate::options::installed;
use crate::pgbench::finish;

/// Machine, versions and date, as lines of a list.
pub async fn describe(bench: &Bench<'_>) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = field("/proc/meminfo", "MemTotal").trim_end_matches("kB").trim().parse().unwrap_or(0.0);
    let machine = format!(
        "{cores} cores ({}), {:.0} GB of memory, Linux {}",
        field("/proc/cpuinfo", "model name"),
        memory / 1024.0 / 1024.0,
        said("uname", &["-r"]).await
    );
    let program = |name: &Path| installed(name).map(|path| path.display().to_string()).unwrap_or_default();
    let pgbouncer = said(&program(&bench.options.pgbouncer), &["--version"]).await;
    let haproxy = said(&program(Path::new("haproxy")), &["-v"]).await;
    let haproxy = haproxy.split(" - ").next().unwrap_or_default().to_owned();
    let postgres = bench.cluster.install().program("postgres").display().to_string();
    let versions = [said(&postgres, &["--version"]).await, pgbouncer, haproxy];
    let versions: Vec<_> = versions.into_iter().filter(|version| !version.is_empty()).collect();
    let way = if bench.options.unix { "its Unix socket" } else { "TCP" };
    format!(
        "- {}; {}, release build, turns of {} s.\n- {machine}. {}. Everybody reaches PostgreSQL by {way}.",
        said("date", &["-u", "+%-d %B %Y"]).await,
        concat!("pgstrata ", env!("CARGO_PKG_VERSION")),
        bench.options.seconds,
        versions.join(", "),
    )
}

/// The first line of what a program says; nothing if there is no such program.
async fn said(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(arguments);
    let said = finish(command).await.unwrap_or_default();
    said.lines().next().unwrap_or_default().to_owned()
}

fn field(file: &str, name: &str) -> String {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name));
    line.and_then(|line| line.split_once(':')).map_or(String::new(), |(_, value)| value.trim().to_owned())
}
