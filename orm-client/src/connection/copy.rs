//! Rows by `COPY`, in its binary form.

use std::pin::pin;

use tokio_postgres::Error;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::Type;

use super::Connection;
use super::run::Running;
use crate::entity::Parameter;

impl Connection {
    /// Sends rows behind `COPY .. FROM STDIN (FORMAT binary)`, as fast as PostgreSQL takes them, and gives how many there were. The types of
    /// the columns are those that `query` gives.
    pub(crate) async fn copy_in<'r>(
        &self,
        copy: Copy<impl Iterator<Item = Vec<Parameter<'r>>> + Send>,
    ) -> Result<u64, Error> {
        let running = Running::new(&self.running);
        let copied = self.send_rows(copy).await;
        running.through();
        copied
    }

    async fn send_rows<'r>(
        &self,
        copy: Copy<impl Iterator<Item = Vec<Parameter<'r>>> + Send>,
    ) -> Result<u64, Error> {
        let statement = self.client.prepare(&copy.query).await?;
        let types: Vec<Type> = statement.columns().iter().map(|column| column.type_().clone()).collect();
        let sink = self.client.copy_in(&copy.text).await?;
        let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
        for row in copy.rows {
            writer.as_mut().write(&row).await?;
        }
        writer.finish().await
    }
}

/// Rows that are copied.
pub(crate) struct Copy<I> {
    /// Gives the types of the columns.
    pub(crate) query: String,
    /// The statement.
    pub(crate) text: String,
    /// Their values.
    pub(crate) rows: I,
}
