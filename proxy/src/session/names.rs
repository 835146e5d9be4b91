//! The prepared statements that a client's texts name, and its portals: a session finds what it made, and nothing else.
//!
//! Statements of `Parse` and of SQL `PREPARE` have one name space, which is [`super::statements::ClientStatements`]. A name of the one
//! kind gives way to the server's own for it; one of the other kind is the server's, to which the client is tied.
//! What is in neither does not exist, and PostgreSQL's error says so, where PostgreSQL would. Only where code may
//! have prepared statements that no text shows (a `DO` block, a function) is PostgreSQL asked, on a server that nobody
//! else has: the proxy's own names are not asked for there either.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use pgstrata_tenancy::ident;
use tokio::io::{AsyncRead, AsyncWrite};

use super::columns::Columns;
use super::effect::{may_move, strays};
use super::expect::{Dropped, Effect, Expect};
use super::extended::{refusal, too_many_statements};
use super::request::Step;
use super::statements::{ClientStatement, Identity, Origin, Prepared, Runs};
use super::switch::aborted;
use super::{Session, Status};
use crate::sql::guard::check;
use crate::sql::keys;
use crate::sql::lexer::Lexer;
use crate::sql::name;
use crate::sql::plan::{Discard, Execution, Insert, Plan, Refusal, Route, Splice, Statement, StatementKind};
use crate::wire::message;

/// Sent in the place of a statement that shall fail: it does, whatever anybody has made, with [`FAILED`]. In a
/// transaction that has failed it fails as any statement does.
const FAILS: &str = "SELECT 1 OPERATOR(pg_catalog./) 0 AS \"pgstrata: refused\"";

/// The SQLSTATE of its error.
pub(super) const FAILED: &[u8] = b"22012";

/// Sent in the place of a statement that is answered here.
pub(super) const IDLE: &str = keys::IDLE;

/// What a name in a text stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A statement that the client made with `Parse`.
    Own,
    /// One that it made with SQL `PREPARE`.
    Sql,
    /// Perhaps one that code has prepared on the server at hand.
    Hidden,
    /// Nothing.
    Nowhere,
}

/// What is to be done about the names in the text of a `Query`.
#[derive(Default)]
pub(super) struct Names {
    /// What goes into the text in addition to what the plan says, in the order of the text.
    splices: Vec<Splice>,
    /// The statement that fails, and what it fails with.
    pub fails: Option<(usize, Refusal)>,
    /// The statements that it runs, by the client's names.
    runs: Vec<Box<str>>,
}

impl Names {
    /// Whether statements have to be prepared in front of it.
    pub fn has_runs(&self) -> bool {
        !self.runs.is_empty()
    }

    /// All that goes into the text.
    pub fn splices<'a>(&self, plan: &'a Plan) -> Cow<'a, [Splice]> {
        if self.splices.is_empty() {
            return Cow::Borrowed(&plan.splices);
        }
        let fails = self.fails.as_ref().and_then(|(index, _)| plan.statements.get(*index));
        let in_it = |at: usize| fails.is_some_and(|fails| (fails.span.start..=fails.span.end).contains(&at));
        let stay = plan.splices.iter().filter(|splice| !in_it(splice.at));
        let mut all: Vec<_> = stay.chain(&self.splices).cloned().collect();
        all.sort_by_key(|splice| splice.at);
        Cow::Owned(all)
    }

    /// Another text in the place of a statement.
    fn replace(&mut self, statement: &Statement, text: &str) {
        self.put(statement.span.clone(), text);
    }

    fn put(&mut self, place: std::ops::Range<usize>, text: &str) {
        let cut = u32::try_from(place.len()).unwrap_or(u32::MAX);
        self.splices.push(Splice { at: place.start, cut, insert: Insert::Text(text.into()) });
    }
}

/// The names behind those statements of a text that have been looked at, if all of them go well.
struct Ahead<'a> {
    /// Whether SQL has prepared a statement of that name, or dropped it.
    changed: HashMap<&'a str, bool>,
    /// All that were there before are dropped.
    cleared: bool,
    /// Code may have prepared others.
    hides: bool,
    /// The text sets a path on which the tenant's schema is not the first.
    strays: bool,
}

/// Whether the names in a plan have to be looked at.
fn has_names(plan: &Plan) -> bool {
    use StatementKind::{Deallocate, Execute, Prepare};
    plan.statements.iter().any(|s| matches!(&s.kind, Prepare { .. } | Execute(_) | Deallocate(Some(_))))
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// What the client's name stands for now.
    pub(super) fn find(&self, name: &str) -> Found {
        match self.statements.get(name.as_bytes()).filter(|_| !name.is_empty()) {
            Some(statement) if statement.origin == Origin::Sql => Found::Sql,
            Some(_) => Found::Own,
            None => hidden(name, self.may_hide()),
        }
    }

    /// Whether code may have prepared statements on a server that is this client's for as long as they last.
    fn may_hide(&self) -> bool {
        let keeps = !self.pins.is_empty() || self.status_then() != Status::Idle || self.has_sent();
        keeps && self.link.as_ref().is_some_and(|link| link.may_hide)
    }

    /// Looks the names of a text up. The error: what its statements name must be known first.
    pub(super) fn look_names_up(&mut self, plan: &Plan, text: &[u8]) -> Result<Names, Step> {
        let mut names = Names::default();
        if !has_names(plan) {
            return Ok(names);
        }
        let schema = &self.tenancy().scope.schema;
        let strays = plan.statements.iter().any(|s| strays(s, text, schema));
        let mut ahead = Ahead { changed: HashMap::new(), cleared: false, hides: self.may_hide(), strays };
        for (index, statement) in plan.statements.iter().enumerate() {
            if let Err(refusal) = self.look_up(statement, plan, &mut ahead, &mut names)? {
                names.replace(statement, FAILS);
                names.fails = Some((index, refusal));
                break;
            }
        }
        Ok(names)
    }

    /// One statement of a text. The refusal is what it fails with.
    fn look_up<'a>(
        &mut self,
        statement: &'a Statement,
        plan: &Plan,
        ahead: &mut Ahead<'a>,
        names: &mut Names,
    ) -> Result<Result<(), Refusal>, Step> {
        match &statement.kind {
            StatementKind::Prepare { name, .. } => return Ok(self.may_prepare(name, ahead)),
            StatementKind::Execute(execution) => return self.look_execution_up(execution, ahead, names),
            StatementKind::Deallocate(Some(name)) => match self.find_ahead(name, ahead) {
                Found::Nowhere => return Ok(Err(unknown(name))),
                found => {
                    ahead.changed.insert(name, false);
                    if found == Found::Own {
                        names.replace(statement, IDLE);
                    }
                }
            },
            StatementKind::Deallocate(None) | StatementKind::Discard(Discard::All) => {
                ahead.changed.clear();
                (ahead.cleared, ahead.hides) = (true, false);
            }
            _ => ahead.hides |= may_move(statement, plan.opaque),
        }
        Ok(Ok(()))
    }

    fn find_ahead(&self, name: &str, ahead: &Ahead<'_>) -> Found {
        match ahead.changed.get(name) {
            Some(true) => Found::Sql,
            None if !ahead.cleared && self.find(name) != Found::Nowhere => self.find(name),
            _ => hidden(name, ahead.hides),
        }
    }

    /// SQL `PREPARE`. Where SQL has prepared one of that name, PostgreSQL says so.
    fn may_prepare<'a>(&self, name: &'a str, ahead: &mut Ahead<'a>) -> Result<(), Refusal> {
        if self.find_ahead(name, ahead) == Found::Own {
            return Err(taken(name.as_bytes()));
        }
        let limits = &self.config.limits;
        let (count, bytes) =
            (limits.max_prepared_statements_per_client, limits.max_prepared_bytes_per_client);
        if !self.statements.fits(name.len(), count.saturating_sub(ahead.changed.len()), bytes) {
            return Err(too_many_statements(count, bytes));
        }
        ahead.changed.insert(name, true);
        Ok(())
    }

    fn look_execution_up(
        &mut self,
        execution: &Execution,
        ahead: &Ahead<'_>,
        names: &mut Names,
    ) -> Result<Result<(), Refusal>, Step> {
        let name = &execution.name;
        match self.find_ahead(name, ahead) {
            Found::Sql => return Ok(Ok(())),
            Found::Hidden => return Ok(self.may_replay(true, ahead.strays)),
            Found::Nowhere => return Ok(Err(unknown(name))),
            Found::Own => {}
        }
        if self.statements.get(name.as_bytes()).is_some_and(can_be_run) {
            self.renew(name.as_bytes())?;
            self.settle_number(name.as_bytes());
        }
        let prepared = match self.runnable(name, ahead.strays) {
            Ok(prepared) => prepared,
            Err(refusal) => return Ok(Err(refusal)),
        };
        names.put(execution.at.clone(), &ident::quoted(&prepared.name));
        if !names.runs.contains(name) {
            if names.runs.len() >= self.config.limits.max_prepared_statements_per_server {
                return Ok(Err(too_many_runs()));
            }
            names.runs.push(name.clone());
        }
        Ok(Ok(()))
    }

    /// The statement of this name that the client made with `Parse`, if `EXECUTE` may run it.
    ///
    /// `strays`: under a path that is set in the same text, and does not begin with the tenant's schema.
    fn runnable(&self, name: &str, strays: bool) -> Result<Arc<Prepared>, Refusal> {
        let statement = self.statements.get(name.as_bytes()).ok_or_else(|| unknown(name))?;
        if let Route::Refuse(refusal) = &statement.plan.route {
            return Err((**refusal).clone());
        }
        if let Some(refusal) = self.refuses_pin(&statement.plan) {
            return Err(refusal);
        }
        let other = statement.tied.as_ref().is_some_and(|tied| !Arc::ptr_eq(tied, self.tenancy()));
        if other || !can_be_run(statement) {
            let mut refusal = refusal("0A000", format!("EXECUTE can not run prepared statement \"{name}\""));
            refusal.hint = Some("Bind it, and execute it by the extended protocol.".into());
            return Err(refusal);
        }
        self.may_replay(statement.plan.statements.iter().any(|s| s.writes), strays)?;
        Ok(Arc::clone(&statement.prepared))
    }

    /// Whether a statement may be run that was let through under another path, perhaps: one that writes must not find
    /// other tables under this one.
    fn may_replay(&self, writes: bool, strays: bool) -> Result<(), Refusal> {
        let scope = &self.tenancy().scope;
        match writes && (strays || self.has_strayed()) && scope.guards_shared() {
            true => Err(check::replay_refusal(scope)),
            false => Ok(()),
        }
    }

    /// Prepares the statements that a text runs, in front of it. The error: there is no room for all of them.
    pub(super) fn prepare_runs(&mut self, names: &Names) -> Result<(), Refusal> {
        let (status, role) = (self.status, self.role());
        let Some(link) = self.link.as_mut().filter(|_| !names.runs.is_empty()) else { return Ok(()) };
        if status == Status::Failed {
            return Ok(());
        }
        let sent = link.request.sent;
        link.begin(&self.settings, status, role.as_ref());
        let mut ids = Vec::with_capacity(names.runs.len());
        for name in &names.runs {
            let Some(statement) = self.statements.get(name.as_bytes()).cloned() else { continue };
            for one in &statement.plan.statements {
                self.before(one, &statement.plan, &statement.text);
            }
            ids.push(statement.prepared.id);
            if !self.has_prepared(statement.prepared.id) {
                self.ensure_statement(name.as_bytes());
            }
        }
        let all_there = ids.iter().all(|id| self.has_prepared(*id));
        // Behind an error PostgreSQL reads nothing up to a Sync: not the text either.
        if let Some(link) = self.link.as_mut().filter(|link| !sent && link.request.sent) {
            link.sync_own(status);
        }
        if all_there { Ok(()) } else { Err(too_many_runs()) }
    }

    /// Whether the server at hand has the statement. Counts as a use.
    fn has_prepared(&mut self, id: u64) -> bool {
        self.link.as_mut().is_some_and(|link| link.lease.prepared.touch(id))
    }

    /// What a client's statement runs by its name, with what goes into its text for that.
    pub(super) fn runs(&self, plan: &Plan) -> Runs {
        let [Statement { kind: StatementKind::Execute(execution), .. }] = &plan.statements[..] else {
            return Runs::Nothing;
        };
        let name = &execution.name;
        match self.find(name) {
            Found::Own => match self.runnable(name, false) {
                Ok(prepared) => Runs::Own(Bytes::copy_from_slice(name.as_bytes()), prepared),
                Err(_) => Runs::Refused,
            },
            Found::Sql | Found::Hidden => Runs::AsNamed,
            Found::Nowhere => Runs::Refused,
        }
    }

    /// Looks at the statement anew that another runs by its name. The error: what must be known first.
    pub(super) fn renew_run(&mut self, plan: &Plan) -> Result<(), Step> {
        let [Statement { kind: StatementKind::Execute(execution), .. }] = &plan.statements[..] else {
            return Ok(());
        };
        let name = execution.name.as_bytes();
        if self.statements.get(name).is_some_and(can_be_run) {
            self.renew(name)?;
            self.settle_number(name);
        }
        Ok(())
    }

    /// Whether a portal's statement may be executed, as far as the names in it tell. `Some`: it has been dealt with.
    pub(super) fn execute_by_name(&mut self, statement: &ClientStatement) -> Option<Step> {
        let [only] = &statement.plan.statements[..] else { return None };
        if statement.origin == Origin::Sql || self.status_then() == Status::Failed {
            return None;
        }
        match &only.kind {
            StatementKind::Prepare { name, .. } => {
                let mut ahead =
                    Ahead { changed: HashMap::new(), cleared: false, hides: false, strays: false };
                self.may_prepare(name, &mut ahead).err().map(|refusal| self.poison(refusal))
            }
            StatementKind::Deallocate(Some(name)) => match self.find(name) {
                Found::Own => Some(self.deallocate(name)),
                Found::Nowhere => Some(self.poison(unknown(name))),
                Found::Sql | Found::Hidden => None,
            },
            StatementKind::Execute(execution) => self.run_by_name(&execution.name, &statement.runs),
            _ => None,
        }
    }

    /// `EXECUTE`, which was bound when its name stood for `runs`.
    fn run_by_name(&mut self, name: &str, runs: &Runs) -> Option<Step> {
        let found = self.find(name);
        let refusal = match runs {
            Runs::Own(_, prepared) if found == Found::Own => match self.runnable(name, false) {
                Ok(_) => {
                    let target = self.statements.get(name.as_bytes()).cloned()?;
                    for one in &target.plan.statements {
                        self.before(one, &target.plan, &target.text);
                    }
                    // Others may have taken its place on the server.
                    self.prepare_again(prepared);
                    return None;
                }
                Err(refusal) => refusal,
            },
            Runs::AsNamed if found != Found::Nowhere => {
                let writes = self.sql_writes || found == Found::Hidden;
                self.may_replay(writes, false).err()?
            }
            Runs::Nothing => return None,
            _ => self.runnable(name, false).err().unwrap_or_else(|| unknown(name)),
        };
        Some(self.poison(refusal))
    }

    /// `Execute` of a `DEALLOCATE` that no server need know of.
    pub(super) fn deallocate(&mut self, name: &str) -> Step {
        self.no_second_run();
        if self.status_then() == Status::Failed {
            return self.refuse_in_pipeline(aborted());
        }
        match self.find(name) {
            Found::Own => {
                let Some(statement) = self.statements.remove(name.as_bytes()) else { return Step::Done };
                let mut out = BytesMut::new();
                message::command_complete(&mut out, "DEALLOCATE");
                let closed = (Bytes::copy_from_slice(name.as_bytes()), statement);
                self.answer_closing(out.freeze(), Some(closed));
                Step::Done
            }
            Found::Nowhere => self.refuse_in_pipeline(unknown(name)),
            Found::Sql | Found::Hidden => self.deallocate_on_server(name),
        }
    }

    /// The same, of a statement that SQL has prepared since it was bound.
    fn deallocate_on_server(&mut self, name: &str) -> Step {
        if let Err(step) = self.begin_extended(b'E', &[]) {
            return step;
        }
        self.pins.doubt();
        let sql = format!("DEALLOCATE {}", ident::ascii_quoted(name));
        if let Some(link) = &mut self.link {
            let effect = Effect::Deallocated(name.into());
            link.run_behind_for(sql.as_bytes(), self.shared.store.path_name(), Some(effect));
        }
        self.foresee_deallocated(name);
        Step::Done
    }

    /// `PREPARE` is complete.
    pub(super) fn note_prepared(&mut self, name: &str) {
        let text = format!("EXECUTE {}", ident::quoted(name));
        let plan = self.plan_own(text.as_bytes());
        let text = Bytes::from(text);
        let identity = Identity {
            text: text.clone(),
            types: Bytes::from_static(&[0, 0]),
            path: Arc::default(),
            role: self.role(),
            reading: Arc::default(),
            epoch: 0,
        };
        let statement = ClientStatement {
            text,
            encoding: None,
            blind: false,
            types: identity.types.clone(),
            plan: Arc::new(plan),
            prepared: self.shared.store.as_named(name, identity),
            map: Default::default(),
            tenancy: Arc::clone(self.tenants.now()),
            tied: None,
            origin: Origin::Sql,
            runs: Runs::Nothing,
            columns: Columns::Untold,
        };
        self.statements.insert(Bytes::copy_from_slice(name.as_bytes()), statement);
    }

    /// `PREPARE` was sent in a pipeline: it comes about, unless that fails.
    pub(super) fn foresee_prepared(&mut self, name: &str) {
        // What is there already is there whatever becomes of this.
        if self.find(name) == Found::Sql {
            return;
        }
        self.note_prepared(name);
        let opened = Some(Bytes::copy_from_slice(name.as_bytes()));
        if let Some(link) = &mut self.link {
            link.owe(Expect::Local { message: Bytes::new(), opened, closed: None });
        }
    }

    /// The same of `DEALLOCATE`, or `Close`, of a statement that SQL has prepared.
    pub(super) fn foresee_deallocated(&mut self, name: &str) {
        let Some(statement) = self.statements.remove(name.as_bytes()) else { return };
        let closed = Some((Bytes::copy_from_slice(name.as_bytes()), statement));
        if let Some(link) = &mut self.link {
            link.owe(Expect::Local { message: Bytes::new(), opened: None, closed });
        }
    }

    /// The same of all statements.
    pub(super) fn foresee_dropped(&mut self) {
        let Some(link) = &mut self.link else { return };
        let of_client = std::mem::take(&mut self.statements);
        let on_server = link.lease.forget_prepared();
        link.owe(Expect::Dropped(Box::new(Dropped { of_client, on_server })));
    }

    /// Why a portal of this name can't be looked at, executed or closed: it is none of the client's.
    pub(super) fn is_foreign_portal(&self, portal: &[u8]) -> bool {
        match portal {
            [] => self.link.as_ref().is_some_and(|link| link.own_portal),
            named => named.starts_with(name::RESERVED.as_bytes()),
        }
    }
}

/// What goes into a text that runs one of the client's statements by its name.
pub(super) fn with_run<'a>(plan: &'a Plan, runs: &Runs) -> Cow<'a, [Splice]> {
    let mut names = Names::default();
    if let (Runs::Own(_, prepared), [Statement { kind: StatementKind::Execute(execution), .. }]) =
        (runs, &plan.statements[..])
    {
        names.put(execution.at.clone(), &ident::quoted(&prepared.name));
    }
    names.splices(plan)
}

/// What code has prepared, perhaps, and never what the proxy has.
fn hidden(name: &str, may_hide: bool) -> Found {
    if may_hide && !name::is_reserved(name) { Found::Hidden } else { Found::Nowhere }
}

/// Whether `EXECUTE` may run the statement: SQL `PREPARE` could have made it.
fn can_be_run(statement: &ClientStatement) -> bool {
    let [only] = &statement.plan.statements[..] else { return false };
    let text = statement.text.get(only.span.clone()).unwrap_or_default();
    let first = Lexer::new(text, true).next().map(|token| token.of(text)).unwrap_or_default();
    statement.origin == Origin::Parse
        && only.kind == StatementKind::Plain
        // What is asked behind it would not be asked there.
        && !statement.plan.checks.iter().any(|check| check.behind)
        && !only.ddl
        && PREPARABLE.iter().any(|word| first.eq_ignore_ascii_case(word.as_bytes()))
}

/// What the statements begin with that SQL `PREPARE` takes.
const PREPARABLE: [&str; 9] =
    ["select", "insert", "update", "delete", "merge", "values", "with", "table", "("];

fn too_many_runs() -> Refusal {
    let mut refusal = refusal("54000", "a text runs more prepared statements than a server keeps".into());
    let hint = "Send fewer of them at once, or raise limits.max_prepared_statements_per_server.";
    refusal.hint = Some(hint.into());
    refusal
}

/// As PostgreSQL says it.
pub(super) fn unknown(name: &str) -> Refusal {
    refusal("26000", format!("prepared statement \"{name}\" does not exist"))
}

/// As PostgreSQL says it.
pub(super) fn taken(name: &[u8]) -> Refusal {
    let name = String::from_utf8_lossy(name);
    refusal("42P05", format!("prepared statement \"{name}\" already exists"))
}

/// As PostgreSQL says it.
pub(super) fn no_portal(name: &[u8]) -> Refusal {
    let name = String::from_utf8_lossy(name);
    refusal("34000", format!("portal \"{name}\" does not exist"))
}

/// Names that the proxy keeps for its portals.
pub(super) fn reserved(name: &[u8]) -> Refusal {
    let name = String::from_utf8_lossy(name);
    let hint = format!("Names that begin with \"{}\" are the proxy's own.", name::RESERVED);
    Refusal { code: "42939", message: format!("the name \"{name}\" is reserved"), hint: Some(hint) }
}
