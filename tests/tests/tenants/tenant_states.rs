//! What becomes of clients as the registry has it: at the login, in open sessions and transactions, in
//! pipelines, with `SET tenant`.

use std::time::Duration;

use pgstrata_tests::answer::Fault;
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::stage::eventually;
use pgstrata_tests::wire::CANCEL_REQUEST;
use pgstrata_tests::{ACME, Answer, GLOBEX, Registry, Setup, Stage, Wire};
use tokio::task::JoinHandle;
use tokio::time::timeout;

const NAMES: &str = "SELECT name FROM users ORDER BY id";
const HELD: &str = "pgstrata_clients_held";
const SOON: Duration = Duration::from_secs(30);

async fn stage(setup: Setup) -> (Stage, Registry) {
    let stage = Stage::new(setup.tenant_switch()).await;
    let registry = Registry::install(&stage).await;
    (stage, registry)
}

async fn login(stage: &Stage, user: &str, tenant: &str) -> Result<Wire, Fault> {
    Wire::login(stage.port(), user, user, &[("options", &format!("-ctenant={tenant}"))]).await
}

async fn refused(stage: &Stage, user: &str, tenant: &str) -> Fault {
    timeout(SOON, login(stage, user, tenant)).await.expect("an answer").expect_err("the login is refused")
}

/// Returns once a session gets this SQLSTATE; the last answer.
async fn comes_to(wire: &mut Wire, code: &str) -> Answer {
    let mut last = wire.simple(NAMES).await;
    let asking = async {
        while last.code() != code {
            last = wire.simple(NAMES).await;
        }
    };
    let in_time = timeout(SOON, asking).await.is_ok();
    assert!(in_time, "{:?} and not {code}", last.fault());
    last
}

/// Whether so many clients wait for their tenants.
async fn held(stage: &Stage, count: f64) {
    eventually(count, async || stage.metric(HELD).await).await;
}

/// A request on its way, of a client that is given back with the answer.
fn ask(mut wire: Wire, text: &'static str) -> JoinHandle<(Answer, Wire)> {
    tokio::spawn(async move { (wire.simple(text).await, wire) })
}

async fn answer<T>(asked: JoinHandle<T>) -> T {
    timeout(SOON, asked).await.expect("an answer").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn login_finds_its_tenant_as_it_fares() {
    let (stage, registry) = stage(Setup::new().line("tenancy", "while_migrating = 'refuse'")).await;
    let unknown = refused(&stage, "app", "nobody").await;
    let forbidden = refused(&stage, "acme", "nobody").await;
    for (state, code, message) in [
        ("source", "28000", unknown.message.replace("nobody", "globex")),
        ("dropping", "28000", unknown.message.replace("nobody", "globex")),
        ("provisioning", "57P03", "tenant \"globex\" is being provisioned".into()),
        ("migrating", "57P03", "tenant \"globex\" is being migrated".into()),
        ("suspended", "57P03", "tenant \"globex\" is suspended".into()),
    ] {
        registry.set("globex", state).await;
        eventually((code.to_owned(), message.clone()), async || {
            let fault = login(&stage, "app", "globex").await.err();
            fault.map(|fault| (fault.code, fault.message)).unwrap_or_default()
        })
        .await;
        let fault = refused(&stage, "app", "globex").await;
        assert_eq!((fault.severity.as_str(), fault.hint.is_some()), ("FATAL", code == "57P03"), "{state}");
        // Who may not name the tenant learns nothing of it.
        let other = refused(&stage, "acme", "globex").await;
        assert_eq!(
            (other.code, other.message.replace("globex", "nobody")),
            (forbidden.code.clone(), forbidden.message.clone())
        );
        assert_eq!((other.severity, other.hint), (forbidden.severity.clone(), forbidden.hint.clone()));
    }
    registry.set("globex", "active").await;
    eventually(true, async || login(&stage, "app", "globex").await.is_ok()).await;
    // A schema of which the registry says nothing is served.
    assert!(login(&stage, "app", "acme_corp").await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn login_waits_for_its_tenant() {
    let (stage, registry) = stage(Setup::new().servers(1)).await;
    registry.set("globex", "migrating").await;
    // Its schema is not there yet.
    registry.set("newco", "provisioning").await;
    registry.set("failed", "provisioning").await;
    let port = stage.port();
    let waiting = |tenant: &'static str| {
        tokio::spawn(async move {
            Wire::login(port, "app", "app", &[("options", &format!("-ctenant={tenant}"))]).await
        })
    };
    let (globex, newco, failed) = (waiting("globex"), waiting("newco"), waiting("failed"));
    held(&stage, 3.0).await;
    // Neither a neighbour nor one who may not name it waits with them.
    assert_eq!(stage.wire("acme_corp").await.simple(NAMES).await.column(), ACME);
    assert_eq!(refused(&stage, "acme", "globex").await.code, "28000");
    registry.set("globex", "active").await;
    registry.run("CREATE SCHEMA newco AUTHORIZATION app; SET ROLE app; CREATE TABLE newco.users (id int, name text); RESET ROLE").await;
    registry.set("newco", "active").await;
    registry.remove("failed").await;
    assert_eq!(answer(globex).await.unwrap().simple(NAMES).await.column(), GLOBEX);
    assert!(answer(newco).await.unwrap().simple(NAMES).await.column().is_empty());
    let fault = answer(failed).await.unwrap_err();
    assert_eq!((fault.code.as_str(), fault.severity.as_str()), ("28000", "FATAL"));
    held(&stage, 0.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_ends_in_time_and_with_a_word() {
    let setup = Setup::new().line("listen", "login_timeout = '3s'").line("pool", "wait_timeout = '1s'");
    let (stage, registry) = stage(setup).await;
    let mut wire = stage.wire("globex").await;
    registry.set("globex", "migrating").await;
    let fault = comes_to(&mut wire, "57P03").await.fault().unwrap();
    assert_eq!(
        (fault.severity.as_str(), fault.message.as_str()),
        ("ERROR", "tenant \"globex\" is being migrated")
    );
    assert_eq!(wire.extended(NAMES, &[]).await.tags(), "EZ");
    assert_eq!(refused(&stage, "app", "globex").await.code, "57P03");
    registry.set("globex", "active").await;
    assert_eq!(wire.simple(NAMES).await.column(), GLOBEX);

    // What is left of the login's time is less than the pool's patience.
    let setup = Setup::new().line("listen", "login_timeout = '2s'").line("pool", "wait_timeout = '60s'");
    let (stage, registry) = self::stage(setup).await;
    registry.set("globex", "migrating").await;
    assert_eq!(refused(&stage, "app", "globex").await.code, "57P03");
}

#[tokio::test(flavor = "multi_thread")]
async fn session_of_a_suspended_tenant_stays() {
    for strategy in STRATEGIES {
        let (stage, registry) = stage(Setup::new().strategy(strategy)).await;
        let (mut wire, mut neighbour) = (stage.wire("globex").await, stage.wire("acme_corp").await);
        let mut none = Wire::login(stage.port(), "app", "app", &[]).await.unwrap();
        assert_eq!(wire.parse("s", NAMES).sync().answer().await.tags(), "1Z");
        for _ in 0..2 {
            registry.set("globex", "suspended").await;
            let fault = comes_to(&mut wire, "57P03").await;
            assert_eq!((fault.tags().as_str(), fault.status()), ("EZ", Some('I')));
            let fault = fault.fault().unwrap();
            assert_eq!(
                (fault.severity.as_str(), fault.message.as_str()),
                ("ERROR", "tenant \"globex\" is suspended")
            );
            for text in
                ["", "SELECT 1", "BEGIN", "SELECT 1; SELECT 2", "CREATE TABLE t ()", "SET timezone TO 'UTC'"]
            {
                assert_eq!(wire.simple(text).await.tags(), "EZ", "{text}");
                assert_eq!(wire.extended(text, &[]).await.tags(), "EZ", "{text}");
            }
            // All of a pipeline is void, up to its Sync, and the next one is its own.
            wire.bind("s", &[]).execute().parse("", NAMES).bind("", &[]).execute().sync();
            wire.bind("s", &[]).execute().sync();
            let both = [wire.answer().await, wire.until(b'Z').await];
            assert_eq!(
                both.map(|answer| (answer.tags(), answer.code())),
                [("EZ".into(), "57P03".to_owned()), ("EZ".into(), "57P03".to_owned())]
            );
            // What concerns no tenant goes on, so that pools can clean it and drivers close statements.
            assert_eq!(wire.simple("DISCARD ALL").await.commands(), ["DISCARD ALL"]);
            assert_eq!(wire.parse("t", NAMES).sync().answer().await.code(), "57P03");
            assert_eq!(wire.close("t").sync().answer().await.tags(), "3Z");
            assert_eq!(wire.sync().answer().await.tags(), "Z");
            assert_eq!(neighbour.simple(NAMES).await.column(), ACME);
            assert_eq!(none.simple(NAMES).await.column(), ["Template"]);
            registry.set("globex", "active").await;
            eventually(true, async || wire.simple(NAMES).await.fault().is_none()).await;
            assert_eq!(
                wire.parse("s", NAMES).bind("s", &[]).execute().sync().answer().await.column(),
                GLOBEX
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn session_waits_while_its_tenant_is_migrated() {
    for strategy in STRATEGIES {
        let (stage, registry) = stage(Setup::new().strategy(strategy).servers(1)).await;
        let mut clients = Vec::new();
        for _ in 0..4 {
            let mut wire = stage.wire("globex").await;
            wire.parse("s", "SELECT * FROM users ORDER BY id").bind("s", &[]).execute().sync();
            assert_eq!(wire.answer().await.rows().len(), 2);
            clients.push(wire);
        }
        registry.set("globex", "migrating").await;
        eventually(1.0, async || stage.metric("pgstrata_tenants_notifications_total").await.min(1.0)).await;
        let mut waiting: Vec<_> =
            clients.drain(1..).map(|wire| ask(wire, "SELECT * FROM users ORDER BY id")).collect();
        let mut prepared = clients.remove(0);
        waiting.push(tokio::spawn(async move {
            prepared.bind("s", &[]).execute().sync();
            (prepared.answer().await, prepared)
        }));
        held(&stage, 4.0).await;
        // The only server is everybody else's.
        let mut neighbour = stage.wire("acme_corp").await;
        assert_eq!(neighbour.simple(NAMES).await.column(), ACME);
        neighbour.simple("BEGIN").await;
        assert_eq!(neighbour.simple(NAMES).await.column(), ACME);
        neighbour.simple("COMMIT").await;
        registry.run("ALTER TABLE globex.users ADD COLUMN phone text DEFAULT 'none'").await;
        registry.set("globex", "active").await;
        for asked in waiting {
            let (answer, _) = answer(asked).await;
            assert_eq!(answer.rows()[0].last().unwrap(), "none", "{answer:?}");
        }
        held(&stage, 0.0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_waits_can_leave_cancel_and_be_stopped() {
    let (mut stage, registry) = stage(Setup::new().servers(1)).await;
    let (gone, cancels, stopped) =
        (stage.wire("globex").await, stage.wire("globex").await, stage.wire("globex").await);
    let key = cancels.key.clone();
    registry.set("globex", "migrating").await;
    eventually(1.0, async || stage.metric("pgstrata_tenants_notifications_total").await).await;
    let gone = ask(gone, NAMES);
    held(&stage, 1.0).await;
    gone.abort();
    held(&stage, 0.0).await;

    let cancels = ask(cancels, NAMES);
    held(&stage, 1.0).await;
    let mut wire = Wire::connect(stage.port()).await;
    wire.packet(CANCEL_REQUEST, &key).await;
    let (cancelled, mut cancels) = answer(cancels).await;
    assert_eq!((cancelled.tags().as_str(), cancelled.code().as_str()), ("EZ", "57014"));
    // An old one means nothing to the next request.
    wire = Wire::connect(stage.port()).await;
    wire.packet(CANCEL_REQUEST, &key).await;
    assert!(wire.receive().await.is_none());
    registry.set("globex", "active").await;
    assert_eq!(cancels.simple(NAMES).await.column(), GLOBEX);

    registry.set("globex", "migrating").await;
    eventually(3.0, async || stage.metric("pgstrata_tenants_notifications_total").await).await;
    let stopped = ask(stopped, NAMES);
    let port = stage.port();
    let arriving =
        tokio::spawn(async move { Wire::login(port, "app", "app", &[("options", "-ctenant=globex")]).await });
    held(&stage, 2.0).await;
    stage.stop();
    let (answer, _) = answer(stopped).await;
    assert_eq!(
        answer.fault().map(|fault| (fault.severity, fault.code)),
        Some(("FATAL".into(), "57P01".into()))
    );
    let fault = self::answer(arriving).await.unwrap_err();
    assert_eq!((fault.severity.as_str(), fault.code.as_str()), ("FATAL", "57P01"));
}

#[tokio::test(flavor = "multi_thread")]
async fn open_transaction_goes_on_to_its_end() {
    for strategy in STRATEGIES {
        let setup = Setup::new().servers(3).strategy(strategy);
        let (stage, registry) = stage(setup.line("tenancy", "while_migrating = 'refuse'")).await;
        for (state, behind) in [
            ("migrating", "57P03"),
            ("provisioning", "57P03"),
            ("suspended", "57P03"),
            ("dropping", "57P01"),
            ("source", "57P01"),
        ] {
            registry.set("globex", "active").await;
            eventually(true, async || login(&stage, "app", "globex").await.is_ok()).await;
            let (mut wire, mut piped, mut idle) =
                (stage.wire("globex").await, stage.wire("globex").await, stage.wire("globex").await);
            wire.simple("BEGIN").await;
            assert_eq!(wire.simple(NAMES).await.column(), GLOBEX);
            // A pipeline that is not at its Sync yet.
            piped.parse("s", NAMES).bind("s", &[]).execute().message(b'H', b"").flush().await;
            assert_eq!(piped.until(b'C').await.column(), GLOBEX);
            registry.set("globex", state).await;
            comes_to(&mut idle, behind).await;
            assert_eq!(wire.simple(NAMES).await.column(), GLOBEX, "{state}");
            assert_eq!(wire.extended(NAMES, &[]).await.column(), GLOBEX, "{state}");
            assert_eq!(wire.simple("UPDATE users SET name = name").await.commands(), ["UPDATE 2"], "{state}");
            assert_eq!(wire.simple("COMMIT").await.commands(), ["COMMIT"], "{state}");
            assert_eq!(wire.simple(NAMES).await.code(), behind, "{state}");
            let rest = piped.bind("s", &[]).execute().sync().answer().await;
            assert_eq!((rest.column(), rest.status()), (GLOBEX.map(str::to_owned).to_vec(), Some('I')));
            assert_eq!(piped.extended(NAMES, &[]).await.code(), behind, "{state}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_behind_another_in_one_pipeline_is_looked_at() {
    let (stage, registry) = stage(Setup::new()).await;
    let (mut wire, mut idle) = (stage.wire("globex").await, stage.wire("globex").await);
    wire.simple("BEGIN").await;
    assert_eq!(wire.simple("INSERT INTO users (name, email) VALUES ('x', 'x')").await.code(), "");
    registry.set("globex", "suspended").await;
    comes_to(&mut idle, "57P03").await;
    wire.parse("", "COMMIT").bind("", &[]).execute();
    let both = wire.parse("", NAMES).bind("", &[]).execute().sync().answer().await;
    assert_eq!(
        (both.commands(), both.code().as_str(), both.status()),
        (vec!["COMMIT".into()], "57P03", Some('I'))
    );
    registry.set("globex", "active").await;
    comes_to(&mut idle, "").await;
    assert_eq!(wire.simple(NAMES).await.column(), ["Hank", "Mindy", "x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn set_tenant_obeys_the_others_state() {
    for strategy in STRATEGIES {
        let (stage, registry) = stage(Setup::new().strategy(strategy).servers(1)).await;
        let mut wire = stage.wire("acme_corp").await;
        let tagged = "/*tenant='globex'*/ SELECT name FROM users ORDER BY id";
        wire.parse("tied", tagged).sync().answer().await;
        assert_eq!(wire.bind("tied", &[]).execute().sync().answer().await.column(), GLOBEX);
        let unknown = wire.simple("SET tenant = 'nobody'").await.fault().unwrap();
        let asks = [
            "SET tenant = 'globex'",
            tagged,
            "SET tenant = 'globex'; SELECT 1",
            "SET LOCAL tenant = 'globex'; SELECT 1",
        ];
        for (state, code, message) in [
            ("suspended", "57P03", "tenant \"globex\" is suspended".to_owned()),
            ("source", "42501", unknown.message.replace("nobody", "globex")),
            ("dropping", "42501", unknown.message.replace("nobody", "globex")),
        ] {
            registry.set("globex", state).await;
            eventually(code.to_owned(), async || {
                wire.simple("RESET tenant").await;
                wire.simple(asks[0]).await.code()
            })
            .await;
            for text in asks {
                for answer in [wire.simple(text).await, wire.extended(text, &[]).await] {
                    // Several statements are nothing for the extended protocol.
                    if answer.code() != "42601" {
                        let fault = answer.fault().unwrap();
                        assert_eq!(
                            (fault.code.as_str(), &fault.message),
                            (code, &message),
                            "{state}: {text}"
                        );
                        assert_eq!(fault.severity, "ERROR");
                    }
                }
            }
            assert_eq!(wire.bind("tied", &[]).execute().sync().answer().await.code(), code, "{state}");
            wire.simple("BEGIN").await;
            let inside = wire.simple("SET LOCAL tenant = 'globex'").await;
            assert_eq!((inside.code().as_str(), inside.status()), (code, Some('E')), "{state}");
            wire.simple("ROLLBACK").await;
            assert_eq!(wire.simple("SHOW tenant").await.value(), "acme_corp");
            assert_eq!(wire.simple(NAMES).await.column(), ACME);
        }

        // Between transactions it waits; inside of one it would wait with a server, and is refused.
        registry.set("globex", "migrating").await;
        wire.simple("BEGIN").await;
        eventually("57P03".to_owned(), async || {
            wire.simple("ROLLBACK").await;
            wire.simple("BEGIN").await;
            wire.simple("SET LOCAL tenant = 'globex'").await.code()
        })
        .await;
        wire.simple("ROLLBACK").await;
        let waits = ask(wire, "SET tenant = 'globex'; SELECT name FROM users ORDER BY id");
        held(&stage, 1.0).await;
        assert_eq!(stage.wire("acme_corp").await.simple(NAMES).await.column(), ACME);
        registry.set("globex", "active").await;
        let (answer, mut wire) = answer(waits).await;
        assert_eq!(
            (answer.commands(), answer.column()),
            (vec!["SET".into(), "SELECT 2".into()], GLOBEX.map(str::to_owned).to_vec())
        );
        assert_eq!(wire.bind("tied", &[]).execute().sync().answer().await.column(), GLOBEX);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tenant_that_is_not_served_can_be_left() {
    for state in ["suspended", "migrating", "dropping"] {
        let (stage, registry) = stage(Setup::new().line("tenancy", "while_migrating = 'refuse'")).await;
        let (mut wire, mut idle) = (stage.wire("acme_corp").await, stage.wire("globex").await);
        wire.parse("reset", "RESET tenant").sync().answer().await;
        wire.simple("SET tenant = 'globex'").await;
        registry.set("globex", state).await;
        comes_to(&mut idle, if state == "dropping" { "57P01" } else { "57P03" }).await;
        assert_eq!(wire.simple("SHOW tenant").await.value(), "globex");
        let tagged = "/*tenant='acme_corp'*/ SELECT name FROM users ORDER BY id";
        assert_eq!(wire.simple(tagged).await.column(), ACME, "{state}");
        assert_eq!(wire.extended(tagged, &[]).await.column(), ACME, "{state}");
        assert_eq!(wire.simple("RESET tenant; SELECT name FROM users ORDER BY id").await.column(), ACME);
        // The other way round: its own tenant is the one that is not served.
        registry.set("globex", "active").await;
        eventually(String::new(), async || wire.simple("SET tenant = 'globex'").await.code()).await;
        registry.set("acme_corp", state).await;
        eventually(true, async || login(&stage, "app", "acme_corp").await.is_err()).await;
        assert_eq!(wire.simple(NAMES).await.column(), GLOBEX, "{state}");
        wire.simple("BEGIN").await;
        let inside = wire.simple("RESET tenant").await;
        assert_eq!(inside.code(), if state == "dropping" { "42501" } else { "57P03" }, "{state}");
        wire.simple("ROLLBACK").await;
        let both = wire.simple("RESET tenant; SELECT name FROM users").await;
        assert_eq!(both.code(), if state == "dropping" { "57P01" } else { "57P03" }, "{state}");
        if state != "dropping" {
            assert_eq!(wire.bind("reset", &[]).execute().sync().answer().await.commands(), ["RESET"]);
            assert_eq!(wire.simple("SET tenant = 'globex'").await.code(), "");
            assert_eq!(wire.simple(NAMES).await.column(), GLOBEX);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tied_client_waits_with_its_own_server() {
    let (stage, registry) = stage(Setup::new().line("pool", "wait_timeout = '20s'")).await;
    let mut wire = stage.wire("globex").await;
    assert_eq!(wire.simple("CREATE TEMP TABLE t AS SELECT * FROM users").await.code(), "");
    registry.set("globex", "migrating").await;
    eventually(1.0, async || stage.metric("pgstrata_tenants_notifications_total").await).await;
    let asked = ask(wire, "SELECT count(*) FROM t");
    held(&stage, 1.0).await;
    assert_eq!(stage.wire("acme_corp").await.simple(NAMES).await.column(), ACME);
    registry.set("globex", "active").await;
    let (answer, mut wire) = answer(asked).await;
    assert_eq!(answer.value(), "2");
    // Refused, it keeps what it has.
    registry.set("globex", "suspended").await;
    comes_to(&mut wire, "57P03").await;
    assert_eq!(wire.extended("SELECT count(*) FROM t", &[]).await.tags(), "EZ");
    registry.set("globex", "active").await;
    comes_to(&mut wire, "").await;
    assert_eq!(wire.extended("SELECT count(*) FROM t", &[]).await.value(), "2");
}
