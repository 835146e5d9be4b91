//! An answer's body, polled in its tenant's context.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::{MetadataContext, Tenant};

pin_project! {
    /// The body of an answer: that of the service inside, or a refusal's few words. A stream that reads rows while it is sent reads the
    /// tenant's.
    ///
    /// ```
    /// # mod requests { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/requests.rs")); } use requests::*;
    /// use axum::body::{Body, to_bytes};
    /// # use futures_util::stream;
    /// # use std::convert::Infallible;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let rows = service_fn(async |_: Request<()>| {
    ///     let row = async { Ok::<_, Infallible>(MetadataContext::current_tenant().to_string()) };
    ///     Ok::<_, Infallible>(Response::new(Body::from_stream(stream::once(row))))
    /// });
    /// let request = Request::get("/rows").header("X-Tenant-Id", "acme").body(())?;
    /// let answer: Response<TenantBody<Body>> = TenantLayer::header().layer(rows).oneshot(request).await?;
    /// // Whoever sends it is in no context.
    /// assert_eq!(to_bytes(Body::new(answer.into_body()), 100).await?, "acme");
    /// # Ok(())
    /// # }
    /// ```
    pub struct TenantBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<B> {
        Inner { #[pin] body: B, tenant: Tenant },
        Text { text: Option<Bytes> },
    }
}

impl<B> TenantBody<B> {
    pub(super) fn inner(body: B, tenant: Tenant) -> Self {
        Self { kind: Kind::Inner { body, tenant } }
    }

    pub(super) fn text(text: String) -> Self {
        Self { kind: Kind::Text { text: Some(text).filter(|text| !text.is_empty()).map(Bytes::from) } }
    }
}

impl<B: Body<Data = Bytes>> Body for TenantBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            KindProjection::Inner { body, tenant } => {
                MetadataContext::run_sync(tenant.clone(), || body.poll_frame(cx))
            }
            KindProjection::Text { text } => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body, .. } => body.is_end_stream(),
            Kind::Text { text } => text.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body, .. } => body.size_hint(),
            Kind::Text { text } => {
                let length = text.as_ref().map_or(0, Bytes::len);
                SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
            }
        }
    }
}

impl<B> fmt::Debug for TenantBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantBody").finish_non_exhaustive()
    }
}
