//! Rows of one statement as they come: no more of them are in memory than the connection has room for.

use std::pin::Pin;
use std::sync::atomic::Ordering;

use futures_util::future::join;
use futures_util::stream::{self, Stream, StreamExt};
use tokio_postgres::{Error, RowStream};

use super::Lease;
use crate::row::Row;
use crate::sql::Sql;

/// A statement that is being read. Dropped before its end, it is cancelled, and its connection closed.
pub(crate) struct Streaming {
    lease: Lease,
    rows: Pin<Box<RowStream>>,
}

impl Streaming {
    /// Begins a transaction, and the statement in it in the same flight, if its types are known.
    pub(crate) async fn begin(lease: Lease, begin: &str, sql: &Sql<'_>) -> Result<Self, Error> {
        // Through when the last row is.
        lease.running.fetch_add(1, Ordering::AcqRel);
        let begun = lease.client.batch_execute(begin);
        let rows = async {
            match &sql.types {
                Some(types) => {
                    let values = sql.parameters().zip(types.iter().cloned());
                    lease.client.query_typed_raw(&sql.text, values).await
                }
                None => {
                    let statement = lease.client.prepare(&sql.text).await?;
                    lease.client.query_raw(&statement, sql.parameters()).await
                }
            }
        };
        let (begun, rows) = join(begun, rows).await;
        begun?;
        let rows = Box::pin(rows?);
        Ok(Self { lease, rows })
    }

    pub(crate) fn into_stream(self) -> impl Stream<Item = Result<Row, Error>> + Send {
        stream::unfold(Some(self), async |streaming| {
            let mut streaming = streaming?;
            match streaming.rows.next().await {
                Some(Ok(row)) => Some((Ok(Row::from(row)), Some(streaming))),
                // The connection goes with it: nobody knows how it stands.
                Some(Err(error)) => Some((Err(error), None)),
                None => match streaming.end().await {
                    Ok(()) => None,
                    Err(error) => Some((Err(error), None)),
                },
            }
        })
    }

    async fn end(self) -> Result<(), Error> {
        let Self { lease, rows } = self;
        drop(rows);
        lease.client.batch_execute("COMMIT").await?;
        lease.running.fetch_sub(1, Ordering::AcqRel);
        lease.done();
        Ok(())
    }
}
