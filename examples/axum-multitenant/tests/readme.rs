//! The commands of the README, exactly as they stand there, and what they print.

// A test fails loudly, and so do its helpers.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Stdio;

use pgstrata::demo::postgres::{Cluster, Options};
use pgstrata_tests::stage::connect;
use pgstrata_tests::{Setup, Stage, database};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// The service, listening.
struct Service {
    _child: Child,
    /// Where curl finds what the README says, at another port.
    curl_home: TempDir,
}

impl Service {
    async fn start(variables: &[(&str, String)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_axum-multitenant"));
        command.env("LISTEN", "127.0.0.1:0").env_remove("PROVISION_URL");
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = Vec::new();
        let address = loop {
            let line =
                lines.next_line().await.unwrap().unwrap_or_else(|| panic!("it ended, saying {said:?}"));
            if let Some(address) = line.strip_prefix("listening on http://") {
                break address.to_owned();
            }
            said.push(line);
        };
        assert_eq!(said, [r#"created ["acme_corp", "globex"], skipped []"#]);
        let curl_home = tempfile::tempdir().unwrap();
        let config = format!("connect-to = \"localhost:3000:{address}\"\nnoproxy = \"*\"\nmax-time = 60\n");
        std::fs::write(curl_home.path().join(".curlrc"), config).unwrap();
        Self { _child: child, curl_home }
    }

    async fn run(&self, command: &str) -> String {
        let mut shell = Command::new("sh");
        shell
            .args(["-c", command])
            .env("CURL_HOME", self.curl_home.path())
            .env("HOME", self.curl_home.path());
        pgstrata_tests::program::run(shell).await
    }
}

/// An empty database `blog` of a role `blog`.
async fn cluster() -> Cluster {
    let cluster = database::cluster_with(Options::default()).await;
    let admin = connect(&cluster.superuser("postgres")).await.unwrap();
    for statement in ["CREATE ROLE blog LOGIN PASSWORD 'blog'", "CREATE DATABASE blog OWNER blog"] {
        admin.batch_execute(statement).await.unwrap();
    }
    cluster
}

fn url(port: u16) -> String {
    format!("postgres://blog:blog@127.0.0.1:{port}/blog")
}

/// Commands, each with what is printed below it.
fn commands() -> Vec<(String, String)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut commands: Vec<(String, String)> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        match line.strip_prefix("$ ") {
            _ if line.starts_with("```") => inside = line == "```console",
            _ if !inside => assert!(!line.starts_with("curl"), "outside of a console: {line}"),
            Some(command) => commands.push((command.to_owned(), String::new())),
            None => {
                let (_, printed) = commands.last_mut().unwrap();
                printed.push_str(line);
                printed.push('\n');
            }
        }
    }
    assert!(commands.len() > 20 && commands.iter().all(|(command, _)| command.starts_with("curl ")));
    commands
}

async fn prints_what_the_readme_says(service: &Service) {
    for (command, printed) in commands() {
        // An answer in JSON has no end of line: a terminal shows none, and a page needs one.
        let told = service.run(&command).await;
        let told = if told.ends_with('\n') { told } else { told + "\n" };
        assert_eq!(told, printed, "{command}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_of_the_readme_print_what_it_says() {
    let cluster = cluster().await;
    let service = Service::start(&[("DATABASE_URL", url(cluster.port()))]).await;
    prints_what_the_readme_says(&service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_print_the_same_through_pgstrata() {
    let cluster = cluster().await;
    let port = cluster.port();
    let user = "name = 'blog'\npassword = 'blog'\ntenants = ['*']\ntenant_switch = true".to_owned();
    let server = format!(
        "[databases.blog]\nhost = '127.0.0.1'\nport = {port}\nuser = 'blog'\npassword = 'blog'\ntls = 'disable'"
    );
    // Tenants come while it runs.
    let setup = Setup::new().tenant_cache("10ms").user(format!("{user}\n{server}"));
    let stage = Stage::on(cluster, setup).await;
    let urls = [("DATABASE_URL", url(stage.port())), ("PROVISION_URL", url(port))];
    let service = Service::start(&urls).await;
    prints_what_the_readme_says(&service).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn service_without_a_database_says_what_is_missing() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_axum-multitenant"));
    let output = command.env_remove("DATABASE_URL").output().await.unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("export DATABASE_URL="));
}
