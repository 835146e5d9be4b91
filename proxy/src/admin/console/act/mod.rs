//! What administrators do: each command to the one function that does it.
//!
//! # Layout
//! - [`databases`]: PAUSE, RESUME, DISABLE, ENABLE, KILL, RECONNECT, WAIT_CLOSE.
//! - [`tenants`]: SUSPEND TENANT, RESUME TENANT, KILL TENANT.
//! - [`clients`]: KILL_CLIENT, CANCEL. [`settings`]: SET. [`audit`]: the line that each leaves in the log.

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

/// What can be done, for SHOW HELP.
pub const HELP: &[(&str, &str)] = &[
    ("PAUSE [db]", "lends no servers: requests wait; done when all servers are closed"),
    ("RESUME [db]", "lends servers again"),
    ("DISABLE db", "refuses new clients"),
    ("ENABLE db", "lets new clients in again"),
    ("RECONNECT [db]", "replaces servers as they come back"),
    ("WAIT_CLOSE [db]", "waits until all servers are replaced that RECONNECT has asked for"),
    ("KILL [db]", "ends clients and servers at once, and pauses"),
    ("KILL_CLIENT id", "ends one client, by its id in SHOW CLIENTS"),
    ("CANCEL id", "cancels what one client runs, by its id in SHOW CLIENTS"),
    ("SUSPEND TENANT name [IN db]", "refuses a tenant's clients, at all proxies"),
    ("RESUME TENANT name [IN db]", "lets them in again"),
    ("KILL TENANT name [IN db]", "ends a tenant's clients at this proxy"),
    ("RELOAD", "reads the configuration again, and says what has changed and what needs a restart"),
    ("SHUTDOWN", "ends the proxy at once"),
    ("SHUTDOWN WAIT_FOR_SERVERS", "ends it when open transactions are over"),
    ("SHUTDOWN WAIT_FOR_CLIENTS", "ends it when all clients have left"),
    ("SET key = value", "for drivers: keys of the configuration are changed in its file, by RELOAD"),
];

/// Does it; gives what there is to tell about it. Whoever stops waiting leaves nothing half done.
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
        Act::Reload => reload(shared).await.map(Some),
        Act::Shutdown(how) => {
            shared.exit.ask(*how);
            Ok(None)
        }
    }
}

/// Reads the configuration again. Says what has changed, and what needs a restart; or what is wrong, and where.
async fn reload(shared: &Arc<Shared>) -> Result<String, Refusal> {
    let report = shared.reload().await.map_err(|error| {
        let refusal = Refusal::new(CONFIG_FILE_ERROR, format!("configuration not reloaded: {error}"));
        refusal.hint("Nothing was changed. Mend the file, and RELOAD again.")
    })?;
    let warnings = report.warnings.iter().map(|warning| format!("\n{warning}"));
    Ok(warnings.fold(report.to_string(), |told, warning| told + &warning))
}
