//! Users whose secrets stand elsewhere, and what they may do.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::load::Place;
use super::read::Section;
use super::{AuthMethod, Database, Rights, Secret, User};

/// What stands for the user's own name among the tenants that it may name.
const OWN: &str = "$user";

/// `[auth_file]`
#[derive(Debug, Clone)]
pub struct AuthFile {
    /// A file in the format of PgBouncer's `userlist.txt`.
    pub path: PathBuf,
    /// Its text.
    pub(super) text: Secret,
    /// What its users may do.
    pub rights: Rights,
}

/// `[auth_query]`
#[derive(Debug, Clone)]
pub struct AuthQuery {
    /// The database that is asked, by its name in the configuration; the only one if it is left out.
    pub database: Option<String>,
    /// The role that asks.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// What is asked: `$1` is the user's name.
    pub query: String,
    /// How long an answer is believed.
    pub cache: Duration,
    /// What its users may do, where the answer does not say.
    pub rights: Rights,
}

/// What PostgreSQL says of a user's rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// The tenants that it may name; `None`: those of `[auth_query]`.
    pub tenants: Option<Vec<String>>,
    /// The databases that it may connect to; `None`: those of `[auth_query]`.
    pub databases: Option<Vec<String>>,
}

impl Rights {
    /// The user of that name, with these rights. It may not use the console.
    pub fn user(&self, name: &str, password: Secret) -> User {
        let tenants = self.tenants.iter().filter_map(|tenant| match tenant.as_str() {
            // A name is no pattern.
            OWN => (!name.contains('*')).then(|| name.to_owned()),
            other => Some(other.to_owned()),
        });
        User {
            name: name.to_owned(),
            password,
            rights: Rights { tenants: tenants.collect(), ..self.clone() },
            admin: false,
            stats: false,
            granted: None,
            system_users: Vec::new(),
            limits: super::LimitTable::default(),
        }
    }

    /// The same with what PostgreSQL says of it.
    pub fn granted(&self, name: &str, granted: Arc<Granted>) -> User {
        let mut user = self.user(name, Secret::default());
        if let Some(tenants) = &granted.tenants {
            user.rights.tenants.clone_from(tenants);
        }
        if let Some(databases) = &granted.databases {
            user.rights.databases.clone_from(databases);
        }
        user.granted = Some(granted);
        user
    }
}

impl AuthFile {
    /// Reads the section, and the file that it names; `None` without the section.
    pub(super) fn read(s: &mut Section<'_>, place: &Place<'_>, auth: AuthMethod) -> Option<Self> {
        let path: Option<PathBuf> = s.option("path");
        let rights = Rights::read(s, auth);
        let Some(path) = path.map(|path| place.resolve(path)) else {
            if s.is_there() {
                s.refuse("path", "[auth_file] needs \"path\": add path = \"userlist.txt\"".into());
            }
            return None;
        };
        s.keep_private("path", &path, place);
        let text = match place.surroundings.read(&path) {
            Ok(text) => text,
            Err(error) => {
                s.refuse("path", format!("cannot read {}: {error}", path.display()));
                String::new()
            }
        };
        s.note_content("path", &text);
        Some(Self { path, text: Secret::new(&text), rights })
    }
}

impl AuthQuery {
    /// What `pgstrata sql auth-query` makes.
    const QUERY: &str = "SELECT * FROM pgstrata.login($1)";
    /// How long an answer is believed where nothing else is said.
    const CACHE: Duration = Duration::from_secs(60);

    /// Reads the section; `None` without it.
    pub(super) fn read(s: &mut Section<'_>, place: &Place<'_>, auth: AuthMethod) -> Option<Self> {
        s.is_there().then(|| Self {
            database: s.option("database"),
            user: s.required("user", "pgstrata_auth"),
            password: Secret::read_or_run(s, place),
            query: s.or("query", Self::QUERY.to_owned()),
            cache: s.or("cache", Self::CACHE),
            rights: Rights::read(s, auth),
        })
    }

    /// The database that is asked, and its entry.
    pub fn database<'a>(
        &'a self,
        databases: &'a BTreeMap<String, Database>,
    ) -> Option<(&'a str, &'a Database)> {
        match &self.database {
            Some(name) => Some((name, databases.get(name)?)),
            None => {
                let mut all = databases.iter().filter(|(_, entry)| entry.is_entrance());
                let first = all.next().filter(|_| all.next().is_none());
                first.map(|(name, entry)| (name.as_str(), entry))
            }
        }
    }
}
