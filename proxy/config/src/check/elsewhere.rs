//! Users whose secrets stand elsewhere.

use std::collections::HashSet;

use super::users;
use crate::elsewhere::AuthFile;
use crate::load::REPORTED;
use crate::problem::Problems;
use crate::userlist::{self, Line};
use crate::verifier::{Verifier, md5_digits};
use crate::{AuthMethod, Config, ListenTls, Rights, Secret, TenantSource, User};

/// The users of `[auth_file]`. Reports those that can't log in, and those that are there twice.
pub(crate) fn file(config: &Config, problems: &mut Problems) -> Vec<User> {
    let Some(file) = &config.auth_file else { return Vec::new() };
    rights("auth_file", &file.rights, config, problems);
    let lines = userlist::parse(file.text.expose().unwrap_or_default());
    let lines = lines.unwrap_or_else(|(number, error)| {
        problems.at(&["auth_file.path"], format!("{}:{number}: {error}", file.path.display()));
        Vec::new()
    });
    let named: HashSet<&str> = config.users.iter().map(|user| user.name.as_str()).collect();
    let wrong = |line: &Line| Some((line.number, wrong(line, &named, file, config)?));
    for (number, error) in lines.iter().filter_map(wrong).take(REPORTED) {
        problems
            .at(&["auth_file.path", "auth_file.auth"], format!("{}:{number}: {error}", file.path.display()));
    }
    if lines.iter().any(|line| is_other_method(line, config)) {
        let message = "users of [auth_file] log in by another method than \"auth\" in [listen], which unknown users \
                       are asked for: whoever connects can tell that they exist";
        problems.warn(&["auth_file.auth", "auth_file.path"], message);
    }
    // PgBouncer has such lines for users that are never to log in.
    let usable = lines.into_iter().filter(|line| !line.secret.is_empty());
    usable.map(|line| file.rights.user(&line.name, Secret::new(&line.secret))).collect()
}

/// Reports a query that can't be asked.
pub(crate) fn query(config: &Config, problems: &mut Problems) {
    let Some(query) = &config.auth_query else { return };
    rights("auth_query", &query.rights, config, problems);
    match (&query.database, query.database(&config.databases)) {
        (_, Some(_)) => {}
        (Some(name), None) => {
            let message =
                format!("\"database\" in [auth_query] is \"{name}\", and there is no [databases.{name}]");
            problems.at(&["auth_query.database"], message);
        }
        (None, None) => {
            let message =
                "[auth_query] needs \"database\", as there are several: the one that is to be asked";
            problems.at(&["auth_query.database", "auth_query"], message);
        }
    }
    if query.user.is_empty() || query.user.contains('\0') {
        problems.at(&["auth_query.user"], "\"user\" in [auth_query] must not be empty or hold a NUL");
    }
    if !query.query.contains("$1") {
        let message = "\"query\" in [auth_query] has no $1, for which the user's name is put in: take what it asks for \
                       from there";
        problems.at(&["auth_query.query"], message);
    }
    if query.rights.auth != config.listen.auth {
        let message = "users of [auth_query] log in by another method than \"auth\" in [listen], which unknown users \
                       are asked for: whoever connects can tell that they exist";
        problems.warn(&["auth_query.auth", "auth_query"], message);
    }
}

/// Reports rights that nobody can use, or that nobody should have.
fn rights(section: &str, rights: &Rights, config: &Config, problems: &mut Problems) {
    let path = |key: &str| format!("{section}.{key}");
    if rights.tenants.is_empty() {
        let message = format!(
            "users of [{section}] may name no tenant: list names or patterns, such as tenants = [\"$user\"] (the \
             tenant called as the user is), [\"acme_*\"] or [\"*\"]"
        );
        problems.at(&[&path("tenants"), section], message);
    }
    if rights.tenants.iter().any(String::is_empty) {
        problems.at(&[&path("tenants")], "an empty name in \"tenants\": leave it out");
    }
    users::databases_of(
        &format!("[{section}]"),
        &rights.databases,
        config,
        &[&path("databases"), section],
        problems,
    );
    if rights.auth == AuthMethod::Cert {
        let who = format!("users of [{section}] log in");
        users::certificate(&who, &[&path("auth"), section], config, problems);
    }
    if rights.auth == AuthMethod::Peer {
        let who = format!("users of [{section}] log in");
        users::peer(&who, &[&path("auth"), section], config, problems);
    }
    let message = match rights.auth {
        AuthMethod::Trust => {
            format!("\"auth\" in [{section}] must not be \"trust\": give that to single users")
        }
        AuthMethod::Password if config.listen.tls == ListenTls::Off => format!(
            "users of [{section}] send their passwords as they are, which needs TLS: set tls = \"required\" in \
             [listen], or auth = \"scram-sha-256\""
        ),
        _ => return,
    };
    problems.at(&[&path("auth"), "listen.auth", "listen.tls"], message);
}

/// Why the user of that line can't be one.
fn wrong(line: &Line, named: &HashSet<&str>, file: &AuthFile, config: &Config) -> Option<String> {
    let Line { name, secret, .. } = line;
    if named.contains(name.as_str()) {
        return Some(format!("user \"{name}\" is in [[users]], too: take one of them out"));
    }
    let tenancy = &config.tenancy;
    if tenancy.sources.contains(&TenantSource::UserSuffix) && name.contains(tenancy.separator) {
        let separator = tenancy.separator;
        return Some(format!(
            "user \"{name}\" holds the separator \"{separator}\", which starts a tenant's name there: rename it, or \
             change \"separator\" in [tenancy]"
        ));
    }
    if Verifier::is_meant(secret) && Verifier::parse(secret).is_none() {
        return Some(format!("the SCRAM verifier of user \"{name}\" can't be read"));
    }
    if md5_digits(secret).is_some() && file.rights.auth == AuthMethod::ScramSha256 {
        return Some(format!(
            "user \"{name}\" has an MD5 hash, and can't log in by SCRAM: set auth = \"md5\" in [auth_file], or give it \
             a SCRAM verifier"
        ));
    }
    None
}

/// Whether the user is asked for something else than one that does not exist.
fn is_other_method(line: &Line, config: &Config) -> bool {
    let Some(AuthFile { rights: Rights { auth, .. }, .. }) = config.auth_file else { return false };
    let is_verifier = Verifier::is_meant(&line.secret);
    // As in PostgreSQL, a verifier is proven by SCRAM where MD5 is asked for.
    let auth = if auth == AuthMethod::Md5 && is_verifier { AuthMethod::ScramSha256 } else { auth };
    auth != config.listen.auth
}
