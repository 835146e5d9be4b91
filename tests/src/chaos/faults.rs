//! What breaks while clients work.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::RngExt;
use tokio::task::block_in_place;
use tokio::time::sleep;

use super::world::World;
use crate::Stage;

/// No client has this number.
const NOBODY: u64 = u64::MAX;

/// Breaks things for so long, and says what.
pub(super) async fn rage(stage: &mut Stage, world: &World, time: Duration) -> String {
    let started = Instant::now();
    let mut random = world.random(NOBODY, 0);
    let mut broken: BTreeMap<&str, u64> = BTreeMap::new();
    let mut restarts = vec![("crash of PostgreSQL", time * 2 / 3), ("restart of PostgreSQL", time / 3)];
    while started.elapsed() < time {
        let pause = random.random_range(50..600);
        sleep(Duration::from_millis(pause)).await;
        let due = restarts.pop_if(|(_, at)| started.elapsed() >= *at);
        let fault = match (due, random.random_range(0..10)) {
            (Some((restart, _)), _) => restart,
            (None, 0..4) => "end of a server",
            (None, 4) => "end of all servers",
            (None, 5..7) => "cut",
            (None, 7..9) => "stall",
            _ => continue,
        };
        match fault {
            "end of a server" => end_servers(stage, Some(random.random_range(0..1000))).await,
            "end of all servers" => end_servers(stage, None).await,
            "cut" => stage.relay().drop_connections(),
            "stall" => {
                stage.relay().stall(true);
                sleep(Duration::from_millis(random.random_range(20..300))).await;
                stage.relay().stall(false);
            }
            "crash of PostgreSQL" => {
                end_at_once(stage);
                block_in_place(|| stage.cluster.restart()).unwrap();
                world.crashed();
            }
            _ => block_in_place(|| stage.cluster.restart()).unwrap(),
        }
        *broken.entry(fault).or_default() += 1;
    }
    format!("broken: {broken:?}")
}

/// Ends one of the proxy's connections, or all of them, those that look up tenants among them.
async fn end_servers(stage: &Stage, one: Option<usize>) {
    let server = stage.superuser().await;
    let all = "SELECT pid FROM pg_stat_activity WHERE usename = 'app' ORDER BY pid";
    let ids: Vec<i32> = server.query(all, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    let chosen: Vec<i32> = match one {
        Some(number) => ids.get(number % ids.len().max(1)).copied().into_iter().collect(),
        None => ids,
    };
    server
        .query("SELECT pg_terminate_backend(pid) FROM unnest($1::integer[]) pid", &[&chosen])
        .await
        .unwrap();
}

/// PostgreSQL's immediate shutdown: it ends with no clean-up, and recovers when it starts.
fn end_at_once(stage: &Stage) {
    let file = stage.cluster.socket_dir().join("data/postmaster.pid");
    let text = std::fs::read_to_string(file).unwrap();
    let id = text.lines().next().unwrap().trim().parse().unwrap();
    kill(Pid::from_raw(id), Signal::SIGQUIT).unwrap();
}
