//! Commands about how tenants differ from the source.

use pgstrata_control::drift::{Change, Difference};
use serde::Serialize;

use super::output::printable;
use super::{Context, Failure};

#[derive(Debug, clap::Args)]
pub struct Diff {
    /// The tenants; none named: all.
    tenants: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub struct Sync {
    /// The tenants; none named: all.
    tenants: Vec<String>,
    /// Also drops tables, columns, types and sequences that the source does not have, with what is in them.
    #[arg(long)]
    drop_data: bool,
}

/// A tenant's differences.
#[derive(Serialize)]
struct Drift {
    tenant: String,
    /// What was run; none for `diff`.
    #[serde(skip_serializing_if = "Option::is_none")]
    mended: Option<Vec<Change>>,
    /// What differs (still).
    differs: Vec<Change>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Diff {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let schemas = context.schemas(&self.tenants).await?;
        let source = context.control.structure().await?;
        let bar = context.output.progress(schemas.len(), "comparing");
        let mut all = Vec::new();
        for schema in &schemas {
            let differs = context.control.diff(schema, &source).await?;
            all.push(Drift { tenant: context.tenant(schema.as_str()), mended: None, differs, error: None });
            bar.inc(1);
        }
        bar.finish_and_clear();
        finish(context, &all)
    }
}

impl Sync {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let schemas = context.schemas(&self.tenants).await?;
        let source = context.control.structure().await?;
        let bar = context.output.progress(schemas.len(), "mending");
        let mut all = Vec::new();
        for schema in &schemas {
            let tenant = context.tenant(schema.as_str());
            all.push(match context.control.mend(schema, &source, self.drop_data).await {
                Ok((mended, differs)) => Drift { tenant, mended: Some(mended), differs, error: None },
                Err(error) => {
                    let differs = context.control.diff(schema, &source).await?;
                    Drift { tenant, mended: Some(Vec::new()), differs, error: Some(error.to_string()) }
                }
            });
            bar.inc(1);
        }
        bar.finish_and_clear();
        finish(context, &all)
    }
}

fn finish(context: &Context, all: &[Drift]) -> Result<(), Failure> {
    context.output.print(&all, |all| all.iter().map(human).collect())?;
    match all.iter().all(|drift| drift.differs.is_empty() && drift.error.is_none()) {
        true => Ok(()),
        false => Err(Failure::found()),
    }
}

/// As SQL, what can't be run as comments in it.
fn human(drift: &Drift) -> String {
    let tenant = printable(&drift.tenant).replace('\n', " ");
    let mut text = match (&drift.mended, drift.differs.as_slice()) {
        (None, []) => format!("-- {tenant}: as the source\n"),
        (None, differs) => format!("-- {tenant}: {} differences\n", differs.len()),
        (Some(mended), left) => format!("-- {tenant}: {} mended, {} left\n", mended.len(), left.len()),
    };
    if let Some(error) = &drift.error {
        text += &comment(&format!("nothing was changed: {error}"));
    }
    for change in &drift.differs {
        let what = match change.difference {
            Difference::Missing => "is missing",
            Difference::Extra => "is not the source's",
            Difference::Changed => "is another",
        };
        let kind = format!("{:?}", change.kind);
        if let Some(why) = &change.why_not {
            text += &comment(&format!("{kind} {} {what}: {why}", change.name));
        } else if change.loses_data {
            text += &comment(&format!("{kind} {} {what}. This takes data away:", change.name));
            text += &format!("{};\n", change.sql);
        } else {
            text += &format!("{};\n", change.sql);
        }
    }
    text
}

/// A comment, whatever lines a name has.
fn comment(text: &str) -> String {
    text.lines().map(|line| format!("-- {}\n", printable(line))).collect()
}
