//! `pgstrata tenant` on a cluster of its own.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;

use pgstrata::demo::background::Background;
use pgstrata::demo::postgres::Cluster;
use serde_json::Value;
use tempfile::TempDir;
use tokio_postgres::{Client, Config};

use crate::database::hardened_cluster;
use crate::program::pgstrata;
use crate::stage::{connect, free_port, tenant_option};

/// A cluster with the demonstration's database, a configuration for it, and the command line.
#[derive(Debug)]
pub struct Tenants {
    /// The PostgreSQL.
    pub cluster: Cluster,
    folder: TempDir,
}

/// What a command said.
#[derive(Debug)]
pub struct Said {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    /// It must have ended well.
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// It must have failed with these words.
    pub fn failed(self, code: i32, words: &str) {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.err.contains(words) || self.out.contains(words), "{words:?} is not in {self:?}");
    }
}

impl Tenants {
    /// With more lines for the configuration.
    pub async fn new(lines: &str) -> Self {
        let cluster = hardened_cluster().await;
        let folder = TempDir::new().unwrap();
        let text = format!(
            "{lines}\n[databases.app]\nhost = '127.0.0.1'\nport = {}\nuser = 'app'\npassword = 'app'\ntls = 'disable'\n\
             [databases.app.control]\nuser = 'keeper'\npassword = 'keeper'\n\
             [[users]]\nname = 'app'\npassword = 'app'\ntenants = ['*']\n",
            cluster.port()
        );
        fs::write(folder.path().join("pgstrata.toml"), text).unwrap();
        let tenants = Self { cluster, folder };
        // One that may make schemas, and is no superuser.
        let sql = "CREATE ROLE keeper LOGIN PASSWORD 'keeper'; GRANT CREATE ON DATABASE app TO keeper;
                   GRANT app TO keeper";
        tenants.superuser().await.batch_execute(sql).await.unwrap();
        tenants
    }

    /// A file in the folder of the configuration.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `pgstrata tenant` with these arguments.
    pub async fn run(&self, arguments: &[&str]) -> Said {
        let mut command = pgstrata();
        command.arg("tenant").arg("--config").arg(self.file("pgstrata.toml")).args(arguments);
        command.env_remove("PGSTRATA_ADMIN_URL");
        let programs = self.cluster.install().program("pg_dump");
        command.env("PGSTRATA_PG_BIN", programs.parent().unwrap());
        let output = command.kill_on_drop(true).output().await.unwrap();
        Said {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// PostgreSQL's major version.
    pub async fn major(&self) -> i32 {
        let sql = "SELECT current_setting('server_version_num')::int / 10000";
        self.superuser().await.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// What the audit says once `sql` was run, which is undone again.
    pub async fn audit_after(&self, sql: &str) -> Said {
        let client = self.superuser().await;
        let before = state(&client).await;
        client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{error:?}: {sql}"));
        let said = self.run(&["audit"]).await;
        client.batch_execute(&undo(sql)).await.unwrap_or_else(|error| panic!("{error:?}: {}", undo(sql)));
        assert_eq!(state(&client).await, before, "{sql} was not undone");
        said
    }

    /// A proxy with this configuration, and how user `app` connects to it for a tenant.
    pub async fn serve(&self) -> (Background, impl Fn(&str) -> Config + use<>) {
        let mut config = pgstrata::config::Config::load(&self.file("pgstrata.toml")).unwrap();
        let port = free_port();
        config.listen.address = SocketAddr::from(([127, 0, 0, 1], port));
        config.http.enabled = false;
        let proxy = tokio::task::spawn_blocking(|| Background::start(config)).await.unwrap().unwrap();
        let login = move |tenant: &str| {
            let mut login: Config = format!("postgresql://app:app@127.0.0.1:{port}/app").parse().unwrap();
            login.options(tenant_option(tenant));
            login
        };
        (proxy, login)
    }

    /// The superuser in the database.
    pub async fn superuser(&self) -> Client {
        connect(&self.cluster.superuser("app")).await.unwrap()
    }

    /// Runs SQL as the superuser.
    pub async fn sql(&self, sql: &str) {
        self.superuser().await.batch_execute(sql).await.unwrap_or_else(|error| panic!("{error:?}: {sql}"));
    }
}

/// What takes one of the statements back that an audit has to notice.
fn undo(sql: &str) -> String {
    let words: Vec<&str> = sql.split(' ').collect();
    match words.as_slice() {
        ["GRANT", ..] => sql.replacen("GRANT", "REVOKE", 1).replace(" TO ", " FROM "),
        ["SET", "ROLE", ..] => "SET ROLE keeper; DO $$ BEGIN EXECUTE 'GRANT tenant_a TO app' || CASE WHEN \
             current_setting('server_version_num')::int >= 160000 THEN ' WITH INHERIT FALSE, SET TRUE' ELSE '' END; END $$; RESET ROLE"
            .to_owned(),
        ["REVOKE", ..] => sql.replacen("REVOKE", "GRANT", 1).replace(" FROM ", " TO "),
        ["ALTER", "ROLE", role, attribute] => format!("ALTER ROLE {role} NO{attribute}"),
        ["ALTER", what, name, "OWNER", ..] => format!("ALTER {what} {name} OWNER TO keeper"),
        _ => panic!("nobody knows how to undo {sql}"),
    }
}

/// Who may do what.
async fn state(client: &Client) -> Vec<String> {
    let sql = "SELECT rolname || rolsuper || rolbypassrls || rolcanlogin FROM pg_roles
               UNION ALL SELECT nspname || pg_get_userbyid(nspowner) || a::text FROM pg_namespace, aclexplode(nspacl) a
               UNION ALL SELECT oid::regclass || pg_get_userbyid(relowner) || a::text FROM pg_class, aclexplode(relacl) a
                   WHERE relnamespace::regnamespace::text !~ '^(pg_|information)'
               UNION ALL SELECT roleid::regrole || ' ' || member::regrole FROM pg_auth_members ORDER BY 1";
    crate::stage::names(client, sql).await
}
