//! What an entity does of its own when its rows are read, saved or deleted.

use std::fmt;

use crate::{Error, Session};

/// What a type does before and after its rows are saved, deleted or read. The derive writes one that does nothing; with
/// `#[entity(hooks)]` the type has its own, and is `Clone`.
///
/// Hooks and the statement between them are one transaction, which the hooks are given: what they write is the tenant's of the row, and
/// stays or goes with it. They run in the tenant's context; another tenant's in there is an [`Error::TenantChanged`]. Whatever one of
/// them refuses is not saved: in a transaction of the caller's own, nothing of that transaction is.
///
/// They are called for each row by [`Session::save`], [`Session::insert`], [`Session::save_changes`], [`Session::save_many`] and
/// [`Session::upsert`], by [`Session::remove`] and [`Session::delete_by_pk`]. [`Session::update`] and [`Session::delete`] know no rows,
/// and call none; [`Session::copy_in`] calls [`Hooks::validate`] alone.
///
/// ```no_run
/// use pgstrata_orm::{Entity, Error, Hooks, Invalid, Saving, Session};
///
/// #[derive(Clone, Entity)]
/// #[entity(hooks)]
/// struct Account {
///     #[column(primary_key, generated)]
///     id: i64,
///     email: String,
///     balance: i64,
/// }
///
/// #[derive(Entity)]
/// struct Audit {
///     #[column(primary_key, generated)]
///     id: i64,
///     line: String,
/// }
///
/// impl Hooks for Account {
///     fn validate(&self) -> Result<(), Invalid> {
///         match self.balance {
///             ..0 => Err(Invalid::new("balance", "is below zero")),
///             _ => Ok(()),
///         }
///     }
///
///     async fn before_save(&mut self, _: &Session, _: Saving) -> Result<(), Error> {
///         self.email = self.email.trim().to_lowercase();
///         Ok(())
///     }
///
///     async fn after_save(&mut self, session: &Session, saving: Saving) -> Result<(), Error> {
///         let line = format!("{saving:?} of account {}", self.id);
///         session.insert(&Audit { id: 0, line }).await.map(drop)
///     }
/// }
/// ```
pub trait Hooks: Sized + Send + Sync {
    /// Whether the row may be saved as it is, behind [`Hooks::before_save`].
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// assert!(User::default().validate().is_ok(), "it has no hooks");
    /// ```
    ///
    /// # Errors
    /// What is wrong with it, which becomes an [`Error::Invalid`].
    fn validate(&self) -> Result<(), Invalid> {
        Ok(())
    }

    /// Before the row is saved: what it changes is what is saved.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager, mut user: User) -> Result<(), Error> {
    /// // The ORM calls it; nobody else has to.
    /// user.before_save(&em, Saving::Insert).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The row is not saved.
    fn before_save(
        &mut self,
        _session: &Session,
        _saving: Saving,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        std::future::ready(Ok(()))
    }

    /// After the row was saved; it is as the database has it, and goes to the caller as it is then.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager, mut user: User) -> Result<(), Error> {
    /// user.after_save(&em, Saving::Insert).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The row is not saved.
    fn after_save(
        &mut self,
        _session: &Session,
        _saving: Saving,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        std::future::ready(Ok(()))
    }

    /// Before the row is deleted, or marked so.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager, user: User) -> Result<(), Error> {
    /// user.before_delete(&em).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The row is not deleted.
    fn before_delete(&self, _session: &Session) -> impl Future<Output = Result<(), Error>> + Send {
        std::future::ready(Ok(()))
    }

    /// After the row was deleted. It is not called if there was none.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager, user: User) -> Result<(), Error> {
    /// user.after_delete(&em).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The row is not deleted.
    fn after_delete(&self, _session: &Session) -> impl Future<Output = Result<(), Error>> + Send {
        std::future::ready(Ok(()))
    }

    /// After the row was read, whatever read it: for fields that are no columns, for one.
    ///
    /// ```
    /// use pgstrata_orm::{Entity, Hooks};
    ///
    /// #[derive(Clone, Entity)]
    /// #[entity(hooks)]
    /// struct Person {
    ///     #[column(primary_key)]
    ///     id: i64,
    ///     first: String,
    ///     last: String,
    ///     #[column(skip)]
    ///     full: String,
    /// }
    ///
    /// impl Hooks for Person {
    ///     fn after_load(&mut self) {
    ///         self.full = format!("{} {}", self.first, self.last);
    ///     }
    /// }
    /// ```
    fn after_load(&mut self) {}
}

/// What is done to a row that is saved.
///
/// ```
/// use pgstrata_orm::Saving;
///
/// fn is_new(saving: Saving) -> Option<bool> {
///     match saving {
///         Saving::Insert => Some(true),
///         Saving::Change => Some(false),
///         Saving::Either => None,
///     }
/// }
/// assert_eq!(is_new(Saving::Insert), Some(true));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saving {
    /// It is inserted: by `insert`, or by `save` without a key.
    Insert,
    /// It is there, and changed: by `save_changes`.
    Change,
    /// It is inserted or, if it is there, changed, which the database decides: by `save` with a key, or `upsert`.
    Either,
}

/// What is wrong with a row, field by field: see [`Hooks::validate`].
///
/// ```
/// use pgstrata_orm::Invalid;
///
/// fn check(name: &str, age: i32) -> Result<(), Invalid> {
///     let mut invalid = Invalid::default();
///     if name.is_empty() {
///         invalid.add("name", "is empty");
///     }
///     if age < 18 {
///         invalid.add("age", format!("is {age}, and has to be 18 at least"));
///     }
///     invalid.into_result()
/// }
///
/// assert_eq!(check("", 7).unwrap_err().to_string(), "name is empty; age is 7, and has to be 18 at least");
/// assert!(check("Alice", 30).is_ok());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invalid(Vec<(&'static str, String)>);

impl Invalid {
    /// One thing that is wrong.
    ///
    /// ```
    /// # use pgstrata_orm::Invalid;
    /// assert_eq!(Invalid::new("email", "has no @").to_string(), "email has no @");
    /// ```
    pub fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self(vec![(field, problem.into())])
    }

    /// One more.
    ///
    /// ```
    /// # use pgstrata_orm::Invalid;
    /// let mut invalid = Invalid::new("email", "has no @");
    /// invalid.add("name", "is empty");
    /// assert_eq!(invalid.problems().count(), 2);
    /// ```
    pub fn add(&mut self, field: &'static str, problem: impl Into<String>) {
        self.0.push((field, problem.into()));
    }

    /// All of it: the field, and what is wrong with it.
    ///
    /// ```
    /// # use pgstrata_orm::Invalid;
    /// let invalid = Invalid::new("email", "has no @");
    /// assert_eq!(invalid.problems().collect::<Vec<_>>(), [("email", "has no @")]);
    /// ```
    pub fn problems(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(field, problem)| (*field, problem.as_str()))
    }

    /// An error, if anything is wrong.
    ///
    /// ```
    /// # use pgstrata_orm::Invalid;
    /// assert!(Invalid::default().into_result().is_ok());
    /// ```
    ///
    /// # Errors
    /// Itself.
    pub fn into_result(self) -> Result<(), Self> {
        match self.0.is_empty() {
            true => Ok(()),
            false => Err(self),
        }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (field, problem)) in self.problems().enumerate() {
            write!(f, "{}{field} {problem}", if n == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}
