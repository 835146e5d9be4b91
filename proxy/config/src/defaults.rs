//! What holds where the file says nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use pgstrata_tenancy::{Strategy, Tier};

use super::{
    AuthMethod, FileMode, Http, KeySpaces, Limits, Listen, ListenTls, Log, LogFormat, Metrics, MissingTenant,
    Mode, Pool, PoolMode, Process, Provision, Secret, Tenancy, TenantSource, TimeLimits, UnnamedStatements,
    WhileMigrating,
};

/// PostgreSQL's own port.
pub(super) const SERVER_PORT: u16 = 5432;

impl Default for Listen {
    fn default() -> Self {
        Self {
            address: SocketAddr::from(([127, 0, 0, 1], 6432)),
            more_addresses: Vec::new(),
            unix_socket_dir: None,
            // As PostgreSQL's: whoever connects proves who it is all the same.
            unix_socket_mode: FileMode(0o777),
            tls: ListenTls::Off,
            tls_certificate: None,
            tls_key: None,
            tls_client_ca: None,
            tls_client_required: false,
            proxy_protocol: Vec::new(),
            peers: Vec::new(),
            auth: AuthMethod::ScramSha256,
            salt_key: Secret::default(),
            max_clients: 10_000,
            max_unauthenticated: 1_000,
            login_timeout: Duration::from_secs(15),
            failed_login_pause: Duration::from_secs(2),
            shutdown_timeout: Duration::from_secs(30),
            handover_timeout: Duration::from_secs(60),
            reuse_port: false,
        }
    }
}

impl Default for Process {
    fn default() -> Self {
        Self {
            pid_file: None,
            follow_files: Duration::from_secs(10),
            rerun_commands: Duration::from_secs(600),
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            enabled: true,
            address: SocketAddr::from(([127, 0, 0, 1], 9187)),
            max_connections: 32,
            timeout: Duration::from_secs(10),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self { tenants: 20, statements_memory: 32 << 20 }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".into(),
            format: LogFormat::Text,
            log_connections: false,
            log_disconnections: false,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            threads: 0,
            max_query_bytes: 64 << 20,
            max_buffered_bytes: 512 << 20,
            message_timeout: Duration::from_secs(300),
            max_message_bytes: 1 << 30,
            max_prepared_statements_per_client: 10_000,
            max_prepared_bytes_per_client: 64 << 20,
            max_prepared_statements_per_server: 500,
            max_prepared_bytes_per_server: 4 << 20,
            plan_cache_bytes: 64 << 20,
            query_timeout: Duration::ZERO,
            transaction_timeout: Duration::ZERO,
            idle_transaction_timeout: Duration::from_secs(600),
            client_idle_timeout: Duration::ZERO,
        }
    }
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            mode: PoolMode::Transaction,
            unnamed_statements: UnnamedStatements::Parse,
            min_servers: 0,
            max_servers: 20,
            max_servers_per_tenant: 2,
            max_tenant_servers: 40,
            wait_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(600),
            max_lifetime: Duration::from_secs(3600),
            check_after: Duration::from_secs(30),
            max_pinned: 0,
            max_logins: 8,
            tcp_user_timeout: Duration::from_secs(30),
        }
    }
}

impl Default for Tenancy {
    fn default() -> Self {
        Self {
            mode: Mode::Route,
            strategy: Strategy::SearchPath,
            tier: Tier::Names,
            role_prefix: "tenant_".into(),
            login_key: Secret::default(),
            missing_tenant: MissingTenant::Public,
            sources: vec![TenantSource::Options, TenantSource::Parameter],
            separator: '.',
            server_name: None,
            shared_schemas: vec!["public".into()],
            shared_writes: false,
            trusted_functions: Vec::new(),
            locked_settings: Vec::new(),
            time_limits: TimeLimits::default(),
            tables: BTreeMap::new(),
            tenant_cache: Duration::from_secs(10),
            catalog_cache: Duration::from_secs(60),
            catalog_notify: false,
            max_servers_per_tenant: None,
            while_migrating: WhileMigrating::Wait,
            query_comment: false,
            hide_other_tenants: false,
            keys: KeySpaces::default(),
        }
    }
}

impl Default for Provision {
    fn default() -> Self {
        Self {
            source: "public".into(),
            include: Vec::new(),
            exclude: Vec::new(),
            seed: Vec::new(),
            auto: Vec::new(),
            auto_max: 10_000,
            migrations: "migrations".into(),
            canary: Vec::new(),
            workers: 4,
            lock_timeout: Duration::from_secs(2),
            retries: 10,
        }
    }
}
