//! What can be asked, of the pool or in a transaction.

use std::fmt;
use std::sync::Arc;

use pgstrata_tenancy::TenantId;
use pgstrata_tenancy::layers::PUBLIC;
use tokio_postgres::Row;

use super::Shared;
use super::modes::TransactionOptions;
use super::transaction::Open;
use super::watch::{self, Stopped, Watch};
use crate::Error;
use crate::connection::{Answer, CLEAN, DISCARD, Frame, Lease};
use crate::context::{MetadataContext, Tenant};
use crate::entity::{Entity, EntityDefinition};
use crate::query::{Count, Delete, Exists, Find, ManyAndCount, One, Update, Upsert, save};
use crate::sql::Sql;
use crate::strategy::TenantQueryStrategy;
use crate::table::Table;

/// What an [`EntityManager`](super::EntityManager) and a [`Transaction`](super::Transaction) have in common: code that takes a `&Session` works with both.
///
/// Each call is for the tenant of the [`MetadataContext`] that it is made in.
///
/// ```no_run
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// async fn is_empty(session: &Session) -> Result<bool, Error> {
///     Ok(!session.exists::<User>().await?)
/// }
///
/// # async fn example(em: EntityManager) -> Result<(), Error> {
/// is_empty(&em).await?;
/// let tx = em.begin().await?;
/// is_empty(&tx).await?;
/// # Ok(())
/// # }
/// ```
pub struct Session {
    pub(super) shared: Arc<Shared>,
    /// The transaction that all of it runs in.
    pub(super) open: Option<Open>,
}

impl Clone for Session {
    // A manager's: there is no way to clone a transaction.
    fn clone(&self) -> Self {
        Self::pooled(Arc::clone(&self.shared))
    }
}

/// Whose rows are meant: a tenant's, or nobody's.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Place(pub(super) Option<TenantId>);

impl Place {
    pub(super) fn name(&self) -> &str {
        self.0.as_ref().map_or(PUBLIC, TenantId::as_str)
    }
}

impl Session {
    pub(super) fn pooled(shared: Arc<Shared>) -> Self {
        Self { shared, open: None }
    }

    /// Rows of `E`: all, unless more is said. See [`Find`].
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let drafts = em.find::<Post>().where_(Post::SUMMARY.is_null()).order_by(Post::ID.desc());
    /// assert!(drafts.sql()?.ends_with(r#"WHERE "summary" IS NULL ORDER BY "id" DESC"#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn find<E: Entity>(&self) -> Find<'_, E> {
        Find::many(self)
    }

    /// The first row of `E`, or none.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let latest: Option<Post> = em.find_one::<Post>().order_by(Post::ID.desc()).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn find_one<E: Entity>(&self) -> Find<'_, E, One> {
        Find::one(self)
    }

    /// The row of `E` with this primary key: a value, or a tuple of them.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let user: Option<User> = em.find_by_pk::<User>(7).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What PostgreSQL says, and [`Error::Tenant`] where the context's name can be no tenant's, as with all of these.
    pub async fn find_by_pk<E: Entity>(&self, key: E::Key) -> Result<Option<E>, Error> {
        crate::query::by_key(self, &key).await
    }

    /// Rows of `E`, and how many there are without [`Find::limit`] and [`Find::offset`]: those of a page, and of all pages.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let question = em.find_and_count::<Post>().order_by(Post::ID.asc()).limit(10).offset(20);
    /// let (third_page, of): (Vec<Post>, u64) = question.await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn find_and_count<E: Entity>(&self) -> Find<'_, E, ManyAndCount> {
        Find::many_and_count(self)
    }

    /// How many rows of `E` there are: with [`Find::limit`] at most so many, and without those that [`Find::offset`] leaves out.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let liked: u64 = em.count::<Post>().where_(Post::LIKES.gt(0)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn count<E: Entity>(&self) -> Find<'_, E, Count> {
        Find::count(self)
    }

    /// Whether there is any row of `E`.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let taken: bool = em.exists::<User>().where_(User::EMAIL.eq("alice@example.com")).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn exists<E: Entity>(&self) -> Find<'_, E, Exists> {
        Find::exists(self)
    }

    /// Saves a row, and gives it back as the database has it then.
    ///
    /// One whose key is the database's to give and has its type's default value is inserted. Any other is inserted, or
    /// changed where a row with that key is there. A column with a default takes it where the field is `None`.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let mut user = em.save(&User { name: "Alice".into(), ..User::default() }).await?;
    /// assert_ne!(user.id, 0, "the database gave it");
    /// user.email = Some("alice@example.com".into());
    /// em.save(&user).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What PostgreSQL says: [`Error::is_duplicate`] where another row has a value that must be unique.
    pub async fn save<E: Entity>(&self, entity: &E) -> Result<E, Error> {
        save::save(self, entity).await
    }

    /// Saves all of these rows, or none, and gives them back in the same order.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let users = ["Alice", "Bob"].map(|name| User { name: name.into(), ..User::default() });
    /// let saved = em.save_many(&users).await?;
    /// assert_eq!(saved[1].name, "Bob");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As of [`Session::save`].
    pub async fn save_many<E: Entity>(&self, entities: &[E]) -> Result<Vec<E>, Error> {
        save::save_many(self, entities).await
    }

    /// Inserts a row, or changes the one that has the same unique values. See [`Upsert`].
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let user = User { name: "Alice".into(), email: Some("alice@example.com".into()), ..User::default() };
    /// let first = em.upsert(&user).on(User::EMAIL).await?;
    /// let second = em.upsert(&user).on(User::EMAIL).await?;
    /// assert_eq!(first.id, second.id);
    /// # Ok(())
    /// # }
    /// ```
    pub fn upsert<'s, E: Entity>(&'s self, entity: &'s E) -> Upsert<'s, E> {
        Upsert::new(self, entity)
    }

    /// Sets columns of many rows. See [`Update`].
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let posts: u64 = em.update::<Post>().set(Post::LIKES, 0).where_(Post::AUTHOR_ID.eq(7)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn update<E: Entity>(&self) -> Update<'_, E> {
        Update::new(self)
    }

    /// Deletes many rows. See [`Delete`].
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let unread: u64 = em.delete::<Post>().where_(Post::LIKES.eq(0)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn delete<E: Entity>(&self) -> Delete<'_, E> {
        Delete::new(self)
    }

    /// Deletes the row with this primary key. `false`: there was none.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// if !em.delete_by_pk::<Post>(7).await? {
    ///     println!("somebody else was faster");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub async fn delete_by_pk<E: Entity>(&self, key: E::Key) -> Result<bool, Error> {
        save::delete::<E>(self, &key).await
    }

    /// Deletes this row. `false`: it was gone.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let user = em.save(&User { name: "Mallory".into(), ..User::default() }).await?;
    /// assert!(em.remove(&user).await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub async fn remove<E: Entity>(&self, entity: &E) -> Result<bool, Error> {
        save::delete::<E>(self, &entity.key()).await
    }

    /// Whether this is a transaction's.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// assert!(!em.is_transaction());
    /// assert!(em.begin().await?.is_transaction());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_transaction(&self) -> bool {
        self.open.is_some()
    }

    pub(super) fn strategy(&self) -> &dyn TenantQueryStrategy {
        &*self.shared.options.strategy
    }

    /// Whose rows the context means.
    pub(crate) fn place(&self) -> Result<Place, Error> {
        let tenant = MetadataContext::current_tenant();
        let checked = tenant.check()?;
        // Nobody's own schema may well be one that all share.
        if checked.is_some() && self.shared.options.shared.iter().any(|shared| tenant == shared.as_str()) {
            return Err(Error::Reserved(tenant.to_string()));
        }
        let place = Place(checked.cloned());
        match &self.open {
            Some(open) if open.place != place => Err(Error::TenantChanged {
                transaction: open.place.name().into(),
                context: place.name().into(),
            }),
            _ => Ok(place),
        }
    }

    /// A statement with nothing in it but what tells whose it is.
    pub(crate) fn sql<'v>(&self, place: &Place) -> Sql<'v> {
        Sql::new(place.0.as_ref().map_or_else(String::new, |tenant| self.strategy().mark(tenant)))
    }

    /// The table of an entity as the tenant sees it.
    pub(crate) fn table(&self, place: &Place, definition: &'static EntityDefinition) -> Result<Table, Error> {
        let metadata = self.shared.store.get_in(place.name(), definition.name);
        let metadata = metadata.ok_or(Error::Unregistered(definition.name))?;
        Table::new(definition, metadata, place.0.as_ref(), self.strategy().qualifies())
    }

    pub(crate) async fn read<E: Entity>(
        &self,
        place: &Place,
        by_path: bool,
        sql: &Sql<'_>,
    ) -> Result<Vec<Row>, Error> {
        let transaction = by_path && self.strategy().read_in_transaction();
        let path = self.names_by_path(place).filter(|_| by_path);
        let frame = Frame { path, ..self.frame(place, transaction, false) };
        let answer = self.run(&frame, sql).await;
        Ok(answer.map_err(failed("reading", E::DEFINITION, place))?.rows)
    }

    pub(crate) async fn write<E: Entity>(&self, place: &Place, sql: &Sql<'_>) -> Result<Answer, Error> {
        let transaction = self.strategy().write_in_transaction();
        let frame = Frame { path: self.names_by_path(place), ..self.frame(place, transaction, true) };
        self.run(&frame, sql).await.map_err(failed("writing", E::DEFINITION, place))
    }

    /// SQL of the application's own.
    pub(super) async fn anything(&self, place: &Place, sql: &Sql<'_>) -> Result<Answer, Error> {
        let transaction = self.strategy().write_in_transaction();
        let frame = Frame {
            // Its names are all read by the path, whatever the strategy.
            path: Some(place.name().to_owned()),
            clean: Some(self.cleaning()),
            ..self.frame(place, transaction, true)
        };
        if let Some(open) = &self.open {
            open.has_run_anything();
        }
        let doing =
            |stopped: Stopped| stopped.while_doing(|| format!("running SQL for \"{}\"", place.name()));
        self.run(&frame, sql).await.map_err(doing)
    }

    pub(super) fn cleaning(&self) -> &'static str {
        if self.strategy().guards_sessions() { CLEAN } else { DISCARD }
    }

    /// The path under which a statement is kept, if its text alone does not say whose it is.
    fn names_by_path(&self, place: &Place) -> Option<String> {
        (!self.strategy().qualifies()).then(|| place.0.as_ref().map(TenantId::to_string)).flatten()
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
        let options = &self.shared.options;
        let shared = options.shared.iter().map(String::as_str).filter(|shared| *shared != place.name());
        let path: Vec<&str> = std::iter::once(place.name()).chain(shared).collect();
        let mark = place.0.as_ref().map_or_else(String::new, |tenant| self.strategy().mark(tenant));
        let timeout = options
            .query_timeout
            .map(|timeout| format!("SET LOCAL statement_timeout = {}", watch::milliseconds(timeout)));
        let settings: Vec<String> = self.strategy().enter(&path).into_iter().chain(timeout).collect();
        let settings = Some(settings.join("; ")).filter(|settings| !settings.is_empty());
        [format!("{mark}BEGIN {modes}")].into_iter().chain(settings).collect()
    }

    async fn run(&self, frame: &Frame, sql: &Sql<'_>) -> Result<Answer, Stopped> {
        if let Some(open) = &self.open {
            return open.run(&self.watch(), frame.path.as_deref(), sql).await;
        }
        let lease = self.lease().await.map_err(Stopped::Other)?;
        let watch = self.watch();
        let (answer, clean) = lease.single(frame, sql).await;
        if clean {
            lease.done();
        }
        answer.map_err(|source| watch.stopped(source))
    }

    /// Watches a statement that is about to be sent.
    pub(super) fn watch(&self) -> Watch {
        Watch::new(self.shared.options.query_timeout)
    }

    pub(super) async fn lease(&self) -> Result<Lease, Error> {
        let lease = Lease::new(&self.shared.pool, &self.shared.options.connector).await;
        lease.map_err(Error::Connect)
    }
}

fn failed(
    what: &'static str,
    definition: &'static EntityDefinition,
    place: &Place,
) -> impl FnOnce(Stopped) -> Error {
    move |stopped| stopped.while_doing(|| format!("{what} {} of \"{}\"", definition.name, place.name()))
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("transaction", &self.is_transaction()).finish_non_exhaustive()
    }
}

/// Work that is nobody's, whatever the context.
pub(super) fn public<F: Future>(work: F) -> impl Future<Output = F::Output> {
    MetadataContext::run(Tenant::PUBLIC, work)
}
