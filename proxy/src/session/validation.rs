//! PostgreSQL validates the settings of a start-up packet, once for each distinct set.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use pgstrata_tenancy::RoleName;
use tokio::time::Instant;

use super::arrival::for_login;
use crate::pool::birth::Birth;
use crate::pool::claim::Claim;
use crate::pool::server::Server;
use crate::pool::servers::CheckoutError;
use crate::pool::settings::{self, Settings};
use crate::shared::ReportedParameters;
use crate::shared::cluster::Cluster;
use crate::shared::tenancy::Tenancy;
use crate::sql::{fresh, limits};
use crate::wire::frame;
use crate::wire::refusal::{Refusal, sqlstate};

/// Lets PostgreSQL validate the settings, once for each distinct set.
pub(super) async fn validate(
    cluster: &Cluster,
    (tenancy, claim): (&Tenancy, &Claim),
    base: &Arc<Settings>,
    limit: Duration,
) -> Result<(Birth, Arc<ReportedParameters>), Refusal> {
    let settings = settings::after(&Arc::default(), base, true);
    let login = tenancy.isolation.login();
    // Without settings, no privilege is needed.
    let role = tenancy.isolation.set_role().filter(|_| settings.count() > 0);
    let limited = limited_by(&settings, tenancy);
    let key = (Arc::clone(&settings), role.or(login).cloned());
    if limited.is_empty()
        && let Some(known) = cluster.validated.get(&key)
        && (login.is_some() || known.0 == cluster.servers.newest())
    {
        return Ok(known);
    }
    let lease = cluster.check_out(login, claim, limit).await;
    let mut lease = lease.map_err(|error| no_server(&error))?;
    // A server is returned automatically only after success.
    try_settings(&mut lease, &settings, role, &limited).await?;
    let (birth, mut told): (_, ReportedParameters) = (lease.birth, lease.parameters.clone());
    let dirt = lease.dirt(false);
    lease.give_back_clean(dirt, Instant::now());
    told.remove(&b"search_path"[..]);
    let told = Arc::new(told);
    if limited.is_empty() {
        cluster.validated.insert(key, (birth, Arc::clone(&told)));
    }
    Ok((birth, told))
}

/// The time-outs among the settings that have a limit. PostgreSQL compares them for each client, because the limit can
/// change without notice.
fn limited_by(settings: &Settings, tenancy: &Tenancy) -> Vec<&'static str> {
    let limits = tenancy.is_confined() && tenancy.scope.limits_time;
    limits::LIMITED.into_iter().filter(|name| limits && settings.has(name)).collect()
}

/// Makes the settings on a server; the error is PostgreSQL's.
async fn try_settings(
    server: &mut Server,
    wanted: &Arc<Settings>,
    role: Option<&RoleName>,
    limited: &[&'static str],
) -> Result<(), Refusal> {
    let mut statements = settings::difference(&server.settings, wanted, true, role);
    statements.extend(limited.iter().map(|name| limits::question(name)));
    if statements.is_empty() {
        return Ok(());
    }
    let lost = |_| Refusal::new("08006", "the connection to PostgreSQL was lost");
    server.query(&[statements.join("; ").as_bytes()]);
    server.send().await.map_err(lost)?;
    let mut refused = None;
    loop {
        let answer = server.receive().await.map_err(lost)?;
        match answer.tag() {
            b'E' => {
                refused =
                    Some(above_limit(answer.body(), limited).unwrap_or_else(|| in_its_words(answer.body())));
            }
            b'Z' => break,
            _ => {}
        }
    }
    refused.map_or(Ok(()), Err)?;
    server.settings = Arc::clone(wanted);
    Ok(())
}

/// The refusal of a time-out above its limit, if the error is that of the check.
fn above_limit(body: &[u8], limited: &[&'static str]) -> Option<Refusal> {
    let field = |code| frame::field(body, code).unwrap_or_default();
    let name = limited.first().filter(|_| fresh::is_found(field(b'C'), field(b'M')))?;
    let refusal = limits::with_limit(limits::refusal(name), field(b'M'));
    Some(
        Refusal::new(sqlstate::INSUFFICIENT_PRIVILEGE, refusal.message)
            .hint(refusal.hint.unwrap_or_default()),
    )
}

/// PostgreSQL's refusal of a setting.
fn in_its_words(body: &[u8]) -> Refusal {
    let field = |code| frame::field(body, code).map(String::from_utf8_lossy);
    let code = field(b'C').unwrap_or_default();
    let known = sqlstate::OF_SETTINGS.into_iter().find(|known| *known == code);
    let code = known.unwrap_or(sqlstate::INVALID_PARAMETER_VALUE);
    let mut refusal = Refusal::new(code, field(b'M').unwrap_or_default());
    (refusal.detail, refusal.hint) = (field(b'D').map(Cow::into_owned), field(b'H').map(Cow::into_owned));
    refusal
}

fn no_server(error: &CheckoutError) -> Refusal {
    for_login(super::attach::no_server(error))
}
