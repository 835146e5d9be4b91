//! One session: clients take steps in turn, and behind each of them a client of no interest looks around.

use std::fmt;
use std::time::Duration;

use super::actor::{ACTORS, Actor, Told};
use super::message::Send;
use super::neutral::{self, Blind, PATIENCE, Seen, difference};
use super::steps::{Leave, Steps};
use crate::answer::Fault;
use crate::fuzz::detect;
use crate::fuzz::random::Random;
use crate::fuzz::world::World;

/// How long it is waited for a server that other clients may have.
const CROWDED: Duration = Duration::from_millis(300);
type Actors = [Actor; ACTORS.len()];

/// Words of texts that may tie their client to its server.
const HOLDING: &[&str] = &[
    "begin", "start", "temp", "hold", "prepare", "lock", "listen", "setseed", "load", "lastval", "currval",
    "nextval", "$$", "chain", "set_config", "tenant", "execute", "declare",
];

/// What one client does.
#[derive(Clone, Debug)]
pub struct Step {
    /// Which client.
    pub actor: usize,
    /// With what it connects if it isn't.
    pub options: Vec<(String, String)>,
    /// Its messages.
    pub sends: Vec<Send>,
    /// It leaves behind them.
    pub leaves: bool,
}

impl Step {
    /// The next of a session.
    pub fn next(random: &mut Random, steps: &Steps) -> Self {
        let actor = random.below(ACTORS.len());
        let who = ACTORS[actor];
        let leave = Leave { hold: random.chance(60), code: who.user == "tool", switch: who.switches };
        Self {
            actor,
            options: steps.options(random),
            sends: steps.request(random, leave),
            leaves: random.chance(25),
        }
    }

    /// Whether it may make its client keep a server.
    fn holds(&self) -> bool {
        self.sends.iter().any(|send| match send {
            Send::Query(text) | Send::Parse(_, text) => HOLDING.iter().any(|word| text.contains(word)),
            Send::Flush => true,
            _ => false,
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = ACTORS[self.actor];
        let sends: Vec<String> = self.sends.iter().map(Send::to_string).collect();
        let leaves = if self.leaves { "; leaves" } else { "" };
        write!(
            f,
            "{}@{} {:?}: {}{leaves}",
            who.user,
            who.tenant.unwrap_or("-"),
            self.options,
            sends.join(", ")
        )
    }
}

/// How requests fared.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Requests.
    pub requests: u64,
    /// Requests with no answer in time.
    pub blocked: u64,
    /// Logins that were refused.
    pub refused: u64,
    /// Looks that had to wait until all clients had left.
    pub crowded: u64,
    /// Requests by the SQLSTATE of their first error; `00000` for none.
    pub codes: std::collections::BTreeMap<String, u64>,
}

impl Tally {
    fn count(&mut self, told: &Told) {
        self.requests += 1;
        self.blocked += u64::from(told.blocked);
        let fault = told.messages.iter().find(|message| message.tag == b'E').map(Fault::read);
        *self.codes.entry(fault.map_or_else(|| "00000".to_owned(), |fault| fault.code)).or_default() += 1;
    }
}

/// What went wrong.
#[derive(Clone, Debug)]
pub struct Wrong {
    /// In words.
    pub what: String,
    /// The steps that were taken, by those who took them.
    pub taken: Vec<Step>,
}

/// Plays sessions, and knows what a clean server shows.
#[derive(Debug)]
pub struct Play {
    usual: Seen,
}

impl Play {
    /// On a world that is as it was at the beginning.
    pub async fn new(world: &World) -> Self {
        let (_, usual) = neutral::look(world, "globex", false, PATIENCE).await.expect("a new proxy serves");
        let direct = neutral::direct(world).await;
        let settings: Seen = usual
            .iter()
            .filter(|(name, _)| direct.contains_key(*name))
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect();
        if let Some(difference) = difference(&direct, &settings) {
            eprintln!("fuzz: through the proxy a new session has {difference}");
        }
        Self { usual }
    }

    /// Plays the steps.
    ///
    /// # Errors
    /// What went wrong, and what was done up to there.
    pub async fn session(&self, world: &World, steps: &[Step], tally: &mut Tally) -> Result<(), Wrong> {
        let mut actors = ACTORS.map(Actor::new);
        let mut taken = Vec::new();
        for step in steps {
            // One server is for the others: whoever has the other goes on.
            let holder = actors.iter().position(Actor::may_hold).filter(|_| step.holds());
            let step = Step { actor: holder.unwrap_or(step.actor), ..step.clone() };
            taken.push(step.clone());
            let done = self.step(world, &mut actors, &step, tally).await;
            done.map_err(|what| Wrong { what, taken: taken.clone() })?;
        }
        drop(actors);
        let clean = self.both_are_clean(world).await;
        clean.map_err(|what| Wrong { what: format!("{what} when all have left"), taken })
    }

    async fn step(
        &self,
        world: &World,
        actors: &mut Actors,
        step: &Step,
        tally: &mut Tally,
    ) -> Result<(), String> {
        let actor = &mut actors[step.actor];
        if !actor.is_connected() && actor.connect(world, &step.options).await.is_err() {
            tally.refused += 1;
            return Ok(());
        }
        actor.holds |= step.holds();
        let told = actor.ask(world, &step.sends).await;
        tally.count(&told);
        // Whoever may go over to another tenant is told what is that one's.
        let leak = detect::leak(&told.messages, false).filter(|_| !actor.who.switches);
        if step.leaves {
            actor.leave();
        }
        match leak {
            Some(shown) => Err(format!("leak: {shown}")),
            None => self.look(world, actors, tally).await,
        }
    }

    /// A client of no interest looks around.
    async fn look(&self, world: &World, actors: &mut Actors, tally: &mut Tally) -> Result<(), String> {
        let alone = !actors.iter().any(Actor::is_connected);
        let patience = if alone { PATIENCE } else { CROWDED };
        match neutral::look(world, "globex", false, patience).await {
            Ok((_, seen)) => {
                difference(&self.usual, &seen).map_or(Ok(()), |what| Err(format!("dirty: {what}")))
            }
            Err(Blind::Late) if !alone => {
                tally.crowded += 1;
                *actors = ACTORS.map(Actor::new);
                Ok(())
            }
            Err(wrong) => Err(format!("neighbour: {wrong}; servers: {}", world.servers().await)),
        }
    }

    /// All clients have left: both servers are as good as new, and nothing of a session is left in PostgreSQL.
    async fn both_are_clean(&self, world: &World) -> Result<(), String> {
        let mut kept = Vec::new();
        for _ in 0..2 {
            let (wire, seen) = match neutral::look(world, "globex", true, PATIENCE).await {
                Ok(clean) => clean,
                Err(wrong) => return Err(format!("neighbour: {wrong}; servers: {}", world.servers().await)),
            };
            let mut usual = self.usual.clone();
            usual.extend(
                seen.get("transaction_read_only")
                    .map(|value| ("transaction_read_only".to_owned(), value.clone())),
            );
            if let Some(what) = difference(&usual, &seen) {
                return Err(format!("dirty: {what}"));
            }
            kept.push(wire);
        }
        world.left_behind().await.map_or(Ok(()), |what| Err(format!("left: {what}")))
    }
}
