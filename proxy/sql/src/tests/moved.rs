//! Tables that are kept in another place than the path would find.

use std::sync::Arc;

use pgstrata_tenancy::Strategy;

use crate::plan::SchemaRef;
use crate::rewrite::{Prefixes, rewrite};
use crate::scope::{Moved, TextMode};
use crate::tests::plans::*;
use crate::{Engine, Route, Scope};

/// `users` is `order_items` here, `countries` is the shared one though the path says so too, and
/// `items` is the shared `users`.
fn moved_scope(strategy: Strategy) -> Scope {
    let moved = |name: &str, schema, table: &str| Moved { name: name.into(), schema, table: table.into() };
    let moved = [
        moved("countries", SchemaRef::Shared(0), "countries"),
        moved("items", SchemaRef::Shared(0), "users"),
        moved("orders", SchemaRef::Shared(0), "orders"),
        moved("users", SchemaRef::Tenant, "order_items"),
    ];
    Scope { moved: Arc::new(moved), strategy, ..scope() }
}

fn sent_as(text: &str, scope: &Scope, mode: TextMode) -> String {
    let plan = Engine::new(1 << 20).plan(text.as_bytes(), scope, mode);
    match plan.route {
        Route::Splice => {
            let prefixes = Prefixes::of(scope);
            let pieces = rewrite(text.as_bytes(), &plan.splices, &prefixes, &[]).pieces.concat();
            String::from_utf8(pieces).unwrap()
        }
        Route::Refuse(refusal) => format!("{}: {}", refusal.code, refusal.message),
        other => format!("{other:?}"),
    }
}

#[track_caller]
fn becomes(text: &str, wanted: &str) {
    for strategy in [Strategy::SearchPath, Strategy::SchemaQualified] {
        assert_eq!(sent_as(text, &moved_scope(strategy), TextMode::default()), wanted, "{strategy}");
    }
}

#[track_caller]
fn refused(text: &str, says: &str) {
    let answer = sent_as(text, &moved_scope(Strategy::SearchPath), TextMode::default());
    assert!(answer.starts_with("0A000: ") && answer.contains(says), "{text}: {answer}");
}

#[test]
fn another_table_is_read_and_written_under_the_old_name() {
    becomes("select users.id from users", "select users.id from \"acme\".\"order_items\" AS users");
    becomes("select u.id from users u", "select u.id from \"acme\".\"order_items\" /*users*/ u");
    becomes(
        "select 1 from \"users\" as u(a)",
        "select 1 from \"acme\".\"order_items\" /*\"users\"*/ as u(a)",
    );
    becomes("select * from only users", "select * from only \"acme\".\"order_items\" AS users");
    becomes("table users", "table \"acme\".\"order_items\" /*users*/");
    becomes("truncate users, t", "truncate \"acme\".\"order_items\" /*users*/, \"acme\".t");
    becomes("copy users to stdout", "copy \"acme\".\"order_items\" /*users*/ to stdout");
    becomes(
        "insert into users (a) values (1) on conflict (a) do update set a = users.a",
        "insert into \"acme\".\"order_items\" AS users (a) values (1) on conflict (a) do update set a = users.a",
    );
    becomes("update users set a = 1", "update \"acme\".\"order_items\" AS users set a = 1");
    becomes(
        "delete from users x using t",
        "delete from \"acme\".\"order_items\" /*users*/ x using \"acme\".t",
    );
    becomes("select * from items", "select * from \"public\".\"users\" AS items");
    becomes("explain select * from users", "explain select * from \"acme\".\"order_items\" AS users");
}

#[test]
fn names_that_mean_something_else_stay() {
    becomes("with users as (select 1) select * from users", "Pass");
    for (strategy, wanted) in [
        (Strategy::SearchPath, "SearchPath"),
        (Strategy::SchemaQualified, "select users from \"acme\".t where a = 'users'"),
    ] {
        let text = "select users from t where a = 'users'";
        assert_eq!(sent_as(text, &moved_scope(strategy), TextMode::default()), wanted);
    }
}

#[test]
fn pinned_table_shadows_the_tenants_own_and_no_more() {
    becomes(
        "select orders.a from orders",
        "0A000: \"orders\" is kept elsewhere, and this text can not be \
             rewritten: relation \"orders\" is not known, or what is behind it looks names up by itself",
    );
    // The path leads there: no need for more.
    assert_eq!(
        sent_as(
            "create view v as select * from countries",
            &moved_scope(Strategy::SearchPath),
            TextMode::default()
        ),
        "SearchPath"
    );
}

#[test]
fn what_can_not_be_rewritten_is_refused() {
    refused("select * from users *", "kept elsewhere");
    refused("select * from only (users)", "not known");
    refused("select * from U&\"us\\0065rs\" u", "not known");
    refused("alter table users add column x int", "in ways that its text does not show");
    refused("create view w as select * from users", "in ways that its text does not show");
    refused("select full_name(u) from users u", "full_name");
    refused("select 1; vacuum users", "in ways");
    for (mode, says) in [
        (TextMode { own_path: true, ..TextMode::default() }, "search_path of its own"),
        (TextMode { temp_tables: true, ..TextMode::default() }, "temporary tables"),
        (TextMode { stale_names: true, ..TextMode::default() }, "has changed"),
    ] {
        let answer = sent_as("select * from users", &moved_scope(Strategy::SchemaQualified), mode);
        assert!(answer.starts_with("0A000") && answer.contains(says), "{answer}");
    }
    let unknown = Scope { names: None, ..moved_scope(Strategy::SearchPath) };
    assert_eq!(sent_as("select * from users", &unknown, TextMode::default()), "NeedNames");
    assert_eq!(sent_as("select * from t", &unknown, TextMode::default()), "SearchPath");
}

#[test]
fn shared_table_by_another_name_is_not_written() {
    let answer =
        sent_as("insert into items values (1)", &moved_scope(Strategy::SearchPath), TextMode::default());
    assert!(answer.starts_with("42501"), "{answer}");
    let answer =
        sent_as("insert into users values (1)", &moved_scope(Strategy::SearchPath), TextMode::default());
    assert!(answer.starts_with("insert into \"acme\""), "{answer}");
}
