// A service that says whose context it runs in, and what an answer says. Hidden lines of the documentation's examples include it.

use std::convert::Infallible;

pub use http::{HeaderName, Request, Response, StatusCode};
pub use pgstrata_orm::{MetadataContext, Tenant, web::*};
pub use tower::{Layer, Service, ServiceExt, service_fn};

pub async fn whose(_: Request<()>) -> Result<Response<String>, Infallible> {
    Ok(Response::new(MetadataContext::current_tenant().to_string()))
}

pub async fn text(answer: Response<TenantBody<String>>) -> String {
    let body = axum::body::Body::new(answer.into_body());
    String::from_utf8(axum::body::to_bytes(body, 1000).await.unwrap().to_vec()).unwrap()
}
