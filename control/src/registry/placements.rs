//! Where tenants live that are not in the registry's own database. See `placements.sql`.

use deadpool_postgres::Client;
use serde::Serialize;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use super::install::PLACEMENTS;
use super::{lock_key, writing_grants};
use crate::Control;
use crate::error::{Error, postgres_words};
use crate::name::SchemaName;

/// Where one tenant lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Placement {
    /// Its schema.
    pub schema: String,
    /// The cluster, by its name in the configuration.
    pub cluster: String,
    /// The database there.
    pub database: String,
    /// Grows with each change of any placement.
    pub generation: i64,
}

const COLUMNS: &str = "schema::text AS schema, cluster, database::text AS database, generation";

impl Placement {
    fn of(row: &Row) -> Self {
        Self {
            schema: row.get("schema"),
            cluster: row.get("cluster"),
            database: row.get("database"),
            generation: row.get("generation"),
        }
    }
}

impl Control {
    /// All placements, by schema. To be asked of the registry's database, as all of these.
    pub async fn placements(&self) -> Result<Vec<Placement>, Error> {
        self.install_at_least(PLACEMENTS).await?;
        let sql = format!("SELECT {COLUMNS} FROM pgstrata_control.placements ORDER BY schema");
        let rows = self.client().await?.query(&sql, &[]).await;
        let rows = rows.map_err(Error::postgres("listing placements"))?;
        Ok(rows.iter().map(Placement::of).collect())
    }

    /// Where the tenant of `schema` lives. `None`: in the registry's database, if anywhere.
    pub async fn placement(&self, schema: &SchemaName) -> Result<Option<Placement>, Error> {
        self.install_at_least(PLACEMENTS).await?;
        find(&self.client().await?, schema).await
    }

    /// A connection that says where tenants live. To be asked of the registry's database.
    pub async fn placing(&self) -> Result<Placing, Error> {
        self.install_at_least(PLACEMENTS).await?;
        Ok(Placing { client: Some(self.client().await?) })
    }

    /// The name of the database that this is connected to.
    pub async fn database_name(&self) -> Result<String, Error> {
        let sql = "SELECT pg_catalog.current_database()::pg_catalog.text";
        let row = self.client().await?.query_one(sql, &[]).await;
        row.map(|row| row.get(0)).map_err(Error::postgres("asking for the database's name"))
    }
}

async fn find(client: &Client, schema: &SchemaName) -> Result<Option<Placement>, Error> {
    let sql = format!("SELECT {COLUMNS} FROM pgstrata_control.placements WHERE schema = $1::text::name");
    let row = client.query_opt(&sql, &[&schema.as_str()]).await;
    let row = row.map_err(Error::postgres(format!("looking for the placement of \"{schema}\"")))?;
    Ok(row.as_ref().map(Placement::of))
}

/// Says where tenants live, each of which no other command is at work on meanwhile: what is placed, made and dropped on
/// two clusters is in no transaction of one of them.
pub struct Placing {
    // There until this is dropped.
    client: Option<Client>,
}

impl Drop for Placing {
    fn drop(&mut self) {
        // With the connection its locks go.
        if let Some(client) = self.client.take() {
            drop(Client::take(client));
        }
    }
}

impl Placing {
    /// Gives all locks back at once: who comes next finds none of them. Dropped without it, PostgreSQL does so once it
    /// finds the connection closed.
    pub async fn done(self) -> Result<(), Error> {
        let unlocked = self.client()?.batch_execute("SELECT pg_catalog.pg_advisory_unlock_all()").await;
        unlocked.map_err(Error::postgres("unlocking schemas"))
    }

    fn client(&self) -> Result<&Client, Error> {
        self.client.as_ref().ok_or_else(|| Error::Refused("the connection to the registry is closed".into()))
    }

    /// Takes the lock of `schema` until this is dropped: that of each command that creates or changes it. The error:
    /// another command has it.
    pub async fn lock(&self, schema: &SchemaName) -> Result<(), Error> {
        let sql = format!("SELECT pg_catalog.pg_try_advisory_lock({})", lock_key(schema.as_str()));
        let row = self.client()?.query_one(&sql, &[]).await;
        match row.map_err(Error::postgres(format!("locking schema \"{schema}\"")))?.get(0) {
            true => Ok(()),
            false => Err(Error::Refused(format!(
                "another command is at work on schema \"{schema}\": look at what it has done, and try again"
            ))),
        }
    }

    /// Where the tenant of `schema` lives. `None`: in the registry's database, if anywhere.
    pub async fn placement(&self, schema: &SchemaName) -> Result<Option<Placement>, Error> {
        find(self.client()?, schema).await
    }

    /// Has the tenant of `schema` live in `database` on `cluster` from now on, whether it is there yet or not. The
    /// error: it lives elsewhere. Done again, it changes nothing.
    pub async fn place(&self, schema: &SchemaName, cluster: &str, database: &str) -> Result<(), Error> {
        let sql = "INSERT INTO pgstrata_control.placements (schema, cluster, database) \
                   VALUES ($1::text::name, $2, $3::text::name) ON CONFLICT (schema) DO NOTHING";
        let placed = self.client()?.execute(sql, &[&schema.as_str(), &cluster, &database]).await;
        if let Err(error) = placed {
            return Err(self.refused(format!("placing \"{schema}\" on cluster \"{cluster}\""), error).await);
        }
        match self.placement(schema).await? {
            Some(placed) if placed.cluster == cluster && placed.database == database => Ok(()),
            Some(Placement { cluster, database, .. }) => Err(Error::Refused(format!(
                "tenant schema \"{schema}\" is placed in database \"{database}\" on cluster \"{cluster}\" already"
            ))),
            None => Err(Error::Refused(format!(
                "the placement of \"{schema}\" was deleted meanwhile: run the command again"
            ))),
        }
    }

    /// Takes a placement away that says `cluster`. `false`: there is none.
    pub async fn unplace(&self, schema: &SchemaName, cluster: &str) -> Result<bool, Error> {
        let sql = "DELETE FROM pgstrata_control.placements WHERE schema = $1::text::name AND cluster = $2";
        match self.client()?.execute(sql, &[&schema.as_str(), &cluster]).await {
            Ok(rows) => Ok(rows > 0),
            Err(error) => {
                Err(self.refused(format!("taking the placement of \"{schema}\" away"), error).await)
            }
        }
    }

    /// PostgreSQL's error, with what to run where it is that the role may not.
    async fn refused(&self, doing: String, error: tokio_postgres::Error) -> Error {
        if error.code() != Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
            return Error::postgres(doing)(error);
        }
        let Ok(client) = self.client() else { return Error::postgres(doing)(error) };
        match client.query_one("SELECT current_user::pg_catalog.text", &[]).await {
            Ok(row) => {
                let grants = writing_grants(row.get(0));
                Error::Refused(format!(
                    "{doing}: {}. Run as the registry's owner: {grants}",
                    postgres_words(&error)
                ))
            }
            Err(_) => Error::postgres(doing)(error),
        }
    }
}
