//! Commands that bring tenants from version to version.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use indicatif::ProgressBar;
use pgstrata_control::migrate::{
    Ended, Event, Migrations, Mode, Options, Outcome, Report, Unfinished, Versions,
};

use super::output::{printable, table};
use super::{Context, Failure};

/// How long proxies have to hear of a fence before what is behind it begins.
const FENCE: &str = "250ms";

#[derive(Debug, clap::Args)]
pub struct Migrate {
    /// Only these tenants, after the source and the canaries; none named: all that are registered.
    tenants: Vec<String>,
    /// The folder of the migrations, in place of that in the file.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Says what would run where, and runs nothing.
    #[arg(long, conflicts_with_all = ["rehearse", "status", "baseline"])]
    plan: bool,
    /// Runs everything and rolls it back.
    #[arg(long, conflicts_with_all = ["status", "baseline"])]
    rehearse: bool,
    /// Says who is at which version.
    #[arg(long, conflicts_with = "baseline")]
    status: bool,
    /// Marks the source, and tenants with no version, as having all migrations up to this one. Runs nothing.
    #[arg(long, value_name = "VERSION")]
    baseline: Option<i64>,
    /// A tenant that comes before all others, alone; several in their order. In place of those in the file.
    #[arg(long, value_name = "TENANT")]
    canary: Vec<String>,
    /// After so many tenants that failed, no other begins.
    #[arg(long, default_value_t = 1)]
    max_failures: usize,
    /// A tenant's clients wait while it is its turn, which begins so long after proxies were told.
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = FENCE, value_parser = time)]
    fence: Option<Duration>,
    /// A migration that was stopped outside of a transaction is run again.
    #[arg(long, conflicts_with = "done")]
    redo: bool,
    /// A migration that was stopped outside of a transaction counts as done.
    #[arg(long)]
    done: bool,
    /// Takes files that were changed after they had been applied as they are now.
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
            "{}: {migration} has not come to its end\n",
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
            Ended::Planned => format!("would get {}", outcome.lacks.join(", ")),
            Ended::Rehearsed => "would get all that it lacks".into(),
            Ended::Gone => "is gone".into(),
            Ended::Done | Ended::Failed | Ended::NotBegun => {
                let names: Vec<&str> = outcome.applied.iter().map(|applied| applied.name.as_str()).collect();
                let got = if names.is_empty() {
                    "got nothing".to_owned()
                } else {
                    format!("got {}", names.join(", "))
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
        _ => format!("{failed} failed, {waiting} not begun: put it right and run it again\n"),
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
    /// The tenants.
    #[arg(required_unless_present = "all")]
    tenants: Vec<String>,
    /// All schemas that can be tenants'.
    #[arg(long, conflicts_with = "tenants")]
    all: bool,
    /// The last migration that they have.
    #[arg(long)]
    at_version: Option<i64>,
}

impl Adopt {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let schemas = context.schemas(&self.tenants).await?;
        let adopted = context.control.adopt(&schemas, self.at_version).await?;
        context.output.print(&adopted, |adopted| {
            format!("{} registered, {} were before", adopted.len(), schemas.len() - adopted.len())
        })
    }
}
