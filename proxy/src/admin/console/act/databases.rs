//! PAUSE, RESUME, DISABLE, ENABLE, KILL, RECONNECT, WAIT_CLOSE.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::config::is_console;
use crate::gate::Paused;
use crate::shared::cluster::Cluster;
use crate::shared::{DatabaseHandle, Shared};
use crate::wire::refusal::{Refusal, sqlstate};

/// The interval at which conditions are checked.
const LOOK: Duration = Duration::from_millis(5);

/// How long KILL waits for clients and servers to close.
const KILL_LIMIT: Duration = Duration::from_secs(10);

/// The SQLSTATE for a database in the wrong state.
const NOT_NOW: &str = "55000";

/// Gives servers to no client from now on, and waits until all are closed. Dropping the future undoes the pause.
pub(super) async fn pause(shared: &Shared, name: Option<&str>) -> Result<(), Refusal> {
    let chosen = clusters(shared, name)?;
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

/// Gives servers to clients again.
pub(super) fn resume(shared: &Shared, name: Option<&str>) -> Result<(), Refusal> {
    // All clusters, whatever the first result.
    let resumed = clusters(shared, name)?.iter().filter(|database| database.gate.resume()).count();
    match (resumed, name) {
        (1.., _) => Ok(()),
        (0, Some(name)) => Err(Refusal::new(NOT_NOW, format!("database \"{name}\" is not paused"))),
        (0, None) => Err(Refusal::new(NOT_NOW, "no database is paused")),
    }
}

/// Refuses new clients, or admits them again.
pub(super) fn disable(shared: &Shared, name: &str, disabled: bool) -> Result<(), Refusal> {
    for database in clusters(shared, Some(name))? {
        database.gate.set_disabled(disabled);
    }
    Ok(())
}

/// Closes all clients, and so their servers; the databases stay paused. Returns the number of clients.
pub(super) async fn kill(shared: &Shared, name: Option<&str>) -> Result<String, Refusal> {
    let chosen = chosen(shared, name)?;
    let clusters: Vec<_> = chosen.iter().flat_map(|database| database.clusters()).collect();
    for cluster in &clusters {
        cluster.gate.pause().keep();
    }
    let is_meant = |of: &str| chosen.iter().any(|database| database.name == of);
    let clients = shared.clients.all();
    let killed: Vec<_> = clients.into_iter().filter(|client| is_meant(&client.who.database)).collect();
    killed.iter().for_each(|client| client.end());
    let gone = async {
        let is_left = |id| shared.clients.get(id).is_some();
        while killed.iter().any(|client| is_left(client.id))
            || clusters.iter().any(|cluster| cluster.gate.has_servers())
        {
            sleep(LOOK).await;
        }
    };
    // PostgreSQL may need more time to end their statements, which are cancelled.
    let _ = timeout(KILL_LIMIT, gone).await;
    Ok(clients_ended(killed.len()))
}

/// The number of closed clients, for a notice.
pub(super) fn clients_ended(clients: usize) -> String {
    match clients {
        1 => "1 client was ended".into(),
        more => format!("{more} clients were ended"),
    }
}

/// Replaces idle servers at once, and others when they are returned.
pub(super) fn reconnect(shared: &Shared, name: Option<&str>) -> Result<(), Refusal> {
    for database in clusters(shared, name)? {
        database.gate.reconnect();
    }
    Ok(())
}

/// Waits until no server is left that must be replaced.
pub(super) async fn wait_close(shared: &Shared, name: Option<&str>) -> Result<(), Refusal> {
    for database in clusters(shared, name)? {
        let generation = database.roster.generation();
        while database.roster.has_older(generation) {
            sleep(LOOK).await;
        }
    }
    Ok(())
}

/// The clusters of the database of that name, or the one cluster that the name denotes: `app@b`.
fn clusters(shared: &Shared, name: Option<&str>) -> Result<Vec<Arc<Cluster>>, Refusal> {
    let all = shared.current().clusters();
    if let Some(one) =
        all.into_iter().find(|one| Some(one.name.as_str()) == name && one.name != one.database())
    {
        return Ok(vec![one]);
    }
    Ok(chosen(shared, name)?.iter().flat_map(|database| database.clusters()).collect())
}

/// The database of that name; without a name, all databases.
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
