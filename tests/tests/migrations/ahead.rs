//! With nothing to do, one question is all that is asked.

use pgstrata_control::migrate::Options;
use pgstrata_tests::{Relay, schemas};

use crate::three;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_to_do_is_one_query() {
    let schemas = three(&[]).await;
    schemas.crowd(200).await;
    schemas.remove("0001_users.sql");
    schemas.run("CREATE TABLE template.users (id int PRIMARY KEY, name text)").await;
    schemas.bring().await;
    // The same database by way of a relay, as a role that logs in over TCP.
    let relay = Relay::start(schemas.cluster.port()).await;
    schemas.run("GRANT USAGE ON SCHEMA pgstrata_control TO app").await;
    schemas.run("GRANT SELECT ON ALL TABLES IN SCHEMA pgstrata_control TO app").await;
    let login = format!("postgresql://app:app@127.0.0.1:{}/app", relay.port());
    let control = schemas::control(login.parse().unwrap(), schemas::settings(), 4);
    let migrations = schemas.migrations();
    let cost = async || {
        relay.settle().await;
        let before = relay.round_trips();
        let report = control.migrate(&migrations, &Options::default()).await.unwrap();
        relay.settle().await;
        assert_eq!((report.known, report.schemas.len()), (201, 0));
        relay.round_trips() - before
    };
    cost().await;
    // The other one takes off what was set on the connection, which any use of it begins with.
    assert_eq!(cost().await, 2);
    assert_eq!(relay.connections(), 1);
}

/// Older files than the database has: nobody goes back, and those behind catch up as far as they go.
#[tokio::test(flavor = "multi_thread")]
async fn older_files_leave_newer_schemas_alone() {
    let schemas = three(&["acme"]).await;
    schemas.bring().await;
    schemas.remove("20261125120000_alice.sql");
    schemas.tenants(&["late"]).await;
    let report = schemas.bring().await;
    assert_eq!((report.newest, report.ahead, report.schemas.len()), (Some(2), 2, 1));
    assert_eq!(
        schemas.standing().await,
        ["acme 20261125120000 active", "late 2 active", "template 20261125120000 source"]
    );
}
