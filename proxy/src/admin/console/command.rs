//! Parses a text into commands. No I/O.
//!
//! Commands are PgBouncer's, as in its manual, and some for tenants. Keywords are case-insensitive; names are
//! case-sensitive, in double quotes unless they are words.

use pgstrata_tenancy::lexer::{Lexer, TokenKind};

use super::show::{self, Of, Shown};
use super::table::{Column, Type};
use crate::exit::How;
use crate::wire::refusal::{Refusal, sqlstate};

/// The maximum length of a command's text in an error.
const QUOTED: usize = 100;

/// One command.
#[derive(Clone, Debug)]
pub enum Command {
    /// `SHOW` of a table, of one object if a name follows.
    Show(&'static Shown, Option<Box<str>>),
    /// `SHOW` of a parameter that drivers request from PostgreSQL.
    Parameter(&'static Parameter),
    /// A command that changes something.
    Act(Act),
    /// `SET key = value`.
    Set(Box<str>, Box<str>),
    /// `BEGIN`, which drivers send around commands.
    Begin,
    /// `COMMIT`.
    Commit,
    /// `ROLLBACK`.
    Rollback,
    /// `DEALLOCATE`; `None`: all.
    Deallocate(Option<Box<str>>),
    /// A command by which drivers and pools clean a session; it has no effect. With its tag.
    Nothing(&'static str),
}

/// A command that changes something. It requires `admin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// `PAUSE [db]`
    Pause(Option<Box<str>>),
    /// `RESUME [db]`
    Resume(Option<Box<str>>),
    /// `DISABLE db`
    Disable(Box<str>),
    /// `ENABLE db`
    Enable(Box<str>),
    /// `KILL [db]`
    Kill(Option<Box<str>>),
    /// `RECONNECT [db]`
    Reconnect(Option<Box<str>>),
    /// `WAIT_CLOSE [db]`
    WaitClose(Option<Box<str>>),
    /// `SUSPEND TENANT name [IN db]`
    SuspendTenant(TenantName),
    /// `RESUME TENANT name [IN db]`
    ResumeTenant(TenantName),
    /// `KILL TENANT name [IN db]`
    KillTenant(TenantName),
    /// `KILL_CLIENT id`
    KillClient(u64),
    /// `CANCEL id`
    Cancel(u64),
    /// `RESET STATEMENTS [tenant]`
    ResetStatements(Option<Box<str>>),
    /// `RELOAD`
    Reload,
    /// `SHUTDOWN [WAIT_FOR_SERVERS | WAIT_FOR_CLIENTS]`
    Shutdown(How),
}

/// A tenant, and its database, if that is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantName {
    /// Its name.
    pub tenant: Box<str>,
    /// The database's name for clients.
    pub database: Option<Box<str>>,
}

impl Act {
    /// The name of the command, which is its command tag.
    pub fn tag(&self) -> &'static str {
        match self {
            Act::Pause(_) => "PAUSE",
            Act::Resume(_) => "RESUME",
            Act::Disable(_) => "DISABLE",
            Act::Enable(_) => "ENABLE",
            Act::Kill(_) => "KILL",
            Act::Reconnect(_) => "RECONNECT",
            Act::WaitClose(_) => "WAIT_CLOSE",
            Act::SuspendTenant(_) => "SUSPEND TENANT",
            Act::ResumeTenant(_) => "RESUME TENANT",
            Act::KillTenant(_) => "KILL TENANT",
            Act::KillClient(_) => "KILL_CLIENT",
            Act::Cancel(_) => "CANCEL",
            Act::ResetStatements(_) => "RESET STATEMENTS",
            Act::Reload => "RELOAD",
            Act::Shutdown(_) => "SHUTDOWN",
        }
    }
}

/// A parameter of PostgreSQL that drivers request or set without need.
#[derive(Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Its value in the console.
    pub value: &'static str,
    /// The column of `SHOW`.
    pub columns: [Column; 1],
}

impl Parameter {
    const fn new(name: &'static str, value: &'static str) -> Self {
        Self { name, value, columns: [Column(name, Type::Text)] }
    }

    /// The parameter of that name, case-insensitively.
    pub fn find(name: &str) -> Option<&'static Self> {
        PARAMETERS.iter().find(|known| known.name.eq_ignore_ascii_case(name))
    }
}

static PARAMETERS: [Parameter; 8] = [
    Parameter::new("application_name", ""),
    Parameter::new("client_encoding", "UTF8"),
    Parameter::new("datestyle", "ISO"),
    Parameter::new("default_transaction_isolation", "read committed"),
    Parameter::new("extra_float_digits", "1"),
    Parameter::new("standard_conforming_strings", "on"),
    Parameter::new("timezone", "GMT"),
    Parameter::new("transaction_isolation", "read committed"),
];

/// A word of a command.
struct Word {
    kind: TokenKind,
    text: String,
}

impl Word {
    /// In lower case if it can be a keyword; otherwise empty.
    fn keyword(&self) -> String {
        match self.kind {
            TokenKind::Word | TokenKind::Op => self.text.to_ascii_lowercase(),
            _ => String::new(),
        }
    }

    fn name(&self) -> Option<Box<str>> {
        self.kind.is_word().then(|| self.text.as_str().into())
    }
}

/// Parses a text into commands, in order. The error names the invalid one.
pub fn parse(text: &str) -> Result<Vec<Command>, Refusal> {
    let mut commands = Vec::new();
    let mut words = Vec::new();
    for token in Lexer::new(text.as_bytes(), true) {
        let raw = String::from_utf8_lossy(token.of(text.as_bytes()));
        match token.kind {
            TokenKind::Semicolon => {
                if !words.is_empty() {
                    commands.push(command(&std::mem::take(&mut words), text)?);
                }
            }
            kind => words.push(Word { kind, text: value(kind, &raw) }),
        }
    }
    if !words.is_empty() {
        commands.push(command(&words, text)?);
    }
    Ok(commands)
}

/// A token without its quotes.
fn value(kind: TokenKind, raw: &str) -> String {
    let inside = |quote: &str| {
        let inside = raw.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
        inside.unwrap_or(raw).replace(&quote.repeat(2), quote)
    };
    match kind {
        TokenKind::Quoted => inside("\""),
        TokenKind::Str => inside("'"),
        _ => raw.to_owned(),
    }
}

fn command(words: &[Word], text: &str) -> Result<Command, Refusal> {
    let keywords: Vec<String> = words.iter().map(Word::keyword).collect();
    let keywords: Vec<&str> = keywords.iter().map(String::as_str).collect();
    let found = match &keywords[..] {
        ["show" | "select", ..] => shown(words.get(1..).unwrap_or_default()),
        ["set", rest @ ..] => set(rest, words.get(1..).unwrap_or_default()),
        ["suspend"] => return Err(suspend()),
        _ => act(&keywords, words).map(Command::Act).or_else(|| courtesy(&keywords, words)),
    };
    found.ok_or_else(|| invalid(text))
}

/// The object of a `SHOW`.
fn shown(words: &[Word]) -> Option<Command> {
    let (what, rest) = words.split_first()?;
    let name = what.name()?;
    if let ([], Some(parameter)) = (rest, Parameter::find(&name)) {
        return Some(Command::Parameter(parameter));
    }
    // In SQL's own spelling: SHOW TIME ZONE, SHOW TRANSACTION ISOLATION LEVEL.
    let spelt: Vec<String> = words.iter().map(Word::keyword).collect();
    match &spelt.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["time", "zone"] => return Parameter::find("timezone").map(Command::Parameter),
        ["transaction", "isolation", "level"] => {
            return Parameter::find("transaction_isolation").map(Command::Parameter);
        }
        _ => {}
    }
    let shown = show::find(&name)?;
    match (rest, shown.of) {
        ([], Of::All | Of::OneOrAll) => Some(Command::Show(shown, None)),
        ([one], Of::One | Of::OneOrAll) => Some(Command::Show(shown, Some(one.name()?))),
        _ => None,
    }
}

/// `SET [SESSION | LOCAL] name (= | TO) value [, ...]`, `SET TIME ZONE value`, `SET NAMES value`, `SET SESSION
/// CHARACTERISTICS AS TRANSACTION ...`.
fn set(keywords: &[&str], words: &[Word]) -> Option<Command> {
    match keywords {
        ["session", "characteristics", ..] | ["transaction", ..] => Some(Command::Nothing("SET")),
        ["session" | "local", rest @ ..] if rest.len() > 1 && !matches!(rest, ["=" | "to", ..]) => {
            set(rest, words.get(1..).unwrap_or_default())
        }
        ["time", "zone", _] => Some(Command::Set("timezone".into(), words.get(2)?.text.as_str().into())),
        ["names", _] => Some(Command::Set("client_encoding".into(), words.get(1)?.text.as_str().into())),
        _ => {
            let mut name = String::new();
            let at = keywords.iter().position(|word| matches!(*word, "=" | "to"))?;
            for word in words.get(..at)? {
                let fits = word.kind.is_word() || word.kind == TokenKind::Dot;
                name.push_str(if fits { &word.text } else { return None });
            }
            let values: Vec<&str> = words.get(at + 1..)?.iter().map(|word| word.text.as_str()).collect();
            (!name.is_empty() && !values.is_empty())
                .then(|| Command::Set(name.into(), values.concat().into()))
        }
    }
}

fn act(keywords: &[&str], words: &[Word]) -> Option<Act> {
    let name = |at: usize| words.get(at).and_then(Word::name);
    let of_database = |act: fn(Option<Box<str>>) -> Act| match words.len() {
        1 => Some(act(None)),
        2 => Some(act(Some(name(1)?))),
        _ => None,
    };
    match keywords {
        ["suspend", "tenant", ..] => Some(Act::SuspendTenant(tenant(keywords, words)?)),
        ["resume", "tenant", _, ..] => Some(Act::ResumeTenant(tenant(keywords, words)?)),
        ["kill", "tenant", _, ..] => Some(Act::KillTenant(tenant(keywords, words)?)),
        ["pause", ..] => of_database(Act::Pause),
        ["resume", ..] => of_database(Act::Resume),
        ["kill", ..] => of_database(Act::Kill),
        ["reconnect", ..] => of_database(Act::Reconnect),
        ["wait_close", ..] => of_database(Act::WaitClose),
        ["disable", _] => Some(Act::Disable(name(1)?)),
        ["enable", _] => Some(Act::Enable(name(1)?)),
        ["kill_client", _] => Some(Act::KillClient(words.get(1)?.text.parse().ok()?)),
        ["cancel", _] => Some(Act::Cancel(words.get(1)?.text.parse().ok()?)),
        ["reset", "statements"] => Some(Act::ResetStatements(None)),
        ["reset", "statements", _] => Some(Act::ResetStatements(Some(name(2)?))),
        ["reload"] => Some(Act::Reload),
        ["shutdown"] => Some(Act::Shutdown(How::Now)),
        ["shutdown", "wait_for_servers"] => Some(Act::Shutdown(How::Servers)),
        ["shutdown", "wait_for_clients"] => Some(Act::Shutdown(How::Clients)),
        _ => None,
    }
}

/// `... TENANT name [IN database]`
fn tenant(keywords: &[&str], words: &[Word]) -> Option<TenantName> {
    let name = |at: usize| words.get(at).and_then(Word::name);
    match keywords {
        [_, _, _] => Some(TenantName { tenant: name(2)?, database: None }),
        [_, _, _, "in", _] => Some(TenantName { tenant: name(2)?, database: Some(name(4)?) }),
        _ => None,
    }
}

/// Commands that drivers and pools send by themselves.
fn courtesy(keywords: &[&str], words: &[Word]) -> Option<Command> {
    Some(match keywords {
        ["begin", ..] | ["start", "transaction", ..] => Command::Begin,
        ["commit" | "end"] | ["commit" | "end", "transaction" | "work"] => Command::Commit,
        ["rollback" | "abort"] | ["rollback" | "abort", "transaction" | "work"] => Command::Rollback,
        ["deallocate", "all"] | ["deallocate", "prepare", "all"] => Command::Deallocate(None),
        ["deallocate", _] => Command::Deallocate(Some(words.get(1)?.name()?)),
        ["deallocate", "prepare", _] => Command::Deallocate(Some(words.get(2)?.name()?)),
        ["discard", "all" | "plans" | "sequences" | "temp"] => Command::Nothing("DISCARD"),
        ["reset", _, ..] => Command::Nothing("RESET"),
        ["unlisten", _] => Command::Nothing("UNLISTEN"),
        ["close", "all"] => Command::Nothing("CLOSE CURSOR ALL"),
        _ => return None,
    })
}

fn invalid(text: &str) -> Refusal {
    let text = text.trim();
    let end = text.char_indices().nth(QUOTED).map_or(text.len(), |(at, _)| at);
    let (quoted, more) = (text.get(..end).unwrap_or_default(), if end < text.len() { "..." } else { "" });
    let message = format!("invalid command \"{quoted}{more}\"");
    Refusal::new(sqlstate::SYNTAX_ERROR, message).hint("SHOW HELP lists the commands.")
}

/// PgBouncer's command for passing its sockets to a new process.
fn suspend() -> Refusal {
    Refusal::new(sqlstate::FEATURE_NOT_SUPPORTED, "SUSPEND is not supported")
        .hint("PAUSE lets requests wait; SUSPEND TENANT name refuses one tenant's clients.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Option<Command> {
        parse(text).ok().filter(|commands| commands.len() == 1).and_then(|mut commands| commands.pop())
    }

    fn act_of(text: &str) -> Option<Act> {
        match one(text) {
            Some(Command::Act(act)) => Some(act),
            _ => None,
        }
    }

    #[test]
    fn commands_are_read_in_any_case_with_or_without_a_semicolon() {
        assert_eq!(act_of("pause"), Some(Act::Pause(None)));
        assert_eq!(act_of(" PAUSE app ; "), Some(Act::Pause(Some("app".into()))));
        assert_eq!(act_of("Pause \"my \"\"app\"\"\""), Some(Act::Pause(Some("my \"app\"".into()))));
        assert_eq!(act_of("reset statements"), Some(Act::ResetStatements(None)));
        assert_eq!(act_of("RESET STATEMENTS acme"), Some(Act::ResetStatements(Some("acme".into()))));
        assert!(matches!(one("RESET all"), Some(Command::Nothing("RESET"))));
        assert_eq!(act_of("KILL_CLIENT 17"), Some(Act::KillClient(17)));
        assert_eq!(act_of("shutdown wait_for_clients"), Some(Act::Shutdown(How::Clients)));
        let acme = |database: Option<&str>| TenantName {
            tenant: "acme_corp".into(),
            database: database.map(Into::into),
        };
        assert_eq!(act_of("suspend tenant acme_corp"), Some(Act::SuspendTenant(acme(None))));
        assert_eq!(act_of("KILL TENANT acme_corp IN app"), Some(Act::KillTenant(acme(Some("app")))));
        // A database may have that name.
        assert_eq!(act_of("kill tenant"), Some(Act::Kill(Some("tenant".into()))));
    }

    #[test]
    fn what_is_no_command_is_refused_with_a_hint() {
        for text in [
            "foo", "SHOW", "SHOW NOTHING", "SHOW POOLS now", "SHOW TENANT", "PAUSE a b", "PAUSE 'app'",
            "DISABLE", "KILL_CLIENT x", "KILL_CLIENT -1", "SET", "SET x", "SET = 1", "SHOW POOLS, CLIENTS",
            "\"", "'", "$$", "SUSPEND TENANT a IN", "ROLLBACK TO x",
        ] {
            let refusal = parse(text).unwrap_err();
            assert_eq!(refusal.code, "42601", "{text}");
            assert!(refusal.hint.unwrap().contains("SHOW HELP"), "{text}");
        }
        assert_eq!(parse("SUSPEND").unwrap_err().code, "0A000");
    }

    #[test]
    fn nothing_is_no_command_and_comments_are_skipped() {
        for text in ["", " ", ";", ";;", "-- ping", "/* a */"] {
            assert!(parse(text).unwrap().is_empty(), "{text}");
        }
        assert_eq!(parse("SHOW POOLS; PAUSE; RESUME").unwrap().len(), 3);
        assert!(
            matches!(one("/* by='x' */ SHOW pools -- now"), Some(Command::Show(shown, None)) if shown.name == "POOLS")
        );
    }

    #[test]
    fn set_is_read_as_postgresql_spells_it() {
        for (text, key, value) in [
            ("SET a = 1", "a", "1"),
            ("set SESSION log.level TO 'debug'", "log.level", "debug"),
            ("SET LOCAL a.b = on", "a.b", "on"),
            ("SET TIME ZONE 'UTC'", "timezone", "UTC"),
            ("SET NAMES 'utf8'", "client_encoding", "utf8"),
            ("SET datestyle TO ISO, MDY", "datestyle", "ISO,MDY"),
        ] {
            let set = one(text);
            let fits = matches!(&set, Some(Command::Set(k, v)) if **k == *key && **v == *value);
            assert!(fits, "{text}: {set:?}");
        }
    }

    #[test]
    fn error_quotes_the_beginning_of_a_long_text() {
        let refusal = parse(&"ä".repeat(5000)).unwrap_err();
        assert!(refusal.message.chars().count() < 2 * QUOTED, "{}", refusal.message);
    }
}
