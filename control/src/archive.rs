//! One tenant as a file: `pg_dump`'s custom format, by PostgreSQL's own programs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;
use tokio_postgres::config::Host;

use crate::Control;
use crate::blueprint::Chosen;
use crate::error::Error;
use crate::name::SchemaName;
use crate::registry::State;

/// PostgreSQL's programs, and their settings besides the connection.
#[derive(Clone, Debug, Default)]
pub struct Programs {
    /// The folder of the programs; by default they are found on the PATH.
    pub folder: Option<PathBuf>,
    /// Further environment variables of libpq, such as PGSSLMODE.
    pub environment: Vec<(&'static str, OsString)>,
}

/// Options of an import.
#[derive(Clone, Copy, Debug, Default)]
pub struct Import {
    /// The importing role owns everything.
    pub no_owner: bool,
    /// Privileges are not restored.
    pub no_privileges: bool,
    /// The version of the last migration in the archive; by default the source's, if the structures are equal.
    pub version: Option<i64>,
}

/// The result of an import.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Imported {
    /// The schema's name in the archive.
    pub archived_as: String,
    /// The version of the imported schema.
    pub version: Option<i64>,
    /// The number of differences from the source; `None` if a version was given.
    pub differences: Option<usize>,
}

impl Control {
    /// Writes a tenant's schema with its data to `file`, from one snapshot. The file appears only when it is
    /// complete.
    pub async fn export(&self, schema: &SchemaName, file: &Path, programs: &Programs) -> Result<(), Error> {
        if !self.is_provisioned(schema.as_str()).await? {
            return Err(Error::Missing(schema.to_string()));
        }
        let mut partial = file.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let mut command = self.program("pg_dump", programs)?;
        command.arg("--format=custom").arg("--file").arg(&partial);
        command.arg("--schema").arg(pattern(schema.as_str()));
        let written = run(command, "pg_dump").await;
        let renamed = match written {
            Ok(_) => std::fs::rename(&partial, file)
                .map_err(|error| Error::Refused(format!("{}: {error}", file.display()))),
            Err(error) => Err(error),
        };
        if renamed.is_err() {
            let _ = std::fs::remove_file(&partial);
        }
        renamed
    }

    /// Creates the tenant `schema` from an archive, all or nothing.
    ///
    /// The schema is restored under its original name, which must not exist here, and renamed.
    pub async fn import(
        &self,
        schema: &SchemaName,
        file: &Path,
        what: Import,
        programs: &Programs,
    ) -> Result<Imported, Error> {
        self.install().await?;
        let archived = self.archived_schema(file, programs).await?;
        let archived_name = SchemaName::new(&archived, self.settings())?;
        if self.is_provisioned(schema.as_str()).await? {
            return Err(Error::Exists(schema.to_string()));
        }
        if self.is_provisioned(archived_name.as_str()).await? {
            return Err(Error::ArchivedNameTaken { archived: archived.clone(), wanted: schema.to_string() });
        }
        // No client is served from it before it is complete.
        self.register(&archived_name, State::Provisioning, None).await?;
        let restored = self.restore(file, what, programs).await;
        if let Err(error) = restored {
            self.unregister(&archived_name).await?;
            return Err(error);
        }
        if schema != &archived_name {
            self.rename_schema(&archived_name, schema).await?;
        }
        let (version, differences) = match what.version {
            Some(version) => (Some(version), None),
            None => self.version_by_structure(schema).await?,
        };
        self.grant_role(schema).await?;
        self.register(schema, State::Active, version).await?;
        Ok(Imported { archived_as: archived, version, differences })
    }

    async fn restore(&self, file: &Path, what: Import, programs: &Programs) -> Result<(), Error> {
        let mut command = self.program("pg_restore", programs)?;
        let database = self.login.get_dbname().or(self.login.get_user()).unwrap_or_default();
        command.args(["--single-transaction", "--exit-on-error", "--dbname", database]);
        if what.no_owner {
            command.arg("--no-owner");
        }
        if what.no_privileges {
            command.arg("--no-privileges");
        }
        command.arg(file);
        run(command, "pg_restore").await.map(drop)
    }

    /// The source's version if the structures are equal, and the number of differences.
    async fn version_by_structure(&self, schema: &SchemaName) -> Result<(Option<i64>, Option<usize>), Error> {
        if !self.is_provisioned(&self.settings().source).await? {
            return Ok((None, None));
        }
        let source = self.read_source(&self.settings().source, Chosen::Some(self.settings())).await?;
        let version = source.version();
        let differences = self.diff(schema, &source.into_blueprint()).await?.len();
        Ok((version.filter(|_| differences == 0), Some(differences)))
    }

    /// The single schema of an archive.
    async fn archived_schema(&self, file: &Path, programs: &Programs) -> Result<String, Error> {
        let mut command = Command::new(program("pg_restore", programs));
        command.arg("--list").arg(file);
        let list = run(command, "pg_restore").await?;
        // `6; 2615 16386 SCHEMA - acme_corp app`: the owner is the last word, and a name may contain blanks.
        let schemas: Vec<&str> = list
            .lines()
            .filter(|line| !line.starts_with(';'))
            .filter_map(|line| line.split_once(" SCHEMA - "))
            .filter_map(|(_, rest)| rest.rsplit_once(' '))
            .map(|(name, _)| name)
            .collect();
        match schemas.as_slice() {
            [only] => Ok((*only).to_owned()),
            _ => Err(Error::Refused(format!(
                "{} is not an archive of one tenant: it contains {} schemas",
                file.display(),
                schemas.len()
            ))),
        }
    }

    /// One of PostgreSQL's programs with its connection settings. Secrets are passed in the environment, because
    /// arguments are visible.
    fn program(&self, name: &str, programs: &Programs) -> Result<Command, Error> {
        let login = &self.login;
        let mut command = Command::new(program(name, programs));
        for variable in ["PGOPTIONS", "PGSERVICE", "PGHOSTADDR"] {
            command.env_remove(variable);
        }
        let host: OsString = match login.get_hosts().first() {
            Some(Host::Tcp(host)) => host.into(),
            Some(Host::Unix(folder)) => folder.into(),
            None => return Err(Error::Refused("the connection settings have no host".into())),
        };
        command.env("PGHOST", host).env("PGPORT", login.get_ports().first().unwrap_or(&5432).to_string());
        if let Some(user) = login.get_user() {
            command.env("PGUSER", user);
        }
        if let Some(database) = login.get_dbname() {
            command.env("PGDATABASE", database);
        }
        if let Some(password) = login.get_password() {
            command.env("PGPASSWORD", String::from_utf8_lossy(password).as_ref());
        }
        command.envs(programs.environment.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }
}

fn program(name: &str, programs: &Programs) -> OsString {
    programs.folder.as_ref().map_or_else(|| name.into(), |folder| folder.join(name).into_os_string())
}

/// A name in pg_dump's pattern syntax: quoted, with doubled quotes, so that no character is special.
fn pattern(name: &str) -> String {
    pgstrata_tenancy::ident::quoted(name)
}

/// Runs the program to its end; returns its output, or fails with its last error messages.
async fn run(mut command: Command, name: &str) -> Result<String, Error> {
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output().await;
    let output = output.map_err(|error| Error::Refused(format!("can not run {name}: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    Err(Error::Refused(format!("{name} failed: {}", last.join("; "))))
}
