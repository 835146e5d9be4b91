//! The configuration is read again while clients work.

use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::Signal;
use pgstrata::config::Config;
use pgstrata::demo::postgres::Cluster;
use pgstrata::pool::connect::{Connected, connect};
use pgstrata::pool::target::Target;
use pgstrata::stream::ServerStream;
use pgstrata_tenancy::Strategy;
use pgstrata_tests::program::pgstrata;
use pgstrata_tests::stage::{eventually, tenant_option};
use pgstrata_tests::wire::V3_0;
use pgstrata_tests::{ACME, Answer, GLOBEX, Process, Setup, Wire, answer::Fault, database, stage};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::ChildStderr;

const NAMES: &str = "SELECT name FROM users ORDER BY id";
const INSERT: &str = "INSERT INTO users (name, email) VALUES ('kept', clock_timestamp()::text)";

async fn start(setup: &Setup) -> (Cluster, Process) {
    let cluster = database::cluster().await;
    let process = Process::start(setup, cluster.port(), Stdio::inherit()).await;
    (cluster, process)
}

async fn log_in(process: &Process, user: &str, password: &str, tenant: &str) -> Result<Wire, Fault> {
    Wire::login(process.port, user, password, &[("options", &tenant_option(tenant))]).await
}

/// As [`log_in`], for user app to another database.
async fn log_in_to(process: &Process, database: &str, tenant: &str) -> Result<Wire, Fault> {
    let mut wire = Wire::connect(process.port).await;
    let option = tenant_option(tenant);
    wire.startup(V3_0, &[("user", "app"), ("database", database), ("options", &option)]).await;
    wire.authenticate("app").await.map(|()| wire)
}

/// The client is told this, and that is the end.
async fn is_closed(wire: &mut Wire, code: &str, reason: &str) {
    let last_words = wire.until(b'Z').await;
    assert_last(&last_words, code, reason);
}

fn assert_last(answer: &Answer, code: &str, reason: &str) {
    let fault = answer.faults().pop().expect("last words");
    assert_eq!((fault.severity.as_str(), fault.code.as_str()), ("FATAL", code), "{fault:?}");
    assert!(fault.message.contains(reason), "{fault:?}");
    assert_eq!(answer.messages.last().map(|message| message.tag), Some(b'E'), "nothing comes behind it");
}

/// A client that is in a transaction finishes it, hears so, and is closed then.
async fn finishes(wire: &mut Wire, reason: &str) {
    assert_eq!(wire.simple(INSERT).await.commands(), ["INSERT 0 1"]);
    assert_eq!(wire.simple("COMMIT").await.commands(), ["COMMIT"]);
    is_closed(wire, "57P01", reason).await;
}

async fn kept(cluster: &Cluster, tenant: &str) -> i64 {
    let server = stage::connect(&cluster.superuser("app")).await.unwrap();
    let query = format!("SELECT count(*) FROM {tenant}.users WHERE name = 'kept'");
    server.query_one(&query, &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn users_come_and_go() {
    let (cluster, process) = start(&Setup::new()).await;
    let mut stays = process.wire("globex").await;
    assert_eq!(log_in(&process, "new", "new", "acme_corp").await.unwrap_err().code, "28P01");
    let more = Setup::new().user("name = 'new'\npassword = 'new'\ntenants = ['acme_corp']");
    process.reload(&more).await;
    let mut idle = log_in(&process, "new", "new", "acme_corp").await.unwrap();
    let mut busy = log_in(&process, "new", "new", "acme_corp").await.unwrap();
    let mut pipelining = log_in(&process, "new", "new", "acme_corp").await.unwrap();
    assert_eq!(idle.simple(NAMES).await.column(), ACME);
    assert_eq!(busy.simple("BEGIN").await.status(), Some('T'));
    pipelining.parse("", INSERT).bind("", &[]).execute().message(b'H', b"").flush().await;
    assert_eq!(pipelining.until(b'C').await.commands(), ["INSERT 0 1"]);
    process.reload(&Setup::new()).await;
    is_closed(&mut idle, "57P01", "user \"new\" was removed from the configuration").await;
    assert_eq!(log_in(&process, "new", "new", "acme_corp").await.unwrap_err().code, "28P01");
    finishes(&mut busy, "user \"new\" was removed").await;
    // A pipeline is a transaction up to its end.
    pipelining.sync().flush().await;
    assert_eq!(pipelining.until(b'Z').await.status(), Some('I'));
    is_closed(&mut pipelining, "57P01", "user \"new\" was removed").await;
    assert_eq!(kept(&cluster, "acme_corp").await, 2);
    assert_eq!(stays.simple(NAMES).await.column(), GLOBEX);
}

#[tokio::test(flavor = "multi_thread")]
async fn password_holds_for_new_logins() {
    let (_cluster, process) = start(&Setup::new()).await;
    let mut connected = log_in(&process, "acme", "acme", "acme_corp").await.unwrap();
    process.reload(&Setup::new().replace("password = 'acme'", "password = 'changed'")).await;
    assert_eq!(log_in(&process, "acme", "acme", "acme_corp").await.unwrap_err().code, "28P01");
    let mut new = log_in(&process, "acme", "changed", "acme_corp").await.unwrap();
    for wire in [&mut connected, &mut new] {
        assert_eq!(wire.simple(NAMES).await.column(), ACME);
    }
    // A file that is named is read again, too.
    let from_file = Setup::new().replace("password = 'acme'", "password_file = 'secret'");
    for password in ["first", "second"] {
        std::fs::write(process.folder().join("secret"), password).unwrap();
        process.reload(&from_file).await;
        assert!(log_in(&process, "acme", password, "acme_corp").await.is_ok());
        assert_eq!(log_in(&process, "acme", "changed", "acme_corp").await.unwrap_err().code, "28P01");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn client_of_a_tenant_that_its_user_may_no_longer_name_leaves() {
    let setup = Setup::new().tenant_switch();
    let (cluster, process) = start(&setup).await;
    let mut idle = process.wire("acme_corp").await;
    let mut busy = process.wire("acme_corp").await;
    let mut stays = process.wire("globex").await;
    let mut switched = process.wire("globex").await;
    let mut tied = process.wire("globex").await;
    assert_eq!(busy.simple("BEGIN").await.status(), Some('T'));
    assert_eq!(switched.simple("SET tenant = 'acme_corp'").await.code(), "");
    let text = format!("/* tenant='acme_corp' */ {NAMES}");
    assert_eq!(tied.parse("s", &text).sync().answer().await.code(), "");
    assert_eq!(tied.bind("s", &[]).execute().sync().answer().await.column(), ACME);
    process.reload(&setup.clone().replace("tenants = ['*']", "tenants = ['glob*']")).await;
    let reason = "user \"app\" may no longer use tenant \"acme_corp\"";
    for wire in [&mut idle, &mut switched, &mut tied] {
        is_closed(wire, "57P01", reason).await;
    }
    finishes(&mut busy, reason).await;
    assert_eq!(kept(&cluster, "acme_corp").await, 1);
    assert_eq!(stays.simple(NAMES).await.column(), GLOBEX);
    assert_eq!(stays.simple("SET tenant = 'acme_corp'").await.code(), "42501");
    assert_eq!(log_in(&process, "app", "app", "acme_corp").await.unwrap_err().code, "28000");
    // And what it gets it has at once.
    process.reload(&setup).await;
    assert_eq!(stays.simple("SET tenant = 'acme_corp'").await.code(), "");
    assert_eq!(stays.simple(NAMES).await.column(), ["Alice", "Bob", "Carol", "kept"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_of_a_user_change_with_its_sessions() {
    let (_cluster, process) = start(&Setup::new()).await;
    let mut acme = log_in(&process, "acme", "acme", "acme_corp").await.unwrap();
    let mut app = process.wire("acme_corp").await;
    process
        .reload(&Setup::new().replace("password = 'acme'", "password = 'acme'\nstatements = 'read'"))
        .await;
    is_closed(&mut acme, "57P01", "what user \"acme\" may run has changed").await;
    let mut reader = log_in(&process, "acme", "acme", "acme_corp").await.unwrap();
    assert_eq!(reader.simple(INSERT).await.code(), "42501");
    assert_eq!(app.simple("EXPLAIN ROUTE select 1").await.code(), "42601");
    process
        .reload(&Setup::new().replace("password = 'app'\ntenants", "admin = true\npassword = 'app'\ntenants"))
        .await;
    assert!(app.simple("EXPLAIN ROUTE select 1").await.column().len() > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn databases_come_and_go() {
    let (cluster, process) = start(&Setup::new()).await;
    let mut stays = process.wire("acme_corp").await;
    assert_eq!(log_in_to(&process, "other", "acme_corp").await.unwrap_err().code, "3D000");
    let text = process.text(&Setup::new());
    let other = "host = '127.0.0.1'\nuser = 'app'\npassword = 'app'\ntls = 'disable'\ndatabase = 'app'";
    let port = cluster.port();
    process.write(&format!("{text}\n[databases.other]\nport = {port}\n{other}\n"));
    assert!(process.hang_up().await);
    let mut idle = log_in_to(&process, "other", "acme_corp").await.unwrap();
    let mut busy = log_in_to(&process, "other", "globex").await.unwrap();
    let mut pinned = log_in_to(&process, "other", "globex").await.unwrap();
    assert_eq!(idle.simple(NAMES).await.column(), ACME);
    assert_eq!(busy.simple("BEGIN").await.status(), Some('T'));
    assert_eq!(pinned.simple("CREATE TEMP TABLE mine (a int)").await.code(), "");
    process.write(&text);
    assert!(process.hang_up().await);
    for wire in [&mut idle, &mut pinned] {
        is_closed(wire, "57P01", "database \"other\" was removed").await;
    }
    assert_eq!(log_in_to(&process, "other", "acme_corp").await.unwrap_err().code, "3D000");
    finishes(&mut busy, "database \"other\" was removed").await;
    assert_eq!(kept(&cluster, "globex").await, 1);
    assert_eq!(stays.simple(NAMES).await.column(), ACME);
    // One that is somewhere else now is another.
    process.reload(&Setup::new().replace("host = '127.0.0.1'", "host = 'localhost'")).await;
    is_closed(&mut stays, "57P01", "the configuration of database \"app\" has changed").await;
    assert_eq!(process.wire("acme_corp").await.simple(NAMES).await.column(), ACME);
    // Nothing is left of what was.
    let server = stage::connect(&cluster.superuser("app")).await.unwrap();
    let open = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND application_name = ''";
    eventually(1, async || server.query_one(open, &[]).await.unwrap().get::<_, i64>(0)).await;
}

/// One wake-up that comes late must not be taken for the next.
#[tokio::test(flavor = "multi_thread")]
async fn each_idle_client_hears_of_the_last_of_many_reloads() {
    let (_cluster, process) = start(&Setup::new()).await;
    let mut idle = Vec::new();
    for _ in 0..60 {
        idle.push(process.wire("acme_corp").await);
    }
    for seconds in 1..=10 {
        process.reload(&Setup::new().line("limits", format!("query_timeout = '{seconds}h'"))).await;
    }
    process.reload(&Setup::new().replace("tenants = ['*']", "tenants = ['glob*']")).await;
    for wire in &mut idle {
        is_closed(wire, "57P01", "user \"app\" may no longer use tenant \"acme_corp\"").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pool_grows_at_once_and_shrinks_as_servers_come_back() {
    let (cluster, process) = start(&Setup::new().servers(1)).await;
    let mut wires = Vec::new();
    for tenant in ["acme_corp", "globex", "acme_corp"] {
        wires.push(process.wire(tenant).await);
    }
    assert_eq!(wires[0].simple("BEGIN").await.status(), Some('T'));
    for wire in &mut wires[1..] {
        wire.query("BEGIN").flush().await;
    }
    let waiting = async || process.metric("pgstrata_clients_waiting{database=\"app\"}").await;
    eventually(2.0, waiting).await;
    process.reload(&Setup::new().servers(3)).await;
    for wire in &mut wires[1..] {
        assert_eq!(wire.until(b'Z').await.status(), Some('T'));
    }
    process.reload(&Setup::new().servers(1)).await;
    for wire in &mut wires {
        assert_eq!(wire.simple("SELECT 1; COMMIT").await.commands(), ["SELECT 1", "COMMIT"]);
    }
    let server = stage::connect(&cluster.superuser("app")).await.unwrap();
    let open = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND application_name = ''";
    eventually(1, async || server.query_one(open, &[]).await.unwrap().get::<_, i64>(0)).await;
    for wire in &mut wires {
        assert_eq!(wire.simple("SELECT 1").await.value(), "1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn time_outs_act_on_who_is_connected() {
    let (_cluster, process) = start(&Setup::new()).await;
    let (mut open, mut idle) = (process.wire("acme_corp").await, process.wire("acme_corp").await);
    let mut slow = process.wire("globex").await;
    assert_eq!(open.simple("BEGIN").await.status(), Some('T'));
    slow.query("SELECT pg_sleep(600)").flush().await;
    let active = async || process.metric("pgstrata_servers{database=\"app\",state=\"active\"}").await;
    eventually(2.0, active).await;
    process.reload(&Setup::new().line("limits", "idle_transaction_timeout = '200ms'")).await;
    is_closed(&mut open, "25P03", "idle-in-transaction").await;
    process.reload(&Setup::new().line("limits", "query_timeout = '200ms'")).await;
    is_closed(&mut slow, "57014", "query_timeout").await;
    process.reload(&Setup::new().line("limits", "client_idle_timeout = '200ms'")).await;
    is_closed(&mut idle, "57P05", "idle-session").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_clients_of_tenants_that_change_leave() {
    let (cluster, process) = start(&Setup::new()).await;
    let (mut acme, mut busy) = (process.wire("acme_corp").await, process.wire("acme_corp").await);
    let mut globex = process.wire("globex").await;
    assert_eq!(globex.parse("s", NAMES).sync().answer().await.code(), "");
    assert_eq!(busy.simple("BEGIN").await.status(), Some('T'));
    let own = "[tenants.acme_corp]\nstrategy = 'schema_qualified'\n";
    process.write(&(process.text(&Setup::new()) + own));
    assert!(process.hang_up().await);
    let reason = "the configuration of tenant \"acme_corp\" has changed";
    is_closed(&mut acme, "57P01", reason).await;
    finishes(&mut busy, reason).await;
    assert_eq!(globex.bind("s", &[]).execute().sync().answer().await.column(), GLOBEX);
    let mut acme = process.wire("acme_corp").await;
    assert_eq!(acme.simple("SELECT name FROM users WHERE name <> 'kept' ORDER BY id").await.column(), ACME);
    assert_eq!(kept(&cluster, "acme_corp").await, 1);
    // Now the others: what they go by is what acme_corp went by before.
    let strategy = Setup::new().strategy(Strategy::SchemaQualified);
    process.write(&(process.text(&strategy) + own));
    assert!(process.hang_up().await);
    is_closed(&mut globex, "57P01", "the configuration of tenant \"globex\" has changed").await;
    assert_eq!(acme.simple("SELECT count(*) FROM users").await.value(), "4");
    // A schema that another is given is no tenant's by its own name.
    process.write(&(process.text(&strategy) + own + "[tenants.other]\nschema = 'globex'\n"));
    let mut globex = process.wire("globex").await;
    assert!(process.hang_up().await);
    is_closed(&mut globex, "57P01", "the configuration of tenant \"globex\" has changed").await;
    assert_eq!(log_in(&process, "app", "app", "globex").await.unwrap_err().code, "28000");
    assert_eq!(process.wire("other").await.simple(NAMES).await.column(), GLOBEX);
}

/// The next line with that text.
async fn line_with(lines: &mut Lines<BufReader<ChildStderr>>, text: &str) -> String {
    loop {
        let line = lines.next_line().await.unwrap().expect("more lines");
        if line.contains(text) {
            return line;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_file_changes_nothing_and_says_where() {
    let cluster = database::cluster().await;
    let setup = Setup::new().line("process", "pid_file = 'pid'");
    let mut process = Process::start(&setup, cluster.port(), Stdio::piped()).await;
    let mut lines = BufReader::new(process.child.stderr.take().unwrap()).lines();
    let mut client = process.wire("acme_corp").await;
    let good = process.text(&setup);
    let broken =
        good.replace("max_servers = 2", "max_server = 7").replace("password = 'acme'", "password = 'x'");
    let line = broken.lines().position(|line| line.starts_with("max_server =")).unwrap() + 1;
    process.write(&broken);
    assert!(!process.hang_up().await);
    let said = line_with(&mut lines, "configuration not reloaded").await;
    assert!(said.contains(&format!("pgstrata.toml:{line}: unknown key \"max_server\"")), "{said}");
    assert!(log_in(&process, "acme", "acme", "acme_corp").await.is_ok(), "the password is the old one");
    assert_eq!(client.simple(NAMES).await.column(), ACME);
    let file = process.folder().join("pgstrata.toml");
    let command = async |more: &[&str]| {
        let output = pgstrata().args(["reload", "--config"]).arg(&file).args(more).output().await.unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).unwrap())
    };
    // Whoever asks by the command hears it, too.
    let (well, said) = command(&[]).await;
    assert!(!well && said.contains(&format!("pgstrata.toml:{line}:")), "{said}");
    process.write(&good.replace("password = 'acme'", "password = 'changed'"));
    let (well, said) = command(&[]).await;
    assert!(well && said.starts_with("reloaded"), "{said}");
    assert!(log_in(&process, "acme", "changed", "acme_corp").await.is_ok());
    let said = line_with(&mut lines, "configuration reloaded").await;
    assert!(said.contains("users.acme.password") && !said.contains("'changed'"), "{said}");
    // What needs a restart is said, and stays.
    process.write(
        &good.replace("pid_file = 'pid'", "pid_file = 'pid2'").replace("[limits]", "[limits]\nthreads = 3"),
    );
    let pid = process.child.id().unwrap().to_string();
    let (well, said) = command(&[]).await;
    assert!(!well && said.contains("no pgstrata runs"), "{said}");
    let (well, said) = command(&["--pid", &pid]).await;
    assert!(well, "{said}");
    let said = line_with(&mut lines, "configuration reloaded").await;
    assert!(said.contains("limits.threads, process.pid_file"), "{said}");
    // The level of the log acts at once.
    process.reload(&setup.clone().line("log", "level = 'info,pgstrata=debug'")).await;
    process.wire("acme_corp").await;
    line_with(&mut lines, "client in").await;
    assert_eq!(client.simple(NAMES).await.column(), ACME);
    process.signal(Signal::SIGTERM);
    process.end().await;
    assert!(!process.folder().join("pid").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_log_in_with_the_newest_password() {
    let setup = Setup::new().servers(1).replace("password = 'app'\ntls", "password_file = 'secret'\ntls");
    let cluster = database::cluster().await;
    let server = stage::connect(&cluster.superuser("app")).await.unwrap();
    // The file is there before the proxy is: at first with a password in the configuration itself.
    let process = Process::start(&Setup::new().servers(1), cluster.port(), Stdio::inherit()).await;
    let mut client = process.wire("acme_corp").await;
    assert_eq!(client.simple(NAMES).await.column(), ACME);
    for password in ["first", "second"] {
        server.batch_execute(&format!("ALTER ROLE app PASSWORD '{password}'")).await.unwrap();
        std::fs::write(process.folder().join("secret"), password).unwrap();
        process.reload(&setup).await;
        assert_eq!(client.simple(NAMES).await.column(), ACME);
        let all =
            "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE usename = 'app'";
        assert!(server.query_one(all, &[]).await.unwrap().get::<_, i64>(0) > 0);
        assert_eq!(client.simple(NAMES).await.column(), ACME);
        // The connection that listens as well.
        let listening = async || process.metric("pgstrata_tenants_listening{database=\"app\"}").await;
        eventually(1.0, listening).await;
    }
}

/// A certificate for localhost: itself, and both files' text.
fn certificate() -> (Vec<u8>, [String; 2]) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (made.cert.der().to_vec(), [made.cert.pem(), made.signing_key.serialize_pem()])
}

fn put(process: &Process, [certificate, key]: &[String; 2]) {
    std::fs::write(process.folder().join("proxy.crt"), certificate).unwrap();
    std::fs::write(process.folder().join("proxy.key"), key).unwrap();
}

/// A client that speaks TLS, and the certificate that it was shown.
async fn tls_client(process: &Process) -> (Connected, Vec<u8>) {
    let text = Setup::new().toml(1, 2, process.port).replace("tls = 'disable'", "tls = 'require'");
    let config = Config::parse(&text, Path::new("client.toml")).unwrap();
    let target = Target::new("app", &config.databases["app"]).unwrap();
    let connected = connect(&target, &[("options", "-ctenant=acme_corp")]).await.unwrap();
    let ServerStream::Tls(stream) = &connected.stream else { panic!("no TLS") };
    let shown = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
    (connected, shown)
}

async fn answers(client: &mut Connected) {
    client.stream.write_all(b"Q\0\0\0\x0dSELECT 1\0").await.unwrap();
    client.stream.flush().await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"Z\0\0\0\x05I") {
        assert!(client.stream.read_buf(&mut answer).await.unwrap() > 0, "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificate_is_replaced_under_connections_that_stand() {
    let (_cluster, process) = start(&Setup::new()).await;
    let files = "tls = 'optional'\ntls_certificate = 'proxy.crt'\ntls_key = 'proxy.key'";
    let (first, second, third) = (certificate(), certificate(), certificate());
    put(&process, &first.1);
    let mut plain = process.wire("acme_corp").await;
    process.reload(&Setup::new().line("listen", files)).await;
    let (mut old, shown) = tls_client(&process).await;
    assert_eq!(shown, first.0);
    put(&process, &second.1);
    assert_eq!(tls_client(&process).await.1, first.0, "nobody was told");
    assert!(process.hang_up().await);
    let (mut new, shown) = tls_client(&process).await;
    assert_eq!(shown, second.0);
    // Half of a pair is none.
    put(&process, &[third.1[0].clone(), second.1[1].clone()]);
    assert!(!process.hang_up().await);
    assert_eq!(tls_client(&process).await.1, second.0);
    for client in [&mut old, &mut new] {
        answers(client).await;
    }
    assert_eq!(plain.simple(NAMES).await.column(), ACME);
    let expiry = "pgstrata_tls_certificate_expiry_seconds{certificate=\"listen.tls_certificate\"}";
    // The year 4096 is rcgen's default.
    assert!(process.metric(expiry).await > 60e9, "{}", process.metric(expiry).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn certificate_that_has_expired_is_an_error_to_check_and_a_warning_to_serve() {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    parameters.not_after = rcgen::date_time_ymd(2020, 2, 29);
    let expired = [parameters.self_signed(&key).unwrap().pem(), key.serialize_pem()];
    let (_cluster, process) = start(&Setup::new()).await;
    put(&process, &expired);
    let files = "tls = 'optional'\ntls_certificate = 'proxy.crt'\ntls_key = 'proxy.key'";
    process.reload(&Setup::new().line("listen", files)).await;
    tls_client(&process).await;
    let check =
        pgstrata().args(["check", "--config"]).arg(process.folder().join("pgstrata.toml")).output().await;
    let check = check.unwrap();
    let said = String::from_utf8(check.stderr).unwrap();
    let last = said.lines().last().unwrap();
    assert!(!check.status.success() && last.contains("expired at 2020-02-29"), "{said}");
    assert!(last.contains("pgstrata.toml:"), "{said}");
}
