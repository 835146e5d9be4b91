//! `pgstrata generate`: manual pages and completions of its own command line, for those who package it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::Shell;

/// `pgstrata generate`
#[derive(Debug, clap::Subcommand)]
pub enum Generate {
    /// A manual page for each command.
    Man {
        /// The folder, which is made where it is missing.
        folder: PathBuf,
    },
    /// Completions for bash, zsh and fish.
    Completions {
        /// The folder, which is made where it is missing.
        folder: PathBuf,
    },
}

/// Writes what `what` says of `command`. The error is one line.
pub fn run(what: &Generate, command: Command) -> Result<(), String> {
    let (folder, written) = match what {
        Generate::Man { folder } => (folder, man(command, folder)),
        Generate::Completions { folder } => (folder, completions(command, folder)),
    };
    written.map_err(|error| format!("pgstrata: cannot write to {}: {error}", folder.display()))
}

fn man(command: Command, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    clap_mangen::generate_to(command, folder)
}

fn completions(mut command: Command, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let name = command.get_name().to_owned();
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut command, &name, folder)?;
    }
    Ok(())
}
