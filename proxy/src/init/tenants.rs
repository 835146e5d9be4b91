//! Which schemas are probably tenants: those with the same tables as others.

use std::collections::BTreeMap;

use super::look::Schema;

/// The schemas of a database, by their probable use.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Sorted<'a> {
    /// Tenants: the largest group of schemas with the same tables.
    pub(super) tenants: Vec<&'a Schema>,
    /// The probable source: a schema with these tables and a typical name, or `public`.
    pub(super) source: Option<&'a Schema>,
    /// Shared schemas: `public`, and those with extensions.
    pub(super) shared: Vec<&'a Schema>,
    /// Schemas of unknown use.
    pub(super) others: Vec<&'a Schema>,
}

/// Typical names of a source.
const SOURCES: [&str; 5] = ["template", "tenant_template", "tenant", "public", "source"];

/// Sorts the schemas. It is a guess, which the reader of the configuration decides.
pub(super) fn sort(schemas: &[Schema]) -> Sorted<'_> {
    let mut groups: BTreeMap<&[String], Vec<&Schema>> = BTreeMap::new();
    for schema in schemas.iter().filter(|schema| !schema.tables.is_empty() && !is_source(schema)) {
        groups.entry(&schema.tables).or_default().push(schema);
    }
    let tenants = groups.into_values().max_by_key(|group| group.len()).unwrap_or_default();
    let is_tenant = |schema: &Schema| tenants.iter().any(|tenant| tenant.name == schema.name);
    let tables = tenants.first().map(|tenant| &tenant.tables);
    let has_all =
        |schema: &&Schema| tables.is_some_and(|tables| tables.iter().all(|t| schema.tables.contains(t)));
    let source =
        SOURCES.iter().find_map(|name| schemas.iter().find(|schema| schema.name == *name && has_all(schema)));
    let is_shared = |schema: &Schema| schema.name == "public" || !schema.extensions.is_empty();
    let (shared, rest): (Vec<_>, Vec<_>) =
        schemas.iter().filter(|schema| !is_tenant(schema)).partition(|schema| is_shared(schema));
    let others = rest.into_iter().filter(|schema| source.is_none_or(|source| source != *schema)).collect();
    Sorted { tenants, source, shared, others }
}

fn is_source(schema: &Schema) -> bool {
    SOURCES.contains(&&*schema.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(name: &str, tables: &[&str]) -> Schema {
        let tables = tables.iter().map(|table| (*table).to_owned()).collect();
        Schema { name: name.into(), tables, ..Schema::default() }
    }

    #[test]
    fn tenants_are_the_largest_group() {
        let mut schemas = vec![
            schema("acme", &["posts", "users"]),
            schema("billing", &["invoices"]),
            schema("globex", &["posts", "users"]),
            schema("extensions", &[]),
            schema("public", &["plans", "posts", "users"]),
        ];
        schemas[3].extensions.push("citext".into());
        let sorted = sort(&schemas);
        let names = |list: &[&Schema]| list.iter().map(|schema| schema.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&sorted.tenants), ["acme", "globex"]);
        assert_eq!(names(&sorted.shared), ["extensions", "public"]);
        assert_eq!(names(&sorted.others), ["billing"]);
        assert_eq!(sorted.source.map(|source| &*source.name), Some("public"));
    }

    #[test]
    fn empty_database_has_none() {
        let schemas = [schema("public", &[])];
        let sorted = sort(&schemas);
        assert!(sorted.tenants.is_empty() && sorted.source.is_none());
    }
}
