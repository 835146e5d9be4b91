//! What the console shows is what is so.

use pgstrata_tests::stage::eventually;
use pgstrata_tests::{Setup, Stage};
use tokio::time::timeout;

use super::{SOON, ask, console, number, setup, stage, value};

const APP: (&str, &str) = ("database", "app");

#[tokio::test(flavor = "multi_thread")]
async fn counts_move_when_work_is_done() {
    let stage = stage().await;
    let mut root = console(&stage).await;
    let mut app = stage.wire("acme_corp").await;
    let mut before = Vec::new();
    let columns = [
        "total_query_count",
        "total_xact_count",
        "total_server_assignment_count",
        "total_received",
        "total_sent",
        "total_client_parse_count",
        "total_server_parse_count",
        "total_bind_count",
        "total_client_login_count",
    ];
    for column in columns {
        before.push(number(&mut root, "STATS", APP, column).await);
    }
    app.simple("SELECT * FROM users").await;
    app.simple("BEGIN").await;
    app.simple("SELECT 1").await;
    app.simple("COMMIT").await;
    app.parse("one", "SELECT name FROM users").sync().answer().await;
    for _ in 0..3 {
        app.bind("one", &[]).execute().sync().answer().await;
    }
    let _other = stage.wire("globex").await;
    let mut moved = Vec::new();
    for (column, before) in columns.into_iter().zip(before) {
        moved.push(number(&mut root, "STATS", APP, column).await - before);
    }
    // A query, a block of three, a Parse, three Binds.
    let [queries, transactions, assignments, received, sent, parses, server_parses, binds, logins] =
        moved[..]
    else {
        panic!()
    };
    assert_eq!((queries, transactions), (8, 6));
    assert_eq!((parses, binds, logins), (1, 3, 1));
    assert!((1..=2).contains(&server_parses), "{server_parses}");
    assert!(assignments >= 6, "{assignments}");
    // The messages above, byte by byte.
    assert_eq!(received, 194);
    assert!(sent > 200, "{sent}");
    // Who has left is counted still.
    let all = number(&mut root, "STATS", APP, "total_query_count").await;
    drop(app);
    eventually("no such row".to_owned(), async || {
        value(&mut root, "CLIENTS", ("tenant", "acme_corp"), "state").await
    })
    .await;
    assert_eq!(number(&mut root, "STATS", APP, "total_query_count").await, all);
    assert_eq!(number(&mut root, "STATS_TOTALS", APP, "query_count").await, all);
    assert_eq!(number(&mut root, "TOTALS", ("name", "total_query_count"), "value").await, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_shown_as_they_work_and_wait() {
    let stage = Stage::new(setup().servers(1)).await;
    let mut root = console(&stage).await;
    let mut holder = stage.wire("acme_corp").await;
    let acme = ("tenant", "acme_corp");
    assert_eq!(value(&mut root, "CLIENTS", acme, "state").await, "idle");
    holder.simple("BEGIN; SELECT 1").await;
    assert_eq!(value(&mut root, "CLIENTS", acme, "state").await, "active");
    assert_eq!(value(&mut root, "CLIENTS", acme, "transaction").await, "open");
    assert_eq!(value(&mut root, "SERVERS", acme, "state").await, "active");
    let mut waiter = stage.wire("globex").await;
    let waiting = tokio::spawn(async move {
        let answer = waiter.simple("SELECT 1").await;
        (answer.code(), waiter)
    });
    let globex = ("tenant", "globex");
    eventually("waiting".to_owned(), async || value(&mut root, "CLIENTS", globex, "state").await).await;
    let pool = ask(&mut root, "SHOW POOLS").await;
    assert_eq!(pool.rows().len(), 1, "{:?}", pool.rows());
    for (column, shown) in [("cl_active", 1), ("cl_waiting", 1), ("sv_active", 1), ("sv_idle", 0)] {
        assert_eq!(number(&mut root, "POOLS", APP, column).await, shown, "{column}");
    }
    eventually(true, async || number(&mut root, "POOLS", APP, "maxwait_us").await > 0).await;
    assert_eq!(number(&mut root, "TENANTS", globex, "waiting").await, 1);
    holder.simple("COMMIT").await;
    let (code, _waiter) = timeout(SOON, waiting).await.unwrap().unwrap();
    assert_eq!(code, "");
    for (column, shown) in
        [("cl_active", 2), ("cl_waiting", 0), ("sv_active", 0), ("sv_idle", 1), ("maxwait", 0)]
    {
        eventually(shown, async || number(&mut root, "POOLS", APP, column).await).await;
    }
    assert!(number(&mut root, "STATS", APP, "total_wait_time").await > 0);
    // The console's own client is there, too, in no pool.
    assert_eq!(value(&mut root, "CLIENTS", ("database", "pgstrata"), "user").await, "root");
    assert_eq!(number(&mut root, "LISTS", ("list", "used_clients"), "items").await, 3);
    assert_eq!(number(&mut root, "LISTS", ("list", "used_servers"), "items").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_are_those_that_postgresql_has() {
    let stage = stage().await;
    let mut root = console(&stage).await;
    let mut app = stage.wire("acme_corp").await;
    let pid = app.simple("SELECT pg_backend_pid()").await.value();
    assert_eq!(value(&mut root, "SERVERS", ("remote_pid", &pid), "state").await, "idle");
    assert_eq!(
        value(&mut root, "SERVERS", ("remote_pid", &pid), "port").await,
        stage.cluster.port().to_string()
    );
    let times = value(&mut root, "SERVERS", ("remote_pid", &pid), "connect_time").await;
    assert!(times.ends_with(" UTC") && times.len() == 23, "{times}");
    app.parse("kept", "SELECT 1").sync().answer().await;
    assert_eq!(number(&mut root, "CLIENTS", ("tenant", "acme_corp"), "prepared_statements").await, 1);
    assert_eq!(number(&mut root, "SERVERS", ("remote_pid", &pid), "prepared_statements").await, 1);
    let prepared = ask(&mut root, "SHOW PREPARED").await;
    assert!(
        prepared.rows().iter().any(|row| row.last().unwrap().contains("SELECT 1")),
        "{:?}",
        prepared.rows()
    );
    stage.superuser().await.execute("SELECT pg_terminate_backend($1::text::int)", &[&pid]).await.unwrap();
    // It is found out when it is wanted next.
    app.simple("SELECT 1").await;
    eventually("no such row".to_owned(), async || {
        value(&mut root, "SERVERS", ("remote_pid", &pid), "state").await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pinned_clients_are_shown_with_their_reason() {
    let stage = stage().await;
    let mut root = console(&stage).await;
    let mut app = stage.wire("acme_corp").await;
    app.simple("CREATE TEMP TABLE scratch (a int)").await;
    assert_eq!(value(&mut root, "PINS", ("tenant", "acme_corp"), "reason").await, "temp_table");
    assert_eq!(value(&mut root, "CLIENTS", ("tenant", "acme_corp"), "pins").await, "temp_table");
    assert_eq!(number(&mut root, "LIMITS", ("name", "pool.max_pinned"), "used").await, 1);
    app.simple("DROP TABLE scratch").await;
    // PostgreSQL is asked what is left, behind the answer.
    eventually(true, async || ask(&mut root, "SHOW PINS").await.rows().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_are_shown_with_their_work_and_their_ways() {
    let stage = stage().await;
    let mut root = console(&stage).await;
    let mut app = stage.wire("acme_corp").await;
    app.simple("SELECT * FROM users").await;
    app.simple("SELECT * FROM globex.users").await;
    let acme = ("tenant", "acme_corp");
    assert_eq!(value(&mut root, "TENANTS", acme, "state").await, "active");
    assert_eq!(number(&mut root, "TENANTS", acme, "clients").await, 1);
    assert_eq!(number(&mut root, "TENANTS", acme, "requests").await, 1);
    assert_eq!(number(&mut root, "TENANTS", acme, "refused").await, 1);
    assert_eq!(value(&mut root, "ROUTES", acme, "schema").await, "acme_corp");
    assert_eq!(value(&mut root, "ROUTES", acme, "strategy").await, "search_path");
    let one = ask(&mut root, "SHOW TENANT acme_corp").await.rows();
    assert!(one.contains(&vec!["app".into(), "clients".into(), "1".into()]), "{one:?}");
    assert!(ask(&mut root, "SHOW TENANT nobody").await.rows().is_empty());
    assert!(ask(&mut root, "SHOW LOCKED").await.rows().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_with_servers_of_their_own_have_pools_of_their_own() {
    let stage = Stage::new(setup().tier(pgstrata_tenancy::Tier::Login)).await;
    let mut root = console(&stage).await;
    let mut app = stage.wire("acme_corp").await;
    app.simple("SELECT * FROM users").await;
    app.simple("BEGIN; SELECT 1").await;
    let own = ("user", "tenant_acme_corp");
    // Servers are cleaned before they are idle.
    for (column, shown) in [("cl_active", 1), ("sv_active", 1)] {
        eventually(shown, async || number(&mut root, "POOLS", own, column).await).await;
    }
    assert_eq!(number(&mut root, "POOLS", ("user", "app"), "cl_active").await, 0);
    assert_eq!(value(&mut root, "SERVERS", ("tenant", "acme_corp"), "user").await, "tenant_acme_corp");
}

#[tokio::test(flavor = "multi_thread")]
async fn configuration_is_shown_with_its_defaults() {
    let stage = Stage::new(setup().line("pool", "wait_timeout = '90s'")).await;
    let mut root = console(&stage).await;
    let key = ("key", "pool.wait_timeout");
    assert_eq!(value(&mut root, "CONFIG", key, "value").await, "1m 30s");
    assert_eq!(value(&mut root, "CONFIG", key, "default").await, "30s");
    assert_eq!(value(&mut root, "CONFIG", ("key", "tenancy.strategy"), "value").await, "search_path");
    for (key, changeable) in [
        ("pool.wait_timeout", "yes"),
        ("query_wait_timeout", "yes"),
        ("max_client_conn", "yes"),
        ("listen.address", "no"),
        ("listen_port", "no"),
        ("tenancy.mode", "no"),
        ("reserve_pool_size", "no"),
    ] {
        assert_eq!(value(&mut root, "CONFIG", ("key", key), "changeable").await, changeable, "{key}");
    }
    // No secret is among them.
    let all = ask(&mut root, "SHOW CONFIG").await.rows();
    assert!(all.iter().flatten().all(|cell| !cell.contains(pgstrata_tests::roles::KEY)), "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn help_names_what_there_is_and_all_of_it_works() {
    let stage = Stage::new(Setup::clone(&setup())).await;
    let mut root = console(&stage).await;
    let commands = ask(&mut root, "SHOW HELP").await.column();
    let shows: Vec<_> = commands.iter().filter(|command| command.starts_with("SHOW")).collect();
    assert!(shows.len() >= 30, "{shows:?}");
    for show in shows {
        // What stands in brackets may be left out.
        ask(&mut root, show.split(" [").next().unwrap()).await;
    }
}
