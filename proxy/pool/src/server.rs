//! One server: a connection to PostgreSQL, and all that we know of its session.

use std::collections::BTreeMap;
use std::io;
use std::mem;
use std::num::NonZeroUsize;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use foldhash::fast::RandomState;
use lru::LruCache;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::birth::Birth;
use super::connect::Connected;
use super::fair::Item;
use super::roster::ServerEntry;
use super::settings::Settings;
use super::turns::Tenant;
use crate::simulation::{Fault, fault};
use crate::stream::ServerStream;
use crate::wire::{frame, message};

/// No answer to a question of our own is longer.
const MAX_ANSWER: usize = 1 << 20;

/// A message of PostgreSQL's, whole.
#[derive(Debug)]
pub struct Answer(BytesMut);

impl Answer {
    /// Its type.
    pub fn tag(&self) -> u8 {
        self.0.first().copied().unwrap_or_default()
    }

    /// What is behind its length.
    pub fn body(&self) -> &[u8] {
        self.0.get(frame::HEADER..).unwrap_or_default()
    }
}

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
    pub parameters: BTreeMap<Box<[u8]>, Box<[u8]>>,
    /// The settings that its session has beyond those it was born with.
    pub settings: Arc<Settings>,
    /// The prepared statements that its session holds.
    pub prepared: PreparedNames,
    /// The statement that sets the path.
    pub path_statement: Standing,
    /// The one that sets role and path.
    pub role_statement: Standing,
    /// Code ran that is not in any text: statements may be there that nobody knows of.
    pub unsure: bool,
    /// Which client statement its unnamed statement is.
    pub unnamed: Option<u64>,
    /// Temporary objects were made on it: PostgreSQL keeps their schema on the path for good, and so does
    /// not look at prepared statements again when there are new ones.
    pub had_temp: bool,
    /// The only client that may have drawn from sequences since what was drawn was forgotten, and since how many
    /// switches of its tenant and `DISCARD SEQUENCES` of its own.
    pub sequence_owner: Option<(i32, u64)>,
    /// Who used it last, if more than settings may be left behind.
    pub used_by: Option<(i32, Tenant)>,
    /// Its state is not known for sure: it must not be used again.
    pub in_doubt: bool,
    /// When it was connected.
    pub born: Instant,
    /// What it was born with.
    pub birth: Birth,
    /// Its place on the database's roster.
    pub entry: ServerEntry,
    /// Its place among the servers that tenants have of their own.
    _room: Option<OwnedSemaphorePermit>,
}

/// A client, by the number that it was given, and the tenant that it works for.
pub type User<'a> = (i32, &'a Tenant);

/// Whether a statement of the proxy's is prepared on a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// It is not.
    #[default]
    Absent,
    /// It is.
    There,
    /// Code has run since that may have dropped it, or put another in its place.
    Doubtful,
}

impl Standing {
    /// What it is once code has run that may have changed it.
    fn doubted(self) -> Self {
        if self == Self::There { Self::Doubtful } else { self }
    }
}

/// What was prepared on a server at some time.
#[derive(Debug)]
pub struct PreparedState {
    names: PreparedNames,
    path: Standing,
    role: Standing,
    unsure: bool,
}

impl Item for Box<Server> {
    fn is_sound(&self) -> bool {
        (!self.in_doubt || fault(Fault::LentInDoubt)) && self.entry.is_current()
    }

    fn moved(self) -> Option<Self> {
        let mut server = *self;
        server.stream = server.stream.moved().ok()?;
        Some(Box::new(server))
    }

    /// Its caches, and what is prepared on it, are those of its tenants. Told by its process, which a simulation repeats.
    fn number(&self) -> Option<u64> {
        Some(u64::from(self.pid.unsigned_abs()))
    }
}

impl Server {
    /// A server that has just logged in; `room`: it has a place among others, and keeps it while it lives.
    pub fn new(
        connected: Connected,
        max_prepared: (usize, usize),
        entry: ServerEntry,
        room: Option<OwnedSemaphorePermit>,
    ) -> Self {
        let Connected { stream, buffer, parameters, pid, key } = connected;
        let birth = Birth::of(&parameters);
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
            path_statement: Standing::Absent,
            role_statement: Standing::Absent,
            unsure: false,
            unnamed: None,
            had_temp: false,
            sequence_owner: None,
            used_by: None,
            in_doubt: false,
            born: Instant::now(),
            birth,
            entry,
            _room: room,
        }
    }

    /// Puts a `Query` into the write buffer. PostgreSQL drops its unnamed statement for it.
    pub fn query(&mut self, parts: &[&[u8]]) {
        message::query(&mut self.outbuf, parts);
        if !fault(Fault::UnnamedStatementStale) {
            self.unnamed = None;
        }
    }

    /// Writes all that is in the write buffer.
    pub async fn send(&mut self) -> io::Result<()> {
        let question = self.outbuf.split();
        self.stream.write_all(&question).await?;
        self.stream.flush().await
    }

    /// The next message. What it reports of the session is noted.
    pub async fn receive(&mut self) -> io::Result<Answer> {
        loop {
            let header = frame::header(&self.inbuf).map_err(|_| io::ErrorKind::InvalidData)?;
            if let Some(header) = header.filter(|header| self.inbuf.len() >= header.total) {
                let answer = Answer(self.inbuf.split_to(header.total));
                if answer.tag() == b'S' {
                    self.note_parameter(answer.body());
                }
                return Ok(answer);
            }
            if header.is_some_and(|header| header.total > MAX_ANSWER) {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if self.stream.read_buf(&mut self.inbuf).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// A `ParameterStatus` with this body came.
    pub fn note_parameter(&mut self, body: &[u8]) {
        let Some((name, rest)) = frame::cstr(body) else { return };
        let Some((value, _)) = frame::cstr(rest) else { return };
        self.parameters.insert(name.into(), value.into());
    }

    /// Whether it is a standby in recovery, as PostgreSQL 14 and newer tell.
    pub fn is_standby(&self) -> bool {
        self.parameters.get(&b"in_hot_standby"[..]).is_some_and(|value| **value == *b"on")
    }

    /// The session was wiped (`DISCARD ALL`, `DEALLOCATE ALL`): nothing is prepared on it. Gives what was, for
    /// [`Server::take_back`].
    pub fn forget_prepared(&mut self) -> PreparedState {
        let names = self.prepared.take();
        let (path, role) = (mem::take(&mut self.path_statement), mem::take(&mut self.role_statement));
        let unsure = mem::take(&mut self.unsure);
        self.unnamed = None;
        PreparedState { names, path, role, unsure }
    }

    /// It was not wiped, or not all of it: what was prepared is there. Where it is gone, PostgreSQL says so.
    pub fn take_back(&mut self, before: PreparedState) {
        let PreparedState { names, path, role, unsure } = before;
        self.prepared = names;
        (self.path_statement, self.role_statement) = (path.doubted(), role.doubted());
        (self.unsure, self.unnamed) = (unsure, None);
    }

    /// Code ran that is not in any text, and that may have prepared or dropped statements. What its client has
    /// prepared is its own to spoil; what sets path and role is not.
    pub fn doubt_prepared(&mut self) {
        self.unsure = true;
        for statement in [&mut self.path_statement, &mut self.role_statement] {
            *statement = statement.doubted();
        }
    }

    /// Statements are gone, or another tenant must not run them: each is prepared anew before it is used.
    pub fn lose_prepared(&mut self) {
        self.doubt_prepared();
        self.prepared.clear();
        self.unnamed = None;
    }
}

/// A prepared statement on a server.
#[derive(Debug)]
struct Held {
    /// What it weighs, in bytes of text.
    bytes: usize,
    /// How often it was bound, where that is counted.
    uses: u32,
}

/// The prepared statements on one server, by id; the one that was used longest ago goes first.
#[derive(Debug)]
pub struct PreparedNames {
    /// Numbers are the proxy's own, and nobody chooses them: a quick hash will do.
    known: LruCache<u64, Held, RandomState>,
    bytes: usize,
    max_bytes: usize,
    /// Statements that were turned away for want of room, each in its place; none before there are any.
    turned_away: Vec<u64>,
}

/// So many places there are for those that were turned away.
const TURNED_AWAY: usize = 256;

impl PreparedNames {
    /// Room for so many statements with so many bytes of text. There is always room for one.
    pub fn new((max_count, max_bytes): (usize, usize)) -> Self {
        let max_count = NonZeroUsize::new(max_count).unwrap_or(NonZeroUsize::MIN);
        let known = LruCache::with_hasher(max_count, RandomState::default());
        Self { known, bytes: 0, max_bytes, turned_away: Vec::new() }
    }

    /// Whether the statement is there. Counts as a use.
    pub fn touch(&mut self, id: u64) -> bool {
        self.known.get(&id).is_some()
    }

    /// Whether the statement is there.
    pub fn contains(&self, id: u64) -> bool {
        self.known.contains(&id)
    }

    /// Whether a statement that is not there, and need not be, is worth its room, and that of one more: there is room
    /// left, or it was turned away before and few others since. So many statements that take turns push none out.
    pub fn has_room_for(&mut self, id: u64, bytes: usize) -> bool {
        let is_left =
            self.known.len() + 2 <= self.known.cap().get() && self.bytes + 2 * bytes <= self.max_bytes;
        if is_left {
            return true;
        }
        self.turned_away.resize(TURNED_AWAY, 0);
        let place = self.turned_away.get_mut(id as usize % TURNED_AWAY);
        place.is_some_and(|place| mem::replace(place, id) == id)
    }

    /// Adds a statement that is not there; gives those that must be closed to make room.
    pub fn insert(&mut self, id: u64, bytes: usize) -> Vec<u64> {
        let mut out = Vec::new();
        self.bytes += bytes;
        if let Some((old, held)) = self.known.push(id, Held { bytes, uses: 0 }) {
            self.bytes -= held.bytes;
            out.extend((old != id).then_some(old));
        }
        while self.bytes > self.max_bytes && self.known.len() > 1 {
            let Some((old, held)) = self.known.pop_lru() else { break };
            self.bytes -= held.bytes;
            out.push(old);
        }
        out
    }

    /// The statement did not come about, or is gone.
    pub fn remove(&mut self, id: u64) {
        self.bytes -= self.known.pop(&id).map_or(0, |held| held.bytes);
    }

    /// Counts a use of a statement, if it is there.
    pub fn count_use(&mut self, id: u64) {
        if let Some(held) = self.known.peek_mut(&id) {
            held.uses = held.uses.saturating_add(1);
        }
    }

    /// How many uses of a statement were counted since it was prepared.
    pub fn uses(&self, id: u64) -> u32 {
        self.known.peek(&id).map_or(0, |held| held.uses)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// All of them; none is left.
    fn take(&mut self) -> Self {
        let known = LruCache::with_hasher(self.known.cap(), RandomState::default());
        let (bytes, turned_away) = (mem::take(&mut self.bytes), mem::take(&mut self.turned_away));
        Self { known: mem::replace(&mut self.known, known), bytes, turned_away, ..*self }
    }

    fn clear(&mut self) {
        self.known.clear();
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_used_longest_ago_goes_by_count_and_by_bytes() {
        let mut names = PreparedNames::new((3, 100));
        assert!(names.insert(1, 10).is_empty());
        assert!(names.insert(2, 10).is_empty());
        assert!(names.insert(3, 10).is_empty());
        assert!(names.touch(1));
        assert_eq!(names.insert(4, 10), [2]);
        assert_eq!(names.insert(5, 85), [3, 1]);
        assert_eq!(names.insert(6, 1000), [4, 5]);
        assert_eq!(names.len(), 1);
        names.remove(6);
        assert!(names.is_empty() && names.bytes == 0);
    }

    #[test]
    fn many_that_take_turns_push_none_out() {
        let mut names = PreparedNames::new((4, 1000));
        assert!(names.has_room_for(1, 10));
        names.insert(1, 10);
        names.insert(2, 10);
        assert!(names.has_room_for(3, 10) && !names.has_room_for(3, 600), "by count and by bytes");
        names.insert(3, 10);
        assert!(!names.has_room_for(4, 10) && names.has_room_for(4, 10), "it comes again at once");
        for _ in 0..3 {
            assert!((0..2000).all(|id| !names.has_room_for(10_000 + id, 10)));
        }
    }
}
