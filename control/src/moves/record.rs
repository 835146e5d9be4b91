//! The rows of the registry's table `moves`: what a move has done, and is about to do.

use std::time::Duration;

use pgstrata_tenancy::schema::ASIDE;
use serde::Serialize;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};

use super::Clusters;
use crate::error::Error;
use crate::name::SchemaName;
use crate::registry::{MOVES, State};

/// What a move may have changed. Recorded before that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Recorded {
    /// Clients of the tenant may wait.
    Fence,
    /// The target may have a copy.
    Copy,
    /// The source's schema may be renamed.
    Leave,
    /// The placement is that of the target, which may not serve the tenant yet.
    Arrive,
    /// The move is done, and the source's schema is still there.
    Kept,
}

impl Recorded {
    const ALL: [Self; 5] = [Self::Fence, Self::Copy, Self::Leave, Self::Arrive, Self::Kept];

    /// The name in the registry.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fence => "fence",
            Self::Copy => "copy",
            Self::Leave => "leave",
            Self::Arrive => "arrive",
            Self::Kept => "kept",
        }
    }
}

/// One move of one tenant.
#[derive(Clone, Debug, Serialize)]
pub struct Move {
    /// Its number in the registry.
    pub id: i64,
    /// The tenant's schema.
    pub schema: String,
    /// The cluster that the tenant leaves.
    pub source: String,
    /// The cluster that it goes to.
    pub target: String,
    /// The state that it had, and has at the target again.
    pub state: State,
    /// The version of its last migration.
    pub version: Option<i64>,
    /// How far the move is.
    pub step: Recorded,
    /// The time at which the source's schema may be dropped, in PostgreSQL's format.
    pub drop_after: Option<String>,
    /// The time of its beginning.
    pub started_at: String,
    /// The time of its last step.
    pub changed_at: String,
}

const COLUMNS: &str = "id, schema::text AS schema, source, target, state, version, step, drop_after::text, \
                       started_at::text, changed_at::text";

impl Move {
    fn of(row: &Row) -> Result<Self, Error> {
        let step: &str = row.get("step");
        let known = Recorded::ALL.into_iter().find(|known| known.as_str() == step);
        Ok(Self {
            id: row.get("id"),
            schema: row.get("schema"),
            source: row.get("source"),
            target: row.get("target"),
            state: row.get::<_, &str>("state").parse()?,
            version: row.get("version"),
            step: known
                .ok_or_else(|| Error::Refused(format!("the registry has the unknown step \"{step}\"")))?,
            drop_after: row.get("drop_after"),
            started_at: row.get("started_at"),
            changed_at: row.get("changed_at"),
        })
    }

    /// The name of the source's schema after the tenant has left it.
    pub fn aside(&self) -> String {
        format!("{ASIDE}{}", self.id)
    }
}

/// The beginning of a move: not yet recorded.
pub(super) struct Beginning<'a> {
    pub schema: &'a SchemaName,
    pub source: &'a str,
    pub target: &'a str,
    pub state: State,
    pub version: Option<i64>,
    pub keep: Duration,
}

/// Records the beginning of a move.
pub(super) async fn begin(registry: &Client, beginning: &Beginning<'_>) -> Result<Move, Error> {
    let sql = format!(
        "INSERT INTO pgstrata_control.moves (schema, source, target, state, version, step, keep) \
         VALUES ($1::text::name, $2, $3, $4, $5, 'fence', pg_catalog.make_interval(secs => $6)) RETURNING {COLUMNS}"
    );
    let Beginning { schema, source, target, state, version, keep } = beginning;
    let (schema, state, keep) = (schema.as_str(), state.as_str(), keep.as_secs_f64());
    let row = registry.query_one(&sql, &[&schema, source, target, &state, version, &keep]).await;
    Move::of(&row.map_err(Error::postgres(format!("recording the move of \"{schema}\"")))?)
}

/// The move of the tenant that is not done.
pub(super) async fn running(registry: &Client, schema: &SchemaName) -> Result<Option<Move>, Error> {
    let sql = format!(
        "SELECT {COLUMNS} FROM pgstrata_control.moves WHERE schema = $1::text::name AND step <> 'kept'"
    );
    let row = registry.query_opt(&sql, &[&schema.as_str()]).await;
    let row = row.map_err(Error::postgres(format!("looking for moves of \"{schema}\"")))?;
    row.as_ref().map(Move::of).transpose()
}

/// SQL that records the step `to` of a move which must be at step `from`, and fails otherwise.
pub(super) fn advance(id: i64, from: Recorded, to: Recorded) -> String {
    let (from, to) = (from.as_str(), to.as_str());
    crate::registry::block(&format!(
        "BEGIN UPDATE pgstrata_control.moves SET step = '{to}', changed_at = pg_catalog.now(), \
         drop_after = CASE '{to}' WHEN 'kept' THEN pg_catalog.now() + keep END \
         WHERE id = {id} AND step = '{from}'; \
         IF NOT FOUND THEN RAISE EXCEPTION 'another command has finished this move or has taken it back' \
         USING ERRCODE = 'serialization_failure'; END IF; END"
    ))
}

/// Forgets a move.
pub(super) async fn forget(registry: &Client, id: i64) -> Result<(), Error> {
    let sql = "DELETE FROM pgstrata_control.moves WHERE id = $1";
    let done = registry.execute_typed(sql, &[(&id, Type::INT8)]).await;
    done.map(drop).map_err(Error::postgres("deleting the record of a move"))
}

impl Clusters {
    /// All moves that are recorded: interrupted ones, and those whose source's schema is kept.
    pub async fn moves(&self) -> Result<Vec<Move>, Error> {
        let registry = self.registry()?;
        registry.install_at_least(MOVES).await?;
        let sql = format!("SELECT {COLUMNS} FROM pgstrata_control.moves ORDER BY id");
        let rows = registry.client().await?.query(&sql, &[]).await;
        rows.map_err(Error::postgres("listing moves"))?.iter().map(Move::of).collect()
    }

    /// Those whose source's schema was kept for as long as it was to be.
    pub(super) async fn outlived(&self) -> Result<Vec<Move>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM pgstrata_control.moves WHERE step = 'kept' AND drop_after <= pg_catalog.now() ORDER BY id"
        );
        let rows = self.registry()?.client().await?.query(&sql, &[]).await;
        rows.map_err(Error::postgres("listing moves"))?.iter().map(Move::of).collect()
    }
}
