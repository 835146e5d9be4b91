//! Which statements mean the same as long as what they name is there.

use pgstrata_tenancy::Strategy;

use crate::fixture::scope;
use crate::{Engine, Route, Scope, TextMode};

fn with(strategy: Strategy) -> Scope {
    Scope { strategy, ..scope() }
}

fn is_lasting(text: &str, scope: &Scope, mode: TextMode) -> bool {
    Engine::new(1 << 20).plan(text.as_bytes(), scope, mode).lasting
}

#[test]
fn statements_over_own_relations_are_lasting_with_both_strategies() {
    for text in [
        "select 1",
        "select $1::int4 + 2",
        "select * from items where id = $1",
        // There is another behind it on the path.
        "select * from users",
        "select count(*), now() from items",
        "select coalesce(a, $1) from items i join orders o on o.id = i.id",
        "insert into items (a, b) values ($1, $2) returning items.a",
        "update items set a = $1 where (b, c) in (select 1, 2)",
        "delete from acme.items where id = $1",
        "select * from public.countries",
    ] {
        for strategy in [Strategy::SearchPath, Strategy::SchemaQualified] {
            assert!(is_lasting(text, &with(strategy), TextMode::default()), "{strategy:?}: {text}");
        }
    }
}

#[test]
fn what_something_new_could_take_the_place_of_is_not_lasting() {
    for text in [
        // A function that fits better.
        "select lower(name) from items",
        "select sum(a) from items",
        "select \"lower\"($1)",
        "select substring(a, 1, 2) from items",
        "select * from generate_series(1, 2)",
        "select full_name()",
        // Not known, or by the path alone.
        "select * from nowhere",
        "select * from not_plain",
        "create table x (a int4)",
        "select 'users'::regclass",
        "select $1::mood",
    ] {
        for strategy in [Strategy::SearchPath, Strategy::SchemaQualified] {
            assert!(!is_lasting(text, &with(strategy), TextMode::default()), "{strategy:?}: {text}");
        }
    }
}

#[test]
fn shared_relation_is_lasting_where_its_schema_is_written() {
    // An own table of that name would be found first.
    for text in ["select * from countries", "select * from items, countries"] {
        assert!(is_lasting(text, &with(Strategy::SchemaQualified), TextMode::default()), "{text}");
        assert!(!is_lasting(text, &with(Strategy::SearchPath), TextMode::default()), "{text}");
    }
}

#[test]
fn nothing_lasts_where_names_are_in_flux() {
    for mode in [
        TextMode { own_path: true, ..TextMode::default() },
        TextMode { stale_names: true, ..TextMode::default() },
        TextMode { temp_tables: true, ..TextMode::default() },
    ] {
        for strategy in [Strategy::SearchPath, Strategy::SchemaQualified] {
            for text in ["select * from items", "select now()"] {
                assert!(!is_lasting(text, &with(strategy), mode), "{strategy:?}: {text}: {mode:?}");
            }
        }
    }
    let unknown = Scope { names: None, ..scope() };
    let engine = Engine::new(1 << 20);
    let plan = engine.plan(b"select * from items", &unknown, TextMode::default());
    assert!(!plan.lasting && plan.route == Route::SearchPath);
}

#[test]
fn columns_are_those_of_all_relations_that_a_text_names() {
    let columns =
        |text: &str| Engine::new(1 << 20).columns_of(text.as_bytes(), &scope(), TextMode::default());
    assert_eq!(columns("select $1::int4").as_deref(), Some(""));
    assert_eq!(
        columns("select * from users u, countries c, acme.items, \"Odd Name\" o, items where c.id = $1")
            .as_deref(),
        Some(
            r#"SELECT * FROM "acme"."users" AS r0, "public"."countries" AS r1, "acme"."Odd Name" AS r2, "acme"."items" AS r3"#
        )
    );
    assert_eq!(columns("select * from nowhere"), None);
    let many: Vec<String> = (0..9).map(|i| format!("s{i}.t")).collect();
    assert_eq!(columns(&format!("select * from {}", many.join(", "))), None);
}
