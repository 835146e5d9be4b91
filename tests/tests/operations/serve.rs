//! `pgstrata serve` and `pgstrata check`, the real program: TLS at both ends, metrics, mistakes.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgstrata::config::Config;
use pgstrata::demo::find::Install;
use pgstrata::pool::connect::connect;
use pgstrata::pool::target::Target;
use pgstrata_tests::program::{client_program_of, pgstrata, run};
use pgstrata_tests::stage::http;
use pgstrata_tests::{ACME, GLOBEX, Setup, Stage, Wire, database, stage};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Child;

/// A file of its own for each test: the configuration, with what is given put in place.
fn written(text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("pgstrata.toml"), text).unwrap();
    folder
}

async fn said_by(command: &str, folder: &TempDir) -> Output {
    let mut program = pgstrata();
    program.arg(command).arg("--config").arg(folder.path().join("pgstrata.toml"));
    program.output().await.unwrap()
}

/// The program, once it takes clients in.
async fn serve(folder: &TempDir, port: u16) -> Child {
    let mut program = pgstrata();
    program.arg("serve").arg("--config").arg(folder.path().join("pgstrata.toml"));
    let child = program.stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    child
}

async fn psql(install: &Install, url: &str, query: &str) -> Output {
    client_program_of(install, "psql").args(["-X", "-A", "-t", "-c", query, url]).output().await.unwrap()
}

/// Makes a certificate for localhost that is its own authority: certificate and key, in PEM.
fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// Lets PostgreSQL take TLS connections of user `app`, and no others.
async fn require_tls(cluster: &pgstrata::demo::postgres::Cluster, certificate: &str, key: &str) {
    let server = stage::connect(&cluster.superuser("app")).await.unwrap();
    for (file, text) in [("server.crt", certificate), ("server.key", key)] {
        // By PostgreSQL's own account, in its own folder: the key must be readable by it alone.
        let lines: Vec<String> = text.lines().map(|line| format!("('{line}')")).collect();
        let copy = format!("COPY (VALUES {}) TO PROGRAM 'umask 077; cat > {file}'", lines.join(", "));
        server.batch_execute(&copy).await.unwrap();
    }
    let hba = "COPY (VALUES ('local all all trust'), ('hostssl all app all scram-sha-256'), \
               ('host all postgres all trust')) TO PROGRAM 'cat > pg_hba.conf'";
    server.batch_execute(hba).await.unwrap();
    server.batch_execute("ALTER SYSTEM SET ssl = on").await.unwrap();
    server.batch_execute("SELECT pg_reload_conf()").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_come_in_by_each_address() {
    let cluster = database::cluster().await;
    let ports = [(); 4].map(|()| stage::free_port());
    let more = format!("more_addresses = ['127.0.0.1:{}', '127.0.0.2:{}']", ports[1], ports[2]);
    let text = Setup::new().line("listen", &more).toml(ports[0], ports[3], cluster.port());
    let folder = written(&text);
    let _child = serve(&folder, ports[0]).await;
    for (host, port) in [("127.0.0.1", ports[0]), ("127.0.0.1", ports[1]), ("127.0.0.2", ports[2])] {
        let url = format!("postgresql://app:app@{host}:{port}/app?options=-ctenant%3Dacme_corp");
        let shown = psql(cluster.install(), &url, "SELECT name FROM users ORDER BY id").await;
        assert_eq!(String::from_utf8_lossy(&shown.stdout).lines().collect::<Vec<_>>(), ACME, "{shown:?}");
    }
    for (broken, says) in [
        (format!("127.0.0.1:{}", ports[0]), "a second time"),
        (format!("127.0.0.1:{}", ports[3]), "give it another port"),
    ] {
        let folder = written(&text.replace(&format!("127.0.0.2:{}", ports[2]), &broken));
        let said = said_by("check", &folder).await;
        assert!(!said.status.success() && String::from_utf8_lossy(&said.stderr).contains(says), "{said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_at_both_ends() {
    let cluster = database::cluster_with_tls().await;
    let (server_certificate, server_key) = certificate();
    require_tls(&cluster, &server_certificate, &server_key).await;
    let (port, http_port) = (stage::free_port(), stage::free_port());
    let text = Setup::new()
        .line("listen", "tls = 'required'\ntls_certificate = 'proxy.crt'\ntls_key = 'proxy.key'")
        .line("tenancy", "catalog_notify = true")
        .user("name = 'watcher'\npassword = 'watcher'\nstats = true")
        .toml(port, http_port, cluster.port())
        .replace("host = '127.0.0.1'", "host = 'localhost'")
        .replace("tls = 'disable'", "tls = 'verify-full'\ntls_ca = 'server.crt'");
    let folder = written(&text);
    let (proxy_certificate, proxy_key) = certificate();
    for (file, text) in
        [("proxy.crt", &proxy_certificate), ("proxy.key", &proxy_key), ("server.crt", &server_certificate)]
    {
        std::fs::write(folder.path().join(file), text).unwrap();
    }
    assert!(said_by("check", &folder).await.status.success());
    let mut child = serve(&folder, port).await;
    let ca = folder.path().join("proxy.crt");
    let url = |tenant: &str, tls: &str| {
        let base = format!("postgresql://app:app@localhost:{port}/app?options=-ctenant%3D{tenant}");
        format!("{base}&sslrootcert={}&sslmode={tls}", ca.display())
    };
    for (tenant, names) in [("acme_corp", &ACME[..]), ("globex", &GLOBEX[..])] {
        let shown =
            psql(cluster.install(), &url(tenant, "verify-full"), "SELECT name FROM users ORDER BY id").await;
        assert_eq!(String::from_utf8_lossy(&shown.stdout).lines().collect::<Vec<_>>(), names, "{shown:?}");
    }
    for (authority, is_known) in [("proxy.crt", true), ("server.crt", false)] {
        let mut top = pgstrata();
        let query = format!("sslmode=verify-full&sslrootcert={}", folder.path().join(authority).display());
        let console = format!("postgresql://watcher:watcher@localhost:{port}/pgstrata?{query}");
        let output = top.args(["top", "--once", "--url", &console]).output().await.unwrap();
        assert_eq!(output.status.success(), is_known, "{output:?}");
        assert!(is_known || String::from_utf8_lossy(&output.stderr).contains("certificate"), "{output:?}");
    }
    let refused = psql(cluster.install(), &url("globex", "disable"), "SELECT 1").await;
    assert!(String::from_utf8_lossy(&refused.stderr).contains("TLS"), "{refused:?}");
    // The connection that listens is one of them; nobody waits for it.
    while !http(http_port, "/metrics").await.contains("pgstrata_catalog_listening{database=\"app\"} 1") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let server = stage::connect(&cluster.superuser("app")).await.unwrap();
    let all = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'app'";
    assert!(server.query_one(all, &[]).await.unwrap().get::<_, bool>(0));
    // And out, with nothing left to do.
    kill(Pid::from_raw(child.id().unwrap().try_into().unwrap()), Signal::SIGTERM).unwrap();
    assert!(child.wait().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_client_that_says_goodbye_reads_its_answers_and_their_end() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = certificate();
    let [certificate_file, key_file] = ["proxy.crt", "proxy.key"].map(|file| folder.path().join(file));
    std::fs::write(&certificate_file, certificate).unwrap();
    std::fs::write(&key_file, key).unwrap();
    let (certificate, key) = (certificate_file.display(), key_file.display());
    let tls = format!("tls = 'optional'\ntls_certificate = '{certificate}'\ntls_key = '{key}'");
    let stage = Stage::new(Setup::new().line("listen", tls)).await;
    // As the proxy itself would be one of its clients.
    let text = Setup::new().toml(1, 2, stage.port()).replace("tls = 'disable'", "tls = 'require'");
    let config = Config::parse(&text, Path::new("client.toml")).unwrap();
    let target = Target::new("app", &config.databases["app"]).unwrap();
    let mut client = connect(&target, &[("options", "-ctenant=acme_corp")]).await.unwrap();
    client.stream.write_all(b"Q\0\0\0\x0dSELECT 1\0X\0\0\0\x04").await.unwrap();
    client.stream.flush().await.unwrap();
    let mut answer = Vec::new();
    // Whoever sees no end in TLS can't tell it from one who cuts the line.
    client.stream.read_to_end(&mut answer).await.expect("all was said, and the client is told so");
    assert!(answer.ends_with(b"SELECT 1\0Z\0\0\0\x05I"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_tell_what_was_done() {
    let mut stage = Stage::new(Setup::new()).await;
    let mut client = stage.wire("acme_corp").await;
    let counted = async |name: &str| {
        let page = http(stage.http_port(), "/metrics").await;
        let line = page.lines().find(|line| line.starts_with(name));
        line.map_or(0.0, |line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
    };
    let read = r#"{strategy="search_path",kind="tenant_read"}"#;
    let write = r#"{strategy="search_path",kind="tenant_write"}"#;
    // Until the catalog is loaded each statement counts as one that may reach the tenant.
    let reads = format!("pgstrata_requests_total{read}");
    let mut before = -1.0;
    while counted(&reads).await != before {
        before = counted(&reads).await;
        client.simple("SELECT 1 / 1").await;
    }
    for _ in 0..7 {
        client.simple("SELECT name FROM users").await;
    }
    client.simple("UPDATE users SET name = name").await;
    client.simple("SELECT * FROM globex.users").await;
    client.simple("SELECT 1 / 0").await;
    client.simple("SET application_name = 'x'; CREATE TEMP TABLE t (a int)").await;
    for (name, expected) in [
        (format!("pgstrata_requests_total{read}"), before + 7.0),
        (format!("pgstrata_round_trips_total{read}"), before + 7.0),
        (format!("pgstrata_requests_total{write}"), 2.0),
        (r#"pgstrata_statements_refused_total{code="42501"}"#.into(), 1.0),
        (r#"pgstrata_errors_total{class="22"}"#.into(), 1.0),
        (r#"pgstrata_errors_total{class="42"}"#.into(), 1.0),
        (r#"pgstrata_pins_total{reason="temp_table"}"#.into(), 1.0),
        ("pgstrata_clients ".into(), 1.0),
        (r#"pgstrata_servers{database="app",state="active"}"#.into(), 1.0),
    ] {
        assert_eq!(counted(&name).await, expected, "{name}");
    }
    assert!(counted("pgstrata_query_seconds_count").await >= 10.0);
    assert!(http(stage.http_port(), "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(http(stage.http_port(), "/readyz").await.starts_with("HTTP/1.1 200"));
    stage.cluster.stop().unwrap();
    assert!(http(stage.http_port(), "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(http(stage.http_port(), "/readyz").await.starts_with("HTTP/1.1 503"));
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_in_the_file_are_said_with_their_line() {
    let good = Setup::new().toml(stage::free_port(), stage::free_port(), 5432);
    for (from, to, said) in [
        ("max_servers", "max_server", "max_server"),
        ("strategy = 'search_path'", "strategy = 'qualified'", "schema_qualified"),
        ("max_servers = 2", "max_servers = 'two'", "max_servers"),
        ("password = 'acme'", "password = 'acme'\nclear_text = 1", "clear_text"),
    ] {
        let text = good.replacen(from, to, 1);
        let line = text.lines().zip(good.lines()).position(|(bad, good)| bad != good).unwrap() + 1;
        let folder = written(&text);
        for command in ["check", "serve"] {
            let output = said_by(command, &folder).await;
            let complaint = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success(), "{command}: {to}");
            let lines = [format!("pgstrata.toml:{line}:"), format!("pgstrata.toml:{}:", line + 1)];
            assert!(lines.iter().any(|place| complaint.contains(place)), "{complaint}");
            assert!(complaint.contains(said), "{complaint}");
            assert!(!complaint.contains("acme'"), "a secret is shown: {complaint}");
        }
    }
    let missing = said_by("check", &tempfile::tempdir().unwrap()).await;
    assert!(!missing.status.success());
    assert_eq!(String::from_utf8_lossy(&missing.stderr).lines().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn annotated_configuration_is_as_good_as_none() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut program = pgstrata();
    program.args(["check", "--config"]).arg(project.join("config/pgstrata.toml"));
    program.env("PGSTRATA_APP_PASSWORD", "x").env("PGSTRATA_USER_APP", "x");
    run(program).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn explain_says_which_way_a_text_goes() {
    let cluster = database::cluster().await;
    let folder = written(&Setup::new().toml(stage::free_port(), stage::free_port(), cluster.port()));
    let explain = async |arguments: &[&str]| {
        let mut program = pgstrata();
        program.arg("explain").arg("--config").arg(folder.path().join("pgstrata.toml")).args(arguments);
        let output = program.output().await.unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).unwrap())
    };
    let acme = ["--tenant", "acme_corp", "--strategy", "schema_qualified"];
    for (text, shown) in [
        ("select * from users, plans", r#"select * from "acme_corp".users, "public".plans"#),
        ("select 1", "route     pass"),
        ("select nope(id) from users", r#"function "nope""#),
        ("vacuum users", "transaction block"),
        ("create temp table t (a int)", "temp_table"),
        ("select * from globex.users", r#"may not name schema "globex""#),
    ] {
        let (good, said) = explain(&[&acme[..], &[text]].concat()).await;
        assert!(good && said.contains(shown), "{text}: {said}");
    }
    let (_, said) = explain(&["--tenant", "acme_corp", "select * from users"]).await;
    assert!(said.contains(r#"SET LOCAL search_path TO "acme_corp", "public"; select"#), "{said}");
    let (good, said) = explain(&["--tenant", "nobody", "select 1"]).await;
    assert!(!good && said.lines().count() == 1, "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_ask_which_way_a_statement_goes() {
    let admin = "name = 'root'\npassword = 'root'\ntenants = ['*']\nadmin = true";
    let stage = Stage::new(Setup::new().user(admin)).await;
    let option = stage::tenant_option("acme_corp");
    let mut root = Wire::login(stage.port(), "root", "root", &[("options", &option)]).await.unwrap();
    let said = root.simple("EXPLAIN ROUTE select * from users").await.column().join("\n");
    assert!(said.contains("SET LOCAL search_path") && said.contains("select * from users"), "{said}");
    assert!(
        root.simple("explain route select * from globex.users").await.column().join(" ").contains("42501")
    );
    root.simple("BEGIN").await;
    let answer = root.simple("EXPLAIN ROUTE delete from users").await;
    assert_eq!((answer.commands(), answer.status()), (vec!["EXPLAIN".to_owned()], Some('T')));
    assert!(!root.simple("SELECT * FROM users").await.column().is_empty(), "nothing of it has run");
    root.simple("ROLLBACK").await;
    let mut app = stage.wire("acme_corp").await;
    assert_eq!(app.simple("EXPLAIN ROUTE select 1").await.code(), "42601");
}

#[tokio::test(flavor = "multi_thread")]
async fn observe_mode_changes_nothing_and_says_what_would_be() {
    let cluster = database::cluster().await;
    let (port, http_port) = (stage::free_port(), stage::free_port());
    let setup = Setup::new().line("tenancy", "mode = 'observe'");
    let folder = written(&setup.toml(port, http_port, cluster.port()));
    let child = serve(&folder, port).await;
    let option = stage::tenant_option("acme_corp");
    let mut client = Wire::login(port, "app", "app", &[("options", &option)]).await.unwrap();
    // PostgreSQL's own path, and nothing refused.
    assert_eq!(client.simple("SHOW search_path").await.column(), ["\"$user\", public"]);
    assert_eq!(client.simple("SELECT name FROM users WHERE name = 'secret'").await.fault(), None);
    for _ in 0..3 {
        assert!(
            !client.simple("SELECT name FROM globex.users WHERE name <> 'secret'").await.column().is_empty()
        );
    }
    // As an application does it that has no proxy yet.
    assert_eq!(client.simple("SET search_path TO globex").await.fault(), None);
    let theirs = client.simple("SELECT name FROM users").await.column();
    assert_eq!(client.simple("SELECT name FROM globex.users").await.column(), theirs);
    assert_eq!(client.extended("SELECT name FROM users", &[]).await.column(), theirs);
    assert_eq!(client.simple("VACUUM users").await.fault(), None);
    let page = http(http_port, "/metrics").await;
    assert!(page.contains(r#"pgstrata_observed_total{would="refuse"}"#), "{page}");
    drop(client);
    kill(Pid::from_raw(child.id().unwrap().try_into().unwrap()), Signal::SIGTERM).unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    let refused = said.lines().filter(|line| line.contains("globex.users WHERE name <> ?"));
    assert_eq!(refused.count(), 1, "once for each shape: {said}");
    assert!(said.contains("42501") && said.contains("set_path") && !said.contains("secret"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_logs_in_to_each_database_where_it_is_asked_to() {
    let cluster = database::cluster().await;
    let text = Setup::new().toml(1, 2, cluster.port());
    let nobody = stage::free_port();
    let dead = format!("{text}[databases.dead]\nhost = '127.0.0.1'\nport = {nobody}\nuser = 'app'\n");
    let wrong = text.replacen("password = 'app'\ntls", "password = 'wrong'\ntls", 1);
    for (text, said) in [(&text, ""), (&dead, "[databases.dead] can not be reached"), (&wrong, "28P01")] {
        let folder = written(text);
        let mut program = pgstrata();
        program.args(["check", "--connect", "--config"]).arg(folder.path().join("pgstrata.toml"));
        let output = program.output().await.unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), said.is_empty(), "{complaint}");
        assert!(complaint.contains(said), "{complaint}");
        assert!(said_by("check", &folder).await.status.success(), "the file itself is fine");
    }
}
