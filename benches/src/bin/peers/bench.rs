//! One run: all cases, then what there is to say.

use std::path::Path;
use std::time::{Duration, Instant};

use pgstrata::demo::postgres::Cluster;

use crate::cases::{calls, copy, idle, load, tenants, trips};
use crate::options::Options;
use crate::peer::Peer;
use crate::samples::Samples;
use crate::start::Starter;
use crate::syscalls::Counter;
use crate::{Outcome, document, ground, plots, report};

/// What all cases share.
#[derive(Debug)]
pub struct Bench<'a> {
    /// What the user asks for.
    pub options: &'a Options,
    /// The PostgreSQL behind all.
    pub cluster: &'a Cluster,
    /// Where files go that are gone afterwards.
    pub folder: &'a Path,
    /// Those that most cases compare.
    pub peers: Vec<Peer>,
    /// What was measured so far.
    pub samples: Samples,
    /// What counted system calls, if anything could.
    pub counter: Option<Counter>,
    begun: Instant,
}

/// Rounds, if the user does not say.
const ROUNDS: usize = 3;
/// Cases that begin later than this get one round, so that all is done in ten minutes.
const LATE: Duration = Duration::from_secs(7 * 60);

impl<'a> Bench<'a> {
    /// Runs all cases that are wanted, and prints what came out.
    pub async fn run(options: &'a Options, cluster: &'a Cluster, folder: &'a Path) -> Outcome<()> {
        let begun = Instant::now();
        ground::fill(cluster).await?;
        let starter = Starter { options, cluster, folder };
        let peers = starter.all().await?;
        let mut bench =
            Self { options, cluster, folder, peers, samples: Samples::default(), counter: None, begun };
        load::warm_up(&bench).await?;
        eprintln!("{:24}  {:.0} s", "ready", begun.elapsed().as_secs_f64());
        bench.cases().await?;
        let report = report::report(&bench).await;
        println!("{report}");
        eprintln!("{:.0} s in all", begun.elapsed().as_secs_f64());
        if options.write {
            document::write(&report, &plots::draw(&bench.samples, &bench.peers))?;
        }
        Ok(())
    }

    /// What peers of a case's own are started with.
    pub fn starter(&self) -> Starter<'a> {
        Starter { options: self.options, cluster: self.cluster, folder: self.folder }
    }

    /// The processes of PostgreSQL's that serve somebody.
    pub async fn backends(&self) -> Outcome<Vec<i32>> {
        let root = ground::connect(&self.cluster.superuser(ground::DATABASE)).await?;
        let rows = root.query("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()", &[]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Rounds of the case that begins now.
    pub fn rounds(&self) -> usize {
        match self.options.rounds {
            Some(rounds) => rounds.max(1),
            None if self.options.quick || self.begun.elapsed() > LATE => 1,
            None => ROUNDS,
        }
    }

    async fn cases(&mut self) -> Outcome<()> {
        let options = self.options;
        if options.wants("select") {
            load::selects(self, load::SOME).await?;
        }
        if options.wants("syscalls") {
            calls::calls(self).await?;
        }
        if options.wants("tpcb") {
            load::writes(self).await?;
        }
        if options.wants("large") {
            load::large(self).await?;
        }
        if options.wants("copy") {
            copy::copy(self).await?;
        }
        if options.wants("storm") {
            load::storms(self).await?;
        }
        if options.wants("idle") {
            idle::idle(self).await?;
        }
        if options.wants("tenants") {
            tenants::tenants(self).await?;
        }
        if options.wants("trips") {
            trips::trips(self).await?;
        }
        if options.wants("select") && !options.quick {
            for clients in load::CLIENTS.into_iter().filter(|clients| *clients != load::SOME) {
                load::selects(self, clients).await?;
            }
        }
        Ok(())
    }
}
