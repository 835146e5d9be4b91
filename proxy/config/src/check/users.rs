//! Users: how they log in, and which tenants they may name.

use crate::problem::Problems;
use crate::verifier::{Verifier, md5_digits};
use crate::{AuthMethod, Config, Database, HbaMethod, HbaRule, ListenTls, User};

/// A key that is shorter can be found by trying.
const KEY_BYTES: usize = 32;

/// Reports users that can't log in, or that could without what they seem to need.
pub(super) fn check(config: &Config, problems: &mut Problems) {
    default(config, problems);
    for (i, user) in config.users.iter().enumerate() {
        let paths = UserPaths::new(i);
        name(user, config.users.get(..i).unwrap_or_default(), &paths, problems);
        tenants(user, &paths, problems);
        if !user.rights.databases.is_empty() || !user.may_use_console() {
            let who = format!("user \"{}\"", user.name);
            databases_of(&who, &user.rights.databases, config, &[&paths.databases, &paths.name], problems);
        }
        match user.password.expose() {
            Some(password) => secret(user, password, config, &paths, problems),
            None if matches!(user.rights.auth, AuthMethod::Trust | AuthMethod::Cert | AuthMethod::Peer) => {}
            None => {
                let message = format!(
                    "user \"{}\" has no password: add \"password_env\", \"password_file\" or \"password\"",
                    user.name
                );
                problems.at(&paths.with_secret("name"), message);
            }
        }
        if user.rights.auth != config.listen.auth {
            let message = format!(
                "user \"{}\" logs in by another method than \"auth\" in [listen], which unknown users are asked \
                 for: whoever connects can tell that it exists",
                user.name
            );
            problems.warn(&[&paths.auth, &paths.name], message);
        }
        console(user, config, &paths, problems);
        if user.rights.auth == AuthMethod::Cert {
            certificate(
                &format!("user \"{}\" logs in", user.name),
                &[&paths.auth, &paths.name],
                config,
                problems,
            );
        }
        if user.rights.auth == AuthMethod::Peer {
            let who = format!("user \"{}\" logs in", user.name);
            peer(&who, &[&paths.auth, &paths.name], config, problems);
        }
        if user.rights.auth == AuthMethod::Password && config.listen.tls == ListenTls::Off {
            let message = format!(
                "user \"{}\" sends its password as it is, which needs TLS: set tls = \"required\" in \
                 [listen], or auth = \"scram-sha-256\"",
                user.name
            );
            problems.at(&[&paths.auth, "listen.tls"], message);
        }
    }
}

/// Who may use the console proves who it is, unless nobody but this machine can ask.
fn console(user: &User, config: &Config, paths: &UserPaths, problems: &mut Problems) {
    let is_open = config.listen.addresses().any(|address| !address.ip().is_loopback());
    if user.admin && user.rights.auth == AuthMethod::Trust && is_open {
        let message = format!(
            "user \"{}\" may use the console (admin = true) and logs in with no proof (auth = \"trust\"), from other \
             machines too: give it a password, or listen on 127.0.0.1",
            user.name
        );
        problems.at(&[&paths.auth, &paths.name], message);
    }
}

/// Reports a certificate that is wanted, and that nobody could verify. `who`: `user "app" logs in`.
pub(super) fn certificate(who: &str, paths: &[&str], config: &Config, problems: &mut Problems) {
    if config.listen.tls_client_ca.is_none() {
        let message =
            format!("{who} by a certificate, which needs \"tls_client_ca\" in [listen]: who may sign it");
        problems.at(paths, message);
    }
}

/// Reports a proof that only a Unix socket has, where there is none. `who`: `user "app" logs in`.
pub(super) fn peer(who: &str, paths: &[&str], config: &Config, problems: &mut Problems) {
    if config.listen.unix_socket_dir.is_none() {
        let message =
            format!("{who} by \"peer\", which needs a Unix socket: set \"unix_socket_dir\" in [listen]");
        problems.at(paths, message);
    }
}

/// Whether the user of that name may go over to another tenant, wherever its entry stands.
fn may_switch(config: &Config, name: &str) -> bool {
    match config.users.iter().find(|user| user.name == name) {
        Some(user) => user.rights.tenant_switch,
        None => {
            let file = config.auth_file.as_ref().map(|file| &file.rights);
            let query = config.auth_query.as_ref().map(|query| &query.rights);
            file.into_iter().chain(query).any(|rights| rights.tenant_switch)
        }
    }
}

/// Reports certificates that are mapped to nobody, and rules that want them where nobody verifies any.
pub(super) fn rules(config: &Config, problems: &mut Problems) {
    let wants = |rule: &HbaRule| rule.method == HbaMethod::Prove(AuthMethod::Cert);
    if let Some(at) = config.hba.iter().flatten().position(wants) {
        let path = format!("hba[{at}].method");
        certificate("users of a rule log in", &[&path, "hba_file"], config, problems);
    }
    let wants = |rule: &HbaRule| rule.method == HbaMethod::Prove(AuthMethod::Peer);
    if let Some(at) = config.hba.iter().flatten().position(wants) {
        // A file of PostgreSQL's has such lines whether or not there is a socket: no "hba_file" here.
        let path = format!("hba[{at}].method");
        if problems.is_written(&path) {
            peer("users of a rule log in", &[&path], config, problems);
        }
    }
    for (at, rule) in config.cert_map.iter().enumerate() {
        if rule.name.is_empty() || rule.user.is_empty() || rule.tenants.iter().any(String::is_empty) {
            let table = format!("cert_map[{at}]");
            // One that is missing is reported already.
            let [name, user] = ["name", "user"].map(|key| format!("{table}.{key}"));
            problems.at(&[&table, &name, &user], "a name in [[cert_map]] must not be empty");
        }
        if !rule.tenants.is_empty() && may_switch(config, &rule.user) {
            let message = format!(
                "\"tenants\" in [[cert_map]] would not hold user \"{}\", which has tenant_switch = true and goes over to \
                 any of its own: take one of the two out",
                rule.user
            );
            problems.at(&[&format!("cert_map[{at}].tenants")], message);
        }
    }
}

/// What unknown users are asked for, and what their salts come from.
fn default(config: &Config, problems: &mut Problems) {
    let message = match config.listen.auth {
        AuthMethod::Trust => {
            "\"auth\" in [listen] must not be \"trust\", which asks for no proof: give that to single users"
        }
        AuthMethod::Cert => {
            "\"auth\" in [listen] must not be \"cert\", which asks unknown users for nothing: give that to single users, \
             or to a rule in [[hba]]"
        }
        AuthMethod::Peer => {
            "\"auth\" in [listen] must not be \"peer\", which asks unknown users for nothing: give that to single users, \
             or to a rule in [[hba]]"
        }
        _ => "",
    };
    if !message.is_empty() {
        problems.at(&["listen.auth"], message);
    }
    let keys = ["listen.salt_key", "listen.salt_key_env", "listen.salt_key_file"];
    if config.listen.salt_key.expose().is_some_and(|key| key.len() < KEY_BYTES) {
        let message = format!(
            "the salt key in [listen] has less than {KEY_BYTES} bytes: take what `openssl rand -base64 32` prints"
        );
        problems.at(&keys, message);
    }
}

/// Where one user's keys stand.
struct UserPaths {
    name: String,
    tenants: String,
    databases: String,
    auth: String,
    secrets: [String; 3],
}

impl UserPaths {
    fn new(i: usize) -> Self {
        let path = |key: &str| format!("users[{i}].{key}");
        Self {
            name: path("name"),
            tenants: path("tenants"),
            databases: path("databases"),
            auth: path("auth"),
            secrets: ["password", "password_env", "password_file"].map(path),
        }
    }

    /// The key that a problem is shown at, and all that may have caused it.
    fn with_secret(&self, first: &str) -> [&str; 5] {
        let [plain, variable, file] = &self.secrets;
        match first {
            "auth" => [&self.auth, plain, variable, file, &self.name],
            "name" => [&self.name, plain, variable, file, &self.auth],
            _ => [plain, variable, file, &self.auth, &self.name],
        }
    }
}

fn name(user: &User, earlier: &[User], paths: &UserPaths, problems: &mut Problems) {
    if user.name.is_empty() || user.name.contains('\0') {
        let message = "\"name\" in [[users]] must not be empty or hold a NUL";
        problems.at(&[&paths.name], message);
    } else if earlier.iter().any(|other| other.name == user.name) {
        let message =
            format!("user \"{}\" is there twice: merge the two, with all tenants in one list", user.name);
        problems.at(&[&paths.name], message);
    }
}

fn tenants(user: &User, paths: &UserPaths, problems: &mut Problems) {
    if user.rights.tenants.is_empty() && !user.may_use_console() {
        let message = format!(
            "user \"{}\" may name no tenant: list names or patterns, such as \
             tenants = [\"acme_corp\"], [\"acme_*\"] or [\"*\"]",
            user.name
        );
        problems.at(&[&paths.tenants, &paths.name], message);
    }
    if user.rights.tenants.iter().any(String::is_empty) {
        problems.at(&[&paths.tenants], "an empty name in \"tenants\": leave it out");
    }
}

/// Reports databases that are none: a name with no `*` in it is one of the configured. `who`: `user "app"`.
pub(super) fn databases_of(
    who: &str,
    databases: &[String],
    config: &Config,
    paths: &[&str],
    problems: &mut Problems,
) {
    if databases.is_empty() {
        let message = format!(
            "{who} may connect to no database: list names or patterns, such as databases = [\"app\"], or leave it out \
             for all of them"
        );
        problems.at(paths, message);
    }
    for wanted in databases {
        if !wanted.contains('*') && !config.databases.get(wanted).is_some_and(Database::is_entrance) {
            let message = format!(
                "\"databases\" of {who} has \"{wanted}\", and there is no [databases.{wanted}]: take the name that \
                 clients use"
            );
            problems.at(paths, message);
        }
    }
}

fn secret(user: &User, password: &str, config: &Config, paths: &UserPaths, problems: &mut Problems) {
    let name = &user.name;
    if Verifier::is_meant(password) && Verifier::parse(password).is_none() {
        let message = format!(
            "the SCRAM verifier of user \"{name}\" can't be read: it must be \
             SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>, as in pg_authid.rolpassword"
        );
        problems.at(&paths.with_secret("password"), message);
    } else if md5_digits(password).is_some() && user.rights.auth == AuthMethod::ScramSha256 {
        let message = format!(
            "user \"{name}\" has an MD5 hash, and can't log in by SCRAM: set auth = \"md5\", or give the password or a \
             SCRAM verifier"
        );
        problems.at(&paths.with_secret("password"), message);
    }
    if Verifier::is_meant(password) && user.rights.auth == AuthMethod::Md5 {
        let message = format!(
            "user \"{name}\" can't log in by MD5 with a SCRAM verifier: set auth = \"scram-sha-256\", \
             or give the password"
        );
        problems.at(&paths.with_secret("auth"), message);
    }
    let unasked = match user.rights.auth {
        AuthMethod::Trust => Some("trust"),
        AuthMethod::Cert => Some("cert"),
        AuthMethod::Peer => Some("peer"),
        AuthMethod::ScramSha256 | AuthMethod::Md5 | AuthMethod::Password => None,
    };
    if let Some(auth) = unasked
        && config.hba.is_none()
    {
        let message = format!(
            "user \"{name}\" has a password that auth = \"{auth}\" never asks for: \
             set auth = \"scram-sha-256\", or take the password out"
        );
        problems.at(&paths.with_secret("auth"), message);
    }
}
