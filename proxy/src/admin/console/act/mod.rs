//! Commands that change something, each with the function that runs it.
//!
//! # Layout
//! - [`databases`]: PAUSE, RESUME, DISABLE, ENABLE, KILL, RECONNECT, WAIT_CLOSE.
//! - [`tenants`]: SUSPEND TENANT, RESUME TENANT, KILL TENANT.
//! - [`clients`]: KILL_CLIENT, CANCEL. [`settings`]: SET. [`audit`]: the log line of each command.

pub mod audit;
mod clients;
mod databases;
pub mod settings;
mod tenants;

use std::sync::Arc;

use super::command::Act;
use crate::shared::Shared;
use crate::wire::refusal::Refusal;

/// `config_file_error`
const CONFIG_FILE_ERROR: &str = "F0000";

/// The commands and their meanings, for SHOW HELP.
pub const HELP: &[(&str, &str)] = &[
    ("PAUSE [db]", "gives servers to no client: requests wait; ends when all servers are closed"),
    ("RESUME [db]", "gives servers to clients again"),
    ("DISABLE db", "refuses new clients"),
    ("ENABLE db", "admits new clients again"),
    ("RECONNECT [db]", "replaces servers when they are returned"),
    ("WAIT_CLOSE [db]", "waits until all servers that RECONNECT replaces are closed"),
    ("KILL [db]", "closes clients and servers at once, and pauses"),
    ("KILL_CLIENT id", "closes one client, by its id in SHOW CLIENTS"),
    ("CANCEL id", "cancels what one client runs, by its id in SHOW CLIENTS"),
    ("SUSPEND TENANT name [IN db]", "refuses a tenant's clients, at all proxies"),
    ("RESUME TENANT name [IN db]", "admits them again"),
    ("KILL TENANT name [IN db]", "closes a tenant's clients at this proxy"),
    ("RESET STATEMENTS [tenant]", "resets the statistics by statement, of all tenants or of one"),
    ("RELOAD", "reads the configuration again, and names the changed keys and those that need a restart"),
    ("SHUTDOWN", "ends the proxy at once"),
    ("SHUTDOWN WAIT_FOR_SERVERS", "ends the proxy when open transactions are over"),
    ("SHUTDOWN WAIT_FOR_CLIENTS", "ends the proxy when all clients have disconnected"),
    ("SET key = value", "for drivers: keys of the configuration are changed in its file, by RELOAD"),
];

/// Runs a command; returns its notice. A dropped command leaves nothing incomplete.
pub async fn act(act: &Act, shared: &Arc<Shared>) -> Result<Option<String>, Refusal> {
    let done = |result: Result<(), Refusal>| result.map(|()| None);
    match act {
        Act::Pause(name) => done(databases::pause(shared, name.as_deref()).await),
        Act::Resume(name) => done(databases::resume(shared, name.as_deref())),
        Act::Disable(name) => done(databases::disable(shared, name, true)),
        Act::Enable(name) => done(databases::disable(shared, name, false)),
        Act::Kill(name) => databases::kill(shared, name.as_deref()).await.map(Some),
        Act::Reconnect(name) => done(databases::reconnect(shared, name.as_deref())),
        Act::WaitClose(name) => done(databases::wait_close(shared, name.as_deref()).await),
        Act::SuspendTenant(name) => done(tenants::suspend(shared, name).await),
        Act::ResumeTenant(name) => done(tenants::resume(shared, name).await),
        Act::KillTenant(name) => tenants::kill(shared, name).map(Some),
        Act::KillClient(id) => done(clients::kill(shared, *id)),
        Act::Cancel(id) => done(clients::cancel(shared, *id).await),
        Act::ResetStatements(tenant) => {
            shared.metrics.statements.reset(tenant.as_deref());
            Ok(None)
        }
        Act::Reload => reload(shared).await.map(Some),
        Act::Shutdown(how) => {
            shared.exit.ask(*how);
            Ok(None)
        }
    }
}

/// Reloads the configuration. Returns the changed keys and those that need a restart; the error names the fault and its
/// line.
async fn reload(shared: &Arc<Shared>) -> Result<String, Refusal> {
    let report = shared.reload().await.map_err(|error| {
        let refusal = Refusal::new(CONFIG_FILE_ERROR, format!("configuration not reloaded: {error}"));
        refusal.hint("Nothing was changed. Mend the file, and RELOAD again.")
    })?;
    let warnings = report.warnings.iter().map(|warning| format!("\n{warning}"));
    Ok(warnings.fold(report.to_string(), |told, warning| told + &warning))
}
