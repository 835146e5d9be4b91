//! Which statements the guard has refused lately, and why. Not counted where nothing is counted by statement.
//!
//! A few of each tenant, and of so many tenants: those that were refused last. What one tenant is refused pushes out
//! nothing of another's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use pgstrata_sql::form::{self, FormId, reason};

use super::Name;
use super::memory::Memory;

/// So many forms of a tenant are known.
const OF_ONE: usize = 10;
/// So many tenants are.
const TENANTS: usize = 500;
/// A form is shown up to this length, in bytes.
const SHOWN: usize = 300;
/// What a refusal takes beside its texts.
const WEIGHT: u64 = size_of::<Refusal>() as u64 + 64;
/// What a tenant takes beside its names.
const TENANT_WEIGHT: u64 = 128;

/// A statement that the guard refuses now.
#[derive(Clone, Copy, Debug)]
pub struct Refused<'a> {
    /// The database's name.
    pub database: &'a str,
    /// The tenant's.
    pub tenant: &'a str,
    /// The form, as the plan has it.
    pub form: FormId,
    /// The SQLSTATE.
    pub code: &'static str,
    /// What the client is told.
    pub message: &'a str,
    /// The client's text.
    pub text: &'a [u8],
    /// When, in microseconds since the origin of the process's clients.
    pub at: u64,
}

impl Refused<'_> {
    fn name(&self) -> Name {
        (self.database.into(), self.tenant.into())
    }

    /// As it is kept: nothing that may be a value is in it. Reads the text.
    pub(super) fn seen(&self) -> Refusal {
        let mut text = form::shown(self.text, self.form);
        let why = reason::shown(self.message, self.text, &text, self.tenant).into();
        let end = (0..=SHOWN).rev().find(|&at| text.is_char_boundary(at)).unwrap_or_default();
        text.truncate(end);
        Refusal { form: self.form, code: self.code, count: 1, last: self.at, why, text: text.into() }
    }
}

/// A form of statements that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The form.
    pub form: FormId,
    /// The SQLSTATE.
    pub code: &'static str,
    /// How often.
    pub count: u64,
    /// When last, in microseconds since the origin of the process's clients.
    pub last: u64,
    /// Why: the message, without what stands in literals.
    pub why: Box<str>,
    /// The normalized form.
    pub text: Box<str>,
}

impl Refusal {
    /// What it takes.
    pub(super) fn bytes(&self) -> u64 {
        WEIGHT + (self.why.len() + self.text.len()) as u64
    }
}

/// The refusals of all tenants.
#[derive(Debug)]
pub(super) struct Refusals {
    memory: Arc<Memory>,
    all: Mutex<BTreeMap<Name, Vec<Refusal>>>,
}

impl Refusals {
    /// None yet.
    pub(super) fn new(memory: Arc<Memory>) -> Self {
        Self { memory, all: Mutex::default() }
    }

    /// Counts one that is known already; `false`: it is not.
    pub(super) fn count_again(&self, refused: &Refused<'_>) -> bool {
        self.change(|all| all.get_mut(&refused.name()).is_some_and(|own| count_again(own, refused)))
    }

    /// Takes one in, if there is room: in the place of the tenant's oldest, and of the tenant that was refused something
    /// the longest ago.
    pub(super) fn insert(&self, refused: &Refused<'_>, seen: Refusal) {
        let name = refused.name();
        self.change(|all| {
            if all.get_mut(&name).is_some_and(|own| count_again(own, refused)) {
                return;
            }
            if all.len() >= TENANTS && !all.contains_key(&name) {
                self.drop_oldest_tenant(all);
            }
            let head = if all.contains_key(&name) { 0 } else { weight_of(&name) };
            let own = all.get_mut(&name);
            if let Some(own) = own.filter(|own| own.len() >= OF_ONE) {
                self.drop_oldest(own);
            }
            if self.memory.take(head + seen.bytes()) {
                all.entry(name).or_default().push(seen);
            }
        });
    }

    /// All of them, by database and tenant.
    pub(super) fn all(&self) -> Vec<(Name, Refusal)> {
        let of = |(name, refused): (&Name, &Vec<Refusal>)| -> Vec<(Name, Refusal)> {
            refused.iter().map(|one| (name.clone(), one.clone())).collect()
        };
        self.change(|all| all.iter().flat_map(of).collect())
    }

    /// Forgets all.
    pub(super) fn clear(&self) {
        self.change(|all| std::mem::take(all).iter().for_each(|(name, own)| self.give(name, own)));
    }

    fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<Name, Vec<Refusal>>) -> T) -> T {
        change(&mut self.all.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn drop_oldest_tenant(&self, all: &mut BTreeMap<Name, Vec<Refusal>>) {
        let last = |refused: &[Refusal]| refused.iter().map(|one| one.last).max();
        let oldest = all.iter().min_by_key(|(_, refused)| last(refused)).map(|(name, _)| name.clone());
        if let Some((name, own)) = oldest.and_then(|oldest| all.remove_entry(&oldest)) {
            self.give(&name, &own);
        }
    }

    fn drop_oldest(&self, own: &mut Vec<Refusal>) {
        let oldest = own.iter().enumerate().min_by_key(|(_, one)| one.last).map(|(place, _)| place);
        if let Some(oldest) = oldest {
            self.memory.give(own.swap_remove(oldest).bytes());
        }
    }

    fn give(&self, name: &Name, own: &[Refusal]) {
        self.memory.give(weight_of(name) + own.iter().map(Refusal::bytes).sum::<u64>());
    }
}

fn count_again(own: &mut [Refusal], refused: &Refused<'_>) -> bool {
    let known = own.iter_mut().find(|one| (one.form, one.code) == (refused.form, refused.code));
    known.map(|known| (known.count, known.last) = (known.count + 1, refused.at)).is_some()
}

fn weight_of((database, tenant): &Name) -> u64 {
    TENANT_WEIGHT + (database.len() + tenant.len()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuse(refusals: &Refusals, tenant: &str, form: u64, at: u64) {
        let text = format!("SELECT a{form}, 'secret'");
        let refused = Refused {
            database: "app",
            tenant,
            form: FormId(2 * form),
            code: "42501",
            message: "no \"secret\"",
            text: text.as_bytes(),
            at,
        };
        if !refusals.count_again(&refused) {
            refusals.insert(&refused, refused.seen());
        }
    }

    fn refusals(limit: u64) -> Refusals {
        Refusals::new(Arc::new(Memory::new(limit)))
    }

    fn weight(refusals: &Refusals) -> u64 {
        let heads: u64 = refusals.all.lock().unwrap().keys().map(weight_of).sum();
        heads + refusals.all().iter().map(|(_, one)| one.bytes()).sum::<u64>()
    }

    #[test]
    fn last_of_each_tenant_are_known_and_others_stay() {
        let refusals = refusals(u64::MAX / 2);
        refuse(&refusals, "quiet", 1, 1);
        refuse(&refusals, "quiet", 1, 2);
        for form in 1..1000 {
            refuse(&refusals, "loud", form, 10 + form);
        }
        let all = refusals.all();
        let of = |tenant: &str| all.iter().filter(|((_, name), _)| **name == *tenant).collect::<Vec<_>>();
        let quiet = of("quiet");
        assert_eq!((quiet.len(), quiet[0].1.count, quiet[0].1.last), (1, 2, 2));
        assert_eq!((&*quiet[0].1.text, &*quiet[0].1.why), ("SELECT a1, ?", "no \"...\""));
        assert!(of("loud").len() == OF_ONE && of("loud").iter().all(|(_, one)| one.form.0 >= 1980));
        for tenant in 0..TENANTS {
            refuse(&refusals, &format!("t{tenant}"), 1, 5000);
        }
        assert!(refusals.all().len() <= TENANTS + OF_ONE);
        assert_eq!(refusals.memory.used(), weight(&refusals));
        refusals.clear();
        assert_eq!(refusals.memory.used(), 0);
    }

    #[test]
    fn refusals_keep_to_the_limit() {
        let refusals = refusals(3000);
        for form in 1..100 {
            refuse(&refusals, "loud", form, form);
            refuse(&refusals, &format!("t{form}"), form, form);
            assert!(refusals.memory.used() <= 3000 && refusals.memory.used() == weight(&refusals));
        }
        assert!(!refusals.all().is_empty());
    }
}
