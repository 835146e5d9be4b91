//! Rows by `COPY`, in its binary form.

use std::pin::pin;

use tokio_postgres::Error;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::Type;

use super::Connection;
use super::run::Running;
use crate::entity::{ColumnDefinition, Entity, Parameter};

impl Connection {
    /// Sends rows behind `COPY .. FROM STDIN (FORMAT binary)`, as fast as PostgreSQL takes them, and gives how many there were. The types of
    /// the columns are those that `query` gives.
    pub(crate) async fn copy_in<E: Entity>(&self, copy: &Copy<'_, E>) -> Result<u64, Error> {
        let running = Running::new(&self.running);
        let copied = self.send_rows(copy).await;
        running.through();
        copied
    }

    async fn send_rows<E: Entity>(&self, copy: &Copy<'_, E>) -> Result<u64, Error> {
        let statement = self.client.prepare(&copy.query).await?;
        let types: Vec<Type> = statement.columns().iter().map(|column| column.type_().clone()).collect();
        let sink = self.client.copy_in(&copy.text).await?;
        let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
        for entity in copy.rows {
            let row = copy.row(entity);
            writer.as_mut().write_raw(row).await?;
        }
        writer.finish().await
    }
}

/// Rows, and the statements that they go by.
pub(crate) struct Copy<'r, E> {
    /// Of the columns that are given, for their types.
    pub(crate) query: String,
    pub(crate) text: String,
    pub(crate) rows: &'r [E],
    /// The database gives the keys.
    pub(crate) new: bool,
}

impl<'r, E: Entity> Copy<'r, E> {
    /// Whether rows have a value for it.
    pub(crate) fn gives(new: bool, column: &ColumnDefinition) -> bool {
        !(new && column.generated.is_some())
    }

    fn row(&self, entity: &'r E) -> Vec<Parameter<'r>> {
        let columns = E::DEFINITION.columns.iter().zip(entity.values());
        columns.filter(|(column, _)| Self::gives(self.new, column)).map(|(_, value)| value).collect()
    }
}
