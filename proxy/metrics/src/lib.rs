//! What is counted. Handles are made once, so that counting is one atomic addition.
//!
//! Names follow <https://prometheus.io/docs/practices/naming/>. Each metric stands in docs/operations.md.
//!
//! # Layout
//! - `databases`: what stands for each database, and goes with it.
//! - `served`: what is counted of one request.
//! - [`tally`]: what is counted of one tenant; `tenants`: which tenants are told by their names.
//! - `levels`: what is looked up and not counted, of tenants and their servers.
//! - [`statements`]: what is counted by tenant and statement, and what was refused lately.
//! - `histogram`: durations and small numbers by their bounds.
//! - `process`: what the process takes. `text`: Prometheus' format.

#![warn(unreachable_pub)]

mod databases;
mod described;
mod histogram;
mod levels;
mod process;
mod served;
pub mod statements;
pub mod tally;
mod tenants;
mod text;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use metrics::{Counter, Gauge, counter, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use pgstrata_tenancy::Strategy;

pub use levels::{Census, Usage};
pub use process::LOG_LINES_DROPPED;
pub use served::{Kind, Naive, Served};

use self::databases::Databases;
use self::histogram::{Counts, Durations};
use self::statements::Statements;
use self::tally::{Tally, TenantSums};
use self::tenants::ByTenant;
use self::text::{Page, Type};

const STRATEGIES: [Strategy; 2] = [Strategy::SearchPath, Strategy::SchemaQualified];

/// One counter for each strategy and kind.
type ByRoute = [[Counter; Kind::ALL.len()]; STRATEGIES.len()];

/// The handles of all metrics. Each proxy has its own recorder, none is the process's.
pub struct Metrics {
    recorder: PrometheusRecorder,
    handles: Handles,
    histograms: Histograms,
    by_tenant: ByTenant,
    /// By tenant and statement.
    pub statements: Statements,
    databases: Databases,
    /// By database.
    tenants: Mutex<BTreeMap<String, Census>>,
    /// When they expire.
    certificates: Mutex<BTreeMap<String, i64>>,
    last_reload: Mutex<Option<(SystemTime, bool)>>,
}

#[derive(Default)]
struct Histograms {
    round_trips: Counts,
    wait: Durations,
    query: Durations,
    own: Durations,
}

struct Handles {
    round_trips: ByRoute,
    requests: ByRoute,
    saved: ByRoute,
    overhead: Counter,
    clients: Gauge,
    clients_total: Counter,
    refused: Counter,
    server_connects: Counter,
    server_connect_errors: Counter,
    servers_lost: Counter,
    plan_hits: Counter,
    plan_misses: Counter,
    plan_bytes: Gauge,
    analysis_pauses: Counter,
    cancels: Counter,
    cancels_passed_on: Counter,
    cancels_not_passed_on: Counter,
    server_prepares: Counter,
    parses_spared: Counter,
    prepared: Gauge,
    ddl_notifications: Counter,
    catalog_loads: Counter,
    catalog_waits: Counter,
    tenant_notifications: Counter,
    held: Gauge,
    reloads: Counter,
    reloads_failed: Counter,
}

fn by_route(name: &'static str) -> ByRoute {
    STRATEGIES.map(|strategy| {
        Kind::ALL.map(|kind| counter!(name, "strategy" => strategy.as_str(), "kind" => kind.as_str()))
    })
}

fn at(counters: &ByRoute, strategy: Strategy, kind: Kind) -> Option<&Counter> {
    let row = STRATEGIES.iter().position(|s| *s == strategy)?;
    let column = Kind::ALL.iter().position(|k| *k == kind)?;
    counters.get(row)?.get(column)
}

impl Metrics {
    /// All metrics, at zero. So many tenants have series of their own; nothing is counted by statement.
    pub fn new(tenants: usize) -> Self {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handles = metrics::with_local_recorder(&recorder, Handles::new);
        let histograms = Histograms::default();
        let by_tenant = ByTenant::new(tenants);
        Self {
            recorder,
            handles,
            histograms,
            by_tenant,
            statements: Statements::new(0),
            databases: Databases::default(),
            tenants: Mutex::default(),
            certificates: Mutex::default(),
            last_reload: Mutex::default(),
        }
    }

    /// All of them in Prometheus' text format.
    pub fn render(&self) -> String {
        let mut page = Page::default();
        self.histograms.render(&mut page);
        self.by_tenant.render(&mut page);
        self.statements.render(&mut page);
        process::render(&mut page);
        self.render_certificates(&mut page);
        self.recorder.handle().render() + &self.render_databases() + &page.into_text()
    }

    /// All that is known of one tenant; `None` if it has had no client.
    pub fn render_tenant(&self, tenant: &str) -> Option<String> {
        self.by_tenant.render_one(tenant).map(Page::into_text)
    }

    /// What was counted of each tenant that has had a client, by database and tenant.
    pub fn tenants_seen(&self) -> Vec<(Box<str>, Box<str>, TenantSums)> {
        self.by_tenant.all()
    }

    /// What is counted of a tenant. For each tenant that is looked up, not for each request.
    pub fn tally(&self, database: &str, tenant: &str) -> Arc<Tally> {
        self.by_tenant.of(database, tenant)
    }

    /// PostgreSQL has answered a request: one message or pipeline.
    pub fn request(&self, served: &Served, tenant: Option<&Tally>) {
        let Served { strategy, kind, .. } = *served;
        if let Some(counter) = at(&self.handles.requests, strategy, kind) {
            counter.increment(1);
        }
        if let Some(counter) = at(&self.handles.round_trips, strategy, kind) {
            counter.increment(served.round_trips);
        }
        let saved = served.saved();
        if let Some(counter) = at(&self.handles.saved, strategy, kind).filter(|_| saved > 0) {
            counter.increment(saved);
        }
        self.histograms.round_trips.record(served.round_trips);
        self.histograms.query.record(served.query);
        self.histograms.own.record(served.own);
        if let Some(tenant) = tenant {
            tenant.request(served);
        }
    }

    /// A wait on a server that no client's message asked for: a check, a rollback, a clean-up.
    pub fn overhead_round_trip(&self) {
        self.handles.overhead.increment(1);
    }

    /// A client got a server after so long, or none.
    pub fn waited(&self, took: Duration) {
        self.histograms.wait.record(took);
    }

    /// A client got in.
    pub fn client_in(&self) {
        self.handles.clients.increment(1);
        self.handles.clients_total.increment(1);
    }

    /// A client that had got in is gone.
    pub fn client_out(&self) {
        self.handles.clients.decrement(1);
    }

    /// A client was turned away.
    pub fn client_refused(&self) {
        self.handles.refused.increment(1);
    }

    /// A server logged in.
    pub fn server_connected(&self) {
        self.handles.server_connects.increment(1);
    }

    /// A server could not be had.
    pub fn server_connect_failed(&self) {
        self.handles.server_connect_errors.increment(1);
    }

    /// A server broke while a client had it.
    pub fn server_lost(&self) {
        self.handles.servers_lost.increment(1);
    }

    /// A valid cancel request came in.
    pub fn cancelled(&self) {
        self.handles.cancels.increment(1);
    }

    /// A cancel request for a client of another proxy went there, or did not.
    pub fn passed_cancel_on(&self, sent: bool) {
        let counter =
            if sent { &self.handles.cancels_passed_on } else { &self.handles.cancels_not_passed_on };
        counter.increment(1);
    }

    /// A statement was prepared on a server because the client's server changed.
    pub fn prepared_on_demand(&self) {
        self.handles.server_prepares.increment(1);
    }

    /// An unnamed statement was not sent: its server has it prepared.
    pub fn parse_spared(&self) {
        self.handles.parses_spared.increment(1);
    }

    /// A client was sent an error with this SQLSTATE.
    pub fn error(&self, sqlstate: &[u8]) {
        let class = class_of(sqlstate).to_owned();
        self.record(|| counter!("pgstrata_errors_total", "class" => class).increment(1));
    }

    /// A client was tied to its server.
    pub fn pinned(&self, reason: &'static str) {
        self.record(|| {
            counter!("pgstrata_pins_total", "reason" => reason).increment(1);
            gauge!("pgstrata_clients_pinned", "reason" => reason).increment(1);
        });
    }

    /// That is over.
    pub fn unpinned(&self, reason: &'static str) {
        self.record(|| gauge!("pgstrata_clients_pinned", "reason" => reason).decrement(1));
    }

    /// The guard refused a statement with this SQLSTATE.
    pub fn guarded(&self, code: &'static str) {
        self.record(|| counter!("pgstrata_statements_refused_total", "code" => code).increment(1));
    }

    /// A limit of that name held a client up; `by`: it is a database's, a tenant's or a user's.
    pub fn limited(&self, limit: &'static str, by: &'static str) {
        self.record(|| counter!("pgstrata_limited_total", "limit" => limit, "by" => by).increment(1));
    }

    /// What would have become of a text, had it been routed.
    pub fn observed(&self, would: &'static str) {
        self.record(|| counter!("pgstrata_observed_total", "would" => would).increment(1));
    }

    /// The plan cache's own counts.
    pub fn plan_cache(&self, hits: u64, misses: u64, bytes: u64) {
        self.handles.plan_hits.absolute(hits);
        self.handles.plan_misses.absolute(misses);
        self.handles.plan_bytes.set(bytes as f64);
    }

    /// How many long texts have waited for their tenant's part of a processor.
    pub fn analysis_pauses(&self, pauses: u64) {
        self.handles.analysis_pauses.absolute(pauses);
    }

    /// How many statements clients have prepared, those that are the same taken as one.
    pub fn prepared(&self, statements: usize) {
        self.handles.prepared.set(statements as f64);
    }

    /// The servers of one database, by what they do, and how many the shared pool may have.
    pub fn servers(&self, database: &str, idle: usize, active: usize, waiting: usize, most: usize) {
        let set = |name, state, n: usize| self.databases.set(name, database, state, n as f64);
        set("pgstrata_servers", Some(("state", "idle")), idle);
        set("pgstrata_servers", Some(("state", "active")), active);
        set("pgstrata_clients_waiting", None, waiting);
        set("pgstrata_servers_limit", None, most);
    }

    /// The servers among them that tenants have of their own, all tenants taken together.
    pub fn tenant_servers(&self, database: &str, usage: &Usage) {
        let set = |name, state, n: usize| self.databases.set(name, database, state, n as f64);
        set("pgstrata_tenant_servers", Some(("state", "idle")), usage.idle);
        set("pgstrata_tenant_servers", Some(("state", "active")), usage.active);
        set("pgstrata_tenant_pools", None, usage.pools);
    }

    /// Whether a readiness probe has found the database able to serve.
    pub fn ready(&self, database: &str, serves: bool) {
        self.databases.set("pgstrata_ready", database, None, f64::from(u8::from(serves)));
    }

    /// There are these databases, by the names that the others here are given: nothing is shown of any other one.
    pub fn keep_databases(&self, names: &[&str]) {
        self.databases.retain(|name| names.contains(&name));
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        tenants.retain(|name, _| names.contains(&name.as_str()));
    }

    /// What a tenant's schema holds is loaded.
    pub fn catalog_load(&self) {
        self.handles.catalog_loads.increment(1);
    }

    /// A statement waits until it is.
    pub fn catalog_wait(&self) {
        self.handles.catalog_waits.increment(1);
    }

    /// PostgreSQL told of DDL.
    pub fn notified_of_ddl(&self) {
        self.handles.ddl_notifications.increment(1);
    }

    /// PostgreSQL told of a change in the registry.
    pub fn notified_of_tenant(&self) {
        self.handles.tenant_notifications.increment(1);
    }

    /// Whether PostgreSQL would tell of changes in this database's registry, and `ddl`: of DDL.
    pub fn listening(&self, database: &str, listening: bool, ddl: bool) {
        let set = |name| self.databases.set(name, database, None, f64::from(u8::from(listening)));
        set("pgstrata_tenants_listening");
        if ddl {
            set("pgstrata_catalog_listening");
        }
    }

    /// The configuration was read again; `well`: and acts.
    pub fn reloaded(&self, well: bool) {
        match well {
            true => self.handles.reloads.increment(1),
            false => self.handles.reloads_failed.increment(1),
        }
        *self.last_reload.lock().unwrap_or_else(PoisonError::into_inner) = Some((SystemTime::now(), well));
    }

    /// When the configuration was last read again, and whether it acts; `None`: not since the start.
    pub fn last_reload(&self) -> Option<(SystemTime, bool)> {
        *self.last_reload.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These are the certificates in use, and the times when they expire.
    pub fn certificates(&self, expiries: &BTreeMap<String, i64>) {
        *self.certificates.lock().unwrap_or_else(PoisonError::into_inner) = expiries.clone();
    }

    fn render_certificates(&self, page: &mut Page) {
        let expiries = self.certificates.lock().unwrap_or_else(PoisonError::into_inner);
        if expiries.is_empty() {
            return;
        }
        let name = "pgstrata_tls_certificate_expiry_seconds";
        page.family(
            name,
            Type::Gauge,
            "When a certificate that the configuration names expires, in Unix time.",
        );
        for (certificate, time) in &*expiries {
            page.sample(name, &[("certificate", certificate)], *time);
        }
    }

    /// A client waits until its tenant is served.
    pub fn held(&self) {
        self.handles.held.increment(1);
    }

    /// That is over.
    pub fn let_go(&self) {
        self.handles.held.decrement(1);
    }

    /// How many tenants this database has; `None` where that is not known.
    pub fn tenants(&self, database: &str, census: Option<Census>) {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        match census {
            Some(census) => drop(tenants.insert(database.to_owned(), census)),
            None => drop(tenants.remove(database)),
        }
    }

    /// In a recorder of their own, made each time: in the other one, a database that is no longer configured and a
    /// version that no tenant has any more would stay for ever.
    fn render_databases(&self) -> String {
        let tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            described::describe_databases();
            self.databases.record();
            for (database, census) in &tenants {
                let set = |name: &'static str, label: &'static str, counts: &BTreeMap<String, i64>| {
                    for (value, count) in counts {
                        let labels = [("database", database.clone()), (label, value.clone())];
                        gauge!(name, &labels).set(*count as f64);
                    }
                };
                set("pgstrata_tenants", "state", &census.states);
                set("pgstrata_tenants_by_version", "version", &census.versions);
            }
        });
        recorder.handle().render()
    }

    /// For metrics whose labels are not known beforehand.
    fn record(&self, with: impl FnOnce()) {
        metrics::with_local_recorder(&self.recorder, with);
    }
}

impl Handles {
    fn new() -> Self {
        described::describe();
        // There from the start: a series that begins with its first refusal hides that from a rate.
        for code in ["42501", "0A000"] {
            counter!("pgstrata_statements_refused_total", "code" => code).absolute(0);
        }
        gauge!("pgstrata_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
        Self {
            round_trips: by_route("pgstrata_round_trips_total"),
            requests: by_route("pgstrata_requests_total"),
            overhead: counter!("pgstrata_overhead_round_trips_total"),
            saved: by_route("pgstrata_saved_round_trips_total"),
            clients: gauge!("pgstrata_clients"),
            clients_total: counter!("pgstrata_clients_accepted_total"),
            refused: counter!("pgstrata_clients_refused_total"),
            server_connects: counter!("pgstrata_server_connects_total"),
            server_connect_errors: counter!("pgstrata_server_connect_errors_total"),
            servers_lost: counter!("pgstrata_servers_lost_total"),
            plan_hits: counter!("pgstrata_plan_cache_hits_total"),
            plan_misses: counter!("pgstrata_plan_cache_misses_total"),
            plan_bytes: gauge!("pgstrata_plan_cache_bytes"),
            analysis_pauses: counter!("pgstrata_analysis_pauses_total"),
            cancels: counter!("pgstrata_cancel_requests_total"),
            cancels_passed_on: counter!("pgstrata_peer_cancel_requests_total", "result" => "sent"),
            cancels_not_passed_on: counter!("pgstrata_peer_cancel_requests_total", "result" => "failed"),
            server_prepares: counter!("pgstrata_server_prepares_total"),
            parses_spared: counter!("pgstrata_parses_spared_total"),
            prepared: gauge!("pgstrata_prepared_statements"),
            catalog_loads: counter!("pgstrata_catalog_loads_total"),
            catalog_waits: counter!("pgstrata_catalog_waits_total"),
            ddl_notifications: counter!("pgstrata_catalog_notifications_total"),
            tenant_notifications: counter!("pgstrata_tenants_notifications_total"),
            held: gauge!("pgstrata_clients_held"),
            reloads: counter!("pgstrata_config_reloads_total", "result" => "ok"),
            reloads_failed: counter!("pgstrata_config_reloads_total", "result" => "failed"),
        }
    }
}

impl Histograms {
    fn render(&self, page: &mut Page) {
        let name = "pgstrata_request_round_trips";
        page.family(name, Type::Histogram, "Waits on PostgreSQL for one request.");
        self.round_trips.render(page, name, &[]);
        let mut put = |name, help, durations: &Durations| {
            page.family(name, Type::Histogram, help);
            durations.render(page, name, &[]);
        };
        put("pgstrata_server_wait_seconds", "How long clients waited for a server.", &self.wait);
        put(
            "pgstrata_query_seconds",
            "From a request's first byte sent to PostgreSQL to its last byte answered.",
            &self.query,
        );
        put(
            "pgstrata_proxy_seconds",
            "The proxy's own time for a request, before PostgreSQL got it and behind its answer.",
            &self.own,
        );
    }
}

/// The first two characters of a SQLSTATE, so that no input can make a new series for each error.
fn class_of(sqlstate: &[u8]) -> &str {
    let class = sqlstate.get(..2).filter(|class| class.iter().all(u8::is_ascii_alphanumeric));
    class.and_then(|class| std::str::from_utf8(class).ok()).unwrap_or("XX")
}
