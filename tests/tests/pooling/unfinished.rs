//! Messages whose end does not come, and those that wait for room because of them.

use pgstrata_tests::setup::Setup;
use pgstrata_tests::stage::Stage;
use pgstrata_tests::wire::Wire;
use pgstrata_tests::{ACME, GLOBEX};

const NAMES: &str = "SELECT name FROM users ORDER BY id";
/// More than is read of a message before there is room for it, in bytes; a tenant has room for one.
const LONG: usize = 900 << 10;

fn setup(timeout: &str) -> Setup {
    Setup::new()
        .line("limits", "max_buffered_bytes = 8388608\nmax_query_bytes = 1048576")
        .line("limits", format!("message_timeout = '{timeout}'"))
}

/// A text of [`LONG`] bytes.
fn long_text() -> String {
    let head = "SELECT length('";
    format!("{head}{}')", "x".repeat(LONG - head.len() - 2))
}

/// The head of a `Query` of so many bytes, and half of those.
async fn send_half(wire: &mut Wire, bytes: usize) {
    let mut half = vec![b'Q'];
    half.extend_from_slice(&u32::try_from(bytes + 5).unwrap().to_be_bytes());
    half.resize(5 + bytes / 2, b' ');
    wire.raw(&half).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn message_has_a_time() {
    let stage = Stage::new(setup("3s")).await;
    for half in [&b"Q"[..], b"Q\0\0\0\x20SELECT", b"P\0\0\0\x20\0SELECT"] {
        let mut wire = stage.wire("acme_corp").await;
        wire.raw(half).await;
        let fault = wire.until(b'Z').await.fault().unwrap();
        assert_eq!((&*fault.severity, &*fault.code), ("FATAL", "57P05"), "{fault:?}");
        assert!(fault.message.contains("limits.message_timeout is 3s"), "{fault:?}");
    }
    // It has not begun while PostgreSQL works on the one before, and ends as the rest comes.
    let mut wire = stage.wire("acme_corp").await;
    wire.query("SELECT pg_sleep(4)").flush().await;
    wire.raw(b"Q\0").await;
    assert_eq!(wire.until(b'Z').await.code(), "");
    wire.raw(b"\0\0\x0dSELECT 1\0").await;
    assert_eq!(wire.until(b'Z').await.value(), "1");
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    assert_eq!(wire.simple(NAMES).await.column(), ACME);
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_halves_leave_room_to_others() {
    let stage = Stage::new(setup("3s")).await;
    let mut halves = Vec::new();
    for _ in 0..6 {
        let mut wire = stage.wire("acme_corp").await;
        send_half(&mut wire, LONG).await;
        halves.push(wire);
    }
    let mut others = stage.wire("globex").await;
    for _ in 0..3 {
        assert_eq!(others.simple(&long_text()).await.code(), "");
        assert_eq!(others.extended(&long_text(), &[]).await.code(), "");
        assert_eq!(others.simple(NAMES).await.column(), GLOBEX);
    }
    // Short ones need none.
    let mut own = stage.wire("acme_corp").await;
    assert_eq!(own.simple(NAMES).await.column(), ACME);
    let mut codes = Vec::new();
    for mut wire in halves {
        codes.push(wire.until(b'Z').await.code());
    }
    // The first had room for its message; the others may get room at the moment when their time is over.
    assert_eq!(codes[0], "57P05");
    assert!(codes.iter().all(|code| matches!(&**code, "53200" | "57P05")), "{codes:?}");
    assert_eq!(own.simple(&long_text()).await.code(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn long_texts_have_their_turn() {
    let stage = Stage::new(setup("2m")).await;
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..12 {
        let mut wire = stage.wire("acme_corp").await;
        clients.spawn(async move {
            for _ in 0..3 {
                let answer = match number % 2 {
                    0 => wire.simple(&long_text()).await,
                    _ => wire.extended(&long_text(), &[]).await,
                };
                assert_eq!(answer.code(), "");
            }
        });
    }
    // One that waits and leaves has no turn.
    let mut gone = stage.wire("acme_corp").await;
    send_half(&mut gone, LONG).await;
    drop(gone);
    while let Some(done) = clients.join_next().await {
        done.unwrap();
    }
}
