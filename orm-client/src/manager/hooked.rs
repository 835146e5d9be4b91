//! Rows of entities with hooks: what their hooks and the statement between them do is one transaction of the tenant's.

use super::modes::TransactionOptions;
use super::session::{Call, Place, Session};
use super::transaction::Transaction;
use crate::Error;
use crate::context::{MetadataContext, Tenant};
use crate::entity::Entity;
use crate::query::save::{self, How};

/// Where hooks run.
struct Hooked {
    /// A transaction for them alone; none in one of the caller's.
    own: Option<Transaction>,
    place: Place,
}

impl Hooked {
    /// Both are of the same tenant: nothing is awaited between them.
    async fn begin(call: &Call<'_>) -> Result<Self, Error> {
        let place = call.place()?;
        let own = match call.is_transaction() {
            true => None,
            false => Some(call.begin_call(TransactionOptions::new()).await?),
        };
        Ok(Self { own, place })
    }

    fn session<'h>(&'h self, call: &'h Call<'_>) -> &'h Session {
        self.own.as_deref().unwrap_or(call)
    }

    /// Runs a hook in the context of the row's tenant, if the call was made in any.
    async fn run(&self, hook: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
        if !self.place.is_said() {
            return hook.await;
        }
        let tenant = self.place.tenant().map_or(Tenant::PUBLIC, Tenant::from);
        MetadataContext::run(tenant, hook).await
    }

    async fn end(self) -> Result<(), Error> {
        match self.own {
            Some(own) => own.commit().await,
            None => Ok(()),
        }
    }
}

/// What failed behind a statement takes the statement along: a transaction of the caller's own is not committed.
fn undone<T>(session: &Session, outcome: Result<T, Error>) -> Result<T, Error> {
    if outcome.is_err()
        && let Some(open) = &session.open
    {
        open.fail();
    }
    outcome
}

/// Saves one row, between its hooks.
pub(crate) async fn save<E: Entity>(call: &Call<'_>, entity: &E, how: How<'_, E>) -> Result<E, Error> {
    let Some(mut row) = entity.copied() else { return Err(Error::Unregistered(E::DEFINITION.name)) };
    let hooked = Hooked::begin(call).await?;
    let (session, saving) = (hooked.session(call), how.saving(entity));
    undone(session, hooked.run(row.before_save(session, saving)).await)?;
    let valid = row.validate().map_err(|source| Error::Invalid { entity: E::DEFINITION.name, source });
    undone(session, valid)?;
    let mut saved = save::put(session, &hooked.place, &row, how).await?;
    undone(session, hooked.run(saved.after_save(session, saving)).await)?;
    hooked.end().await?;
    Ok(saved)
}

/// Saves all of them, or none, each between its hooks.
pub(crate) async fn save_many<E: Entity>(call: &Call<'_>, entities: &[E]) -> Result<Vec<E>, Error> {
    let hooked = Hooked::begin(call).await?;
    let session = hooked.session(call).call_of(call);
    let mut saved = Vec::with_capacity(entities.len());
    for entity in entities {
        saved.push(undone(&session, save(&session, entity, How::Save).await)?);
    }
    drop(session);
    hooked.end().await?;
    Ok(saved)
}

/// Deletes the row with this key, between its hooks. What is not known of it is read first.
pub(crate) async fn delete<E: Entity>(
    call: &Call<'_>,
    key: &E::Key,
    entity: Option<&E>,
) -> Result<bool, Error> {
    let hooked = Hooked::begin(call).await?;
    let session = hooked.session(call);
    let found = match entity {
        Some(_) => None,
        None => save::find(session, &hooked.place, key).await?,
    };
    let Some(row) = entity.or(found.as_ref()) else { return Ok(false) };
    undone(session, hooked.run(row.before_delete(session)).await)?;
    let deleted = save::delete::<E>(session, &hooked.place, key).await?;
    if deleted {
        undone(session, hooked.run(row.after_delete(session)).await)?;
    }
    hooked.end().await?;
    Ok(deleted)
}
