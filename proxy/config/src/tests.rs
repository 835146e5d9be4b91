//! The configuration as its users see it: files in, types or errors out.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::LazyLock;

use super::load::{Place, read};
use super::problem::Problems;
use super::*;

mod refusals;

/// The annotated file that is delivered.
const ANNOTATED: &str = include_str!("../../../config/pgstrata.toml");

/// One variable and a few files.
struct Fake;

impl Surroundings for Fake {
    fn env(&self, name: &str) -> Option<String> {
        (name == "APP_PASSWORD").then(|| "from the environment".into())
    }

    fn read(&self, path: &Path) -> io::Result<String> {
        match path.to_str() {
            Some("/etc/pw") => Ok("from a file\r\n".into()),
            Some("/etc/key/pw") => Ok("a secret that is longer than 32 bytes".into()),
            Some("etc/pem" | "etc/server.crt") => Ok(pair().0.clone()),
            Some("etc/server.key") => Ok(pair().1.clone()),
            Some("etc/other.key") => Ok(certificate().1),
            Some("etc/garbage") => Ok("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n".into()),
            Some("etc/users") => Ok("\"joe\" \"pw\"\n\"a.b\" \"hunter2\"\n".into()),
            Some("etc/hashes") => {
                let verifier = "SCRAM-SHA-256$hunter2";
                Ok(format!("\"x\" \"md5a3556571e93b0d20722ba62be61e8c2d\"\n\"y\" \"{verifier}\"\n"))
            }
            Some("etc/hba") => {
                Ok("local all all peer\nhost all all all ldap\nhost all all all sspi\n".into())
            }
            Some("etc/quotes") => Ok("\n\"x\" 'hunter2'".into()),
            Some("etc/empty") => Ok("\n".into()),
            _ => Err(io::Error::new(io::ErrorKind::NotFound, "no such file")),
        }
    }

    fn mode(&self, path: &Path) -> Option<u32> {
        Some(if path.ends_with("pw") || path.ends_with("open.toml") { 0o100644 } else { 0o100640 })
    }
}

/// A certificate that is its own authority, and its key.
fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn pair() -> &'static (String, String) {
    static PAIR: LazyLock<(String, String)> = LazyLock::new(certificate);
    &PAIR
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse_with(text, Path::new("etc/pgstrata.toml"), &Fake)
}

/// A database and a user, so that a test need only say what it is about.
fn with_basics(text: &str) -> String {
    format!(
        "{text}\n[databases.app]\nhost = \"db\"\nuser = \"app\"\n\
         [[users]]\nname = \"app\"\npassword = \"pw\"\ntenants = [\"*\"]\n"
    )
}

#[test]
fn annotated_file_loads_and_holds_the_defaults() {
    let config = Config::parse(ANNOTATED, Path::new("config/pgstrata.toml")).unwrap();
    assert_eq!(config.databases["app"].user, "app");
    assert_eq!(config.users[0].password.expose(), Some("app"));
    let bare = parse(&with_basics("")).unwrap();
    assert_eq!(format!("{:?}", config.pool), format!("{:?}", bare.pool));
    assert_eq!(config.listen.address.to_string(), "127.0.0.1:6432");
}

#[test]
fn every_key_is_annotated_with_its_default() {
    let uncommented =
        |lead: &'static str| move |line: &str| line.strip_prefix(lead).unwrap_or(line).to_owned() + "\n";
    let defaults: String = ANNOTATED.lines().map(uncommented("#")).collect();
    let config = parse(&keys_only(&defaults)).unwrap();
    let bare = parse(&with_basics("")).unwrap();
    assert_eq!(sections(&config), sections(&bare));
    assert_eq!(config.databases["app"].port, 5432);
    assert_eq!(config.databases["app"].tls, ServerTls::default());
    assert_eq!(config.users[0].rights.auth, AuthMethod::default());
    assert_eq!(config.users[0].rights.dynamic_sql, DynamicSql::Refuse);
    assert_eq!(config.users[0].rights.statements, Level::All);
    assert!(!config.users[0].rights.tenant_switch);

    let examples: String = ANNOTATED.lines().map(uncommented("## ")).collect();
    let all: String = examples.lines().map(uncommented("#")).collect();
    let mut problems = Problems::new("");
    let origin = Path::new("etc/pgstrata.toml");
    let text = keys_only(&all);
    read(&text, &Place { origin, surroundings: &Fake }, &mut problems).unwrap();
    let present: BTreeSet<&str> = problems.paths().collect();
    // A pattern's table has the keys of a tenant's.
    let known = |key: &&str| present.contains(key) || key.contains('*');
    let missing: Vec<&str> = problems.asked().filter(|key| !known(key)).collect();
    assert!(missing.is_empty(), "not in config/pgstrata.toml: {missing:?}");
}

#[test]
fn operations_say_when_each_key_acts() {
    const OPERATIONS: &str = include_str!("../../../docs/operations.md");
    let (_, table) = OPERATIONS.split_once("| key | acts |\n| --- | --- |\n").unwrap();
    let rows: Vec<(Vec<&str>, &str)> = table
        .lines()
        .map_while(|line| line.strip_prefix("| ")?.split_once(" | **"))
        .map(|(keys, acts)| (keys.split('`').skip(1).step_by(2).collect(), acts))
        .collect();
    let examples: String =
        ANNOTATED.lines().map(|line| line.trim_start_matches(['#', ' ']).to_owned() + "\n").collect();
    let mut problems = Problems::new("");
    let origin = Path::new("etc/pgstrata.toml");
    read(&keys_only(&examples), &Place { origin, surroundings: &Fake }, &mut problems).unwrap();
    for path in problems.asked().filter(|path| path.contains('.')) {
        let path = path.replacen("users[0].", "users.app.", 1).replacen("hba[0].", "hba.", 1);
        let path = path.replacen("cert_map[0].", "cert_map.", 1);
        let shown = [
            ("users.app.", "users."),
            ("databases.app.", "databases.NAME."),
            ("clusters.a.", "clusters.NAME."),
        ];
        let shown = [("tenants.acme_corp.", "tenants.NAME."), ("tenants.trial_*.", "tenants.NAME.")]
            .iter()
            .chain(&shown)
            .fold(path.clone(), |path, (one, all)| path.replacen(one, all, 1));
        let covers = |key: &&str| shown == **key || shown.starts_with(&format!("{key}."));
        let row = rows.iter().filter_map(|(keys, acts)| {
            Some((keys.iter().copied().filter(covers).max_by_key(|key| key.len())?, acts))
        });
        let (key, acts) =
            row.max_by_key(|(key, _)| key.len()).unwrap_or_else(|| panic!("{shown} is missing"));
        let expected = match Effect::of(&path) {
            Effect::Restart => "restart**",
            Effect::Logins => "new logins**",
            Effect::Now => "at once**",
            Effect::Tenants => "tenants**",
            Effect::Databases => "databases**",
            Effect::Clusters => "clusters**",
        };
        assert!(acts.starts_with(expected), "{shown} ({key}): {acts}, not {expected}");
    }
}

/// The lines that are TOML: what is left of an uncommented file without its prose.
fn keys_only(text: &str) -> String {
    let is_toml = |line: &&str| line.starts_with('[') || line.split(' ').nth(1) == Some("=");
    text.lines().filter(is_toml).map(|line| line.to_owned() + "\n").collect()
}

fn sections(config: &Config) -> String {
    let Config { listen, http, log, limits, pool, tenancy, .. } = config;
    format!("{listen:?}{http:?}{log:?}{limits:?}{pool:?}{tenancy:?}")
}

#[test]
fn every_kind_of_value_is_read() {
    let config = parse(
        r#"
        [listen]
        address = "[::1]:7000"
        tls = "required"
        tls_certificate = "server.crt"
        tls_key = "server.key"
        [limits]
        max_query_bytes = 0x1_0000
        [pool]
        mode = "session"
        wait_timeout = "1m 30s"
        [tenancy]
        separator = "@"
        sources = ["user_suffix", "options"]
        shared_schemas = []
        [tenants."Acme Corp"]
        schema = "t_1001"
        strategy = "schema_qualified"
        [databases.app]
        host = "/var/run/postgresql"
        user = "app"
        [databases.other]
        host = "db"
        user = "app"
        tls = "verify-full"
        tls_ca = "pem"
        password_env = "APP_PASSWORD"
        [[users]]
        name = "app"
        tenants = ["acme_*"]
        password_file = "/etc/pw"
        statements = "write"
        tenant_switch = true
        "#,
    )
    .unwrap();
    assert_eq!(config.listen.tls_key.as_deref(), Some(Path::new("etc/server.key")));
    assert_eq!(config.limits.max_query_bytes, 65536);
    assert_eq!(config.pool.wait_timeout, Duration::from_secs(90));
    assert_eq!(config.tenancy.sources, [TenantSource::UserSuffix, TenantSource::Options]);
    assert_eq!(config.tenants["Acme Corp"].strategy, Some(Strategy::SchemaQualified));
    assert_eq!(config.databases["app"].password.expose(), None);
    assert_eq!(config.databases["other"].password.expose(), Some("from the environment"));
    assert_eq!(config.users[0].password.expose(), Some("from a file"));
    assert!(config.users[0].may_name("acme_corp") && !config.users[0].may_name("globex"));
    assert_eq!(config.users[0].policy().statements, Level::Write);
    assert!(config.users[0].rights.tenant_switch);
}

#[test]
fn what_is_hardly_meant_is_warned_of() {
    let quiet = "[tenancy]\nmissing_tenant = 'reject'";
    let warnings = |text: &str, file: &str| {
        Config::parse_with(&with_basics(text), Path::new(file), &Fake).unwrap().warnings
    };
    assert!(warnings(quiet, "etc/pgstrata.toml").is_empty());
    let observed = format!("{quiet}\nmode = 'observe'").replace("reject", "public");
    assert!(warnings(&observed, "etc/pgstrata.toml").is_empty(), "nothing is routed");
    let [public] = &warnings("[tenancy]\nmissing_tenant = 'public'", "etc/pgstrata.toml")[..] else {
        panic!()
    };
    assert!(public.starts_with("etc/pgstrata.toml:2: warning: \"missing_tenant\""), "{public}");
    let [plain] = &warnings(quiet, "etc/open.toml")[..] else { panic!() };
    assert!(plain.starts_with("etc/open.toml:8: warning: etc/open.toml holds a password"), "{plain}");
    let [notice] = &warnings(
        &format!("{quiet}\n[tenancy.limits]\nwait_notice = '2s'\nquery_wait_timeout = '2s'"),
        "etc/pgstrata.toml",
    )[..] else {
        panic!()
    };
    assert!(
        notice.starts_with("etc/pgstrata.toml:4: warning: \"wait_notice\" in [tenancy.limits]"),
        "{notice}"
    );
    let file = format!("{quiet}\nlogin_key_file = '/etc/key/pw'");
    let [key] = &warnings(&file, "etc/pgstrata.toml")[..] else { panic!() };
    assert!(key.starts_with("etc/pgstrata.toml:3: warning: /etc/key/pw holds a password"), "{key}");
    assert!(!key.contains("longer"), "{key}");
}

#[test]
fn debug_shows_no_secret() {
    let config = parse(&with_basics("")).unwrap();
    assert!(!format!("{config:?}").contains("pw"), "{config:?}");
}
