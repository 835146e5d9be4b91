//! Commands about how tenants differ from the source.

use std::sync::Arc;

use pgstrata_control::drift::{Change, Difference, Frame};
use pgstrata_control::{Control, SchemaName};
use serde::Serialize;

use super::output::printable;
use super::{Context, Failure};

#[derive(Debug, clap::Args)]
pub struct Diff {
    /// The tenants. Default: all.
    tenants: Vec<String>,
    /// Prints DROP commands for tables, columns, types and sequences that the source does not have as SQL, not as comments.
    #[arg(long)]
    drop_data: bool,
}

#[derive(Debug, clap::Args)]
pub struct Sync {
    /// The tenants. Default: all.
    tenants: Vec<String>,
    /// Also drops tables, columns, types and sequences that the source does not have, with their data.
    #[arg(long)]
    drop_data: bool,
}

/// A tenant's differences.
#[derive(Serialize)]
struct Drift {
    tenant: String,
    /// The changes that were run; none for `diff`.
    #[serde(skip_serializing_if = "Option::is_none")]
    mended: Option<Vec<Change>>,
    /// The (remaining) differences.
    differs: Vec<Change>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The transaction that the changes run in.
    #[serde(skip)]
    frame: Frame,
}

impl Diff {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let schemas = context.schemas(&self.tenants).await?;
        let source = Arc::new(context.control.structure().await?);
        let work = |control: Control, schema: SchemaName| {
            let source = Arc::clone(&source);
            async move { Ok((control.diff(&schema, &source).await?, control.frame(&schema, &source), schema)) }
        };
        let all = context.each(schemas, "comparing", work).await?;
        let drift = |(differs, frame, schema): (Vec<Change>, Frame, SchemaName)| Drift {
            tenant: context.tenant(schema.as_str()),
            mended: None,
            differs,
            error: None,
            frame,
        };
        finish(context, &all.into_iter().map(drift).collect::<Vec<_>>(), self.drop_data)
    }
}

impl Sync {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let schemas = context.schemas(&self.tenants).await?;
        let source = Arc::new(context.control.structure().await?);
        let work = |control: Control, schema: SchemaName| {
            let source = Arc::clone(&source);
            async move {
                let (mended, differs, error) = match control.mend(&schema, &source, self.drop_data).await {
                    Ok((mended, differs)) => (mended, differs, None),
                    Err(error) => {
                        (Vec::new(), control.diff(&schema, &source).await?, Some(error.to_string()))
                    }
                };
                Ok((control.frame(&schema, &source), schema, mended, differs, error))
            }
        };
        let all = context.each(schemas, "synchronizing", work).await?;
        let drift = |(frame, schema, mended, differs, error): (_, SchemaName, _, _, _)| Drift {
            tenant: context.tenant(schema.as_str()),
            mended: Some(mended),
            differs,
            error,
            frame,
        };
        finish(context, &all.into_iter().map(drift).collect::<Vec<_>>(), self.drop_data)
    }
}

fn finish(context: &Context, all: &[Drift], drop_data: bool) -> Result<(), Failure> {
    context.output.print(&all, |all| all.iter().map(|drift| human(drift, drop_data)).collect())?;
    match all.iter().all(|drift| drift.differs.is_empty() && drift.error.is_none()) {
        true => Ok(()),
        false => Err(Failure::found()),
    }
}

/// SQL for psql: one transaction, on the tenant's path. Differences that no SQL can remove are comments, and so are
/// commands that drop data, unless `drop_data`.
fn human(drift: &Drift, drop_data: bool) -> String {
    let tenant = printable(&drift.tenant).replace('\n', " ");
    let mut text = match (&drift.mended, drift.differs.as_slice()) {
        (None, []) => format!("-- {tenant}: equals the source\n"),
        (None, differs) => format!("-- {tenant}: {} differences\n", differs.len()),
        (Some(mended), left) => {
            format!("-- {tenant}: {} differences removed, {} left\n", mended.len(), left.len())
        }
    };
    if let Some(error) = &drift.error {
        text += &comment(&format!("nothing was changed: {error}"));
    }
    let runs = |change: &Change| {
        change.why_not.is_none() && !change.sql.is_empty() && (drop_data || !change.loses_data)
    };
    let changes = drift.differs.iter().map(|change| one(change, runs(change)));
    match drift.differs.iter().any(runs) {
        true => text + &drift.frame.before + &changes.collect::<String>() + &drift.frame.after,
        false => text + &changes.collect::<String>(),
    }
}

/// One difference: SQL where it `runs`, a comment where not.
fn one(change: &Change, runs: bool) -> String {
    let what = match change.difference {
        Difference::Missing => "is missing",
        Difference::Extra => "is not in the source",
        Difference::Changed => "differs from the source",
    };
    let about = format!("{:?} {} {what}", change.kind, change.name);
    let sql = format!("{};\n", change.sql);
    match (&change.why_not, runs, change.loses_data) {
        (Some(why), _, _) => comment(&format!("{about}: {why}")),
        (None, true, true) => comment(&format!("{about}. This drops data:")) + &sql,
        (None, true, false) => sql,
        (None, false, _) if change.sql.is_empty() => comment(&about),
        (None, false, _) => comment(&format!("{about}. This would drop data (use --drop-data):\n{sql}")),
    }
}

/// A comment, also for names with line breaks.
fn comment(text: &str) -> String {
    text.lines().map(|line| format!("-- {}\n", printable(line))).collect()
}
