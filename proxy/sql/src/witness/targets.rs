//! Relations that a statement writes, locks, creates or changes, anywhere in it.
//!
//! A relation is a target unless its place is known to be only read. So the stricter rule applies to anything that a
//! newer grammar adds.

use foldhash::HashSet;
use pgstrata_grammar::nodes::{ObjectType, ReindexObjectType};
use pgstrata_grammar::{Item, Node, NodeList, Place, Walk, nodes};

use super::places::Places;
use super::{Agreed, differ};
use crate::guard::targets::resolved;
use crate::shape::{Act, Demand, Object, Resolved, Shape, StatementShape, Write};

/// `AccessShareLock` in PostgreSQL's `lockdefs.h`: the lock of a reader.
const ACCESS_SHARE: i32 = 1;

/// Tokens in the whole text at which the guard has found a target.
pub(super) fn judged(shape: &Shape) -> HashSet<u32> {
    let token = |demand: &Demand| match demand {
        Demand::Write(write) => Some(write.token),
        _ => None,
    };
    shape.demands.iter().filter_map(token).collect()
}

/// Reads the targets of one statement.
pub(super) struct Reader<'a> {
    places: &'a Places<'a>,
    judged: &'a HashSet<u32>,
    resolved: Resolved,
    /// The statement is `ALTER INDEX`, whose partitions are indexes as well.
    of_index: bool,
    /// The unqualified table that the statement creates.
    made: Option<Box<str>>,
    /// Addresses of relations and queries that an outer locking clause affects.
    locked: HashSet<usize>,
}

impl<'a> Reader<'a> {
    pub fn new(places: &'a Places<'a>, ours: &StatementShape, judged: &'a HashSet<u32>) -> Self {
        Self {
            places,
            judged,
            resolved: resolved(places.t, ours),
            of_index: false,
            made: None,
            locked: HashSet::default(),
        }
    }

    /// Takes one item of the statement. Queries come before their parts.
    pub fn item(&mut self, item: Item<'_>, walk: &Walk<'_>, out: &mut Vec<Demand>) -> Agreed {
        match item {
            Item::Node(Node::SelectStmt(n), _) => self.lock(n),
            Item::Node(Node::CreateStmt(n), _) => self.made = unqualified(n.relation()),
            Item::Node(Node::AlterTableStmt(n), _) => self.of_index = n.objtype == ObjectType::OBJECT_INDEX,
            Item::Node(Node::RangeVar(n), place) => return self.relation(n, place, walk, out),
            _ => {}
        }
        Ok(())
    }

    fn relation(
        &self,
        n: &nodes::RangeVar,
        place: Place<'_>,
        walk: &Walk<'_>,
        out: &mut Vec<Demand>,
    ) -> Agreed {
        let name = n.relname().unwrap_or_default();
        let is_cte = n.schemaname().is_none() && walk.is_cte(name);
        let locks = self.locked.contains(&address(n)) && !is_cte;
        let found = if locks { Some((Object::Relation, Act::Rows)) } else { self.target(place) };
        let Some((object, act)) = found else { return Ok(()) };
        let Some(token) = self.places.token(n.location).map(|token| token as u32) else {
            return differ("targets");
        };
        // A temporary object is not created in the first schema of the path.
        let temporary = act == Act::Create && n.schemaname().is_none() && n.relpersistence as u8 == b't';
        if !temporary && !self.judged.contains(&token) {
            let (schema, name, resolved) = (n.schemaname().map(Box::from), name.into(), self.resolved);
            // PostgreSQL refuses to write to a CTE.
            out.push(Demand::Write(Write { schema, name, token, object, act, sure: !is_cte, resolved }));
        }
        Ok(())
    }

    /// Records what the locking clauses of a query affect: its relations, and those of the queries in its FROM list.
    fn lock(&mut self, n: &nodes::SelectStmt) {
        let mut all = self.locked.contains(&address(n));
        let mut named: HashSet<&str> = HashSet::default();
        for clause in n.locking_clause().iter() {
            all |= clause.locked_rels().is_empty();
            for relation in clause.locked_rels().iter() {
                if let Node::RangeVar(relation) = relation {
                    named.extend(relation.relname());
                }
            }
        }
        if all || !named.is_empty() {
            let reached = |name: Option<&str>| all || name.is_some_and(|name| named.contains(name));
            self.locked.extend(listed(n.from_clause(), reached));
        }
    }

    /// The action on a relation at this place; `None`: it is read.
    fn target(&self, place: Place<'_>) -> Option<(Object, Act)> {
        let kind = match (place.parent, place.field) {
            (Node::SelectStmt(_) | Node::UpdateStmt(_), "from_clause")
            | (Node::JoinExpr(_), "larg" | "rarg")
            | (Node::DeleteStmt(_), "using_clause")
            | (Node::MergeStmt(_), "source_relation")
            | (Node::RangeTableSample(_) | Node::TableLikeClause(_), "relation")
            // Refers to names in the FROM list.
            | (Node::LockingClause(_), "locked_rels")
            => return None,
            // A reference puts triggers on the referenced table, and dropping it takes ACCESS EXCLUSIVE on that
            // table, so all its readers wait. References of a table to itself are created with it.
            (Node::Constraint(n), "pktable") if self.made.is_some() && self.made == unqualified(n.pktable()) => {
                return None;
            }
            (Node::CopyStmt(n), _) if !n.is_from => return None,
            (Node::LockStmt(n), _) if n.mode == ACCESS_SHARE => return None,
            (
                Node::InsertStmt(_) | Node::UpdateStmt(_) | Node::DeleteStmt(_) | Node::MergeStmt(_)
                | Node::TruncateStmt(_) | Node::CopyStmt(_) | Node::LockStmt(_),
                _,
            ) => (Object::Relation, Act::Rows),
            (Node::CompositeTypeStmt(_), _) => (Object::Type, Act::Create),
            (Node::IntoClause(_) | Node::ViewStmt(_) | Node::CreateSeqStmt(_), _) | (Node::CreateStmt(_), "relation") => {
                (Object::Relation, Act::Create)
            }
            (Node::AlterTableStmt(n), _) => (object(n.objtype), Act::Change),
            (Node::RenameStmt(n), _) => (object(n.rename_type), Act::Change),
            (Node::ReindexStmt(n), _) if n.kind == ReindexObjectType::REINDEX_OBJECT_INDEX => {
                (Object::Index, Act::Change)
            }
            (Node::PartitionCmd(_), _) if self.of_index => (Object::Index, Act::Change),
            _ => (Object::Relation, Act::Change),
        };
        Some(kind)
    }
}

/// The addresses of relations and queries in a FROM list whose names are `reached`.
fn listed(from: &NodeList, reached: impl Fn(Option<&str>) -> bool) -> Vec<usize> {
    let mut open: Vec<Node<'_>> = from.iter().collect();
    let mut out = Vec::new();
    while let Some(node) = open.pop() {
        match node {
            Node::JoinExpr(n) => open.extend([n.larg(), n.rarg()]),
            Node::RangeTableSample(n) => open.push(n.relation()),
            Node::RangeVar(n) if reached(n.alias().map_or(n.relname(), nodes::Alias::aliasname)) => {
                out.push(address(n));
            }
            Node::RangeSubselect(n) if reached(n.alias().and_then(nodes::Alias::aliasname)) => {
                if let Node::SelectStmt(query) = n.subquery() {
                    out.push(address(query));
                }
            }
            _ => {}
        }
    }
    out
}

/// The name of a relation without a schema.
fn unqualified(relation: Option<&nodes::RangeVar>) -> Option<Box<str>> {
    relation.filter(|n| n.schemaname().is_none()).and_then(nodes::RangeVar::relname).map(Box::from)
}

fn address<T>(node: &T) -> usize {
    std::ptr::from_ref(node).addr()
}

fn object(kind: ObjectType::Type) -> Object {
    match kind {
        ObjectType::OBJECT_INDEX => Object::Index,
        ObjectType::OBJECT_TYPE | ObjectType::OBJECT_ATTRIBUTE => Object::Type,
        _ => Object::Relation,
    }
}
