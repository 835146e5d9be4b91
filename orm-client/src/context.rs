//! Whose request it is: the tenant goes with the task, through every `.await`.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use pgstrata_tenancy::layers::PUBLIC;
use pgstrata_tenancy::{TenantId, TenantIdError};
use tokio::task::JoinHandle;
use tokio::task::futures::TaskLocalFuture;

use crate::Error;

tokio::task_local! {
    static CURRENT: Tenant;
}

/// Whose request it is. Outside of any context it is nobody's, which is called "public".
///
/// The name is taken as it is: one that can be no tenant's is kept until something asks for the tenant's rows, or [`Tenant::check`]
/// for it, and is then an [`Error::Tenant`] or an [`Error::Reserved`].
///
/// ```
/// use pgstrata_orm::Tenant;
///
/// assert_eq!(Tenant::from("acme_corp"), "acme_corp");
/// assert!(Tenant::from("public").is_public());
/// assert!(Tenant::from("").check().is_err());
/// assert!(Tenant::from("pg_catalog").check().is_err());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Tenant(Name);

#[derive(Clone, PartialEq, Eq)]
enum Name {
    Public,
    Checked(TenantId),
    Wrong(Arc<str>, TenantIdError),
}

impl Tenant {
    /// Nobody's.
    ///
    /// ```
    /// # use pgstrata_orm::Tenant;
    /// assert_eq!(Tenant::PUBLIC, Tenant::from("public"));
    /// ```
    pub const PUBLIC: Self = Self(Name::Public);

    /// As it was given.
    ///
    /// ```
    /// # use pgstrata_orm::Tenant;
    /// assert_eq!(Tenant::from("Größe").as_str(), "Größe");
    /// // Also a name that can be no tenant's.
    /// assert_eq!(Tenant::from("a\0b").as_str(), "a\0b");
    /// ```
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Name::Public => PUBLIC,
            Name::Checked(id) => id.as_str(),
            Name::Wrong(name, _) => name,
        }
    }

    /// Whether it is nobody's.
    ///
    /// ```
    /// # use pgstrata_orm::Tenant;
    /// assert!(Tenant::from("public").is_public());
    /// assert!(!Tenant::from("Public").is_public());
    /// ```
    pub fn is_public(&self) -> bool {
        self.0 == Name::Public
    }

    /// Whether it is a name that no tenant has in any database: of a schema of PostgreSQL's own, or of pgstrata's.
    fn is_reserved(&self) -> bool {
        let name = self.as_str();
        name.starts_with("pg_")
            || matches!(name, "information_schema" | "pgstrata" | "pgstrata_control")
            // On a path it means the schema of the role, quoted or not.
            || name == "$user"
    }

    /// The tenant's name, or none for "public".
    ///
    /// ```
    /// # use pgstrata_orm::{Error, Tenant, TenantIdError};
    /// let acme = Tenant::from("acme_corp");
    /// assert_eq!(acme.check()?.map(|id| id.as_str()), Some("acme_corp"));
    /// assert_eq!(Tenant::PUBLIC.check()?, None);
    /// let empty = Tenant::from("");
    /// assert!(matches!(empty.check(), Err(Error::Tenant { source: TenantIdError::Empty, .. })));
    /// assert!(matches!(Tenant::from("pg_catalog").check(), Err(Error::Reserved(_))));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Tenant`] says what is wrong with the name. [`Error::Reserved`]: it is a schema of PostgreSQL's own or of pgstrata's. Those
    /// that tenants share only a manager knows, whose first query says it.
    pub fn check(&self) -> Result<Option<&TenantId>, Error> {
        match &self.0 {
            Name::Public => Ok(None),
            Name::Checked(_) if self.is_reserved() => Err(Error::Reserved(self.to_string())),
            Name::Checked(id) => Ok(Some(id)),
            Name::Wrong(name, error) => Err(Error::Tenant { name: name.to_string(), source: *error }),
        }
    }
}

impl From<&str> for Tenant {
    fn from(name: &str) -> Self {
        Self(match TenantId::new(name) {
            _ if name == PUBLIC => Name::Public,
            Ok(id) => Name::Checked(id),
            Err(error) => Name::Wrong(name.into(), error),
        })
    }
}

impl From<String> for Tenant {
    fn from(name: String) -> Self {
        name.as_str().into()
    }
}

impl From<&String> for Tenant {
    fn from(name: &String) -> Self {
        name.as_str().into()
    }
}

impl From<TenantId> for Tenant {
    fn from(id: TenantId) -> Self {
        match id.as_str() {
            PUBLIC => Self::PUBLIC,
            _ => Self(Name::Checked(id)),
        }
    }
}

impl From<&TenantId> for Tenant {
    fn from(id: &TenantId) -> Self {
        id.clone().into()
    }
}

impl PartialEq<str> for Tenant {
    fn eq(&self, name: &str) -> bool {
        self.as_str() == name
    }
}

impl PartialEq<&str> for Tenant {
    fn eq(&self, name: &&str) -> bool {
        self.as_str() == *name
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tenant({:?})", self.as_str())
    }
}

/// The context of a call, taken when the call is made: a query that is awaited elsewhere is still that tenant's.
#[derive(Clone, Debug)]
pub(crate) struct Caller(Option<Tenant>);

impl Caller {
    /// The context of now.
    pub(crate) fn now() -> Self {
        Self(CURRENT.try_with(Tenant::clone).ok())
    }

    /// Whose the call is; `None` where there was no context when it was made, and there is none now.
    ///
    /// A call that was made outside of any context is of the context that it is awaited in, as in `MetadataContext::run("acme", em.find())`.
    pub(crate) fn tenant(&self) -> Result<Option<Tenant>, Error> {
        let now = Self::now().0;
        match (&self.0, now) {
            (None, now) => Ok(now),
            (Some(made), Some(now)) if *made != now => {
                Err(Error::ContextChanged { made: made.to_string(), awaited: now.to_string() })
            }
            (Some(made), _) => Ok(Some(made.clone())),
        }
    }
}

/// The context that code runs in. There is no global one: each task has its own, or none.
///
/// ```
/// use pgstrata_orm::MetadataContext;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// MetadataContext::run("tenant_1", async {
///     assert_eq!(MetadataContext::current_tenant(), "tenant_1");
///     assert!(MetadataContext::is_active());
/// })
/// .await;
/// assert_eq!(MetadataContext::current_tenant(), "public");
/// assert!(!MetadataContext::is_active());
/// # }
/// ```
#[derive(Debug)]
pub struct MetadataContext(());

impl MetadataContext {
    /// Runs `future` as this tenant's; contexts nest. Only this future is: what it spawns is nobody's, unless it goes by
    /// [`MetadataContext::spawn`].
    ///
    /// A query that was not asked yet is as good as a future: `MetadataContext::run("acme_corp", em.find::<User>())`. A query that was made
    /// inside of a context is that tenant's, wherever it is awaited; in the context of another tenant it is an
    /// [`Error::ContextChanged`].
    ///
    /// ```
    /// # use pgstrata_orm::MetadataContext;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// MetadataContext::run("acme", async {
    ///     let inner = MetadataContext::run("globex", async { MetadataContext::current_tenant() }).await;
    ///     assert_eq!(inner, "globex");
    ///     assert_eq!(MetadataContext::current_tenant(), "acme");
    /// })
    /// .await;
    /// # }
    /// ```
    pub fn run<F: IntoFuture>(
        tenant: impl Into<Tenant>,
        future: F,
    ) -> TaskLocalFuture<Tenant, F::IntoFuture> {
        CURRENT.scope(tenant.into(), future.into_future())
    }

    /// As [`MetadataContext::run`], where the name comes from outside: one that can be no tenant's is refused at once.
    ///
    /// ```
    /// # use pgstrata_orm::{Error, MetadataContext};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// let tenant = MetadataContext::try_run("acme", async { MetadataContext::current_tenant() })?.await;
    /// assert_eq!(tenant, "acme");
    /// assert!(matches!(MetadataContext::try_run("a\0b", async {}), Err(Error::Tenant { .. })));
    /// assert!(matches!(MetadataContext::try_run("pg_catalog", async {}), Err(Error::Reserved(_))));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As of [`Tenant::check`].
    pub fn try_run<F: IntoFuture>(
        tenant: impl Into<Tenant>,
        future: F,
    ) -> Result<TaskLocalFuture<Tenant, F::IntoFuture>, Error> {
        let tenant = tenant.into();
        tenant.check()?;
        Ok(Self::run(tenant, future))
    }

    /// Runs code with no `.await` in it as this tenant's.
    ///
    /// ```
    /// # use pgstrata_orm::MetadataContext;
    /// let tenant = MetadataContext::run_sync("acme", MetadataContext::current_tenant);
    /// assert_eq!(tenant, "acme");
    /// ```
    pub fn run_sync<T>(tenant: impl Into<Tenant>, code: impl FnOnce() -> T) -> T {
        CURRENT.sync_scope(tenant.into(), code)
    }

    /// Whose context this is; "public" outside of any.
    ///
    /// ```
    /// # use pgstrata_orm::MetadataContext;
    /// let line = || format!("tenant={} something was slow", MetadataContext::current_tenant());
    /// assert_eq!(MetadataContext::run_sync("acme", line), "tenant=acme something was slow");
    /// assert_eq!(line(), "tenant=public something was slow");
    /// ```
    pub fn current_tenant() -> Tenant {
        CURRENT.try_with(Tenant::clone).unwrap_or(Tenant::PUBLIC)
    }

    /// Whether this is inside of a context.
    ///
    /// ```
    /// # use pgstrata_orm::MetadataContext;
    /// assert!(!MetadataContext::is_active());
    /// // Nobody's, but said so.
    /// assert!(MetadataContext::run_sync("public", MetadataContext::is_active));
    /// ```
    pub fn is_active() -> bool {
        CURRENT.try_with(|_| ()).is_ok()
    }

    /// `future` with the context of now, wherever it is polled.
    ///
    /// ```
    /// # use pgstrata_orm::MetadataContext;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let later = MetadataContext::run_sync("acme", || {
    ///     MetadataContext::in_current(async { MetadataContext::current_tenant() })
    /// });
    /// assert_eq!(later.await, "acme");
    /// # }
    /// ```
    pub fn in_current<F: Future>(future: F) -> impl Future<Output = F::Output> {
        let tenant = CURRENT.try_with(Tenant::clone).ok();
        async move {
            match tenant {
                Some(tenant) => CURRENT.scope(tenant, future).await,
                None => future.await,
            }
        }
    }

    /// [`tokio::spawn`] with the context of now.
    ///
    /// ```
    /// # use pgstrata_orm::MetadataContext;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// MetadataContext::run("acme", async {
    ///     let plain = tokio::spawn(async { MetadataContext::current_tenant() });
    ///     let carried = MetadataContext::spawn(async { MetadataContext::current_tenant() });
    ///     assert_eq!(plain.await.unwrap(), "public");
    ///     assert_eq!(carried.await.unwrap(), "acme");
    /// })
    /// .await;
    /// # }
    /// ```
    pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        tokio::spawn(Self::in_current(future))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> String {
        MetadataContext::current_tenant().to_string()
    }

    #[tokio::test]
    async fn inner_context_holds_until_its_end() {
        MetadataContext::run("outer", async {
            assert_eq!(now(), "outer");
            MetadataContext::run("inner", async {
                tokio::task::yield_now().await;
                assert_eq!(now(), "inner");
                MetadataContext::run("public", async { assert_eq!(now(), "public") }).await;
                assert_eq!(now(), "inner");
            })
            .await;
            assert_eq!(now(), "outer");
        })
        .await;
        assert!(!MetadataContext::is_active());
    }

    #[tokio::test]
    async fn contexts_of_one_task_are_polled_side_by_side() {
        let each = async |name: &str| {
            for _ in 0..50 {
                assert_eq!(now(), name);
                tokio::task::yield_now().await;
            }
        };
        tokio::join!(
            MetadataContext::run("a", each("a")),
            MetadataContext::run("b", each("b")),
            each("public"),
            MetadataContext::run("a\0", each("a\0")),
        );
    }

    #[tokio::test]
    async fn panic_ends_its_context() {
        let panicked = tokio::spawn(MetadataContext::run("acme", async { panic!("as it should") }));
        assert!(panicked.await.is_err());
        let caught = MetadataContext::run("acme", async {
            tokio::task::yield_now().await;
            std::panic::catch_unwind(|| MetadataContext::run_sync("globex", || panic!("as it should")))
                .is_err()
                && now() == "acme"
        });
        assert!(caught.await);
        assert_eq!(now(), "public");
    }

    #[tokio::test]
    async fn future_carries_its_context_to_where_it_is_polled() {
        let carried = MetadataContext::run_sync("acme", || MetadataContext::in_current(async { now() }));
        assert_eq!(MetadataContext::run("globex", carried).await, "acme");
        let outside = MetadataContext::in_current(async { MetadataContext::is_active() });
        assert!(!outside.await);
    }

    #[test]
    fn names_are_checked_when_they_are_used() {
        for wrong in ["", "a\0b", &"x".repeat(64)] {
            let tenant = Tenant::from(wrong);
            assert!(tenant.check().is_err() && !tenant.is_public());
            assert_eq!(tenant, wrong);
        }
        assert_eq!(Tenant::from(TenantId::new("public").unwrap()), Tenant::PUBLIC);
        assert_eq!(Tenant::from("Acme \"1\"").check().unwrap().unwrap().as_str(), "Acme \"1\"");
    }

    #[test]
    fn schemas_that_are_nobodys_are_refused_at_once() {
        for name in ["pg_catalog", "pg_temp", "information_schema", "pgstrata", "pgstrata_control", "$user"] {
            assert!(matches!(Tenant::from(name).check(), Err(Error::Reserved(said)) if said == name));
            assert!(matches!(MetadataContext::try_run(name, async {}), Err(Error::Reserved(_))), "{name}");
        }
        for name in ["public", "pg", "PG_catalog", "user"] {
            assert!(MetadataContext::try_run(name, async {}).is_ok(), "{name}");
        }
    }
}
