//! Statements that count together, or not at all.

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::runtime::Handle;

use super::modes::TransactionOptions;
use super::session::{Place, Session};
use super::watch::{Stopped, Watch};
use crate::Error;
use crate::connection::{Answer, Lease};
use crate::sql::Sql;

/// The connection of a transaction, and how it stands.
pub(super) struct Open {
    /// None once it is over.
    lease: Option<Lease>,
    pub(super) place: Place,
    /// PostgreSQL takes no more statements, or nobody knows how it stands.
    failed: AtomicBool,
    /// SQL of the application's own has run.
    anything: AtomicBool,
    savepoints: AtomicUsize,
}

impl Open {
    pub(super) async fn run(
        &self,
        watch: &Watch,
        path: Option<&str>,
        sql: &Sql<'_>,
    ) -> Result<Answer, Stopped> {
        let Some(lease) = &self.lease else { return Err(Stopped::Other(Error::Aborted)) };
        let answer = lease.run(path, sql).await;
        if answer.is_err() {
            self.failed.store(true, Ordering::Release);
        }
        answer.map_err(|source| watch.stopped(source))
    }

    pub(super) fn has_run_anything(&self) {
        self.anything.store(true, Ordering::Release);
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
    pub async fn begin(&self) -> Result<Transaction, Error> {
        self.begin_with(TransactionOptions::new()).await
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
    pub async fn begin_with(&self, options: TransactionOptions) -> Result<Transaction, Error> {
        let pool = Self::pooled(self.shared.clone());
        let place = pool.place()?;
        let steps = pool.begin_steps(&place, options);
        let lease = pool.lease().await?;
        let doing = format!("beginning a transaction of \"{}\"", place.name());
        let begun = async {
            if self.shared.options.pipelined {
                return lease.batch(&steps.join("; ")).await;
            }
            for step in &steps {
                lease.batch(step).await?;
            }
            Ok(())
        };
        begun.await.map_err(Error::postgres(doing))?;
        let open = Open {
            lease: Some(lease),
            place,
            failed: AtomicBool::new(false),
            anything: AtomicBool::new(false),
            savepoints: AtomicUsize::new(0),
        };
        Ok(Transaction { session: Session { open: Some(open), ..pool } })
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
    pub async fn transaction<T, F, X>(&self, code: F) -> Result<T, X>
    where
        F: AsyncFnOnce(&Transaction) -> Result<T, X>,
        X: From<Error>,
    {
        self.transaction_with(TransactionOptions::new(), code).await
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
    pub async fn transaction_with<T, F, X>(&self, options: TransactionOptions, code: F) -> Result<T, X>
    where
        F: AsyncFnOnce(&Transaction) -> Result<T, X>,
        X: From<Error>,
    {
        let transaction = self.begin_with(options).await?;
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
    /// [`Error::Aborted`] if a statement in it failed or was dropped in the middle: then it is rolled back.
    pub async fn commit(mut self) -> Result<(), Error> {
        let failed = self.open().is_some_and(|open| open.failed.load(Ordering::Acquire));
        let running = self.lease().is_some_and(Lease::is_running);
        if running {
            // What was abandoned may run still: the connection is closed, and with it the transaction.
            return Err(Error::Aborted);
        }
        self.end(if failed { "ROLLBACK" } else { "COMMIT" }).await?;
        if failed { Err(Error::Aborted) } else { Ok(()) }
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
        self.end("ROLLBACK").await
    }

    /// Runs code whose error undoes what the code did, and no more.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager, user: User) -> Result<(), Error> {
    /// let tx = em.begin().await?;
    /// match tx.savepoint(async |tx| tx.save(&user).await).await {
    ///     Err(error) if error.is_duplicate() => println!("there is one already"),
    ///     other => drop(other?),
    /// }
    /// tx.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The code's own, and what PostgreSQL says.
    pub async fn savepoint<T, F, X>(&self, code: F) -> Result<T, X>
    where
        F: AsyncFnOnce(&Self) -> Result<T, X>,
        X: From<Error>,
    {
        let number = self.open().map_or(0, |open| open.savepoints.fetch_add(1, Ordering::AcqRel));
        let name = format!("pgstrata_{number}");
        self.step(&format!("SAVEPOINT {name}")).await?;
        match code(self).await {
            Ok(value) => {
                self.step(&format!("RELEASE SAVEPOINT {name}")).await?;
                Ok(value)
            }
            Err(error) => {
                self.step(&format!("ROLLBACK TO SAVEPOINT {name}; RELEASE SAVEPOINT {name}")).await?;
                if let Some(open) = self.open() {
                    open.failed.store(false, Ordering::Release);
                }
                Err(error)
            }
        }
    }

    async fn step(&self, text: &str) -> Result<(), Error> {
        self.batch(text, "setting a savepoint").await
    }

    /// Statements of our own, with no values.
    pub(super) async fn batch(&self, text: &str, doing: &str) -> Result<(), Error> {
        let Some((open, lease)) = self.open().zip(self.lease()) else { return Err(Error::Aborted) };
        let watch = self.session.watch();
        let done = lease.batch(text).await;
        if done.is_err() {
            open.failed.store(true, Ordering::Release);
        }
        done.map_err(|source| watch.stopped(source).while_doing(|| doing.to_owned()))
    }

    async fn end(&mut self, text: &'static str) -> Result<(), Error> {
        let cleaning = self.session.cleaning();
        let Some(open) = &mut self.session.open else { return Err(Error::Aborted) };
        let clean = open.anything.load(Ordering::Acquire).then_some(cleaning);
        let Some(lease) = open.lease.take() else { return Err(Error::Aborted) };
        let (ended, cleaned) = lease.end(text, clean).await;
        // A COMMIT that PostgreSQL refuses has rolled back.
        let over = ended.as_ref().map_or_else(|error| error.code().is_some(), |()| true);
        if over && cleaned && !lease.is_running() {
            lease.done();
        }
        ended.map_err(Error::postgres(if text == "COMMIT" { "committing" } else { "rolling back" }))
    }

    fn open(&self) -> Option<&Open> {
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
                if let (Ok(()), true) = lease.end("ROLLBACK", clean).await {
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
