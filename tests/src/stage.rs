//! A PostgreSQL, a proxy in front of it, and ways to talk to both.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use pgstrata::config::Config;
use pgstrata::demo::background::Background;
use pgstrata::demo::postgres::{Cluster, Options};
use pgstrata_tenancy::Tier;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_postgres::{Client, NoTls};

use crate::database::cluster_like;
use crate::{Relay, Setup, Wire, roles};

/// All of it runs until this is dropped. The proxy goes first.
#[derive(Debug)]
pub struct Stage {
    proxy: Background,
    port: u16,
    http_port: u16,
    relay: Option<Relay>,
    /// The PostgreSQL behind the proxy.
    pub cluster: Cluster,
}

impl Stage {
    /// Sets it up with a new cluster.
    pub async fn new(setup: Setup) -> Self {
        let options = Options { max_connections: setup.max_connections, ..Options::default() };
        Self::on(cluster_like(options, setup.hardened).await, setup).await
    }

    /// Sets it up with a cluster that is there.
    pub async fn on(cluster: Cluster, setup: Setup) -> Self {
        if setup.tier != Tier::Names {
            roles::make(&connect(&cluster.superuser("app")).await.unwrap()).await;
        }
        let relay = match setup.has_relay() {
            true => Some(Relay::start(cluster.port()).await),
            false => None,
        };
        let server = relay.as_ref().map_or(cluster.port(), Relay::port);
        let (port, http_port) = (free_port(), free_port());
        let text = setup.toml(port, http_port, server);
        let proxy = Background::start(parse(&text)).expect("the proxy starts");
        listening(&proxy, http_port).await;
        Self { proxy, port, http_port, relay, cluster }
    }

    /// Where clients connect.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where the metrics are.
    pub fn http_port(&self) -> u16 {
        self.http_port
    }

    /// The relay that the setup asked for.
    pub fn relay(&self) -> &Relay {
        self.relay.as_ref().expect("the setup has a relay")
    }

    /// Whether the proxy still runs.
    pub fn is_running(&self) -> bool {
        !self.proxy.has_ended()
    }

    /// How user `app` connects, as libpq writes it.
    pub fn url(&self, tenant: Option<&str>) -> String {
        let url = format!("postgresql://app:app@127.0.0.1:{}/app", self.port);
        match tenant {
            Some(tenant) => format!("{url}?options={}", tenant_option(tenant).replace('=', "%3D")),
            None => url,
        }
    }

    /// How user `app` connects, for tokio-postgres.
    pub fn config(&self, tenant: Option<&str>) -> tokio_postgres::Config {
        self.url(tenant).parse().unwrap()
    }

    /// A client of a tenant.
    pub async fn client(&self, tenant: &str) -> Client {
        connect(&self.config(Some(tenant))).await.expect("the tenant is let in")
    }

    /// A client without a tenant.
    pub async fn public_client(&self) -> Client {
        connect(&self.config(None)).await.expect("clients without a tenant are let in")
    }

    /// A raw client of a tenant, ready for queries.
    pub async fn wire(&self, tenant: &str) -> Wire {
        let option = tenant_option(tenant);
        Wire::login(self.port, "app", "app", &[("options", &option)]).await.expect("the tenant is let in")
    }

    /// PostgreSQL's superuser in database `app`, past the proxy.
    pub async fn superuser(&self) -> Client {
        connect(&self.cluster.superuser("app")).await.expect("PostgreSQL runs")
    }

    /// A metric's value now; -1 where there is none of this name and these labels.
    pub async fn metric(&self, name: &str) -> f64 {
        let page = http(self.http_port, "/metrics").await;
        let line = page.lines().find(|line| line.starts_with(name));
        line.map_or(-1.0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    }

    /// Tells the proxy to stop; it goes on in the background until its clients have left.
    pub fn stop(&mut self) {
        self.proxy.begin_to_stop();
    }

    /// What `public.users` holds, seen past the proxy.
    pub async fn public_users(&self) -> Vec<String> {
        names(&self.superuser().await, "SELECT name FROM public.users ORDER BY id").await
    }
}

/// Connects; the connection's own task ends with the client.
pub async fn connect(config: &tokio_postgres::Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Waits until the proxy hears of changes: then it has looked at all that it looks at by itself.
async fn listening(proxy: &Background, http_port: u16) {
    // It takes clients a moment before it answers here.
    while TcpStream::connect(("127.0.0.1", http_port)).await.is_err() {
        assert!(!proxy.has_ended(), "the proxy has ended");
        sleep(Duration::from_millis(1)).await;
    }
    while !http(http_port, "/metrics").await.contains("pgstrata_tenants_listening{database=\"app\"} 1") {
        sleep(Duration::from_millis(10)).await;
    }
}

/// Asks until the answer is as it should be; what it was at last is in the failure.
pub async fn eventually<T: PartialEq + std::fmt::Debug>(expected: T, mut ask: impl AsyncFnMut() -> T) {
    let mut last = None;
    let asking = async {
        loop {
            last = Some(ask().await);
            if last.as_ref() == Some(&expected) {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    let in_time = timeout(Duration::from_secs(20), asking).await.is_ok();
    assert!(in_time, "it is {last:?}, not {expected:?}");
}

/// The first column of a query's answer.
pub async fn names(client: &Client, query: &str) -> Vec<String> {
    client.query(query, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
}

/// The HTTP side's answer, head and all.
pub async fn http(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// A port that nobody has now, nor another test is about to take: below those that the system gives
/// to clients, and a few for each process.
pub fn free_port() -> u16 {
    const FIRST: u32 = 10_000;
    const PORTS: u32 = 22_000;
    const EACH: u32 = 16;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    loop {
        let number =
            std::process::id().wrapping_mul(EACH).wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(FIRST + number % PORTS).unwrap();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

fn parse(text: &str) -> Config {
    Config::parse(text, Path::new("pgstrata.toml")).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// What names the tenant in the start-up packet's options.
///
/// `PGSTRATA_TEST_DIRECT=1` runs the tests with a path in place of a tenant: against
/// PostgreSQL itself, to tell a test's own mistakes from the proxy's.
pub fn tenant_option(tenant: &str) -> String {
    match std::env::var_os("PGSTRATA_TEST_DIRECT") {
        Some(_) => format!("-csearch_path={tenant},public"),
        None => format!("-ctenant={tenant}"),
    }
}
