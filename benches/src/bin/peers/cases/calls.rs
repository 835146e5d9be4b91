//! System calls for one transaction, in runs of their own.

use crate::Outcome;
use crate::bench::Bench;
use crate::cases::load::{SOME, can, run, select_only};
use crate::pgbench::{Length, Load, Mode};
use crate::samples::Metric;
use crate::syscalls::Counter;

/// Selects of 32 clients in each mode.
pub async fn calls(bench: &mut Bench<'_>) -> Outcome<()> {
    let first = bench.peers.iter().find_map(|peer| peer.process.as_ref());
    let Some(process) = first.map(|process| process.id()) else { return Ok(()) };
    let Some(counter) = Counter::find(process, bench.folder).await else {
        eprintln!("system calls: neither perf nor strace can watch a process here");
        return Ok(());
    };
    bench.counter = Some(counter);
    for mode in Mode::ALL {
        let load =
            Load { mode, clients: SOME, reconnect: false, script: select_only(), length: Length::Seconds(1) };
        let case = format!("calls {}", mode.as_str());
        let mut line = format!("{case:24}");
        for peer in bench.peers.clone().iter().filter(|peer| can(peer, mode)) {
            let Some(process) = &peer.process else { continue };
            let counting = counter.start(process.id(), bench.folder).await?;
            let run = run(bench, peer, &load).await;
            let calls = counting.stop().await?;
            let calls = match run {
                Ok(run) => calls / run.transactions,
                Err(error) => {
                    eprintln!("{case}, {}: {error}", peer.name);
                    continue;
                }
            };
            bench.samples.add(&case, Metric::Calls, &peer.name, calls);
            line.push_str(&format!("  {} {calls:.1}", peer.name));
        }
        eprintln!("{line}");
    }
    Ok(())
}
