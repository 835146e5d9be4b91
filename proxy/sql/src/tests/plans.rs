//! The engine's answer for a text, in short.

pub(crate) use crate::fixture::{names, schema, scope};
use crate::lexer::{Lexer, TokenKind};
use crate::plan::Splice;
use crate::rewrite::{Prefixes, rewrite};
use crate::{Engine, Plan, Route, Scope, TextMode};

/// What PostgreSQL gets for a text with these splices.
pub(crate) fn splice(text: &[u8], splices: &[Splice]) -> Vec<u8> {
    rewrite(text, splices, &Prefixes::of(&scope()), &[]).pieces.concat()
}

pub(crate) fn plan(text: &str) -> Plan {
    plan_as(text, &scope())
}

/// The plan of a text, which must be the same whatever literals its shape was first seen with.
pub(crate) fn plan_as(text: &str, scope: &Scope) -> Plan {
    let plan = |engine: &Engine, text: &[u8]| engine.plan(text, scope, TextMode::default());
    let cold = plan(&Engine::new(1 << 20), text.as_bytes());
    let warm = Engine::new(1 << 20);
    plan(&warm, &with_other_literals(text.as_bytes()));
    assert_eq!(plan(&warm, text.as_bytes()), cold, "{text:.200}");
    cold
}

fn with_other_literals(text: &[u8]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::new(), 0);
    for token in Lexer::new(text, true).filter(|token| token.kind == TokenKind::Str) {
        out.extend(&text[at..token.start as usize]);
        out.extend(b"'app.other'");
        at = token.end as usize;
    }
    out.extend(&text[at..]);
    out
}

/// The route in short: the text that is sent, or what is done instead.
pub(crate) fn sent(text: &str) -> String {
    let plan = plan(text);
    match plan.route {
        Route::Pass => "pass".into(),
        Route::SearchPath => "path".into(),
        Route::OwnTransaction => "own".into(),
        Route::NeedNames => "names".into(),
        Route::Refuse(refusal) => format!("refuse: {}", refusal.message),
        Route::Splice => String::from_utf8(splice(text.as_bytes(), &plan.splices)).expect("UTF-8"),
    }
}
