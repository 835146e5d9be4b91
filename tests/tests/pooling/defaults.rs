//! `ALTER DATABASE .. SET`, and servers that are made anew: clients have what they are told, and all servers are alike.

use pgstrata_tests::{Setup, Stage, Wire};
use tokio_postgres::Client;

const CHANGE: &str = "ALTER DATABASE app SET timezone = 'Asia/Tokyo'";
const TOKYO: &str = "Asia/Tokyo";

/// What a client was told of its time zone, at last.
fn told(wire: &Wire) -> &str {
    let all = wire.parameters.iter().rev();
    all.clone().find(|(name, _)| name == "TimeZone").map(|(_, value)| value.as_str()).unwrap()
}

async fn shown(wire: &mut Wire) -> String {
    wire.simple("SHOW timezone").await.column().concat()
}

/// Ends those of the proxy's servers that are in this state, and waits until they are gone.
async fn end_servers(server: &Client, state: &str) {
    let such = format!(
        "FROM pg_stat_activity WHERE usename = 'app' AND state = '{state}' AND application_name NOT LIKE 'pgstrata%'"
    );
    server.query_one(&format!("SELECT count(pg_terminate_backend(pid)) {such}"), &[]).await.unwrap();
    let left = format!("SELECT count(*) {such}");
    while server.query_one(&left, &[]).await.unwrap().get::<_, i64>(0) > 0 {}
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_told_what_new_servers_are_born_with() {
    let stage = Stage::new(Setup::new()).await;
    let server = stage.superuser().await;
    let mut plain = stage.wire("acme_corp").await;
    let mut own = stage.wire("globex").await;
    own.simple("SET timezone = 'Europe/Berlin'").await;
    let before = shown(&mut plain).await;
    assert_eq!(told(&plain), before);
    server.batch_execute(CHANGE).await.unwrap();
    end_servers(&server, "idle").await;
    assert_eq!((shown(&mut plain).await.as_str(), told(&plain)), (TOKYO, TOKYO));
    assert_eq!((shown(&mut own).await.as_str(), told(&own)), ("Europe/Berlin", "Europe/Berlin"));
    let once = plain.parameters.iter().filter(|(_, value)| value == TOKYO).count();
    assert_eq!(once, 1, "it is told once");
    let mut new = stage.wire("acme_corp").await;
    assert_eq!(told(&new), TOKYO, "the login says what is so now");
    assert_eq!(shown(&mut new).await, TOKYO);
    own.simple("RESET timezone").await;
    assert_eq!((shown(&mut own).await.as_str(), told(&own)), (TOKYO, TOKYO));
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_of_before_give_way() {
    let stage = Stage::new(Setup::new().servers(2)).await;
    let server = stage.superuser().await;
    let mut clients = [stage.wire("acme_corp").await, stage.wire("globex").await];
    for client in &mut clients {
        client.simple("BEGIN").await;
    }
    clients[1].simple("COMMIT").await;
    server.batch_execute(CHANGE).await.unwrap();
    // One of the two servers is replaced, the other is in use.
    end_servers(&server, "idle").await;
    clients[1].simple("BEGIN").await;
    assert_eq!(shown(&mut clients[1]).await, TOKYO);
    clients[0].simple("COMMIT").await;
    clients[0].simple("BEGIN").await;
    assert_eq!((shown(&mut clients[0]).await.as_str(), told(&clients[0])), (TOKYO, TOKYO));
    for client in &mut clients {
        client.simple("COMMIT").await;
    }
}
