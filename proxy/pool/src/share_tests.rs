use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::super::fair::{Grant, Item, Loan, Pool, Unlent};
use super::*;
use crate::config::{Limit, LimitTable};
use crate::limits::{Budget, Holder};

const LONG: Duration = Duration::from_secs(3600);

fn tenant(name: &str) -> Claim {
    Claim::of(Some(name.into()))
}

fn nobody() -> Claim {
    Claim::of(None)
}

#[test]
fn usual_share_is_three_quarters_of_what_can_be_parted() {
    for (places, share) in [(4, 3), (5, 4), (8, 6), (10, 8), (20, 15), (21, 16)] {
        assert_eq!(Share::usual(places, LONG).places(), Some(share), "{places}");
    }
    for places in 0..4 {
        assert_eq!(Share::usual(places, LONG), Share::All, "{places}");
    }
}

#[test]
fn tenant_alone_may_have_all_and_another_may_come_and_go() {
    let (a, b, now) = (tenant("a"), tenant("b"), Instant::now());
    let mut holders = Holders::new(Share::WithOthers(2, LONG));
    (0..2).for_each(|_| holders.add(&a, now));
    holders.note(&Claim::of_proxy(), now);
    holders.add(&Claim::of_proxy(), now);
    assert!(holders.may_have_one(&a, 9), "it is alone");
    holders.note(&b, now);
    holders.note(&a, now);
    assert!(
        !holders.may_have_one(&a, 9)
            && holders.may_have_one(&b, 9)
            && holders.may_have_one(&Claim::of_proxy(), 9)
    );
    let mut holders = Holders::new(Share::WithOthers(2, Duration::ZERO));
    (0..2).for_each(|_| holders.add(&a, now));
    holders.add(&nobody(), now);
    assert!(!holders.may_have_one(&a, 9), "those with no tenant are one");
    holders.take_off(&nobody(), now);
    assert!(holders.may_have_one(&a, 9));
    (0..2).for_each(|_| holders.take_off(&a, now));
    assert!(holders.held.is_empty(), "who holds nothing is forgotten");
}

struct Thing(bool);

impl Item for Thing {
    fn is_sound(&self) -> bool {
        self.0
    }

    fn moved(self) -> Option<Self> {
        Some(self)
    }
}

type Asking = Pin<Box<dyn Future<Output = Result<Grant<Thing>, Unlent>>>>;

/// The limits of a model.
#[derive(Clone, Copy)]
struct Rules {
    share: Share,
    /// What each tenant may have, whoever else is about, where that is limited.
    most: [Option<usize>; TENANTS],
    /// What is kept for each.
    kept: [usize; TENANTS],
    /// What all odd tenants may have together, as they are one user's.
    user: Option<usize>,
}

impl Rules {
    fn of(share: Share) -> Self {
        Self { share, most: [None; TENANTS], kept: [0; TENANTS], user: None }
    }
}

fn limited(holder: Holder, most: Option<usize>) -> Arc<Budget> {
    let max_servers = most.map(|value| Limit { value, key: "".into() });
    Budget::new(holder, LimitTable { max_servers, ..LimitTable::default() })
}

/// Clients of a pool, as a schedule moves them; time stands still.
struct Model {
    pool: Pool<Thing>,
    places: usize,
    rules: Rules,
    claims: Vec<Claim>,
    waiting: Vec<(usize, Asking)>,
    loans: Vec<(usize, Loan<Thing>)>,
}

impl Model {
    fn new(places: usize, rules: Rules) -> Self {
        let pool = Pool::shared(places, rules.share);
        let kept = rules.kept.iter().enumerate().filter(|(_, kept)| **kept > 0);
        pool.reserve(kept.map(|(tenant, kept)| (name(tenant), *kept)).collect());
        let users = [None, rules.user].map(|most| limited(Holder::User("u".into()), most));
        let claim = |(tenant, most): (usize, &Option<usize>)| {
            Claim::new(limited(Holder::Tenant(name(tenant)), *most), Arc::clone(&users[tenant % 2]))
        };
        let claims = rules.most.iter().enumerate().map(claim).collect();
        Self { pool, places, rules, claims, waiting: vec![], loans: vec![] }
    }

    fn held(&self, tenant: usize) -> usize {
        self.loans.iter().filter(|(of, _)| *of == tenant).count()
    }

    fn others_hold(&self, tenant: usize) -> bool {
        self.loans.iter().any(|(of, _)| *of != tenant)
    }

    fn held_by_user(&self) -> usize {
        self.loans.iter().filter(|(of, _)| of % 2 == 1).count()
    }

    fn free(&self) -> usize {
        self.places - self.loans.len()
    }

    fn short(&self) -> usize {
        (0..TENANTS).map(|tenant| self.rules.kept[tenant].saturating_sub(self.held(tenant))).sum()
    }

    fn may(&self, tenant: usize) -> bool {
        let held = self.held(tenant);
        let share = match (self.rules.most[tenant], self.rules.share) {
            (Some(most), _) => held < most,
            (None, Share::All) => true,
            (None, Share::WithOthers(most, _)) => held < most || !self.others_hold(tenant),
        };
        let user = tenant.is_multiple_of(2) || self.rules.user.is_none_or(|most| self.held_by_user() < most);
        share && user && (self.free() > self.short() || held < self.rules.kept[tenant])
    }

    fn ask(&mut self, tenant: usize) {
        let (pool, claim) = (self.pool.clone(), self.claims[tenant].clone());
        self.waiting.push((tenant, Box::pin(async move { pool.acquire(&claim).await })));
        self.poll();
    }

    /// Whoever was called comes.
    fn poll(&mut self) {
        let mut at = 0;
        while let Some((tenant, asking)) = self.waiting.get_mut(at) {
            let tenant = *tenant;
            match asking.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Pending => at += 1,
                Poll::Ready(grant) => {
                    drop(self.waiting.remove(at));
                    let loan = match grant.unwrap() {
                        Grant::Item(loan) => loan,
                        Grant::Place(place) => place.fill(Thing(true)).unwrap(),
                    };
                    self.loans.push((tenant, loan));
                }
            }
        }
        self.holds();
    }

    /// What must hold whatever happened.
    fn holds(&self) {
        let free = self.free();
        for (tenant, _) in &self.waiting {
            assert!(free == 0 || !self.may(*tenant), "{free} are free, and tenant {tenant} waits");
        }
        for (tenant, most) in self.rules.most.iter().enumerate() {
            assert!(most.is_none_or(|most| self.held(tenant) <= most), "{tenant} has more");
        }
        assert!(self.rules.user.is_none_or(|most| self.held_by_user() <= most), "the user has more");
        assert!(free >= self.short(), "what is kept is kept");
        let status = self.pool.status();
        assert_eq!(status.waiting, self.waiting.len());
        assert_eq!(status.size - status.idle, self.loans.len());
    }

    fn step(&mut self, kind: u32, at: usize) {
        let (loans, waiting) = (self.loans.len(), self.waiting.len());
        match kind {
            0..4 => self.ask(at % TENANTS),
            // Called, perhaps, and gone before it comes.
            4 if waiting > 0 && loans > 0 => {
                let (_, loan) = self.loans.remove(at % loans);
                loan.give_back();
                drop(self.waiting.remove(at % waiting));
            }
            5 if waiting > 0 => drop(self.waiting.remove(at % waiting)),
            6 if loans > 0 => drop(self.loans.remove(at % loans)),
            7 if loans > 0 => {
                let (_, mut loan) = self.loans.remove(at % loans);
                loan.0 = false;
                loan.give_back();
            }
            8 if loans > 0 => {
                let (tenant, loan) = self.loans.remove(at % loans);
                match self.pool.exchange(loan.discard()) {
                    Grant::Item(loan) => self.loans.push((tenant, loan)),
                    Grant::Place(place) => self.loans.push((tenant, place.fill(Thing(true)).unwrap())),
                }
            }
            9 if self.may(at % TENANTS) => {
                let tenant = at % TENANTS;
                let loan = self.pool.take(&self.claims[tenant], Instant::now(), |_, _| true);
                self.loans.extend(loan.map(|loan| (tenant, loan)));
            }
            10 => self.pool.retain(|_| at.is_multiple_of(3)),
            11.. if loans > 0 => self.loans.remove(at % loans).1.give_back(),
            _ => {}
        }
        self.poll();
    }
}

const TENANTS: usize = 4;

fn name(number: usize) -> Tenant {
    (number > 0).then(|| number.to_string().into())
}

#[test]
fn nothing_is_idle_that_somebody_may_have_whatever_happens() {
    for seed in 0..400_u64 {
        let places = 1 + seed as usize % 6;
        let share = if seed % 3 == 0 { Share::All } else { Share::usual(places, Duration::ZERO) };
        let mut rules = Rules::of(share);
        if seed % 2 == 0 {
            rules.most = std::array::from_fn(|tenant| {
                (seed >> tenant & 4 == 0).then_some(1 + (seed as usize + tenant) % 4)
            });
        }
        rules.user = (seed % 5 < 2).then_some(1 + seed as usize % 3);
        if seed % 7 < 3 && places > 2 {
            rules.kept = [0, places / 3, 1, 0];
        }
        let mut model = Model::new(places, rules);
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 33) as u32
        };
        for _ in 0..300 {
            model.step(random() % 16, random() as usize);
        }
        while !model.loans.is_empty() {
            model.step(11, random() as usize);
        }
        assert!(model.waiting.is_empty(), "somebody was forgotten");
    }
}

#[test]
fn tenant_that_holds_its_share_leaves_the_rest_to_others() {
    let mut model = Model::new(4, Rules::of(Share::usual(4, LONG)));
    model.ask(2);
    model.step(11, 0);
    (0..9).for_each(|_| model.pool_only_ask(1));
    assert_eq!((model.held(1), model.waiting.len()), (3, 6));
    model.pool_only_ask(2);
    assert_eq!(model.held(2), 1, "it is served at once");
}

impl Model {
    /// As [`Model::ask`], where others are about that hold nothing.
    fn pool_only_ask(&mut self, tenant: usize) {
        let (pool, claim) = (self.pool.clone(), self.claims[tenant].clone());
        let mut asking: Asking = Box::pin(async move { pool.acquire(&claim).await });
        match asking.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => self.waiting.push((tenant, asking)),
            Poll::Ready(Ok(Grant::Item(loan))) => self.loans.push((tenant, loan)),
            Poll::Ready(Ok(Grant::Place(place))) => {
                self.loans.push((tenant, place.fill(Thing(true)).unwrap()));
            }
            Poll::Ready(Err(error)) => panic!("{error:?}"),
        }
    }
}
