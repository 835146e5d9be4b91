//! Whose web request it is: a layer for axum, tonic and whatever else speaks tower. With the feature `tower`.
//!
//! # Layout
//! - [`TenantLayer`]: where the tenant's name is in a request, and what becomes of requests without one.
//! - `source`: how it is read there.
//! - [`TenantService`] (`service`): runs what is inside in the tenant's context.
//! - [`TenantBody`] (`body`): the answer's body, which is polled in it, too.
//! - `refusal`: how a request that goes no further is told.
//!
//! ```
//! use axum::body::Body;
//! use axum::http::{Request, StatusCode};
//! use axum::{Router, routing::get};
//! use pgstrata_orm::{MetadataContext, web::TenantLayer};
//! use tower::ServiceExt;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let app: Router = Router::new()
//!     .route("/users", get(async || MetadataContext::current_tenant().to_string()))
//!     .layer(TenantLayer::header());
//!
//! let request = Request::get("/users").header("X-Tenant-Id", "acme_corp").body(Body::empty()).unwrap();
//! let answer = app.clone().oneshot(request).await.unwrap();
//! assert_eq!(axum::body::to_bytes(answer.into_body(), 100).await.unwrap(), "acme_corp");
//!
//! // Without the header: "public".
//! let request = Request::get("/users").body(Body::empty()).unwrap();
//! let answer = app.clone().oneshot(request).await.unwrap();
//! assert_eq!(axum::body::to_bytes(answer.into_body(), 100).await.unwrap(), "public");
//!
//! let request = Request::get("/users").header("X-Tenant-Id", "").body(Body::empty()).unwrap();
//! assert_eq!(app.oneshot(request).await.unwrap().status(), StatusCode::BAD_REQUEST);
//! # }
//! ```

mod body;
mod refusal;
mod service;
mod source;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use http::HeaderName;
use http::request::Parts;
use tower_layer::Layer;

pub use body::TenantBody;
pub use service::{TenantFuture, TenantService};

use crate::Tenant;
use refusal::Refusal;
use source::{Named, Source};

/// Runs each request in the context of the tenant that it names.
///
/// All of it is covered: the call, the future of the answer, and the answer's body while it is sent. What a handler spawns is not, unless
/// by [`MetadataContext::spawn`](crate::MetadataContext::spawn).
///
/// - A request that names no tenant is in the context "public", or with [`TenantLayer::required`] is answered with 400.
/// - A name that can be no tenant's, or several that differ, is answered with 400. Whether there is such a tenant, and whether it is a schema
///   that tenants share, is found out when its tables are asked for.
/// - gRPC's requests get gRPC's status in place of these: `INVALID_ARGUMENT`, or `PERMISSION_DENIED`.
/// - **Whoever can send a request can name any tenant**, unless [`TenantLayer::allow`] says who may be whom. Put it inside of what finds
///   out who the user is.
///
/// ```
/// use pgstrata_orm::web::TenantLayer;
///
/// #[derive(Clone)]
/// struct User {
///     tenants: Vec<String>,
/// }
///
/// let layer = TenantLayer::header().required().allow(|request, tenant| {
///     let user = request.extensions.get::<User>();
///     user.is_some_and(|user| user.tenants.iter().any(|name| tenant == name.as_str()))
/// });
/// ```
#[derive(Clone)]
pub struct TenantLayer {
    rules: Arc<Rules>,
}

type Allow = Arc<dyn Fn(&Parts, &Tenant) -> bool + Send + Sync>;

/// What is done with a request.
#[derive(Clone)]
struct Rules {
    source: Source,
    required: bool,
    allow: Option<Allow>,
}

impl TenantLayer {
    /// The header `X-Tenant-Id` has the tenant's name, in UTF-8. It may come several times if it says the same each time.
    ///
    /// ```
    /// # mod requests { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/requests.rs")); } use requests::*;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let service = TenantLayer::header().layer(service_fn(whose));
    /// let request = Request::get("/users").header("X-Tenant-Id", "acme_corp").body(())?;
    /// assert_eq!(text(service.oneshot(request).await?).await, "acme_corp");
    /// # Ok(())
    /// # }
    /// ```
    pub fn header() -> Self {
        Self::header_named(HeaderName::from_static("x-tenant-id"))
    }

    /// As [`TenantLayer::header`], another header.
    ///
    /// ```
    /// # mod requests { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/requests.rs")); } use requests::*;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = TenantLayer::header_named(HeaderName::from_static("x-customer"));
    /// let request = Request::get("/users").header("X-Customer", "acme").body(())?;
    /// # assert_eq!(text(layer.layer(service_fn(whose)).oneshot(request).await?).await, "acme");
    /// # Ok(())
    /// # }
    /// ```
    pub fn header_named(name: HeaderName) -> Self {
        Self::new(Source::Header(name))
    }

    /// The host's name has the tenant's in front of `base`, in small letters: `acme.example.com` is `acme`'s if the base is `example.com`,
    /// on whatever port. `example.com` itself and all other hosts name no tenant. With more than one label in front the name is wrong.
    ///
    /// ```
    /// # mod requests { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/requests.rs")); } use requests::*;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let service = TenantLayer::subdomain_of("example.com").layer(service_fn(whose));
    /// let request = Request::get("https://acme.example.com/users").body(())?;
    /// assert_eq!(text(service.clone().oneshot(request).await?).await, "acme");
    /// let request = Request::get("/users").header("Host", "www.acme.example.com:8080").body(())?;
    /// assert_eq!(service.oneshot(request).await?.status(), StatusCode::BAD_REQUEST);
    /// # Ok(())
    /// # }
    /// ```
    pub fn subdomain_of(base: &str) -> Self {
        Self::new(Source::Subdomain(source::host_name(base.trim_start_matches('.'))))
    }

    /// A segment of the path has it, percent-decoded; 0 is the first: `/acme/users` is `acme`'s. An empty one names no tenant.
    ///
    /// It is the path as the layer gets it: a router that takes a prefix off before it takes segments off.
    ///
    /// ```
    /// # mod requests { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/requests.rs")); } use requests::*;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let service = TenantLayer::path_segment(1).layer(service_fn(whose));
    /// let answer = service.oneshot(Request::get("/api/acme%20corp/users").body(())?).await?;
    /// assert_eq!(text(answer).await, "acme corp");
    /// # Ok(())
    /// # }
    /// ```
    pub fn path_segment(index: usize) -> Self {
        Self::new(Source::Path(index))
    }

    /// A function of yours has it, or none.
    ///
    /// ```
    /// # mod requests { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/requests.rs")); } use requests::*;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = TenantLayer::from_fn(|request| {
    ///     let query = request.uri.query()?;
    ///     query.split('&').find_map(|pair| pair.strip_prefix("tenant="))
    /// });
    /// let request = Request::get("/users?tenant=acme").body(())?;
    /// # assert_eq!(text(layer.layer(service_fn(whose)).oneshot(request).await?).await, "acme");
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_fn<F>(name: F) -> Self
    where
        F: for<'p> Fn(&'p Parts) -> Option<&'p str> + Send + Sync + 'static,
    {
        Self::from_fn_owned(move |parts| name(parts).map(str::to_owned))
    }

    /// As [`TenantLayer::from_fn`], where the name is not in the request as it stands.
    ///
    /// ```
    /// # mod requests { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/requests.rs")); } use requests::*;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = TenantLayer::from_fn_owned(|request| {
    ///     let number: u32 = request.headers.get("x-customer")?.to_str().ok()?.parse().ok()?;
    ///     Some(format!("tenant_{number}"))
    /// });
    /// let request = Request::get("/users").header("X-Customer", "7").body(())?;
    /// # assert_eq!(text(layer.layer(service_fn(whose)).oneshot(request).await?).await, "tenant_7");
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_fn_owned<F>(name: F) -> Self
    where
        F: Fn(&Parts) -> Option<String> + Send + Sync + 'static,
    {
        Self::new(Source::Function(Arc::new(name)))
    }

    /// A request that names no tenant, or names "public", is answered with 400.
    ///
    /// It covers what runs in the request's context. A task that a handler spawns by itself has none: with
    /// [`MissingTenant::Reject`](crate::MissingTenant::Reject) in the manager's options it gets an error, and without it the schema public.
    ///
    /// ```
    /// # mod requests { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/requests.rs")); } use requests::*;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let service = TenantLayer::header().required().layer(service_fn(whose));
    /// let answer = service.oneshot(Request::get("/users").body(())?).await?;
    /// assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    /// assert_eq!(text(answer).await, "the request names no tenant\n");
    /// # Ok(())
    /// # }
    /// ```
    pub fn required(self) -> Self {
        self.with(|rules| rules.required = true)
    }

    /// Who may be whom: a request that names a tenant for which `allow` says no is answered with 403. It is asked for each name that a
    /// request gives, also "public", but not where a request gives none.
    ///
    /// ```
    /// # mod requests { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/requests.rs")); } use requests::*;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let layer = TenantLayer::header().allow(|_, tenant| *tenant != "internal");
    /// let request = Request::get("/users").header("X-Tenant-Id", "internal").body(())?;
    /// let answer = layer.layer(service_fn(whose)).oneshot(request).await?;
    /// assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    /// # Ok(())
    /// # }
    /// ```
    pub fn allow(self, allow: impl Fn(&Parts, &Tenant) -> bool + Send + Sync + 'static) -> Self {
        self.with(|rules| rules.allow = Some(Arc::new(allow)))
    }

    fn new(source: Source) -> Self {
        Self { rules: Arc::new(Rules { source, required: false, allow: None }) }
    }

    fn with(self, change: impl FnOnce(&mut Rules)) -> Self {
        let mut rules = Arc::unwrap_or_clone(self.rules);
        change(&mut rules);
        Self { rules: Arc::new(rules) }
    }
}

impl Rules {
    /// The tenant of a request.
    fn tenant(&self, parts: &Parts) -> Result<Tenant, Refusal> {
        let name = match self.source.read(parts) {
            Named::Missing if self.required => return Err(Refusal::missing()),
            Named::Missing => return Ok(Tenant::PUBLIC),
            Named::Wrong(words) => return Err(Refusal::wrong(words)),
            Named::As(name) => name,
        };
        let tenant = Tenant::from(name);
        tenant.check().map_err(Refusal::no_tenant)?;
        if self.required && tenant.is_public() {
            return Err(Refusal::missing());
        }
        match &self.allow {
            Some(allow) if !allow(parts, &tenant) => Err(Refusal::forbidden()),
            _ => Ok(tenant),
        }
    }
}

impl<S> Layer<S> for TenantLayer {
    type Service = TenantService<S>;

    fn layer(&self, inner: S) -> TenantService<S> {
        TenantService::new(inner, Arc::clone(&self.rules))
    }
}

impl fmt::Debug for TenantLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rules.fmt(f)
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantLayer")
            .field("source", &self.source)
            .field("required", &self.required)
            .field("allow", &self.allow.is_some())
            .finish()
    }
}
