//! Time-outs, and how long a request waits.

use pgstrata_tests::answer::Fault;
use pgstrata_tests::stage::eventually;
use pgstrata_tests::{ACME, Setup, Stage, Wire};

use super::{
    NAMES, WAITING, limited, names_the_limit, notices_of, run, send, start, tables, with_its_server_taken,
};

/// The client is told this, and closed.
async fn is_closed(wire: &mut Wire, code: &str, whose: &str, key: &str) {
    let mut last = None;
    while let Some(message) = wire.receive().await {
        last = Some(message).filter(|message| message.tag == b'E').or(last);
    }
    let fault = Fault::read(&last.expect("the client is told"));
    assert_eq!((fault.severity.as_str(), fault.code.as_str()), ("FATAL", code), "{fault:?}");
    assert!(fault.message.contains(whose) && fault.message.contains(key), "{fault:?}");
}

#[tokio::test]
async fn time_outs_hold_for_a_database_a_tenant_and_a_user() {
    for (key, code, extended) in [
        ("query_timeout", "57014", false),
        ("query_timeout", "57014", true),
        ("transaction_timeout", "25P04", false),
        ("idle_transaction_timeout", "25P03", false),
        ("idle_transaction_timeout", "25P03", true),
        ("client_idle_timeout", "57P05", false),
    ] {
        for (setup, whose, table) in tables(&format!("{key} = '200ms'")) {
            // Wider ones beside it are not what ends it.
            let setup = setup.line("limits", format!("{key} = '10min'"));
            let stage = Stage::new(setup).await;
            let mut wire = stage.wire("acme_corp").await;
            match key {
                "query_timeout" => send(&mut wire, extended, "SELECT pg_sleep(600)").await,
                "client_idle_timeout" => {}
                _ if extended => {
                    wire.parse("", NAMES).bind("", &[]).execute().message(b'H', b"").flush().await
                }
                _ => _ = wire.simple("BEGIN; SELECT 1").await,
            }
            is_closed(&mut wire, code, &format!("200ms for {whose}"), &format!("{table}{key}")).await;
        }
    }
}

#[tokio::test]
async fn time_outs_of_one_tenant_are_no_others() {
    let keys = "query_timeout = '200ms'\nclient_idle_timeout = '200ms'\nidle_transaction_timeout = '200ms'";
    let stage = Stage::new(limited(&format!("[tenants.acme_corp.limits]\n{keys}"))).await;
    let mut other = stage.wire("globex").await;
    let mut wire = stage.wire("acme_corp").await;
    is_closed(&mut wire, "57P05", "tenant \"acme_corp\"", "tenants.acme_corp.limits.client_idle_timeout")
        .await;
    assert_eq!(other.simple("BEGIN; SELECT pg_sleep(0.5)").await.status(), Some('T'));
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(other.simple("COMMIT").await.code(), "");
}

#[tokio::test]
async fn time_outs_go_with_the_tenant_that_a_client_goes_over_to() {
    let keys = "client_idle_timeout = '200ms'\nquery_timeout = '200ms'";
    let setup = limited(&format!("[tenants.acme_corp.limits]\n{keys}")).tenant_switch();
    let stage = Stage::new(setup).await;
    let mut wire = stage.wire("globex").await;
    assert_eq!(wire.simple("SELECT pg_sleep(0.5)").await.code(), "");
    let text = "/* tenant='acme_corp' */ SELECT pg_sleep(600)";
    wire.query(text).flush().await;
    is_closed(&mut wire, "57014", "tenant \"acme_corp\"", "tenants.acme_corp.limits.query_timeout").await;
    let mut wire = stage.wire("globex").await;
    assert_eq!(wire.simple("SET tenant = 'acme_corp'").await.code(), "");
    is_closed(&mut wire, "57P05", "tenant \"acme_corp\"", "tenants.acme_corp.limits.client_idle_timeout")
        .await;
}

#[tokio::test]
async fn time_outs_of_a_reload_hold_for_who_is_connected() {
    let (_cluster, process) = start(&Setup::new()).await;
    let mut idle = process.wire("acme_corp").await;
    let mut busy = process.wire("acme_corp").await;
    assert_eq!(busy.simple("BEGIN; SELECT 1").await.status(), Some('T'));
    let keys = "client_idle_timeout = '100ms'\nidle_transaction_timeout = '100ms'";
    process.reload(&limited(&format!("[tenants.acme_corp.limits]\n{keys}"))).await;
    is_closed(&mut idle, "57P05", "tenant \"acme_corp\"", "client_idle_timeout").await;
    is_closed(&mut busy, "25P03", "tenant \"acme_corp\"", "idle_transaction_timeout").await;
}

#[tokio::test]
async fn request_waits_as_long_as_the_narrowest_limit_says() {
    for (setup, whose, table) in tables("query_wait_timeout = '200ms'") {
        let (stage, _holder) = with_its_server_taken(setup.line("pool", "wait_timeout = '10min'")).await;
        let mut wire = stage.wire("acme_corp").await;
        for extended in [false, true] {
            let fault = run(&mut wire, extended, NAMES).await.fault().expect("there is no server");
            names_the_limit(&fault, "53300", "timed out after 200ms", &format!("{table}query_wait_timeout"));
            assert!(fault.hint.unwrap().contains(&format!("200ms for {whose}")));
        }
    }
}

#[tokio::test]
async fn client_that_waits_long_is_told() {
    for (setup, ..) in tables("wait_notice = '100ms'\nquery_wait_timeout = '10min'") {
        let (stage, mut holder) = with_its_server_taken(setup).await;
        for extended in [false, true] {
            let mut wire = stage.wire("acme_corp").await;
            send(&mut wire, extended, NAMES).await;
            let notice = wire.until(b'N').await;
            let notice = Fault::read(notice.messages.last().unwrap());
            assert_eq!((notice.severity.as_str(), notice.code.as_str()), ("NOTICE", "00000"), "{notice:?}");
            assert_eq!(notice.message, "still waiting for a server after 100ms");
            holder.simple("COMMIT").await;
            assert_eq!(wire.answer().await.column(), ACME);
            assert_eq!(holder.simple("BEGIN; SELECT 1").await.status(), Some('T'));
        }
        // Who has switched notices off gets none; the next of its messages is its answer.
        let mut wire = stage.wire("acme_corp").await;
        let mut told = stage.wire("acme_corp").await;
        holder.simple("COMMIT").await;
        assert_eq!(wire.simple("SET client_min_messages = warning").await.code(), "");
        assert_eq!(holder.simple("BEGIN; SELECT 1").await.status(), Some('T'));
        send(&mut wire, false, NAMES).await;
        eventually(1.0, async || stage.metric(WAITING).await).await;
        send(&mut told, false, NAMES).await;
        told.until(b'N').await;
        holder.simple("COMMIT").await;
        assert_eq!(told.answer().await.column(), ACME);
        assert_eq!(notices_of(&wire.answer().await), 0);
    }
}
