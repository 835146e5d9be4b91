//! One connection for migrations. The session state of one migration is reset before the next one.

use deadpool_postgres::Client;

use crate::Control;
use crate::error::Error;

/// A connection, opened at first use. It never goes back to the pool.
pub(super) struct Session {
    control: Control,
    client: Option<Client>,
}

impl Session {
    pub fn new(control: &Control) -> Self {
        Self { control: control.clone(), client: None }
    }

    pub async fn client(&mut self) -> Result<&Client, Error> {
        if self.client.as_ref().is_some_and(|client| client.is_closed()) {
            self.leave();
        }
        match &mut self.client {
            Some(client) => Ok(client),
            none => Ok(none.insert(self.control.client().await?)),
        }
    }

    /// Ends an open transaction, and resets the session.
    pub async fn clean(&mut self) {
        let Some(client) = &self.client else { return };
        // Two messages, because the second cannot run in a transaction.
        let (ended, cleaned) = tokio::join!(client.batch_execute("ROLLBACK"), client.batch_execute(CLEAN));
        if ended.is_err() || cleaned.is_err() {
            self.leave();
        }
    }

    /// Closes the connection. PostgreSQL rolls an open transaction back.
    pub fn leave(&mut self) {
        if let Some(client) = self.client.take() {
            drop(Client::take(client));
        }
    }
}

/// Prepared statements, temporary tables, session locks and all other session state.
pub(super) const CLEAN: &str = "DISCARD ALL";

impl Drop for Session {
    // If a run is dropped in the middle, a transaction may be open.
    fn drop(&mut self) {
        self.leave();
    }
}
