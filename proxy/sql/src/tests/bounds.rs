//! What is left out of a text's tokens, and what of a text is judged where.

use super::oracle::{corpus, random::Random};
use crate::decide::decide;
use crate::engine::shape;
use crate::lexer::{Lexer, Token};
use crate::plan::Plan;
use crate::tests::plans::*;
use crate::tokens::Tokens;
use crate::{Engine, Route, TextMode};

/// The plan from all tokens of a text.
fn plan_of_all(text: &str) -> Plan {
    let mode = TextMode::default();
    let all: Vec<Token> = Lexer::new(text.as_bytes(), true).collect();
    let t = Tokens { text: text.as_bytes(), all: &all, conforming: true, closes: &[] };
    let mut plan = Plan::default();
    decide(&shape(&t).unwrap(), &t, &scope(), mode, &mut plan);
    plan
}

#[test]
fn rows_that_are_left_out_change_no_plan() {
    const ROWS: &[&str] = &[
        " values (1, 'globex.users'), (2, 'b'), (-3.5, null), (4, default), ($1, E'\\n')",
        " (1), (2), (3), (4)",
        ", (true, 1), (false, 2), (null, 3)",
        " values (1), (2), (now()), (nextval('globex.s')), (3), (4), (5)",
        " values ('a'), ('b'::regclass), ('c'), ('d'), ('globex.t'), ('e')",
        " values (1), (2), (3); select 'globex.t'::regclass; values (4), (5), (6)",
    ];
    let (corpus, mut random) = (corpus::corpus(), Random::new(3));
    for _ in 0..6000 {
        let (_, text) = random.pick(&corpus);
        let ends: Vec<usize> = Lexer::new(text.as_bytes(), true).map(|token| token.end as usize).collect();
        let mut text = text.clone();
        if let Some(&at) = ends.get(random.below(ends.len())) {
            let rows: &&str = random.pick(ROWS);
            text.insert_str(at, rows);
        }
        let mut plan = Engine::new(1 << 16).plan(text.as_bytes(), &scope(), TextMode::default());
        let all = plan_of_all(&text);
        // Statistics tell apart how many rows are left.
        plan.form = all.form;
        assert_eq!(plan, all, "{text}");
    }
}

#[test]
fn what_is_long_and_not_known_is_judged_elsewhere() {
    let engine = Engine::new(1 << 20);
    let at_once = |text: &str| engine.plan_at_once(text.as_bytes(), &scope(), TextMode::default());
    let row = "(1, 'a', 2.5, null), ";
    for (text, known) in [
        ("select id from users".to_owned(), true),
        (format!("insert into users values {row}{}(2)", row.repeat(100)), true),
        (format!("select id{} from users", ", id".repeat(300)), false),
        (format!("select id, '{}' from users", "x".repeat(9000)), false),
    ] {
        let plan = engine.plan(text.as_bytes(), &scope(), TextMode::default());
        let fresh = Engine::new(1 << 20).plan_at_once(text.as_bytes(), &scope(), TextMode::default());
        assert_eq!(fresh, known.then(|| plan.clone()), "{text:.60}");
        // A shape that is known is decided at once, in a text that is not too long.
        let short = text.len() <= 8 << 10;
        assert_eq!(at_once(&text), short.then_some(plan), "{text:.60}");
    }
}

#[test]
fn what_takes_too_much_is_refused() {
    let code = |text: &str| match plan(text).route {
        Route::Refuse(refusal) => refusal.code,
        _ => "",
    };
    assert_eq!(code(&format!("select {}1", "+".repeat(1025))), "54001");
    assert_eq!(code(&format!("select {}1", "+".repeat(1024))), "");
    assert_eq!(code(&format!("select {}1", "+ ".repeat(5000))), "");
    for statement in ["set x.", "select x.", "create function f() returns int return 1 set x."] {
        assert_eq!(code(&format!("{statement}{}b = 1", "a . ".repeat(1024))), "54001", "{statement}");
        assert_ne!(code(&format!("{statement}{}b = 1", "a.".repeat(1023))), "54001", "{statement}");
    }
    assert_eq!(code(&format!("select 1{}", ", a.b".repeat(10_000))), "");
    assert_eq!(code(&"a;".repeat(100_001)), "54001");
    assert_eq!(code(&"a;".repeat(100_000)), "");
    let rows = ", (1, 'a')".repeat(1_000_000);
    assert_eq!(code(&format!("insert into users values (0, 'b'){rows}")), "");
    assert_eq!(code(&format!("select 1{}", ",a".repeat(256 << 10))), "54001");
}
