//! `pgstrata sql`: prints what an administrator may run in a database, and runs nothing itself.

use std::borrow::Cow;
use std::path::PathBuf;

use pgstrata_control::harden::Hardening;

use crate::config::Config;
use crate::tenant::connect;
use crate::terminal;

/// What is to be printed.
#[derive(Debug, clap::Subcommand)]
pub enum Sql {
    /// Event triggers that announce DDL, for tenancy.catalog_notify. A superuser runs it once in each database.
    EventTrigger {
        /// What takes them out again.
        #[arg(long)]
        drop: bool,
    },
    /// What takes privileges away that no tenant's SQL needs. A superuser runs it once in each database.
    Harden(Harden),
}

/// `pgstrata sql harden`
#[derive(Debug, clap::Args)]
pub struct Harden {
    /// The configuration file.
    #[arg(long, default_value = "pgstrata.toml")]
    config: PathBuf,
    /// The database, by its name in the file; needed where there are several.
    #[arg(long)]
    database: Option<String>,
    /// Takes temporary tables away as well.
    #[arg(long)]
    temporary: bool,
    /// What gives back all that was taken.
    #[arg(long, conflicts_with = "temporary")]
    undo: bool,
}

impl Sql {
    /// The SQL itself, a transaction with comments. The error is one line for the one who asked.
    pub fn text(&self) -> Result<Cow<'static, str>, String> {
        Ok(match self {
            Self::EventTrigger { drop: false } => include_str!("install/event_trigger.sql").into(),
            Self::EventTrigger { drop: true } => include_str!("install/drop.sql").into(),
            Self::Harden(harden) if harden.undo => Hardening::undo().into(),
            Self::Harden(harden) => harden.text()?.into(),
        })
    }

    /// Prints it. The error is one line for the one who asked.
    pub fn print(&self) -> Result<(), String> {
        terminal::out(format_args!("{}", self.text()?)).map_err(|error| error.to_string())
    }
}

impl Harden {
    fn text(&self) -> Result<String, String> {
        let config = Config::load(&self.config).map_err(|error| error.to_string())?;
        let (_, database) =
            connect::database(&config, self.database.as_deref()).map_err(|e| e.to_string())?;
        let hardening = Hardening::of(&connect::settings_of(&config, database));
        let hardening = hardening.ok_or("the file does not say what servers log in as")?;
        Ok(Hardening { temporary: self.temporary, ..hardening }.take())
    }
}
