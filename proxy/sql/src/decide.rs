//! Shape and scope to plan. A cached text costs only this step.

use std::fmt::Display;

use smallvec::SmallVec;

use super::builtin;
use super::fresh;
use super::guard::aims::Pin;
use super::guard::check::{Grant, Verdict, check, search_path};
use super::hidden;
use super::keys;
use super::level;
use super::lexer::TokenKind;
use super::moved::{self, Use};
use super::plan::{
    Execution, Insert, PinReason, Plan, Refusal, Route, SchemaRef, Setting, Splice, Statement, StatementKind,
};
use super::relations;
use super::scope::{Currency, Moved, Names, SchemaNames, Scope, TextMode};
use super::shape::{Named, Shape, StatementShape, Way};
use super::tokens::{Literals, Tokens};

use pgstrata_tenancy::{Strategy, ident};

/// Fills `plan` for a text whose shape is known. The plan is filled in place, because returning it would copy it from
/// function to function.
pub fn decide(shape: &Shape, t: &Tokens<'_>, scope: &Scope, mode: TextMode, plan: &mut Plan) {
    plan.form = shape.form;
    if shape.unreadable {
        return unreadable(t, plan);
    }
    let tenant_first =
        mode.tenant_first && shape.statements.iter().all(|s| keeps_tenant_first(&s.kind, t, scope));
    plan.notifies = keys::notify(&shape.keys);
    plan.runs_alone = matches!(shape.way, Way::Own);
    statements(shape, t, &mut plan.statements);
    if let Some(refusal) = level::refusal(shape, t, scope, mode) {
        return plan.refuse(refusal);
    }
    match check(shape, t, scope, mode, tenant_first) {
        Verdict::Refused(refusal) => plan.refuse(refusal),
        Verdict::NeedNames => plan.route = Route::NeedNames,
        Verdict::Granted(grant) => {
            route(shape, t, scope, mode, plan);
            if !grant.pins.is_empty() {
                plan.pin(&grant.pins, t, scope);
            }
            if grant.asks() {
                plan.ask(&grant, shape, scope);
            }
            if scope.hide_others {
                plan.add(|| hidden::filters(shape, t, scope));
            } else {
                plan.add(|| hidden::definitions(shape, t, scope));
                if shape.missing_values {
                    plan.add(|| hidden::missing_values(shape, t, scope));
                }
            }
            if !shape.keys.is_empty() {
                plan.add(|| keys::splices(shape, t, scope));
            }
        }
    }
}

/// A text that PostgreSQL's grammar cannot parse is sent, so that the client gets PostgreSQL's error. Another
/// version's grammar could accept it, so the proxy appends text that no grammar accepts. A string or comment without
/// an end is refused by every version.
fn unreadable(t: &Tokens<'_>, plan: &mut Plan) {
    if t.all.iter().all(|token| token.kind.is_closed()) {
        plan.splices.push(Splice::new(t.text.len(), Insert::Unreadable));
    }
}

type Splices = SmallVec<[Splice; 4]>;

impl Plan {
    /// Makes the plan a refusal.
    pub(super) fn refuse(&mut self, refusal: Refusal) {
        self.splices.clear();
        self.checks.clear();
        (self.route, self.opaque) = (Route::Refuse(Box::new(refusal)), false);
    }

    /// Adds the prefixes and checks that confine the targets of writes.
    fn pin(&mut self, pins: &[(u32, Pin)], t: &Tokens<'_>, scope: &Scope) {
        if matches!(self.route, Route::Refuse(_) | Route::NeedNames) {
            return;
        }
        // A spliced name has the tenant's schema already.
        let spliced: SmallVec<[usize; 4]> = self.splices.iter().map(|splice| splice.at).collect();
        self.pins_temporary |= pins.iter().any(|(_, pin)| *pin == Pin::Temp);
        let pins = pins.iter().filter_map(|(token, pin)| pinned(*token as usize, *pin, t, scope));
        self.splices.extend(pins.filter(|splice| spliced.binary_search(&splice.at).is_err()));
        self.splices.sort_by_key(|splice| splice.at);
        self.splices.dedup_by_key(|splice| splice.at);
    }

    /// Adds the checks of a grant, or refuses.
    fn ask(&mut self, grant: &Grant, shape: &Shape, scope: &Scope) {
        if matches!(self.route, Route::Refuse(_) | Route::NeedNames) {
            return;
        }
        match fresh::checks(grant, &shape.statements, scope) {
            Ok(checks) => self.checks = checks,
            Err(refusal) => self.refuse(refusal),
        }
    }

    /// Adds these splices, or refuses; a text that is not sent needs none.
    fn add<S: IntoIterator<Item = Splice>>(&mut self, splices: impl FnOnce() -> Result<S, Refusal>) {
        if matches!(self.route, Route::Refuse(_) | Route::NeedNames) {
            return;
        }
        match splices() {
            Ok(splices) => {
                self.splices.extend(splices);
                // A replacement comes behind an insertion at the same place.
                self.splices.sort_by_key(|splice| (splice.at, splice.cut > 0));
            }
            Err(refusal) => self.refuse(refusal),
        }
    }
}

/// The prefix of the name at this token, or the replacement of the string that contains it.
fn pinned(token: usize, pin: Pin, t: &Tokens<'_>, scope: &Scope) -> Option<Splice> {
    let place = t.all.get(token)?;
    let (start, length) = (place.start as usize, place.end - place.start);
    if let Some(text) = Literals(t).string(token) {
        let schema = if pin == Pin::Temp { "pg_temp" } else { &scope.schema };
        let name = format!("{}.{text}", ident::quoted(schema));
        return Some(Splice { at: start, cut: length, insert: Insert::Text(fresh::literal(&name).into()) });
    }
    let insert = match pin {
        Pin::Own => Insert::Schema(SchemaRef::Tenant),
        Pin::Temp => Insert::Text("pg_temp.".into()),
    };
    Some(Splice::new(start, insert))
}

/// Whether the tenant's schema stays first on the path after the statement.
fn keeps_tenant_first(kind: &StatementKind, t: &Tokens<'_>, scope: &Scope) -> bool {
    let literals = Literals(t);
    let first = match kind {
        StatementKind::Set(setting) if &*setting.name == "search_path" => {
            let at = setting.value.start;
            t.name(at).or_else(|| literals.string(at)).map(|name| name.into_owned())
        }
        StatementKind::SetConfig { name, .. }
            if literals.string(*name).is_some_and(|name| name.eq_ignore_ascii_case("search_path")) =>
        {
            literals.string(name + 2).and_then(|path| search_path(&path)?.into_iter().next())
        }
        _ => return true,
    };
    first.is_some_and(|first| *first == *scope.schema)
}

fn statements(shape: &Shape, t: &Tokens<'_>, out: &mut SmallVec<[Statement; 1]>) {
    let place = |kind: &StatementKind| match kind {
        StatementKind::Plain => StatementKind::Plain,
        // Token numbers until here, because the length of a literal differs from text to text.
        StatementKind::Set(setting) => {
            StatementKind::Set(Box::new(Setting { value: t.bytes(&setting.value), ..(**setting).clone() }))
        }
        &StatementKind::SetConfig { name, local } => set_config(t, name, local),
        StatementKind::Execute(execution) => {
            let Execution { name, at } = &**execution;
            StatementKind::Execute(Box::new(Execution { name: name.clone(), at: t.bytes(at) }))
        }
        other => other.clone(),
    };
    let each = |s: &StatementShape| {
        let kind = place(&s.kind);
        // The value cannot be parsed, so it cannot be tracked.
        let lost =
            matches!(s.kind, StatementKind::SetConfig { local: false, .. }) && kind == StatementKind::Plain;
        Statement {
            span: t.bytes(&s.tokens),
            kind,
            pin: s.pin.or(lost.then_some(PinReason::SessionState)),
            writes: s.writes,
            ddl: s.ddl,
            frees: s.frees,
            draws: s.draws,
        }
    };
    for statement in &shape.statements {
        out.push(each(statement));
    }
}

/// The setting of the call, if it is recognizable.
fn set_config(t: &Tokens<'_>, name: usize, local: bool) -> StatementKind {
    let literals = Literals(t);
    let Some(setting) = literals.string(name).map(|name| name.to_ascii_lowercase().into()) else {
        return StatementKind::Plain;
    };
    if let Some(value) = literals.string(name + 2) {
        let given = Some(value.into());
        return StatementKind::Set(Box::new(Setting { name: setting, value: 0..0, given, local }));
    }
    let number = t.all.get(name + 2).filter(|token| token.kind == TokenKind::Param);
    let number =
        number.and_then(|token| std::str::from_utf8(token.of(t.text)).ok()?.strip_prefix('$')?.parse().ok());
    number.map_or(StatementKind::Plain, |number| StatementKind::SetParameter { name: setting, number, local })
}

fn route(shape: &Shape, t: &Tokens<'_>, scope: &Scope, mode: TextMode, plan: &mut Plan) {
    let moved = match moved::used(shape, t, scope) {
        Use::None => return usual(shape, t, scope, mode, plan),
        Use::Unknown => return unknown(shape, t, scope, mode, plan),
        Use::Named(moved) => moved,
    };
    let unproven: &dyn Display = match shape.way {
        Way::Names if is_settled(mode) => match proven(shape, t, scope, &mut plan.splices) {
            Ok(()) => {
                plan.lasting = !shape.arguments;
                return plan.route = spliced(&plan.splices);
            }
            Err(unproven) => &unproven.to_string(),
        },
        _ => &"it depends on the search path in ways that its text does not show",
    };
    plan.refuse(moved::refusal(moved, mode, unproven));
}

/// The route of a text with remapped tables while the tenant's catalog is not loaded: each remapped table gets its
/// schema, and the path finds the others. If their places are not known, the catalog is needed.
fn unknown(shape: &Shape, t: &Tokens<'_>, scope: &Scope, mode: TextMode, plan: &mut Plan) {
    let mut splices = Splices::new();
    let each = |relation: &Named| {
        let Some((index, moved)) = scope.moved(&relation.name) else { return true };
        // The catalog comes first on each path.
        let hidden =
            scope.names.as_ref().is_none_or(|names| names.builtin.relations.contains(&relation.name));
        let found = moved::splices(relation, index, moved, t).filter(|_| !hidden);
        found.map(|found| splices.extend(found)).is_some()
    };
    match shape.way == Way::Names && is_settled(mode) && shape.relations.iter().all(each) {
        true => (plan.splices, plan.route, plan.opaque) = (splices, Route::SearchPath, true),
        false => plan.route = Route::NeedNames,
    }
}

/// The route of a text without remapped tables.
fn usual(shape: &Shape, t: &Tokens<'_>, scope: &Scope, mode: TextMode, plan: &mut Plan) {
    (plan.route, plan.opaque) = match shape.way {
        Way::Free => (Route::Pass, false),
        Way::Own => (Route::OwnTransaction, true),
        Way::Path => (Route::SearchPath, true),
        Way::Names => match proven(shape, t, scope, &mut plan.splices) {
            Ok(()) if plan.splices.is_empty() || may_splice(scope, mode) => {
                plan.lasting = !shape.arguments && is_settled(mode);
                (spliced(&plan.splices), false)
            }
            proof => {
                let opaque = proof.is_err() || is_shadowed(shape, scope, mode);
                plan.lasting =
                    !opaque && !shape.arguments && is_settled(mode) && relations::are_own(shape, scope);
                plan.splices.clear();
                (Route::SearchPath, opaque)
            }
        },
    }
}

/// Whether proven names may have another meaning at run time.
fn is_shadowed(shape: &Shape, scope: &Scope, mode: TextMode) -> bool {
    let hides = |name: &str| {
        let names = scope.names.as_deref();
        let mut held = names.iter().flat_map(|names| std::iter::once(&names.tenant).chain(&names.shared));
        held.any(|schema| schema.relations.get(name).is_some_and(|relation| !relation.plain))
    };
    mode.stale_names || mode.temp_tables || mode.own_path && shape.relations.iter().any(|r| hides(&r.name))
}

fn spliced(splices: &Splices) -> Route {
    if splices.is_empty() { Route::Pass } else { Route::Splice }
}

/// Why a text takes its route, for people.
pub fn why(shape: &Shape, t: &Tokens<'_>, scope: &Scope, mode: TextMode) -> String {
    match shape.way {
        Way::Free => "it means the same under every search path".into(),
        Way::Own => "it can't run in a transaction block".into(),
        Way::Path => "it depends on the search path in ways that its text does not show".into(),
        Way::Names => {
            let mut splices = Splices::new();
            match proven(shape, t, scope, &mut splices) {
                Err(unproven) => unproven.to_string(),
                Ok(()) if splices.is_empty() => "nothing in it hangs on the search path".into(),
                Ok(()) if moved::used(shape, t, scope) != Use::None => {
                    "a table in it is kept elsewhere".into()
                }
                Ok(()) if scope.strategy != Strategy::SchemaQualified => {
                    "the tenant's strategy is search_path".into()
                }
                Ok(()) if !may_splice(scope, mode) => {
                    "the session has a path or temporary tables of its own".into()
                }
                Ok(()) => "every name in it is known".into(),
            }
        }
    }
}

/// The reason why a text is not spliced.
#[derive(Debug, thiserror::Error)]
enum Unproven<'a> {
    #[error("the catalog of the schemas is not loaded")]
    NoNames,
    #[error("the tenant has changed its schema, and what that holds is not loaded yet")]
    Overtaken,
    #[error("function \"{0}\" is not one of pg_catalog alone, or depends on the path")]
    Function(&'a str),
    #[error("type \"{0}\" is not one of pg_catalog alone, or its values are names")]
    Type(&'a str),
    #[error("the tenant's schema has operators or collations of its own")]
    Operators,
    #[error("\"{0}\" may be a column, or a call of the function of that name")]
    Column(&'a str),
    #[error("relation \"{0}\" is not known, or what is behind it looks names up by itself")]
    Relation(&'a str),
    #[error("a trigger or rule in these schemas looks names up by itself")]
    Triggers,
}

/// Whether names have the meaning that the cached catalog shows.
fn is_settled(mode: TextMode) -> bool {
    !mode.own_path && !mode.stale_names && !mode.temp_tables
}

fn may_splice(scope: &Scope, mode: TextMode) -> bool {
    is_settled(mode) && scope.strategy == Strategy::SchemaQualified
}

/// The splices of a text whose names are all known; none if it means the same under each path. If it is not proven,
/// `out` may hold some of them.
fn proven<'a>(shape: &'a Shape, t: &Tokens<'_>, scope: &'a Scope, out: &mut Splices) -> Proof<'a> {
    let bare = shape.relations.is_empty() && shape.qualified.is_empty() && shape.columns.is_empty();
    let calls = shape.functions.iter().any(|name| !builtin::is_grammar(name));
    if bare && !calls && shape.types.is_empty() && !shape.operators {
        return Ok(());
    }
    let names = scope.names.as_deref().ok_or(Unproven::NoNames)?;
    match names.currency {
        Currency::Current => {}
        Currency::Overtaken => return Err(Unproven::Overtaken),
        Currency::SharedOnly => return Err(Unproven::NoNames),
    }
    let known = Known { scope, names, shape };
    known.functions()?;
    known.types()?;
    known.operators()?;
    known.columns()?;
    known.qualified()?;
    known.splices(t, out)
}

/// The names of a shape, with the catalog of the schemas.
struct Known<'a> {
    scope: &'a Scope,
    names: &'a Names,
    shape: &'a Shape,
}

type Proof<'a> = Result<(), Unproven<'a>>;

impl<'a> Known<'a> {
    fn schemas_hold(&self, held: impl Fn(&SchemaNames) -> bool) -> bool {
        held(&self.names.tenant) || self.names.shared.iter().any(|schema| held(schema))
    }

    /// Whether all functions are PostgreSQL's own, not overloaded, and independent of the path.
    fn functions(&self) -> Proof<'a> {
        let mut names = self.shape.functions.iter().filter(|name| !builtin::is_grammar(name));
        let unknown = names.find(|name| {
            !self.names.builtin.steady.contains(*name)
                || self
                    .schemas_hold(|schema| schema.functions.contains(*name) || schema.types.contains(*name))
        });
        unknown.map_or(Ok(()), |name| Err(Unproven::Function(name)))
    }

    fn types(&self) -> Proof<'a> {
        let unknown = self.shape.types.iter().find(|name| {
            !self.names.builtin.types.contains(*name)
                || builtin::is_name_type(name)
                || self.schemas_hold(|schema| schema.types.contains(*name))
        });
        unknown.map_or(Ok(()), |name| Err(Unproven::Type(name)))
    }

    /// Shared operators resolve under the server's own path; the tenant's do not.
    fn operators(&self) -> Proof<'a> {
        if self.names.tenant.has_operators { Err(Unproven::Operators) } else { Ok(()) }
    }

    /// `t.f` calls `f(t)` if `t` has no such column.
    fn columns(&self) -> Proof<'a> {
        let mut names = self.shape.columns.iter();
        let called = names.find(|name| self.schemas_hold(|schema| schema.functions.contains(*name)));
        called.map_or(Ok(()), |name| Err(Unproven::Column(name)))
    }

    fn qualified(&self) -> Proof<'a> {
        let is_plain = |schema: &str, name: &str| {
            let held = match schema {
                own if *own == *self.scope.schema => Some(&self.names.tenant),
                other => self
                    .scope
                    .shared
                    .iter()
                    .position(|s| **s == *other)
                    .and_then(|i| self.names.shared.get(i)),
            };
            held.and_then(|schema| schema.relations.get(name)).is_some_and(|relation| relation.plain)
        };
        let unknown = self.shape.qualified.iter().find(|q| !is_plain(&q.schema, &q.named.name));
        unknown.map_or(Ok(()), |q| Err(Unproven::Relation(&q.named.name)))?;
        // A write may reach a table that is not named, by a foreign key's action.
        let writes = self.shape.statements.iter().any(|s| s.writes);
        if writes && self.schemas_hold(|schema| schema.has_triggers) {
            Err(Unproven::Triggers)
        } else {
            Ok(())
        }
    }

    fn splices(&self, t: &Tokens<'_>, out: &mut Splices) -> Proof<'a> {
        for relation in &self.shape.relations {
            if let Some((index, moved)) = self.scope.moved(&relation.name) {
                let known = self.is_plain(moved).then(|| moved::splices(relation, index, moved, t));
                out.extend(known.flatten().ok_or(Unproven::Relation(&relation.name))?);
                continue;
            }
            let place = t.all.get(relation.token as usize).zip(self.schema_of(&relation.name));
            let (token, schema) = place.ok_or(Unproven::Relation(&relation.name))?;
            out.push(Splice::new(token.start as usize, Insert::Schema(schema)));
        }
        Ok(())
    }

    /// Whether a remapped table exists, and none of its triggers, rules or defaults resolves names.
    fn is_plain(&self, moved: &Moved) -> bool {
        let held = match moved.schema {
            SchemaRef::Tenant => Some(&self.names.tenant),
            SchemaRef::Shared(index) => self.names.shared.get(usize::from(index)),
        };
        let relation = held.and_then(|schema| schema.relations.get(&moved.table));
        // The catalog comes first on each path.
        !self.names.builtin.relations.contains(&moved.name) && relation.is_some_and(|found| found.plain)
    }

    /// The schema in which the search path finds a relation.
    fn schema_of(&self, name: &str) -> Option<SchemaRef> {
        // The catalog comes first on each path, and its contents depend on the path.
        if self.names.builtin.relations.contains(name) {
            return None;
        }
        if let Some(relation) = self.names.tenant.relations.get(name) {
            return relation.plain.then_some(SchemaRef::Tenant);
        }
        let found =
            self.names.shared.iter().enumerate().find_map(|(i, s)| s.relations.get(name).map(|r| (i, r)));
        let (i, relation) = found?;
        // The index must mean the same schema in the scope, whose prefix is written.
        let schema = u16::try_from(i).ok().filter(|_| i < self.scope.shared.len())?;
        relation.plain.then_some(SchemaRef::Shared(schema))
    }
}
