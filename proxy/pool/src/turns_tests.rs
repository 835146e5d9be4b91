use super::*;

fn tenant(name: &str) -> Tenant {
    Some(name.into())
}

/// Something on that thread that knows nobody.
fn on(thread: usize) -> Offer {
    Offer { thread, number: None }
}

fn all(turns: &mut Turns<u32>, thread: usize) -> Vec<u32> {
    std::iter::from_fn(|| turns.next(on(thread), |_| Some(1))).map(|(_, waiter)| waiter).collect()
}

#[test]
fn tenants_take_turns() {
    let mut turns = Turns::default();
    for i in 0..5 {
        turns.join(&tenant("flood"), 0, i);
    }
    turns.join(&tenant("quiet"), 0, 10);
    turns.join(&None, 0, 20);
    turns.join(&tenant("quiet"), 0, 11);
    assert_eq!(turns.waiting(), 8);
    assert_eq!(all(&mut turns, 0), [0, 10, 20, 1, 11, 2, 3, 4]);
    assert_eq!((turns.waiting(), turns.round.len() + turns.later.len(), turns.queues.len()), (0, 0, 0));
}

/// Something with that number, on the thread of all.
fn numbered(number: u64) -> Offer {
    Offer { thread: 0, number: Some(number) }
}

#[test]
fn each_tenant_has_its_turn_in_each_round_whoever_is_liked() {
    let mut turns = Turns::default();
    for i in 0..12 {
        turns.join(&tenant(&(i % 4).to_string()), 0, i);
    }
    for round in 0..3 {
        // The same thing each time: who likes it best comes first, and not again before all others.
        let served: Vec<_> = (0..4).map(|_| turns.next(numbered(7), |_| Some(1)).unwrap().0).collect();
        let mut liked = served.clone();
        liked.sort_by_key(|who| std::cmp::Reverse(likes(mark(who), 7)));
        liked.dedup();
        assert_eq!((served, 4), (liked.clone(), liked.len()), "round {round}");
    }
    assert!(turns.round.is_empty() && turns.later.is_empty() && turns.queues.is_empty());
}

#[test]
fn who_joins_overtakes_nobody_of_the_round() {
    let names = (0..40).map(|i| i.to_string());
    let mut names: Vec<_> = names.map(|name| tenant(&name)).collect();
    names.sort_by_key(|who| likes(mark(who), 7));
    let mut turns = Turns::default();
    let (best, others) = names.split_last().unwrap();
    for who in &others[..3] {
        turns.join(who, 0, 0);
    }
    let first = turns.next(numbered(7), |_| Some(1)).unwrap().0;
    assert_eq!(Some(&first), others.get(2));
    turns.join(best, 0, 1);
    let then: Vec<_> = (0..3).map(|_| turns.next(numbered(7), |_| Some(1)).unwrap().0).collect();
    assert_eq!(then, [others[1].clone(), others[0].clone(), best.clone()]);
}

#[test]
fn other_thread_must_like_a_thing_by_a_good_deal_better() {
    let likes = |who: &Tenant| likes(mark(who), 7);
    let all: Vec<_> = (0..100).map(|i| tenant(&i.to_string())).collect();
    let (mut near_first, mut far_first) = (0, 0);
    for pair in all.chunks(2) {
        let (near, far) = (&pair[0], &pair[1]);
        let mut turns = Turns::default();
        turns.join(far, 1, 0);
        turns.join(near, 0, 0);
        let first = turns.next(numbered(7), |_| Some(1)).unwrap().0;
        let is_near = first == *near;
        if likes(near) > likes(far) {
            assert!(is_near);
        } else if likes(near) < likes(far) / 2 {
            assert!(!is_near);
            far_first += 1;
        } else {
            near_first += usize::from(is_near);
        }
        let then = turns.next(numbered(7), |_| Some(1)).unwrap().0;
        assert_eq!((first == then, turns.waiting()), (false, 0), "both have their turn");
    }
    assert!(near_first > 0 && far_first > 0);
}

#[test]
fn each_thing_is_liked_best_by_its_part() {
    let mut liked = [0; 20];
    for i in 0..1000 {
        let who = mark(&tenant(&format!("t_{i}")));
        let best = (0..20).max_by_key(|number| likes(who, *number)).unwrap();
        liked[best as usize] += 1;
    }
    assert!(liked.iter().all(|count| (25..100).contains(count)), "{liked:?}");
}

#[test]
fn tenant_that_may_have_no_more_keeps_its_turn() {
    let mut turns = Turns::default();
    for (name, waiter) in [("full", 0), ("gone", 5), ("a", 10), ("b", 20), ("full", 1)] {
        let ticket = turns.join(&tenant(name), 0, waiter);
        if name == "gone" {
            turns.leave(&tenant(name), ticket);
        }
    }
    let full = |waiter: &u32| (*waiter > 1).then_some(1);
    assert_eq!(turns.next(on(0), full), Some((tenant("a"), 10)));
    assert_eq!(turns.next(on(0), full), Some((tenant("b"), 20)));
    assert_eq!((turns.next(on(0), full), turns.waiting()), (None, 2));
    turns.join(&tenant("c"), 0, 30);
    assert_eq!(all(&mut turns, 0), [0, 30, 1]);
    assert!(turns.round.is_empty() && turns.later.is_empty() && turns.queues.is_empty());
}

#[test]
fn tenant_has_as_many_turns_in_a_row_as_it_weighs() {
    let mut turns = Turns::default();
    for i in 0..6 {
        turns.join(&tenant("heavy"), 0, i);
        turns.join(&tenant("light"), 0, 10 + i);
    }
    let weights = |waiter: &u32| Some(if *waiter < 10 { 3 } else { 1 });
    let order: Vec<_> = std::iter::from_fn(|| turns.next(on(0), weights)).map(|(_, waiter)| waiter).collect();
    assert_eq!(order, [0, 1, 2, 10, 3, 4, 5, 11, 12, 13, 14, 15]);
    assert!(turns.round.is_empty() && turns.later.is_empty() && turns.queues.is_empty());
}

#[test]
fn tenant_out_of_turn_keeps_its_turn() {
    let mut turns = Turns::default();
    for (name, waiter) in [("a", 0), ("b", 10), ("c", 20), ("b", 11)] {
        turns.join(&tenant(name), 0, waiter);
    }
    assert_eq!(turns.next_of(&tenant("b"), 0, |_| None), None);
    assert_eq!(turns.next_of(&tenant("d"), 0, |_| Some(1)), None);
    assert_eq!(turns.next_of(&tenant("b"), 0, |_| Some(1)), Some((tenant("b"), 10)));
    assert_eq!(turns.next_of(&tenant("c"), 0, |_| Some(1)), Some((tenant("c"), 20)));
    assert_eq!(
        (turns.round.len() + turns.later.len(), turns.waiting()),
        (3, 2),
        "an empty queue goes when its turn comes"
    );
    assert_eq!(all(&mut turns, 0), [0, 11]);
    assert!(turns.round.is_empty() && turns.later.is_empty() && turns.queues.is_empty());
}

#[test]
fn who_got_nothing_is_the_next_again() {
    let mut turns = Turns::default();
    for i in 0..3 {
        turns.join(&tenant("a"), 0, i);
    }
    turns.join(&tenant("b"), 0, 10);
    assert_eq!(turns.next(on(0), |_| Some(1)).unwrap().1, 0);
    let ticket = turns.rejoin(&tenant("a"), 0, 0);
    assert_eq!(turns.next(on(0), |_| Some(1)).unwrap().1, 10, "others' turns stay theirs");
    turns.rejoin(&tenant("c"), 0, 20);
    turns.leave(&tenant("a"), ticket);
    turns.rejoin(&tenant("a"), 1, 5);
    assert_eq!(all(&mut turns, 0), [20, 5, 1, 2]);
    assert!(turns.round.is_empty() && turns.later.is_empty() && turns.queues.is_empty());
}

#[test]
fn who_leaves_is_not_called() {
    let mut turns = Turns::default();
    let tickets: Vec<_> = (0..3).map(|i| turns.join(&tenant("a"), 0, i)).collect();
    let lone = turns.join(&tenant("b"), 0, 10);
    turns.leave(&tenant("a"), tickets[1]);
    turns.leave(&tenant("b"), lone);
    // Twice is as once.
    turns.leave(&tenant("b"), lone);
    assert_eq!(turns.waiting(), 2);
    // Who comes back has its tenant's place, once.
    turns.join(&tenant("b"), 0, 11);
    assert_eq!(turns.round.len() + turns.later.len(), 2);
    assert_eq!(all(&mut turns, 0), [0, 11, 2]);
    assert!(turns.round.is_empty() && turns.later.is_empty() && turns.queues.is_empty());
}

#[test]
fn a_crowd_that_leaves_leaves_nothing() {
    let mut turns = Turns::default();
    let crowd: Vec<_> = (0..1000).map(|i| tenant(&i.to_string())).collect();
    let tickets: Vec<_> = crowd.iter().map(|of| turns.join(of, 0, 0)).collect();
    let last = turns.join(&tenant("999"), 0, 1);
    for (of, ticket) in crowd.iter().zip(tickets) {
        turns.leave(of, ticket);
    }
    assert_eq!((turns.waiting(), all(&mut turns, 0)), (1, vec![1]));
    turns.leave(&tenant("999"), last);
    assert!(turns.round.is_empty() && turns.later.is_empty() && turns.queues.is_empty());
    let ticket = turns.join(&None, 0, 2);
    turns.leave(&None, ticket);
    assert!(turns.round.is_empty() && turns.later.is_empty() && turns.queues.is_empty());
}

#[test]
fn the_same_thread_comes_first_but_not_for_ever() {
    let mut turns = Turns::default();
    turns.join(&None, 1, 100);
    for i in 0..20 {
        turns.join(&None, 0, i);
    }
    let order = all(&mut turns, 0);
    assert_eq!(order.iter().position(|i| *i == 100), Some(usize::from(OVERTAKEN)));
    assert_eq!(order.len(), 21);
}
