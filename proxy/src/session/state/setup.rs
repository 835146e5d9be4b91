//! The path and the role in force on a server behind all messages that were written to it.

use bytes::Bytes;

use crate::session::effect::{PathChange, path_change};
use crate::session::role::{InForce, RoleChange, role_change};
use crate::simulation::{Fault, fault};
use crate::sql::plan::Statement;

/// What the messages written so far have set, if all of them succeed.
#[derive(Default)]
pub(in crate::session) struct Setup {
    /// The path is set for the transaction.
    path_set: bool,
    /// Code in this transaction, or in this pipeline, may have set another path.
    path_moved: bool,
    /// The portal that was bound last, if its `Bind` may have run code.
    moved_by: Option<Bytes>,
    /// The client has set a path for this transaction itself.
    local_path: bool,
    /// In this transaction a path was in force on which the tenant's schema is not the first. A rollback to a savepoint
    /// may restore that path.
    strayed: bool,
    /// The role that is in force.
    role: InForce,
}

impl Setup {
    // The path.

    /// Whether the path need not be set for the next statement.
    pub fn has_path(&self) -> bool {
        self.path_set
    }

    /// Whether a path that was set is in force no longer, because of code.
    pub fn has_lost_path(&self) -> bool {
        self.path_moved && !self.path_set
    }

    /// The path was set, or does not matter.
    pub fn set_path(&mut self) {
        self.path_set = true;
    }

    /// Whether the client has set a path for this transaction itself.
    pub fn has_local_path(&self) -> bool {
        self.local_path
    }

    /// Whether a path was in force on which the tenant's schema is not the first.
    pub fn has_strayed(&self) -> bool {
        self.strayed
    }

    /// A path is in force on which the tenant's schema is not the first, if it `strays`.
    pub fn stray_if(&mut self, strays: bool) {
        self.strayed |= strays;
    }

    /// The tenant's path is in force again, and no savepoint could restore an earlier one.
    pub fn return_home(&mut self) {
        self.strayed = false;
    }

    /// The next messages are for another tenant, whose path was not set.
    pub fn change_tenant(&mut self) {
        (self.path_set, self.local_path, self.strayed) = (false, false, false);
    }

    // The role.

    /// The role that is in force.
    pub fn role(&self) -> &InForce {
        &self.role
    }

    /// The role was set.
    pub fn set_role(&mut self, role: InForce) {
        self.role = role;
    }

    // Code.

    /// Code may have set another path and another role.
    pub fn moved(&mut self) {
        (self.path_set, self.path_moved, self.moved_by) = (false, true, None);
        if self.role != InForce::Servers {
            self.role = InForce::Unknown;
        }
    }

    /// A portal was bound whose `Bind` may have run code.
    pub fn bind_may_move(&mut self, portal: Bytes) {
        self.moved_by = Some(portal);
    }

    /// A portal is used: the `Bind` of another one may have run code that set another path.
    pub fn settle_bind(&mut self, portal: Option<&[u8]>) {
        if self.moved_by.as_deref().is_some_and(|bound| Some(bound) != portal) {
            self.moved();
        }
    }

    // What is behind a statement, a request, a transaction.

    /// A statement was written. `resting`: the role outside of a transaction; `moves`: the statement may run code.
    pub fn advance(&mut self, statement: &Statement, resting: impl FnOnce() -> InForce, moves: bool) {
        match role_change(statement) {
            RoleChange::Keep => {}
            RoleChange::Doubt if self.role == InForce::Servers => {}
            RoleChange::Doubt => self.role = InForce::Unknown,
            RoleChange::Rest if fault(Fault::RoleKeptBehindEnd) => {}
            RoleChange::Rest => self.role = resting(),
        }
        match path_change(statement) {
            PathChange::Keep => {}
            PathChange::Set => self.path_set = true,
            PathChange::Own => (self.path_set, self.local_path) = (true, true),
            PathChange::Lost => {
                self.path_set &= fault(Fault::PathKeptBehindEnd);
                self.local_path = false;
            }
        }
        if moves {
            self.moved();
        }
    }

    /// A request of the proxy ends an implicit transaction: what was set for it is gone. `resting`: the role outside of
    /// a transaction.
    pub fn rest(&mut self, resting: InForce) {
        self.path_set = false;
        self.role = resting;
    }

    /// PostgreSQL has confirmed that no transaction is open. `resting`: the role outside of one.
    pub fn end(&mut self, resting: InForce) {
        self.path_set &= fault(Fault::PathKeptBehindEnd);
        (self.path_moved, self.local_path, self.strayed) = (false, false, false);
        if !fault(Fault::RoleKeptBehindEnd) {
            self.role = resting;
        }
    }
}

#[cfg(test)]
mod tests {
    use pgstrata_tenancy::RoleName;

    use super::*;
    use crate::sql::Engine;
    use crate::sql::fixture::scope;
    use crate::sql::scope::TextMode;

    /// A server with the path and the role of a tenant.
    fn set_up() -> Setup {
        let mut setup = Setup::default();
        setup.set_path();
        setup.set_role(tenants());
        setup
    }

    fn tenants() -> InForce {
        InForce::of(RoleName::new("acme").ok().as_ref())
    }

    fn write(setup: &mut Setup, text: &str, resting: &InForce, moves: bool) {
        let plan = Engine::new(1 << 20).plan(text.as_bytes(), &scope(), TextMode::default());
        assert!(!plan.statements.is_empty(), "{text}");
        plan.statements.iter().for_each(|statement| setup.advance(statement, || resting.clone(), moves));
    }

    #[test]
    fn setup_is_followed_through_each_kind_of_statement() {
        let (tenants, unknown) = (tenants(), InForce::Unknown);
        for (text, has_path, is_local, role) in [
            ("select 1", true, false, &tenants),
            ("begin", true, false, &tenants),
            ("savepoint s", true, false, &tenants),
            ("rollback to s", true, false, &unknown),
            ("commit", false, false, &InForce::Servers),
            ("rollback", false, false, &InForce::Servers),
            ("discard all", false, false, &InForce::Servers),
            ("reset all", false, false, &tenants),
            ("reset search_path", false, false, &tenants),
            ("set search_path to public", true, true, &tenants),
            ("set local search_path to public", true, true, &tenants),
            ("set local search_path to public; commit", false, false, &InForce::Servers),
            ("set statement_timeout to 1", true, false, &tenants),
        ] {
            let mut setup = set_up();
            write(&mut setup, text, &InForce::Servers, false);
            assert_eq!(
                (setup.has_path(), setup.has_local_path(), setup.role()),
                (has_path, is_local, role),
                "{text}"
            );
            assert!(!setup.has_lost_path(), "{text}");
        }
    }

    #[test]
    fn role_returns_to_that_of_the_session() {
        let mut setup = set_up();
        write(&mut setup, "commit", &InForce::Unknown, false);
        assert_eq!(*setup.role(), InForce::Unknown, "a role was set for the session");
        let mut servers = Setup::default();
        write(&mut servers, "savepoint s; rollback to s", &InForce::Servers, false);
        assert_eq!(*servers.role(), InForce::Servers, "no role was set before the savepoint or behind it");
    }

    #[test]
    fn code_puts_path_and_role_in_doubt() {
        let mut setup = set_up();
        write(&mut setup, "select 1", &InForce::Servers, true);
        assert!(!setup.has_path() && setup.has_lost_path());
        assert_eq!(*setup.role(), InForce::Unknown);
        setup.set_path();
        assert!(!setup.has_lost_path());
        let mut servers = Setup::default();
        servers.moved();
        assert_eq!(*servers.role(), InForce::Servers, "the servers' role cannot be left for good");
    }

    #[test]
    fn bind_of_another_portal_counts_when_a_portal_is_used() {
        for (used, lost) in [(Some(&b"a"[..]), false), (Some(&b""[..]), true), (None, true)] {
            let mut setup = set_up();
            setup.bind_may_move(Bytes::from_static(b"a"));
            assert!(setup.has_path(), "its own Execute finds the path that it was bound under");
            setup.settle_bind(used);
            assert_eq!(setup.has_lost_path(), lost, "{used:?}");
        }
        let mut setup = set_up();
        setup.settle_bind(None);
        assert!(setup.has_path());
        setup.bind_may_move(Bytes::new());
        setup.moved();
        setup.set_path();
        setup.settle_bind(None);
        assert!(setup.has_path(), "one run of code counts once");
    }

    #[test]
    fn nothing_of_a_transaction_outlives_it() {
        let mut setup = set_up();
        write(&mut setup, "set local search_path to public", &InForce::Servers, false);
        setup.stray_if(true);
        setup.stray_if(false);
        assert!(setup.has_strayed(), "a savepoint may restore the path");
        setup.moved();
        setup.end(InForce::Servers);
        let Setup { path_set, path_moved, moved_by, local_path, strayed, role } = setup;
        assert!(!path_set && !path_moved && moved_by.is_none() && !local_path && !strayed);
        assert_eq!(role, InForce::Servers);
    }

    #[test]
    fn another_tenant_has_another_path() {
        let mut setup = set_up();
        write(&mut setup, "set search_path to public", &InForce::Servers, false);
        setup.stray_if(true);
        setup.change_tenant();
        assert!(!setup.has_path() && !setup.has_local_path() && !setup.has_strayed());
        let mut home = set_up();
        home.stray_if(true);
        home.return_home();
        assert!(!home.has_strayed() && home.has_path());
        home.rest(InForce::Unknown);
        assert!(!home.has_path() && *home.role() == InForce::Unknown);
    }
}
