//! Limits by database, tenant and user: `[databases.NAME.limits]`, `[tenancy.limits]`, `[tenants.NAME.limits]`,
//! `[users.limits]`.
//!
//! A tenant's limits are found key by key: in its own table, else in that of the most exact pattern which has the key,
//! else in `[tenancy.limits]`. What database, tenant and user say together is no matter of this module: each of the
//! three holds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pgstrata_tenancy::Pattern;

use super::read::Section;
use super::value::{Raw, Value, Wrong};
use super::{Config, Database, Pool, Tenant};

/// A limit, and the key of the file that it comes from: `tenants.acme_corp.limits.max_clients`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit<T> {
    /// Its value.
    pub value: T,
    /// The path of its key.
    pub key: Arc<str>,
}

/// How many requests may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// In each second.
    pub per_second: u32,
    /// At once, by whoever has sent none for a while.
    pub burst: u32,
}

/// The limits of one database, tenant or user. What is left out has no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LimitTable {
    /// Clients at once that are logged in.
    pub max_clients: Option<Limit<usize>>,
    /// Servers at once.
    pub max_servers: Option<Limit<usize>>,
    /// Servers that are kept: of a tenant, those that no other gets.
    pub min_servers: Option<Limit<usize>>,
    /// Turns in a row at a server.
    pub weight: Option<Limit<usize>>,
    /// Clients at once that wait.
    pub max_waiting: Option<Limit<usize>>,
    /// Requests in a second: `requests_per_second` and `burst`.
    pub rate: Option<Limit<Rate>>,
    /// How long PostgreSQL may take for a request.
    pub query_timeout: Option<Limit<Duration>>,
    /// How long a transaction may last.
    pub transaction_timeout: Option<Limit<Duration>>,
    /// How long a client that has a server may keep it waiting.
    pub idle_transaction_timeout: Option<Limit<Duration>>,
    /// How long a client may be idle that has no transaction.
    pub client_idle_timeout: Option<Limit<Duration>>,
    /// How long a request waits for a server.
    pub query_wait_timeout: Option<Limit<Duration>>,
    /// How long it waits before its client is told.
    pub wait_notice: Option<Limit<Duration>>,
}

/// The key that stands for `tenancy.limits.max_servers`.
pub(super) const SHORTHAND: &str = "tenancy.max_servers_per_tenant";

/// One of the times in a [`LimitTable`].
pub type Time = fn(&LimitTable) -> Option<&Limit<Duration>>;

/// The times that are limited, by their keys.
pub const TIMES: [(&str, Time); 6] = [
    ("query_timeout", |table| table.query_timeout.as_ref()),
    ("transaction_timeout", |table| table.transaction_timeout.as_ref()),
    ("idle_transaction_timeout", |table| table.idle_transaction_timeout.as_ref()),
    ("client_idle_timeout", |table| table.client_idle_timeout.as_ref()),
    ("query_wait_timeout", |table| table.query_wait_timeout.as_ref()),
    ("wait_notice", |table| table.wait_notice.as_ref()),
];

impl LimitTable {
    /// Takes `tenancy.max_servers_per_tenant` for `max_servers`, where that has no key of its own.
    pub(super) fn take_shorthand(&mut self, value: Option<usize>) {
        let limit = value.map(|value| Limit { value, key: SHORTHAND.into() });
        self.max_servers = self.max_servers.take().or(limit);
    }

    /// These, and key by key those of a `wider` table where this one says nothing.
    #[must_use]
    pub fn or(self, wider: &Self) -> Self {
        macro_rules! first {
            ($($key:ident),* $(,)?) => { Self { $($key: self.$key.or_else(|| wider.$key.clone())),* } };
        }
        first!(
            max_clients, max_servers, min_servers, weight, max_waiting, rate, query_timeout,
            transaction_timeout, idle_transaction_timeout, client_idle_timeout, query_wait_timeout,
            wait_notice,
        )
    }
}

/// The limits of all tenants.
#[derive(Debug, Clone, Default)]
pub struct TenantLimits {
    /// `[tenancy.limits]`
    pub(super) default: LimitTable,
    /// `[tenants.NAME.limits]`
    named: BTreeMap<String, LimitTable>,
    /// `[tenants."trial_*".limits]`, the most exact first.
    patterns: Vec<(Pattern, LimitTable)>,
}

impl TenantLimits {
    /// Of `[tenancy.limits]` and the tables of all tenants. Gives back the tables of those that are tenants, and no
    /// patterns.
    pub(super) fn of(
        default: LimitTable,
        tables: BTreeMap<String, Tenant>,
    ) -> (Self, BTreeMap<String, Tenant>) {
        let (patterns, tenants): (Vec<_>, Vec<_>) =
            tables.into_iter().partition(|(name, _)| is_pattern(name));
        let mut patterns: Vec<_> =
            patterns.into_iter().map(|(name, table)| (Pattern::new(&name), table.limits)).collect();
        patterns.sort_by_key(|(pattern, _)| std::cmp::Reverse(exactness(pattern.as_str())));
        let tenants: BTreeMap<String, Tenant> = tenants.into_iter().collect();
        let named = tenants.iter().map(|(name, tenant)| (name.clone(), tenant.limits.clone())).collect();
        (Self { default, named, patterns }, tenants)
    }

    /// The tenants for which servers are kept, and how many.
    pub fn reserved(&self) -> impl Iterator<Item = (&str, usize)> {
        let kept = |table: &LimitTable| table.min_servers.as_ref().map(|limit| limit.value);
        self.named.iter().filter_map(move |(name, table)| Some((name.as_str(), kept(table)?)))
    }

    /// All tables, with their paths.
    pub(super) fn tables(&self) -> impl Iterator<Item = (String, &LimitTable)> {
        let default = std::iter::once(("tenancy.limits".to_owned(), &self.default));
        let named = self.named.iter().map(|(name, table)| (format!("tenants.{name}.limits"), table));
        let patterns = self.patterns.iter();
        let patterns =
            patterns.map(|(pattern, table)| (format!("tenants.{}.limits", pattern.as_str()), table));
        default.chain(named).chain(patterns)
    }

    /// Those of one tenant; `None`: of all clients that have no tenant, taken together.
    pub fn of_tenant(&self, tenant: Option<&str>) -> LimitTable {
        let Some(tenant) = tenant else { return self.default.clone() };
        let own = self.named.get(tenant).cloned().unwrap_or_default();
        let matching = self.patterns.iter().filter(|(pattern, _)| pattern.matches(tenant));
        matching.fold(own, |limits, (_, table)| limits.or(table)).or(&self.default)
    }
}

/// Whether the name of a table `[tenants.NAME]` stands for more than one tenant.
pub(super) fn is_pattern(name: &str) -> bool {
    name.contains('*')
}

/// The more letters, and the fewer stars, the more exact is a pattern.
fn exactness(pattern: &str) -> (usize, std::cmp::Reverse<usize>) {
    let stars = pattern.matches('*').count();
    (pattern.chars().count() - stars, std::cmp::Reverse(stars))
}

/// What a table of limits is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    Database,
    /// One tenant.
    Tenant,
    /// All tenants, or those of a pattern.
    Tenants,
    User,
}

/// Reads a table of limits.
pub(super) fn read(s: &mut Section<'_>, of: Of) -> LimitTable {
    // What is kept is kept for somebody; and turns are tenants' own.
    let keeps = matches!(of, Of::Database | Of::Tenant);
    let has_turns = matches!(of, Of::Tenant | Of::Tenants);
    LimitTable {
        max_clients: count(s, "max_clients"),
        max_servers: count(s, "max_servers"),
        min_servers: keeps.then(|| count(s, "min_servers")).flatten(),
        weight: has_turns.then(|| count(s, "weight")).flatten(),
        max_waiting: count(s, "max_waiting"),
        rate: rate(s),
        query_timeout: time(s, "query_timeout"),
        transaction_timeout: time(s, "transaction_timeout"),
        idle_transaction_timeout: time(s, "idle_transaction_timeout"),
        client_idle_timeout: time(s, "client_idle_timeout"),
        query_wait_timeout: time(s, "query_wait_timeout"),
        wait_notice: time(s, "wait_notice"),
    }
}

/// `max_servers` and `min_servers`, in this order, of a table that has no other limits.
pub(super) fn pool_size(s: &mut Section<'_>) -> (Option<Limit<usize>>, Option<Limit<usize>>) {
    (count(s, "max_servers"), count(s, "min_servers"))
}

fn count(s: &mut Section<'_>, key: &'static str) -> Option<Limit<usize>> {
    let AtLeastOne(value) = s.option(key)?;
    Some(Limit { value, key: s.limit_key(key) })
}

fn rate(s: &mut Section<'_>) -> Option<Limit<Rate>> {
    let (per_second, burst) = (count(s, "requests_per_second"), count(s, "burst"));
    let small = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    match (per_second, burst) {
        (Some(Limit { value, key }), burst) => {
            let per_second = small(value);
            let burst = burst.map_or(per_second, |burst| small(burst.value));
            Some(Limit { value: Rate { per_second, burst }, key })
        }
        (None, Some(_)) => {
            s.refuse("burst", "\"burst\" needs \"requests_per_second\" in the same table: add it".into());
            None
        }
        (None, None) => None,
    }
}

fn time(s: &mut Section<'_>, key: &'static str) -> Option<Limit<Duration>> {
    let SomeTime(value) = s.option(key)?;
    Some(Limit { value, key: s.limit_key(key) })
}

/// A time that is not 0.
#[derive(Debug)]
struct SomeTime(Duration);

impl Value for SomeTime {
    fn read(raw: &Raw<'_>) -> Result<Self, Wrong> {
        match Duration::read(raw)? {
            Duration::ZERO => {
                let want = "a time above 0, such as \"30s\"; leave it out for no limit";
                Err(Wrong { span: raw.span(), want: want.into() })
            }
            time => Ok(Self(time)),
        }
    }
}

/// A count of one or more.
#[derive(Debug)]
struct AtLeastOne(usize);

impl Value for AtLeastOne {
    fn read(raw: &Raw<'_>) -> Result<Self, Wrong> {
        let want = "a whole number with no quotes, 1 or more; leave it out for no limit";
        let wrong = |_| Wrong { span: raw.span(), want: want.into() };
        let number = usize::read(raw).map_err(wrong)?;
        if number == 0 { Err(wrong(Wrong { span: raw.span(), want: want.into() })) } else { Ok(Self(number)) }
    }
}

impl Config {
    /// The limits of one database: its own, and key by key those that `[limits]` and `[pool]` have for all.
    pub fn limits_of_database(&self, name: &str) -> LimitTable {
        let own = self.databases.get(name).map(|database| database.limits.clone());
        own.unwrap_or_default().or(&self.limits_of_all())
    }

    fn limits_of_all(&self) -> LimitTable {
        // There, 0 is no limit.
        let time = |value: Duration, key: &str| (!value.is_zero()).then(|| Limit { value, key: key.into() });
        let limits = &self.limits;
        LimitTable {
            query_timeout: time(limits.query_timeout, "limits.query_timeout"),
            transaction_timeout: time(limits.transaction_timeout, "limits.transaction_timeout"),
            idle_transaction_timeout: time(
                limits.idle_transaction_timeout,
                "limits.idle_transaction_timeout",
            ),
            client_idle_timeout: time(limits.client_idle_timeout, "limits.client_idle_timeout"),
            query_wait_timeout: time(self.pool.wait_timeout, "pool.wait_timeout"),
            max_servers: Some(Limit { value: self.pool.max_servers, key: "pool.max_servers".into() }),
            ..LimitTable::default()
        }
    }

    /// The pool of one database: as `[pool]` has it, but for the database's own limits.
    pub fn pool_of(&self, name: &str) -> Pool {
        let mut pool = self.pool.clone();
        if let Some(Database { limits, .. }) = self.databases.get(name) {
            let own = |limit: &Option<Limit<usize>>| limit.as_ref().map(|limit| limit.value);
            pool.max_servers = own(&limits.max_servers).unwrap_or(pool.max_servers);
            pool.min_servers = own(&limits.min_servers).unwrap_or(pool.min_servers);
        }
        pool
    }

    /// The limits of each user, by its name.
    pub fn limits_of_users(&self) -> BTreeMap<String, LimitTable> {
        self.users.iter().map(|user| (user.name.clone(), user.limits.clone())).collect()
    }
}
