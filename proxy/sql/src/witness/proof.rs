//! Whether the names on which a splice relies are complete.
//!
//! If sqlparser's tree has fewer or other names than PostgreSQL's, the text is not spliced: it uses the search path.

use std::ops::Range;

use pgstrata_grammar::{Item, Node, NodeList, Place, Walk, nodes, untyped};

use super::places::Places;
use super::{Agreed, differ};
use crate::plan::StatementKind;
use crate::shape::{Shape, StatementShape, Way};

/// Counts the names of one statement.
pub(super) struct Reader<'a> {
    places: &'a Places<'a>,
    ours: &'a StatementShape,
    shape: &'a Shape,
    /// The number of unqualified relations that are not CTEs, and of qualified ones.
    relations: usize,
    qualified: usize,
    complete: bool,
}

impl<'a> Reader<'a> {
    pub fn new(places: &'a Places<'a>, ours: &'a StatementShape, shape: &'a Shape) -> Self {
        Self { places, ours, shape, relations: 0, qualified: 0, complete: true }
    }

    /// Takes one item of the statement.
    pub fn item(&mut self, item: Item<'_>, walk: &Walk<'_>) -> Agreed {
        match (self.ours.way, item) {
            (Way::Names, Item::Node(node, place)) => self.node(node, place, walk),
            (Way::Names, Item::List(list, place)) => self.list(list, place),
            // A text that is sent unchanged under any path must contain no names.
            (Way::Free, Item::Node(node, _)) => return self.free(node),
            _ => {}
        }
        Ok(())
    }

    fn free(&mut self, node: Node<'_>) -> Agreed {
        let names = matches!(
            node,
            Node::RangeVar(_) | Node::RangeSubselect(_) | Node::SubLink(_) | Node::A_Indirection(_)
        );
        let calls =
            matches!(node, Node::FuncCall(_)) && !matches!(self.ours.kind, StatementKind::SetConfig { .. });
        if names || calls { differ("names") } else { Ok(()) }
    }

    fn node(&mut self, node: Node<'_>, place: Place<'_>, walk: &Walk<'_>) {
        match node {
            // `FOR UPDATE OF a` refers to the name `a` in the FROM list.
            Node::RangeVar(_) if matches!(place.parent, Node::LockingClause(_)) => {}
            Node::RangeVar(n) => self.relation(n, place, walk),
            Node::FuncCall(n) => {
                let known = match n.funcname().iter().filter_map(Node::as_str).collect::<Vec<_>>()[..] {
                    ["pg_catalog", _] => true,
                    [name] => has(&self.shape.functions, name),
                    _ => false,
                };
                self.complete &= known;
            }
            Node::TypeName(n) => {
                let known = match untyped(n.names()).iter().filter_map(Node::as_str).collect::<Vec<_>>()[..] {
                    ["pg_catalog", _] => true,
                    [name] => is_builtin_type(name) || has(&self.shape.types, name),
                    _ => false,
                };
                self.complete &= known;
            }
            Node::ColumnRef(n) if n.fields().len() > 1 => {
                let last = n.fields().iter().next_back();
                self.complete &= match last {
                    Some(Node::String(name)) => {
                        name.sval().is_some_and(|name| has(&self.shape.columns, name))
                    }
                    _ => true,
                };
            }
            Node::A_Indirection(n) => {
                let mut names = n.indirection().iter().filter_map(Node::as_str);
                self.complete &=
                    names.all(|name| has(&self.shape.columns, name) || has(&self.shape.functions, name));
            }
            _ => {}
        }
    }

    fn relation(&mut self, n: &nodes::RangeVar, place: Place<'_>, walk: &Walk<'_>) {
        let name = n.relname().unwrap_or_default();
        if n.schemaname().is_none() && is_source(place) && walk.is_cte(name) {
            return;
        }
        let Some(token) = self.places.token(n.location).map(|token| token as u32) else {
            self.complete = false;
            return;
        };
        match n.schemaname() {
            None => {
                self.relations += 1;
                self.complete &=
                    find(&self.shape.relations, token, |r| r.token).is_some_and(|r| *r.name == *name);
            }
            Some(schema) => {
                self.qualified += 1;
                let found = find(&self.shape.qualified, token, |q| q.named.token);
                self.complete &= found.is_some_and(|q| *q.named.name == *name && *q.schema == *schema);
            }
        }
    }

    /// Qualified operators, collations and the like are not in the list.
    fn list(&mut self, list: &NodeList, place: Place<'_>) {
        let operator = matches!(
            (place.parent, place.field),
            (Node::A_Expr(_), "name")
                | (Node::SubLink(_), "oper_name")
                | (Node::SortBy(_), "use_op")
                | (Node::CollateClause(_), "collname")
                | (Node::RangeTableSample(_), "method")
        );
        let foreign = list.len() > 1 && list.first().and_then(Node::as_str) != Some("pg_catalog");
        self.complete &= !(operator && foreign);
    }

    /// Whether our list of names equals the parser's.
    pub fn holds(&self) -> bool {
        if self.ours.way != Way::Names {
            return true;
        }
        let Range { start, end } = self.ours.tokens;
        let relations = |end: usize| self.shape.relations.partition_point(|r| (r.token as usize) < end);
        let qualified = |end: usize| self.shape.qualified.partition_point(|q| (q.named.token as usize) < end);
        self.complete
            && relations(end) - relations(start) == self.relations
            && qualified(end) - qualified(start) == self.qualified
    }
}

/// Types that `analyse` takes for PostgreSQL's own at any place: `pg_catalog` comes first on each path.
fn is_builtin_type(name: &str) -> bool {
    matches!(
        name,
        "uuid"
            | "int2"
            | "int4"
            | "int8"
            | "float4"
            | "float8"
            | "bool"
            | "date"
            | "json"
            | "jsonb"
            | "text"
            | "bytea"
            | "varbit"
            | "tsvector"
            | "tsquery"
    )
}

fn has(names: &[Box<str>], name: &str) -> bool {
    // `engine::Builder` has sorted them.
    names.binary_search_by(|known| (**known).cmp(name)).is_ok()
}

/// The entry for a token, in a list that is sorted by tokens.
fn find<T>(list: &[T], token: u32, token_of: impl Fn(&T) -> u32) -> Option<&T> {
    list.binary_search_by_key(&token, token_of).ok().and_then(|index| list.get(index))
}

/// Whether a relation at this place may be a CTE: it is read, and not written.
fn is_source(place: Place<'_>) -> bool {
    match place.parent {
        Node::InsertStmt(_) | Node::UpdateStmt(_) | Node::DeleteStmt(_) | Node::MergeStmt(_) => {
            matches!(place.field, "from_clause" | "using_clause" | "source_relation")
        }
        Node::SelectStmt(_) => place.field == "from_clause",
        Node::JoinExpr(_) | Node::RangeTableSample(_) => true,
        _ => false,
    }
}
