//! What the second tenant's client finds on the server that the first one's has left.

use super::run::Run;

/// Everything that a session has set, and nothing that a server was started with.
const SETTINGS: &str = "SELECT name || '=' || setting FROM pg_settings WHERE source <> 'default' \
    AND context IN ('user', 'superuser') ORDER BY 1";

/// How a fresh session of the second tenant's looks.
pub struct Health {
    settings: Vec<u8>,
}

impl Run<'_> {
    /// Looks at it before anything has happened.
    pub(super) async fn health(&self) -> Result<Health, String> {
        let other = &self.tenants.other;
        let mut client = self.target.client(other, other, "").await.map_err(|error| error.to_string())?;
        let answer = client.query(SETTINGS).answer().await;
        match answer.errors {
            0 if answer.broken.is_none() => Ok(Health { settings: answer.rows }),
            _ => Err(format!("the second tenant can not read its settings: {}", answer.shown())),
        }
    }

    /// What is wrong now, if anything is.
    pub(super) async fn ailment(&self, health: &Health) -> Option<String> {
        let other = &self.tenants.other;
        let mut client = match self.target.client(other, other, "").await {
            Ok(client) => client,
            Err(error) => return Some(format!("the second tenant's client was turned away: {error}")),
        };
        let read = "SELECT value FROM secrets";
        // With a pause, in which what acts on a session that is idle would act.
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        for extended in [false, true] {
            let answer = match extended {
                true => client.statement(read).sync().answer().await,
                false => client.query(read).answer().await,
            };
            if answer.errors > 0 || answer.broken.is_some() || !answer.holds(&self.tenants.secret) {
                return Some(format!("the second tenant can not read its rows: {}", answer.shown()));
            }
        }
        let write = "BEGIN; INSERT INTO notes (value) VALUES ('passing'); ROLLBACK";
        let answer = client.query(write).answer().await;
        if answer.errors > 0 || answer.broken.is_some() {
            return Some(format!("the second tenant can not write: {}", answer.shown()));
        }
        let answer = client.query(SETTINGS).answer().await;
        (answer.rows != health.settings)
            .then(|| format!("the second tenant's settings are others: {}", answer.shown()))
    }
}
