//! One schema brought to the newest version, step by step.

use std::time::Instant;

use tokio::time::sleep;

use super::options::Mode;
use super::pause::Pauses;
use super::report::{Applied, Ended, Event, Failure, Outcome};
use super::run::Run;
use super::session::Session;
use super::step::{Step, Trouble};
use super::survey::Target;

/// The progress of a schema.
#[derive(Debug, Default)]
pub(super) struct SoFar {
    pub version: Option<i64>,
    pub applied: Vec<Applied>,
    pub retries: u32,
    /// Whether its clients wait.
    pub fenced: bool,
}

impl Run {
    /// Runs the pending migrations of a schema, and returns the outcome.
    pub(super) async fn bring(&self, session: &mut Session, target: &Target) -> Outcome {
        let began = Instant::now();
        let schema = &target.schema;
        self.options.tell(&Event::Begun { schema, stage: target.stage });
        let mut so_far = SoFar { version: target.version, ..SoFar::default() };
        let mut ended = self.steps(session, schema, &mut so_far).await;
        if so_far.fenced && self.options.mode == Mode::Apply {
            ended = self.unfenced(session, schema, ended).await;
        }
        let (state, failure) = match ended {
            Ok(ended) => (ended, None),
            Err(failure) => (Ended::Failed, Some(failure)),
        };
        let outcome = Outcome {
            took: began.elapsed(),
            applied: so_far.applied,
            retries: so_far.retries,
            failure,
            ..self.outcome(target, so_far.version, state)
        };
        self.options.tell(&Event::Ended { outcome: &outcome });
        outcome
    }

    /// The outcome if nothing ran.
    pub(super) fn outcome(&self, target: &Target, version: Option<i64>, state: Ended) -> Outcome {
        Outcome {
            schema: target.schema.clone(),
            stage: target.stage,
            state,
            applied: Vec::new(),
            lacks: self.migrations.after(version).map(|lacking| lacking.name.to_string()).collect(),
            retries: 0,
            took: std::time::Duration::ZERO,
            failure: None,
        }
    }

    async fn steps(&self, session: &mut Session, schema: &str, so_far: &mut SoFar) -> Result<Ended, Failure> {
        let mut pauses = Pauses::long();
        loop {
            let trouble = match self.step(session, schema, so_far).await {
                Ok(Step::Through(ended)) => return Ok(ended),
                Ok(Step::More) => {
                    pauses = Pauses::long();
                    continue;
                }
                Err(trouble) => trouble,
            };
            session.clean().await;
            match trouble {
                Trouble::Transient(failure) if pauses.taken() < self.settings().retries => {
                    let pause = pauses.next();
                    so_far.retries += 1;
                    self.options.tell(&Event::Retrying { schema, failure: &failure, retry: pauses.taken() });
                    sleep(pause).await;
                }
                Trouble::Transient(failure) | Trouble::Final(failure) => return Err(failure),
            }
        }
    }

    /// Admits the schema's clients again, whatever the result.
    async fn unfenced(
        &self,
        session: &mut Session,
        schema: &str,
        ended: Result<Ended, Failure>,
    ) -> Result<Ended, Failure> {
        let Err(fence) = self.lower_fence(session, schema).await else { return ended };
        session.clean().await;
        let still = format!("its clients still wait, until the next run: {fence}");
        Err(match ended {
            Ok(_) => Failure::new(None, still),
            Err(mut failure) => {
                failure.message = format!("{}. And {still}", failure.message);
                failure
            }
        })
    }
}
