//! One connection that migrations run on. What one of them leaves there, the next does not find.

use deadpool_postgres::Client;

use crate::Control;
use crate::error::Error;

/// A connection, taken when it is needed first. It never goes back to the pool.
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

    /// Ends whatever is open, and takes off what was set.
    pub async fn clean(&mut self) {
        let Some(client) = &self.client else { return };
        // Each in a message of its own: the second can't run in a transaction.
        let (ended, cleaned) = tokio::join!(client.batch_execute("ROLLBACK"), client.batch_execute(CLEAN));
        if ended.is_err() || cleaned.is_err() {
            self.leave();
        }
    }

    /// Closes the connection. PostgreSQL rolls back what is open.
    pub fn leave(&mut self) {
        if let Some(client) = self.client.take() {
            drop(Client::take(client));
        }
    }
}

/// Prepared statements, temporary tables, session locks and all else.
pub(super) const CLEAN: &str = "DISCARD ALL";

impl Drop for Session {
    // In a run that is given up in the middle, a transaction may be open.
    fn drop(&mut self) {
        self.leave();
    }
}
