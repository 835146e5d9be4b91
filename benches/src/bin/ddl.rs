//! DDL through the proxy next to DDL past it, in schemas of several sizes, with both strategies.
//!
//! `cargo run --release --bin ddl -- [--pgstrata PATH] [--rounds 5] [--tables 0,500,20000]`

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Parser;
use pgstrata::demo::postgres::{Cluster, Options as ClusterOptions};
use pgstrata::demo::seed::seed;
use pgstrata_benches::program::Proxy;
use pgstrata_tenancy::Strategy;
use tokio_postgres::{Client, NoTls};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const STRATEGIES: [Strategy; 2] = [Strategy::SearchPath, Strategy::SchemaQualified];

/// How often each script repeats its statements.
const TIMES: usize = 100;

/// Statements that are sent one by one; `{}` is a number that is another each time.
struct Script {
    name: &'static str,
    before: &'static [&'static str],
    each: &'static [&'static str],
    after: &'static [&'static str],
}

const SCRIPTS: [Script; 3] = [
    Script {
        name: "tables created and dropped",
        before: &[],
        each: &[
            "CREATE TABLE made_{} (a int)",
            "ALTER TABLE made_{} ADD b text",
            "INSERT INTO made_{} VALUES (1, 'x')",
            "SELECT * FROM made_{}",
            "DROP TABLE made_{}",
        ],
        after: &[],
    },
    Script {
        name: "one table altered",
        before: &["CREATE TABLE kept (id int PRIMARY KEY, name text)"],
        each: &[
            "ALTER TABLE kept ADD COLUMN c_{} int DEFAULT 1",
            "INSERT INTO kept (id, name) VALUES ({}, 'x')",
            "ALTER TABLE kept ADD CONSTRAINT k_{} CHECK (c_{} > 0)",
            "ALTER TABLE kept ALTER COLUMN c_{} TYPE bigint",
            "UPDATE kept SET c_{} = 2 WHERE id = {}",
            "CREATE INDEX i_{} ON kept (c_{})",
            "DROP INDEX i_{}",
            "ALTER TABLE kept DROP CONSTRAINT k_{}",
            "ALTER TABLE kept RENAME COLUMN c_{} TO d_{}",
            "SELECT d_{} FROM kept WHERE id = {}",
            "ALTER TABLE kept DROP COLUMN d_{}",
            "DELETE FROM kept",
        ],
        after: &["DROP TABLE kept"],
    },
    Script {
        name: "the first in one transaction",
        before: &["BEGIN"],
        each: &[
            "CREATE TABLE made_{} (a int)",
            "ALTER TABLE made_{} ADD b text",
            "INSERT INTO made_{} VALUES (1, 'x')",
            "SELECT * FROM made_{}",
            "DROP TABLE made_{}",
        ],
        after: &["COMMIT"],
    },
];

/// What is to be measured.
#[derive(Debug, Parser)]
struct Options {
    /// The program; else the one beside this.
    #[arg(long)]
    pgstrata: Option<PathBuf>,
    /// Each way is taken so often, in turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How many tables the tenants' schemas have.
    #[arg(long, value_delimiter = ',', default_values_t = [0, 500, 20_000])]
    tables: Vec<usize>,
}

fn main() -> Outcome<()> {
    let options = Options::parse();
    let program = Proxy::program(options.pgstrata.clone())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(&options, &program))
}

async fn measure(options: &Options, program: &Path) -> Outcome<()> {
    let cluster = Cluster::start(ClusterOptions::default())?;
    seed(&cluster).await?;
    for tables in &options.tables {
        fill(&cluster, *tables).await?;
    }
    let mut proxies = Vec::new();
    for strategy in STRATEGIES {
        proxies.push(Proxy::start(
            program,
            &cluster,
            &format!("[tenancy]\nstrategy = '{strategy}'"),
            "true",
        )?);
    }
    println!("| script | tables of the schema | direct, ms | search_path | schema_qualified |");
    println!("| --- | --- | --- | --- | --- |");
    for tables in &options.tables {
        let schema = schema(*tables);
        let mut clients = vec![connect(cluster.port(), &format!("-csearch_path={schema},public")).await?];
        for proxy in &proxies {
            clients.push(connect(proxy.port, &format!("-ctenant={schema}")).await?);
        }
        for script in &SCRIPTS {
            println!("| {} | {tables} | {} |", script.name, row(&clients, script, options.rounds).await?);
        }
    }
    Ok(())
}

fn schema(tables: usize) -> String {
    format!("tables_{tables}")
}

/// A tenant's schema with so many tables.
async fn fill(cluster: &Cluster, tables: usize) -> Outcome<()> {
    let (owner, connection) = cluster.superuser("app").connect(NoTls).await?;
    tokio::spawn(connection);
    let schema = schema(tables);
    owner.batch_execute(&format!("CREATE SCHEMA {schema} AUTHORIZATION app")).await?;
    // Each transaction holds a lock of each table that it makes.
    for first in (0..tables).step_by(1000) {
        let last = tables.min(first + 1000);
        let table = format!("'CREATE TABLE {schema}.t_%s (id int, name text)'");
        let sql = format!(
            "SET ROLE app; DO $$ BEGIN FOR i IN {first} .. {last} - 1 LOOP EXECUTE format({table}, i); END LOOP; END $$; \
             RESET ROLE"
        );
        owner.batch_execute(&sql).await?;
    }
    owner.batch_execute("VACUUM ANALYZE").await?;
    Ok(())
}

async fn connect(port: u16, options: &str) -> Outcome<Client> {
    let config: tokio_postgres::Config = format!("postgresql://app:app@127.0.0.1:{port}/app").parse()?;
    let (client, connection) = config.clone().options(options).connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// The median of what is direct, and of the others' proportions to it in the same round.
async fn row(clients: &[Client], script: &Script, rounds: usize) -> Outcome<String> {
    let mut times = vec![Vec::new(); clients.len()];
    for round in 0..rounds {
        for (client, times) in clients.iter().zip(&mut times) {
            times.push(run(client, script, round).await?);
        }
    }
    let mut columns = times.into_iter();
    let direct = columns.next().unwrap_or_default();
    let proportions =
        columns.map(|times| median(times.iter().zip(&direct).map(|(time, direct)| time / direct).collect()));
    let proportions: Vec<String> = proportions.map(|proportion| format!("{proportion:.2}x")).collect();
    Ok(format!("{:.0} | {}", 1e3 * median(direct.clone()), proportions.join(" | ")))
}

/// How long the script takes, in seconds.
async fn run(client: &Client, script: &Script, round: usize) -> Outcome<f64> {
    let begun = Instant::now();
    for text in script.before {
        client.simple_query(text).await?;
    }
    for time in 0..TIMES {
        let number = (round * TIMES + time).to_string();
        for text in script.each {
            client.simple_query(&text.replace("{}", &number)).await?;
        }
    }
    for text in script.after {
        client.simple_query(text).await?;
    }
    Ok(begun.elapsed().as_secs_f64())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
