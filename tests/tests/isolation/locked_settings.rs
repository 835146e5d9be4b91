//! Parameters that clients may not set keep the values that role and database give them.

use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::{Setup, Stage, Wire};

fn setup() -> Setup {
    Setup::new().line("tenancy", "locked_settings = ['Statement_Timeout', 'app.plan', 'work_mem']")
}

#[tokio::test]
async fn locked_setting_keeps_its_value_whatever_a_client_sends() {
    for strategy in STRATEGIES {
        let stage = Stage::new(setup().strategy(strategy)).await;
        let server = stage.superuser().await;
        server.batch_execute("ALTER ROLE app SET statement_timeout = '50s'").await.unwrap();
        let mut wire = stage.wire("acme_corp").await;
        for text in [
            "SET statement_timeout = 0",
            "SET LOCAL statement_timeout = 0",
            "SELECT 1; SET SESSION statement_timeout TO '1h'",
            "SELECT set_config('statement_timeout', '0', false)",
            "SET app.plan = 'gold'",
            "SET sort_mem = '1GB'",
        ] {
            let fault = wire.simple(text).await.fault().unwrap_or_else(|| panic!("let through: {text}"));
            assert_eq!(fault.code, "42501", "{text}");
            assert!(fault.message.starts_with("permission denied to set parameter"), "{}", fault.message);
        }
        let bound = wire.extended("SELECT set_config('statement_timeout', $1, false)", &["0"]).await;
        assert_eq!(bound.code(), "42501");
        assert_eq!(wire.simple("RESET statement_timeout; SET lock_timeout = '1s'").await.faults().len(), 0);
        assert_eq!(wire.simple("SHOW lock_timeout").await.value(), "1s");
        // The servers of before the role's change may still be there.
        let shown = wire.simple("SHOW statement_timeout").await.value();
        assert!(["0", "50s"].contains(&&*shown), "{shown}");
    }
}

#[tokio::test]
async fn locked_setting_is_refused_at_the_start() {
    let stage = Stage::new(setup()).await;
    for (name, value) in
        [("statement_timeout", "0"), ("options", "-c statement_timeout=0"), ("work_mem", "1GB")]
    {
        let options = format!("-ctenant=acme_corp {}", if name == "options" { value } else { "" });
        let mut parameters = vec![("options", &*options)];
        if name != "options" {
            parameters.push((name, value));
        }
        let fault = Wire::login(stage.port(), "app", "app", &parameters).await.expect_err(name);
        assert_eq!(fault.code, "42501", "{name}: {}", fault.message);
    }
    let allowed = [("options", "-ctenant=acme_corp -c lock_timeout=1s")];
    let mut wire = Wire::login(stage.port(), "app", "app", &allowed).await.expect("it may be set");
    assert_eq!(wire.simple("SHOW lock_timeout").await.value(), "1s");
}
