//! What connects, with the kind of TLS left out of the types.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use deadpool::managed::PoolError;
use deadpool_postgres::{ConfigConnectImpl, Connect};
use pgstrata_control::{Control, Settings};
use tokio::task::JoinHandle;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{CancelToken, Client, Config, Socket};

/// How long a request to cancel may take.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) type Connecting<'a> =
    Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), tokio_postgres::Error>> + Send + 'a>>;

/// What makes connections: for the pool, for control, and to cancel what runs on one.
pub(crate) trait Connector: Send + Sync {
    /// A client, and the task that does its I/O.
    fn connect<'a>(&'a self, config: &'a Config) -> Connecting<'a>;

    fn control(
        &self,
        config: Config,
        connections: usize,
        settings: Settings,
    ) -> Result<Control, pgstrata_control::Error>;

    /// Asks PostgreSQL to stop, in the background, and hears no answer.
    fn cancel(&self, token: CancelToken);
}

/// A kind of TLS.
pub(crate) struct Tls<T>(pub(crate) T);

impl<T> Connector for Tls<T>
where
    T: MakeTlsConnect<Socket> + Clone + Sync + Send + 'static,
    T::Stream: Sync + Send,
    T::TlsConnect: Sync + Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    fn connect<'a>(&'a self, config: &'a Config) -> Connecting<'a> {
        let connect = ConfigConnectImpl { tls: self.0.clone() };
        Box::pin(async move { connect.connect(config).await })
    }

    fn control(
        &self,
        config: Config,
        connections: usize,
        settings: Settings,
    ) -> Result<Control, pgstrata_control::Error> {
        Control::new(config, self.0.clone(), connections, settings)
    }

    fn cancel(&self, token: CancelToken) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let tls = self.0.clone();
            // Who does not answer at all does not answer this, either.
            runtime.spawn(async move { tokio::time::timeout(PATIENCE, token.cancel_query(tls)).await });
        }
    }
}

impl fmt::Debug for dyn Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

/// What to say of a server's certificate that is refused, behind rustls' own words.
pub(crate) fn hint(error: &PoolError<tokio_postgres::Error>) -> &'static str {
    #[cfg(feature = "rustls")]
    if let PoolError::Backend(error) = error
        && let Some(error) = std::error::Error::source(error)
        && let Some(error) = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref)
        && let Some(rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer)) =
            error.downcast_ref()
    {
        return ": the authority that signed it is none that the system trusts; SSL_CERT_FILE can name others";
    }
    let _ = error;
    ""
}

/// rustls with the system's certificate authorities.
#[cfg(feature = "rustls")]
pub(crate) fn rustls() -> Result<tokio_postgres_rustls::MakeRustlsConnect, crate::Error> {
    let wrong = |error: rustls::Error| crate::Error::Options(format!("TLS can't be used: {error}"));
    let mut roots = rustls::RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why: String = found.errors.iter().map(|error| format!(": {error}")).collect();
        let message = format!("no certificate authority is known to the system{why}");
        return Err(crate::Error::Options(message));
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(wrong)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(tokio_postgres_rustls::MakeRustlsConnect::new(config))
}
