//! A client's statement on the server at hand: prepared there, under the right path, and no other than
//! what its text means now.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use pgstrata_tenancy::{RoleName, ident};
use tokio::io::{AsyncRead, AsyncWrite};

use super::clock::begins_block;
use super::columns::Columns;
use super::encoding::other_encoding;
use super::expect::{Effect, Expect, PATH_BEHIND, PATH_FIRST, ROLE_FIRST};
use super::extended::{PARSE_COMPLETE, refusal};
use super::judge::Source;
use super::link::Link;
use super::names::{can_be_run, unknown};
use super::query::{ends_failure, format_set_local, kind_of};
use super::request::Step;
use super::role::InForce;
use super::statements::{ClientStatement, Identity, Origin, Prepared, Runs};
use super::switch::aborted;
use super::{Session, Status, names, path, role};
use crate::clients::counts::Counts;
use crate::metrics::Kind;
use crate::needs::{needs_path, needs_role};
use crate::pool::server::Standing;
use crate::pool::settings::{SEARCH_PATH, SESSION_ROLE, Settings};
use crate::shared::tenancy::Tenancy;
use crate::simulation::{Fault, fault};
use crate::sql::fresh;
use crate::sql::plan::{Check, Plan, Route, Statement};
use crate::sql::rewrite::{PositionMap, rewrite};
use crate::wire::{frame, message};

/// `FirstNormalObjectId` in PostgreSQL's `transam.h`: types with smaller numbers are PostgreSQL's own.
const FIRST_OF_USERS: u32 = 16384;

/// The parameter types of a `Parse` that are none of PostgreSQL's own. `types`: a count and so many oids.
pub(super) fn user_types(types: &[u8]) -> Vec<u32> {
    let mut rest = frame::u16(types).map(|(_, rest)| rest).unwrap_or_default();
    let mut numbers = Vec::new();
    while let Some((oid, behind)) = frame::u32(rest) {
        numbers.extend((oid >= FIRST_OF_USERS).then_some(oid));
        rest = behind;
    }
    numbers
}

/// Statements with a longer text are not shared between clients.
pub(super) const SHARED_TEXT: usize = 64 << 10;

/// With whom a statement shares what servers have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    /// It has a name: all that are the same share one.
    Named,
    /// It has none, and nobody shares it.
    Unnamed,
    /// It has none, and all that are the same share one if it comes again.
    Repeated,
}

impl Sharing {
    /// Of a statement with this name.
    pub fn of(name: &[u8]) -> Self {
        if name.is_empty() { Self::Unnamed } else { Self::Named }
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Makes a client's statement out of what the engine said of it.
    pub(super) fn statement(
        &mut self,
        text: &[u8],
        types: &[u8],
        plan: Plan,
        tied: Option<Arc<Tenancy>>,
        sharing: Sharing,
    ) -> ClientStatement {
        let tenancy = Arc::clone(self.tenants.now());
        let runs = self.runs(&plan);
        let (sent, map) = match &runs {
            Runs::Refused => (names::IDLE.as_bytes().to_vec(), PositionMap::default()),
            _ => {
                let splices = names::with_run(&plan, &runs);
                let comment = self.comment_for(&plan, sharing).map(|comment| (0, comment));
                rewrite(text, &splices, &tenancy.prefixes, comment.as_slice()).into_text()
            }
        };
        let sent = Bytes::from(sent);
        let same = map.is_empty() && !matches!(runs, Runs::Refused);
        let text = if same { sent.clone() } else { Bytes::copy_from_slice(text) };
        let under_path = plan.statements.iter().any(|s| needs_path(s, &plan.route, true));
        let identity = Identity {
            text: sent,
            types: Bytes::copy_from_slice(types),
            path: if under_path { Arc::clone(&self.effective.path) } else { Arc::default() },
            role: self.role(),
            reading: self.reading(),
            epoch: self.epoch_of_plan(&tenancy),
        };
        let store = &self.shared.store;
        let prepared = match sharing {
            Sharing::Named if identity.text.len() <= SHARED_TEXT => store.intern(identity),
            Sharing::Named => store.unshared(identity, true),
            Sharing::Repeated if matches!(runs, Runs::Nothing) => self.repeated(identity, &text),
            Sharing::Repeated | Sharing::Unnamed => store.unshared(identity, false),
        };
        let types = prepared.identity.types.clone();
        let columns = Columns::Undescribed;
        let encoding = self.encoding_of(&text);
        ClientStatement {
            text,
            encoding,
            types,
            plan: Arc::new(plan),
            prepared,
            map,
            tenancy,
            blind: !self.scope.is_current(),
            tied,
            columns,
            origin: Origin::Parse,
            runs,
        }
    }

    /// `Parse` of the client's, as far as the server at hand needs one.
    pub(super) fn send_parse(&mut self, name: Bytes, mut statement: ClientStatement) {
        // What an EXECUTE gives is what the statement gives that it runs, as it is when the EXECUTE is parsed.
        if let Runs::Own(run, _) = &statement.runs {
            let run = run.clone();
            if self.ensure_statement(&run).is_none() {
                return;
            }
        }
        self.set_up_for(&statement.plan, statement.prepared.identity.epoch);
        if !name.is_empty() {
            self.entry.counts.add(Counts::CLIENT_PARSES, 1);
            statement.prepared = self.behind_ddl(self.apart(statement.prepared));
        }
        let has_aborted = self.has_aborted(&statement.plan);
        let prepared = Arc::clone(&statement.prepared);
        if !self.has_prepared(prepared.id) {
            self.ask_to_parse(&statement, prepared.id);
        }
        let Some(link) = &mut self.link else { return };
        if prepared.name.is_empty() {
            link.lease.unnamed = Some(prepared.id);
            put_parse(&mut link.lease.outbuf, &prepared);
            link.expect_reply(Expect::Parse {
                id: prepared.id,
                named: false,
                client: Some(name.clone()),
                map: statement.map.clone(),
            });
        } else if name.is_empty() {
            self.keep_statement(&statement);
        } else if has_aborted && link.lease.prepared.touch(prepared.id) {
            self.poison(aborted());
            return;
        } else if fault(Fault::LocalAnswerTooEarly) && link.lease.prepared.touch(prepared.id) {
            self.outbuf.extend_from_slice(&PARSE_COMPLETE);
        } else if link.lease.prepared.touch(prepared.id) {
            link.expect_reply(Expect::Local {
                message: PARSE_COMPLETE,
                opened: Some(name.clone()),
                closed: None,
            });
        } else {
            self.prepare(&prepared, Some(name.clone()), statement.map.clone());
        }
        self.statements.insert(name, statement);
        self.emit_locals();
    }

    /// `Parse` under a name that is taken: PostgreSQL looks at the text before it looks at the name.
    pub(super) fn try_parse(&mut self, statement: &ClientStatement) {
        self.set_up_for(&statement.plan, statement.prepared.identity.epoch);
        self.ask_to_parse(statement, statement.prepared.id);
        let Some(link) = &mut self.link else { return };
        let name = [self.shared.store.path_name(), b"_behind"].concat();
        link.close_own(&name);
        let Identity { text, types, .. } = &statement.prepared.identity;
        message::parse(&mut link.lease.outbuf, &name, text, types);
        link.expect_reply(Expect::Trial(statement.map.clone()));
        link.close_own(&name);
    }

    /// Whether PostgreSQL would not prepare it, as the transaction has failed.
    fn has_aborted(&self, plan: &Plan) -> bool {
        let ends = plan.statements.is_empty() || plan.statements.iter().any(ends_failure);
        self.status_then() == Status::Failed && !ends
    }

    /// A statement that is about to be prepared: its client's alone, where what the client has set in the open
    /// transaction may give it another meaning than others know it by.
    fn apart(&self, prepared: Arc<Prepared>) -> Arc<Prepared> {
        let link = self.link.as_deref();
        let reads_otherwise = link.is_some_and(|link| link.reads_otherwise || link.request.rereads);
        match reads_otherwise && prepared.is_shared() {
            true => self.shared.store.alone(prepared.identity.clone()),
            false => prepared,
        }
    }

    /// The same where its transaction has run DDL, or code that may have: what others prepared on the server before
    /// has the columns and the parameter types of before.
    fn behind_ddl(&self, prepared: Arc<Prepared>) -> Arc<Prepared> {
        let in_block = self.status_then() == Status::Block;
        let is_behind = |link: &Link| !link.ddl.is_empty() || link.opaque && in_block;
        match prepared.is_shared() && self.link.as_deref().is_some_and(is_behind) {
            true => self.shared.store.alone(prepared.identity.clone()),
            false => prepared,
        }
    }

    /// Prepares a named statement on the server at hand; makes room for it.
    pub(super) fn prepare(&mut self, prepared: &Prepared, client: Option<Bytes>, map: PositionMap) {
        let Some(link) = &mut self.link else { return };
        for old in link.lease.prepared.insert(prepared.id, prepared.identity.text.len()) {
            link.close_own(self.shared.store.name(old).as_bytes());
        }
        if link.lease.unsure {
            link.close_own(prepared.name.as_bytes());
        }
        self.entry.counts.add(Counts::SERVER_PARSES, 1);
        put_parse(&mut link.lease.outbuf, prepared);
        link.expect_reply(Expect::Parse { id: prepared.id, named: true, client, map });
    }

    /// A client's statement on the server at hand, where it is prepared and its path is set from now on.
    /// `None`: there is no such statement, and that has been dealt with.
    pub(super) fn ensure_statement(&mut self, name: &[u8]) -> Option<Arc<Prepared>> {
        let known = self.statements.get(name);
        let known = known.map(|s| (Arc::clone(&s.plan), Arc::clone(&s.prepared), s.origin, s.runs.clone()));
        let Some((plan, mut prepared, origin, runs)) = known else {
            let unnamed = || refusal("26000", "unnamed prepared statement does not exist".into());
            let unknown = if name.is_empty() { unnamed() } else { unknown(&String::from_utf8_lossy(name)) };
            self.poison(unknown);
            return None;
        };
        if self.statements.get(name).is_some_and(|one| !self.reads_the_same(one) && !self.has_read(one)) {
            self.poison(other_encoding());
            return None;
        }
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
        if let Runs::Own(run, _) = runs {
            self.ensure_statement(&run)?;
        }
        // What SQL has prepared is planned anew for each use.
        let epoch = match origin {
            Origin::Sql => self.scope_basis.epoch,
            Origin::Parse | Origin::Here => prepared.identity.epoch,
        };
        self.set_up_for(&plan, epoch);
        if origin == Origin::Sql {
            return Some(prepared);
        }
        if name.is_empty() && !prepared.name.is_empty() {
            prepared = self.use_kept(prepared);
        }
        let link = self.link.as_mut()?;
        let is_there = match prepared.name.is_empty() {
            true => link.lease.unnamed.replace(prepared.id) == Some(prepared.id),
            false if fault(Fault::StatementOfAnother) => !link.lease.prepared.is_empty(),
            false => link.lease.prepared.touch(prepared.id),
        };
        if is_there { Some(prepared) } else { self.prepare_on_demand(name, prepared) }
    }

    /// Prepares a client's statement on the server at hand, which does not have it.
    fn prepare_on_demand(&mut self, name: &[u8], mut prepared: Arc<Prepared>) -> Option<Arc<Prepared>> {
        self.shared.metrics.prepared_on_demand();
        let statement = self.statements.get(name).cloned();
        let map = statement.as_ref().map(|statement| statement.map.clone()).unwrap_or_default();
        if prepared.name.is_empty() {
            statement.iter().for_each(|statement| self.ask_to_parse(statement, prepared.id));
            let client = self.take_due_parse().then(Bytes::new);
            let link = self.link.as_mut()?;
            put_parse(&mut link.lease.outbuf, &prepared);
            link.expect_reply(Expect::Parse { id: prepared.id, named: false, client, map });
            return Some(prepared);
        }
        self.settle_number(name);
        if let Some(statement) = self.statements.get(name) {
            prepared = Arc::clone(&statement.prepared);
        }
        statement.iter().for_each(|statement| self.ask_to_parse(statement, prepared.id));
        self.prepare(&prepared, None, map);
        Some(prepared)
    }

    /// Settles under which number the server at hand has a client's statement, or will have it once it is prepared
    /// there: texts that run it by its name are written with that.
    pub(super) fn settle_number(&mut self, name: &[u8]) {
        let Some(statement) = self.statements.get(name) else { return };
        let known = Arc::clone(&statement.prepared);
        if self.link.as_mut().is_some_and(|link| link.lease.prepared.touch(known.id)) {
            return;
        }
        let prepared = self.apart(known);
        if let Some(statement) = self.statements.get_mut(name) {
            statement.prepared = prepared;
        }
    }

    /// Prepares a statement on the server at hand, if others have taken its place there.
    pub(super) fn prepare_again(&mut self, prepared: &Prepared) {
        if !self.link.as_mut().is_some_and(|link| link.lease.prepared.touch(prepared.id)) {
            self.prepare(prepared, None, PositionMap::default());
        }
    }

    /// Looks at a statement anew where it was prepared for something else than what holds now.
    /// The error: what must be known first.
    pub(super) fn renew(&mut self, name: &[u8]) -> Result<(), Step> {
        let Some(statement) = self.statements.get(name) else { return Ok(()) };
        let blind = statement.blind;
        if statement.has_run() {
            let plan = Arc::clone(&statement.plan);
            self.renew_run(&plan)?;
        }
        if blind {
            self.refresh_scope();
        }
        let reading = self.reading();
        let is_old = |statement: &&ClientStatement| {
            self.is_outdated(statement, &reading) && self.reads_the_same(statement)
        };
        let Some(statement) = self.statements.get(name).filter(is_old) else {
            return Ok(());
        };
        let statement = statement.clone();
        let plan = self
            .plan_pipelined(&statement.text, Source::Kept(&statement.text))
            .map_err(Step::NeedJudgement)?;
        if plan.route == Route::NeedNames {
            return Err(Step::NeedNames);
        }
        if statement.origin == Origin::Sql {
            // They are about the names in the statement of the PREPARE.
            let plan = Plan { checks: statement.plan.checks.clone(), ..plan };
            let statement = ClientStatement { plan: Arc::new(plan), ..statement };
            self.statements.insert(Bytes::copy_from_slice(name), statement);
            return Ok(());
        }
        let (text, types) = (statement.text.clone(), statement.types.clone());
        let columns = statement.columns.in_doubt();
        let statement = self.statement(&text, &types, plan, statement.tied.clone(), Sharing::of(name));
        let statement = ClientStatement { columns, ..statement };
        self.statements.insert(Bytes::copy_from_slice(name), statement);
        Ok(())
    }

    /// Whether a statement was prepared for another path, for other settings or another state of the catalog.
    fn is_outdated(&self, statement: &ClientStatement, reading: &Arc<Settings>) -> bool {
        let tenancy = statement.tied.as_ref().unwrap_or(self.tenants.now());
        if !Arc::ptr_eq(&statement.tenancy, tenancy) {
            return true;
        }
        // Whether it may run now depends on the path.
        if statement.origin == Origin::Sql || !statement.runs.is_same(&self.runs(&statement.plan)) {
            return true;
        }
        let identity = &statement.prepared.identity;
        let spliced = statement.plan.route == Route::Splice || !statement.plan.splices.is_empty();
        let own = self.effective.own || self.link.as_ref().is_some_and(|link| link.setup.has_local_path());
        let moved = !identity.path.is_empty() && *identity.path != *self.effective.path;
        let epoch = self.cluster_of(&statement.tenancy).epoch(&statement.tenancy.scope.schema);
        let refused = matches!(statement.plan.route, Route::Refuse(_));
        // PostgreSQL looks its names up anew where the path is another.
        let strayed = self.has_strayed() && statement.plan.statements.iter().any(|s| s.writes);
        // In a transaction that has failed only what is there already can run, behind its end.
        let can_prepare = self.status_then() != Status::Failed;
        let reread = !Arc::ptr_eq(&identity.reading, reading) && identity.reading != *reading;
        moved
            || statement.blind && self.scope.is_current() && can_prepare
            || reread
            || spliced && (own || self.pins.may_have_temp())
            || refused
            || strayed
            || identity.epoch != epoch
    }

    /// Sets role and path in front of a statement that needs them. `epoch`: the catalog's of its plan.
    pub(super) fn set_up_for(&mut self, plan: &Plan, epoch: u64) {
        let kind = kind_of(&self.scope.tenant, plan);
        let needs = |needs: &dyn Fn(&Statement) -> bool| plan.statements.iter().any(needs);
        let (role, status) = (self.role(), self.status_then());
        self.end_empty_pipeline(plan, false);
        let own_transaction = self.is_own_transaction(plan);
        self.note_notifier(plan);
        self.keep_sequences_apart(plan);
        self.watch_code(plan, epoch);
        let confined = self.tenants.now().is_confined();
        let Some(link) = &mut self.link else { return };
        link.setup.settle_bind(None);
        let baseline = confined.then_some(&self.identity.database.home.baseline);
        let path = Arc::clone(self.effective.due(baseline, link.has_run_code()));
        link.note_plan(plan);
        link.request.begins |= begins_block(plan);
        if kind != Kind::Shared && link.request.kind != Kind::TenantWrite {
            link.request.kind = kind;
        }
        let begun = link.is_behind() || status == Status::Block;
        // What runs by itself may commit: what was set for the transaction alone would be gone then.
        let kept = |name| !(own_transaction && begun) || link.settings.current().has(name);
        let lacks_path = !(path.is_empty() || link.setup.has_path() && kept(SEARCH_PATH));
        let opaque = link.opaque;
        let lacks_path = lacks_path && needs(&|s| needs_path(s, &plan.route, opaque));
        let in_force =
            if role.is_none() || kept(SESSION_ROLE) { link.setup.role() } else { &InForce::Unknown };
        let lacks_role = in_force.change(role.as_ref()).filter(|_| needs(&needs_role));
        if status == Status::Failed || !lacks_path && lacks_role.is_none() {
            return;
        }
        let name = self.shared.store.path_name();
        let shown = match Arc::ptr_eq(&path, &self.effective.path) {
            true => Arc::clone(&self.effective.shown),
            false => path::shown(&path).map_or_else(|| Arc::clone(&path), Arc::from),
        };
        match (&role, begun) {
            // Values are read in the client's encoding.
            (Some(role), false) if !own_transaction && role.as_str().is_ascii() && path.is_ascii() => {
                let shown = (!path.is_empty()).then_some(&*shown);
                link.set_role_first(role, shown, self.shared.store.role_name());
                link.setup.set_path();
            }
            (None, false) if lacks_role.is_none() && (own_transaction || path.is_ascii()) => {
                link.setup.set_path();
                match own_transaction {
                    true => link.set_session_path(&path),
                    false => link.set_path_first(&shown, name),
                }
            }
            _ => {
                if let Some(sql) = lacks_role {
                    link.set_role_behind(&sql, role.as_ref(), own_transaction, name);
                }
                if lacks_path {
                    link.set_path_behind(&path, own_transaction, name);
                    link.setup.set_path();
                }
            }
        }
    }

    /// Asks PostgreSQL what a plan wants to be known in front of its statement, or behind it.
    pub(super) fn ask(&mut self, plan: &Plan, behind: bool) {
        self.ask_those(plan, |check| check.behind == behind);
    }

    /// Sends the checks of a plan that meet a condition.
    pub(super) fn ask_those(&mut self, plan: &Plan, is_due: impl Fn(&Check) -> bool) {
        let Some(link) = &mut self.link else { return };
        for check in plan.checks.iter().filter(|check| is_due(check)) {
            link.run_check(check, self.shared.store.path_name());
        }
    }

    /// Asks PostgreSQL the same in front of the `Parse` of a statement, or another message for which PostgreSQL may
    /// analyse it: PostgreSQL resolves its names there, and runs what it has found for as long as the found objects do
    /// not change. A check in front of the `Bind` alone would be about what the names mean by then.
    pub(super) fn ask_to_analyse(&mut self, statement: &ClientStatement, id: u64) {
        let failed = self.status_then() == Status::Failed;
        if !failed && !self.has_analysed(id) && statement.is_analysed() && !self.fails_alone(&statement.plan)
        {
            self.ask_those(&statement.plan, |check| check.of_names);
        }
    }

    /// The same, for a `Parse` that is about to be sent as the statement `id`. From there on PostgreSQL locks the tables
    /// that it has found, so nothing is to be asked again.
    fn ask_to_parse(&mut self, statement: &ClientStatement, id: u64) {
        self.ask_to_analyse(statement, id);
        if let Some(link) = self.link.as_mut().filter(|_| can_be_run(statement)) {
            link.request.analysed = Some(id);
        }
    }

    /// Whether the statement with this number was parsed last, and nothing has run since.
    pub(super) fn has_analysed(&self, id: u64) -> bool {
        self.link.as_ref().is_some_and(|link| link.request.analysed == Some(id))
    }

    /// Asks whether parameter types that a `Parse` gives by number are the tenant's or shared: of another's, a row type
    /// would be held fast, and a domain's checks would run. `types`: a count and so many oids.
    pub(super) fn ask_for_types(&mut self, types: &[u8]) {
        let mut numbers = user_types(types);
        // In a failed transaction the question fails as the Parse would; one that ends it is no exception, as its
        // parameters are read when it is bound.
        if numbers.is_empty() {
            return;
        }
        numbers.sort_unstable();
        numbers.dedup();
        let check = fresh::types(&numbers, &self.tenants.now().scope);
        let name = self.shared.store.path_name();
        if let Some(link) = &mut self.link {
            link.run_check(&check, name);
        }
    }

    /// Sets role and path in front of a portal that is about to run, where they are no longer in force.
    pub(super) fn set_up_portal(&mut self, portal: &[u8], statement: Option<&ClientStatement>) {
        let (role, status) = (self.role(), self.status_then());
        let confined = self.tenants.now().is_confined();
        let Some(link) = self.link.as_mut().filter(|_| status != Status::Failed) else { return };
        link.setup.settle_bind(Some(portal));
        let name = self.shared.store.path_name();
        // Of a portal that nothing is known of, it is known that it reads or writes.
        let any = |matters: &dyn Fn(&Statement, &Plan) -> bool| {
            statement.is_none_or(|known| known.plan.statements.iter().any(|one| matters(one, &known.plan)))
        };
        let change = link.setup.role().change(role.as_ref());
        if let Some(sql) = change.filter(|_| any(&|one, _| link.setup.role().matters_to(one))) {
            link.set_role_behind(&sql, role.as_ref(), false, name);
        }
        let baseline = confined.then_some(&self.identity.database.home.baseline);
        let path = self.effective.due(baseline, link.has_run_code());
        let lost = link.setup.has_lost_path() && !path.is_empty();
        let opaque = link.opaque;
        if lost && any(&|one, plan| needs_path(one, &plan.route, opaque)) {
            link.set_path_behind(path, false, name);
            link.setup.set_path();
        }
    }
}

impl Link {
    /// Sets the path for the transaction that begins with this request.
    fn set_path_first(&mut self, path: &str, name: &[u8]) {
        let stands = std::mem::replace(&mut self.lease.path_statement, Standing::There);
        let statement = (PATH_FIRST, path::STATEMENT_TEXT, path::STATEMENT_TYPES);
        self.run_first(stands, statement, name, &[Some(path)]);
    }

    /// Sets the role, and the path, for the transaction that begins with this request.
    fn set_role_first(&mut self, role: &RoleName, path: Option<&str>, name: &[u8]) {
        let stands = std::mem::replace(&mut self.lease.role_statement, Standing::There);
        let statement = (ROLE_FIRST, role::STATEMENT_TEXT, role::STATEMENT_TYPES);
        self.run_first(stands, statement, name, &[Some(role.as_str()), path]);
        self.setup.set_role(InForce::of(Some(role)));
    }

    /// Runs a prepared statement of our own at the head of a request; prepares it if it is not there for sure.
    fn run_first(
        &mut self,
        stands: Standing,
        (id, text, types): (u64, &[u8], &[u8]),
        name: &[u8],
        values: &[Option<&str>],
    ) {
        if stands == Standing::Doubtful {
            self.close_own(name);
        }
        if stands != Standing::There {
            message::parse(&mut self.lease.outbuf, name, text, types);
            self.expect_reply(Expect::Parse { id, named: true, client: None, map: Default::default() });
        }
        message::bind_texts(&mut self.lease.outbuf, b"", name, values);
        message::execute(&mut self.lease.outbuf, b"");
        self.expect_reply(Expect::Bind { client: false, portal: 0, told: None, spared: false });
        self.expect_reply(Expect::Execute { client: false, effect: None, run: None });
        self.own_portal = true;
        self.request.ran_ours = true;
    }

    /// Closes a statement of the proxy's.
    pub(super) fn close_own(&mut self, name: &[u8]) {
        message::close(&mut self.lease.outbuf, b'S', name);
        self.expect_reply(Expect::Close { client: false });
    }

    /// Sets the role for a transaction that has begun, or for the session.
    pub(super) fn set_role_behind(&mut self, sql: &str, role: Option<&RoleName>, session: bool, name: &[u8]) {
        self.setup.set_role(InForce::of(role));
        match role.filter(|_| session) {
            Some(role) => {
                self.note_for_session(None, true);
                let role = ident::ascii_quoted(role.as_str());
                self.run_behind(format!("SET ROLE {role}").as_bytes(), name);
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
        self.run_behind_for(sql, name, None);
    }

    /// The same; with an effect, it is answered as the client's.
    pub(super) fn run_behind_for(&mut self, sql: &[u8], name: &[u8], effect: Option<Effect>) {
        self.run_expecting(sql, name, Expect::Execute { client: effect.is_some(), effect, run: None });
    }

    /// Runs a check; if it finds something, the pipeline fails there, and the client is told why.
    pub(super) fn run_check(&mut self, check: &Check, name: &[u8]) {
        self.run_expecting(check.sql.as_bytes(), name, Expect::Check(Box::new(check.refusal.clone())));
    }

    fn run_expecting(&mut self, sql: &[u8], name: &[u8], completes: Expect) {
        let name = &[name, b"_behind"].concat();
        if self.lease.unsure || self.request.opaque {
            // Code may have taken the portal's name.
            message::close(&mut self.lease.outbuf, b'P', name);
            self.expect_reply(Expect::Close { client: false });
        }
        let out = &mut self.lease.outbuf;
        // The one of before. Were it closed behind its use, it would stay where that fails.
        message::close(out, b'S', name);
        message::parse(out, name, sql, &[0, 0]);
        message::bind_nothing(out, name, name);
        message::execute(out, name);
        message::close(out, b'P', name);
        self.expect_reply(Expect::Close { client: false });
        self.expect_reply(Expect::Parse {
            id: PATH_BEHIND,
            named: true,
            client: None,
            map: Default::default(),
        });
        self.expect_reply(Expect::Bind { client: false, portal: 0, told: None, spared: false });
        self.expect_reply(completes);
        self.expect_reply(Expect::Close { client: false });
        self.request.ran_ours = true;
    }
}

fn put_parse(out: &mut BytesMut, prepared: &Prepared) {
    message::parse(out, prepared.name.as_bytes(), &prepared.identity.text, &prepared.identity.types);
}
