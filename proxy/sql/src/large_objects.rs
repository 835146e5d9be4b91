//! Large objects: the functions that access them, by name and by oid.
//!
//! A large object belongs to the database and has a number in place of a schema, so only its owner could tell its
//! tenant. So they are for users with `large_objects = true`. In the tier `names` such a user reaches the large
//! objects of all tenants.

use super::guard::check::denied;
use super::plan::Refusal;
use super::scope::Scope;

/// The large object functions, with their oids in `pg_proc`, which are the same in each version. `lo_import` and
/// `lo_export`, which access the server's files, are not listed.
const FUNCTIONS: [(&str, u32); 17] = [
    ("lo_close", 953),
    ("lo_creat", 957),
    ("lo_create", 715),
    ("lo_from_bytea", 3457),
    ("lo_get", 3458),
    ("lo_get", 3459),
    ("lo_lseek", 956),
    ("lo_lseek64", 3170),
    ("lo_open", 952),
    ("lo_put", 3460),
    ("lo_tell", 958),
    ("lo_tell64", 3171),
    ("lo_truncate", 1004),
    ("lo_truncate64", 3172),
    ("lo_unlink", 964),
    ("loread", 954),
    ("lowrite", 955),
];

/// Whether a function with this name accesses large objects.
pub(super) fn is_function(name: &str) -> bool {
    name.starts_with("lo") && FUNCTIONS.binary_search_by_key(&name, |(known, _)| known).is_ok()
}

/// The name of the large object function with this oid in `pg_proc`.
pub fn by_number(oid: u32) -> Option<&'static str> {
    FUNCTIONS.iter().find(|(_, known)| *known == oid).map(|(name, _)| *name)
}

/// Whether the function `name` may be called.
///
/// # Errors
/// The refusal (42501), if the user may not.
pub fn check(name: &str, scope: &Scope) -> Result<(), Refusal> {
    match scope.large_objects {
        true => Ok(()),
        false => Err(refusal(name, scope)),
    }
}

fn refusal(name: &str, scope: &Scope) -> Refusal {
    let hint = "Large objects belong to no schema. An administrator may let this user use them (large_objects = true).";
    denied(scope, &format!("call {name}"), Some(hint))
}

#[cfg(test)]
#[test]
fn list_is_sorted() {
    assert!(FUNCTIONS.is_sorted());
    assert!(is_function("lowrite") && is_function("lo_get") && !is_function("lo_import"));
    assert_eq!(by_number(952), Some("lo_open"));
    assert_eq!(by_number(764), None);
}
