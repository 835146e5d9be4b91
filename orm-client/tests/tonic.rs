//! gRPC through the layer: a client and a server of tonic's, and a socket between them.

// A test fails loudly, and so do its helpers.
#![allow(clippy::unwrap_used)]

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BufMut};
use futures_util::future::join_all;
use futures_util::{StreamExt, TryStreamExt, stream};
use pgstrata_orm::MetadataContext;
use pgstrata_orm::web::TenantLayer;
use tokio::task::JoinHandle;
use tonic::body::Body;
use tonic::client::Grpc as Client;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder, Streaming};
use tonic::server::{Grpc, NamedService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Code, Request, Response, Status};
use tower::{Service, service_fn};

/// Messages that are text, with no protobuf around it.
#[derive(Default)]
struct Text;

impl Codec for Text {
    type Encode = String;
    type Decode = String;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Text {
    type Item = String;
    type Error = Status;

    fn encode(&mut self, text: String, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put_slice(text.as_bytes());
        Ok(())
    }
}

impl Decoder for Text {
    type Item = String;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<String>, Status> {
        let bytes = from.copy_to_bytes(from.remaining());
        Ok(Some(String::from_utf8(bytes.into()).unwrap()))
    }
}

/// Says whose call it is, in each way of gRPC's.
#[derive(Clone)]
struct Whose;

impl NamedService for Whose {
    const NAME: &'static str = "test.Whose";
}

impl Service<http::Request<Body>> for Whose {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = Grpc::new(Text);
            Ok(match request.uri().path() {
                "/test.Whose/Ask" => grpc.unary(service_fn(ask), request).await,
                "/test.Whose/Watch" => grpc.server_streaming(service_fn(watch), request).await,
                "/test.Whose/Chat" => grpc.streaming(service_fn(chat), request).await,
                other => Status::unimplemented(other).into_http(),
            })
        })
    }
}

fn now() -> String {
    MetadataContext::current_tenant().to_string()
}

/// Says whose context it is before and after something else had its turn.
async fn ask(request: Request<String>) -> Result<Response<String>, Status> {
    let before = now();
    tokio::time::sleep(Duration::from_millis(1)).await;
    Ok(Response::new(format!("{} {before} {}", request.into_inner(), now())))
}

type Answers = Pin<Box<dyn stream::Stream<Item = Result<String, Status>> + Send>>;

/// Says it again and again, while the answer is on its way.
async fn watch(request: Request<String>) -> Result<Response<Answers>, Status> {
    let word = request.into_inner();
    let answers = stream::iter(0..5).then(move |_| {
        let word = word.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok(format!("{word} {}", now()))
        }
    });
    Ok(Response::new(Box::pin(answers)))
}

/// Says it to each message that comes.
async fn chat(request: Request<Streaming<String>>) -> Result<Response<Answers>, Status> {
    let answers = request.into_inner().map_ok(|word| format!("{word} {}", now()));
    Ok(Response::new(Box::pin(answers)))
}

/// A server, until it is dropped, and the one connection to it.
struct Stage {
    server: JoinHandle<()>,
    channel: Channel,
}

impl Stage {
    async fn new(layer: TenantLayer) -> Self {
        let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = incoming.local_addr().unwrap();
        let router = Server::builder().layer(layer).add_service(Whose);
        let server = tokio::spawn(async move { router.serve_with_incoming(incoming).await.unwrap() });
        let channel = Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
        Self { server, channel }
    }

    async fn client(&self) -> Client<Channel> {
        let mut client = Client::new(self.channel.clone());
        client.ready().await.unwrap();
        client
    }

    async fn ask(&self, tenants: &[&str], word: &str) -> Result<String, Status> {
        let path = http::uri::PathAndQuery::from_static("/test.Whose/Ask");
        let asked = self.client().await.unary(request(tenants, word.to_owned()), path, Text).await;
        asked.map(Response::into_inner)
    }

    async fn watch(&self, tenants: &[&str], word: &str) -> Result<Vec<String>, Status> {
        let path = http::uri::PathAndQuery::from_static("/test.Whose/Watch");
        let request = request(tenants, word.to_owned());
        self.client().await.server_streaming(request, path, Text).await?.into_inner().try_collect().await
    }

    async fn chat(&self, tenants: &[&str], words: Vec<String>) -> Result<Vec<String>, Status> {
        let path = http::uri::PathAndQuery::from_static("/test.Whose/Chat");
        let request = request(tenants, stream::iter(words));
        self.client().await.streaming(request, path, Text).await?.into_inner().try_collect().await
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn request<T>(tenants: &[&str], message: T) -> Request<T> {
    let mut request = Request::new(message);
    for tenant in tenants {
        request.metadata_mut().append("x-tenant-id", tenant.parse().unwrap());
    }
    request
}

#[tokio::test]
async fn call_is_the_tenants_that_its_metadata_name() {
    let stage = Stage::new(TenantLayer::header()).await;
    assert_eq!(stage.ask(&["acme"], "a").await.unwrap(), "a acme acme");
    assert_eq!(stage.ask(&["Globex \"1\""], "b").await.unwrap(), "b Globex \"1\" Globex \"1\"");
    assert_eq!(stage.ask(&[], "c").await.unwrap(), "c public public");
    assert!(!MetadataContext::is_active());
}

#[tokio::test]
async fn stream_is_the_tenants_while_it_is_sent() {
    let stage = Stage::new(TenantLayer::header()).await;
    assert_eq!(stage.watch(&["acme"], "a").await.unwrap(), ["a acme"; 5]);
    let words = vec!["one".to_owned(), "two".to_owned()];
    assert_eq!(stage.chat(&["globex"], words).await.unwrap(), ["one globex", "two globex"]);
    assert_eq!(stage.watch(&[], "b").await.unwrap(), ["b public"; 5]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_side_by_side_on_one_connection_keep_their_tenants() {
    let stage = Stage::new(TenantLayer::header().required()).await;
    let calls = (0..300).map(async |n| {
        let (tenant, word) = (format!("t{}", n % 30), format!("w{n}"));
        let named = [tenant.as_str()];
        match n % 3 {
            0 => {
                let answer = stage.ask(&named, &word).await.unwrap();
                assert_eq!(answer, format!("{word} {tenant} {tenant}"));
            }
            1 => {
                let answers = stage.watch(&named, &word).await.unwrap();
                assert_eq!(answers, vec![format!("{word} {tenant}"); 5]);
            }
            _ => {
                let answers = stage.chat(&named, vec![word.clone(); 3]).await.unwrap();
                assert_eq!(answers, vec![format!("{word} {tenant}"); 3]);
            }
        }
    });
    assert_eq!(join_all(calls).await.len(), 300);
}

#[tokio::test]
async fn refused_call_gets_a_status_of_grpcs() {
    let layer = TenantLayer::header().required().allow(|_, tenant| *tenant != "secret");
    let stage = Stage::new(layer).await;
    let long = "x".repeat(64);
    for (tenants, code, words) in [
        (&[][..], Code::InvalidArgument, "the request names no tenant"),
        (&["public"], Code::InvalidArgument, "the request names no tenant"),
        (&[""], Code::InvalidArgument, "a tenant name must not be empty"),
        (&[&long], Code::InvalidArgument, "a tenant name must not be longer than 63 bytes"),
        (&["pg_temp"], Code::InvalidArgument, "a schema of PostgreSQL's or of pgstrata's is no tenant's"),
        (&["acme", "globex"], Code::InvalidArgument, "the tenant is named twice, by different names"),
        (&["secret"], Code::PermissionDenied, "the request may not be this tenant's"),
    ] {
        let asked = stage.ask(tenants, "a").await.unwrap_err();
        let watched = stage.watch(tenants, "b").await.unwrap_err();
        let chatted = stage.chat(tenants, vec!["c".to_owned()]).await.unwrap_err();
        for status in [asked, watched, chatted] {
            assert_eq!((status.code(), status.message()), (code, words), "{tenants:?}");
        }
    }
    // The connection is as good as before.
    assert_eq!(stage.ask(&["acme"], "a").await.unwrap(), "a acme acme");
}
