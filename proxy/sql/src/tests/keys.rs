//! Channels, locks and prepared transactions of the tenant's own.

use crate::keys::{KeySpace, KeySpaces, LOCK_COMMA, LOCK_END};
use crate::rewrite::{Prefixes, rewrite};
use crate::tests::plans::{plan_as, scope};
use crate::{Route, Scope};

/// What PostgreSQL gets.
fn sent(text: &str, scope: &Scope) -> String {
    let plan = plan_as(text, scope);
    assert!(!matches!(plan.route, Route::Refuse(_)), "{text}: {plan:?}");
    let prefixes = Prefixes::of(scope);
    let pieces = rewrite(text.as_bytes(), &plan.splices, &prefixes, &[]).pieces.concat();
    String::from_utf8(pieces).unwrap()
}

#[test]
fn keys_are_made_the_tenants_own() {
    const LOCK: &str = "('x'::pg_catalog.text OPERATOR(pg_catalog.||) pg_catalog.encode(pg_catalog.substr(\
        pg_catalog.sha256(pg_catalog.convert_to('acme.'::pg_catalog.text OPERATOR(pg_catalog.||) (0::pg_catalog.";
    let lock = |key: &str| format!("{LOCK}int8 OPERATOR(pg_catalog.#) ({key}{LOCK_END}");
    let pair =
        |one: &str, two: &str| format!("{LOCK}int4 OPERATOR(pg_catalog.#) ({one}{LOCK_COMMA}{two}{LOCK_END}");
    const CHANNEL: &str = "'acme.'::pg_catalog.text OPERATOR(pg_catalog.||) (";
    for (text, expected) in [
        ("listen Orders", "UNLISTEN \"pgstrata\"".into()),
        ("select 1; listen a ; select 2", "select 1; UNLISTEN \"pgstrata\" ; select 2".into()),
        ("unlisten *", "unlisten *".into()),
        ("notify Orders, 'x'", "notify \"acme.orders\", 'x'".into()),
        ("notify \"a\"\"b\"", "notify \"acme.a\"\"b\"".into()),
        ("select pg_notify('a', 'b')", format!("select pg_notify({CHANNEL}'a'), 'b')")),
        ("select pg_notify($1, f(1, 2))", format!("select pg_notify({CHANNEL}$1), f(1, 2))")),
        ("select pg_advisory_lock(1)", format!("select pg_advisory_lock({})", lock("1"))),
        (
            "select pg_try_advisory_xact_lock ( 1 , 2 )",
            format!("select pg_try_advisory_xact_lock ( {} )", pair("1 ", " 2")),
        ),
        (
            "select pg_catalog.\"pg_advisory_unlock\"((array[1, 2])[1])",
            format!("select pg_catalog.\"pg_advisory_unlock\"({})", lock("(array[1, 2])[1]")),
        ),
        (
            "select pg_advisory_xact_lock(hashtext('x') -- why\n)",
            format!("select pg_advisory_xact_lock({} -- why\n)", lock("hashtext('x')")),
        ),
        ("select pg_advisory_unlock_all()", "select pg_advisory_unlock_all()".into()),
        ("select pg_advisory_lock()", "select pg_advisory_lock()".into()),
        ("select pg_advisory_lock", "select pg_advisory_lock".into()),
        ("prepare transaction 'it''s'", "prepare transaction 'acme.it''s'".into()),
        ("commit prepared 'x'", "commit prepared 'acme.x'".into()),
        (
            "select set_config(name, 'x', false) from pg_settings where name = 'work_mem'",
            "select set_config(name, 'x', false) from pg_catalog.pg_settings where name  OPERATOR(pg_catalog.=)  'work_mem'"
                .into(),
        ),
    ] {
        assert_eq!(sent(text, &scope()), expected, "{text}");
    }
}

#[test]
fn setting_by_a_name_from_the_catalog_must_be_plain_to_see() {
    for text in [
        "select set_config(name, 'globex', false) from pg_settings where name = 'search_path'",
        "select set_config(name, 'x', false) from pg_settings where name = 'role'",
        "select set_config(name, 'x', false) from pg_settings where name like 'search%'",
        "select set_config(name, 'x', false) from pg_settings where name = 'work_mem' or true",
        "select set_config(name, 'x', false) from t where name = 'work_mem'",
        "select set_config(name, 'x', false) from acme.pg_settings where name = 'work_mem'",
        "select set_config(name, 'x', false), set_config(name, 'y', true) from pg_settings where name = 'work_mem'",
    ] {
        assert!(matches!(plan_as(text, &scope()).route, Route::Refuse(_)), "{text}");
    }
}

#[test]
fn sequences_are_read_of_the_tenant_only() {
    let text =
        "select seqrelid, last_value from pg_catalog.pg_sequence, pg_get_sequence_data(seqrelid) order by 1";
    let sent = sent(text, &scope());
    assert!(
        sent.contains("'acme'::pg_catalog.name)) AS pg_sequence, pg_get_sequence_data(seqrelid)"),
        "{sent}"
    );
    for text in [
        "select pg_get_sequence_data(16400)",
        "select * from pg_sequence s, pg_get_sequence_data(seqrelid)",
        "select * from pg_sequence, pg_get_sequence_data(seqrelid + 1)",
        "select * from (select 16400 as seqrelid) x, pg_get_sequence_data(seqrelid)",
        "select * from t, pg_sequence, pg_get_sequence_data(seqrelid)",
    ] {
        assert!(matches!(plan_as(text, &scope()).route, Route::Refuse(_)), "{text}");
    }
}

#[test]
fn no_tenants_names_begin_as_anothers() {
    let sub = Scope { schema: "acme.sub".into(), ..scope() };
    assert_eq!(sent("notify x", &sub), "notify \"acme~1sub.x\"");
    assert_eq!(sent("prepare transaction 'x'", &sub), "prepare transaction 'acme~1sub.x'");
    assert_eq!(sent("notify x", &Scope { schema: "acme~1sub".into(), ..scope() }), "notify \"acme~01sub.x\"");
    assert!(sent("select gid from pg_prepared_xacts", &sub).contains("'acme~1sub.'"));
}

#[test]
fn prepared_transactions_are_those_of_the_tenant() {
    let filtered = "(SELECT transaction, pg_catalog.substr(gid, 6) AS gid, prepared, owner, database \
                    FROM pg_catalog.pg_prepared_xacts WHERE database OPERATOR(pg_catalog.=) \
                    pg_catalog.current_database() AND pg_catalog.starts_with(gid, 'acme.'))";
    for (text, behind) in [
        ("select gid from pg_prepared_xacts", " AS pg_prepared_xacts"),
        ("select gid from PG_CATALOG.pg_prepared_xacts x", " x"),
        ("select gid from pg_prepared_xacts where gid = 'a'", " AS pg_prepared_xacts where gid = 'a'"),
    ] {
        assert_eq!(sent(text, &scope()), format!("select gid from {filtered}{behind}"), "{text}");
    }
    for text in [
        "select pg_prepared_xacts from t",
        "table pg_prepared_xacts",
        "select * from t, pg_prepared_xacts",
        "create view v as select * from pg_prepared_xacts",
        "prepare p as select * from pg_prepared_xacts",
        "copy pg_prepared_xacts to stdout",
    ] {
        assert!(matches!(plan_as(text, &scope()).route, Route::Refuse(_)), "{text}");
    }
}

#[test]
fn shared_keys_are_left_alone() {
    let keys = KeySpaces {
        channels: KeySpace::Shared,
        advisory_locks: KeySpace::Shared,
        two_phase: KeySpace::Shared,
    };
    let scope = Scope { keys, ..scope() };
    for text in
        ["notify a", "select pg_notify('a', 'b')", "select pg_advisory_lock(1)", "prepare transaction 'x'"]
    {
        assert_eq!(sent(text, &scope), text);
    }
}

#[test]
fn what_can_not_be_made_ones_own_is_refused() {
    let code = |text: &str| match plan_as(text, &scope()).route {
        Route::Refuse(refusal) => refusal.code,
        route => panic!("{text}: {route:?}"),
    };
    assert_eq!(code(&format!("notify {}", "a".repeat(60))), "22023");
    assert_eq!(code("prepare transaction E'a\\x41'"), "0A000");
}
