//! The configuration file as types. Unknown keys are refused; defaults are production's.
//!
//! # Layout
//! - [`load`]: from the file to these types; [`read`] and [`value`] are its tools.
//! - [`check`]: contradictions, once the types are filled.
//! - [`problem`]: what is wrong with a file, and on which line.
//! - [`defaults`]: what holds where the file says nothing.
//! - [`verifier`]: what PostgreSQL keeps in the place of a password; [`pem`]: certificates.
//! - [`secret`]: passwords, from the file, the environment or another file.
//! - [`rights`]: what a user may do.
//! - [`elsewhere`]: users whose secrets stand elsewhere; [`userlist`]: PgBouncer's file of them.
//! - [`hba`]: who may log in from where, and by which method; [`hba_file`]: the same as PostgreSQL writes it.
//! - [`clusters`]: clusters, and databases that are spread over several of them.
//! - [`pattern`]: the tenants that a user may name.
//! - [`limits`]: limits by database, tenant and user.
//! - [`tables`]: tables that are kept elsewhere, in layers.
//! - [`isolation`]: how a tenant is kept apart, and by which role; [`schemas`]: which schema it has.
//! - [`written`]: what differs between two readings of the file; [`effect`]: when that acts.

#![warn(unreachable_pub)]

mod check;
mod clusters;
mod command;
mod defaults;
mod effect;
mod elsewhere;
mod hba;
mod hba_file;
mod host;
mod isolation;
mod limits;
mod load;
mod pattern;
mod pem;
mod problem;
mod read;
mod rights;
mod schemas;
mod secret;
mod tables;
#[cfg(test)]
mod tests;
mod userlist;
mod value;
mod verifier;
mod written;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pgstrata_tenancy::{LayeredMetadataStore, Strategy, Tier};

pub use clusters::OnCluster;
pub use effect::{Changes, Effect};
pub use elsewhere::{AuthFile, AuthQuery, Granted};
pub use hba::{HbaMethod, HbaRule, Network, Visitor, Wanted};
pub use host::{HostPattern, PeerAddress};
pub use isolation::{Isolation, NoRole};
pub use limits::{Limit, LimitTable, Rate, TIMES, TenantLimits, Time};
pub use load::{Os, Stamp, Stamps, Surroundings, WithoutCommands};
pub use pem::certificates;
pub use problem::{ConfigError, Problem};
pub use rights::Rights;
pub use schemas::Schemas;
pub use secret::Secret;
pub use verifier::{Verifier, md5_digits};
pub use written::Written;

pub use pgstrata_tenancy::{KeySpace, KeySpaces, Level};

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
    /// The limits of tenants, by name and by pattern.
    pub tenant_limits: TenantLimits,
    /// The databases that clients can ask for, by the name that they use; beside them, as `DATABASE@CLUSTER`, what
    /// a database has on other clusters than its registry's. See [`Config::entrances`].
    pub databases: BTreeMap<String, Database>,
    /// Who may connect: those of the file itself, and those of `auth_file`.
    pub users: Vec<User>,
    /// Users whose secrets stand in another file.
    pub auth_file: Option<AuthFile>,
    /// Who may log in from where, and how: the first rule that fits decides. `None`: everybody may, as their entries say.
    pub hba: Option<Vec<HbaRule>>,
    /// Whose certificate is whose; empty: the certificate's name is the user's.
    pub cert_map: Vec<CertRule>,
    /// Users whose secrets are asked of PostgreSQL.
    pub auth_query: Option<AuthQuery>,
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
    /// How it was when it was read; `None` of a text that stands nowhere.
    pub stamp: Option<Stamp>,
    /// Whether programs were run for secrets.
    pub runs_commands: bool,
    /// The files that it names: secrets, certificates, users, rules.
    pub files: Stamps,
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
    /// Others for them.
    pub more_addresses: Vec<SocketAddr>,
    /// The folder of a Unix socket for them, `.s.PGSQL.` and the port; `None`: there is none.
    pub unix_socket_dir: Option<PathBuf>,
    /// The permissions of that socket.
    pub unix_socket_mode: FileMode,
    /// Whether clients can, or must, use TLS.
    pub tls: ListenTls,
    /// The certificate chain in PEM.
    pub tls_certificate: Option<PathBuf>,
    /// The certificate's private key in PEM.
    pub tls_key: Option<PathBuf>,
    /// The authorities that may sign clients' certificates, in PEM; without it none is asked for.
    pub tls_client_ca: Option<PathBuf>,
    /// Whether every client has to show one.
    pub tls_client_required: bool,
    /// Load balancers that say in front of each connection whom it is for.
    pub proxy_protocol: Vec<Network>,
    /// The other proxies that clients of the same address may reach: cancel requests of theirs are passed on.
    pub peers: Vec<PeerAddress>,
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
    /// How long an attempt to log in waits at most where others have failed lately. 0: it does not wait.
    pub failed_login_pause: Duration,
    /// How long clients may go on after the first SIGTERM.
    pub shutdown_timeout: Duration,
    /// How long clients may stay with this process when another has taken over.
    pub handover_timeout: Duration,
    /// Whether other processes may listen on the same address.
    pub reuse_port: bool,
}

impl Listen {
    /// The Unix socket that clients connect to, called as libpq looks for it.
    ///
    /// See `host` in <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS>.
    pub fn unix_socket(&self) -> Option<PathBuf> {
        let folder = self.unix_socket_dir.as_ref()?;
        Some(folder.join(format!(".s.PGSQL.{}", self.address.port())))
    }

    /// All addresses that clients connect to.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        std::iter::once(self.address).chain(self.more_addresses.iter().copied())
    }
}

/// Permissions of a file: `"0770"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileMode(pub u32);

/// As it stands in the file.
impl fmt::Display for FileMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
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
    /// How many tenants have series of their own, those that weigh most; the rest has one together.
    pub tenants: usize,
    /// What statistics by statement may take, in bytes. 0: there are none.
    pub statements_memory: u64,
}

/// `[log]`
#[derive(Debug, Clone)]
pub struct Log {
    /// A `tracing` filter: `info`, `pgstrata=debug` ...
    pub level: String,
    /// One line of text or of JSON for each event.
    pub format: LogFormat,
    /// Whether logins that went well are logged.
    pub log_connections: bool,
    /// Whether the ends of sessions are.
    pub log_disconnections: bool,
}

/// `[process]`
#[derive(Debug, Clone)]
pub struct Process {
    /// Where the number of the process stands while it serves.
    pub pid_file: Option<PathBuf>,
    /// How often it is looked whether a file has changed that the configuration names. 0: never.
    pub follow_files: Duration,
    /// How often the programs are run again that print secrets. 0: never.
    pub rerun_commands: Duration,
}

/// `log.format`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// A tenant has room for this part of `limits.max_buffered_bytes`, for its clients with a server, and for the others.
pub const TENANTS_PART_OF_BUFFERS: usize = 8;

/// `[limits]`
#[derive(Debug, Clone)]
pub struct Limits {
    /// Threads that serve clients. 0: one for each core.
    pub threads: usize,
    /// The longest text of a `Query` or `Parse` message, in bytes: it is held in memory.
    pub max_query_bytes: usize,
    /// What messages that are held in memory may weigh until they are complete, of all clients, in bytes.
    pub max_buffered_bytes: usize,
    /// How long such a message may be on its way. 0: for ever.
    pub message_timeout: Duration,
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
    /// What is kept of statements that clients send without a name again and again.
    pub unnamed_statements: UnnamedStatements,
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

/// `pool.unnamed_statements`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnnamedStatements {
    /// PostgreSQL parses them once, and may use a generic plan for them, as it may for named ones.
    Plan,
    /// PostgreSQL parses them once for some uses, and makes a plan for the values of each.
    Parse,
    /// Each is sent.
    Off,
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
    /// The hosts that name a tenant.
    pub server_name: Option<HostPattern>,
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
    /// Whether a comment in front of its statements tells PostgreSQL the tenant.
    pub query_comment: bool,
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
    /// The host that the client has connected to, over TLS.
    ServerName,
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
    /// Its limits; see [`TenantLimits`] for what else holds for it.
    pub limits: LimitTable,
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
    /// What all of its clients together may take.
    pub limits: LimitTable,
    /// Which part of a database it is, where that is on several clusters.
    pub cluster: Option<OnCluster>,
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
    /// What it may do.
    pub rights: Rights,
    /// The users of the system whose processes may log in as this user by `peer`; empty: the one of the same name.
    pub system_users: Vec<String>,
    /// It may use all of the console, and ask `EXPLAIN ROUTE`, which shows other schemas' names.
    pub admin: bool,
    /// It may look at what the console shows, and change nothing there.
    pub stats: bool,
    /// What PostgreSQL says of it, for a user of `auth_query`.
    pub granted: Option<Arc<Granted>>,
    /// What all of its clients together may take, in each database.
    pub limits: LimitTable,
}

/// What a user's SQL may do: users with the same share what is known of a tenant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Policy {
    /// What becomes of SQL that carries SQL.
    pub dynamic_sql: DynamicSql,
    /// Large objects are let through.
    pub large_objects: bool,
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
        let Rights { dynamic_sql, large_objects, statements, time_limits, .. } = self.rights;
        Policy { dynamic_sql, large_objects, statements, time_limits }
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
    /// A certificate, over TLS.
    Cert,
    /// What the system says of the process at the other end of a Unix socket.
    Peer,
    /// No proof at all.
    Trust,
}

/// `[[cert_map]]`: whose certificate is whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertRule {
    /// The common name or a DNS name of the certificate; `*` stands for any text.
    pub name: String,
    /// The user that it may log in as.
    pub user: String,
    /// The tenants that it may name then, beside what the user may; empty: all of the user's.
    pub tenants: Vec<String>,
}
