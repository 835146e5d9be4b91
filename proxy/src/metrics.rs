//! What is counted. Handles are made once, so that counting is one atomic addition.
//!
//! Names follow <https://prometheus.io/docs/practices/naming/>.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge,
    histogram,
};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use pgstrata_tenancy::Strategy;

use crate::catalog::census::Census;
use crate::pool::tenants::Usage;
use crate::sql::plan::PinReason;

/// What a round trip to PostgreSQL was for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// A tenant's statement that only reads.
    TenantRead,
    /// A tenant's statement that may write.
    TenantWrite,
    /// A statement that reaches no tenant's schema, transaction control among them.
    #[default]
    Shared,
}

impl Kind {
    const ALL: [Self; 3] = [Self::TenantRead, Self::TenantWrite, Self::Shared];

    fn as_str(self) -> &'static str {
        match self {
            Kind::TenantRead => "tenant_read",
            Kind::TenantWrite => "tenant_write",
            Kind::Shared => "shared",
        }
    }
}

const STRATEGIES: [Strategy; 2] = [Strategy::SearchPath, Strategy::SchemaQualified];

/// Bounds of the duration histograms, in seconds: 50 us to 100 s.
const SECONDS: [f64; 16] = [
    0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0,
    100.0,
];

/// One counter for each strategy and kind.
type ByRoute = [[Counter; 3]; 2];

/// The handles of all metrics. Each proxy has its own recorder, none is the process's.
pub struct Metrics {
    recorder: PrometheusRecorder,
    handles: Handles,
    /// By database.
    tenants: Mutex<BTreeMap<String, Census>>,
}

struct Handles {
    round_trips: ByRoute,
    requests: ByRoute,
    overhead: Counter,
    wait: Histogram,
    query: Histogram,
    clients: Gauge,
    clients_total: Counter,
    refused: Counter,
    server_connects: Counter,
    server_connect_errors: Counter,
    servers_lost: Counter,
    plan_hits: Counter,
    plan_misses: Counter,
    plan_bytes: Gauge,
    cancels: Counter,
    server_prepares: Counter,
    guarded: Counter,
    ddl_notifications: Counter,
    tenant_notifications: Counter,
    held: Gauge,
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
    /// All metrics, at zero.
    pub fn new() -> Result<Self, BuildError> {
        let builder = PrometheusBuilder::new();
        let builder = builder.set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)?;
        let recorder = builder.build_recorder();
        let made = metrics::with_local_recorder(&recorder, Handles::new);
        Ok(Self { recorder, handles: made, tenants: Mutex::default() })
    }

    /// Keeps the histograms small.
    pub fn handle(&self) -> PrometheusHandle {
        self.recorder.handle()
    }

    /// All of them in Prometheus' text format.
    pub fn render(&self) -> String {
        self.recorder.handle().render() + &self.render_tenants()
    }

    /// A client was served: one message or pipeline, answered after so many waits on the server.
    pub fn request(&self, strategy: Strategy, kind: Kind, round_trips: u64, took: Duration) {
        if let Some(counter) = at(&self.handles.requests, strategy, kind) {
            counter.increment(1);
        }
        if let Some(counter) = at(&self.handles.round_trips, strategy, kind) {
            counter.increment(round_trips);
        }
        self.handles.query.record(took);
    }

    /// A wait on a server that no client's message asked for: a check, a rollback, a clean-up.
    pub fn overhead_round_trip(&self) {
        self.handles.overhead.increment(1);
    }

    /// A client got a server after so long.
    pub fn waited(&self, took: Duration) {
        self.handles.wait.record(took);
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

    /// A statement was prepared on a server because the client's server changed.
    pub fn prepared_on_demand(&self) {
        self.handles.server_prepares.increment(1);
    }

    /// A client was sent an error with this SQLSTATE.
    pub fn error(&self, sqlstate: &[u8]) {
        // The class alone: two characters, so that no input can make a new series for each error.
        let class = sqlstate.get(..2).filter(|c| c.iter().all(u8::is_ascii_alphanumeric));
        let class = class.and_then(|c| std::str::from_utf8(c).ok()).unwrap_or("XX");
        self.record(|| counter!("pgstrata_errors_total", "class" => class.to_owned()).increment(1));
    }

    /// A client was tied to its server.
    pub fn pinned(&self, reason: PinReason) {
        self.record(|| {
            counter!("pgstrata_pins_total", "reason" => reason.as_str()).increment(1);
            gauge!("pgstrata_clients_pinned", "reason" => reason.as_str()).increment(1);
        });
    }

    /// That is over.
    pub fn unpinned(&self, reason: PinReason) {
        self.record(|| gauge!("pgstrata_clients_pinned", "reason" => reason.as_str()).decrement(1));
    }

    /// The guard refused a statement.
    pub fn guarded(&self) {
        self.handles.guarded.increment(1);
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

    /// The servers of one database, by what they do.
    pub fn servers(&self, database: &str, idle: usize, active: usize, waiting: usize) {
        let set = |state: &'static str, n: usize| {
            gauge!("pgstrata_servers", "database" => database.to_owned(), "state" => state).set(n as f64);
        };
        self.record(|| {
            set("idle", idle);
            set("active", active);
            gauge!("pgstrata_clients_waiting", "database" => database.to_owned()).set(waiting as f64);
        });
    }

    /// The servers among them that tenants have of their own, all tenants taken together.
    pub fn tenant_servers(&self, database: &str, usage: &Usage) {
        let set = |state: &'static str, n: usize| {
            gauge!("pgstrata_tenant_servers", "database" => database.to_owned(), "state" => state)
                .set(n as f64);
        };
        self.record(|| {
            set("idle", usage.idle);
            set("active", usage.active);
            gauge!("pgstrata_tenant_pools", "database" => database.to_owned()).set(usage.pools as f64);
        });
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
        let set = |name: &'static str| {
            gauge!(name, "database" => database.to_owned()).set(f64::from(u8::from(listening)));
        };
        self.record(|| {
            set("pgstrata_tenants_listening");
            if ddl {
                set("pgstrata_catalog_listening");
            }
        });
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

    /// In a recorder of their own, made each time: in the other one, a version that no tenant has any more
    /// would stay for ever.
    fn render_tenants(&self) -> String {
        let tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            describe_gauge!("pgstrata_tenants", "Tenants in the registry, by state.");
            describe_gauge!("pgstrata_tenants_by_version", "Tenants in the registry, by version.");
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
        describe();
        Self {
            round_trips: by_route("pgstrata_round_trips_total"),
            requests: by_route("pgstrata_requests_total"),
            overhead: counter!("pgstrata_overhead_round_trips_total"),
            wait: histogram!("pgstrata_server_wait_seconds"),
            query: histogram!("pgstrata_query_seconds"),
            clients: gauge!("pgstrata_clients"),
            clients_total: counter!("pgstrata_clients_accepted_total"),
            refused: counter!("pgstrata_clients_refused_total"),
            server_connects: counter!("pgstrata_server_connects_total"),
            server_connect_errors: counter!("pgstrata_server_connect_errors_total"),
            servers_lost: counter!("pgstrata_servers_lost_total"),
            plan_hits: counter!("pgstrata_plan_cache_hits_total"),
            plan_misses: counter!("pgstrata_plan_cache_misses_total"),
            plan_bytes: gauge!("pgstrata_plan_cache_bytes"),
            cancels: counter!("pgstrata_cancel_requests_total"),
            server_prepares: counter!("pgstrata_server_prepares_total"),
            guarded: counter!("pgstrata_statements_refused_total"),
            ddl_notifications: counter!("pgstrata_catalog_notifications_total"),
            tenant_notifications: counter!("pgstrata_tenants_notifications_total"),
            held: gauge!("pgstrata_clients_held"),
        }
    }
}

fn describe() {
    describe_counter!("pgstrata_round_trips_total", "Waits on PostgreSQL for clients' requests.");
    describe_counter!(
        "pgstrata_requests_total",
        "Requests of clients: a Query message, or a pipeline up to its Sync."
    );
    describe_counter!(
        "pgstrata_overhead_round_trips_total",
        "Waits on PostgreSQL that no client asked for: checks, rollbacks, clean-ups."
    );
    describe_histogram!("pgstrata_server_wait_seconds", "How long clients waited for a server.");
    describe_histogram!(
        "pgstrata_query_seconds",
        "From a request's first byte sent to PostgreSQL to its last byte answered."
    );
    describe_gauge!("pgstrata_clients", "Clients that are logged in.");
    describe_counter!("pgstrata_clients_accepted_total", "Clients that logged in.");
    describe_counter!("pgstrata_clients_refused_total", "Clients that were turned away.");
    describe_counter!("pgstrata_server_connects_total", "Servers that logged in to PostgreSQL.");
    describe_counter!("pgstrata_server_connect_errors_total", "Servers that could not be had.");
    describe_counter!("pgstrata_servers_lost_total", "Servers that broke while a client had them.");
    describe_counter!("pgstrata_plan_cache_hits_total", "Texts whose shape was known.");
    describe_counter!("pgstrata_plan_cache_misses_total", "Texts that had to be analysed.");
    describe_gauge!("pgstrata_plan_cache_bytes", "What the cached plans weigh.");
    describe_counter!("pgstrata_cancel_requests_total", "Cancel requests with a valid key.");
    describe_counter!(
        "pgstrata_server_prepares_total",
        "Statements that were prepared again on another server."
    );
    describe_counter!("pgstrata_errors_total", "Errors sent to clients, by SQLSTATE class.");
    describe_counter!("pgstrata_pins_total", "Times that a client was tied to its server, by reason.");
    describe_gauge!("pgstrata_clients_pinned", "Clients that are tied to their server now, by reason.");
    describe_counter!("pgstrata_statements_refused_total", "Statements that the guard refused.");
    describe_counter!(
        "pgstrata_observed_total",
        "In observe mode: texts, by what would have become of them."
    );
    describe_counter!("pgstrata_catalog_notifications_total", "Notifications of DDL from PostgreSQL.");
    describe_gauge!("pgstrata_catalog_listening", "Whether PostgreSQL would tell of DDL: 1 or 0.");
    describe_counter!(
        "pgstrata_tenants_notifications_total",
        "Notifications of changes in the registry from PostgreSQL."
    );
    describe_gauge!(
        "pgstrata_tenants_listening",
        "Whether PostgreSQL would tell of changes in the registry: 1 or 0."
    );
    describe_gauge!("pgstrata_clients_held", "Clients that wait until their tenant is served.");
    describe_gauge!("pgstrata_servers", "Servers by state.");
    describe_gauge!(
        "pgstrata_tenant_servers",
        "The servers among them that are logged in as a tenant's role, by state."
    );
    describe_gauge!("pgstrata_tenant_pools", "Tenants that have servers of their own now.");
    describe_gauge!("pgstrata_clients_waiting", "Clients that wait for a server.");
}
