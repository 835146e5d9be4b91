//! KILL_CLIENT and CANCEL.

use std::sync::Arc;

use crate::clients::slot::ClientSlot;
use crate::shared::Shared;
use crate::wire::refusal::{Refusal, sqlstate};

/// Closes a client, in any state.
pub(super) fn kill(shared: &Shared, id: u64) -> Result<(), Refusal> {
    find(shared, id)?.end();
    Ok(())
}

/// Cancels the statement that a client runs, or its wait, like a cancel request of the client.
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
