use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, LazyLock};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::time::{sleep, timeout};

use super::super::turns::likes;
use super::*;

/// Counts how many of it there are.
struct Thing {
    alive: Arc<AtomicUsize>,
    moves: usize,
    sound: bool,
    number: Option<u64>,
}

impl Thing {
    fn new(alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::SeqCst);
        Self { alive: Arc::clone(alive), moves: 0, sound: true, number: None }
    }
}

impl Drop for Thing {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Item for Thing {
    fn is_sound(&self) -> bool {
        self.sound
    }

    fn moved(mut self) -> Option<Self> {
        self.moves += 1;
        Some(self)
    }

    fn number(&self) -> Option<u64> {
        self.number
    }
}

/// Asks it once.
fn is_pending<F: Future>(future: &mut Pin<Box<F>>) -> bool {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
}

fn tenant(name: &str) -> Claim {
    Claim::of(Some(name.into()))
}

fn nobody() -> &'static Claim {
    static NOBODY: LazyLock<Claim> = LazyLock::new(|| Claim::of(None));
    &NOBODY
}

async fn get(pool: &Pool<Thing>, tenant: &Claim, alive: &Arc<AtomicUsize>) -> Loan<Thing> {
    match pool.acquire(tenant).await.unwrap() {
        Grant::Item(loan) => loan,
        Grant::Place(place) => place.fill(Thing::new(alive)).unwrap(),
    }
}

#[tokio::test]
async fn what_is_given_back_is_lent_again_and_what_is_dropped_is_not() {
    let (pool, alive) = (Pool::new(1), Arc::default());
    get(&pool, nobody(), &alive).await.give_back();
    assert_eq!(pool.status(), Status { size: 1, idle: 1, waiting: 0 });
    let loan = get(&pool, nobody(), &alive).await;
    assert_eq!(alive.load(Ordering::SeqCst), 1);
    drop(loan);
    assert_eq!((alive.load(Ordering::SeqCst), pool.status()), (0, Status::default()));
    let mut loan = get(&pool, nobody(), &alive).await;
    loan.sound = false;
    loan.give_back();
    assert_eq!((alive.load(Ordering::SeqCst), pool.status()), (0, Status::default()));
}

#[tokio::test]
async fn one_tenants_flood_delays_another_by_one_turn() {
    let (pool, alive) = (Pool::new(1), Arc::default());
    let held = get(&pool, nobody(), &alive).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut tasks = tokio::task::JoinSet::new();
    for i in 0..20 {
        // The quiet one comes last.
        let name = if i == 19 { "quiet" } else { "flood" };
        let (pool, alive, order) = (pool.clone(), Arc::clone(&alive), Arc::clone(&order));
        tasks.spawn(async move {
            let loan = get(&pool, &tenant(name), &alive).await;
            order.lock().unwrap().push(name);
            loan.give_back();
        });
        tokio::task::yield_now().await;
    }
    while pool.status().waiting < 20 {
        tokio::task::yield_now().await;
    }
    held.give_back();
    while tasks.join_next().await.is_some() {}
    assert_eq!(order.lock().unwrap().iter().position(|name| *name == "quiet"), Some(1));
    assert_eq!(pool.status(), Status { size: 1, idle: 1, waiting: 0 });
}

#[tokio::test]
async fn who_stops_waiting_takes_nothing_along() {
    let (pool, alive) = (Pool::new(1), Arc::default());
    let held = get(&pool, nobody(), &alive).await;
    let waits = pool.acquire(nobody());
    assert!(timeout(Duration::from_millis(5), waits).await.is_err());
    assert_eq!(pool.status().waiting, 0);
    // One that was called and never came: the item is as good as idle.
    let mut called = Box::pin(pool.acquire(nobody()));
    assert!(is_pending(&mut called));
    held.give_back();
    assert_eq!(pool.status(), Status { size: 1, idle: 0, waiting: 0 });
    drop(called);
    assert_eq!((alive.load(Ordering::SeqCst), pool.status()), (1, Status { size: 1, idle: 1, waiting: 0 }));
}

#[tokio::test]
async fn a_place_that_comes_to_nothing_goes_to_the_next() {
    let (pool, alive) = (Pool::new(1), Arc::default());
    let Ok(Grant::Place(place)) = pool.acquire(nobody()).await else { panic!() };
    let mut gone = Box::pin(pool.acquire(nobody()));
    assert!(is_pending(&mut gone));
    let mut next = Box::pin(get(&pool, nobody(), &alive));
    assert!(is_pending(&mut next));
    drop(place);
    // It was called, and has gone.
    drop(gone);
    next.await.give_back();
    assert_eq!(pool.status(), Status { size: 1, idle: 1, waiting: 0 });
}

#[tokio::test]
async fn a_closed_pool_lends_nothing() {
    let (pool, alive) = (Pool::new(2), Arc::default());
    let (first, second) = (get(&pool, nobody(), &alive).await, get(&pool, nobody(), &alive).await);
    let mut waits = Box::pin(pool.acquire(nobody()));
    assert!(is_pending(&mut waits));
    pool.close();
    assert!(matches!(waits.await, Err(Unlent::Closed)));
    assert!(matches!(pool.acquire(nobody()).await, Err(Unlent::Closed)));
    first.give_back();
    drop(second);
    assert_eq!((alive.load(Ordering::SeqCst), pool.status()), (0, Status::default()));
}

/// On a thread of its own.
fn elsewhere<R: Send>(work: impl Future<Output = R> + Send) -> R {
    std::thread::scope(|scope| {
        let running =
            scope.spawn(|| Builder::new_current_thread().enable_all().build().unwrap().block_on(work));
        running.join().unwrap()
    })
}

#[tokio::test]
async fn a_thread_gets_its_own_back_and_others_move_when_they_stay_away() {
    let (pool, alive) = (Pool::new(2), Arc::default());
    let (mine, theirs) = (get(&pool, nobody(), &alive).await, elsewhere(get(&pool, nobody(), &alive)));
    let is_mine = |loan: &Loan<Thing>| loan.home.thread == here();
    mine.give_back();
    theirs.give_back();
    // Though the other one came back last.
    let mine = get(&pool, nobody(), &alive).await;
    assert!(is_mine(&mine));
    for use_ in 1..=AWAY {
        let theirs = get(&pool, nobody(), &alive).await;
        assert_eq!((theirs.moves, is_mine(&theirs)), (usize::from(use_ == AWAY), use_ == AWAY));
        theirs.give_back();
    }
}

const PLACES: usize = 3;

/// As a client does; some break, some are broken off, some wait in vain.
async fn use_once(pool: &Pool<Thing>, alive: &Arc<AtomicUsize>, client: usize, round: usize) {
    let name = tenant(["a", "b", "c"][client % 3]);
    let asked = timeout(Duration::from_secs(20), get(pool, &name, alive));
    let mut loan = asked.await.expect("somebody was forgotten");
    assert!(alive.load(Ordering::SeqCst) <= PLACES);
    if round.is_multiple_of(16) {
        sleep(Duration::from_micros(client as u64)).await;
    }
    match (round + client) % 37 {
        0 => drop(loan),
        1 => {
            loan.sound = false;
            loan.give_back();
        }
        2 => {
            loan.give_back();
            let _ = timeout(Duration::ZERO, get(pool, &name, alive)).await;
        }
        _ => loan.give_back(),
    }
}

#[test]
fn many_threads_share_few_and_lose_none() {
    let (pool, alive) = (Pool::new(PLACES), Arc::<AtomicUsize>::default());
    let used = Arc::<AtomicUsize>::default();
    let start = Barrier::new(4);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (pool, alive, start, used) = (&pool, &alive, &start, &used);
            scope.spawn(move || {
                start.wait();
                let runtime = Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let mut clients = tokio::task::JoinSet::new();
                    for client in 0..16 {
                        let (pool, alive, used) = (pool.clone(), Arc::clone(alive), Arc::clone(used));
                        clients.spawn(async move {
                            for round in 0..200 {
                                use_once(&pool, &alive, thread + client, round).await;
                                used.fetch_add(1, Ordering::SeqCst);
                            }
                        });
                    }
                    while let Some(done) = clients.join_next().await {
                        done.unwrap();
                    }
                });
            });
        }
    });
    assert_eq!(used.load(Ordering::SeqCst), 4 * 16 * 200);
    let status = pool.status();
    assert_eq!((status.waiting, status.size), (0, status.idle));
    assert_eq!(alive.load(Ordering::SeqCst), status.idle);
}

/// Somebody who has waited so far, and is asked what came of it.
fn waits(pool: &Pool<Thing>, again: bool) -> Pin<Box<impl Future<Output = Result<Grant<Thing>, Unlent>>>> {
    let pool = pool.clone();
    let mut waiting = Box::pin(async move {
        match again {
            true => pool.acquire_again(nobody()).await,
            false => pool.acquire(nobody()).await,
        }
    });
    assert!(is_pending(&mut waiting));
    waiting
}

#[tokio::test]
async fn pool_makes_do_with_the_items_that_there_are() {
    let (pool, alive) = (Pool::new(3), Arc::default());
    let loan = get(&pool, nobody(), &alive).await;
    let [Grant::Place(second), Grant::Place(third)] =
        [pool.acquire(nobody()).await.unwrap(), pool.acquire(nobody()).await.unwrap()]
    else {
        panic!("there is room for three")
    };
    assert!(second.refused(), "somebody has to say when to try again");
    assert!(!third.refused(), "once");
    let behind = waits(&pool, false);
    let first = waits(&pool, true);
    loan.give_back();
    let Grant::Item(loan) = first.await.unwrap() else { panic!("it has come back") };
    pool.try_again();
    let Grant::Place(place) = behind.await.unwrap() else { panic!("another attempt is due") };
    let mut next = waits(&pool, false);
    drop(place.fill(Thing::new(&alive)).unwrap());
    let Grant::Place(place) = timeout(Duration::from_secs(9), &mut next).await.unwrap().unwrap() else {
        panic!()
    };
    assert!(place.refused());
    pool.widen(2);
    drop(loan);
    let mut loans = Vec::new();
    for _ in 0..2 {
        loans.push(get(&pool, nobody(), &alive).await);
    }
    assert_eq!(pool.status(), Status { size: 2, idle: 0, waiting: 0 });
}

#[tokio::test]
async fn those_who_wait_in_vain_are_called_off() {
    let pool: Pool<Thing> = Pool::new(1);
    let Grant::Place(place) = pool.acquire(nobody()).await.unwrap() else { panic!() };
    let waiting = waits(&pool, false);
    assert!(place.refused());
    pool.call_off();
    assert_eq!(waiting.await.err(), Some(Unlent::CalledOff));
    assert_eq!(pool.status(), Status::default());
    pool.close();
    assert_eq!(pool.acquire(nobody()).await.err(), Some(Unlent::Closed));
}

#[tokio::test]
async fn paused_pool_lends_nothing_keeps_nothing_and_loses_nobody() {
    let (pool, alive) = (Pool::new(2), Arc::default());
    let held = get(&pool, nobody(), &alive).await;
    get(&pool, &tenant("a"), &alive).await.give_back();
    pool.pause();
    assert_eq!((pool.status(), alive.load(Ordering::SeqCst)), (Status { size: 1, idle: 0, waiting: 0 }, 1));
    assert!(pool.take(nobody(), Instant::now(), |_, _| true).is_none());
    let mut first = Box::pin(pool.acquire(nobody()));
    let other = tenant("a");
    let mut second = Box::pin(pool.acquire(&other));
    assert!(is_pending(&mut first) && is_pending(&mut second));
    // What comes back is gone, and nobody gets its place.
    held.give_back();
    assert!(is_pending(&mut first) && is_pending(&mut second));
    assert_eq!((pool.status(), alive.load(Ordering::SeqCst)), (Status { size: 0, idle: 0, waiting: 2 }, 0));
    let before = Instant::now();
    let mut resumed = Box::pin(pool.resumed_since(before));
    assert!(is_pending(&mut resumed));
    pool.resume();
    let at = resumed.await.unwrap();
    // Whoever came behind that was not held up by it.
    assert!(at > before && pool.resumed_since(at).await.is_none());
    assert!(matches!(first.await, Ok(Grant::Place(_))) && matches!(second.await, Ok(Grant::Place(_))));
    assert!(!pool.is_paused());
}

#[tokio::test]
async fn place_that_was_granted_before_a_pause_is_given_up_behind_it() {
    let (pool, alive) = (Pool::new(1), Arc::default());
    let Ok(Grant::Place(place)) = pool.acquire(nobody()).await else { panic!("there is room") };
    pool.pause();
    let loan = place.fill(Thing::new(&alive)).unwrap();
    assert_eq!(pool.status().size, 1);
    loan.give_back();
    assert_eq!((pool.status(), alive.load(Ordering::SeqCst)), (Status::default(), 0));
}

#[tokio::test]
async fn pool_that_grows_serves_who_waits_and_one_that_shrinks_takes_back() {
    let (pool, alive) = (Pool::new(1), Arc::default());
    let first = get(&pool, nobody(), &alive).await;
    let mut waits = Box::pin(pool.acquire(nobody()));
    assert!(is_pending(&mut waits));
    pool.resize(3, Share::All);
    let Ok(Grant::Place(place)) = waits.await else { panic!("there is room") };
    let second = place.fill(Thing::new(&alive)).unwrap();
    get(&pool, nobody(), &alive).await.give_back();
    assert_eq!(pool.status(), Status { size: 3, idle: 1, waiting: 0 });
    pool.resize(1, Share::All);
    assert_eq!((pool.status().size, alive.load(Ordering::SeqCst)), (2, 2), "the idle one goes at once");
    let mut waits = Box::pin(pool.acquire(nobody()));
    assert!(is_pending(&mut waits));
    first.give_back();
    assert!(is_pending(&mut waits), "there is one too many");
    assert_eq!(alive.load(Ordering::SeqCst), 1);
    second.give_back();
    let Ok(Grant::Item(last)) = waits.await else { panic!("it is the last one's turn") };
    last.give_back();
    assert_eq!(pool.status(), Status { size: 1, idle: 1, waiting: 0 });
}

#[tokio::test]
async fn pool_that_could_make_no_more_makes_no_more_for_having_grown() {
    let (pool, alive) = (Pool::new(2), Arc::default());
    let held = get(&pool, nobody(), &alive).await;
    let Ok(Grant::Place(place)) = pool.acquire(nobody()).await else { panic!("there is room") };
    assert!(place.refused());
    pool.resize(5, Share::All);
    let mut waits = Box::pin(pool.acquire(nobody()));
    assert!(is_pending(&mut waits), "PostgreSQL has no more");
    pool.try_again();
    assert!(matches!(waits.await, Ok(Grant::Place(_))));
    pool.resize(1, Share::All);
    held.give_back();
    assert_eq!(pool.status(), Status { size: 1, idle: 1, waiting: 0 });
}

#[tokio::test]
async fn share_that_comes_later_counts_what_is_lent_already() {
    let (pool, alive) = (Pool::new(4), Arc::default());
    let (flood, quiet) = (tenant("flood"), tenant("quiet"));
    let held = [get(&pool, &flood, &alive).await, get(&pool, &flood, &alive).await];
    // A share of two while others are about, as they are.
    pool.resize(4, Share::WithOthers(2, Duration::from_secs(3600)));
    get(&pool, &quiet, &alive).await.give_back();
    let mut waits = Box::pin(pool.acquire(&flood));
    assert!(is_pending(&mut waits));
    get(&pool, &quiet, &alive).await.give_back();
    assert!(is_pending(&mut waits));
    let [one, _other] = held;
    one.give_back();
    assert!(matches!(waits.await, Ok(Grant::Item(_))));
    assert!(pool.hindrance(&flood).is_none(), "what was granted was dropped");
    pool.resize(4, Share::All);
    assert!(pool.hindrance(&flood).is_none());
}

#[tokio::test]
async fn tenant_gets_what_it_likes_of_what_was_used_just_now() {
    let (pool, alive) = (Pool::new(8), Arc::default());
    let mut loans = Vec::new();
    for number in 0..8 {
        let mut loan = get(&pool, nobody(), &alive).await;
        loan.number = Some(number);
        loans.push(loan);
    }
    let now = Instant::now();
    loans.into_iter().for_each(|loan| loan.give_back_at(now));
    let got = |who: &Claim, now: Instant| {
        let loan = pool.take(who, now, |_, _| true).unwrap();
        let number = loan.number.unwrap();
        loan.give_back_at(now);
        number
    };
    for name in ["a", "b", "c", "d", "e"] {
        let who = tenant(name);
        let best = (0..8).max_by_key(|number| likes(who.mark(), *number)).unwrap();
        assert_eq!((got(&who, now), got(&who, now)), (best, best), "{name}");
        assert_eq!(got(nobody(), now), best, "who has no tenant gets the one that was used last");
    }
    // What has not been used for longer is left alone, so that it can grow old.
    let later = now + FRESH * 2;
    let last = got(nobody(), later);
    assert!(["a", "b", "c", "d", "e"].iter().all(|name| got(&tenant(name), later) == last));
    assert_eq!(alive.load(Ordering::SeqCst), 8);
}
