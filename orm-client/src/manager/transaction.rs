//! Statements that count together, or not at all.

use std::fmt;
use std::ops::Deref;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;

use super::modes::TransactionOptions;
use super::session::{Call, Place, Session};
use super::watch::{Stopped, Watch};
use crate::Error;
use crate::connection::{Answer, Copy, Step, is_disconnected};
use crate::entity::Parameter;
use crate::lease::{Fault, Lease};

/// How long the rollback of a transaction that was dropped may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A transaction in which nothing has failed.
pub(super) const SOUND: usize = usize::MAX;

/// The connection of a transaction, and how it stands.
pub(super) struct Open {
    /// None once it is over.
    lease: Option<Lease>,
    pub(super) place: Place,
    id: usize,
    /// How many savepoints had been set when a statement failed, or nobody knew any more how things stand; [`SOUND`] if that never was.
    pub(super) failed: AtomicUsize,
    /// SQL of the application's own has run.
    anything: AtomicBool,
    /// How many were set.
    pub(super) savepoints: AtomicUsize,
    /// Those that are open.
    pub(super) stack: Mutex<Vec<usize>>,
}

/// Numbers transactions.
static COUNT: AtomicUsize = AtomicUsize::new(0);

impl Open {
    fn new(lease: Lease, place: Place) -> Self {
        Self {
            lease: Some(lease),
            place,
            id: COUNT.fetch_add(1, Ordering::Relaxed),
            failed: AtomicUsize::new(SOUND),
            anything: AtomicBool::new(false),
            savepoints: AtomicUsize::new(0),
            stack: Mutex::new(Vec::new()),
        }
    }

    pub(super) fn id(&self) -> usize {
        self.id
    }

    fn lease(&self) -> Result<&Lease, Stopped> {
        self.lease.as_ref().ok_or(Stopped::Other(Error::Aborted))
    }

    pub(super) async fn run(&self, watch: &Watch, step: &Step<'_>) -> Result<Answer, Stopped> {
        self.check_scope().map_err(Stopped::Other)?;
        let answer = watch.within(self.lease()?.run(step)).await;
        self.outcome(watch, answer)
    }

    /// As [`Open::run`], of SQL of the application's own, which may leave something in the session.
    pub(super) async fn anything(&self, watch: &Watch, step: &Step<'_>) -> Result<Answer, Stopped> {
        self.anything.store(true, Ordering::Release);
        self.run(watch, step).await
    }

    pub(super) async fn copy_in<'r>(
        &self,
        watch: &Watch,
        copy: Copy<impl Iterator<Item = Vec<Parameter<'r>>> + Send>,
    ) -> Result<u64, Stopped> {
        self.check_scope().map_err(Stopped::Other)?;
        let copied = watch.within(self.lease()?.copy_in(copy)).await;
        self.outcome(watch, copied)
    }

    /// Takes down what has failed. Who does not answer is not asked again.
    fn outcome<T>(&self, watch: &Watch, outcome: Option<Result<T, Fault>>) -> Result<T, Stopped> {
        match outcome {
            Some(Ok(value)) => Ok(value),
            Some(Err(source)) => {
                self.fail();
                Err(watch.stopped(source))
            }
            None => {
                self.fail();
                self.lease()?.give_up();
                Err(watch.timed_out())
            }
        }
    }
}

/// Statements that count together, or not at all. All that a [`Session`] can do, it can.
///
/// Dropped without [`Transaction::commit`], it is rolled back. It is the tenant's in whose context it was begun; used in another one, it
/// gives [`Error::TenantChanged`].
///
/// ```no_run
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # async fn example(em: EntityManager, user: User) -> Result<(), Error> {
/// let tx = em.begin().await?;
/// tx.save(&user).await?;
/// tx.commit().await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a transaction that is dropped is rolled back"]
pub struct Transaction {
    session: Session,
}

impl Session {
    /// Begins a transaction of the context's tenant; with [`Session::is_transaction`] it is another one, on a connection of its own.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let tx = em.begin().await?;
    /// tx.delete::<Post>().where_(Post::AUTHOR_ID.eq(7)).await?;
    /// if tx.delete_by_pk::<User>(7).await? {
    ///     tx.commit().await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// No connection, or what PostgreSQL says.
    pub fn begin(&self) -> impl Future<Output = Result<Transaction, Error>> + Send {
        self.begin_with(TransactionOptions::new())
    }

    /// As [`Session::begin`], with an isolation level and what else PostgreSQL can be told at its beginning.
    ///
    /// ```no_run
    /// # use pgstrata_orm::{Entity, EntityManager, Error};
    /// use pgstrata_orm::{IsolationLevel, TransactionOptions};
    ///
    /// # async fn example<User: Entity>(em: EntityManager) -> Result<(), Error> {
    /// let options = TransactionOptions::new().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
    /// let tx = em.begin_with(options).await?;
    /// // Both see the same users.
    /// let (users, count) = (tx.find::<User>().await?, tx.count::<User>().await?);
    /// tx.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As of [`Session::begin`].
    pub fn begin_with(
        &self,
        options: TransactionOptions,
    ) -> impl Future<Output = Result<Transaction, Error>> + Send {
        let call = self.call();
        async move { call.begin_call(options).await }
    }

    /// Runs code in a transaction: it is committed if the code gives `Ok`, and rolled back if it gives an error, panics, or is dropped.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let post = em
    ///     .transaction(async |tx| {
    ///         let user = tx.save(&User { name: "Alice".into(), ..User::default() }).await?;
    ///         tx.save(&Post { author_id: user.id, title: "First".into(), ..Post::default() }).await
    ///     })
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The code's own, and those of beginning and committing.
    pub fn transaction<T, F, X>(&self, code: F) -> impl Future<Output = Result<T, X>>
    where
        F: AsyncFnOnce(&Transaction) -> Result<T, X>,
        X: From<Error>,
    {
        self.transaction_with(TransactionOptions::new(), code)
    }

    /// As [`Session::transaction`], with an isolation level and what else PostgreSQL can be told at its beginning.
    ///
    /// Nothing is tried again by itself: only the application knows whether what else its code does may be done twice.
    ///
    /// ```no_run
    /// # use pgstrata_orm::{Entity, EntityManager, Error};
    /// use pgstrata_orm::{IsolationLevel, TransactionOptions};
    ///
    /// # async fn example<Booking: Entity>(em: EntityManager, booking: Booking) -> Result<(), Error> {
    /// let serializable = TransactionOptions::new().isolation_level(IsolationLevel::Serializable);
    /// loop {
    ///     let booked = em.transaction_with(serializable, async |tx| match tx.count::<Booking>().await? {
    ///         0..100 => tx.save(&booking).await.map(Some),
    ///         _ => Ok(None),
    ///     });
    ///     match booked.await {
    ///         Err(error) if error.is_retryable() => {}
    ///         booked => break booked.map(drop),
    ///     }
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// As of [`Session::transaction`]: [`Error::is_retryable`] where it is worth another try.
    pub fn transaction_with<T, F, X>(
        &self,
        options: TransactionOptions,
        code: F,
    ) -> impl Future<Output = Result<T, X>>
    where
        F: AsyncFnOnce(&Transaction) -> Result<T, X>,
        X: From<Error>,
    {
        let call = self.call();
        async move {
            let transaction = call.begin_call(options).await?;
            match code(&transaction).await {
                Ok(value) => {
                    transaction.commit().await?;
                    Ok(value)
                }
                Err(error) => {
                    // The code's own error says more than one of rolling back.
                    let _ = transaction.rollback().await;
                    Err(error)
                }
            }
        }
    }
}

impl Call<'_> {
    /// Begins a transaction of the tenant's whose call it is.
    pub(crate) async fn begin_call(&self, options: TransactionOptions) -> Result<Transaction, Error> {
        let pool = Session::clone(self);
        let place = self.place()?;
        let steps = pool.begin_steps(&place, options);
        let doing = || format!("beginning a transaction of \"{}\"", place.name());
        let lease = loop {
            let lease = pool.lease(&place).await?;
            let watch = pool.watch();
            match watch.within(begin(&lease, &steps, pool.shared.options.pipelined)).await {
                Some(Ok(())) => break lease,
                // Nothing was done on it yet. A new one is not tried again.
                Some(Err(error)) if lease.is_kept() && error.is_disconnected() => {}
                Some(Err(error)) => return Err(watch.stopped(error).while_doing(doing)),
                None => return Err(watch.timed_out().while_doing(doing)),
            }
        };
        let open = Open::new(lease, place);
        Ok(Transaction { session: Session { open: Some(open), ..pool } })
    }
}

async fn begin(lease: &Lease, steps: &[String], pipelined: bool) -> Result<(), Fault> {
    if pipelined {
        return lease.batch(&steps.join("; ")).await;
    }
    for step in steps {
        lease.batch(step).await?;
    }
    Ok(())
}

impl Transaction {
    /// Makes it count.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let tx = em.begin().await?;
    /// assert!(tx.query("SELECT 1 / 0", &[]).await.is_err());
    /// assert!(matches!(tx.commit().await, Err(Error::Aborted)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Aborted`] if a statement in it failed or was dropped in the middle, or a savepoint was: then it is rolled back.
    /// [`Error::CommitUnknown`] if the connection was lost in the middle of the commit itself.
    pub async fn commit(mut self) -> Result<(), Error> {
        let failed = self.open().is_some_and(|open| open.failed.load(Ordering::Acquire) != SOUND);
        // What was abandoned may run still: the connection is closed, and with it the transaction. One that was lost took it along.
        if self.lease().is_none_or(|lease| lease.is_running() || lease.is_closed()) {
            return Err(Error::Aborted);
        }
        if failed {
            // It is rolled back, or its connection is closed, which comes to the same.
            let _ = self.end("ROLLBACK").await;
            return Err(Error::Aborted);
        }
        self.end("COMMIT").await.map_err(|stopped| match stopped {
            Stopped::Driver { source: Fault::Postgres(source), .. } if is_disconnected(&source) => {
                Error::CommitUnknown { source: Some(source) }
            }
            Stopped::Silent { .. } => Error::CommitUnknown { source: None },
            other => other.while_doing(|| "committing".into()),
        })
    }

    /// Undoes all of it.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let tx = em.begin().await?;
    /// let would_go: u64 = tx.delete::<Post>().where_(Post::LIKES.lt(1)).await?;
    /// tx.rollback().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What PostgreSQL says: the connection is closed then, which comes to the same.
    pub async fn rollback(mut self) -> Result<(), Error> {
        self.end("ROLLBACK").await.map_err(|stopped| stopped.while_doing(|| "rolling back".into()))
    }

    /// Statements of our own, with no values.
    pub(crate) async fn batch(&self, text: &str, doing: &str) -> Result<(), Error> {
        let Some((open, lease)) = self.open().zip(self.lease()) else { return Err(Error::Aborted) };
        let watch = self.session.watch();
        let done = watch.within(lease.batch(text)).await;
        open.outcome(&watch, done).map_err(|stopped| stopped.while_doing(|| doing.to_owned()))
    }

    async fn end(&mut self, text: &'static str) -> Result<(), Stopped> {
        let (cleaning, watch) = (self.session.cleaning(), self.session.watch());
        let ended = || Stopped::Other(Error::Aborted);
        let open = self.session.open.as_mut().ok_or_else(ended)?;
        let clean = open.anything.load(Ordering::Acquire).then_some(cleaning);
        let lease = open.lease.take().ok_or_else(ended)?;
        let Some((ended, cleaned)) = watch.within(lease.end(text, clean)).await else {
            return Err(watch.timed_out());
        };
        // A COMMIT that PostgreSQL refuses has rolled back.
        let over = ended.as_ref().map_or_else(Fault::is_answer, |()| true);
        if over && cleaned && !lease.is_running() {
            lease.done();
        }
        ended.map_err(|source| watch.stopped(source))
    }

    pub(super) fn open(&self) -> Option<&Open> {
        self.session.open.as_ref()
    }

    fn lease(&self) -> Option<&Lease> {
        self.open()?.lease.as_ref()
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let cleaning = self.session.cleaning();
        let Some(open) = &mut self.session.open else { return };
        let clean = open.anything.load(Ordering::Acquire).then_some(cleaning);
        let Some(lease) = open.lease.take() else { return };
        // Dropped with a statement on its way, the connection is closed. Else a rollback is cheaper than another connection.
        if let (false, Ok(runtime)) = (lease.is_running(), Handle::try_current()) {
            runtime.spawn(async move {
                if let Ok((Ok(()), true)) = tokio::time::timeout(PATIENCE, lease.end("ROLLBACK", clean)).await
                {
                    lease.done();
                }
            });
        }
    }
}

impl Deref for Transaction {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenant = self.open().map(|open| open.place.name());
        f.debug_struct("Transaction").field("tenant", &tenant).finish_non_exhaustive()
    }
}
