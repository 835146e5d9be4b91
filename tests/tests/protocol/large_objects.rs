//! Large objects, which are the database's: for users who may use them, by SQL and by `FunctionCall`.

use pgstrata_tenancy::Tier;
use pgstrata_tests::program::{java, python, run};
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::{ACME, Setup, Stage, Wire};

const NAMES: &str = "SELECT name FROM users ORDER BY id";

/// `lo_creat(integer)` and others, by their numbers in `pg_proc`.
const LO_CREAT: u32 = 957;
const LO_OPEN: u32 = 952;
const LOWRITE: u32 = 955;
const LO_IMPORT: u32 = 764;
const VERSION: u32 = 89;

async fn stages() -> Vec<Stage> {
    let mut stages = Vec::new();
    for strategy in STRATEGIES {
        for tier in [Tier::Names, Tier::Role] {
            let setup = Setup::new().strategy(strategy).tier(tier).servers(2);
            let user = |name: &str, more: &str| {
                format!("name = '{name}'\npassword = '{name}'\ntenants = ['*']\n{more}")
            };
            let setup = setup
                .user(user("files", "large_objects = true"))
                .user(user("reader", "large_objects = true\nstatements = 'read'"));
            stages.push(Stage::new(setup).await);
        }
    }
    stages
}

async fn wire(stage: &Stage, user: &str) -> Wire {
    Wire::login(stage.port(), user, user, &[("options", "-ctenant=acme_corp")]).await.unwrap()
}

fn url(stage: &Stage, user: &str) -> String {
    stage.url(Some("acme_corp")).replacen("app:app@", &format!("{user}:{user}@"), 1)
}

/// A `FunctionCall` with arguments and a result in binary.
fn call(function: u32, arguments: &[&[u8]]) -> Vec<u8> {
    let mut body = function.to_be_bytes().to_vec();
    body.extend([0, 1, 0, 1]);
    body.extend(u16::try_from(arguments.len()).unwrap().to_be_bytes());
    for argument in arguments {
        body.extend(u32::try_from(argument.len()).unwrap().to_be_bytes());
        body.extend_from_slice(argument);
    }
    body.extend([0, 1]);
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn drivers_use_them_where_the_user_may() {
    for stage in stages().await {
        let mut program = python("large_objects.py");
        program.arg(url(&stage, "files")).arg(stage.url(Some("acme_corp")));
        run(program).await;
        let mut program = java("JdbcLargeObjects.java");
        let address = url(&stage, "files");
        let (login, rest) = address.strip_prefix("postgresql://").unwrap().split_once('@').unwrap();
        let (user, password) = login.split_once(':').unwrap();
        program.arg(format!("jdbc:postgresql://{rest}&user={user}&password={password}"));
        run(program).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn others_may_not() {
    for stage in stages().await {
        for user in ["app", "reader"] {
            let mut wire = wire(&stage, user).await;
            for text in [
                "SELECT lo_creat(-1)",
                "SELECT pg_catalog.lo_get(1)",
                "SELECT lo_import('/etc/passwd')",
                "SELECT lowrite(0, 'x')",
            ] {
                assert_eq!(wire.simple(text).await.code(), "42501", "{user} {text}");
            }
            for block in [false, true] {
                wire.simple(if block { "BEGIN" } else { "SELECT 1" }).await;
                let answer = wire.message(b'F', &call(LO_CREAT, &[&(-1i32).to_be_bytes()])).answer().await;
                assert_eq!(answer.code(), "42501", "{user}");
                assert_eq!(answer.status(), Some(if block { 'E' } else { 'I' }));
                wire.simple("ROLLBACK").await;
            }
            assert_eq!(wire.simple(NAMES).await.column(), ACME);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_functions_of_large_objects_are_called_by_their_number() {
    for stage in stages().await {
        let mut wire = wire(&stage, "files").await;
        let create = call(LO_CREAT, &[&(-1i32).to_be_bytes()]);
        // Out of a block nobody could use what is opened.
        assert_eq!(wire.message(b'F', &create).answer().await.code(), "25P01");
        for function in [VERSION, LO_IMPORT] {
            wire.simple("BEGIN").await;
            assert_eq!(wire.message(b'F', &call(function, &[])).answer().await.code(), "0A000");
            wire.simple("ROLLBACK").await;
        }
        assert_eq!(wire.message(b'F', &[0, 0]).answer().await.code(), "08P01");
        assert_eq!(wire.simple("SELECT lo_import('/etc/passwd')").await.code(), "42501");
        assert_eq!(wire.simple("SELECT * FROM pg_largeobject").await.code(), "42501");
        // Behind an error PostgreSQL calls nothing.
        wire.simple("BEGIN").await;
        wire.simple("SELECT 1/0").await;
        assert_eq!(wire.message(b'F', &create).answer().await.code(), "25P02");
        wire.simple("ROLLBACK").await;
        // Between other messages of one transaction.
        wire.simple("BEGIN").await;
        let answer = wire.message(b'F', &create).answer().await;
        assert_eq!((answer.tags().as_str(), answer.status()), ("VZ", Some('T')));
        let made = answer.messages.first().unwrap().body.get(4..).unwrap().to_vec();
        let open = call(LO_OPEN, &[&made, &0x20000i32.to_be_bytes()]);
        assert_eq!(wire.message(b'F', &open).answer().await.tags(), "VZ");
        assert_eq!(wire.extended("SELECT name FROM users WHERE id = $1", &["1"]).await.value(), "Alice");
        let write = call(LOWRITE, &[&0i32.to_be_bytes(), b"text"]);
        assert_eq!(wire.message(b'F', &write).answer().await.tags(), "VZ");
        assert_eq!(wire.simple("COMMIT").await.code(), "");
        let oid = u32::from_be_bytes(made.try_into().unwrap());
        let read = format!("SELECT convert_from(lo_get({oid}), 'UTF8')");
        assert_eq!(wire.simple(&read).await.value(), "text");
        assert_eq!(wire.extended(&read, &[]).await.value(), "text");
    }
}
