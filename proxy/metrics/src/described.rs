//! What the metrics of the recorder are, for those who read the page.

use metrics::{describe_counter, describe_gauge};

/// Describes them to the recorder that is in force.
pub(super) fn describe() {
    describe_counter!("pgstrata_round_trips_total", "Network round trips to PostgreSQL for client requests.");
    describe_counter!(
        "pgstrata_requests_total",
        "Client requests: a Query message, or a pipeline up to its Sync."
    );
    describe_counter!(
        "pgstrata_overhead_round_trips_total",
        "Network round trips to PostgreSQL of the proxy's own: checks, rollbacks, resets."
    );
    describe_gauge!("pgstrata_clients", "Authenticated client connections.");
    describe_counter!("pgstrata_clients_accepted_total", "Client logins accepted.");
    describe_counter!("pgstrata_clients_refused_total", "Client logins refused.");
    describe_counter!("pgstrata_server_connects_total", "Server connections established.");
    describe_counter!("pgstrata_server_connect_errors_total", "Failed server connection attempts.");
    describe_counter!("pgstrata_servers_lost_total", "Server connections lost while in use.");
    describe_counter!("pgstrata_plan_cache_hits_total", "Queries planned from the plan cache.");
    describe_counter!(
        "pgstrata_plan_cache_misses_total",
        "Queries analysed because the plan cache had no entry."
    );
    describe_gauge!("pgstrata_plan_cache_bytes", "Memory used by cached plans, in bytes.");
    describe_counter!(
        "pgstrata_analysis_pauses_total",
        "Long texts that waited because their tenant's texts took more than its part of a processor."
    );
    describe_counter!("pgstrata_cancel_requests_total", "Cancel requests with a valid key.");
    describe_counter!(
        "pgstrata_peer_cancel_requests_total",
        "Cancel requests with an unknown key that were passed on to another proxy."
    );
    describe_counter!("pgstrata_server_prepares_total", "Client statements prepared on a further server.");
    describe_counter!(
        "pgstrata_parses_spared_total",
        "Unnamed statements that their server had prepared already."
    );
    describe_counter!("pgstrata_errors_total", "Errors sent to clients, by SQLSTATE class.");
    describe_counter!("pgstrata_pins_total", "Pins of a client to its server, by reason.");
    describe_gauge!("pgstrata_clients_pinned", "Clients pinned to their server, by reason.");
    describe_counter!(
        "pgstrata_limited_total",
        "Logins and requests that a limit delayed or refused, by limit and owner."
    );
    describe_counter!("pgstrata_statements_refused_total", "Statements that the guard refused, by SQLSTATE.");
    describe_counter!(
        "pgstrata_observed_total",
        "Observe mode: queries, by the route they would have taken."
    );
    describe_counter!("pgstrata_catalog_loads_total", "Loads of a tenant's catalog.");
    describe_counter!("pgstrata_catalog_waits_total", "Statements that waited for a load of the catalog.");
    describe_counter!("pgstrata_catalog_notifications_total", "DDL notifications received.");
    describe_counter!("pgstrata_tenants_notifications_total", "Registry-change notifications received.");
    describe_gauge!(
        "pgstrata_clients_held",
        "Clients waiting for a tenant that is being created or migrated."
    );
    describe_counter!(
        "pgstrata_saved_round_trips_total",
        "Network round trips saved, compared with BEGIN; SET LOCAL search_path; ...; COMMIT."
    );
    describe_gauge!("pgstrata_prepared_statements", "Distinct prepared statements of clients.");
    describe_counter!("pgstrata_config_reloads_total", "Configuration reloads, by result.");
    describe_gauge!("pgstrata_build_info", "Always 1; the version is a label.");
}

/// The same of the gauges that go with their database.
pub(super) fn describe_databases() {
    describe_gauge!(
        "pgstrata_catalog_listening",
        "DDL-notification listener state: 1 connected, 0 disconnected."
    );
    describe_gauge!(
        "pgstrata_tenants_listening",
        "Registry-change listener state: 1 connected, 0 disconnected."
    );
    describe_gauge!("pgstrata_servers", "Server connections, by state.");
    describe_gauge!(
        "pgstrata_tenant_servers",
        "Server connections that logged in as a tenant's role, by state."
    );
    describe_gauge!("pgstrata_tenant_pools", "Tenants with a server pool of their own.");
    describe_gauge!("pgstrata_clients_waiting", "Clients waiting for a server.");
    describe_gauge!("pgstrata_servers_limit", "Maximum number of servers in the shared pool.");
    describe_gauge!(
        "pgstrata_ready",
        "Whether the last readiness probe found the database able to serve: 1 yes, 0 no."
    );
    describe_gauge!("pgstrata_tenants", "Tenants in the registry, by state.");
    describe_gauge!("pgstrata_tenants_by_version", "Tenants in the registry, by version.");
}
