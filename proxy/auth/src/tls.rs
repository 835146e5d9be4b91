//! TLS with clients: certificate and key from files.
//!
//! See <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL>.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pgwire::api::auth::sasl::scram::ScramServerAuth;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::config::{Listen, ListenTls, certificates};
use crate::wire::startup::ALPN;

/// What is needed to speak TLS with clients.
#[derive(Clone)]
pub struct Tls {
    /// The handshake.
    pub acceptor: TlsAcceptor,
    /// SCRAM over that TLS: with channel binding, if the certificate lends itself to it.
    pub scram: ScramServerAuth,
}

/// Why there can be no TLS with clients.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not named.
    #[error("listen.tls needs listen.tls_certificate and listen.tls_key")]
    NoFiles,
    /// A file can not be read as PEM.
    #[error("can not read {path}: {source}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// There are no authorities to look at clients' certificates with.
    #[error("clients' certificates can not be verified: {0}")]
    Authorities(VerifierBuilderError),
    /// Certificate and key do not work together.
    #[error("certificate and key can not be used: {0}")]
    Unusable(#[from] rustls::Error),
}

/// TLS as `[listen]` wants it; `None` if it is off.
pub fn acceptor(listen: &Listen) -> Result<Option<Tls>, TlsError> {
    if listen.tls == ListenTls::Off {
        return Ok(None);
    }
    let (Some(certificate), Some(key)) = (&listen.tls_certificate, &listen.tls_key) else {
        return Err(TlsError::NoFiles);
    };
    let clients = match &listen.tls_client_ca {
        Some(file) => Some(client_verifier(read_chain(file)?, listen.tls_client_required)?),
        None => None,
    };
    with_clients(read_chain(certificate)?, read_key(key)?, clients).map(Some)
}

/// TLS with a chain, the server's own certificate first, and its key.
pub fn from_chain(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Tls, TlsError> {
    with_clients(chain, key, None)
}

/// The same, with clients that show certificates.
pub fn with_clients(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<Tls, TlsError> {
    let scram = scram(chain.first());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?;
    let config = match clients {
        Some(clients) => config.with_client_cert_verifier(clients),
        None => config.with_no_client_auth(),
    };
    let mut config = config.with_single_cert(chain, key)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Tls { acceptor: TlsAcceptor::from(Arc::new(config)), scram })
}

/// What looks at clients' certificates: one that is shown has to be signed by one of these authorities, and valid.
pub fn client_verifier(
    authorities: Vec<CertificateDer<'static>>,
    required: bool,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority)?;
    }
    let provider = Arc::new(ring::default_provider());
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = if required { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(TlsError::Authorities)
}

fn read_chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |source| TlsError::Pem { path: path.to_owned(), source };
    certificates(&std::fs::read(path).map_err(|error| failed(pem::Error::Io(error)))?).map_err(failed)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|source| TlsError::Pem { path: path.to_owned(), source })
}

/// Channel binding hashes as the certificate's signature does, and some (Ed25519) have no hash:
/// those clients get SCRAM without it.
fn scram(certificate: Option<&CertificateDer<'_>>) -> ScramServerAuth {
    let mut scram = ScramServerAuth::new();
    if let Some(der) = certificate {
        let body = STANDARD.encode(der);
        let pem = format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
        if let Err(error) = scram.configure_certificate(pem.as_bytes()) {
            tracing::info!(%error, "no channel binding with this certificate");
        }
    }
    scram
}
