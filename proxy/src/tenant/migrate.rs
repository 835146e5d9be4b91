//! Commands that apply migrations to tenants, and that register existing schemas.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use indicatif::ProgressBar;
use pgstrata_control::migrate::{
    Ended, Event, Migrations, Mode, Options, Outcome, Report, Unfinished, Versions,
};

use super::output::{printable, table};
use super::{Context, Failure};

/// The time that proxies have to receive the notification of a fence before the migration begins.
const FENCE: &str = "250ms";

#[derive(Debug, clap::Args)]
pub struct Migrate {
    /// The tenants to migrate, after the source and the canaries. Default: all registered tenants.
    tenants: Vec<String>,
    /// The directory of the migrations. Default: `migrations` in [provision].
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Prints the migrations that each schema would get, and runs nothing.
    #[arg(long, conflicts_with_all = ["rehearse", "status", "baseline"])]
    plan: bool,
    /// Runs the migrations and rolls them back.
    #[arg(long, conflicts_with_all = ["status", "baseline"])]
    rehearse: bool,
    /// Prints the number of schemas at each version.
    #[arg(long, conflicts_with = "baseline")]
    status: bool,
    /// Records this version for the source and for tenants without a version. Runs nothing.
    #[arg(long, value_name = "VERSION")]
    baseline: Option<i64>,
    /// A tenant to migrate alone, before the others. May be repeated: canaries run in that order. Default: `canary` in
    /// [provision].
    #[arg(long, value_name = "TENANT")]
    canary: Vec<String>,
    /// The number of failed tenants after which no further tenant is started.
    #[arg(long, default_value_t = 1)]
    max_failures: usize,
    /// Lets the clients of a tenant wait during its migration, which starts TIME after the notification of the proxies.
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = FENCE, value_parser = time)]
    fence: Option<Duration>,
    /// Runs a migration again that was interrupted outside of a transaction.
    #[arg(long, conflicts_with = "done")]
    redo: bool,
    /// Records a migration as done that was interrupted outside of a transaction.
    #[arg(long)]
    done: bool,
    /// Accepts files that were changed after they had been applied.
    #[arg(long)]
    accept_changed: bool,
}

fn time(text: &str) -> Result<Duration, String> {
    humantime_serde::re::humantime::parse_duration(text).map_err(|error| error.to_string())
}

impl Migrate {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        if self.status {
            let versions = context.control.versions().await?;
            return context.output.print(&versions, |versions| standing(context, versions));
        }
        let folder = self.dir.as_ref().unwrap_or(&context.config.provision.migrations);
        let migrations = Migrations::read(folder).map_err(|error| Failure::failed(error.to_string()))?;
        if let Some(version) = self.baseline {
            let marked = context.control.baseline(&migrations, version).await?;
            return context.output.print(&marked, |marked| {
                let schemas = if marked.len() == 1 { "schema is" } else { "schemas are" };
                format!("{} {schemas} at version {version} now", marked.len())
            });
        }
        let bar = context.output.progress(0, "migrating");
        let report = context.control.migrate(&migrations, &self.options(context, &bar)?).await;
        bar.finish_and_clear();
        let report = report?;
        context.output.print(&report, |report| human(context, report))?;
        match report.is_ok() {
            true => Ok(()),
            false => Err(Failure::found()),
        }
    }

    fn options(&self, context: &Context, bar: &ProgressBar) -> Result<Options, Failure> {
        let schemas = |tenants: &[String]| -> Result<Vec<String>, Failure> {
            tenants.iter().map(|tenant| Ok(context.schema(tenant)?.to_string())).collect()
        };
        let canary = if self.canary.is_empty() { &context.config.provision.canary } else { &self.canary };
        let bar = bar.clone();
        let watch = move |event: &Event<'_>| match event {
            Event::Planned { schemas } => bar.set_length(*schemas as u64),
            Event::Begun { schema, .. } => bar.set_message(printable(schema)),
            Event::Ended { .. } => bar.inc(1),
            _ => {}
        };
        Ok(Options {
            mode: match (self.plan, self.rehearse) {
                (true, _) => Mode::Plan,
                (_, true) => Mode::Rehearse,
                _ => Mode::Apply,
            },
            canary: schemas(canary)?,
            only: schemas(&self.tenants)?,
            max_failures: self.max_failures.max(1),
            fence: self.fence,
            unfinished: match (self.redo, self.done) {
                (true, _) => Unfinished::Redo,
                (_, true) => Unfinished::Done,
                _ => Unfinished::Refuse,
            },
            accept_changed: self.accept_changed,
            patience: None,
            watch: Some(Arc::new(watch)),
        })
    }
}

fn version_of(version: Option<i64>) -> String {
    version.map_or_else(|| "-".into(), |version| version.to_string())
}

fn standing(context: &Context, versions: &Versions) -> String {
    let count =
        |count: &pgstrata_control::migrate::Count| vec![version_of(count.version), count.schemas.to_string()];
    let mut text = table(&["version", "schemas"], versions.counts.iter().map(count));
    let unfinished = versions.schemas.iter().filter_map(|standing| {
        let migration = standing.unfinished.as_ref()?;
        Some(format!(
            "{}: {migration} was interrupted: run `pgstrata tenant migrate` with --redo or --done\n",
            printable(&context.tenant(&standing.schema))
        ))
    });
    text.extend(unfinished);
    text
}

fn human(context: &Context, report: &Report) -> String {
    let mut text = String::new();
    let shown = report.schemas.iter().filter(|outcome| outcome.state != Ended::NotBegun);
    let row = |outcome: &Outcome| {
        let what = match outcome.state {
            Ended::Planned => format!("would apply {}", outcome.lacks.join(", ")),
            Ended::Rehearsed => "applied all pending migrations, and rolled them back".into(),
            Ended::Gone => "dropped before its turn".into(),
            Ended::Done | Ended::Failed | Ended::NotBegun => {
                let names: Vec<&str> = outcome.applied.iter().map(|applied| applied.name.as_str()).collect();
                let got = if names.is_empty() {
                    "applied nothing".to_owned()
                } else {
                    format!("applied {}", names.join(", "))
                };
                let failure = outcome.failure.as_ref().map(|failure| format!("; FAILED: {failure}"));
                got + &failure.unwrap_or_default()
            }
        };
        vec![context.tenant(&outcome.schema), what]
    };
    let rows: Vec<_> = shown.map(row).collect();
    if !rows.is_empty() {
        text += &table(&["schema", "result"], rows);
    }
    let failed = report.failed().count();
    let waiting = report.schemas.iter().filter(|outcome| outcome.state == Ended::NotBegun).count();
    let newest = version_of(report.newest);
    text += &match (failed, waiting, report.schemas.len()) {
        (0, 0, 0) => format!("all {} schemas are at version {newest}\n", report.known),
        (0, 0, _) => String::new(),
        _ => {
            format!("{failed} failed, {waiting} not started: correct the cause, and run the command again\n")
        }
    };
    if report.ahead > 0 {
        text += &format!(
            "{} schemas are at a version newer than {newest}, the newest in the folder\n",
            report.ahead
        );
    }
    text
}

#[derive(Debug, clap::Args)]
pub struct Adopt {
    /// The tenants to register.
    #[arg(required_unless_present = "all")]
    tenants: Vec<String>,
    /// Registers all schemas that a tenant can have.
    #[arg(long, conflicts_with = "tenants")]
    all: bool,
    /// The version of the last migration that these tenants have.
    #[arg(long)]
    at_version: Option<i64>,
}

impl Adopt {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let schemas = context.schemas(&self.tenants).await?;
        let adopted = context.control.adopt(&schemas, self.at_version).await?;
        context.output.print(&adopted, |adopted| {
            format!("{} registered, {} already registered", adopted.len(), schemas.len() - adopted.len())
        })
    }
}
