//! The PostgreSQL behind all of them, and what is in it.

use pgstrata::demo::find::Install;
use pgstrata::demo::postgres::{Cluster, Options};
use tokio::process::Command;
use tokio_postgres::{Client, NoTls};

use crate::{Outcome, pgbench};

/// Who clients and servers log in as, with no password.
pub const USER: &str = "app";
/// The database.
pub const DATABASE: &str = "app";
/// The tenant of the cases with one tenant.
pub const TENANT: &str = "acme";
/// The tenants of the case with many: `t_1` and so on.
pub const TENANTS: usize = 1000;
/// Servers that each pooler may have.
pub const SERVERS: usize = 20;
/// pgbench's tables have so many times 100,000 rows, in each of two schemas.
pub const SCALE: u32 = 5;
/// A thousand for the tenants that have a database entry, and room for everybody else.
const CONNECTIONS: u32 = 1500;

/// PostgreSQL as it is measured: nothing waits for the disk.
pub fn cluster() -> Outcome<Cluster> {
    let settings = [("shared_buffers", "512MB"), ("max_wal_size", "4GB"), ("autovacuum", "off")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let hba = vec!["host all all 127.0.0.1/32 trust".to_owned()];
    let options = Options { max_connections: CONNECTIONS, settings, hba, ..Options::default() };
    Ok(Cluster::start(options)?)
}

/// pgbench's tables in `public` and in the tenant's schema, and a small one for each of the many tenants.
pub async fn fill(cluster: &Cluster) -> Outcome<()> {
    let root = connect(&cluster.superuser("postgres")).await?;
    root.batch_execute(&format!("CREATE ROLE {USER} LOGIN")).await?;
    root.batch_execute(&format!("CREATE DATABASE {DATABASE} OWNER {USER}")).await?;
    let root = connect(&cluster.superuser(DATABASE)).await?;
    root.batch_execute(&format!("GRANT ALL ON SCHEMA public TO {USER}")).await?;
    root.batch_execute(&format!("CREATE SCHEMA {TENANT} AUTHORIZATION {USER}")).await?;
    for schema in ["public", TENANT] {
        let mut command = pgbench::program(cluster.install());
        command.args(["-i", "-q", "-s", &SCALE.to_string(), "-h", "127.0.0.1", "-U", USER]);
        command.args(["-p", &cluster.port().to_string(), DATABASE]);
        command.env("PGOPTIONS", format!("-csearch_path={schema}"));
        pgbench::finish(command).await?;
    }
    root.batch_execute(&many_tenants()).await?;
    root.batch_execute("CREATE TABLE public.copied (LIKE public.pgbench_accounts); CHECKPOINT").await?;
    root.batch_execute(&format!(
        "CREATE TABLE {TENANT}.copied (LIKE public.copied);
         ALTER TABLE {TENANT}.copied OWNER TO {USER}; ALTER TABLE public.copied OWNER TO {USER}"
    ))
    .await?;
    Ok(())
}

/// A transaction for a hundred tenants: the locks of a thousand would not fit into one.
fn many_tenants() -> String {
    let hundred = |from: usize| {
        format!(
            "DO $$ BEGIN FOR n IN {from}..{} LOOP
                 EXECUTE format('CREATE SCHEMA t_%s AUTHORIZATION {USER}', n);
                 EXECUTE format('CREATE TABLE t_%s.accounts (id integer PRIMARY KEY, name text, balance integer)', n);
                 EXECUTE format('INSERT INTO t_%s.accounts SELECT i, ''name '' || i, 0 FROM generate_series(1, 100) i', n);
                 EXECUTE format('ALTER TABLE t_%s.accounts OWNER TO {USER}', n);
             END LOOP; END $$;\nCOMMIT;\n",
            TENANTS.min(from + 99)
        )
    };
    (1..=TENANTS).step_by(100).map(hundred).collect()
}

/// A client of the superuser's; its connection ends with it.
pub async fn connect(config: &tokio_postgres::Config) -> Outcome<Client> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// A client program of the PostgreSQL that runs, or the system's.
pub fn client_program(install: &Install, name: &str) -> Command {
    let own = install.program(name);
    let mut command = Command::new(if own.is_file() { own } else { name.into() });
    command.kill_on_drop(true).env_remove("PGOPTIONS").env("LC_ALL", "C");
    command
}
