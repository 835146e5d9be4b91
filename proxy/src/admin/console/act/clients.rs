//! KILL_CLIENT and CANCEL.

use std::sync::Arc;

use crate::clients::slot::ClientSlot;
use crate::shared::Shared;
use crate::wire::refusal::{Refusal, sqlstate};

/// Ends a client, whatever it does.
pub(super) fn kill(shared: &Shared, id: u64) -> Result<(), Refusal> {
    find(shared, id)?.end();
    Ok(())
}

/// Cancels what a client runs, or waits to run, as its own cancel request would.
pub(super) async fn cancel(shared: &Shared, id: u64) -> Result<(), Refusal> {
    find(shared, id)?.who.cancel.cancel().await;
    Ok(())
}

fn find(shared: &Shared, id: u64) -> Result<Arc<ClientSlot>, Refusal> {
    shared.clients.get(id).ok_or_else(|| {
        let refusal = Refusal::new(sqlstate::UNDEFINED_OBJECT, format!("client {id} does not exist"));
        refusal.hint("SHOW CLIENTS lists the clients with their ids.")
    })
}
