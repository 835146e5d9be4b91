//! SUSPEND TENANT, RESUME TENANT, KILL TENANT.

use std::sync::Arc;

use pgstrata_control::Control;
use pgstrata_control::registry::State;

use super::databases::{chosen, clients_ended};
use crate::admin::console::command::TenantName;
use crate::config::Config;
use crate::error_text::with_sources;
use crate::shared::{DatabaseHandle, Shared};
use crate::tenant::{Failure, connect};
use crate::wire::refusal::{Refusal, sqlstate};

/// Refuses a tenant's clients, at this proxy and at all others, by its state in the registry.
pub(super) async fn suspend(shared: &Shared, name: &TenantName) -> Result<(), Refusal> {
    set_state(shared, name, State::Suspended, State::Active).await
}

/// Admits them again.
pub(super) async fn resume(shared: &Shared, name: &TenantName) -> Result<(), Refusal> {
    set_state(shared, name, State::Active, State::Suspended).await
}

/// Closes the clients that work for a tenant. Returns their number.
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

/// Changes the state, like `pgstrata tenant suspend` and `resume`.
async fn set_state(shared: &Shared, name: &TenantName, to: State, from: State) -> Result<(), Refusal> {
    let (database, config) = (only(shared, name)?, &shared.current().config);
    let home = control_of(config, &database.name)?;
    let schema = connect::schema(config, home.settings(), &name.tenant).map_err(failed)?;
    let place = database.locate(&schema.as_str().into()).await;
    let place = place.map_err(|error| Refusal::new("55000", with_sources(&*error)))?;
    let control =
        if place.cluster.id == database.home.id { home } else { control_of(config, &place.cluster.name)? };
    control.set_state(&schema, to, &[from, to]).await.map_err(|error| failed(error.into()))?;
    // PostgreSQL sends a notification, but the client may continue before it arrives.
    place.cluster.directory.invalidate(schema.as_str());
    Ok(())
}

/// A connection of the control role of a database entry.
fn control_of(config: &Config, entry: &str) -> Result<Control, Refusal> {
    let Some(database) = config.databases.get(entry) else { return Err(unknown(entry)) };
    connect::control(config, entry, database, None).map_err(failed)
}

/// The database of the command.
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
