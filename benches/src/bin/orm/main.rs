//! The ORM next to plain tokio-postgres, and its ways to a tenant's rows at a distance.
//!
//! `cargo run --release --bin orm -- [ROUNDS]`: two tables for docs/benchmarks.md, and docs/plots/orm-latency.svg. All cases of a
//! table take turns, a few reads each, so that none has the quieter machine.

mod chart;
mod entity;
mod latency;

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::future::join3;
use pgstrata::demo::postgres::{Cluster, Options as ClusterOptions};
use pgstrata_orm::{EntityManager, MetadataContext, Options, Strategy};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, NoTls, Statement};

use entity::User;
use latency::Distance;

/// Reads of one case before it is the next one's turn.
const TURN: u32 = 50;
const TENANT: &str = "acme_corp";
const READ: &str = "SELECT \"id\", \"name\", \"email\" FROM";
const PATH: &str = "SET LOCAL search_path TO \"acme_corp\"";

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let rounds = std::env::args().nth(1).map(|rounds| rounds.parse()).transpose()?.unwrap_or(100);
    let cluster = Cluster::start(ClusterOptions {
        hba: vec!["host all all 127.0.0.1/32 trust".into()],
        ..ClusterOptions::default()
    })?;
    let admin = connect(&cluster.superuser("postgres")).await?;
    admin
        .batch_execute(
            "CREATE SCHEMA acme_corp; CREATE TABLE acme_corp.users (id bigint PRIMARY KEY, name text NOT NULL, email text);
             INSERT INTO acme_corp.users SELECT n, 'user ' || n, 'user' || n || '@example.com' FROM generate_series(1, 10000) AS n;
             ANALYZE acme_corp.users",
        )
        .await?;
    beside_plain(cluster.port(), rounds).await?;
    at_a_distance(cluster.port(), rounds).await
}

fn config(port: u16) -> Config {
    let mut config = Config::new();
    config.host("127.0.0.1").port(port).user("postgres").dbname("postgres");
    config
}

async fn connect(config: &Config) -> Outcome<Client> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn manager(port: u16, strategy: Strategy, pipelined: bool) -> Outcome<EntityManager> {
    let options = Options::config(config(port)).entity::<User>().tenant_strategy(strategy);
    Ok(EntityManager::register(options.pipelined(pipelined)).await?)
}

/// The same SQL by hand, on one connection, prepared.
struct Plain {
    client: Client,
    qualified: Statement,
    by_path: Statement,
}

impl Plain {
    async fn new(port: u16) -> Outcome<Self> {
        let client = connect(&config(port)).await?;
        let qualified = client.prepare(&format!("{READ} \"acme_corp\".\"users\" WHERE \"id\" = $1")).await?;
        client.batch_execute(&format!("BEGIN; {PATH}")).await?;
        let by_path = client.prepare(&format!("{READ} \"users\" WHERE \"id\" = $1")).await?;
        client.batch_execute("COMMIT").await?;
        Ok(Self { client, qualified, by_path })
    }

    async fn read(&self, way: Way, id: i64) -> Outcome<String> {
        let client = &self.client;
        let row = match way {
            Way::Qualified => client.query_one(&self.qualified, &[&id]).await?,
            Way::PathAtOnce => {
                let begin = format!("BEGIN READ ONLY; {PATH}");
                let begin = client.batch_execute(&begin);
                let values: [&(dyn ToSql + Sync); 1] = [&id];
                let read = client.query_one(&self.by_path, &values);
                let (begun, row, ended) = join3(begin, read, client.batch_execute("COMMIT")).await;
                begun?;
                ended?;
                row?
            }
            Way::PathInSteps => {
                client.batch_execute("BEGIN READ ONLY").await?;
                client.batch_execute(PATH).await?;
                // As the ORM does it then: one step more, to prepare it, would be one too many.
                let text = format!("{READ} \"users\" WHERE \"id\" = $1");
                let row = client.query_typed_one(&text, &[(&id, Type::INT8)]).await?;
                client.batch_execute("COMMIT").await?;
                row
            }
        };
        let user = User { id: row.get(0), name: row.get(1), email: row.get(2) };
        Ok(user.name)
    }
}

/// How a tenant's row is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    PathInSteps,
    PathAtOnce,
    Qualified,
}

impl Way {
    const ALL: [Self; 3] = [Self::PathInSteps, Self::PathAtOnce, Self::Qualified];

    fn name(self) -> &'static str {
        match self {
            Self::PathInSteps => "search_path, step by step",
            Self::PathAtOnce => "search_path, pipelined",
            Self::Qualified => "schema_qualified",
        }
    }

    async fn manager(self, port: u16) -> Outcome<EntityManager> {
        match self {
            Self::PathInSteps => manager(port, Strategy::SearchPath, false).await,
            Self::PathAtOnce => manager(port, Strategy::SearchPath, true).await,
            Self::Qualified => manager(port, Strategy::SchemaQualified, true).await,
        }
    }
}

async fn by_orm(em: &EntityManager, id: i64) -> Outcome<String> {
    Ok(em.find_by_pk::<User>(id).await?.ok_or("no such user")?.name)
}

/// Takes turns, and gives the middle one of each case's turns, per read.
async fn measure(
    rounds: u32,
    cases: usize,
    turn: u32,
    read: impl AsyncFn(usize, i64) -> Outcome<String>,
) -> Outcome<Vec<Duration>> {
    let mut turns = vec![Vec::new(); cases];
    // The first rounds warm up: pools connect, statements get prepared.
    for round in 0..rounds + 2 {
        for (case, turns) in turns.iter_mut().enumerate() {
            let begun = Instant::now();
            for n in 0..turn {
                let id = i64::from((round * turn + n) % 10_000) + 1;
                if read(case, id).await? != format!("user {id}") {
                    return Err("another row than was asked for".into());
                }
            }
            if round >= 2 {
                turns.push(begun.elapsed() / turn);
            }
        }
    }
    let middle = |turns: &mut Vec<Duration>| {
        turns.sort();
        turns.get(turns.len() / 2).copied().unwrap_or_default()
    };
    Ok(turns.iter_mut().map(middle).collect())
}

async fn beside_plain(port: u16, rounds: u32) -> Outcome<()> {
    println!(
        "| read of one row | tokio-postgres, by hand | the ORM | proportion |\n| --- | --- | --- | --- |"
    );
    for way in Way::ALL {
        let (plain, em) = (Plain::new(port).await?, way.manager(port).await?);
        let read = async |case: usize, id| match case {
            0 => plain.read(way, id).await,
            _ => by_orm(&em, id).await,
        };
        let times = MetadataContext::run(TENANT, measure(rounds * 4, 2, TURN, read)).await?;
        let (plain, orm) = (times[0].as_secs_f64(), times[1].as_secs_f64());
        println!("| {} | {:.0} us | {:.0} us | {:.2}x |", way.name(), plain * 1e6, orm * 1e6, orm / plain);
    }
    Ok(())
}

async fn at_a_distance(port: u16, rounds: u32) -> Outcome<()> {
    println!("\n| added latency | {} |\n| --- | --- | --- | --- |", Way::ALL.map(Way::name).join(" | "));
    let mut groups = Vec::new();
    for delay in [0, 1, 10] {
        let distance = Distance::start(port, Duration::from_millis(delay)).await?;
        let mut managers = Vec::new();
        for way in Way::ALL {
            managers.push(way.manager(distance.port()).await?);
        }
        let read = async |case: usize, id| by_orm(&managers[case], id).await;
        let turn = if delay > 1 { 5 } else { TURN };
        let times = MetadataContext::run(TENANT, measure(rounds, Way::ALL.len(), turn, read)).await?;
        let millis: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
        let cell = |ms: &f64| format!("{ms:.2} ms, {:.2}x", ms / millis[0]);
        println!("| {delay} ms | {} |", millis.iter().map(cell).collect::<Vec<_>>().join(" | "));
        groups.push((format!("{delay} ms"), millis));
    }
    let chart = chart::bars(
        "One tenant read by added latency, milliseconds on a logarithmic scale",
        &Way::ALL.map(Way::name),
        &groups,
    );
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/plots");
    std::fs::create_dir_all(&folder)?;
    Ok(std::fs::write(folder.join("orm-latency.svg"), chart)?)
}
