//! SUSPEND TENANT, RESUME TENANT, KILL TENANT.

use std::sync::Arc;

use pgstrata_control::registry::State;

use super::databases::{chosen, clients_ended};
use crate::admin::console::command::TenantName;
use crate::shared::{DatabaseHandle, Shared};
use crate::tenant::{Failure, connect};
use crate::wire::refusal::{Refusal, sqlstate};

/// Refuses a tenant's clients, here and at all other proxies: it is the registry that says so.
pub(super) async fn suspend(shared: &Shared, name: &TenantName) -> Result<(), Refusal> {
    set_state(shared, name, State::Suspended, State::Active).await
}

/// Lets them in again.
pub(super) async fn resume(shared: &Shared, name: &TenantName) -> Result<(), Refusal> {
    set_state(shared, name, State::Active, State::Suspended).await
}

/// Ends the clients that work for a tenant. Says how many there were.
pub(super) fn kill(shared: &Shared, name: &TenantName) -> Result<String, Refusal> {
    let TenantName { tenant, database } = name;
    let chosen = chosen(shared, database.as_deref())?;
    let is_meant = |of: &str| chosen.iter().any(|database| database.name == of);
    let clients = shared.clients.all();
    let own = clients.iter().filter(|client| is_meant(&client.who.database));
    let own: Vec<_> = own.filter(|client| client.place().tenant.as_deref() == Some(tenant)).collect();
    own.iter().for_each(|client| client.end());
    Ok(clients_ended(own.len()))
}

/// Does what `pgstrata tenant suspend` and `resume` do.
async fn set_state(shared: &Shared, name: &TenantName, to: State, from: State) -> Result<(), Refusal> {
    let (database, config) = (only(shared, name)?, &shared.current().config);
    let Some(entry) = config.databases.get(&database.name) else { return Err(unknown(&database.name)) };
    let control = connect::control(config, &database.name, entry, None).map_err(failed)?;
    let schema = connect::schema(config, control.settings(), &name.tenant).map_err(failed)?;
    control.set_state(&schema, to, &[from, to]).await.map_err(|error| failed(error.into()))?;
    // PostgreSQL tells, but whoever asked may look at once.
    database.directory.invalidate(schema.as_str());
    Ok(())
}

/// The database that is meant.
fn only(shared: &Shared, name: &TenantName) -> Result<Arc<DatabaseHandle>, Refusal> {
    match &chosen(shared, name.database.as_deref())?[..] {
        [only] => Ok(Arc::clone(only)),
        _ => {
            let message = format!("there are several databases that tenant \"{}\" may be in", name.tenant);
            let refusal = Refusal::new(sqlstate::SYNTAX_ERROR, message);
            Err(refusal.hint("Name one: SUSPEND TENANT name IN database."))
        }
    }
}

fn unknown(database: &str) -> Refusal {
    Refusal::new(sqlstate::INVALID_CATALOG_NAME, format!("database \"{database}\" does not exist"))
}

fn failed(failure: Failure) -> Refusal {
    Refusal::new("55000", failure.to_string())
}
