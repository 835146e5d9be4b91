//! Evaluates demands in the scope of one tenant.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::ops::Range;
use std::sync::Arc;

use smallvec::SmallVec;

use super::aims::{Look, Moment, NeedNames, Pin};
use super::relations;
use crate::keys::KeySpace;
use crate::large_objects;
use crate::lexer::TokenKind;
use crate::limits;
use crate::name;
use crate::plan::{PinReason, Refusal, StatementKind};
use crate::scope::{Currency, Names, Scope, TextMode};
use crate::shape::{
    Act, ConfigPlace, Demand, KeyChange, KeyKind, Object, Resolved, Shape, Site, StatementShape, Way, Write,
};
use crate::tokens::{Literals, Tokens};

/// Schemas that any tenant may name; none of them may be written.
const SYSTEM: [&str; 3] = ["pg_catalog", "information_schema", "pg_toast"];

/// The result of the demands of a text.
pub enum Verdict {
    /// All are met, with these additions to the text.
    Granted(Grant),
    /// The first that is not met, and the reason.
    Refused(Refusal),
    /// The result depends on the catalog of the schemas, which is not loaded.
    NeedNames,
}

/// The additions that confine the writes of a text.
#[derive(Default)]
pub struct Grant {
    /// The prefixes of the names at these tokens, in strings too.
    pub pins: SmallVec<[(u32, Pin); 2]>,
    /// The looks in front of statements, with the statements' numbers.
    pub looks: Vec<(usize, Look)>,
    /// The views that are checked behind statements: their schemas and names.
    pub seals: Vec<(usize, Seal)>,
    /// The time-outs that are checked behind statements.
    pub limits: Vec<(usize, &'static str)>,
    /// Time-outs that are set in the middle of a statement, with its number: none of them may have a limit.
    pub unlimited: Vec<(usize, &'static str)>,
}

impl Grant {
    /// Whether a check must run in PostgreSQL.
    pub fn asks(&self) -> bool {
        let questions = [self.looks.len(), self.seals.len(), self.limits.len(), self.unlimited.len()];
        questions.into_iter().any(|number| number > 0)
    }
}

/// A view, or all views of a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// The written schema.
    pub schema: Option<Box<str>>,
    /// The view; none: all views of the schema.
    pub name: Option<Box<str>>,
    /// The location of the view, if no schema is written.
    pub site: Site,
    /// The view existed before the statement, which grants a privilege on it or renames it.
    pub is_old: bool,
}

/// Evaluates the demands of a shape in the scope. `tenant_first`: unqualified names resolve to the tenant's schema
/// first.
pub fn check(shape: &Shape, t: &Tokens<'_>, scope: &Scope, mode: TextMode, tenant_first: bool) -> Verdict {
    let (replays_write, may_be_missing) = (mode.replays_write, OnceCell::new());
    let gate = Gate { t, literals: Literals(t), scope, tenant_first, replays_write, may_be_missing };
    let home = !mode.own_path && !shape.statements.iter().any(|statement| sets_path(&statement.kind));
    let before = Before::of(shape, scope);
    let (stale, temporary) = (mode.stale_names || !scope.is_current(), mode.temp_tables);
    let start = Moment { temporary, after_code: false, home, tenant_first, stale, alone: false };
    let (mut grant, mut needs_names) = (Grant::default(), false);
    for demand in &shape.demands {
        if let Demand::Seal { schema, name, token, site } = demand {
            let is_old = *site == Site::Found;
            // With the home path, new objects are created in the tenant's schema.
            let site = if *site == Site::Made && !home { Site::Found } else { *site };
            let seal = Seal { schema: schema.clone(), name: name.clone(), site, is_old };
            grant.seals.push((before.there(shape, *token, start).0, seal));
            continue;
        }
        if let Demand::Filtered(token) = demand {
            match stands_as_relation(shape, *token) {
                true => continue,
                false => return Verdict::Refused(gate.not_filtered(*token)),
            }
        }
        let Some(write) = gate.write_of(demand) else {
            match gate.check(demand) {
                Ok(()) => {
                    let name = gate.time_limit(demand);
                    grant
                        .unlimited
                        .extend(name.map(|(token, name)| (before.there(shape, token, start).0, name)));
                    continue;
                }
                Err(refusal) => return Verdict::Refused(refusal),
            }
        };
        let (at, now) = before.there(shape, write.token, start);
        let changes_keys =
            shape.statements.get(at).is_some_and(|statement| statement.keys == KeyChange::Named);
        if changes_keys && gate.may_refer_outward() && is_table(&write) {
            match now.alone {
                false => grant.looks.push((at, Look::at_keys(&write))),
                // No check can run in front of it, so it must be known that there are no such keys.
                true if !knows_tenant(scope) => needs_names = true,
                true => return Verdict::Refused(gate.key_not_dropped(&write)),
            }
        }
        match gate.aim(&write, now) {
            Err(NeedNames) => needs_names = true,
            Ok(Err(refusal)) => return Verdict::Refused(refusal),
            Ok(Ok(aim)) => {
                grant.pins.extend(aim.pin.map(|pin| (write.token, pin)));
                grant.looks.extend(aim.look.map(|look| (at, look)));
            }
        }
    }
    if gate.may_refer_outward() {
        let any = |(_, statement): &(usize, &StatementShape)| statement.keys == KeyChange::Any;
        let all = shape.statements.iter().enumerate().filter(any);
        grant.looks.extend(all.map(|(at, _)| (at, Look::at_all_keys(&scope.schema))));
    }
    grant.limits = limits::set_by(shape, t, scope);
    // The witness adds its demands behind those of all statements.
    grant.looks.sort_by_key(|(at, _)| *at);
    grant.seals.sort_by_key(|(at, _)| *at);
    let calls = |demand: &Demand| matches!(demand, Demand::Function { .. });
    let needs_functions = !knows_code(scope) && shape.demands.iter().any(calls);
    match needs_names || needs_functions {
        true => Verdict::NeedNames,
        false => Verdict::Granted(grant),
    }
}

/// The refused action, for a table with a foreign key to a table outside of the tenant.
pub fn key_of_others(table: &str) -> String {
    format!("drop or change a foreign key of \"{table}\" to a table that is not the tenant's own")
}

/// Whether the object is a table, which may have foreign keys.
fn is_table(write: &Write) -> bool {
    write.act == Act::Change && write.object == Object::Relation && write.schema.as_deref() != Some("pg_temp")
}

/// Whether the functions with unknown code in the tenant's schema and in the shared ones are known.
fn knows_code(scope: &Scope) -> bool {
    knows_tenant(scope) && scope.functions.is_some()
}

/// Whether the facts about the tenant's schema that no tenant can change are known.
fn knows_tenant(scope: &Scope) -> bool {
    scope.names.as_ref().is_some_and(|names| names.currency != Currency::SharedOnly)
}

/// Whether the token is the name of a relation that is read, and all such names are known. They are in the order of
/// the text.
fn stands_as_relation(shape: &Shape, token: u32) -> bool {
    let bare = shape.relations.binary_search_by_key(&token, |named| named.token);
    let qualified = shape.qualified.binary_search_by_key(&token, |q| q.named.token + 2);
    shape.way == Way::Names && (bare.is_ok() || qualified.is_ok())
}

/// The first statements of a text that change what is known behind them.
struct Before {
    /// Changes the catalog.
    ddl: usize,
    /// Creates a temporary object.
    temporary: usize,
    /// May run code outside of the text.
    code: usize,
}

impl Before {
    fn of(shape: &Shape, scope: &Scope) -> Self {
        if shape.statements.len() < 2 {
            return Self { ddl: usize::MAX, temporary: usize::MAX, code: usize::MAX };
        }
        let first =
            |is: &dyn Fn(&StatementShape) -> bool| shape.statements.iter().position(is).unwrap_or(usize::MAX);
        let builtin = scope.names.as_deref().map(|names| &names.builtin.functions);
        let is_builtin = |name: &str| builtin.is_some_and(|functions| functions.contains(name));
        // It is not known which of the statements calls it.
        let calls = !shape.functions.iter().all(|name| is_builtin(name));
        Self {
            ddl: first(&|statement| statement.ddl),
            temporary: first(&|statement| statement.pin == Some(PinReason::TempTable)),
            code: first(&|statement| calls || statement.way >= Way::Path && !statement.ddl),
        }
    }

    /// The number of the statement that contains `token`, and what is known there.
    fn there(&self, shape: &Shape, token: u32, start: Moment) -> (usize, Moment) {
        let at = shape.statements.partition_point(|statement| statement.tokens.end <= token as usize);
        let alone = shape.statements.get(at).is_some_and(|statement| statement.way == Way::Own);
        let stale = start.stale || self.ddl < at;
        let temporary = start.temporary || self.temporary < at;
        (at, Moment { alone, stale, temporary, after_code: self.code < at, ..start })
    }
}

/// Whether another path may be in effect behind the statement.
fn sets_path(kind: &StatementKind) -> bool {
    match kind {
        StatementKind::Set(setting) => &*setting.name == "search_path",
        StatementKind::SetConfig { .. } | StatementKind::SetParameter { .. } => true,
        _ => false,
    }
}

/// Evaluates demands in a scope.
pub(super) struct Gate<'a> {
    pub(super) t: &'a Tokens<'a>,
    literals: Literals<'a>,
    pub(super) scope: &'a Scope,
    tenant_first: bool,
    replays_write: bool,
    /// Whether the text contains `IF EXISTS`, computed once.
    pub(super) may_be_missing: OnceCell<bool>,
}

pub(super) type Checked<T = ()> = Result<T, Refusal>;

impl Gate<'_> {
    /// The write in a demand, if its name can be looked up.
    fn write_of<'d>(&self, demand: &'d Demand) -> Option<Cow<'d, Write>> {
        match demand {
            Demand::Write(write) => Some(Cow::Borrowed(write)),
            Demand::ObjectLiteral { token, write: true, .. } => {
                let text = self.literals.string(*token as usize)?;
                let mut parts = name::parts(&text).filter(|_| !text.contains('('))?;
                let name = parts.pop().filter(|name| parts.is_empty() && !is_number(name))?;
                let (act, sure, resolved) = (Act::Change, true, Resolved::AtOnce);
                let (name, object, schema) = (name.into(), Object::Relation, None);
                Some(Cow::Owned(Write { schema, name, token: *token, object, act, sure, resolved }))
            }
            _ => None,
        }
    }

    fn check(&self, demand: &Demand) -> Checked {
        match demand {
            Demand::Schema { first, second } => match second {
                Some(schema) if **first == *self.scope.database => self.schema(schema),
                _ => self.schema(first),
            },
            // These are handled by `aim` before.
            Demand::Write(_) | Demand::Seal { .. } | Demand::Filtered(_) => Ok(()),
            Demand::WriteSchema(schema) => self.write_schema(schema),
            Demand::Never { what, hint } => Err(self.refusal(what, *hint)),
            Demand::Reserved(name) => Err(Refusal {
                code: "42939",
                message: format!("the name \"{name}\" is reserved"),
                hint: Some(format!("Names that begin with \"{}\" are the proxy's own.", name::RESERVED)),
            }),
            Demand::NoCursor(cursor) => {
                let message = format!("cursor \"{cursor}\" does not exist");
                Err(Refusal { code: "34000", message, hint: None })
            }
            Demand::TooComplex => Err(Refusal {
                code: "54001",
                message: "statement too complex: too many words and signs, rows of constants left out".into(),
                hint: Some("Send it in several messages.".into()),
            }),
            Demand::Operator(schema) => self.operator(schema.as_deref()),
            Demand::LargeObject(name) => large_objects::check(name, self.scope),
            Demand::Dynamic(what) => match self.scope.dynamic_sql {
                true => Ok(()),
                false => Err(self.refusal(what, Some(DYNAMIC))),
            },
            Demand::OwnPrepared => {
                match self.scope.keys.two_phase == KeySpace::Tenant && !self.scope.hide_others {
                    true => Ok(()),
                    false => Err(self.refusal("read pg_prepared_xacts", None)),
                }
            }
            Demand::Function { schema, name, trigger_arguments } => {
                self.function(schema.as_deref(), name, *trigger_arguments)
            }
            Demand::Owner(role) => self.owner(role),
            Demand::KeptSchema(schema) => match self.is_own(schema) {
                true => Ok(()),
                false => Err(self.refusal("run CREATE SCHEMA", Some(super::commands::SHARED))),
            },
            Demand::Keys(kind) => self.keys(*kind),
            Demand::ObjectLiteral { token, write, by_name } => self.object(*token as usize, *write, *by_name),
            Demand::SchemaLiteral(token) => self.schema_literal(*token as usize),
            Demand::Setting(name) => self.setting(name),
            Demand::Clause(name) => self.clause(name),
            Demand::Path(range) => self.path(range.clone()),
            Demand::Role { setting, value } => self.role(setting, value.as_ref()),
            Demand::Replay => self.replay(),
            Demand::Config { token, place } => self.config(*token as usize, *place),
        }
    }

    pub(super) fn refusal(&self, what: &str, hint: Option<&str>) -> Refusal {
        denied(self.scope, what, hint)
    }

    /// Whether a table of the tenant may have a foreign key to a table that the tenant may not change. Only an
    /// administrator creates such keys, so earlier knowledge of them remains valid.
    fn may_refer_outward(&self) -> bool {
        let known = self.scope.names.as_ref().filter(|_| knows_tenant(self.scope));
        self.scope.guards_shared() && known.is_none_or(|names| names.tenant.refers_outward)
    }

    /// The refusal of a change of a table that may have such a key, if no check can run in front of it.
    fn key_not_dropped(&self, write: &Write) -> Refusal {
        self.refusal(&key_of_others(&write.name), Some(SHARED))
    }

    /// An operator that the definition of another one changes. Without a schema it may be a shared one, if there are
    /// any.
    fn operator(&self, schema: Option<&str>) -> Checked {
        let has_operators = |names: &Arc<Names>| names.shared.iter().any(|held| held.has_operators);
        match schema {
            Some(schema) => self.write_schema(schema),
            None if !self.scope.guards_shared() => Ok(()),
            None if self.scope.names.as_ref().is_some_and(|names| !has_operators(names)) => Ok(()),
            None => {
                let hint = "Write it with its schema: OPERATOR(schema.name).";
                Err(self.refusal("link an operator to one whose schema is not written", Some(hint)))
            }
        }
    }

    fn not_filtered(&self, token: u32) -> Refusal {
        let name = self.t.name(token as usize).unwrap_or_default();
        let hint = "Read it in a plain SELECT: only then is it known to show nothing of others.";
        self.refusal(&format!("read {name} in this form"), Some(hint))
    }

    /// The role of the statement owns new objects anyway, so this changes nothing.
    fn owner(&self, role: &str) -> Checked {
        match role == &*self.scope.role {
            true => Ok(()),
            false => Err(self.refusal("change owners", Some(super::commands::SHARED))),
        }
    }

    fn keys(&self, kind: KeyKind) -> Checked {
        let (space, what) = match kind {
            KeyKind::Channel => (self.scope.keys.channels, "use LISTEN or NOTIFY"),
            KeyKind::Lock => (self.scope.keys.advisory_locks, "use advisory locks"),
            KeyKind::Transaction => (self.scope.keys.two_phase, "use two-phase commit"),
        };
        match space {
            KeySpace::Refuse => Err(self.refusal(what, Some("The proxy's configuration refuses it."))),
            KeySpace::Tenant | KeySpace::Shared => Ok(()),
        }
    }

    fn is_own(&self, schema: &str) -> bool {
        schema == &*self.scope.schema
    }

    fn is_shared(&self, schema: &str) -> bool {
        self.scope.shared.iter().any(|s| **s == *schema)
    }

    fn may_name(&self, schema: &str) -> bool {
        // `pg_temp_3` belongs to another session.
        self.is_own(schema) || self.is_shared(schema) || SYSTEM.contains(&schema) || schema == "pg_temp"
    }

    fn schema(&self, schema: &str) -> Checked {
        match self.may_name(schema) {
            true => Ok(()),
            false => Err(self.refusal(&format!("name schema \"{schema}\""), Some(&self.nameable()))),
        }
    }

    fn nameable(&self) -> String {
        let mut schemas = vec![&*self.scope.schema];
        schemas.extend(self.scope.shared.iter().map(|s| &**s).filter(|s| !self.is_own(s)));
        format!("The schemas that may be named are: {}.", schemas.join(", "))
    }

    pub(super) fn write_schema(&self, schema: &str) -> Checked {
        if self.scope.may_write(schema) || schema == "pg_temp" {
            return Ok(());
        }
        self.schema(schema)?;
        Err(self.refusal(&format!("write to schema \"{schema}\""), Some(SHARED)))
    }

    /// An object that is created without a schema goes into the first schema of the path.
    pub(super) fn create(&self, name: &str, tenant_first: bool) -> Checked {
        if self.scope.is_read_only() {
            let what = format!("create \"{name}\" in schema \"{}\"", self.scope.schema);
            return Err(self.refusal(&what, Some(SHARED)));
        }
        match tenant_first || !self.scope.guards_shared() {
            true => Ok(()),
            false => {
                let hint = "Write the tenant's schema in front of the name, or RESET search_path.";
                Err(self.refusal(&format!("create \"{name}\" under this search_path"), Some(hint)))
            }
        }
    }

    fn replay(&self) -> Checked {
        match self.tenant_first || !self.scope.guards_shared() || !self.replays_write {
            true => Ok(()),
            false => Err(replay_refusal(self.scope)),
        }
    }

    fn setting(&self, name: &str) -> Checked {
        if self.scope.locked_settings.is_empty() || !self.scope.locks(name) {
            return Ok(());
        }
        Err(locked(name))
    }

    /// A `SET` clause of a function, which takes effect in each call.
    fn clause(&self, name: &str) -> Checked {
        self.setting(name)?;
        match self.scope.limits_time && limits::limited(name).is_some() {
            true => Err(limits::unseen(name)),
            false => Ok(()),
        }
    }

    /// `set_config('name', value, local)`: the setting must be recognizable.
    fn config(&self, token: usize, place: ConfigPlace) -> Checked {
        let alone = place == ConfigPlace::Known || self.t.is(token + 1, TokenKind::Comma);
        let plain = self.literals.string(token).filter(|_| alone);
        let Some(name) = plain.map(|name| name.to_ascii_lowercase()) else {
            return Err(self.refusal("call set_config with a name that is no plain literal", Some(PLAIN)));
        };
        self.setting(&name)?;
        match (name.as_str(), place) {
            ("role" | "session_authorization", _) => Err(self.refusal(&format!("set {name}"), None)),
            (_, ConfigPlace::Body) => {
                Err(self.refusal(&format!("set {name} in a function's or a view's body"), None))
            }
            // The value is checked when it is bound: `Session::refuses_bound_path`.
            ("search_path", ConfigPlace::Bound) => Ok(()),
            ("search_path", ConfigPlace::Alone) => self.path(token + 2..token + 3),
            // The text behind it is parsed with these settings, so their values must be known.
            (
                "search_path" | "client_encoding" | "standard_conforming_strings",
                ConfigPlace::Inside | ConfigPlace::Known | ConfigPlace::Bound | ConfigPlace::BoundLocally,
            ) => {
                let hint = "Use SET, or SELECT set_config(...) with plain string literals and nothing else.";
                Err(self.refusal(&format!("set {name} inside a statement"), Some(hint)))
            }
            (name, ConfigPlace::Known) if self.scope.limits_time && limits::limited(name).is_some() => {
                Err(limits::unseen(name))
            }
            _ => Ok(()),
        }
    }

    /// A time-out that is set in the middle of a statement, which could reset it before a check.
    fn time_limit(&self, demand: &Demand) -> Option<(u32, &'static str)> {
        let Demand::Config { token, place: ConfigPlace::Inside } = demand else { return None };
        let name = self.literals.string(*token as usize).filter(|_| self.scope.limits_time)?;
        Some((*token, limits::limited(&name.to_ascii_lowercase())?))
    }

    /// A string that names an object: the tenant must be allowed to name its schema.
    fn object(&self, token: usize, write: bool, by_name: bool) -> Checked {
        let Some(text) = self.literals.string(token) else {
            return Err(self.refusal("name an object in a string with escapes", Some(PLAIN)));
        };
        // A function's name is in front of the bracket, its argument types are behind it.
        let (head, types) = text.split_once('(').map_or((&*text, None), |(head, rest)| (head, Some(rest)));
        // An object's oid does not show its schema.
        if by_name && is_number(head.trim()) {
            return Err(self.refusal("name an object by its number in a string", Some(PLAIN)));
        }
        match name::parts(head).as_deref() {
            // A name that can be looked up would have been handled by `aim`.
            Some([_]) if write => {
                return Err(self.refusal("name an object in a string of this form", Some(PLAIN)));
            }
            Some([object]) => self.readable(object)?,
            Some([.., schema, object]) => {
                if write {
                    self.write_schema(schema)?;
                } else {
                    self.schema(schema)?;
                }
                self.readable(object)?;
            }
            // Not a list of names: a number, a list of privileges, an operator, a type with several words.
            _ => self.loose(head)?,
        }
        types.map_or(Ok(()), |types| self.loose(types))
    }

    /// Any word with a dot behind it, in a text of unknown form.
    fn loose(&self, text: &str) -> Checked {
        let mut rest = text;
        while let Some(dot) = rest.find('.') {
            let before = rest.get(..dot).unwrap_or_default().trim_end();
            let start = match before.strip_suffix('"') {
                Some(quoted) => quoted.rfind('"').unwrap_or(0),
                None => before
                    .rfind(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
                    .map_or(0, |i| i + 1),
            };
            let word = before.get(start..).unwrap_or_default();
            match name::parts(word).as_deref() {
                Some([schema]) if !schema.bytes().all(|c| c.is_ascii_digit()) => self.schema(schema)?,
                Some(_) => {}
                None => {
                    return Err(self.refusal("name an object in a string of this form", Some(PLAIN)));
                }
            }
            rest = rest.get(dot + 1..).unwrap_or_default();
        }
        Ok(())
    }

    fn readable(&self, object: &str) -> Checked {
        match relations::is_private(object) {
            true => Err(self.refusal(&format!("read {object}"), None)),
            false => Ok(()),
        }
    }

    fn schema_literal(&self, token: usize) -> Checked {
        let Some(text) = self.literals.string(token) else {
            return Err(self.refusal("name a schema in a string with escapes", Some(PLAIN)));
        };
        match name::parts(&text).as_deref() {
            Some([schema]) if is_privilege(schema) => Ok(()),
            Some([schema]) => self.schema(schema),
            // `USAGE, CREATE`, or a number: not a schema's name.
            _ => Ok(()),
        }
    }

    /// A `search_path` may contain only schemas that the tenant may name. The current role may be set: such a
    /// statement is not sent ([`crate::keys`]).
    fn role(&self, setting: &str, value: Option<&Range<usize>>) -> Checked {
        let Some(value) = value else { return Ok(()) };
        let name = match value.len() {
            1 if self.t.is_string(value.start) => self.literals.string(value.start).map(Cow::into_owned),
            1 => self.t.name(value.start).map(Cow::into_owned),
            _ => None,
        };
        let none = setting == "role" && name.as_deref() == Some("none");
        match none || name.as_deref() == Some(&*self.scope.role) {
            true => Ok(()),
            false => Err(self.refusal(&format!("set {setting}"), None)),
        }
    }

    fn path(&self, range: Range<usize>) -> Checked {
        for i in range {
            match self.t.kind(i) {
                Some(TokenKind::Comma) => {}
                Some(kind) if kind.is_word() => self.path_entry(&self.t.name(i).unwrap_or_default())?,
                Some(kind) if kind.is_string() => self.path_string(i)?,
                _ => return Err(self.refusal("set search_path to this", Some(&self.nameable()))),
            }
        }
        Ok(())
    }

    /// One string may contain a list (`set_config`, startup) or one name (`SET`): both readings must be allowed.
    fn path_string(&self, token: usize) -> Checked {
        let Some(text) = self.literals.string(token) else {
            return Err(self.refusal("set search_path to a string with escapes", Some(PLAIN)));
        };
        search_path(&text).map_or_else(
            || Err(self.refusal("set search_path to this", Some(&self.nameable()))),
            |schemas| schemas.iter().try_for_each(|schema| self.path_entry(schema)),
        )
    }

    fn path_entry(&self, schema: &str) -> Checked {
        match schema {
            "" => Ok(()),
            // Its unqualified names could not be distinguished from the tenant's own.
            "information_schema" if self.scope.hide_others => Err(self.refusal(
                "have information_schema in its search_path",
                Some("Name it in front of its views."),
            )),
            "$user" => match self.is_own(&self.scope.role) || self.is_shared(&self.scope.role) {
                true => Ok(()),
                false => Err(self.refusal("have \"$user\" in its search_path", Some(&self.nameable()))),
            },
            _ => self.schema(schema),
        }
    }
}

/// The refusal of an action that clients of this scope may not do.
pub fn denied(scope: &Scope, what: &str, hint: Option<&str>) -> Refusal {
    let message = match &scope.tenant {
        Some(tenant) => format!("permission denied: tenant \"{tenant}\" may not {what}"),
        None => format!("permission denied: a client with no tenant may not {what}"),
    };
    Refusal { code: "42501", message, hint: hint.map(str::to_owned) }
}

/// The refusal of a parameter that clients may not set, in PostgreSQL's words.
pub fn locked(name: &str) -> Refusal {
    let hint = "The proxy's configuration keeps clients from setting it (tenancy.locked_settings).";
    let message = format!("permission denied to set parameter \"{name}\"");
    Refusal { code: "42501", message, hint: Some(hint.into()) }
}

/// `EXECUTE` under a path on which the names of its statement may have another meaning than when it was checked.
pub fn replay_refusal(scope: &Scope) -> Refusal {
    let hint = "RESET search_path, or begin it with the tenant's schema.";
    denied(scope, "run EXECUTE under this search_path", Some(hint))
}

/// The hint if a shared schema may not be written.
pub const SHARED: &str =
    "Shared schemas are read-only, unless the proxy's configuration says otherwise (tenancy.shared_writes).";
const DYNAMIC: &str =
    "SQL in strings can't be checked. An administrator may allow it for this user (dynamic_sql = \"allow\").";
const PLAIN: &str = "Write it as a plain string literal.";

fn is_number(text: &str) -> bool {
    text.bytes().all(|c| c.is_ascii_digit())
}

fn is_privilege(word: &str) -> bool {
    matches!(word, "usage" | "create")
}

/// The schemas of a `search_path` value: names separated by commas.
pub fn search_path(text: &str) -> Option<Vec<String>> {
    if text.trim_matches(name::blank).is_empty() {
        return Some(Vec::new());
    }
    let mut out = Vec::new();
    let mut rest = text;
    loop {
        let end = unquoted_comma(rest);
        let entry = rest.get(..end).unwrap_or_default();
        match name::parts(entry).as_deref() {
            Some([schema]) => out.push(schema.clone()),
            // `SET search_path = 'a b'` is a single unusual name; no permitted schema needs it.
            _ => return None,
        }
        match rest.get(end + 1..) {
            Some(next) => rest = next,
            None => return Some(out),
        }
    }
}

fn unquoted_comma(text: &str) -> usize {
    let mut quoted = false;
    let found = text.bytes().position(|c| {
        quoted ^= c == b'"';
        c == b',' && !quoted
    });
    found.unwrap_or(text.len())
}
