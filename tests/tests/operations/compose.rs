//! docker-compose.yml and the Dockerfile, as far as they can be tried with no container: what they name is there,
//! and the programs do with these very files what the containers would.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use pgstrata::demo::postgres::{Cluster, Options};
use pgstrata_tests::database::install;
use pgstrata_tests::program::{client_program, pgstrata, run};
use pgstrata_tests::stage::{connect, free_port, http};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::Command;

const COMPOSE: &str = include_str!("../../../docker-compose.yml");
const DOCKERFILE: &str = include_str!("../../../Dockerfile");
const IGNORED: &str = include_str!("../../../.dockerignore");
const SETTINGS: &str = include_str!("../../../config/compose/pgstrata.toml");
const INIT: &str = include_str!("../../../config/compose/init.sql");

/// The passwords that docker-compose.yml gives where nobody says otherwise.
const PASSWORDS: [(&str, &str); 3] =
    [("PGSTRATA_APP_PASSWORD", "app"), ("PGSTRATA_CONTROL_PASSWORD", "owner"), ("PGSTRATA_USER_APP", "app")];

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The Dockerfile's instructions of one kind.
fn instructions(name: &str) -> Vec<&'static str> {
    DOCKERFILE.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).collect()
}

/// The Dockerfile's instructions of one kind, each with the lines that go on.
fn whole_instructions(name: &str) -> Vec<String> {
    let joined = DOCKERFILE.replace("\\\n", " ");
    let found = joined.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    found.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// What is in the image, in the words of the image's build.
#[test]
fn image_is_built_as_it_should_be_and_does_not_run_as_root() {
    let builds = whole_instructions("RUN");
    let [parsers_needs, _, dependencies, build, clients] = &builds[..] else { panic!("{builds:?}") };
    assert!(
        parsers_needs.contains("install -y --no-install-recommends clang libclang-dev"),
        "{parsers_needs}"
    );
    // The same command, so that the second finds what the first has built.
    let command = "cargo build --release --locked --package pgstrata --bin pgstrata && ";
    assert!(dependencies.starts_with(command) && build.starts_with(command), "{dependencies}\n{build}");
    assert!(clients.contains("postgresql-client-18"), "{clients}");
    let stages = instructions("FROM");
    let rust = stages[0].strip_prefix("rust:").and_then(|rest| rest.split('-').next()).unwrap();
    let manifest = std::fs::read_to_string(project().join("Cargo.toml")).unwrap();
    assert!(manifest.contains(&format!("rust-version = \"{rust}\"")), "the image's Rust is {rust}");
    // Built with the same C library as they run with.
    let [base, .., slim, full] = stages[..] else { panic!("{stages:?}") };
    assert!(base.contains("bookworm"), "{base}");
    assert!(slim.contains("debian12") && slim.ends_with(" AS slim"), "{slim}");
    assert!(full.contains("debian:12") && full.ends_with(" AS full"), "the default is the last: {full}");
    let program = "--from=build /src/target/release/pgstrata /usr/local/bin/pgstrata";
    assert_eq!(instructions("COPY").iter().filter(|copy| **copy == program).count(), 2);
    assert_eq!(instructions("USER"), ["65532:65532"; 2]);
    assert_eq!(instructions("ENTRYPOINT"), [r#"["/usr/local/bin/pgstrata"]"#; 2]);
    let asks = instructions("HEALTHCHECK");
    assert!(
        asks.len() == 2 && asks.iter().all(|ask| ask.ends_with(r#"["/usr/local/bin/pgstrata", "health"]"#))
    );
}

/// The layer with the dependencies is made of the same files after a change of code, and cargo takes them.
#[test]
fn change_of_code_builds_no_dependency_anew() {
    let empty = |change: &str| {
        let context = sent_to_the_build();
        let file = context.path().join("proxy/src/main.rs");
        std::fs::write(&file, std::fs::read_to_string(&file).unwrap() + change).unwrap();
        std::fs::write(context.path().join("proxy/src/new.rs"), change).unwrap();
        // A folder with nothing else in it must not stay behind.
        if !change.is_empty() {
            std::fs::create_dir(context.path().join("proxy/src/new")).unwrap();
            std::fs::write(context.path().join("proxy/src/new/mod.rs"), change).unwrap();
        }
        let builds = whole_instructions("RUN");
        let status =
            std::process::Command::new("sh").args(["-c", &builds[1]]).current_dir(context.path()).status();
        assert!(status.unwrap().success());
        context
    };
    let (before, after) = (empty(""), empty("// changed"));
    let difference =
        std::process::Command::new("diff").arg("-r").args([before.path(), after.path()]).output().unwrap();
    assert!(difference.status.success(), "{}", String::from_utf8_lossy(&difference.stdout));
    assert!(packages(after.path()).contains(&"pgstrata".to_owned()));
    assert_eq!(std::fs::read_to_string(after.path().join("proxy/src/main.rs")).unwrap(), "fn main() { }\n");
}

/// A copy of what the build gets.
fn sent_to_the_build() -> TempDir {
    let context = tempfile::tempdir().unwrap();
    for name in IGNORED.lines().filter_map(|line| line.strip_prefix('!')) {
        let mut copy = std::process::Command::new("cp");
        copy.arg("-r").arg(project().join(name)).arg(context.path());
        assert!(copy.status().unwrap().success(), "{name}");
    }
    context
}

/// The members of a workspace, as cargo finds them.
fn packages(workspace: &Path) -> Vec<String> {
    let mut cargo = std::process::Command::new(env!("CARGO"));
    cargo.args(["metadata", "--locked", "--offline", "--format-version=1", "--no-deps"]);
    let answer = cargo.current_dir(workspace).output().unwrap();
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    let answer: serde_json::Value = serde_json::from_slice(&answer.stdout).unwrap();
    let packages = answer["packages"].as_array().unwrap().iter();
    packages.map(|package| package["name"].as_str().unwrap().to_owned()).collect()
}

/// What is sent to the build is what the build needs: cargo finds all members of the workspace there.
#[test]
fn build_gets_the_whole_workspace_and_nothing_else() {
    let sent: Vec<&str> = IGNORED.lines().filter_map(|line| line.strip_prefix('!')).collect();
    assert!(IGNORED.lines().any(|line| line == "*"), "everything else is left out");
    let packages = packages(sent_to_the_build().path());
    assert!(packages.contains(&"pgstrata".to_owned()), "{packages:?}");
    for forbidden in ["target", ".git", ".tools", "docs", "config"] {
        assert!(!sent.contains(&forbidden), "{forbidden} is sent to the build");
    }
}

/// What compose says of the file.
async fn compose(mut program: Command) -> std::io::Result<Output> {
    program.args(["--file", "docker-compose.yml", "config", "--quiet"]).current_dir(project());
    program.output().await
}

#[tokio::test]
async fn compose_file_is_valid_and_names_files_that_there_are() {
    let answer = match compose(Command::new("docker-compose")).await {
        Ok(answer) => answer,
        // As a part of docker's own program.
        Err(error) => {
            let mut docker = Command::new("docker");
            docker.arg("compose");
            let answer = compose(docker).await;
            answer.unwrap_or_else(|_| {
                panic!("docker-compose can't be run: {error}; `scripts/setup test` installs it")
            })
        }
    };
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    let mounts = COMPOSE.lines().filter_map(|line| line.trim().strip_prefix("- ./"));
    let mut count = 0;
    for mount in mounts {
        let file = mount.split(':').next().unwrap();
        assert!(project().join(file).exists(), "there is no {file}");
        count += 1;
    }
    assert_eq!(count, 8, "a mount is not looked at");
    for (name, password) in PASSWORDS {
        let given =
            COMPOSE.lines().any(|line| line.contains(name) && line.contains(&format!(":-{password}}}")));
        assert!(given, "{name} is not {password}");
    }
    // What is open is open to this machine alone.
    let ports = COMPOSE.lines().map(str::trim).filter(|line| line.starts_with("- \"") && line.contains(':'));
    for port in ports {
        assert!(port.starts_with("- \"127.0.0.1:"), "{port}");
    }
}

/// What the containers find of each other: names and ports.
#[test]
fn services_ask_each_other_by_the_names_that_they_have() {
    let services = ["postgres", "tenants", "migrations", "pgstrata", "prometheus", "grafana"];
    for service in services {
        assert!(COMPOSE.lines().any(|line| line == format!("  {service}:")), "{service}");
    }
    assert!(SETTINGS.contains("host = \"postgres\""));
    assert!(SETTINGS.contains("address = \"0.0.0.0:9187\""));
    assert!(include_str!("../../../config/prometheus.yml").contains("\"pgstrata:9187\""));
    let source = include_str!("../../../config/grafana/provisioning/datasources/prometheus.yml");
    assert!(source.contains("url: http://prometheus:9090"));
    let provider = include_str!("../../../config/grafana/provisioning/dashboards/pgstrata.yml");
    let folder = provider.lines().find_map(|line| line.trim().strip_prefix("path: ")).unwrap();
    assert!(COMPOSE.contains(&format!("./config/grafana/pgstrata.json:{folder}/pgstrata.json:ro")));
}

/// `pgstrata` with the containers' environment.
fn program(arguments: &[&str], folder: &TempDir) -> Command {
    let mut program = pgstrata();
    program.args(arguments).arg("--config").arg(folder.path().join("pgstrata.toml")).envs(PASSWORDS);
    program.kill_on_drop(true).stdin(Stdio::null());
    program
}

/// psql as a tenant's client.
async fn psql(port: u16, tenant: &str, text: &str) -> Output {
    let url = format!("postgresql://app:app@127.0.0.1:{port}/app?options=-ctenant%3D{tenant}");
    client_program("psql").args(["-X", "-A", "-t", "-c", text, &url]).output().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_containers_run_gives_two_tenants_that_are_served() {
    // The service postgres: a new cluster, the database app, and init.sql as the superuser.
    let hba = vec!["host all app,app_owner all scram-sha-256".to_owned()];
    let cluster = Cluster::start(Options { install: Some(install()), hba, ..Options::default() }).unwrap();
    connect(&cluster.superuser("postgres"))
        .await
        .unwrap()
        .batch_execute("CREATE DATABASE app")
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("init.sql"), INIT).unwrap();
    let mut init = client_program("psql");
    init.args(["-X", "--file"]).arg(folder.path().join("init.sql")).envs(PASSWORDS);
    let socket = cluster.socket_dir().display();
    init.arg(format!("postgresql://postgres@/app?host={socket}&port={}", cluster.port()));
    run(init).await;

    // The settings, with other addresses.
    let (port, http_port) = (free_port(), free_port());
    let settings = SETTINGS
        .replace("0.0.0.0:6432", &format!("127.0.0.1:{port}"))
        .replace("0.0.0.0:9187", &format!("127.0.0.1:{http_port}"))
        .replace("host = \"postgres\"", &format!("host = \"127.0.0.1\"\nport = {}", cluster.port()));
    std::fs::write(folder.path().join("pgstrata.toml"), settings).unwrap();
    run(program(&["check"], &folder)).await;

    // The service tenants: once, and again as with the next `up`.
    let command = r#"["tenant", "create", "acme_corp", "globex", "--config", "/etc/pgstrata/pgstrata.toml"]"#;
    assert!(COMPOSE.contains(command));
    for _ in 0..2 {
        run(program(&["tenant", "create", "acme_corp", "globex"], &folder)).await;
    }

    // The service migrations, likewise.
    let command =
        r#"["tenant", "migrate", "--dir", "/migrations", "--config", "/etc/pgstrata/pgstrata.toml"]"#;
    assert!(COMPOSE.contains(command));
    let migrations = project().join("config/compose/migrations");
    for _ in 0..2 {
        run(program(&["tenant", "migrate", "--dir", migrations.to_str().unwrap()], &folder)).await;
    }

    // The service pgstrata.
    let mut served = program(&["serve"], &folder).stderr(Stdio::null()).spawn().unwrap();
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        assert!(served.try_wait().unwrap().is_none(), "the proxy has ended");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for tenant in ["acme_corp", "globex"] {
        let insert = format!("INSERT INTO users (name, email) VALUES ('{tenant}', 'x') RETURNING id");
        let inserted = psql(port, tenant, &insert).await;
        assert!(inserted.status.success(), "{inserted:?}");
    }
    for tenant in ["acme_corp", "globex"] {
        let read = psql(port, tenant, "SELECT name FROM users").await;
        assert_eq!(String::from_utf8_lossy(&read.stdout).trim(), tenant, "{read:?}");
    }
    assert!(!psql(port, "initech", "SELECT 1").await.status.success());
    let page = http(http_port, "/metrics").await;
    for tenant in ["acme_corp", "globex"] {
        let line = format!("pgstrata_tenant_requests_total{{database=\"app\",tenant=\"{tenant}\"}} 2");
        assert!(page.lines().any(|l| l == line), "{line} is not in\n{page}");
    }
    // The registry, which the service tenants has made, can be read; it is, now and then.
    while !http(http_port, "/metrics").await.contains("pgstrata_tenants{database=\"app\",state=\"active\"} 2")
    {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(http(http_port, "/readyz").await.starts_with("HTTP/1.1 200"));
    let migrated = psql(port, "globex", "SELECT count(published_at) FROM posts").await;
    assert_eq!(String::from_utf8_lossy(&migrated.stdout).trim(), "0", "{migrated:?}");
}
