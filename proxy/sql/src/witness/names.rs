//! Names of objects: each that begins with a schema is one that the tenant must be allowed to name.
//!
//! A list of two names or more is a qualified name, wherever it stands, unless it is known to be something else
//! ([`is_list`], [`Reader::object`]): a field that PostgreSQL adds is judged before anybody knows of it. And each
//! chain of names with dots that we see must be one that the parser sees.

use std::collections::{HashMap, HashSet};

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
    /// Tokens where the parser has a chain of names.
    located: HashSet<usize>,
    /// Chains of which the parser does not say where they stand, and how many there are.
    unlocated: HashMap<String, usize>,
}

impl<'a> Reader<'a> {
    pub fn new(places: &'a Places<'a>, ours: &'a StatementShape) -> Self {
        Self { places, ours, located: HashSet::new(), unlocated: HashMap::new() }
    }

    /// Takes one thing of the statement.
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
            // A column, or a field of one: names a relation of the query, which is judged where it stands.
            Node::ColumnRef(n) if n.fields().len() > 1 => self.found(n.location)?,
            Node::ResTarget(n) if !n.indirection().is_empty() => self.found_if_any(n.location),
            // `ON ALL TABLES IN SCHEMA a, b`.
            Node::GrantStmt(n) if n.targtype == GrantTargetType::ACL_TARGET_ALL_IN_SCHEMA => {
                let schemas = untyped(n.objects()).iter().filter_map(Node::as_str);
                out.extend(schemas.map(|schema| Demand::WriteSchema(schema.into())));
            }
            // `toast.autovacuum_enabled`.
            Node::DefElem(n) if n.defnamespace().is_some() => self.found_if_any(n.location),
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
            // What is in a schema is listed by its type.
            Node::DropStmt(n) => return self.object(n.remove_type, parts, out),
            Node::CommentStmt(n) => return self.object(n.objtype, parts, out),
            Node::RenameStmt(n) => return self.object(n.rename_type, parts, out),
            Node::AlterOwnerStmt(n) => return self.object(n.object_type, parts, out),
            Node::AlterObjectDependsStmt(n) => return self.object(n.object_type, parts, out),
            Node::AlterObjectSchemaStmt(n) => return self.object(n.object_type, parts, out),
            Node::FuncCall(n) => self.place(n.location, parts)?,
            // Of table.column%TYPE, the table has no schema.
            Node::TypeName(n) if n.pct_type => {
                self.place(n.location, parts)?;
                if let [table @ .., _] = parts
                    && table.len() > 1
                {
                    out.push(schema(table));
                }
                return Ok(());
            }
            // One of the grammar's own has the schema from the grammar.
            Node::TypeName(n) => self.place(n.location, parts)?,
            Node::DefElem(n) if n.defname() == Some("owned_by") => {
                // Of table.column, the table has no schema.
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
            // Behind the table's name stands its own.
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
            // In front of the name stands an access method.
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
            // A parameter of several parts: no schema.
            (Node::VariableSetStmt(_) | Node::VariableShowStmt(_), "name") if text.contains('.') => {
                *self.unlocated.entry(text.to_owned()).or_default() += 1;
            }
            (Node::ReindexStmt(_), "name") => out.push(Demand::WriteSchema(text.into())),
            (Node::AlterObjectSchemaStmt(_), _) => out.push(never("move objects to another schema", None)),
            _ => {}
        }
        Ok(())
    }

    /// The parser has these names at `location`, in our text or put in by its grammar.
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

    /// Each chain of names in our tokens must be one that was found.
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
                    // An operator: the parser has one spelling for two.
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

/// Whether the word at `i` goes on with what is in front of it: `a.b`, `(x).f`, `x[1].f`.
fn continues(t: &crate::tokens::Tokens<'_>, i: usize) -> bool {
    use TokenKind::{Close, CloseBracket, Dot, Param};
    let before = |n: usize| i.checked_sub(n).and_then(|at| t.kind(at));
    before(1) == Some(Dot)
        && before(2).is_some_and(|kind| kind.is_word() || matches!(kind, Close | CloseBracket | Param))
}

fn schema(parts: &[&str]) -> Demand {
    let part = |n: usize| Box::from(parts.get(n).copied().unwrap_or_default());
    Demand::Schema { first: part(0), second: (parts.len() > 2).then(|| part(1)) }
}

/// The texts of a list that has nothing else in it.
fn strings(list: &NodeList) -> Option<Vec<&str>> {
    list.iter().map(Node::as_str).collect()
}

/// Whether a list of names is one of single names, none of which is a schema.
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
        // The arguments of a trigger are texts: see `calls`.
        | (Node::CreateTrigStmt(_), "columns" | "args")
        | (Node::CreateEnumStmt(_), "vals")
        | (Node::CreateStatsStmt(_), "stat_types")
        | (Node::AlterTSConfigurationStmt(_), "tokentype")
        | (Node::VacuumRelation(_), "va_cols") => true,
        // The body of a function, or the file and the symbol of one in C.
        (Node::DefElem(n), "arg") => matches!(n.defname(), Some("as" | "force_quote" | "force_not_null" | "force_null")),
        // Schemas, each of which is judged where the statement is.
        (Node::GrantStmt(_), "objects") => true,
        _ => false,
    }
}
