//! The session fuzzer: clients of several tenants do what they may, message by message, over two servers. A client
//! of no interest must get each server as good as new.
//!
//! # Layout
//! - [`message`]: what a client sends.
//! - [`actor`]: a client.
//! - [`settings`]: what can be set.
//! - [`steps`]: what clients do next.
//! - [`known`]: sessions that went wrong once.
//! - [`neutral`]: what a server shows to the next client.
//! - [`play`]: one session, from its seed or from a list of steps.

pub mod actor;
pub mod known;
pub mod message;
pub mod neutral;
pub mod play;
pub mod settings;
pub mod steps;

use std::time::{Duration, Instant};

use self::play::{Play, Step, Tally, Wrong};
use self::steps::Steps;
use super::knobs::{self, Knobs};
use super::random::Random;
use super::world::{Conditions, World};

/// Requests in one session.
const SESSION: usize = 25;
/// So many sessions work on the same schemas.
const ROUND: u64 = 10;
/// How long shorter sessions are tried.
const TIME: Duration = Duration::from_secs(60);
/// How often a session that failed is repeated until it fails again: some of it is chance.
const AGAIN: usize = 5;

/// Tries as many requests as `knobs` says, and panics with what failed.
pub async fn run(conditions: Conditions, knobs: Knobs) {
    let world = World::new(conditions).await;
    // Not even a busy machine ends what the client of no interest does.
    world.limit("10s", "5s").await;
    let steps = Steps { settings: settings::settings(world.server()).await };
    let play = Play::new(&world).await;
    let Conditions { strategy, tier, .. } = conditions;
    eprintln!("fuzz: sessions, {strategy}, tier {tier}");
    let mut run = Run { steps, play, world, knobs, tally: Tally::default(), failures: Vec::new() };
    run.all().await;
    eprintln!("fuzz: {:?}", run.tally);
    assert!(run.failures.is_empty(), "{} sessions went wrong", run.failures.len());
}

struct Run {
    steps: Steps,
    play: Play,
    world: World,
    knobs: Knobs,
    tally: Tally,
    failures: Vec<String>,
}

impl Run {
    async fn all(&mut self) {
        if self.knobs.begins_with_known() {
            for session in known::sessions() {
                self.attempt(session, "known").await;
            }
        }
        for seed in self.knobs.seeds.clone() {
            let (begun, before) = (Instant::now(), self.tally.requests);
            eprintln!("fuzz: PGSTRATA_FUZZ_SEED={seed}");
            let mut number = self.knobs.only.unwrap_or_default();
            while self.knobs.goes_on(begun, self.tally.requests - before, !self.failures.is_empty()) {
                if number.is_multiple_of(ROUND) || self.knobs.only.is_some() {
                    self.world.restore().await;
                }
                let session = self.session(seed, number);
                let from = self.tally.requests - before;
                self.attempt(session, &format!("PGSTRATA_FUZZ_SEED={seed} PGSTRATA_FUZZ_ONLY={number}"))
                    .await;
                knobs::tell_progress("requests", begun, from, self.tally.requests - before);
                if self.knobs.only.is_some() {
                    break;
                }
                number += 1;
            }
            let tried = self.tally.requests - before;
            eprintln!("fuzz: {tried} requests in {:.1} s", begun.elapsed().as_secs_f64());
        }
    }

    fn session(&self, seed: u64, number: u64) -> Vec<Step> {
        let mut random = Random::part(seed, number);
        let mut session: Vec<Step> = (0..SESSION).map(|_| Step::next(&mut random, &self.steps)).collect();
        session.retain(|step| self.knobs.takes(&step.to_string()));
        session
    }

    async fn attempt(&mut self, session: Vec<Step>, again: &str) {
        let Err(wrong) = self.play.session(&self.world, &session, &mut self.tally).await else { return };
        eprintln!("FOUND {} ({again})", wrong.what);
        let least = least(&mut self.world, &self.play, wrong.taken.clone()).await;
        report(&wrong, least.as_ref());
        self.failures.push(wrong.what);
        self.world.close_servers().await;
        self.world.restore().await;
    }
}

fn report(wrong: &Wrong, least: Option<&Wrong>) {
    match least {
        Some(least) => eprintln!("    at least: {}", least.what),
        None => eprintln!("    not once more; the whole of it:"),
    }
    for step in &least.unwrap_or(wrong).taken {
        eprintln!("    {step}");
    }
}

/// The least of a session that still fails, and how. `None` if it doesn't on a world as it was at the beginning.
async fn least(world: &mut World, play: &Play, session: Vec<Step>) -> Option<Wrong> {
    let until = Instant::now() + TIME;
    let mut least = None;
    for _ in 0..AGAIN {
        if least.is_none() && Instant::now() < until {
            least = fails(world, play, &session).await;
        }
    }
    let mut least = least?;
    let mut chunk = least.taken.len() / 2;
    while chunk > 0 {
        let mut start = 0;
        while start < least.taken.len() && Instant::now() < until {
            let end = (start + chunk).min(least.taken.len());
            let shorter = [&least.taken[..start], &least.taken[end..]].concat();
            match fails(world, play, &shorter).await {
                Some(same) => least = same,
                None => start += chunk,
            }
        }
        chunk /= 2;
    }
    Some(fewer_messages(world, play, least, until).await)
}

/// The same for the messages of each step.
async fn fewer_messages(world: &mut World, play: &Play, mut least: Wrong, until: Instant) -> Wrong {
    let mut number = 0;
    while number < least.taken.len() {
        let mut at = 0;
        while Instant::now() < until
            && least.taken.get(number).is_some_and(|step| at < step.sends.len() && step.sends.len() > 1)
        {
            let mut shorter = least.taken.clone();
            shorter[number].sends.remove(at);
            match fails(world, play, &shorter).await {
                Some(same) => least = same,
                None => at += 1,
            }
        }
        number += 1;
    }
    least
}

async fn fails(world: &mut World, play: &Play, session: &[Step]) -> Option<Wrong> {
    world.close_servers().await;
    world.restore().await;
    play.session(world, session, &mut Tally::default()).await.err()
}
