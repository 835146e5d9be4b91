use std::time::Duration;

use pgstrata_tenancy::Strategy;

use super::*;
use crate::{Kind, Naive, Served};

fn serve(tally: &Tally, times: u64) {
    serve_for(tally, times, Duration::from_micros(100));
}

fn serve_for(tally: &Tally, times: u64, query: Duration) {
    let served = Served {
        strategy: Strategy::SearchPath,
        kind: Kind::TenantRead,
        round_trips: 1,
        naive: Naive::Alone,
        query,
        own: Duration::from_micros(10),
        received: 100,
        sent: 50,
    };
    for _ in 0..times {
        tally.request(&served);
    }
}

fn page(tenants: &ByTenant) -> String {
    let mut page = Page::default();
    tenants.render(&mut page);
    page.into_text()
}

/// The requests that the page tells, by tenant.
fn requests(tenants: &ByTenant) -> Vec<(String, u64)> {
    let page = page(tenants);
    let lines = page.lines().filter_map(|line| line.strip_prefix("pgstrata_tenant_requests_total{"));
    let of = |line: &str| {
        let (labels, value) = line.split_once("} ").unwrap();
        let (_, tenant) = labels.split_once("tenant=").unwrap();
        (tenant.trim_matches('"').to_owned(), value.parse().unwrap())
    };
    lines.map(of).collect()
}

fn told(pairs: &[(&str, u64)]) -> Vec<(String, u64)> {
    pairs.iter().map(|(tenant, count)| ((*tenant).to_owned(), *count)).collect()
}

#[test]
fn tenants_with_the_most_traffic_are_told_by_name_and_the_rest_together() {
    let tenants = ByTenant::new(2);
    let [a, b, c] = ["a", "b", "c"].map(|name| tenants.of("app", name));
    serve(&a, 1);
    serve(&b, 3);
    serve(&c, 2);
    assert_eq!(requests(&tenants), told(&[("b", 3), ("c", 2), ("other", 1)]));
}

/// A tenant of few and long requests, one that only fails, and one that waits, among those of many requests.
#[test]
fn tenant_with_the_most_of_anything_is_told_by_name() {
    for heavy in [
        |tally: &Tally| {
            let (query, times) = (Duration::from_secs(2), 2);
            serve_for(tally, times, query);
        },
        |tally: &Tally| (0..2000).for_each(|_| tally.error(b"42P01")),
        |tally: &Tally| tally.waited(Duration::from_secs(30)),
    ] {
        let tenants = ByTenant::new(3);
        let light: Vec<_> = (0..1000).map(|number| tenants.of("app", &format!("t{number:04}"))).collect();
        light.iter().for_each(|tally| serve(tally, 10));
        let told_first = requests(&tenants);
        assert!(told_first.iter().all(|(name, _)| name != "zz"), "{told_first:?}");
        heavy(&tenants.of("app", "zz"));
        light.iter().for_each(|tally| serve(tally, 10));
        let told = requests(&tenants);
        assert!(told.iter().any(|(name, _)| name == "zz"), "{told:?}");
    }
}

#[test]
fn no_sum_falls_and_none_is_lost_when_tenants_change_places() {
    let tenants = ByTenant::new(1);
    let [a, b] = ["a", "b"].map(|name| tenants.of("app", name));
    serve(&a, 10);
    assert_eq!(requests(&tenants), told(&[("a", 10), ("other", 0)]));
    serve(&b, 100);
    assert_eq!(requests(&tenants), told(&[("b", 100), ("other", 0)]));
    serve(&a, 5);
    assert_eq!(requests(&tenants), told(&[("b", 100), ("other", 5)]));
    serve(&a, 1000);
    serve(&b, 1);
    assert_eq!(requests(&tenants), told(&[("a", 1010), ("other", 6)]));
}

#[test]
fn tenant_in_sight_stays_there_when_another_has_a_little_more_traffic() {
    let tenants = ByTenant::new(1);
    let [a, b] = ["a", "b"].map(|name| tenants.of("app", name));
    serve(&a, 10);
    assert_eq!(requests(&tenants), told(&[("a", 10), ("other", 0)]));
    serve(&b, 8);
    assert_eq!(requests(&tenants), told(&[("a", 10), ("other", 8)]));
}

#[test]
fn tenant_that_nobody_holds_is_forgotten_and_its_sums_are_not() {
    let tenants = ByTenant::new(0);
    let a = tenants.of("app", "a");
    serve(&a, 7);
    drop(a);
    assert_eq!(requests(&tenants), told(&[("other", 7)]));
    assert!(page(&tenants).contains("pgstrata_tenants_tallied 0\n"));
    assert!(tenants.render_one("a").is_none());
}

#[test]
fn many_tenants_are_forgotten_without_a_scrape() {
    let tenants = ByTenant::new(20);
    for number in 0..5 * FEW {
        serve(&tenants.of("app", &format!("t{number}")), 1);
    }
    assert!(tenants.inner.lock().unwrap().known.len() <= FEW);
    let all: u64 = requests(&tenants).iter().map(|(_, count)| count).sum();
    assert_eq!(all, 5 * FEW as u64);
}

#[test]
fn ten_thousand_tenants_weigh_little_and_fill_few_lines() {
    let tenants = ByTenant::new(20);
    let held: Vec<_> = (0..10_000).map(|number| tenants.of("app", &format!("tenant_{number}"))).collect();
    for tally in &held {
        serve(tally, 1);
    }
    let page = page(&tenants);
    assert!(page.contains("pgstrata_tenants_tallied 10000\n"));
    assert!(page.lines().count() < 21 * (FAMILIES.len() + 1) + 4 * (FAMILIES.len() + 3));
    assert!(size_of::<Tally>() + size_of::<Entry>() + size_of::<Name>() < 1024);
}

#[test]
fn tenant_called_as_the_rest_is_told_with_the_rest() {
    let tenants = ByTenant::new(5);
    let other = tenants.of("app", REST);
    serve(&other, 3);
    assert_eq!(requests(&tenants), told(&[("other", 3)]));
}

#[test]
fn page_of_one_tenant_has_all_that_is_known_of_it() {
    let tenants = ByTenant::new(0);
    let a = tenants.of("app", "a");
    let client = tally::Client::new(&a);
    serve(&a, 2);
    a.error(b"22012");
    a.error(b"P0001");
    a.guarded();
    a.waited(Duration::from_secs(2));
    let page = tenants.render_one("a").unwrap().into_text();
    for line in [
        r#"pgstrata_tenant_requests_total{database="app",tenant="a",kind="tenant_read"} 2"#,
        r#"pgstrata_tenant_saved_round_trips_total{database="app",tenant="a"} 6"#,
        r#"pgstrata_tenant_errors_total{database="app",tenant="a",class="22"} 1"#,
        r#"pgstrata_tenant_errors_total{database="app",tenant="a",class="other"} 1"#,
        r#"pgstrata_tenant_statements_refused_total{database="app",tenant="a"} 1"#,
        r#"pgstrata_tenant_server_wait_seconds_total{database="app",tenant="a"} 2"#,
        r#"pgstrata_tenant_query_seconds_bucket{database="app",tenant="a",le="0.0001"} 2"#,
        r#"pgstrata_tenant_clients{database="app",tenant="a"} 1"#,
    ] {
        assert!(page.lines().any(|l| l == line), "{line} is not in\n{page}");
    }
    drop(client);
    let page = tenants.render_one("a").unwrap().into_text();
    assert!(page.contains("pgstrata_tenant_clients{database=\"app\",tenant=\"a\"} 0\n"));
    assert!(tenants.render_one("b").is_none());
}
