//! Unnamed statements that repeat: which of them are kept on their servers, and under which name.
//!
//! Most drivers send each query in a `Parse` without a name, and PostgreSQL parses, analyses and plans it each time.
//! From its second use on, the proxy gives such a statement a name on its server (`session::kept` runs it). The client
//! must get the result of an unnamed statement that is parsed at that moment. So only statements are kept for which
//! PostgreSQL detects every change of their meaning:
//!
//! - All names in it are [lasting](crate::sql::plan::Plan::lasting): no new object can take the place of the named one.
//!   The named object may be dropped or changed; PostgreSQL then analyses the statement again.
//! - It has no string: the meaning of a string is determined when a statement is parsed, and may differ the next time
//!   (`'now'`, a label of an enum, a name for `regclass`).
//! - Parameters keep their inferred types even if a column gets another type. And if a table of the tenant is dropped,
//!   the path may find a shared one, also after the tenant's table is created again. So a second statement, the watch,
//!   shows that the tables exist and have the same columns: a query of the same schema-qualified relations, which
//!   PostgreSQL refuses to describe after a change of the columns. A statement without relations needs none, nor does
//!   one with schema-qualified relations and all types given.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use foldhash::fast::RandomState;
use quick_cache::Weighter;
use quick_cache::sync::{Cache, DefaultLifecycle};
use tokio::time::Instant;

use super::statements::{Identity, Prepared, StatementStore};
use crate::wire::frame;

/// The maximum size of all kept statements, in bytes; the same for their watches.
const MAX_BYTES: u64 = 8 << 20;
/// The size of a statement in addition to its text.
const OVERHEAD: u64 = 256;
/// The number of marks for texts that were seen once.
const PLACES: usize = 1 << 16;
/// The time after which a statement that could not be kept is tried again.
const PAUSE: Duration = Duration::from_secs(10);
/// `unknown`: PostgreSQL infers the type, as it does for 0.
const UNKNOWN: u32 = 705;

#[derive(Clone)]
struct Weight;

impl<T> Weighter<Identity, T> for Weight {
    fn weight(&self, identity: &Identity, _: &T) -> u64 {
        (identity.text.len() + identity.types.len()) as u64 + OVERHEAD
    }
}

type Map<T> = Cache<Identity, T, Weight, RandomState>;

/// A repeated statement.
#[derive(Clone)]
enum Known {
    /// It has a name on servers.
    Kept(Arc<Prepared>),
    /// It could not be kept, and is not tried again before this time.
    Refused(Instant),
}

/// The unnamed statements of all clients that were sent more than once.
pub(super) struct Repeated {
    known: Map<Known>,
    watches: Map<Arc<Prepared>>,
    /// A hash of the last text at each mark; the mark is another part of the hash.
    seen: Box<[AtomicU32]>,
    hasher: RandomState,
}

impl std::fmt::Debug for Repeated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repeated").field("known", &self.known.len()).finish_non_exhaustive()
    }
}

impl Default for Repeated {
    fn default() -> Self {
        let hasher = RandomState::default();
        Self {
            known: Cache::with(1024, MAX_BYTES, Weight, hasher.clone(), DefaultLifecycle::default()),
            watches: Cache::with(256, MAX_BYTES, Weight, hasher.clone(), DefaultLifecycle::default()),
            seen: (0..PLACES).map(|_| AtomicU32::new(0)).collect(),
            hasher,
        }
    }
}

impl Repeated {
    /// Whether the statement was seen before; marks it as seen. A statement with the same mark overwrites it.
    fn note(&self, identity: &Identity) -> bool {
        let hash = self.hasher.hash_one(identity);
        let mark = (hash >> 32) as u32 | 1;
        let place = self.seen.get(hash as usize % PLACES);
        place.is_some_and(|place| place.swap(mark, Ordering::Relaxed) == mark)
    }
}

impl StatementStore {
    /// The prepared statement for an unnamed statement: from its second use on, one with a name.
    ///
    /// `columns` is a query that has the columns of all its relations, empty if there are none; `None` if there is no
    /// such query.
    pub fn repeated(&self, identity: Identity, columns: impl FnOnce() -> Option<String>) -> Arc<Prepared> {
        match self.repeated.known.get(&identity) {
            Some(Known::Kept(prepared)) => return prepared,
            Some(Known::Refused(until)) if Instant::now() < until => return self.unshared(identity, false),
            None if !self.repeated.note(&identity) => return self.unshared(identity, false),
            Some(Known::Refused(_)) | None => {}
        }
        let is_watched = !identity.path.is_empty() || infers(&identity.types, &identity.text);
        let columns = match is_watched {
            true => columns().filter(|sql| sql.is_ascii()),
            false => Some(String::new()),
        };
        let Some(columns) = columns else {
            self.refuse_repeated(identity.clone());
            return self.unshared(identity, false);
        };
        let watch = (!columns.is_empty()).then(|| self.watch(&identity, columns));
        let prepared = self.watched(identity.clone(), watch);
        self.repeated.known.insert(identity, Known::Kept(Arc::clone(&prepared)));
        prepared
    }

    /// The statement that shows whether columns have changed since it was prepared.
    fn watch(&self, identity: &Identity, sql: String) -> Arc<Prepared> {
        let identity = Identity { text: sql.into(), types: Bytes::from_static(&[0, 0]), ..identity.clone() };
        if let Some(watch) = self.repeated.watches.get(&identity) {
            return watch;
        }
        let watch = self.watched(identity.clone(), None);
        self.repeated.watches.insert(identity, Arc::clone(&watch));
        watch
    }

    /// Gives a statement, and its watch, another name from now on. `refused`: it could not be prepared.
    pub fn forget_repeated(&self, prepared: &Prepared, refused: bool) {
        if let Some(watch) = &prepared.watch {
            self.repeated.watches.remove_if(&watch.identity, |known| known.id == watch.id);
        }
        let is_it = |known: &Known| matches!(known, Known::Kept(known) if known.id == prepared.id);
        self.repeated.known.remove_if(&prepared.identity, is_it);
        if refused {
            self.refuse_repeated(prepared.identity.clone());
        }
    }

    fn refuse_repeated(&self, identity: Identity) {
        self.repeated.known.insert(identity, Known::Refused(Instant::now() + PAUSE));
    }
}

/// Whether PostgreSQL infers the types of some parameters; `types` are those of the client.
fn infers(types: &[u8], text: &[u8]) -> bool {
    let Some((count, mut rest)) = frame::u16(types) else { return true };
    while let Some((oid, behind)) = frame::u32(rest) {
        if matches!(oid, 0 | UNKNOWN) {
            return true;
        }
        rest = behind;
    }
    highest_parameter(text).is_none_or(|highest| highest > u64::from(count))
}

/// The highest number of a parameter in a text, 0 if it has none; `None` if the text cannot be read.
fn highest_parameter(text: &[u8]) -> Option<u64> {
    let number = |at: usize| {
        let digits = text.get(at + 1..)?;
        let end = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        std::str::from_utf8(digits.get(..end)?).ok()?.parse::<u64>().ok()
    };
    memchr::memchr_iter(b'$', text).try_fold(0, |highest, at| Some(highest.max(number(at)?)))
}

/// Whether the text is ASCII and has no string. (Nor a comment with a quote, nor a name with a dollar sign.)
pub fn has_no_string(text: &[u8]) -> bool {
    let is_parameter = |at: usize| text.get(at + 1).is_some_and(u8::is_ascii_digit);
    text.is_ascii()
        && memchr::memchr2_iter(b'\'', b'$', text).all(|at| text.get(at) == Some(&b'$') && is_parameter(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types(oids: &[u32]) -> Vec<u8> {
        let mut out = (oids.len() as u16).to_be_bytes().to_vec();
        oids.iter().for_each(|oid| out.extend(oid.to_be_bytes()));
        out
    }

    #[test]
    fn types_are_given_for_all_parameters_or_watched() {
        let text = b"select $1, $2 from t where a = $1";
        assert!(!infers(&types(&[23, 25]), text) && !infers(&types(&[23, 25, 25]), text));
        assert!(infers(&types(&[]), text) && infers(&types(&[23]), text));
        assert!(infers(&types(&[23, 0]), text) && infers(&types(&[UNKNOWN, 23]), text));
        assert!(!infers(&types(&[]), b"select 1"));
        assert!(infers(&[], b"select 1"), "malformed");
        assert!(infers(&types(&[23]), b"select $99999999999999999999"));
    }

    #[test]
    fn strings_are_seen_in_each_form() {
        for text in ["select $1 + 2.5e3, \"a b\" from t -- note", "select $12"] {
            assert!(has_no_string(text.as_bytes()), "{text}");
        }
        for text in
            ["select 'now'", "select e'x'", "select $$now$$", "select $a$now$a$", "select U&'x'", "select é"]
        {
            assert!(!has_no_string(text.as_bytes()), "{text}");
        }
    }

    fn identity(text: &'static str) -> Identity {
        Identity {
            text: Bytes::from_static(text.as_bytes()),
            types: Bytes::from_static(&[0, 0]),
            path: "acme".into(),
            role: None,
            reading: Arc::default(),
            epoch: 0,
        }
    }

    #[test]
    fn statement_gets_a_name_when_it_comes_again() {
        let store = StatementStore::new();
        let watched = || store.repeated(identity("select $1 from t"), || Some("SELECT * FROM t".into()));
        assert!(watched().name.is_empty());
        let kept = watched();
        assert!(!kept.name.is_empty() && kept.id == watched().id);
        let watch = kept.watch.clone().unwrap();
        let other = || store.repeated(identity("select a = $1 from t"), || Some("SELECT * FROM t".into()));
        other();
        assert_eq!(other().watch.as_ref().unwrap().id, watch.id, "of the same relations");

        store.forget_repeated(&kept, false);
        let again = watched();
        assert!(again.id > kept.id && again.watch.as_ref().unwrap().id > watch.id);
        // The other statement keeps the watch that it was prepared with.
        assert_eq!(other().watch.as_ref().unwrap().id, watch.id);
        store.forget_repeated(&kept, false);
        assert_eq!(watched().id, again.id, "one that is forgotten already takes no other along");
        store.forget_repeated(&again, true);
        assert!(watched().name.is_empty() && watched().name.is_empty());
    }

    #[test]
    fn statement_that_needs_no_watch_has_none() {
        let store = StatementStore::new();
        let with_schemas = |text| Identity { path: "".into(), ..identity(text) };
        for _ in 0..2 {
            store.repeated(with_schemas("select 1"), || panic!("nothing is inferred"));
            store.repeated(with_schemas("select $1::int4"), || Some(String::new()));
            store.repeated(with_schemas("select $1 from t"), || None);
            store.repeated(identity("select a from t"), || Some("SELECT * FROM t".into()));
        }
        assert!(store.repeated(identity("select a from t"), || None).watch.is_some(), "by the path");
        let kept = |text| store.repeated(with_schemas(text), || None);
        assert!(!kept("select 1").name.is_empty() && kept("select 1").watch.is_none());
        assert!(!kept("select $1::int4").name.is_empty() && kept("select $1::int4").watch.is_none());
        assert!(kept("select $1 from t").name.is_empty());
    }
}
