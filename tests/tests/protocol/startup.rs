//! How a connection begins, and how it is refused.

use pgstrata_tests::answer::Fault;
use pgstrata_tests::wire::{GSSENC_REQUEST, SSL_REQUEST, V3_0, V3_2};
use pgstrata_tests::{ACME, GLOBEX, PUBLIC, Setup, Stage, Wire};

const NAMES: &str = "SELECT name FROM users ORDER BY id";

async fn stage() -> Stage {
    Stage::new(Setup::new()).await
}

async fn refused(stage: &Stage, user: &str, password: &str, parameters: &[(&str, &str)]) -> Fault {
    let fault =
        Wire::login(stage.port(), user, password, parameters).await.expect_err("this must be refused");
    assert_eq!(fault.severity, "FATAL");
    fault
}

async fn names_with(stage: &Stage, parameters: &[(&str, &str)]) -> Vec<String> {
    let mut wire = Wire::login(stage.port(), "app", "app", parameters).await.unwrap();
    wire.simple(NAMES).await.column()
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_password_and_unknown_user_get_the_same_answer() {
    let stage = stage().await;
    let wrong = refused(&stage, "app", "wrong", &[]).await;
    let unknown = refused(&stage, "nobody", "wrong", &[]).await;
    assert_eq!((wrong.code.as_str(), unknown.code.as_str()), ("28P01", "28P01"));
    assert_eq!(wrong.message.replace("app", "nobody"), unknown.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_and_forbidden_tenant_get_the_same_answer() {
    let stage = stage().await;
    let forbidden = refused(&stage, "acme", "acme", &[("options", "-ctenant=globex")]).await;
    let unknown = refused(&stage, "acme", "acme", &[("options", "-ctenant=umbrella")]).await;
    assert_eq!(forbidden.code, "28000");
    assert_eq!(forbidden.code, unknown.code);
    assert_eq!(forbidden.message.replace("globex", "umbrella"), unknown.message);
    let unknown = refused(&stage, "app", "app", &[("options", "-ctenant=umbrella")]).await;
    assert_eq!(unknown.code, "28000");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_password_is_refused_before_the_tenant_is_looked_at() {
    let stage = stage().await;
    let known = refused(&stage, "app", "wrong", &[("options", "-ctenant=globex")]).await;
    let unknown = refused(&stage, "app", "wrong", &[("options", "-ctenant=umbrella")]).await;
    assert_eq!(known, unknown);
}

#[tokio::test(flavor = "multi_thread")]
async fn system_schemas_are_no_tenants() {
    let stage = stage().await;
    for schema in ["pg_catalog", "information_schema", "pg_toast"] {
        let option = format!("-ctenant={schema}");
        assert_eq!(refused(&stage, "app", "app", &[("options", &option)]).await.code, "28000", "{schema}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_tenant_means_public() {
    let stage = stage().await;
    assert_eq!(names_with(&stage, &[]).await, PUBLIC);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_tenant_is_refused_where_so_configured() {
    let stage = Stage::new(Setup::new().line("tenancy", "missing_tenant = 'reject'")).await;
    let fault = refused(&stage, "app", "app", &[]).await;
    assert!(fault.code.starts_with("28"), "{fault:?}");
    assert_eq!(names_with(&stage, &[("options", "-ctenant=globex")]).await, GLOBEX);
}

#[tokio::test(flavor = "multi_thread")]
async fn tenant_in_every_spelling() {
    let stage = stage().await;
    let spellings = [
        "-ctenant=globex",
        "-c tenant=globex",
        "--tenant=globex",
        "  -c   tenant=globex  ",
        "-c statement_timeout=9000 -ctenant=globex",
        "-ctenant=globex\t--statement-timeout=9000",
        r"-ctenant=glo\bex",
        "-ctenant=globex -c TENANT=globex",
    ];
    for options in spellings {
        assert_eq!(names_with(&stage, &[("options", options)]).await, GLOBEX, "{options:?}");
    }
    assert_eq!(names_with(&stage, &[("tenant", "acme_corp")]).await, ACME);
}

#[tokio::test(flavor = "multi_thread")]
async fn tenant_with_an_odd_name() {
    let stage = stage().await;
    let schema = r#"CREATE SCHEMA "Odd ""name"" ü"; GRANT USAGE ON SCHEMA "Odd ""name"" ü" TO app;
        CREATE TABLE "Odd ""name"" ü".users (id integer, name text);
        INSERT INTO "Odd ""name"" ü".users VALUES (1, 'odd'); GRANT SELECT ON "Odd ""name"" ü".users TO app"#;
    stage.superuser().await.batch_execute(schema).await.unwrap();
    let options = "-ctenant=Odd\\ \"name\"\\ ü";
    assert_eq!(names_with(&stage, &[("options", options)]).await, ["odd"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tenant_behind_the_user_name() {
    let stage = Stage::new(Setup::new().line("tenancy", "sources = ['user_suffix']")).await;
    let mut wire = Wire::login(stage.port(), "app.globex", "app", &[]).await.unwrap();
    assert_eq!(wire.simple(NAMES).await.column(), GLOBEX);
    refused(&stage, "acme.globex", "acme", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tenant_behind_the_database_name() {
    let stage = Stage::new(Setup::new().line("tenancy", "sources = ['database_suffix']")).await;
    let mut wire = Wire::connect(stage.port()).await;
    wire.startup(V3_0, &[("user", "app"), ("database", "app.globex")]).await;
    wire.authenticate("app").await.unwrap();
    assert_eq!(wire.simple(NAMES).await.column(), GLOBEX);
}

#[tokio::test(flavor = "multi_thread")]
async fn search_path_of_another_tenant_is_never_used() {
    let stage = stage().await;
    let attempts: [&[(&str, &str)]; 5] = [
        &[("options", "-ctenant=acme_corp -csearch_path=globex")],
        &[("options", "-ctenant=acme_corp --search-path=globex")],
        &[("options", "-ctenant=acme_corp -c SEARCH_PATH=globex")],
        &[("options", "-ctenant=acme_corp"), ("search_path", "globex")],
        &[("options", "-ctenant=acme_corp"), ("role", "postgres")],
    ];
    for parameters in attempts {
        let fault = refused(&stage, "app", "app", parameters).await;
        assert_eq!(fault.code, "42501", "{parameters:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn encryption_requests_are_answered() {
    let stage = stage().await;
    for request in [SSL_REQUEST, GSSENC_REQUEST] {
        let mut wire = Wire::connect(stage.port()).await;
        wire.packet(request, b"").await;
        assert_eq!(wire.byte().await, b'N');
        wire.startup(V3_0, &[("user", "app"), ("database", "app"), ("options", "-ctenant=globex")]).await;
        wire.authenticate("app").await.unwrap();
        assert_eq!(wire.simple(NAMES).await.column(), GLOBEX);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn protocol_3_2_is_spoken() {
    let stage = stage().await;
    let mut wire = Wire::connect(stage.port()).await;
    let parameters =
        [("user", "app"), ("database", "app"), ("options", "-ctenant=globex"), ("_pq_.unknown", "1")];
    wire.startup(V3_2, &parameters).await;
    let first = wire.receive().await.unwrap();
    assert_eq!(char::from(first.tag), 'v', "the option that is not known is named");
    assert!(String::from_utf8_lossy(&first.body).contains("_pq_.unknown"));
    wire.authenticate("app").await.unwrap();
    assert_eq!(wire.simple(NAMES).await.column(), GLOBEX);
}

#[tokio::test(flavor = "multi_thread")]
async fn protocol_2_is_refused() {
    let stage = stage().await;
    let mut wire = Wire::connect(stage.port()).await;
    wire.startup(2 << 16, &[("user", "app")]).await;
    // As PostgreSQL, the proxy may answer in the old protocol, which has no lengths.
    assert_eq!(wire.byte().await, b'E');
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_database_is_refused() {
    let stage = stage().await;
    let mut wire = Wire::connect(stage.port()).await;
    wire.startup(V3_0, &[("user", "app"), ("database", "elsewhere")]).await;
    assert_eq!(wire.authenticate("app").await.unwrap_err().code, "3D000");
}

#[tokio::test(flavor = "multi_thread")]
async fn message_over_the_limit_is_refused_before_it_is_read() {
    let stage = Stage::new(Setup::new().line("limits", "max_query_bytes = 1024")).await;
    let mut wire = stage.wire("acme_corp").await;
    // Only the head of the message: an answer proves that nobody waits for the rest.
    wire.raw(b"Q\0\x10\0\0SELECT").await;
    let fault = wire.until(b'Z').await.fault().expect("the client is told");
    assert!(["54000", "08P01"].contains(&fault.code.as_str()), "{fault:?}");
    let mut next = stage.wire("acme_corp").await;
    assert_eq!(next.simple(NAMES).await.column(), ACME);
}

#[tokio::test(flavor = "multi_thread")]
async fn function_call_is_refused() {
    let stage = stage().await;
    let mut wire = stage.wire("acme_corp").await;
    let mut call = 1598u32.to_be_bytes().to_vec();
    call.extend([0, 0, 0, 0, 0, 0]);
    let answer = wire.message(b'F', &call).answer().await;
    assert_eq!(answer.code(), "0A000");
    assert_eq!(answer.status(), Some('I'));
    assert_eq!(wire.simple(NAMES).await.column(), ACME);
}
