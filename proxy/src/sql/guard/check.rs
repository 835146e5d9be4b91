//! Demands, held against the scope of one tenant.

use std::ops::Range;

use smallvec::SmallVec;

use super::relations;
use crate::sql::keys::KeySpace;
use crate::sql::lexer::TokenKind;
use crate::sql::name;
use crate::sql::plan::{Refusal, SchemaRef};
use crate::sql::scope::{Names, Scope, TextMode};
use crate::sql::shape::{ConfigPlace, Demand, KeyKind};
use crate::sql::tokens::{Literals, Tokens};

/// Schemas that any tenant may name; none of them is ever written.
const SYSTEM: [&str; 3] = ["pg_catalog", "information_schema", "pg_toast"];

/// What became of the demands of a text.
pub enum Verdict {
    /// All are met, if the names at these tokens mean temporary tables.
    Granted(SmallVec<[u32; 1]>),
    /// The first that is not, and why.
    Refused(Refusal),
    /// What the schemas hold decides, and is not known now.
    NeedNames,
}

/// Holds `demands` against the scope. `tenant_first`: unqualified names mean the tenant's first.
pub fn check(
    demands: &[Demand],
    t: &Tokens<'_>,
    scope: &Scope,
    mode: TextMode,
    tenant_first: bool,
) -> Verdict {
    let gate = Gate { t, literals: Literals(t), scope, tenant_first, replays_write: mode.replays_write };
    let mut temporary = SmallVec::new();
    for demand in demands {
        match (gate.check(demand), demand) {
            (Ok(()), _) => {}
            // A temporary table of that name comes before the shared one.
            (Err(_), Demand::Write { schema: None, token, created: false, routine: false, .. })
                if mode.temp_tables =>
            {
                temporary.push(*token);
            }
            (Err(refusal), _) => return Verdict::Refused(refusal),
        }
    }
    let by_names = |demand: &Demand| {
        matches!(
            demand,
            Demand::Write { schema: None, created: false, .. } | Demand::ObjectLiteral { write: true, .. }
        )
    };
    let calls = |demand: &Demand| matches!(demand, Demand::Function { .. });
    if scope.functions.is_none() && demands.iter().any(calls) {
        return Verdict::NeedNames;
    }
    match scope.names.is_none() && scope.guards_shared() && demands.iter().any(by_names) {
        true => Verdict::NeedNames,
        false => Verdict::Granted(temporary),
    }
}

pub(super) struct Gate<'a> {
    t: &'a Tokens<'a>,
    literals: Literals<'a>,
    pub(super) scope: &'a Scope,
    tenant_first: bool,
    replays_write: bool,
}

pub(super) type Checked = Result<(), Refusal>;

impl Gate<'_> {
    fn check(&self, demand: &Demand) -> Checked {
        match demand {
            Demand::Schema { first, second } => match second {
                Some(schema) if **first == *self.scope.database => self.schema(schema),
                _ => self.schema(first),
            },
            Demand::Write { schema: None, name, created: true, .. } => self.create(name),
            Demand::Write { schema, name, rows: true, .. } if self.is_outward(schema.as_deref(), name) => {
                Err(self.refusal(&format!("write through view \"{name}\""), Some(OUTWARD)))
            }
            Demand::Write { schema, name, routine, .. } => self.write(schema.as_deref(), name, *routine),
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
            Demand::Keys(kind) => self.keys(*kind),
            Demand::ObjectLiteral { token, write, by_name } => self.object(*token as usize, *write, *by_name),
            Demand::SchemaLiteral(token) => self.schema_literal(*token as usize),
            Demand::Path(range) => self.path(range.clone()),
            Demand::Replay => self.replay(),
            Demand::Config { token, place } => self.config(*token as usize, *place),
        }
    }

    pub(super) fn refusal(&self, what: &str, hint: Option<&str>) -> Refusal {
        refusal(self.scope, what, hint)
    }

    /// The role that statements run as owns what they make: that changes nothing.
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
        // `pg_temp_3` is another session's: not to be named by number.
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

    fn write_schema(&self, schema: &str) -> Checked {
        if self.is_own(schema) || schema == "pg_temp" || (self.is_shared(schema) && self.scope.shared_writes)
        {
            return Ok(());
        }
        self.schema(schema)?;
        let hint =
            "Shared schemas are read-only for tenants, unless the proxy's configuration says otherwise.";
        Err(self.refusal(&format!("write to schema \"{schema}\""), Some(hint)))
    }

    /// Whether this is a view of the tenant's over tables of a shared schema.
    fn is_outward(&self, schema: Option<&str>, name: &str) -> bool {
        let own = schema.is_none_or(|schema| self.is_own(schema));
        let held = self.scope.names.as_deref().filter(|_| own && self.scope.guards_shared());
        held.and_then(|names| names.tenant.relations.get(name))
            .is_some_and(|found| found.kind == VIEW_OUTWARD)
    }

    /// What is made without a schema comes to stand in the first of the path.
    fn create(&self, name: &str) -> Checked {
        match self.tenant_first || !self.scope.guards_shared() {
            true => Ok(()),
            false => {
                let hint = "Write the tenant's schema in front of the name, or RESET search_path.";
                Err(self.refusal(&format!("create \"{name}\" under this search_path"), Some(hint)))
            }
        }
    }

    fn write(&self, schema: Option<&str>, name: &str, routine: bool) -> Checked {
        match schema {
            Some(schema) => self.write_schema(schema),
            None if name == "pg_settings" => self.write_schema("pg_catalog"),
            None => match self.scope.names.as_deref() {
                Some(names) => self.unqualified_write(names, name, routine),
                None => Ok(()),
            },
        }
    }

    /// An unqualified target is the tenant's, unless only another schema of the path has it.
    fn unqualified_write(&self, names: &Names, name: &str, routine: bool) -> Checked {
        if names.builtin.relations.contains(name) {
            return self.write_schema("pg_catalog");
        }
        if let Some((_, moved)) = self.scope.moved(name) {
            return match moved.schema {
                SchemaRef::Tenant => Ok(()),
                SchemaRef::Shared(index) => match self.scope.shared.get(usize::from(index)) {
                    Some(schema) => self.write_schema(schema),
                    None => Err(self.refusal("write to a schema that is not known", None)),
                },
            };
        }
        let own = names.tenant.relations.contains_key(name) || names.tenant.types.contains(name);
        if self.tenant_first && own && !routine {
            return Ok(());
        }
        for (schema, held) in self.scope.shared.iter().zip(&names.shared) {
            let found = match routine {
                true => held.functions.contains(name),
                false => held.relations.contains_key(name) || held.types.contains(name),
            };
            if found {
                self.write_schema(schema)?;
            }
        }
        Ok(())
    }

    fn replay(&self) -> Checked {
        match self.tenant_first || !self.scope.guards_shared() || !self.replays_write {
            true => Ok(()),
            false => Err(replay_refusal(self.scope)),
        }
    }

    /// `set_config('name', value, local)`: which setting it is must be plain to see.
    fn config(&self, token: usize, place: ConfigPlace) -> Checked {
        let alone = place == ConfigPlace::Known || self.t.is(token + 1, TokenKind::Comma);
        let plain = self.literals.string(token).filter(|_| alone);
        let Some(name) = plain.map(|name| name.to_ascii_lowercase()) else {
            return Err(self.refusal("call set_config with a name that is no plain literal", Some(PLAIN)));
        };
        match (name.as_str(), place) {
            ("role" | "session_authorization", _) => Err(self.refusal(&format!("set {name}"), None)),
            (_, ConfigPlace::Body) => {
                Err(self.refusal(&format!("set {name} in a function's or a view's body"), None))
            }
            ("search_path", ConfigPlace::Alone) => self.path(token + 2..token + 3),
            // What comes behind it is read with these: it must be seen that they are set.
            (
                "search_path" | "client_encoding" | "standard_conforming_strings",
                ConfigPlace::Inside | ConfigPlace::Known,
            ) => {
                let hint = "Use SET, or SELECT set_config(...) with plain string literals and nothing else.";
                Err(self.refusal(&format!("set {name} inside a statement"), Some(hint)))
            }
            _ => Ok(()),
        }
    }

    /// A string that names an object: its schema must be one that may be named.
    fn object(&self, token: usize, write: bool, by_name: bool) -> Checked {
        let Some(text) = self.literals.string(token) else {
            return Err(self.refusal("name an object in a string with escapes", Some(PLAIN)));
        };
        // Behind a bracket are a function's argument types, in front of it its name.
        let (head, types) = text.split_once('(').map_or((&*text, None), |(head, rest)| (head, Some(rest)));
        // An object's number: nobody can tell from it whose it is.
        if by_name && head.trim().bytes().all(|c| c.is_ascii_digit()) {
            return Err(self.refusal("name an object by its number in a string", Some(PLAIN)));
        }
        match name::parts(head).as_deref() {
            Some([object]) if write => self.write(None, object, false)?,
            Some([object]) => self.readable(object)?,
            Some([.., schema, object]) => {
                if write {
                    self.write_schema(schema)?;
                } else {
                    self.schema(schema)?;
                }
                self.readable(object)?;
            }
            // No list of names: a number, a list of privileges, an operator, a type with words.
            _ => self.loose(head)?,
        }
        types.map_or(Ok(()), |types| self.loose(types))
    }

    /// Any word with a dot behind it, in a text of no known form.
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
            // `USAGE, CREATE`, a number: no schema's name.
            _ => Ok(()),
        }
    }

    /// A `search_path`: only schemas that may be named.
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

    /// One string may hold a list (`set_config`, startup) or one name (`SET`): both readings must hold.
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
            // Under its short names nothing of it could be told from the tenant's own.
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

fn refusal(scope: &Scope, what: &str, hint: Option<&str>) -> Refusal {
    let message = match &scope.tenant {
        Some(tenant) => format!("permission denied: tenant \"{tenant}\" may not {what}"),
        None => format!("permission denied: a client with no tenant may not {what}"),
    };
    Refusal { code: "42501", message, hint: hint.map(str::to_owned) }
}

/// `EXECUTE` under a path on which the names of what it runs may mean what they did not when it was let through.
pub fn replay_refusal(scope: &Scope) -> Refusal {
    let hint = "RESET search_path, or begin it with the tenant's schema.";
    refusal(scope, "run EXECUTE under this search_path", Some(hint))
}

/// The kind that `catalog/schema.sql` gives to a view over tables of other schemas.
const VIEW_OUTWARD: u8 = b'w';
const OUTWARD: &str = "It shows tables of a shared schema, which are read-only for tenants.";
const DYNAMIC: &str =
    "SQL in strings can't be checked. An administrator may allow it for this user (dynamic_sql = \"allow\").";
const PLAIN: &str = "Write it as a plain string literal.";

fn is_privilege(word: &str) -> bool {
    matches!(word, "usage" | "create")
}

/// The schemas of a `search_path` value: names with commas between them.
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
            // `SET search_path = 'a b'` is one odd name; nothing that may be named needs it.
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
