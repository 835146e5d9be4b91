//! When a key that has changed acts on a running proxy.

use super::Config;

/// When a key acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// At the next start of the process.
    Restart,
    /// For clients that log in from now on. What it means for those that are connected says
    /// [`crate::session`]'s `news`.
    Logins,
    /// At once.
    Now,
    /// For clients that log in from now on. A client whose tenant it means something else for is closed at the end
    /// of its transaction.
    Tenants,
    /// The same, for all clients of the databases that it belongs to.
    Databases,
}

impl Effect {
    /// Of the key at `path`, as [`super::Written`] has it.
    pub fn of(path: &str) -> Self {
        let (section, key) = path.split_once('.').unwrap_or((path, ""));
        match (section, key) {
            ("http" | "metrics" | "process", _)
            | ("listen", "address")
            | ("log", "format")
            | ("limits", "threads" | "plan_cache_bytes")
            | ("tenancy", "mode") => Self::Restart,
            ("listen", "max_clients" | "max_unauthenticated" | "shutdown_timeout") => Self::Now,
            ("listen" | "users", _)
            | ("pool", "mode")
            | ("tenancy", "missing_tenant" | "sources" | "separator") => Self::Logins,
            ("tenants", _) => Self::Tenants,
            ("tenancy", key) => Self::of_tenancy(key),
            ("databases", key) => match key.rsplit_once('.') {
                Some((_, "host" | "port" | "database" | "user")) if !key.contains(".control.") => {
                    Self::Databases
                }
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
            | "while_migrating" => Self::Now,
            _ => Self::Tenants,
        }
    }
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

    /// Whether the clients of the database of that name have to leave.
    pub fn replace(&self, database: &str) -> bool {
        let own = format!("databases.{database}.");
        self.acting.iter().any(|path| match path.strip_prefix(&own) {
            Some(key) => matches!(key, "host" | "port" | "database" | "user"),
            None => !path.starts_with("databases.") && Effect::of(path) == Effect::Databases,
        })
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
        self.http = running.http.clone();
        self.metrics = running.metrics.clone();
        self.process = running.process.clone();
        self.log.format = running.log.format;
        self.limits.threads = running.limits.threads;
        self.limits.plan_cache_bytes = running.limits.plan_cache_bytes;
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
        assert!(changes.touch("pool") && !changes.touch("poo") && !changes.replace("app"));
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
    fn user_in_front_of_another_does_not_change_that_one() {
        let front = "[[users]]\nname = 'new'\npassword = 'p'\ntenants = ['a']";
        let changes = changed("", front);
        assert!(changes.acting.iter().all(|path| path.starts_with("users.new.")), "{changes:?}");
        assert!(!format!("{:?}", config("")).contains("secret"));
    }

    #[test]
    fn database_is_replaced_for_where_it_is_and_what_all_of_its_clients_share() {
        let schemas = changed("", "[tenancy]\nshared_schemas = []");
        assert!(schemas.replace("app") && schemas.replace("other"));
        let other = "[databases.other]\nhost = 'db'\nuser = 'app'\n";
        let moved = changed(other, &other.replace("'db'", "'db2'"));
        assert!(moved.replace("other") && !moved.replace("app"), "{moved:?}");
        let password = changed(other, &format!("{other}password = 'x'"));
        assert!(password.touch("databases.other") && !password.replace("other"), "{password:?}");
        assert!(changed("", "[tenants.a]\ntier = 'names'").have(Effect::Tenants));
    }
}
