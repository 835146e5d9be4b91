//! What is refused, with the line and the advice.

use super::{parse, with_basics};

fn error(text: &str) -> String {
    parse(text).expect_err("it must be refused").to_string()
}

/// `text` is refused with exactly one problem, on line `line`, that says `says`.
#[track_caller]
fn refused(text: &str, line: usize, says: &str) {
    let error = error(text);
    let start = format!("etc/pgstrata.toml:{line}: ");
    let one = error.lines().count() == 1 && error.starts_with(&start) && error.contains(says);
    assert!(one, "wanted {start}..{says}.., got:\n{error}");
}

/// As [`refused`], with a database and a user behind `text`.
#[track_caller]
fn refused_part(text: &str, line: usize, says: &str) {
    refused(&with_basics(text), line, says);
}

/// As [`refused`], with `keys` in a table of a user whose name is on line 5.
#[track_caller]
fn refused_user(keys: &str, line: usize, says: &str) {
    let database = "[databases.app]\nhost = \"db\"\nuser = \"app\"\n";
    refused(&format!("{database}[[users]]\nname = \"joe\"\n{keys}"), line, says);
}

#[test]
fn unknown_key_names_the_nearest() {
    let error = error(&with_basics("[pool]\nmax_server = 3"));
    assert_eq!(
        error,
        "etc/pgstrata.toml:2: unknown key \"max_server\" in [pool]; did you mean \"max_servers\"?"
    );
    refused_part("[listn]", 1, "unknown key \"listn\" in the file; did you mean \"listen\"?");
    refused_part("[http]\nfoo = 1", 2, "it knows enabled, address");
    refused_part("[tenants.x]\nshema = 'y'", 2, "in [tenants.x]; did you mean \"schema\"?");
}

#[test]
fn wrong_types_say_what_is_wanted() {
    refused_part("[pool]\nmax_servers = '3'", 2, "must be a whole number with no quotes");
    refused_part("[pool]\nmax_servers = -3", 2, "0 or more");
    refused_part("[pool]\nwait_timeout = 30", 2, "\"30s\"");
    refused_part("[pool]\nwait_timeout = '30 parsecs'", 2, "a time with its unit");
    refused_part("[pool]\nmode = 'statement'", 2, "must be \"transaction\" or \"session\"");
    refused_part("[listen]\naddress = 'localhost'", 2, "an IP address and a port");
    refused_part("[metrics]\ntenants = 1001", 2, "1000 at most");
    refused_part("[http]\nenabled = 'yes'", 2, "true or false");
    refused_part("[tenancy]\nseparator = '::'", 2, "exactly one character");
    refused_part("[tenancy]\nsources = 'options'", 2, "a list in brackets");
    refused_part("[tenancy]\nsources = [\n'options',\n'header']", 4, "\"database_suffix\"");
    refused_part("pool = 3", 1, "[pool] must be a table");
    refused_part("tenants = 3", 1, "[tenants.NAME]");
    refused("users = 3\n[databases.a]\nhost='h'\nuser='u'", 1, "[[users]]");
    refused("[databases.a]\nhost='h'\nuser='u'\nport = 70000", 4, "from 1 to 65535");
    let user = |key: &str| format!("password = 'x'\ntenants = ['a']\n{key}");
    refused_user(
        &user("statements = 'select'"),
        8,
        "\"statements\" in [[users]] must be \"read\", \"write\", \"ddl\" or \"all\"",
    );
    refused_user(&user("tenant_switch = 'on'"), 8, "true or false");
}

#[test]
fn missing_parts_are_named() {
    refused("[databases.a]\nuser = 'u'", 1, "[databases.a] needs \"host\": add host = ");
    let none = error("[pool]");
    assert!(none.contains("etc/pgstrata.toml: no database"), "{none}");
    let file = super::Config::load(std::path::Path::new("no/such.toml")).unwrap_err().to_string();
    assert!(file.starts_with("no/such.toml: cannot read the file: "), "{file}");
}

#[test]
fn all_problems_are_listed_by_line() {
    let error = error("[pool]\nmode = 1\nmin_servers = 9\nmax_servers = 3\nx = 1\n[http]\nport = 2");
    let lines: Vec<u32> = error.lines().filter_map(|l| l.split(':').nth(1)?.parse().ok()).collect();
    assert_eq!(lines, [2, 3, 5, 7], "{error}");
}

#[test]
fn broken_toml_is_located_and_not_quoted() {
    let error = error("[[users]]\nname = \"joe\"\npassword = \"hunter2\nauth = \"trust\"\n");
    assert!(error.starts_with("etc/pgstrata.toml:3: not valid TOML: "), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
    refused_part("[pool]\n[pool]", 2, "duplicate key");
}

#[test]
fn contradictions_of_the_listener() {
    refused_part("[listen]\ntls = 'required'\ntls_key = 'server.key'", 2, "\"tls_certificate\"");
    refused_part("[listen]\ntls_key = 'gone'", 2, "cannot read etc/gone: no such file");
    let tls = "[listen]\ntls = 'required'\ntls_certificate = ";
    refused_part(&format!("{tls}'pem'\ntls_key = 'other.key'"), 4, "is not the key of \"tls_certificate\"");
    refused_part(&format!("{tls}'server.key'\ntls_key = 'server.key'"), 3, "holds no certificate in PEM");
    refused_part(&format!("{tls}'garbage'\ntls_key = 'server.key'"), 3, "holds no certificate in PEM");
    refused_part(&format!("{tls}'pem'\ntls_key = 'pem'"), 4, "holds no private key in PEM");
    refused_part("[listen]\nmax_clients = 0", 2, "must not be 0");
    refused_part("[listen]\nlogin_timeout = '0s'", 2, "must not be 0");
    refused_part("[listen]\nfailed_login_pause = '15s'", 2, "no shorter than \"login_timeout\"");
    refused_part("[http]\naddress = '127.0.0.1:6432'", 2, "another port");
    refused_part("[log]\nlevel = 'pgstrata=loud'", 2, "must be a filter");
    refused_part("[pool]\nmin_servers = 30", 2, "above \"max_servers\", 20");
}

#[test]
fn limits_are_one_or_more_and_a_pattern_has_nothing_else() {
    for table in ["tenancy.limits", "tenants.a.limits", "tenants.'a*'.limits", "databases.app.limits"] {
        let text = |line: &str| format!("[{table}]\n{line}");
        refused_part(&text("max_clients = 0"), 2, "must be a whole number with no quotes, 1 or more");
        refused_part(&text("max_clients = -1"), 2, "1 or more; leave it out for no limit");
        refused_part(&text("query_timeout = '0s'"), 2, "must be a time above 0");
        refused_part(&text("wait_notice = 5"), 2, "a time with its unit in quotes");
        refused_part(&text("max_waiting = '5'"), 2, "\"max_waiting\" in [");
        refused_part(&text("max_client = 5"), 2, "did you mean \"max_clients\"?");
    }
    refused_user(
        "password = 'x'\ntenants = ['a']\n[users.limits]\nmax_clients = 0",
        9,
        "\"max_clients\" in [users[0].limits]",
    );
    refused_part(
        "[tenants.'a*']\nschema = 'b'",
        2,
        "unknown key \"schema\" in [tenants.a*]; it knows limits",
    );
    refused_part("[tenants]\na.limits = 3", 2, "[tenants.a.limits] must be a table");
}

#[test]
fn contradictions_of_limits() {
    refused_part("[tenancy.limits]\nmin_servers = 1", 2, "unknown key \"min_servers\" in [tenancy.limits]");
    refused_part("[tenants.'a*'.limits]\nmin_servers = 1", 2, "unknown key \"min_servers\"");
    refused_part(
        "[tenancy.limits]\nburst = 5",
        2,
        "\"burst\" needs \"requests_per_second\" in the same table",
    );
    refused_part("[tenancy.limits]\nrequests_per_second = 0", 2, "1 or more");
    refused_part("[databases.app.limits]\nweight = 2", 2, "unknown key \"weight\"");
    refused_part("[tenancy.limits]\nweight = 1001", 2, "1000 turns in a row at most");
    refused_part(
        "[tenancy]\nmax_servers_per_tenant = 3\n[tenancy.limits]\nmax_servers = 3",
        2,
        "\"max_servers_per_tenant\" in [tenancy] and \"max_servers\" in [tenancy.limits] are one limit",
    );
    let database = "[databases.app.limits]\nmin_servers = 3\nmax_servers = 2";
    refused_part(database, 2, "is 3, above its \"max_servers\", 2");
    refused_part("[databases.app.limits]\nmin_servers = 30", 2, "above its \"max_servers\", 20");
    let kept = "[tenants.a.limits]\nmin_servers = 12\n[tenants.b.limits]\nmin_servers = 8";
    refused_part(kept, 2, "together is 20, and database \"app\" has 20 servers");
    let less = "[tenancy.limits]\nmax_servers = 2\n[tenants.a.limits]\nmin_servers = 3";
    refused_part(less, 4, "is 3, above tenancy.limits.max_servers, 2");
}

#[test]
fn contradictions_of_names() {
    refused_part("[tenancy]\nsources = []", 2, "nobody could name a tenant");
    refused_part("[tenancy]\nsources = ['options', 'options']", 2, "twice");
    refused_part("[tenancy]\nseparator = '_'", 2, "must not be a letter");
    refused_part("[tenancy]\nshared_schemas = ['pg_catalog']", 2, "PostgreSQL's own");
    refused_part("[tenants.a]\nschema = ''", 2, "a schema name must not be empty");
    refused_part("[tenants.a]\nschema = 'information_schema'", 2, "PostgreSQL's own");
    refused_part("[tenants.pg_x]", 1, "PostgreSQL's own");
    refused_part("[tenants.pgstrata]", 1, "pgstrata's");
    refused_part("[tenants.''] ", 1, "must not be empty");
    refused_part("[tenants.a]\nschema = 'public'", 2, "shared_schemas");
    refused_part("[tenants.a]\n[tenants.b]\nschema = 'a'", 3, "have one schema, \"a\"");
    let database = "[databases.'a.b']\nhost = 'h'\nuser = 'u'\n[tenancy]\n";
    refused_part(&format!("{database}sources = ['database_suffix']"), 1, "holds the separator");
}

#[test]
fn contradictions_of_databases() {
    let start = "[databases.a]\nuser = 'u'\nhost = ";
    refused(&format!("{start}''"), 3, "must not be empty");
    for host in ["a,b", "postgres://a", "a:5432", "[::1]", "a b", "a/b"] {
        refused(&format!("{start}'{host}'"), 3, "one host name, one address");
    }
    refused(&format!("{start}'h'\ntls = 'verify-ca'\ntls_ca = 'garbage'"), 5, "holds no certificate in PEM");
    refused(&format!("{start}'/run'\ntls = 'require'"), 4, "a Unix socket does not have");
    refused(&format!("{start}'h'\ntls_ca = 'pem'"), 4, "no certificate is verified");
    refused(&format!("{start}'h'\npassword_env = 'GONE'"), 4, "is not set");
    refused(&format!("{start}'h'\npassword_file = 'gone'"), 4, "cannot read etc/gone");
    refused(&format!("{start}'h'\npassword_file = 'empty'"), 4, "the password is empty");
}

#[test]
fn contradictions_of_users() {
    let all = "tenants = ['*']\n";
    refused_user(all, 5, "user \"joe\" has no password");
    refused_user("password = 'pw'", 5, "may name no tenant");
    refused_user("password = 'pw'\ntenants = []", 7, "may name no tenant");
    refused_user("password = 'pw'\ntenants = ['']", 7, "an empty name");
    refused_user(&format!("{all}password = 'pw'\ndatabases = []"), 8, "may connect to no database");
    refused_user(&format!("{all}password = 'pw'\ndatabases = ['a*', 'shop']"), 8, "no [databases.shop]");
    refused_user(&format!("{all}password = 'pw'\npassword_env = 'X'"), 8, "two sources");
    refused_user(&format!("{all}password = 'pw'\nauth = 'password'"), 8, "which needs TLS");
    refused_user(&format!("{all}password = 'pw'\nauth = 'trust'"), 8, "never asks for");
    let again = format!("{all}password = 'pw'\n[[users]]\nname = 'joe'\n{all}password = 'pw'");
    refused_user(&again, 9, "user \"joe\" is there twice");
}

#[test]
fn scram_verifiers_are_looked_at() {
    let verifier = "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$\
        AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let user = |password: &str| format!("tenants = ['*']\npassword = '{password}'\n");
    let md5 = format!("{}auth = 'md5'", user(verifier));
    refused_user(&md5, 8, "can't log in by MD5 with a SCRAM verifier");
    refused_user(&user(&verifier[..80]), 7, "can't be read");
    refused_user(&user("SCRAM-SHA-256$0:aaaa$b:c"), 7, "can't be read");
    refused_user(&user("md5a3556571e93b0d20722ba62be61e8c2d"), 7, "has an MD5 hash");
    let good = format!("[databases.a]\nhost='h'\nuser='u'\n[[users]]\nname='x'\n{}", user(verifier));
    assert_eq!(parse(&good).unwrap().users[0].password.expose(), Some(verifier));
}

#[test]
fn users_of_a_file_are_looked_at() {
    let file = |name: &str, keys: &str| format!("[auth_file]\npath = '{name}'\ntenants = ['*']\n{keys}\n");
    let good = parse(&with_basics(&file("users", ""))).unwrap();
    let names: Vec<&str> = good.users.iter().map(|user| user.name.as_str()).collect();
    assert_eq!(names, ["app", "joe", "a.b"]);
    assert_eq!(good.users[1].password.expose(), Some("pw"));
    refused_part(&file("gone", ""), 2, "cannot read etc/gone: no such file");
    refused_part(&file("quotes", ""), 2, "etc/quotes:2: behind the name its password must stand");
    refused_part("[auth_file]\ntenants = ['*']", 1, "needs \"path\"");
    refused_part("[auth_file]\npath = 'users'", 1, "may name no tenant");
    refused_part(&file("users", "databases = ['shop']"), 4, "no [databases.shop]");
    refused_part(&file("users", "auth = 'trust'"), 4, "must not be \"trust\"");
    refused_part(&file("users", "auth = 'password'"), 4, "which needs TLS");
    refused_part(&file("users", "admin = true"), 4, "unknown key \"admin\"");
    let suffix = format!("{}[tenancy]\nsources = ['user_suffix']", file("users", ""));
    refused_part(&suffix, 2, "etc/users:2: user \"a.b\" holds the separator");
    let both = error(&with_basics(&file("hashes", "")));
    assert!(both.contains("etc/hashes:1: user \"x\" has an MD5 hash"), "{both}");
    assert!(both.contains("etc/hashes:2: the SCRAM verifier of user \"y\" can't be read"), "{both}");
    assert!(!both.contains("hunter2") && !both.contains("a3556571"), "{both}");
    let twice = format!(
        "{}\n[[users]]\nname = 'joe'\npassword = 'x'\ntenants = ['*']",
        with_basics(&file("users", ""))
    );
    refused(&twice, 2, "etc/users:1: user \"joe\" is in [[users]], too");
}

#[test]
fn query_for_users_is_looked_at() {
    let query = |keys: &str| format!("[auth_query]\nuser = 'asks'\ntenants = ['*']\n{keys}\n");
    assert!(parse(&with_basics("")).unwrap().auth_query.is_none());
    let good = parse(&with_basics(&query(""))).unwrap().auth_query.unwrap();
    assert!(good.query.contains("pgstrata.login($1)") && good.user == "asks");
    refused_part("[auth_query]\ntenants = ['*']", 1, "needs \"user\"");
    refused_part("[auth_query]\nuser = 'asks'", 1, "may name no tenant");
    refused_part(&query("query = 'SELECT 1'"), 4, "has no $1");
    refused_part(&query("database = 'shop'"), 4, "no [databases.shop]");
    refused_part(&query("auth = 'trust'"), 4, "must not be \"trust\"");
    let two = format!("{}[databases.b]\nhost = 'h'\nuser = 'u'", query(""));
    refused_part(&two, 1, "there are several");
}

#[test]
fn certificates_of_clients_need_somebody_who_signs_them() {
    let cert = |keys: &str| format!("[[hba]]\nmethod = 'cert'\n{keys}");
    refused_part(&cert(""), 2, "needs \"tls_client_ca\"");
    refused_user("tenants = ['*']\nauth = 'cert'", 7, "needs \"tls_client_ca\"");
    let asked = error(&with_basics("[listen]\nauth = 'cert'"));
    assert!(asked.contains("etc/pgstrata.toml:2: \"auth\" in [listen] must not be \"cert\""), "{asked}");
    refused_part("[listen]\ntls_client_required = true", 2, "needs \"tls_client_ca\"");
    refused_part("[listen]\ntls_client_ca = 'pem'", 2, "no effect without TLS");
    refused_part("[[cert_map]]\nname = ''\nuser = 'app'", 1, "must not be empty");
    refused_part("[[cert_map]]\nname = 'x'", 1, "needs \"user\"");
    let map = "[[cert_map]]\nname = 'x'\nuser = 'app'\ntenants = ['a']";
    assert!(parse(&with_basics(map)).is_ok());
    let switch = error(&(with_basics(map) + "tenant_switch = true\n"));
    assert!(switch.contains(":4: \"tenants\" in [[cert_map]] would not hold user \"app\""), "{switch}");
    let elsewhere = format!("{map}\n[auth_query]\nuser = 'q'\ntenants = ['*']\ntenant_switch = true")
        .replace("'app'", "'x'");
    refused_part(&elsewhere, 4, "would not hold user \"x\"");
    let tls = "[listen]\ntls = 'required'\ntls_certificate = 'pem'\ntls_key = 'server.key'\ntls_client_ca = ";
    refused_part(&format!("{tls}'garbage'"), 5, "holds no certificate in PEM");
    assert!(parse(&with_basics(&cert(&format!("{tls}'pem'")))).is_ok());
}

#[test]
fn rules_are_looked_at() {
    refused_part("[[hba]]", 1, "needs \"method\"");
    refused_part("[[hba]]\nmethod = 'ldap'", 2, "\"trust\" or \"reject\"");
    refused_part("[[hba]]\nmethod = 'md5'\naddress = ['localhost']", 3, "each an IP address or a network");
    refused_part("[[hba]]\nmethod = 'md5'\nusers = ['a']", 3, "did you mean \"user\"?");
    refused_part("hba_file = 'gone'", 1, "cannot read etc/gone");
    refused_part("hba_file = 'empty'\n[[hba]]\nmethod = 'md5'", 1, "two sources of rules");
    assert_eq!(parse(&with_basics("hba_file = 'empty'")).unwrap().hba, Some(Vec::new()));
    assert_eq!(parse(&with_basics("")).unwrap().hba, None);
    let lines = error(&with_basics("hba_file = 'hba'"));
    assert!(lines.contains("etc/pgstrata.toml:1: etc/hba:2: method \"ldap\""), "{lines}");
    assert!(lines.contains("etc/pgstrata.toml:1: etc/hba:3: method \"sspi\""), "{lines}");
}

#[test]
fn no_error_holds_a_secret() {
    for keys in [
        "password = 'hunter2'\npassword_file = 'x'",
        "password_env = 'hunter2'",
        "password = 'SCRAM-SHA-256$hunter2'",
        "auth = 'hunter2'",
        "password = [ 'hunter2' ]",
        "password = 'hunter2'\nauth = 'trust'\ntenants = 3",
    ] {
        let text = format!("[databases.app]\nhost = 'h'\nuser = 'u'\n[[users]]\nname = 'x'\n{keys}");
        let error = parse(&text).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }
}

#[test]
fn roles_that_keep_nobody_apart_are_refused() {
    refused_part("[tenancy]\ntier = 'rolle'", 2, "\"names\", \"role\" or \"login\"");
    refused_part("[tenancy]\nrole_prefix = 'pg_'", 2, "PostgreSQL's own");
    refused_part("[tenants.x]\nrole = 'y'", 2, "no effect in the tier \"names\"");
    let role =
        |tenants: &str, line, says| refused_part(&format!("[tenancy]\ntier = 'role'\n{tenants}"), line, says);
    // Under it `SET ROLE` would go back to the servers' own.
    role("[tenants.x]\nrole = 'none'", 4, "PostgreSQL's own");
    role("[tenants.x]\nrole = 'pg_read_all_data'", 4, "PostgreSQL's own");
    role("[tenants.x]\nrole = ''", 4, "must not be empty");
    role("[tenants.x]\nrole = 'app'", 4, "the proxy's servers log in as");
    let both =
        error(&with_basics("[tenancy]\ntier = 'role'\n[tenants.x]\nrole = 'y'\n[tenants.z]\nrole = 'y'"));
    assert_eq!(both.matches("it is another tenant's").count(), 2, "{both}");
    role(&format!("[tenants.{}]\nstrategy = 'search_path'", "x".repeat(60)), 3, "longer than 63 bytes");
    refused_part(
        "[tenants.x]\ntier = 'role'\nrole = 'tenant_y'\n[tenants.y]\ntier = 'role'",
        4,
        "another tenant's",
    );
}

#[test]
fn tier_that_logs_in_needs_a_key() {
    refused_part("[tenancy]\ntier = 'login'", 2, "needs a key");
    refused_part("[tenants.x]\ntier = 'login'", 2, "\"login_key_env\"");
    refused_part("[tenancy]\nlogin_key = 'short'", 2, "less than 32 bytes");
    refused_part("[tenancy]\nlogin_key = 'x'\nlogin_key_env = 'Y'", 3, "two sources for one login key");
    refused_part("[tenancy]\nlogin_key_file = 'empty'", 2, "the login key is empty");
    refused_part("[pool]\nmax_servers_per_tenant = 50", 2, "above \"max_tenant_servers\", 40");
    refused_part("[pool]\nmax_servers_per_tenant = 0", 2, "must not be 0");
    refused_part("[tenancy]\nmax_servers_per_tenant = 0", 2, "must not be 0");
}

#[test]
fn console_has_its_own_names_and_its_users_prove_who_they_are() {
    for name in ["pgstrata", "pgbouncer"] {
        let text = format!("[databases.{name}]\nhost = 'db'\nuser = 'app'\ntls = 'disable'");
        refused_part(&text, 1, "by which clients ask for the console");
    }
    // They may name no tenant.
    for key in ["admin", "stats"] {
        let user = format!("[[users]]\nname = 'ops'\npassword = 'x'\n{key} = true");
        let config = parse(&with_basics(&user)).unwrap();
        assert!(config.users.iter().any(|user| user.name == "ops" && user.may_use_console()), "{key}");
    }
    let trusted = "[[users]]\nname = 'ops'\nauth = 'trust'\nadmin = true";
    parse(&with_basics(trusted)).unwrap();
    let open = format!("[listen]\naddress = '0.0.0.0:6432'\n{trusted}");
    refused_part(&open, 5, "may use the console (admin = true) and logs in with no proof");
}
