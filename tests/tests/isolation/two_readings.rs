//! Texts that the proxy once read in another way than PostgreSQL does.

use pgstrata_tenancy::Tier;
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::{ACME, GLOBEX, PUBLIC, Setup, Stage};

const NAMES: &str = "SELECT name FROM users ORDER BY id";

/// Words that end a block are labels here; all behind was taken for the function's body.
const BODY: &str = "create function f() returns int language sql begin atomic select 1 case; end; ";

async fn all_refused(setup: Setup, texts: &[String]) {
    for strategy in STRATEGIES {
        let stage = Stage::new(setup.clone().strategy(strategy).servers(1)).await;
        let mut client = stage.wire("acme_corp").await;
        for text in texts {
            let simple = client.simple(text).await;
            assert_eq!(simple.code(), "42501", "simple: {text}\n{simple:?}");
            // Of several statements PostgreSQL's extended protocol takes none.
            let extended = client.extended(text, &[]).await;
            assert!(["42501", "42601"].contains(&&*extended.code()), "extended: {text}\n{extended:?}");
            assert_eq!(client.simple(NAMES).await.column(), ACME, "after {text}");
        }
        let mut neighbour = stage.wire("globex").await;
        assert_eq!(neighbour.simple(NAMES).await.column(), GLOBEX);
        assert_eq!(stage.public_users().await, PUBLIC);
    }
}

fn texts() -> Vec<String> {
    let behind_a_body = [
        "do $$ begin execute 'select name from globex.users'; end $$",
        "drop schema globex cascade",
        "listen \"globex.orders\"",
        "reset role; set role tenant_globex; select name from globex.users",
        "select name from globex.users",
    ];
    let others = [
        "create type trigger as range (subtype = int4, multirange_type_name = globex.x)",
        "create type policy as range (subtype = int4, subtype_diff = globex.f)",
        "select nextval(cast('glo' as text) || 'bex.users_id_seq')",
        "select setval(cast('globex.users_id_seq' as text) || '', 1)",
        "select currval(('globex' || '.users_id_seq')::regclass)",
        "explain analyze create table public.x as select 1",
        "explain (analyze) create table globex.x as table users",
        "explain analyze create materialized view globex.x as table users",
        "create aggregate a(int) (sfunc = globex.f, stype = int)",
        "create statistics s on name, email from globex.users",
        "alter text search configuration c alter mapping for a, b with globex.d",
        "create operator class c for type int using btree as function 1 globex.f(int, int)",
        "create trigger t after delete on users for each row execute function globex.f()",
        "grant select on all tables in schema users, globex to public",
        "comment on constraint c on domain globex.d is 'x'",
        "select * from users tablesample globex.method(1)",
        "create index i on users using btree (name globex.ops)",
        "drop operator class globex.c using btree",
        "alter sequence users_id_seq owned by globex.users.id",
        "create foreign table x () server s",
    ];
    let behind = behind_a_body.map(|text| format!("{BODY}{text}"));
    behind.into_iter().chain(others.map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn text_is_read_as_postgresql_reads_it() {
    all_refused(Setup::new(), &texts()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn text_is_read_as_postgresql_reads_it_under_a_role() {
    all_refused(Setup::new().tier(Tier::Role), &texts()).await;
}

/// A text that no version of PostgreSQL reads as its grammar is known here is sent for its error, and never runs.
#[tokio::test(flavor = "multi_thread")]
async fn unreadable_text_gets_postgresqls_own_error() {
    for strategy in STRATEGIES {
        let stage = Stage::new(Setup::new().strategy(strategy).servers(1)).await;
        let mut client = stage.wire("acme_corp").await;
        for (text, message) in [
            ("selekt 1", "syntax error at or near \"selekt\""),
            ("select 1 +", "syntax error at end of input"),
            ("select 1 + -- to be continued", "syntax error at end of input"),
            ("select 'open", "unterminated quoted string at or near \"'open\""),
            ("insert into users (name) values ('x'); select (", "syntax error at end of input"),
        ] {
            let fault = client.simple(text).await.fault().unwrap();
            assert_eq!((&*fault.code, &*fault.message), ("42601", message), "{text}");
            let fault = client.extended(text, &[]).await.fault().unwrap();
            assert_eq!((&*fault.code, &*fault.message), ("42601", message), "{text}");
        }
        assert_eq!(client.simple(NAMES).await.column(), ACME);
        client.simple("begin").await;
        assert_eq!(client.simple("select 1 +").await.status(), Some('E'), "the transaction fails with it");
        assert_eq!(client.simple("rollback").await.status(), Some('I'));
    }
}

/// What PostgreSQL reads is let through, whatever stands between its words.
#[tokio::test(flavor = "multi_thread")]
async fn comments_and_labels_are_no_reason_to_refuse() {
    for strategy in STRATEGIES {
        let stage = Stage::new(Setup::new().strategy(strategy).servers(1)).await;
        let mut client = stage.wire("acme_corp").await;
        for (text, value) in [
            ("select count(*) from users where id not /* of them */ in (-1)", ACME.len().to_string()),
            ("select 'a' -- one\n'b'", "ab".to_owned()),
            ("select 1 as case", "1".to_owned()),
            ("select 1 end", "1".to_owned()),
            ("select timestamp '2020-01-01' at time zone 'utc' is null", "f".to_owned()),
        ] {
            assert_eq!(client.simple(text).await.value(), value, "{text}");
            assert_eq!(client.extended(text, &[]).await.value(), value, "{text}");
        }
    }
}
