//! A run: the source, then the canaries, then all others.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::task::JoinSet;

use super::migration::Migrations;
use super::options::{Mode, Options};
use super::report::{Ended, Event, Outcome, Report, Stage};
use super::session::Session;
use super::survey::{Schema, Survey, Target};
use crate::Control;
use crate::error::Error;
use crate::registry::State;
use crate::settings::Settings;

/// The state that all tasks of a run share.
pub(super) struct Run {
    pub control: Control,
    pub migrations: Migrations,
    pub options: Options,
}

impl Control {
    /// Brings the source and every registered tenant to the newest of these migrations.
    ///
    /// The results are permanent, schema by schema; a repeated run continues where it stopped. The future may be
    /// dropped at any time, and several runs may work at the same time.
    pub async fn migrate(&self, migrations: &Migrations, options: &Options) -> Result<Report, Error> {
        let began = Instant::now();
        let mut survey = Survey::ask(self, migrations, options).await?;
        let is_source = |schema: &Schema| schema.state == State::Source;
        if !survey.get(&self.settings().source).is_some_and(is_source) {
            self.register_source().await?;
            survey = Survey::ask(self, migrations, options).await?;
        }
        survey.check(migrations, options)?;
        let run = Arc::new(Run::new(self, migrations, options));
        let mut targets = run.targets(&survey)?;
        run.check_files(&targets)?;
        if options.accept_changed && options.mode == Mode::Apply {
            run.accept(&survey).await?;
        }
        options.tell(&Event::Planned { schemas: targets.len() });
        let mut outcomes = Vec::new();
        let mut seen = HashSet::new();
        while !targets.is_empty() {
            seen.extend(targets.iter().map(|target| target.schema.clone()));
            outcomes.append(&mut run.go(targets).await);
            let failed = outcomes.iter().any(|outcome: &Outcome| outcome.state == Ended::Failed);
            if failed || options.mode != Mode::Apply {
                break;
            }
            // Tenants that were created meanwhile, from the old source, have pending migrations too.
            targets = run.targets(&Survey::ask(self, migrations, options).await?)?;
            targets.retain(|target| !seen.contains(&target.schema));
        }
        Ok(Report {
            newest: migrations.newest(),
            known: survey.known,
            ahead: survey.ahead,
            schemas: outcomes,
            took: began.elapsed(),
        })
    }
}

impl Run {
    pub fn new(control: &Control, migrations: &Migrations, options: &Options) -> Self {
        Self { control: control.clone(), migrations: migrations.clone(), options: options.clone() }
    }

    pub fn settings(&self) -> &Settings {
        self.control.settings()
    }

    fn targets(&self, survey: &Survey) -> Result<Vec<Target>, Error> {
        let newest = self.migrations.newest();
        let mut targets = survey.targets(&self.settings().source, newest, &self.options)?;
        if self.options.mode != Mode::Apply {
            // Only a run that applies migrations lifts a leftover fence.
            targets.retain(|target| target.version < newest);
        }
        Ok(targets)
    }

    /// Checks each pending file before anything runs.
    fn check_files(&self, targets: &[Target]) -> Result<(), Error> {
        let Some(oldest) = targets.iter().map(|target| target.version).min() else { return Ok(()) };
        self.migrations.after(oldest).try_for_each(|migration| migration.check()).map_err(Error::from)
    }

    /// Records the current checksums of changed files.
    async fn accept(&self, survey: &Survey) -> Result<(), Error> {
        let client = self.control.client().await?;
        let accept =
            "UPDATE pgstrata_control.migrations SET checksum = $2 WHERE version = $1 AND state = 'done'";
        for version in survey.changed() {
            let Some(migration) = self.migrations.get(version) else { continue };
            let accepted = client.execute(accept, &[&version, &&migration.checksum[..]]).await;
            accepted.map_err(Error::postgres(format!("accepting {} as it is now", migration.name)))?;
        }
        Ok(())
    }

    async fn go(self: &Arc<Self>, targets: Vec<Target>) -> Vec<Outcome> {
        if self.options.mode == Mode::Plan {
            let planned = |target: &Target| self.outcome(target, target.version, Ended::Planned);
            return targets.iter().map(planned).collect();
        }
        let (together, alone): (Vec<_>, Vec<_>) =
            targets.into_iter().partition(|target| target.stage == Stage::Tenant);
        let (mut outcomes, all_well) = self.one_by_one(alone).await;
        outcomes.append(&mut match all_well {
            true => self.at_once(together).await,
            false => self.not_begun(together),
        });
        outcomes
    }

    /// The source and the canaries: after a failure, nothing further begins.
    async fn one_by_one(&self, targets: Vec<Target>) -> (Vec<Outcome>, bool) {
        let mut session = Session::new(&self.control);
        let mut outcomes = Vec::new();
        let mut all_well = true;
        for target in targets {
            let outcome = match all_well {
                true => self.bring(&mut session, &target).await,
                false => self.outcome(&target, target.version, Ended::NotBegun),
            };
            all_well &= !matches!(outcome.state, Ended::Failed | Ended::NotBegun);
            outcomes.push(outcome);
        }
        (outcomes, all_well)
    }

    /// In parallel, as many as there are connections, until too many have failed.
    async fn at_once(self: &Arc<Self>, targets: Vec<Target>) -> Vec<Outcome> {
        let workers = self.control.workers().min(targets.len());
        let queue = Arc::new(Mutex::new(VecDeque::from(targets)));
        let failures = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for _ in 0..workers {
            let (run, queue, failures) = (self.clone(), queue.clone(), failures.clone());
            tasks.spawn(async move { run.work(&queue, &failures).await });
        }
        let mut outcomes = Vec::new();
        while let Some(done) = tasks.join_next().await {
            match done {
                Ok(mut done) => outcomes.append(&mut done),
                // A callback that panics, for example: the panic is the caller's.
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
        let left = std::mem::take(&mut *queue.lock().unwrap_or_else(PoisonError::into_inner));
        outcomes.append(&mut self.not_begun(left.into()));
        outcomes.sort_by(|a, b| a.schema.cmp(&b.schema));
        outcomes
    }

    async fn work(&self, queue: &Mutex<VecDeque<Target>>, failures: &AtomicUsize) -> Vec<Outcome> {
        let mut session = Session::new(&self.control);
        let mut outcomes = Vec::new();
        while failures.load(Ordering::SeqCst) < self.options.max_failures.max(1) {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(target) = next else { break };
            let outcome = self.bring(&mut session, &target).await;
            if outcome.state == Ended::Failed {
                failures.fetch_add(1, Ordering::SeqCst);
            }
            outcomes.push(outcome);
        }
        outcomes
    }

    fn not_begun(&self, targets: Vec<Target>) -> Vec<Outcome> {
        targets.iter().map(|target| self.outcome(target, target.version, Ended::NotBegun)).collect()
    }
}
