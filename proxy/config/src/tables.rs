//! Tables that are kept elsewhere, as layers: what `[tenancy.tables]` says is public, `[tenants.NAME.tables]` are the tenants' own.

use pgstrata_tenancy::layers::{EntityMetadata, LayerError, LayeredMetadataStore, Schema};

use super::{Config, TablePlace};

/// The layers of a configuration that is checked.
pub(super) fn layers(config: &Config) -> Result<LayeredMetadataStore, LayerError> {
    let store = LayeredMetadataStore::new();
    for (name, place) in &config.tenancy.tables {
        store.set(name, entry(place))?;
    }
    store.freeze_public();
    for (tenant, own) in config.tenants.iter().filter(|(_, own)| !own.tables.is_empty()) {
        let layer = store.in_context(tenant)?;
        for (name, place) in &own.tables {
            layer.set(name, entry(place))?;
        }
    }
    Ok(store)
}

/// All of it is said, so that nothing of the public layer's shines through.
fn entry(place: &TablePlace) -> EntityMetadata {
    let schema = place.schema.as_deref().map_or(Schema::Own, |schema| Schema::Named(schema.into()));
    EntityMetadata::table(&place.table).in_schema(schema)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const FILE: &str = "[tenancy.tables]\ncountries = 'public.countries'\nitems = 'public.items'\n\
        [tenants.enterprise.tables]\nusers = 'enterprise_users'\nitems = 'own_items'\n\
        [databases.app]\nhost = 'h'\nuser = 'u'\npassword = 'p'\ntls = 'disable'\n\
        [[users]]\nname = 'app'\npassword = 'p'\ntenants = ['*']\n";

    #[test]
    fn tables_of_a_tenant_are_over_those_of_all() {
        let config = Config::parse(FILE, Path::new("pgstrata.toml")).unwrap();
        let seen = |tenant| {
            let found = config.tables.search_in(tenant, "");
            let line = |(name, entry): (_, std::sync::Arc<EntityMetadata>)| {
                let own = entry.schema == Some(Schema::Own);
                format!("{name}={}{}", if own { "" } else { "public." }, entry.table_name.as_deref().unwrap())
            };
            found.into_iter().map(line).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(seen("acme"), "countries=public.countries items=public.items");
        let own = "countries=public.countries items=own_items users=enterprise_users";
        assert_eq!(seen("enterprise"), own);
    }
}
