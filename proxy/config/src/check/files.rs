//! Files that the configuration names: certificates, keys, and who else can read them.

use std::path::Path;
use std::time::SystemTime;

use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_certificate::CapturedX509Certificate;

use crate::load::Place;
use crate::pem;
use crate::problem::Problems;
use crate::{Listen, ListenTls};

/// A time in seconds of Unix time, and as people read it.
type DateTime = (i64, String);

/// Permissions of those who are neither the file's owner nor of its group.
const OTHERS: u32 = 0o007;

/// Reports certificates and keys that TLS with clients can't use.
pub(super) fn listen(listen: &Listen, place: &Place<'_>, problems: &mut Problems) {
    let (certificate, key) = ("listen.tls_certificate", "listen.tls_key");
    let chain = listen.tls_certificate.as_deref().and_then(|file| {
        let chain = chain(certificate, file, place, problems)?;
        expiry(certificate, file, &chain, Iterator::min, problems);
        Some(chain)
    });
    let private = listen.tls_key.as_deref().and_then(|file| self::key(key, file, place, problems));
    for (path, file) in [(certificate, &listen.tls_certificate), (key, &listen.tls_key)] {
        if file.is_none() && listen.tls != ListenTls::Off {
            let name = path.strip_prefix("listen.").unwrap_or(path);
            let message = format!("\"tls\" in [listen] needs \"{name}\": name a PEM file");
            problems.at(&["listen.tls", path], message);
        }
    }
    match &listen.tls_client_ca {
        Some(ca) => {
            authorities("listen.tls_client_ca", ca, place, problems);
            if listen.tls == ListenTls::Off {
                let message =
                    "\"tls_client_ca\" in [listen] has no effect without TLS: set tls = \"required\"";
                problems.at(&["listen.tls_client_ca", "listen.tls"], message);
            }
        }
        None if listen.tls_client_required => {
            let message =
                "\"tls_client_required\" in [listen] needs \"tls_client_ca\": who may sign the certificates";
            problems.at(&["listen.tls_client_required"], message);
        }
        None => {}
    }
    if let (Some(chain), Some(private)) = (chain, private)
        && let Err(error) = CertifiedKey::from_der(chain, private, &ring::default_provider())
    {
        let message = format!("\"tls_key\" in [listen] is not the key of \"tls_certificate\": {error}");
        problems.at(&[key, certificate], message);
    }
}

/// Reports authorities' certificates that can't be used.
pub(super) fn authorities(path: &str, file: &Path, place: &Place<'_>, problems: &mut Problems) {
    let Some(chain) = chain(path, file, place, problems) else { return };
    // Others may stand in for one that has expired.
    expiry(path, file, &chain, Iterator::max, problems);
    let mut roots = RootCertStore::empty();
    if let Some(error) = chain.into_iter().find_map(|certificate| roots.add(certificate).err()) {
        problems.at(&[path], format!("a certificate in {} can't be used: {error}", file.display()));
    }
}

/// Warns of a secret's file that anybody can read.
pub(crate) fn private(path: &str, file: &Path, place: &Place<'_>, problems: &mut Problems) {
    if place.surroundings.mode(file).is_some_and(|mode| mode & OTHERS != 0) {
        let file = file.display();
        problems.warn(
            &[path],
            format!("{file} holds a password or a key, and all users can read it: chmod o-rwx {file}"),
        );
    }
}

fn chain(
    path: &str,
    file: &Path,
    place: &Place<'_>,
    problems: &mut Problems,
) -> Option<Vec<CertificateDer<'static>>> {
    let text = readable(path, file, place, problems)?;
    match pem::certificates(text.as_bytes()) {
        Ok(chain) => Some(chain),
        Err(error) => {
            problems.at(&[path], format!("{} holds no certificate in PEM: {error}", file.display()));
            None
        }
    }
}

/// Notes when the certificates expire: the `one` of them that counts. Reports it if it has.
fn expiry(
    path: &str,
    file: &Path,
    chain: &[CertificateDer<'_>],
    one: impl FnOnce(std::vec::IntoIter<DateTime>) -> Option<DateTime>,
    problems: &mut Problems,
) {
    let parsed = chain.iter().filter_map(|der| CapturedX509Certificate::from_der(der.to_vec()).ok());
    let times: Vec<_> = parsed
        .map(|certificate| {
            let time = certificate.validity_not_after();
            (time.timestamp(), time.to_rfc3339())
        })
        .collect();
    let Some((seconds, time)) = one(times.into_iter()) else { return };
    problems.expires(path, seconds);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    if seconds <= i64::try_from(now.as_secs()).unwrap_or(i64::MAX) {
        problems.expired(path, format!("the certificate in {} expired at {time}: renew it", file.display()));
    }
}

fn key(
    path: &str,
    file: &Path,
    place: &Place<'_>,
    problems: &mut Problems,
) -> Option<PrivateKeyDer<'static>> {
    let text = readable(path, file, place, problems)?;
    private(path, file, place, problems);
    let key = PrivateKeyDer::from_pem_slice(text.as_bytes());
    key.map_err(|error| {
        problems.at(&[path], format!("{} holds no private key in PEM: {error}", file.display()))
    })
    .ok()
}

fn readable(path: &str, file: &Path, place: &Place<'_>, problems: &mut Problems) -> Option<String> {
    let text = place.surroundings.read(file);
    if let Ok(text) = &text {
        problems.note(path, text.as_bytes());
    }
    text.map_err(|error| problems.at(&[path], format!("cannot read {}: {error}", file.display()))).ok()
}
