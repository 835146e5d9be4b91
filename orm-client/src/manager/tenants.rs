//! The same work for many tenants, each in a session of its own; and, loudly, rows of several of them side by side.

use std::future::Future;

use futures_util::stream::{self, Stream, StreamExt, TryStreamExt};

use super::session::Session;
use super::{EntityManager, Tenant};
use crate::entity::Entity;
use crate::query::Find;
use crate::{Error, PostgresTenantMigrationRunner, TenantMigrationRunner};

/// How many tenants are read at once.
const SIDE_BY_SIDE: usize = 4;

impl EntityManager {
    /// The tenants that have their schemas, by name: see
    /// [`get_provisioned_schemas`](TenantMigrationRunner::get_provisioned_schemas).
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// for tenant in em.tenants().await? {
    ///     println!("{tenant}: {} users", em.tenant(&tenant).count::<User>().await?);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What PostgreSQL says.
    pub async fn tenants(&self) -> Result<Vec<String>, Error> {
        PostgresTenantMigrationRunner::new(self.driver())?.get_provisioned_schemas().await
    }

    /// Does the same for each of the tenants that have their schemas, `concurrency` of them at once, and gives each one's outcome as it is
    /// there. What fails for one is its own outcome; the others go on. Nothing is done but what the stream is asked for.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// use futures_util::StreamExt;
    ///
    /// let unread = |session: Session| async move { session.delete::<Post>().where_(Post::LIKES.eq(0)).await };
    /// let mut outcomes = std::pin::pin!(em.for_each_tenant(8, unread).await?);
    /// while let Some((tenant, outcome)) = outcomes.next().await {
    ///     match outcome {
    ///         Ok(posts) => println!("{tenant}: {posts} posts"),
    ///         Err(error) => eprintln!("{tenant}: {error}"),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What PostgreSQL says when it is asked which tenants there are.
    pub async fn for_each_tenant<F, W>(
        &self,
        concurrency: usize,
        work: F,
    ) -> Result<impl Stream<Item = (String, W::Output)>, Error>
    where
        F: FnMut(Session) -> W,
        W: Future,
    {
        Ok(self.for_each_of(self.tenants().await?, concurrency, work))
    }

    /// As [`EntityManager::for_each_tenant`], for these tenants.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) {
    /// use futures_util::StreamExt;
    ///
    /// let trial = ["acme".to_owned(), "globex".to_owned()];
    /// let users = em.for_each_of(trial, 2, |session| async move { session.count::<User>().await });
    /// let users: Vec<(String, Result<u64, Error>)> = users.collect().await;
    /// # }
    /// ```
    pub fn for_each_of<I, F, W>(
        &self,
        tenants: I,
        concurrency: usize,
        mut work: F,
    ) -> impl Stream<Item = (String, W::Output)>
    where
        I: IntoIterator<Item = String>,
        F: FnMut(Session) -> W,
        W: Future,
    {
        let em = self.clone();
        let tasks = stream::iter(tenants).map(move |tenant| {
            let done = work(em.tenant(&tenant));
            async move { (tenant, done.await) }
        });
        tasks.buffer_unordered(concurrency.max(1))
    }

    /// Rows of several tenants side by side, each with its tenant's name. **This reads across tenants**, so it is for those who may see all
    /// of them, and for nothing that a tenant asks. It changes nothing, and the rows of one tenant are of another moment than those of the
    /// next.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let tenants = em.tenants().await?;
    /// let nameless = em.read_across_tenants(tenants, |users| users.where_(User::EMAIL.is_null()).limit(10));
    /// for (tenant, user) in nameless.await? {
    ///     println!("{tenant}: {}", user.name);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The first that there is.
    pub async fn read_across_tenants<E, F>(
        &self,
        tenants: impl IntoIterator<Item = String>,
        question: F,
    ) -> Result<Vec<(String, E)>, Error>
    where
        E: Entity,
        F: for<'q> Fn(Find<'q, E>) -> Find<'q, E>,
    {
        let question = &question;
        let reads = tenants.into_iter().map(|tenant| async move {
            let session = self.tenant(Tenant::from(tenant.as_str()));
            let rows = question(session.find::<E>()).await?;
            Ok::<_, Error>(rows.into_iter().map(|row| (tenant.clone(), row)).collect::<Vec<_>>())
        });
        stream::iter(reads).buffered(SIDE_BY_SIDE).try_concat().await
    }
}
