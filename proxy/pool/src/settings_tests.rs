use super::*;

fn set(sql: &str) -> Assignment {
    Assignment::of_statement("", sql, None)
}

fn settings(pairs: &[(&str, &str)]) -> Arc<Settings> {
    Arc::new(pairs.iter().map(|(name, sql)| (*name, set(sql))).collect())
}

fn sent(has: &Arc<Settings>, wants: &Arc<Settings>, clear: bool, role: Option<&RoleName>) -> String {
    difference(has, wants, clear, role).join("; ")
}

#[test]
fn only_what_differs_is_sent() {
    let has = settings(&[("a", "SET a TO 1"), ("b", "SET b TO 1"), ("c.d", "SET c.d TO 1")]);
    let wants = settings(&[("a", "SET a TO 1"), ("b", "SET b TO 2")]);
    assert_eq!(sent(&has, &wants, true, None), r#"RESET "c"."d"; SET b TO 2"#);
    assert_eq!(sent(&wants, &settings(&[("a", "SET a TO 1"), ("b", "SET b TO 2")]), true, None), "");
    // What a tenant sets it may set; what others have left is taken off by us.
    let role = RoleName::new("x").unwrap();
    assert_eq!(sent(&has, &wants, true, Some(&role)), r#"RESET "c"."d"; SET LOCAL ROLE "x"; SET b TO 2"#);
    assert!(!sent(&has, &settings(&[]), true, Some(&role)).contains("ROLE"));
}

#[test]
fn what_is_sent_is_ascii_in_any_case() {
    let has = Settings::from_iter([("app.\u{e9}", set("SET x TO 1"))]);
    let wants = Settings::from_iter([("a.\u{e9}", Assignment::of_value("a.\u{e9}", "\u{20ac}'"))]);
    let role = RoleName::new("caf\u{e9}").unwrap();
    let expected = concat!(
        r#"RESET "app".U&"\00E9"; SET LOCAL ROLE U&"caf\00E9"; "#,
        r#"SELECT pg_catalog.set_config( E'a.\u00E9',  E'\u20AC''', false)"#
    );
    assert_eq!(sent(&Arc::new(has), &Arc::new(wants), true, Some(&role)), expected);
}

#[test]
fn time_outs_come_last_and_a_part_of_datestyle_is_set_on_none() {
    let wants = settings(&[
        ("lock_timeout", "lock"),
        ("statement_timeout", "statement"),
        ("transaction_timeout", "transaction"),
        ("zzz", "z"),
    ]);
    assert_eq!(sent(&settings(&[]), &wants, true, None), "z; lock; transaction; statement");
    let (german, dmy) = (settings(&[("datestyle", "german")]), settings(&[("datestyle", "dmy")]));
    assert_eq!(sent(&german, &dmy, true, None), "RESET \"datestyle\"; dmy");
    assert_eq!(sent(&settings(&[]), &dmy, true, None), "dmy");
    assert_eq!(sent(&german, &settings(&[("datestyle", "german")]), true, None), "");
}

#[test]
fn server_may_rest_with_what_is_harmless_alone() {
    let mut settings = Settings::default();
    assert!(settings.may_rest() && settings.are_in_utf8());
    for (name, value) in [("timezone", "UTC"), ("client_encoding", "UTF8"), ("statement_timeout", "30s")] {
        settings.set(name, Assignment::of_value(name, value));
    }
    assert!(settings.may_rest() && settings.are_in_utf8());
    settings.set("statement_timeout", Assignment::of_value("statement_timeout", "1ms"));
    settings.set("statement_timeout", Assignment::of_value("statement_timeout", "2ms"));
    assert!(!settings.may_rest() && settings.are_in_utf8());
    settings.set("client_encoding", Assignment::of_value("client_encoding", "LATIN1"));
    assert!(!settings.are_in_utf8());
    settings.set("client_encoding", Assignment::of_value("client_encoding", "UTF8"));
    settings.take_out("statement_timeout");
    settings.take_out("statement_timeout");
    assert!(settings.may_rest());
    let unread = Assignment::of_statement("lock_timeout", "SET lock_timeout TO 1 + 1", None);
    assert!(!Settings::from_iter([("lock_timeout", unread)]).may_rest());
}

#[test]
fn equal_settings_are_held_once_and_what_nobody_has_is_forgotten() {
    let of = |value: usize| Settings::from_iter([("a", set(&value.to_string()))]);
    let kept = shared(of(0));
    assert!(Arc::ptr_eq(&kept, &shared(of(0))) && are_the_same(&kept, &shared(of(0))));
    for value in 0..3 * SHARED_SETS {
        assert_eq!(*shared(of(value)), of(value));
    }
    assert!(Arc::ptr_eq(&kept, &shared(of(0))));
    assert!(SHARED.with_borrow(HashSet::len) <= SHARED_SETS);
    let all: Vec<_> = (0..2 * SHARED_SETS).map(|value| shared(of(value))).collect();
    assert!(SHARED.with_borrow(HashSet::len) <= SHARED_SETS && all.len() > SHARED_SETS);
}

#[test]
fn path_left_on_a_server_is_taken_off_and_never_replayed() {
    let sent = |has: &_, wants: &_, clear| sent(has, wants, clear, None);
    let path = settings(&[("search_path", "SET search_path TO x")]);
    assert_eq!(sent(&path, &path.clone(), true), "RESET \"search_path\"");
    assert_eq!(sent(&path, &settings(&[]), true), "RESET \"search_path\"");
    assert_eq!(sent(&path, &settings(&[]), false), "");
    assert_eq!(sent(&settings(&[]), &path, true), "");
    assert_eq!(after(&path, &path, true), settings(&[]));
    assert_eq!(after(&path, &settings(&[]), false), path);
    let role = settings(&[("session role", "")]);
    assert_eq!(sent(&role, &role.clone(), true), "RESET \"role\"");
    assert_eq!(sent(&role, &settings(&[]), false), "");
    assert_eq!(after(&role, &settings(&[]), false), role);
    assert_eq!(after(&role, &settings(&[]), true), settings(&[]));
}

#[test]
fn rollback_to_a_savepoint_brings_back_what_held_there() {
    let value = |tracked: &Tracked| tracked.current().get("a").map(str::to_owned);
    let mut tracked = Tracked::default();
    tracked.set("a", set("1"));
    tracked.savepoint("s");
    tracked.set("a", set("2"));
    tracked.savepoint("s");
    tracked.set("a", set("3"));
    assert!(tracked.is_pending());
    tracked.roll_back_to("s");
    assert_eq!(value(&tracked).as_deref(), Some("2"));
    tracked.release("s");
    tracked.roll_back_to("s");
    assert_eq!(value(&tracked).as_deref(), Some("1"));
    tracked.roll_back_to("no such");
    assert_eq!(value(&tracked).as_deref(), Some("1"));
    tracked.roll_back();
    assert_eq!(value(&tracked), None);
    assert!(!tracked.is_pending());
}

#[test]
fn rollback_takes_settings_back() {
    let mut tracked = Tracked::default();
    tracked.set("a", set("SET a TO 1"));
    tracked.commit();
    tracked.set("a", set("SET a TO 2"));
    tracked.roll_back();
    assert_eq!(tracked.current().get("a"), Some("SET a TO 1"));
    let base = settings(&[("a", "SET a TO 0")]);
    tracked.reset("a", &base);
    assert_eq!(tracked.current().get("a"), Some("SET a TO 0"));
    tracked.reset("zzz", &base);
    assert_eq!(tracked.current().count(), 1);
    tracked.set_for_good("ours", Assignment::of_ours(""));
    tracked.roll_back();
    assert_eq!(tracked.current().get("a"), Some("SET a TO 1"));
    assert!(tracked.current().has("ours"));
}

/// What each step leaves: whether the path is distrusted.
fn distrusted(steps: &[&str]) -> bool {
    let (mut settings, base) = (Tracked::default(), Arc::default());
    for step in steps {
        match *step {
            "refused" => settings.distrust_path(),
            "set" => settings.set(SEARCH_PATH, Assignment::of_ours("\"acme\"")),
            "set local" => settings.set(LOCAL_PATH, Assignment::of_ours("\"acme\"")),
            "reset" => settings.reset(SEARCH_PATH, &base),
            "reset all" => settings.reset_all(&base),
            "other" => settings.set("work_mem", Assignment::of_value("work_mem", "1MB")),
            "savepoint" => settings.savepoint("a"),
            "back" => settings.roll_back_to("a"),
            "commit" => settings.commit(),
            "rollback" => settings.roll_back(),
            other => panic!("{other} is no step"),
        }
    }
    settings.distrusts_path()
}

#[test]
fn refused_path_is_made_good_by_nothing_but_a_right_one() {
    for steps in [
        &["refused", "other"][..],
        &["refused", "commit"],
        &["refused", "rollback"],
        &["savepoint", "refused", "back"],
        &["set", "savepoint", "refused", "back"],
        &["set local", "savepoint", "refused", "back"],
        &["refused", "set", "rollback"],
        &["refused", "savepoint", "set", "back"],
        &["refused", "set local", "commit"],
        &["refused", "set local", "rollback"],
        &["refused", "set", "refused", "commit"],
        &["set", "commit", "refused", "rollback"],
    ] {
        assert!(distrusted(steps), "{steps:?}");
    }
    for steps in [
        &["set", "other", "rollback"][..],
        &["refused", "set"],
        &["refused", "reset", "commit"],
        &["refused", "reset all"],
        &["refused", "set local"],
        &["refused", "set", "commit", "rollback"],
        &["refused", "set", "savepoint", "other", "back"],
        &["refused", "set local", "savepoint", "back"],
    ] {
        assert!(!distrusted(steps), "{steps:?}");
    }
}
