//! One server: a connection to PostgreSQL, and all that we know of its session.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use lru::LruCache;

use super::connect::Connected;
use super::settings::Settings;
use crate::wire::frame;
use crate::wire::stream::ServerStream;

/// A connection to PostgreSQL, between or inside transactions.
#[derive(Debug)]
pub struct Server {
    /// The connection.
    pub stream: ServerStream,
    /// Read from PostgreSQL and not yet looked at.
    pub inbuf: BytesMut,
    /// To be written to PostgreSQL.
    pub outbuf: BytesMut,
    /// Its process.
    pub pid: i32,
    /// The key that cancels its query.
    pub key: Bytes,
    /// The parameters that it reported, with their newest values.
    pub parameters: HashMap<Box<[u8]>, Box<[u8]>>,
    /// The settings that its session has beyond those it was born with.
    pub settings: Arc<Settings>,
    /// The prepared statements that its session holds.
    pub prepared: PreparedNames,
    /// The statement that sets the path is prepared.
    pub has_path_statement: bool,
    /// Which client statement its unnamed statement is.
    pub unnamed: Option<u64>,
    /// Its state is not known for sure: it must not be used again.
    pub in_doubt: bool,
    /// When it was connected.
    pub born: Instant,
}

impl Server {
    /// A server that has just logged in.
    pub fn new(connected: Connected, max_prepared: usize) -> Self {
        let Connected { stream, buffer, parameters, pid, key } = connected;
        let boxed = |text: String| text.into_bytes().into_boxed_slice();
        Self {
            stream,
            inbuf: buffer,
            outbuf: BytesMut::new(),
            pid,
            key,
            parameters: parameters.into_iter().map(|(n, v)| (boxed(n), boxed(v))).collect(),
            settings: Arc::default(),
            prepared: PreparedNames::new(max_prepared),
            has_path_statement: false,
            unnamed: None,
            in_doubt: false,
            born: Instant::now(),
        }
    }

    /// A `ParameterStatus` with this body came.
    pub fn note_parameter(&mut self, body: &[u8]) {
        let Some((name, rest)) = frame::cstr(body) else { return };
        let Some((value, _)) = frame::cstr(rest) else { return };
        self.parameters.insert(name.into(), value.into());
    }

    /// The session was wiped (`DISCARD ALL`, `DEALLOCATE ALL`): nothing is prepared on it.
    pub fn forget_prepared(&mut self) {
        self.prepared.clear();
        self.has_path_statement = false;
        self.unnamed = None;
    }
}

/// The prepared statements on one server, by id; the one that was used longest ago goes first.
#[derive(Debug)]
pub struct PreparedNames(LruCache<u64, ()>);

impl PreparedNames {
    /// Room for so many, at least one.
    pub fn new(capacity: usize) -> Self {
        Self(LruCache::new(NonZeroUsize::new(capacity).unwrap_or(NonZeroUsize::MIN)))
    }

    /// Whether the statement is there. Counts as a use.
    pub fn touch(&mut self, id: u64) -> bool {
        self.0.get(&id).is_some()
    }

    /// Adds a statement; gives the one that must be closed to make room.
    pub fn insert(&mut self, id: u64) -> Option<u64> {
        self.0.push(id, ()).map(|(old, ())| old).filter(|old| *old != id)
    }

    /// The statement did not come about, or is gone.
    pub fn remove(&mut self, id: u64) {
        self.0.pop(&id);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}
