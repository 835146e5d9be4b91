//! Commands about how tenants differ from the source.

use std::sync::Arc;

use pgstrata_control::drift::{Change, Difference};
use pgstrata_control::{Control, SchemaName};
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
        let source = Arc::new(context.control.structure().await?);
        let work = |control: Control, schema: SchemaName| {
            let source = Arc::clone(&source);
            async move { Ok((control.diff(&schema, &source).await?, schema)) }
        };
        let all = context.each(schemas, "comparing", work).await?;
        let drift = |(differs, schema): (Vec<Change>, SchemaName)| Drift {
            tenant: context.tenant(schema.as_str()),
            mended: None,
            differs,
            error: None,
        };
        finish(context, &all.into_iter().map(drift).collect::<Vec<_>>())
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
                Ok((schema, mended, differs, error))
            }
        };
        let all = context.each(schemas, "mending", work).await?;
        let drift = |(schema, mended, differs, error): (SchemaName, _, _, _)| Drift {
            tenant: context.tenant(schema.as_str()),
            mended: Some(mended),
            differs,
            error,
        };
        finish(context, &all.into_iter().map(drift).collect::<Vec<_>>())
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
