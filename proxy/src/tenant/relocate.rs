//! `pgstrata tenant move`: moves a tenant to another cluster.

use std::sync::Arc;
use std::time::Duration;

use humantime_serde::re::humantime;
use pgstrata_control::moves::{self, Clusters, Moved, OnStep, Options, Plan, Settled, Step};

use super::output::{printable, table};
use super::{Context, Failure};
use crate::terminal;

#[derive(Debug, clap::Args)]
pub struct Move {
    /// The tenant.
    #[arg(required_unless_present_any = ["status", "abort", "sweep"], requires = "to")]
    tenant: Option<String>,
    /// The cluster that the tenant goes to: NAME of a [clusters.NAME].
    #[arg(long, value_name = "CLUSTER", requires = "tenant")]
    to: Option<String>,
    /// How long the tenant's clients may wait. If the tenant is not ready to leave its cluster by then, the move is
    /// taken back.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    max_pause: Duration,
    /// How long the tenant's open transactions have to end. Afterwards they are terminated (57P01).
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time)]
    pin_timeout: Duration,
    /// For how long the schema is kept on the cluster that the tenant leaves, under another name; `drop`: not at all.
    #[arg(long, value_name = "TIME", default_value = "1d", value_parser = keep)]
    keep_source: Duration,
    /// Prints what would be moved, and what prevents it. Changes nothing.
    #[arg(long)]
    dry_run: bool,
    /// Compares the contents of all rows, not only their number.
    #[arg(long)]
    verify: bool,
    /// How the rows are moved.
    #[arg(long, value_enum, default_value_t = Method::Auto)]
    method: Method,
    /// Prints the moves that were interrupted, and those whose schema is kept.
    #[arg(long, conflicts_with_all = ["tenant", "abort", "sweep", "dry_run"])]
    status: bool,
    /// Takes an interrupted move of this tenant back; if its placement is changed already, finishes it.
    #[arg(long, value_name = "TENANT", conflicts_with_all = ["tenant", "sweep", "dry_run"])]
    abort: Option<String>,
    /// Drops the kept schemas whose time is over. Each move does so, too.
    #[arg(long, conflicts_with_all = ["tenant", "dry_run"])]
    sweep: bool,
}

/// How rows are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Method {
    /// The best method that there is for the tenant.
    Auto,
    /// All rows are copied while the clients wait.
    Copy,
}

fn time(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| error.to_string())
}

fn keep(text: &str) -> Result<Duration, String> {
    if text == "drop" { Ok(Duration::ZERO) } else { time(text) }
}

impl Move {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let Some(registry) = context.on().map(|on| on.name.clone()) else {
            return Err(Failure::usage(format!(
                "database \"{}\" is on one cluster: add \"clusters\" to [databases.{0}]",
                context.entry
            )));
        };
        let clusters = Clusters { registry, all: context.clusters()? };
        match (&self.tenant, &self.to, &self.abort) {
            _ if self.status => status(context, &clusters).await,
            (_, _, Some(tenant)) => self.abort(context, &clusters, tenant).await,
            (Some(tenant), Some(to), _) if self.dry_run => {
                plan(context, &clusters, (tenant, to), &self).await
            }
            (Some(tenant), Some(to), _) => self.relocate(context, &clusters, (tenant, to)).await,
            _ => sweep(context, &clusters).await,
        }
    }

    fn options(&self, context: &Context) -> Options {
        Options {
            max_pause: self.max_pause,
            pin_timeout: self.pin_timeout,
            keep: self.keep_source,
            verify: self.verify,
            on_step: on_step(context.output.json),
        }
    }

    async fn relocate(
        &self,
        context: &Context,
        clusters: &Clusters,
        (tenant, to): (&str, &str),
    ) -> Result<(), Failure> {
        // `auto` will choose once there is another one.
        let (Method::Auto | Method::Copy) = self.method;
        let schema = context.schema(tenant)?;
        report_sweep(clusters).await?;
        warn_of_patience(context, self.max_pause);
        let moved = clusters.move_tenant(&schema, to, &self.options(context)).await?;
        print_moved(context, tenant, &moved)
    }

    async fn abort(&self, context: &Context, clusters: &Clusters, tenant: &str) -> Result<(), Failure> {
        let schema = context.schema(tenant)?;
        match clusters.abort_move(&schema, &self.options(context)).await? {
            None => {
                Err(Failure::failed(format!("no move of tenant \"{}\" was interrupted", printable(tenant))))
            }
            Some(Settled::Finished(moved)) => print_moved(context, tenant, &moved),
            Some(Settled::TakenBack) => {
                let value = serde_json::json!({ "tenant": tenant, "result": "taken back" });
                let text = format!("{}: the move is taken back", printable(tenant));
                context.output.print(&value, |_| text)
            }
        }
    }
}

/// Says each step on standard error.
fn on_step(json: bool) -> OnStep {
    Arc::new(move |step: Step| {
        end_for_test(step);
        if !json {
            terminal::err(format_args!("pgstrata: {step}\n"));
        }
    })
}

/// Ends the process at a step, as a crash does: for the tests of interrupted moves.
fn end_for_test(step: Step) {
    if cfg!(debug_assertions)
        && std::env::var("PGSTRATA_TEST_MOVE_ENDS").is_ok_and(|ends| ends == step.to_string())
    {
        std::process::abort();
    }
}

/// Clients give up before the move does, if they wait for less time than it may take.
fn warn_of_patience(context: &Context, max_pause: Duration) {
    let patience = context.config.pool.wait_timeout;
    if patience < max_pause {
        terminal::err(format_args!(
            "pgstrata: warning: clients wait for {} at most (pool.wait_timeout), which is less than --max-pause\n",
            humantime::format_duration(patience)
        ));
    }
}

fn print_moved(context: &Context, tenant: &str, moved: &Moved) -> Result<(), Failure> {
    for warning in &moved.warnings {
        terminal::err(format_args!("pgstrata: warning: {}\n", printable(warning)));
    }
    context.output.print(moved, |moved| {
        let pause = moved.pause_ms.map(|pause| {
            format!(
                ", {} tables with {} rows; its clients waited for {:.3} s",
                moved.tables,
                moved.rows,
                Duration::from_millis(pause).as_secs_f64()
            )
        });
        let mut text = format!(
            "{}: moved from cluster {} to {}{}\n",
            printable(tenant),
            moved.from,
            moved.to,
            pause.unwrap_or_default()
        );
        if moved.terminated > 0 {
            text += &format!("{} transactions were terminated, which were open too long\n", moved.terminated);
        }
        if let (Some(kept), Some(until)) = (&moved.kept_as, &moved.drop_after) {
            text += &format!("the schema on cluster {} is kept as {kept} until {until}\n", moved.from);
        }
        text
    })
}

async fn plan(
    context: &Context,
    clusters: &Clusters,
    (tenant, to): (&str, &str),
    options: &Move,
) -> Result<(), Failure> {
    let schema = context.schema(tenant)?;
    let plan = clusters.plan(&schema, to).await?;
    warn_of_patience(context, options.max_pause);
    context.output.print(&plan, |plan: &Plan| {
        let mut text = format!(
            "{}: would move from cluster {} to {}, {} tables with {} bytes on disk\n",
            printable(tenant),
            plan.from,
            plan.to,
            plan.tables,
            plan.bytes
        );
        for impediment in &plan.impediments {
            text += &format!("cannot be moved: {}\n", printable(impediment));
        }
        for warning in &plan.warnings {
            text += &format!("warning: {}\n", printable(warning));
        }
        text
    })?;
    if plan.impediments.is_empty() { Ok(()) } else { Err(Failure::found()) }
}

async fn status(context: &Context, clusters: &Clusters) -> Result<(), Failure> {
    let moves = clusters.moves().await?;
    context.output.print(&moves, |moves: &Vec<moves::Move>| {
        let row = |one: &moves::Move| {
            let kept = one.drop_after.as_ref().map(|until| format!("{} until {until}", one.aside()));
            vec![
                context.tenant(&one.schema),
                one.source.clone(),
                one.target.clone(),
                one.step.as_str().to_owned(),
                one.started_at.clone(),
                kept.unwrap_or_else(|| "-".into()),
            ]
        };
        table(&["tenant", "from", "to", "step", "started", "kept"], moves.iter().map(row))
    })
}

async fn sweep(context: &Context, clusters: &Clusters) -> Result<(), Failure> {
    let dropped = report_sweep(clusters).await?;
    let value = serde_json::json!({ "dropped": dropped });
    context.output.print(&value, |_| match dropped.as_slice() {
        [] => "nothing to drop\n".into(),
        some => format!("dropped {}\n", some.join(", ")),
    })
}

/// Drops what was kept for long enough. What could not be dropped is a warning: the next command tries again.
async fn report_sweep(clusters: &Clusters) -> Result<Vec<String>, Failure> {
    // Creates the registry's tables, too.
    clusters.moves().await?;
    let mut dropped = Vec::new();
    for (one, failed) in clusters.sweep().await? {
        match failed {
            None => dropped.push(one.aside()),
            Some(error) => {
                terminal::err(format_args!("pgstrata: warning: {} is not dropped: {error}\n", one.aside()));
            }
        }
    }
    Ok(dropped)
}
