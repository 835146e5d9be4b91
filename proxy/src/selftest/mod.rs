//! `pgstrata selftest`: attacks a deployment with two temporary tenants, and reports the attacks that succeeded.
//!
//! # Layout
//! - [`attacks`], [`scripts`]: attacks with one text, and with several steps.
//! - [`tenants`]: the two tenants, created and inspected outside of the proxy; [`roles`]: their roles.
//! - [`proxy`]: a proxy with the deployment's configuration; `wire`: a client of it.
//! - [`run`]: one tier and one strategy; `neighbour`: the second tenant's client after an attack.
//! - [`deployment`]: weaknesses of the deployment itself; [`report`]: the report.

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

/// The arguments of `pgstrata selftest`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration file.
    #[arg(long, default_value = "pgstrata.toml")]
    config: PathBuf,
    /// The database: NAME of a [databases.NAME]. Required if the file has several.
    #[arg(long)]
    database: Option<String>,
    /// A connection URL that bypasses the proxy, of a role that may create schemas. Default: the role of
    /// [databases.NAME.control], or the servers' role.
    #[arg(long)]
    admin_url: Option<String>,
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the test, and prints the report. The error: attacks succeeded, or the test could not run.
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
        broken => Err(format!("{broken} classes of attacks succeeded")),
    }
}

/// Attacks in each tier of the configuration, with tenants of that tier.
async fn test(args: &Args, config: Config) -> Result<Report, String> {
    let (name, database) = chosen(args, &config)?;
    let login = (&config, name.as_str(), args.admin_url.as_deref());
    let (mut report, mut tested) = (Report::default(), Vec::new());
    for (i, tier) in tiers(&config).into_iter().enumerate() {
        let tenants = Tenants::create(login, &database, tier).await?;
        if let Some(why) = &tenants.roles.lacking {
            report.warn(format!(
                "tier \"{tier}\" was not tested, and \"{}\" was tested instead: {why}",
                tenants.roles.tier
            ));
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

/// The tier of all tenants, and those of single tenants.
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
        config.entrances().filter(|(name, _)| args.database.as_ref().is_none_or(|d| d == *name));
    match (entries.next(), entries.next()) {
        (Some((name, database)), None) => Ok((name.to_owned(), database.clone())),
        (None, _) => {
            Err("the configuration has no such database: --database takes NAME of a [databases.NAME]".into())
        }
        _ => Err("the configuration has several databases: name one with --database".into()),
    }
}

/// Runs all classes with both strategies.
async fn attack(config: &Config, name: &str, tenants: &Tenants, report: &mut Report) -> Result<(), String> {
    for strategy in [Strategy::SearchPath, Strategy::SchemaQualified] {
        let (config, target) = proxy::configured(config, name, strategy, tenants)?;
        // On a separate thread, so that the proxy can stop while this one waits.
        let proxy = tokio::task::spawn_blocking(|| Background::start(config)).await;
        let proxy = proxy.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        let done = Run { target, tenants, strategy }.all(report).await;
        tokio::task::spawn_blocking(move || drop(proxy)).await.map_err(|error| error.to_string())?;
        done?;
    }
    Ok(())
}
