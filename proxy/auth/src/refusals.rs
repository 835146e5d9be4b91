//! What the log says of clients that did not get in: each of them, but no more lines than a disk can bear.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use crate::net::socket::Peer;
use crate::wire::refusal::Refusal;

/// Lines that may be written at once.
const BURST: u32 = 100;
/// How long it takes until one more may be: a flood leaves five lines in a second.
const EACH: Duration = Duration::from_millis(200);
/// The longest name that a line quotes, in characters: a client may send what it likes.
const LONGEST: usize = 128;

/// Of the whole process: the log is one.
static PACE: Pace = Pace::new();

/// Who was refused. Nothing of it need be true, and none of it is a secret.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Who<'a> {
    /// As the client wrote it.
    pub(crate) user: Option<&'a str>,
    /// As the client wrote it.
    pub(crate) database: Option<&'a str>,
    /// The tenant that it named.
    pub(crate) tenant: Option<&'a str>,
}

/// The one line that a refusal leaves in the log.
pub(crate) fn log(peer: Peer, who: Who<'_>, refusal: &Refusal) {
    let Who { user, database, tenant } = who;
    let (user, database, tenant) = (user.map(short), database.map(short), tenant.map(short));
    let reason = short(&refusal.message);
    paced(|left_out| {
        tracing::warn!(%peer, user, database, tenant, code = refusal.code, ?reason, left_out, "client refused");
    });
}

/// Writes a line about a client that is not logged in, if it is not one too many.
///
/// `write` is given the number of lines that were left out before, where there are any.
pub fn paced(write: impl FnOnce(Option<u64>)) {
    if let Some(left_out) = PACE.take(Instant::now()) {
        write((left_out > 0).then_some(left_out));
    }
}

/// The beginning of what a client has written.
pub fn short(text: &str) -> &str {
    text.char_indices().nth(LONGEST).and_then(|(at, _)| text.get(..at)).unwrap_or(text)
}

/// A bucket of lines, which fills again as time goes by.
struct Pace(Mutex<Bucket>);

struct Bucket {
    lines: u32,
    filled: Option<Instant>,
    left_out: u64,
}

impl Pace {
    const fn new() -> Self {
        Self(Mutex::new(Bucket { lines: BURST, filled: None, left_out: 0 }))
    }

    /// One line: how many were left out before it. `None`: not now.
    fn take(&self, now: Instant) -> Option<u64> {
        let mut bucket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let filled = *bucket.filled.get_or_insert(now);
        let due = now.saturating_duration_since(filled).as_millis() / EACH.as_millis();
        let due = u32::try_from(due).unwrap_or(BURST).min(BURST);
        if due > 0 {
            bucket.lines = bucket.lines.saturating_add(due).min(BURST);
            bucket.filled = Some(if due == BURST { now } else { filled + EACH * due });
        }
        if bucket.lines == 0 {
            bucket.left_out += 1;
            return None;
        }
        bucket.lines -= 1;
        Some(std::mem::take(&mut bucket.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flood_leaves_few_lines_and_their_number() {
        let (pace, begin) = (Pace::new(), Instant::now());
        let taken = |at| (0..1000).filter_map(|_| pace.take(at)).count();
        assert_eq!(taken(begin), BURST as usize);
        // All that was left out is told of once.
        let later = begin + Duration::from_secs(1);
        assert_eq!(pace.take(later), Some(900));
        assert_eq!(pace.take(later), Some(0));
        assert_eq!(taken(later), 3);
        assert_eq!(pace.take(begin + Duration::from_secs(2)), Some(997));
        // A quiet time fills the bucket, and no more than that.
        assert_eq!(taken(begin + Duration::from_secs(3600)), BURST as usize);
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        assert_eq!(short("app"), "app");
        assert_eq!(short(&"ä".repeat(10_000)), "ä".repeat(LONGEST));
    }
}
