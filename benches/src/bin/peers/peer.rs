//! Those that are compared: each as a port that clients connect to.

use std::rc::Rc;

use crate::process::Process;

/// PostgreSQL itself.
pub const DIRECT: &str = "direct";
/// [`relay.rs`](../relay.rs), which does nothing but relay.
pub const RELAY: &str = "bare relay";
/// HAProxy as a relay.
pub const HAPROXY: &str = "HAProxy";
/// PgBouncer in transaction mode: what others are compared with.
pub const PGBOUNCER: &str = "PgBouncer";
/// pgstrata for a client with no tenant.
pub const PUBLIC: &str = "pgstrata, no tenant";
/// pgstrata for a tenant's client.
pub const BY_PATH: &str = "pgstrata, search_path";
/// See [`BY_PATH`].
pub const QUALIFIED: &str = "pgstrata, schema_qualified";

/// One way to PostgreSQL. Several may go through one process.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its column's head.
    pub name: String,
    /// Where it listens.
    pub port: u16,
    /// `PGOPTIONS` of its clients.
    pub options: String,
    /// None for PostgreSQL itself.
    pub process: Option<Rc<Process>>,
    /// Whether clients may prepare statements by name: an old PgBouncer loses them.
    pub prepares: bool,
}

impl Peer {
    /// A peer whose clients need no options.
    pub fn new(name: &str, port: u16, process: Option<Rc<Process>>) -> Self {
        Self { name: name.to_owned(), port, options: String::new(), process, prepares: true }
    }

    /// Processor time of its process so far; none for PostgreSQL.
    pub fn cpu_micros(&self) -> Option<f64> {
        self.process.as_ref()?.cpu_micros().ok()
    }

    /// Whether its clients share servers, which outlive them.
    pub fn is_pooler(&self) -> bool {
        self.is_ours() || self.name == PGBOUNCER
    }

    /// Whether it is ours.
    pub fn is_ours(&self) -> bool {
        self.name.starts_with("pgstrata")
    }
}
