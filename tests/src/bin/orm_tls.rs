//! What the ORM does by TLS, for tests that give this program authorities of their own: `orm_tls URL`.

use std::process::ExitCode;
use std::time::Duration;

use pgstrata_orm::{
    Entity, EntityManager, Error, MetadataContext, Options, PostgresTenantMigrationRunner,
    TenantMigrationRunner,
};

/// Something to have a table of.
#[derive(Debug, Entity)]
#[entity(table = "notes")]
struct Note {
    /// The key.
    #[column(primary_key, generated)]
    id: i64,
    /// What.
    text: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let url = std::env::args().nth(1).unwrap_or_default();
    match use_all(&url).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Each kind of connection that there is.
async fn use_all(url: &str) -> Result<(), Error> {
    let options = Options::url(url)?.rustls()?.entity::<Note>().synchronize(true);
    let em = EntityManager::register(options).await?;
    let secured = "SELECT ssl::text || ' ' || version FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    println!("statement: {}", one(&em, secured).await?);
    PostgresTenantMigrationRunner::new(em.driver())?.ensure_schema("acme").await?;
    let saved = MetadataContext::run("acme", em.save(&Note { id: 0, text: "sealed".into() })).await?;
    println!("tenant: {} {}", saved.id, saved.text);
    let slow = tokio::time::timeout(Duration::from_millis(200), em.query("SELECT pg_sleep(600)", &[])).await;
    println!("in time: {}", slow.is_ok());
    let busy =
        "SELECT count(*)::text FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)' AND state = 'active'";
    while one(&em, busy).await? != "0" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("cancelled");
    Ok(())
}

async fn one(em: &EntityManager, sql: &str) -> Result<String, Error> {
    let rows = em.query(sql, &[]).await?;
    Ok(rows.iter().map(|row| row.get::<_, String>(0)).collect())
}
