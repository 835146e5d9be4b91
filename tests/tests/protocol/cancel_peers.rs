//! Behind a load balancer, a cancel request may reach another proxy than its client's: `listen.peers`.

use std::process::Stdio;

use pgstrata::demo::postgres::Cluster;
use pgstrata_tests::stage::{connect, http};
use pgstrata_tests::wire::CANCEL_REQUEST;
use pgstrata_tests::{ACME, Process, Setup, Wire, database};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const NAMES: &str = "SELECT name FROM users ORDER BY id";
const ENDLESS: &str = "SELECT name FROM users, pg_sleep(600)";
/// The code of a request that a proxy passes on.
const PASSED_ON: i32 = 1_234 << 16 | 6_432;

async fn proxy(cluster: &Cluster, peers: &[String]) -> Process {
    let setup = Setup::new().servers(2).line("listen", format!("peers = {peers:?}"));
    Process::start(&setup, cluster.port(), Stdio::null()).await
}

fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

async fn client(proxy: &Process) -> Wire {
    Wire::login(proxy.port, "app", "app", &[("options", "-ctenant=acme_corp")]).await.unwrap()
}

/// Returns once PostgreSQL runs the endless query.
async fn running(cluster: &Cluster) {
    let server = connect(&cluster.superuser("app")).await.unwrap();
    let query = "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(%' AND state = 'active' AND pid <> pg_backend_pid()";
    while server.query_opt(query, &[]).await.unwrap().is_none() {}
}

/// Sends the request, and returns once the proxy has dealt with it and hung up.
async fn cancel(port: u16, code: i32, key: &[u8]) {
    let mut wire = Wire::connect(port).await;
    wire.packet(code, key).await;
    assert!(wire.receive().await.is_none(), "a cancel request has no answer");
}

/// The packet that a proxy sends to its peer, without its length.
async fn packet(peer: &TcpListener) -> (TcpStream, Vec<u8>) {
    let (mut stream, _) = peer.accept().await.unwrap();
    let length = usize::try_from(stream.read_u32().await.unwrap()).unwrap();
    let mut packet = vec![0; length - 4];
    stream.read_exact(&mut packet).await.unwrap();
    (stream, packet)
}

#[tokio::test(flavor = "multi_thread")]
async fn request_reaches_the_clients_proxy() {
    let cluster = database::cluster().await;
    let first = proxy(&cluster, &[]).await;
    // One peer is gone, one is a name with two addresses, of which one may have no listener.
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let second = proxy(&cluster, &[address(gone), format!("localhost:{}", first.port)]).await;
    let mut client = client(&first).await;
    for _ in 0..2 {
        client.query(ENDLESS).flush().await;
        running(&cluster).await;
        cancel(second.port, CANCEL_REQUEST, &client.key).await;
        assert_eq!(client.until(b'Z').await.code(), "57014");
        assert_eq!(client.simple(NAMES).await.column(), ACME);
    }
    let metrics = http(second.http_port, "/metrics").await;
    assert!(metrics.contains("pgstrata_peer_cancel_requests_total{result=\"failed\"}"), "{metrics}");
    assert!(http(first.http_port, "/metrics").await.contains("pgstrata_cancel_requests_total 2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn request_is_passed_on_once_and_with_nothing_but_its_key() {
    let cluster = database::cluster().await;
    let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = proxy(&cluster, &[address(peer.local_addr().unwrap().port())]).await;
    let mut client = client(&proxy).await;
    let mut forged = client.key.to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let ((stream, packet), ()) = tokio::join!(
        async {
            let (mut stream, packet) = packet(&peer).await;
            // The end of the connection is the answer.
            stream.shutdown().await.unwrap();
            (stream, packet)
        },
        cancel(proxy.port, CANCEL_REQUEST, &forged)
    );
    assert_eq!(packet, [&PASSED_ON.to_be_bytes()[..], &forged].concat());
    drop(stream);
    // What a peer has passed on goes no further, and does what a request does.
    cancel(proxy.port, PASSED_ON, &forged).await;
    client.query(ENDLESS).flush().await;
    running(&cluster).await;
    cancel(proxy.port, PASSED_ON, &forged).await;
    cancel(proxy.port, PASSED_ON, &client.key).await;
    assert_eq!(client.until(b'Z').await.code(), "57014");
    let further =
        std::future::poll_fn(|context| std::task::Poll::Ready(peer.poll_accept(context).is_ready()));
    assert!(!further.await, "a request was passed on again");
}

/// Who sends requests with keys that are nobody's does not keep the peers busy.
#[tokio::test(flavor = "multi_thread")]
async fn forged_requests_are_passed_on_within_a_bound() {
    let cluster = database::cluster().await;
    let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = proxy(&cluster, &[address(peer.local_addr().unwrap().port())]).await;
    let port = proxy.port;
    let mut requests = tokio::task::JoinSet::new();
    for number in 0..100u64 {
        requests.spawn(async move { cancel(port, CANCEL_REQUEST, &number.to_be_bytes()).await });
    }
    // A silent peer, which would be asked by all of them.
    let mut asked = Vec::new();
    loop {
        tokio::select! {
            connection = peer.accept() => asked.push(connection.unwrap()),
            done = requests.join_next() => match done {
                Some(done) => done.unwrap(),
                None => break,
            }
        }
    }
    assert_eq!(asked.len(), 32);
    let metrics = http(proxy.http_port, "/metrics").await;
    assert!(metrics.contains("pgstrata_peer_cancel_requests_total{result=\"failed\"} 100"), "{metrics}");
    assert_eq!(client(&proxy).await.simple(NAMES).await.column(), ACME);
}
