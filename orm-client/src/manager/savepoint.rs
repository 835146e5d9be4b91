//! A part of a transaction that is undone by itself.
//!
//! PostgreSQL knows one stack of savepoints for each transaction: undoing one undoes all that came behind it, whoever sent it. So they are
//! used one in the other. What runs in which, the task knows; a statement that comes from outside of the innermost one is refused, since it
//! would be undone with that.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use super::transaction::{Open, SOUND, Transaction};
use crate::Error;

tokio::task_local! {
    static SCOPE: Arc<Scope>;
}

/// The savepoint that code runs in, and the one around it, which may be another transaction's.
struct Scope {
    transaction: usize,
    savepoint: usize,
    outer: Option<Arc<Self>>,
}

impl Scope {
    /// The innermost savepoint of this transaction that the code of now runs in.
    fn innermost(transaction: usize) -> Option<usize> {
        let mut scope = SCOPE.try_with(Arc::clone).ok();
        while let Some(inner) = scope {
            if inner.transaction == transaction {
                return Some(inner.savepoint);
            }
            scope = inner.outer.clone();
        }
        None
    }
}

/// Takes a savepoint that is dropped, or whose code panics, for what it is: a part of the transaction that nobody has ended.
struct Guard<'o> {
    open: &'o Open,
    number: usize,
    ended: bool,
}

impl Guard<'_> {
    fn ended(mut self) {
        self.ended = true;
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        let mut stack = self.open.stack();
        if let Some(at) = stack.iter().position(|number| *number == self.number) {
            stack.truncate(at);
        }
        if !self.ended {
            // Nothing but what undoes a savepoint around it makes the transaction sound again.
            self.open.failed.fetch_min(self.number, Ordering::AcqRel);
        }
    }
}

impl Open {
    /// Takes down that something failed: what undoes a savepoint that was open by then undoes it, too.
    pub(super) fn fail(&self) {
        self.failed.fetch_min(self.savepoints.load(Ordering::Acquire), Ordering::AcqRel);
    }

    /// All behind this savepoint was undone.
    fn undone(&self, number: usize) {
        let sound = |failed| (failed > number).then_some(SOUND);
        let _ = self.failed.fetch_update(Ordering::AcqRel, Ordering::Acquire, sound);
    }

    /// Whether the code of now runs in the innermost savepoint that is open.
    pub(super) fn check_scope(&self) -> Result<(), Error> {
        let open = self.stack().last().copied();
        match open == Scope::innermost(self.id()) {
            true => Ok(()),
            false => Err(Error::Interleaved),
        }
    }

    fn stack(&self) -> std::sync::MutexGuard<'_, Vec<usize>> {
        self.stack.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transaction {
    /// Runs code whose error undoes what the code did, and no more.
    ///
    /// One that is dropped, or panics, can be neither kept nor undone any more: the transaction is rolled back by its commit, with
    /// [`Error::Aborted`]. Two of them side by side are an [`Error::Interleaved`].
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
        let Some(open) = self.open() else { return Err(Error::Aborted.into()) };
        open.check_scope()?;
        let number = open.savepoints.fetch_add(1, Ordering::AcqRel);
        // Whatever else comes before it is set does not run in it.
        open.stack().push(number);
        let guard = Guard { open, number, ended: false };
        let name = format!("pgstrata_{number}");
        self.step(&format!("SAVEPOINT {name}")).await?;
        let outer = SCOPE.try_with(Arc::clone).ok();
        let scope = Arc::new(Scope { transaction: open.id(), savepoint: number, outer });
        match SCOPE.scope(scope, code(self)).await {
            Ok(value) => {
                self.step(&format!("RELEASE SAVEPOINT {name}")).await?;
                guard.ended();
                Ok(value)
            }
            Err(error) => {
                self.step(&format!("ROLLBACK TO SAVEPOINT {name}; RELEASE SAVEPOINT {name}")).await?;
                open.undone(number);
                guard.ended();
                Err(error)
            }
        }
    }

    async fn step(&self, text: &str) -> Result<(), Error> {
        self.batch(text, "setting a savepoint").await
    }
}
