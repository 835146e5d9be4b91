//! Tenants that are made when a client first names them.

use pgstrata_tests::stage::{connect, names};
use pgstrata_tests::{Setup, Stage};

async fn stage(lines: &[&str]) -> Stage {
    let mut setup = Setup::new()
        .tenant_switch()
        .line("provision", "auto = ['trial_*']")
        .user("name = 'limited'\npassword = 'limited'\ntenants = ['acme_corp', 'trial_mine']");
    for line in lines {
        setup = setup.line("provision", *line);
    }
    let stage = Stage::new(setup).await;
    let sql = "GRANT CREATE ON DATABASE app TO app; GRANT ALL ON ALL TABLES IN SCHEMA public TO app;
               GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO app; ALTER TABLE users OWNER TO app;
               ALTER TABLE posts OWNER TO app; ALTER TABLE plans OWNER TO app";
    stage.superuser().await.batch_execute(sql).await.unwrap();
    stage
}

async fn schemas(stage: &Stage) -> Vec<String> {
    names(
        &stage.superuser().await,
        "SELECT nspname::text FROM pg_namespace WHERE nspname LIKE 'trial%' ORDER BY 1",
    )
    .await
}

#[tokio::test]
async fn first_login_makes_the_tenant() {
    let stage = stage(&[]).await;
    let client = stage.client("trial_1").await;
    client.batch_execute("INSERT INTO users (name, email) VALUES ('First', 'f')").await.unwrap();
    assert_eq!(names(&client, "SELECT id || name FROM users").await, ["1First"]);
    assert_eq!(names(&stage.client("trial_1").await, "SELECT name FROM users").await, ["First"]);
    // Another one on an open connection, too.
    client.batch_execute("SET tenant = 'trial_2'").await.unwrap();
    assert!(names(&client, "SELECT name FROM users").await.is_empty());
    assert_eq!(schemas(&stage).await, ["trial_1", "trial_2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn crowd_at_the_first_login_makes_it_once() {
    let stage = stage(&[]).await;
    let config = stage.config(Some("trial_x"));
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let config = config.clone();
            tokio::spawn(async move {
                names(&connect(&config).await.unwrap(), "SELECT count(*)::text FROM users").await
            })
        })
        .collect();
    for client in clients {
        assert_eq!(client.await.unwrap(), ["0"]);
    }
}

#[tokio::test]
async fn nobody_makes_what_it_may_not_name() {
    let stage = stage(&[]).await;
    for (user, tenant) in [("app", "other"), ("limited", "trial_other"), ("app", "pg_trial_1")] {
        let mut config = stage.config(Some(tenant));
        config.user(user).password(user);
        let error = connect(&config).await.err().unwrap();
        let error = error.as_db_error().unwrap();
        assert_eq!(error.code().code(), "28000", "{error}");
        assert!(error.message().contains("does not exist or user"), "{error}");
    }
    assert!(schemas(&stage).await.is_empty());
    let mut config = stage.config(Some("trial_mine"));
    config.user("limited").password("limited");
    connect(&config).await.unwrap();
    assert_eq!(schemas(&stage).await, ["trial_mine"]);
}

#[tokio::test]
async fn there_is_an_end_to_it() {
    // The demonstration has two tenants.
    let stage = stage(&["auto_max = 3"]).await;
    stage.client("trial_1").await;
    assert!(connect(&stage.config(Some("trial_2"))).await.is_err());
    assert_eq!(schemas(&stage).await, ["trial_1"]);
}

#[tokio::test]
async fn one_that_can_not_be_made_leaves_nothing() {
    let stage = stage(&[]).await;
    stage.superuser().await.batch_execute("ALTER TABLE users OWNER TO postgres").await.unwrap();
    assert!(connect(&stage.config(Some("trial_1"))).await.is_err());
    assert!(schemas(&stage).await.is_empty());
    stage.superuser().await.batch_execute("ALTER TABLE users OWNER TO app").await.unwrap();
    stage.client("trial_1").await;
}
