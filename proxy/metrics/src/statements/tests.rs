//! What one tenant does leaves others' statistics as they are, and all of them in their limit.

use std::time::Duration;

use super::*;

const LIMIT: u64 = 1 << 20;

/// One call of a statement that took so many microseconds.
fn call(statements: &Statements, book: &Book, form: u64, micros: u64) {
    let text = || format!("SELECT {form}, {}", "x".repeat(form as usize % 200));
    let Some(entry) = statements.entry(book, FormId(form), text) else { return };
    entry.record(&Call { time: Duration::from_micros(micros), rows: 2, at: form, ..Call::default() });
}

fn of(statements: &Statements, tenant: &str) -> Vec<(FormId, Sums)> {
    statements.rows(Some(tenant), usize::MAX).into_iter().map(|row| (row.form, row.sums)).collect()
}

#[test]
fn flood_of_one_tenant_leaves_the_limit_and_others_as_they_were() {
    let statements = Statements::new(LIMIT);
    let (quiet, heavy) = (statements.book("app", "quiet"), statements.book("app", "heavy"));
    for form in 1..=50 {
        call(&statements, &quiet, form, 1);
    }
    let before = of(&statements, "quiet");
    assert_eq!(before.len(), 50);
    for form in 1..=100_000 {
        call(&statements, &heavy, form, 1);
        // Among so many that come once, one that comes again and again stays.
        if form % 100 == 0 {
            call(&statements, &heavy, 200_000, 50);
        }
        assert!(statements.memory.used() <= LIMIT);
    }
    assert_eq!(of(&statements, "quiet"), before);
    let heavy = of(&statements, "heavy");
    let calls = |wanted: &dyn Fn(FormId) -> bool| -> u64 {
        heavy.iter().filter(|(form, _)| wanted(*form)).map(|(_, sums)| sums.calls).sum()
    };
    assert_eq!(calls(&|form| form == FormId(200_000)), 1000);
    assert_eq!(calls(&|_| true), 101_000, "what was pushed out is in one row");
    let kept = heavy.len() as u64 - 1;
    assert!(kept > 300, "{kept}");
    assert_eq!(statements.evicted.load(Ordering::Relaxed), 100_001 - kept);
}

#[test]
fn bytes_are_what_is_kept() {
    let statements = Statements::new(LIMIT);
    let names = ["a", "bb", "ccc"].map(|tenant| statements.book("app", tenant));
    for form in 1..=20_000 {
        for (place, book) in names.iter().enumerate() {
            call(&statements, book, form * (place as u64 + 1), form);
        }
    }
    let forms = |book: &Arc<Book>| book.read(|forms| forms.known.values().map(Form::bytes).sum::<u64>());
    let heads: u64 = [4, 5, 6].iter().map(|names| BOOK_WEIGHT + names).sum();
    assert_eq!(statements.memory.used(), heads + names.iter().map(forms).sum::<u64>());
    assert!(names.iter().all(|book| book.bytes() == forms(book)));
    // Whoever is after as much as the others gets as much.
    let [least, most] = [names.iter().map(forms).min(), names.iter().map(forms).max()].map(Option::unwrap);
    assert!(most < least + LIMIT / 8, "{least} {most}");
    statements.reset(Some("bb"));
    assert!(of(&statements, "bb").is_empty() && !of(&statements, "a").is_empty());
    statements.set_limit(0);
    assert_eq!(statements.memory.used(), heads);
    assert!(statements.rows(None, 10).is_empty() && !statements.is_on());
}

#[test]
fn rows_come_by_time_and_no_more_than_asked_for() {
    let statements = Statements::new(LIMIT);
    let [one, other] = ["one", "other"].map(|tenant| statements.book("app", tenant));
    for form in 1..=100 {
        call(&statements, &one, form, form);
    }
    call(&statements, &other, 7, 99);
    call(&statements, &other, 7, 1000);
    let rows = statements.rows(None, 3);
    let told: Vec<_> = rows.iter().map(|row| (&*row.tenant, row.form.0, row.sums.calls)).collect();
    assert_eq!(told, [("other", 7, 2), ("one", 100, 1), ("one", 99, 1)]);
    let sums = rows[0].sums;
    assert_eq!((sums.time, sums.longest, sums.p99, sums.rows), (1_099_000, 1_000_000, 1_000_000, 4));
    assert_eq!(&*rows[0].text, "SELECT 7, xxxxxxx");
    assert_eq!(statements.text("app", "one", FormId(3)).as_deref(), Some("SELECT 3, xxx"));
    assert_eq!(statements.text("app", "none", FormId(3)), None);
}

#[test]
fn thread_does_not_count_what_was_pushed_out() {
    let statements = Statements::new(LIMIT);
    let [one, other] = ["one", "other"].map(|tenant| statements.book("app", tenant));
    let entry = statements.entry(&one, FormId(3), String::new).unwrap();
    assert!(recent::get(one.id, FormId(3)).is_some_and(|known| Arc::ptr_eq(&known, &entry)));
    // Neither another form in its place nor another tenant's is taken for it.
    assert!((4..2000).all(|form| recent::get(one.id, FormId(form)).is_none()));
    assert!(recent::get(other.id, FormId(3)).is_none());
    statements.reset(None);
    assert!(recent::get(one.id, FormId(3)).is_none());
}

#[test]
fn entry_counts_in_the_limit_as_long_as_somebody_holds_it() {
    let statements = Statements::new(LIMIT);
    let one = statements.book("app", "one");
    let heads = statements.memory.used();
    let held: Vec<_> =
        (1..=50).filter_map(|form| statements.entry(&one, FormId(form), String::new)).collect();
    // Another thread knows them as well, and forgets them when it looks for something.
    let (known, wait) = std::sync::mpsc::channel();
    let (go_on, reset) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|threads| {
        let (statements, one) = (&statements, &one);
        threads.spawn(move || {
            (1..=50).for_each(|form| drop(statements.entry(one, FormId(form), String::new)));
            known.send(()).unwrap();
            reset.recv().unwrap();
            assert!(recent::get(one.id, FormId(1)).is_none());
            known.send(()).unwrap();
        });
        wait.recv().unwrap();
        statements.reset(None);
        assert_eq!(one.bytes(), 0);
        assert_eq!(statements.memory.used(), heads + 50 * entry::WEIGHT);
        drop(held);
        assert!(statements.memory.used() > heads);
        go_on.send(()).unwrap();
        wait.recv().unwrap();
        assert_eq!(statements.memory.used(), heads);
    });
}

#[test]
fn tenant_with_no_statements_and_no_sessions_is_forgotten() {
    let statements = Statements::new(LIMIT);
    for tenant in 0..1000 {
        statements.book("app", &format!("tenant_{tenant}"));
    }
    let one = statements.book("app", "one");
    for form in 1..=10_000 {
        call(&statements, &one, form, 1);
    }
    assert_eq!(statements.books.lock().unwrap().len(), 1);
}
