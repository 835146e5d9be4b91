//! One request is one round trip to PostgreSQL, whatever the strategy and the tier.

use pgstrata_tenancy::{Strategy, Tier};
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::{Setup, Stage, Wire};

const READ: &str = "SELECT name FROM users WHERE id = 1";
const ROUNDS: u64 = 20;

const TIERS: [Tier; 3] = [Tier::Names, Tier::Role, Tier::Login];

fn ways() -> impl Iterator<Item = (Tier, Strategy)> {
    TIERS.into_iter().flat_map(|tier| STRATEGIES.map(|strategy| (tier, strategy)))
}

async fn stage((tier, strategy): (Tier, Strategy)) -> Stage {
    Stage::new(Setup::new().tier(tier).strategy(strategy).servers(1).relay()).await
}

/// How many round trips `work` takes once everything is warm.
async fn cost(stage: &Stage, wire: &mut Wire, work: impl AsyncFn(&mut Wire)) -> u64 {
    for _ in 0..3 {
        work(wire).await;
    }
    stage.relay().settle().await;
    let before = stage.relay().round_trips();
    for _ in 0..ROUNDS {
        work(wire).await;
    }
    stage.relay().settle().await;
    stage.relay().round_trips() - before
}

#[tokio::test(flavor = "multi_thread")]
async fn simple_read_takes_one() {
    for way in ways() {
        let stage = stage(way).await;
        let mut wire = stage.wire("acme_corp").await;
        let work = async |wire: &mut Wire| assert_eq!(wire.simple(READ).await.value(), "Alice");
        assert_eq!(cost(&stage, &mut wire, work).await, ROUNDS, "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unnamed_extended_read_takes_one() {
    for way in ways() {
        let stage = stage(way).await;
        let mut wire = stage.wire("acme_corp").await;
        let work = async |wire: &mut Wire| {
            let answer = wire.extended("SELECT name FROM users WHERE id = $1", &["2"]).await;
            assert_eq!(answer.value(), "Bob");
        };
        assert_eq!(cost(&stage, &mut wire, work).await, ROUNDS, "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prepared_read_takes_one() {
    for way in ways() {
        let stage = stage(way).await;
        let mut wire = stage.wire("acme_corp").await;
        wire.parse("one", "SELECT name FROM users WHERE id = $1").sync().answer().await;
        let work = async |wire: &mut Wire| {
            let answer = wire.bind("one", &["3"]).execute().sync().answer().await;
            assert_eq!(answer.value(), "Carol");
        };
        assert_eq!(cost(&stage, &mut wire, work).await, ROUNDS, "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn write_takes_one() {
    for way in ways() {
        let stage = stage(way).await;
        let mut wire = stage.wire("acme_corp").await;
        let work = async |wire: &mut Wire| {
            let answer = wire.simple("UPDATE users SET name = name WHERE id = 1").await;
            assert_eq!(answer.commands(), ["UPDATE 1"]);
        };
        assert_eq!(cost(&stage, &mut wire, work).await, ROUNDS, "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_takes_one_for_each_statement() {
    for way in ways() {
        let stage = stage(way).await;
        let mut wire = stage.wire("acme_corp").await;
        let work = async |wire: &mut Wire| {
            assert_eq!(wire.simple("BEGIN").await.status(), Some('T'));
            assert_eq!(wire.simple(READ).await.value(), "Alice");
            assert_eq!(wire.simple(READ).await.value(), "Alice");
            assert_eq!(wire.simple("COMMIT").await.commands(), ["COMMIT"]);
        };
        assert_eq!(cost(&stage, &mut wire, work).await, 4 * ROUNDS, "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tenants_in_turn_on_one_server_take_one_each() {
    for way in ways() {
        let stage = stage(way).await;
        let mut acme = stage.wire("acme_corp").await;
        let other = tokio::sync::Mutex::new(stage.wire("globex").await);
        let work = async |acme: &mut Wire| {
            assert_eq!(acme.simple(READ).await.value(), "Alice");
            assert_eq!(other.lock().await.simple(READ).await.value(), "Hank");
        };
        assert_eq!(cost(&stage, &mut acme, work).await, 2 * ROUNDS, "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pipeline_takes_one() {
    for way in ways() {
        let stage = stage(way).await;
        let mut wire = stage.wire("acme_corp").await;
        let work = async |wire: &mut Wire| {
            for _ in 0..5 {
                wire.parse("", READ).bind("", &[]).execute();
            }
            assert_eq!(wire.sync().answer().await.column(), ["Alice"; 5]);
        };
        assert_eq!(cost(&stage, &mut wire, work).await, ROUNDS, "{way:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_by_itself_takes_one_more_where_a_role_must_be_in_force_first() {
    for way in ways() {
        let stage = stage(way).await;
        let mut wire = stage.wire("acme_corp").await;
        let work = async |wire: &mut Wire| {
            assert_eq!(wire.simple("VACUUM users").await.commands(), ["VACUUM"]);
            assert_eq!(wire.extended("VACUUM users", &[]).await.commands(), ["VACUUM"]);
        };
        let each = if way.0 == Tier::Role { 4 } else { 2 };
        assert_eq!(cost(&stage, &mut wire, work).await, each * ROUNDS, "{way:?}");
    }
}

/// Two clients of nobody's in turn on one server: its session is wiped between them where code may have run that
/// nobody has seen, and nowhere else.
#[tokio::test(flavor = "multi_thread")]
async fn server_is_wiped_between_clients_with_no_tenant_only_where_it_must_be() {
    let code = "CREATE FUNCTION public.touch() RETURNS int LANGUAGE sql AS 'SELECT 1'";
    for strategy in STRATEGIES {
        let stage = stage((Tier::Names, strategy)).await;
        stage.superuser().await.batch_execute(code).await.unwrap();
        let mut clients = Vec::new();
        for _ in 0..2 {
            clients.push(Wire::login(stage.port(), "app", "app", &[]).await.unwrap());
        }
        let mut sent = async |text: &str| {
            // Until what public holds is known, anything may have run.
            let in_turn = async |clients: &mut [Wire]| {
                for client in clients {
                    assert_eq!(client.simple(text).await.status(), Some('I'), "{text}");
                }
            };
            for _ in 0..3 {
                in_turn(&mut clients).await;
                stage.relay().settle().await;
            }
            let before = stage.relay().sent();
            in_turn(&mut clients).await;
            stage.relay().settle().await;
            stage.relay().sent() - before
        };
        let message = |text: &str| 2 * (text.len() as u64 + 6);
        let read = match strategy {
            Strategy::SearchPath => READ.to_owned(),
            Strategy::SchemaQualified => READ.replace("users", "\"public\".users"),
        };
        assert_eq!(sent(READ).await, message(&read), "{strategy}");
        let call = "SELECT public.touch()";
        assert!(sent(call).await > message(call) + 100, "{strategy}");
    }
}
