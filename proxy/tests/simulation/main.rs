//! The proxy's sessions, pools and engine as they are, against a model of PostgreSQL, by the thousand schedules: one
//! thread, a clock that stands still while anybody has something to do, and one seed that decides all.
//!
//! `make simulate RUNS=100000 SEED=1`; one schedule shows all that happens in it: `make simulate RUNS=1 SEED=272`.
//!
//! # Layout
//! - [`schedule`]: one schedule from its seed to its verdict; [`universe`]: what its parts share.
//! - [`client`], [`script`]: clients, and what they do.
//! - [`ideal`]: a PostgreSQL of the client's own, against which its answers are held.
//! - [`postgres`]: the model; [`frames`]: messages; [`pipe`]: the network; [`trace`]: for people.

// A test may fail loudly, its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod client;
mod frames;
mod ideal;
mod pipe;
mod postgres;
mod schedule;
mod script;
mod trace;
mod universe;

use std::env;
use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use pgstrata::simulation::Fault;
use pgstrata_sql::Engine;

/// Within so many schedules each fault must be found.
const PATIENCE: u64 = 10_000;

fn number(name: &str, otherwise: u64) -> u64 {
    env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(otherwise)
}

/// Does `work` on all cores.
fn on_all_cores(work: impl Fn() + Sync) {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(&work))));
}

#[test]
fn schedules_go_as_with_a_postgresql_of_ones_own() {
    let (first, runs) = (number("SEED", 1), number("RUNS", 2000));
    if runs == 1 {
        return show(first);
    }
    let (begun, next, problems) = (Instant::now(), AtomicU64::new(0), Mutex::new(Vec::new()));
    on_all_cores(|| {
        let mut engine: Option<Engine> = None;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let enough = env::var_os("KEEP_GOING").is_none() && !problems.lock().unwrap().is_empty();
            if number >= runs || enough {
                return;
            }
            let seed = first + number;
            if let Some(problem) = schedule::run(seed, None, false, &mut engine).problem {
                let line = format!("schedule {number}, make simulate RUNS=1 SEED={seed}: {problem}");
                problems.lock().unwrap().push(line);
            }
        }
    });
    let problems = problems.into_inner().unwrap();
    assert!(problems.is_empty(), "{} of {runs} schedules:\n{}", problems.len(), problems.join("\n"));
    let took = begun.elapsed().as_secs_f64();
    println!("{runs} schedules from seed {first} in {took:.1} s, {:.0} a second", runs as f64 / took);
}

/// One schedule, step by step.
fn show(seed: u64) {
    let verdict = schedule::run(seed, None, true, &mut None);
    verdict.trace.iter().for_each(|line| println!("{line}"));
    assert_eq!(verdict.problem, None, "SEED={seed}");
}

#[test]
fn seed_decides_all_that_happens() {
    let mut warm: Option<Engine> = None;
    for seed in 1..=100 {
        let once = schedule::run(seed, None, true, &mut None).trace;
        let again = schedule::run(seed, None, true, &mut warm).trace;
        assert!(!once.is_empty());
        let differs = once.iter().zip(&again).find(|(one, other)| one != other);
        assert_eq!(differs, None, "SEED={seed}");
        assert_eq!(once.len(), again.len(), "SEED={seed}");
    }
}

#[test]
fn each_fault_is_found() {
    let only = env::var("FAULT").ok().filter(|name| !name.is_empty());
    let all: Vec<Fault> = Fault::ALL
        .iter()
        .copied()
        .filter(|fault| only.as_ref().is_none_or(|only| format!("{fault:?}") == *only))
        .collect();
    assert!(!all.is_empty(), "there is no such fault");
    let (next, missed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    on_all_cores(|| {
        let mut engine: Option<Engine> = None;
        while let Some(fault) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            match find(*fault, &mut engine) {
                Some((number, problem)) => {
                    println!(
                        "{fault:?} is found in schedule {number}: {}",
                        problem.lines().next().unwrap_or_default()
                    );
                }
                None => missed.lock().unwrap().push(*fault),
            }
        }
    });
    let missed = missed.into_inner().unwrap();
    assert!(missed.is_empty(), "not found in {PATIENCE} schedules: {missed:?}");
}

/// The first schedule in which the mistake shows.
fn find(fault: Fault, engine: &mut Option<Engine>) -> Option<(u64, String)> {
    (1..=PATIENCE).find_map(|seed| Some((seed, schedule::run(seed, Some(fault), false, engine).problem?)))
}
