//! The differential fuzzer: texts that the proxy lets through are run beside a tenant whose values are marked.

use std::collections::BTreeMap;
use std::time::Instant;

use super::compose::{Composer, Text};
use super::drive::{self, Tally, Wrong};
use super::found;
use super::knobs::{self, Knobs};
use super::minimise::minimised;
use super::random::Random;
use super::split::Splitter;
use super::world::{Conditions, World};

/// Texts in one session.
const SESSION: usize = 20;
/// So many sessions work on the same schema.
const ROUND: u64 = 8;

/// A failure, made small.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What repeats it.
    pub again: String,
    /// What was wrong.
    pub wrong: Wrong,
    /// What was sent.
    pub texts: Vec<Text>,
}

/// Tries as many texts as `knobs` says, and panics with what failed.
pub async fn run(conditions: Conditions, knobs: Knobs) {
    let mut run = Run {
        composer: Composer::new(),
        splitter: Splitter::new(),
        world: World::new(conditions).await,
        tally: Tally::default(),
        findings: Vec::new(),
        knobs,
    };
    let Conditions { strategy, tier, hide, .. } = conditions;
    eprintln!("fuzz: {strategy}, tier {tier}, hide_other_tenants = {hide}; {}", run.composer.summary());
    match run.knobs.replay.clone() {
        Some(file) => run.known(&found::sessions(&std::fs::read_to_string(file).unwrap())).await,
        None => run.all().await,
    }
    eprintln!("fuzz: {:?}", run.tally);
    let kinds = run.findings.iter().fold(BTreeMap::<_, usize>::new(), |mut kinds, finding| {
        *kinds.entry(finding.wrong.kind()).or_default() += 1;
        kinds
    });
    assert!(run.findings.is_empty(), "{} sessions went wrong: {kinds:?}", run.findings.len());
}

struct Run {
    composer: Composer,
    splitter: Splitter,
    world: World,
    tally: Tally,
    findings: Vec<Finding>,
    knobs: Knobs,
}

impl Run {
    async fn all(&mut self) {
        if self.knobs.begins_with_known() {
            self.known(&found::known()).await;
        }
        for seed in self.knobs.seeds.clone() {
            let (begun, mut tried) = (Instant::now(), 0);
            eprintln!("fuzz: PGSTRATA_FUZZ_SEED={seed}");
            // A session that is repeated needs those that went before it.
            let mut number = self.knobs.only.unwrap_or_default() / ROUND * ROUND;
            let mut round = Vec::new();
            while self.knobs.goes_on(begun, tried, !self.findings.is_empty()) {
                if number.is_multiple_of(ROUND) {
                    self.world.restore_tenant().await;
                    round.clear();
                }
                let texts = self.session(seed, number);
                let before = tried;
                tried += u64::try_from(texts.len()).unwrap();
                knobs::tell_progress("texts", begun, before, tried);
                round.extend(texts.iter().cloned());
                let again = format!("PGSTRATA_FUZZ_SEED={seed} PGSTRATA_FUZZ_ONLY={number}");
                self.attempt(&texts, &round, &again).await;
                if self.knobs.only == Some(number) {
                    break;
                }
                number += 1;
            }
            eprintln!("fuzz: {tried} texts in {:.1} s", begun.elapsed().as_secs_f64());
        }
    }

    async fn known(&mut self, sessions: &[Vec<Text>]) {
        for texts in sessions {
            self.attempt(texts, texts, "known").await;
            self.world.restore_tenant().await;
        }
    }

    /// The texts of a session.
    fn session(&self, seed: u64, number: u64) -> Vec<Text> {
        let mut random = Random::part(seed, number);
        let mut texts: Vec<Text> = (0..SESSION).map(|_| self.composer.text(&mut random)).collect();
        texts.retain(|text| self.knobs.takes(&text.whole()));
        texts
    }

    /// Tries a session, the last of a round.
    async fn attempt(&mut self, texts: &[Text], round: &[Text], again: &str) {
        for text in texts {
            if let Err(wrong) = self.splitter.check(&text.whole()) {
                self.found(Finding { again: again.to_owned(), wrong, texts: vec![text.clone()] });
            }
        }
        let Err(wrong) = drive::session(&self.world, texts, &mut self.tally).await else { return };
        eprintln!("FOUND {wrong:?} ({again}); at least:");
        let mut least = minimised(&mut self.world, texts).await;
        if least.is_none() && round.len() > texts.len() {
            least = minimised(&mut self.world, round).await;
        }
        let (texts, wrong) = least.unwrap_or_else(|| (texts.to_vec(), wrong));
        self.found(Finding { again: again.to_owned(), wrong, texts });
        self.world.close_servers().await;
        self.world.restore().await;
    }

    fn found(&mut self, finding: Finding) {
        eprintln!("FOUND {:?} ({})", finding.wrong, finding.again);
        for text in &finding.texts {
            eprintln!("    {}", found::line(text));
        }
        self.findings.push(finding);
    }
}
