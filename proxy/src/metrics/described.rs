//! What the metrics of the recorder are, for those who read the page.

use metrics::{describe_counter, describe_gauge};

/// Describes them to the recorder that is in force.
pub(super) fn describe() {
    describe_counter!("pgstrata_round_trips_total", "Waits on PostgreSQL for clients' requests.");
    describe_counter!(
        "pgstrata_requests_total",
        "Requests of clients: a Query message, or a pipeline up to its Sync."
    );
    describe_counter!(
        "pgstrata_overhead_round_trips_total",
        "Waits on PostgreSQL that no client asked for: checks, rollbacks, clean-ups."
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
    describe_counter!("pgstrata_statements_refused_total", "Statements that the guard refused, by SQLSTATE.");
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
    describe_counter!(
        "pgstrata_saved_round_trips_total",
        "Waits on PostgreSQL that were spared, against BEGIN; SET LOCAL search_path; ..; COMMIT."
    );
    describe_gauge!(
        "pgstrata_prepared_statements",
        "Statements that clients have prepared, those that are the same taken as one."
    );
    describe_gauge!("pgstrata_servers_limit", "Servers that the shared pool may have.");
    describe_gauge!("pgstrata_build_info", "Always 1; the version is a label.");
}
