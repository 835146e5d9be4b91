//! How long, from which seed: what the environment says.

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// When a run ends, and what it is made from.
#[derive(Clone, Debug)]
pub struct Knobs {
    /// Sessions are made from one of these and their numbers.
    pub seeds: Vec<u64>,
    /// With each seed it ends when so many were tried,
    pub count: u64,
    /// or when this time is over.
    pub time: Duration,
    /// One session to repeat, by the number that a failure prints.
    pub only: Option<u64>,
    /// Failures are collected up to the end, not the end.
    pub keep_going: bool,
    /// What has one of these in it is left out: what is known, and not mended yet.
    pub without: Vec<String>,
    /// A file of sessions of texts to repeat, in place of new ones. See [`super::found`].
    pub replay: Option<PathBuf>,
}

impl Knobs {
    /// `PGSTRATA_FUZZ_SEED`, `_COUNT`, `_SECONDS`, `_ONLY`, `_KEEP_GOING`, `_WITHOUT` (separated by `|`) and
    /// `_REPLAY`. Without any, `count` are tried, made from `seed`, so that each run tries the same. With a count or
    /// a time and no seed, half of them are made from `seed` and half from one that nobody knows.
    pub fn from_env(seed: u64, count: u64) -> Self {
        let (seconds, wanted) = (number("PGSTRATA_FUZZ_SECONDS"), number("PGSTRATA_FUZZ_COUNT"));
        let seeds = match number("PGSTRATA_FUZZ_SEED") {
            Some(seed) => vec![seed],
            None if seconds.is_none() && wanted.is_none() => vec![seed],
            None => vec![seed, rand::random()],
        };
        let count = if seconds.is_some() { u64::MAX } else { count };
        Self {
            count: wanted.unwrap_or(count) / u64::try_from(seeds.len()).unwrap(),
            time: seconds.map_or(Duration::MAX, Duration::from_secs) / u32::try_from(seeds.len()).unwrap(),
            seeds,
            only: number("PGSTRATA_FUZZ_ONLY"),
            keep_going: number("PGSTRATA_FUZZ_KEEP_GOING").is_some_and(|number| number > 0),
            without: text("PGSTRATA_FUZZ_WITHOUT")
                .iter()
                .flat_map(|all| all.split('|'))
                .map(str::to_owned)
                .collect(),
            replay: text("PGSTRATA_FUZZ_REPLAY").map(PathBuf::from),
        }
    }

    /// Whether what is known is tried first.
    pub fn begins_with_known(&self) -> bool {
        self.only.is_none() && self.without.is_empty()
    }

    /// Whether this is none of those that are left out.
    pub fn takes(&self, text: &str) -> bool {
        !self.without.iter().any(|part| text.contains(part))
    }

    /// Whether a run that has `begun` then, tried so many and has `failed` goes on.
    pub fn goes_on(&self, begun: Instant, tried: u64, failed: bool) -> bool {
        tried < self.count && begun.elapsed() < self.time && (!failed || self.keep_going)
    }
}

/// Says each [`STEP`] how far a long run is: `from` were tried before the last session, `to` with it.
pub fn tell_progress(what: &str, begun: Instant, from: u64, to: u64) {
    if from / STEP != to / STEP {
        eprintln!("fuzz: {to} {what} so far, in {:.0} s", begun.elapsed().as_secs_f64());
    }
}

/// So many between two lines about the progress.
const STEP: u64 = 5_000;

fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

fn number(name: &str) -> Option<u64> {
    Some(text(name)?.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}
