//! A client's statement on the server at hand: prepared there, under the right path, and no other than
//! what its text means now.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use pgstrata_tenancy::RoleName;
use tokio::io::{AsyncRead, AsyncWrite};

use super::clock::begins_block;
use super::columns::Columns;
use super::effect::needs_path;
use super::expect::{Expect, PATH_BEHIND, PATH_FIRST, ROLE_FIRST};
use super::extended::{PARSE_COMPLETE, refusal};
use super::query::{format_set_local, kind_of};
use super::role::{InForce, needs_role};
use super::statements::{ClientStatement, Identity, Prepared};
use super::tenant::Tenancy;
use super::{Session, Status, path, role};
use crate::metrics::Kind;
use crate::pool::settings::{SEARCH_PATH, SESSION_ROLE};
use crate::sql::plan::{Plan, Route, Statement};
use crate::sql::rewrite::{PositionMap, rewrite};
use crate::wire::message;

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Makes a client's statement out of what the engine said of it.
    pub(super) fn statement(
        &mut self,
        text: &[u8],
        types: &[u8],
        plan: Plan,
        tied: Option<Arc<Tenancy>>,
        named: bool,
    ) -> ClientStatement {
        let tenancy = Arc::clone(self.tenants.now());
        let (sent, map) = rewrite(text, &plan.splices, &tenancy.prefixes, &[]).into_text();
        let sent = Bytes::from(sent);
        let text = if map.is_empty() { sent.clone() } else { Bytes::copy_from_slice(text) };
        let under_path = plan.statements.iter().any(|s| needs_path(s, &plan.route));
        let identity = Identity {
            text: sent,
            types: Bytes::copy_from_slice(types),
            path: if under_path { Arc::clone(&self.effective.path) } else { Arc::default() },
            role: self.role(),
            epoch: self.identity.database.catalog.epoch(&tenancy.scope.schema),
        };
        let store = &self.shared.store;
        let prepared = if named { store.intern(identity) } else { store.unshared(identity) };
        let types = prepared.identity.types.clone();
        let columns = Columns::Untold;
        ClientStatement {
            text,
            types,
            plan: Arc::new(plan),
            prepared,
            map,
            tenancy,
            tied,
            columns,
            ours: false,
        }
    }

    /// `Parse` of the client's, as far as the server at hand needs one.
    pub(super) fn send_parse(&mut self, name: Bytes, statement: ClientStatement) {
        self.set_up_for(&statement.plan);
        let Some(link) = &mut self.link else { return };
        let prepared = Arc::clone(&statement.prepared);
        if name.is_empty() {
            link.lease.unnamed = Some(prepared.id);
            put_parse(&mut link.lease.outbuf, &prepared);
            link.owe(Expect::Parse {
                id: prepared.id,
                named: false,
                client: Some(name.clone()),
                map: statement.map.clone(),
            });
        } else if link.lease.prepared.touch(prepared.id) {
            link.owe(Expect::Local { message: PARSE_COMPLETE, opened: Some(name.clone()), closed: None });
        } else {
            self.prepare(&prepared, Some(name.clone()), statement.map.clone());
        }
        self.statements.insert(name, statement);
        self.emit_locals();
    }

    /// Prepares a named statement on the server at hand; makes room for it.
    fn prepare(&mut self, prepared: &Prepared, client: Option<Bytes>, map: PositionMap) {
        let Some(link) = &mut self.link else { return };
        for old in link.lease.prepared.insert(prepared.id, prepared.identity.text.len()) {
            message::close(&mut link.lease.outbuf, b'S', self.shared.store.name(old).as_bytes());
            link.owe(Expect::Close { client: false });
        }
        put_parse(&mut link.lease.outbuf, prepared);
        link.owe(Expect::Parse { id: prepared.id, named: true, client, map });
    }

    /// A client's statement on the server at hand, where it is prepared and its path is set from now on.
    /// `None`: there is no such statement, and that has been dealt with.
    pub(super) fn ensure_statement(&mut self, name: &[u8]) -> Option<Arc<Prepared>> {
        let known = self.statements.get(name).map(|s| (Arc::clone(&s.plan), Arc::clone(&s.prepared)));
        let Some((plan, prepared)) = known else {
            let what = if name.is_empty() {
                "unnamed prepared statement does not exist".to_owned()
            } else {
                format!("prepared statement \"{}\" does not exist", String::from_utf8_lossy(name))
            };
            self.poison(refusal("26000", what));
            return None;
        };
        if let Route::Refuse(refusal) = &plan.route {
            self.count_refusal(refusal.code);
            self.poison((**refusal).clone());
            return None;
        }
        // When it was prepared there may have been room.
        if let Some(refusal) = self.refuses_pin(&plan) {
            self.poison(refusal);
            return None;
        }
        self.set_up_for(&plan);
        let link = self.link.as_mut()?;
        let is_there = match name.is_empty() {
            true => link.lease.unnamed.replace(prepared.id) == Some(prepared.id),
            false => link.lease.prepared.touch(prepared.id),
        };
        if !is_there {
            let map = self.statements.get(name).map(|statement| statement.map.clone()).unwrap_or_default();
            match name.is_empty() {
                true => {
                    put_parse(&mut link.lease.outbuf, &prepared);
                    link.owe(Expect::Parse { id: prepared.id, named: false, client: None, map });
                }
                false => self.prepare(&prepared, None, map),
            }
            self.shared.metrics.prepared_on_demand();
        }
        Some(prepared)
    }

    /// Looks at a statement anew where it was prepared for something else than what holds now.
    /// `false`: it takes names that are not known now.
    pub(super) fn renew(&mut self, name: &[u8]) -> bool {
        let Some(statement) = self.statements.get(name).filter(|statement| self.is_outdated(statement))
        else {
            return true;
        };
        let statement = statement.clone();
        let plan = self.plan_pipelined(&statement.text);
        if plan.route == Route::NeedNames {
            return false;
        }
        let (text, types) = (statement.text.clone(), statement.types.clone());
        let columns = statement.columns.in_doubt();
        let statement = self.statement(&text, &types, plan, statement.tied.clone(), !name.is_empty());
        let statement = ClientStatement { columns, ..statement };
        self.statements.insert(Bytes::copy_from_slice(name), statement);
        true
    }

    /// Whether a statement was prepared for another path or another state of the catalog.
    fn is_outdated(&self, statement: &ClientStatement) -> bool {
        if statement.tied.is_none() && !Arc::ptr_eq(&statement.tenancy, self.tenants.now()) {
            return true;
        }
        let identity = &statement.prepared.identity;
        let spliced = statement.plan.route == Route::Splice;
        let own = self.effective.own || self.link.as_ref().is_some_and(|link| link.local_path);
        let moved = !identity.path.is_empty() && *identity.path != *self.effective.path;
        let epoch = self.identity.database.catalog.epoch(&statement.tenancy.scope.schema);
        let refused = matches!(statement.plan.route, Route::Refuse(_));
        // PostgreSQL looks its names up anew where the path is another.
        let strayed = self.has_strayed() && statement.plan.statements.iter().any(|s| s.writes);
        moved
            || spliced && (own || self.pins.may_have_temp())
            || refused
            || strayed
            || identity.epoch != epoch
    }

    /// Sets role and path in front of a statement that needs them.
    pub(super) fn set_up_for(&mut self, plan: &Plan) {
        let kind = kind_of(&self.scope.tenant, plan);
        let needs = |needs: &dyn Fn(&Statement) -> bool| plan.statements.iter().any(needs);
        let path = Arc::clone(&self.effective.path);
        let (role, status) = (self.role(), self.status_then());
        let own_transaction = self.is_own_transaction(plan);
        self.note_notifier(plan);
        self.keep_sequences_apart(plan);
        let Some(link) = &mut self.link else { return };
        link.opaque |= plan.opaque;
        link.doubts_role |= plan.opaque;
        link.request.begins |= begins_block(plan);
        if kind != Kind::Shared && link.request.kind != Kind::TenantWrite {
            link.request.kind = kind;
        }
        let begun = link.request.sent || status == Status::Block;
        // What runs by itself may commit: what was set for the transaction alone would be gone then.
        let kept = |name| !(own_transaction && begun) || link.settings.current().contains_key(name);
        let lacks_path = !(path.is_empty() || link.path_set && kept(SEARCH_PATH));
        let lacks_path = lacks_path && needs(&|s| needs_path(s, &plan.route));
        let in_force = if role.is_none() || kept(SESSION_ROLE) { &link.role } else { &InForce::Unknown };
        let lacks_role = in_force.change(role.as_ref()).filter(|_| needs(&needs_role));
        if status == Status::Failed || !lacks_path && lacks_role.is_none() {
            return;
        }
        let name = self.shared.store.path_name();
        match (&role, begun) {
            (Some(role), false) if !own_transaction => {
                let shown = (!path.is_empty()).then_some(&*self.effective.shown);
                link.set_role_first(role, shown, self.shared.store.role_name());
                link.path_set = true;
            }
            (None, false) if lacks_role.is_none() => {
                link.path_set = true;
                match own_transaction {
                    true => link.set_session_path(&path),
                    false => link.set_path_first(&self.effective.shown, name),
                }
            }
            _ => {
                if let Some(sql) = lacks_role {
                    link.set_role_behind(&sql, role.as_ref(), own_transaction, name);
                }
                if lacks_path {
                    link.set_path_behind(&path, own_transaction, name);
                    link.path_set = true;
                }
            }
        }
    }

    /// Sets the role in front of a portal that is about to run, where it is no longer in force.
    pub(super) fn set_role_for(&mut self, statement: Option<&ClientStatement>) {
        let (role, status) = (self.role(), self.status_then());
        let Some(link) = self.link.as_mut().filter(|_| status != Status::Failed) else { return };
        let matters = |one: &Statement| link.role.matters_to(one);
        // Of a portal that nothing is known of, it is known that it reads or writes.
        if statement.is_some_and(|statement| !statement.plan.statements.iter().any(matters)) {
            return;
        }
        if let Some(sql) = link.role.change(role.as_ref()) {
            link.set_role_behind(&sql, role.as_ref(), false, self.shared.store.path_name());
        }
    }
}

impl super::link::Link {
    /// Sets the path for the transaction that begins with this request.
    fn set_path_first(&mut self, path: &str, name: &[u8]) {
        let has = std::mem::replace(&mut self.lease.has_path_statement, true);
        let prepare = (!has).then_some((PATH_FIRST, path::STATEMENT_TEXT, path::STATEMENT_TYPES));
        self.run_first(prepare, name, &[Some(path)]);
    }

    /// Sets the role, and the path, for the transaction that begins with this request.
    fn set_role_first(&mut self, role: &RoleName, path: Option<&str>, name: &[u8]) {
        let has = std::mem::replace(&mut self.lease.has_role_statement, true);
        let prepare = (!has).then_some((ROLE_FIRST, role::STATEMENT_TEXT, role::STATEMENT_TYPES));
        self.run_first(prepare, name, &[Some(role.as_str()), path]);
        self.role = InForce::of(Some(role));
    }

    /// Runs a prepared statement of our own at the head of a request; prepares it if it is not there.
    fn run_first(&mut self, prepare: Option<(u64, &[u8], &[u8])>, name: &[u8], values: &[Option<&str>]) {
        let out = &mut self.lease.outbuf;
        if let Some((_, text, types)) = prepare {
            message::parse(out, name, text, types);
        }
        message::bind_texts(out, b"", name, values);
        message::execute(out, b"");
        if let Some((id, ..)) = prepare {
            self.owe(Expect::Parse { id, named: true, client: None, map: Default::default() });
        }
        self.owe(Expect::Bind { client: false });
        self.owe(Expect::Execute { client: false, effect: None });
    }

    /// Sets the role for a transaction that has begun, or for the session.
    pub(super) fn set_role_behind(&mut self, sql: &str, role: Option<&RoleName>, session: bool, name: &[u8]) {
        self.role = InForce::of(role);
        match role.filter(|_| session) {
            Some(role) => {
                self.note_for_session(None, true);
                self.run_behind(format!("SET ROLE {}", role.quoted()).as_bytes(), name);
            }
            None => self.run_behind(sql.as_bytes(), name),
        }
    }

    /// Sets the path for a transaction that has begun, or for the session.
    ///
    /// By a `SET`, which takes no snapshot: one taken before a `LOCK TABLE` would be too old.
    /// Not by a `Query`, nor in an unnamed portal: the client may have one.
    pub(super) fn set_path_behind(&mut self, path: &str, session: bool, name: &[u8]) {
        match session {
            true => {
                self.note_for_session(Some(path), false);
                self.run_behind(&[b"SET search_path TO ", path::in_sql(path).as_bytes()].concat(), name);
            }
            false => self.run_behind(format_set_local(path).as_bytes(), name),
        }
    }

    /// Runs a statement of our own in the middle of a pipeline.
    pub(super) fn run_behind(&mut self, sql: &[u8], name: &[u8]) {
        let name = &[name, b"_behind"].concat();
        let out = &mut self.lease.outbuf;
        // The one of before. Were it closed behind its use, it would stay where that fails.
        message::close(out, b'S', name);
        message::parse(out, name, sql, &[0, 0]);
        message::bind_nothing(out, name, name);
        message::execute(out, name);
        message::close(out, b'P', name);
        self.owe(Expect::Close { client: false });
        self.owe(Expect::Parse { id: PATH_BEHIND, named: true, client: None, map: Default::default() });
        self.owe(Expect::Bind { client: false });
        self.owe(Expect::Execute { client: false, effect: None });
        self.owe(Expect::Close { client: false });
    }
}

fn put_parse(out: &mut BytesMut, prepared: &Prepared) {
    message::parse(out, prepared.name.as_bytes(), &prepared.identity.text, &prepared.identity.types);
}
