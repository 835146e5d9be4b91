//! PAUSE, RESUME, DISABLE, ENABLE, KILL, RECONNECT, WAIT_CLOSE.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::config::is_console;
use crate::gate::Paused;
use crate::shared::{DatabaseHandle, Shared};
use crate::wire::refusal::{Refusal, sqlstate};

/// How often it is looked whether something has come about.
const LOOK: Duration = Duration::from_millis(5);

/// How long KILL waits for clients and servers to be gone.
const KILL_LIMIT: Duration = Duration::from_secs(10);

/// Something is not in the state that a command needs.
const NOT_NOW: &str = "55000";

/// Lends no servers from now on, and waits until all are closed. Given up, it is as if it had not been asked for.
pub(super) async fn pause(shared: &Shared, name: Option<&str>) -> Result<(), Refusal> {
    let chosen = chosen(shared, name)?;
    if name.is_none() && chosen.iter().all(|database| database.gate.is_paused()) {
        return Err(Refusal::new(NOT_NOW, "all databases are paused already"));
    }
    let paused: Vec<Paused> = chosen.iter().map(|database| database.gate.pause()).collect();
    for pause in &paused {
        while pause.gate().has_servers() {
            if !pause.lasts() {
                return Err(Refusal::new(
                    NOT_NOW,
                    "PAUSE was ended by RESUME before all servers were closed",
                ));
            }
            sleep(LOOK).await;
        }
    }
    paused.into_iter().for_each(Paused::keep);
    Ok(())
}

/// Lends servers again.
pub(super) fn resume(shared: &Shared, name: Option<&str>) -> Result<(), Refusal> {
    // All of them, whatever the first says.
    let resumed = chosen(shared, name)?.iter().filter(|database| database.gate.resume()).count();
    match (resumed, name) {
        (1.., _) => Ok(()),
        (0, Some(name)) => Err(Refusal::new(NOT_NOW, format!("database \"{name}\" is not paused"))),
        (0, None) => Err(Refusal::new(NOT_NOW, "no database is paused")),
    }
}

/// Refuses new clients, or lets them in again.
pub(super) fn disable(shared: &Shared, name: &str, disabled: bool) -> Result<(), Refusal> {
    for database in chosen(shared, Some(name))? {
        database.gate.set_disabled(disabled);
    }
    Ok(())
}

/// Ends all clients, and with them their servers; the databases stay paused. Says how many there were.
pub(super) async fn kill(shared: &Shared, name: Option<&str>) -> Result<String, Refusal> {
    let chosen = chosen(shared, name)?;
    for database in &chosen {
        database.gate.pause().keep();
    }
    let is_meant = |of: &str| chosen.iter().any(|database| database.name == of);
    let clients = shared.clients.all();
    let killed: Vec<_> = clients.into_iter().filter(|client| is_meant(&client.who.database)).collect();
    killed.iter().for_each(|client| client.end());
    let gone = async {
        let is_left = |id| shared.clients.get(id).is_some();
        while killed.iter().any(|client| is_left(client.id))
            || chosen.iter().any(|database| database.gate.has_servers())
        {
            sleep(LOOK).await;
        }
    };
    // PostgreSQL may be slow to end what they ran: they are on their way out anyhow.
    let _ = timeout(KILL_LIMIT, gone).await;
    Ok(clients_ended(killed.len()))
}

/// What was ended, for a notice.
pub(super) fn clients_ended(clients: usize) -> String {
    match clients {
        1 => "1 client was ended".into(),
        more => format!("{more} clients were ended"),
    }
}

/// Has servers replaced when they come back, idle ones now.
pub(super) fn reconnect(shared: &Shared, name: Option<&str>) -> Result<(), Refusal> {
    for database in chosen(shared, name)? {
        database.gate.reconnect();
    }
    Ok(())
}

/// Waits until no server is left that is to be replaced now.
pub(super) async fn wait_close(shared: &Shared, name: Option<&str>) -> Result<(), Refusal> {
    for database in chosen(shared, name)? {
        let generation = database.roster.generation();
        while database.roster.has_older(generation) {
            sleep(LOOK).await;
        }
    }
    Ok(())
}

/// The database of that name; all where none is named.
pub(super) fn chosen(shared: &Shared, name: Option<&str>) -> Result<Vec<Arc<DatabaseHandle>>, Refusal> {
    let databases = &shared.current().databases;
    let Some(name) = name else { return Ok(databases.values().cloned().collect()) };
    match databases.get(name) {
        Some(database) => Ok(vec![Arc::clone(database)]),
        None if is_console(name) => {
            let message = format!("\"{name}\" is the console, and has no servers");
            Err(Refusal::new(sqlstate::FEATURE_NOT_SUPPORTED, message))
        }
        None => {
            let message = format!("database \"{name}\" does not exist");
            let refusal = Refusal::new(sqlstate::INVALID_CATALOG_NAME, message);
            Err(refusal.hint("SHOW DATABASES lists the databases."))
        }
    }
}
