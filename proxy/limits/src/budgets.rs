//! The budgets of one database.
//!
//! Tenants and users have one as long as somebody uses it: a client, or what is known of a tenant. So there are no more
//! of them than of those, and the sweep that forgets the others costs each new one the same.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::budget::{Budget, Holder, Tenant};
use crate::config::{Config, Limit, LimitTable, TenantLimits, Time};

/// With fewer than that, nobody looks for those that can be forgotten.
const FEW: usize = 64;

/// All budgets of one database.
#[derive(Debug)]
pub struct Budgets {
    database: Arc<Budget>,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    rules: Rules,
    tenants: Known<Tenant>,
    users: Known<Arc<str>>,
}

/// What the newest configuration says.
#[derive(Debug)]
struct Rules {
    tenants: TenantLimits,
    users: BTreeMap<String, LimitTable>,
}

impl Rules {
    fn of(config: &Config) -> Self {
        Self { tenants: config.tenant_limits.clone(), users: config.limits_of_users() }
    }

    fn of_user(&self, user: &str) -> LimitTable {
        self.users.get(user).cloned().unwrap_or_default()
    }
}

/// Budgets that somebody uses, and some that nobody does any more.
#[derive(Debug)]
struct Known<K> {
    all: HashMap<K, Weak<Budget>>,
    sweep_at: usize,
}

impl<K: Eq + std::hash::Hash + Clone> Known<K> {
    fn new() -> Self {
        Self { all: HashMap::new(), sweep_at: FEW }
    }

    fn of(&mut self, key: &K, make: impl FnOnce() -> Arc<Budget>) -> Arc<Budget> {
        if let Some(budget) = self.all.get(key).and_then(Weak::upgrade) {
            return budget;
        }
        if self.all.len() >= self.sweep_at {
            self.all.retain(|_, budget| budget.strong_count() > 0);
            self.sweep_at = (self.all.len() * 2).max(FEW);
        }
        let budget = make();
        self.all.insert(key.clone(), Arc::downgrade(&budget));
        budget
    }

    fn used(&self) -> impl Iterator<Item = Arc<Budget>> {
        self.all.values().filter_map(Weak::upgrade)
    }
}

/// The three budgets of one client.
#[derive(Clone, Debug)]
pub struct Three {
    /// Its tenant's.
    pub tenant: Arc<Budget>,
    /// Its user's.
    pub user: Arc<Budget>,
    /// Its database's.
    pub database: Arc<Budget>,
}

impl Three {
    /// All of them, the narrowest first.
    pub fn all(&self) -> [&Arc<Budget>; 3] {
        [&self.tenant, &self.user, &self.database]
    }

    /// Whether requests are counted by one of them.
    #[inline]
    pub fn are_rated(&self) -> bool {
        self.all().iter().any(|budget| budget.is_rated())
    }

    /// The time until a request may be sent, by all of them, which is to be sent then. The error, and nothing is
    /// counted: by one of them that is longer than `patience`.
    pub fn take_turn(&self, now: Instant, patience: Duration) -> Result<Duration, Arc<Budget>> {
        let (all, mut wait) = (self.all(), Duration::ZERO);
        for (at, budget) in all.iter().enumerate() {
            let Some(own) = budget.take_turn(now, patience) else {
                all.iter().take(at).for_each(|taken| taken.give_turn_back());
                return Err(Arc::clone(budget));
            };
            wait = wait.max(own);
        }
        Ok(wait)
    }

    /// The request will not be sent.
    pub fn give_turn_back(&self) {
        self.all().iter().for_each(|budget| budget.give_turn_back());
    }

    /// The smallest of one of their times, and whose it is.
    pub fn narrowest(&self, time: Time) -> Option<(Limit<Duration>, &Holder)> {
        let each = |budget: &&Arc<Budget>| time(&budget.limits()).cloned();
        let all = self.all().into_iter().filter_map(|budget| Some((each(&budget)?, budget.holder())));
        all.min_by_key(|(limit, _)| limit.value)
    }
}

impl Budgets {
    /// Those of the database of that name.
    pub fn new(database: &str, config: &Config) -> Self {
        let holder = Holder::Database(database.into());
        let inner = Inner { rules: Rules::of(config), tenants: Known::new(), users: Known::new() };
        let database = Budget::new(holder, config.limits_of_database(database));
        Self { database, inner: Mutex::new(inner) }
    }

    /// Go by that configuration from now on, those that are in use included.
    pub fn change(&self, config: &Config) {
        let mut inner = self.lock();
        inner.rules = Rules::of(config);
        if let Some(name) = self.database.holder().name() {
            self.database.change(config.limits_of_database(name));
        }
        for budget in inner.tenants.used().chain(inner.users.used()) {
            budget.change(match budget.holder() {
                Holder::Tenant(tenant) => inner.rules.tenants.of_tenant(tenant.as_deref()),
                Holder::User(user) => inner.rules.of_user(user),
                Holder::Database(_) => continue,
            });
        }
    }

    /// The tenant's; `None`: that of all clients with no tenant.
    pub fn of_tenant(&self, tenant: &Tenant) -> Arc<Budget> {
        let Inner { rules, tenants, .. } = &mut *self.lock();
        tenants.of(tenant, || {
            Budget::new(Holder::Tenant(tenant.clone()), rules.tenants.of_tenant(tenant.as_deref()))
        })
    }

    /// The user's.
    pub fn of_user(&self, user: &str) -> Arc<Budget> {
        let Inner { rules, users, .. } = &mut *self.lock();
        let name: Arc<str> = user.into();
        users.of(&name, || Budget::new(Holder::User(Arc::clone(&name)), rules.of_user(user)))
    }

    /// The database's.
    pub fn of_database(&self) -> &Arc<Budget> {
        &self.database
    }

    /// All that are in use: the database's, then those of tenants and of users, by their names.
    pub fn used(&self) -> Vec<Arc<Budget>> {
        let inner = self.lock();
        let mut all: Vec<_> = inner.tenants.used().chain(inner.users.used()).collect();
        drop(inner);
        all.sort_by(|one, other| {
            let key = |budget: &Budget| (budget.holder().level(), budget.holder().name().map(str::to_owned));
            key(one).cmp(&key(other))
        });
        std::iter::once(Arc::clone(&self.database)).chain(all).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "budgets_tests.rs"]
mod tests;
