//! Who gets in, who does not, and what both are told: with psql, and byte by byte.

use std::process::{Output, Stdio};

use bytes::Buf;
use pgstrata::demo::find::Install;
use pgstrata_tests::program::client_program_of;
use pgstrata_tests::wire::{CANCEL_REQUEST, V3_0};
use pgstrata_tests::{ACME, Process, Setup, Stage, Wire, database};
use tempfile::TempDir;

const NAMES: &str = "SELECT name FROM users ORDER BY id";
const ACME_OPTION: [(&str, &str); 1] = [("options", "-ctenant=acme_corp")];

/// What psql says with these parameters in its connection string: the system's, which can do TLS.
async fn psql(stage: &Stage, parameters: &str) -> Output {
    let url = format!("postgresql://app:app@127.0.0.1:{}/app?{parameters}", stage.port());
    let mut command = client_program_of(&Install::find().unwrap(), "psql");
    command.args(["-X", "-A", "-t", "-c", NAMES, &url]).output().await.unwrap()
}

/// The lines of `[listen]` for a certificate in a folder of its own.
fn with_tls() -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let [certificate, key] = ["proxy.crt", "proxy.key"].map(|file| folder.path().join(file));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let (certificate, key) = (certificate.display(), key.display());
    let lines = format!("tls = 'optional'\ntls_certificate = '{certificate}'\ntls_key = '{key}'");
    (folder, lines)
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_shows_that_there_are_too_many_clients() {
    let (_folder, tls) = with_tls();
    for lines in ["", &tls] {
        let stage = Stage::new(Setup::new().line("listen", format!("max_clients = 1\n{lines}"))).await;
        let mut first = stage.wire("acme_corp").await;
        for mode in ["disable", "prefer", "require"] {
            if mode == "require" && lines.is_empty() {
                continue;
            }
            let said = psql(&stage, &format!("options=-ctenant%3Dacme_corp&sslmode={mode}")).await;
            let said = String::from_utf8_lossy(&said.stderr).into_owned();
            let words = "FATAL:  sorry, too many clients already (1 of listen.max_clients)";
            assert!(said.contains(words) && !said.contains("SSL exchange"), "{mode}: {said}");
        }
        assert_eq!(first.simple(NAMES).await.column(), ACME);
        drop(first);
        while !psql(&stage, "options=-ctenant%3Dacme_corp").await.status.success() {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_password_takes_no_clients_place() {
    let stage = Stage::new(Setup::new().line("listen", "max_clients = 1")).await;
    let _first = stage.wire("acme_corp").await;
    let refused = Wire::login(stage.port(), "app", "wrong", &ACME_OPTION).await.unwrap_err();
    assert_eq!(refused.code, "28P01", "how full it is, is told to who may come in");
}

#[tokio::test(flavor = "multi_thread")]
async fn query_is_cancelled_where_no_more_clients_fit() {
    let stage = Stage::new(Setup::new().line("listen", "max_clients = 1")).await;
    let mut first = stage.wire("acme_corp").await;
    first.query("SELECT pg_sleep(600)").flush().await;
    let server = stage.superuser().await;
    let running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND state = 'active' \
                   AND pid <> pg_backend_pid()";
    while server.query_one(running, &[]).await.unwrap().get::<_, i64>(0) == 0 {}
    let mut cancel = Wire::connect(stage.port()).await;
    let key = first.key.clone();
    cancel.packet(CANCEL_REQUEST, &key).await;
    assert_eq!(first.until(b'Z').await.code(), "57014");
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_keep_nobody_out() {
    let lines = "max_unauthenticated = 3\nlogin_timeout = '1h'";
    let stage = Stage::new(Setup::new().line("listen", lines)).await;
    let mut crowd = Vec::new();
    for _ in 0..20 {
        crowd.push(Wire::connect(stage.port()).await);
        // Some are in the middle of it.
        let mut asked = Wire::connect(stage.port()).await;
        asked.startup(V3_0, &[("user", "app"), ("database", "app"), ACME_OPTION[0]]).await;
        crowd.push(asked);
    }
    let mut client = stage.wire("acme_corp").await;
    assert_eq!(client.simple(NAMES).await.column(), ACME);
    assert!(crowd[0].receive().await.is_none(), "the oldest is closed");
    for _ in 0..5 {
        crowd.push(Wire::connect(stage.port()).await);
    }
    assert_eq!(client.simple(NAMES).await.column(), ACME, "who is in stays in");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tenants_in_one_source_are_refused() {
    let stage = Stage::new(Setup::new()).await;
    let said = psql(&stage, "options=-ctenant%3Dglobex%20-ctenant%3Dacme_corp").await;
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("FATAL:  the connection names two different tenants"), "{said}");
    for doubled in [
        &[("tenant", "globex"), ("tenant", "acme_corp")][..],
        &[("options", "-ctenant=globex"), ("options", "-ctenant=acme_corp")],
    ] {
        let refused = Wire::login(stage.port(), "app", "app", doubled).await.unwrap_err();
        assert!(["28000", "08P01"].contains(&refused.code.as_str()), "{refused:?}");
    }
    let said = psql(&stage, "options=-ctenant%3Dacme_corp%20-ctenant%3Dacme_corp").await;
    assert_eq!(String::from_utf8_lossy(&said.stdout).lines().collect::<Vec<_>>(), ACME, "one, twice, is one");
}

/// The first request for a proof, as bytes.
async fn asked(port: u16, user: &str) -> Vec<u8> {
    let mut wire = Wire::connect(port).await;
    wire.startup(V3_0, &[("user", user), ("database", "app"), ACME_OPTION[0]]).await;
    let mut request = wire.receive().await.expect("a request for a proof").body;
    // MD5 has four random bytes behind it.
    let kind = request.get_i32();
    if kind == 5 { b"md5".to_vec() } else { [&kind.to_be_bytes()[..], &request].concat() }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_users_are_asked_as_known_ones_by_each_method() {
    for method in ["scram-sha-256", "md5"] {
        let stage = Stage::new(Setup::new().line("listen", format!("auth = '{method}'"))).await;
        let known = asked(stage.port(), "app").await;
        assert_eq!(known, asked(stage.port(), "nobody").await, "{method}");
        let parameters = ACME_OPTION;
        let wrong = async |user| {
            let mut wire = Wire::connect(stage.port()).await;
            wire.startup(V3_0, &[("user", user), ("database", "app"), parameters[0]]).await;
            let message = wire.receive().await.unwrap();
            assert_eq!(message.tag, b'R');
            wire.message(b'p', b"md5wrong\0").flush().await;
            wire.until(b'E').await.code()
        };
        assert_eq!(wrong("app").await, wrong("nobody").await, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn salts_are_the_same_after_a_restart_and_on_another_proxy() {
    let cluster = database::cluster().await;
    let setup = Setup::new().line("listen", "salt_key = 'what all proxies have in common, 32 bytes'");
    let mut seen = Vec::new();
    for _ in 0..2 {
        let process = Process::start(&setup, cluster.port(), Stdio::null()).await;
        for user in ["app", "nobody"] {
            seen.push(salt(process.port, user).await);
        }
    }
    assert_eq!(seen[..2], seen[2..]);
    assert_ne!(seen[0], seen[1]);
}

/// What a user's SCRAM challenge says behind the nonce.
async fn salt(port: u16, user: &str) -> String {
    let mut wire = Wire::connect(port).await;
    wire.startup(V3_0, &[("user", user), ("database", "app"), ACME_OPTION[0]]).await;
    wire.receive().await.unwrap();
    let first = b"n,,n=,r=rOprNGfwEbeRWgbNEkqO";
    let mut body = b"SCRAM-SHA-256\0".to_vec();
    body.extend(u32::try_from(first.len()).unwrap().to_be_bytes());
    body.extend(first);
    wire.message(b'p', &body).flush().await;
    let challenge = wire.receive().await.unwrap().body;
    let challenge = String::from_utf8(challenge[4..].to_vec()).unwrap();
    challenge.split_once(",s=").expect("a salt").1.to_owned()
}
