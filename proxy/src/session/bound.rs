//! `SELECT set_config('name', $1, false)`: the setting of a portal, with the bound value.

use std::sync::Arc;

use pgstrata_tenancy::ident;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Session;
use super::bounds::MAX_PATH;
use super::statements::ClientStatement;
use crate::pool::settings::SEARCH_PATH;
use crate::sql::guard::check;
use crate::sql::limits;
use crate::sql::plan::{Plan, Refusal, Setting, Statement, StatementKind};
use crate::wire::frame;

/// Whether a statement calls `set_config` for longer than the transaction.
pub(super) fn is_function_that_sets(statement: &Statement) -> bool {
    match &statement.kind {
        StatementKind::Set(setting) => setting.given.is_some() && !setting.local,
        StatementKind::SetParameter { local, .. } => !local,
        _ => false,
    }
}

/// The refusal of a named portal for a statement that sets something and is checked afterwards: a `FETCH` could run the
/// portal without the check.
fn refuses_portal(statement: &ClientStatement, portal: &[u8]) -> Option<Refusal> {
    let [only] = &statement.plan.statements[..] else { return None };
    let name = match &only.kind {
        StatementKind::Set(setting) if setting.given.is_some() => &setting.name,
        StatementKind::SetParameter { name, .. } => name,
        _ => return None,
    };
    let looked_at = statement.plan.checks.iter().any(|check| check.behind);
    (looked_at && !portal.is_empty()).then(|| limits::unseen(name))
}

/// Whether a parameter of a `Parse` with these types is bound as text; PostgreSQL converts other types.
fn is_text(types: &[u8], number: usize) -> bool {
    let Some((count, types)) = frame::u16(types) else { return false };
    if number > usize::from(count) {
        return true;
    }
    let at = 4 * number.saturating_sub(1);
    let oid = types.get(at..).and_then(frame::u32).map(|(oid, _)| oid);
    matches!(oid, Some(0 | 25 | 1043))
}

/// The value of the only parameter of a statement that sets something, if it is readable text.
fn bound_text<'a>(
    statement: &ClientStatement,
    number: usize,
    values: &'a [u8],
    utf8: bool,
) -> Option<&'a str> {
    let value = frame::bound_value(values, number)?;
    let legible = is_text(&statement.types, number) && (utf8 || value.is_ascii());
    std::str::from_utf8(value).ok().filter(|_| legible)
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// The refusal of a `Bind` for the setting that it makes, or for an earlier refused path; `values` is the rest of
    /// the message behind its names.
    pub(super) fn refuses_bind(&mut self, name: &[u8], portal: &[u8], values: &[u8]) -> Option<Refusal> {
        if let Some(refusal) = self.refuses_bound_path(name, values) {
            self.distrust_path();
            return Some(refusal);
        }
        let statement = self.statements.get(name)?;
        let behind = || match &statement.tied {
            // The text of the statement names its tenant.
            Some(_) => None,
            None => self.refuses_behind_path(&statement.plan),
        };
        refuses_portal(statement, portal).or_else(behind)
    }

    /// The refusal of a `Bind` that sets a path which the tenant may not set.
    fn refuses_bound_path(&self, name: &[u8], values: &[u8]) -> Option<Refusal> {
        let statement = self.statements.get(name)?;
        let [Statement { kind: StatementKind::SetParameter { name, number, .. }, .. }] =
            &statement.plan.statements[..]
        else {
            return None;
        };
        if **name != *SEARCH_PATH || !self.tenancy().is_confined() {
            return None;
        }
        let path = bound_text(statement, *number, values, self.reads_utf8());
        let allowed = path.is_some_and(|path| path.len() <= MAX_PATH && self.tenancy().allows_path(path));
        (!allowed).then(|| Refusal {
            code: "42501",
            message: "permission denied: search_path can not be set to what is bound here".into(),
            hint: Some("Bind text that names the tenant's own schema, or one that all tenants share.".into()),
        })
    }
}

/// The path that a `Bind` with these values sets, in the form of [`ident::search_path`], if it is readable.
pub(super) fn bound_path(statement: &ClientStatement, values: &[u8], utf8: bool) -> Option<String> {
    let [Statement { kind: StatementKind::SetParameter { number, .. }, .. }] = &statement.plan.statements[..]
    else {
        return None;
    };
    let names = check::search_path(bound_text(statement, *number, values, utf8)?)?;
    Some(ident::search_path(names.iter().map(String::as_str)))
}

/// Puts the bound value into the effect of a statement that sets something; `values` is the rest of the `Bind` behind
/// its names.
pub(super) fn bind_setting(statement: &mut ClientStatement, values: &[u8], utf8: bool) {
    let [Statement { kind: StatementKind::SetParameter { name, number, local }, .. }] =
        &statement.plan.statements[..]
    else {
        return;
    };
    let Some(value) = bound_text(statement, *number, values, utf8) else { return };
    let given = Some(value.into());
    let set = StatementKind::Set(Box::new(Setting { name: name.clone(), value: 0..0, given, local: *local }));
    let mut plan = Plan::clone(&statement.plan);
    if let Some(only) = plan.statements.first_mut() {
        only.kind = set;
    }
    statement.plan = Arc::new(plan);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_is_bound_as_what_is_set() {
        let types = |oids: &[u32]| {
            let mut out = (oids.len() as u16).to_be_bytes().to_vec();
            oids.iter().for_each(|oid| out.extend(oid.to_be_bytes()));
            out
        };
        assert!(is_text(&types(&[]), 1) && is_text(&types(&[23]), 2));
        assert!(is_text(&types(&[0, 25, 1043]), 1) && is_text(&types(&[0, 25, 1043]), 3));
        // PostgreSQL removes trailing blanks of `bpchar`, and everything behind 63 bytes of `name`.
        assert!(!is_text(&types(&[1042]), 1) && !is_text(&types(&[25, 19]), 2));
        assert!(!is_text(&[], 1) && !is_text(&[0, 2, 0, 0, 0, 25], 2));
    }
}
