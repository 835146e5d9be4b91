//! What is for those who look after the proxy: the console, and on the HTTP side `/metrics`, `/healthz`, `/readyz`.
//!
//! # Layout
//! - [`api`]: what the console shows, as JSON.
//! - [`console`]: SQL of its own, for psql and for tools that know PgBouncer.
//! - [`listener`]: the port, its thread and its limits.
//! - [`readiness`]: what `/readyz` says.

mod api;
pub mod console;
pub mod listener;
pub mod readiness;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
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

/// What is answered, by path. While clients leave, probes go on.
pub fn router(shared: Arc<Shared>, stopping: watch::Receiver<bool>) -> Router {
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready));
    // Passwords are sent to it as they are.
    let router = match shared.current().config.http.address.ip().is_loopback() {
        true => router.route("/api/v1/show/{table}", get(api::table)),
        false => router,
    };
    router.with_state(Context { shared, stopping, readiness: Readiness::default() })
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

/// Whether new clients should be sent here: each database serves now, and we stay.
async fn ready(State(context): State<Context>) -> (StatusCode, String) {
    if *context.stopping.borrow() || context.shared.exit.is_asked() {
        return (StatusCode::SERVICE_UNAVAILABLE, "shutting down\n".into());
    }
    match context.readiness.ask(&context.shared).await {
        Ok(()) => (StatusCode::OK, "ready\n".into()),
        Err(name) => (StatusCode::SERVICE_UNAVAILABLE, format!("database \"{name}\" can not be reached\n")),
    }
}
