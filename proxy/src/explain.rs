//! `pgstrata explain`: which way a text would go for a tenant, why, and what PostgreSQL would get.

use std::fmt::{self, Display, Formatter};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use pgstrata_tenancy::{RoleName, Strategy, TenantId, ident};
use tokio::time::timeout;

use crate::config::{Config, Isolation, User};
use crate::session::effect::needs_path;
use crate::session::role::{needs_role, stands_alone};
use crate::session::start::with_sources;
use crate::session::tenant::scope_of;
use crate::shared::snapshot::Snapshot;
use crate::shared::{DatabaseHandle, Shared};
use crate::sql::Engine;
use crate::sql::plan::{Plan, Route};
use crate::sql::rewrite::{Prefixes, rewrite};
use crate::sql::scope::{Scope, TextMode};
use crate::terminal;

/// How long the database may take to say what the tenant's schemas hold.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is to be explained.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration file.
    #[arg(long, default_value = "pgstrata.toml")]
    config: PathBuf,
    /// The database, by its name in the file; needed where there are several.
    #[arg(long)]
    database: Option<String>,
    /// The tenant; without one, a client that names none.
    #[arg(long)]
    tenant: Option<String>,
    /// A user of the file, whose `dynamic_sql` and `statements` count.
    #[arg(long)]
    user: Option<String>,
    /// Another strategy than the tenant's.
    #[arg(long)]
    strategy: Option<Strategy>,
    /// The text, as a client would send it.
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
    let (mut scope, isolation) = scope(args, &snapshot, database).await?;
    let known = timeout(PATIENCE, database.catalog.loaded(&scope.schema)).await.unwrap_or(false);
    if !known {
        return Err(format!("what schema \"{}\" holds could not be loaded", scope.schema));
    }
    scope.names = database.catalog.get(&scope.schema);
    Ok(Explanation::new(&shared.engine, scope, isolation, args.sql.as_bytes(), TextMode::default()))
}

fn database<'a>(args: &Args, snapshot: &'a Snapshot) -> Result<&'a Arc<DatabaseHandle>, String> {
    match &args.database {
        Some(name) => {
            snapshot.databases.get(name).ok_or_else(|| format!("there is no [databases.{name}] in the file"))
        }
        None if snapshot.databases.len() == 1 => {
            snapshot.databases.values().next().ok_or_else(|| "there is no database in the file".into())
        }
        None => Err("the file has several databases: name one with --database".into()),
    }
}

async fn scope(
    args: &Args,
    snapshot: &Snapshot,
    database: &DatabaseHandle,
) -> Result<(Scope, Isolation), String> {
    let tenant = args.tenant.as_deref().map(TenantId::new).transpose().map_err(|error| error.to_string())?;
    let user = match &args.user {
        Some(name) => Some(
            snapshot
                .config
                .users
                .iter()
                .find(|user| user.name == *name)
                .ok_or_else(|| format!("there is no user \"{name}\" in the file"))?,
        ),
        None => None,
    };
    let schema: Arc<str> = match &tenant {
        Some(tenant) => {
            let found = database
                .directory
                .resolve(tenant, &snapshot.config)
                .await
                .map_err(|error| with_sources(&*error))?;
            let missing = || format!("tenant \"{tenant}\" has no schema in database \"{}\"", database.name);
            found.ok_or_else(missing)?.schema
        }
        None => "public".into(),
    };
    let policy = user.map(User::policy).unwrap_or_default();
    let (mut scope, isolation) = scope_of(tenant.as_ref(), &schema, policy, &snapshot.config, database)
        .map_err(|error| error.to_string())?;
    scope.strategy = args.strategy.unwrap_or(scope.strategy);
    Ok((scope, isolation))
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
            writeln!(f, "way       refuse ({})", refusal.code)?;
            writeln!(f, "why       {}", refusal.message)?;
            return refusal.hint.as_ref().map_or(Ok(()), |hint| writeln!(f, "hint      {hint}"));
        }
        let way = match &plan.route {
            Route::Pass => "pass",
            Route::Splice => "splice",
            Route::OwnTransaction => "search_path, by itself",
            _ => "search_path",
        };
        writeln!(f, "way       {way}")?;
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
