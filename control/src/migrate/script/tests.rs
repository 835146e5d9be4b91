use super::*;

fn split(text: &str) -> Vec<String> {
    let script = Script::new(text);
    script.statements().iter().map(|statement| script.of(statement).to_owned()).collect()
}

fn refused(text: &str) -> Option<(usize, usize)> {
    Script::new(text).refused().map(|(place, _)| (place.line, place.column))
}

#[test]
fn statements_end_at_semicolons_that_are_theirs() {
    assert_eq!(split("a; b 'c;d' ;; \"e;\" $$;$$ -- ;\n; /* ; */"), ["a", "b 'c;d'", "\"e;\" $$;$$"]);
    assert_eq!(
        split("create rule r as on insert to t do (a; b); c"),
        ["create rule r as on insert to t do (a; b)", "c"]
    );
    assert!(split("").is_empty());
    assert!(split("-- nothing\n/* at all */ ;").is_empty());
}

#[test]
fn bodies_of_statements_are_whole() {
    let body = "CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; \
                SELECT 1 AS end; END";
    assert_eq!(split(&format!("{body}; SELECT 2")), [body, "SELECT 2"]);
    let empty = "CREATE PROCEDURE p() BEGIN ATOMIC END";
    assert_eq!(split(&format!("{empty};{empty}")), [empty, empty]);
    assert_eq!(refused(&format!("{body}; COMMIT")), Some((1, body.len() + 3)));
}

#[test]
fn transaction_control_is_refused_where_it_is_a_statement() {
    for text in ["BEGIN", "start transaction", "COMMIT AND CHAIN", "end", "Rollback to x", "abort"] {
        assert_eq!(refused(&format!("SELECT 1;\n  {text};")), Some((2, 3)), "{text}");
    }
    for text in ["savepoint x", "release x", "PREPARE TRANSACTION 'x'", "COMMIT PREPARED 'x'"] {
        assert_eq!(refused(&format!("/* é */ {text}")), Some((1, 9)), "{text}");
    }
    let allowed = [
        "DO $$ BEGIN COMMIT; END $$",
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $f$ BEGIN ROLLBACK; END $f$",
        "SELECT 'x'; SELECT 1 -- ; COMMIT",
        "PREPARE x AS SELECT 1",
        "SELECT \"commit\", 'a\\'; COMMENT ON TABLE t IS '; COMMIT'",
        "CREATE TABLE t (\"begin\" int, \"end\" int)",
    ];
    for text in allowed {
        assert_eq!(refused(text), None, "{text}");
    }
}

// A body that PostgreSQL does not see must not hide what follows it.
#[test]
fn no_body_is_made_up() {
    let texts = [
        "CREATE FUNCTION begin() RETURNS int LANGUAGE sql AS 'select 1'; COMMIT",
        "CREATE FUNCTION f(begin atomic) RETURNS int LANGUAGE sql AS 'select 1'; COMMIT",
        "CREATE TABLE begin (atomic int); COMMIT",
        "SELECT 1 AS begin, atomic FROM t; COMMIT",
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END; COMMIT",
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); END; COMMIT",
        "SELECT E'\\'; COMMIT; --'; COMMIT",
        "CREATE VIEW v AS SELECT 1 AS begin; CREATE VIEW atomic AS SELECT 1; END",
    ];
    for text in texts {
        assert!(refused(text).is_some(), "{text}");
    }
}

#[test]
fn copy_is_refused_where_it_needs_a_client() {
    for text in ["copy t from stdin", "COPY t (a, b) FROM STDIN (FORMAT csv)", "copy (select 1) to stdout"] {
        assert!(refused(text).is_some(), "{text}");
    }
    for text in ["COPY stdin FROM '/x'", "COPY t TO PROGRAM 'x'", "COPY (SELECT a FROM stdin) TO '/x'"] {
        assert_eq!(refused(text), None, "{text}");
    }
}

#[test]
fn places_count_characters() {
    let script = Script::new("SELECT 1;\r\nSELECT 'é', oops;\n");
    assert_eq!(script.statement_at(1), Some(Place { line: 2, column: 1 }));
    assert_eq!(script.character_at(0, 24), Place { line: 2, column: 13 });
    assert_eq!(script.character_at(11, 13), Place { line: 2, column: 13 });
    assert_eq!(script.character_at(11, 999), Place { line: 3, column: 1 });
}

#[test]
fn what_may_leave_a_half_is_known() {
    let script =
        Script::new("CREATE INDEX CONCURRENTLY i ON t (a); VACUUM t; CALL p(); SELECT 'concurrently'");
    let atomic: Vec<bool> = script.statements().iter().map(|statement| statement.atomic).collect();
    assert_eq!(atomic, [false, true, false, true]);
}
