//! Console commands that a client sends to a database: PostgreSQL's error, with a hint about the console.

use crate::sql::lexer::{Lexer, TokenKind};
use crate::sql::plan::{Plan, Refusal, Statement, StatementKind};

/// The tables of PgBouncer's `SHOW`. PostgreSQL has no parameter with one of these names.
const SHOWN: [&str; 24] = [
    "active_sockets", "clients", "config", "databases", "dns_hosts", "dns_zones", "fds", "help", "lists",
    "mem", "peer_pools", "peers", "pools", "servers", "sockets", "state", "stats", "stats_averages",
    "stats_totals", "tenants", "totals", "users", "version", "statements",
];

/// The commands of PgBouncer. No statement of PostgreSQL begins with one of these words.
const DONE: [&str; 10] = [
    "disable", "enable", "kill", "kill_client", "pause", "reconnect", "reload", "resume", "shutdown",
    "suspend",
];

/// The longest command of the console, in bytes.
const LONGEST: usize = 128;

/// The refusal of a text that is such a command; `None`: it is not.
pub(super) fn refusal(plan: &Plan, text: &[u8]) -> Option<Refusal> {
    let (code, message) = match &plan.statements[..] {
        [Statement { kind: StatementKind::Show(name), .. }] if SHOWN.contains(&&**name) => {
            ("42704", format!("unrecognized configuration parameter \"{name}\""))
        }
        // PostgreSQL's grammar cannot parse the text.
        [] if text.len() <= LONGEST => {
            let word = only_command(text)?;
            ("42601", format!("syntax error at or near \"{word}\""))
        }
        _ => return None,
    };
    let hint =
        "Commands of the admin console are for the database \"pgstrata\", and for users with admin = true.";
    Some(Refusal { code, message, hint: Some(hint.into()) })
}

/// The first word of a text that is one of [`DONE`], with or without a name behind it.
fn only_command(text: &[u8]) -> Option<&str> {
    let mut tokens = Lexer::new(text, true);
    let first = tokens.next().filter(|token| token.kind == TokenKind::Word)?;
    let word = std::str::from_utf8(first.of(text)).ok()?;
    let known = DONE.iter().any(|done| word.eq_ignore_ascii_case(done));
    (known && tokens.count() <= 2).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_told_from_other_texts() {
        let word = |text: &'static str| only_command(text.as_bytes());
        assert_eq!(word("RELOAD;"), Some("RELOAD"));
        assert_eq!(word("pause app"), Some("pause"));
        for other in ["", "select 1", "\"reload\"", "reload the whole thing now", "resum"] {
            assert_eq!(word(other), None, "{other}");
        }
    }
}
