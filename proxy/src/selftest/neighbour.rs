//! The second tenant's client, on the server that the first tenant's client has left.

use super::run::Run;

/// All settings of the session, without those of the server.
const SETTINGS: &str = "SELECT name || '=' || setting FROM pg_settings WHERE source <> 'default' \
    AND context IN ('user', 'superuser') ORDER BY 1";

/// The state of a fresh session of the second tenant.
pub struct Health {
    settings: Vec<u8>,
}

impl Run<'_> {
    /// Reads the state before any attack.
    pub(super) async fn health(&self) -> Result<Health, String> {
        let other = &self.tenants.other;
        let mut client = self.target.client(other, other, "").await.map_err(|error| error.to_string())?;
        let answer = client.query(SETTINGS).answer().await;
        match answer.errors {
            0 if answer.broken.is_none() => Ok(Health { settings: answer.rows }),
            _ => Err(format!("the second tenant cannot read its settings: {}", answer.shown())),
        }
    }

    /// The difference from that state, if there is one.
    pub(super) async fn ailment(&self, health: &Health) -> Option<String> {
        let other = &self.tenants.other;
        let mut client = match self.target.client(other, other, "").await {
            Ok(client) => client,
            Err(error) => return Some(format!("the second tenant's client could not log in: {error}")),
        };
        let read = "SELECT value FROM secrets";
        // After a pause, in which settings that act on an idle session would act.
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        for extended in [false, true] {
            let answer = match extended {
                true => client.statement(read).sync().answer().await,
                false => client.query(read).answer().await,
            };
            if answer.errors > 0 || answer.broken.is_some() || !answer.holds(&self.tenants.secret) {
                return Some(format!("the second tenant cannot read its rows: {}", answer.shown()));
            }
        }
        let write = "BEGIN; INSERT INTO notes (value) VALUES ('passing'); ROLLBACK";
        let answer = client.query(write).answer().await;
        if answer.errors > 0 || answer.broken.is_some() {
            return Some(format!("the second tenant cannot write: {}", answer.shown()));
        }
        let answer = client.query(SETTINGS).answer().await;
        (answer.rows != health.settings)
            .then(|| format!("the second tenant's settings have changed: {}", answer.shown()))
    }
}
