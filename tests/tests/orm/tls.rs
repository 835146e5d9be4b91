//! TLS by the authorities that the system trusts: here, those of each test.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use pgstrata::demo::postgres::{Cluster, Options};
use pgstrata_tests::database::{cluster_with, cluster_with_tls};
use pgstrata_tests::stage::connect;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tokio::process::Command;

/// A PostgreSQL that takes user `shop` by TLS and no other way, with a certificate for `localhost`, and two authorities' own certificates:
/// that of the one which signed it, and a stranger's.
struct Vault {
    cluster: Cluster,
    folder: TempDir,
}

impl Vault {
    async fn new() -> Self {
        let install = cluster_with_tls().await.install().clone();
        let folder = tempfile::tempdir().unwrap();
        let (issuer, pem) = authority("the authority");
        std::fs::write(folder.path().join("authority.pem"), pem).unwrap();
        std::fs::write(folder.path().join("stranger.pem"), authority("a stranger").1).unwrap();
        let key = KeyPair::generate().unwrap();
        let server = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let server = server.signed_by(&key, &issuer).unwrap();
        let options = Options {
            install: Some(install),
            hba: vec![
                "hostssl all shop 127.0.0.1/32 trust".into(),
                "host all shop 127.0.0.1/32 reject".into(),
            ],
            tls: Some((server.pem(), key.serialize_pem())),
            ..Options::default()
        };
        let cluster = cluster_with(options).await;
        let postgres = connect(&cluster.superuser("postgres")).await.unwrap();
        postgres.batch_execute("CREATE ROLE shop LOGIN").await.unwrap();
        postgres.batch_execute("CREATE DATABASE shop OWNER shop").await.unwrap();
        let admin = connect(&cluster.superuser("shop")).await.unwrap();
        admin.batch_execute("ALTER SCHEMA public OWNER TO shop").await.unwrap();
        Self { cluster, folder }
    }

    fn url(&self, host: &str, more: &str) -> String {
        format!("postgres://shop@{host}:{}/shop?sslmode=require{more}", self.cluster.port())
    }

    fn pem(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn authority(name: &str) -> (Issuer<'static, KeyPair>, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    (Issuer::new(params, key), pem)
}

/// The ORM, in a process whose system trusts these authorities.
async fn trusting(authorities: &Path, url: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orm_tls"));
    command.arg(url).env("SSL_CERT_FILE", authorities).env_remove("SSL_CERT_DIR").kill_on_drop(true);
    tokio::time::timeout(Duration::from_secs(120), command.output()).await.unwrap().unwrap()
}

/// The error that it ends with.
async fn refused(authorities: &Path, url: &str) -> String {
    let output = trusting(authorities, url).await;
    assert!(!output.status.success(), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn all_connections_are_by_tls() {
    let vault = Vault::new().await;
    let output = trusting(&vault.pem("authority.pem"), &vault.url("localhost", "")).await;
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    let expected = "statement: true TLSv1.3\ntenant: 1 sealed\nin time: false\ncancelled\n";
    assert_eq!(said, expected);
}

#[tokio::test]
async fn server_that_is_not_to_be_trusted_is_refused_in_plain_words() {
    let vault = Vault::new().await;
    let stranger = refused(&vault.pem("stranger.pem"), &vault.url("localhost", "")).await;
    let refusal = "no connection to PostgreSQL: error performing TLS handshake: invalid peer certificate: ";
    let trust = "UnknownIssuer: the authority that signed it is none that the system trusts; SSL_CERT_FILE can name others";
    assert_eq!(stranger, format!("{refusal}{trust}\n"));
    let other = vault.url("db.example.com", "&hostaddr=127.0.0.1");
    let other = refused(&vault.pem("authority.pem"), &other).await;
    let name = format!("{refusal}certificate not valid for name");
    assert!(other.starts_with(&format!("{name} \"db.example.com\"")), "{other}");
    let address = refused(&vault.pem("authority.pem"), &vault.url("127.0.0.1", "")).await;
    assert!(address.starts_with(&format!("{name} \"127.0.0.1\"")), "{address}");
}

#[tokio::test]
async fn server_without_tls_is_refused_where_tls_is_required() {
    let hba = vec!["host all all 127.0.0.1/32 trust".into()];
    let cluster = cluster_with(Options { hba, ..Options::default() }).await;
    let (issuer, pem) = authority("the authority");
    drop(issuer);
    let folder = tempfile::tempdir().unwrap();
    let authorities = folder.path().join("authority.pem");
    std::fs::write(&authorities, pem).unwrap();
    let url = format!("postgres://postgres@localhost:{}/app?sslmode=require", cluster.port());
    let words = "no connection to PostgreSQL: error performing TLS handshake: server does not support TLS\n";
    assert_eq!(refused(&authorities, &url).await, words);
}

#[test]
fn what_is_wrong_with_a_url_is_told_without_its_password() {
    for (url, words) in [
        ("postgres://shop:secret@db/shop?sslmode=verify-full", "sslmode is disable, prefer or require"),
        ("postgres://shop:secret@db/shop?hostaddr=db", "the URL has a wrong value for `hostaddr`"),
        ("postgres://shop:secret@db:port/shop", "the URL has a wrong value for `port`"),
        ("postgres://shop@db/shop?pass=secret", "this is no URL of a PostgreSQL"),
    ] {
        let wrong = pgstrata_orm::Options::url(url).unwrap_err().to_string();
        assert!(wrong.starts_with(words) && !wrong.contains("cret"), "{wrong}");
    }
}

#[tokio::test]
async fn authorities_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.pem");
    let words = refused(&missing, "postgres://shop@localhost:1/shop?sslmode=require").await;
    let expected = "no certificate authority is known to the system: failed to read PEM";
    assert!(words.starts_with(expected) && words.contains(missing.to_str().unwrap()), "{words}");
}
