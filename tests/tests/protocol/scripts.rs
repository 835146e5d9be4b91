//! psql scripts say the same through the proxy as on PostgreSQL itself, while another tenant is busy.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pgstrata::demo::postgres::{Cluster, Options};
use pgstrata_tenancy::Strategy::{self, SchemaQualified, SearchPath};
use pgstrata_tenancy::Tier;
use pgstrata_tests::program::{client_program, run};
use pgstrata_tests::setup::wished_tier;
use pgstrata_tests::stage::{connect, names};
use pgstrata_tests::{GLOBEX, PUBLIC, Setup, Stage, database, roles};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_postgres::{Client, SimpleQueryMessage};

/// Its SQL carries SQL.
const DYNAMIC: &str = "dynamic";
/// Lines that must be the same, of a thousand.
const ENOUGH: usize = 995;
const SCRIPT_TIMEOUT: Duration = Duration::from_secs(60);

struct Script {
    name: String,
    schema: String,
    statements: usize,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts")
}

fn scripts() -> Vec<Script> {
    let files = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut scripts: Vec<Script> = files
        .filter(|file| file.extension().is_some_and(|extension| extension == "sql"))
        .map(|file| {
            let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
            let statements = statements(&fs::read_to_string(&file).unwrap());
            Script { schema: format!("acme_{name}"), name, statements }
        })
        .collect();
    scripts.sort_by(|one, other| one.name.cmp(&other.name));
    scripts
}

/// Statements end with their line, or with `\;`.
fn statements(text: &str) -> usize {
    let ends = [";", r"\g", r"\gset", r"\gexec", r"\gx", r"\gdesc", r"\crosstabview"];
    let ended = |line: &&str| !line.starts_with("--") && ends.iter().any(|end| line.ends_with(end));
    text.lines().filter(ended).count() + text.matches(r"\;").count()
}

async fn cluster(scripts: &[Script]) -> Cluster {
    let settings = vec![("max_prepared_transactions".into(), "10".into())];
    let cluster = database::cluster_with(Options { settings, ..Options::default() }).await;
    let server = connect(&cluster.superuser("app")).await.unwrap();
    for script in scripts {
        let create = format!("CREATE SCHEMA {} AUTHORIZATION app", script.schema);
        server.batch_execute(&create).await.unwrap();
        if wished_tier() != Tier::Names {
            server.batch_execute(&roles::sql(&script.schema)).await.unwrap();
        }
    }
    cluster
}

/// What psql says to a script, errors where they come.
async fn said(script: &Script, port: u16, user: &str, options: String) -> Vec<String> {
    let output = tempfile::NamedTempFile::new().unwrap();
    let stream = |file: &File| Stdio::from(file.try_clone().unwrap());
    let mut psql = client_program("psql");
    psql.args(["-X", "-a", "-q", "-f"]).arg(format!("{}.sql", script.name)).current_dir(folder());
    psql.args(["-h", "127.0.0.1", "-d", "app", "-U", user, "-p"]).arg(port.to_string());
    psql.env("PGPASSWORD", "app").env("PGOPTIONS", options).env("LC_ALL", "C.UTF-8");
    psql.stdin(Stdio::null()).stdout(stream(output.as_file())).stderr(stream(output.as_file()));
    let mut psql = psql.kill_on_drop(true).spawn().unwrap();
    let ended = timeout(SCRIPT_TIMEOUT, psql.wait()).await;
    let text = fs::read(output.path()).unwrap();
    let text = String::from_utf8_lossy(&text);
    assert!(ended.is_ok(), "{} does not end:\n{text}", script.name);
    text.lines().map(without_process).collect()
}

/// Ids of processes differ by nature.
fn without_process(line: &str) -> String {
    match line.split_once(" received from server process with PID ") {
        Some((notification, _)) => notification.to_owned(),
        None => line.to_owned(),
    }
}

/// The lines of both, in order: ` ` in both, `-` in the first alone, `+` in the second alone.
fn diff<'a>(first: &'a [String], second: &'a [String]) -> Vec<(char, &'a str)> {
    let width = second.len() + 1;
    // For each pair of ends, how many lines they have in common.
    let mut common = vec![0u32; (first.len() + 1) * width];
    for i in (0..first.len()).rev() {
        for j in (0..second.len()).rev() {
            common[i * width + j] = match first[i] == second[j] {
                true => common[(i + 1) * width + j + 1] + 1,
                false => common[(i + 1) * width + j].max(common[i * width + j + 1]),
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < first.len() || j < second.len() {
        let line = if i < first.len() && j < second.len() && first[i] == second[j] {
            (' ', &first[i])
        } else if j == second.len()
            || i < first.len() && common[(i + 1) * width + j] >= common[i * width + j + 1]
        {
            ('-', &first[i])
        } else {
            ('+', &second[j])
        };
        i += usize::from(line.0 != '+');
        j += usize::from(line.0 != '-');
        lines.push((line.0, line.1.as_str()));
    }
    lines
}

/// Between two rounds of a neighbour: busy, but not all that the machine can do.
const PAUSE: Duration = Duration::from_millis(2);

/// Clients of another tenant, whose answers are their own whatever the scripts do.
struct Neighbours {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<usize>,
}

impl Neighbours {
    async fn start(stage: &Stage) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        tasks.spawn(reads(stage.client("globex").await, Arc::clone(&stop)));
        tasks.spawn(reads(stage.client("globex").await, Arc::clone(&stop)));
        tasks.spawn(writes(stage.client("globex").await, Arc::clone(&stop)));
        tasks.spawn(sets(stage.client("globex").await, Arc::clone(&stop)));
        Self { stop, tasks }
    }

    /// Fails if one of them got a wrong answer, or none.
    async fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(rounds) = self.tasks.join_next().await {
            assert!(rounds.unwrap() > 0, "a neighbour got no answer");
        }
    }
}

async fn reads(client: Client, stop: Arc<AtomicBool>) -> usize {
    let one = client.prepare("SELECT name FROM users WHERE id = $1").await.unwrap();
    let mut rounds = 0;
    while !stop.load(Ordering::Relaxed) {
        assert_eq!(client.query_one(&one, &[&1i32]).await.unwrap().get::<_, &str>(0), GLOBEX[0]);
        assert_eq!(names(&client, "SELECT name FROM users WHERE id <= 2 ORDER BY id").await, GLOBEX);
        assert_eq!(value(&client, "SELECT title FROM posts").await, "Hammocks");
        rounds += 1;
        sleep(PAUSE).await;
    }
    rounds
}

async fn writes(mut client: Client, stop: Arc<AtomicBool>) -> usize {
    let mut rounds = 0;
    while !stop.load(Ordering::Relaxed) {
        let name = format!("guest {rounds}");
        let transaction = client.transaction().await.unwrap();
        let insert = "INSERT INTO users (name, email) VALUES ($1, $1)";
        assert_eq!(transaction.execute(insert, &[&name]).await.unwrap(), 1);
        let found = transaction.query("SELECT name FROM users WHERE id > 2", &[]).await.unwrap();
        assert_eq!(found.iter().map(|row| row.get::<_, &str>(0)).collect::<Vec<_>>(), [&name]);
        transaction.rollback().await.unwrap();
        assert_eq!(value(&client, "SELECT count(*) FROM users").await, "2");
        rounds += 1;
        sleep(PAUSE).await;
    }
    rounds
}

async fn sets(client: Client, stop: Arc<AtomicBool>) -> usize {
    let mut rounds = 0;
    while !stop.load(Ordering::Relaxed) {
        let size = format!("{}MB", 64 + rounds % 8);
        client.batch_execute(&format!("SET work_mem = '{size}'")).await.unwrap();
        assert_eq!(value(&client, "SHOW work_mem").await, size);
        assert_eq!(value(&client, "SHOW search_path").await, "globex, public");
        assert_eq!(value(&client, "SELECT current_setting('app.who', true)").await, "");
        client.batch_execute("BEGIN; SET LOCAL DateStyle = 'SQL, DMY'").await.unwrap();
        assert_eq!(value(&client, "SELECT date '2026-12-24'").await, "24/12/2026");
        client.batch_execute("COMMIT; SET search_path TO public").await.unwrap();
        assert_eq!(value(&client, "SELECT name FROM users").await, PUBLIC[0]);
        client.batch_execute("RESET ALL").await.unwrap();
        assert_eq!(value(&client, "SHOW work_mem").await, "4MB");
        assert_eq!(value(&client, "SELECT date '2026-12-24'").await, "2026-12-24");
        rounds += 1;
        sleep(PAUSE).await;
    }
    rounds
}

async fn value(client: &Client, query: &str) -> String {
    let messages = client.simple_query(query).await.unwrap();
    let row = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    row.expect("one row").get(0).unwrap_or_default().to_owned()
}

/// What is the same, over all scripts.
#[derive(Default)]
struct Totals {
    statements: usize,
    lines: usize,
    same: usize,
}

/// Shows what differs, each time with the line in front of it.
fn show(lines: &[(char, &str)]) {
    let mut before = None;
    for (sign, line) in lines {
        if *sign == ' ' {
            before = Some(line);
            continue;
        }
        if let Some(line) = before.take() {
            println!("     {line}");
        }
        println!("    {sign}{line}");
    }
}

fn compare(script: &Script, direct: &[String], proxied: &[String], totals: &mut Totals) {
    let lines = diff(direct, proxied);
    let same = lines.iter().filter(|(sign, _)| *sign == ' ').count();
    let longer = direct.len().max(proxied.len());
    println!("{}: {} statements, {same} of {longer} lines are the same", script.name, script.statements);
    show(&lines);
    totals.statements += script.statements;
    totals.lines += longer;
    totals.same += same;
}

async fn all_scripts(strategy: Strategy) {
    let psql = psql_version().await;
    // `\bind` came with 16.
    let scripts: Vec<Script> =
        scripts().into_iter().filter(|script| script.name != "extended" || psql >= 16).collect();
    let migrations = "name = 'migrations'\npassword = 'app'\ntenants = ['*']\ndynamic_sql = 'allow'";
    let setup = Setup::new().strategy(strategy).servers(2).user(migrations);
    let direct = cluster(&scripts).await;
    let stage = Stage::on(cluster(&scripts).await, setup).await;
    let neighbours = Neighbours::start(&stage).await;
    let mut totals = Totals::default();
    for script in &scripts {
        let path = roles::direct_options(&script.schema);
        let user = if script.name == DYNAMIC { "migrations" } else { "app" };
        let (expected, found) = tokio::join!(
            said(script, direct.port(), "app", path),
            said(script, stage.port(), user, format!("-ctenant={}", script.schema)),
        );
        compare(script, &expected, &found, &mut totals);
    }
    let Totals { statements, lines, same } = totals;
    println!("{strategy}: {statements} statements, {same} of {lines} lines are the same");
    neighbours.stop().await;
    assert_eq!(stage.public_users().await, PUBLIC);
    assert!(same * 1000 >= lines * ENOUGH, "{same} of {lines} lines are the same");
}

async fn psql_version() -> u32 {
    let mut psql = client_program("psql");
    psql.arg("--version");
    let said = run(psql).await;
    let number = said.split_whitespace().nth(2).and_then(|version| version.split('.').next());
    number.and_then(|major| major.parse().ok()).unwrap_or_else(|| panic!("psql's version: {said}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_by_search_path() {
    all_scripts(SearchPath).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_by_qualified_names() {
    all_scripts(SchemaQualified).await;
}
