//! Users and posts of many tenants, each in a schema of its own.
//!
//! # Layout
//! - [`entities`]: what the tables are.
//! - [`tenants`]: their schemas: made at the start, and on request.
//! - [`users`], [`posts`]: what a tenant's own users ask for. No word of tenants in there: the context has it.
//! - [`failure`]: what went wrong, as an answer.

mod entities;
mod failure;
mod posts;
mod tenants;
mod users;

use std::error::Error;
use std::process::ExitCode;

use axum::Router;
use axum::routing::get;
use pgstrata_orm::web::TenantLayer;
use pgstrata_orm::{EntityManager, MissingTenant, Options};
use tokio::net::TcpListener;

use entities::{Post, User};
use tenants::Tenants;

const LISTEN: &str = "127.0.0.1:3000";

#[tokio::main]
async fn main() -> ExitCode {
    match serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("axum-multitenant: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let (em, tenants) = connect().await?;
    tenants.provision(&["acme_corp", "globex"]).await?;
    let address = std::env::var("LISTEN").unwrap_or_else(|_| LISTEN.to_owned());
    let listener = TcpListener::bind(&address).await.map_err(|error| format!("{address}: {error}"))?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, router(em, tenants)).await?;
    Ok(())
}

/// Queries go to `DATABASE_URL`. Where that is a pgstrata, tables and schemas are made past it, by `PROVISION_URL`.
async fn connect() -> Result<(EntityManager, Tenants), Box<dyn Error>> {
    let url = std::env::var("DATABASE_URL")
        .map_err(|_| "DATABASE_URL is not set: export DATABASE_URL=postgres://USER:PASSWORD@HOST/DATABASE")?;
    let Ok(provision_url) = std::env::var("PROVISION_URL") else {
        let em = EntityManager::register(options(&url)?.synchronize(true)).await?;
        let tenants = Tenants::new(&em)?;
        return Ok((em, tenants));
    };
    let maker = EntityManager::register(options(&provision_url)?.synchronize(true)).await?;
    let em = EntityManager::register(options(&url)?.through_proxy()).await?;
    Ok((em, Tenants::new(&maker)?))
}

fn options(url: &str) -> Result<Options, pgstrata_orm::Error> {
    // A task that is spawned without its tenant's context gets an error, and not the rows of public.
    let options = Options::url(url)?.missing_tenant(MissingTenant::Reject);
    Ok(options.entity::<User>().entity::<Post>())
}

/// The layer is around what belongs to a tenant. Who asks is not checked here: `TenantLayer::allow` is where that would be.
fn router(em: EntityManager, tenants: Tenants) -> Router {
    let of_a_tenant = Router::new()
        .route("/users", get(users::list).post(users::create))
        .route("/users/{id}", get(users::show))
        .route("/posts", get(posts::list).post(posts::create))
        .with_state(em)
        .layer(TenantLayer::header());
    let of_nobody = Router::new().route("/tenants", get(tenants::list).post(tenants::create));
    of_a_tenant.merge(of_nobody.with_state(tenants))
}
