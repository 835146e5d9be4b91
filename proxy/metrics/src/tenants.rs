//! What is counted by tenant, for as many tenants as there are, told of a few.
//!
//! The tenants that weigh most have series of their own, the rest has one together. A sum goes to the
//! one or to the other, and stays there: neither ever falls when tenants change places, so that Prometheus
//! sees no reset, and all of them together are right.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::tally::{self, CLIENTS, CLIENTS_HELP, FAMILIES, Sums, Tally, TenantSums};
use super::text::{Page, Type};

/// The label of all tenants that have no series of their own. A tenant of this name has none either.
const REST: &str = "other";

/// With fewer tenants than that, nobody looks for those that can be forgotten.
const FEW: usize = 1000;

/// Database and tenant.
type Name = (Box<str>, Box<str>);

/// The tallies of all tenants that have had a client.
#[derive(Debug)]
pub(crate) struct ByTenant {
    /// So many have series of their own.
    shown: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    known: BTreeMap<Name, Entry>,
    /// By database.
    rest: BTreeMap<Box<str>, Sums>,
    /// With so many known, those that nobody holds are forgotten.
    sweep_at: usize,
}

#[derive(Debug, Default)]
struct Entry {
    tally: Arc<Tally>,
    /// The sums as they were last seen.
    seen: Sums,
    /// What of them was told under its own name.
    told: Sums,
    load: Load,
    in_sight: bool,
}

impl Entry {
    /// What came since it was last seen.
    fn news(&mut self) -> Sums {
        let now = self.tally.sums();
        let before = std::mem::replace(&mut self.seen, now);
        let mut news = now;
        for (new, old) in news.iter_mut().zip(before) {
            // Sums of several counters may be read while one of them grows, but none ever falls.
            *new = new.saturating_sub(old);
        }
        news
    }

    /// One that is in sight is only driven out by one with twice its share.
    fn weight(&self, all: &Load) -> f64 {
        let share = self.load.share_of(all);
        if self.in_sight { share * 2.0 } else { share }
    }
}

/// What a tenant asks for: answers, be they rows or errors, and time, be it PostgreSQL's or that of waiting for a server.
/// What came with the last scrape in full, what came before by half for each scrape since.
#[derive(Clone, Copy, Debug, Default)]
struct Load([f64; 2]);

impl Load {
    fn add(&mut self, news: &Sums) {
        let [requests, _, _, errors, _, query, wait, ..] = *news;
        // Of errors alone, or of waiting, a single one may be all that there is.
        for (load, new) in
            self.0.iter_mut().zip([requests as f64 + errors as f64, query as f64 + wait as f64])
        {
            *load = *load / 2.0 + new;
        }
    }

    /// The larger share of the two: a tenant with few requests that take all of PostgreSQL's time weighs as much as
    /// one that sends all requests.
    fn share_of(&self, all: &Load) -> f64 {
        let shares = self.0.iter().zip(all.0).filter(|(_, all)| *all > 0.0).map(|(own, all)| own / all);
        shares.fold(0.0, f64::max)
    }
}

impl std::iter::Sum for Load {
    fn sum<I: Iterator<Item = Self>>(loads: I) -> Self {
        loads.fold(Self::default(), |sum, load| {
            let mut both = sum.0.iter().zip(load.0).map(|(a, b)| a + b);
            Self(std::array::from_fn(|_| both.next().unwrap_or_default()))
        })
    }
}

impl ByTenant {
    /// With series of their own for `shown` tenants.
    pub(crate) fn new(shown: usize) -> Self {
        let inner = Inner { known: BTreeMap::new(), rest: BTreeMap::new(), sweep_at: FEW };
        Self { shown, inner: Mutex::new(inner) }
    }

    /// The tally of a tenant. For each tenant that is looked up, not for each request.
    pub(crate) fn of(&self, database: &str, tenant: &str) -> Arc<Tally> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.known.len() >= inner.sweep_at {
            inner.settle(None);
        }
        let entry = inner.known.entry((database.into(), tenant.into())).or_default();
        Arc::clone(&entry.tally)
    }

    /// For a scrape: those that weigh most, and the rest.
    pub(crate) fn render(&self, page: &mut Page) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.settle(Some(self.shown));
        for (place, family) in FAMILIES.iter().enumerate() {
            page.family(family.name, Type::Counter, family.help);
            for ((database, tenant), entry) in inner.in_sight() {
                let labels = [("database", &**database), ("tenant", tenant)];
                tally::put(page, family, &labels, entry.told.get(place).copied());
            }
            for (database, sums) in &inner.rest {
                let labels = [("database", &**database), ("tenant", REST)];
                tally::put(page, family, &labels, sums.get(place).copied());
            }
        }
        page.family(CLIENTS, Type::Gauge, CLIENTS_HELP);
        for ((database, tenant), entry) in inner.in_sight() {
            page.sample(CLIENTS, &[("database", database), ("tenant", tenant)], entry.tally.clients());
        }
        for database in inner.rest.keys() {
            let hidden = inner.known.iter().filter(|((of, _), entry)| of == database && !entry.in_sight);
            let clients: u64 = hidden.map(|(_, entry)| entry.tally.clients()).sum();
            page.sample(CLIENTS, &[("database", database), ("tenant", REST)], clients);
        }
        page.family("pgstrata_tenants_tallied", Type::Gauge, "Tenants that counts are kept of.");
        page.sample("pgstrata_tenants_tallied", &[], inner.known.len());
    }

    /// What was counted of each, by database and tenant.
    pub(crate) fn all(&self) -> Vec<(Box<str>, Box<str>, TenantSums)> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let all = inner.known.iter();
        all.map(|((database, tenant), entry)| {
            (database.clone(), tenant.clone(), TenantSums::of(&entry.tally))
        })
        .collect()
    }

    /// All that is known of one tenant; `None` if it has had no client.
    pub(crate) fn render_one(&self, tenant: &str) -> Option<Page> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let same = inner.known.iter().filter(|((_, name), _)| **name == *tenant);
        let tallies: Vec<(&str, &Tally)> =
            same.map(|((database, _), entry)| (&**database, &*entry.tally)).collect();
        let mut page = Page::default();
        tally::render_detail(&mut page, tenant, &tallies);
        (!tallies.is_empty()).then_some(page)
    }
}

impl Inner {
    fn in_sight(&self) -> impl Iterator<Item = (&Name, &Entry)> {
        self.known.iter().filter(|(_, entry)| entry.in_sight)
    }

    /// Puts what came since the last time where it belongs, and forgets those that nobody holds any more.
    /// With `shown`, so many are chosen anew.
    fn settle(&mut self, shown: Option<usize>) {
        let mut news: Vec<(&Name, &mut Entry, Sums, bool)> = Vec::with_capacity(self.known.len());
        for (name, entry) in &mut self.known {
            // In this order: who holds it may count once more before it lets go.
            let alone = Arc::strong_count(&entry.tally) == 1;
            let new = entry.news();
            news.push((name, entry, new, alone));
        }
        if let Some(shown) = shown {
            news.iter_mut().for_each(|(_, entry, new, _)| entry.load.add(new));
            let all: Load = news.iter().map(|(_, entry, ..)| entry.load).sum();
            // Those that weigh the same stay in the order of their names.
            news.sort_by(|(_, a, ..), (_, b, ..)| b.weight(&all).total_cmp(&a.weight(&all)));
            let mut left = shown;
            for ((_, tenant), entry, ..) in &mut news {
                entry.in_sight = left > 0 && **tenant != *REST;
                left -= usize::from(entry.in_sight);
            }
        }
        let mut gone = Vec::new();
        for ((database, tenant), entry, new, alone) in news {
            // Is there from the first tenant on: a series that begins with its first value hides that from a rate.
            let rest = self.rest.entry(database.clone()).or_default();
            let to = if entry.in_sight { &mut entry.told } else { rest };
            for (sum, new) in to.iter_mut().zip(new) {
                *sum = sum.saturating_add(new);
            }
            if alone && !entry.in_sight {
                gone.push((database.clone(), tenant.clone()));
            }
        }
        for name in gone {
            self.known.remove(&name);
        }
        self.sweep_at = (self.known.len() * 2).max(FEW);
    }
}

#[cfg(test)]
mod tests;
