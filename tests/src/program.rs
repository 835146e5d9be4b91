//! psql, pgbench and drivers of other languages.

use std::path::{Path, PathBuf};

use pgstrata::demo::find::Install;
use tokio::process::Command;

use crate::database::{install, target_dir};

/// Runs a program to its end. Fails with what it said if it fails.
pub async fn run(mut command: Command) -> String {
    let output = command.kill_on_drop(true).output().await;
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {}\n{said}\n{complaint}", output.status);
    said
}

/// `psql` or `pgbench`: of the PostgreSQL that is tested, or the system's.
pub fn client_program(name: &str) -> Command {
    client_program_of(&install(), name)
}

/// As [`client_program`], of this PostgreSQL.
pub fn client_program_of(install: &Install, name: &str) -> Command {
    let own = install.program(name);
    let mut command = Command::new(if own.is_file() { own } else { name.into() });
    command.env_remove("PGOPTIONS").env("PGCONNECT_TIMEOUT", "30");
    command
}

/// A Python script of `tests/drivers`, in the environment with the drivers.
pub fn python(script: &str) -> Command {
    let mut command = Command::new(project().join(".tools/venv/bin/python"));
    command.arg(project().join("tests/drivers").join(script)).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// A JavaScript program of `tests/drivers`.
pub fn node(script: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(project().join("tests/drivers").join(script));
    command.env("NODE_PATH", project().join(".tools/node/node_modules"));
    command
}

/// A Java program of `tests/drivers`, in one source file.
pub fn java(source: &str) -> Command {
    let mut command = Command::new("java");
    command.args(["-cp", "/usr/share/java/postgresql.jar"]);
    command.arg(project().join("tests/drivers").join(source));
    command
}

/// A program of `tests/drivers` that an interpreter runs: `php`, `perl` or `ruby`.
pub fn script(interpreter: &str, script: &str) -> Command {
    let mut command = Command::new(interpreter);
    command.arg(project().join("tests/drivers").join(script));
    command
}

/// Compiles a C program of `tests/drivers` with libpq, into a folder, and says how it is run.
pub async fn with_libpq(source: &str, folder: &Path) -> Command {
    let program = folder.join("program");
    let mut compiler = Command::new("cc");
    compiler.args(["-Wall", "-Werror", "-I/usr/include/postgresql", "-o"]).arg(&program);
    compiler.arg(project().join("tests/drivers").join(source)).arg("-lpq");
    run(compiler).await;
    Command::new(program)
}

/// Compiles a Go program of `tests/drivers` with Debian's packages, into a folder, and says how it is run.
pub async fn go(source: &str, folder: &Path) -> Command {
    let program = folder.join("program");
    let mut compiler = Command::new("go");
    compiler.args(["build", "-o"]).arg(&program).arg(project().join("tests/drivers").join(source));
    compiler.envs([("GO111MODULE", "off"), ("GOPATH", "/usr/share/gocode")]);
    compiler.env("GOCACHE", target_dir().join("go"));
    run(compiler).await;
    Command::new(program)
}

/// The `pgstrata` that was built with these tests, or the one that `PGSTRATA_TEST_PROGRAM` names.
pub fn pgstrata() -> Command {
    if let Some(named) = std::env::var_os("PGSTRATA_TEST_PROGRAM") {
        return Command::new(named);
    }
    let program = std::env::current_exe().unwrap();
    let built = program.parent().and_then(Path::parent).unwrap().join("pgstrata");
    assert!(built.is_file(), "{} is missing: `make e2e` builds it", built.display());
    Command::new(built)
}

/// The repository's folder.
pub fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
