//! `pgstrata demo`, the real program, as a newcomer meets it.

use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgstrata_tests::program::pgstrata;
use pgstrata_tests::stage::{connect, free_port, names, tenant_option};
use pgstrata_tests::{ACME, GLOBEX, PUBLIC, database};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

/// A demo that says READY, in a temporary folder of its own.
struct Demo {
    child: Child,
    port: u16,
    said: String,
    temp: TempDir,
}

fn command(port: u16, temp: &Path) -> Command {
    let mut command = pgstrata();
    command.args(["demo", "--port", &port.to_string(), "--http-port", &free_port().to_string()]);
    command.env("TMPDIR", temp).env("PGSTRATA_PG_BIN", database::install().bin);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// PostgreSQL's own account must be able to go through it.
fn open_temp_dir() -> TempDir {
    use std::os::unix::fs::PermissionsExt;
    let temp = tempfile::Builder::new().prefix("pgd-").tempdir().unwrap();
    std::fs::set_permissions(temp.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    temp
}

async fn demo(arguments: &[&str]) -> Demo {
    let (port, temp) = (free_port(), open_temp_dir());
    let mut child = command(port, temp.path()).args(arguments).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = String::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        said.push_str(&line);
        said.push('\n');
        if line == "READY" {
            return Demo { child, port, said, temp };
        }
    }
    panic!("the demo ended before it was ready: {said}\n{}", complaint(child).await);
}

async fn complaint(mut child: Child) -> String {
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).await.unwrap();
    text
}

impl Demo {
    fn config(&self, tenant: Option<&str>) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port).user("app").password("app").dbname("app");
        if let Some(tenant) = tenant {
            config.options(tenant_option(tenant));
        }
        config
    }

    async fn names(&self, tenant: Option<&str>) -> Vec<String> {
        let client = connect(&self.config(tenant)).await.unwrap();
        names(&client, "SELECT name FROM users ORDER BY id").await
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().unwrap().try_into().unwrap()), signal).unwrap();
    }

    /// The ids of the PostgreSQL servers whose data is in the temporary folder.
    fn server_ids(&self) -> Vec<i32> {
        let folders = std::fs::read_dir(self.temp.path()).unwrap();
        let files = folders.map(|folder| folder.unwrap().path().join("data/postmaster.pid"));
        let texts = files.filter_map(|file| std::fs::read_to_string(file).ok());
        texts.filter_map(|text| text.lines().next()?.parse().ok()).collect()
    }

    fn is_clean(&self, servers: &[i32]) -> bool {
        let alive = servers.iter().any(|id| kill(Pid::from_raw(*id), None).is_ok());
        !alive && std::fs::read_dir(self.temp.path()).unwrap().next().is_none()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tenant_sees_its_own_rows() {
    for strategy in ["search_path", "schema_qualified"] {
        let demo = demo(&["--strategy", strategy]).await;
        assert_eq!(demo.names(Some("acme_corp")).await, ACME);
        assert_eq!(demo.names(Some("globex")).await, GLOBEX);
        assert_eq!(demo.names(None).await, PUBLIC);
        for part in ["tenant%3Dacme_corp", "tenant%3Dglobex", "/metrics"] {
            assert!(demo.said.contains(part), "{part} is not in\n{}", demo.said);
        }
        demo.signal(Signal::SIGTERM);
        assert!(demo.child.wait_with_output().await.unwrap().status.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn demo_is_set_up_as_the_documents_recommend() {
    let demo = demo(&[]).await;
    let client = async |user: &str| {
        let mut config = demo.config(Some("acme_corp"));
        connect(config.user(user).password(user)).await.unwrap()
    };
    let refused = |result: Result<(), tokio_postgres::Error>| {
        result.is_err_and(|e| e.code().unwrap().code() == "42501")
    };
    let app = client("app").await;
    app.batch_execute("UPDATE users SET name = name").await.unwrap();
    assert!(refused(app.batch_execute("CREATE TABLE notes (id int)").await));
    assert!(refused(app.batch_execute("SET tenant = 'globex'").await));
    client("migrations").await.batch_execute("CREATE TABLE notes (id int)").await.unwrap();
    let pool = client("pool").await;
    pool.batch_execute("SET tenant = 'globex'").await.unwrap();
    assert_eq!(names(&pool, "SELECT name FROM users ORDER BY id").await, GLOBEX);
    // Past the proxy, as the servers: PostgreSQL is hardened.
    let folder = std::fs::read_dir(demo.temp.path()).unwrap().next().unwrap().unwrap().path();
    let pid = std::fs::read_to_string(folder.join("data/postmaster.pid")).unwrap();
    let mut config = tokio_postgres::Config::new();
    config.host_path(&folder).port(pid.lines().nth(3).unwrap().parse().unwrap()).user("app").dbname("app");
    let servers = connect(&config).await.unwrap();
    assert!(refused(servers.batch_execute("SELECT lo_create(0)").await));
    demo.signal(Signal::SIGTERM);
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_leave_nothing_behind() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut demo = demo(&[]).await;
        let servers = demo.server_ids();
        assert_eq!(servers.len(), 1);
        let _client = connect(&demo.config(Some("globex"))).await.unwrap();
        demo.signal(signal);
        assert!(demo.child.wait().await.unwrap().success(), "{signal}");
        assert!(demo.is_clean(&servers), "{signal}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_demo_leaves_nothing_behind() {
    let mut demo = demo(&[]).await;
    let servers = demo.server_ids();
    assert_eq!(servers.len(), 1);
    demo.signal(Signal::SIGKILL);
    demo.child.wait().await.unwrap();
    // Its watching shell needs a moment.
    while !demo.is_clean(&servers) {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// One line on stderr, nothing on stdout, and a status that is not 0.
async fn fails(mut command: Command, expected: &str) {
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains(expected), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(output.stdout.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn port_in_use_is_said() {
    let temp = open_temp_dir();
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    fails(command(port, temp.path()), &format!("port {port} is in use")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_postgres_is_said() {
    let temp = open_temp_dir();
    let mut without = command(free_port(), temp.path());
    without.env("PGSTRATA_PG_BIN", temp.path());
    fails(without, "no PostgreSQL server found").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn second_demo_in_a_folder_is_refused() {
    let data = open_temp_dir();
    let folder = data.path().to_str().unwrap();
    let demo = demo(&["--data", folder]).await;
    let mut second = command(free_port(), demo.temp.path());
    second.args(["--data", folder]);
    fails(second, "another demo is running").await;
    demo.signal(Signal::SIGTERM);
    demo.child.wait_with_output().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_data_is_there_the_next_time() {
    let data = open_temp_dir();
    let folder = data.path().to_str().unwrap();
    let first = demo(&["--data", folder]).await;
    let client = connect(&first.config(Some("globex"))).await.unwrap();
    client.execute("INSERT INTO users (name, email) VALUES ('Otto', 'o')", &[]).await.unwrap();
    drop(client);
    first.signal(Signal::SIGTERM);
    assert!(first.child.wait_with_output().await.unwrap().status.success());
    let second = demo(&["--data", folder]).await;
    assert_eq!(second.names(Some("globex")).await, ["Hank", "Mindy", "Otto"]);
    second.signal(Signal::SIGTERM);
    assert!(second.child.wait_with_output().await.unwrap().status.success());
}
