//! What stands around a service: each request is in its tenant's context.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{Rules, TenantBody};
use crate::{MetadataContext, Tenant};

/// A service whose requests are tenants': made by [`TenantLayer`](super::TenantLayer).
///
/// ```
/// use std::convert::Infallible;
///
/// use http::{Request, Response};
/// use pgstrata_orm::{MetadataContext, web::TenantLayer};
/// use tower::{Layer, ServiceExt, service_fn};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let service = TenantLayer::path_segment(0).layer(service_fn(async |_: Request<()>| {
///     assert_eq!(MetadataContext::current_tenant(), "acme");
///     Ok::<_, Infallible>(Response::new(()))
/// }));
/// let answer = service.oneshot(Request::get("/acme/users").body(()).unwrap()).await.unwrap();
/// assert!(answer.status().is_success());
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TenantService<S> {
    inner: S,
    rules: Arc<Rules>,
}

impl<S> TenantService<S> {
    pub(super) fn new(inner: S, rules: Arc<Rules>) -> Self {
        Self { inner, rules }
    }
}

impl<S, Asked, Told> Service<Request<Asked>> for TenantService<S>
where
    S: Service<Request<Asked>, Response = Response<Told>>,
{
    type Response = Response<TenantBody<Told>>;
    type Error = S::Error;
    type Future = TenantFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Asked>) -> Self::Future {
        let (parts, body) = request.into_parts();
        match self.rules.tenant(&parts) {
            Ok(tenant) => {
                let request = Request::from_parts(parts, body);
                let future = MetadataContext::run_sync(tenant.clone(), || self.inner.call(request));
                TenantFuture { state: State::Running { future, tenant } }
            }
            Err(refusal) => {
                TenantFuture { state: State::Refused { answer: Some(refusal.answer(&parts.headers)) } }
            }
        }
    }
}

pin_project! {
    /// The answer to come, in its tenant's context.
    ///
    /// ```
    /// # mod requests { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/requests.rs")); } use requests::*;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut service = TenantLayer::header().layer(service_fn(whose));
    /// let request = Request::get("/users").header("X-Tenant-Id", "acme").body(())?;
    /// let answer: TenantFuture<_> = service.ready().await?.call(request);
    /// assert_eq!(text(answer.await?).await, "acme");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "futures do nothing unless they are awaited"]
    pub struct TenantFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F> {
        Running { #[pin] future: F, tenant: Tenant },
        Refused { answer: Option<Response<String>> },
    }
}

impl<F, Told, E> Future for TenantFuture<F>
where
    F: Future<Output = Result<Response<Told>, E>>,
{
    type Output = Result<Response<TenantBody<Told>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Running { future, tenant } => {
                let polled = MetadataContext::run_sync(tenant.clone(), || future.poll(cx));
                let response = ready!(polled)?;
                Poll::Ready(Ok(response.map(|body| TenantBody::inner(body, tenant.clone()))))
            }
            StateProjection::Refused { answer } => match answer.take() {
                Some(answer) => Poll::Ready(Ok(answer.map(TenantBody::text))),
                // Only after it was ready, when nobody should ask.
                None => Poll::Pending,
            },
        }
    }
}

impl<F> std::fmt::Debug for TenantFuture<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut told = f.debug_struct("TenantFuture");
        match &self.state {
            State::Running { tenant, .. } => told.field("tenant", tenant),
            State::Refused { answer } => told.field("answer", answer),
        };
        told.finish_non_exhaustive()
    }
}
