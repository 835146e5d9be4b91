//! The engine takes steps in proportion to its text, whatever that is.

use pgstrata_testkit::{FAMILIES, Mixtures};

use crate::scope::Scope;
use crate::tests::plans::{scope, splice};
use crate::{Engine, Route, TextMode, steps};

/// What a step is for: each token is asked some hundred questions by the guard, and as many by the parser.
const STEPS_FOR_A_BYTE: u64 = 150;

/// As many rules as there are hold for this tenant.
fn strict() -> Scope {
    Scope { hide_others: true, dynamic_sql: true, ..scope() }
}

fn steps(text: &str) -> u64 {
    let scopes = [scope(), strict()];
    steps::of(|| {
        for scope in &scopes {
            let plan = Engine::new(1 << 16).plan(text.as_bytes(), scope, TextMode::default());
            if !matches!(plan.route, Route::Refuse(_)) {
                splice(text.as_bytes(), &plan.splices);
            }
        }
    })
}

#[test]
fn steps_grow_as_the_text_does() {
    for family in FAMILIES {
        for bytes in [2 << 10, 8 << 10] {
            let count = family.count_for(bytes);
            let (few, many) = (steps(&family.text(count)), steps(&family.text(4 * count)));
            assert!(
                many <= 5 * few,
                "{}: {few} steps for {bytes} bytes, and {many} for four times as many",
                family.name
            );
        }
    }
}

#[test]
fn no_text_takes_more_than_its_share() {
    let texts = FAMILIES.iter().map(|family| (family.name.to_owned(), family.of_size(16 << 10)));
    let mixtures =
        Mixtures::new(1, 8 << 10).take(60).map(|mixture| (mixture.families.join(", "), mixture.text));
    for (name, text) in texts.chain(mixtures) {
        let taken = steps(&text);
        let most = STEPS_FOR_A_BYTE * (text.len() as u64 + 64);
        assert!(taken <= most, "{name}: {taken} steps for {} bytes", text.len());
    }
}
