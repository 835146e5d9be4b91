//! Tenants by the thousand: how long it takes to make them, next to a plain loop in the same run, and what ten
//! thousand of them cost those who list and route them.
//!
//! `cargo run --release --bin tenants -- [COUNT] [MANY]`

use std::time::{Duration, Instant};

use pgstrata::demo::background::Background;
use pgstrata::demo::postgres::{Cluster, Options};
use pgstrata_control::{Control, Settings};
use tokio_postgres::{Client, NoTls};

/// Tables of the source schema.
const TABLES: usize = 20;
/// Tenants that are made in each way in turn, so that neither has the quieter machine or the emptier catalog.
const ROUND: usize = 50;
const WORKERS: usize = 4;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>());
    let count = arguments.next().transpose()?.unwrap_or(1000);
    let many = arguments.next().transpose()?.unwrap_or(10_000);
    provisioning(count).await?;
    crowd(many).await
}

/// A database that keeps its word: as in production, a commit is on the disk.
fn cluster() -> Outcome<Cluster> {
    let settings = [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("shared_buffers", "512MB"),
        ("max_wal_size", "4GB"),
        ("max_locks_per_transaction", "256"),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    Ok(Cluster::start(Options { settings, ..Options::default() })?)
}

async fn connect(config: &tokio_postgres::Config) -> Outcome<Client> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// What a small application has: keys, an index, a foreign key to the table before.
fn source(tables: usize) -> String {
    let table = |n: usize| {
        let parent = if n == 0 { String::new() } else { format!(" REFERENCES t{}", n - 1) };
        format!(
            "CREATE TABLE t{n} (id serial PRIMARY KEY, parent integer{parent}, name text NOT NULL DEFAULT '', \
             amount numeric(12, 2) CHECK (amount >= 0), created_at timestamptz NOT NULL DEFAULT now());
             CREATE INDEX ON t{n} (created_at);"
        )
    };
    (0..tables).map(table).collect()
}

/// One tenant as the reference has it: each table by a statement of its own.
async fn by_like(client: &Client, name: &str) -> Outcome<()> {
    client.batch_execute(&format!("CREATE SCHEMA {name}")).await?;
    for n in 0..TABLES {
        let sql = format!("CREATE TABLE {name}.t{n} (LIKE public.t{n} INCLUDING ALL)");
        client.batch_execute(&sql).await?;
    }
    Ok(())
}

async fn provisioning(count: usize) -> Outcome<()> {
    let cluster = cluster()?;
    let login = cluster.superuser("postgres");
    let client = connect(&login).await?;
    client.batch_execute(&source(TABLES)).await?;
    let control = Control::new(login.clone(), NoTls, WORKERS, Settings::default())?;
    let (mut plain, mut ours, mut made) = (Duration::ZERO, Duration::ZERO, 0);
    while made < count {
        let round = ROUND.min(count - made);
        let begun = Instant::now();
        for n in made..made + round {
            by_like(&client, &format!("plain_{n}")).await?;
        }
        plain += begun.elapsed();
        let names: Vec<String> = (made..made + round).map(|n| format!("tenant_{n}")).collect();
        let begun = Instant::now();
        let synced = control.sync_tenant_schemas(&names, |_, _| {}).await?;
        ours += begun.elapsed();
        if synced.created.len() != round {
            return Err(format!("{} of {round} were made: {:?}", synced.created.len(), synced.failed).into());
        }
        made += round;
    }
    let each = |took: Duration| took.as_secs_f64() * 1000.0 / count as f64;
    println!("{count} tenants of {TABLES} tables:");
    println!("  CREATE TABLE (LIKE .. INCLUDING ALL), one at a time  {:7.1} ms each   1.00x", each(plain));
    println!(
        "  pgstrata, {WORKERS} at once, foreign keys and sequences too   {:7.1} ms each   {:.2}x as fast",
        each(ours),
        plain.as_secs_f64() / ours.as_secs_f64()
    );
    let names: Vec<String> = (0..count).map(|n| format!("tenant_{n}")).collect();
    let begun = Instant::now();
    control.sync_tenant_schemas(&names, |_, _| {}).await?;
    println!(
        "  the same again, with nothing to do: {:.0} ms for all",
        begun.elapsed().as_secs_f64() * 1000.0
    );
    Ok(())
}

/// Resident memory of this process, in KiB.
fn resident() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    Ok(line.trim().trim_end_matches(" kB").trim().parse()?)
}

async fn crowd(many: usize) -> Outcome<()> {
    let cluster = cluster()?;
    let login = cluster.superuser("postgres");
    let client = connect(&login).await?;
    client.batch_execute("CREATE TABLE users (id int PRIMARY KEY, name text)").await?;
    let control = Control::new(login.clone(), NoTls, WORKERS, Settings::default())?;
    let names: Vec<String> = (0..many).map(|n| format!("tenant_{n}")).collect();
    let begun = Instant::now();
    control.sync_tenant_schemas(&names, |_, _| {}).await?;
    println!("\n{many} tenants of one table: made in {:.0} s", begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    let found = control.discover_schemas().await?.len();
    println!("  discovered  {found} in {:.0} ms", begun.elapsed().as_secs_f64() * 1000.0);
    let begun = Instant::now();
    let listed = control.tenants().await?.len();
    println!("  listed      {listed} in {:.0} ms", begun.elapsed().as_secs_f64() * 1000.0);
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let toml = format!(
        "[listen]\naddress = '127.0.0.1:{port}'\n[http]\nenabled = false\n[databases.app]\nhost = '{}'\nport = {}\n\
         user = 'postgres'\ndatabase = 'postgres'\n[[users]]\nname = 'app'\npassword = 'app'\ntenants = ['*']",
        cluster.socket_dir().display(),
        cluster.port()
    );
    let config = pgstrata::config::Config::parse(&toml, std::path::Path::new("pgstrata.toml"))?;
    let before = resident()?;
    let begun = Instant::now();
    let proxy = tokio::task::spawn_blocking(|| Background::start(config)).await??;
    println!("  the proxy is ready after {:.0} ms", begun.elapsed().as_secs_f64() * 1000.0);
    let url: tokio_postgres::Config = format!("postgresql://app:app@127.0.0.1:{port}/app").parse()?;
    let begun = Instant::now();
    for name in &names {
        let mut config = url.clone();
        config.options(format!("-ctenant={name}"));
        let (client, connection) = config.connect(NoTls).await?;
        let connection = tokio::spawn(connection);
        client.query("SELECT * FROM users", &[]).await?;
        drop(client);
        connection.await??;
    }
    let took = begun.elapsed();
    println!(
        "  routed      {many} logins with a query each, {:.2} ms each; memory {before} -> {} KiB",
        took.as_secs_f64() * 1000.0 / many as f64,
        resident()?
    );
    tokio::task::spawn_blocking(move || drop(proxy)).await?;
    Ok(())
}
