//! Admits a login to its tenant as soon as the tenant is served, or refuses it.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio::time::sleep;

use super::request::HIGH_WATER;
use super::standing::{Held, LOOK_AGAIN, Unserved, no_answer, patiently};
use crate::auth::error::OpenError;
use crate::auth::login::Login;
use crate::config::{Config, WhileMigrating};
use crate::metrics::Metrics;
use crate::shared::{DatabaseHandle, Found};
use crate::wire::refusal::Refusal;

/// The part of a login's remaining time that is reserved for its answer.
const FOR_THE_ANSWER: f64 = 0.1;

/// How long a login waits for PostgreSQL, so that its own time is not over before.
pub(super) fn login_patience(config: &Config) -> Duration {
    config.pool.wait_timeout.min(config.listen.login_timeout / 2)
}

/// Finds the tenant of a login; `None` for a client without a tenant. The time of the login ends at `until`.
pub(super) async fn arrive<S>(
    mut login: Login<S>,
    (metrics, config): (&Metrics, &Config),
    database: &DatabaseHandle,
    mut shutdown: watch::Receiver<bool>,
    until: Instant,
) -> Result<(Login<S>, Option<Found>), OpenError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let left = until.saturating_duration_since(Instant::now());
    let limit = left.mul_f64(1.0 - FOR_THE_ANSWER).min(config.pool.wait_timeout);
    let wait_until = Instant::now() + limit;
    let mut schema: Option<Arc<str>> = None;
    let mut held = None;
    loop {
        // Created before the lookup, so that a change during the lookup counts.
        let news = schema.as_deref().map(|schema| database.home.directory.news(schema));
        let mut found = None;
        let user = Arc::clone(&login.user);
        login = login
            .admit(async |tenant| {
                let patience = Instant::now() + login_patience(config);
                let finding = patiently(patience, async || match user.may_name(tenant.as_str()) {
                    true => database.find_or_make(tenant, config).await,
                    false => database.find(tenant, config).await,
                });
                found = match finding.await {
                    // What is wrong with a tenant is no business of who may not name it.
                    Err(error) if !user.may_name(tenant.as_str()) && !error.is_passing() => None,
                    found => found.map_err(|error| for_login(no_answer(&error, database)))?,
                };
                let state = found.as_ref().map(|found| found.state);
                Ok(Unserved::of(state) != Some(Unserved::Gone))
            })
            .await?;
        let (Some(tenant), Some(there)) = (&login.tenant, &found) else { return Ok((login, found)) };
        let Some(unserved) = Unserved::of(Some(there.state)) else { return Ok((login, found)) };
        let waits = there.look.is_passing() && config.tenancy.while_migrating == WhileMigrating::Wait;
        if !waits || Instant::now() >= wait_until {
            let refusal = for_login(unserved.refusal(tenant.as_str()));
            return Err(login.refuse(refusal).await);
        }
        schema = Some(Arc::clone(&there.schema));
        let Some(news) = news else { continue };
        held.get_or_insert_with(|| Held::new(metrics));
        let pause = wait_until.saturating_duration_since(Instant::now()).min(LOOK_AGAIN);
        tokio::select! {
            () = news => {}
            () = sleep(pause) => {}
            () = hung_up(&mut login) => return Err(OpenError::Closed),
            _ = shutdown.wait_for(|stop| *stop) => {
                let refusal = Refusal::new("57P01", "terminating connection: the proxy is shutting down");
                return Err(login.refuse(refusal).await);
            }
        }
    }
}

/// Returns when the client has disconnected. Data that it sends ahead is kept.
async fn hung_up<S>(login: &mut Login<S>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while login.buffer.len() < HIGH_WATER {
        if !matches!(login.stream.read_buf(&mut login.buffer).await, Ok(1..)) {
            return;
        }
    }
    std::future::pending().await
}

/// The refusal as the FATAL error of a login.
pub(super) fn for_login(refusal: crate::sql::plan::Refusal) -> Refusal {
    Refusal { code: refusal.code, message: refusal.message, detail: None, hint: refusal.hint }
}
