//! The configuration file as types. Unknown keys are refused; defaults are production's.
//!
//! # Layout
//! - [`load`]: from the file to these types; [`read`] and [`value`] are its tools.
//! - [`check`]: contradictions, once the types are filled.
//! - [`problem`]: what is wrong with a file, and on which line.
//! - [`defaults`]: what holds where the file says nothing.
//! - [`secret`]: passwords, from the file, the environment or another file.
//! - [`pattern`]: the tenants that a user may name.
//! - [`tables`]: tables that are kept elsewhere, in layers.
//! - [`isolation`]: how a tenant is kept apart, and by which role; [`schemas`]: which schema it has.
//! - [`written`]: what differs between two readings of the file; [`effect`]: when that acts.

mod check;
mod defaults;
mod effect;
mod isolation;
mod load;
mod pattern;
mod problem;
mod read;
mod schemas;
mod secret;
mod tables;
#[cfg(test)]
mod tests;
mod value;
mod written;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use pgstrata_tenancy::{LayeredMetadataStore, Strategy, Tier};

pub use effect::{Changes, Effect};
pub use isolation::{Isolation, NoRole};
pub use load::{Os, Surroundings};
pub use problem::{ConfigError, Problem};
pub use schemas::Schemas;
pub use secret::Secret;
pub use written::Written;

pub use crate::sql::keys::{KeySpace, KeySpaces};
pub use crate::sql::level::Level;

/// The whole file.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where clients connect.
    pub listen: Listen,
    /// Where Prometheus and health checks connect.
    pub http: Http,
    /// What is counted by tenant.
    pub metrics: Metrics,
    /// What is logged, and how.
    pub log: Log,
    /// The process itself.
    pub process: Process,
    /// Threads, and what they may use.
    pub limits: Limits,
    /// The pool of servers of each database.
    pub pool: Pool,
    /// How a client names its tenant, and what the name means.
    pub tenancy: Tenancy,
    /// What new tenants are made from.
    pub provision: Provision,
    /// What differs for single tenants, by name.
    pub tenants: BTreeMap<String, Tenant>,
    /// The databases that clients can ask for, by the name that they use.
    pub databases: BTreeMap<String, Database>,
    /// Who may connect.
    pub users: Vec<User>,
    /// The tables that `tenancy` and `tenants` say are kept elsewhere, as each tenant sees them.
    pub tables: LayeredMetadataStore,
    /// The schemas that tenants would have.
    pub schemas: Schemas,
    /// What is hardly meant, but works: a line for each, with its place in the file.
    pub warnings: Vec<String>,
    /// Certificates that have expired: a line for each, as of [`Config::warnings`]. The proxy starts all the same.
    pub expired: Vec<String>,
    /// When each certificate that the file names expires, by its key's path, in seconds of Unix time: of a
    /// chain the first, of authorities the last.
    pub certificates: BTreeMap<String, i64>,
    /// The file.
    pub origin: PathBuf,
    /// What its keys come to.
    pub written: Written,
    /// Counts, over the reloads of a process, how often the keys changed that say what a tenant's names mean.
    pub meaning: u64,
}

/// `[listen]`
#[derive(Debug, Clone)]
pub struct Listen {
    /// Address and port for clients.
    pub address: SocketAddr,
    /// Whether clients can, or must, use TLS.
    pub tls: ListenTls,
    /// The certificate chain in PEM.
    pub tls_certificate: Option<PathBuf>,
    /// The certificate's private key in PEM.
    pub tls_key: Option<PathBuf>,
    /// How users prove who they are that say nothing of it, and what unknown ones are asked for.
    pub auth: AuthMethod,
    /// What salts are derived from: those of users with a password in plain text, and of unknown ones.
    pub salt_key: Secret,
    /// How many clients may be logged in at once.
    pub max_clients: usize,
    /// How many connections may be open at once whose client has not proven who it is.
    pub max_unauthenticated: usize,
    /// How long a client may take from connecting to the end of its login.
    pub login_timeout: Duration,
    /// How long clients may go on after the first SIGTERM.
    pub shutdown_timeout: Duration,
}

/// `listen.tls`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenTls {
    /// `SSLRequest` is answered with `N`.
    Off,
    /// Clients choose.
    Optional,
    /// Clients without TLS are refused.
    Required,
}

/// `[http]`
#[derive(Debug, Clone)]
pub struct Http {
    /// Whether there is an HTTP listener at all.
    pub enabled: bool,
    /// Address and port for `/metrics`, `/healthz` and `/readyz`.
    pub address: SocketAddr,
    /// How many connections may be open at once. One more closes the oldest.
    pub max_connections: usize,
    /// How long a connection may take, from its first byte to the end of its answer.
    pub timeout: Duration,
}

/// `[metrics]`
#[derive(Debug, Clone)]
pub struct Metrics {
    /// How many tenants have series of their own, those with the most traffic; the rest has one together.
    pub tenants: usize,
}

/// `[log]`
#[derive(Debug, Clone)]
pub struct Log {
    /// A `tracing` filter: `info`, `pgstrata=debug` ...
    pub level: String,
    /// One line of text or of JSON for each event.
    pub format: LogFormat,
}

/// `[process]`
#[derive(Debug, Clone, Default)]
pub struct Process {
    /// Where the number of the process stands while it serves.
    pub pid_file: Option<PathBuf>,
}

/// `log.format`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// `[limits]`
#[derive(Debug, Clone)]
pub struct Limits {
    /// Threads that serve clients. 0: one for each core.
    pub threads: usize,
    /// The longest text of a `Query` or `Parse` message, in bytes: it is held in memory.
    pub max_query_bytes: usize,
    /// The longest message of any other kind, in bytes: it is passed on piece by piece.
    pub max_message_bytes: usize,
    /// How many prepared statements one client may hold.
    pub max_prepared_statements_per_client: usize,
    /// What the texts of one client's prepared statements may weigh, in bytes.
    pub max_prepared_bytes_per_client: usize,
    /// How many prepared statements are kept on one server.
    pub max_prepared_statements_per_server: usize,
    /// What the texts of the prepared statements on one server may weigh, in bytes.
    pub max_prepared_bytes_per_server: usize,
    /// What the cached plans may weigh in all, in bytes.
    pub plan_cache_bytes: u64,
    /// How long a request may take PostgreSQL. 0: for ever; so for all of these.
    pub query_timeout: Duration,
    /// How long a transaction may last.
    pub transaction_timeout: Duration,
    /// How long a client that has a server may keep it waiting.
    pub idle_transaction_timeout: Duration,
    /// How long a client may be idle that has no transaction.
    pub client_idle_timeout: Duration,
}

/// `[pool]`
#[derive(Debug, Clone)]
pub struct Pool {
    /// When a server goes back to the pool.
    pub mode: PoolMode,
    /// Servers that are kept open even when nobody needs them.
    pub min_servers: usize,
    /// Servers at most, for each database.
    pub max_servers: usize,
    /// Servers at most of a tenant that has its own.
    pub max_servers_per_tenant: usize,
    /// Servers at most of all such tenants together, for each database.
    pub max_tenant_servers: usize,
    /// How long a client waits for a server.
    pub wait_timeout: Duration,
    /// How long connecting and logging in to PostgreSQL may take.
    pub connect_timeout: Duration,
    /// A server that nobody needed for so long is closed.
    pub idle_timeout: Duration,
    /// A server that is so old is closed at its next return.
    pub max_lifetime: Duration,
    /// A server that was idle for so long is asked whether it lives before a client gets it.
    pub check_after: Duration,
    /// How many clients of a database may be tied to a server at once. 0: as many as there are servers.
    pub max_pinned: usize,
    /// How many servers may be logging in at once.
    pub max_logins: usize,
    /// What PostgreSQL has not acknowledged for so long makes its connection a dead one.
    pub tcp_user_timeout: Duration,
}

/// `pool.mode`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolMode {
    /// At the end of each transaction.
    Transaction,
    /// When the client leaves.
    Session,
}

/// `[tenancy]`
#[derive(Debug, Clone)]
pub struct Tenancy {
    /// Whether statements are routed at all.
    pub mode: Mode,
    /// How statements reach the tenant's schema, unless the tenant says otherwise.
    pub strategy: Strategy,
    /// How tenants are kept apart, unless the tenant says otherwise.
    pub tier: Tier,
    /// What stands in front of a schema's name in the name of its tenant's role.
    pub role_prefix: String,
    /// What the passwords of roles are derived from that log in by themselves.
    pub login_key: Secret,
    /// What happens to a client that names no tenant.
    pub missing_tenant: MissingTenant,
    /// Where a tenant's name is looked for; the first place that has one wins.
    pub sources: Vec<TenantSource>,
    /// What stands between user (or database) and tenant in a suffix.
    pub separator: char,
    /// The schemas behind the tenant's own on its search path.
    pub shared_schemas: Vec<String>,
    /// Whether tenants may write to shared schemas.
    pub shared_writes: bool,
    /// Functions that tenants may call although what they do with their arguments is not known.
    pub trusted_functions: Vec<String>,
    /// Parameters that clients may not set.
    pub locked_settings: Vec<String>,
    /// Whether clients may set time-outs higher than role, database and configuration do.
    pub time_limits: TimeLimits,
    /// Tables that are kept elsewhere for all tenants, by the names that statements use.
    pub tables: BTreeMap<String, TablePlace>,
    /// Whether the catalog shows the objects of the tenant's own and the shared schemas only.
    pub hide_other_tenants: bool,
    /// Whose channels, advisory locks and prepared transactions are.
    pub keys: KeySpaces,
    /// How long the answer whether a tenant exists is believed.
    pub tenant_cache: Duration,
    /// How long what is known of a schema's tables is believed.
    pub catalog_cache: Duration,
    /// Whether PostgreSQL tells of DDL that went past this proxy.
    pub catalog_notify: bool,
    /// Servers at most that one tenant may have at once; `None`: three quarters of the pool while others are about.
    pub max_servers_per_tenant: Option<usize>,
    /// What becomes of clients whose tenant is being made or migrated.
    pub while_migrating: WhileMigrating,
}

/// `[provision]`
#[derive(Debug, Clone)]
pub struct Provision {
    /// The schema that tenants are copies of.
    pub source: String,
    /// Its tables that are copied, as patterns; empty: all.
    pub include: Vec<String>,
    /// Its tables that are not.
    pub exclude: Vec<String>,
    /// Its tables whose rows are copied too.
    pub seed: Vec<String>,
    /// Tenants that are made when they are first named by a client, as patterns.
    pub auto: Vec<String>,
    /// How many tenants there may be for another one to be made like that.
    pub auto_max: usize,
    /// The folder of the migrations.
    pub migrations: PathBuf,
    /// Tenants that get them before all others.
    pub canary: Vec<String>,
    /// How many tenants are made or changed at once.
    pub workers: usize,
    /// How long a change waits for a lock before it gives way and tries again.
    pub lock_timeout: Duration,
    /// How often it is tried again.
    pub retries: u32,
}

/// `tenancy.mode`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Each statement reaches its tenant's schema, or is refused.
    Route,
    /// Each goes as it is; what would become of it is logged.
    Observe,
}

/// `tenancy.while_migrating`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhileMigrating {
    /// They wait, up to `pool.wait_timeout`.
    Wait,
    /// They are refused.
    Refuse,
}

/// `tenancy.time_limits`, `users.time_limits`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum TimeLimits {
    /// Clients may set time-outs lower than role, database and configuration do, and not higher.
    #[default]
    Bounded,
    /// They may set any.
    Free,
}

/// `tenancy.missing_tenant`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingTenant {
    /// It works in the schema `public`.
    Public,
    /// It is refused. Recommended.
    Reject,
}

/// An entry of `tenancy.sources`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TenantSource {
    /// `options=-ctenant=NAME`
    Options,
    /// A start-up parameter `tenant`.
    Parameter,
    /// `user.NAME`
    UserSuffix,
    /// `database.NAME`
    DatabaseSuffix,
}

/// `[tenants.NAME]`
#[derive(Debug, Clone, Default)]
pub struct Tenant {
    /// The tenant's schema, where it is not called as the tenant is.
    pub schema: Option<String>,
    /// This tenant's way.
    pub strategy: Option<Strategy>,
    /// How this tenant is kept apart.
    pub tier: Option<Tier>,
    /// Its role, where that is not called as its schema is, with the prefix.
    pub role: Option<String>,
    /// As `tenancy.tables`, for this tenant alone; where both know a name, this one counts.
    pub tables: BTreeMap<String, TablePlace>,
}

/// Where a table is kept: `"table"` or `"schema.table"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablePlace {
    /// One of the shared schemas; `None` is the tenant's own.
    pub schema: Option<String>,
    /// Its name there.
    pub table: String,
}

/// `[databases.NAME]`
#[derive(Debug, Clone)]
pub struct Database {
    /// A host name or address, or the directory of a Unix socket.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The database's name there; the entry's own name if it is left out.
    pub database: Option<String>,
    /// The role that servers log in as. No superuser.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// Whether, and how strictly, TLS is used.
    pub tls: ServerTls,
    /// The authorities that may sign the server's certificate, in PEM; the system's if left out.
    pub tls_ca: Option<PathBuf>,
    /// Who makes, changes and drops schemas.
    pub control: ControlLogin,
}

/// `[databases.NAME.control]`
#[derive(Debug, Clone, Default)]
pub struct ControlLogin {
    /// A role that may create schemas; the one that servers log in as if it is left out.
    pub user: Option<String>,
    /// Its password.
    pub password: Secret,
}

/// `databases.NAME.tls`: as libpq's `sslmode`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ServerTls {
    /// No TLS.
    Disable,
    /// TLS if the server has it; the certificate is not looked at.
    #[default]
    Prefer,
    /// TLS, with any certificate.
    Require,
    /// TLS, with a certificate from a known authority.
    VerifyCa,
    /// TLS, with a certificate from a known authority for this host.
    VerifyFull,
}

impl ServerTls {
    /// As it stands in the file, and in libpq's `sslmode`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

/// `[[users]]`
#[derive(Debug, Clone)]
pub struct User {
    /// The name that clients log in with.
    pub name: String,
    /// A password in plain text, or PostgreSQL's verifier (`SCRAM-SHA-256$...`).
    pub password: Secret,
    /// The tenants that this user may name: names, or patterns with `*`.
    pub tenants: Vec<String>,
    /// How the user proves who it is.
    pub auth: AuthMethod,
    /// It may use all of the console, and ask `EXPLAIN ROUTE`, which shows other schemas' names.
    pub admin: bool,
    /// It may look at what the console shows, and change nothing there.
    pub stats: bool,
    /// What becomes of SQL that carries SQL: `DO`, function bodies ...
    pub dynamic_sql: DynamicSql,
    /// What kinds of statements it may run at all.
    pub statements: Level,
    /// Whether it may set time-outs higher; where left out, as `tenancy.time_limits` says.
    pub time_limits: Option<TimeLimits>,
    /// It may go over to another tenant on an open connection (`SET tenant`).
    pub tenant_switch: bool,
    /// When its servers go back, where that differs from the pool's.
    pub pool_mode: Option<PoolMode>,
}

/// What a user's SQL may do: users with the same share what is known of a tenant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Policy {
    /// What becomes of SQL that carries SQL.
    pub dynamic_sql: DynamicSql,
    /// What kinds of statements are let through.
    pub statements: Level,
    /// Whether time-outs may be set higher; `None`: as `tenancy.time_limits` says.
    pub time_limits: Option<TimeLimits>,
}

/// The names under which clients ask for the console: no database can be called so. The second is for tools that
/// know PgBouncer.
pub const CONSOLES: [&str; 2] = ["pgstrata", "pgbouncer"];

/// Whether a client that asks for this database asks for the console.
pub fn is_console(database: &str) -> bool {
    CONSOLES.contains(&database)
}

impl User {
    /// Whether it may log in to the console.
    pub fn may_use_console(&self) -> bool {
        self.admin || self.stats
    }

    /// What this user's SQL may do.
    pub fn policy(&self) -> Policy {
        Policy { dynamic_sql: self.dynamic_sql, statements: self.statements, time_limits: self.time_limits }
    }
}

/// `users.dynamic_sql`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum DynamicSql {
    /// It is refused: nobody can see what is in it.
    #[default]
    Refuse,
    /// It is let through. For migrations.
    Allow,
}

/// `users.auth`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AuthMethod {
    /// SCRAM-SHA-256.
    #[default]
    ScramSha256,
    /// MD5, for old drivers.
    Md5,
    /// The password itself. Over TLS only.
    Password,
    /// No proof at all.
    Trust,
}
