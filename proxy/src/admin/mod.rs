//! What is for those who look after the proxy: the console, and on the HTTP side `/metrics`,
//! `/healthz`, `/readyz` and a page.
//!
//! # Layout
//! - [`page`]: the operator's page. [`api`]: what the console shows, as JSON. [`health`]: how the proxy is.
//! - [`guard`]: who may ask for these. [`list`]: some rows of a table.
//! - [`console`]: SQL of its own, for psql and for tools that know PgBouncer.
//! - [`listener`]: the port, its thread and its limits.
//! - [`readiness`]: what `/readyz` says.

mod api;
pub mod console;
mod guard;
mod health;
mod list;
pub mod listener;
mod page;
pub mod readiness;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use tokio::sync::watch;

use self::readiness::Readiness;
use crate::shared::Shared;

#[derive(Clone)]
struct Context {
    shared: Arc<Shared>,
    stopping: watch::Receiver<bool>,
    readiness: Readiness,
}

/// What is answered on a socket that listens at `address`, by path. While clients leave, probes go on.
pub fn router(shared: Arc<Shared>, stopping: watch::Receiver<bool>, address: SocketAddr) -> Router {
    // Passwords are sent to the console's side as they are. Who has made the socket has chosen its address.
    let is_local = address.ip().is_loopback();
    let context = Context { shared, stopping, readiness: Readiness::default() };
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready));
    let router = if is_local { router.merge(console_side(&context)) } else { router };
    router.with_state(context)
}

/// What the console shows, and the page that shows it: all of it behind one guard.
fn console_side(context: &Context) -> Router<Context> {
    page::router()
        .route("/api/v1/health", get(health::health))
        .route("/api/v1/show/{table}", get(api::table))
        .route("/api/v1/{table}", get(api::list))
        .route_layer(from_fn_with_state(context.clone(), guard::guard))
}

/// What is asked of `/metrics`.
#[derive(Deserialize)]
struct Wanted {
    /// All that is known of this tenant, and nothing else.
    tenant: Option<String>,
}

/// Prometheus' text format.
async fn metrics(State(context): State<Context>, Query(wanted): Query<Wanted>) -> Response {
    let metrics = &context.shared.metrics;
    let text = match wanted.tenant {
        Some(tenant) => match metrics.render_tenant(&tenant) {
            Some(text) => text,
            None => return (StatusCode::NOT_FOUND, "no such tenant has had a client here\n").into_response(),
        },
        None => {
            context.shared.observe();
            metrics.render()
        }
    };
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// Whether new clients should be sent here: each database serves now, and we stay. Other clusters of a database have a
/// line each where they can't be reached.
async fn ready(State(context): State<Context>) -> (StatusCode, String) {
    if *context.stopping.borrow() || context.shared.exit.is_asked() {
        return (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n".into());
    }
    match context.readiness.ask(&context.shared).await {
        Ok(away) => (StatusCode::OK, format!("ready\n{}", not_reached(&away))),
        Err(away) => (StatusCode::SERVICE_UNAVAILABLE, not_reached(&away)),
    }
}

fn not_reached(databases: &[String]) -> String {
    databases.iter().map(|name| format!("database \"{name}\" can not be reached\n")).collect()
}

#[cfg(test)]
mod crowd_tests;
