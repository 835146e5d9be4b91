//! Every answer through the proxy is the one that PostgreSQL gives under the tenant's path.

use std::fmt::Write;

use pgstrata_tests::answer::{Answer, Fault, Message};
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::{Setup, Stage, Wire, corpus, database, roles};

/// PostgreSQL itself, and a proxy with each strategy in front of a PostgreSQL with the same bytes.
struct Ways {
    direct: Wire,
    proxied: [Wire; 2],
    _kept: Vec<Stage>,
}

async fn ways() -> Ways {
    let direct = Stage::on(database::cluster().await, Setup::new()).await;
    let options = roles::direct_options("acme_corp");
    let path = [("options", options.as_str())];
    let mut kept = Vec::new();
    for strategy in STRATEGIES {
        // `currval()` is asked behind the transaction that draws: there is one server, as in a session of its own.
        kept.push(Stage::new(Setup::new().strategy(strategy).servers(1)).await);
    }
    kept.push(direct);
    for stage in &kept {
        let server = stage.superuser().await;
        let role = roles::owner("acme_corp");
        server
            .batch_execute(&format!("SET ROLE {role}; SET search_path TO acme_corp, public"))
            .await
            .unwrap();
        server.batch_execute(corpus::OBJECTS).await.unwrap();
    }
    let direct = Wire::login(kept[2].cluster.port(), "app", "app", &path).await.unwrap();
    let proxied = [kept[0].wire("acme_corp").await, kept[1].wire("acme_corp").await];
    Ways { direct, proxied, _kept: kept }
}

/// What an answer says, with what differs by nature left out: ids of processes, sizes, notices' places in the code.
fn said(answer: &Answer) -> String {
    let mut out = String::new();
    for message in &answer.messages {
        match message.tag {
            b'E' | b'N' => writeln!(out, "{} {:?}", char::from(message.tag), fields(message)).unwrap(),
            b'S' => {}
            tag => writeln!(out, "{} {:?}", char::from(tag), message.body).unwrap(),
        }
    }
    out
}

fn fields(message: &Message) -> Vec<String> {
    let fields = message.body.split(|byte| *byte == 0).filter(|field| !field.is_empty());
    let mut fields: Vec<_> = fields.map(|field| String::from_utf8_lossy(field).into_owned()).collect();
    // PostgreSQL says these from another line of its own source: something stands behind what the client sent, or a
    // schema in front of the name.
    let moved = ["Msyntax error at end of input", "RRangeVarGetRelidExtended"];
    if fields.iter().any(|field| moved.contains(&field.as_str())) {
        fields.retain(|field| !field.starts_with('L'));
    }
    fields
}

fn is_guards(fault: &Option<Fault>) -> bool {
    fault.as_ref().is_some_and(|fault| fault.message.starts_with("permission denied: tenant"))
}

/// Text that the guard refuses can't be compared; there must not be much of it.
const MAX_REFUSED: usize = 40;

async fn compare(run: impl AsyncFn(&mut Wire, &str) -> Answer) {
    let mut ways = ways().await;
    let (mut refused, mut different) = (Vec::new(), String::new());
    for text in corpus::statements() {
        let mut proxied = Vec::new();
        for wire in &mut ways.proxied {
            proxied.push(run(wire, &text).await);
        }
        let guarded: Vec<bool> = proxied.iter().map(|answer| is_guards(&answer.fault())).collect();
        assert_eq!(guarded[0], guarded[1], "refused under one strategy: {text}");
        if guarded[0] {
            refused.push(text);
            continue;
        }
        let expected = said(&run(&mut ways.direct, &text).await);
        for (answer, strategy) in proxied.iter().zip(STRATEGIES) {
            let found = said(answer);
            if found != expected {
                write!(different, "\n{strategy}: {text}\n--- PostgreSQL\n{expected}--- the proxy\n{found}")
                    .unwrap();
            }
        }
    }
    println!("refused: {refused:#?}");
    assert!(different.is_empty(), "{different}");
    assert!(refused.len() <= MAX_REFUSED, "{} of them are refused", refused.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn simple_protocol_gives_the_same_answers() {
    compare(async |wire: &mut Wire, text: &str| wire.simple(text).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn extended_protocol_gives_the_same_answers() {
    compare(async |wire: &mut Wire, text: &str| {
        wire.parse("", text).describe("").bind("", &[]).execute().sync().answer().await
    })
    .await;
}
