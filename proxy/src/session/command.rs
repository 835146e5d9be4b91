//! Commands about the session's tenant: `SET tenant`, `RESET tenant`, `SHOW tenant`.

use std::borrow::Cow;

use pgstrata_tenancy::TenantId;

use crate::sql::lexer::Lexer;
use crate::sql::masked;
use crate::sql::name;
use crate::sql::plan::{Plan, Refusal, Statement, StatementKind};

/// The parameter, which PostgreSQL does not have.
pub(super) const TENANT: &str = "tenant";

/// A command about the session's tenant.
#[derive(Debug)]
pub(super) enum Command {
    /// `SET [LOCAL] tenant = 'name'`.
    Set { name: TenantId, local: bool },
    /// `RESET tenant`, `SET [LOCAL] tenant TO DEFAULT`.
    Reset { local: bool },
    /// `SHOW tenant`.
    Show,
}

/// Whether a statement is one of these.
pub(super) fn is_command(statement: &Statement) -> bool {
    match &statement.kind {
        StatementKind::Set(setting) => &*setting.name == TENANT && setting.given.is_none(),
        StatementKind::Reset { name, .. } | StatementKind::Show(name) => &**name == TENANT,
        _ => false,
    }
}

/// Whether a plan contains nothing else.
pub(super) fn is_local(plan: &Plan) -> bool {
    matches!(&plan.statements[..], [only] if is_command(only))
}

/// The command of a statement in its text; `utf8`: the text is in UTF-8.
pub(super) fn command(statement: &Statement, text: &[u8], utf8: bool) -> Result<Command, Refusal> {
    match &statement.kind {
        StatementKind::Set(setting) => {
            let raw = text.get(setting.value.clone()).unwrap_or_default();
            legible(raw, utf8)?;
            let name = one_value(raw).ok_or_else(|| invalid("it must be one name or string"))?;
            Ok(Command::Set { name: tenant_id(&name)?, local: setting.local })
        }
        StatementKind::Reset { local, .. } => Ok(Command::Reset { local: *local }),
        _ => Ok(Command::Show),
    }
}

pub(super) fn tenant_id(name: &str) -> Result<TenantId, Refusal> {
    TenantId::new(name).map_err(|error| invalid(&error.to_string()))
}

fn invalid(why: &str) -> Refusal {
    Refusal { code: "22023", message: format!("invalid value for parameter \"tenant\": {why}"), hint: None }
}

/// The value of a `SET`, if it is one word or one string.
fn one_value(raw: &[u8]) -> Option<Cow<'_, str>> {
    let mut tokens = Lexer::new(raw, true);
    let token = tokens.next().filter(|_| tokens.next().is_none())?;
    match token.kind.is_word() {
        true => Some(name::decode(token.kind, token.of(raw))),
        false => name::plain_string(token.kind, token.of(raw), true),
    }
}

/// In another encoding, other bytes could look like the name of a tenant.
pub(super) fn legible(raw: &[u8], utf8: bool) -> Result<(), Refusal> {
    if utf8 || raw.is_ascii() { Ok(()) } else { Err(masked::refusal()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_is_one_name_or_string() {
        for (raw, value) in [
            ("globex", Some("globex")),
            ("GloBex", Some("globex")),
            ("\"GloBex\"", Some("GloBex")),
            ("'GloBex'", Some("GloBex")),
            ("'a', 'b'", None),
            ("1", None),
            ("", None),
        ] {
            assert_eq!(one_value(raw.as_bytes()).as_deref(), value, "{raw}");
        }
    }
}
