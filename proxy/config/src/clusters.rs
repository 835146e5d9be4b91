//! `[clusters.NAME]`, and the databases that are spread over several of them.
//!
//! A database is kept as one entry for each cluster that it is on: under its own name that of the registry's cluster,
//! which is where clients come in, and under `DATABASE@CLUSTER` each other one. The entry of a database that says
//! itself where it is stands alone.

use std::collections::{BTreeMap, BTreeSet};

use super::load::{self, Place};
use super::read::Section;
use super::{Config, ControlLogin, Database, Limit, Secret, ServerTls, defaults, limits};

/// Which part of a database an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnCluster {
    /// The cluster's name.
    pub name: String,
    /// The name of the database that clients ask for.
    pub database: String,
    /// Whether it has the registry, and so stands under the database's own name.
    pub is_registry: bool,
}

/// `[clusters.NAME]`
struct Cluster {
    host: String,
    port: u16,
    user: String,
    password: Secret,
    tls: ServerTls,
    tls_ca: Option<std::path::PathBuf>,
    control: ControlLogin,
    max_servers: Option<Limit<usize>>,
    min_servers: Option<Limit<usize>>,
}

impl Database {
    /// Whether clients can ask for it by the name of the entry.
    pub fn is_entrance(&self) -> bool {
        self.cluster.as_ref().is_none_or(|on| on.is_registry)
    }
}

impl Config {
    /// The databases that clients can ask for, by the name that they use.
    pub fn entrances(&self) -> impl Iterator<Item = (&str, &Database)> {
        let all = self.databases.iter().map(|(name, entry)| (name.as_str(), entry));
        all.filter(|(_, entry)| entry.is_entrance())
    }

    /// The clusters that a database is spread over, by their names, and the name of the entry of each. Nothing for one
    /// that says itself where it is.
    pub fn clusters_of(&self, database: &str) -> BTreeMap<&str, &str> {
        let parts = self.databases.iter().filter_map(|(entry, part)| {
            let on = part.cluster.as_ref().filter(|on| on.database == database)?;
            Some((on.name.as_str(), entry.as_str()))
        });
        parts.collect()
    }
}

/// All databases of the file.
pub(super) fn databases(file: &mut Section<'_>, place: &Place<'_>) -> BTreeMap<String, Database> {
    let clusters = file.named("clusters", |s| cluster(s, place));
    let written = file.named("databases", |s| match s.option::<Vec<String>>("clusters") {
        Some(names) => spread(s, &names, &clusters),
        None => vec![load::database(s, place)],
    });
    let mut out = BTreeMap::new();
    for (name, parts) in written {
        for part in parts {
            let entry = match &part.cluster {
                Some(on) if !on.is_registry => format!("{name}@{}", on.name),
                _ => name.clone(),
            };
            if out.insert(entry.clone(), part).is_some() {
                let message = format!(
                    "[databases.\"{entry}\"] has the name of what [databases.{name}] has on that cluster: rename one"
                );
                file.complain("databases", message);
            }
        }
    }
    out
}

fn cluster(s: &mut Section<'_>, place: &Place<'_>) -> Cluster {
    let name = s.name().to_owned();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if name.is_empty() || name.len() > 63 || !name.chars().all(is_plain) {
        let message =
            format!("[clusters.{name}]: a cluster's name has letters, digits, _ and - only, and 63 at most");
        s.refuse("host", message);
    }
    let (max_servers, min_servers) = s.section("pool", limits::pool_size);
    Cluster {
        host: s.required("host", "127.0.0.1"),
        port: s.or("port", defaults::SERVER_PORT),
        user: s.required("user", "app"),
        password: Secret::read_or_run(s, place),
        tls: s.or("tls", ServerTls::default()),
        tls_ca: load::path(s, place, "tls_ca"),
        control: s.section("control", |s| load::control(s, place)),
        max_servers,
        min_servers,
    }
}

/// The entries of a database that is on all of these `names`.
fn spread(s: &mut Section<'_>, names: &[String], clusters: &BTreeMap<String, Cluster>) -> Vec<Database> {
    let registry = s.required("registry", names.first().map_or("a", String::as_str));
    let name = s.name().to_owned();
    let database: Option<String> = s.option("database");
    let limits = s.section("limits", |s| limits::read(s, limits::Of::Database));
    if !registry.is_empty() && !names.contains(&registry) {
        let message =
            format!("\"registry\" in [databases.{name}] is \"{registry}\", which is not one of \"clusters\"");
        s.refuse("registry", message);
    }
    if names.iter().collect::<BTreeSet<_>>().len() < names.len() {
        s.refuse("clusters", format!("\"clusters\" in [databases.{name}] names one of them twice"));
    }
    let mut parts = Vec::new();
    for cluster_name in names {
        let Some(cluster) = clusters.get(cluster_name) else {
            let message = format!(
                "\"clusters\" in [databases.{name}] has \"{cluster_name}\", and there is no [clusters.{cluster_name}]"
            );
            s.refuse("clusters", message);
            continue;
        };
        let mut limits = limits.clone();
        limits.max_servers = cluster.max_servers.clone().or(limits.max_servers);
        limits.min_servers = cluster.min_servers.clone().or(limits.min_servers);
        let is_registry = *cluster_name == registry;
        let on = OnCluster { name: cluster_name.clone(), database: name.clone(), is_registry };
        parts.push(Database {
            host: cluster.host.clone(),
            port: cluster.port,
            database: Some(database.clone().unwrap_or_else(|| name.clone())),
            user: cluster.user.clone(),
            password: cluster.password.clone(),
            tls: cluster.tls,
            tls_ca: cluster.tls_ca.clone(),
            control: cluster.control.clone(),
            limits,
            cluster: Some(on),
        });
    }
    parts
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const CLUSTERS: &str = "[clusters.a]\nhost = 'one'\nuser = 'app'\n\
        [clusters.b]\nhost = 'two'\nport = 7\nuser = 'other'\n[clusters.b.pool]\nmax_servers = 3\n\
        [[users]]\nname = 'app'\npassword = 'secret'\ntenants = ['*']\n";

    fn parse(lines: &str) -> Result<Config, String> {
        let text = format!("{CLUSTERS}{lines}");
        Config::parse(&text, Path::new("pgstrata.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn database_has_an_entry_for_each_of_its_clusters() {
        let config = parse("[databases.app]\nclusters = ['b', 'a']\nregistry = 'a'\n").unwrap();
        let names: Vec<_> = config.databases.keys().map(String::as_str).collect();
        assert_eq!(names, ["app", "app@b"]);
        let (home, other) = (&config.databases["app"], &config.databases["app@b"]);
        assert_eq!((home.host.as_str(), home.port, home.is_entrance()), ("one", 5432, true));
        assert_eq!((other.host.as_str(), other.port, other.is_entrance()), ("two", 7, false));
        // The name on the server is that of the database, on each of them.
        assert_eq!([&home.database, &other.database], [&Some("app".to_owned()); 2]);
        assert_eq!((config.pool_of("app").max_servers, config.pool_of("app@b").max_servers), (20, 3));
        assert_eq!(config.clusters_of("app"), BTreeMap::from([("a", "app"), ("b", "app@b")]));
        let entrances: Vec<_> = config.entrances().map(|(name, _)| name).collect();
        assert_eq!(entrances, ["app"]);
    }

    #[test]
    fn what_can_not_be_meant_is_refused() {
        for (lines, why) in [
            ("[databases.app]\nclusters = ['a', 'c']\nregistry = 'a'", "there is no [clusters.c]"),
            ("[databases.app]\nclusters = ['a', 'b']", "needs \"registry\""),
            ("[databases.app]\nclusters = ['a']\nregistry = 'b'", "which is not one of \"clusters\""),
            ("[databases.app]\nclusters = ['a', 'a']\nregistry = 'a'", "names one of them twice"),
            ("[databases.app]\nclusters = ['a']\nregistry = 'a'\nhost = 'x'", "unknown key \"host\""),
            ("[databases.app]\nhost = 'x'\nuser = 'u'\nregistry = 'a'", "unknown key \"registry\""),
            (
                "[clusters.'x y']\nhost = 'x'\nuser = 'u'\n[databases.app]\nhost = 'x'\nuser = 'u'",
                "letters, digits",
            ),
            (
                "[databases.app]\nclusters = ['a', 'b']\nregistry = 'a'\n[databases.'app@b']\nhost = 'x'\nuser = 'u'",
                "rename one",
            ),
        ] {
            let error = parse(lines).unwrap_err();
            assert!(error.contains(why), "{lines}: {error}");
        }
    }
}
