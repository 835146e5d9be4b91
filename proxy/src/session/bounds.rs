//! Limits of the state that a text adds to a session, and of the SQL that the proxy adds to a text.

use std::collections::HashSet;

use tokio::io::{AsyncRead, AsyncWrite};

use super::Session;
use super::effect::{PathChange, path_change};
use crate::pool::settings::SEARCH_PATH;
use crate::sql::plan::{Plan, Refusal, Setting, Statement, StatementKind};

/// The maximum number of settings of a client.
const MAX_SETTINGS: usize = 1000;

/// The maximum total size of their values, in bytes.
const MAX_SETTINGS_BYTES: usize = 1 << 20;

/// The longest path that a client may set, in bytes: the path is sent with each of its transactions.
pub(super) const MAX_PATH: usize = 4096;

/// The maximum size of the SQL that is added to a text, in bytes.
const MAX_GROWTH: usize = 16 << 20;

/// The size of the SQL around a path or a role, rounded up.
const AROUND: usize = 256;

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// The refusal of a plan that sets more than the session may hold.
    pub(super) fn refuses_setting(&self, plan: &Plan) -> Option<Refusal> {
        let set = || plan.statements.iter().filter_map(lasting);
        set().next()?;
        let current = self.settings.current();
        let is_new = |setting: &&Setting| !current.has(&setting.name);
        let more = match set().filter(is_new).take(MAX_SETTINGS).count() {
            few if current.count() + few <= MAX_SETTINGS => few,
            // A text may set one parameter several times.
            _ => set().filter(is_new).map(|setting| &*setting.name).collect::<HashSet<_>>().len(),
        };
        if more > 0 && current.count() + more > MAX_SETTINGS {
            return Some(Refusal {
                code: "53400",
                message: format!("a session may not set more than {MAX_SETTINGS} parameters"),
                hint: Some("RESET those that are not needed.".into()),
            });
        }
        let length =
            |setting: &Setting| setting.given.as_ref().map_or(setting.value.len(), |given| given.len());
        let bytes: usize = set().map(length).sum();
        let held = || current.bytes();
        // Short values are limited by their number.
        (bytes > MAX_SETTINGS_BYTES / MAX_SETTINGS && bytes + held() > MAX_SETTINGS_BYTES).then(|| Refusal {
            code: "53400",
            message: format!(
                "a session may not set parameters to more than {MAX_SETTINGS_BYTES} bytes of values"
            ),
            hint: Some("RESET those that are not needed.".into()),
        })
    }

    /// The refusal of a plan whose text would become too long by the added SQL.
    pub(super) fn refuses_growth(&self, plan: &Plan) -> Option<Refusal> {
        // The added SQL at one place is short.
        if plan.splices.len().max(plan.statements.len()) < MAX_GROWTH / (2 * (MAX_PATH + AROUND)) {
            return None;
        }
        let sets_path = |s: &Statement| lasting(s).is_some_and(|setting| &*setting.name == SEARCH_PATH);
        let path = match plan.statements.iter().any(sets_path) {
            // The path has quotes and blanks around its names.
            true => 3 * MAX_PATH,
            false => self.effective.path.len(),
        };
        // The SQL is added again behind the end of a transaction, and behind statements that may set another path.
        let again = match plan.opaque {
            true => plan.statements.len(),
            false => plan.statements.iter().filter(|s| path_change(s) == PathChange::Lost).count(),
        };
        let growth = self.tenancy().prefixes.length(&plan.splices) + again * (path + AROUND);
        (growth > MAX_GROWTH).then(|| Refusal {
            code: "54001",
            message: format!("statement too complex: it would become longer by {growth} bytes on its way"),
            hint: Some("Send it in several messages.".into()),
        })
    }
}

/// The setting that a statement makes beyond its transaction.
fn lasting(statement: &Statement) -> Option<&Setting> {
    match &statement.kind {
        StatementKind::Set(setting) if !setting.local => Some(setting),
        _ => None,
    }
}
