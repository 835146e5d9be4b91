//! When a key that has changed acts on a running proxy.

use super::{Config, Database};

/// When a key acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// At the next start of the process.
    Restart,
    /// For clients that log in from now on. What it means for those that are connected says
    /// `session::news` of the proxy.
    Logins,
    /// At once.
    Now,
    /// For clients that log in from now on. A client whose tenant it means something else for is closed at the end
    /// of its transaction.
    Tenants,
    /// The same, for all clients of the databases that it belongs to.
    Databases,
    /// At once. Clients of that cluster finish their transaction there and go on where it is now; if it has the
    /// registry, all clients of the database are closed.
    Clusters,
}

impl Effect {
    /// Of the key at `path`, as [`super::Written`] has it.
    pub fn of(path: &str) -> Self {
        let (section, key) = path.split_once('.').unwrap_or((path, ""));
        if is_limit(section, key) {
            return Self::Now;
        }
        match (section, key) {
            ("process", "follow_files" | "rerun_commands") => Self::Now,
            ("http" | "process", _)
            | ("metrics", "tenants")
            | (
                "listen",
                "address" | "more_addresses" | "reuse_port" | "unix_socket_dir" | "unix_socket_mode",
            )
            | ("log", "format")
            | ("limits", "threads" | "plan_cache_bytes" | "max_buffered_bytes")
            | ("tenancy", "mode") => Self::Restart,
            (
                "listen",
                "max_clients" | "max_unauthenticated" | "shutdown_timeout" | "handover_timeout" | "peers",
            ) => Self::Now,
            (section, _) if ["hba", "cert_map"].iter().any(|list| section.starts_with(list)) => Self::Logins,
            ("listen" | "users" | "auth_file" | "auth_query", _)
            | ("pool", "mode")
            | ("tenancy", "missing_tenant" | "sources" | "separator" | "server_name") => Self::Logins,
            ("tenants", _) => Self::Tenants,
            ("tenancy", key) => Self::of_tenancy(key),
            ("databases", key) => match key.rsplit_once('.') {
                Some((_, "host" | "port" | "database" | "user" | "registry"))
                    if !key.contains(".control.") =>
                {
                    Self::Databases
                }
                _ => Self::Now,
            },
            ("clusters", key) => match key.rsplit_once('.') {
                Some((_, "host" | "port" | "user")) if !key.contains(".control.") => Self::Clusters,
                _ => Self::Now,
            },
            _ => Self::Now,
        }
    }

    fn of_tenancy(key: &str) -> Self {
        match key {
            "shared_schemas" | "login_key" | "login_key_env" | "login_key_file" => Self::Databases,
            "tenant_cache"
            | "catalog_cache"
            | "catalog_notify"
            | "max_servers_per_tenant"
            | "while_migrating"
            | "query_comment" => Self::Now,
            _ => Self::Tenants,
        }
    }
}

/// Whether a key is one of `[users.limits]`, `[tenants.NAME.limits]` and the like.
fn is_limit(section: &str, key: &str) -> bool {
    let table = key.rsplit_once('.').map_or("", |(table, _)| table);
    let is = |table: &str| match section {
        "tenancy" => table == "limits",
        // A table that is kept elsewhere may have any name.
        "tenants" => table.ends_with(".limits") && !table.contains(".tables"),
        "users" | "databases" => table.ends_with(".limits"),
        _ => false,
    };
    is(key) || is(table)
}

/// What differs between the configuration of a running proxy and a newer one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The keys that act, by path.
    pub acting: Vec<String>,
    /// Those that need a restart; the proxy goes on with what it has.
    pub restart: Vec<String>,
}

impl Changes {
    /// Whether some of the acting keys have this effect.
    pub fn have(&self, effect: Effect) -> bool {
        self.acting.iter().any(|path| Effect::of(path) == effect)
    }

    /// Whether a key below `section` acts: `pool`, `databases.app`.
    pub fn touch(&self, section: &str) -> bool {
        let below = |path: &String| path.strip_prefix(section).is_some_and(|key| key.starts_with('.'));
        self.acting.iter().any(below)
    }

    /// Whether the clients of this entry of the databases have to leave.
    pub fn replace(&self, name: &str, entry: &Database) -> bool {
        let own = Tables::of(name, entry);
        self.acting.iter().any(|path| match own.key_of(path) {
            Some(key) => matches!(key, "host" | "port" | "database" | "user" | "registry"),
            None => !path.starts_with("databases.") && Effect::of(path) == Effect::Databases,
        })
    }

    /// Whether a key acts that says where the servers of this entry are, or how they are reached.
    pub fn touch_entry(&self, name: &str, entry: &Database) -> bool {
        let own = Tables::of(name, entry);
        self.acting.iter().any(|path| own.key_of(path).is_some())
    }

    /// Whether servers of this entry are to be connected in another way from now on.
    pub fn reconnect(&self, name: &str, entry: &Database) -> bool {
        let own = Tables::of(name, entry);
        self.acting.iter().any(|path| matches!(own.key_of(path), Some("tls" | "tls_ca")))
    }
}

/// The tables of the file that an entry of the databases was made of.
struct Tables {
    database: String,
    cluster: Option<String>,
}

impl Tables {
    fn of(name: &str, entry: &Database) -> Self {
        let on = entry.cluster.as_ref();
        Self {
            database: format!("databases.{}.", on.map_or(name, |on| &on.database)),
            cluster: on.map(|on| format!("clusters.{}.", on.name)),
        }
    }

    /// The key at `path`, if it is of one of them.
    fn key_of<'a>(&self, path: &'a str) -> Option<&'a str> {
        let of_cluster = || path.strip_prefix(self.cluster.as_deref()?);
        path.strip_prefix(&self.database).or_else(of_cluster)
    }
}

impl Config {
    /// Puts in what the `running` proxy can't change before a restart; gives what differs.
    pub fn succeed(&mut self, running: &Config) -> Changes {
        let changes = running.written.changes(&self.written).into_iter();
        let (restart, acting) = changes.partition(|path: &String| Effect::of(path) == Effect::Restart);
        let changes = Changes { acting, restart };
        self.written.keep(&running.written, &changes.restart);
        self.listen.address = running.listen.address;
        self.listen.more_addresses = running.listen.more_addresses.clone();
        self.listen.reuse_port = running.listen.reuse_port;
        self.http = running.http.clone();
        self.metrics.tenants = running.metrics.tenants;
        self.process.pid_file = running.process.pid_file.clone();
        self.log.format = running.log.format;
        self.limits.threads = running.limits.threads;
        self.limits.plan_cache_bytes = running.limits.plan_cache_bytes;
        self.limits.max_buffered_bytes = running.limits.max_buffered_bytes;
        self.tenancy.mode = running.tenancy.mode;
        let new_meaning = changes.have(Effect::Tenants) || changes.have(Effect::Databases);
        self.meaning = running.meaning + u64::from(new_meaning);
        changes
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn config(lines: &str) -> Config {
        let text = format!(
            "{lines}\n[databases.app]\nhost = 'db'\nuser = 'app'\npassword = 'secret'\n\
             [[users]]\nname = 'app'\npassword = 'secret'\ntenants = ['*']\n"
        );
        Config::parse(&text, Path::new("pgstrata.toml")).unwrap()
    }

    fn replaces(changes: &Changes, database: &str) -> bool {
        changes.replace(database, &config("").databases["app"])
    }

    fn changed(from: &str, to: &str) -> Changes {
        config(to).succeed(&config(from))
    }

    #[test]
    fn only_what_comes_to_something_else_has_changed() {
        let same = "# a comment\n[pool]\nmax_servers   = 20 # the default\n[tenancy]\nsources = [ 'options',\n 'parameter' ]";
        assert_eq!(changed("", same), Changes::default());
        let changes =
            changed("[pool]\nmax_servers = 5", "[pool]\nmin_servers = 1\n[listen]\naddress = '[::1]:7'");
        assert_eq!(changes.acting, ["pool.max_servers", "pool.min_servers"]);
        assert_eq!(changes.restart, ["listen.address"]);
        assert!(changes.touch("pool") && !changes.touch("poo") && !replaces(&changes, "app"));
    }

    #[test]
    fn what_needs_a_restart_stays_as_it_runs_and_is_named_each_time() {
        let running = config("[tenancy]\nmode = 'observe'");
        let mut newer = config("[limits]\nthreads = 3");
        let changes = newer.succeed(&running);
        assert_eq!(changes.restart, ["limits.threads", "tenancy.mode"]);
        assert_eq!((newer.limits.threads, newer.tenancy.mode), (0, super::super::Mode::Observe));
        let mut third = config("[limits]\nthreads = 3\n[tenancy]\nmode = 'observe'");
        assert_eq!(third.succeed(&newer).restart, ["limits.threads"]);
    }

    #[test]
    fn what_is_counted_changes_at_once_and_how_many_series_do_not() {
        let running = config("");
        let mut newer =
            config("[metrics]\nstatements_memory = 0\ntenants = 5\n[tenancy]\nquery_comment = true");
        let changes = newer.succeed(&running);
        assert_eq!(changes.acting, ["metrics.statements_memory", "tenancy.query_comment"]);
        assert_eq!(changes.restart, ["metrics.tenants"]);
        assert!(changes.acting.iter().all(|path| Effect::of(path) == Effect::Now));
        assert_eq!((newer.metrics.statements_memory, newer.metrics.tenants), (0, 20));
    }

    #[test]
    fn user_in_front_of_another_does_not_change_that_one() {
        let front = "[[users]]\nname = 'new'\npassword = 'p'\ntenants = ['a']";
        let changes = changed("", front);
        assert!(changes.acting.iter().all(|path| path.starts_with("users.new.")), "{changes:?}");
        assert!(!format!("{:?}", config("")).contains("secret"));
    }

    #[test]
    fn database_is_replaced_for_where_it_is_and_what_all_of_its_clients_share() {
        let schemas = changed("", "[tenancy]\nshared_schemas = []");
        assert!(replaces(&schemas, "app") && replaces(&schemas, "other"));
        let other = "[databases.other]\nhost = 'db'\nuser = 'app'\n";
        let moved = changed(other, &other.replace("'db'", "'db2'"));
        assert!(replaces(&moved, "other") && !replaces(&moved, "app"), "{moved:?}");
        let password = changed(other, &format!("{other}password = 'x'"));
        assert!(password.touch("databases.other") && !replaces(&password, "other"), "{password:?}");
        assert!(changed("", "[tenants.a]\ntier = 'names'").have(Effect::Tenants));
        for table in ["tenancy", "tenants.a", "tenants.'a*'", "tenants.'a.b'"] {
            let changes = changed("", &format!("[{table}.limits]\nmax_clients = 1"));
            assert!(changes.have(Effect::Now) && !changes.have(Effect::Tenants), "{changes:?}");
        }
        let table = "[tenants.a.tables]\n'x.limits' = 'y'";
        assert!(changed("", table).have(Effect::Tenants), "it is a table's name");
    }

    #[test]
    fn cluster_is_replaced_alone() {
        const CLUSTERS: &str = "[clusters.a]\nhost = 'x'\nuser = 'u'\n[clusters.b]\nhost = 'y'\nuser = 'u'\n\
            [databases.shop]\nclusters = ['a', 'b']\nregistry = 'a'\n";
        let parts = config(CLUSTERS).databases;
        let replaced = |changes: &Changes| {
            parts
                .iter()
                .filter(|(name, part)| changes.replace(name, part))
                .map(|(name, _)| name.clone())
                .collect()
        };
        let none: [&str; 0] = [];
        for (what, by, names) in [
            ("'y'", "'z'", &["shop@b"][..]),
            ("host = 'x'", "host = 'w'", &["shop"]),
            ("registry = 'a'", "registry = 'b'", &["shop", "shop@b"]),
            ("'y'\n", "'y'\npassword = 'p'\n", &none),
        ] {
            let changes = changed(CLUSTERS, &CLUSTERS.replace(what, by));
            let found: Vec<String> = replaced(&changes);
            assert_eq!(found, names, "{changes:?}");
        }
        let more = "[clusters.c]\nhost = 'z'\nuser = 'u'\n";
        let changes = changed(CLUSTERS, &(CLUSTERS.replace("'b']", "'b', 'c']") + more));
        let found: Vec<String> = replaced(&changes);
        assert_eq!(found, none, "{changes:?}");
        assert!(!changes.have(Effect::Databases) && !changes.have(Effect::Tenants));
    }
}
