//! The part of a processor that one tenant's long texts may take while other tenants are active.
//!
//! PostgreSQL analyses a text once more, in a process that has the priority of all others, and may then run it. So a
//! tenant whose texts take much time waits between them, in proportion to the time that they took here. Its texts are
//! then analysed one after the other.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use foldhash::{HashMap, HashMapExt};
use tokio::sync::{Mutex as Queue, OwnedMutexGuard};
use tokio::time::{Instant, sleep};

use crate::pool::turns::Tenant;

/// A tenant's texts may take one part of this number of parts of all processors, and at most one processor.
const PARTS: u32 = 10;
/// The processor time that a tenant has without pauses, when it has used none for a while.
const FREE: Duration = Duration::from_millis(50);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(1);
/// The number of accounts at which those that owe nothing are dropped.
const SWEEP: usize = 1024;

/// The paces of all tenants.
pub(super) struct Paces {
    /// See [`Pace::parts`].
    parts: u32,
    accounts: Mutex<Accounts>,
}

struct Accounts {
    by_tenant: HashMap<Tenant, Arc<Pace>>,
    /// The number of accounts at which they are swept next.
    sweep_at: usize,
}

impl Default for Accounts {
    fn default() -> Self {
        Self { by_tenant: HashMap::new(), sweep_at: SWEEP }
    }
}

impl Paces {
    /// On a machine with so many processors.
    pub(super) fn new(processors: usize) -> Self {
        let processors = u32::try_from(processors).unwrap_or(PARTS).clamp(1, PARTS);
        Self { parts: PARTS.div_ceil(processors), accounts: Mutex::default() }
    }

    /// The account of a tenant, which lasts as long as the tenant has texts or owes time.
    pub(super) fn of(&self, tenant: &Tenant) -> Arc<Pace> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pace) = accounts.by_tenant.get(tenant) {
            return Arc::clone(pace);
        }
        if accounts.by_tenant.len() >= accounts.sweep_at {
            let now = Instant::now();
            accounts.by_tenant.retain(|_, pace| Arc::strong_count(pace) > 1 || pace.paid_at() > now);
            accounts.sweep_at = (accounts.by_tenant.len() * 2).max(SWEEP);
        }
        let pace = Arc::new(Pace::new(self.parts));
        accounts.by_tenant.insert(tenant.clone(), Arc::clone(&pace));
        pace
    }
}

/// The pace of one tenant.
pub(super) struct Pace {
    /// The tenant's texts may take one part of this number of parts of a processor.
    parts: u32,
    /// When the time that its texts took will be paid for, at the tenant's part of a processor.
    paid_at: Mutex<Instant>,
    /// First come, first served.
    queue: Arc<Queue<()>>,
}

/// The right to have the next text analysed; the tenant's next one waits until it is dropped.
pub(super) type Next = OwnedMutexGuard<()>;

impl Pace {
    fn new(parts: u32) -> Self {
        Self { parts, paid_at: Mutex::new(Instant::now()), queue: Arc::default() }
    }

    fn paid_at(&self) -> Instant {
        *self.paid_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the time of the tenant's next text. `None`: it is alone, and has no pauses. `paused` is called
    /// before a pause.
    pub(super) async fn next(
        &self,
        has_neighbours: impl Fn() -> bool,
        paused: impl FnOnce(),
    ) -> Option<Next> {
        if !has_neighbours() {
            return None;
        }
        let next = Arc::clone(&self.queue).lock_owned().await;
        if let Some(pause) = self.pause(Instant::now())
            && has_neighbours()
        {
            paused();
            sleep(pause).await;
        }
        Some(next)
    }

    /// The pause that is due now.
    fn pause(&self, now: Instant) -> Option<Duration> {
        let owed = self.paid_at().saturating_duration_since(now);
        owed.checked_sub(FREE * self.parts).filter(|pause| !pause.is_zero())
    }

    /// A text has taken this much of a processor.
    pub(super) fn spent(&self, time: Duration, now: Instant) {
        let mut paid_at = self.paid_at.lock().unwrap_or_else(PoisonError::into_inner);
        let behind = (*paid_at).max(now) + time.saturating_mul(self.parts).min(LONGEST);
        *paid_at = behind.min(now + FREE * self.parts + LONGEST);
    }
}

/// The processor time of this thread so far: the time that passes also has that of others.
#[cfg(target_os = "linux")]
pub(super) fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let (seconds, nanoseconds) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanoseconds.unwrap_or_default())
}

/// The time that passes, where no other is known.
#[cfg(not(target_os = "linux"))]
pub(super) fn processor_time() -> Duration {
    static ORIGIN: std::sync::LazyLock<std::time::Instant> =
        std::sync::LazyLock::new(std::time::Instant::now);
    ORIGIN.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: Duration = Duration::from_millis(10);

    #[test]
    fn texts_take_their_part_of_a_processor() {
        let (pace, begun) = (Pace::new(PARTS), Instant::now());
        let (mut now, mut free) = (begun, 0);
        for _ in 0..100 {
            match pace.pause(now) {
                Some(pause) => now += pause,
                None => free += 1,
            }
            pace.spent(TEXT, now);
        }
        // The free time is there once, and each text behind it is paid for in full.
        assert_eq!(free, 6);
        assert_eq!((now - begun).as_millis(), (94 * TEXT * PARTS).as_millis());
    }

    #[test]
    fn part_grows_with_the_machine() {
        let parts = |processors| Paces::new(processors).parts;
        assert_eq!([0, 1, 2, 4, 10, 64].map(parts), [10, 10, 5, 3, 1, 1]);
    }

    #[test]
    fn pause_is_bounded_however_much_a_tenant_has_used() {
        let (pace, now) = (Pace::new(PARTS), Instant::now());
        (0..1000).for_each(|_| pace.spent(TEXT * 1000, now));
        assert_eq!(pace.pause(now), Some(LONGEST));
        assert_eq!(pace.pause(now + LONGEST), None);
    }

    #[tokio::test]
    async fn tenant_that_is_alone_has_no_pauses_and_waits_for_nothing() {
        let pace = Pace::new(PARTS);
        pace.spent(TEXT * 1000, Instant::now());
        let _first = Arc::clone(&pace.queue).lock_owned().await;
        assert!(pace.next(|| false, || panic!("a pause")).await.is_none());
    }

    #[tokio::test]
    async fn texts_of_one_tenant_wait_for_each_other_and_not_for_those_of_another() {
        let paces = Paces::new(1);
        let first = paces.of(&Some("flood".into())).next(|| true, || ()).await;
        let second = tokio::spawn({
            let pace = paces.of(&Some("flood".into()));
            async move { pace.next(|| true, || ()).await.is_some() }
        });
        assert!(paces.of(&Some("quiet".into())).next(|| true, || ()).await.is_some());
        tokio::task::yield_now().await;
        assert!(!second.is_finished());
        drop(first);
        assert!(second.await.unwrap());
    }

    #[test]
    fn accounts_that_owe_nothing_are_dropped() {
        let paces = Paces::new(1);
        paces.of(&Some("owes".into())).spent(LONGEST, Instant::now());
        for tenant in 0..SWEEP {
            paces.of(&Some(tenant.to_string().into()));
        }
        let accounts = paces.accounts.lock().unwrap();
        assert_eq!(accounts.by_tenant.len(), 2);
        assert!(accounts.by_tenant.contains_key(&Some("owes".into())));
    }
}
