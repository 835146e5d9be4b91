//! The tier `role`: nothing of a tenant's runs without its role in force, and nothing takes it off.

use pgstrata_tenancy::Tier;
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::{Answer, Setup, Stage, Wire, roles};

const USER: &str = "SELECT current_user";
const READ: &str = "SELECT name FROM users WHERE id = 1";

async fn each(setup: impl Fn() -> Setup, test: impl AsyncFn(&Stage)) {
    for strategy in STRATEGIES {
        eprintln!("strategy {strategy}");
        test(&Stage::new(setup().tier(Tier::Role).strategy(strategy).servers(1)).await).await;
    }
}

/// All ways to run something, with what each is told.
async fn tries(wire: &mut Wire) -> Vec<(&'static str, Answer)> {
    let mut told = Vec::new();
    for text in [
        "INSERT INTO marks VALUES ('simple')",
        "SELECT 1; INSERT INTO marks VALUES ('second')",
        "BEGIN; INSERT INTO marks VALUES ('block'); COMMIT",
        "COMMIT; INSERT INTO marks VALUES ('behind an end')",
        "CALL mark('procedure')",
        "DO $$ BEGIN INSERT INTO marks VALUES ('block'); COMMIT; END $$",
        "VACUUM marks",
        "SELECT 1",
        "SET work_mem = '5MB'",
        "SHOW work_mem",
        "COPY marks TO STDOUT",
        "PREPARE p AS INSERT INTO marks VALUES ('prepared')",
        "ROLLBACK PREPARED 'none'",
        "LOCK TABLE marks",
    ] {
        told.push((text, wire.simple(text).await));
        // A pipeline takes one statement at a time.
        if !text.contains("; INSERT") && !text.starts_with("BEGIN") {
            told.push((text, wire.extended(text, &[]).await));
        }
    }
    wire.parse("named", "INSERT INTO marks VALUES ('named')").sync();
    told.push(("Parse", wire.answer().await));
    wire.parse("", "BEGIN").bind("", &[]).execute();
    wire.parse("", "INSERT INTO marks VALUES ('in a pipeline')").bind("", &[]).execute();
    wire.parse("", "COMMIT").bind("", &[]).execute().sync();
    told.push(("a pipeline", wire.answer().await));
    wire.simple("ROLLBACK").await;
    wire.simple("BEGIN").await;
    told.push(("in a transaction", wire.simple("INSERT INTO marks VALUES ('in a transaction')").await));
    wire.simple("COMMIT").await;
    told
}

/// A tenant whose table the servers' role could write to: were the role not in force, it would.
const INITECH: &str = "
CREATE SCHEMA initech AUTHORIZATION app; SET ROLE app; SET search_path TO initech;
CREATE TABLE marks (v text);
CREATE PROCEDURE mark(v text) LANGUAGE plpgsql AS $$ BEGIN INSERT INTO marks VALUES (v); COMMIT; END $$;
RESET ROLE; RESET search_path;";

#[tokio::test(flavor = "multi_thread")]
async fn without_its_role_nothing_runs() {
    let user = "name = 'loose'\npassword = 'loose'\ntenants = ['*']\ndynamic_sql = 'allow'";
    each(
        || Setup::new().user(user),
        async |stage| {
            let server = stage.superuser().await;
            server.batch_execute(INITECH).await.unwrap();
            let marks = "SELECT count(*) FROM initech.marks";
            let options = [("options", "-ctenant=initech")];
            let mut wire = Wire::login(stage.port(), "loose", "loose", &options).await.unwrap();
            for (missing, code, words) in [
                ("", "22023", "role \"tenant_initech\" does not exist"),
                ("CREATE ROLE tenant_initech", "42501", "permission denied to set role \"tenant_initech\""),
            ] {
                server.batch_execute(missing).await.unwrap();
                for (text, answer) in tries(&mut wire).await {
                    let fault = answer.fault().unwrap_or_else(|| panic!("{text} ran"));
                    assert_eq!((fault.code.as_str(), fault.message.as_str()), (code, words), "{text}");
                }
                assert_eq!(server.query_one(marks, &[]).await.unwrap().get::<_, i64>(0), 0);
            }
            // A driver that sets something when it connects is told at once.
            let options = [("options", "-ctenant=initech"), ("application_name", "x")];
            let refused = Wire::login(stage.port(), "loose", "loose", &options).await.unwrap_err();
            assert_eq!(refused.message, "permission denied to set role \"tenant_initech\"");

            server.batch_execute("DROP ROLE tenant_initech").await.unwrap();
            server.batch_execute(&roles::sql("initech")).await.unwrap();
            for (text, answer) in tries(&mut wire).await {
                let refused = ["25P01", "42704", "42P05", ""];
                assert!(refused.contains(&answer.code().as_str()), "{text}: {:?}", answer.fault());
            }
            assert!(server.query_one(marks, &[]).await.unwrap().get::<_, i64>(0) > 10);
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn role_that_is_dropped_in_between() {
    each(Setup::new, async |stage| {
        let server = stage.superuser().await;
        let mut wire = stage.wire("acme_corp").await;
        wire.parse("read", READ).sync().answer().await;
        assert_eq!(wire.bind("read", &[]).execute().sync().answer().await.value(), "Alice");
        let sql = "REASSIGN OWNED BY tenant_acme_corp TO app; DROP OWNED BY tenant_acme_corp; DROP ROLE tenant_acme_corp";
        server.batch_execute(sql).await.unwrap();
        for _ in 0..2 {
            assert_eq!(wire.simple(READ).await.code(), "22023");
            assert_eq!(wire.bind("read", &[]).execute().sync().answer().await.code(), "22023");
            assert_eq!(wire.simple("VACUUM users").await.code(), "22023");
        }
        // Nor is the neighbour on the same server any other than it was.
        assert_eq!(stage.wire("globex").await.simple(USER).await.value(), "tenant_globex");
        server.batch_execute(&roles::sql("acme_corp")).await.unwrap();
        assert_eq!(wire.bind("read", &[]).execute().sync().answer().await.value(), "Alice");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_takes_the_role_off() {
    each(Setup::new, async |stage| {
        let mut wire = stage.wire("acme_corp").await;
        for text in [
            "SET ROLE app",
            "SET LOCAL ROLE tenant_globex",
            "SET role = 'app'",
            "SET SESSION ROLE app",
            "SET SESSION AUTHORIZATION app",
            "SELECT set_config('role', 'none', true)",
            "SELECT set_config('ROLE', 'none', false)",
            "SELECT set_config('ro' || 'le', 'none', true)",
            "SELECT pg_catalog.set_config($x$role$x$, 'none', true)",
            "SELECT set_config('session_authorization', 'app', true)",
            "UPDATE pg_settings SET setting = 'none' WHERE name = 'role'",
            "DO $$ BEGIN RESET ROLE; END $$",
            "DO 'BEGIN EXECUTE ''RESET ROLE''; END'",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET role = app RETURN 1",
            "CREATE FUNCTION f() RETURNS text LANGUAGE sql RETURN set_config('role', 'none', true)",
            "CREATE VIEW v AS SELECT set_config('role', 'none', true)",
            "ALTER FUNCTION f() SET role TO app",
            "ALTER ROLE tenant_acme_corp SET role = 'app'",
            "PREPARE p AS SELECT set_config('role', 'none', true)",
            "EXPLAIN ANALYZE SELECT set_config('role', 'none', true)",
            "ALTER TABLE users OWNER TO app",
            "GRANT tenant_acme_corp TO tenant_globex",
            "CREATE ROLE mine",
        ] {
            for before in ["", "BEGIN; ", "BEGIN; SELECT 1; SAVEPOINT s; "] {
                let text = format!("{before}{text}");
                assert_eq!(wire.simple(&text).await.code(), "42501", "{text}");
                wire.simple("ROLLBACK").await;
                assert_eq!(wire.simple(USER).await.value(), "tenant_acme_corp", "behind {text}");
            }
            assert_eq!(wire.extended(text, &[]).await.code(), "42501", "{text}");
            assert_eq!(wire.extended(USER, &[]).await.value(), "tenant_acme_corp", "behind {text}");
        }
        // What a driver resets by stays as it is.
        for (text, tag) in [
            ("RESET ROLE", "RESET"),
            ("SET ROLE NONE", "SET"),
            ("SET ROLE tenant_acme_corp", "SET"),
            ("SET \"role\" TO DEFAULT", "SET"),
            ("SET U&\"r\\006fle\" = 'none'", "SET"),
            ("SET SESSION AUTHORIZATION DEFAULT", "SET"),
            ("SET LOCAL SESSION AUTHORIZATION DEFAULT", "SET"),
            ("RESET SESSION AUTHORIZATION", "RESET"),
        ] {
            for before in ["", "BEGIN; "] {
                let answer = wire.simple(&format!("{before}{text}; {USER}")).await;
                assert_eq!(answer.value(), "tenant_acme_corp", "{before}{text}");
                assert_eq!(wire.simple(USER).await.value(), "tenant_acme_corp", "behind {before}{text}");
                wire.simple("ROLLBACK").await;
            }
            assert_eq!(wire.simple(text).await.commands(), [tag], "{text}");
            assert_eq!(wire.extended(text, &[]).await.commands(), [tag], "{text}");
            wire.parse("", text).bind("", &[]).execute().parse("", USER).bind("", &[]).execute().sync();
            assert_eq!(wire.answer().await.value(), "tenant_acme_corp", "in front: {text}");
        }
        assert_eq!(wire.extended("SELECT set_config($1, 'none', true)", &["role"]).await.code(), "42501");
        for options in ["-ctenant=acme_corp -crole=app", "-ctenant=acme_corp --role=none"] {
            let options = [("options", options)];
            assert!(Wire::login(stage.port(), "app", "app", &options).await.is_err(), "{options:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn function_that_resets_the_role_has_done_so_for_its_message_only() {
    let function =
        "CREATE FUNCTION public.reset_role() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RESET ROLE; END $$";
    each(Setup::new, async |stage| {
        stage.superuser().await.batch_execute(function).await.unwrap();
        let mut wire = stage.wire("acme_corp").await;
        for chained in [false, true] {
            wire.simple("BEGIN").await;
            assert_eq!(wire.simple("SELECT reset_role()").await.code(), "");
            for _ in 0..2 {
                assert_eq!(wire.simple(USER).await.value(), "tenant_acme_corp");
                assert_eq!(wire.extended("SELECT reset_role()", &[]).await.code(), "");
                assert_eq!(wire.extended(USER, &[]).await.value(), "tenant_acme_corp");
                assert_eq!(
                    wire.simple("DECLARE c CURSOR FOR SELECT reset_role() FROM users").await.code(),
                    ""
                );
                wire.simple("FETCH c").await;
                assert_eq!(wire.extended(USER, &[]).await.value(), "tenant_acme_corp");
                wire.simple("FETCH c; CLOSE c").await;
                assert_eq!(wire.simple(USER).await.value(), "tenant_acme_corp");
            }
            wire.simple(if chained { "ROLLBACK AND CHAIN" } else { "COMMIT" }).await;
            assert_eq!(wire.simple(USER).await.value(), "tenant_acme_corp");
            wire.simple("ROLLBACK").await;
        }
        assert_eq!(stage.wire("globex").await.simple(READ).await.value(), "Hank");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_off_until_the_end_runs_under_the_role() {
    let objects = "CREATE FUNCTION public.reset_role() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RESET ROLE; END $$;
        SET ROLE tenant_acme_corp; SET search_path TO acme_corp;
        CREATE TABLE late (v text);
        CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO acme_corp.users (name, email) VALUES (current_user, 'late' || random()); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER late AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION late()";
    each(Setup::new, async |stage| {
        stage.superuser().await.batch_execute(objects).await.unwrap();
        let mut wire = stage.wire("acme_corp").await;
        for (reset, end) in
            [("", "COMMIT"), ("SELECT reset_role()", "COMMIT"), ("SELECT reset_role()", "END AND CHAIN")]
        {
            for extended in [false, true] {
                wire.simple("BEGIN").await;
                assert_eq!(wire.simple("INSERT INTO late VALUES ('x')").await.code(), "");
                assert_eq!(wire.simple(reset).await.code(), "");
                let ended = if extended { wire.extended(end, &[]).await } else { wire.simple(end).await };
                assert_eq!(ended.commands(), ["COMMIT"], "{:?}", ended.fault());
                wire.simple("ROLLBACK").await;
            }
        }
        let late = wire.simple("SELECT name FROM users WHERE email LIKE 'late%'").await.column();
        assert_eq!(late, ["tenant_acme_corp"; 6]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_set_with_the_tenants_own_rights() {
    // Such a setting takes a right that PostgreSQL 15 and newer can give.
    let grant = "GRANT SET ON PARAMETER log_min_messages TO app";
    each(Setup::new, async |stage| {
        stage.superuser().await.batch_execute(grant).await.unwrap();
        let mut wire = stage.wire("acme_corp").await;
        assert_eq!(wire.simple("SET log_min_messages = 'panic'").await.code(), "42501");
        assert_eq!(wire.extended("SET log_min_messages = 'panic'", &[]).await.code(), "42501");
        let options = [("options", "-ctenant=acme_corp -clog_min_messages=panic")];
        assert!(Wire::login(stage.port(), "app", "app", &options).await.is_err());
        // The servers' role is what a client with no tenant is.
        let mut public = Wire::login(stage.port(), "app", "app", &[]).await.unwrap();
        assert_eq!(public.simple("SET log_min_messages = 'panic'").await.code(), "");
        drop(public);
        assert_eq!(wire.simple("SHOW log_min_messages").await.value(), "warning");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn session_pooling_keeps_a_server_and_the_role() {
    let user =
        "name = 'tool'\npassword = 'tool'\ntenants = ['*']\npool_mode = 'session'\ntenant_switch = true";
    each(
        || Setup::new().user(user),
        async |stage| {
            let options = [("options", "-ctenant=acme_corp")];
            let mut wire = Wire::login(stage.port(), "tool", "tool", &options).await.unwrap();
            for text in ["VACUUM users", "RESET ALL", "DISCARD ALL", "SELECT 1", "BEGIN; COMMIT"] {
                assert_eq!(wire.simple(text).await.code(), "", "{text}");
                assert_eq!(wire.simple(USER).await.value(), "tenant_acme_corp", "behind {text}");
                assert_eq!(wire.extended(USER, &[]).await.value(), "tenant_acme_corp", "behind {text}");
                assert_eq!(wire.simple(READ).await.value(), "Alice", "behind {text}");
            }
            assert_eq!(wire.simple("SET tenant = 'globex'").await.code(), "");
            assert_eq!(wire.simple(USER).await.value(), "tenant_globex");
            drop(wire);
            assert_eq!(stage.wire("globex").await.simple(READ).await.value(), "Hank");
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_see_tier_and_role() {
    let admin = "name = 'root'\npassword = 'root'\ntenants = ['*']\nadmin = true\ntenant_switch = true";
    let others =
        "[tenants.initech]\ntier = 'names'\n[tenants.globex]\ntier = 'login'\nrole = 'their \"own\"'";
    let stage = Stage::new(Setup::new().tier(Tier::Role).user(admin).line("tenancy", others)).await;
    stage.superuser().await.batch_execute("CREATE SCHEMA initech").await.unwrap();
    let mut root =
        Wire::login(stage.port(), "root", "root", &[("options", "-ctenant=acme_corp")]).await.unwrap();
    let path = r#"search_path TO "acme_corp", "public"; "#;
    for (text, shown) in [
        ("select 1", r#"SET LOCAL ROLE "tenant_acme_corp"; select 1"#.to_owned()),
        (
            "select * from users",
            format!(r#"SET LOCAL ROLE "tenant_acme_corp"; SET LOCAL {path}select * from users"#),
        ),
        (
            "vacuum users",
            format!(r#"SET ROLE "tenant_acme_corp"; SET {path}as a message of its own, then vacuum"#),
        ),
        ("begin", "sent      begin".to_owned()),
        ("select 1", r#"tier      role, as "tenant_acme_corp""#.to_owned()),
        ("set role app", "may not set role".to_owned()),
    ] {
        let said = root.simple(&format!("EXPLAIN ROUTE {text}")).await.column().join("\n");
        assert!(said.contains(&shown), "{text}: {said}");
    }
    for (tenant, tier) in
        [("globex", r#"tier      login, as "their ""own""""#), ("initech", "tier      names\n")]
    {
        root.simple(&format!("SET tenant = '{tenant}'")).await;
        let said = root.simple("EXPLAIN ROUTE select 1").await.column().join("\n");
        assert!(said.contains(tier) && said.ends_with("sent      select 1"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn role_whose_name_is_too_long_is_refused_in_clear_words() {
    let stage = Stage::new(Setup::new().tenant_switch().tier(Tier::Role)).await;
    let long = "x".repeat(57);
    stage.superuser().await.batch_execute(&format!("CREATE SCHEMA {long}")).await.unwrap();
    let option = format!("-ctenant={long}");
    let fault = Wire::login(stage.port(), "app", "app", &[("options", &option)]).await.unwrap_err();
    let words = format!(
        "tenant \"{long}\" can not have the role \"tenant_{long}\": a role's name must not be longer than 63 bytes"
    );
    assert_eq!((fault.code.as_str(), fault.message), ("42622", words.clone()));
    let mut wire = stage.wire("acme_corp").await;
    let fault = wire.simple(&format!("SET tenant = '{long}'")).await.fault().unwrap();
    assert_eq!((fault.code.as_str(), fault.message), ("42622", words));
    assert_eq!(wire.simple(READ).await.value(), "Alice");
}
