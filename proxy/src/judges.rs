//! Where long texts are judged: off the threads that serve clients, a few at once, tenants in turn.
//!
//! What one text may take, in time and in room, is bounded by the engine; how many are at it at once, here.

use std::hash::{BuildHasher, RandomState};
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use foldhash::quality::FixedState;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::pool::fair::{Item, Pool};
use crate::pool::turns::Tenant;
use crate::sql::plan::Refusal;

/// A longer text is one of those that are judged one by one, as each takes much room.
const LONG: usize = 256 << 10;

/// What is added to the niceness of their threads: where all cores are busy, they get a tenth of one.
#[cfg(target_os = "linux")]
const BEHIND: i32 = 10;

/// The judges of a process.
pub struct Judges {
    usual: Lane,
    long: Lane,
    hasher: FixedState,
}

/// Why a text was not judged.
#[derive(Debug, thiserror::Error)]
pub enum NotJudged {
    /// It was not its turn for so long.
    #[error("the query was not analysed within {0:?} (pool.wait_timeout): too many long queries are waiting")]
    Late(Duration),
    /// There is no thread for it.
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
    /// For a machine with so many cores: those that serve clients need them, too.
    pub fn new(cores: usize) -> Self {
        let hasher = FixedState::with_seed(RandomState::new().hash_one(0));
        Self { usual: Lane::new((cores / 2).max(1)), long: Lane::new(1), hasher }
    }

    /// What tells a text from others, with a hash that nobody can foresee.
    pub fn fingerprint(&self, text: &[u8]) -> u64 {
        self.hasher.hash_one(text)
    }

    /// Does `work` for a text of so many bytes when it is its tenant's turn, and waits no longer than `limit` for that.
    pub async fn judge<T: Send + 'static>(
        &self,
        tenant: &Tenant,
        bytes: usize,
        limit: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NotJudged> {
        let lane = if bytes > LONG { &self.long } else { &self.usual };
        let turn = timeout(limit, lane.turns.acquire(tenant)).await.map_err(|_| NotJudged::Late(limit))?;
        let turn = turn.map_err(|_| NotJudged::Lost)?;
        let (answer, answered) = oneshot::channel();
        lane.send(Box::new(move || {
            let done = catch_unwind(AssertUnwindSafe(work));
            // The next one is called before this one goes on.
            drop(turn);
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

/// Threads that do one kind of work.
struct Lane {
    threads: usize,
    /// Of places alone: whoever has one may send a job.
    turns: Pool<Nothing>,
    /// There once there has been a job.
    jobs: OnceLock<Sender<Job>>,
}

/// Places are all that is lent.
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

/// Threads that end when nobody can send them anything any more.
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

/// What serves clients goes first: it has little to do for each of them, and they wait for that.
fn give_way() {
    // On Linux a thread has a priority of its own.
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
                judges.judge(&Some(tenant.into()), bytes, FOR_EVER, work).await.unwrap();
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
        let broken = judges.judge(&None, 1, FOR_EVER, || panic!("as a test")).await;
        assert!(matches!(broken, Err::<(), _>(NotJudged::Lost)));
        assert_eq!(judges.judge(&None, 1, FOR_EVER, || 7).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn who_waits_too_long_is_told() {
        let judges = Judges::new(1);
        let (_open, gate) = channel::<()>();
        let mut busy = Box::pin(judges.judge(&None, 1, FOR_EVER, move || gate.recv().is_ok()));
        assert!(busy.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let late = judges.judge(&None, 1, Duration::from_millis(1), || ()).await;
        assert!(matches!(late, Err(NotJudged::Late(_))));
    }
}
