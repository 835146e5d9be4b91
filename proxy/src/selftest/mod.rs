//! `pgstrata selftest`: attacks a deployment with two throw-away tenants, and says what held.
//!
//! # Layout
//! - [`attacks`]: what is tried.
//! - [`tenants`]: whose data is attacked, made and looked at past the proxy; [`roles`]: their roles.
//! - [`report`]: what is said of it.

mod attacks;
mod deployment;
mod report;
mod roles;
mod tenants;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;

use pgstrata_tenancy::Strategy;
use rand::RngExt;
use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use self::attacks::CLASSES;
use self::report::Report;
use self::tenants::Tenants;
use crate::config::{
    AuthMethod, Config, Database, DynamicSql, Level, ListenTls, Mode, PoolMode, Secret, TenantSource, User,
};
use crate::demo::background::Background;
use crate::terminal;

/// What is to be tested.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration file.
    #[arg(long, default_value = "pgstrata.toml")]
    config: PathBuf,
    /// The database, by its name in the file; needed where there are several.
    #[arg(long)]
    database: Option<String>,
    /// A connection URL of a login that may create schemas, past the proxy; else the servers' own.
    #[arg(long)]
    admin_url: Option<String>,
    /// One JSON object instead of lines for people.
    #[arg(long)]
    json: bool,
}

/// Runs the test, and prints what held. The error is what to tell the one who asked: that
/// something is broken, or why nothing could be tested.
pub fn run(args: &Args) -> Result<(), String> {
    let config = Config::load(&args.config).map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let report = runtime.map_err(|error| error.to_string())?.block_on(test(args, config))?;
    let said = match args.json {
        true => terminal::out(format_args!("{}\n", report.json())),
        false => terminal::out(format_args!("{report}")),
    };
    said.map_err(|error| error.to_string())?;
    match report.broken() {
        0 => Ok(()),
        broken => Err(format!("{broken} classes of attack are not held")),
    }
}

async fn test(args: &Args, config: Config) -> Result<Report, String> {
    let (name, database) = chosen(args, &config)?;
    let admin = tenants::connect(&name, &database, args.admin_url.as_deref()).await?;
    let tenants = Tenants::create(admin, &config, &name, &database).await?;
    let mut report = Report::default();
    if let Some(why) = &tenants.roles.lacking {
        report.warn(format!("tier \"{}\" was not tested, but \"names\": {why}", config.tenancy.tier));
    }
    let tested = tokio::select! {
        tested = attack(&config, &name, &tenants, &mut report) => tested,
        _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
    };
    let warned = deployment::warnings(&config, &database, &tenants, &mut report).await;
    tenants.remove().await?;
    tested.and(warned).map(|()| report)
}

fn chosen(args: &Args, config: &Config) -> Result<(String, Database), String> {
    let mut entries =
        config.databases.iter().filter(|(name, _)| args.database.as_ref().is_none_or(|d| d == *name));
    match (entries.next(), entries.next()) {
        (Some((name, database)), None) => Ok((name.clone(), database.clone())),
        (None, _) => Err("there is no such database in the file".into()),
        _ => Err("the file has several databases: name one with --database".into()),
    }
}

/// Runs all classes under both strategies.
async fn attack(config: &Config, name: &str, tenants: &Tenants, report: &mut Report) -> Result<(), String> {
    for strategy in [Strategy::SearchPath, Strategy::SchemaQualified] {
        let password = format!("{:032x}", rand::rng().random::<u128>());
        let config = proxy(config, strategy, tenants, &password)?;
        let target = Target { port: config.listen.address.port(), database: name.to_owned(), password };
        // On a thread of its own, so that it can stop while this one waits.
        let proxy = tokio::task::spawn_blocking(|| Background::start(config)).await;
        let proxy = proxy.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        let run = Run { target, tenants, strategy };
        let done = run.all(report).await;
        tokio::task::spawn_blocking(move || drop(proxy)).await.map_err(|error| error.to_string())?;
        done?;
    }
    Ok(())
}

/// The deployment's own configuration, with a port, users and a pool for the test.
fn proxy(config: &Config, strategy: Strategy, tenants: &Tenants, password: &str) -> Result<Config, String> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    let address: SocketAddr = port.map_err(|error| format!("no free port: {error}"))?;
    let mut config = config.clone();
    config.listen.address = address;
    config.listen.tls = ListenTls::Off;
    config.http.enabled = false;
    // One server: what one client leaves there, the next would find.
    (config.pool.min_servers, config.pool.max_servers, config.pool.mode) = (0, 1, PoolMode::Transaction);
    (config.pool.max_servers_per_tenant, config.pool.max_tenant_servers) = (1, 2);
    (config.tenancy.mode, config.tenancy.strategy) = (Mode::Route, strategy);
    config.tenancy.tier = tenants.roles.tier;
    config.tenancy.sources = vec![TenantSource::Options];
    let user = |tenant: &String| User {
        name: tenant.clone(),
        password: Secret::new(password),
        tenants: vec![tenant.clone()],
        auth: AuthMethod::ScramSha256,
        admin: false,
        dynamic_sql: DynamicSql::Refuse,
        statements: Level::All,
        tenant_switch: false,
        pool_mode: None,
    };
    config.users = vec![user(&tenants.own), user(&tenants.other)];
    Ok(config)
}

/// Where the proxy under test is.
struct Target {
    port: u16,
    database: String,
    password: String,
}

impl Target {
    async fn client(&self, user: &str, tenant: &str, options: &str) -> Result<Client, tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port).dbname(&self.database).user(user).password(&self.password);
        config.options(format!("-ctenant={tenant} {options}"));
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }
}

/// All that one attempt brought to light.
struct Answer {
    /// All values and errors, one behind the other.
    shown: String,
    refused: bool,
}

impl Answer {
    /// Refused, and nothing of the other tenant's is in it.
    fn holds(&self, tenants: &Tenants) -> bool {
        self.refused && !self.shown.contains(&tenants.secret)
    }
}

/// One strategy's run.
struct Run<'a> {
    target: Target,
    tenants: &'a Tenants,
    strategy: Strategy,
}

impl Run<'_> {
    async fn all(&self, report: &mut Report) -> Result<(), String> {
        self.own_data().await?;
        for class in CLASSES {
            for text in class.texts {
                let text = text
                    .replace("{oth' || 'er}", &self.tenants.other.replacen("selftest", "self' || 'test", 1))
                    .replace("{own}", &self.tenants.own)
                    .replace("{other}", &self.tenants.other);
                for extended in [false, true] {
                    let answer = self.attempt(&text, extended).await?;
                    let held = answer.holds(self.tenants) && self.tenants.is_untouched().await?;
                    let protocol = if extended { "extended" } else { "simple" };
                    report.attempt(class.name, held, || format!("{} {protocol}: {text}", self.strategy));
                }
            }
        }
        self.logins(report).await;
        self.leftovers(report).await
    }

    /// Else nothing would be proven: the attacker must reach what is its own.
    async fn own_data(&self) -> Result<(), String> {
        let own = self.attempt("SELECT * FROM secrets", false).await?;
        match own.shown.contains(&self.tenants.own_secret) {
            true => Ok(()),
            false => Err(format!("the first tenant can not read its own table: {}", own.shown)),
        }
    }

    /// Everything that comes back from one text, on a connection of its own, errors and all.
    async fn attempt(&self, text: &str, extended: bool) -> Result<Answer, String> {
        let own = &self.tenants.own;
        let client = self.target.client(own, own, "").await.map_err(|error| tenants::words(&error))?;
        let (mut shown, mut refused) = (String::new(), false);
        if extended {
            match client.query(text, &[]).await {
                Ok(rows) => {
                    for row in &rows {
                        for i in 0..row.len() {
                            let raw: Option<Raw> = row.try_get(i).unwrap_or_default();
                            shown += &raw.unwrap_or_default().0;
                        }
                    }
                }
                Err(error) => (refused, shown) = (true, format!("{error:?}")),
            }
        } else {
            match client.simple_query(text).await {
                Ok(messages) => {
                    for message in &messages {
                        if let SimpleQueryMessage::Row(row) = message {
                            (0..row.len()).filter_map(|i| row.get(i)).for_each(|value| shown += value);
                        }
                    }
                }
                Err(error) => (refused, shown) = (true, format!("{error:?}")),
            }
        }
        // What the session may have been turned to shows in the next statement.
        if let Ok(messages) = client.simple_query("SELECT value FROM secrets").await {
            for message in &messages {
                if let SimpleQueryMessage::Row(row) = message {
                    shown += row.get(0).unwrap_or_default();
                }
            }
        }
        Ok(Answer { shown, refused })
    }

    /// The other tenant, named when connecting.
    async fn logins(&self, report: &mut Report) {
        let (own, other) = (&self.tenants.own, &self.tenants.other);
        for (tenant, options) in [
            (other.as_str(), String::new()),
            (own.as_str(), format!("-ctenant={other}")),
            (own.as_str(), format!("-csearch_path={other}")),
            (own.as_str(), format!("--search-path={other}")),
            (own.as_str(), "-crole=postgres".to_owned()),
            ("pg_catalog", String::new()),
            ("public", String::new()),
        ] {
            let let_in = match self.target.client(own, tenant, &options).await {
                Ok(client) => match client.simple_query("SELECT * FROM secrets").await {
                    Ok(messages) => format!("{messages:?}").contains(&self.tenants.secret),
                    Err(_) => tenant != own,
                },
                Err(_) => false,
            };
            report.attempt("login", !let_in, || format!("{}: -ctenant={tenant} {options}", self.strategy));
        }
    }

    /// What the first tenant leaves on the one server that there is, for the second to find.
    async fn leftovers(&self, report: &mut Report) -> Result<(), String> {
        let (own, other) = (&self.tenants.own, &self.tenants.other);
        for left in [
            "SET statement_timeout = '1234s'",
            "SELECT set_config('application_name', 'left', false)",
            "CREATE TEMP TABLE secrets AS SELECT 'left' AS value",
            "PREPARE left_over AS SELECT 'left'",
            "BEGIN; INSERT INTO secrets (value) VALUES ('left')",
            "SELECT pg_advisory_lock(4711)",
            "DECLARE left_over CURSOR WITH HOLD FOR SELECT 'left'",
        ] {
            let fail = |error: tokio_postgres::Error| tenants::words(&error);
            let client = self.target.client(own, own, "").await.map_err(fail)?;
            client.simple_query(left).await.map_err(fail)?;
            drop(client);
            let client = self.target.client(other, other, "").await.map_err(fail)?;
            let mut found = String::new();
            for text in [
                "SELECT value FROM secrets",
                "SHOW statement_timeout",
                "SHOW application_name",
                "EXECUTE left_over",
                "FETCH ALL FROM left_over",
                "SELECT pg_try_advisory_xact_lock(4711)::text || 'lock'",
            ] {
                found += &match client.simple_query(text).await {
                    Ok(messages) => format!("{messages:?}"),
                    Err(error) => tenants::words(&error),
                };
            }
            let clean =
                !["\"left\"", "1234s", "20min", "falselock"].iter().any(|trace| found.contains(trace))
                    && found.contains(&self.tenants.secret);
            report.attempt("what a client leaves behind", clean, || {
                format!("{}: {left}, and then: {found}", self.strategy)
            });
        }
        Ok(())
    }
}

/// A value of any type as the bytes that came.
#[derive(Default)]
struct Raw(String);

impl<'a> FromSql<'a> for Raw {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self(String::from_utf8_lossy(raw).into_owned()))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}
