//! Rows as they come.

use futures_util::future::Either;
use futures_util::stream::{self, Stream, TryStreamExt};

use super::modes::TransactionOptions;
use super::plain::Names;
use super::session::{Place, Session};
use crate::connection::Streaming;
use crate::entity::Entity;
use crate::row::Row;
use crate::sql::Sql;
use crate::{DatabaseKind, Error};

impl Session {
    /// The rows of a statement, which reads only. They come on a connection of their own, in a transaction with the tenant's path.
    pub(crate) async fn stream<E: Entity>(
        &self,
        place: &Place,
        names: &Names,
        sql: &Sql<'_>,
    ) -> Result<impl Stream<Item = Result<Row, Error>> + Send + use<E>, Error> {
        if self.is_transaction() || self.kind() != DatabaseKind::Postgres {
            let rows = self.read::<E>(place, names, sql).await?;
            return Ok(Either::Left(stream::iter(rows.into_iter().map(Ok))));
        }
        self.check_operators(place, sql).await?;
        let steps = self.path_steps(place, TransactionOptions::new().read_only(true));
        let doing = format!("reading {} of \"{}\"", E::DEFINITION.name, place.name());
        let failed = {
            let doing = doing.clone();
            move |source| Error::Postgres { doing: doing.clone(), source, timed_out: false }
        };
        let lease = self.lease(place).await?.postgres()?;
        let begun = Streaming::begin(lease, &steps.join("; "), sql).await;
        let rows = begun.map_err(&failed)?.into_stream();
        Ok(Either::Right(rows.map_err(failed)))
    }
}
