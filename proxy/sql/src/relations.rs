//! The relations of a text: whether new objects could replace them, and a query with their columns.

use std::fmt::Write;

use pgstrata_tenancy::ident;

use super::plan::SchemaRef;
use super::scope::{Names, Scope};
use super::shape::Shape;

/// A text with more relations has no such query.
const MAX_RELATIONS: usize = 8;

/// Whether the unqualified relations of a shape belong to the tenant, in the first schema of the path, so that no new
/// object can replace one.
pub(super) fn are_own(shape: &Shape, scope: &Scope) -> bool {
    let Some(names) = scope.names.as_deref() else { return false };
    let is_own = |name: &str| names.tenant.relations.contains_key(name) && scope.moved(name).is_none();
    shape.relations.iter().all(|relation| is_own(&relation.name))
}

/// A query with the columns of all relations of a shape; empty if there are none. `None` if there are too many, or if
/// the location of one is not known.
pub(super) fn query(shape: &Shape, scope: &Scope) -> Option<String> {
    let names = scope.names.as_deref();
    let mut found: Vec<(&str, &str)> = Vec::new();
    let unqualified = shape.relations.iter().map(|named| place(&named.name, scope, names?));
    let qualified = shape.qualified.iter().map(|one| Some((&*one.schema, &*one.named.name)));
    for relation in unqualified.chain(qualified) {
        let relation = relation?;
        if !found.contains(&relation) {
            found.push(relation);
        }
        if found.len() > MAX_RELATIONS {
            return None;
        }
    }
    let mut sql = String::new();
    for (number, (schema, name)) in found.into_iter().enumerate() {
        let before = if number == 0 { "SELECT * FROM " } else { ", " };
        let (schema, name) = (ident::quoted(schema), ident::quoted(name));
        write!(sql, "{before}{schema}.{name} AS r{number}").ok()?;
    }
    Some(sql)
}

/// The schema in which a relation is found, and its name there.
fn place<'a>(name: &'a str, scope: &'a Scope, names: &Names) -> Option<(&'a str, &'a str)> {
    let in_schema = |schema: SchemaRef| match schema {
        SchemaRef::Tenant => Some(&*scope.schema),
        SchemaRef::Shared(index) => scope.shared.get(usize::from(index)).map(|schema| &**schema),
    };
    if let Some((_, moved)) = scope.moved(name) {
        return Some((in_schema(moved.schema)?, &moved.table));
    }
    if names.tenant.relations.contains_key(name) {
        return Some((&scope.schema, name));
    }
    let index = names.shared.iter().position(|held| held.relations.contains_key(name))?;
    Some((in_schema(SchemaRef::Shared(u16::try_from(index).ok()?))?, name))
}
