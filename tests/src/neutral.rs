//! A neutral client: whatever others did before, it finds what a new session has.

use std::time::Duration;

use tokio::time::timeout;

use crate::{Stage, Wire, roles};

/// A server that is left to itself for longer hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Each parameter with its value; but the path, which is the tenant's, and what a language adds when it is used.
const SETTINGS: &str = "SELECT name || ' = ' || setting FROM pg_settings \
                        WHERE name <> 'search_path' AND name NOT LIKE 'plpgsql.%' ORDER BY name";

/// What such a client found that is not so in a new session of PostgreSQL's own.
pub async fn differences(stage: &Stage, tenant: &str) -> Vec<String> {
    let looking = async {
        let mut wire = stage.wire(tenant).await;
        // What comes first must not be cut short, nor refused.
        let first = wire.simple("UPDATE users SET name = name FROM pg_sleep(0.02)").await;
        let mut odd: Vec<String> = first.faults().iter().map(|fault| format!("{fault:?}")).collect();
        let found = wire.simple(SETTINGS).await;
        odd.extend(found.faults().iter().map(|fault| format!("{fault:?}")));
        if odd.is_empty() {
            let new = direct(stage, tenant).await.simple(SETTINGS).await.column();
            odd.extend(found.column().into_iter().filter(|setting| !new.contains(setting)));
        }
        odd
    };
    timeout(PATIENCE, looking).await.unwrap_or_else(|_| vec!["it hangs".to_owned()])
}

/// A session past the proxy that is what one through it would be.
pub async fn direct(stage: &Stage, tenant: &str) -> Wire {
    let options = roles::direct_options(tenant);
    let parameters = [("options", options.as_str()), ("client_encoding", "UTF8")];
    Wire::login(stage.cluster.port(), "app", "app", &parameters).await.expect("PostgreSQL lets the role in")
}

/// The process of the only server.
pub async fn pid(stage: &Stage, tenant: &str) -> String {
    stage.wire(tenant).await.simple("SELECT pg_backend_pid()").await.value()
}
