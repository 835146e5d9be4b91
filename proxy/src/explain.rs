//! `pgstrata explain`: the route of a text for a tenant, the reason, and the text that PostgreSQL would get.

use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pgstrata_tenancy::{RoleName, Strategy, TenantId, ident};
use tokio::time::timeout;

use crate::config::{Config, Isolation, User};
use crate::error_text::with_sources;
use crate::needs::{needs_path, needs_role, stands_alone};
use crate::shared::cluster::Cluster;
use crate::shared::snapshot::Snapshot;
use crate::shared::tenancy::scope_of;
use crate::shared::{DatabaseHandle, Shared};
use crate::sql::Engine;
use crate::sql::plan::{Plan, Route};
use crate::sql::rewrite::{Prefixes, rewrite};
use crate::sql::scope::{Scope, TextMode};
use crate::terminal;

/// The time limit for loading the catalog of the tenant's schemas.
const PATIENCE: Duration = Duration::from_secs(10);

/// The arguments of `pgstrata explain`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration file.
    #[arg(long, default_value = "pgstrata.toml")]
    config: PathBuf,
    /// The database: NAME of a [databases.NAME]. Required if the file has several.
    #[arg(long)]
    database: Option<String>,
    /// The tenant. Default: a client without a tenant.
    #[arg(long)]
    tenant: Option<String>,
    /// A user of the file, whose `dynamic_sql` and `statements` apply.
    #[arg(long)]
    user: Option<String>,
    /// The strategy, in place of the tenant's.
    #[arg(long)]
    strategy: Option<Strategy>,
    /// The SQL text, as a client would send it.
    sql: String,
}

/// One text, for one tenant: displayed, it is a few lines for people.
pub struct Explanation {
    scope: Scope,
    isolation: Isolation,
    plan: Plan,
    why: String,
    sent: String,
}

impl Explanation {
    /// Of `text`, under a scope with its names.
    pub fn new(engine: &Engine, scope: Scope, isolation: Isolation, text: &[u8], mode: TextMode) -> Self {
        let (plan, why) = engine.explain(text, &scope, mode);
        let sent = sent(text, &plan, &scope, isolation.set_role());
        Self { scope, isolation, plan, why, sent }
    }
}

/// Prints the explanation. The error is one line for the one who asked.
pub fn run(args: &Args) -> Result<(), String> {
    let config = Config::load(&args.config).map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let explanation = runtime.map_err(|error| error.to_string())?.block_on(explain(args, config))?;
    terminal::out(format_args!("{explanation}")).map_err(|error| error.to_string())
}

async fn explain(args: &Args, config: Config) -> Result<Explanation, String> {
    let shared = Shared::new(config).map_err(|error| error.to_string())?;
    let snapshot = shared.current();
    let database = database(args, &snapshot)?;
    let (mut scope, isolation, cluster) = scope(args, &snapshot, database).await?;
    let known = timeout(PATIENCE, cluster.catalog.loaded(&scope.schema)).await.unwrap_or(false);
    if !known {
        return Err(format!("the catalog of schema \"{}\" could not be loaded", scope.schema));
    }
    scope.names = cluster.catalog.get(&scope.schema);
    Ok(Explanation::new(&shared.engine, scope, isolation, args.sql.as_bytes(), TextMode::default()))
}

fn database<'a>(args: &Args, snapshot: &'a Snapshot) -> Result<&'a Arc<DatabaseHandle>, String> {
    match &args.database {
        Some(name) => {
            snapshot.databases.get(name).ok_or_else(|| format!("the configuration has no [databases.{name}]"))
        }
        None if snapshot.databases.len() == 1 => snapshot
            .databases
            .values()
            .next()
            .ok_or_else(|| "the configuration has no database: add a [databases.NAME]".into()),
        None => Err("the configuration has several databases: name one with --database".into()),
    }
}

async fn scope(
    args: &Args,
    snapshot: &Snapshot,
    database: &DatabaseHandle,
) -> Result<(Scope, Isolation, Arc<Cluster>), String> {
    let tenant = args.tenant.as_deref().map(TenantId::new).transpose().map_err(|error| error.to_string())?;
    let user = match &args.user {
        Some(name) => Some(
            snapshot
                .config
                .users
                .iter()
                .find(|user| user.name == *name)
                .ok_or_else(|| format!("the configuration has no user \"{name}\""))?,
        ),
        None => None,
    };
    let (cluster, schema) = match &tenant {
        Some(tenant) => {
            let found =
                database.find(tenant, &snapshot.config).await.map_err(|error| with_sources(&*error))?;
            let missing = || format!("tenant \"{tenant}\" has no schema in database \"{}\"", database.name);
            let found = found.ok_or_else(missing)?;
            (found.cluster, found.schema)
        }
        None => (Arc::clone(&database.home), "public".into()),
    };
    let policy = user.map(User::policy).unwrap_or_default();
    let (mut scope, isolation) = scope_of(tenant.as_ref(), &schema, policy, &snapshot.config, &cluster)
        .map_err(|error| error.to_string())?;
    scope.strategy = args.strategy.unwrap_or(scope.strategy);
    Ok((scope, isolation, cluster))
}

/// The text as PostgreSQL gets it, with what is put in front of it.
fn sent(text: &[u8], plan: &Plan, scope: &Scope, role: Option<&RoleName>) -> String {
    if matches!(plan.route, Route::Refuse(_) | Route::NeedNames) {
        return String::new();
    }
    let (path, prefixes) = (ident::search_path(scope.path()), Prefixes::of(scope));
    let text = rewrite(text, &plan.splices, &prefixes, &[]).pieces.concat();
    let own = match role {
        Some(_) => stands_alone(plan),
        None => plan.route == Route::OwnTransaction,
    };
    let local = if own { "" } else { "LOCAL " };
    let mut sent = String::new();
    if let Some(role) = role.filter(|_| plan.statements.iter().any(needs_role)) {
        sent += &format!("SET {local}ROLE {}; ", role.quoted());
    }
    if own || plan.statements.iter().any(|s| needs_path(s, &plan.route, false)) {
        sent += &format!("SET {local}search_path TO {path}; ");
    }
    if own {
        sent += "as a message of its own, then ";
    }
    sent + &String::from_utf8_lossy(&text)
}

impl Display for Explanation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { scope, isolation, plan, why, sent } = self;
        let tenant = scope.tenant.as_deref().unwrap_or("(none)");
        writeln!(f, "tenant    {tenant}, in schema \"{}\"", scope.schema)?;
        match isolation.role() {
            Some(role) => writeln!(f, "tier      {}, as {}", isolation.tier(), role.quoted())?,
            None => writeln!(f, "tier      {}", isolation.tier())?,
        }
        writeln!(f, "strategy  {}", scope.strategy)?;
        if let Route::Refuse(refusal) = &plan.route {
            writeln!(f, "route     refuse ({})", refusal.code)?;
            writeln!(f, "why       {}", refusal.message)?;
            return refusal.hint.as_ref().map_or(Ok(()), |hint| writeln!(f, "hint      {hint}"));
        }
        let route = match &plan.route {
            Route::Pass => "pass",
            Route::Splice => "splice",
            Route::OwnTransaction => "search_path, in a transaction of its own",
            _ => "search_path",
        };
        writeln!(f, "route     {route}")?;
        writeln!(f, "why       {why}")?;
        for reason in plan.statements.iter().filter_map(|statement| statement.pin) {
            writeln!(f, "pins      {}", reason.as_str())?;
        }
        for check in &plan.checks {
            let place = if check.behind { "behind" } else { "in front of" };
            writeln!(f, "checked   {place} statement {}, in the same message", check.statement + 1)?;
        }
        writeln!(f, "sent      {sent}")
    }
}
