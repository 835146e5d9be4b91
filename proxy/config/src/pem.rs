//! Certificates in PEM.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{Error, PemObject};

/// The certificates of a text in PEM: one at least.
///
/// # Errors
/// The text is no PEM, or holds no certificate.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let found = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>()?;
    if found.is_empty() { Err(Error::NoItemsFound) } else { Ok(found) }
}
