//! What the user asks for.

use std::path::{Path, PathBuf};

use crate::Outcome;

/// pgstrata next to its peers.
#[derive(Clone, Debug, clap::Parser)]
pub struct Options {
    /// A minute: one round of 32 clients, to see that all works. Its figures mean little.
    #[arg(long)]
    pub quick: bool,
    /// Only the cases whose name has this text in it: select, syscalls, tpcb, large, copy, storm, idle, tenants, trips.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub case: String,
    /// Rounds; in each, everybody has a turn. Left out: three, as long as ten minutes allow it.
    #[arg(long)]
    pub rounds: Option<usize>,
    /// How long one turn takes.
    #[arg(long, default_value_t = 1)]
    pub seconds: u64,
    /// Put the tables into docs/benchmarks.md, and the plots beside it.
    #[arg(long)]
    pub write: bool,
    /// Everybody reaches PostgreSQL by its Unix socket; else it is TCP.
    #[arg(long)]
    pub unix: bool,
    /// Another peer, `name=command`: `{port}` is where it is to listen on 127.0.0.1, `{pg_host}` and `{pg_port}`
    /// where PostgreSQL is. User and database are `app`, and nobody has a password.
    #[arg(long = "peer", value_name = "NAME=COMMAND", value_parser = other)]
    pub peers: Vec<(String, String)>,
    /// pgstrata's program; the one beside this one if it is left out.
    #[arg(long, env = "PGSTRATA_BENCH_PROGRAM")]
    pub pgstrata: Option<PathBuf>,
    /// The bare relay's; likewise.
    #[arg(long, env = "PGSTRATA_BENCH_RELAY")]
    pub relay: Option<PathBuf>,
    /// PgBouncer's, if it is another than the system's.
    #[arg(long, env = "PGBOUNCER", default_value = "pgbouncer")]
    pub pgbouncer: PathBuf,
}

impl Options {
    /// Whether a case is wanted.
    pub fn wants(&self, case: &str) -> bool {
        case.contains(&self.case)
    }

    /// A program that was built with this one.
    pub fn beside(&self, given: Option<&PathBuf>, name: &str) -> Outcome<PathBuf> {
        let own = std::env::current_exe()?.with_file_name(name);
        let program = given.cloned().unwrap_or(own);
        match program.is_file() {
            true => Ok(program.canonicalize()?),
            false => Err(format!("{} is missing: `make bench` builds it", program.display()).into()),
        }
    }
}

/// Where the system has a program, if it does.
pub fn installed(name: &Path) -> Option<PathBuf> {
    if name.components().count() > 1 {
        return name.is_file().then(|| name.to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps daemons where users do not look.
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    places.map(|place| place.join(name)).find(|program| program.is_file())
}

fn other(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, command)) if !name.is_empty() && command.contains("{port}") => {
            Ok((name.to_owned(), command.to_owned()))
        }
        _ => Err("as in name=command, with {port} in the command".to_owned()),
    }
}
