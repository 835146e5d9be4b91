//! Requests in a second.

use pgstrata_tests::answer::Fault;
use pgstrata_tests::stage::eventually;
use pgstrata_tests::{ACME, Setup, Stage, Wire};

use super::{NAMES, limited, limited_by, names_the_limit, notices_of, run, start, tables};

#[tokio::test]
async fn request_beyond_the_rate_is_refused_once_it_has_waited() {
    let keys = "requests_per_second = 1\nburst = 2\nquery_wait_timeout = '200ms'";
    for (setup, whose, table) in tables(keys) {
        let stage = Stage::new(setup.tenant_switch()).await;
        for extended in [false, true] {
            let mut wire = stage.wire("acme_corp").await;
            // However slow this is, it is faster than that.
            let fault = refused(&mut wire, extended, NAMES).await;
            names_the_limit(
                &fault,
                "53400",
                &format!("{whose} may send 1 request"),
                &format!("{table}requests"),
            );
            assert_eq!(fault.severity, "ERROR");
            // Inside of a transaction, too, which fails then.
            eventually('T', async || wire.simple("BEGIN").await.status().unwrap()).await;
            assert_eq!(refused(&mut wire, extended, "SELECT 1").await.code, "53400");
            assert_eq!(
                wire.simple("SHOW tenant").await.status(),
                Some('E'),
                "what is answered here is no request"
            );
        }
        let mut other = stage.wire("globex").await;
        if table.starts_with("tenants") {
            for _ in 0..10 {
                assert_eq!(other.simple("SELECT 1").await.code(), "");
            }
            let fault = refused(&mut other, false, "/* tenant='acme_corp' */ SELECT 1").await;
            names_the_limit(&fault, "53400", whose, table);
        }
        assert!(stage.metric(&limited_by("requests_per_second", whose)).await >= 2.0);
    }
}

/// Sends it again and again until it is refused.
async fn refused(wire: &mut Wire, extended: bool, text: &str) -> Fault {
    for _ in 0..100 {
        if let Some(fault) = run(wire, extended, text).await.fault() {
            return fault;
        }
    }
    panic!("none of a hundred was refused");
}

/// A call of `lo_creat(integer)`, by its number in `pg_proc`.
fn lo_creat() -> Vec<u8> {
    let mut body = 957u32.to_be_bytes().to_vec();
    // One argument in binary, of four bytes; the result in binary.
    body.extend([0, 1, 0, 1, 0, 1, 0, 0, 0, 4, 0, 6, 0, 0, 0, 1]);
    body
}

#[tokio::test]
async fn function_call_is_a_request() {
    let keys = "requests_per_second = 1\nburst = 3\nquery_wait_timeout = '1ms'";
    let user = "name = 'files'\npassword = 'files'\ntenants = ['*']\nlarge_objects = true";
    let stage = Stage::new(limited(&format!("[tenancy.limits]\n{keys}")).user(user)).await;
    let mut wire =
        Wire::login(stage.port(), "files", "files", &[("options", "-ctenant=acme_corp")]).await.unwrap();
    eventually('T', async || wire.simple("BEGIN").await.status().unwrap()).await;
    let mut answers = Vec::new();
    for _ in 0..100 {
        wire.message(b'F', &lo_creat()).flush().await;
        let answer = wire.answer().await;
        let refused = answer.fault().is_some();
        answers.push(answer);
        if refused {
            break;
        }
    }
    let last = answers.pop().unwrap();
    assert_eq!((&*last.code(), last.status()), ("53400", Some('E')), "{last:?}");
    assert!(answers.iter().all(|answer| answer.tags() == "VZ"), "{answers:?}");
    // Each message has had its answer, and no more.
    assert_eq!(wire.simple("SHOW tenant").await.status(), Some('E'));
}

#[tokio::test]
async fn pipeline_is_one_request() {
    let keys = "requests_per_second = 1\nburst = 1\nquery_wait_timeout = '1ms'";
    let stage = Stage::new(limited(&format!("[tenancy.limits]\n{keys}"))).await;
    let mut wire = stage.wire("acme_corp").await;
    for _ in 0..20 {
        wire.parse("", NAMES).bind("", &[]).execute();
    }
    assert_eq!(wire.sync().answer().await.commands(), ["SELECT 3"; 20]);
}

#[tokio::test]
async fn requests_beyond_the_rate_wait_for_their_turns() {
    let keys = "requests_per_second = 2\nburst = 1\nquery_wait_timeout = '10min'\nwait_notice = '50ms'";
    let stage = Stage::new(limited(&format!("[tenancy.limits]\n{keys}"))).await;
    let mut wire = stage.wire("acme_corp").await;
    for _ in 0..6 {
        wire.query(NAMES);
    }
    wire.flush().await;
    let mut notices = 0;
    for _ in 0..6 {
        let answer = wire.until(b'Z').await;
        assert_eq!(answer.column(), ACME);
        notices += notices_of(&answer);
    }
    assert!(notices > 0, "it waited, and was told");
    // It is cancelled while it waits, for so long that nothing else ends that.
    let mut crowd = Vec::new();
    for _ in 0..100 {
        let mut wire = stage.wire("acme_corp").await;
        wire.query("SELECT 1").flush().await;
        crowd.push(wire);
    }
    let client = stage.client("acme_corp").await;
    let cancel = client.cancel_token();
    let query = tokio::spawn(async move { client.simple_query("SELECT 1").await });
    while !query.is_finished() {
        cancel.cancel_query(tokio_postgres::NoTls).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let error = query.await.unwrap().unwrap_err();
    assert_eq!(error.code().map(tokio_postgres::error::SqlState::code), Some("57014"));
}

#[tokio::test]
async fn rate_of_a_reload_holds_for_who_is_connected() {
    let keys = "[tenancy.limits]\nrequests_per_second = 1\nburst = 1\nquery_wait_timeout = '1ms'";
    let (_cluster, process) = start(&Setup::new()).await;
    let mut wire = process.wire("acme_corp").await;
    for _ in 0..20 {
        assert_eq!(wire.simple(NAMES).await.column(), ACME);
    }
    process.reload(&limited(keys)).await;
    assert_eq!(refused(&mut wire, false, NAMES).await.code, "53400");
    process.reload(&Setup::new()).await;
    for _ in 0..20 {
        assert_eq!(wire.simple(NAMES).await.column(), ACME);
    }
}
