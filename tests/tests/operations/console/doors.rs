//! Who may use the console, and what becomes of what is no command.

use bytes::BytesMut;
use pgstrata_tests::Wire;
use pgstrata_tests::stage::tenant_option;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{SOON, ask, console, log_in, stage};

#[tokio::test(flavor = "multi_thread")]
async fn console_is_for_those_who_may_use_it() {
    let stage = stage().await;
    for database in ["pgstrata", "pgbouncer"] {
        for user in ["root", "watcher"] {
            let mut console = log_in(stage.port(), user, database).await.unwrap();
            assert!(ask(&mut console, "SHOW VERSION").await.value().starts_with("pgstrata "));
        }
        let fault = log_in(stage.port(), "app", database).await.unwrap_err();
        assert_eq!((fault.severity.as_str(), fault.code.as_str()), ("FATAL", "42501"));
        assert_eq!(fault.message, format!("permission denied for database \"{database}\""));
    }
    // A wrong password is one, whoever it is.
    for user in ["root", "app", "nobody"] {
        let mut wire = Wire::connect(stage.port()).await;
        wire.startup(pgstrata_tests::wire::V3_0, &[("user", user), ("database", "pgstrata")]).await;
        assert_eq!(wire.authenticate("wrong").await.unwrap_err().code, "28P01", "{user}");
    }
    // Those who look after the proxy are no tenants' users for that.
    let option = tenant_option("acme_corp");
    for options in [&[("options", option.as_str())][..], &[]] {
        let fault = Wire::login(stage.port(), "root", "root", options).await.unwrap_err();
        assert_eq!(fault.code, "42501", "{options:?}");
    }
    // Nor is the console a tenant's.
    let mut wire = Wire::connect(stage.port()).await;
    let startup = [("user", "root"), ("database", "pgstrata"), ("options", option.as_str())];
    wire.startup(pgstrata_tests::wire::V3_0, &startup).await;
    let fault = wire.authenticate("root").await.unwrap_err();
    assert!(fault.code == "28000" && fault.message.contains("no tenant"), "{fault:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_look_changes_nothing() {
    let stage = stage().await;
    let mut console = log_in(stage.port(), "watcher", "pgstrata").await.unwrap();
    for text in [
        "PAUSE", "PAUSE app", "RESUME", "DISABLE app", "ENABLE app", "KILL app", "KILL_CLIENT 1", "CANCEL 1",
        "RECONNECT", "WAIT_CLOSE", "RELOAD", "SHUTDOWN", "SUSPEND TENANT acme_corp",
        "RESUME TENANT acme_corp", "KILL TENANT acme_corp", "SHOW FDS", "SHOW PREPARED",
    ] {
        let fault = console.simple(text).await.fault().unwrap_or_else(|| panic!("{text} is done"));
        assert_eq!(fault.code, "42501", "{text}");
        assert!(fault.hint.unwrap().contains("admin = true"), "{text}");
        assert_eq!(console.extended(text, &[]).await.code(), "42501", "{text}");
    }
    assert_eq!(ask(&mut console, "SHOW STATE").await.rows()[1], ["paused", "no"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_command_is_an_error_and_the_console_goes_on() {
    let stage = stage().await;
    let mut root = console(&stage).await;
    for text in
        ["foo", "SHOW", "SHOW nothing", "PAUSE 'app'", "select * from pg_class", "ALTER SYSTEM SET x = 1"]
    {
        let fault = root.simple(text).await.fault().unwrap();
        assert_eq!(
            (fault.code.as_str(), fault.hint.as_deref()),
            ("42601", Some("SHOW HELP lists the commands."))
        );
        assert_eq!(root.extended(text, &[]).await.code(), "42601", "{text}");
    }
    for (text, code) in [
        ("PAUSE nobody", "3D000"),
        ("PAUSE pgstrata", "0A000"),
        ("RESUME app", "55000"),
        ("RESUME", "55000"),
        ("KILL_CLIENT 999999", "42704"),
        ("CANCEL 999999", "42704"),
        ("SUSPEND", "0A000"),
        ("SET nothing = 1", "42704"),
        ("SET pool.max_servers = 5", "55P02"),
        ("SET max_client_conn = 5", "55P02"),
    ] {
        assert_eq!(root.simple(text).await.code(), code, "{text}");
    }
    // Those behind one that fails are not done.
    let answer = root.simple("SHOW VERSION; foo; SHOW STATE").await;
    assert_eq!((answer.tags().as_str(), answer.code().as_str()), ("EZ", "42601"));
    let answer = root.simple("SHOW VERSION; RESUME; SHOW STATE").await;
    assert_eq!((answer.tags().as_str(), answer.code().as_str()), ("TDCEZ", "55000"));
    assert_eq!(root.simple("").await.tags(), "IZ");
    assert_eq!(root.simple("-- ping").await.tags(), "IZ");
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_that_drivers_begin_are_kept_account_of() {
    let stage = stage().await;
    let mut root = console(&stage).await;
    assert_eq!(ask(&mut root, "BEGIN").await.status(), Some('T'));
    assert_eq!(ask(&mut root, "SHOW VERSION").await.status(), Some('T'));
    assert_eq!(root.simple("foo").await.status(), Some('E'));
    assert_eq!(root.simple("SHOW VERSION").await.code(), "25P02");
    let end = ask(&mut root, "COMMIT").await;
    assert_eq!((end.commands(), end.status()), (vec!["ROLLBACK".to_owned()], Some('I')));
    assert_eq!(ask(&mut root, "DISCARD ALL").await.commands(), ["DISCARD"]);
    assert_eq!(ask(&mut root, "SET extra_float_digits = 3").await.commands(), ["SET"]);
    assert_eq!(ask(&mut root, "SHOW client_encoding").await.value(), "UTF8");
}

#[tokio::test(flavor = "multi_thread")]
async fn extended_protocol_is_spoken_to_its_corners() {
    let stage = stage().await;
    let mut root = console(&stage).await;
    // Rows in portions.
    let answer =
        root.parse("l", "SHOW LISTS").bind("l", &[]).execute_some(3).execute_some(20).sync().answer().await;
    assert_eq!((answer.tags().as_str(), answer.rows().len()), ("12DDDsDDDDDDDDDDDCZ", 14));
    // An error voids the rest of the pipeline, and no more.
    let answer = root.bind("nobody", &[]).execute().parse("x", "SHOW STATE").sync().answer().await;
    assert_eq!((answer.tags().as_str(), answer.code().as_str()), ("EZ", "26000"));
    assert_eq!(root.bind("x", &[]).sync().answer().await.code(), "26000");
    assert_eq!(root.parse("l", "SHOW STATE").sync().answer().await.code(), "42P05");
    assert_eq!(root.parse("", "SHOW STATE; SHOW LISTS").sync().answer().await.code(), "42601");
    assert_eq!(root.parse("", "SHOW STATE").bind("", &["1"]).sync().answer().await.code(), "08P01");
    assert_eq!(root.describe("l").sync().answer().await.tags(), "tTZ");
    assert_eq!(root.parse("b", "BEGIN").describe("b").sync().answer().await.tags(), "1tnZ");
    assert_eq!(root.close("l").close("l").sync().answer().await.tags(), "33Z");
    assert_eq!(root.parse("", "").bind("", &[]).execute().sync().answer().await.tags(), "12IZ");
    // A portal ends with its transaction.
    assert_eq!(root.parse("", "SHOW STATE").bind("", &[]).sync().answer().await.tags(), "12Z");
    assert_eq!(root.execute().sync().answer().await.code(), "34000");
    assert_eq!(ask(&mut root, "DEALLOCATE ALL").await.commands(), ["DEALLOCATE"]);
    // A client can't fill the memory with them.
    for n in 0..1001 {
        root.parse(&format!("s{n}"), "SHOW VERSION");
    }
    assert_eq!(root.sync().answer().await.code(), "54000");
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_ends_its_own_console_and_no_other() {
    let stage = stage().await;
    let mut good = console(&stage).await;
    let too_long = format!("SHOW {}\0", "x".repeat(70_000));
    for (tag, body, code) in [
        (b'Q', too_long.as_bytes(), "54000"),
        (b'Q', &b"SHOW VERSION"[..], "08P01"),
        (b'Q', b"SHOW\0VERSION\0", "08P01"),
        (b'Q', b"\xff\xfe\0", "22021"),
        (b'B', b"\0", "08P01"),
        (b'B', b"\0\0\0\x01\0\x09\0\0\0\0", "08P01"),
        (b'P', b"x", "08P01"),
        (b'E', b"\0\0", "08P01"),
        (b'D', b"X\0", "08P01"),
        (b'!', b"", "08P01"),
        (b'p', b"x", "08P01"),
    ] {
        let mut bad = console(&stage).await;
        bad.message(tag, body).sync();
        let answer = timeout(SOON, bad.answer()).await.unwrap();
        let fault = answer.fault().unwrap_or_else(|| panic!("{:?} {:?}", char::from(tag), answer.tags()));
        assert_eq!((fault.severity.as_str(), fault.code.as_str()), ("FATAL", code), "{:?}", char::from(tag));
    }
    let mut bad = console(&stage).await;
    bad.raw(&[b'Q', 0, 0, 0, 1]).await;
    assert_eq!(bad.until(b'Z').await.code(), "08P01");
    for _ in 0..20 {
        let mut bad = console(&stage).await;
        let bytes: Vec<u8> = (0..rand::random_range(1..3000)).map(|_| rand::random()).collect();
        bad.raw(&BytesMut::from(&bytes[..])).await;
    }
    ask(&mut good, "SHOW CLIENTS").await;
    let fault = good.message(b'F', b"\0\0\0\x01\0\0\0\0\0\0").answer().await.fault().unwrap();
    assert_eq!((fault.severity.as_str(), fault.code.as_str()), ("ERROR", "0A000"));
    assert!(stage.is_running());
}

#[tokio::test(flavor = "multi_thread")]
async fn hundred_consoles_at_once_hold_nobody_up() {
    let stage = stage().await;
    let mut consoles = JoinSet::new();
    for _ in 0..100 {
        let port = stage.port();
        consoles.spawn(async move {
            let mut console = log_in(port, "watcher", "pgstrata").await.unwrap();
            for text in ["SHOW CLIENTS", "SHOW STATS", "SHOW POOLS"] {
                ask(&mut console, text).await;
            }
            console
        });
    }
    let open = timeout(SOON, consoles.join_all()).await.expect("all are answered");
    let mut app = stage.wire("acme_corp").await;
    assert_eq!(app.simple("SELECT 1").await.value(), "1");
    assert_eq!(open.len(), 100);
    // One that asks for much and reads nothing has no more than its own buffers.
    let mut lazy = console(&stage).await;
    for _ in 0..2000 {
        lazy.query("SHOW CLIENTS");
    }
    let _ = timeout(std::time::Duration::from_millis(500), lazy.flush()).await;
    assert_eq!(app.simple("SELECT 1").await.value(), "1");
    drop(open);
    let mut more = console(&stage).await;
    ask(&mut more, "SHOW VERSION").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn console_opens_when_all_places_of_clients_are_taken() {
    let stage = pgstrata_tests::Stage::new(super::setup().line("listen", "max_clients = 2")).await;
    let _clients = (stage.wire("acme_corp").await, stage.wire("globex").await);
    let fault = Wire::login(stage.port(), "app", "app", &[]).await.unwrap_err();
    assert_eq!(fault.code, "53300");
    let mut root = console(&stage).await;
    assert_eq!(super::number(&mut root, "LIMITS", ("name", "listen.max_clients"), "used").await, 2);
}

/// The HTTP side's answer to somebody with that name and password.
async fn get(port: u16, path: &str, user: Option<&str>) -> (u16, String) {
    let authorization = user.map(|user| format!("Authorization: Basic {user}\r\n")).unwrap_or_default();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{authorization}Connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_had_as_json_by_those_who_may_see_them() {
    let stage = stage().await;
    stage.wire("acme_corp").await.simple("SELECT 1").await;
    // root:root, watcher:watcher, app:app, root:wrong, nobody:x
    let [root, watcher, app, wrong, nobody] =
        ["cm9vdDpyb290", "d2F0Y2hlcjp3YXRjaGVy", "YXBwOmFwcA==", "cm9vdDp3cm9uZw==", "bm9ib2R5Ong="];
    let port = stage.http_port();
    let (status, body) = get(port, "/api/v1/show/pools", Some(watcher)).await;
    let rows: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, &rows[0]["database"], &rows[0]["sv_active"]),
        (200, &"app".into(), &0.into()),
        "{body}"
    );
    assert!(rows[0]["load_balance_hosts"].is_null());
    let (_, body) = get(port, "/api/v1/show/tenant?name=acme_corp", Some(watcher)).await;
    assert!(body.contains("\"key\":\"requests\""), "{body}");
    for (path, user, status) in [
        ("pools", None, 401),
        ("pools", Some(wrong), 401),
        ("pools", Some(nobody), 401),
        ("pools", Some("!"), 401),
        ("pools", Some(app), 403),
        ("prepared", Some(watcher), 403),
        ("prepared", Some(root), 200),
        ("nothing", Some(root), 404),
        ("tenant", Some(root), 400),
        ("pools?name=x", Some(root), 400),
    ] {
        assert_eq!(get(port, &format!("/api/v1/show/{path}"), user).await.0, status, "{path} {user:?}");
    }
}
