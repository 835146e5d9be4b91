//! Many new rows at once.

use super::session::{Call, Place, Session};
use super::transaction::Transaction;
use crate::connection::Copy;
use crate::entity::{ColumnDefinition, Entity, Parameter};
use crate::query::save::How;
use crate::sql::Sql;
use crate::table::Table;
use crate::{DatabaseKind, Error, TransactionOptions};

impl Session {
    /// Inserts many rows by `COPY`, all of them or none: the quickest way to get rows in. It gives how many there were, and not the rows.
    ///
    /// Of an entity's hooks, [`Hooks::validate`](crate::Hooks::validate) alone is called.
    ///
    /// Keys that the database gives are given where the first row has none, and then no row may have one. A column with a default takes
    /// what the row says, NULL too.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let users: Vec<User> = (0..100_000).map(|n| User { name: format!("user {n}"), ..User::default() }).collect();
    /// assert_eq!(em.copy_in(&users).await?, 100_000);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What PostgreSQL says: [`Error::is_duplicate`], for one, where a row is there already.
    pub fn copy_in<E: Entity>(&self, entities: &[E]) -> impl Future<Output = Result<u64, Error>> + Send {
        let call = self.call();
        async move { copy_in(&call, entities).await }
    }
}

async fn copy_in<E: Entity>(call: &Call<'_>, entities: &[E]) -> Result<u64, Error> {
    let Some(first) = entities.first() else { return Ok(0) };
    let new = first.is_new();
    if entities.iter().any(|entity| entity.is_new() != new) {
        let what = format!("rows of {} with keys and such without are copied apart", E::DEFINITION.name);
        return Err(Error::Options(what));
    }
    for entity in entities {
        entity.validate().map_err(|source| Error::Invalid { entity: E::DEFINITION.name, source })?;
    }
    if call.kind() != DatabaseKind::Postgres {
        return insert_each(call, entities).await;
    }
    let place = call.place()?;
    let own = match call.is_transaction() {
        true => None,
        false => Some(call.begin_call(TransactionOptions::new()).await?),
    };
    let session: &Session = own.as_deref().unwrap_or(call);
    let copied = session.copy(&place, entities, new).await?;
    if let Some(own) = own {
        own.commit().await?;
    }
    Ok(copied)
}

/// What has no `COPY`.
async fn insert_each<E: Entity>(call: &Call<'_>, entities: &[E]) -> Result<u64, Error> {
    let place = call.place()?;
    let own: Option<Transaction> = match call.is_transaction() {
        true => None,
        false => Some(call.begin_call(TransactionOptions::new()).await?),
    };
    let session = own.as_deref().unwrap_or(call);
    for entity in entities {
        crate::query::save::put(session, &place, entity, How::Insert).await?;
    }
    if let Some(own) = own {
        own.commit().await?;
    }
    Ok(entities.len() as u64)
}

impl Session {
    async fn copy<E: Entity>(&self, place: &Place, rows: &[E], new: bool) -> Result<u64, Error> {
        let table = self.table(place, E::DEFINITION)?;
        let columns: Vec<_> = E::DEFINITION.columns.iter().filter(|column| gives(new, column)).collect();
        let mut query = self.sql(place);
        let hidden = table.hidden_tenant();
        if let Some(scope) = hidden {
            table.owner(scope)?;
        }
        for entity in rows {
            check_owner(&table, entity)?;
        }
        let written = |sql: &mut Sql<'_>| {
            sql.list(&columns, ", ", |sql, column| table.write_column(sql, None, column));
            if let Some(scope) = hidden {
                sql.push(if columns.is_empty() { "" } else { ", " }).name(scope.column);
            }
        };
        written(query.push("SELECT "));
        table.write(query.push(" FROM "));
        let mut text = self.sql(place);
        table.write(text.push("COPY "));
        written(text.push(" ("));
        text.push(") FROM STDIN (FORMAT binary)");
        let values = rows.iter().map(|entity| row(&table, entity, new));
        let copy = Copy { query: query.text, text: text.text, rows: values };
        let doing = || format!("copying {} of \"{}\"", E::DEFINITION.name, place.name());
        let open = self.open.as_ref().ok_or(Error::Aborted)?;
        open.copy_in(&self.watch(), copy).await.map_err(|stopped| stopped.while_doing(doing))
    }
}

/// Whether a column goes with the rows: else the database gives it.
fn gives(new: bool, column: &ColumnDefinition) -> bool {
    !column.is_stamp() && (!new || column.generated.is_none())
}

/// Whether the row is no other tenant's.
fn check_owner<E: Entity>(table: &Table, entity: &E) -> Result<(), Error> {
    if table.tenant_column().is_none() {
        return Ok(());
    }
    for (column, value) in E::DEFINITION.columns.iter().zip(entity.values()) {
        if table.is_tenants(column) {
            table.owner_by(value)?;
        }
    }
    Ok(())
}

/// A row's values, and whose it is.
fn row<'r, E: Entity>(table: &'r Table, entity: &'r E, new: bool) -> Vec<Parameter<'r>> {
    let columns = E::DEFINITION.columns.iter().zip(entity.values());
    let given = columns.filter(|(column, _)| gives(new, column));
    let mut values: Vec<Parameter<'r>> = given
        .map(|(column, value)| match table.tenant().filter(|_| table.is_tenants(column)) {
            Some(tenant) => tenant,
            None => value,
        })
        .collect();
    if table.hidden_tenant().is_some() {
        values.extend(table.tenant().map(|tenant| tenant as Parameter<'r>));
    }
    values
}
