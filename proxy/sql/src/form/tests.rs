use super::*;
use crate::engine;

/// As a plan has it.
fn id(text: &str) -> FormId {
    let mut all = Vec::new();
    rows::collect(text.as_bytes(), true, &mut all).unwrap();
    engine::shape(&Tokens { text: text.as_bytes(), all: &all, conforming: true, closes: &[] }).unwrap().form
}

fn told(text: &str) -> String {
    shown(text.as_bytes(), id(text))
}

#[test]
fn form_has_no_literals_and_no_comments() {
    for (text, form) in [
        ("SELECT 1", "SELECT ?"),
        ("select  *\n from t\twhere a='x''y' and b=$1", "select * from t where a=? and b=$1"),
        ("/* secret */ select -- secret\n 2 /* secret */", "select ?"),
        (
            "select E'secret', $q$secret$q$, B'01', X'1f', N'secret', U&'secret', 1.5e3",
            "select ?, ?, ?, ?, ?, ?, ?",
        ),
        ("select * from t where a in (1, 2, 3)", "select * from t where a in (...)"),
        (
            "select * from t where a in ($1,$2) and b = any(array['a','b'])",
            "select * from t where a in (...) and b = any(array[...])",
        ),
        ("select * from t where a in (1) or a in (b, 2)", "select * from t where a in (?) or a in (b, ?)"),
        ("insert into t values (1,'a') ,(2,'b'),(3,'c');", "insert into t values (?, ?), (?, ?)"),
        ("begin; select 1 ; ;", "begin; select ?"),
        ("", ""),
    ] {
        assert_eq!(told(text), form, "{text}");
    }
}

#[test]
fn words_that_are_values_are_shown_nowhere() {
    for (text, form) in [
        ("SET x TO secret", "SET x TO ?"),
        ("SET LOCAL app.key = secret, 'secret', 1", "SET LOCAL app.key = ?, ?, ?"),
        ("SET search_path TO DEFAULT", "SET search_path TO DEFAULT"),
        ("set time zone secret", "set time zone ?"),
        ("SET ROLE secret", "SET ROLE ?"),
        ("SET role = secret", "SET role = ?"),
        ("SET SESSION AUTHORIZATION secret", "SET SESSION AUTHORIZATION ?"),
        ("SET application_name = \"secret\"", "SET application_name = ?"),
        (
            "set transaction isolation level repeatable read",
            "set transaction isolation level repeatable read",
        ),
        ("SHOW app.key; RESET app.key", "SHOW app.key; RESET app.key"),
        ("ALTER ROLE a PASSWORD 'secret'", "ALTER ROLE a PASSWORD ?"),
        ("ALTER ROLE a SET x TO secret", "ALTER ROLE a SET x TO ?"),
        ("ALTER DATABASE a SET x = secret, secret", "ALTER DATABASE a SET x = ?, ?"),
        (
            "CREATE FUNCTION f() RETURNS int SET x TO secret LANGUAGE sql AS 'secret'",
            "CREATE FUNCTION f() RETURNS int SET x TO ? LANGUAGE sql AS ?",
        ),
        (
            "ALTER TABLE t ALTER c SET DEFAULT 1, SET (fillfactor = 70)",
            "ALTER TABLE t ALTER c SET DEFAULT ?, SET (fillfactor = ?)",
        ),
        (
            "SAVEPOINT secret; RELEASE SAVEPOINT secret; ROLLBACK TO secret; RELEASE secret",
            "SAVEPOINT ?; RELEASE SAVEPOINT ?; ROLLBACK TO ?; RELEASE ?",
        ),
        ("PREPARE secret AS SELECT a FROM t", "PREPARE ? AS SELECT a FROM t"),
        (
            "EXECUTE secret(1); DEALLOCATE secret; DEALLOCATE ALL",
            "EXECUTE ?(?); DEALLOCATE ?; DEALLOCATE ALL",
        ),
        ("EXPLAIN EXECUTE secret", "EXPLAIN EXECUTE ?"),
        ("CREATE TABLE t AS EXECUTE secret", "CREATE TABLE t AS EXECUTE ?"),
        (
            "CREATE TRIGGER g AFTER INSERT ON t EXECUTE FUNCTION f()",
            "CREATE TRIGGER g AFTER INSERT ON t EXECUTE FUNCTION f()",
        ),
        ("DECLARE \"secret\" CURSOR FOR SELECT a FROM t", "DECLARE ? CURSOR FOR SELECT a FROM t"),
        (
            "FETCH FORWARD 10 FROM secret; MOVE secret; CLOSE secret; CLOSE ALL",
            "FETCH FORWARD ? FROM ?; MOVE ?; CLOSE ?; CLOSE ALL",
        ),
        ("DELETE FROM t WHERE CURRENT OF secret", "DELETE FROM t WHERE CURRENT OF ?"),
        (
            "LISTEN secret; NOTIFY secret, 'secret'; UNLISTEN secret; UNLISTEN *",
            "LISTEN ?; NOTIFY ?, ?; UNLISTEN ?; UNLISTEN *",
        ),
        ("UPDATE t SET a = b", "UPDATE t SET a = b"),
    ] {
        assert_eq!(told(text), form, "{text}");
    }
    for (one, other) in [
        ("SAVEPOINT a", "SAVEPOINT \"b\""),
        ("SET x = a", "SET x = 'b'"),
        ("DECLARE c_1 CURSOR FOR SELECT 1", "DECLARE c_2 CURSOR FOR SELECT 1"),
    ] {
        assert_eq!(id(one), id(other), "{one}");
    }
}

#[test]
fn nothing_is_shown_of_what_is_not_read() {
    for (text, form) in [
        ("select 'secret", "SELECT (not read)"),
        ("select a \u{0}secret", "SELECT (not read)"),
        ("select \"secret", "SELECT (not read)"),
        ("secret \"a\" b\" 'c'", "(not read)"),
        // The quotes are in pairs, and the value stands between two literals.
        ("SELECT * FROM t WHERE a = 'it's secret'", "SELECT (not read)"),
        ("SELECT * FROM t WHERE a = 'it's secret's'", "SELECT (not read)"),
        ("ALTER ROLE a PASSWORD secret", "ALTER (not read)"),
    ] {
        assert_eq!(told(text), form, "{text}");
    }
    assert_eq!(shown(b"SELECT secret", FormId::NONE), "SELECT (not read)");
}

#[test]
fn identifier_is_the_same_for_what_differs_in_values_only() {
    for (one, other) in [
        ("select 1", "select  'x' -- y"),
        ("select * from t where a in (1,2)", "select * from t where a in (1,2,3,4)"),
        ("values (1),(2)", "values (1),(2),(3),(4)"),
    ] {
        assert_eq!(id(one), id(other), "{one}");
    }
    for (one, other) in
        [("select 1", "select $1"), ("select a", "select b"), ("select a in (1)", "select a in (1,2)")]
    {
        assert_ne!(id(one), id(other), "{one}");
    }
    assert_ne!(id(""), FormId::NONE);
}

#[test]
fn long_form_is_cut_off_between_two_letters() {
    let text = format!("select {}", "é".repeat(2000));
    let form = told(&text);
    assert!(form.len() <= MAX_SHOWN && form.len() > MAX_SHOWN - 8 && form.ends_with("é..."), "{form}");
    // No UTF-8: each byte is shown by three.
    assert!(shown(&[b"select ", &[0xff; 2000][..]].concat(), id("select a")).len() <= MAX_SHOWN);
    // What tells two forms apart may stand behind.
    assert_ne!(id(&format!("{text}, a")), id(&format!("{text}, b")));
}

#[test]
fn long_text_is_read_in_part_and_nothing_of_a_literal_is_shown() {
    let secret = "secret ".repeat(20_000);
    for (open, close) in [("'", "'"), ("$x$", "$x$"), ("E'", "'"), ("/* ", " */ 1"), ("\"", "\"")] {
        let text = format!("select a, {open}{secret}{close}");
        assert_eq!(told(&text), "select a,...", "{open}");
        assert_eq!(reason::shown("no \"secret\"", text.as_bytes(), &told(&text), "acme"), "...");
    }
    let form = told(&format!("select a{}", ", b".repeat(60_000)));
    assert!(form.len() <= MAX_SHOWN && form.ends_with("..."), "{form}");
    assert_eq!(told(&format!("select 1 where a in (1{})", ", 2".repeat(60_000))), "select ? where a in (...");
}
