//! `pg_attribute` contains a value from rows: the value of an added column in older rows (`attmissingval`). A
//! statement that may show it is marked, so that it gets only the values of the tenant's tables.
//!
//! A statement may show it if it contains that name, or takes whole rows: by a star, by the relation's name in the
//! FROM list, by column aliases, or by a function that is written as a column (`a.to_jsonb` is `to_jsonb(a)`).

use foldhash::HashSet;
use pgstrata_grammar::{Item, Node, NodeList, Place, Walk, nodes, untyped};

const RELATION: &str = "pg_attribute";
const VALUE: &str = "attmissingval";
/// Its other columns that each of PostgreSQL 15 to 18 has. Any other name behind the relation's name and a dot may be a
/// function, which takes the whole row.
const COLUMNS: &[&str] = &[
    "attacl", "attalign", "attbyval", "attcollation", "attcompression", "attfdwoptions", "attgenerated",
    "atthasdef", "atthasmissing", "attidentity", "attinhcount", "attisdropped", "attislocal", "attlen",
    "attname", "attndims", "attnotnull", "attnum", "attoptions", "attrelid", "attstattarget", "attstorage",
    "atttypid", "atttypmod", "cmax", "cmin", "ctid", "tableoid", "xmax", "xmin",
];

/// Reads one statement.
#[derive(Default)]
pub(super) struct Reader<'t> {
    reads: bool,
    /// Whether the value may be shown, if the relation is read at all.
    shows: bool,
    /// The names of the relation, and of each join.
    called: HashSet<&'t str>,
    /// The names that are taken as whole rows.
    taken: HashSet<&'t str>,
}

impl<'t> Reader<'t> {
    /// Takes one item of the statement.
    pub fn item(&mut self, item: Item<'t>, walk: &Walk<'t>) {
        match item {
            Item::Node(Node::RangeVar(n), place) if is_attributes(n) && !is_cte(n, walk) => {
                self.relation(n, place);
            }
            Item::Node(Node::String(n), _) => self.shows |= n.sval() == Some(VALUE),
            Item::Node(Node::ColumnRef(n), _) => self.column(n.fields()),
            Item::Node(Node::JoinExpr(n), _) => {
                if let Some(alias) = n.alias() {
                    self.called.extend(alias.aliasname());
                    self.shows |= !alias.colnames().is_empty();
                }
            }
            Item::Node(Node::SelectStmt(n), _) => {
                self.shows |= has_star(untyped(n.target_list())) && lists(n.from_clause().iter());
            }
            // Their RETURNING list may contain a star.
            Item::Node(Node::UpdateStmt(n), _) => self.shows |= lists(n.from_clause().iter()),
            Item::Node(Node::DeleteStmt(n), _) => self.shows |= lists(n.using_clause().iter()),
            Item::Node(Node::MergeStmt(n), _) => self.shows |= lists([n.source_relation()]),
            Item::Text(text, _) => self.shows |= text == VALUE,
            _ => {}
        }
    }

    /// Whether the statement may show the values of other tenants' rows.
    pub fn shows(&self) -> bool {
        self.reads && (self.shows || !self.called.is_disjoint(&self.taken))
    }

    fn relation(&mut self, n: &'t nodes::RangeVar, place: Place<'t>) {
        self.reads = true;
        let alias = n.alias();
        self.called.extend(alias.map_or(n.relname(), nodes::Alias::aliasname));
        self.shows |= alias.is_some_and(|alias| !alias.colnames().is_empty());
        // `COPY` shows it directly.
        self.shows |=
            !matches!(place.parent, Node::SelectStmt(_) | Node::JoinExpr(_) | Node::RangeTableSample(_));
    }

    fn column(&mut self, fields: &'t NodeList) {
        let names: Vec<Node<'t>> = fields.iter().collect();
        match &names[..] {
            [row] | [.., row, Node::A_Star(_)] => self.taken.extend(row.as_str()),
            [.., row, column] if !column.as_str().is_some_and(|name| COLUMNS.contains(&name)) => {
                self.taken.extend(row.as_str());
            }
            _ => {}
        }
    }
}

fn is_attributes(n: &nodes::RangeVar) -> bool {
    n.relname() == Some(RELATION) && matches!(n.schemaname(), None | Some("pg_catalog"))
}

fn is_cte<'t>(n: &'t nodes::RangeVar, walk: &Walk<'t>) -> bool {
    n.schemaname().is_none() && walk.is_cte(RELATION)
}

fn has_star(targets: &NodeList) -> bool {
    targets.iter().any(|target| {
        let Node::ResTarget(target) = target else { return false };
        matches!(target.val(), Node::ColumnRef(n) if matches!(n.fields().iter().next(), Some(Node::A_Star(_))))
    })
}

/// Whether `pg_attribute` itself is in a FROM list, joined or not.
fn lists<'t>(from: impl IntoIterator<Item = Node<'t>>) -> bool {
    let mut open: Vec<Node<'t>> = from.into_iter().collect();
    while let Some(node) = open.pop() {
        match node {
            Node::JoinExpr(n) => open.extend([n.larg(), n.rarg()]),
            Node::RangeTableSample(n) => open.push(n.relation()),
            Node::RangeVar(n) if is_attributes(n) => return true,
            _ => {}
        }
    }
    false
}
