//! PostgreSQL's tree of a text: which relations it names, and what else hangs on the path.

use foldhash::HashSet;
use pgstrata_grammar::oracle;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::scope::Names;

/// Where the names of a tree would be found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Unqualified relations that are no CTEs: name, and the schema that has it.
    pub relations: Vec<(String, Option<&'static str>)>,
    /// What else only the search path gives a meaning to.
    pub bound: Vec<String>,
}

/// The tree with no places in it; `None` where PostgreSQL refuses the text.
pub(in crate::tests) fn parse(text: &str) -> Option<Value> {
    let json = oracle::json(text)?;
    let mut json = serde_json::Deserializer::from_str(&json);
    json.disable_recursion_limit();
    let mut tree = Value::deserialize(&mut json).expect("a tree is JSON");
    strip(&mut tree);
    Some(tree)
}

/// Whether the trees differ in nothing but `schema`, which stands in front of some names of the second.
pub(in crate::tests) fn is_same_but_for_schema(before: &Value, after: &Value, schema: &str) -> bool {
    let each = |before: &Value, after: &Value| is_same_but_for_schema(before, after, schema);
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            let same = |(key, value): (&String, &Value)| match before.get(key) {
                Some(other) => each(other, value),
                None => key == "schemaname" && value == schema,
            };
            before.keys().all(|key| after.contains_key(key)) && after.iter().all(same)
        }
        (Value::Array(before), Value::Array(after)) => {
            // Of an operator class, the access method comes first.
            let is_added = |node: &Value| node["String"]["sval"] == schema;
            let added = after.iter().position(is_added).filter(|_| after.len() == before.len() + 1);
            let after = after.iter().enumerate().filter(|(at, _)| Some(*at) != added).map(|(_, node)| node);
            before.len() == after.clone().count() && before.iter().zip(after).all(|(b, a)| each(b, a))
        }
        _ => before == after,
    }
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|key, _| !is_place(key));
            fields.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

fn is_place(key: &str) -> bool {
    key.ends_with("location")
        || matches!(key, "stmt_len" | "list_start" | "list_end")
        || key.starts_with("rexpr_list_")
}

/// Writes into `tree` the schema of each unqualified relation that is no CTE.
pub(super) fn qualify(tree: &mut Value, names: &Names) -> Found {
    let mut walk = Walk { names, ctes: Vec::new(), found: Found::default() };
    walk.value(tree);
    walk.found
}

struct Walk<'a> {
    names: &'a Names,
    ctes: Vec<String>,
    found: Found,
}

/// Statements whose `relation` is written: never a CTE, whatever is in scope.
const WRITES: &[&str] = &["InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt"];

/// Functions of the fixture's catalog that read names or show the path.
const BOUND: &[&str] = &["nextval", "set_config", "current_setting", "to_tsvector", "pg_typeof"];
const CURRENT_SCHEMA: &str = "SVFOP_CURRENT_SCHEMA";

impl Walk<'_> {
    fn value(&mut self, value: &mut Value) {
        match value {
            Value::Object(fields) => self.object(fields),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            _ => {}
        }
    }

    fn object(&mut self, fields: &mut Map<String, Value>) {
        if fields.contains_key("relname") && fields.contains_key("relpersistence") {
            return self.relation(fields, true);
        }
        self.bound(fields);
        let outside = self.ctes.len();
        if let Some(with) = fields.get_mut("withClause") {
            self.with(with);
        }
        for (key, value) in fields.iter_mut() {
            match key.as_str() {
                "withClause" => {}
                // Names of aliases, though they come as relations.
                "lockedRels" => {}
                key if WRITES.contains(&key) => self.write(value),
                // A table that is made: it has no schema yet.
                "intoClause" | "IntoClause" | "into" => {
                    self.found.bound.push("INTO".to_owned());
                    self.value(value);
                }
                _ => self.value(value),
            }
        }
        self.ctes.truncate(outside);
    }

    /// With RECURSIVE each sees all of its list, else each sees those before it.
    fn with(&mut self, with: &mut Value) {
        let recursive = with["recursive"] == true;
        let ctes = with["ctes"].as_array_mut().expect("a list of CTEs");
        let name = |cte: &Value| cte["CommonTableExpr"]["ctename"].as_str().expect("a name").to_owned();
        if recursive {
            self.ctes.extend(ctes.iter().map(name));
        }
        for cte in ctes {
            self.value(cte);
            if !recursive {
                self.ctes.push(name(cte));
            }
        }
    }

    /// The target first, as no CTE; what is left of it is told apart by its schema.
    fn write(&mut self, statement: &mut Value) {
        let target = statement["relation"].take();
        self.value(statement);
        statement["relation"] = target;
        if let Some(target) = statement["relation"].as_object_mut() {
            self.relation(target, false);
        }
    }

    fn relation(&mut self, fields: &mut Map<String, Value>, may_be_cte: bool) {
        let text = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (schema, name) = (text("schemaname"), text("relname"));
        if !schema.is_empty() || (may_be_cte && self.ctes.contains(&name)) {
            return;
        }
        let held = |schema: &crate::scope::SchemaNames| schema.relations.get(&*name).map(|r| r.plain);
        let schema = match (held(&self.names.tenant), held(&self.names.shared[0])) {
            _ if self.names.builtin.relations.contains(&*name) => None,
            (Some(plain), _) => plain.then_some("acme"),
            (None, Some(plain)) => plain.then_some("public"),
            (None, None) => None,
        };
        if let Some(schema) = schema {
            fields.insert("schemaname".to_owned(), schema.into());
        }
        self.found.relations.push((name, schema));
    }

    /// Functions, types and columns that might be functions: each must be PostgreSQL's own.
    fn bound(&mut self, fields: &Map<String, Value>) {
        let builtin = &self.names.builtin;
        let ours =
            |name: &str| self.names.tenant.functions.contains(name) || self.names.tenant.types.contains(name);
        let own = |held: &HashSet<Box<str>>, name: &str| held.contains(name) && !ours(name);
        let list = |key: &str| fields.get(key).map(strings).unwrap_or_default();
        let free = match () {
            // Of a function that is called, be it a node of its own or that of CALL.
            () if fields.contains_key("funcformat") => match list("funcname").as_slice() {
                [schema, name] if schema == "pg_catalog" => !BOUND.contains(&name.as_str()),
                [name] => own(&builtin.functions, name) && !BOUND.contains(&name.as_str()),
                _ => false,
            },
            // Of a type.
            () if fields.contains_key("typemod") => match list("names").as_slice() {
                [schema, name] if schema == "pg_catalog" => !name.starts_with("reg"),
                [name] => own(&builtin.types, name) && !name.starts_with("reg"),
                names => names.is_empty(),
            },
            () if fields.contains_key("collname") => match list("collname").as_slice() {
                [schema, _] => schema == "pg_catalog",
                names => names.len() < 2,
            },
            () if fields.contains_key("fields") => !list("fields").iter().skip(1).any(|name| ours(name)),
            () if fields.contains_key("indirection") => !list("indirection").iter().any(|name| ours(name)),
            () => fields.get("SQLValueFunction").is_none_or(|value| value["op"] != CURRENT_SCHEMA),
        };
        if !free {
            self.found.bound.push(format!("{fields:?}"));
        }
    }
}

fn strings(list: &Value) -> Vec<String> {
    let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(|item| item["String"]["sval"].as_str()).map(str::to_owned).collect()
}
