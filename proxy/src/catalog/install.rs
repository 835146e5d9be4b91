//! `pgstrata sql`: prints what an administrator may run in a database, and runs nothing itself.

use std::io::{self, Write};

/// What is to be printed.
#[derive(Debug, clap::Subcommand)]
pub enum Sql {
    /// Event triggers that announce DDL, for tenancy.catalog_notify. A superuser runs it once in each database.
    EventTrigger {
        /// What takes them out again.
        #[arg(long)]
        drop: bool,
    },
}

impl Sql {
    /// The SQL itself, a transaction with comments.
    pub fn text(&self) -> &'static str {
        match self {
            Self::EventTrigger { drop: false } => include_str!("install/event_trigger.sql"),
            Self::EventTrigger { drop: true } => include_str!("install/drop.sql"),
        }
    }

    /// Prints it. The error is one line for the one who asked.
    pub fn print(&self) -> Result<(), String> {
        io::stdout().write_all(self.text().as_bytes()).map_err(|error| error.to_string())
    }
}
