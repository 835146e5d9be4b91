//! A way through all nodes of a statement.

use std::collections::HashMap;

use pg_raw_parse::list::{CastNodeList, NodeList};
use pg_raw_parse::{Node, nodes};

use crate::children::children;

/// The same list with its elements as they are. The types that `pg_raw_parse` gives to elements come from
/// comments in PostgreSQL's headers, and not all of those are true: `GRANT ON FUNCTION` has no relations.
#[allow(unsafe_code)]
pub fn untyped<T>(list: &CastNodeList<T>) -> &NodeList {
    // SAFETY: `CastNodeList<T>` is `repr(transparent)` over `NodeList`, with a `PhantomData` beside it, in the
    // one version (=0.1.0) that Cargo.toml allows; `NodeList::cast` in that crate is the same cast the other way.
    // The lifetime stays that of the argument.
    unsafe { &*std::ptr::from_ref(list).cast::<NodeList>() }
}

/// Where a node stands.
#[derive(Clone, Copy, Debug)]
pub struct Place<'t> {
    /// The node that holds it; of an element in a list, the node that holds the list. [`Node::None`] for the root.
    pub parent: Node<'t>,
    /// The parent's field, as `pg_raw_parse` calls it.
    pub field: &'static str,
}

/// One thing on the way.
#[derive(Clone, Copy, Debug)]
pub enum Item<'t> {
    /// A node, before its children.
    Node(Node<'t>, Place<'t>),
    /// A list, before its elements.
    List(&'t NodeList, Place<'t>),
    /// A text in a node.
    Text(&'t str, Place<'t>),
    /// A node that the raw grammar is not known to make. Its children are not visited.
    Unknown(Place<'t>),
}

/// Takes what a node holds.
pub(crate) trait Children<'t> {
    /// A node, or none.
    fn node(&mut self, field: &'static str, node: Node<'t>);
    /// A list of nodes, maybe empty.
    fn list(&mut self, field: &'static str, list: &'t NodeList);
    /// A text, or none.
    fn text(&mut self, field: &'static str, text: Option<&'t str>);
}

/// What is still to be done.
#[derive(Clone, Copy)]
enum Work<'t> {
    Visit(Item<'t>),
    /// A CTE can be seen from here on.
    Declare(&'t str),
    /// So many CTEs that were declared last can't be seen any more.
    Forget(usize),
}

/// A way through all nodes of a statement, parents before their children, in no other order.
///
/// It keeps what is left to do on the heap: no nesting is too deep. Each node is visited once.
pub struct Walk<'t> {
    /// The last comes first.
    work: Vec<Work<'t>>,
    /// The CTEs that can be seen here, in the order of their declaration.
    declared: Vec<&'t str>,
    /// How many of them have this name.
    visible: HashMap<&'t str, usize>,
}

impl<'t> Walk<'t> {
    /// From `root` on.
    pub fn new(root: Node<'t>) -> Self {
        let place = Place { parent: Node::None, field: "" };
        let work = vec![Work::Visit(Item::Node(root, place))];
        Self { work, declared: Vec::new(), visible: HashMap::new() }
    }

    /// Whether an unqualified relation of this name in a FROM list means a CTE, at the item that came last.
    pub fn is_cte(&self, name: &str) -> bool {
        self.visible.get(name).is_some_and(|count| *count > 0)
    }

    fn declare(&mut self, name: &'t str) {
        self.declared.push(name);
        *self.visible.entry(name).or_default() += 1;
    }

    fn forget(&mut self, count: usize) {
        for _ in 0..count {
            if let Some(count) = self.declared.pop().and_then(|name| self.visible.get_mut(name)) {
                *count -= 1;
            }
        }
    }

    /// Puts the children of `node` on the stack, the first on top.
    fn enter(&mut self, node: Node<'t>) -> bool {
        let from = self.work.len();
        let with = with_clause(node).filter(|with| !with.ctes().is_empty());
        if let Some(with) = with {
            self.work.push(Work::Forget(with.ctes().len()));
        }
        let behind = self.work.len();
        let mut found = Found { parent: node, work: &mut self.work, skips: with.is_some() };
        let known = children(node, &mut found);
        self.work.get_mut(behind..).unwrap_or_default().reverse();
        if !known {
            self.work.truncate(from);
        } else if let Some(with) = with {
            self.enter_ctes(node, with);
        }
        known
    }

    /// The CTEs come first: each sees those in front of it, and with RECURSIVE all of them.
    fn enter_ctes(&mut self, node: Node<'t>, with: &'t nodes::WithClause) {
        let place = Place { parent: node, field: "with_clause" };
        if with.recursive {
            for cte in with.ctes() {
                self.declare(cte.ctename().unwrap_or_default());
            }
        }
        let from = self.work.len();
        for cte in with.ctes() {
            self.work.push(Work::Visit(Item::Node(Node::CommonTableExpr(cte), place)));
            if !with.recursive {
                self.work.push(Work::Declare(cte.ctename().unwrap_or_default()));
            }
        }
        self.work.get_mut(from..).unwrap_or_default().reverse();
    }
}

impl<'t> Iterator for Walk<'t> {
    type Item = Item<'t>;

    fn next(&mut self) -> Option<Item<'t>> {
        loop {
            match self.work.pop()? {
                Work::Declare(name) => self.declare(name),
                Work::Forget(count) => self.forget(count),
                Work::Visit(item) => {
                    match item {
                        Item::Node(node, place) if !self.enter(node) => return Some(Item::Unknown(place)),
                        Item::List(list, place) => self.work.extend(list.iter().rev().filter_map(|node| {
                            (!matches!(node, Node::None)).then_some(Work::Visit(match node {
                                Node::NodeList(inner) => Item::List(inner, place),
                                node => Item::Node(node, place),
                            }))
                        })),
                        _ => {}
                    }
                    return Some(item);
                }
            }
        }
    }
}

/// The `WITH` of a query, whose CTEs its other parts see.
fn with_clause(node: Node<'_>) -> Option<&nodes::WithClause> {
    match node {
        Node::SelectStmt(n) => n.with_clause(),
        Node::InsertStmt(n) => n.with_clause(),
        Node::UpdateStmt(n) => n.with_clause(),
        Node::DeleteStmt(n) => n.with_clause(),
        Node::MergeStmt(n) => n.with_clause(),
        _ => None,
    }
}

struct Found<'a, 't> {
    parent: Node<'t>,
    work: &'a mut Vec<Work<'t>>,
    /// The `WITH` is visited in a way of its own.
    skips: bool,
}

impl<'t> Found<'_, 't> {
    fn place(&self, field: &'static str) -> Place<'t> {
        Place { parent: self.parent, field }
    }
}

impl<'t> Children<'t> for Found<'_, 't> {
    fn node(&mut self, field: &'static str, node: Node<'t>) {
        match node {
            Node::None => {}
            // `SET (a, b) = (SELECT ..)` has one source, which each of its columns holds.
            _ if matches!(self.parent, Node::MultiAssignRef(n) if n.colno > 1) => {}
            Node::WithClause(_) if self.skips => {}
            Node::NodeList(list) => self.list(field, list),
            node => self.work.push(Work::Visit(Item::Node(node, self.place(field)))),
        }
    }

    fn list(&mut self, field: &'static str, list: &'t NodeList) {
        if !list.is_empty() {
            self.work.push(Work::Visit(Item::List(list, self.place(field))));
        }
    }

    fn text(&mut self, field: &'static str, text: Option<&'t str>) {
        if let Some(text) = text {
            self.work.push(Work::Visit(Item::Text(text, self.place(field))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tree;

    /// The unqualified relations of a text that are no CTEs.
    fn relations(text: &str) -> Vec<String> {
        let tree = Tree::parse(text).unwrap();
        let mut found = Vec::new();
        for statement in tree.statements() {
            let mut walk = Walk::new(statement.root);
            while let Some(item) = walk.next() {
                match item {
                    Item::Node(Node::RangeVar(relation), _) => {
                        let name = relation.relname().unwrap_or_default();
                        if !walk.is_cte(name) {
                            found.push(name.to_owned());
                        }
                    }
                    Item::Unknown(place) => panic!("{place:?}"),
                    _ => {}
                }
            }
        }
        found.sort();
        found
    }

    #[test]
    fn ctes_are_seen_where_postgresql_sees_them() {
        assert_eq!(relations("with a as (select from b) select from a, c"), ["b", "c"]);
        assert_eq!(relations("with a as (select from a) select from a"), ["a"]);
        assert_eq!(relations("with recursive a as (select from a, b), b as (select from t) table a"), ["t"]);
        assert_eq!(relations("with a as (select from b), b as (select from a) select from b"), ["b"]);
        assert_eq!(relations("select from (with a as (select 1) select from a) x, a"), ["a"]);
        assert_eq!(relations("with a as (with a as (select from t) select from a) select from a"), ["t"]);
        assert_eq!(relations("with a as (select 1) insert into t select from a union table a"), ["t"]);
    }

    #[test]
    fn deep_trees_take_no_stack() {
        let deep = format!("select {}1 from t", "1 + ".repeat(200_000));
        assert_eq!(relations(&deep), ["t"]);
        let brackets = format!("select {}1{}", "(".repeat(3_000), ")".repeat(3_000));
        assert!(relations(&brackets).is_empty());
    }

    #[test]
    fn lists_are_what_they_are_and_not_what_a_comment_says() {
        for text in [
            "grant select on t, u to x",
            "grant execute on function f(int), g() to x",
            "grant usage on schema a, b to x",
            "create statistics s on a, b from (select 1) x",
            "create statistics s on a, b from f(1)",
            "alter text search configuration c alter mapping for a, b with d, e.f",
        ] {
            relations(text);
        }
    }

    #[test]
    fn statements_are_where_they_stand() {
        let tree = Tree::parse(
            " -- c\n select 1 ;; create function f() returns int begin atomic select 1 end; end; x",
        )
        .map(|_| ());
        assert!(tree.is_err(), "{tree:?}");
        let text = "select 1 case; select 2 end ; ;";
        let tree = Tree::parse(text).unwrap();
        let parts: Vec<_> =
            tree.statements().map(|s| text[s.start..s.end.unwrap_or(text.len())].trim()).collect();
        assert_eq!(parts, ["select 1 case", "select 2 end"]);
    }
}
