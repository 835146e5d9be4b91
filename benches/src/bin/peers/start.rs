//! How each peer is started: the same listener, the same number of servers, no passwords, no TLS, quiet logs.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};

use pgstrata::demo::account::Account;
use pgstrata::demo::postgres::Cluster;
use pgstrata_tenancy::Strategy;
use tokio::process::Command;

use crate::Outcome;
use crate::ground::{DATABASE, SERVERS, TENANT, TENANTS, USER};
use crate::options::{Options, installed};
use crate::peer::{BY_PATH, DIRECT, HAPROXY, PGBOUNCER, PUBLIC, Peer, QUALIFIED, RELAY};
use crate::pgbench::finish;
use crate::process::Process;

/// Clients that each peer takes.
const CLIENTS: usize = 6000;
/// The first PgBouncer that knows prepared statements in transaction mode.
const PREPARES: (u32, u32) = (1, 21);

/// What peers are started with.
#[derive(Debug)]
pub struct Starter<'a> {
    /// What the user asks for.
    pub options: &'a Options,
    /// The PostgreSQL behind all of them.
    pub cluster: &'a Cluster,
    /// Where configurations and logs are.
    pub folder: &'a Path,
}

/// How PgBouncer serves many tenants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entries {
    /// One database.
    One,
    /// A database for each tenant, with so many servers for all of them.
    Each(usize),
}

impl Starter<'_> {
    /// All that are installed. The others are named on standard error.
    pub async fn all(&self) -> Outcome<Vec<Peer>> {
        let mut peers = vec![Peer::new(DIRECT, self.cluster.port(), None)];
        peers.extend(self.relays().await?);
        match self.pgbouncer(self.server(), Entries::One).await? {
            Some(peer) => peers.push(peer),
            None => eprintln!("PgBouncer is not installed: `scripts/setup bench` does it"),
        }
        for (name, command) in &self.options.peers {
            peers.push(self.other(name, command).await?);
        }
        let by_path = self.pgstrata(Strategy::SearchPath, self.server()).await?;
        peers.push(Peer { name: PUBLIC.to_owned(), options: String::new(), ..by_path.clone() });
        peers.push(by_path);
        peers.push(self.pgstrata(Strategy::SchemaQualified, self.server()).await?);
        Ok(peers)
    }

    /// Those that pass bytes on, and have a server for each client.
    pub async fn relays(&self) -> Outcome<Vec<Peer>> {
        let mut relays = vec![self.relay().await?];
        match installed(Path::new("haproxy")) {
            Some(program) => relays.push(self.haproxy(&program).await?),
            None => eprintln!("HAProxy is not installed: `scripts/setup bench` does it"),
        }
        Ok(relays)
    }

    /// Where PostgreSQL is: a host, or the folder of its socket, and a port.
    pub fn server(&self) -> (String, u16) {
        let host = match self.options.unix {
            true => self.cluster.socket_dir().display().to_string(),
            false => "127.0.0.1".to_owned(),
        };
        (host, self.cluster.port())
    }

    /// pgstrata in front of `server`, for clients of [`TENANT`].
    pub async fn pgstrata(&self, strategy: Strategy, server: (String, u16)) -> Outcome<Peer> {
        let (port, http, (host, server)) = (free_port(), free_port(), server);
        // Nothing that is believed for a while is asked for again while it is measured.
        let text = format!(
            "[listen]\naddress = '127.0.0.1:{port}'\nmax_clients = {CLIENTS}\nshutdown_timeout = '1s'\n\
             [http]\naddress = '127.0.0.1:{http}'\n[log]\nlevel = 'warn'\n[pool]\nmax_servers = {SERVERS}\n\
             [tenancy]\nstrategy = '{strategy}'\ntenant_cache = '1h'\ncatalog_cache = '1h'\n\
             [databases.{DATABASE}]\nhost = '{host}'\nport = {server}\nuser = '{USER}'\ntls = 'disable'\n\
             [[users]]\nname = '{USER}'\nauth = 'trust'\ntenants = ['*']\n"
        );
        let config = self.write(&format!("pgstrata-{port}.toml"), &text)?;
        let program = self.options.beside(self.options.pgstrata.as_ref(), "pgstrata")?;
        let arguments = ["serve".to_owned(), "--config".to_owned(), config.display().to_string()];
        let process = self.start(&program, &arguments, port).await?;
        let name = if strategy == Strategy::SearchPath { BY_PATH } else { QUALIFIED };
        Ok(Peer { options: tenant_option(TENANT), ..Peer::new(name, port, Some(process)) })
    }

    /// PgBouncer in front of `server`, if it is installed.
    pub async fn pgbouncer(&self, server: (String, u16), entries: Entries) -> Outcome<Option<Peer>> {
        let Some(program) = installed(&self.options.pgbouncer) else { return Ok(None) };
        let (port, (host, server)) = (free_port(), server);
        let place = format!("host={host} port={server} dbname={DATABASE} user={USER}");
        let (databases, limit) = match entries {
            Entries::One => (format!("{DATABASE} = {place}\n"), format!("default_pool_size = {SERVERS}")),
            Entries::Each(servers) => {
                let entry = |n| format!("t_{n} = {place} connect_query='SET search_path TO t_{n}, public'\n");
                let limit = format!("default_pool_size = 1\nmax_user_connections = {servers}");
                ((1..=TENANTS).map(entry).collect(), limit)
            }
        };
        let prepares = version(&program).await.is_some_and(|version| version >= PREPARES);
        let prepared = if prepares { "max_prepared_statements = 200\n" } else { "" };
        let text = format!(
            "[databases]\n{databases}[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = trust\nauth_file = {}\npool_mode = transaction\nmax_client_conn = {CLIENTS}\n{limit}\n\
             {prepared}server_tls_sslmode = disable\nlog_connections = 0\nlog_disconnections = 0\nlog_stats = 0\n",
            self.write("users.txt", &format!("\"{USER}\" \"\"\n"))?.display()
        );
        let config = self.write(&format!("pgbouncer-{port}.ini"), &text)?;
        let process = self.start(&program, &[config.display().to_string()], port).await?;
        Ok(Some(Peer { prepares, ..Peer::new(PGBOUNCER, port, Some(process)) }))
    }

    async fn relay(&self) -> Outcome<Peer> {
        let (port, (host, server)) = (free_port(), self.server());
        let socket = format!("{host}/.s.PGSQL.{server}");
        let server = if self.options.unix { socket } else { server.to_string() };
        let program = self.options.beside(self.options.relay.as_ref(), "relay")?;
        let process = self.start(&program, &[port.to_string(), server], port).await?;
        Ok(Peer::new(RELAY, port, Some(process)))
    }

    async fn haproxy(&self, program: &Path) -> Outcome<Peer> {
        let (port, (host, server)) = (free_port(), self.server());
        let socket = format!("unix@{host}/.s.PGSQL.{server}");
        let server = if self.options.unix { socket } else { format!("{host}:{server}") };
        let text = format!(
            "global\n    maxconn {CLIENTS}\ndefaults\n    mode tcp\n    timeout connect 10s\n    timeout client 1h\n\
             \x20   timeout server 1h\nlisten postgresql\n    bind 127.0.0.1:{port}\n    server postgresql {server}\n"
        );
        let config = self.write(&format!("haproxy-{port}.cfg"), &text)?;
        let arguments = ["-db", "-f"].map(str::to_owned).into_iter().chain([config.display().to_string()]);
        let process = self.start(program, &arguments.collect::<Vec<_>>(), port).await?;
        Ok(Peer::new(HAPROXY, port, Some(process)))
    }

    /// A peer that only the user knows.
    async fn other(&self, name: &str, command: &str) -> Outcome<Peer> {
        let (port, (host, server)) = (free_port(), self.server());
        let command = command.replace("{port}", &port.to_string()).replace("{pg_host}", &host);
        let command = command.replace("{pg_port}", &server.to_string());
        // With `exec` the process that is measured is the peer's own.
        let arguments = ["-c".to_owned(), format!("exec {command}")];
        Ok(Peer::new(name, port, Some(self.start(Path::new("/bin/sh"), &arguments, port).await?)))
    }

    async fn start(&self, program: &Path, arguments: &[String], port: u16) -> Outcome<Rc<Process>> {
        let log = self.folder.join(format!("{port}.log"));
        Ok(Rc::new(Process::start(program, arguments, port, log).await?))
    }

    fn write(&self, name: &str, text: &str) -> Outcome<PathBuf> {
        let path = self.folder.join(name);
        std::fs::write(&path, text)?;
        Account::choose()?.give(&path)?;
        Ok(path)
    }
}

/// What names the tenant in a client's options.
pub fn tenant_option(tenant: &str) -> String {
    format!("-ctenant={tenant}")
}

/// Major and minor of `PgBouncer 1.25.2`.
async fn version(program: &Path) -> Option<(u32, u32)> {
    let mut command = Command::new(program);
    command.arg("--version");
    let said = finish(command).await.ok()?;
    let mut numbers = said.split_whitespace().nth(1)?.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// A port below those that the system gives to clients: thousands of them are about to come.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(12_000);
    loop {
        let port = NEXT.fetch_add(1, Ordering::Relaxed);
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
