//! What a newcomer meets in the first hour: slips, refusals, the demo's command line, a configuration of one's own.

use std::path::Path;
use std::process::{Output, Stdio};

use pgstrata_tests::program::{client_program, pgstrata, run};
use pgstrata_tests::stage::{connect, eventually, free_port, http};
use pgstrata_tests::{ACME, Process, Setup, Stage, Wire, database};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

const NAMES: &str = "SELECT name FROM users ORDER BY id";

#[tokio::test(flavor = "multi_thread")]
async fn slip_in_the_tenants_parameter_is_told() {
    for missing in ["public", "reject"] {
        let stage = Stage::new(Setup::new().line("tenancy", format!("missing_tenant = '{missing}'"))).await;
        for slip in
            ["-ctennant=acme_corp", "-c tenent=acme_corp", "--tenant-id=acme_corp", "-cTenants=acme_corp"]
        {
            let fault = Wire::login(stage.port(), "app", "app", &[("options", slip)]).await.unwrap_err();
            assert_eq!(fault.code, "42704", "{slip}: {fault:?}");
            assert!(fault.hint.as_deref().unwrap().contains("options=-ctenant=NAME"), "{slip}: {fault:?}");
        }
        let fault = Wire::login(stage.port(), "app", "app", &[("tenant_id", "acme_corp")]).await.unwrap_err();
        assert!(fault.hint.unwrap().contains("\"tenant\""));
        for form in ["tenant=acme_corp", "-ctenant", "--tenant acme_corp"] {
            let fault = Wire::login(stage.port(), "app", "app", &[("options", form)]).await.unwrap_err();
            assert!(fault.hint.as_deref().unwrap().contains("options=-ctenant=NAME"), "{form}: {fault:?}");
        }
        // What is no slip is PostgreSQL's to judge, and an application's own parameters are its own.
        let own = "-ctenant=acme_corp -capp.tenant_id=7 -cwork_mem=1MB";
        let mut wire = Wire::login(stage.port(), "app", "app", &[("options", own)]).await.unwrap();
        assert_eq!(wire.simple("SHOW app.tenant_id").await.column(), ["7"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn command_of_the_console_says_where_the_console_is() {
    let stage = Stage::new(Setup::new()).await;
    let mut wire = stage.wire("acme_corp").await;
    for (command, code) in
        [("SHOW POOLS", "42704"), ("show clients;", "42704"), ("RELOAD", "42601"), ("PAUSE app;", "42601")]
    {
        // PostgreSQL says the same, but for the hint.
        let own = stage.superuser().await.batch_execute(command).await.unwrap_err();
        let answers = [wire.simple(command).await, wire.extended(command, &[]).await];
        for answer in answers {
            let fault = answer.fault().unwrap_or_else(|| panic!("{command}"));
            assert_eq!(
                (&*fault.code, &*fault.message),
                (code, own.as_db_error().unwrap().message()),
                "{command}"
            );
            assert!(fault.hint.as_deref().unwrap().contains("database \"pgstrata\""), "{command}");
        }
    }
    // A transaction fails by it as by any error, and others are PostgreSQL's own.
    wire.simple("BEGIN").await;
    wire.simple("SHOW POOLS").await;
    assert_eq!(wire.simple(NAMES).await.fault().unwrap().code, "25P02");
    wire.simple("ROLLBACK").await;
    assert_eq!(wire.simple("SHOW server_version_num").await.column().len(), 1);
    assert_eq!(wire.simple("RELOAD the whole of it").await.fault().unwrap().hint, None);
}

/// The lines of a server's log up to one that holds `word`.
async fn log_up_to(process: &mut Process, word: &str) -> Vec<String> {
    let mut lines = BufReader::new(process.child.stderr.take().unwrap()).lines();
    let mut seen = Vec::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        seen.push(line);
        if seen.last().unwrap().contains(word) {
            break;
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_login_is_logged_with_no_secret() {
    let cluster = database::cluster().await;
    let mut process = Process::start(&Setup::new(), cluster.port(), Stdio::piped()).await;
    let port = process.port;
    let login = async |user: &str, password: &str, options: &str| {
        Wire::login(port, user, password, &[("options", options), ("database", "app")]).await
    };
    login("app", "hunter2", "-ctenant=acme_corp").await.unwrap_err();
    login("acme", "acme", "-ctenant=globex").await.unwrap_err();
    login("app", "app", "-ctennant=x").await.unwrap_err();
    login("app", "app", "-ctenant=last_one").await.unwrap_err();
    let lines = log_up_to(&mut process, "last_one").await;
    let refused: Vec<_> = lines.iter().filter(|line| line.contains("client refused")).collect();
    assert_eq!(refused.len(), 4, "{lines:#?}");
    for line in &refused {
        for part in ["WARN", "user=", "database=\"app\"", "peer=127.0.0.1:", "reason="] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
        assert!(!line.contains("hunter2"), "{line}");
    }
    assert!(refused[0].contains("user=\"app\"") && refused[0].contains("28P01"), "{}", refused[0]);
    assert!(refused[1].contains("tenant=\"globex\""), "{}", refused[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn flood_of_refused_logins_leaves_few_lines() {
    let cluster = database::cluster().await;
    let log = tempfile::NamedTempFile::new().unwrap();
    let process = Process::start(&Setup::new(), cluster.port(), log.reopen().unwrap()).await;
    let begun = std::time::Instant::now();
    for _ in 0..1_000 {
        Wire::login(process.port, "app", "app", &[("options", "-ctennant=x")]).await.unwrap_err();
    }
    let took = begun.elapsed().as_secs();
    let lines = std::fs::read_to_string(log.path()).unwrap();
    let lines = lines.lines().filter(|line| line.contains("client refused")).count();
    assert!(lines >= 100, "{lines}");
    // A hundred at once, and five in each second.
    assert!((lines as u64) <= 100 + 5 * (took + 1), "{lines} in {took} s");
    // Each of them is counted, the last one when it has been told.
    eventually(true, async || process.metric("pgstrata_clients_refused_total").await >= 1_000.0).await;
}

/// A demo, and what it said.
struct Demo {
    _child: Child,
    said: String,
    _temp: TempDir,
}

async fn demo() -> Demo {
    use std::os::unix::fs::PermissionsExt;
    let temp = tempfile::Builder::new().prefix("pgd-").tempdir().unwrap();
    std::fs::set_permissions(temp.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = pgstrata();
    command.args(["demo", "--port", &free_port().to_string(), "--http-port", &free_port().to_string()]);
    command.env("TMPDIR", temp.path()).env("PGSTRATA_PG_BIN", database::install().bin);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = String::new();
    while let Some(line) = lines.next_line().await.unwrap() {
        said = said + &line + "\n";
        if line == "READY" {
            return Demo { _child: child, said, _temp: temp };
        }
    }
    panic!("the demo ended before it was ready: {said}");
}

/// Runs a line as it was printed.
async fn shell(line: &str) -> Output {
    let mut command = Command::new("sh");
    command.args(["-c", line]).env_remove("PGOPTIONS").env("PGCONNECT_TIMEOUT", "30").kill_on_drop(true);
    command.output().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_line_that_the_demo_prints_works() {
    let demo = demo().await;
    let printed: Vec<_> = demo.said.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    assert_eq!(printed.len(), 11, "{}", demo.said);
    let mut answers = Vec::new();
    for line in &printed {
        let answer = shell(line).await;
        assert!(answer.status.success(), "{line}: {answer:?}");
        answers.push(String::from_utf8(answer.stdout).unwrap());
    }
    let answer = |part: &str| {
        let at = printed.iter().position(|line| line.contains(part)).unwrap();
        &*answers[at]
    };
    assert!(answer("explain route").contains("tenant    acme_corp"), "{}", answer("explain route"));
    assert!(answer(" check ").ends_with(": ok\n"));
    assert!(answer(" explain --config").contains("acme_corp"));
    assert!(
        answer(" list").contains("globex") && !answer(" list").contains("template"),
        "{}",
        answer(" list")
    );
    // The tenant that was just made has a user's rights, and differs in nothing from the template.
    let url = printed[0].split('"').nth(1).unwrap().replace("acme_corp", "initech");
    let client = connect(&url.parse().unwrap()).await.unwrap();
    client.execute("INSERT INTO users (name, email) VALUES ('Peter', 'p')", &[]).await.unwrap();
    let diff =
        printed.iter().find(|line| line.ends_with(" list")).unwrap().replace(" list", " diff initech globex");
    assert!(shell(&diff).await.status.success(), "{:?}", shell(&diff).await);
    // Nobody works in the template.
    let url = printed[0].split('"').nth(1).unwrap().replace("acme_corp", "template");
    assert!(connect(&url.parse().unwrap()).await.is_err());
}

/// `pgstrata init` for a cluster, as its superuser.
fn init(cluster: &pgstrata::demo::postgres::Cluster) -> Command {
    let socket = cluster.socket_dir().to_str().unwrap().replace('/', "%2F");
    let url = format!("postgresql://postgres@{socket}:{}/app?sslmode=disable", cluster.port());
    let mut command = pgstrata();
    command.args(["init", "--url", &url]).env_remove("PGSTRATA_ADMIN_URL").kill_on_drop(true);
    command
}

const PASSWORDS: [(&str, &str); 3] = [
    ("PGSTRATA_SERVERS_PASSWORD", "one"),
    ("PGSTRATA_OWNER_PASSWORD", "it's \"two\""),
    ("PGSTRATA_USER_PASSWORD", "three"),
];

#[tokio::test(flavor = "multi_thread")]
async fn init_leads_to_the_first_query() {
    let cluster = database::cluster().await;
    let admin = connect(&cluster.superuser("app")).await.unwrap();
    // As applications have it: one role owns all.
    let owned = "CREATE ROLE \"the owner\" LOGIN; REASSIGN OWNED BY app TO \"the owner\";
                 ALTER SCHEMA acme_corp OWNER TO \"the owner\"; ALTER SCHEMA globex OWNER TO \"the owner\";
                 GRANT USAGE, CREATE ON SCHEMA public TO \"the owner\"; ALTER TABLE public.users OWNER TO \"the owner\";
                 ALTER TABLE public.posts OWNER TO \"the owner\"";
    admin.batch_execute(owned).await.unwrap();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("pgstrata.toml");
    let mut command = init(&cluster);
    command.arg("--output").arg(&file).current_dir(folder.path());
    std::fs::write(folder.path().join("roles.sql"), run(command).await).unwrap();
    let mut psql = client_program("psql");
    let socket = cluster.socket_dir();
    psql.args(["-X", "-q", "-f", "roles.sql", "-U", "postgres", "-d", "app", "-h"]).arg(socket);
    psql.args(["-p", &cluster.port().to_string()]).current_dir(folder.path()).envs(PASSWORDS);
    run(psql).await;

    let (port, http_port) = (free_port(), free_port());
    let mut text = std::fs::read_to_string(&file).unwrap();
    for part in
        ["# Probable tenants (schemas with the same tables): acme_corp, globex.", "source = \"public\""]
    {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    text = text.replace("127.0.0.1:6432", &format!("127.0.0.1:{port}"));
    // By TCP, with the passwords.
    text = text.replace(&format!("host = \"{}\"", socket.display()), "host = \"127.0.0.1\"");
    std::fs::write(&file, format!("[http]\naddress = '127.0.0.1:{http_port}'\n{text}")).unwrap();
    let with = |arguments: &[&str]| {
        let mut command = pgstrata();
        command.args(arguments).arg("--config").arg(&file).envs(PASSWORDS).kill_on_drop(true);
        command.env_remove("PGSTRATA_ADMIN_URL");
        command
    };
    assert!(run(with(&["check"])).await.ends_with(": ok\n"));
    let _serving = with(&["serve"]).spawn().unwrap();
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let login =
        |tenant: &str| format!("postgresql://app:three@127.0.0.1:{port}/app?options=-ctenant%3D{tenant}");
    let acme = connect(&login("acme_corp").parse().unwrap()).await.unwrap();
    assert_eq!(pgstrata_tests::stage::names(&acme, NAMES).await, ACME);
    acme.execute("INSERT INTO posts (user_id, title) VALUES (1, 'x')", &[]).await.unwrap();
    run(with(&["tenant", "create", "initech"])).await;
    assert!(connect(&login("initech").parse().unwrap()).await.is_ok());
    run(with(&["tenant", "adopt", "--all"])).await;
    // And the program that container engines ask with.
    let health = |arguments: &[&str]| {
        let mut command = pgstrata();
        command.arg("health").args(arguments);
        command
    };
    run(health(&["--ready", "--address", &format!("127.0.0.1:{http_port}")])).await;
    run(with(&["health"])).await;
    let nobody = health(&["--address", &format!("127.0.0.1:{}", free_port())]).output().await.unwrap();
    assert_eq!(nobody.status.code(), Some(1));
    assert!(http(http_port, "/healthz").await.ends_with("ok\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn init_without_a_file_prints_a_configuration() {
    let cluster = database::cluster().await;
    let admin = connect(&cluster.superuser("app")).await.unwrap();
    // No name breaks out of a comment.
    admin.batch_execute("CREATE SCHEMA \"odd\n[users]\nx = 1 --\"").await.unwrap();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("pgstrata.toml");
    std::fs::write(&file, run(init(&cluster)).await).unwrap();
    let mut check = pgstrata();
    check.args(["check", "--config"]).arg(&file).envs(PASSWORDS);
    assert!(run(check).await.ends_with(": ok\n"));
    // Somebody's work is not written over.
    let mut again = init(&cluster);
    let again = again.arg("--output").arg(&file).output().await.unwrap();
    assert!(!again.status.success());
    assert!(String::from_utf8_lossy(&again.stderr).contains("File exists"), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn manual_pages_and_completions_are_written() {
    let folder = TempDir::new().unwrap();
    for what in ["man", "completions"] {
        let mut command = pgstrata();
        command.args(["generate", what]).arg(folder.path());
        run(command).await;
    }
    let written = |name: &str| std::fs::read_to_string(Path::new(folder.path()).join(name)).unwrap();
    assert!(written("pgstrata.1").contains("pgstrata\\-tenant(1)"), "{}", written("pgstrata.1"));
    assert!(written("pgstrata-tenant-create.1").contains(".TH"));
    assert!(
        written("pgstrata.bash").contains("--config")
            && written("_pgstrata").starts_with("#compdef pgstrata")
    );
}
