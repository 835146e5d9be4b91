use super::tenant::{Claim, Rules, claim};
use crate::config::{HostPattern, MissingTenant, Tenancy, TenantSource};
use crate::wire::refusal::Refusal;
use crate::wire::startup::{NEWEST, StartupParams};

const ALL: [TenantSource; 4] =
    [TenantSource::Options, TenantSource::Parameter, TenantSource::UserSuffix, TenantSource::DatabaseSuffix];

/// Reads a packet where users `app` and `dotted.name`, and databases `shop` and `v1.shop`, exist.
fn read_with(tenancy: &Tenancy, params: &[(&str, &str)]) -> Result<Claim, Refusal> {
    read_at(None, tenancy, params)
}

/// The same of a client that has connected to a host by TLS.
fn read_at(host: Option<&str>, tenancy: &Tenancy, params: &[(&str, &str)]) -> Result<Claim, Refusal> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let startup = StartupParams { protocol: NEWEST, params: params.iter().map(own).collect() };
    let rules = Rules {
        tenancy,
        host,
        is_user: &|name| matches!(name, "app" | "dotted.name"),
        is_database: &|name| matches!(name, "shop" | "v1.shop" | "pgstrata" | "pgbouncer"),
    };
    claim(&startup, &rules)
}

fn sources(sources: &[TenantSource]) -> Tenancy {
    Tenancy { sources: sources.to_vec(), ..Tenancy::default() }
}

fn read(params: &[(&str, &str)]) -> Result<Claim, Refusal> {
    read_with(&sources(&ALL), params)
}

fn tenant(params: &[(&str, &str)]) -> Option<String> {
    read(params).unwrap().tenant.map(|tenant| tenant.to_string())
}

#[test]
fn host_names_a_tenant_where_it_is_a_source() {
    let server_name = HostPattern::new("*.db.example.com");
    let by_host = Tenancy {
        sources: vec![TenantSource::ServerName, TenantSource::Options],
        server_name,
        missing_tenant: MissingTenant::Reject,
        ..Tenancy::default()
    };
    let app = ("user", "app");
    let tenant = |host, params: &[(&str, &str)]| {
        read_at(host, &by_host, params).map(|claim| claim.tenant.unwrap().to_string())
    };
    let host = Some("acme-corp.db.example.com");
    assert_eq!(tenant(host, &[app]).unwrap(), "acme_corp");
    assert_eq!(tenant(host, &[app, ("options", "-ctenant=acme_corp")]).unwrap(), "acme_corp");
    assert_eq!(tenant(Some("db.example.com"), &[app, ("options", "-ctenant=globex")]).unwrap(), "globex");
    let two = tenant(host, &[app, ("options", "-ctenant=globex")]).unwrap_err();
    assert_eq!(two.message, "the connection names two different tenants");
    for host in [None, Some("db.example.com"), Some("localhost")] {
        let refusal = tenant(host, &[app]).unwrap_err();
        assert!(refusal.hint.unwrap().contains("the host as NAME.db.example.com, over TLS"));
    }
    assert_eq!(tenant(Some("pg.catalog!.db.example.com"), &[app]).unwrap_err().code, "28000");
    let console = read_at(host, &by_host, &[app, ("database", "pgstrata")]).unwrap();
    assert_eq!(console.tenant, None);
    // Where it is no source, each host is as good as another.
    assert_eq!(
        read_at(
            host,
            &Tenancy { sources: vec![TenantSource::Options], ..by_host },
            &[app, ("options", "-ctenant=globex")]
        )
        .unwrap()
        .tenant
        .unwrap()
        .to_string(),
        "globex"
    );
}

#[test]
fn tenant_is_found_in_each_place() {
    let acme = Some("acme".to_owned());
    assert_eq!(tenant(&[("user", "app"), ("options", "-ctenant=acme")]), acme);
    assert_eq!(tenant(&[("user", "app"), ("options", "-c TENANT=acme")]), acme);
    assert_eq!(tenant(&[("user", "app"), ("Tenant", "acme")]), acme);
    assert_eq!(tenant(&[("user", "app.acme")]), acme);
    assert_eq!(tenant(&[("user", "app"), ("database", "shop.acme")]), acme);
    assert_eq!(tenant(&[("user", "app"), ("database", "shop")]), None);
}

#[test]
fn two_tenants_in_one_place_are_refused() {
    for params in [
        &[("user", "app"), ("options", "-ctenant=a --tenant=b")][..],
        &[("user", "app"), ("options", "-ctenant=a -c TENANT=b -ctenant=a")],
        &[("user", "app"), ("tenant", "a"), ("Tenant", "b")],
    ] {
        let refusal = read(params).unwrap_err();
        assert_eq!(
            (refusal.code, &*refusal.message),
            ("28000", "the connection names two different tenants")
        );
    }
    for params in [
        [("user", "app.a"), ("user", "app.b"), ("database", "shop")],
        [("user", "app"), ("database", "shop.a"), ("database", "shop.b")],
        [("user", "app"), ("options", "-ctenant=a"), ("options", "-ctenant=b")],
    ] {
        let refusal = read(&params).unwrap_err();
        assert_eq!(refusal.code, "08P01", "{params:?}");
        assert!(refusal.message.contains("twice"), "{}", refusal.message);
    }
}

#[test]
fn one_tenant_named_twice_is_one() {
    let params = [("user", "app"), ("options", "-ctenant=a --tenant=a"), ("tenant", "a"), ("tenant", "a")];
    assert_eq!(tenant(&params).as_deref(), Some("a"));
}

#[test]
fn places_that_agree_are_one_tenant() {
    let params = [("user", "app.acme"), ("database", "shop.acme"), ("options", "-ctenant=acme")];
    assert_eq!(tenant(&params).as_deref(), Some("acme"));
}

#[test]
fn places_that_disagree_are_refused() {
    for params in [
        [("user", "app"), ("options", "-ctenant=a"), ("tenant", "b")],
        [("user", "app.a"), ("database", "shop.b"), ("options", "")],
        [("user", "app.a"), ("database", "shop"), ("options", "-ctenant=b")],
        [("user", "nobody.a"), ("database", "shop"), ("options", "-ctenant=b")],
    ] {
        assert_eq!(read(&params).unwrap_err().code, "28000", "{params:?}");
    }
}

#[test]
fn tenant_in_a_place_that_does_not_count_is_refused() {
    let only_user = sources(&[TenantSource::UserSuffix]);
    for param in [("options", "-ctenant=acme"), ("tenant", "acme"), ("TENANT", "acme")] {
        for user in ["app", "app.acme"] {
            let refusal = read_with(&only_user, &[("user", user), param]).unwrap_err();
            assert_eq!(refusal.code, "28000");
            assert!(refusal.hint.unwrap().contains("USER.NAME"));
        }
    }
}

#[test]
fn suffix_that_does_not_count_is_part_of_the_name() {
    let plain = sources(&[TenantSource::Options]);
    let claim = read_with(&plain, &[("user", "app.acme"), ("database", "shop.acme")]).unwrap();
    assert_eq!((claim.user.as_str(), claim.database.as_str()), ("app.acme", "shop.acme"));
    assert_eq!(claim.tenant, None);
}

#[test]
fn known_name_with_a_separator_is_whole() {
    let claim = read(&[("user", "dotted.name"), ("database", "v1.shop")]).unwrap();
    assert_eq!((claim.user.as_str(), claim.database.as_str()), ("dotted.name", "v1.shop"));
    assert_eq!(claim.tenant, None);
    let claim = read(&[("user", "dotted.name.a.b"), ("database", "v1.shop.a.b")]).unwrap();
    assert_eq!((claim.user.as_str(), claim.database.as_str()), ("dotted.name", "v1.shop"));
    assert_eq!(claim.tenant.unwrap().as_str(), "a.b");
}

#[test]
fn user_that_nobody_knows_is_split_as_one_that_exists() {
    let claim = read(&[("user", "nobody.acme"), ("database", "shop")]).unwrap();
    assert_eq!((claim.user.as_str(), claim.user_as_sent.as_str()), ("nobody", "nobody.acme"));
    assert_eq!(claim.tenant.unwrap().as_str(), "acme");
}

#[test]
fn database_falls_back_to_the_user_without_its_suffix() {
    assert_eq!(read(&[("user", "app.acme")]).unwrap().database, "app");
    assert_eq!(read(&[("user", "app.acme"), ("database", "")]).unwrap().database, "app");
    assert_eq!(read(&[("user", "app.acme"), ("database", "app.acme")]).unwrap().database, "app");
    assert_eq!(read(&[("user", "app"), ("database", "none.acme")]).unwrap().database, "none.acme");
}

#[test]
fn bad_tenant_name_is_refused() {
    let long = "x".repeat(64);
    for name in ["", long.as_str()] {
        assert_eq!(read(&[("user", "app"), ("tenant", name)]).unwrap_err().code, "28000");
    }
    assert_eq!(read(&[("user", "app.")]).unwrap_err().code, "28000");
}

#[test]
fn missing_tenant_is_refused_where_it_must_be_named() {
    let strict = Tenancy { missing_tenant: MissingTenant::Reject, ..sources(&ALL) };
    assert_eq!(read_with(&strict, &[("user", "app")]).unwrap_err().code, "28000");
    assert!(read_with(&strict, &[("user", "app.acme")]).is_ok());
}

#[test]
fn settings_are_collected_and_the_packet_wins() {
    let claim = read(&[
        ("user", "app"),
        ("DateStyle", "ISO"),
        ("application_name", "packet"),
        ("options", "-c statement_timeout=5s -c Application-Name=options --tenant=acme --search-path=x"),
        ("replication", "off"),
        ("_pq_.future", "1"),
        ("tenant", "acme"),
    ]);
    let settings = claim.unwrap().settings;
    let expected = [
        ("statement_timeout", "5s"),
        ("search_path", "x"),
        ("datestyle", "ISO"),
        ("application_name", "packet"),
    ];
    assert_eq!(settings, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn settings_that_would_change_who_one_is_are_refused() {
    for (name, value) in [
        ("role", "postgres"),
        ("Session_Authorization", "postgres"),
        ("options", "-c role=postgres"),
        ("options", "--session-authorization=postgres"),
    ] {
        assert_eq!(read(&[("user", "app"), (name, value)]).unwrap_err().code, "42501", "{value}");
    }
}

#[test]
fn unsafe_encoding_is_refused_wherever_it_is_set() {
    for (name, value) in [("client_encoding", "SJIS"), ("options", "-c CLIENT-ENCODING=gbk")] {
        assert_eq!(read(&[("user", "app"), (name, value)]).unwrap_err().code, "22023");
    }
    assert!(read(&[("user", "app"), ("client_encoding", "'utf-8'")]).is_ok());
}

#[test]
fn text_that_can_be_no_setting_is_refused() {
    for name in ["a b", "x;y", "1a", "a..b", "a.", "'x'", "a\"b"] {
        assert_eq!(read(&[("user", "app"), (name, "1")]).unwrap_err().code, "42704", "{name}");
    }
    assert!(read(&[("user", "app"), ("my_app.user$id", "1")]).is_ok());
}

#[test]
fn replication_is_refused() {
    for (value, code) in [
        ("true", "0A000"),
        ("database", "0A000"),
        ("ON", "0A000"),
        ("y", "0A000"),
        ("1", "0A000"),
        ("maybe", "22023"),
        ("o", "22023"),
        ("", "22023"),
    ] {
        let refusal = read(&[("user", "app"), ("replication", value)]).unwrap_err();
        assert_eq!(refusal.code, code, "{value}");
    }
    for value in ["off", "false", "F", "no", "0", "of"] {
        assert!(read(&[("user", "app"), ("replication", value)]).is_ok(), "{value}");
    }
}

#[test]
fn console_is_asked_for_by_its_names_and_with_no_tenant() {
    let strict = Tenancy { missing_tenant: MissingTenant::Reject, ..sources(&ALL) };
    for database in ["pgstrata", "pgbouncer"] {
        let claim = read_with(&strict, &[("user", "app"), ("database", database)]).unwrap();
        assert_eq!((claim.database.as_str(), claim.tenant), (database, None));
        for named in [
            [("user", "app"), ("options", "-ctenant=acme")],
            [("user", "app"), ("tenant", "acme")],
            [("user", "app.acme"), ("application_name", "x")],
        ] {
            let params = [&named[..], &[("database", database)]].concat();
            assert_eq!(read_with(&strict, &params).unwrap_err().code, "28000", "{params:?}");
        }
        let suffixed = format!("{database}.acme");
        assert_eq!(read(&[("user", "app"), ("database", &suffixed)]).unwrap_err().code, "28000");
    }
    // A user who is called so, and asks for no database, as libpq has it.
    assert_eq!(read(&[("user", "pgbouncer")]).unwrap().database, "pgbouncer");
}
