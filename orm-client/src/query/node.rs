//! What a condition is made of.

use tokio_postgres::types::ToSql;

/// A value of a condition's own.
pub(crate) type Value = Box<dyn ToSql + Send + Sync>;

/// A condition without its entity's type.
#[derive(Debug)]
pub(crate) enum Node {
    Compare {
        column: usize,
        operator: &'static str,
        value: Value,
    },
    Within {
        column: usize,
        values: Value,
    },
    IsNull {
        column: usize,
        not: bool,
    },
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    Related {
        relation: usize,
        node: Box<Node>,
    },
    /// What comes behind these values, each in its order.
    Behind(Vec<(usize, bool, Value)>),
}

impl Node {
    pub(super) fn behind(&mut self) -> Option<&mut Vec<(usize, bool, Value)>> {
        match self {
            Self::Behind(keys) => Some(keys),
            _ => None,
        }
    }
}

/// `LIKE`, whatever the case.
pub(super) const ILIKE: &str = "ILIKE";

/// The alias of the table that a statement is about, where it needs one.
pub(crate) const OUTER: &str = "t0";

/// Whether the table needs an alias: a condition speaks of another one.
pub(crate) fn needs_alias(nodes: &[Node]) -> bool {
    nodes.iter().any(|node| match node {
        Node::Related { .. } => true,
        Node::All(nodes) | Node::Any(nodes) => needs_alias(nodes),
        Node::Not(node) => needs_alias(std::slice::from_ref(node)),
        _ => false,
    })
}
