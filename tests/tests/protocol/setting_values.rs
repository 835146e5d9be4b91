//! Values that no setting can have, and settings that there are not: each is refused as by PostgreSQL, whoever says so.

use pgstrata_tests::answer::Fault;
use pgstrata_tests::compare::direct;
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::stage::tenant_option;
use pgstrata_tests::{Setup, Stage, Wire, roles};

/// A proxy with each strategy, each in front of a PostgreSQL of its own.
async fn stages() -> Vec<Stage> {
    let mut stages = Vec::new();
    for strategy in STRATEGIES {
        stages.push(Stage::new(Setup::new().strategy(strategy).servers(1)).await);
    }
    stages
}

const BAD: &[&str] = &[
    "SET client_encoding = 'no such'",
    "SET client_encoding = no_such",
    "SET client_encoding TO ''",
    "SET client_encoding = 5",
    "SET client_encoding = 'a', 'b'",
    "SET NAMES 'no such'",
    "SET standard_conforming_strings = 'maybe'",
    "SET standard_conforming_strings = 2",
    "SET standard_conforming_strings = 'a', 'b'",
    "SET SESSION standard_conforming_strings = o",
    "SET datestyle = 'bad'",
    "SET datestyle = iso, bad",
    "SET timezone = 'No/Where'",
    "SET TIME ZONE 'nowhere'",
    "SET TIME ZONE INTERVAL '1' MONTH",
    "SET TIME ZONE -999",
    "SET intervalstyle = 'bad'",
    "SET extra_float_digits = 99",
    "SET extra_float_digits = 'x'",
    "SET statement_timeout = 'abc'",
    "SET statement_timeout = -1",
    "SET statement_timeout = '1 parsec'",
    "SET lock_timeout = 99999999999",
    "SET idle_in_transaction_session_timeout = '5 years'",
    "SET work_mem = '1'",
    "SET work_mem = '1XB'",
    "SET bytea_output = 'bad'",
    "SET client_min_messages = 'loud'",
    "SET default_transaction_isolation = 'none'",
    "SET transaction_isolation = 'bad'",
    "SET TRANSACTION ISOLATION LEVEL bad",
    "SET SESSION CHARACTERISTICS AS TRANSACTION bad",
    "SET xmloption = 'x'",
    "SET XML OPTION bad",
    "SET no_such_setting = 1",
    "SET \"bad name\" = 1",
    "SET a.b = 1, 2",
    "SET server_version = '1'",
    "SET server_encoding = 'UTF8'",
    "SET max_connections = 5",
    "SET shared_buffers = 5",
    "SET log_statement = 'all'",
    "SET session_replication_role = replica",
    "SET ssl = on",
    "SET seed = 5",
    "SET seed = 'x'",
    "SET application_name = a, b",
    "SET search_path = f(x)",
    "SET LOCAL search_path =",
    "SET default_tablespace = 'no_such'",
    "SET default_tablespace = a, b",
    "SET temp_tablespaces = 'no_such'",
    "SET default_table_access_method = 'no_such'",
    "SET default_text_search_config = 'no_such'",
    "SET lc_messages = 'xx_XX'",
    "SET lc_monetary = 'xx_XX'",
    "SET row_security = 'x'",
    "SET jit = 7",
    "SET random_page_cost = 'x'",
    "SET random_page_cost = -2",
    "SET exit_on_error = maybe",
    "SET tcp_keepalives_idle = -1",
    "SET SESSION AUTHORIZATION 5",
    "SET ROLE 5",
    "SET ROLE none, x",
    "SET TRANSACTION SNAPSHOT 'x'",
    "SET CONSTRAINTS no_such DEFERRED",
    "SHOW no_such",
    "SHOW no.such",
    "SHOW \"bad name\"",
    "SHOW tenantx",
    "RESET no_such",
    "RESET no.such",
    "RESET server_version",
    "RESET max_connections",
    "SELECT set_config('client_encoding', 'no such', false)",
    "SELECT set_config('standard_conforming_strings', 'maybe', false)",
    "SELECT set_config('no_such', 'x', false)",
    "SELECT set_config('statement_timeout', 'x', false)",
    "SELECT set_config('server_version', 'x', true)",
    "SELECT current_setting('no_such')",
];

/// What a text fails with, in each protocol, and in a transaction.
async fn faults(wire: &mut Wire, text: &str) -> [Option<Fault>; 3] {
    let (simple, extended) = (wire.simple(text).await, wire.extended(text, &[]).await);
    wire.simple("BEGIN").await;
    let in_block = wire.extended(text, &[]).await;
    wire.simple("ROLLBACK").await;
    [simple.fault(), extended.fault(), in_block.fault()]
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_values_are_refused_as_by_postgresql() {
    let stages = stages().await;
    for text in BAD {
        let expected = faults(&mut direct(&stages[0]).await, text).await;
        for (stage, strategy) in stages.iter().zip(STRATEGIES) {
            let mut wire = stage.wire("acme_corp").await;
            assert_eq!(faults(&mut wire, text).await, expected, "{strategy}: {text}");
            assert_eq!(wire.simple("SELECT 1").await.value(), "1", "{strategy}: {text}");
        }
    }
}

/// What PostgreSQL takes and reads as the standard has it is taken here, too.
#[tokio::test(flavor = "multi_thread")]
async fn each_spelling_of_on_is_taken_and_none_of_off() {
    for stage in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        for on in ["on", "'on'", "tru", "'YES'", "1", "y", "DEFAULT"] {
            let answer = wire.simple(&format!("SET standard_conforming_strings TO {on}")).await;
            assert_eq!(answer.code(), "", "{on}");
        }
        for off in ["off", "'of'", "'F'", "no", "0", "E'off'", "$$off$$", "U&'off'"] {
            for text in [
                format!("SET standard_conforming_strings TO {off}"),
                format!("SET LOCAL standard_conforming_strings = {off}"),
                format!("SELECT 1; SET standard_conforming_strings = {off}"),
            ] {
                assert_ne!(wire.simple(&text).await.code(), "", "{text}");
                assert_eq!(wire.simple(r"SELECT 'a\'").await.value(), r"a\", "{text}");
            }
        }
        for encoding in ["SJIS", "'shift-jis'", "big5", "'GB18030'", "uhc"] {
            for text in [format!("SET client_encoding TO {encoding}"), format!("SET NAMES {encoding}")] {
                let text = if text.contains("NAMES") && !text.contains('\'') { continue } else { text };
                let fault = wire.simple(&text).await.fault().expect(&text);
                assert_eq!(fault.code, "22023", "{text}: {fault:?}");
                assert!(fault.message.contains("not supported"), "{text}: {fault:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_values_of_the_startup_packet_are_refused_as_by_postgresql() {
    let stages = stages().await;
    let bad = [
        ("client_encoding", "no such"),
        ("client_encoding", ""),
        ("standard_conforming_strings", "maybe"),
        ("standard_conforming_strings", "'on'"),
        ("datestyle", "bad"),
        ("datestyle", "iso, bad"),
        ("timezone", "No/Where"),
        ("intervalstyle", "bad"),
        ("extra_float_digits", "99"),
        ("statement_timeout", "abc"),
        ("statement_timeout", "-1"),
        ("statement_timeout", "1 parsec"),
        ("work_mem", "1"),
        ("no_such_setting", "1"),
        ("bad name", "1"),
        ("server_version", "1"),
        ("max_connections", "5"),
        ("log_statement", "all"),
        ("session_replication_role", "replica"),
        ("default_transaction_isolation", "none"),
        ("default_text_search_config", "no_such"),
        ("default_table_access_method", "no_such"),
        ("lc_messages", "xx_XX"),
        ("row_security", "x"),
        ("bytea_output", "bad"),
        ("client_min_messages", "loud"),
    ];
    let login = async |port: u16, options: &str, bad: (&str, &str)| {
        Wire::login(port, "app", "app", &[("options", options), bad]).await.err()
    };
    for (name, value) in bad {
        let path = roles::direct_options("acme_corp");
        let expected = login(stages[0].cluster.port(), &path, (name, value)).await;
        for (stage, strategy) in stages.iter().zip(STRATEGIES) {
            let refused = login(stage.port(), &tenant_option("acme_corp"), (name, value)).await;
            assert_eq!(refused, expected, "{strategy}: {name} = {value}");
            let options = format!("{} -c{name}={}", tenant_option("acme_corp"), value.replace(' ', "\\ "));
            if !name.contains(' ') {
                let refused = login(stage.port(), &options, ("application_name", "x")).await;
                assert_eq!(refused, expected, "{strategy}: options of {name} = {value}");
            }
        }
    }
}
