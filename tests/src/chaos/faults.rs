//! What breaks while clients work.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::RngExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::block_in_place;
use tokio::time::sleep;

use super::world::World;
use crate::Stage;
use crate::signals::Stopped;

/// How long such a fault lasts.
const FAULT: Duration = Duration::from_millis(700);

/// No client has this number.
const NOBODY: u64 = u64::MAX;

/// Breaks things for so long, and says what.
pub(super) async fn rage(stage: &mut Stage, world: &World, time: Duration) -> String {
    let started = Instant::now();
    let mut random = world.random(NOBODY, 0);
    let mut broken: BTreeMap<&str, u64> = BTreeMap::new();
    let mut restarts = vec![
        ("crash of PostgreSQL", time * 2 / 3),
        ("refused logins", time / 2),
        ("restart of PostgreSQL", time / 3),
        ("limit of connections", time / 5),
        ("half-open connections", time / 10),
    ];
    while started.elapsed() < time {
        let pause = random.random_range(50..600);
        sleep(Duration::from_millis(pause)).await;
        let due = restarts.pop_if(|(_, at)| started.elapsed() >= *at);
        let fault = match (due, random.random_range(0..10)) {
            (Some((restart, _)), _) => restart,
            (None, 0..4) => "end of a server",
            (None, 4) => "end of all servers",
            (None, 5..7) => "cut",
            (None, 7) => "stall",
            (None, 8) => "stop of PostgreSQL",
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
            "stop of PostgreSQL" => {
                let stopped = Stopped::stop(&stage.cluster);
                sleep(Duration::from_millis(random.random_range(20..500))).await;
                drop(stopped);
            }
            "refused logins" => refuse_logins(stage).await,
            "limit of connections" => limit_connections(stage).await,
            "half-open connections" => half_open(stage).await,
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

/// For a while, PostgreSQL lets the servers' role in no more, and ends those that are in.
async fn refuse_logins(stage: &Stage) {
    let server = stage.superuser().await;
    server.batch_execute("ALTER ROLE app PASSWORD 'another'").await.unwrap();
    end_servers(stage, None).await;
    sleep(FAULT).await;
    server.batch_execute("ALTER ROLE app PASSWORD 'app'").await.unwrap();
}

/// For a while, the servers' role may have fewer connections than the pool has places, and all are made anew.
async fn limit_connections(stage: &Stage) {
    let server = stage.superuser().await;
    server.batch_execute("ALTER ROLE app CONNECTION LIMIT 6").await.unwrap();
    end_servers(stage, None).await;
    sleep(FAULT).await;
    server.batch_execute("ALTER ROLE app CONNECTION LIMIT -1").await.unwrap();
}

/// Connections to both ports that say nothing, or half of what they have to.
async fn half_open(stage: &Stage) {
    let mut open = Vec::new();
    for number in 0..300 {
        let port = if number % 2 == 0 { stage.port() } else { stage.http_port() };
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await else { continue };
        if number % 3 == 0 {
            // It may have been closed already.
            let _ = stream.write_all(b"GET /met").await;
        }
        open.push(stream);
    }
    sleep(FAULT).await;
}

/// PostgreSQL's immediate shutdown: it ends with no clean-up, and recovers when it starts.
fn end_at_once(stage: &Stage) {
    let file = stage.cluster.socket_dir().join("data/postmaster.pid");
    let text = std::fs::read_to_string(file).unwrap();
    let id = text.lines().next().unwrap().trim().parse().unwrap();
    kill(Pid::from_raw(id), Signal::SIGQUIT).unwrap();
}
