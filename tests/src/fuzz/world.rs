//! A database in which each value of one tenant is marked, a proxy in front of it, and what must stay as it is.

use std::collections::{BTreeMap, BTreeSet};

use pgstrata::demo::postgres::Options;
use pgstrata_tenancy::{Strategy, Tier};
use tokio_postgres::Client;

use crate::database::cluster_with;
use crate::stage::{eventually, tenant_option};
use crate::{Setup, Stage, Wire};

/// Under which conditions texts are tried.
#[derive(Clone, Copy, Debug)]
pub struct Conditions {
    /// How statements reach the tenant's schema.
    pub strategy: Strategy,
    /// How tenants are kept apart.
    pub tier: Tier,
    /// `hide_other_tenants`
    pub hide: bool,
    /// Whose texts are tried: `acme`, who may name acme_corp only, or `tool`, whose SQL may carry SQL.
    pub user: &'static str,
}

/// What is to stay as it is: a hash for each thing.
pub type Fingerprint = BTreeMap<String, String>;

/// The database and the proxy.
#[derive(Debug)]
pub struct World {
    /// See there.
    pub conditions: Conditions,
    stage: Stage,
    server: Client,
    pristine: Fingerprint,
}

impl World {
    /// A new one.
    pub async fn new(conditions: Conditions) -> Self {
        let settings = [
            ("max_prepared_transactions", "10"),
            ("autovacuum", "off"),
            ("track_activities", "on"),
            ("jit", "off"),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let cluster = cluster_with(Options { max_connections: 40, settings, ..Options::default() }).await;
        let setup = Setup::new()
            .strategy(conditions.strategy)
            .tier(conditions.tier)
            .servers(2)
            .user("name = 'tool'\npassword = 'tool'\ntenants = ['*']\ndynamic_sql = 'allow'\ntenant_switch = true")
            .line("tenancy", format!("hide_other_tenants = {}", conditions.hide));
        let setup = match std::env::var("PGSTRATA_FUZZ_UNNAMED") {
            Ok(mode) if !mode.is_empty() => setup.line("pool", format!("unnamed_statements = '{mode}'")),
            _ => setup,
        };
        let stage = Stage::on(cluster, setup).await;
        let server = stage.superuser().await;
        let mut world = Self { conditions, stage, server, pristine: Fingerprint::new() };
        world.limit("400ms", "150ms").await;
        world.restore().await;
        world
    }

    /// How long statements of the servers' role may take, and wait for a lock, on servers that are opened from now on.
    pub async fn limit(&self, statement: &str, lock: &str) {
        let limits = format!(
            "ALTER ROLE app SET statement_timeout = '{statement}'; ALTER ROLE app SET lock_timeout = '{lock}'; \
             ALTER ROLE app SET idle_in_transaction_session_timeout = '30s'"
        );
        self.server.batch_execute(&limits).await.unwrap();
        self.close_servers().await;
    }

    /// Makes everything as it was at the beginning.
    pub async fn restore(&mut self) {
        self.end_prepared("true").await;
        let writable = match self.conditions.tier {
            Tier::Names => include_str!("sql/writable.sql"),
            Tier::Role | Tier::Login => "",
        };
        let (public, globex) = (include_str!("sql/public.sql"), include_str!("sql/globex.sql"));
        self.run(&format!("{public}\n{writable}\n{globex}\n{}", include_str!("sql/acme.sql"))).await;
        for statement in include_str!("sql/pending.sql").lines().filter(|line| !line.starts_with("--")) {
            self.server.batch_execute(statement).await.unwrap();
        }
        self.news().await;
        self.pristine = self.fingerprint().await;
    }

    /// Makes the schema of the tenant whose texts are tried as it was at the beginning.
    pub async fn restore_tenant(&self) {
        self.end_prepared("gid NOT LIKE 'globex%'").await;
        self.run(include_str!("sql/acme.sql")).await;
        self.news().await;
    }

    async fn run(&self, text: &str) {
        let (acme, globex) = match self.conditions.tier {
            Tier::Names => ("app", "app"),
            Tier::Role | Tier::Login => ("tenant_acme_corp", "tenant_globex"),
        };
        let text = text.replace("%ACME%", acme).replace("%GLOBEX%", globex);
        self.server.batch_execute("SET lock_timeout = '3s'").await.unwrap();
        if self.server.batch_execute(&text).await.is_err() {
            // Somebody's session holds a lock.
            let end = "SELECT pg_terminate_backend(pid, 3000) FROM pg_stat_activity WHERE usename = 'app'";
            self.server.batch_execute("ROLLBACK").await.unwrap();
            self.server.batch_execute(end).await.unwrap();
            self.server.batch_execute(&text).await.unwrap();
        }
    }

    /// Ends prepared transactions.
    async fn end_prepared(&self, which: &str) {
        let held = format!("SELECT format('ROLLBACK PREPARED %L', gid) FROM pg_prepared_xacts WHERE {which}");
        for row in self.server.query(&held, &[]).await.unwrap() {
            self.server.batch_execute(row.get(0)).await.unwrap();
        }
    }

    /// The proxy hears of what was made past it: DDL through it makes it look again.
    async fn news(&self) {
        for tenant in ["acme_corp", "globex"] {
            // It may have lost its connections a moment ago.
            eventually(None, async || {
                let option = tenant_option(tenant);
                match Wire::login(self.port(), "app", "app", &[("options", &option)]).await {
                    Ok(mut wire) => wire.simple("CREATE TABLE news (); DROP TABLE news").await.fault(),
                    Err(fault) => Some(fault),
                }
            })
            .await;
        }
    }

    /// What has changed that nobody may change, if anything has.
    pub async fn changed(&self) -> Option<String> {
        let now = self.fingerprint().await;
        let whats: BTreeSet<&String> = now.keys().chain(self.pristine.keys()).collect();
        let changed: Vec<&str> = whats
            .into_iter()
            .filter(|what| self.pristine.get(*what) != now.get(*what))
            .map(String::as_str)
            .collect();
        (!changed.is_empty()).then(|| changed.join(", "))
    }

    async fn fingerprint(&self) -> Fingerprint {
        let rows = match self.server.query(include_str!("sql/fingerprint.sql"), &[]).await {
            Ok(rows) => rows,
            // What it looks at is gone.
            Err(error) => {
                return [(
                    error.as_db_error().map_or("all", |error| error.message()).to_owned(),
                    String::new(),
                )]
                .into();
            }
        };
        rows.iter().map(|row| (row.get(0), row.get::<_, Option<String>>(1).unwrap_or_default())).collect()
    }

    /// Closes all servers of the proxy: what was wrong with one must not be found again.
    pub async fn close_servers(&self) {
        let end = "SELECT pg_terminate_backend(pid, 3000) FROM pg_stat_activity WHERE usename <> 'postgres'";
        self.server.query(end, &[]).await.unwrap();
        eventually(true, async || {
            let Ok(mut wire) = Wire::login(self.port(), "app", "app", &[]).await else { return false };
            wire.simple("SELECT 1").await.fault().is_none()
        })
        .await;
    }

    /// Where clients connect.
    pub fn port(&self) -> u16 {
        self.stage.port()
    }

    /// Where PostgreSQL itself is.
    pub fn direct_port(&self) -> u16 {
        self.stage.cluster.port()
    }

    /// PostgreSQL's superuser, past the proxy.
    pub fn server(&self) -> &Client {
        &self.server
    }

    /// What the servers of the proxy do, in words.
    pub async fn servers(&self) -> String {
        let servers = "SELECT format('%s %s %s %s %L', usename, state, wait_event, xact_start IS NOT NULL, query) \
                       FROM pg_stat_activity WHERE usename <> 'postgres'";
        let rows = self.server.query(servers, &[]).await.unwrap();
        rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>().join("; ")
    }

    /// What clients that have left have left behind, if they have.
    pub async fn left_behind(&self) -> Option<String> {
        let left = include_str!("sql/left.sql");
        // A server that was closed gives its locks and tables back a moment later.
        for _ in 0..100 {
            let rows = self.server.query(left, &[]).await.unwrap();
            if rows.is_empty() {
                return None;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let rows = self.server.query(left, &[]).await.unwrap();
        let all: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// A client of `acme_corp`; `None` where the proxy turns it away.
    pub async fn attacker(&self) -> Option<Wire> {
        let option = tenant_option("acme_corp");
        Wire::login(self.port(), self.conditions.user, self.conditions.user, &[("options", &option)])
            .await
            .ok()
    }

    /// The other tenant works, and leaves what it may leave. The error says why it can't.
    pub async fn neighbour_works(&self) -> Result<(), String> {
        let option = tenant_option("globex");
        let login = Wire::login(self.stage.port(), "app", "app", &[("options", &option)]).await;
        let mut wire = login.map_err(|fault| format!("globex can't log in: {fault:?}"))?;
        for text in [
            "SET app.secret = 'MARK_globex_setting'",
            "SELECT nextval('tokens')",
            "SELECT setval('tokens', 7701770500)",
            "SELECT count(*) FROM users WHERE secret = 'MARK_globex_secret'",
        ] {
            let mut answer = wire.simple(text).await;
            // A machine that is short of CPU may take longer than a statement may.
            if answer.code() == "57014" {
                answer = wire.simple(text).await;
            }
            if let Some(fault) = answer.fault() {
                return Err(format!("globex gets {fault:?} for {text}"));
            }
        }
        Ok(())
    }
}
