//! On which cluster a tenant lives, as the registry says.

use tokio_postgres::Row;

/// Where a tenant lives that is not in the registry's own database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The cluster, by its name in the configuration.
    pub cluster: Box<str>,
    /// The database there.
    pub database: Box<str>,
    /// Grows with each change of any placement.
    pub generation: i64,
}

impl Placement {
    /// Of three columns from `first` on, in the order of the fields; `None` where they are null.
    pub(super) fn of(row: &Row, first: usize) -> Result<Option<Self>, tokio_postgres::Error> {
        let Some(cluster) = row.try_get::<_, Option<&str>>(first)? else { return Ok(None) };
        let database: &str = row.try_get(first + 1)?;
        Ok(Some(Self {
            cluster: cluster.into(),
            database: database.into(),
            generation: row.try_get(first + 2)?,
        }))
    }
}
