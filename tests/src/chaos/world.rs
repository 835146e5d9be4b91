//! What all clients share: tenants, the ledger, what went wrong.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use pgstrata_tenancy::Tier;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio_postgres::Client;

use crate::setup::wished_tier;
use crate::{Stage, roles};

/// The beginning of each tenant's name. All names are equally long.
const PREFIX: &str = "chaos_";

/// The tenants.
pub(super) const TENANTS: [&str; 8] =
    ["chaos_ant", "chaos_bee", "chaos_cat", "chaos_dog", "chaos_elk", "chaos_fox", "chaos_gnu", "chaos_hen"];

/// What is made for each of them, as role `app`.
const OBJECTS: &str = "
CREATE TABLE whoami (name text NOT NULL);
INSERT INTO whoami VALUES (current_schema());
CREATE TABLE ledger (
    id bigint NOT NULL CHECK (id > 0), tenant text NOT NULL, n serial, note text NOT NULL DEFAULT current_schema()
);
CREATE INDEX ON ledger (id);
CREATE VIEW seen AS SELECT name FROM whoami;
CREATE FUNCTION mine() RETURNS text LANGUAGE sql STABLE RETURN (SELECT name FROM whoami);
CREATE TABLE inbox (id bigint NOT NULL);
CREATE FUNCTION book() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO ledger (id, tenant) SELECT NEW.id, name FROM whoami; RETURN NEW; END $$;
CREATE TRIGGER book AFTER INSERT ON inbox FOR EACH ROW EXECUTE FUNCTION book();
";

/// What is known of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It was acknowledged: it is there once.
    Kept,
    /// It was refused or never committed: it is not there.
    Never,
    /// Nobody was told: it is there once or not.
    Unknown,
}

/// See the module.
pub(super) struct World {
    pub seed: u64,
    pub port: u16,
    ledger: Mutex<BTreeMap<i64, (&'static str, Fate)>>,
    problems: Mutex<Vec<String>>,
    over: AtomicBool,
    /// Crashes of PostgreSQL so far. One leaves temporary tables in the catalog.
    crashes: AtomicU32,
    steps: AtomicU64,
    connects: AtomicU64,
    acts: Mutex<BTreeMap<&'static str, u64>>,
}

impl World {
    pub fn new(seed: u64, stage: &Stage) -> Self {
        Self {
            seed,
            port: stage.port(),
            ledger: Mutex::default(),
            problems: Mutex::default(),
            over: AtomicBool::new(false),
            crashes: AtomicU32::new(0),
            steps: AtomicU64::new(0),
            connects: AtomicU64::new(0),
            acts: Mutex::default(),
        }
    }

    /// The source of chance for one client's step.
    pub fn random(&self, who: u64, step: u64) -> StdRng {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.seed.to_le_bytes());
        seed[8..16].copy_from_slice(&who.to_le_bytes());
        seed[16..24].copy_from_slice(&step.to_le_bytes());
        StdRng::from_seed(seed)
    }

    pub fn note(&self, tenant: &'static str, ids: &[i64], fate: Fate) {
        let mut ledger = self.ledger.lock().unwrap();
        ledger.extend(ids.iter().map(|id| (*id, (tenant, fate))));
    }

    /// A write of this tenant that was acknowledged; the first one from `from` on.
    pub fn kept_after(&self, tenant: &str, from: i64) -> Option<i64> {
        let ledger = self.ledger.lock().unwrap();
        let mut kept = ledger.range(from..).filter(|(_, known)| **known == (known.0, Fate::Kept));
        kept.find(|(_, (owner, _))| *owner == tenant).map(|(id, _)| *id)
    }

    pub fn problem(&self, what: String) {
        self.problems.lock().unwrap().push(what);
    }

    pub fn problems(&self) -> Vec<String> {
        self.problems.lock().unwrap().clone()
    }

    pub fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    pub fn crashed(&self) {
        self.crashes.fetch_add(1, Ordering::SeqCst);
    }

    pub fn crashes(&self) -> u32 {
        self.crashes.load(Ordering::SeqCst)
    }

    pub fn connected(&self) {
        self.connects.fetch_add(1, Ordering::Relaxed);
    }

    pub fn stepped(&self, act: &'static str) {
        self.steps.fetch_add(1, Ordering::Relaxed);
        *self.acts.lock().unwrap().entry(act).or_default() += 1;
    }

    /// What was done, in a line.
    pub fn summary(&self) -> String {
        let ledger = self.ledger.lock().unwrap();
        let count = |fate| ledger.values().filter(|(_, known)| *known == fate).count();
        format!(
            "{} steps in {} sessions; writes: {} acknowledged, {} refused, {} unknown; {:?}",
            self.steps.load(Ordering::Relaxed),
            self.connects.load(Ordering::Relaxed),
            count(Fate::Kept),
            count(Fate::Never),
            count(Fate::Unknown),
            self.acts.lock().unwrap(),
        )
    }

    /// Holds the ledger against the tenants' tables: past the proxy, when nobody writes.
    pub async fn audit(&self, server: &Client) {
        let mut found: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
        for tenant in TENANTS {
            let rows =
                server.query(&format!("SELECT id, tenant, note FROM {tenant}.ledger"), &[]).await.unwrap();
            for row in rows {
                let (id, owner, note): (i64, &str, &str) = (row.get(0), row.get(1), row.get(2));
                if owner != tenant || note != tenant {
                    self.problem(format!("{tenant}.ledger has write {id} of {owner} (by default: {note})"));
                }
                found.entry(id).or_default().push(tenant);
            }
        }
        let ledger = self.ledger.lock().unwrap();
        for (id, (tenant, fate)) in ledger.iter() {
            let at = found.remove(id).unwrap_or_default();
            let right = match fate {
                Fate::Kept => at == [*tenant],
                Fate::Never => at.is_empty(),
                Fate::Unknown => at.is_empty() || at == [*tenant],
            };
            if !right {
                self.problem(format!("write {id} of {tenant} is {fate:?}, and was found in {at:?}"));
            }
        }
        for (id, at) in found {
            self.problem(format!("write {id} is nobody's, and was found in {at:?}"));
        }
    }
}

/// Another tenant's name in what one tenant is told.
pub(super) fn foreign_name<'a>(tenant: &str, told: &'a [u8]) -> Option<&'a [u8]> {
    let mut names = told.windows(tenant.len()).filter(|name| name.starts_with(PREFIX.as_bytes()));
    names.find(|name| *name != tenant.as_bytes())
}

/// Makes the tenants, past the proxy.
pub(super) async fn make_tenants(server: &Client) {
    for tenant in TENANTS {
        let made = format!(
            "CREATE SCHEMA {tenant} AUTHORIZATION app; SET ROLE app; SET search_path TO {tenant}; {OBJECTS} \
             RESET search_path; RESET ROLE;"
        );
        server.batch_execute(&made).await.unwrap();
        if wished_tier() != Tier::Names {
            server.batch_execute(&roles::sql(tenant)).await.unwrap();
        }
    }
}
