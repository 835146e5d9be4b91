//! Waits until no transaction of the tenant is open at the source.
//!
//! PostgreSQL does not know tenants. A transaction is the tenant's if it has locked anything in the schema; one that has
//! locked nothing yet may be. Both are waited for, if they were open when proxies had heard of the fence: later
//! transactions are those of other tenants. What a transaction does that is not waited for fails at the source, because
//! the tables are locked and the schema is renamed; so nothing is lost.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use crate::error::Error;
use crate::name::SchemaName;

/// The time in which proxies hear of the fence.
const HEARD: Duration = Duration::from_millis(250);

/// The time between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Open transactions: each has a lock of its own identifier, which every role can see.
const ALL: &str = "SELECT l.pid, l.virtualtransaction FROM pg_locks l \
    WHERE l.locktype = 'virtualxid' AND l.granted AND l.virtualxid = l.virtualtransaction AND l.pid <> pg_backend_pid()";

/// Those of clients of this database alone, for roles that may ask for that.
const OF_THIS_DATABASE: &str = " AND EXISTS (SELECT FROM pg_stat_activity a \
    WHERE a.pid = l.pid AND a.datname = current_database() AND a.usesysid IS NOT NULL)";

const MAY_ASK: &str = "SELECT has_function_privilege('pg_stat_get_activity(int)', 'EXECUTE')";

const OPEN: &str = include_str!("sql/open.sql");

/// The open transactions of a tenant.
struct Suspects {
    pids: Vec<i32>,
    transactions: Vec<String>,
    /// The schemas that all tenants share, and pgstrata's own.
    shared: Vec<String>,
}

/// Waits up to `limit`; then the servers of the tenant's own transactions are terminated. Returns how many were.
pub(super) async fn drain(
    client: &Client,
    schema: &SchemaName,
    shared: &[String],
    limit: Duration,
) -> Result<usize, Error> {
    sleep(HEARD).await;
    let doing = || Error::postgres("looking for open transactions at the source");
    let may_ask: bool = client.query_one(MAY_ASK, &[]).await.map_err(doing())?.get(0);
    let all = format!("{ALL}{}", if may_ask { OF_THIS_DATABASE } else { "" });
    let rows = client.query(&all, &[]).await.map_err(doing())?;
    let mut shared = shared.to_vec();
    shared.extend(["information_schema".into(), crate::registry::SCHEMA.into()]);
    let suspects = Suspects {
        pids: rows.iter().map(|row| row.get(0)).collect(),
        transactions: rows.iter().map(|row| row.get(1)).collect(),
        shared,
    };
    let until = Instant::now() + limit;
    loop {
        let rows = suspects.ask(client, schema, OPEN).await.map_err(doing())?;
        if rows.is_empty() {
            return Ok(0);
        }
        if Instant::now() >= until {
            return suspects.terminate(client, schema).await;
        }
        sleep(PAUSE).await;
    }
}

impl Suspects {
    async fn ask(
        &self,
        client: &Client,
        schema: &SchemaName,
        sql: &str,
    ) -> Result<Vec<tokio_postgres::Row>, tokio_postgres::Error> {
        let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 4] = [
            (&schema.as_str(), Type::TEXT),
            (&self.pids, Type::INT4_ARRAY),
            (&self.transactions, Type::TEXT_ARRAY),
            (&self.shared, Type::TEXT_ARRAY),
        ];
        client.query_typed(sql, &parameters).await
    }

    /// Terminates the servers whose transactions have locked anything of the tenant's, in the statement that looks: a
    /// server must not be another tenant's by then.
    async fn terminate(&self, client: &Client, schema: &SchemaName) -> Result<usize, Error> {
        let sql =
            format!("SELECT pid, pg_catalog.pg_terminate_backend(pid) FROM ({OPEN}) AS open WHERE ours");
        let rows = self.ask(client, schema, &sql).await.map_err(Error::postgres(
            "ending transactions that were open for longer than --pin-timeout, for which the control role needs EXECUTE on \
             pg_terminate_backend, and to be a member of their role or of pg_signal_backend",
        ))?;
        let pids: HashSet<i32> = rows.iter().map(|row| row.get(0)).collect();
        Ok(pids.len())
    }
}
