//! What the proxy's configuration is to be.

use std::fmt::Write;

use pgstrata_tenancy::{Strategy, Tier};

use crate::database::wished_hardening;
use crate::roles;

/// Both strategies: what one does, the other must do too.
pub const STRATEGIES: [Strategy; 2] = [Strategy::SearchPath, Strategy::SchemaQualified];

/// A proxy's configuration, and what stands between it and PostgreSQL.
#[derive(Clone, Debug)]
pub struct Setup {
    strategy: Strategy,
    pub(crate) tier: Tier,
    pub(crate) hardened: bool,
    switches: bool,
    max_servers: usize,
    relay: bool,
    tenant_cache: &'static str,
    pub(crate) max_connections: u32,
    lines: Vec<(&'static str, String)>,
    users: Vec<String>,
    tables: Vec<String>,
    replaced: Vec<(&'static str, String)>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            strategy: Strategy::SearchPath,
            tier: wished_tier(),
            hardened: wished_hardening(),
            switches: false,
            max_servers: 2,
            relay: false,
            // Nothing that is believed for a while is asked for again in a test's time.
            tenant_cache: "1h",
            max_connections: 60,
            lines: Vec::new(),
            users: Vec::new(),
            tables: Vec::new(),
            replaced: Vec::new(),
        }
    }
}

impl Setup {
    /// Two servers, by the search path; user `app` may name any tenant, and user
    /// `acme` (password `acme`) may name acme_corp.
    pub fn new() -> Self {
        Self::default()
    }

    /// How statements reach the tenant's schema.
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// How tenants are kept apart; with a role, acme_corp and globex get theirs.
    pub fn tier(mut self, tier: Tier) -> Self {
        self.tier = tier;
        self
    }

    /// With all taken away in the database that `pgstrata sql harden` takes away.
    pub fn hardened(mut self) -> Self {
        self.hardened = true;
        self
    }

    /// Users `app` and `acme` may go over to another tenant on an open connection.
    pub fn tenant_switch(mut self) -> Self {
        self.switches = true;
        self
    }

    /// User `app` may ask `EXPLAIN ROUTE`, which waits until the proxy knows what the tenant's schema holds.
    pub fn admin(self) -> Self {
        self.replace("name = 'app'\npassword = 'app'", "name = 'app'\nadmin = true\npassword = 'app'")
    }

    /// Servers at most.
    pub fn servers(mut self, count: usize) -> Self {
        self.max_servers = count;
        self
    }

    /// What PostgreSQL's `max_connections` is.
    pub fn connections(mut self, count: u32) -> Self {
        self.max_connections = count;
        self
    }

    /// With a [`crate::Relay`] between proxy and PostgreSQL.
    pub fn relay(mut self) -> Self {
        self.relay = true;
        self
    }

    /// How long it is believed that a tenant is there, or not.
    pub fn tenant_cache(mut self, time: &'static str) -> Self {
        self.tenant_cache = time;
        self
    }

    /// One more line in a section: `line("pool", "mode = 'session'")`.
    pub fn line(mut self, section: &'static str, line: impl Into<String>) -> Self {
        self.lines.push((section, line.into()));
        self
    }

    /// One more user.
    pub fn user(mut self, lines: impl Into<String>) -> Self {
        self.users.push(lines.into());
        self
    }

    /// More tables, as they stand in the file: `table("[auth_file]\npath = 'userlist.txt'")`.
    pub fn table(mut self, lines: impl Into<String>) -> Self {
        self.tables.push(lines.into());
        self
    }

    /// The file with `by` where `what` was.
    pub fn replace(mut self, what: &'static str, by: impl Into<String>) -> Self {
        self.replaced.push((what, by.into()));
        self
    }

    pub(crate) fn has_relay(&self) -> bool {
        self.relay
    }

    /// The configuration file.
    pub fn toml(&self, listen: u16, http: u16, server: u16) -> String {
        let mut text = String::new();
        let mut section = |name: &str, fixed: &str| {
            let more = self.lines.iter().filter(|(section, _)| *section == name);
            let more: String = more.map(|(_, line)| format!("{line}\n")).collect();
            write!(text, "[{name}]\n{fixed}\n{more}").unwrap();
        };
        section("listen", &format!("address = '127.0.0.1:{listen}'\nshutdown_timeout = '1s'"));
        section("http", &format!("address = '127.0.0.1:{http}'"));
        section("log", "");
        section("process", "");
        section("metrics", "");
        section("limits", "");
        let Self { strategy, tier, max_servers, tenant_cache, .. } = self;
        section("pool", &format!("max_servers = {max_servers}\nmax_servers_per_tenant = {max_servers}"));
        section("provision", "");
        let caches = format!("tenant_cache = '{tenant_cache}'\ncatalog_cache = '1h'");
        let isolation = format!("tier = '{tier}'\nlogin_key = '{}'", roles::KEY);
        section("tenancy", &format!("strategy = '{strategy}'\n{isolation}\n{caches}"));
        let server =
            format!("host = '127.0.0.1'\nport = {server}\nuser = 'app'\npassword = 'app'\ntls = 'disable'");
        section("databases.app", &server);
        for (name, tenants) in [("app", "*"), ("acme", "acme_corp")] {
            let user = format!("name = '{name}'\npassword = '{name}'\ntenants = ['{tenants}']");
            write!(text, "[[users]]\n{user}\ntenant_switch = {}\n", self.switches).unwrap();
        }
        for user in &self.users {
            write!(text, "[[users]]\n{user}\n").unwrap();
        }
        for table in &self.tables {
            writeln!(text, "{table}").unwrap();
        }
        self.replaced.iter().fold(text, |text, (what, by)| text.replacen(what, by, 1))
    }
}

/// `PGSTRATA_TEST_TIER=role` runs the tests in that tier: they hold there, too.
pub fn wished_tier() -> Tier {
    let wish = std::env::var("PGSTRATA_TEST_TIER").unwrap_or_default();
    let tiers = [Tier::Names, Tier::Role, Tier::Login];
    tiers.into_iter().find(|tier| tier.as_str() == wish).unwrap_or_default()
}
