//! TLS to PostgreSQL, in the grades of libpq's `sslmode`.
//!
//! See <https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION>.

use std::path::PathBuf;
use std::sync::Arc;

use ::ring::digest;
use pgstrata_config::{Database, ServerTls};
use pgstrata_wire::startup::ALPN;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{VerifierBuilderError, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use x509_certificate::{CapturedX509Certificate, SignatureAlgorithm};

/// Why there can be no TLS to a database.
#[derive(Debug, thiserror::Error)]
pub enum TlsConfigError {
    /// The authorities can not be read.
    #[error("can not read {path}: {source}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// There is nobody to trust.
    #[error("no certificate authority is known to the system: set tls_ca")]
    NoRoots,
    /// An authority's certificate is of no use.
    #[error("a certificate authority can not be used: {0}")]
    Authority(#[from] Error),
    /// The authorities make no verifier.
    #[error("the certificate authorities can not be used: {0}")]
    Verifier(#[from] VerifierBuilderError),
}

/// TLS as the entry's `tls` wants it; `None` if that is `disable`.
pub fn client_tls_config(database: &Database) -> Result<Option<Arc<ClientConfig>>, TlsConfigError> {
    let provider = Arc::new(ring::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match database.tls {
        ServerTls::Disable => return Ok(None),
        ServerTls::Prefer | ServerTls::Require => {
            Arc::new(Lenient { provider: Arc::clone(&provider), authorities: None })
        }
        ServerTls::VerifyCa => {
            let authorities = Some(authorities(database, &provider)?);
            Arc::new(Lenient { provider: Arc::clone(&provider), authorities })
        }
        ServerTls::VerifyFull => authorities(database, &provider)?,
    };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Some(Arc::new(config)))
}

fn authorities(
    database: &Database,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, TlsConfigError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = &database.tls_ca {
        let failed = |source| TlsConfigError::Pem { path: path.clone(), source };
        for certificate in CertificateDer::pem_file_iter(path).map_err(failed)? {
            roots.add(certificate.map_err(failed)?)?;
        }
    } else {
        // Systems hold certificates that rustls does not like; the others are good enough.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if roots.is_empty() {
        return Err(TlsConfigError::NoRoots);
    }
    let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    Ok(builder.build()?)
}

/// The hash that ties SCRAM to this certificate (`tls-server-end-point`, RFC 5929).
///
/// `None` where the certificate's signature has no hash of its own, as Ed25519.
pub fn end_point(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let parsed = CapturedX509Certificate::from_der(certificate.to_vec()).ok()?;
    let hash = match parsed.signature_algorithm()? {
        SignatureAlgorithm::RsaSha1 | SignatureAlgorithm::RsaSha256 | SignatureAlgorithm::EcdsaSha256 => {
            &digest::SHA256
        }
        SignatureAlgorithm::RsaSha384 | SignatureAlgorithm::EcdsaSha384 => &digest::SHA384,
        SignatureAlgorithm::RsaSha512 => &digest::SHA512,
        _ => return None,
    };
    Some(digest::digest(hash, certificate).as_ref().to_vec())
}

/// A verifier that asks less than `verify-full`.
#[derive(Debug)]
struct Lenient {
    provider: Arc<CryptoProvider>,
    /// `verify-ca`: who must have signed the certificate, for whatever host. `None` for `prefer` and `require`, which
    /// protect against eavesdropping only: any certificate is good.
    authorities: Option<Arc<WebPkiServerVerifier>>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(authorities) = &self.authorities else { return Ok(ServerCertVerified::assertion()) };
        // The name is looked at last: everything else has been found good by then.
        match authorities.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
