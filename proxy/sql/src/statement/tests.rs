use super::*;
use crate::lexer::Lexer;
use crate::plan::Setting;
use crate::tokens;

fn shape(text: &str) -> StatementShape {
    let all: Vec<_> = Lexer::new(text.as_bytes(), true).collect();
    let closes = tokens::closes(&all);
    let t = Tokens { text: text.as_bytes(), all: &all, conforming: true, closes: &closes };
    let range = tokens::statements(&t).remove(0);
    classify(&t, range)
}

fn kind(text: &str) -> StatementKind {
    shape(text).kind
}

fn set(name: &str, value: Range<usize>, local: bool) -> StatementKind {
    StatementKind::Set(Box::new(Setting { name: name.into(), value, given: None, local }))
}

#[test]
fn transaction_control_is_known() {
    use StatementKind::*;
    assert_eq!(kind("Begin"), Begin);
    assert_eq!(kind("start transaction isolation level serializable"), Begin);
    assert_eq!(kind("commit and chain"), Commit { chain: true });
    assert_eq!(kind("end work"), Commit { chain: false });
    assert_eq!(kind("prepare transaction 'x'"), Commit { chain: false });
    assert_eq!(kind("abort"), Rollback { chain: false });
    assert_eq!(kind("rollback transaction to savepoint a"), RollbackTo("a".into()));
    assert_eq!(kind("rollback to SAVEPOINT"), RollbackTo("savepoint".into()));
    assert_eq!(kind("savepoint A"), Savepoint("a".into()));
    assert_eq!(kind("release savepoint a"), Release("a".into()));
    assert_eq!(kind("rollback prepared 'x'"), EndPrepared);
}

#[test]
fn set_is_known_in_each_spelling() {
    assert_eq!(kind("set x = 1"), set("x", 3..4, false));
    assert_eq!(kind("set session \"X\".y to 'a', 'b'"), set("x.y", 6..9, false));
    assert_eq!(kind("set local search_path to a, b"), set("search_path", 4..7, true));
    assert_eq!(kind("set schema 'a'"), set("search_path", 2..3, false));
    assert_eq!(kind("set time zone 'UTC'"), set("timezone", 3..4, false));
    assert_eq!(kind("set names 'utf8'"), set("client_encoding", 2..3, false));
    assert_eq!(kind("set role x"), set("role", 2..3, false));
    assert_eq!(kind("set session authorization x"), set("session_authorization", 3..4, false));
    assert_eq!(kind("set session session authorization x"), set("session_authorization", 4..5, false));
    assert_eq!(kind("set xml option document"), set("xmloption", 3..4, false));
    assert_eq!(kind("set transaction read only"), StatementKind::SetTransaction);
    assert_eq!(
        kind("set session characteristics as transaction isolation level repeatable read, not deferrable"),
        StatementKind::Characteristics(Box::new([
            ("default_transaction_isolation", "repeatable read"),
            ("default_transaction_deferrable", "off"),
        ]))
    );
    assert_eq!(
        shape("set session characteristics as transaction read sometimes").pin,
        Some(PinReason::SessionState)
    );
    assert_eq!(kind("set time zone interval '1' hour to minute"), set("timezone", 3..8, false));
    assert_eq!(kind("set local x to default"), reset_of("x", true));
    assert_eq!(kind("set time zone local"), reset_of("timezone", false));
    assert_eq!(kind("reset session authorization"), reset_of("session_authorization", false));
    assert_eq!(kind("reset all"), StatementKind::ResetAll);
    assert_eq!(kind("show search_path"), StatementKind::Show("search_path".into()));
}

fn reset_of(name: &str, local: bool) -> StatementKind {
    StatementKind::Reset { name: name.into(), local }
}

#[test]
fn other_session_statements_are_known() {
    assert_eq!(kind("discard temp"), StatementKind::Discard(Discard::Temp));
    let prepare = |name: &str, writes| StatementKind::Prepare { name: name.into(), writes };
    assert_eq!(kind("prepare P as select 1"), prepare("p", false));
    assert_eq!(kind("prepare U&\"!0070\" uescape '!' (int) as delete from t"), prepare("p", true));
    assert_eq!(kind("prepare transaction as select 1"), prepare("transaction", false));
    assert_eq!(kind("fetch all from c"), StatementKind::Fetch);
    assert_eq!(kind("move c"), StatementKind::Fetch);
    assert_eq!(kind("close c"), StatementKind::Plain);
    assert_eq!(kind("deallocate prepare all"), StatementKind::Deallocate(None));
    assert_eq!(kind("deallocate P"), StatementKind::Deallocate(Some("p".into())));
    assert_eq!(kind("copy t (a, b) from stdin with csv"), StatementKind::CopyIn);
    assert_eq!(kind("copy (select 1 from stdin) to stdout"), StatementKind::Plain);
}

#[test]
fn what_runs_a_prepared_statement_is_known() {
    let run = |text| match shape(text) {
        StatementShape { kind: StatementKind::Execute(run), way: Way::Path, writes: true, .. } => {
            (run.name.into_string(), run.at.start)
        }
        other => panic!("{text}: {other:?}"),
    };
    for (text, name, token) in [
        ("execute p", "p", 1),
        ("EXECUTE \"P\" (1, 'x')", "P", 1),
        ("execute U&\"!0070\" uescape '!'", "p", 1),
        ("execute execute", "execute", 1),
        ("explain execute p", "p", 2),
        ("explain analyze verbose execute p(1)", "p", 4),
        ("explain (analyze, format json) execute p", "p", 8),
        ("create table t as execute p", "p", 5),
        (
            "create global temporary table if not exists x.t (a, b) with (fillfactor = 10) as execute p",
            "p",
            23,
        ),
        ("explain analyse create unlogged table t as execute p(1) with no data", "p", 8),
    ] {
        assert_eq!(run(text), (name.to_owned(), token), "{text}");
    }
    for text in [
        "create table execute (a int)",
        "create table t as select 1 as execute",
        "create trigger t before insert on t execute function f()",
        "create view v as select execute from t",
        "explain select execute from t",
        "execute",
        "execute 5",
        "explain (execute) select 1",
    ] {
        assert!(!matches!(kind(text), StatementKind::Execute(_)), "{text}");
    }
}

#[test]
fn what_pins_is_known() {
    let pin = |text| shape(text).pin;
    assert_eq!(pin("create temp table t (a int)"), Some(PinReason::TempTable));
    assert_eq!(pin("create or replace temporary view v as select 1"), Some(PinReason::TempTable));
    assert_eq!(pin("create table pg_temp.t (a int)"), Some(PinReason::TempTable));
    assert_eq!(pin("select 1 into local temp t"), Some(PinReason::TempTable));
    assert_eq!(pin("declare c cursor with hold for select 1"), Some(PinReason::HoldCursor));
    assert_eq!(pin("select pg_advisory_lock(1)"), Some(PinReason::AdvisoryLock));
    assert_eq!(pin("select pg_advisory_xact_lock(1)"), None);
    assert_eq!(pin("select set_config('a.b', 'x', true)"), None);
    for text in [
        "select set_config('a.b', 'x', false)",
        "select set_config('a.b', $1, false)",
        "select current_setting('jit') as cur, set_config('jit', 'off', false) as new",
    ] {
        assert_eq!(pin(text), None, "{text}");
    }
    for text in [
        "select set_config('a.b', 'x', false), f(1)",
        "select set_config('a.b', 'x', false), set_config('a.c', 'x', false)",
        "select case when true then set_config('a.b', 'x', false) end",
        "select set_config('a.b', 'x' || 'y', false)",
    ] {
        assert_eq!(pin(text), Some(PinReason::SessionState), "{text}");
    }
    assert_eq!(pin("select set_config('a.b', 'x', false) from t"), Some(PinReason::SessionState));
    assert_eq!(pin("select temp from t"), None);
}

#[test]
fn writes_and_ddl_are_told_apart() {
    let flags = |text| (shape(text).writes, shape(text).ddl);
    assert_eq!(flags("select 1"), (false, false));
    assert_eq!(flags("select 1 from t for no key update"), (true, false));
    assert_eq!(flags("with x as (delete from t returning 1) select 1"), (true, false));
    assert_eq!(flags("insert into t select 1"), (true, false));
    assert_eq!(flags("select 1 into t"), (true, true));
    assert_eq!(flags("create table t (a int)"), (true, true));
    assert_eq!(flags("set x = 1"), (false, false));
}

#[test]
fn statements_that_need_their_own_transaction() {
    for text in [
        "vacuum t",
        "create unique index concurrently i on t (a)",
        "drop index concurrently i",
        "reindex (verbose) database d",
        "reindex table t",
        "cluster t using i",
        "cluster",
        "call p()",
        "do $$ $$",
        "alter table t detach partition p concurrently",
    ] {
        assert_eq!(shape(text).way, Way::Own, "{text}");
    }
}
