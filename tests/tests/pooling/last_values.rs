//! `lastval()` behind a transaction: PHP's `lastInsertId()` and its like, on servers that clients share.

use pgstrata_tenancy::{Strategy, Tier};
use pgstrata_tests::setup::Setup;
use pgstrata_tests::stage::{Stage, eventually};
use pgstrata_tests::wire::Wire;

const LASTVAL: &str = "SELECT LASTVAL()";
const NAMES: &str = "SELECT name FROM users";

/// A proxy that knows of two tenants that they ask, and whose one server nobody keeps.
async fn stage(setup: Setup) -> Stage {
    let stage = Stage::new(setup).await;
    for tenant in ["acme_corp", "globex"] {
        let mut wire = stage.wire(tenant).await;
        assert_eq!(
            wire.simple("CREATE TABLE notes (id serial PRIMARY KEY, body text); CREATE TABLE plain (a int)")
                .await
                .code(),
            ""
        );
        let refused = wire.simple(LASTVAL).await.fault().unwrap();
        assert_eq!(refused.code, "55000");
        assert!(refused.hint.unwrap().contains("RETURNING"));
        wire.terminate().flush().await;
        wire.until(b'!').await;
    }
    stage
}

async fn last(wire: &mut Wire, extended: bool) -> String {
    let answer = if extended { wire.extended(LASTVAL, &[]).await } else { wire.simple(LASTVAL).await };
    assert_eq!(answer.code(), "", "{answer:?}");
    assert!(extended || answer.columns() == ["lastval"]);
    answer.value()
}

async fn id_of(wire: &mut Wire, body: &str) -> String {
    wire.simple(&format!("SELECT id FROM notes WHERE body = '{body}'")).await.value()
}

fn setups() -> [Setup; 3] {
    [
        Setup::new().strategy(Strategy::SearchPath),
        Setup::new().strategy(Strategy::SchemaQualified),
        Setup::new().tier(Tier::Role),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_hear_of_their_own_draws_on_one_server() {
    for setup in setups() {
        let stage = stage(setup.servers(1)).await;
        let mut clients = [
            stage.wire("acme_corp").await,
            stage.wire("globex").await,
            stage.wire("acme_corp").await,
            stage.wire("globex").await,
        ];
        for round in 0..5 {
            for (number, wire) in clients.iter_mut().enumerate() {
                let insert = format!("INSERT INTO notes (body) VALUES ('{number}-{round}')");
                let answer = match round % 2 {
                    0 => wire.simple(&insert).await,
                    _ => wire.extended(&insert, &[]).await,
                };
                assert_eq!(answer.code(), "");
            }
            for (number, wire) in clients.iter_mut().enumerate() {
                let id = id_of(wire, &format!("{number}-{round}")).await;
                for extended in [false, true] {
                    assert_eq!(last(wire, extended).await, id, "{number} {round} {extended}");
                }
            }
        }
        // In an expression, beside a table, and with a schema.
        let found = "SELECT body, pg_catalog.lastval() + 1 FROM notes WHERE id = lastval()";
        let rows = clients[0].simple(found).await.rows();
        assert_eq!((rows.len(), &*rows[0][0]), (1, "0-4"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn value_of_another_server_holds() {
    for setup in setups() {
        let stage = stage(setup.servers(2)).await;
        let (mut wire, mut holder) = (stage.wire("acme_corp").await, stage.wire("globex").await);
        for round in 0..4 {
            let body = format!("b{round}");
            let block = format!("BEGIN; INSERT INTO notes (body) VALUES ('a'), ('{body}'); COMMIT");
            assert_eq!(wire.simple(&block).await.code(), "");
            // The server that drew is another's now, who draws as well.
            holder.simple("BEGIN; INSERT INTO notes (body) VALUES ('x')").await;
            let id = id_of(&mut wire, &body).await;
            assert_eq!(last(&mut wire, round % 2 == 0).await, id);
            // What draws nothing leaves it as it is, here and there.
            assert_eq!(wire.simple("INSERT INTO plain VALUES (1)").await.code(), "");
            assert_eq!(last(&mut wire, false).await, id);
            holder.simple("COMMIT").await;
            assert_eq!(wire.simple("INSERT INTO plain VALUES (1)").await.code(), "");
            assert_eq!(last(&mut wire, false).await, id);
            // A sequence goes on where a transaction does not.
            wire.simple("BEGIN").await;
            let drawn = wire.simple("INSERT INTO notes (body) VALUES ('gone') RETURNING id").await.value();
            wire.simple("ROLLBACK").await;
            assert_eq!(last(&mut wire, false).await, drawn);
        }
        wire.simple("DISCARD SEQUENCES").await;
        assert_eq!(wire.simple(LASTVAL).await.code(), "55000");
    }
}

/// A client that has discarded what it drew hears of it on no server, whichever ran the statement.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_discarded_is_gone_on_every_server() {
    for setup in setups() {
        let stage = stage(setup.servers(2)).await;
        let (mut wire, mut holder) = (stage.wire("acme_corp").await, stage.wire("globex").await);
        let insert = "INSERT INTO notes (body) VALUES ('a')";
        for discard in ["DISCARD SEQUENCES", "DISCARD ALL"] {
            for extended in [false, true] {
                for _ in 0..2 {
                    // Both servers draw for the client.
                    assert_eq!(wire.simple(insert).await.code(), "");
                    holder.simple("BEGIN").await;
                    holder.simple("SELECT 1").await;
                    assert_eq!(wire.simple(insert).await.code(), "");
                    let answer =
                        if extended { wire.extended(discard, &[]).await } else { wire.simple(discard).await };
                    assert_eq!(answer.code(), "");
                    assert_eq!(wire.simple(LASTVAL).await.code(), "55000", "{discard} {extended}");
                    holder.simple("COMMIT").await;
                    holder.simple("BEGIN").await;
                    assert_eq!(wire.simple(LASTVAL).await.code(), "55000", "{discard} {extended}");
                    holder.simple("COMMIT").await;
                    assert_eq!(wire.simple(LASTVAL).await.code(), "55000", "{discard} {extended}");
                }
            }
        }
        // What is drawn behind it counts, in the same text and in a pipeline.
        wire.simple(insert).await;
        assert_eq!(wire.simple("DISCARD SEQUENCES; INSERT INTO notes (body) VALUES ('b')").await.code(), "");
        let id = id_of(&mut wire, "b").await;
        assert_eq!(last(&mut wire, false).await, id);
        wire.simple("BEGIN").await;
        let answer = wire
            .parse("", "DISCARD SEQUENCES")
            .bind("", &[])
            .execute()
            .parse("", "INSERT INTO notes (body) VALUES ('c')")
            .bind("", &[])
            .execute()
            .sync()
            .answer()
            .await;
        assert_eq!(answer.code(), "");
        let id = id_of(&mut wire, "c").await;
        assert_eq!(wire.simple(LASTVAL).await.value(), id);
        wire.simple("COMMIT").await;
    }
}

/// A server is cleaned of what a client has set, and of what code may have left, before it goes back: not before it has
/// said what was drawn.
#[tokio::test(flavor = "multi_thread")]
async fn server_says_what_was_drawn_before_it_is_cleaned() {
    for setup in setups() {
        let stage = stage(setup.servers(1)).await;
        let made = "CREATE FUNCTION acme_corp.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
             CREATE TRIGGER touched BEFORE INSERT ON acme_corp.notes FOR EACH ROW EXECUTE FUNCTION acme_corp.touch()";
        stage.superuser().await.batch_execute(made).await.unwrap();
        let mut globex = stage.wire("globex").await;
        let mut wire = stage.wire("acme_corp").await;
        assert_eq!(wire.simple("SET statement_timeout = '20s'").await.code(), "");
        for (round, extended) in [false, true, false, true].into_iter().enumerate() {
            let insert = format!("INSERT INTO notes (body) VALUES ('{round}')");
            let answer =
                if extended { wire.extended(&insert, &[]).await } else { wire.simple(&insert).await };
            assert_eq!(answer.code(), "");
            assert_eq!(globex.simple("SHOW statement_timeout").await.value(), "0");
            let id = id_of(&mut wire, &round.to_string()).await;
            assert_eq!(last(&mut wire, extended).await, id, "round {round}");
            assert_eq!(wire.simple("SHOW statement_timeout").await.value(), "20s");
        }
    }
}

/// A text that draws by itself, or that keeps what it asks for later, is not given what was drawn before.
#[tokio::test(flavor = "multi_thread")]
async fn text_that_draws_has_its_own_value() {
    for setup in setups() {
        let stage = stage(setup.servers(2)).await;
        let insert = "INSERT INTO notes (body) VALUES ('a') RETURNING id";
        for text in [
            "INSERT INTO notes (body) VALUES ('b'); SELECT lastval()",
            "BEGIN; INSERT INTO notes (body) VALUES ('b'); SELECT lastval(); COMMIT",
            "SELECT lastval() FROM (SELECT nextval('notes_id_seq')) AS drawn",
        ] {
            let mut wire = stage.wire("acme_corp").await;
            let before: i64 = wire.simple(insert).await.value().parse().unwrap();
            let last = wire.simple(text).await.rows().last().unwrap()[0].parse::<i64>().unwrap();
            assert!(last > before, "{text}: {last}, and {before} before");
        }
        let mut wire = stage.wire("acme_corp").await;
        let before = wire.simple(insert).await.value();
        assert_eq!(wire.simple("CREATE VIEW kept AS SELECT lastval()").await.code(), "42501");
        let kept = wire.simple("PREPARE kept AS SELECT lastval()").await;
        assert_eq!(kept.code(), "");
        let newest = wire.simple(insert).await.value();
        assert_ne!(before, newest);
        assert_eq!(wire.simple("EXECUTE kept").await.value(), newest);
    }
}

/// Where nobody knows what was drawn, there is an error, and no old value.
#[tokio::test(flavor = "multi_thread")]
async fn server_that_is_lost_before_it_says_what_was_drawn() {
    let stage = stage(Setup::new().servers(1).relay()).await;
    let mut wire = stage.wire("acme_corp").await;
    assert_eq!(wire.simple("INSERT INTO notes (body) VALUES ('1')").await.code(), "");
    assert_ne!(last(&mut wire, false).await, "");
    stage.relay().stall_behind(b"INSERT 0 1");
    wire.query("INSERT INTO notes (body) VALUES ('2')").flush().await;
    let done = wire.until(b'C').await;
    assert_eq!(done.code(), "");
    stage.relay().drop_connections();
    stage.relay().stall(false);
    assert_eq!(wire.until(b'Z').await.status(), Some('I'));
    // The pool's other connections were cut as well: it connects anew.
    eventually(true, async || wire.simple(NAMES).await.code() == "").await;
    assert_eq!(wire.simple(LASTVAL).await.code(), "55000");
}

/// The proxy's own question does not keep a client waiting for longer than its own would.
#[tokio::test(flavor = "multi_thread")]
async fn question_is_under_the_limit_of_queries() {
    let stage = stage(Setup::new().servers(1).relay().line("limits", "query_timeout = '1s'")).await;
    let mut wire = stage.wire("acme_corp").await;
    assert_eq!(wire.simple("INSERT INTO notes (body) VALUES ('1')").await.code(), "");
    stage.relay().stall_behind(b"INSERT 0 1");
    let answer = wire.simple("INSERT INTO notes (body) VALUES ('2')").await;
    let fault = answer.fault().expect("it ends");
    assert_eq!((&*fault.severity, &*fault.code), ("FATAL", "57014"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn statement_is_not_run_with_a_value_of_before() {
    let stage = stage(Setup::new().servers(1)).await;
    let mut wire = stage.wire("acme_corp").await;
    let first = "INSERT INTO notes (body) VALUES ('1')";
    assert_eq!(wire.simple(first).await.code(), "");
    let id = id_of(&mut wire, "1").await;
    let answer = wire.parse("", LASTVAL).bind("", &[]).execute().sync().answer().await;
    assert_eq!(answer.value(), id);
    // The unnamed statement lives on; a named one of the client's draws.
    let answer = wire.bind("", &[]).execute().sync().answer().await;
    assert_eq!(answer.value(), id);
    wire.parse("s", first).sync().answer().await;
    assert_eq!(wire.bind("s", &[]).execute().sync().answer().await.code(), "");
    let refused = wire.bind("", &[]).execute().sync().answer().await.fault().unwrap();
    assert_eq!((&*refused.code, refused.hint.is_some()), ("0A000", true));
    assert_ne!(last(&mut wire, true).await, id);
}

#[tokio::test(flavor = "multi_thread")]
async fn tenant_of_before_is_not_asked() {
    let stage = stage(Setup::new().tenant_switch().servers(1)).await;
    let mut wire = stage.wire("acme_corp").await;
    assert_eq!(wire.simple("INSERT INTO notes (body) VALUES ('1')").await.code(), "");
    let id = last(&mut wire, false).await;
    wire.simple("SET tenant = 'globex'").await;
    assert_eq!(wire.simple(LASTVAL).await.code(), "55000");
    wire.simple("SET tenant = 'acme_corp'").await;
    assert_eq!(wire.simple(LASTVAL).await.code(), "55000", "it was {id}");
}
