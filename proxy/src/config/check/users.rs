//! Users: how they log in, and which tenants they may name.

use crate::config::problem::Problems;
use crate::config::{AuthMethod, Config, ListenTls, User};

/// A key that is shorter can be found by trying.
const KEY_BYTES: usize = 32;

/// What PostgreSQL's verifiers start with.
const SCRAM: &str = "SCRAM-SHA-256$";

/// Reports users that can't log in, or that could without what they seem to need.
pub(super) fn check(config: &Config, problems: &mut Problems) {
    default(config, problems);
    for (i, user) in config.users.iter().enumerate() {
        let paths = UserPaths::new(i);
        name(user, config.users.get(..i).unwrap_or_default(), &paths, problems);
        tenants(user, &paths, problems);
        match user.password.expose() {
            Some(password) => secret(user, password, &paths, problems),
            None if user.auth == AuthMethod::Trust => {}
            None => {
                let message = format!(
                    "user \"{}\" has no password: add \"password_env\", \"password_file\" or \"password\"",
                    user.name
                );
                problems.at(&paths.with_secret("name"), message);
            }
        }
        if user.auth != config.listen.auth {
            let message = format!(
                "user \"{}\" logs in by another method than \"auth\" in [listen], which unknown users are asked \
                 for: whoever connects can tell that it exists",
                user.name
            );
            problems.warn(&[&paths.auth, &paths.name], message);
        }
        console(user, config, &paths, problems);
        if user.auth == AuthMethod::Password && config.listen.tls == ListenTls::Off {
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
    if user.admin && user.auth == AuthMethod::Trust && !config.listen.address.ip().is_loopback() {
        let message = format!(
            "user \"{}\" may use the console (admin = true) and logs in with no proof (auth = \"trust\"), from other \
             machines too: give it a password, or listen on 127.0.0.1",
            user.name
        );
        problems.at(&[&paths.auth, &paths.name], message);
    }
}

/// What unknown users are asked for, and what their salts come from.
fn default(config: &Config, problems: &mut Problems) {
    if config.listen.auth == AuthMethod::Trust {
        let message =
            "\"auth\" in [listen] must not be \"trust\", which asks for no proof: give that to single users";
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
    auth: String,
    secrets: [String; 3],
}

impl UserPaths {
    fn new(i: usize) -> Self {
        let path = |key: &str| format!("users[{i}].{key}");
        Self {
            name: path("name"),
            tenants: path("tenants"),
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
    if user.tenants.is_empty() && !user.may_use_console() {
        let message = format!(
            "user \"{}\" may name no tenant: list names or patterns, such as \
             tenants = [\"acme_corp\"], [\"acme_*\"] or [\"*\"]",
            user.name
        );
        problems.at(&[&paths.tenants, &paths.name], message);
    }
    if user.tenants.iter().any(String::is_empty) {
        problems.at(&[&paths.tenants], "an empty name in \"tenants\": leave it out");
    }
}

fn secret(user: &User, password: &str, paths: &UserPaths, problems: &mut Problems) {
    let name = &user.name;
    if password.starts_with(SCRAM) && !is_verifier(password) {
        let message = format!(
            "the SCRAM verifier of user \"{name}\" can't be read: it must be \
             SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>, as in pg_authid.rolpassword"
        );
        problems.at(&paths.with_secret("password"), message);
    } else if is_md5_hash(password) {
        let message = format!(
            "the password of user \"{name}\" is an MD5 hash, which is not supported: \
             give the password, or a SCRAM verifier"
        );
        problems.at(&paths.with_secret("password"), message);
    }
    if password.starts_with(SCRAM) && user.auth == AuthMethod::Md5 {
        let message = format!(
            "user \"{name}\" can't log in by MD5 with a SCRAM verifier: set auth = \"scram-sha-256\", \
             or give the password"
        );
        problems.at(&paths.with_secret("auth"), message);
    }
    if user.auth == AuthMethod::Trust {
        let message = format!(
            "user \"{name}\" has a password that auth = \"trust\" never asks for: \
             set auth = \"scram-sha-256\", or take the password out"
        );
        problems.at(&paths.with_secret("auth"), message);
    }
}

/// Whether the text has the form of PostgreSQL's SCRAM verifiers.
fn is_verifier(text: &str) -> bool {
    let parts = || {
        let (iterations, rest) = text.strip_prefix(SCRAM)?.split_once(':')?;
        let (salt, rest) = rest.split_once('$')?;
        let (stored, server) = rest.split_once(':')?;
        Some((iterations, salt, stored, server))
    };
    let Some((iterations, salt, stored, server)) = parts() else {
        return false;
    };
    iterations.parse::<u32>().is_ok_and(|n| n > 0)
        && base64_bytes(salt).is_some_and(|n| n > 0)
        && [stored, server].into_iter().all(|key| base64_bytes(key) == Some(32))
}

/// How many bytes `text` holds, if it is base64.
fn base64_bytes(text: &str) -> Option<usize> {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    let valid = digits.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+' || b == b'/');
    (valid && text.len().is_multiple_of(4) && padding <= 2).then(|| text.len() / 4 * 3 - padding)
}

fn is_md5_hash(text: &str) -> bool {
    let hash = text.strip_prefix("md5");
    hash.is_some_and(|hash| hash.len() == 32 && hash.bytes().all(|b| b.is_ascii_hexdigit()))
}
