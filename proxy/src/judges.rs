//! Threads that analyse long texts, so that the threads that serve clients do not. A few texts are analysed at once,
//! and tenants take turns.
//!
//! The engine limits the time and the memory of one text; this module limits the number of texts, at a time and, while
//! other tenants are active, of one tenant.
//!
//! # Layout
//! - [`pace`]: the pauses between the texts of one tenant.
//! - [`neighbours`]: which tenants were active lately.

mod neighbours;
mod pace;

use std::hash::{BuildHasher, RandomState};
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use foldhash::quality::FixedState;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use self::neighbours::Neighbours;
use self::pace::{Paces, processor_time};
use crate::pool::claim::Claim;
use crate::pool::fair::{Item, Pool};
use crate::pool::turns::Tenant;
use crate::sql::plan::Refusal;

/// The length above which texts are analysed one by one, because each takes much memory.
const LONG: usize = 256 << 10;

/// The niceness of these threads: if all cores are busy, they get a tenth of one.
#[cfg(target_os = "linux")]
const BEHIND: i32 = 10;

/// The analysis threads of a process.
pub struct Judges {
    usual: Lane,
    long: Lane,
    hasher: FixedState,
    paces: Paces,
    /// The number of pauses.
    pauses: AtomicU64,
    neighbours: Neighbours,
}

/// Why a text was not analysed.
#[derive(Debug, thiserror::Error)]
pub enum NotJudged {
    /// It had no turn in this time.
    #[error("the query was not analysed within {0:?} (pool.wait_timeout): too many long queries are waiting")]
    Late(Duration),
    /// There is no thread.
    #[error("the query could not be analysed")]
    Lost,
}

impl From<NotJudged> for Refusal {
    fn from(error: NotJudged) -> Self {
        let (code, hint) = match error {
            NotJudged::Late(_) => {
                ("53000", Some("Send shorter texts, with parameters in the place of values.".into()))
            }
            NotJudged::Lost => ("XX000", None),
        };
        Refusal { code, message: error.to_string(), hint }
    }
}

impl Judges {
    /// For a machine with this number of cores, which the threads that serve clients need, too.
    pub fn new(cores: usize) -> Self {
        let hasher = FixedState::with_seed(RandomState::new().hash_one(0));
        Self {
            usual: Lane::new((cores / 2).max(1)),
            long: Lane::new(1),
            hasher,
            paces: Paces::new(cores),
            pauses: AtomicU64::new(0),
            neighbours: Neighbours::new(),
        }
    }

    /// PostgreSQL has answered a request of the claim's tenant: it is active.
    #[inline]
    pub fn note_request(&self, claim: &Claim, now: Instant) {
        self.neighbours.note(claim.mark(), now);
    }

    /// The number of texts that waited because their tenant's texts took more than its part of a processor.
    pub fn pauses(&self) -> u64 {
        self.pauses.load(Ordering::Relaxed)
    }

    /// A hash of a text that no client can predict.
    pub fn fingerprint(&self, text: &[u8]) -> u64 {
        self.hasher.hash_one(text)
    }

    /// Runs `work` for a text of this size in its tenant's turn, and waits for the turn no longer than `limit`.
    /// `paused` is called before a pause of the tenant.
    pub async fn judge<T: Send + 'static>(
        &self,
        tenant: &Tenant,
        (bytes, limit): (usize, Duration),
        paused: impl FnOnce(),
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NotJudged> {
        let lane = if bytes > LONG { &self.long } else { &self.usual };
        let claim = Claim::of(tenant.clone());
        let pace = self.paces.of(tenant);
        let turn = async {
            let next = pace.next(
                || self.neighbours.has_others(claim.mark(), Instant::now()),
                || {
                    self.pauses.fetch_add(1, Ordering::Relaxed);
                    paused();
                },
            );
            (next.await, lane.turns.acquire(&claim).await)
        };
        let (next, turn) = timeout(limit, turn).await.map_err(|_| NotJudged::Late(limit))?;
        let turn = turn.map_err(|_| NotJudged::Lost)?;
        let (answer, answered) = oneshot::channel();
        lane.send(Box::new(move || {
            let begun = processor_time();
            let done = catch_unwind(AssertUnwindSafe(work));
            pace.spent(processor_time().saturating_sub(begun), Instant::now());
            // The next job gets its turn before this one continues.
            drop((turn, next));
            _ = done.map(|done| answer.send(done));
        }))?;
        answered.await.map_err(|_| NotJudged::Lost)
    }
}

impl Default for Judges {
    fn default() -> Self {
        Self::new(thread::available_parallelism().map_or(1, NonZero::get))
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// Threads for one kind of job.
struct Lane {
    threads: usize,
    /// The turns; a turn permits one job.
    turns: Pool<Nothing>,
    /// The queue of jobs, created with the first job.
    jobs: OnceLock<Sender<Job>>,
}

/// The pool has turns only.
enum Nothing {}

impl Item for Nothing {
    fn is_sound(&self) -> bool {
        match *self {}
    }

    fn moved(self) -> Option<Self> {
        Some(self)
    }
}

impl Lane {
    fn new(threads: usize) -> Self {
        Self { threads, turns: Pool::new(threads), jobs: OnceLock::new() }
    }

    fn send(&self, job: Job) -> Result<(), NotJudged> {
        let jobs = self.jobs.get_or_init(|| start(self.threads));
        jobs.send(job).map_err(|_| NotJudged::Lost)
    }
}

/// Starts threads that end when the sender of their jobs is dropped.
fn start(threads: usize) -> Sender<Job> {
    let (sender, receiver) = channel();
    let receiver = Arc::new(Mutex::new(receiver));
    for _ in 0..threads {
        let receiver = Arc::clone(&receiver);
        let started = thread::Builder::new().name("pgstrata-judge".into()).spawn(move || work_off(&receiver));
        if let Err(error) = started {
            tracing::error!(%error, "failed to start an analysis thread");
        }
    }
    sender
}

/// Lowers the priority of this thread: the threads that serve clients have little to do for each, and clients wait for
/// them.
fn give_way() {
    // On Linux each thread has a priority.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(BEHIND) {
        tracing::debug!(%error, "failed to lower the priority of an analysis thread");
    }
}

fn work_off(jobs: &Mutex<Receiver<Job>>) {
    give_way();
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        match next {
            Ok(job) => job(),
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    const FOR_EVER: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn tenants_take_turns_and_what_is_longer_has_a_thread_of_its_own() {
        let (judges, order) = (Arc::new(Judges::new(1)), Arc::new(Mutex::new(Vec::new())));
        let (open, gate) = channel::<()>();
        let mut tasks = Vec::new();
        let mut ask = |tenant: &'static str, bytes, before: Option<Receiver<()>>| {
            let (judges, order) = (Arc::clone(&judges), Arc::clone(&order));
            tasks.push(tokio::spawn(async move {
                let work = move || {
                    before.map(|gate| gate.recv());
                    order.lock().unwrap().push(tenant);
                };
                judges.judge(&Some(tenant.into()), (bytes, FOR_EVER), || (), work).await.unwrap();
            }));
        };
        ask("flood", 1, Some(gate));
        (0..3).for_each(|_| ask("flood", 1, None));
        ask("quiet", 1, None);
        while judges.usual.turns.status().waiting < 4 {
            tokio::task::yield_now().await;
        }
        ask("long", LONG + 1, None);
        tasks.pop().unwrap().await.unwrap();
        open.send(()).unwrap();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), ["long", "flood", "flood", "quiet", "flood", "flood"]);
    }

    #[tokio::test]
    async fn panic_ends_one_job_and_no_thread() {
        let judges = Judges::new(1);
        let broken = judges.judge(&None, (1, FOR_EVER), || (), || panic!("as a test")).await;
        assert!(matches!(broken, Err::<(), _>(NotJudged::Lost)));
        assert_eq!(judges.judge(&None, (1, FOR_EVER), || (), || 7).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn who_waits_too_long_is_told() {
        let judges = Judges::new(1);
        let (_open, gate) = channel::<()>();
        let mut busy = Box::pin(judges.judge(&None, (1, FOR_EVER), || (), move || gate.recv().is_ok()));
        assert!(busy.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let late = judges.judge(&None, (1, Duration::from_millis(1)), || (), || ()).await;
        assert!(matches!(late, Err(NotJudged::Late(_))));
    }
}
