//! PostgreSQL's own parser says where statements stand and what they are.

use std::sync::atomic::{AtomicUsize, Ordering};

use bolero::check;
use pgstrata_grammar::oracle::without_comments;
use pgstrata_grammar::{Node, Tree};

use super::*;

/// What makes statements, and what could hide one of them.
const PIECES: &[&str] = &[
    "select 1",
    "; ",
    ";",
    "begin",
    "commit",
    "rollback",
    "end",
    "savepoint s",
    "begin atomic ",
    " end",
    "select ",
    "case when true then 1 end",
    " as end",
    " as begin",
    ", atomic",
    "create function f() returns int ",
    "create or replace procedure p() ",
    "create function begin(atomic int) returns begin ",
    "language sql as ",
    "'select 1; commit'",
    "$$ begin commit; end $$",
    "return 1",
    "create rule r as on insert to t do (",
    ") ",
    "(",
    "copy t from stdin",
    "copy (select 1) to stdout",
    "copy stdin from '/x'",
    "create table begin (atomic int)",
    "prepare transaction 'x'",
    "prepare x as select 1",
    " -- ;\n",
    "/* ; commit */",
    "E'\\'; '",
    "'\\'",
    "\"begin\"",
    "do $x$ begin end $x$",
    "release s",
    "abort",
    "start transaction",
    "create view v as ",
    " union ",
    "é",
    "1",
    "create schema s create table t (a int) ",
    "set search_path to begin, atomic",
    "insert into t values (1)",
    " ",
];

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| PIECES[usize::from(byte) % PIECES.len()]).collect()
}

/// Holds a text against the parser; `None` where PostgreSQL refuses all of it.
fn holds(text: &str) -> Option<()> {
    let tree = Tree::parse(&without_comments(text)).ok()?;
    let script = Script::new(text);
    let ours: Vec<&str> = script.statements().iter().map(|statement| script.of(statement)).collect();
    assert_eq!(ours.len(), tree.statements().count(), "{text}\n{ours:?}");
    let mut refused = false;
    for (stmt, ours) in tree.statements().zip(&ours) {
        let theirs = &text[stmt.start..stmt.end.unwrap_or(text.len())];
        // Theirs has the blanks and comments around it.
        assert!(theirs.contains(ours), "{text}\n{theirs}\n{ours}");
        refused |= match stmt.root {
            Node::TransactionStmt(_) => true,
            Node::CopyStmt(copy) => copy.filename().is_none(),
            _ => false,
        };
    }
    assert_eq!(script.refused().is_some(), refused, "{text}");
    Some(())
}

#[test]
fn statements_are_those_of_postgresql() {
    static HELD: AtomicUsize = AtomicUsize::new(0);
    check!().with_max_len(12).for_each(|bytes| {
        HELD.fetch_add(usize::from(holds(&text(bytes)).is_some()), Ordering::Relaxed);
    });
    assert!(HELD.load(Ordering::Relaxed) > 100, "hardly a text was SQL: {HELD:?}");
}

#[test]
fn bodies_end_where_postgresql_says() {
    let head = "create function f(a int) returns int ";
    let bodies = [
        "begin atomic end",
        "begin atomic select 1; end",
        "begin atomic select 1 as end; select case when true then 1 end; end",
        "begin atomic create rule r as on insert to t do (select 1; select 2); end",
        "language sql begin atomic return 1; end",
        "language sql return 1",
        "language sql as 'begin atomic'",
        "set search_path to begin language sql as $$ begin atomic $$",
    ];
    for body in bodies {
        for behind in ["", "; commit", "; select 1; rollback", ";;end", "; end; select 1"] {
            assert!(holds(&format!("{head}{body}{behind}")).is_some(), "{body}{behind}");
        }
    }
}
