//! RELOAD: what has changed, what is wrong, and what of the console outlasts it.

use std::process::Stdio;

use pgstrata_tests::answer::text;
use pgstrata_tests::database::cluster;
use pgstrata_tests::{Answer, Process, Setup, Wire};

use super::{ask, log_in, number, setup, value};

const APP: (&str, &str) = ("name", "app");

/// What a NOTICE says first; behind it stands what the file is warned of.
fn told(answer: &Answer) -> String {
    let notice = answer.messages.iter().find(|message| message.tag == b'N').expect("a notice");
    let message = notice.body.split(|byte| *byte == 0).find_map(|field| field.strip_prefix(b"M"));
    let told = text(message.expect("a message"));
    told.lines().next().unwrap_or_default().to_owned()
}

async fn console(process: &Process) -> Wire {
    log_in(process.port, "root", "pgstrata").await.expect("the console lets root in")
}

/// Has the console read another configuration, which must go well. What it says of it.
async fn reload(process: &Process, root: &mut Wire, setup: &Setup) -> String {
    process.write(&process.text(setup));
    let answer = ask(root, "RELOAD").await;
    assert_eq!(answer.commands(), ["RELOAD"]);
    told(&answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn reload_says_what_has_changed_and_what_needs_a_restart() {
    let cluster = cluster().await;
    let process = Process::start(&setup(), cluster.port(), Stdio::inherit()).await;
    let (mut root, mut app) = (console(&process).await, process.wire("acme_corp").await);
    assert_eq!(reload(&process, &mut root, &setup()).await, "nothing has changed");
    let answer = ask(&mut root, "RELOAD").await;
    let warned = answer.messages.iter().find(|message| message.tag == b'N').map(|notice| text(&notice.body));
    assert!(warned.expect("a notice").contains("warning: \"missing_tenant\" in [tenancy]"));
    let other = setup().line("pool", "check_after = '7s'").line("limits", "threads = 7");
    assert_eq!(
        reload(&process, &mut root, &other).await,
        "changed: pool.check_after; needs a restart: limits.threads"
    );
    // It is as it holds, and the clients go on.
    assert_eq!(value(&mut root, "CONFIG", ("key", "pool.check_after"), "value").await, "7s");
    assert_eq!(value(&mut root, "CONFIG", ("key", "limits.threads"), "value").await, "0");
    assert_eq!(app.simple("SELECT 1").await.value(), "1");
    let hint = |answer: Answer| answer.fault().unwrap().hint.unwrap();
    assert!(hint(root.simple("SET pool.check_after = 1").await).contains("RELOAD"));
    assert!(hint(root.simple("SET limits.threads = 1").await).contains("restart"));
    let answer = root.extended("RELOAD", &[]).await;
    assert_eq!((answer.fault(), answer.commands()), (None, vec!["RELOAD".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn reload_of_a_broken_file_says_the_line_and_changes_nothing() {
    let cluster = cluster().await;
    let process = Process::start(&setup(), cluster.port(), Stdio::inherit()).await;
    let (mut root, mut app) = (console(&process).await, process.wire("acme_corp").await);
    let before = ask(&mut root, "SHOW CONFIG").await.rows();
    let right = process.text(&setup().line("pool", "check_after = '7s'"));
    process.write(&format!("{right}\n[pgbouncer]\n"));
    let line = right.lines().count() + 2;
    let fault = root.simple("RELOAD").await.fault().expect("the file is wrong");
    assert_eq!((fault.severity.as_str(), fault.code.as_str()), ("ERROR", "F0000"));
    let place = format!("configuration not reloaded: {}/pgstrata.toml:{line}: ", process.folder().display());
    assert!(fault.message.starts_with(&place), "{}", fault.message);
    assert_eq!(ask(&mut root, "SHOW CONFIG").await.rows(), before);
    assert_eq!(app.simple("SELECT 1").await.value(), "1");
    process.write(&right);
    assert_eq!(told(&ask(&mut root, "RELOAD").await), "changed: pool.check_after");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_decided_outlasts_a_new_database() {
    let cluster = cluster().await;
    let process = Process::start(&setup(), cluster.port(), Stdio::inherit()).await;
    let mut root = console(&process).await;
    ask(&mut root, "PAUSE app").await;
    ask(&mut root, "DISABLE app").await;
    let other = setup().line("tenancy", "shared_schemas = []");
    assert!(reload(&process, &mut root, &other).await.contains("tenancy.shared_schemas"));
    assert_eq!(number(&mut root, "DATABASES", APP, "paused").await, 1);
    assert_eq!(number(&mut root, "DATABASES", APP, "disabled").await, 1);
    ask(&mut root, "RESUME app").await;
    ask(&mut root, "ENABLE app").await;
    assert_eq!(process.wire("acme_corp").await.simple("SELECT 1").await.value(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_waits_out_a_pause_hears_that_its_database_is_another() {
    let cluster = cluster().await;
    let short = || setup().line("pool", "wait_timeout = '100ms'");
    let process = Process::start(&short(), cluster.port(), Stdio::inherit()).await;
    let (mut root, mut app) = (console(&process).await, process.wire("acme_corp").await);
    ask(&mut root, "PAUSE app").await;
    let waiting = tokio::spawn(async move { app.simple("SELECT 1").await.fault() });
    let waits = async || number(&mut root, "POOLS", ("database", "app"), "maxwait_us").await > 300_000;
    pgstrata_tests::stage::eventually(true, waits).await;
    reload(&process, &mut root, &short().line("tenancy", "shared_schemas = []")).await;
    let fault = tokio::time::timeout(super::SOON, waiting).await.expect("it waits no longer").unwrap();
    assert!(fault.is_some());
    ask(&mut root, "RESUME app").await;
    assert_eq!(process.wire("acme_corp").await.simple("SELECT 1").await.value(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_to_the_console_are_those_of_the_newest_configuration() {
    let cluster = cluster().await;
    let process = Process::start(&setup(), cluster.port(), Stdio::inherit()).await;
    let (mut root, mut other) = (console(&process).await, console(&process).await);
    let users = |root: &'static str| [root, super::USERS[1]].into_iter().fold(Setup::new(), Setup::user);
    reload(&process, &mut root, &users("name = 'root'\npassword = 'root'\nstats = true")).await;
    assert_eq!(other.simple("PAUSE app").await.code(), "42501");
    assert_eq!(ask(&mut other, "SHOW VERSION").await.rows().len(), 1);
    process.reload(&users("name = 'root'\npassword = 'root'\ntenants = ['*']")).await;
    let fault = other.simple("SHOW VERSION").await.fault().expect("it is for others");
    assert_eq!((fault.severity.as_str(), fault.code.as_str()), ("FATAL", "57P01"));
}
