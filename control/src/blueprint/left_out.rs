//! Objects that are needed and not copied.

use std::collections::HashSet;

use tokio_postgres::Transaction;

use super::item::ObjectId;
use super::read::{Facts, columns, oids};
use crate::error::Error;

/// Refuses a copy that would depend on objects of its source that are not copied, unless all tenants `share` these: a
/// table with the same name in a shared schema replaces them.
pub(super) async fn refuse(
    tx: &Transaction<'_>,
    facts: &Facts,
    copied: &[ObjectId],
    depends: &[(ObjectId, ObjectId)],
    share: bool,
) -> Result<(), Error> {
    if share {
        return Ok(());
    }
    let class = facts.classes.pg_class;
    // An identity's sequence is copied with its table.
    let along = oids(&facts.sequences).into_iter().map(|oid| ObjectId { class, oid });
    let copied: HashSet<ObjectId> = copied.iter().copied().chain(along).collect();
    let others: HashSet<ObjectId> =
        depends.iter().map(|(_, need)| *need).filter(|need| !copied.contains(need)).collect();
    let (classes, ids) = columns(&others.into_iter().collect::<Vec<_>>());
    let rows = tx
        .query(include_str!("sql/left_out.sql"), &[&classes, &ids, &facts.schema])
        .await
        .map_err(Error::postgres("reading what is not copied"))?;
    let needed: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    match needed.is_empty() {
        true => Ok(()),
        false => Err(Error::Refused(format!(
            "objects to copy from schema \"{}\" need objects that are left out: {}. Copy these too, leave out the objects \
             that need them, or make \"{0}\" a shared schema",
            facts.name,
            needed.join(", ")
        ))),
    }
}
