//! The clients of a process that another has taken over from: they leave between two transactions, a few at a time, so
//! that those who come back do not come all at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::clients::slot::ClientSlot;
use crate::config::is_console;
use crate::shared::Shared;

/// Between two looks.
const TICK: Duration = Duration::from_millis(50);

/// Tells the clients to leave, as evenly as they come to `limit`. Done when the time is over, or nobody is there any
/// more.
pub async fn depart(shared: &Arc<Shared>, limit: Duration) {
    let until = Instant::now() + limit;
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut pace = Pace::default();
    loop {
        let now = ticks.tick().await;
        let all = shared.clients.all();
        if all.is_empty() && shared.clients.arriving() == 0 {
            return;
        }
        // What an administrator says in here is said to the wrong process.
        let (consoles, clients): (Vec<_>, Vec<_>) =
            all.into_iter().filter(|slot| !slot.leaves()).partition(|slot| is_console(&slot.who.database));
        consoles.iter().for_each(|slot| slot.leave());
        let due = pace.due(clients.len(), until.saturating_duration_since(now));
        in_turn(clients).iter().take(due).for_each(|slot| slot.leave());
        if now >= until {
            return;
        }
    }
}

/// Whose turn it is to leave, so that all have had theirs when the time is over.
#[derive(Default)]
struct Pace {
    /// What is due of a client, below 1.
    rest: f64,
}

impl Pace {
    /// How many of `clients` are told now, with so much time left. For each tick.
    fn due(&mut self, clients: usize, left: Duration) -> usize {
        if left <= TICK {
            return clients;
        }
        self.rest += clients as f64 * TICK.as_secs_f64() / left.as_secs_f64();
        let due = self.rest.floor();
        self.rest -= due;
        due as usize
    }
}

/// Those first who need nothing now.
fn in_turn(mut clients: Vec<Arc<ClientSlot>>) -> Vec<Arc<ClientSlot>> {
    clients.sort_by_cached_key(|slot| slot.server().is_some() || slot.waited() > 0);
    clients
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_evenly_and_all_in_time() {
        for (clients, seconds) in [(0, 1), (1, 60), (7, 1), (10_000, 60)] {
            let (mut left, mut pace) = (clients, Pace::default());
            let (mut most, mut time) = (0, Duration::from_secs(seconds));
            while !time.is_zero() {
                let told = pace.due(left, time);
                (left, most, time) = (left - told, most.max(told), time - TICK);
            }
            assert_eq!(left, 0, "{clients} in {seconds} s");
            assert!(most <= clients / (seconds as usize * 20) + 1, "{most} of {clients} in {seconds} s");
        }
        let (mut pace, hour) = (Pace::default(), Duration::from_secs(3600));
        assert_eq!((0..1000).map(|_| pace.due(2, hour)).sum::<usize>(), 0, "there is time");
        assert_eq!(pace.due(3, Duration::ZERO), 3);
    }
}
