//! Requests through the layer, as axum sends them.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderName, Request, StatusCode, header};
use axum::routing::get;
use bytes::Bytes;
use futures_util::StreamExt;
use tower::ServiceExt;

use super::TenantLayer;
use crate::{MetadataContext, Tenant};

/// An answer: its status and its text.
type Told = (u16, String);

fn now() -> String {
    MetadataContext::current_tenant().to_string()
}

/// Says whose context it is before and after something else had its turn.
async fn whose() -> String {
    let before = now();
    tokio::task::yield_now().await;
    format!("{before} {}", now())
}

async fn ask(layer: TenantLayer, request: Request<Body>) -> Told {
    let app = Router::new().fallback(get(whose)).layer(layer);
    let answer = app.oneshot(request).await.unwrap();
    assert!(!MetadataContext::is_active());
    let status = answer.status().as_u16();
    let text = to_bytes(answer.into_body(), 1000).await.unwrap();
    (status, String::from_utf8(text.to_vec()).unwrap())
}

fn request(uri: &str, headers: &[(HeaderName, &[u8])]) -> Request<Body> {
    let request =
        headers.iter().fold(Request::get(uri), |request, (name, value)| request.header(name, *value));
    request.body(Body::empty()).unwrap()
}

fn told(tenant: &str) -> Told {
    (200, format!("{tenant} {tenant}"))
}

fn wrong(words: &str) -> Told {
    (400, format!("{words}\n"))
}

async fn by_header(values: &[&[u8]]) -> Told {
    let name = HeaderName::from_static("x-tenant-id");
    let headers: Vec<_> = values.iter().map(|value| (name.clone(), *value)).collect();
    ask(TenantLayer::header(), request("/users", &headers)).await
}

#[tokio::test]
async fn header_names_the_tenant() {
    assert_eq!(by_header(&[b"acme_corp"]).await, told("acme_corp"));
    assert_eq!(by_header(&["Größe \"1\"".as_bytes()]).await, told("Größe \"1\""));
    assert_eq!(by_header(&[b"public"]).await, told("public"));
    let customer = HeaderName::from_static("x-customer");
    let layer = TenantLayer::header_named(customer.clone());
    assert_eq!(ask(layer, request("/", &[(customer, b"globex")])).await, told("globex"));
}

#[tokio::test]
async fn request_without_a_tenant_is_publics() {
    assert_eq!(by_header(&[]).await, told("public"));
}

#[tokio::test]
async fn name_that_can_be_no_tenants_is_refused() {
    assert_eq!(by_header(&[b""]).await, wrong("a tenant name must not be empty"));
    let long = [b'x'; 64];
    assert_eq!(by_header(&[&long]).await, wrong("a tenant name must not be longer than 63 bytes"));
    assert_eq!(by_header(&[b"caf\xe9"]).await, wrong("the tenant's name is not UTF-8"));
    let nul = ask(TenantLayer::path_segment(0), request("/a%00b", &[])).await;
    assert_eq!(nul, wrong("a tenant name must not contain a NUL byte"));
}

#[tokio::test]
async fn schema_that_is_nobodys_is_refused() {
    let reserved = wrong("a schema of PostgreSQL's or of pgstrata's is no tenant's");
    for name in ["pg_catalog", "pg_temp", "information_schema", "pgstrata_control", "$user"] {
        assert_eq!(by_header(&[name.as_bytes()]).await, reserved, "{name}");
    }
}

#[tokio::test]
async fn repeated_header_counts_if_it_says_the_same() {
    assert_eq!(by_header(&[b"acme", b"acme"]).await, told("acme"));
    let twice = wrong("the tenant is named twice, by different names");
    assert_eq!(by_header(&[b"acme", b"globex"]).await, twice);
    assert_eq!(by_header(&[b"acme", b"acme", b""]).await, twice);
}

#[tokio::test]
async fn required_tenant_that_is_missing_is_refused() {
    let header = HeaderName::from_static("x-tenant-id");
    let missing = wrong("the request names no tenant");
    for headers in [&[][..], &[(header.clone(), b"public" as &[u8])]] {
        assert_eq!(ask(TenantLayer::header().required(), request("/", headers)).await, missing);
    }
    let named = request("/", &[(header, b"acme")]);
    assert_eq!(ask(TenantLayer::header().required(), named).await, told("acme"));
}

async fn by_host(host: &str) -> Told {
    let layer = TenantLayer::subdomain_of(".Example.com.");
    ask(layer, request("/users", &[(header::HOST, host.as_bytes())])).await
}

#[tokio::test]
async fn subdomain_names_the_tenant() {
    for host in ["acme_corp.example.com", "ACME_corp.Example.COM:8080", "acme_corp.example.com.:80"] {
        assert_eq!(by_host(host).await, told("acme_corp"), "{host}");
    }
    for host in
        ["example.com", "example.com:80", "acme.example.org", "notexample.com", "[::1]:80", "1.2.3.4", ""]
    {
        assert_eq!(by_host(host).await, told("public"), "{host}");
    }
    let layer = || TenantLayer::subdomain_of("example.com");
    assert_eq!(ask(layer(), request("/", &[])).await, told("public"));
    let absolute = request("http://acme.example.com/", &[(header::HOST, b"globex.example.com")]);
    assert_eq!(ask(layer(), absolute).await, told("acme"));
}

#[tokio::test]
async fn host_with_more_than_a_name_in_front_is_refused() {
    let more = wrong("the host has more than a tenant's name in front");
    assert_eq!(by_host("evil.acme.example.com").await, more);
    assert_eq!(by_host(".example.com").await, wrong("a tenant name must not be empty"));
    assert_eq!(by_host("a b.example.com").await, wrong("the header Host names no host"));
    let two = [(header::HOST, b"a.example.com" as &[u8]), (header::HOST, b"b.example.com")];
    let told = ask(TenantLayer::subdomain_of("example.com"), request("/", &two)).await;
    assert_eq!(told, wrong("the header Host names no host, or several"));
}

#[tokio::test]
async fn segment_of_the_path_names_the_tenant() {
    let first = async |uri: &str| ask(TenantLayer::path_segment(0), request(uri, &[])).await;
    assert_eq!(first("/acme/users?x=/y").await, told("acme"));
    assert_eq!(first("/acme").await, told("acme"));
    assert_eq!(first("/acme%20corp%2f%C3%A9/users").await, told("acme corp/é"));
    assert_eq!(first("/").await, told("public"));
    assert_eq!(first("//acme").await, told("public"));
    let encoding = wrong("the tenant's name in the path is not percent-encoded as it should be");
    for uri in ["/acme%2/users", "/acme%zz", "/%"] {
        assert_eq!(first(uri).await, encoding, "{uri}");
    }
    assert_eq!(first("/%ff").await, wrong("the tenant's name is not UTF-8"));
    let second = ask(TenantLayer::path_segment(1), request("/tenants/acme/users", &[])).await;
    assert_eq!(second, told("acme"));
    assert_eq!(ask(TenantLayer::path_segment(2), request("/tenants/acme", &[])).await, told("public"));
}

#[tokio::test]
async fn function_names_the_tenant() {
    let layer = TenantLayer::from_fn(|parts| parts.uri.query());
    assert_eq!(ask(layer.clone(), request("/?acme", &[])).await, told("acme"));
    assert_eq!(ask(layer.clone(), request("/", &[])).await, told("public"));
    assert_eq!(ask(layer, request("/?", &[])).await, wrong("a tenant name must not be empty"));
    let owned = TenantLayer::from_fn_owned(|parts| Some(format!("t{}", parts.uri.path().len())));
    assert_eq!(ask(owned, request("/ab", &[])).await, told("t3"));
}

#[tokio::test]
async fn tenant_that_is_not_allowed_is_refused() {
    let layer = || {
        TenantLayer::header()
            .allow(|parts, tenant: &Tenant| *tenant == "acme" || parts.headers.contains_key("x-admin"))
    };
    let (id, admin) = (HeaderName::from_static("x-tenant-id"), HeaderName::from_static("x-admin"));
    let refused = (403, "the request may not be this tenant's\n".to_owned());
    assert_eq!(ask(layer(), request("/", &[(id.clone(), b"acme")])).await, told("acme"));
    assert_eq!(ask(layer(), request("/", &[(id.clone(), b"globex")])).await, refused);
    assert_eq!(ask(layer(), request("/", &[(id.clone(), b"public")])).await, refused);
    assert_eq!(ask(layer(), request("/", &[(id, b"globex"), (admin, b"1")])).await, told("globex"));
    assert_eq!(ask(layer(), request("/", &[])).await, told("public"));
}

#[tokio::test]
async fn refused_request_reaches_nothing() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let handler = async move || {
        counted.fetch_add(1, Ordering::Relaxed);
    };
    let app = Router::new().route("/", get(handler)).layer(TenantLayer::header().required());
    let answer = app.clone().oneshot(request("/", &[])).await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/plain; charset=utf-8");
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    let named = request("/", &[(HeaderName::from_static("x-tenant-id"), b"acme")]);
    assert!(app.oneshot(named).await.unwrap().status().is_success());
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn refused_grpc_gets_its_status_in_headers_that_end_the_stream() {
    let service =
        tower::service_fn(async |_: Request<Body>| Ok::<_, Infallible>(http::Response::new(Body::empty())));
    let service = tower_layer::Layer::layer(&TenantLayer::header().required(), service);
    let mut asked = request("/shop.Users/List", &[(header::CONTENT_TYPE, b"application/grpc+proto")]);
    *asked.version_mut() = http::Version::HTTP_2;
    let answer = service.oneshot(asked).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let headers = [
        ("content-type", "application/grpc+proto"),
        ("grpc-status", "3"),
        ("grpc-message", "the request names no tenant"),
    ];
    assert_eq!(answer.headers().len(), headers.len());
    for (name, value) in headers {
        assert_eq!(answer.headers()[name], value);
    }
    assert!(http_body::Body::is_end_stream(answer.body()));
    assert_eq!(http_body::Body::size_hint(answer.body()).exact(), Some(0));
}

#[tokio::test]
async fn call_future_and_body_are_in_the_context() {
    let service = tower::service_fn(|_: Request<Body>| {
        let called = now();
        async move {
            let frames =
                futures_util::stream::iter(0..3).map(|_| Ok::<_, Infallible>(Bytes::from(now() + " ")));
            Ok::<_, Infallible>(
                http::Response::new(Body::from_stream(frames)).map(|body| (called, now(), body)),
            )
        }
    });
    let service = service.map_response(|response: http::Response<(String, String, Body)>| {
        assert_eq!((response.body().0.as_str(), response.body().1.as_str()), ("acme", "acme"));
        response.map(|(_, _, body)| body)
    });
    let service = tower_layer::Layer::layer(&TenantLayer::path_segment(0), service);
    let answer = service.oneshot(request("/acme", &[])).await.unwrap();
    let elsewhere = MetadataContext::run("globex", to_bytes(Body::new(answer.into_body()), 100)).await;
    assert_eq!(elsewhere.unwrap(), "acme acme acme ");
}

#[tokio::test]
async fn requests_side_by_side_keep_their_tenants() {
    let app = Router::new().fallback(get(whose)).layer(TenantLayer::path_segment(0));
    let asked = (0..100).map(|n| {
        let app = app.clone();
        tokio::spawn(async move {
            let tenant = format!("t{}", n % 10);
            let answer = app.oneshot(request(&format!("/{tenant}"), &[])).await.unwrap();
            assert_eq!(to_bytes(answer.into_body(), 100).await.unwrap(), format!("{tenant} {tenant}"));
        })
    });
    for answer in asked.collect::<Vec<_>>() {
        answer.await.unwrap();
    }
}
