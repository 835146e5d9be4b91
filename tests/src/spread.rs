//! A database on two clusters, and the real program in front of both.

use std::process::Stdio;

use pgstrata::demo::postgres::Cluster;
use tokio_postgres::Client;

use crate::process::Process;
use crate::program::pgstrata;
use crate::stage::{connect, eventually, http, tenant_option};
use crate::tenants::Said;
use crate::{Setup, Wire, database};

/// What tenants are made from, on each cluster.
const TEMPLATE: &str = "GRANT CREATE ON DATABASE app TO app; SET ROLE app; CREATE SCHEMA template;
    CREATE TABLE template.users (id serial PRIMARY KEY, name text NOT NULL, email text UNIQUE NOT NULL)";

/// Cluster `a` has the registry and acme_corp, cluster `b` has globex; a schema `acme_corp` that is on `b`, too, is
/// nobody's, and has one user, `Wrong`.
#[derive(Debug)]
pub struct Spread {
    /// The proxy. It goes first.
    pub process: Process,
    /// The cluster with the registry.
    pub a: Cluster,
    /// The other one.
    pub b: Cluster,
    setup: Setup,
}

/// The configuration of a proxy in front of cluster `a`, with nothing of `b` in it yet.
fn setup_of(setup: Setup, more: &str, clusters: &str) -> Setup {
    setup
        .line("provision", "source = 'template'")
        .replace("[databases.app]", "[clusters.a]")
        .table(format!("{more}\n[databases.app]\nclusters = [{clusters}]\nregistry = 'a'"))
}

/// The table of a cluster on this port.
pub fn table(name: &str, port: u16) -> String {
    format!(
        "[clusters.{name}]\nhost = '127.0.0.1'\nport = {port}\nuser = 'app'\npassword = 'app'\ntls = 'disable'"
    )
}

impl Spread {
    /// With this setup.
    pub async fn new(setup: Setup) -> Self {
        let spread = Self::on_one(setup.clone()).await;
        spread.reload(&spread.with_both(setup)).await;
        let Self { process, a, b, .. } = spread;
        let server = superuser(&a).await;
        server.batch_execute("DROP SCHEMA globex CASCADE").await.unwrap();
        place(&server, "globex", "b").await;
        let server = superuser(&b).await;
        let decoy = "DELETE FROM acme_corp.posts; DELETE FROM acme_corp.users;
                     INSERT INTO acme_corp.users (name, email) VALUES ('Wrong', 'wrong')";
        server.batch_execute(decoy).await.unwrap();
        let spread = Self { process, a, b, setup: Setup::new() };
        spread.listens("app@b").await;
        spread
    }

    /// The same while the configuration has cluster `a` alone, which has both tenants, and as yet no cluster `b`.
    pub async fn on_one(setup: Setup) -> Self {
        let (a, b) = (database::cluster().await, database::cluster().await);
        for cluster in [&a, &b] {
            superuser(cluster).await.batch_execute(TEMPLATE).await.unwrap();
        }
        let alone = setup_of(setup, "", "'a'");
        let process = Process::start(&alone, a.port(), Stdio::inherit()).await;
        let spread = Self { process, a, b, setup: alone };
        // It makes the registry.
        spread.tenant(&["list"]).await.ok();
        spread.listens("app").await;
        spread
    }

    /// The configuration with both clusters.
    pub fn with_both(&self, setup: Setup) -> Setup {
        self.with_b_at(setup, self.b.port())
    }

    /// The same, where cluster `b` is on this port.
    pub fn with_b_at(&self, setup: Setup, port: u16) -> Setup {
        setup_of(setup, &table("b", port), "'a', 'b'")
    }

    /// The configuration that the proxy was started with.
    pub fn first_setup(&self) -> &Setup {
        &self.setup
    }

    /// Has the proxy go by this configuration.
    pub async fn reload(&self, setup: &Setup) {
        self.process.reload(setup).await;
    }

    /// Waits until the proxy hears of changes on that cluster.
    pub async fn listens(&self, database: &str) {
        let line = format!("pgstrata_tenants_listening{{database=\"{database}\"}} 1");
        eventually(true, async || http(self.process.http_port, "/metrics").await.contains(&line)).await;
    }

    /// A client of a tenant.
    pub async fn wire(&self, tenant: &str) -> Wire {
        self.process.wire(tenant).await
    }

    /// A client of a tenant, or why it is not let in.
    pub async fn try_wire(&self, tenant: &str) -> Result<Wire, crate::answer::Fault> {
        Wire::login(self.process.port, "app", "app", &[("options", &tenant_option(tenant))]).await
    }

    /// Runs `pgstrata tenant` with the proxy's configuration.
    pub async fn tenant(&self, arguments: &[&str]) -> Said {
        self.tenant_until("", arguments).await
    }

    /// The same, where the program of a move ends at this step as if it were killed.
    pub async fn tenant_until(&self, step: &str, arguments: &[&str]) -> Said {
        let mut command = pgstrata();
        let file = self.process.folder().join("pgstrata.toml");
        command.arg("tenant").arg("--config").arg(file).args(arguments).env_remove("PGSTRATA_ADMIN_URL");
        command.env("PGSTRATA_TEST_MOVE_ENDS", step);
        let output = command.kill_on_drop(true).output().await.unwrap();
        Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// PostgreSQL's superuser in database `app` of a cluster.
pub async fn superuser(cluster: &Cluster) -> Client {
    connect(&cluster.superuser("app")).await.expect("PostgreSQL runs")
}

/// Has the registry, which `server` is connected to, say that the tenant lives there.
pub async fn place(server: &Client, schema: &str, cluster: &str) {
    let sql = "INSERT INTO pgstrata_control.placements AS p (schema, cluster, database)
               VALUES ($1::text::name, $2, 'app') ON CONFLICT (schema) DO UPDATE
               SET cluster = excluded.cluster, generation = nextval('pgstrata_control.generations')";
    server.execute(sql, &[&schema, &cluster]).await.unwrap();
}
