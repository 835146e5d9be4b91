//! How something is sent: what goes around a statement, and what is tried again.

use std::time::Instant;

use pgstrata_tenancy::TenantId;
use pgstrata_tenancy::layers::PUBLIC;
use tokio_postgres::error::SqlState;

use super::modes::TransactionOptions;
use super::plain::{Known, Names};
use super::session::{Place, Session};
use super::watch::{self, Stopped, Watch};
use crate::connection::{Answer, CLEAN, DISCARD, Frame, Step};
use crate::entity::{Entity, EntityDefinition};
use crate::lease::{Fault, Lease};
use crate::row::Row;
use crate::sql::Sql;
use crate::strategy::{TenantQueryStrategy, is_in_public};
use crate::{DatabaseKind, Error};

impl Session {
    pub(super) fn strategy(&self) -> &dyn TenantQueryStrategy {
        &*self.shared.options.strategy
    }

    /// Rows that a statement gives, which reads only.
    pub(crate) async fn read<E: Entity>(
        &self,
        place: &Place,
        names: &Names,
        sql: &Sql<'_>,
    ) -> Result<Vec<Row>, Error> {
        self.check_operators(place, sql).await?;
        let begun = Instant::now();
        let strategy = self.strategy();
        let path = self.names_by_path(place).filter(|_| names.by_path);
        // What is known of a table is of one database.
        let framed = (names.by_path || strategy.databases().is_some()) && strategy.read_in_transaction();
        let frame = Frame { path, ..self.frame(place, framed, false) };
        // Names that are whole, in a transaction or not: what stands behind them may go by the path still.
        let unframed = self.open.is_none()
            && frame.begin.is_empty()
            && strategy.guards_sessions()
            && self.kind() == DatabaseKind::Postgres;
        let answer = match unframed {
            true => self.read_unframed(place, names, sql, frame).await,
            false => self.run(place, &frame, sql).await,
        };
        self.tell(place, sql, begun, &answer);
        Ok(answer.map_err(failed("reading", E::DEFINITION, place))?.rows)
    }

    /// A read whose names need no path, unless what they name does: a view whose functions name tables, for one.
    async fn read_unframed(
        &self,
        place: &Place,
        names: &Names,
        sql: &Sql<'_>,
        frame: Frame,
    ) -> Result<Answer, Stopped> {
        let known = match sql.compared.is_empty() {
            true => self.shared.plain.look(names),
            // Operators of types that are not PostgreSQL's own are found by the path.
            false => Known::ByPath,
        };
        match known {
            Known::Plain => {
                let answer = self.run(place, &frame, sql).await;
                if answer.as_ref().is_err_and(Stopped::is_about_names) {
                    self.shared.plain.forget(names);
                }
                answer
            }
            Known::ByPath => self.run(place, &self.framed(place), sql).await,
            Known::No => {
                let probe = names.probe();
                let (answer, found) = self.run_and_ask(place, &frame, sql, &probe.sql()).await;
                match self.shared.plain.learn(names, found) {
                    Known::ByPath => self.run(place, &self.framed(place), sql).await,
                    _ => answer,
                }
            }
        }
    }

    /// A read in a transaction with the tenant's path.
    fn framed(&self, place: &Place) -> Frame {
        Frame { path: Some(place.name().to_owned()), ..self.frame(place, true, false) }
    }

    pub(crate) async fn write<E: Entity>(&self, place: &Place, sql: &Sql<'_>) -> Result<Answer, Error> {
        self.check_operators(place, sql).await?;
        let begun = Instant::now();
        let transaction = self.strategy().write_in_transaction();
        let frame = Frame { path: self.names_by_path(place), ..self.frame(place, transaction, true) };
        let answer = self.run(place, &frame, sql).await;
        self.tell(place, sql, begun, &answer);
        answer.map_err(failed("writing", E::DEFINITION, place))
    }

    /// SQL of the application's own. `spoils`: the connection is not used for anything else.
    pub(super) async fn anything(&self, place: &Place, sql: &Sql<'_>, spoils: bool) -> Result<Answer, Error> {
        let begun = Instant::now();
        let answer = self.foreign(place, sql, spoils).await;
        self.tell(place, sql, begun, &answer);
        answer.map_err(|stopped| stopped.while_doing(|| format!("running SQL for \"{}\"", place.name())))
    }

    async fn foreign(&self, place: &Place, sql: &Sql<'_>, spoils: bool) -> Result<Answer, Stopped> {
        if let Some(open) = &self.open {
            // Whatever path it sets, what comes behind it is the tenant's.
            let again = self.settings(place);
            let step = Step { sql, path: Some(place.name()), behind: again.as_deref(), spoils };
            return open.anything(&self.watch(), &step).await;
        }
        let transaction = self.strategy().write_in_transaction();
        let frame = Frame {
            // Its names are all read by the path, whatever the strategy.
            path: Some(place.name().to_owned()),
            clean: Some(self.cleaning()),
            spoils,
            ..self.frame(place, transaction, true)
        };
        self.run(place, &frame, sql).await
    }

    /// Tells who listens by `tracing` of a statement that is through: its form, with no values, and what it took.
    fn tell(&self, place: &Place, sql: &Sql<'_>, begun: Instant, answer: &Result<Answer, Stopped>) {
        let took = begun.elapsed();
        let slow = self.shared.options.slow_statement.is_some_and(|slow| took >= slow);
        if !slow && !tracing::enabled!(tracing::Level::DEBUG) {
            return;
        }
        let rows = answer.as_ref().ok().map(|answer| answer.affected.max(answer.rows.len() as u64));
        let (tenant, sql, ms) = (place.name(), sql.text.as_str(), took.as_secs_f64() * 1000.0);
        match slow {
            true => tracing::warn!(tenant, sql, rows, ms, failed = answer.is_err(), "slow statement"),
            false => tracing::debug!(tenant, sql, rows, ms, failed = answer.is_err(), "statement"),
        }
    }

    pub(super) fn cleaning(&self) -> &'static str {
        if self.strategy().guards_sessions() { CLEAN } else { DISCARD }
    }

    /// The path under which a statement is kept, if its text alone does not say whose it is.
    fn names_by_path(&self, place: &Place) -> Option<String> {
        (!self.strategy().qualifies()).then(|| place.tenant().map(TenantId::to_string)).flatten()
    }

    fn frame(&self, place: &Place, transaction: bool, write: bool) -> Frame {
        let options = &self.shared.options;
        let begin = match transaction || options.query_timeout.is_some() {
            true => self.begin_steps(place, TransactionOptions::new().read_only(!write)),
            false => Vec::new(),
        };
        Frame { begin, pipelined: options.pipelined, write, guarded: self.shared.guarded, ..Frame::default() }
    }

    /// What begins a transaction, step by step.
    pub(super) fn begin_steps(&self, place: &Place, modes: TransactionOptions) -> Vec<String> {
        if self.kind() == DatabaseKind::Sqlite {
            return vec![modes.of_sqlite().into()];
        }
        let mark = place.tenant().map_or_else(String::new, |tenant| self.strategy().mark(tenant));
        [format!("{mark}BEGIN {modes}")].into_iter().chain(self.settings(place)).collect()
    }

    /// As [`Session::begin_steps`], with no limit in time.
    pub(super) fn path_steps(&self, place: &Place, modes: TransactionOptions) -> Vec<String> {
        let mark = place.tenant().map_or_else(String::new, |tenant| self.strategy().mark(tenant));
        [format!("{mark}BEGIN {modes}")].into_iter().chain(self.strategy().enter(&self.path(place))).collect()
    }

    /// What holds in a transaction of the tenant's until its end.
    fn settings(&self, place: &Place) -> Option<String> {
        let timeout = self.shared.options.query_timeout;
        let timeout =
            timeout.map(|timeout| format!("SET LOCAL statement_timeout = {}", watch::milliseconds(timeout)));
        let settings: Vec<String> =
            self.strategy().enter(&self.path(place)).into_iter().chain(timeout).collect();
        (!settings.is_empty()).then(|| settings.join("; "))
    }

    /// The schemas that the tenant's names are found in.
    pub(super) fn path<'p>(&'p self, place: &'p Place) -> Vec<&'p str> {
        let shared = self.shared.options.shared.iter().map(String::as_str);
        let own = match is_in_public(self.strategy()) {
            true => PUBLIC,
            false => place.name(),
        };
        std::iter::once(own).chain(shared.filter(move |shared| *shared != own)).collect()
    }

    async fn run(&self, place: &Place, frame: &Frame, sql: &Sql<'_>) -> Result<Answer, Stopped> {
        self.run_and_ask(place, frame, sql, &Sql::default()).await.0
    }

    /// Asks something of PostgreSQL's catalogs.
    pub(super) async fn look_up(&self, place: &Place, sql: &Sql<'_>) -> Result<Answer, Stopped> {
        self.run(place, &Frame::default(), sql).await
    }

    /// Runs a statement, and asks something of PostgreSQL's catalogs in the same flight. What is asked is empty in a transaction.
    async fn run_and_ask(
        &self,
        place: &Place,
        frame: &Frame,
        sql: &Sql<'_>,
        asked: &Sql<'_>,
    ) -> (Result<Answer, Stopped>, Option<Vec<Row>>) {
        if let Some(open) = &self.open {
            let step = Step { sql, path: frame.path.as_deref(), behind: None, spoils: false };
            return (open.run(&self.watch(), &step).await, None);
        }
        loop {
            let lease = match self.lease(place).await {
                Ok(lease) => lease,
                Err(error) => return (Err(Stopped::Other(error)), None),
            };
            let kept = lease.is_kept();
            let watch = self.watch();
            let Some(((answer, clean), found)) = watch.within(lease.single_and_ask(frame, sql, asked)).await
            else {
                return (Err(watch.timed_out()), None);
            };
            if clean {
                lease.done();
            }
            match answer {
                // Each of them has taken one of the pool's connections away, and a new one is not tried again.
                Err(error) if kept && is_worth_another(&error, frame.write) => {}
                answer => return (answer.map_err(|source| watch.stopped(source)), found),
            }
        }
    }

    /// Watches a statement that is about to be sent.
    pub(super) fn watch(&self) -> Watch {
        // SQLite stops nothing by itself.
        Watch::new(self.shared.options.query_timeout, self.kind() == DatabaseKind::Postgres)
    }

    /// A connection to the database that the tenant's tables are in.
    pub(super) async fn lease(&self, place: &Place) -> Result<Lease, Error> {
        match (self.strategy().databases(), place.tenant()) {
            (Some(strategy), Some(tenant)) => {
                let pool = self.shared.databases.pool(&self.shared, strategy, tenant)?;
                pool.lease().await
            }
            _ => self.shared.pool.lease().await,
        }
    }
}

/// Whether a statement that failed on a connection which had been idle is sent once more on another one. Nothing has changed by then: it only
/// reads, or the connection had lost what was prepared on it.
fn is_worth_another(error: &Fault, write: bool) -> bool {
    let lost = error.code() == Some(&SqlState::INVALID_SQL_STATEMENT_NAME);
    lost || (!write && error.is_disconnected())
}

fn failed(
    what: &'static str,
    definition: &'static EntityDefinition,
    place: &Place,
) -> impl FnOnce(Stopped) -> Error {
    move |stopped| stopped.while_doing(|| format!("{what} {} of \"{}\"", definition.name, place.name()))
}
