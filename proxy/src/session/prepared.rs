//! A client's statement on the server at hand: prepared there, under the right path, and no other than
//! what its text means now.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};

use super::columns::Columns;
use super::effect::needs_path;
use super::expect::{Expect, PATH_BEHIND, PATH_FIRST};
use super::extended::{PARSE_COMPLETE, refusal};
use super::query::{format_set_local, kind_of, runs_by_itself};
use super::statements::{ClientStatement, Identity, Prepared};
use super::tenant::Tenancy;
use super::{Session, Status, path};
use crate::metrics::Kind;
use crate::sql::plan::{Plan, Route};
use crate::sql::rewrite::rewrite;
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
        self.ensure_path_for(&statement.plan);
        let Some(link) = &mut self.link else { return };
        let prepared = Arc::clone(&statement.prepared);
        if name.is_empty() {
            link.lease.unnamed = Some(prepared.id);
            put_parse(&mut link.lease.outbuf, b"", &prepared);
            link.owe(Expect::Parse {
                id: prepared.id,
                named: false,
                client: Some(name.clone()),
                map: statement.map.clone(),
            });
        } else if link.lease.prepared.touch(prepared.id) {
            link.owe(Expect::Local { message: PARSE_COMPLETE, opened: Some(name.clone()), closed: None });
        } else {
            self.prepare(&prepared, Some(name.clone()), &statement);
        }
        self.statements.insert(name, statement);
        self.emit_locals();
    }

    /// Prepares a named statement on the server at hand; makes room for it.
    fn prepare(&mut self, prepared: &Prepared, client: Option<Bytes>, statement: &ClientStatement) {
        let Some(link) = &mut self.link else { return };
        for old in link.lease.prepared.insert(prepared.id, prepared.identity.text.len()) {
            message::close(&mut link.lease.outbuf, b'S', self.shared.store.name(old).as_bytes());
            link.owe(Expect::Close { client: false });
        }
        put_parse(&mut link.lease.outbuf, self.shared.store.name(prepared.id).as_bytes(), prepared);
        let map = statement.map.clone();
        link.owe(Expect::Parse { id: prepared.id, named: true, client, map });
    }

    /// The name of a client's statement on the server at hand, where it is prepared and its
    /// path is set from now on. `None`: there is no such statement, and that has been dealt with.
    pub(super) fn ensure_statement(&mut self, name: &[u8]) -> Option<String> {
        let Some(statement) = self.statements.get(name).cloned() else {
            let what = if name.is_empty() {
                "unnamed prepared statement does not exist".to_owned()
            } else {
                format!("prepared statement \"{}\" does not exist", String::from_utf8_lossy(name))
            };
            self.poison(refusal("26000", what));
            return None;
        };
        if let Route::Refuse(refusal) = &statement.plan.route {
            self.shared.metrics.guarded();
            self.poison(refusal.clone());
            return None;
        }
        // When it was prepared there may have been room.
        if let Some(refusal) = self.refuses_pin(&statement.plan) {
            self.poison(refusal);
            return None;
        }
        self.ensure_path_for(&statement.plan);
        let prepared = Arc::clone(&statement.prepared);
        let link = self.link.as_mut()?;
        if name.is_empty() {
            if link.lease.unnamed.replace(prepared.id) != Some(prepared.id) {
                put_parse(&mut link.lease.outbuf, b"", &prepared);
                let map = statement.map.clone();
                link.owe(Expect::Parse { id: prepared.id, named: false, client: None, map });
                self.shared.metrics.prepared_on_demand();
            }
            return Some(String::new());
        }
        if !link.lease.prepared.touch(prepared.id) {
            self.prepare(&prepared, None, &statement);
            self.shared.metrics.prepared_on_demand();
        }
        Some(self.shared.store.name(prepared.id))
    }

    /// Looks at a statement anew where it was prepared for something else than what holds now.
    /// `false`: it takes names that are not known now.
    pub(super) fn renew(&mut self, name: &[u8]) -> bool {
        let Some(statement) = self.statements.get(name).cloned() else { return true };
        if !self.is_outdated(&statement) {
            return true;
        }
        let plan = self.plan_for(&statement.text);
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

    /// Sets the path in front of a statement that needs it.
    pub(super) fn ensure_path_for(&mut self, plan: &Plan) {
        let kind = kind_of(&self.scope.tenant, plan);
        let needed = plan.statements.iter().any(|s| needs_path(s, &plan.route));
        let path = Arc::clone(&self.effective.path);
        let status = self.status_then();
        self.note_notifier(plan);
        self.keep_sequences_apart(plan);
        let Some(link) = &mut self.link else { return };
        link.opaque |= plan.opaque;
        if kind != Kind::Shared && link.request.kind != Kind::TenantWrite {
            link.request.kind = kind;
        }
        if !needed || path.is_empty() || link.path_set || status == Status::Failed {
            return;
        }
        link.path_set = true;
        let name = self.shared.store.path_name();
        if link.request.sent || status == Status::Block {
            link.set_path_behind(&path, name);
        } else if runs_by_itself(plan) {
            link.set_session_path(&path);
        } else {
            link.set_path_first(&self.effective.shown, name);
        }
    }
}

impl super::link::Link {
    /// Sets the path for the transaction that begins with this request.
    fn set_path_first(&mut self, path: &str, name: &[u8]) {
        let prepare = !self.lease.has_path_statement;
        let out = &mut self.lease.outbuf;
        if prepare {
            message::parse(out, name, path::STATEMENT_TEXT, path::STATEMENT_TYPES);
        }
        message::bind_text(out, b"", name, path.as_bytes());
        message::execute(out, b"");
        if prepare {
            self.lease.has_path_statement = true;
            self.owe(Expect::Parse { id: PATH_FIRST, named: true, client: None, map: Default::default() });
        }
        self.owe(Expect::Bind { client: false });
        self.owe(Expect::Execute { client: false, effect: None });
    }

    /// Sets the path for a transaction that has begun.
    ///
    /// By a `SET`, which takes no snapshot: one taken before a `LOCK TABLE` would be too old.
    /// Not by a `Query`, nor in an unnamed portal: the client may have one.
    pub(super) fn set_path_behind(&mut self, path: &str, name: &[u8]) {
        self.run_behind(format_set_local(path).as_bytes(), name);
    }

    /// Runs a statement of our own in the middle of a pipeline.
    pub(super) fn run_behind(&mut self, sql: &[u8], name: &[u8]) {
        let name = &[name, b"_behind"].concat();
        let out = &mut self.lease.outbuf;
        message::parse(out, name, sql, &[0, 0]);
        message::bind_nothing(out, name, name);
        message::execute(out, name);
        message::close(out, b'P', name);
        message::close(out, b'S', name);
        self.owe(Expect::Parse { id: PATH_BEHIND, named: true, client: None, map: Default::default() });
        self.owe(Expect::Bind { client: false });
        self.owe(Expect::Execute { client: false, effect: None });
        self.owe(Expect::Close { client: false });
        self.owe(Expect::Close { client: false });
    }
}

fn put_parse(out: &mut BytesMut, name: &[u8], prepared: &Prepared) {
    message::parse(out, name, &prepared.identity.text, &prepared.identity.types);
}
