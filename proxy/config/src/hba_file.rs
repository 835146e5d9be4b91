//! PostgreSQL's `pg_hba.conf`, as far as it means something here. What does not is an error, and never passed over.

use std::net::IpAddr;

use super::AuthMethod;
use super::hba::{HbaMethod, HbaRule, Network, Wanted};

/// What is wrong with a line, and its number.
pub(super) type Broken = (usize, String);

/// PostgreSQL's methods for Unix sockets that are none here.
const METHODS_ELSEWHERE: [&str; 6] = ["gss", "sspi", "ident", "ldap", "radius", "pam"];

/// A word of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    text: String,
    /// A keyword in quotes is a name.
    quoted: bool,
}

/// A field: words with commas between them.
type Field = Vec<Word>;

/// The rules of the file, in their order; or each line that can't be used.
pub(super) fn parse(text: &str) -> Result<Vec<HbaRule>, Vec<Broken>> {
    let (mut rules, mut broken) = (Vec::new(), Vec::new());
    for (number, line) in logical_lines(text) {
        match fields(&line).and_then(|fields| rule(&fields)) {
            Ok(rule) => rules.extend(rule),
            Err(error) => broken.push((number, error)),
        }
    }
    if broken.is_empty() { Ok(rules) } else { Err(broken) }
}

/// Lines with those joined that end in a backslash, each with the number of its first.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut out: Vec<(usize, String)> = Vec::new();
    let mut goes_on = false;
    for (at, line) in text.lines().enumerate() {
        let (line, more) = match line.strip_suffix('\\') {
            Some(line) => (line, true),
            None => (line, false),
        };
        match out.last_mut().filter(|_| goes_on) {
            Some((_, before)) => before.push_str(line),
            None => out.push((at + 1, line.to_owned())),
        }
        goes_on = more;
    }
    out
}

/// The fields of a line, without its comment.
fn fields(line: &str) -> Result<Vec<Field>, String> {
    let mut fields: Vec<Field> = Vec::new();
    let mut rest = line.chars().peekable();
    // Behind a comma, the next word belongs to the same field.
    let mut joined = false;
    loop {
        while rest.next_if(|c| c.is_whitespace()).is_some() {}
        if rest.peek().is_none_or(|c| *c == '#') {
            return Ok(fields);
        }
        let mut word = Word { text: String::new(), quoted: false };
        let mut inside = false;
        while let Some(c) = rest.next_if(|c| inside || !(c.is_whitespace() || matches!(c, ',' | '#'))) {
            match c {
                '"' if inside && rest.next_if_eq(&'"').is_some() => word.text.push('"'),
                '"' => (inside, word.quoted) = (!inside, true),
                c => word.text.push(c),
            }
        }
        if inside {
            return Err("a quote is not closed".to_owned());
        }
        match fields.last_mut().filter(|_| joined) {
            Some(field) => field.push(word),
            None => fields.push(vec![word]),
        }
        joined = rest.next_if_eq(&',').is_some();
    }
}

/// The rule of a line; none for an empty one, and for one that is for no client here.
fn rule(fields: &[Field]) -> Result<Option<HbaRule>, String> {
    let Some((kind, rest)) = fields.split_first() else { return Ok(None) };
    let tls = match one(kind)? {
        "local" => return local(rest),
        "host" | "hostnogssenc" => None,
        "hostssl" => Some(true),
        "hostnossl" => Some(false),
        // GSSAPI encryption is never spoken.
        "hostgssenc" => return Ok(None),
        other => {
            return Err(format!(
                "\"{other}\" is no type: local, host, hostssl, hostnossl, hostgssenc or hostnogssenc"
            ));
        }
    };
    let [databases, users, address, rest @ ..] = rest else {
        return Err("it needs a database, a user, an address and a method".to_owned());
    };
    let (addresses, rest) = addresses(address, rest)?;
    let databases = names(databases, true)?;
    let [method, options @ ..] = rest else { return Err("it needs a method".to_owned()) };
    if let Some(option) = options.first() {
        return Err(format!("option \"{}\" is not supported", one(option)?));
    }
    let method = method_of(one(method)?)?;
    match method {
        HbaMethod::Prove(AuthMethod::Cert) if tls != Some(true) => {
            return Err("method \"cert\" is for hostssl".to_owned());
        }
        HbaMethod::Prove(AuthMethod::Peer) => return Err("method \"peer\" is for local".to_owned()),
        _ => {}
    }
    let users = names(users, false)?;
    let (Some(databases), Some(users)) = (databases, users) else { return Ok(None) };
    Ok(Some(HbaRule { local: Some(false), addresses, tls, databases, users, tenants: Vec::new(), method }))
}

/// The rule of a line for Unix sockets. Whom it lets in by what is not supported here is refused: PostgreSQL's own file
/// may be used where nobody listens on a Unix socket.
fn local(rest: &[Field]) -> Result<Option<HbaRule>, String> {
    let [databases, users, method, options @ ..] = rest else {
        return Err("it needs a database, a user and a method".to_owned());
    };
    let name = one(method)?;
    let method = match options.is_empty() && !METHODS_ELSEWHERE.contains(&name) {
        true => method_of(name)?,
        false => HbaMethod::Reject,
    };
    if method == HbaMethod::Prove(AuthMethod::Cert) {
        return Err("method \"cert\" is for hostssl".to_owned());
    }
    let (Some(databases), Some(users)) = (names(databases, true)?, names(users, false)?) else {
        return Ok(None);
    };
    let (addresses, tenants) = (Vec::new(), Vec::new());
    Ok(Some(HbaRule { local: Some(true), addresses, tls: None, databases, users, tenants, method }))
}

fn one(field: &Field) -> Result<&str, String> {
    match &field[..] {
        [word] => Ok(&word.text),
        _ => Err("a list stands where one word has to be".to_owned()),
    }
}

/// The addresses of a line, and what stands behind them: a mask may be a field of its own.
fn addresses<'a>(address: &Field, rest: &'a [Field]) -> Result<(Vec<Network>, &'a [Field]), String> {
    let text = one(address)?;
    if text == "all" {
        return Ok((Vec::new(), rest));
    }
    if let Ok(network) = text.parse::<Network>()
        && text.contains('/')
    {
        return Ok((vec![network], rest));
    }
    let Ok(address) = text.parse::<IpAddr>() else {
        return Err(format!(
            "\"{text}\" is not supported as an address: all, or an IP address with a mask (10.0.0.0/8)"
        ));
    };
    let [mask, rest @ ..] = rest else { return Err("the address needs a mask (10.0.0.0/8)".to_owned()) };
    let mask = one(mask)?.parse().ok().and_then(|mask| Network::with_mask(address, mask));
    let network = mask.ok_or("the address needs a mask (10.0.0.0/8)")?;
    Ok((vec![network], rest))
}

/// The names of a field, empty for all; `None`: it fits nobody.
fn names(field: &Field, is_database: bool) -> Result<Option<Vec<Wanted>>, String> {
    let mut wanted = Vec::new();
    let mut all = false;
    for Word { text, quoted } in field {
        match text.as_str() {
            "all" if !quoted => all = true,
            "sameuser" if !quoted && is_database => wanted.push(Wanted::SameUser),
            // A pool has no replication.
            "replication" if !quoted && is_database => {}
            "samerole" | "samegroup" if !quoted && is_database => {
                return Err(format!("\"{text}\" is not supported: users are in no groups here"));
            }
            "" => return Err("a name is empty".to_owned()),
            text if !quoted && text.starts_with(['+', '@', '/']) => {
                return Err(format!("\"{text}\" is not supported: write the names themselves"));
            }
            text => wanted.push(Wanted::Name(text.to_owned())),
        }
    }
    if all {
        return Ok(Some(Vec::new()));
    }
    Ok((!wanted.is_empty()).then_some(wanted))
}

fn method_of(text: &str) -> Result<HbaMethod, String> {
    Ok(match text {
        "reject" => HbaMethod::Reject,
        "trust" => HbaMethod::Prove(AuthMethod::Trust),
        "scram-sha-256" => HbaMethod::Prove(AuthMethod::ScramSha256),
        "md5" => HbaMethod::Prove(AuthMethod::Md5),
        "password" => HbaMethod::Prove(AuthMethod::Password),
        "cert" => HbaMethod::Prove(AuthMethod::Cert),
        "peer" => HbaMethod::Prove(AuthMethod::Peer),
        other => {
            return Err(format!(
                "method \"{other}\" is not supported: scram-sha-256, md5, password, cert, peer, trust or reject"
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hba::Visitor;

    /// The method of the first rule that fits, or `none`.
    fn decide(text: &str, user: &str, database: &str, address: &str, tls: bool) -> String {
        let rules = parse(text).unwrap_or_else(|error| panic!("{error:?}"));
        let address = address.parse().ok();
        let visitor = Visitor { address, tls, database, user, tenant: None };
        let rule = rules.iter().find(|rule| rule.fits(&visitor));
        rule.map_or("none".to_owned(), |rule| format!("{:?}", rule.method))
    }

    #[test]
    fn first_line_that_fits_decides() {
        let text = "# TYPE DATABASE USER ADDRESS METHOD\n\
            local all mapped peer map=x\n\
            local all old ident\n\
            local all app peer\n\
            local replication all trust\n\n\
            host all eve all reject # never\n\
            hostssl app,\"all\" anna, otto \\\n  10.0.0.0/8 scram-sha-256\n\
            hostnossl sameuser all 10.0.0.0 255.0.0.0 md5\n\
            host replication all 0.0.0.0/0 trust\n\
            hostgssenc all all all trust\n\
            host all \"a\"\"b,#\" ::/0 trust\n";
        for (user, database, address, tls, expected) in [
            ("eve", "app", "10.0.0.1", true, "Reject"),
            ("anna", "app", "10.0.0.1", true, "Prove(ScramSha256)"),
            ("otto", "all", "10.9.9.9", true, "Prove(ScramSha256)"),
            ("otto", "other", "10.9.9.9", true, "none"),
            ("anna", "app", "11.0.0.1", true, "none"),
            ("anna", "app", "10.0.0.1", false, "none"),
            ("app", "app", "10.0.0.1", false, "Prove(Md5)"),
            ("app", "replication", "10.0.0.1", false, "none"),
            ("a\"b,#", "app", "::1", false, "Prove(Trust)"),
            ("mapped", "app", "unix", false, "Reject"),
            ("old", "app", "unix", false, "Reject"),
            ("app", "app", "unix", false, "Prove(Peer)"),
            ("anna", "app", "unix", false, "none"),
        ] {
            assert_eq!(decide(text, user, database, address, tls), expected, "{user} {database} {address}");
        }
    }

    #[test]
    fn what_means_nothing_here_is_an_error() {
        for (line, says) in [
            ("hosts all all all trust", "no type"),
            ("host all all trust", "not supported as an address"),
            ("host all all all", "needs a method"),
            ("host all all", "needs a database"),
            ("host all all localhost trust", "not supported as an address"),
            ("host all all samenet trust", "not supported as an address"),
            ("host all all 10.0.0.1 trust", "needs a mask"),
            ("host all all 10.0.0.0/40 trust", "not supported as an address"),
            ("host all +admins all trust", "write the names themselves"),
            ("host @dbs all all trust", "write the names themselves"),
            ("host all /^a all trust", "write the names themselves"),
            ("host samerole all all trust", "no groups"),
            ("host all all all ldap ldapserver=x", "option \"ldapserver=x\" is not supported"),
            ("host all all all ident", "method \"ident\""),
            ("host all all all cert", "is for hostssl"),
            ("host all all all scram-sha-256 clientcert=verify-full", "option"),
            ("include other.conf", "no type"),
            ("host all \"open all trust", "not closed"),
            ("host,x all all all trust", "a list stands"),
            ("local all all", "needs a database"),
            ("local all all magic", "method \"magic\" is not supported"),
            ("local all all cert", "is for hostssl"),
            ("host all all all peer", "is for local"),
        ] {
            let broken = parse(&format!("\n{line}\n")).unwrap_err();
            assert!(matches!(&broken[..], [(2, error)] if error.contains(says)), "{line}: {broken:?}");
        }
    }
}
