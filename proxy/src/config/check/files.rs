//! Files that the configuration names: certificates, keys, and who else can read them.

use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::auth::tls;
use crate::config::load::Place;
use crate::config::problem::Problems;
use crate::config::{Listen, ListenTls};

/// Permissions of those who are neither the file's owner nor of its group.
const OTHERS: u32 = 0o007;

/// Reports certificates and keys that TLS with clients can't use.
pub(super) fn listen(listen: &Listen, place: &Place<'_>, problems: &mut Problems) {
    let (certificate, key) = ("listen.tls_certificate", "listen.tls_key");
    let chain = listen.tls_certificate.as_deref().and_then(|file| chain(certificate, file, place, problems));
    let private = listen.tls_key.as_deref().and_then(|file| self::key(key, file, place, problems));
    for (path, file) in [(certificate, &listen.tls_certificate), (key, &listen.tls_key)] {
        if file.is_none() && listen.tls != ListenTls::Off {
            let name = path.strip_prefix("listen.").unwrap_or(path);
            let message = format!("\"tls\" in [listen] needs \"{name}\": name a PEM file");
            problems.at(&["listen.tls", path], message);
        }
    }
    if let (Some(chain), Some(private)) = (chain, private)
        && let Err(error) = tls::from_chain(chain, private)
    {
        let message = format!("\"tls_key\" in [listen] is not the key of \"tls_certificate\": {error}");
        problems.at(&[key, certificate], message);
    }
}

/// Reports authorities' certificates that can't be used.
pub(super) fn authorities(path: &str, file: &Path, place: &Place<'_>, problems: &mut Problems) {
    let Some(chain) = chain(path, file, place, problems) else { return };
    let mut roots = RootCertStore::empty();
    if let Some(error) = chain.into_iter().find_map(|certificate| roots.add(certificate).err()) {
        problems.at(&[path], format!("a certificate in {} can't be used: {error}", file.display()));
    }
}

/// Warns of a secret's file that anybody can read.
pub(in crate::config) fn private(path: &str, file: &Path, place: &Place<'_>, problems: &mut Problems) {
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
    let chain = tls::certificates(text.as_bytes());
    chain
        .map_err(|error| {
            problems.at(&[path], format!("{} holds no certificate in PEM: {error}", file.display()))
        })
        .ok()
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
    text.map_err(|error| problems.at(&[path], format!("cannot read {}: {error}", file.display()))).ok()
}
