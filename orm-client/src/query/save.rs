//! Rows as they are to be, there already or not.

use std::future::IntoFuture;

use bytes::BytesMut;
use tokio_postgres::types::IsNull;

use super::Asked;
use super::answer::decoded;
use super::writer::Writer;
use crate::entity::{ColumnDefinition, Entity, Generated, Parameter, PrimaryKey, UniqueKey};
use crate::manager::{Call, Place, Session, TransactionOptions, hooked};
use crate::sql::{Sql, type_of};
use crate::table::{self, Table};
use crate::{DatabaseKind, Error, Saving};

/// Values of one statement at most: the protocol counts them in 16 bits.
const MAX_VALUES: usize = 30_000;

/// Inserts a row, or changes the one that has the same unique value; `.await` does it, and gives the row as it is then.
///
/// ```no_run
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # async fn example(em: EntityManager, user: User) -> Result<(), Error> {
/// let user: User = em.upsert(&user).on(User::EMAIL).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is done until it is awaited"]
pub struct Upsert<'s, E> {
    session: Call<'s>,
    entity: &'s E,
    on: Vec<usize>,
}

impl<'s, E: Entity> Upsert<'s, E> {
    pub(crate) fn new(session: Call<'s>, entity: &'s E) -> Self {
        Self { session, entity, on: Vec::new() }
    }

    /// What says whether it is the same row: a unique column, or a unique index; the primary key, if nothing is said. What is not
    /// unique is refused by the compiler.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager, user: User, post: Post) -> Result<(), Error> {
    /// em.upsert(&user).on(User::EMAIL).await?;
    /// // The unique index over both.
    /// em.upsert(&post).on(Post::AUTHOR_ID_TITLE).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// ```compile_fail
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager, user: User) -> Result<(), Error> {
    /// em.upsert(&user).on(User::NAME).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn on(mut self, key: impl UniqueKey<E>) -> Self {
        self.on = key.columns();
        self
    }

    /// The SQL that would be sent in the context of now, with `$1`, `$2` ... for values.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let user = User { name: "Alice".into(), email: Some("alice@example.com".into()), ..User::default() };
    /// let sql = em.upsert(&user).on(User::EMAIL).sql()?;
    /// assert!(sql.starts_with(r#"INSERT INTO "public"."users" ("id", "name", "email") VALUES (DEFAULT, $1, $2)"#));
    /// assert!(sql.contains(r#"ON CONFLICT ("email") DO UPDATE SET "name" = excluded."name""#));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// As of the change itself.
    pub fn sql(&self) -> Result<String, Error> {
        let on = tells::<E>(&self.on)?;
        Ok(insert(&self.session, &self.session.place()?, &[self.entity], Some(&on))?.text)
    }
}

impl<'s, E: Entity> IntoFuture for Upsert<'s, E> {
    type Output = Result<E, Error>;
    type IntoFuture = Asked<'s, E>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { save(&self.session, self.entity, How::Upsert(&self.on)).await })
    }
}

/// How a row is saved.
pub(crate) enum How<'w, E> {
    /// A new one is inserted, one with a key is inserted or changed.
    Save,
    /// It is inserted, or it fails if it is there.
    Insert,
    /// What differs from this is changed.
    Changes(&'w E),
    /// It is inserted, or changed where these columns are the same; none: where the key is.
    Upsert(&'w [usize]),
}

impl<E: Entity> How<'_, E> {
    pub(crate) fn saving(&self, entity: &E) -> Saving {
        match self {
            Self::Insert => Saving::Insert,
            Self::Save if entity.is_new() => Saving::Insert,
            Self::Changes(_) => Saving::Change,
            Self::Save | Self::Upsert(_) => Saving::Either,
        }
    }
}

/// Saves one row, between its hooks if it has any.
pub(crate) async fn save<E: Entity>(call: &Call<'_>, entity: &E, how: How<'_, E>) -> Result<E, Error> {
    match E::HOOKED {
        true => {
            // In a box: a hook may save rows of its own type.
            let saved: Asked<'_, E> = Box::pin(hooked::save(call, entity, how));
            saved.await
        }
        false => put(call, &call.place()?, entity, how).await,
    }
}

/// Saves one row, and calls no hooks.
pub(crate) async fn put<E: Entity>(
    session: &Session,
    place: &Place,
    entity: &E,
    how: How<'_, E>,
) -> Result<E, Error> {
    let sql = match how {
        How::Changes(before) => return put_changes(session, place, before, entity).await,
        How::Save => saving(session, place, &[entity])?,
        How::Insert => insert(session, place, &[entity], None)?,
        How::Upsert(on) => insert(session, place, &[entity], Some(&tells::<E>(on)?))?,
    };
    written(session, place, &sql, 1).await?.pop().ok_or(Error::Suppressed {
        entity: E::DEFINITION.name,
        saved: 0,
        of: 1,
    })
}

/// The columns that say whether a row is the same: these, or the key.
fn tells<E: Entity>(on: &[usize]) -> Result<Vec<&'static ColumnDefinition>, Error> {
    match on.is_empty() {
        true => Ok(E::DEFINITION.columns.iter().filter(|column| column.primary_key).collect()),
        false => on.iter().map(|column| table::column(E::DEFINITION, *column)).collect(),
    }
}

/// One row by its primary key.
pub(crate) async fn find<E: Entity>(
    session: &Session,
    place: &Place,
    key: &E::Key,
) -> Result<Option<E>, Error> {
    let mut writer = Writer::new(session, place);
    let mut sql = session.sql(place);
    let table = writer.table(E::DEFINITION)?;
    sql.push("SELECT ");
    table.write_columns(&mut sql, None);
    sql.push(" FROM ");
    table.write(&mut sql);
    by_key::<E>(&mut sql, &table, key)?;
    let names = writer.names;
    let rows = session.read::<E>(place, &names, &sql).await?;
    rows.first().map(|row| decoded(row, 0)).transpose()
}

/// Changes the columns in which `after` is not as `before`, if the row is there as it was read.
async fn put_changes<E: Entity>(session: &Session, place: &Place, before: &E, after: &E) -> Result<E, Error> {
    let key = before.key();
    let mut sql = session.sql(place);
    let table = Writer::new(session, place).table(E::DEFINITION)?;
    let changed = changes(before, after, &table)?;
    let version = E::DEFINITION.columns.iter().position(|column| column.version);
    if changed.is_empty() {
        sql.push("SELECT ");
        table.write_columns(&mut sql, None);
        sql.push(" FROM ");
        table.write(&mut sql);
    } else {
        sql.push("UPDATE ");
        table.write(&mut sql);
        sql.push(" SET ");
        sql.list(changed.iter().copied(), ", ", |sql, (column, value)| {
            table.write_column(sql, None, column);
            sql.push(" = ").bind(value, type_of(column.sql_type));
        });
        stamp(&mut sql, &table, &[]);
        if let Some(column) = version.and_then(|version| E::DEFINITION.columns.get(version)) {
            table.write_column(sql.push(", "), None, column);
            table.write_column(sql.push(" = "), None, column);
            sql.push(" + 1");
        }
    }
    by_key::<E>(&mut sql, &table, &key)?;
    let values = before.values();
    let was = version.and_then(|version| E::DEFINITION.columns.get(version).zip(values.get(version)));
    if let Some((column, value)) = was {
        table.write_column(sql.push(" AND "), None, column);
        sql.push(" = ").bind(*value, type_of(column.sql_type));
    }
    if !changed.is_empty() {
        sql.push(" RETURNING ");
        table.write_columns(&mut sql, None);
    }
    let rows = session.write::<E>(place, &sql).await?.rows;
    let row = rows.first().ok_or(Error::Stale(E::DEFINITION.name))?;
    decoded(row, 0)
}

/// The columns whose values differ, with the new ones. A key is what finds the row, and a version what the database counts.
fn changes<'v, E: Entity>(
    before: &E,
    after: &'v E,
    table: &Table,
) -> Result<Vec<(&'static ColumnDefinition, Parameter<'v>)>, Error> {
    let values = before.values().into_iter().zip(after.values());
    let mut changed = Vec::new();
    for (column, (old, new)) in E::DEFINITION.columns.iter().zip(values) {
        let same = || wire(old, column).is_some_and(|old| wire(new, column) == Some(old));
        if column.primary_key || column.version || column.is_stamp() || same() {
            continue;
        }
        // A row stays its tenant's.
        if !table.is_tenants(column) || table.owner_by(new)?.is_none() {
            changed.push((column, new));
        }
    }
    Ok(changed)
}

/// A value as it goes over the wire, and whether it is NULL; none of a type that only PostgreSQL knows.
fn wire(value: Parameter<'_>, column: &ColumnDefinition) -> Option<(bool, BytesMut)> {
    let mut raw = BytesMut::new();
    let null = value.to_sql_checked(&type_of(column.sql_type)?, &mut raw).ok()?;
    Some((matches!(null, IsNull::Yes), raw))
}

/// Saves all of them or none, in as few statements as can be. They come back in the same order.
pub(crate) async fn save_many<E: Entity>(session: &Call<'_>, entities: &[E]) -> Result<Vec<E>, Error> {
    if E::HOOKED {
        return hooked::save_many(session, entities).await;
    }
    let place = session.place()?;
    let most = match session.kind() {
        DatabaseKind::Postgres => (MAX_VALUES / E::DEFINITION.columns.len().max(1)).max(1),
        // Rows of one statement there have the same columns, whatever they leave to the database.
        _ => 1,
    };
    // Rows that are new never meet one that is there; the others may.
    let mut batches: Vec<Vec<&E>> = Vec::new();
    let mut last = None;
    for entity in entities {
        let new = entity.is_new();
        match batches.last_mut() {
            Some(batch) if last == Some(new) && batch.len() < most => batch.push(entity),
            _ => batches.push(vec![entity]),
        }
        last = Some(new);
    }
    let alone = batches.len() < 2 || session.is_transaction();
    let transaction = match alone {
        true => None,
        false => Some(session.begin_call(TransactionOptions::new()).await?),
    };
    let session: &Session = transaction.as_deref().unwrap_or(session);
    let mut saved = Vec::with_capacity(entities.len());
    for batch in &batches {
        let mut sql = saving(session, &place, batch)?;
        sql.once = batch.len() > 1;
        saved.extend(written(session, &place, &sql, batch.len()).await?);
    }
    if let Some(transaction) = transaction {
        transaction.commit().await?;
    }
    Ok(saved)
}

fn saving<'v, E: Entity>(session: &Session, place: &Place, rows: &[&'v E]) -> Result<Sql<'v>, Error> {
    let keys: Vec<_> = E::DEFINITION.columns.iter().filter(|column| column.primary_key).collect();
    let new = rows.iter().all(|entity| entity.is_new()) || keys.is_empty();
    insert(session, place, rows, (!new).then_some(&keys))
}

/// `INSERT INTO "users" (..) VALUES (..) ON CONFLICT (..) DO UPDATE SET .. RETURNING ..`
fn insert<'v, E: Entity>(
    session: &Session,
    place: &Place,
    rows: &[&'v E],
    on: Option<&Vec<&'static ColumnDefinition>>,
) -> Result<Sql<'v>, Error> {
    let mut sql = session.sql(place);
    let table = Writer::new(session, place).table(E::DEFINITION)?;
    sql.push("INSERT INTO ");
    table.write(&mut sql);
    if sql.dialect != DatabaseKind::Postgres {
        given(&mut sql, &table, rows)?;
    } else {
        every(&mut sql, &table, rows)?;
    }
    if let Some(on) = on {
        let new = rows.iter().any(|entity| entity.is_new());
        conflict(&mut sql, &table, on, new);
    }
    sql.push(" RETURNING ");
    table.write_columns(&mut sql, None);
    Ok(sql)
}

/// The columns that a row gives, where a database has no word for those that it does not.
fn given<'v, E: Entity>(sql: &mut Sql<'v>, table: &Table, rows: &[&'v E]) -> Result<(), Error> {
    let Some(entity) = rows.first() else { return Ok(()) };
    let new = entity.is_new();
    let columns = E::DEFINITION.columns.iter().zip(entity.values());
    let given: Vec<_> = columns
        .filter(|(column, value)| {
            is_counted(table, column, new) || table.is_tenants(column) || !by_default(column, *value, new)
        })
        .collect();
    let hidden = table.hidden_tenant();
    if given.is_empty() && hidden.is_none() {
        sql.push(" DEFAULT VALUES");
        return Ok(());
    }
    sql.push(" (");
    sql.list(&given, ", ", |sql, (column, _)| table.write_column(sql, None, column));
    if let Some(scope) = hidden {
        sql.push(if given.is_empty() { "" } else { ", " }).name(scope.column);
    }
    sql.push(") VALUES (");
    for (n, (column, value)) in given.iter().enumerate() {
        sql.push(if n == 0 { "" } else { ", " });
        match is_counted(table, column, new) {
            true => next_key(sql, table, column),
            false => put_value(sql, table, column, *value)?,
        }
    }
    if let Some(scope) = hidden {
        sql.push(if given.is_empty() { "" } else { ", " }).bind_tenant(table.owner(scope)?);
    }
    sql.push(")");
    Ok(())
}

/// Whether a new row's key is counted by the ORM: where rows of all tenants are in one table of a database that counts by table.
fn is_counted(table: &Table, column: &ColumnDefinition, new: bool) -> bool {
    new && column.generated == Some(Generated::Identity) && table.tenant_column().is_some()
}

/// The next of the tenant's own. Whoever writes to SQLite is alone.
fn next_key(sql: &mut Sql<'_>, table: &Table, column: &'static ColumnDefinition) {
    table.write_column(sql.push("(SELECT coalesce(max("), None, column);
    table.write(sql.push("), 0) + 1 FROM "));
    table.write_scope(sql, " WHERE ", None);
    sql.push(")");
}

/// A value of a new row; whose it is, and the moments, are not the entity's to say.
fn put_value<'v>(
    sql: &mut Sql<'v>,
    table: &Table,
    column: &'static ColumnDefinition,
    value: Parameter<'v>,
) -> Result<(), Error> {
    if column.is_stamp() {
        sql.now();
        return Ok(());
    }
    match table.is_tenants(column).then(|| table.owner_by(value)).transpose()?.flatten() {
        Some(tenant) => sql.bind_tenant(tenant),
        None => sql.bind(value, type_of(column.sql_type)),
    };
    Ok(())
}

/// All columns of all rows, with a word for what the database gives.
fn every<'v, E: Entity>(sql: &mut Sql<'v>, table: &Table, rows: &[&'v E]) -> Result<(), Error> {
    let hidden = table.hidden_tenant();
    sql.push(" (");
    table.write_columns(sql, None);
    if let Some(scope) = hidden {
        sql.push(", ").name(scope.column);
    }
    sql.push(") VALUES ");
    for (n, entity) in rows.iter().enumerate() {
        let new = entity.is_new();
        sql.push(if n == 0 { "(" } else { ", (" });
        for (n, (column, value)) in E::DEFINITION.columns.iter().zip(entity.values()).enumerate() {
            sql.push(if n == 0 { "" } else { ", " });
            match !table.is_tenants(column) && by_default(column, value, new) {
                true => drop(sql.push("DEFAULT")),
                false => put_value(sql, table, column, value)?,
            }
        }
        if let Some(scope) = hidden {
            sql.push(", ").bind_tenant(table.owner(scope)?);
        }
        sql.push(")");
    }
    Ok(())
}

/// What becomes of the row that is there: all of it is as the new one, but what says that it is the same.
fn conflict(sql: &mut Sql<'_>, table: &Table, on: &[&'static ColumnDefinition], new: bool) {
    let same = |column: &ColumnDefinition| on.iter().any(|on| on.name == column.name);
    // A new row's own key is one that was drawn for nothing.
    let kept = |column: &&'static ColumnDefinition| {
        let drawn = new && column.generated.is_some();
        same(column) || column.primary_key || column.created || table.is_tenants(column) || drawn
    };
    let mut changed: Vec<_> = table.definition.columns.iter().filter(|column| !kept(column)).collect();
    if changed.is_empty() {
        // DO NOTHING would give no row back.
        changed.extend(on.first());
    }
    sql.push(" ON CONFLICT (");
    // Another tenant's row with the same is another row.
    if let Some(column) = table.tenant_column().filter(|_| !on.iter().any(|on| table.is_tenants(on))) {
        sql.name(column).push(", ");
    }
    sql.list(on, ", ", |sql, column| table.write_column(sql, None, column));
    sql.push(") DO UPDATE SET ");
    sql.list(changed, ", ", |sql, column| {
        table.write_column(sql, None, column);
        sql.push(" = ");
        table.write_column(sql, Some("excluded"), column);
    });
}

/// Whether the database gives the value: a new row's key, and what is left out where there is a default.
fn by_default(column: &ColumnDefinition, value: Parameter<'_>, new: bool) -> bool {
    let left_out = || {
        // Of a type that only PostgreSQL knows it can't be said: the value goes as it is.
        let Some(kind) = type_of(column.sql_type) else { return false };
        let null = value.to_sql_checked(&kind, &mut BytesMut::new());
        matches!(null, Ok(IsNull::Yes))
    };
    (new && column.generated.is_some()) || (column.default.is_some() && left_out())
}

async fn written<E: Entity>(
    session: &Session,
    place: &Place,
    sql: &Sql<'_>,
    count: usize,
) -> Result<Vec<E>, Error> {
    let rows = session.write::<E>(place, sql).await?.rows;
    if rows.len() != count {
        // A trigger has taken rows away; what came back can't be told apart.
        return Err(Error::Suppressed { entity: E::DEFINITION.name, saved: rows.len(), of: count });
    }
    rows.iter().map(|row| decoded(row, 0)).collect()
}

/// Deletes the row with this key.
pub(crate) async fn delete<E: Entity>(session: &Session, place: &Place, key: &E::Key) -> Result<bool, Error> {
    let mut sql = session.sql(place);
    let table = Writer::new(session, place).table(E::DEFINITION)?;
    deletion(&mut sql, &table, None);
    by_key::<E>(&mut sql, &table, key)?;
    Ok(session.write::<E>(place, &sql).await?.affected > 0)
}

/// `DELETE FROM "users"`, or what marks rows as deleted where the entity says so.
pub(super) fn deletion(sql: &mut Sql<'_>, table: &Table, alias: Option<&str>) {
    let mark = table.definition.columns.iter().find(|column| column.deleted);
    table.write(sql.push(if mark.is_some() { "UPDATE " } else { "DELETE FROM " }));
    if let Some(alias) = alias {
        sql.push(" AS ").push(alias);
    }
    if let Some(mark) = mark {
        table.write_column(sql.push(" SET "), None, mark);
        sql.push(" = ").now();
    }
}

/// Behind what is set: the moment of the change, where the entity has a column for it that is not among these.
pub(super) fn stamp(sql: &mut Sql<'_>, table: &Table, set: &[usize]) {
    let columns = table.definition.columns.iter().enumerate();
    for (_, column) in columns.filter(|(index, column)| column.updated && !set.contains(index)) {
        table.write_column(sql.push(", "), None, column);
        sql.push(" = ").now();
    }
}

/// ` WHERE "id" = $1`: of a row that is not deleted.
pub(super) fn by_key<'v, E: Entity>(sql: &mut Sql<'v>, table: &Table, key: &'v E::Key) -> Result<(), Error> {
    let (columns, values): (Vec<_>, _) = (table.keys().collect(), key.values());
    // With fewer values it would be more rows.
    if columns.is_empty() || columns.len() != values.len() {
        let (entity, columns, values) = (E::DEFINITION.name, columns.len(), values.len());
        return Err(Error::Options(format!(
            "the key of {entity} has {columns} columns, and was given {values}"
        )));
    }
    sql.push(" WHERE ");
    sql.list(columns.into_iter().zip(values), " AND ", |sql, (column, value)| {
        table.write_column(sql, None, column);
        sql.push(" = ").bind_compared(value, column.sql_type, false);
    });
    table.write_scope(sql, " AND ", None);
    table.write_alive(sql, None);
    Ok(())
}
