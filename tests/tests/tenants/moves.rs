//! `pgstrata tenant move`: the copy equals the source, and nothing else changes.

use pgstrata_control::moves::{Clusters, Options};
use pgstrata_control::{Control, SchemaName};
use pgstrata_tests::dump::{Description, rows};
use pgstrata_tests::ground::DATABASE;
use pgstrata_tests::spread::{Spread, superuser};
use pgstrata_tests::stage::{eventually, names};
use pgstrata_tests::{ACME, Ground, Setup};

const PORT: &str = "SELECT current_setting('port')";
const NAMES: &str = "SELECT name FROM users ORDER BY id";

pub(super) fn setup() -> Setup {
    Setup::new().tenant_switch().line("pool", "wait_timeout = '30s'")
}

/// What a superuser sees of the schema on a cluster.
pub(super) async fn all_of(spread: &Spread, sql: &str) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    for cluster in [&spread.a, &spread.b] {
        all.push(names(&superuser(cluster).await, sql).await);
    }
    all
}

/// The tenants' schemas, the registry's rows and the relations of both clusters.
async fn inventory(spread: &Spread) -> Vec<Vec<String>> {
    let sql = "SELECT 's ' || s::text FROM pgstrata_control.schemas s
        UNION ALL SELECT 'p ' || p::text FROM pgstrata_control.placements p
        UNION ALL SELECT 'm ' || m::text FROM pgstrata_control.moves m
        UNION ALL SELECT 'c ' || c::text FROM pgstrata_control.copies c
        UNION ALL SELECT concat_ws(' ', 'n', n.nspname, n.nspacl) FROM pg_namespace n WHERE nspname !~ '^pg_temp|^pg_toast_temp'
        UNION ALL SELECT concat_ws(' ', 'r', c.oid, c.relname, c.relnamespace) FROM pg_class c WHERE relpersistence <> 't'
        ORDER BY 1";
    all_of(spread, sql).await
}

async fn everything(of: &Ground, registry: &str, all: &[(&str, &Ground)]) -> Clusters {
    let control = |ground: &Ground| -> Control { ground.control_of("template") };
    control(of).tenants().await.unwrap();
    let all = all.iter().map(|(name, ground)| ((*name).to_owned(), control(ground))).collect();
    Clusters { registry: registry.into(), all }
}

#[tokio::test(flavor = "multi_thread")]
async fn tenant_with_everything_is_the_same_at_the_target() {
    let (a, b) = (Ground::with_everything("acme").await, Ground::for_everything().await);
    a.source("acme", &[include_str!("../../schemas/everything/rows.sql")]).await;
    let clusters = everything(&a, "a", &[("a", &a), ("b", &b)]).await;
    let schema = SchemaName::new("acme", clusters.all["a"].settings()).unwrap();
    clusters.all["a"].adopt(std::slice::from_ref(&schema), Some(7)).await.unwrap();
    let before =
        (Description::of(&a.cluster, DATABASE, "acme").await, rows(&a.cluster, DATABASE, "acme").await);
    let options =
        Options { verify: true, max_pause: std::time::Duration::from_secs(60), ..Options::default() };
    for (to, there, left) in [("b", &b, &a), ("a", &a, &b)] {
        let moved =
            clusters.move_tenant(&schema, to, &options).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(moved.kept_as.as_deref().map(|name| name.starts_with("pgstrata_moved_")), Some(true));
        assert_eq!(Description::of(&there.cluster, DATABASE, "acme").await, before.0, "moved to {to}");
        assert_eq!(rows(&there.cluster, DATABASE, "acme").await, before.1, "moved to {to}");
        let gone = left.names("SELECT nspname::text FROM pg_namespace WHERE nspname = 'acme'").await;
        assert_eq!(gone, [""; 0]);
        let tenant = clusters.all[to].tenant(&schema).await.unwrap().tenant;
        assert_eq!((tenant.version, tenant.state.as_str(), tenant.registered), (Some(7), "active", true));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn session_goes_along_with_all_that_it_has() {
    let spread = Spread::new(setup()).await;
    spread.tenant(&["create", "initech"]).await.ok();
    let [a, b] = [&spread.a, &spread.b].map(|cluster| cluster.port().to_string());
    let mut wire = spread.wire("initech").await;
    wire.simple("SET work_mem = '7MB'").await;
    wire.simple("INSERT INTO users (name, email) VALUES ('Milton', 'm')").await;
    wire.parse("mine", NAMES).sync();
    wire.answer().await;
    let mut neighbour = spread.wire("acme_corp").await;
    for (to, port) in [("b", &b), ("a", &a), ("b", &b)] {
        let said = spread.tenant(&["move", "initech", "--to", to, "--verify", "--json"]).await.json();
        assert_eq!((said["rows"].as_u64(), said["terminated"].as_u64()), (Some(1), Some(0)), "{said}");
        wire.bind("mine", &[]).execute().sync();
        assert_eq!(wire.answer().await.column(), ["Milton"]);
        assert_eq!(wire.simple(PORT).await.value(), *port);
        assert_eq!(wire.simple("SHOW work_mem").await.value(), "7MB");
        assert_eq!(neighbour.simple(NAMES).await.column(), ACME);
        // Its sequences go on.
        let id = wire.simple("INSERT INTO users (name, email) VALUES ('x', 'x') RETURNING id").await.value();
        wire.simple("DELETE FROM users WHERE name = 'x'").await;
        assert!(id.parse::<i64>().unwrap() > 1, "{id}");
    }
    // What it has left behind is listed, and nobody is let in to it.
    let listed = spread.tenant(&["list"]).await.ok();
    assert!(listed.contains("left behind by initech, now on b, kept until"), "{listed}");
    assert_eq!(spread.try_wire("pgstrata_moved_1").await.unwrap_err().code, "28000");
    assert!(spread.tenant(&["move", "--status"]).await.ok().contains("pgstrata_moved_3 until"));
    // Nothing is dropped before its time.
    assert_eq!(spread.tenant(&["move", "--sweep"]).await.ok(), "nothing to drop\n");
    let hurry = "UPDATE pgstrata_control.moves SET drop_after = now() WHERE id < 3";
    superuser(&spread.a).await.batch_execute(hurry).await.unwrap();
    let swept = spread.tenant(&["move", "--sweep"]).await.ok();
    assert_eq!(swept, "dropped pgstrata_moved_1, pgstrata_moved_2\n");
    spread.tenant(&["move", "initech", "--to", "a", "--keep-source", "drop"]).await.ok();
    let aside = "SELECT nspname::text FROM pg_namespace WHERE nspname ~ 'pgstrata_moved' OR nspname = 'initech' ORDER BY 1";
    assert_eq!(all_of(&spread, aside).await, [vec!["initech", "pgstrata_moved_3"], vec![]]);
    spread.tenant(&["suspend", "initech"]).await.ok();
    spread.tenant(&["move", "initech", "--to", "b"]).await.ok();
    assert!(spread.tenant(&["show", "initech"]).await.ok().contains("suspended"));
    spread.tenant(&["resume", "initech"]).await.ok();
    eventually(b, async || wire.simple(PORT).await.value()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dry_run_changes_nothing_and_names_what_can_not_be_moved() {
    let spread = Spread::new(setup()).await;
    spread.tenant(&["create", "initech"]).await.ok();
    spread.tenant(&["list"]).await.ok();
    let before = inventory(&spread).await;
    let said = spread.tenant(&["move", "initech", "--to", "b", "--dry-run"]).await.ok();
    assert!(said.contains("would move from cluster a to b"), "{said}");
    assert_eq!(inventory(&spread).await, before);
    // Each of these is a reason, and they are named together.
    let server = superuser(&spread.a).await;
    let made = "CREATE ROLE stranger; CREATE TABLE initech.kept (id oid);
        GRANT SELECT ON initech.kept TO stranger; INSERT INTO initech.kept SELECT lo_create(0);
        CREATE TABLE acme_corp.named (id int PRIMARY KEY);
        ALTER TABLE initech.users ADD COLUMN named int REFERENCES acme_corp.named;
        ALTER TABLE initech.kept OWNER TO app; CREATE TABLE acme_corp.uses (a initech.users);";
    server.batch_execute(made).await.unwrap();
    let before = inventory(&spread).await;
    let reasons = [
        "cluster \"b\" has no role \"stranger\"",
        "has numbers of large objects",
        "leads to acme_corp.named",
        "outside of the schema needs it",
    ];
    let dry = spread.tenant(&["move", "initech", "--to", "b", "--dry-run"]).await;
    let wet = spread.tenant(&["move", "initech", "--to", "b"]).await;
    assert_eq!((dry.code, wet.code), (3, 1), "{dry:?} {wet:?}");
    for reason in reasons {
        assert!(dry.out.contains(reason), "{reason}: {dry:?}");
        assert!(wet.err.contains(reason), "{reason}: {wet:?}");
    }
    assert_eq!(inventory(&spread).await, before);
    spread.tenant(&["move", "acme_corp", "--to", "b"]).await.failed(1, "not registered");
    spread.tenant(&["move", "globex", "--to", "b"]).await.failed(1, "is on cluster \"b\" already");
    spread.tenant(&["move", "globex", "--to", "c"]).await.failed(1, "its clusters: a, b");
    spread
        .tenant(&["move", "--abort", "globex"])
        .await
        .failed(1, "no move of tenant \"globex\" was interrupted");
}
