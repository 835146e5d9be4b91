//! Names that are not current: behind DDL of the tenant's, and of a tenant of which nothing is known.

use std::sync::Arc;

use pgstrata_tenancy::Strategy;

use crate::fixture::{names, scope};
use crate::plan::SchemaRef;
use crate::rewrite::{Prefixes, rewrite};
use crate::scope::{Currency, Moved, Names};
use crate::{Engine, Route, Scope, TextMode};

const STRATEGIES: [Strategy; 2] = [Strategy::SearchPath, Strategy::SchemaQualified];

fn scope_with(currency: Currency, strategy: Strategy) -> Scope {
    let tenant = match currency {
        Currency::SharedOnly => Arc::default(),
        _ => names().tenant,
    };
    let names = Names { tenant, currency, ..names() };
    Scope { names: Some(Arc::new(names)), strategy, ..scope() }
}

/// The route, what is sent, and whether a question stands in front.
fn outcome(text: &str, scope: &Scope, mode: TextMode) -> (String, String, bool) {
    let plan = Engine::new(1 << 20).plan(text.as_bytes(), scope, mode);
    let pieces = rewrite(text.as_bytes(), &plan.splices, &Prefixes::of(scope), &[]).pieces.concat();
    let route = match plan.route {
        Route::Refuse(refusal) => refusal.code.to_owned(),
        other => format!("{other:?}"),
    };
    (route, String::from_utf8(pieces).unwrap(), !plan.checks.is_empty())
}

fn each(currency: Currency, cases: &[(&str, &str, &str, bool)]) {
    for strategy in STRATEGIES {
        for (text, route, sent, asks) in cases {
            let outcome = outcome(text, &scope_with(currency, strategy), TextMode::default());
            let sent = if sent.is_empty() { text } else { sent };
            assert_eq!(outcome, ((*route).to_owned(), (*sent).to_owned(), *asks), "{strategy} {text}");
        }
    }
}

#[test]
fn nothing_is_spliced_by_them_and_nothing_waits_for_others() {
    for currency in [Currency::Overtaken, Currency::SharedOnly] {
        each(
            currency,
            &[
                ("select * from users", "SearchPath", "", false),
                ("select * from countries, nowhere", "SearchPath", "", false),
                ("select lower('x')", "SearchPath", "", false),
                ("select 1", "Pass", "", false),
                ("create table n (a int)", "SearchPath", "", false),
                // A shared one of that name is not to be changed.
                ("alter table n add b int", "SearchPath", "alter table \"acme\".n add b int", false),
                ("create index on n (a)", "SearchPath", "create index on \"acme\".n (a)", false),
                // Of which keys to shared tables there are, nothing is known.
                ("drop table n", "SearchPath", "drop table \"acme\".n", currency == Currency::SharedOnly),
                ("drop table if exists n", "SearchPath", "drop table if exists \"acme\".n", true),
                ("insert into n values (1)", "SearchPath", "", true),
                ("select * from n for update", "SearchPath", "", true),
                ("drop type n", "SearchPath", "drop type \"acme\".n", true),
                ("drop function n", "SearchPath", "drop function \"acme\".n", true),
                (
                    "insert into countries values (1)",
                    "SearchPath",
                    "insert into \"acme\".countries values (1)",
                    true,
                ),
                ("drop table countries", "SearchPath", "drop table \"acme\".countries", true),
                (
                    "drop table if exists countries",
                    "SearchPath",
                    "drop table if exists \"acme\".countries",
                    true,
                ),
                ("vacuum countries", "OwnTransaction", "vacuum \"acme\".countries", false),
                ("insert into public.countries values (1)", "42501", "", false),
                ("insert into globex.users values (1)", "42501", "", false),
            ],
        );
    }
    let known = "insert into \"acme\".items values (1)";
    each(Currency::Overtaken, &[("insert into items values (1)", "SearchPath", known, false)]);
    each(Currency::SharedOnly, &[("insert into items values (1)", "SearchPath", "", true)]);
}

#[test]
fn temporary_tables_are_told_from_others_by_a_question() {
    let mode = TextMode { temp_tables: true, ..TextMode::default() };
    for currency in [Currency::Overtaken, Currency::SharedOnly] {
        for strategy in STRATEGIES {
            let scope = scope_with(currency, strategy);
            for text in
                ["insert into countries values (1)", "drop table countries", "alter table n add a int"]
            {
                let asked = ("SearchPath".to_owned(), text.to_owned(), true);
                assert_eq!(outcome(text, &scope, mode), asked, "{strategy} {text}");
            }
            // Nothing can be asked in front of it.
            assert_eq!(outcome("vacuum countries", &scope, mode).0, "NeedNames");
        }
    }
}

#[test]
fn calls_wait_where_code_in_c_may_be_called() {
    for strategy in STRATEGIES {
        let mut overtaken = scope_with(Currency::Overtaken, strategy);
        let call = |scope: &Scope, text| outcome(text, scope, TextMode::default()).0;
        assert_eq!(call(&overtaken, "select full_name(1)"), "SearchPath");
        assert_eq!(call(&scope_with(Currency::SharedOnly, strategy), "select full_name(1)"), "NeedNames");
        let names = Arc::make_mut(overtaken.names.as_mut().unwrap());
        Arc::make_mut(&mut names.tenant).unknown_code.insert("full_name".into());
        for text in [
            "select full_name(1)",
            "select acme.full_name(1)",
            "alter function full_name(int) rename to f",
            "alter routine acme.full_name(int) rename to f",
        ] {
            assert_eq!(call(&overtaken, text), "42501", "{text}");
        }
        assert_eq!(call(&overtaken, "alter function f(int) rename to g"), "SearchPath");
    }
}

#[test]
fn tables_that_are_kept_elsewhere_are_named_where_the_text_shows_them() {
    let moved = Moved { name: "items".into(), schema: SchemaRef::Tenant, table: "orders".into() };
    for currency in [Currency::Overtaken, Currency::SharedOnly] {
        for strategy in STRATEGIES {
            let scope = Scope { moved: Arc::new([moved.clone()]), ..scope_with(currency, strategy) };
            let told = |text| outcome(text, &scope, TextMode::default());
            let (route, sent, _) = told("select items.a from items, users where f(1) is null");
            assert_eq!(route, if currency == Currency::SharedOnly { "NeedNames" } else { "SearchPath" });
            if currency == Currency::Overtaken {
                let wanted = "select items.a from \"acme\".\"orders\" AS items, users where f(1) is null";
                assert_eq!(sent, wanted);
            }
            assert_eq!(told("select * from users").0, "SearchPath");
            for text in ["alter table items add a int", "create view w as select * from items"] {
                assert_eq!(told(text).0, "NeedNames", "{text}");
            }
        }
    }
}
