//! Clients that prove who they are by a certificate.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use pgstrata::demo::find::Install;
use pgstrata_tests::program::client_program_of;
use pgstrata_tests::{ACME, GLOBEX, Process, Setup};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::logins::ground::{self, NAMES, complaint, lines, psql, start};

/// An authority, which signs certificates into a folder.
struct Authority {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(folder.path().join("ca.crt"), certificate.pem()).unwrap();
        Self { folder, issuer: Issuer::new(params, key) }
    }

    fn path(&self, file: &str) -> String {
        self.folder.path().join(file).display().to_string()
    }

    /// A certificate with that common name, and that DNS name.
    fn sign(&self, file: &str, common: &str, dns: &str) {
        let mut params = CertificateParams::new(vec![dns.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, common);
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &self.issuer).unwrap();
        write(&self.folder.path().join(format!("{file}.crt")), &signed.pem());
        write(&self.folder.path().join(format!("{file}.key")), &key.serialize_pem());
    }

    /// What psql needs to show the certificate of that file.
    fn show(&self, file: &str) -> String {
        let [certificate, key] = ["crt", "key"].map(|end| self.path(&format!("{file}.{end}")));
        format!("dbname=app sslmode=require sslcert={certificate} sslkey={key}")
    }
}

/// As libpq wants its keys: for nobody else.
fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn with_tls(authority: &Authority) -> Setup {
    let [certificate, key, ca] = ["server.crt", "server.key", "ca.crt"].map(|file| authority.path(file));
    authority.sign("server", "server", "localhost");
    let lines = format!(
        "tls = 'optional'\ntls_certificate = '{certificate}'\ntls_key = '{key}'\ntls_client_ca = '{ca}'"
    );
    Setup::new().line("listen", lines)
}

const NONE: &str = "dbname=app sslmode=require sslcert=none";

async fn is_refused(process: &Process, user: &str, more: &str, words: &str) {
    let said = complaint(&psql(process, user, "wrong", more).await);
    assert!(said.contains(&format!("FATAL:  {words}")), "{user} {more}: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn name_of_the_certificate_is_the_users() {
    let authority = Authority::new();
    let setup = with_tls(&authority).replace("password = 'acme'", "auth = 'cert'");
    authority.sign("acme", "acme", "elsewhere.example.com");
    authority.sign("dns", "somebody", "acme");
    authority.sign("app", "app", "app.example.com");
    let (_cluster, process) = start(&setup).await;
    for file in ["acme", "dns"] {
        let said = psql(&process, "acme", "", &authority.show(file)).await;
        assert_eq!(lines(&said), ACME, "{file}: {said:?}");
    }
    let other = "certificate authentication failed for user \"acme\"";
    is_refused(&process, "acme", &authority.show("app"), other).await;
    let none = "connection requires a valid client certificate";
    is_refused(&process, "acme", NONE, none).await;
    is_refused(&process, "acme", "dbname=app sslmode=disable", none).await;
    // Others prove who they are as before, certificate or not.
    for more in [NONE, &authority.show("acme")] {
        assert_eq!(lines(&psql(&process, "app", "app", more).await), ACME);
        is_refused(&process, "app", more, "password authentication failed for user \"app\"").await;
    }
    // One that a stranger has signed ends the handshake.
    let stranger = Authority::new();
    stranger.sign("acme", "acme", "acme");
    let said = complaint(&psql(&process, "acme", "", &stranger.show("acme")).await);
    assert!(!said.contains("FATAL") && said.to_lowercase().contains("ssl"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn map_says_whose_certificate_is_whose_and_for_which_tenant() {
    let authority = Authority::new();
    let map = "[[cert_map]]\nname = 'acme.*'\nuser = 'app'\ntenants = ['acme_*']\n\
               [[cert_map]]\nname = 'globex.*'\nuser = 'app'\ntenants = ['globex']\n\
               [[hba]]\ntls = true\nmethod = 'cert'\n[[hba]]\nmethod = 'scram-sha-256'";
    authority.sign("acme", "x", "acme.example.com");
    authority.sign("globex", "x", "globex.example.com");
    authority.sign("own", "app", "app");
    let (_cluster, process) = start(&with_tls(&authority).table(map)).await;
    // psql asks for acme_corp.
    let said = psql(&process, "app", "", &authority.show("acme")).await;
    assert_eq!(lines(&said), ACME, "{said:?}");
    for file in ["globex", "own"] {
        let words = "certificate authentication failed for user \"app\"";
        is_refused(&process, "app", &authority.show(file), words).await;
    }
    for user in ["acme", "nobody"] {
        let words = format!("certificate authentication failed for user \"{user}\"");
        is_refused(&process, user, &authority.show("acme"), &words).await;
    }
    assert_eq!(lines(&psql(&process, "acme", "acme", "dbname=app sslmode=disable").await), ACME);
    // With tls_client_required, nobody speaks TLS without one.
    let required = with_tls(&authority).line("listen", "tls_client_required = true");
    process.reload(&required).await;
    let said = psql(&process, "acme", "acme", NONE).await;
    assert!(lines(&said).is_empty() && !complaint(&said).contains("FATAL"), "{said:?}");
    assert_eq!(lines(&psql(&process, "acme", "acme", &authority.show("own")).await), ACME);
}

#[tokio::test(flavor = "multi_thread")]
async fn host_of_tls_names_the_tenant() {
    let folder = tempfile::tempdir().unwrap();
    let [certificate, key] = ground::certificate(folder.path(), "*.db.example.com");
    let tls = format!("tls = 'optional'\ntls_certificate = '{certificate}'\ntls_key = '{key}'");
    let setup = Setup::new().line("listen", tls).line(
        "tenancy",
        "sources = ['server_name']\nserver_name = '*.db.example.com'\nmissing_tenant = 'reject'",
    );
    let (_cluster, process) = start(&setup).await;
    let ask = async |host: &str, more: &str| {
        let port = process.port;
        let url = format!("host={host} hostaddr=127.0.0.1 port={port} user=app dbname=app {more}");
        let mut command = client_program_of(&Install::find().unwrap(), "psql");
        command.args(["-X", "-A", "-t", "-w", "-c", NAMES, &url]).env("PGPASSWORD", "app");
        command.output().await.unwrap()
    };
    let verified = format!("sslmode=verify-full sslrootcert={certificate}");
    assert_eq!(lines(&ask("acme-corp.db.example.com", &verified).await), ACME);
    assert_eq!(lines(&ask("globex.db.example.com", &verified).await), GLOBEX);
    for (host, more) in [
        ("acme-corp.db.example.com", "sslmode=disable"),
        ("acme-corp.db.example.com", "sslmode=require sslsni=0"),
        ("elsewhere.example.com", "sslmode=require"),
    ] {
        let said = complaint(&ask(host, more).await);
        assert!(said.contains("the connection names no tenant"), "{host} {more}: {said}");
        assert!(said.contains("the host as NAME.db.example.com, over TLS"), "{said}");
    }
}
