//! Statements, alone or in a transaction of their own.
//!
//! tokio-postgres writes what is asked of it in the order in which it is asked, and waits for nothing. So a transaction whose steps are
//! all asked for at once is one round trip. PostgreSQL runs each step whatever became of the one before; see [`Frame::guarded`].

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt;
use futures_util::future::{join, join3, join4};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Error, RowStream, Statement};

use super::statements::Known;
use super::{Answer, Connection, DISCARD};
use crate::row::Row;
use crate::sql::Sql;

/// What goes around a statement.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    /// What begins its transaction, step by step; none: it runs alone.
    pub(crate) begin: Vec<String>,
    /// All steps are sent at once.
    pub(crate) pipelined: bool,
    /// It may change something.
    pub(crate) write: bool,
    /// Should `BEGIN` fail, a statement that came with it fails as well: the session alone is read-only, and finds no table.
    pub(crate) guarded: bool,
    /// What takes away all that SQL of somebody's own may leave in a session.
    pub(crate) clean: Option<&'static str>,
    /// Under which path names are read, where not by the text alone.
    pub(crate) path: Option<String>,
    /// Its statement may take away what is prepared on the connection, which nobody gets behind it.
    pub(crate) spoils: bool,
}

/// A statement in a transaction that is open.
#[derive(Clone, Copy)]
pub(crate) struct Step<'f> {
    pub(crate) sql: &'f Sql<'f>,
    /// As in [`Frame::path`].
    pub(crate) path: Option<&'f str>,
    /// What is sent behind it, whatever it has set.
    pub(crate) behind: Option<&'f str>,
    /// As in [`Frame::spoils`].
    pub(crate) spoils: bool,
}

/// What became of a statement and its transaction.
struct Outcome {
    answer: Result<Answer, Error>,
    /// COMMIT or ROLLBACK; nothing where there was no transaction.
    ended: Result<(), Error>,
    /// What somebody's own SQL could have left is gone.
    cleaned: bool,
}

impl Outcome {
    fn new(answer: Result<Answer, Error>, (ended, cleaned): (Result<(), Error>, bool)) -> Self {
        Self { answer, ended, cleaned }
    }
}

/// Counts a statement as running until it is through. One that is dropped before stays counted.
pub(super) struct Running<'c>(&'c AtomicUsize);

impl<'c> Running<'c> {
    pub(super) fn new(count: &'c AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::AcqRel);
        Self(count)
    }

    pub(super) fn through(self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Connection {
    /// Runs a statement in its frame, and says whether the connection is as it was. Where the answer is an error, nothing has changed.
    ///
    /// A prepared statement that is stale is forgotten, and the statement runs once more without it.
    pub(crate) async fn single(&self, frame: &Frame, sql: &Sql<'_>) -> (Result<Answer, Error>, bool) {
        let running = Running::new(&self.running);
        let key = key(frame.path.as_deref(), sql);
        let (mut answer, mut clean, stale) = self.attempt(frame, sql, &key).await;
        if stale && clean {
            (answer, clean, _) = self.attempt(frame, sql, &key).await;
        }
        self.note(&answer, frame.spoils);
        running.through();
        (answer, clean)
    }

    /// As [`Connection::single`], and asks something of the catalogs in the same flight. Nothing is asked by an empty text; what fails is
    /// not known.
    pub(crate) async fn single_and_ask(
        &self,
        frame: &Frame,
        sql: &Sql<'_>,
        asked: &Sql<'_>,
    ) -> ((Result<Answer, Error>, bool), Option<Vec<Row>>) {
        if asked.text.is_empty() {
            return (self.single(frame, sql).await, None);
        }
        let running = Running::new(&self.running);
        let (outcome, found) = join(self.single(frame, sql), self.typed(asked)).await;
        running.through();
        (outcome, found.ok().map(|answer| answer.rows))
    }

    /// Runs a statement in the transaction that is open, and what comes behind it in the same flight.
    pub(crate) async fn run(&self, step: &Step<'_>) -> Result<Answer, Error> {
        let running = Running::new(&self.running);
        let key = key(step.path, step.sql);
        let answer = match self.ready(&key, step.sql).await {
            Ok(statement) => self.send_and(statement.as_ref(), step).await,
            Err(error) => Err(error),
        };
        if answer.as_ref().is_err_and(is_stale) {
            self.statements.forget(&key);
        }
        self.note(&answer, step.spoils);
        running.through();
        answer
    }

    async fn send_and(&self, statement: Option<&Statement>, step: &Step<'_>) -> Result<Answer, Error> {
        let answer = self.send(statement, step.sql);
        let Some(behind) = step.behind else { return answer.await };
        let (answer, again) = join(answer, self.client.batch_execute(behind)).await;
        answer.and_then(|answer| again.map(|()| answer))
    }

    /// The statement as it is prepared, if it is or has to be.
    async fn ready(&self, key: &str, sql: &Sql<'_>) -> Result<Option<Statement>, Error> {
        match self.look(key, sql) {
            Known::Prepared(statement) => Ok(Some(statement)),
            Known::No | Known::Again if sql.types.is_some() => Ok(None),
            Known::No | Known::Again => self.prepare(key, sql).await.map(Some),
        }
    }

    async fn send(&self, statement: Option<&Statement>, sql: &Sql<'_>) -> Result<Answer, Error> {
        match statement {
            Some(statement) => self.prepared(statement, sql).await,
            None => self.typed(sql).await,
        }
    }

    /// Something that was prepared is gone, or may be: what else is gone, the driver's own questions among it, nobody knows.
    fn note(&self, answer: &Result<Answer, Error>, spoils: bool) {
        let lost = |error: &Error| error.code() == Some(&SqlState::INVALID_SQL_STATEMENT_NAME);
        if spoils || answer.as_ref().is_err_and(lost) {
            self.spoil();
            self.statements.forget_all();
        }
    }

    /// Runs statements that have no values.
    pub(crate) async fn batch(&self, text: &str) -> Result<(), Error> {
        let running = Running::new(&self.running);
        let done = self.client.batch_execute(text).await;
        running.through();
        done
    }

    /// Ends a transaction, and takes away what SQL of somebody's own may have left. `false`: it may be there still.
    pub(crate) async fn end(&self, text: &str, clean: Option<&'static str>) -> (Result<(), Error>, bool) {
        let running = Running::new(&self.running);
        let ended = join(self.client.batch_execute(text), self.clean(clean)).await;
        running.through();
        ended
    }

    /// The answer, whether the connection is as it was, and whether a stale statement was to blame.
    async fn attempt(&self, frame: &Frame, sql: &Sql<'_>, key: &str) -> (Result<Answer, Error>, bool, bool) {
        let known = self.look(key, sql);
        let used_prepared = matches!(known, Known::Prepared(_));
        // A statement whose types nobody knows has to wait for them; a write that nothing guards, for its BEGIN.
        let ready = sql.types.is_some() || used_prepared;
        let Outcome { answer, ended, cleaned } = match frame.begin.is_empty() {
            true => self.alone(frame, sql, key, known).await,
            false if frame.pipelined && ready && (frame.guarded || !frame.write) => {
                self.at_once(frame, sql, key, known).await
            }
            false => self.in_steps(frame, sql, key, known).await,
        };
        // A COMMIT that PostgreSQL refuses has rolled back; it is a refusal if it has a code. Else nobody knows how it stands.
        let over = ended.as_ref().map_or_else(|error| error.code().is_some(), |()| true);
        let clean = over && cleaned && !self.client.is_closed();
        let answer = answer.and_then(|answer| ended.map(|()| answer));
        let stale = used_prepared && answer.as_ref().is_err_and(is_stale);
        if stale {
            self.statements.forget(key);
        }
        (answer, clean, stale)
    }

    /// With no transaction around it.
    async fn alone(&self, frame: &Frame, sql: &Sql<'_>, key: &str, known: Known) -> Outcome {
        let answer = match known {
            Known::Prepared(statement) => self.prepared(&statement, sql).await,
            Known::Again if frame.pipelined && !frame.write && sql.types.is_some() => {
                join(self.typed(sql), self.prepare(key, sql)).await.0
            }
            _ if sql.types.is_some() => self.typed(sql).await,
            _ => match self.prepare(key, sql).await {
                Ok(statement) => self.prepared(&statement, sql).await,
                Err(error) => Err(error),
            },
        };
        Outcome::new(answer, (Ok(()), self.clean(frame.clean).await))
    }

    /// All of a transaction in one flight.
    async fn at_once(&self, frame: &Frame, sql: &Sql<'_>, key: &str, known: Known) -> Outcome {
        let text = frame.begin.join("; ");
        let begin = self.client.batch_execute(&text);
        let end = join(self.client.batch_execute("COMMIT"), self.clean(frame.clean));
        let (begun, answer, ended) = match known {
            Known::Prepared(statement) => join3(begin, self.prepared(&statement, sql), end).await,
            // On its second time it is prepared besides: the third one is quicker, and this one has not waited for it.
            Known::Again if !frame.write => {
                let (begun, answer, _, ended) =
                    join4(begin, self.typed(sql), self.prepare(key, sql), end).await;
                (begun, answer, ended)
            }
            _ => join3(begin, self.typed(sql), end).await,
        };
        Outcome::new(begun.and(answer), ended)
    }

    /// A transaction step by step, or in two flights.
    async fn in_steps(&self, frame: &Frame, sql: &Sql<'_>, key: &str, known: Known) -> Outcome {
        let statement = match self.begin(frame, sql, key, known).await {
            Ok(statement) => statement,
            Err(error) => return Outcome::new(Err(error), self.rolled_back(frame).await),
        };
        let run = self.send(statement.as_ref(), sql);
        if frame.pipelined {
            let end = join(self.client.batch_execute("COMMIT"), self.clean(frame.clean));
            let (answer, ended) = join(run, end).await;
            return Outcome::new(answer, ended);
        }
        match run.await {
            Ok(answer) => {
                let ended = self.client.batch_execute("COMMIT").await;
                Outcome::new(Ok(answer), (ended, self.clean(frame.clean).await))
            }
            Err(error) => Outcome::new(Err(error), self.rolled_back(frame).await),
        }
    }

    /// Begins a transaction; a statement whose types nobody knows is prepared in it.
    async fn begin(
        &self,
        frame: &Frame,
        sql: &Sql<'_>,
        key: &str,
        known: Known,
    ) -> Result<Option<Statement>, Error> {
        let prepare = async {
            match known {
                Known::Prepared(statement) => Ok(Some(statement)),
                _ if sql.types.is_some() => Ok(None),
                _ => self.prepare(key, sql).await.map(Some),
            }
        };
        if frame.pipelined {
            let text = frame.begin.join("; ");
            let (begun, statement) = join(self.client.batch_execute(&text), prepare).await;
            return begun.and(statement);
        }
        for step in &frame.begin {
            self.client.batch_execute(step).await?;
        }
        prepare.await
    }

    async fn rolled_back(&self, frame: &Frame) -> (Result<(), Error>, bool) {
        join(self.client.batch_execute("ROLLBACK"), self.clean(frame.clean)).await
    }

    async fn clean(&self, text: Option<&'static str>) -> bool {
        let Some(text) = text else { return true };
        let begins = async {
            match &self.begins {
                Some(begins) => self.client.batch_execute(begins).await,
                None => Ok(()),
            }
        };
        let (cleaned, begun) = join(self.client.batch_execute(text), begins).await;
        if text == DISCARD {
            self.statements.forget_all();
        }
        cleaned.is_ok() && begun.is_ok()
    }

    fn look(&self, key: &str, sql: &Sql<'_>) -> Known {
        match sql.once {
            true => Known::No,
            false => self.statements.look(key),
        }
    }

    /// In one round trip, as the values' types go with it.
    async fn typed(&self, sql: &Sql<'_>) -> Result<Answer, Error> {
        let types = sql.types.iter().flatten().cloned();
        collected(self.client.query_typed_raw(&sql.text, sql.parameters().zip(types))).await
    }

    async fn prepared(&self, statement: &Statement, sql: &Sql<'_>) -> Result<Answer, Error> {
        collected(self.client.query_raw(statement, sql.parameters())).await
    }

    async fn prepare(&self, key: &str, sql: &Sql<'_>) -> Result<Statement, Error> {
        let types = sql.types.as_deref().unwrap_or_default();
        let statement = self.client.prepare_typed(&sql.text, types).await?;
        if !sql.once {
            self.statements.keep(key, &statement);
        }
        Ok(statement)
    }
}

async fn collected(asked: impl Future<Output = Result<RowStream, Error>>) -> Result<Answer, Error> {
    let mut stream = pin!(asked.await?);
    let mut rows = Vec::new();
    while let Some(row) = stream.as_mut().next().await {
        rows.push(Row::from(row?));
    }
    Ok(Answer { affected: stream.rows_affected().unwrap_or_default(), rows })
}

/// What a statement is kept under.
fn key(path: Option<&str>, sql: &Sql<'_>) -> String {
    let path = path.unwrap_or_default();
    let mut key = String::with_capacity(path.len() + sql.text.len() + 1);
    key += path;
    // No path and no text has one.
    key.push('\0');
    key += &sql.text;
    key
}

/// "cached plan must not change result type", and a statement that is not there.
fn is_stale(error: &Error) -> bool {
    matches!(error.code(), Some(&SqlState::FEATURE_NOT_SUPPORTED | &SqlState::INVALID_SQL_STATEMENT_NAME))
}
