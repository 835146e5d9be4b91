use super::*;

fn store() -> LayeredMetadataStore {
    let store = LayeredMetadataStore::new();
    store.set("User", EntityMetadata::table("users").with_column("email", "e_mail")).unwrap();
    store.set("Plan", EntityMetadata::table("plans").in_schema(Schema::Named(PUBLIC.into()))).unwrap();
    store.freeze_public();
    store
}

fn table(store: &LayeredMetadataStore, key: &str) -> String {
    store.get(key).unwrap().table_name.as_deref().unwrap().to_owned()
}

#[test]
fn override_names_only_what_differs() {
    let mut store = store();
    store.add_layer("enterprise", false).unwrap();
    store.set_context("enterprise").unwrap();
    store.set("User", EntityMetadata::table("enterprise_users")).unwrap();
    let seen = store.get("User").unwrap();
    assert_eq!(
        (seen.table_name.as_deref(), seen.column("email")),
        (Some("enterprise_users"), Some("e_mail"))
    );
    assert_eq!(store.get("Plan").unwrap().schema, Some(Schema::Named(PUBLIC.into())));
    assert!(store.unset("User").unwrap());
    assert_eq!(table(&store, "User"), "users");
}

#[test]
fn tenant_sees_no_layer_of_another() {
    let store = store();
    let acme = store.in_context("acme").unwrap();
    acme.set("Secret", EntityMetadata::table("secrets")).unwrap();
    acme.set("User", EntityMetadata::table("acme_users")).unwrap();
    for other in [store.in_context("globex").unwrap(), store.clone()] {
        assert_eq!(table(&other, "User"), "users");
        assert!(!other.has("Secret") && other.get("Secret").is_none());
        assert_eq!(other.all_in_context().len(), 2);
    }
}

#[test]
fn public_layer_is_read_only_once_it_is_frozen() {
    let store = store();
    let read_only = LayerError::ReadOnly(PUBLIC.into());
    assert_eq!(store.set("User", EntityMetadata::default()), Err(read_only.clone()));
    assert_eq!(store.unset("User"), Err(read_only.clone()));
    store.add_layer("acme", false).unwrap();
    assert_eq!(store.merge_layer("acme", PUBLIC), Err(read_only));
    assert_eq!(store.remove_layer(PUBLIC), Err(LayerError::Public));
    assert_eq!(store.copy_layer("acme", PUBLIC), Err(LayerError::Exists(PUBLIC.into())));
    assert_eq!(table(&store, "User"), "users");
}

#[test]
fn read_only_layer_of_a_tenant_is_kept_as_it_is() {
    let store = store().in_context("acme").unwrap();
    store.set("User", EntityMetadata::table("acme_users")).unwrap();
    store.add_layer("frozen", true).unwrap();
    let error = Err(LayerError::ReadOnly("frozen".into()));
    assert_eq!(store.in_context("frozen").unwrap().set("User", EntityMetadata::default()), error);
    assert_eq!(store.merge_layer("acme", "frozen"), error);
    store.remove_layer("frozen").unwrap();
    assert_eq!(store.remove_layer("frozen"), Err(LayerError::Missing("frozen".into())));
}

#[test]
fn copy_does_not_follow_what_it_was_made_from() {
    let acme = store().in_context("acme").unwrap();
    acme.set("User", EntityMetadata::table("acme_users")).unwrap();
    acme.copy_layer("acme", "copy").unwrap();
    acme.set("User", EntityMetadata::table("changed")).unwrap();
    assert_eq!(table(&acme.in_context("copy").unwrap(), "User"), "acme_users");
    assert_eq!(table(&acme, "User"), "changed");
}

#[test]
fn keys_are_found_by_their_beginning() {
    let store = store().in_context("acme").unwrap();
    for key in ["Post", "PostTag", "Poll", "Pösten"] {
        store.set(key, EntityMetadata::table(key)).unwrap();
    }
    let keys = |prefix| store.search(prefix).keys().map(|key| key.to_string()).collect::<Vec<_>>();
    assert_eq!(keys("Post"), ["Post", "PostTag"]);
    assert_eq!(keys("Pl"), ["Plan"]);
    assert_eq!(keys("Pö"), ["Pösten"]);
    assert_eq!(keys("Q"), [""; 0]);
}

#[test]
fn names_and_keys_are_checked() {
    let mut store = store();
    assert!(matches!(store.add_layer("", false), Err(LayerError::Tenant(_))));
    assert!(matches!(store.set_context("a\0b"), Err(LayerError::Tenant(_))));
    assert_eq!(store.context(), PUBLIC);
    store.set_context("acme").unwrap();
    for key in ["", &"k".repeat(MAX_KEY + 1)] {
        assert_eq!(store.set(key, EntityMetadata::default()), Err(LayerError::Key));
    }
}

#[test]
fn layer_takes_so_many_entries_and_no_more() {
    let store = store().in_context("acme").unwrap();
    for n in 0..MAX_ENTRIES {
        store.set(&n.to_string(), EntityMetadata::default()).unwrap();
    }
    assert!(matches!(store.set("more", EntityMetadata::default()), Err(LayerError::Full(_))));
    store.set("0", EntityMetadata::table("replaced")).unwrap();
}

#[test]
fn readers_and_writers_of_many_tenants_do_not_meet() {
    let store = store();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let tenant = store.in_context(&format!("tenant_{n}")).unwrap();
            scope.spawn(move || {
                for round in 0..500 {
                    let name = format!("users_{n}_{round}");
                    tenant.set("User", EntityMetadata::table(&name)).unwrap();
                    assert_eq!(table(&tenant, "User"), name);
                    assert_eq!(tenant.get("User").unwrap().column("email"), Some("e_mail"));
                }
            });
        }
    });
    assert_eq!(store.layers().len(), 9);
}
