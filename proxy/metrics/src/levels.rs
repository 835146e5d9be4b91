//! Levels that others look up: they are set, not counted.

use std::collections::BTreeMap;

/// A count of tenants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Census {
    /// By state.
    pub states: BTreeMap<String, i64>,
    /// By the version of their schemas: the most frequent ones, `other`, and `none`.
    pub versions: BTreeMap<String, i64>,
}

/// What all of the pools do, taken together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Pools that have, or await, a server.
    pub pools: usize,
    /// Servers that nobody uses.
    pub idle: usize,
    /// Servers that clients use.
    pub active: usize,
    /// Clients that wait for one.
    pub waiting: usize,
}
