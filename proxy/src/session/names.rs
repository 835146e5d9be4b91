//! The prepared statements that a client's texts name, and its portals: a session finds its own only.
//!
//! Statements of `Parse` and of SQL `PREPARE` share one name space, [`super::statements::ClientStatements`]. The name
//! of a protocol-level statement is replaced by the server's name for it; a statement of SQL `PREPARE` has its own name
//! on the server to which the client is pinned. Any other name does not exist, and the error has PostgreSQL's words and
//! comes at the same place. Only if code outside of the text (a `DO` block, a function) may have prepared statements,
//! the proxy asks PostgreSQL, on a server that no other client uses, and never for names of the proxy.

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
use crate::sql::plan::{
    Check, Discard, Execution, Insert, Plan, Refusal, Route, Splice, Statement, StatementKind,
};
use crate::wire::message;

/// Replaces a statement that must fail: it always fails with [`FAILED`], whatever objects exist. In a failed
/// transaction it fails like any statement.
const FAILS: &str = "SELECT 1 OPERATOR(pg_catalog./) 0 AS \"pgstrata: refused\"";

/// The SQLSTATE of its error.
pub(super) const FAILED: &[u8] = b"22012";

/// Replaces a statement that the proxy answers.
pub(super) const IDLE: &str = keys::IDLE;

/// The object that a name in a text denotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A statement of the client's `Parse`.
    Own,
    /// A statement of the client's SQL `PREPARE`.
    Sql,
    /// Possibly a statement that code has prepared on the leased server.
    Hidden,
    /// No object.
    Nowhere,
}

/// The changes of the text of a `Query` for the names in it.
#[derive(Default)]
pub(super) struct Names {
    /// Splices in addition to those of the plan, in the order of the text.
    splices: Vec<Splice>,
    /// The statement that must fail, and its refusal.
    pub fails: Option<(usize, Refusal)>,
    /// The statements that the text runs, by the client's names.
    runs: Vec<Box<str>>,
    /// The checks of these statements, which run in front of them.
    pub checks: Vec<Check>,
}

impl Names {
    /// Whether statements must be prepared in front of the text.
    pub fn has_runs(&self) -> bool {
        !self.runs.is_empty()
    }

    /// All splices of the text.
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

    /// Replaces a statement by another text.
    fn replace(&mut self, statement: &Statement, text: &str) {
        self.put(statement.span.clone(), text);
    }

    /// Adds the checks of a statement in front of the statement `index`, which runs it.
    fn ask_for_run(&mut self, index: usize, checks: &[Check]) {
        let front = checks.iter().filter(|check| !check.behind);
        self.checks.extend(front.map(|check| Check { statement: index, ..check.clone() }));
    }

    fn put(&mut self, place: std::ops::Range<usize>, text: &str) {
        let cut = u32::try_from(place.len()).unwrap_or(u32::MAX);
        self.splices.push(Splice { at: place.start, cut, insert: Insert::Text(text.into()) });
    }
}

/// The names behind the processed statements of a text, if these succeed.
struct Ahead<'a> {
    /// Whether SQL has prepared or dropped a statement of that name.
    changed: HashMap<&'a str, bool>,
    /// All earlier statements are dropped.
    cleared: bool,
    /// Code may have prepared others.
    hides: bool,
    /// The text sets a path on which the tenant's schema is not the first.
    strays: bool,
}

/// Whether a plan names prepared statements.
fn has_names(plan: &Plan) -> bool {
    use StatementKind::{Deallocate, Execute, Prepare};
    plan.statements.iter().any(|s| matches!(&s.kind, Prepare { .. } | Execute(_) | Deallocate(Some(_))))
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// The object that the client's name denotes now.
    pub(super) fn find(&self, name: &str) -> Found {
        match self.statements.get(name.as_bytes()).filter(|_| !name.is_empty()) {
            Some(statement) if statement.origin == Origin::Sql => Found::Sql,
            Some(_) => Found::Own,
            None => hidden(name, self.may_hide()),
        }
    }

    /// Whether code may have prepared statements on a server that is the client's for as long as they exist.
    fn may_hide(&self) -> bool {
        let keeps = !self.pins.is_empty() || self.status_then() != Status::Idle || self.has_sent();
        keeps && self.link.as_ref().is_some_and(|link| link.may_hide)
    }

    /// Looks up the names of a text. The error: a condition that must be met first.
    pub(super) fn look_names_up(&mut self, plan: &Plan, text: &[u8]) -> Result<Names, Step> {
        let mut names = Names::default();
        if !has_names(plan) {
            return Ok(names);
        }
        let schema = &self.tenancy().scope.schema;
        let strays = plan.statements.iter().any(|s| strays(s, text, schema));
        let mut ahead = Ahead { changed: HashMap::new(), cleared: false, hides: self.may_hide(), strays };
        for (index, statement) in plan.statements.iter().enumerate() {
            if let Err(refusal) = self.look_up((index, statement), plan, &mut ahead, &mut names)? {
                names.replace(statement, FAILS);
                names.fails = Some((index, refusal));
                break;
            }
        }
        Ok(names)
    }

    /// Looks up the names of one statement. The refusal is the error of the statement.
    fn look_up<'a>(
        &mut self,
        (index, statement): (usize, &'a Statement),
        plan: &Plan,
        ahead: &mut Ahead<'a>,
        names: &mut Names,
    ) -> Result<Result<(), Refusal>, Step> {
        match &statement.kind {
            StatementKind::Prepare { name, .. } => return Ok(self.may_prepare(name, ahead)),
            StatementKind::Execute(execution) => {
                return self.look_execution_up((index, execution), plan, ahead, names);
            }
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

    /// SQL `PREPARE`. If the name belongs to a statement of SQL `PREPARE`, PostgreSQL raises the error.
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
        (index, execution): (usize, &Execution),
        plan: &Plan,
        ahead: &Ahead<'_>,
        names: &mut Names,
    ) -> Result<Result<(), Refusal>, Step> {
        let name = &execution.name;
        match self.find_ahead(name, ahead) {
            Found::Sql => {
                names.ask_for_run(index, &self.checks_of_sql(name, plan, index));
                return Ok(Ok(()));
            }
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
        if let Some(statement) = self.statements.get(name.as_bytes()) {
            names.ask_for_run(index, &statement.plan.checks);
        }
        if !names.runs.contains(name) {
            if names.runs.len() >= self.config.limits.max_prepared_statements_per_server {
                return Ok(Err(too_many_runs()));
            }
            names.runs.push(name.clone());
        }
        Ok(Ok(()))
    }

    /// The checks of a statement that SQL has prepared, in the same text in front of its statement `index`, or before.
    fn checks_of_sql(&self, name: &str, plan: &Plan, index: usize) -> Vec<Check> {
        let prepares = |statement: &Statement| matches!(&statement.kind, StatementKind::Prepare { name: made, .. } if **made == *name);
        match plan.statements.iter().take(index).rposition(prepares) {
            Some(at) => plan.checks.iter().filter(|check| check.statement == at).cloned().collect(),
            None => self.statements.get(name.as_bytes()).map_or_else(Vec::new, |s| s.plan.checks.clone()),
        }
    }

    /// The statement of this name from the client's `Parse`, if `EXECUTE` may run it.
    ///
    /// `strays`: the same text sets a path that does not begin with the tenant's schema.
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

    /// Whether a statement may run that was possibly checked under another path: a statement that writes must not find
    /// other tables under this one.
    fn may_replay(&self, writes: bool, strays: bool) -> Result<(), Refusal> {
        let scope = &self.tenancy().scope;
        match writes && (strays || self.has_strayed()) && scope.guards_shared() {
            true => Err(check::replay_refusal(scope)),
            false => Ok(()),
        }
    }

    /// Prepares the statements that a text runs, in front of it. The error: the server has no place for all of them.
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
        // After an error, PostgreSQL ignores all messages up to a Sync, including the text.
        if let Some(link) = self.link.as_mut().filter(|link| !sent && link.request.sent) {
            link.sync_own(status);
        }
        if all_there { Ok(()) } else { Err(too_many_runs()) }
    }

    /// Whether the leased server has the statement. Counts as a use.
    pub(super) fn has_prepared(&mut self, id: u64) -> bool {
        self.link.as_mut().is_some_and(|link| link.lease.prepared.touch(id))
    }

    /// The statement that a client's statement runs by name, with the change of its text.
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

    /// Looks up again the statement that another one runs by name. The error: a condition that must be met first.
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

    /// Whether the statement of a portal may be executed, as far as its names are concerned. `Some`: it has been
    /// answered.
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

    /// `EXECUTE`, bound when its name denoted `runs`.
    fn run_by_name(&mut self, name: &str, runs: &Runs) -> Option<Step> {
        let found = self.find(name);
        let refusal = match runs {
            Runs::Own(_, prepared) if found == Found::Own => match self.runnable(name, false) {
                Ok(_) => {
                    let target = self.statements.get(name.as_bytes()).cloned()?;
                    for one in &target.plan.statements {
                        self.before(one, &target.plan, &target.text);
                    }
                    self.ask(&target.plan, false);
                    // The server may have closed it in favour of others.
                    self.prepare_again(prepared);
                    return None;
                }
                Err(refusal) => refusal,
            },
            Runs::AsNamed if found != Found::Nowhere => {
                let writes = self.sql_writes || found == Found::Hidden;
                match self.may_replay(writes, false) {
                    Err(refusal) => refusal,
                    Ok(()) => {
                        let plan = self.statements.get(name.as_bytes()).map(|run| Arc::clone(&run.plan))?;
                        self.ask(&plan, false);
                        return None;
                    }
                }
            }
            Runs::Nothing => return None,
            _ => self.runnable(name, false).err().unwrap_or_else(|| unknown(name)),
        };
        Some(self.poison(refusal))
    }

    /// `Execute` of a `DEALLOCATE` that needs no server.
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

    /// The same, of a statement of SQL `PREPARE` since the `Bind`.
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
    ///
    /// `checks`: the checks in front of it, which run again in front of each `EXECUTE`, because the names in the
    /// statement are resolved again after changes.
    pub(super) fn note_prepared(&mut self, name: &str, checks: &[Check]) {
        let text = format!("EXECUTE {}", ident::quoted(name));
        let mut plan = self.plan_own(text.as_bytes());
        plan.checks = checks.iter().map(|check| Check { statement: 0, ..check.clone() }).collect();
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
            columns: Columns::Undescribed,
        };
        self.statements.insert(Bytes::copy_from_slice(name.as_bytes()), statement);
    }

    /// `PREPARE` was sent in a pipeline: predicts the statement.
    pub(super) fn foresee_prepared(&mut self, name: &str) {
        // An existing statement remains even if this one fails.
        if self.find(name) == Found::Sql {
            return;
        }
        self.note_prepared(name, &[]);
        let opened = Some(Bytes::copy_from_slice(name.as_bytes()));
        if let Some(link) = &mut self.link {
            link.expect_reply(Expect::Local { message: Bytes::new(), opened, closed: None });
        }
    }

    /// Records a statement that SQL has prepared in a pipeline: `checks` run in front of each `EXECUTE`.
    pub(super) fn note_checks(&mut self, name: &str, checks: &[Check]) {
        let Some(mut statement) = self.statements.remove(name.as_bytes()) else { return };
        if statement.origin == Origin::Sql {
            Arc::make_mut(&mut statement.plan).checks = checks.to_vec();
        }
        self.statements.insert(Bytes::copy_from_slice(name.as_bytes()), statement);
    }

    /// Whether a statement runs another one by name that has checks.
    pub(super) fn runs_what_is_asked(&self, statement: &ClientStatement) -> bool {
        self.run_of(statement).is_some_and(|run| !run.plan.checks.is_empty())
    }

    /// The statement that another one runs by name.
    fn run_of(&self, statement: &ClientStatement) -> Option<&ClientStatement> {
        let [Statement { kind: StatementKind::Execute(execution), .. }] = &statement.plan.statements[..]
        else {
            return None;
        };
        self.statements.get(execution.name.as_bytes()).filter(|_| statement.origin != Origin::Sql)
    }

    /// Sends the checks in front of a `Describe` of an `EXECUTE`: PostgreSQL resolves the names of the statement that it
    /// runs.
    pub(super) fn ask_to_describe_run(&mut self, statement: &ClientStatement) {
        if let Some(run) = self.run_of(statement).cloned() {
            self.ask_to_analyse(&run, run.prepared.id);
        }
    }

    /// The same of `DEALLOCATE`, or `Close`, of a statement that SQL has prepared.
    pub(super) fn foresee_deallocated(&mut self, name: &str) {
        let Some(statement) = self.statements.remove(name.as_bytes()) else { return };
        let closed = Some(Box::new((Bytes::copy_from_slice(name.as_bytes()), statement)));
        if let Some(link) = &mut self.link {
            link.expect_reply(Expect::Local { message: Bytes::new(), opened: None, closed });
        }
    }

    /// The same of all statements.
    pub(super) fn foresee_dropped(&mut self) {
        let Some(link) = &mut self.link else { return };
        let of_client = std::mem::take(&mut self.statements);
        let on_server = link.lease.forget_prepared();
        link.expect_reply(Expect::Dropped(Box::new(Dropped { of_client, on_server })));
    }

    /// The error for a portal of this name, if the portal is not the client's.
    pub(super) fn is_foreign_portal(&self, portal: &[u8]) -> bool {
        match portal {
            [] => self.link.as_ref().is_some_and(|link| link.own_portal),
            named => named.starts_with(name::RESERVED.as_bytes()),
        }
    }
}

/// The splices of a text that runs one of the client's statements by name.
pub(super) fn with_run<'a>(plan: &'a Plan, runs: &Runs) -> Cow<'a, [Splice]> {
    let mut names = Names::default();
    if let (Runs::Own(_, prepared), [Statement { kind: StatementKind::Execute(execution), .. }]) =
        (runs, &plan.statements[..])
    {
        names.put(execution.at.clone(), &ident::quoted(&prepared.name));
    }
    names.splices(plan)
}

/// A name that code may have prepared, if it is not a name of the proxy.
fn hidden(name: &str, may_hide: bool) -> Found {
    if may_hide && !name::is_reserved(name) { Found::Hidden } else { Found::Nowhere }
}

/// Whether `EXECUTE` may run the statement: SQL `PREPARE` accepts its kind.
pub(super) fn can_be_run(statement: &ClientStatement) -> bool {
    let [only] = &statement.plan.statements[..] else { return false };
    statement.origin == Origin::Parse
        && only.kind == StatementKind::Plain
        // A check behind the statement would not run there.
        && !statement.plan.checks.iter().any(|check| check.behind)
        && !only.ddl
        && begins_with(statement, &PREPARABLE)
}

/// Whether the only statement of the text begins with one of these words.
fn begins_with(statement: &ClientStatement, words: &[&str]) -> bool {
    let [only] = &statement.plan.statements[..] else { return false };
    let text = statement.text.get(only.span.clone()).unwrap_or_default();
    let first = Lexer::new(text, true).next().map(|token| token.of(text)).unwrap_or_default();
    words.iter().any(|word| first.eq_ignore_ascii_case(word.as_bytes()))
}

impl ClientStatement {
    /// Whether it has checks of names, and PostgreSQL may analyse it before it runs: other statements are analysed when they run.
    pub(super) fn is_analysed(&self) -> bool {
        let early = || begins_with(self, &PREPARABLE) || begins_with(self, &ANALYSED);
        self.plan.checks.iter().any(|check| check.of_names) && (self.origin == Origin::Sql || early())
    }
}

/// The first words of statements that SQL `PREPARE` accepts.
const PREPARABLE: [&str; 9] =
    ["select", "insert", "update", "delete", "merge", "values", "with", "table", "("];

/// The first words of utility statements that PostgreSQL may analyse when they are parsed.
const ANALYSED: [&str; 3] = ["explain", "declare", "create"];

fn too_many_runs() -> Refusal {
    let mut refusal = refusal("54000", "a text runs more prepared statements than a server keeps".into());
    let hint = "Send fewer of them at once, or raise limits.max_prepared_statements_per_server.";
    refusal.hint = Some(hint.into());
    refusal
}

/// PostgreSQL's error.
pub(super) fn unknown(name: &str) -> Refusal {
    refusal("26000", format!("prepared statement \"{name}\" does not exist"))
}

/// PostgreSQL's error.
pub(super) fn taken(name: &[u8]) -> Refusal {
    let name = String::from_utf8_lossy(name);
    refusal("42P05", format!("prepared statement \"{name}\" already exists"))
}

/// PostgreSQL's error.
pub(super) fn no_portal(name: &[u8]) -> Refusal {
    let name = String::from_utf8_lossy(name);
    refusal("34000", format!("portal \"{name}\" does not exist"))
}

/// The error for names of the proxy's portals.
pub(super) fn reserved(name: &[u8]) -> Refusal {
    let name = String::from_utf8_lossy(name);
    let hint = format!("Names that begin with \"{}\" are the proxy's own.", name::RESERVED);
    Refusal { code: "42939", message: format!("the name \"{name}\" is reserved"), hint: Some(hint) }
}
