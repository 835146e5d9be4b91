//! Names of objects: the tenant must be allowed to name the schema of each qualified name.
//!
//! A list of two names or more is a qualified name, wherever it is, unless it is known to be something else
//! ([`is_list`], [`Reader::object`]). So a field that a newer PostgreSQL adds is checked too. And the parser must
//! find each dotted name that our reading has.

use foldhash::{HashMap, HashSet};
use pgstrata_grammar::nodes::{GrantTargetType, ObjectType};
use pgstrata_grammar::{Item, Node, NodeList, Place, untyped};

use super::places::Places;
use super::{Agreed, differ};
use crate::guard::never;
use crate::lexer::TokenKind;
use crate::shape::{Demand, StatementShape};

/// Reads the names of one statement.
pub(super) struct Reader<'a> {
    places: &'a Places<'a>,
    ours: &'a StatementShape,
    /// Tokens at which the parser has a dotted name.
    located: HashSet<usize>,
    /// Dotted names for which the parser has no location, with their number.
    unlocated: HashMap<String, usize>,
}

impl<'a> Reader<'a> {
    pub fn new(places: &'a Places<'a>, ours: &'a StatementShape) -> Self {
        Self { places, ours, located: HashSet::default(), unlocated: HashMap::default() }
    }

    /// Takes one item of the statement.
    pub fn item(&mut self, item: Item<'_>, out: &mut Vec<Demand>) -> Agreed {
        match item {
            Item::Node(node, _) => self.node(node, out),
            Item::List(list, place) => self.list(list, place, out),
            Item::Text(text, place) => self.text(text, place, out),
            Item::Unknown(_) => Ok(()),
        }
    }

    fn node(&mut self, node: Node<'_>, out: &mut Vec<Demand>) -> Agreed {
        match node {
            Node::RangeVar(n) => {
                let parts = [n.catalogname(), n.schemaname(), n.relname()];
                let parts: Vec<&str> = parts.into_iter().flatten().collect();
                if parts.len() > 1 {
                    self.place(n.location, &parts)?;
                    out.push(schema(&parts));
                }
            }
            // A column, or a field of one: it names a relation of the query, which is checked at its own place.
            Node::ColumnRef(n) if n.fields().len() > 1 => self.found(n.location)?,
            Node::ResTarget(n) if !n.indirection().is_empty() => self.found_if_any(n.location),
            // `ON ALL TABLES IN SCHEMA a, b`.
            Node::GrantStmt(n) if n.targtype == GrantTargetType::ACL_TARGET_ALL_IN_SCHEMA => {
                let schemas = untyped(n.objects()).iter().filter_map(Node::as_str);
                out.extend(schemas.map(|schema| Demand::WriteSchema(schema.into())));
            }
            // `toast.autovacuum_enabled`.
            Node::DefElem(n) if n.defnamespace().is_some() => self.found_if_any(n.location),
            Node::DefElem(n) if !n.defname().is_some_and(makes_nothing) => {
                out.extend(schema_of(n.arg()).map(Demand::WriteSchema));
            }
            _ => {}
        }
        Ok(())
    }

    fn list(&mut self, list: &NodeList, place: Place<'_>, out: &mut Vec<Demand>) -> Agreed {
        let Some(parts) = strings(list).filter(|parts| parts.len() > 1) else { return Ok(()) };
        if is_list(place) {
            return Ok(());
        }
        let parts = &parts[..];
        match place.parent {
            // The type of the object decides whether it is in a schema.
            Node::DropStmt(n) => return self.object(n.remove_type, parts, out),
            Node::CommentStmt(n) => return self.object(n.objtype, parts, out),
            Node::RenameStmt(n) => return self.object(n.rename_type, parts, out),
            Node::AlterOwnerStmt(n) => return self.object(n.object_type, parts, out),
            Node::AlterObjectDependsStmt(n) => return self.object(n.object_type, parts, out),
            Node::AlterObjectSchemaStmt(n) => return self.object(n.object_type, parts, out),
            Node::FuncCall(n) => self.place(n.location, parts)?,
            // In table.column%TYPE, the table has no schema.
            Node::TypeName(n) if n.pct_type => {
                self.place(n.location, parts)?;
                if let [table @ .., _] = parts
                    && table.len() > 1
                {
                    out.push(schema(table));
                }
                return Ok(());
            }
            // A type of the grammar has its schema from the grammar.
            Node::TypeName(n) => self.place(n.location, parts)?,
            Node::DefElem(n) if n.defname() == Some("owned_by") => {
                // In table.column, the table has no schema.
                self.count(parts);
                if let [schema_name, table, _] = parts {
                    out.push(schema(&[schema_name, table]));
                }
                return Ok(());
            }
            _ => self.count(parts),
        }
        out.push(schema(parts));
        Ok(())
    }

    /// The name of an object in a statement about objects of any type.
    fn object(&mut self, kind: ObjectType::Type, parts: &[&str], out: &mut Vec<Demand>) -> Agreed {
        use ObjectType as Is;
        let name = match (kind, parts) {
            // The object's own name follows the table's name.
            (
                Is::OBJECT_TRIGGER | Is::OBJECT_RULE | Is::OBJECT_POLICY | Is::OBJECT_TABCONSTRAINT,
                [table @ .., _],
            ) => table,
            (Is::OBJECT_COLUMN | Is::OBJECT_ATTRIBUTE, [table @ .., _]) => {
                self.count(parts);
                if table.len() > 1 {
                    out.push(schema(table));
                }
                return Ok(());
            }
            // An access method precedes the name.
            (Is::OBJECT_OPCLASS | Is::OBJECT_OPFAMILY, [_, name @ ..]) => name,
            (_, name) => name,
        };
        if name.len() > 1 {
            self.count(name);
            out.push(schema(name));
        }
        Ok(())
    }

    fn text(&mut self, text: &str, place: Place<'_>, out: &mut Vec<Demand>) -> Agreed {
        match (place.parent, place.field) {
            // A parameter name with several parts is not a schema.
            (Node::VariableSetStmt(_) | Node::VariableShowStmt(_), "name") if text.contains('.') => {
                *self.unlocated.entry(text.to_owned()).or_default() += 1;
            }
            (Node::ReindexStmt(_), "name") => out.push(Demand::WriteSchema(text.into())),
            (Node::AlterObjectSchemaStmt(_), _) => out.push(never("move objects to another schema", None)),
            _ => {}
        }
        Ok(())
    }

    /// The parser has these names at `location`, from our text or from its grammar.
    fn place(&mut self, location: i32, parts: &[&str]) -> Agreed {
        let Some(token) = self.places.token(location) else {
            if location >= 0 {
                return differ("names");
            }
            self.count(parts);
            return Ok(());
        };
        let t = self.places.t;
        // `int` is `pg_catalog.int4`, `a AT TIME ZONE b` is a call.
        if !t.is(token + 1, TokenKind::Dot) {
            return if parts.first() == Some(&"pg_catalog") { Ok(()) } else { differ("names") };
        }
        let same = |(n, part): (usize, &&str)| t.name(token + 2 * n).is_some_and(|name| name == **part);
        if !parts.iter().enumerate().all(same) {
            return differ("names");
        }
        self.located.insert(token);
        Ok(())
    }

    fn found(&mut self, location: i32) -> Agreed {
        match self.places.token(location) {
            Some(token) => _ = self.located.insert(token),
            None => return differ("columns"),
        }
        Ok(())
    }

    fn found_if_any(&mut self, location: i32) {
        self.located.extend(self.places.token(location));
    }

    fn count(&mut self, parts: &[&str]) {
        *self.unlocated.entry(parts.join(".")).or_default() += 1;
    }

    /// The parser must have found each dotted name of our tokens.
    pub fn finish(mut self) -> Agreed {
        let t = self.places.t;
        let word = |i: usize| t.kind(i).is_some_and(TokenKind::is_word);
        for i in self.ours.tokens.clone() {
            let begins = word(i) && t.is(i + 1, TokenKind::Dot) && !continues(t, i);
            if !begins || self.located.contains(&i) {
                continue;
            }
            let mut name = t.name(i).unwrap_or_default().into_owned();
            let mut at = i + 1;
            while t.is(at, TokenKind::Dot) {
                name.push('.');
                match t.name(at + 1) {
                    Some(part) => name.push_str(&part),
                    // An operator: the parser has one spelling for both.
                    None if t.op(at + 1, "!=") => name.push_str("<>"),
                    None => name.push_str(&String::from_utf8_lossy(t.raw(at + 1))),
                }
                at += 2;
            }
            match self.unlocated.get_mut(&name).filter(|count| **count > 0) {
                Some(count) => *count -= 1,
                None => return differ("names"),
            }
        }
        Ok(())
    }
}

/// Whether the word at `i` continues the expression in front of it: `a.b`, `(x).f`, `x[1].f`.
fn continues(t: &crate::tokens::Tokens<'_>, i: usize) -> bool {
    use TokenKind::{Close, CloseBracket, Dot, Param};
    let before = |n: usize| i.checked_sub(n).and_then(|at| t.kind(at));
    before(1) == Some(Dot)
        && before(2).is_some_and(|kind| kind.is_word() || matches!(kind, Close | CloseBracket | Param))
}

/// Whether an option creates no object under the name in it. Any other option may create one, as
/// `multirange_type_name` and `SEQUENCE NAME` do. `COMMUTATOR` and `NEGATOR` change the operator that they name: that
/// is judged by `calls`. The options of `COPY` have lists of columns.
fn makes_nothing(option: &str) -> bool {
    const MAKE_NOTHING: &[&str] = &[
        "analyze", "as", "basetype", "canonical", "collation", "combinefunc", "commutator", "copy",
        "deserialfunc", "dictionary", "element", "end", "finalfunc", "force_not_null", "force_null",
        "force_quote", "from", "function", "gettoken", "headline", "init", "input", "join", "leftarg",
        "lexize", "lextypes", "like", "mfinalfunc", "minvfunc", "msfunc", "mstype", "negator", "output",
        "owned_by", "parser", "procedure", "receive", "restrict", "rightarg", "send", "serialfunc", "sfunc",
        "sfunc1", "sortop", "start", "stype", "stype1", "subscript", "subtype", "subtype_diff",
        "subtype_opclass", "support", "template", "typmod_in", "typmod_out",
    ];
    MAKE_NOTHING.contains(&option)
}

/// The schema in the name that is an option's value, if there is one.
fn schema_of(value: Node<'_>) -> Option<Box<str>> {
    let parts = match value {
        Node::TypeName(n) => strings(untyped(n.names()))?,
        Node::NodeList(list) => strings(list)?,
        _ => return None,
    };
    let [.., schema, _] = &parts[..] else { return None };
    Some((*schema).into())
}

fn schema(parts: &[&str]) -> Demand {
    let part = |n: usize| Box::from(parts.get(n).copied().unwrap_or_default());
    Demand::Schema { first: part(0), second: (parts.len() > 2).then(|| part(1)) }
}

/// The strings of a list that contains only strings.
fn strings(list: &NodeList) -> Option<Vec<&str>> {
    list.iter().map(Node::as_str).collect()
}

/// Whether a list of names is a list of single names, without schemas.
fn is_list(place: Place<'_>) -> bool {
    match (place.parent, place.field) {
        (Node::ColumnRef(_), "fields")
        | (Node::A_Indirection(_) | Node::ResTarget(_) | Node::PLAssignStmt(_), "indirection")
        | (Node::Alias(_), "colnames")
        | (Node::IntoClause(_), "col_names")
        | (Node::JoinExpr(_), "using_clause")
        | (Node::RowExpr(_), "colnames")
        | (Node::CommonTableExpr(_), "aliascolnames")
        | (Node::CTESearchClause(_), "search_col_list")
        | (Node::CTECycleClause(_), "cycle_col_list")
        | (Node::Constraint(_), "keys" | "including" | "fk_attrs" | "pk_attrs" | "fk_del_set_cols")
        | (Node::CopyStmt(_), "attlist")
        | (Node::ViewStmt(_), "aliases")
        | (Node::AccessPriv(_), "cols")
        // The arguments of a trigger are strings: see `calls`.
        | (Node::CreateTrigStmt(_), "columns" | "args")
        | (Node::CreateEnumStmt(_), "vals")
        | (Node::CreateStatsStmt(_), "stat_types")
        | (Node::AlterTSConfigurationStmt(_), "tokentype")
        | (Node::VacuumRelation(_), "va_cols") => true,
        // The body of a function, or the file and the symbol of a function in C.
        (Node::DefElem(n), "arg") => matches!(n.defname(), Some("as" | "force_quote" | "force_not_null" | "force_null")),
        // Schemas, each of which is checked with the statement.
        (Node::GrantStmt(_), "objects") => true,
        _ => false,
    }
}
