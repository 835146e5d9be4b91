//! From the file to the types: every key, in the order of the types.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use pgstrata_tenancy::LayeredMetadataStore;
use ring::digest::{SHA256, digest};
use toml::de::DeTable;

use super::command;
use super::hba_file;
use super::limits::Of;
use super::problem::Problems;
use super::read::Section;
use super::{
    AuthFile, AuthMethod, AuthQuery, CertRule, Config, ConfigError, ControlLogin, Database, HbaRule, Http,
    KeySpaces, LimitTable, Limits, Listen, Log, Metrics, Pool, Process, Provision, Rights, Schemas, Secret,
    ServerTls, Tenancy, Tenant, TenantLimits, User, Written, check, clusters, defaults, limits, tables,
};

/// Lines of one file that are reported at once.
pub(super) const REPORTED: usize = 20;

/// Where secrets and files come from. Tests bring their own.
pub trait Surroundings {
    /// The value of an environment variable, if it is set and UTF-8.
    fn env(&self, name: &str) -> Option<String>;
    /// The text of a file.
    fn read(&self, path: &Path) -> std::io::Result<String>;
    /// The permissions of a file, where there are such things.
    fn mode(&self, path: &Path) -> Option<u32> {
        let _ = path;
        None
    }
    /// What a program prints: the program, and its arguments.
    fn run(&self, command: &[String]) -> std::io::Result<String> {
        let _ = command;
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

/// The process's own environment and files.
pub struct Os;

impl Surroundings for Os {
    fn env(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn read(&self, path: &Path) -> std::io::Result<String> {
        std::fs::read_to_string(path)
    }

    fn mode(&self, path: &Path) -> Option<u32> {
        std::fs::metadata(path).ok().map(|metadata| metadata.permissions().mode())
    }

    fn run(&self, command: &[String]) -> std::io::Result<String> {
        command::run(command, command::PATIENCE)
    }
}

/// The same where no password is needed: programs are not run.
pub struct WithoutCommands;

impl Surroundings for WithoutCommands {
    fn env(&self, name: &str) -> Option<String> {
        Os.env(name)
    }

    fn read(&self, path: &Path) -> std::io::Result<String> {
        Os.read(path)
    }

    fn run(&self, _: &[String]) -> std::io::Result<String> {
        Ok("not run".to_owned())
    }
}

/// A digest of what is in a file. When it was written, and which file stands there, says nothing: a volume of Kubernetes
/// replaces all files when one changes, and two versions may have one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp([u8; 32]);

impl Stamp {
    /// Of the file as it is now; `None` where it can't be read as the configuration reads it.
    pub fn of_file(path: &Path) -> Option<Self> {
        // Whoever reads a pipe waits for its writer.
        let is_file = std::fs::metadata(path).is_ok_and(|found| found.is_file());
        let text = if is_file { Os.read(path).ok() } else { None };
        text.and_then(|text| Self::of(&text))
    }

    fn of(text: &str) -> Option<Self> {
        digest(&SHA256, text.as_bytes()).as_ref().try_into().ok().map(Self)
    }
}

/// Files by their paths, each as it was read; `None` for one that could not be.
pub type Stamps = BTreeMap<PathBuf, Option<Stamp>>;

/// Remembers what is read.
struct Noted<'a> {
    surroundings: &'a dyn Surroundings,
    files: RefCell<Stamps>,
    /// A program was run.
    has_run: Cell<bool>,
}

impl Surroundings for Noted<'_> {
    fn env(&self, name: &str) -> Option<String> {
        self.surroundings.env(name)
    }

    fn read(&self, path: &Path) -> std::io::Result<String> {
        let text = self.surroundings.read(path);
        let stamp = text.as_deref().ok().and_then(Stamp::of);
        self.files.borrow_mut().entry(path.to_owned()).or_insert(stamp);
        text
    }

    fn mode(&self, path: &Path) -> Option<u32> {
        self.surroundings.mode(path)
    }

    fn run(&self, command: &[String]) -> std::io::Result<String> {
        self.has_run.set(true);
        self.surroundings.run(command)
    }
}

/// Where a file stands, and what is around it.
pub(super) struct Place<'a> {
    pub(super) origin: &'a Path,
    pub(super) surroundings: &'a dyn Surroundings,
}

impl Place<'_> {
    /// A path of the file: relative ones start where the file stands.
    pub(super) fn resolve(&self, path: PathBuf) -> PathBuf {
        match self.origin.parent() {
            Some(folder) => folder.join(path),
            None => path,
        }
    }
}

impl Config {
    /// Reads and checks the file at `path`. All that is wrong is reported at once.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |error| ConfigError::whole(path, format!("cannot read the file: {error}"));
        let text = Os.read(path).map_err(unreadable)?;
        Ok(Self { stamp: Stamp::of(&text), ..Self::parse(&text, path)? })
    }

    /// Reads and checks `text`, which stands in the file `origin`.
    pub fn parse(text: &str, origin: &Path) -> Result<Self, ConfigError> {
        Self::parse_with(text, origin, &Os)
    }

    /// As [`Config::parse`], with secrets and files from `surroundings`.
    pub fn parse_with(
        text: &str,
        origin: &Path,
        surroundings: &dyn Surroundings,
    ) -> Result<Self, ConfigError> {
        let noted = Noted { surroundings, files: RefCell::default(), has_run: Cell::default() };
        let place = Place { origin, surroundings: &noted };
        let mut problems = Problems::new(text);
        let config = read(text, &place, &mut problems);
        let mut from_file = Vec::new();
        if let Some(config) = &config {
            check::check(config, &place, &mut problems);
            from_file = check::elsewhere::file(config, &mut problems);
        }
        if let Some(path) = problems.secret_in_plain() {
            check::files::private(&path, origin, &place, &mut problems);
        }
        let (written, certificates) = (problems.take_written(), problems.take_certificates());
        let expired = problems.take_expired(origin);
        let warnings = problems.finish(origin)?;
        let mut config =
            config.ok_or_else(|| ConfigError::whole(origin, "the file can't be read as TOML".into()))?;
        config.warnings = warnings;
        (config.expired, config.certificates) = (expired, certificates);
        let users: Vec<&str> = config.users.iter().map(|user| user.name.as_str()).collect();
        config.written = written.with_users(&users);
        config.users.append(&mut from_file);
        config.origin = origin.to_owned();
        config.runs_commands = noted.has_run.get();
        config.files = noted.files.take();
        config.schemas = Schemas::of(&config);
        let layers = tables::layers(&config);
        config.tables = layers.map_err(|error| ConfigError::whole(origin, format!("tables: {error}")))?;
        Ok(config)
    }
}

/// Fills the types; `None` if the text is no TOML.
pub(super) fn read(text: &str, place: &Place<'_>, problems: &mut Problems) -> Option<Config> {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        // The message alone: displayed, the error would quote the line.
        let span = error.span().unwrap_or(0..0);
        problems.at_span(&span, format!("not valid TOML: {}", error.message()));
    }
    if !errors.is_empty() {
        return None;
    }
    Some(Section::whole(problems, table.get_ref(), |file| {
        let (tenancy, limits_of_all) = file.section("tenancy", |s| tenancy(s, place));
        let (tenant_limits, tenants) = TenantLimits::of(limits_of_all, file.named("tenants", tenant));
        let listen = file.section("listen", |s| listen(s, place));
        Config {
            users: file.list("users", |s| user(s, place, listen.auth)),
            hba: hba(file, place),
            cert_map: file.list("cert_map", cert_rule),
            auth_query: file.section("auth_query", |s| AuthQuery::read(s, place, listen.auth)),
            auth_file: file.section("auth_file", |s| AuthFile::read(s, place, listen.auth)),
            listen,
            http: file.section("http", http),
            metrics: file.section("metrics", metrics),
            log: file.section("log", log),
            process: file.section("process", |s| process(s, place)),
            limits: file.section("limits", limits),
            pool: file.section("pool", pool),
            tenancy,
            provision: file.section("provision", |s| provision(s, place)),
            tenants,
            tenant_limits,
            databases: clusters::databases(file, place),
            tables: LayeredMetadataStore::new(),
            schemas: Schemas::default(),
            warnings: Vec::new(),
            expired: Vec::new(),
            certificates: BTreeMap::new(),
            origin: PathBuf::new(),
            stamp: None,
            files: Stamps::new(),
            runs_commands: false,
            written: Written::default(),
            meaning: 0,
        }
    }))
}

pub(super) fn path(section: &mut Section<'_>, place: &Place<'_>, key: &'static str) -> Option<PathBuf> {
    section.option(key).map(|path| place.resolve(path))
}

fn listen(s: &mut Section<'_>, place: &Place<'_>) -> Listen {
    let default = Listen::default();
    let login_timeout = s.or("login_timeout", default.login_timeout);
    // Whoever waits must not be closed for it.
    let longest_pause = match login_timeout.is_zero() {
        true => default.failed_login_pause,
        false => default.failed_login_pause.min(login_timeout / 2),
    };
    Listen {
        address: s.or("address", default.address),
        more_addresses: s.or("more_addresses", default.more_addresses),
        unix_socket_dir: path(s, place, "unix_socket_dir"),
        unix_socket_mode: s.or("unix_socket_mode", default.unix_socket_mode),
        tls: s.or("tls", default.tls),
        tls_certificate: path(s, place, "tls_certificate"),
        tls_key: path(s, place, "tls_key"),
        tls_client_ca: path(s, place, "tls_client_ca"),
        tls_client_required: s.or("tls_client_required", default.tls_client_required),
        proxy_protocol: s.or("proxy_protocol", default.proxy_protocol),
        peers: s.or("peers", default.peers),
        auth: s.or("auth", default.auth),
        salt_key: Secret::read_as(["salt_key", "salt_key_env", "salt_key_file"], s, place),
        max_clients: s.or("max_clients", default.max_clients),
        max_unauthenticated: s.or("max_unauthenticated", default.max_unauthenticated),
        login_timeout,
        failed_login_pause: s.or("failed_login_pause", longest_pause),
        shutdown_timeout: s.or("shutdown_timeout", default.shutdown_timeout),
        handover_timeout: s.or("handover_timeout", default.handover_timeout),
        reuse_port: s.or("reuse_port", default.reuse_port),
    }
}

fn cert_rule(s: &mut Section<'_>) -> CertRule {
    CertRule {
        name: s.required("name", "app.example.com"),
        user: s.required("user", "app"),
        tenants: s.option("tenants").unwrap_or_default(),
    }
}

/// The rules of `[[hba]]`, or of the file that `hba_file` names.
fn hba(file: &mut Section<'_>, place: &Place<'_>) -> Option<Vec<HbaRule>> {
    let rules = file.list("hba", HbaRule::read);
    let path: Option<PathBuf> = file.option("hba_file");
    let Some(path) = path.map(|path| place.resolve(path)) else {
        return (!rules.is_empty()).then_some(rules);
    };
    if !rules.is_empty() {
        let message = "\"hba_file\" and [[hba]]: two sources of rules, of which the first one to fit would not be clear: \
                       keep one";
        file.refuse("hba_file", message.into());
    }
    let text = match place.surroundings.read(&path) {
        Ok(text) => text,
        Err(error) => {
            file.refuse("hba_file", format!("cannot read {}: {error}", path.display()));
            return Some(Vec::new());
        }
    };
    file.note_content("hba_file", &text);
    let rules = hba_file::parse(&text).unwrap_or_else(|broken| {
        let place = path.display();
        let broken: Vec<_> = broken.iter().take(REPORTED).collect();
        for (number, error) in &broken {
            file.complain("hba_file", format!("{place}:{number}: {error}"));
        }
        Vec::new()
    });
    Some(rules)
}

fn http(s: &mut Section<'_>) -> Http {
    let default = Http::default();
    Http {
        enabled: s.or("enabled", default.enabled),
        address: s.or("address", default.address),
        max_connections: s.or("max_connections", default.max_connections),
        timeout: s.or("timeout", default.timeout),
    }
}

fn metrics(s: &mut Section<'_>) -> Metrics {
    let default = Metrics::default();
    Metrics {
        tenants: s.or("tenants", default.tenants),
        statements_memory: s.or("statements_memory", default.statements_memory),
    }
}

fn log(s: &mut Section<'_>) -> Log {
    let default = Log::default();
    Log {
        level: s.or("level", default.level),
        format: s.or("format", default.format),
        log_connections: s.or("log_connections", default.log_connections),
        log_disconnections: s.or("log_disconnections", default.log_disconnections),
    }
}

fn process(s: &mut Section<'_>, place: &Place<'_>) -> Process {
    let default = Process::default();
    Process {
        pid_file: path(s, place, "pid_file"),
        follow_files: s.or("follow_files", default.follow_files),
        rerun_commands: s.or("rerun_commands", default.rerun_commands),
    }
}

fn limits(s: &mut Section<'_>) -> Limits {
    let d = Limits::default();
    Limits {
        threads: s.or("threads", d.threads),
        max_query_bytes: s.or("max_query_bytes", d.max_query_bytes),
        max_buffered_bytes: s.or("max_buffered_bytes", d.max_buffered_bytes),
        message_timeout: s.or("message_timeout", d.message_timeout),
        max_message_bytes: s.or("max_message_bytes", d.max_message_bytes),
        max_prepared_statements_per_client: s
            .or("max_prepared_statements_per_client", d.max_prepared_statements_per_client),
        max_prepared_bytes_per_client: s.or("max_prepared_bytes_per_client", d.max_prepared_bytes_per_client),
        max_prepared_statements_per_server: s
            .or("max_prepared_statements_per_server", d.max_prepared_statements_per_server),
        max_prepared_bytes_per_server: s.or("max_prepared_bytes_per_server", d.max_prepared_bytes_per_server),
        plan_cache_bytes: s.or("plan_cache_bytes", d.plan_cache_bytes),
        query_timeout: s.or("query_timeout", d.query_timeout),
        transaction_timeout: s.or("transaction_timeout", d.transaction_timeout),
        idle_transaction_timeout: s.or("idle_transaction_timeout", d.idle_transaction_timeout),
        client_idle_timeout: s.or("client_idle_timeout", d.client_idle_timeout),
    }
}

fn pool(s: &mut Section<'_>) -> Pool {
    let default = Pool::default();
    Pool {
        mode: s.or("mode", default.mode),
        unnamed_statements: s.or("unnamed_statements", default.unnamed_statements),
        min_servers: s.or("min_servers", default.min_servers),
        max_servers: s.or("max_servers", default.max_servers),
        max_servers_per_tenant: s.or("max_servers_per_tenant", default.max_servers_per_tenant),
        max_tenant_servers: s.or("max_tenant_servers", default.max_tenant_servers),
        wait_timeout: s.or("wait_timeout", default.wait_timeout),
        connect_timeout: s.or("connect_timeout", default.connect_timeout),
        idle_timeout: s.or("idle_timeout", default.idle_timeout),
        max_lifetime: s.or("max_lifetime", default.max_lifetime),
        check_after: s.or("check_after", default.check_after),
        max_pinned: s.or("max_pinned", default.max_pinned),
        max_logins: s.or("max_logins", default.max_logins),
        tcp_user_timeout: s.or("tcp_user_timeout", default.tcp_user_timeout),
    }
}

/// `[tenancy]`, and the limits in it.
fn tenancy(s: &mut Section<'_>, place: &Place<'_>) -> (Tenancy, LimitTable) {
    let default = Tenancy::default();
    let tenancy = Tenancy {
        mode: s.or("mode", default.mode),
        strategy: s.or("strategy", default.strategy),
        tier: s.or("tier", default.tier),
        role_prefix: s.or("role_prefix", default.role_prefix),
        login_key: Secret::read_as(["login_key", "login_key_env", "login_key_file"], s, place),
        missing_tenant: s.or("missing_tenant", default.missing_tenant),
        sources: s.or("sources", default.sources),
        separator: s.or("separator", default.separator),
        server_name: s.option("server_name"),
        shared_schemas: s.or("shared_schemas", default.shared_schemas),
        shared_writes: s.or("shared_writes", default.shared_writes),
        trusted_functions: s.or("trusted_functions", default.trusted_functions),
        locked_settings: s.or("locked_settings", default.locked_settings),
        time_limits: s.or("time_limits", default.time_limits),
        tables: s.entries("tables"),
        hide_other_tenants: s.or("hide_other_tenants", default.hide_other_tenants),
        keys: KeySpaces {
            channels: s.or("channels", default.keys.channels),
            advisory_locks: s.or("advisory_locks", default.keys.advisory_locks),
            two_phase: s.or("two_phase", default.keys.two_phase),
        },
        tenant_cache: s.or("tenant_cache", default.tenant_cache),
        catalog_cache: s.or("catalog_cache", default.catalog_cache),
        catalog_notify: s.or("catalog_notify", default.catalog_notify),
        max_servers_per_tenant: s.option("max_servers_per_tenant"),
        while_migrating: s.or("while_migrating", default.while_migrating),
        query_comment: s.or("query_comment", default.query_comment),
    };
    let mut limits = s.section("limits", |s| limits::read(s, Of::Tenants));
    limits.take_shorthand(tenancy.max_servers_per_tenant);
    (tenancy, limits)
}

fn provision(s: &mut Section<'_>, place: &Place<'_>) -> Provision {
    let default = Provision::default();
    Provision {
        source: s.or("source", default.source),
        include: s.or("include", default.include),
        exclude: s.or("exclude", default.exclude),
        seed: s.or("seed", default.seed),
        auto: s.or("auto", default.auto),
        auto_max: s.or("auto_max", default.auto_max),
        migrations: place.resolve(s.or("migrations", default.migrations)),
        canary: s.or("canary", default.canary),
        workers: s.or("workers", default.workers),
        lock_timeout: s.or("lock_timeout", default.lock_timeout),
        retries: s.or("retries", default.retries),
    }
}

fn tenant(s: &mut Section<'_>) -> Tenant {
    let one = !limits::is_pattern(s.name());
    let limits = s.section("limits", |s| limits::read(s, if one { Of::Tenant } else { Of::Tenants }));
    if !one {
        return Tenant { limits, ..Tenant::default() };
    }
    Tenant {
        limits,
        schema: s.option("schema"),
        strategy: s.option("strategy"),
        tier: s.option("tier"),
        role: s.option("role"),
        tables: s.entries("tables"),
    }
}

/// A database that says itself where it is.
pub(super) fn database(s: &mut Section<'_>, place: &Place<'_>) -> Database {
    Database {
        host: s.required("host", "127.0.0.1"),
        port: s.or("port", defaults::SERVER_PORT),
        database: s.option("database"),
        user: s.required("user", "app"),
        password: Secret::read_or_run(s, place),
        tls: s.or("tls", ServerTls::default()),
        tls_ca: path(s, place, "tls_ca"),
        control: s.section("control", |s| control(s, place)),
        limits: s.section("limits", |s| limits::read(s, Of::Database)),
        cluster: None,
    }
}

pub(super) fn control(s: &mut Section<'_>, place: &Place<'_>) -> ControlLogin {
    let login = ControlLogin { user: s.option("user"), password: Secret::read_or_run(s, place) };
    if login.user.is_none() && login.password.expose().is_some() {
        s.refuse("user", "a password without a role: add \"user\"".into());
    }
    login
}

fn user(s: &mut Section<'_>, place: &Place<'_>, auth: AuthMethod) -> User {
    User {
        name: s.required("name", "app"),
        password: Secret::read(s, place),
        rights: Rights::read(s, auth),
        system_users: s.option("system_users").unwrap_or_default(),
        admin: s.or("admin", false),
        stats: s.or("stats", false),
        granted: None,
        limits: s.section("limits", |s| limits::read(s, Of::User)),
    }
}
