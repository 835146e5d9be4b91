//! What can be asked, of the pool or in a transaction.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use pgstrata_tenancy::TenantId;
use pgstrata_tenancy::layers::PUBLIC;

use super::Shared;
use super::transaction::Open;
use crate::Error;
use crate::context::{Caller, MetadataContext, Tenant};
use crate::entity::{Entity, EntityDefinition};
use crate::query::{
    Around, Count, Delete, Exists, Find, Loads, Many, ManyAndCount, One, Update, Upsert, save,
};
use crate::sql::Sql;
use crate::table::Table;
use crate::{DatabaseKind, MissingTenant, layers};

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
    /// The tenant that it is of, whatever the context.
    pub(super) bound: Option<Tenant>,
    /// The transaction that all of it runs in.
    pub(super) open: Option<Open>,
}

impl Clone for Session {
    // A manager's, or a tenant's: there is no way to clone a transaction.
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), bound: self.bound.clone(), open: None }
    }
}

/// Whose rows are meant: a tenant's, or nobody's.
#[derive(Clone)]
pub(crate) struct Place {
    tenant: Option<TenantId>,
    /// Somebody has said so: by a context, or by the session.
    said: bool,
}

impl Place {
    pub(super) fn name(&self) -> &str {
        self.tenant.as_ref().map_or(PUBLIC, TenantId::as_str)
    }

    pub(super) fn tenant(&self) -> Option<&TenantId> {
        self.tenant.as_ref()
    }
}

/// A session, and the context in which something was asked of it.
#[derive(Clone, Debug)]
pub(crate) struct Call<'s> {
    session: &'s Session,
    caller: Caller,
}

impl Call<'_> {
    /// Whose rows are meant.
    pub(crate) fn place(&self) -> Result<Place, Error> {
        self.session.place(&self.caller)
    }
}

impl Deref for Call<'_> {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.session
    }
}

impl Session {
    pub(super) fn pooled(shared: Arc<Shared>, bound: Option<Tenant>) -> Self {
        Self { shared, bound, open: None }
    }

    /// Another one's call, on this session.
    pub(super) fn call_of(&self, other: &Call<'_>) -> Call<'_> {
        Call { session: self, caller: other.caller.clone() }
    }

    /// A call of now.
    pub(crate) fn call(&self) -> Call<'_> {
        Call { session: self, caller: Caller::now() }
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
        Find::new(self.call(), Many)
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
        Find::new(self.call(), One)
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
    pub fn find_by_pk<E: Entity>(
        &self,
        key: E::Key,
    ) -> impl Future<Output = Result<Option<E>, Error>> + Send {
        let call = self.call();
        async move { save::find(&call, &key).await }
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
        Find::new(self.call(), ManyAndCount)
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
        Find::new(self.call(), Count)
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
        Find::new(self.call(), Exists)
    }

    /// What rows are related to, for rows that are there: one thing for each of them, in their order. One statement for each relation,
    /// however many rows there are.
    ///
    /// The rows are found by their keys among those of the session's tenant, whoever the rows were read from.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let posts = em.query_as::<Post>("SELECT * FROM posts ORDER BY random() LIMIT 10", &[]).await?;
    /// let authors: Vec<Option<User>> = em.load(&posts, Post::AUTHOR).await?;
    /// for (post, author) in posts.iter().zip(authors) {
    ///     println!("{} by {}", post.title, author.map(|author| author.name).unwrap_or_default());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What the database says.
    pub fn load<'r, E: Entity, L: Loads<E> + 'r>(
        &'r self,
        rows: &'r [E],
        related: L,
    ) -> impl Future<Output = Result<Vec<L::Output>, Error>> + Send + 'r {
        let call = self.call();
        async move {
            let place = call.place()?;
            let around = Around { session: &call, place: &place };
            related.follow(around, rows.iter().collect()).await
        }
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
    pub fn save<E: Entity>(&self, entity: &E) -> impl Future<Output = Result<E, Error>> + Send {
        let call = self.call();
        async move { save::save(&call, entity).await }
    }

    /// Inserts a row that is not there yet, and gives it back as the database has it then.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager, user: User) -> Result<(), Error> {
    /// let user = em.insert(&user).await?;
    /// // Unlike `save`, it changes none that is there.
    /// assert!(em.insert(&user).await.is_err_and(|error| error.is_duplicate()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What PostgreSQL says: [`Error::is_duplicate`] where a row with its key, or another unique value, is there.
    pub fn insert<E: Entity>(&self, entity: &E) -> impl Future<Output = Result<E, Error>> + Send {
        let call = self.call();
        async move { save::insert_one(&call, entity).await }
    }

    /// Changes the columns in which `after` is not as `before`, of the row with the key of `before`, and gives it back as the database has
    /// it then. What else somebody has changed in it meanwhile stays.
    ///
    /// A column that is a `#[column(version)]` is counted up, and the row is changed only if it is as it was read.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager, user: User) -> Result<(), Error> {
    /// let renamed = User { name: "Alicia".into(), ..user.clone() };
    /// // UPDATE "users" SET "name" = $1 WHERE "id" = $2
    /// match em.save_changes(&user, &renamed).await {
    ///     Err(Error::Stale(_)) => println!("somebody else was faster"),
    ///     other => drop(other?),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Stale`] where the row is gone, or has another version; what PostgreSQL says.
    pub fn save_changes<E: Entity>(
        &self,
        before: &E,
        after: &E,
    ) -> impl Future<Output = Result<E, Error>> + Send {
        let call = self.call();
        async move { save::save_changes(&call, before, after).await }
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
    pub fn save_many<E: Entity>(&self, entities: &[E]) -> impl Future<Output = Result<Vec<E>, Error>> + Send {
        let call = self.call();
        async move { save::save_many(&call, entities).await }
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
        Upsert::new(self.call(), entity)
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
        Update::new(self.call())
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
        Delete::new(self.call())
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
    pub fn delete_by_pk<E: Entity>(&self, key: E::Key) -> impl Future<Output = Result<bool, Error>> + Send {
        let call = self.call();
        async move { save::delete::<E>(&call, &key).await }
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
    pub fn remove<E: Entity>(&self, entity: &E) -> impl Future<Output = Result<bool, Error>> + Send {
        let (call, key) = (self.call(), entity.key());
        async move { save::delete::<E>(&call, &key).await }
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

    /// The metadata of the session's tenant, or of the context's: see [`EntityManager::metadata`](super::EntityManager::metadata).
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let acme = em.tenant("acme");
    /// acme.metadata()?.set("User", EntityMetadata::table("customers"))?;
    /// assert!(acme.find::<User>().sql()?.ends_with(r#"FROM "customers""#));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// The name can be no tenant's.
    pub fn metadata(&self) -> Result<super::Metadata, layers::LayerError> {
        let tenant = self.bound.clone().unwrap_or_else(MetadataContext::current_tenant);
        super::Metadata::new(&self.shared.store, tenant.as_str())
    }

    /// Whose rows a call means.
    fn place(&self, caller: &Caller) -> Result<Place, Error> {
        let said = match &self.bound {
            Some(bound) => Some(bound.clone()),
            None => caller.tenant()?,
        };
        let place = Place { said: said.is_some(), tenant: self.checked(said.unwrap_or(Tenant::PUBLIC))? };
        match &self.open {
            Some(open) if open.place.tenant != place.tenant => Err(Error::TenantChanged {
                transaction: open.place.name().into(),
                context: place.name().into(),
            }),
            _ => Ok(place),
        }
    }

    fn checked(&self, tenant: Tenant) -> Result<Option<TenantId>, Error> {
        let checked = tenant.check()?;
        // Nobody's own schema may well be one that all share.
        if checked.is_some() && self.shared.options.shared.iter().any(|shared| tenant == shared.as_str()) {
            return Err(Error::Reserved(tenant.to_string()));
        }
        Ok(checked.cloned())
    }

    /// What the database is.
    pub(crate) fn kind(&self) -> DatabaseKind {
        self.shared.options.kind
    }

    /// What is not the same for all may be asked for: somebody has said whose it is, or need not.
    pub(super) fn require_tenant(&self, place: &Place, what: impl FnOnce() -> String) -> Result<(), Error> {
        match (place.said, self.shared.options.missing_tenant) {
            (false, MissingTenant::Reject) => return Err(Error::NoTenant(what())),
            (false, MissingTenant::Public) => self.shared.stray.fallen(what),
            (true, _) if place.tenant.is_some() => self.shared.stray.used(),
            (true, _) => {}
        }
        Ok(())
    }

    /// A statement with nothing in it but what tells whose it is.
    pub(crate) fn sql<'v>(&self, place: &Place) -> Sql<'v> {
        let mark = match self.kind() {
            DatabaseKind::Postgres => place.tenant().map(|tenant| self.strategy().mark(tenant)),
            _ => None,
        };
        Sql::new(mark.unwrap_or_default(), self.kind())
    }

    /// The table of an entity as the tenant sees it.
    pub(crate) fn table(&self, place: &Place, definition: &'static EntityDefinition) -> Result<Table, Error> {
        let metadata = self.shared.store.get_in(place.name(), definition.name);
        let metadata = metadata.ok_or(Error::Unregistered(definition.name))?;
        let table =
            Table::new(definition, metadata, place.tenant(), self.strategy().qualifies(), self.kind())?;
        if !table.pinned {
            self.require_tenant(place, || definition.name.to_owned())?;
        }
        Ok(table)
    }
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
