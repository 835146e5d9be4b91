//! The tier `role`: no statement of a tenant runs without the tenant's role in force.
//!
//! The role is set for the transaction, like the path, in the same message and in front of the statement: if PostgreSQL
//! refuses to set it, it discards the statements behind it, too. A statement that must run in a transaction of its own
//! is sent only when PostgreSQL has confirmed that the role is in force for the session.

use std::sync::Arc;

use pgstrata_tenancy::{RoleName, ident};
use tokio::io::{AsyncRead, AsyncWrite};

use super::expect::Expect;
use super::link::Link;
use super::request::Step;
use super::{Session, Status, path};
use crate::needs::{needs_role, runs_by_itself, stands_alone};
use crate::pool::settings::{Assignment, SEARCH_PATH, SESSION_ROLE, Tracked};
use crate::sql::plan::{Discard, Plan, Route, Statement, StatementKind};
use crate::wire::frame;
use crate::wire::message;

/// The text of the prepared statement that sets role and path for the transaction. NULL for the path means the server's
/// own.
pub const STATEMENT_TEXT: &[u8] =
    b"SELECT pg_catalog.set_config('role', $1, true), pg_catalog.set_config('search_path', $2, true)";

/// Two parameters, of type `text`.
pub const STATEMENT_TYPES: &[u8] = &[0, 2, 0, 0, 0, 25, 0, 0, 0, 25];

/// The role that is in force on a server after all written messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum InForce {
    /// The servers' role.
    #[default]
    Servers,
    /// A tenant's role.
    Tenants(RoleName),
    /// Unknown.
    Unknown,
}

impl InForce {
    /// The SQL that sets `wanted` for the transaction; `None` if it is in force.
    pub fn change(&self, wanted: Option<&RoleName>) -> Option<String> {
        match (self, wanted) {
            (InForce::Servers, None) => None,
            (InForce::Tenants(role), Some(wanted)) if role == wanted => None,
            (_, Some(wanted)) => Some(format!("SET LOCAL ROLE {}; ", ident::ascii_quoted(wanted.as_str()))),
            (_, None) => Some("SET LOCAL ROLE NONE; ".to_owned()),
        }
    }

    /// Whether the role must be known before the statement runs.
    pub fn matters_to(&self, statement: &Statement) -> bool {
        // Deferred triggers and constraints run at the end of the transaction.
        let ends = matches!(statement.kind, StatementKind::Commit { .. });
        needs_role(statement) || ends && *self == InForce::Unknown
    }

    /// The role outside of a transaction, by the settings of the server's session.
    pub fn outside_of_transaction(settings: &Tracked) -> Self {
        if settings.current().has(SESSION_ROLE) { InForce::Unknown } else { InForce::Servers }
    }

    /// The role in force when `wanted` was set.
    pub fn of(wanted: Option<&RoleName>) -> Self {
        wanted.map_or(InForce::Servers, |role| InForce::Tenants(role.clone()))
    }
}

/// The state of the role of a request that needs it for the session.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Settled {
    /// The role was not requested.
    #[default]
    No,
    /// The role was requested: nothing else is sent before the answer.
    Asked,
    /// It is in force.
    Yes,
    /// PostgreSQL has refused it with this error; the end of the answer is outstanding.
    Refused(Box<[u8]>),
}

impl Settled {
    /// Whether PostgreSQL's answer is incomplete.
    pub fn is_open(&self) -> bool {
        matches!(self, Settled::Asked | Settled::Refused(_))
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// The role to set for the tenant's transactions.
    pub(super) fn role(&self) -> Option<RoleName> {
        self.tenants.now().isolation.set_role().cloned()
    }

    /// Whether no statement may be in front of a plan in its transaction, with the role that the tenant needs.
    pub(super) fn is_to_be_first(&self, plan: &Plan) -> bool {
        if self.role().is_some() { stands_alone(plan) } else { runs_by_itself(plan) }
    }

    /// Whether a plan runs in a transaction of its own, with the role that the tenant needs.
    pub(super) fn is_own_transaction(&self, plan: &Plan) -> bool {
        let own = self.is_to_be_first(plan);
        // Other statements that cannot run in a block fail behind statements that have run, or belong to their
        // transaction.
        let alone = plan.route == Route::OwnTransaction || !self.has_open_pipeline();
        own && alone && self.status_then() == Status::Idle
    }

    /// Makes sure that the role is in force for the session before a plan runs in a transaction of its own. `Some`: the
    /// plan may not be sent (yet).
    ///
    /// `simple`: the message at hand is a `Query`. Behind statements of a pipeline nothing is awaited: only `CALL` and
    /// `DO` can run there, and the role is set in front of them.
    pub(super) fn settle_role(&mut self, plan: &Plan, simple: bool) -> Option<Step> {
        let first = if simple { !self.has_open_pipeline() } else { !self.has_sent() };
        let waits = first && self.is_own_transaction(plan);
        let role = self.role().filter(|_| waits)?;
        let path = Arc::clone(&self.effective.path);
        let link = self.link.as_mut()?;
        match link.request.role {
            Settled::Yes => return None,
            Settled::Asked | Settled::Refused(_) => return Some(Step::Wait),
            Settled::No => {}
        }
        link.begin(&self.settings, self.status, Some(&role));
        let mut sql = format!("SET ROLE {}", ident::ascii_quoted(role.as_str()));
        if !path.is_empty() {
            sql += "; SET search_path TO ";
            sql += &path::in_sql(&path);
        }
        link.lease.query(&[sql.as_bytes()]);
        link.expects.push_back(Expect::SessionRole(role));
        link.note_for_session(Some(&path), true);
        link.request.role = Settled::Asked;
        Some(Step::Wait)
    }

    /// The same for a prepared statement of the client.
    pub(super) fn settle_role_of(&mut self, name: &[u8]) -> Option<Step> {
        let plan = Arc::clone(&self.statements.get(name)?.plan);
        self.settle_role(&plan, false)
    }

    /// PostgreSQL has answered [`Expect::SessionRole`].
    pub(super) fn role_settled(&mut self, role: RoleName) {
        let Some(link) = &mut self.link else { return };
        match std::mem::take(&mut link.request.role) {
            Settled::Asked => {
                link.request.role = Settled::Yes;
                link.setup.set_role(InForce::Tenants(role));
                link.setup.set_path();
            }
            Settled::Refused(error) => self.role_refused(&error),
            other => link.request.role = other,
        }
    }

    /// Answers the message that waits for its role with PostgreSQL's error.
    fn role_refused(&mut self, error: &[u8]) {
        self.count_error(frame::field(error, b'C').unwrap_or(b"XX000"));
        message::raw(&mut self.outbuf, b'E', error);
        match self.has_sent() {
            // The messages in front in the pipeline have been answered.
            true => self.end_request(self.status),
            false => self.link.iter_mut().for_each(|link| link.next_request()),
        }
        self.give_up_message();
    }
}

impl Link {
    /// The role in force outside of a transaction, or after its end.
    pub fn resting_role(&self) -> InForce {
        InForce::outside_of_transaction(&self.settings)
    }

    /// Records that path and role were set for the session. They are reset whatever the result is.
    pub fn note_for_session(&mut self, path: Option<&str>, role: bool) {
        if let Some(path) = path.filter(|path| !path.is_empty()) {
            self.settings.set_for_good(SEARCH_PATH, Assignment::of_ours(path));
        }
        if role {
            self.settings.set_for_good(SESSION_ROLE, Assignment::of_ours(""));
        }
    }

    /// Records a `RESET ALL`, which does not reset the role.
    pub fn forget_settings(&mut self) {
        let has_role = self.settings.current().has(SESSION_ROLE);
        self.settings.reset_all(&Arc::default());
        if has_role {
            self.settings.set(SESSION_ROLE, Assignment::of_ours(""));
        }
    }
}

/// The effect of a statement on the role of its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RoleChange {
    /// None.
    Keep,
    /// A role that was set may be in force no longer.
    Doubt,
    /// The role before the transaction is in force afterwards.
    Rest,
}

/// See [`RoleChange`].
pub(super) fn role_change(statement: &Statement) -> RoleChange {
    match &statement.kind {
        StatementKind::Commit { .. }
        | StatementKind::Rollback { .. }
        | StatementKind::Discard(Discard::All) => RoleChange::Rest,
        // Whether the role was set before or behind the savepoint is unknown.
        StatementKind::RollbackTo(_) => RoleChange::Doubt,
        _ => RoleChange::Keep,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_is_set_unless_it_is_known_to_be_in_force() {
        let [acme, globex] = ["acme", "glo\"bex"].map(|name| RoleName::new(name).unwrap());
        let change = |role: &InForce, wanted| role.change(wanted).unwrap_or_default();
        let in_force = InForce::of(Some(&acme));
        assert_eq!(change(&InForce::Servers, None), "");
        assert_eq!(change(&InForce::Servers, Some(&globex)), "SET LOCAL ROLE \"glo\"\"bex\"; ");
        assert_eq!(change(&in_force, Some(&acme)), "");
        assert_eq!(change(&in_force, Some(&globex)), "SET LOCAL ROLE \"glo\"\"bex\"; ");
        assert_eq!(change(&in_force, None), "SET LOCAL ROLE NONE; ");
        assert_eq!(change(&InForce::Unknown, Some(&acme)), "SET LOCAL ROLE \"acme\"; ");
        assert_eq!(change(&InForce::Unknown, None), "SET LOCAL ROLE NONE; ");
    }
}
