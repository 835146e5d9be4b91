//! A stage on which PostgreSQL lets the servers' role change what tenants share: what stops a tenant there is the proxy.

use std::path::Path;

use pgstrata::config::Config;
use pgstrata::demo::background::Background;
use pgstrata_tenancy::Strategy;

use crate::setup::STRATEGIES;
use crate::stage::{eventually, free_port, http, names};
use crate::{Answer, Setup, Stage, Wire};

/// In which way a client sends its statements.
#[derive(Clone, Copy, Debug)]
pub enum Protocol {
    /// As `Query`.
    Simple,
    /// As `Parse`, `Bind` and `Execute`.
    Extended,
}

/// All of them.
pub const PROTOCOLS: [Protocol; 2] = [Protocol::Simple, Protocol::Extended];

/// Both strategies, each with both protocols.
pub fn ways() -> impl Iterator<Item = (Strategy, Protocol)> {
    STRATEGIES.into_iter().flat_map(|strategy| PROTOCOLS.map(|protocol| (strategy, protocol)))
}

/// One text, or its statements one by one where a message takes one only.
pub async fn run(wire: &mut Wire, protocol: Protocol, text: &str) -> Answer {
    match protocol {
        Protocol::Simple => wire.simple(text).await,
        Protocol::Extended => {
            let mut answer = None;
            for statement in text.split("; ") {
                let now = wire.extended(statement, &[]).await;
                let failed = now.fault().is_some();
                answer = Some(now);
                if failed {
                    break;
                }
            }
            answer.unwrap()
        }
    }
}

/// A stage on which PostgreSQL lets the servers' role do anything to what is shared.
pub async fn open(setup: Setup) -> Stage {
    let stage = Stage::new(setup.admin()).await;
    let server = stage.superuser().await;
    let roles = "app, tenant_acme_corp, tenant_globex";
    let has_roles = !names(&server, "SELECT rolname::text FROM pg_roles WHERE rolname = 'tenant_globex'")
        .await
        .is_empty();
    let to = if has_roles { roles } else { "app" };
    server
        .batch_execute(&format!(
            "CREATE TABLE public.parts (id int, name text) PARTITION BY LIST (id);
             CREATE TABLE public.parts_1 PARTITION OF public.parts FOR VALUES IN (1);
             CREATE INDEX plans_by_name ON public.plans (name);
             CREATE SEQUENCE public.numbers;
             CREATE FUNCTION public.fee(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
             CREATE TYPE public.temper AS ENUM ('calm');
             GRANT ALL ON SCHEMA public TO {to}; GRANT ALL ON ALL TABLES IN SCHEMA public TO {to};
             GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {to};
             ALTER TABLE public.plans OWNER TO app; ALTER FUNCTION public.fee(int) OWNER TO app;
             ALTER TYPE public.temper OWNER TO app; ALTER TABLE public.parts_1 OWNER TO app;
             ALTER TABLE public.parts OWNER TO app"
        ))
        .await
        .unwrap();
    stage
}

/// All that tenants share, as one text: whatever changes in it is a leak.
pub async fn shared(stage: &Stage) -> Vec<String> {
    let server = stage.superuser().await;
    let query = "
        SELECT 'plans ' || p::text FROM public.plans p
        UNION ALL SELECT 'users ' || u::text FROM public.users u
        UNION ALL SELECT 'parts ' || p::text FROM public.parts p
        UNION ALL SELECT 'numbers ' || last_value FROM public.numbers
        UNION ALL SELECT concat_ws(' ', c.relkind, c.relname, obj_description(c.oid, 'pg_class'), c.relacl,
            c.relhastriggers, c.relhasrules, c.relhassubclass)
          FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace
        UNION ALL SELECT concat_ws(' ', c.relname, a.attname, col_description(c.oid, a.attnum))
          FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
          WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0
        UNION ALL SELECT concat_ws(' ', p.proname, p.provolatile, obj_description(p.oid, 'pg_proc'))
          FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
        UNION ALL SELECT concat_ws(' ', t.typname, e.enumlabel)
          FROM pg_type t JOIN pg_enum e ON e.enumtypid = t.oid WHERE t.typnamespace = 'public'::regnamespace
        ORDER BY 1";
    names(&server, query).await
}

/// A second proxy in front of the same PostgreSQL, that is told nothing of what goes through the first.
pub struct Beside {
    _proxy: Background,
    /// Its port.
    pub port: u16,
}

impl Beside {
    /// Starts one, and waits until it listens for changes.
    pub async fn of(stage: &Stage, setup: Setup) -> Self {
        let (port, http_port) = (free_port(), free_port());
        let text = setup.admin().toml(port, http_port, stage.cluster.port());
        let config = Config::parse(&text, Path::new("beside.toml")).unwrap();
        let proxy = tokio::task::spawn_blocking(|| Background::start(config)).await.unwrap().unwrap();
        let up = "pgstrata_tenants_listening{database=\"app\"} 1";
        eventually(true, async || {
            std::net::TcpStream::connect(("127.0.0.1", http_port)).is_ok()
                && http(http_port, "/metrics").await.contains(up)
        })
        .await;
        Self { _proxy: proxy, port }
    }

    /// A connection of `tenant`'s.
    pub async fn wire(&self, tenant: &str) -> Wire {
        let option = format!("-ctenant={tenant}");
        Wire::login(self.port, "app", "app", &[("options", &option)]).await.unwrap()
    }
}

/// Returns once PostgreSQL has a session that waits for a lock.
pub async fn somebody_waits(stage: &Stage) {
    let server = stage.superuser().await;
    let waits = "SELECT query FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    eventually(true, async || !names(&server, waits).await.is_empty()).await;
}

/// Lets the proxy know what the tenant's schema holds now.
pub async fn know(wire: &mut Wire) {
    assert_eq!(wire.simple("EXPLAIN ROUTE SELECT name FROM users").await.code(), "");
}
