//! PostgreSQL resolves the names of a prepared statement when it analyses it, and runs what it has found until an object
//! of that changes: no analysis finds a shared table.

use pgstrata_tests::compare::{about_portal, bind_portal};
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::shared_tables::{PROTOCOLS, know, open, run, shared};
use pgstrata_tests::{Setup, Stage, Wire};

/// What makes the target of a write uncertain, so that a check in PostgreSQL decides.
const UNCERTAIN: [&str; 2] = [
    "CREATE TEMP TABLE scratch (a int)",
    "SET search_path TO acme_corp, public; CREATE TEMP TABLE x (a int)",
];

const WRITES: [&str; 2] = [
    "INSERT INTO users (name, email) VALUES ('Eve', 'eve') RETURNING name",
    "UPDATE users SET name = 'Eve' RETURNING name",
];

/// How the statement `s` is analysed while its name means the shared table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Analysis {
    /// By its `Parse`.
    Parse,
    /// By its `Parse` for an `EXECUTE` in a text, on a server that does not have it.
    ParseForExecute,
    /// By a `Describe` of a statement of SQL `PREPARE`.
    Describe,
    /// By a `Describe` of an `EXECUTE`.
    DescribeExecute,
    /// By a `Describe` of a portal with an `EXECUTE`.
    DescribePortal,
    /// By a `Bind` that nothing executes.
    Bind,
    /// By an `EXPLAIN` of its `EXECUTE`.
    Explain,
}

const ANALYSES: [Analysis; 7] = [
    Analysis::Parse,
    Analysis::ParseForExecute,
    Analysis::Describe,
    Analysis::DescribeExecute,
    Analysis::DescribePortal,
    Analysis::Bind,
    Analysis::Explain,
];

impl Analysis {
    /// In front of the transaction.
    async fn prepare(self, wire: &mut Wire, write: &str) {
        let answer = match self {
            Self::Parse | Self::ParseForExecute => return,
            _ => wire.simple(&format!("PREPARE s AS {write}")).await,
        };
        assert_eq!(answer.code(), "", "{self:?}: {answer:?}");
        wire.parse("e", "EXECUTE s").sync().answer().await;
    }

    async fn analyse(self, wire: &mut Wire, write: &str) {
        match self {
            Self::Parse => wire.parse("s", write).sync(),
            Self::ParseForExecute => wire.parse("s", write).sync().query("EXECUTE s"),
            Self::Describe => wire.describe("s").sync(),
            Self::DescribeExecute => wire.describe("e").sync(),
            Self::DescribePortal => {
                bind_portal(wire, "", "e");
                about_portal(wire, b'D', "");
                wire.sync()
            }
            Self::Bind => wire.bind("s", &[]).sync(),
            Self::Explain => wire.query("EXPLAIN EXECUTE s"),
        };
        wire.answer().await;
        if self == Self::ParseForExecute {
            wire.answer().await;
        }
    }
}

async fn attack(stage: &Stage, uncertain: &str, write: &str, analysis: Analysis) {
    let before = shared(stage).await;
    for by_name in [false, true] {
        for protocol in PROTOCOLS {
            let mut wire = stage.wire("acme_corp").await;
            wire.simple(uncertain).await;
            know(&mut wire).await;
            analysis.prepare(&mut wire, write).await;
            assert_eq!(wire.simple("BEGIN; SAVEPOINT a").await.code(), "");
            assert_eq!(wire.simple("ALTER TABLE acme_corp.users RENAME TO hidden").await.code(), "");
            analysis.analyse(&mut wire, write).await;
            assert_eq!(wire.simple("ROLLBACK TO a").await.code(), "");
            let ran = match by_name {
                true => run(&mut wire, protocol, "EXECUTE s").await,
                false => wire.bind("s", &[]).execute().sync().answer().await,
            };
            wire.simple("COMMIT").await;
            let after = shared(stage).await;
            assert_eq!(after, before, "{uncertain}: {write}, {analysis:?}, by name: {by_name}: {ran:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_analysis_finds_a_shared_table() {
    for strategy in STRATEGIES {
        let stage = open(Setup::new().strategy(strategy)).await;
        for uncertain in UNCERTAIN {
            for write in WRITES {
                for analysis in ANALYSES {
                    attack(&stage, uncertain, write, analysis).await;
                }
            }
        }
    }
}

/// A `PREPARE` that fails, as there is a statement of its name, leaves that and its checks.
#[tokio::test(flavor = "multi_thread")]
async fn failed_prepare_takes_no_check_away() {
    for strategy in STRATEGIES {
        let stage = open(Setup::new().strategy(strategy)).await;
        let before = shared(&stage).await;
        for protocol in PROTOCOLS {
            for again in PROTOCOLS {
                let mut wire = stage.wire("acme_corp").await;
                wire.simple("CREATE TABLE plans (id int, name text, price_cents int)").await;
                assert_eq!(wire.simple("PREPARE s AS DELETE FROM plans").await.code(), "");
                let failed = run(&mut wire, again, "PREPARE s AS SELECT 1").await;
                assert_eq!(failed.code(), "42P05", "{failed:?}");
                assert_eq!(run(&mut wire, protocol, "EXECUTE s").await.commands(), ["DELETE 0"]);
                assert_eq!(wire.simple("DROP TABLE plans").await.code(), "");
                let ran = run(&mut wire, protocol, "EXECUTE s").await;
                assert!(matches!(&*ran.code(), "42501" | "42P01"), "{ran:?}");
                assert_eq!(shared(&stage).await, before);
            }
        }
    }
}
