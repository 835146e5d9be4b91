//! `pgstrata sql`: prints SQL for an administrator to run in a database, and runs nothing itself.

use std::borrow::Cow;
use std::path::PathBuf;

use pgstrata_control::harden::Hardening;

use crate::config::Config;
use crate::tenant::connect;
use crate::terminal;

/// The SQL to print.
#[derive(Debug, clap::Subcommand)]
pub enum Sql {
    /// Event triggers that notify proxies of DDL, for tenancy.catalog_notify. A superuser runs it once in each database.
    EventTrigger {
        /// Prints SQL that drops these objects.
        #[arg(long)]
        drop: bool,
    },
    /// The role and the function for [auth_query]. A superuser runs it once in the database of the users.
    AuthQuery {
        /// Prints SQL that drops these objects.
        #[arg(long)]
        drop: bool,
    },
    /// SQL that revokes privileges which no tenant needs. A superuser runs it once in each database.
    Harden(Harden),
}

/// `pgstrata sql harden`
#[derive(Debug, clap::Args)]
pub struct Harden {
    /// The configuration file.
    #[arg(long, default_value = "pgstrata.toml")]
    config: PathBuf,
    /// The database: NAME of a [databases.NAME]. Required if the file has several.
    #[arg(long)]
    database: Option<String>,
    /// Also revokes the privilege to create temporary tables.
    #[arg(long)]
    temporary: bool,
    /// Prints SQL that grants the revoked privileges again.
    #[arg(long, conflicts_with = "temporary")]
    undo: bool,
}

impl Sql {
    /// The SQL: a transaction with comments. The error is one line.
    pub fn text(&self) -> Result<Cow<'static, str>, String> {
        Ok(match self {
            Self::EventTrigger { drop: false } => include_str!("install/event_trigger.sql").into(),
            Self::EventTrigger { drop: true } => include_str!("install/drop.sql").into(),
            Self::AuthQuery { drop: false } => include_str!("install/auth_query.sql").into(),
            Self::AuthQuery { drop: true } => include_str!("install/auth_query_drop.sql").into(),
            Self::Harden(harden) if harden.undo => Hardening::undo().into(),
            Self::Harden(harden) => harden.text()?.into(),
        })
    }

    /// Prints the SQL. The error is one line.
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
        let hardening = hardening
            .ok_or("the configuration names no role for the servers: set \"user\" in [databases.NAME]")?;
        Ok(Hardening { temporary: self.temporary, ..hardening }.take())
    }
}
