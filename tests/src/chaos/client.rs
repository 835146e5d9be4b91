//! One client: it comes, takes steps, and comes back if it was cut off.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

use super::world::{Fate, TENANTS, World, foreign_name};
use crate::answer::{Answer, Fault};
use crate::stage::tenant_option;
use crate::wire::{V3_0, Wire};

/// Nothing takes so long, even if PostgreSQL restarts meanwhile: whoever waits longer was forgotten.
pub(super) const LIMIT: Duration = Duration::from_secs(40);

/// What clients are told while things break; anything else must be a step's own doing.
const BREAKS: [&str; 6] = ["57P01", "57P02", "57P03", "08006", "53300", "40P01"];

/// The settings that clients change, with what they are at first.
pub(super) const DEFAULTS: [(&str, &str); 4] =
    [("application_name", ""), ("statement_timeout", "0"), ("work_mem", "4MB"), ("app.owner", "")];

/// The connection is over.
#[derive(Debug)]
pub(super) struct Over;

/// What steps come to.
pub(super) type Done<T = ()> = Result<T, Over>;

/// Values of settings by their names.
pub(super) type Settings = BTreeMap<&'static str, String>;

/// One connection of a client.
pub(super) struct Client {
    pub world: Arc<World>,
    pub number: usize,
    pub tenant: &'static str,
    pub wire: Wire,
    pub random: StdRng,
    pub step: u64,
    pub act: &'static str,
    /// Writes of this step so far.
    writes: i64,
    /// What `RESET` goes back to.
    pub base: Settings,
    pub settings: Settings,
    /// Names of prepared statements.
    pub prepared: BTreeSet<String>,
    /// Steps that are left to a client that keeps its server from the others.
    pub pinned: Option<u32>,
    /// The status of the transaction.
    status: Option<char>,
    /// The last request, to show where something went wrong.
    asked: String,
}

/// Comes and works, again and again, until all is over.
pub(super) async fn live(world: Arc<World>, number: usize) {
    let mut step = 0;
    while !world.is_over() {
        match Client::enter(&world, number, &mut step).await {
            Some(mut client) => {
                let _ = client.work().await;
                step = client.step;
            }
            None => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

impl Client {
    /// Logs in. `None`: not now.
    async fn enter(world: &Arc<World>, number: usize, step: &mut u64) -> Option<Self> {
        *step += 1;
        let mut random = world.random(number as u64, *step);
        let tenant = TENANTS[number % TENANTS.len()];
        let mut base: Settings = DEFAULTS.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        if random.random_bool(0.3) {
            base.insert("application_name", format!("{tenant}/{number}"));
        }
        let option = tenant_option(tenant);
        let name = base["application_name"].clone();
        let mut parameters = vec![("user", "app"), ("database", "app"), ("options", option.as_str())];
        if !name.is_empty() {
            parameters.push(("application_name", name.as_str()));
        }
        let mut wire = Wire::connect(world.port).await;
        let login = async {
            wire.startup(V3_0, &parameters).await;
            wire.authenticate("app").await
        };
        let refused = match tokio::time::timeout(LIMIT, login).await {
            Ok(Ok(())) => None,
            Ok(Err(fault)) if BREAKS.contains(&fault.code.as_str()) => return None,
            Ok(Err(fault)) => Some(format!("{fault:?}")),
            Err(_) => Some("no answer".to_owned()),
        };
        if let Some(refused) = refused {
            world.problem(format!("client {number} ({tenant}) was not let in at step {step}: {refused}"));
            return None;
        }
        world.connected();
        let settings = base.clone();
        Some(Self {
            world: world.clone(),
            number,
            tenant,
            wire,
            random,
            step: *step,
            act: "enter",
            writes: 0,
            base,
            settings,
            prepared: BTreeSet::new(),
            pinned: None,
            status: Some('I'),
            asked: String::new(),
        })
    }

    /// Takes steps until the connection is over.
    async fn work(&mut self) -> Done {
        if self.random.random_bool(0.3) {
            self.finds_nothing().await?;
        }
        loop {
            self.begin_step();
            self.pinned = self.pinned.map(|left| left.saturating_sub(1));
            if self.world.is_over() || self.pinned == Some(0) {
                self.wire.terminate().flush().await;
                return Err(Over);
            }
            if self.random.random_bool(0.2) {
                let pause = self.random.random_range(1..30);
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
            self.act().await?;
            self.end_failed_block().await?;
            self.world.stepped(self.act);
        }
    }

    fn begin_step(&mut self) {
        self.step += 1;
        self.writes = 0;
        self.random = self.world.random(self.number as u64, self.step);
    }

    /// One step.
    async fn act(&mut self) -> Done {
        let draw = self.random.random_range(0..100);
        self.act = match draw {
            0..17 => "read",
            17..22 => "read of a write",
            22..35 => "write",
            35..45 => "pipeline with one Sync",
            45..55 => "pipeline with many Syncs",
            55..60 => "copy out",
            60..65 => "copy in",
            65..79 => "transaction",
            79..82 => "transaction in one message",
            82..88 => "settings",
            88..91 => "state in the session",
            91..93 => "another tenant",
            93..95 => "cancel",
            _ => "vanish",
        };
        match draw {
            0..17 => self.read().await,
            17..22 => self.read_of_a_write().await,
            22..35 => self.write().await,
            35..45 => self.pipeline().await,
            45..55 => self.pipelines().await,
            55..60 => self.copy_out().await,
            60..65 => self.copy_in().await,
            65..79 => self.transaction().await,
            79..82 => self.transaction_in_one().await,
            82..88 => self.change_settings().await,
            88..91 => self.leave_a_mark().await,
            91..93 => self.reach_for_another().await,
            93..95 => self.cancel().await,
            _ => self.vanish().await,
        }
    }

    /// What failed in a message with a `BEGIN` in it leaves the block open.
    async fn end_failed_block(&mut self) -> Done {
        if self.status != Some('I') {
            let answer = self.run("ROLLBACK").await?;
            self.settle(&answer, &[], &[])?;
            self.check(answer.status() == Some('I'), || "the block goes on".to_owned())?;
        }
        Ok(())
    }

    /// A number that no other write has.
    pub fn new_id(&mut self, fate: Fate) -> i64 {
        self.writes += 1;
        let id = (self.number as i64 + 1) * 1_000_000_000 + self.step as i64 * 10_000 + self.writes;
        self.world.note(self.tenant, &[id], fate);
        id
    }

    /// One of several.
    pub fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.random.random_range(0..choices.len())].clone()
    }

    /// Keeps its server from the others for a few steps.
    pub fn pins(&mut self) {
        if self.pinned.is_none() {
            self.pinned = Some(self.random.random_range(1..4));
        }
    }

    /// Sends what was put together, and reads up to `ReadyForQuery`.
    pub async fn ask(&mut self, what: &str) -> Done<Answer> {
        self.asked = what.chars().take(300).collect();
        let Ok(answer) = tokio::time::timeout(LIMIT, self.wire.answer()).await else {
            return self.wrong("no answer".to_owned());
        };
        self.status = answer.status();
        self.look_at(&answer)?;
        Ok(answer)
    }

    /// Reads up to a message of one of these types.
    pub async fn hear(&mut self, tags: &[u8]) -> Done<Answer> {
        let Ok(answer) = tokio::time::timeout(LIMIT, self.wire.until_any(tags)).await else {
            return self.wrong("no answer".to_owned());
        };
        self.look_at(&answer)?;
        Ok(answer)
    }

    fn look_at(&mut self, answer: &Answer) -> Done {
        // What names another tenant on purpose is quoted back to it.
        if self.act == "another tenant" {
            return Ok(());
        }
        for message in &answer.messages {
            if let Some(name) = foreign_name(self.tenant, &message.body) {
                let (tag, name) = (char::from(message.tag), String::from_utf8_lossy(name).into_owned());
                return self.wrong(format!("was told of {name} in a message {tag}"));
            }
        }
        Ok(())
    }

    /// A query in one of the protocol's ways.
    pub async fn run(&mut self, text: &str) -> Done<Answer> {
        match self.random.random_range(0..4) {
            0 | 1 => {
                self.wire.query(text);
            }
            2 => {
                self.wire.parse("", text).bind("", &[]).execute().sync();
            }
            _ => {
                self.wire.parse("", text).describe("").bind("", &[]).execute().sync();
            }
        }
        self.ask(text).await
    }

    /// Notes what became of a request and its writes. `false`: it failed, and the connection goes on.
    pub fn settle(&mut self, answer: &Answer, ids: &[i64], expected: &[&str]) -> Done<bool> {
        let faults = answer.faults();
        let fate = match faults.first() {
            None if answer.status().is_some() => Fate::Kept,
            Some(fault) if !may_have_run(fault) => Fate::Never,
            _ => Fate::Unknown,
        };
        self.world.note(self.tenant, ids, fate);
        self.check_faults(answer, expected)?;
        if answer.status().is_none() {
            return Err(Over);
        }
        Ok(fate == Fate::Kept)
    }

    /// Every error is explained, and whoever is closed was told so.
    pub fn check_faults(&mut self, answer: &Answer, expected: &[&str]) -> Done {
        let faults = answer.faults();
        let explained =
            |fault: &&Fault| BREAKS.contains(&fault.code.as_str()) || expected.contains(&fault.code.as_str());
        if let Some(fault) = faults.iter().find(|fault| !explained(fault)) {
            return self.wrong(format!("{fault:?}"));
        }
        let closed = answer.messages.last().is_none_or(|last| !b"ZGHW".contains(&last.tag));
        // In the middle of a row there is no place for an error.
        if closed && self.wire.rest().is_empty() && !faults.iter().any(|fault| fault.severity == "FATAL") {
            let tags = answer.tags();
            return self.wrong(format!("was closed without a word, after {tags:?}"));
        }
        Ok(())
    }

    /// The answer holds so many rows, all with this client's tenant in the first column.
    pub fn is_mine(&mut self, answer: &Answer, rows: usize) -> Done {
        let column = answer.column();
        if column.len() == rows && column.iter().all(|name| name == self.tenant) {
            return Ok(());
        }
        self.wrong(format!("{rows} rows of {} were expected, and came: {column:?}", self.tenant))
    }

    /// Something that must hold does not.
    pub fn check(&mut self, holds: bool, what: impl FnOnce() -> String) -> Done {
        if holds { Ok(()) } else { self.wrong(what()) }
    }

    /// Something that must never happen has happened.
    pub fn wrong<T>(&mut self, what: String) -> Done<T> {
        let Self { number, tenant, step, act, asked, pinned, .. } = &self;
        let pinned = if pinned.is_some() { ", pinned" } else { "" };
        self.world.problem(format!(
            "client {number} ({tenant}{pinned}), step {step} ({act}), asked {asked:?}: {what}"
        ));
        Err(Over)
    }
}

/// Whether an autocommitted statement may have been committed although it was answered with this.
fn may_have_run(fault: &Fault) -> bool {
    match fault.code.as_str() {
        "08006" => !fault.message.starts_with("cannot connect to PostgreSQL"),
        code => code.starts_with("57P") && code != "57P03",
    }
}
