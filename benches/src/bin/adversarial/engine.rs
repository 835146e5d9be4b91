//! The engine alone: CPU time of each text, on one thread.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use pgstrata_benches::scope;
use pgstrata_sql::rewrite::{Prefixes, rewrite};
use pgstrata_sql::{Engine, Scope, TextMode};
use pgstrata_tenancy::Strategy;
use pgstrata_testkit::{FAMILIES, Mixtures};

use crate::{Options, Outcome};

/// So many of the slowest are shown.
const SHOWN: usize = 12;

/// The CPU time of this thread so far.
fn spent() -> Outcome<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

/// A plan that no cache knows, and the text that is sent for it.
fn plan(text: &str, scope: &Scope, prefixes: &Prefixes) -> Outcome<Duration> {
    let engine = Engine::new(1 << 20);
    let before = spent()?;
    let plan = engine.plan(text.as_bytes(), scope, TextMode::default());
    let length: usize =
        rewrite(text.as_bytes(), &plan.splices, prefixes, &[]).pieces.iter().map(|p| p.len()).sum();
    let took = spent()? - before;
    assert!(length >= text.len() || !plan.splices.is_empty());
    Ok(took)
}

/// Prints the slowest texts and the percentiles.
pub fn measure(options: &Options) -> Outcome<()> {
    let mut hidden = scope(Strategy::SchemaQualified);
    hidden.hide_others = true;
    let scopes = [scope(Strategy::SchemaQualified), hidden];
    let prefixes: Vec<_> = scopes.iter().map(Prefixes::of).collect();
    let worst = |text: &str| -> Outcome<Duration> {
        let mut worst = Duration::ZERO;
        for (scope, prefixes) in scopes.iter().zip(&prefixes) {
            worst = worst.max(plan(text, scope, prefixes)?);
        }
        Ok(worst)
    };
    if let Some(name) = &options.family {
        let family = FAMILIES.iter().find(|family| family.name == name).ok_or("no such family")?;
        let text = family.of_size(options.longest);
        for _ in 0..options.texts {
            println!("{:?}", worst(&text)?);
        }
        return Ok(());
    }
    if options.families {
        let mut times = Vec::new();
        for family in FAMILIES {
            times.push((worst(&family.of_size(options.longest))?, family.name.to_owned()));
        }
        show("families", times);
    }
    let mut times = Vec::new();
    for mixture in Mixtures::new(options.seed, options.longest).take(options.texts) {
        let name = format!("{} ({} bytes)", mixture.families.join(" + "), mixture.text.len());
        times.push((worst(&mixture.text)?, name));
    }
    show(
        &format!("{} texts of up to {} bytes, seed {}", options.texts, options.longest, options.seed),
        times,
    );
    Ok(())
}

fn show(what: &str, mut times: Vec<(Duration, String)>) {
    times.sort_unstable();
    let at = |share: f64| {
        times.get((times.len() as f64 * share) as usize).map_or(Duration::ZERO, |(time, _)| *time)
    };
    println!("CPU time in the engine, {what}:");
    println!("  median {:?}, p90 {:?}, p99 {:?}, p99.9 {:?}", at(0.5), at(0.9), at(0.99), at(0.999));
    for (time, name) in times.iter().rev().take(SHOWN) {
        println!("  {:>10.3} ms  {name:.100}", time.as_secs_f64() * 1e3);
    }
}
