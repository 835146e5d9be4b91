//! Failed logins, and what the log says of those who come and go.

use std::process::Stdio;

use pgstrata_tests::wire::V3_0;
use pgstrata_tests::{ACME, Process, Setup, Wire, database, stage::tenant_option};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::logins::ground::{NAMES, code, lines, log_in, psql, start};

/// Sends a proof that is none. It costs this side nothing.
async fn fail(port: u16, user: &str) -> String {
    let mut wire = Wire::connect(port).await;
    let option = tenant_option("acme_corp");
    wire.startup(V3_0, &[("user", user), ("database", "app"), ("options", &option)]).await;
    // The oldest is closed where there are too many.
    let Some(_request) = wire.receive().await else { return "closed".into() };
    let first = b"n,,n=,r=rOprNGfwEbeRWgbNEkqO";
    let mut body = b"SCRAM-SHA-256\0".to_vec();
    body.extend(u32::try_from(first.len()).unwrap().to_be_bytes());
    body.extend(first);
    wire.message(b'p', &body).flush().await;
    let challenge = String::from_utf8(wire.receive().await.unwrap().body[4..].to_vec()).unwrap();
    let nonce = challenge.split(',').next().unwrap();
    let proof = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    wire.message(b'p', format!("c=biws,{nonce},p={proof}").as_bytes()).flush().await;
    wire.until(b'E').await.code()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_failures_take_no_memory_and_shut_nobody_out() {
    let setup = Setup::new().line("listen", "failed_login_pause = '100ms'\nmax_unauthenticated = 500");
    let (_cluster, process) = start(&setup).await;
    let mut stays = log_in(&process, "acme", "acme", "app").await.unwrap();
    let flood = async |attempts: usize| {
        let mut all = tokio::task::JoinSet::new();
        for guest in 0..100 {
            let port = process.port;
            all.spawn(async move {
                for attempt in 0..attempts / 100 {
                    let user = if guest % 2 == 0 { "app".into() } else { format!("user{guest}-{attempt}") };
                    assert_eq!(fail(port, &user).await, "28P01");
                }
            });
        }
        // In the middle of it, from the same address and for a user that is guessed.
        for user in ["app", "acme"] {
            assert_eq!(code(&process, user, user, "app").await, "");
        }
        while let Some(done) = all.join_next().await {
            done.unwrap();
        }
    };
    let memory = async || process.metric("process_resident_memory_bytes").await;
    flood(2000).await;
    let before = memory().await;
    flood(8000).await;
    let after = memory().await;
    assert!(after - before < 8e6, "from {before} to {after}");
    assert_eq!(stays.simple(NAMES).await.column(), ACME);
    assert_eq!(lines(&psql(&process, "app", "app", "dbname=app").await), ACME);
}

#[tokio::test(flavor = "multi_thread")]
async fn pause_comes_before_the_proof_and_ends() {
    let setup = Setup::new().line("listen", "failed_login_pause = '14s'");
    let (_cluster, process) = start(&setup).await;
    for _ in 0..20 {
        // No more than are counted: the pause is a long one.
        let wrong = tokio::time::timeout(std::time::Duration::from_secs(1), fail(process.port, "app"));
        if wrong.await.is_err() {
            break;
        }
    }
    // The client hears nothing yet, not even what it is asked for.
    let mut wire = Wire::connect(process.port).await;
    wire.startup(V3_0, &[("user", "acme"), ("database", "app")]).await;
    let silent = tokio::time::timeout(std::time::Duration::from_millis(300), wire.receive()).await;
    assert!(silent.is_err(), "{silent:?}");
    // A reload may take the pauses away; the failures are remembered.
    process.reload(&Setup::new().line("listen", "failed_login_pause = '0s'")).await;
    assert_eq!(code(&process, "acme", "acme", "app").await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn log_says_who_comes_and_goes() {
    let cluster = database::cluster().await;
    let setup =
        Setup::new().line("log", "log_connections = true\nlog_disconnections = true\nformat = 'json'");
    let mut process = Process::start(&setup, cluster.port(), Stdio::piped()).await;
    let mut log = BufReader::new(process.child.stderr.take().unwrap()).lines();
    let said = psql(&process, "acme", "acme", "dbname=app application_name=shop").await;
    assert_eq!(lines(&said), ACME);
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let line = log.next_line().await.unwrap().expect("the log goes on");
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        if ["connection authorized", "disconnection"].contains(&line["message"].as_str().unwrap()) {
            seen.push(line);
        }
    }
    for fields in &seen {
        let of = |name: &str| fields[name].as_str().unwrap_or_default().to_owned();
        assert_eq!([of("user"), of("database"), of("tenant")], ["acme", "app", "acme_corp"], "{fields}");
        assert!(of("peer").starts_with("127.0.0.1:"), "{fields}");
    }
    assert_eq!(seen[0]["application_name"], "shop");
    assert!(seen[1]["bytes_received"].as_u64() > Some(30) && seen[1]["bytes_sent"].as_u64() > Some(30));
    assert!(seen[1]["session_time"].as_str().unwrap().contains('.'), "{}", seen[1]);
    // It can be switched off.
    process.reload(&Setup::new().line("log", "format = 'json'")).await;
    while !log.next_line().await.unwrap().expect("the log goes on").contains("configuration reloaded") {}
    assert_eq!(code(&process, "acme", "acme", "app").await, "");
    assert_eq!(code(&process, "acme", "wrong", "app").await, "28P01");
    let next = log.next_line().await.unwrap().expect("the log goes on");
    assert!(next.contains("client refused"), "{next}");
}
