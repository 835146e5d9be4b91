//! `pgstrata selftest`: attacks a deployment with two throw-away tenants, and says what held.
//!
//! # Layout
//! - [`attacks`], [`scripts`]: what is tried, in one text and in several steps.
//! - [`tenants`]: whose data is attacked, made and looked at past the proxy; [`roles`]: their roles.
//! - [`proxy`]: the deployment's own configuration, as a proxy under test; `wire`: a client of it.
//! - [`run`]: one tier and one strategy; `neighbour`: what the second tenant's clients find after an attack.
//! - [`deployment`]: what weakens the deployment itself; [`report`]: what is said of it all.

mod attacks;
mod deployment;
mod neighbour;
mod proxy;
mod report;
mod roles;
mod run;
mod scripts;
mod tenants;
mod wire;

use std::path::PathBuf;

use pgstrata_tenancy::{Strategy, Tier};

use self::report::Report;
use self::run::Run;
use self::tenants::Tenants;
use crate::config::{Config, Database};
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
    /// A connection URL of a login that may create schemas, past the proxy; else that of [databases.NAME.control],
    /// or the servers' own.
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

/// Attacks in each tier that the configuration has, with tenants of that tier.
async fn test(args: &Args, config: Config) -> Result<Report, String> {
    let (name, database) = chosen(args, &config)?;
    let login = (&config, name.as_str(), args.admin_url.as_deref());
    let (mut report, mut tested) = (Report::default(), Vec::new());
    for (i, tier) in tiers(&config).into_iter().enumerate() {
        let tenants = Tenants::create(login, &database, tier).await?;
        if let Some(why) = &tenants.roles.lacking {
            report.warn(format!("tier \"{tier}\" was not tested, but \"{}\": {why}", tenants.roles.tier));
        }
        let again = tested.contains(&tenants.roles.tier);
        let attacked = tokio::select! {
            attacked = attack(&config, &name, &tenants, &mut report), if !again => attacked,
            _ = tokio::signal::ctrl_c(), if !again => Err("interrupted".into()),
            else => Ok(()),
        };
        let warned = match i {
            0 => deployment::warnings(login, &database, &tenants, &mut report).await,
            _ => Ok(()),
        };
        tested.push(tenants.roles.tier);
        tenants.remove().await?;
        attacked.and(warned)?;
    }
    Ok(report)
}

/// That of all tenants, and those of single ones.
fn tiers(config: &Config) -> Vec<Tier> {
    let own = config.tenants.values().filter_map(|tenant| tenant.tier);
    let mut tiers = vec![config.tenancy.tier];
    for tier in own {
        if !tiers.contains(&tier) {
            tiers.push(tier);
        }
    }
    tiers
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
        let (config, target) = proxy::configured(config, name, strategy, tenants)?;
        // On a thread of its own, so that it can stop while this one waits.
        let proxy = tokio::task::spawn_blocking(|| Background::start(config)).await;
        let proxy = proxy.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        let done = Run { target, tenants, strategy }.all(report).await;
        tokio::task::spawn_blocking(move || drop(proxy)).await.map_err(|error| error.to_string())?;
        done?;
    }
    Ok(())
}
