//! Flyway and Hibernate, by the statements that they send.

use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::{ACME, GLOBEX, Setup, Stage, Wire};

const NAMES: &str = "SELECT name FROM users ORDER BY id";

async fn stages(setup: Setup) -> Vec<Stage> {
    let mut stages = Vec::new();
    for strategy in STRATEGIES {
        stages.push(Stage::new(setup.clone().strategy(strategy).servers(2)).await);
    }
    stages
}

/// Each goes well, as pgjdbc sends it.
async fn all_go(wire: &mut Wire, statements: &[(&str, &[&str])]) {
    for (text, values) in statements {
        let answer = wire.extended(text, values).await;
        assert_eq!(answer.fault(), None, "{text}");
    }
}

/// What a migration of Flyway 11 sends for a schema that has tables, and no history yet.
#[tokio::test(flavor = "multi_thread")]
async fn flyway_migrates() {
    for stage in stages(Setup::new()).await {
        for tenant in ["acme_corp", "globex"] {
            let mut wire = stage.wire(tenant).await;
            let history = format!("\"{tenant}\".\"flyway_schema_history\"");
            let exists = "SELECT EXISTS (\n  SELECT 1\n  FROM   pg_catalog.pg_class c\n  \
                JOIN   pg_catalog.pg_namespace n ON n.oid = c.relnamespace\n  WHERE  n.nspname = $1\n  \
                AND    c.relname = $2\n  AND    c.relkind = 'r'\n);";
            let create = format!(
                "CREATE TABLE {history} (\"installed_rank\" INT NOT NULL, \"version\" VARCHAR(50), \
                 \"description\" VARCHAR(200) NOT NULL, \"type\" VARCHAR(20) NOT NULL, \"script\" VARCHAR(1000) NOT NULL, \
                 \"checksum\" INTEGER, \"installed_by\" VARCHAR(100) NOT NULL, \
                 \"installed_on\" TIMESTAMP NOT NULL DEFAULT now(), \"execution_time\" INTEGER NOT NULL, \
                 \"success\" BOOLEAN NOT NULL)"
            );
            let key = format!(
                "ALTER TABLE {history} ADD CONSTRAINT \"flyway_schema_history_pk\" PRIMARY KEY (\"installed_rank\")"
            );
            let index = format!("CREATE INDEX \"flyway_schema_history_s_idx\" ON {history} (\"success\")");
            let insert = format!(
                "INSERT INTO {history} (\"installed_rank\", \"version\", \"description\", \"type\", \"script\", \
                 \"checksum\", \"installed_by\", \"execution_time\", \"success\") \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
            );
            let select = format!(
                "SELECT \"installed_rank\", \"version\", \"success\" FROM {history} WHERE \"installed_rank\" > $1 \
                 ORDER BY \"installed_rank\""
            );
            let path = format!("{tenant},public");
            let locks = format!("SELECT * FROM {history} FOR UPDATE");
            all_go(
                &mut wire,
                &[
                    ("SELECT CURRENT_USER", &[]),
                    ("SHOW search_path", &[]),
                    ("SELECT current_schema", &[]),
                    ("SELECT COUNT(*) FROM pg_namespace WHERE nspname=$1", &[tenant]),
                    (exists, &[tenant, "flyway_schema_history"]),
                    ("SELECT set_config('search_path', $1, false)", &[&path]),
                    ("SELECT pg_try_advisory_lock(77431708279161)", &[]),
                    ("BEGIN", &[]),
                    (&create, &[]),
                    (&key, &[]),
                    (&index, &[]),
                    (&insert, &["1", "1", "<< Flyway Baseline >>", "BASELINE", "-", "0", "app", "0", "true"]),
                    ("COMMIT", &[]),
                    (&select, &["-1"]),
                    ("BEGIN", &[]),
                    (&locks, &[]),
                    ("CREATE TABLE invoices (id bigserial PRIMARY KEY, user_id int REFERENCES users, cents int)", &[]),
                    ("CREATE INDEX ON invoices (user_id)", &[]),
                    ("ALTER TABLE users ADD COLUMN phone text", &[]),
                    ("UPDATE users SET phone = 'none'", &[]),
                    (&insert, &["2", "2", "invoices", "SQL", "V2__invoices.sql", "77", "app", "12", "true"]),
                    ("COMMIT", &[]),
                    ("SELECT pg_advisory_unlock(77431708279161)", &[]),
                    ("SET ROLE 'app'", &[]),
                    ("SELECT set_config('search_path', $1, false)", &[&path]),
                ],
            )
            .await;
            assert_eq!(wire.extended(&select, &["0"]).await.rows().len(), 2);
            assert_eq!(
                wire.simple("SELECT count(*) FROM users WHERE phone = 'none'").await.value().parse(),
                Ok(if tenant == "globex" { GLOBEX.len() } else { ACME.len() })
            );
        }
    }
}

/// One pool for all tenants: `Connection.setSchema` when a session begins, and the shared schema when it ends.
#[tokio::test(flavor = "multi_thread")]
async fn hibernate_works_for_one_schema_after_the_other() {
    for stage in stages(Setup::new().tenant_switch()).await {
        let mut wire = Wire::login(stage.port(), "app", "app", &[]).await.expect("no tenant is no error");
        for round in 0..3 {
            for (tenant, names) in [("acme_corp", &ACME[..]), ("globex", &GLOBEX)] {
                let set_schema = format!("SET SESSION search_path TO '{tenant}'");
                all_go(
                    &mut wire,
                    &[
                        (&set_schema, &[]),
                        ("SELECT current_schema()", &[]),
                        ("BEGIN", &[]),
                        ("select u1_0.id,u1_0.email,u1_0.name from users u1_0 where u1_0.id=$1 for no key update", &["1"]),
                        ("select u1_0.id,u1_0.name from users u1_0 order by u1_0.id offset $1 rows fetch first $2 rows only", &["0", "5"]),
                        ("update users set email=$1,name=$2 where id=$3", &["e", names[0], "1"]),
                        ("COMMIT", &[]),
                        ("BEGIN", &[]),
                        ("insert into users (email,name) values ($1,$2) returning id", &["new", "new"]),
                        ("select nextval('users_id_seq')", &[]),
                        ("with HTE_users(id) as materialized (select u1_0.id from users u1_0 where u1_0.name=$1), \
                          posts_cte as (delete from posts p1_0 where p1_0.user_id in (select h.id from HTE_users h) returning 1) \
                          delete from users u1_0 where u1_0.id in (select h.id from HTE_users h)", &["new"]),
                        ("COMMIT", &[]),
                    ],
                )
                .await;
                assert_eq!(wire.extended(NAMES, &[]).await.column(), names, "{tenant}, round {round}");
            }
            all_go(&mut wire, &[("SET SESSION search_path TO 'public'", &[])]).await;
        }
        // Without the switch nothing of it is read.
        let fixed = Stage::new(Setup::new()).await;
        let mut wire = fixed.wire("acme_corp").await;
        assert_eq!(wire.extended("SET SESSION search_path TO 'globex'", &[]).await.code(), "42501");
        assert_eq!(wire.extended(NAMES, &[]).await.code(), "42501");
    }
}
