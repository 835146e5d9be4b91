//! Names and numbers that all schemas of a database share, made private to the tenant: channels, keys of advisory
//! locks, identifiers of prepared transactions.
//!
//! PostgreSQL gets `acme_corp.orders` for a tenant's channel `orders`, and likewise for a prepared transaction. An
//! SQL expression computes the key of an advisory lock from the schema and the client's key. Programs that bypass the
//! proxy can use the same names (docs/isolation.md). No tenant can find a key that equals another tenant's, because
//! the key is a part of a SHA-256.

use std::ops::Range;
use std::sync::Arc;

use pgstrata_tenancy::ident;
pub use pgstrata_tenancy::{KeySpace, KeySpaces};

use super::guard::check::denied;
use super::guard::sequences;
use super::lexer::TokenKind;
use super::opens;
use super::plan::{Insert, Refusal, Splice, StatementKind};
use super::scope::Scope;
use super::shape::{Key, Shape, StatementShape};
use super::tokens::{Literals, Tokens};

/// The longest name of a channel, in bytes.
const LONGEST_CHANNEL: usize = ident::MAX_BYTES;

/// Sent in place of `LISTEN` and of statements without effect. It has no effect, and PostgreSQL answers it at the
/// same place and in the same way.
pub const IDLE: &str = "UNLISTEN \"pgstrata\"";

/// The prefix of a tenant's names: its schema and a dot. A dot in the schema is escaped, so that no tenant's name can
/// begin with another tenant's prefix.
fn prefix(scope: &Scope) -> String {
    let schema = &scope.schema;
    match schema.contains(['.', '~']) {
        true => format!("{}.", schema.replace('~', "~0").replace('.', "~1")),
        false => format!("{schema}."),
    }
}

/// `channel` of the tenant, as PostgreSQL gets it; `None` if that is too long.
pub fn channel_of(scope: &Scope, channel: &str) -> Option<String> {
    let name = match scope.keys.channels {
        KeySpace::Tenant => format!("{}{channel}", prefix(scope)),
        _ => channel.to_owned(),
    };
    (name.len() <= LONGEST_CHANNEL).then_some(name)
}

/// Inserted in front of a bracketed expression for a channel.
pub fn channel(scope: &Scope) -> String {
    let mut out = String::new();
    ident::push_ascii_literal(&mut out, &prefix(scope));
    out.push_str("::pg_catalog.text OPERATOR(pg_catalog.||) (");
    out
}

/// Inserted in front of an expression for the single key of an advisory lock.
pub fn lock_key(scope: &Scope) -> String {
    lock(scope, "int8")
}

/// Inserted in front of the first of two keys.
pub fn lock_pair(scope: &Scope) -> String {
    lock(scope, "int4")
}

/// The operator accepts the same types as the function, lets PostgreSQL infer a parameter's type, and does not change
/// the key.
fn lock(scope: &Scope, integer: &str) -> String {
    let mut out = String::from(
        "('x'::pg_catalog.text OPERATOR(pg_catalog.||) pg_catalog.encode(pg_catalog.substr(pg_catalog.sha256(\
         pg_catalog.convert_to(",
    );
    ident::push_ascii_literal(&mut out, &prefix(scope));
    out.push_str("::pg_catalog.text OPERATOR(pg_catalog.||) (0::pg_catalog.");
    out.push_str(integer);
    out.push_str(" OPERATOR(pg_catalog.#) (");
    out
}

/// Replaces the comma between two keys.
pub const LOCK_COMMA: &str = "))::pg_catalog.text OPERATOR(pg_catalog.||) ','::pg_catalog.text \
                              OPERATOR(pg_catalog.||) (0::pg_catalog.int4 OPERATOR(pg_catalog.#) (";

/// Inserted behind the last key.
pub const LOCK_END: &str =
    "))::pg_catalog.text, 'UTF8')), 1, 8), 'hex'))::pg_catalog.bit(64)::pg_catalog.int8";

/// Whether a statement sets the role that statements run as. The guard allows it if it has no effect, and it is never
/// sent to a server, because it would reset a tenant's role there.
pub fn keeps_role(kind: &StatementKind) -> bool {
    let is_role = |name: &str| matches!(name, "role" | "session_authorization");
    match kind {
        StatementKind::Set(setting) => setting.given.is_none() && is_role(&setting.name),
        StatementKind::Reset { name, .. } => is_role(name),
        _ => false,
    }
}

/// The shared names in a statement.
pub fn of(t: &Tokens<'_>, statement: &StatementShape, out: &mut Vec<Key>) {
    let Range { start, end } = statement.tokens;
    if matches!(statement.kind, StatementKind::Listen(_)) {
        out.push(Key::Listen { tokens: start..end });
    } else if keeps_role(&statement.kind) || matches!(statement.kind, StatementKind::KeptSchema(_)) {
        out.push(Key::Idle { tokens: start..end });
    } else if t.kw(start, "notify") && t.name(start + 1).is_some() {
        out.push(Key::Channel(start as u32 + 1));
    }
    let gid = match () {
        () if t.kws(start, &["prepare", "transaction"]) && t.is_string(start + 2) => Some(start + 2),
        () if t.any_kw(start, &["commit", "rollback"]) && t.kw(start + 1, "prepared") => Some(start + 2),
        () => None,
    };
    out.extend(gid.map(|token| Key::Transaction(token as u32)));
    out.extend(
        pinned_setting(t, &statement.tokens).map(|(relation, equals, _)| Key::Setting(relation, equals)),
    );
    for i in start..end {
        if t.is(i + 1, TokenKind::Open) {
            call(t, i, &statement.tokens, out);
        }
        out.extend(prepared(t, i, &statement.tokens));
    }
}

/// `pg_prepared_xacts` in a FROM list, where a subquery can stand for it.
pub fn prepared(t: &Tokens<'_>, i: usize, statement: &Range<usize>) -> Option<Key> {
    let queries = ["select", "with", "copy", "declare", "explain"];
    if !t.kw(i, "pg_prepared_xacts") || !t.any_kw(statement.start, &queries) {
        return None;
    }
    let qualified = i >= 2 && t.is(i - 1, TokenKind::Dot) && t.kw(i - 2, "pg_catalog");
    let first = if qualified { i - 2 } else { i };
    let in_list = first > 0 && t.any_kw(first - 1, &["from", "join"]);
    // An alias follows, or the end of the FROM item.
    let ends = [
        "where", "order", "group", "having", "limit", "offset", "fetch", "join", "left", "right", "full",
        "inner", "cross", "natural", "on", "using", "union", "except", "intersect", "window",
    ];
    let over = i + 1 >= statement.end
        || t.any_kw(i + 1, &ends)
        || matches!(t.kind(i + 1), Some(TokenKind::Close | TokenKind::Comma));
    let named = t.kw(i + 1, "as") || t.kind(i + 1).is_some_and(TokenKind::is_word);
    (in_list && (over || named)).then(|| Key::Prepared { tokens: first as u32..i as u32 + 1, named: !over })
}

/// `SELECT set_config(name, 'value', false) FROM pg_settings WHERE name = 'setting'`, with which pg_dump sets
/// parameters that some servers do not have: the relation, the operator and the parameter's name.
pub fn pinned_setting(t: &Tokens<'_>, statement: &Range<usize>) -> Option<(u32, u32, u32)> {
    let catalog = |at| if t.kw(at, "pg_catalog") && t.is(at + 1, TokenKind::Dot) { at + 2 } else { at };
    let call = catalog(statement.start + 1);
    let from = call + 8;
    let relation = catalog(from + 1);
    let known = t.kw(statement.start, "select")
        && t.kw(call, "set_config")
        && t.is(call + 1, TokenKind::Open)
        && t.kw(call + 2, "name")
        && t.is(call + 3, TokenKind::Comma)
        && t.is_string(call + 4)
        && t.is(call + 5, TokenKind::Comma)
        && t.any_kw(call + 6, &["true", "false"])
        && t.is(call + 7, TokenKind::Close)
        && t.kw(from, "from")
        && t.kws(relation, &["pg_settings", "where", "name"])
        && t.op(relation + 3, "=")
        && t.is_string(relation + 4)
        && relation + 5 == statement.end;
    known.then_some((relation as u32, relation as u32 + 3, relation as u32 + 4))
}

/// `FROM pg_sequence, pg_get_sequence_data(seqrelid)`, with which pg_dump reads all sequences at once: the tokens of
/// the relation, for the function at `i`.
pub fn sequence_data(t: &Tokens<'_>, i: usize) -> Option<Range<u32>> {
    let relation = i.checked_sub(2)?;
    let known = t.kw(i, "pg_get_sequence_data")
        && t.is(i + 1, TokenKind::Open)
        && t.kw(i + 2, "seqrelid")
        && t.is(i + 3, TokenKind::Close)
        && t.is(i - 1, TokenKind::Comma)
        && t.kw(relation, "pg_sequence");
    let qualified = relation >= 2 && t.is(relation - 1, TokenKind::Dot) && t.kw(relation - 2, "pg_catalog");
    let first = if qualified { relation - 2 } else { relation };
    let known = known && first > 0 && t.kw(first - 1, "from");
    known.then_some(first as u32..relation as u32 + 1)
}

/// Whether a text with these keys sends notifications.
pub fn notify(keys: &[Key]) -> bool {
    keys.iter().any(|key| matches!(key, Key::Channel(_) | Key::ChannelArgument(_)))
}

/// Whether a function of that name takes the keys of an advisory lock.
pub fn is_lock(name: &str) -> bool {
    let rest = name.strip_prefix("pg_try_advisory_").or_else(|| name.strip_prefix("pg_advisory_"));
    matches!(
        rest,
        Some("lock" | "lock_shared" | "xact_lock" | "xact_lock_shared" | "unlock" | "unlock_shared")
    )
}

/// A call at token `i` of a statement, if it takes a key.
fn call(t: &Tokens<'_>, i: usize, statement: &Range<usize>, out: &mut Vec<Key>) {
    let Some(name) = t.name(i) else { return };
    out.extend(sequence_data(t, i).map(Key::Sequences));
    let notifies = name == "pg_notify";
    let close = t.behind_close(i + 1, statement.end).saturating_sub(1);
    let opens = opens::of(t, i, &name).or_else(|| sequences::opens(t, i, &(i + 2..close), statement.start));
    if !notifies && opens.is_none() && !is_lock(&name) {
        return;
    }
    let commas = commas(t, i + 2..close);
    let first = i + 2..commas.first().copied().unwrap_or(close);
    let first = first.start as u32..first.end as u32;
    if let Some(opens) = opens.filter(|_| !first.is_empty()) {
        return out.push(Key::Opened { argument: first, opens });
    }
    match commas.len() {
        _ if first.is_empty() => {}
        1 if notifies => out.push(Key::ChannelArgument(first)),
        0 if !notifies => out.push(Key::Lock { keys: first, comma: None }),
        1 if first.end + 1 < close as u32 => {
            out.push(Key::Lock { keys: first.start..close as u32, comma: Some(first.end) });
        }
        // PostgreSQL has no such function.
        _ => {}
    }
}

/// The commas between the arguments of a call.
fn commas(t: &Tokens<'_>, arguments: Range<usize>) -> Vec<usize> {
    let (mut at, mut brackets, mut out) = (arguments.start, 0usize, Vec::new());
    while at < arguments.end {
        match t.kind(at) {
            Some(TokenKind::OpenBracket) => brackets += 1,
            Some(TokenKind::CloseBracket) => brackets = brackets.saturating_sub(1),
            Some(TokenKind::Comma) if brackets == 0 => out.push(at),
            _ => {}
        }
        at = if t.is(at, TokenKind::Open) { t.behind_close(at, arguments.end) } else { at + 1 };
    }
    out
}

/// The splices that make the names of a text private to the tenant.
pub fn splices(shape: &Shape, t: &Tokens<'_>, scope: &Scope) -> Result<Vec<Splice>, Refusal> {
    let mut out = Vec::new();
    for key in &shape.keys {
        match key {
            Key::Listen { tokens } => {
                let name = t.name(tokens.start + 1).unwrap_or_default();
                channel_of(scope, &name).ok_or_else(too_long)?;
                let insert = Insert::Text(IDLE.into());
                out.extend(replace(t, tokens.clone(), insert));
            }
            Key::Idle { tokens } => out.extend(replace(t, tokens.clone(), Insert::Text(IDLE.into()))),
            Key::Channel(token) if scope.keys.channels == KeySpace::Tenant => {
                let name = t.name(*token as usize).unwrap_or_default();
                let channel = channel_of(scope, &name).ok_or_else(too_long)?;
                let token = *token as usize;
                out.extend(replace(t, token..token + 1, Insert::Text(ident::ascii_quoted(&channel).into())));
            }
            // PostgreSQL refuses an empty name.
            Key::ChannelArgument(tokens) if is_empty_string(t, tokens) => {}
            Key::ChannelArgument(tokens) if scope.keys.channels == KeySpace::Tenant => {
                around(t, tokens, (Insert::Channel, Insert::End), &mut out);
            }
            Key::Lock { keys, comma } if scope.keys.advisory_locks == KeySpace::Tenant => {
                let begin = if comma.is_some() { Insert::LockPair } else { Insert::LockKey };
                around(t, keys, (begin, Insert::LockEnd), &mut out);
                let comma = comma.map(|comma| comma as usize);
                out.extend(comma.and_then(|comma| replace(t, comma..comma + 1, Insert::LockComma)));
            }
            Key::Opened { argument, opens } => {
                let (begin, end) = opens.around(scope);
                around(t, argument, (Insert::Text(begin.into()), Insert::Text(end.into())), &mut out);
            }
            Key::Setting(relation, equals) => {
                let (relation, equals) = (*relation as usize, *equals as usize);
                // Unless the client has qualified it.
                if !t.is(relation - 1, TokenKind::Dot) {
                    let start = t.bytes(&(relation..relation + 1)).start;
                    out.push(Splice::new(start, Insert::Text("pg_catalog.".into())));
                }
                out.extend(replace(t, equals..equals + 1, Insert::Text(" OPERATOR(pg_catalog.=) ".into())));
            }
            // With `hide_other_tenants`, other tenants' sequences are hidden too, unless a CTE has the name.
            Key::Sequences(tokens) if scope.hide_others && !is_relation(shape, tokens.start) => {
                return Err(odd_sequences(scope));
            }
            Key::Sequences(tokens) if !scope.hide_others => {
                let tokens = tokens.start as usize..tokens.end as usize;
                out.extend(replace(t, tokens, Insert::Text(own_sequences(scope))));
            }
            Key::Prepared { tokens, named }
                if !scope.hide_others && scope.keys.two_phase == KeySpace::Tenant =>
            {
                let tokens = tokens.start as usize..tokens.end as usize;
                out.extend(replace(t, tokens, Insert::Text(own_prepared(scope, *named))));
            }
            Key::Transaction(token) if scope.keys.two_phase == KeySpace::Tenant => {
                let token = *token as usize;
                let gid = Literals(t).string(token).ok_or_else(odd_gid)?;
                out.extend(replace(t, token..token + 1, Insert::Text(gid_of(scope, &gid))));
            }
            _ => {}
        }
    }
    Ok(out)
}

/// Whether a relation, and not a CTE, is named at this token.
fn is_relation(shape: &Shape, token: u32) -> bool {
    let mut named = shape.relations.iter().chain(shape.qualified.iter().map(|q| &q.named));
    named.any(|named| named.token == token)
}

/// The tenant's rows of `pg_sequence`.
fn own_sequences(scope: &Scope) -> Arc<str> {
    let mut out = String::from(
        "(SELECT * FROM pg_catalog.pg_sequence WHERE seqrelid OPERATOR(pg_catalog.=) ANY (SELECT c.oid \
         FROM pg_catalog.pg_class c, pg_catalog.pg_namespace n \
         WHERE c.relnamespace OPERATOR(pg_catalog.=) n.oid AND n.nspname OPERATOR(pg_catalog.=) ",
    );
    ident::push_ascii_literal(&mut out, &scope.schema);
    out.push_str("::pg_catalog.name)) AS pg_sequence");
    out.into()
}

/// The tenant's rows of `pg_prepared_xacts`, with the tenant's own identifiers.
fn own_prepared(scope: &Scope, named: bool) -> Arc<str> {
    let prefix = prefix(scope);
    let mut out = format!(
        "(SELECT transaction, pg_catalog.substr(gid, {}) AS gid, prepared, owner, database \
         FROM pg_catalog.pg_prepared_xacts WHERE database OPERATOR(pg_catalog.=) pg_catalog.current_database() \
         AND pg_catalog.starts_with(gid, ",
        prefix.chars().count() + 1,
    );
    ident::push_ascii_literal(&mut out, &prefix);
    out.push_str("))");
    if !named {
        out.push_str(" AS pg_prepared_xacts");
    }
    out.into()
}

/// The identifier of a prepared transaction as PostgreSQL gets it, as a literal.
fn gid_of(scope: &Scope, gid: &str) -> Arc<str> {
    let mut out = String::new();
    ident::push_ascii_literal(&mut out, &format!("{}{gid}", prefix(scope)));
    out.into()
}

fn is_empty_string(t: &Tokens<'_>, tokens: &Range<u32>) -> bool {
    tokens.len() == 1 && Literals(t).string(tokens.start as usize).is_some_and(|text| text.is_empty())
}

fn replace(t: &Tokens<'_>, tokens: Range<usize>, insert: Insert) -> Option<Splice> {
    let Range { start, end } = t.bytes(&tokens);
    let cut = u32::try_from(end - start).ok()?;
    Some(Splice { at: start, cut, insert })
}

fn around(t: &Tokens<'_>, tokens: &Range<u32>, (begin, close): (Insert, Insert), out: &mut Vec<Splice>) {
    let Range { start, end } = t.bytes(&(tokens.start as usize..tokens.end as usize));
    out.extend([Splice::new(start, begin), Splice::new(end, close)]);
}

fn too_long() -> Refusal {
    Refusal {
        code: "22023",
        message: "channel name too long".into(),
        hint: Some(format!("With the tenant's schema and a dot it may have {LONGEST_CHANNEL} bytes.")),
    }
}

fn odd_sequences(scope: &Scope) -> Refusal {
    denied(scope, "call pg_get_sequence_data in this form", Some("pg_sequence must be the catalog's."))
}

fn odd_gid() -> Refusal {
    Refusal {
        code: "0A000",
        message: "the name of a prepared transaction must be a plain string".into(),
        hint: Some("Write it as 'name', with no escapes.".into()),
    }
}
