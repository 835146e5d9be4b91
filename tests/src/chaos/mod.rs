//! A proxy under fire: clients of many tenants do everything at once over few servers, while
//! servers, connections and PostgreSQL itself go away. What must hold all the same is checked
//! on the way and at the end.
//!
//! What each client does is drawn from the seed, its number and the number of its step, so that
//! a seed repeats it, whatever the others do meanwhile.
//!
//! # Layout
//! - [`world`]: what all clients share: tenants, the ledger, what went wrong.
//! - [`client`]: one client: it comes, takes steps, and comes back if it was cut off.
//! - [`reads`], [`writes`], [`copies`], [`transactions`], [`session`], [`vanish`]: the steps.
//! - [`faults`]: what breaks.
//! - [`inspect`]: what must hold when all clients are gone.

mod client;
mod copies;
mod faults;
mod inspect;
mod reads;
mod session;
mod transactions;
mod vanish;
mod world;
mod writes;

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use pgstrata::config::Log;
use pgstrata::demo::postgres::Options;
use pgstrata::logging;
use pgstrata_tenancy::Strategy;
use tokio::task::JoinSet;

use self::world::World;
use crate::database::cluster_with;
use crate::{Setup, Stage};

/// Clients at work at once.
const CLIENTS: usize = 28;
/// Servers that they share.
const SERVERS: usize = 4;

/// One run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How statements reach the tenants' schemas.
    pub strategy: Strategy,
    /// What the steps are drawn from.
    pub seed: u64,
    /// How long clients work.
    pub time: Duration,
}

impl Plan {
    /// As the environment says: `PGSTRATA_CHAOS_SEED` and `PGSTRATA_CHAOS_SECONDS`.
    pub fn from_env(strategy: Strategy, seconds: u64) -> Self {
        let number = |name| {
            let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
            Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
        };
        let seed = number("PGSTRATA_CHAOS_SEED").unwrap_or_else(|| u64::from(rand::random::<u32>()));
        let time = Duration::from_secs(number("PGSTRATA_CHAOS_SECONDS").unwrap_or(seconds));
        Self { strategy, seed, time }
    }
}

/// All that is logged finds no room. Once for the process.
fn log_to_a_full_disk() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let log = Log { level: "debug".into(), ..Log::default() };
    // The second run of a process logs as the first one does.
    let _ = logging::init_to(&log, full, false);
}

/// Runs it. Panics with the seed if anything that must hold did not.
pub async fn run(plan: Plan) {
    let Plan { strategy, seed, time } = plan;
    eprintln!(
        "chaos: strategy {strategy}, PGSTRATA_CHAOS_SEED={seed} PGSTRATA_CHAOS_SECONDS={}",
        time.as_secs()
    );
    log_to_a_full_disk();
    // A crash of PostgreSQL may lose what it has confirmed, unless it waits for the log.
    let settings = vec![("synchronous_commit".to_owned(), "on".to_owned())];
    let cluster = cluster_with(Options { max_connections: 60, settings, ..Options::default() }).await;
    let setup = Setup::new().strategy(strategy).servers(SERVERS).relay();
    let mut stage = Stage::on(cluster, setup.line("pool", "wait_timeout = '5s'")).await;
    world::make_tenants(&stage.superuser().await).await;
    let world = Arc::new(World::new(seed, &stage));
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(client::live(world.clone(), number));
    }
    let broken = faults::rage(&mut stage, &world, time).await;
    world.end();
    while let Some(ended) = clients.join_next().await {
        if let Err(panic) = ended {
            world.problem(format!("a client panicked: {panic}"));
        }
    }
    inspect::inspect(&stage, &world).await;
    if stage.metric("pgstrata_log_lines_dropped_total").await <= 0.0 {
        world.problem("no line of the log was dropped, and the disk is full".into());
    }
    eprintln!("chaos: {}; {broken}", world.summary());
    let problems = world.problems();
    let shown = problems.iter().take(20).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(
        problems.is_empty(),
        "{} things went wrong (strategy {strategy}, PGSTRATA_CHAOS_SEED={seed} PGSTRATA_CHAOS_SECONDS={}):\n{shown}",
        problems.len(),
        time.as_secs(),
    );
}
