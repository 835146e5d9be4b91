//! Clients behind a load balancer that says where they come from.

use pgstrata_tests::wire::V3_0;
use pgstrata_tests::{ACME, Setup, Wire, answer::Fault, stage::tenant_option};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::logins::ground::{NAMES, code, start};

const RULE: &str = "[[hba]]\naddress = ['192.0.2.0/24']\nmethod = 'scram-sha-256'\n\
                    [[hba]]\ndatabase = ['pgstrata']\nmethod = 'scram-sha-256'";

/// A balancer in front of `port` that begins each connection with `header`.
async fn balancer(port: u16, header: &'static [u8]) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut proxy = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            proxy.write_all(header).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut proxy).await });
        }
    });
    own
}

async fn through(port: u16, header: &'static [u8]) -> Result<Wire, Fault> {
    let mut wire = Wire::connect(balancer(port, header).await).await;
    let option = tenant_option("acme_corp");
    wire.startup(V3_0, &[("user", "app"), ("database", "app"), ("options", &option)]).await;
    wire.authenticate("app").await.map(|()| wire)
}

#[tokio::test(flavor = "multi_thread")]
async fn address_is_the_one_that_the_balancer_says() {
    let setup = Setup::new()
        .line("listen", "proxy_protocol = ['127.0.0.1', '10.0.0.0/8']")
        .replace("name = 'app'", "name = 'app'\nadmin = true")
        .table(RULE);
    let (_cluster, process) = start(&setup).await;
    const V1: &[u8] = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 5432\r\n";
    const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x08\xc6\x33\x64\x01\xdc\x04\x15\x38";
    let mut clients = Vec::new();
    for header in [V1, V2] {
        let mut wire = through(process.port, header).await.unwrap();
        assert_eq!(wire.simple(NAMES).await.column(), ACME);
        clients.push(wire);
    }
    // The console knows them by that.
    let mut console = Wire::connect(balancer(process.port, V1).await).await;
    console.startup(V3_0, &[("user", "app"), ("database", "pgstrata")]).await;
    console.authenticate("app").await.unwrap();
    let shown = console.simple("SHOW CLIENTS").await;
    let text: String = shown.messages.iter().map(|m| String::from_utf8_lossy(&m.body).into_owned()).collect();
    assert!(text.contains("192.0.2.7") && text.contains("192.0.2.8"), "{text}");
    // Another address is not let in by the rules, nor the balancer's own.
    for header in [&b"PROXY TCP4 198.51.100.9 198.51.100.1 1 5432\r\n"[..], b"PROXY UNKNOWN\r\n"] {
        let fault = through(process.port, header).await.expect_err("it is refused");
        assert_eq!(fault.code, "28000", "{fault:?}");
    }
    // Who says nothing is closed.
    let mut silent = TcpStream::connect(("127.0.0.1", process.port)).await.unwrap();
    silent.write_all(&[0, 0, 0, 8, 4, 210, 22, 47, 0, 0, 0, 0, 0]).await.unwrap();
    let mut answer = Vec::new();
    let _ = silent.read_to_end(&mut answer).await;
    assert!(answer.is_empty(), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn header_of_a_stranger_is_none() {
    let (_cluster, process) = start(&Setup::new().line("listen", "proxy_protocol = ['10.0.0.0/8']")).await;
    let mut stranger = TcpStream::connect(("127.0.0.1", process.port)).await.unwrap();
    stranger.write_all(b"PROXY TCP4 10.0.0.1 10.0.0.2 1 5432\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = stranger.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"R"), "{answer:?}");
    assert_eq!(code(&process, "app", "app", "app").await, "");
    // A balancer that is named later counts from then on.
    process.reload(&Setup::new().line("listen", "proxy_protocol = ['127.0.0.0/8']").table(RULE)).await;
    let mut wire = through(process.port, b"PROXY TCP4 192.0.2.9 10.0.0.2 1 5432\r\n").await.unwrap();
    assert_eq!(wire.simple(NAMES).await.column(), ACME);
}
