//! Names that were meant to name the tenant, and don't: `-ctennant=acme`, `tenant_id=acme`.

use super::tenant::TENANT;
use crate::wire::refusal::{Refusal, sqlstate};

/// So many letters apart is a slip of the fingers. No parameter of PostgreSQL is as close.
const SLIPS: usize = 2;

/// The refusal of a parameter whose name was meant to be the tenant's; `None`: it is another one.
///
/// PostgreSQL would refuse it as well, with no word of what it should be.
pub(super) fn refusal(name: &str) -> Option<Refusal> {
    means_tenant(name).then(|| {
        let message = format!("unrecognized configuration parameter \"{name}\"");
        Refusal::new(sqlstate::UNDEFINED_OBJECT, message)
            .hint("The tenant is named by the parameter \"tenant\": options=-ctenant=NAME.")
    })
}

/// `refusal`, where what it refuses was meant to name the tenant.
pub(super) fn with_hint(refusal: Refusal, options: &str) -> Refusal {
    match options.to_ascii_lowercase().contains(TENANT) {
        true => refusal.hint("The tenant is named by: options=-ctenant=NAME."),
        false => refusal,
    }
}

/// Whether nobody but one who wants a tenant writes such a name.
fn means_tenant(name: &str) -> bool {
    // An application's own parameters have a dot in them: they may be called as they like.
    if name.contains('.') || name.len() > 63 {
        return false;
    }
    let name = name.to_ascii_lowercase();
    name.contains(TENANT)
        || name.len() <= TENANT.len() + SLIPS && strsim::osa_distance(&name, TENANT) <= SLIPS
}

#[cfg(test)]
mod tests {
    use super::means_tenant;

    #[test]
    fn slips_are_told_from_parameters() {
        for slip in [
            "tennant", "tenent", "tenan", "tenants", "tanent", "Tenannt", "tenant_id", "tenantid",
            "x_tenant", "tenant_name",
        ] {
            assert!(means_tenant(slip), "{slip}");
        }
        for parameter in
            ["search_path", "datestyle", "timezone", "app.tenant", "myapp.tenant_id", "role", "", "work_mem"]
        {
            assert!(!means_tenant(parameter), "{parameter}");
        }
    }

    /// The parameters of PostgreSQL 18, as far as they have one word of about that length.
    #[test]
    fn no_parameter_of_postgresql_is_taken_for_a_slip() {
        let short = [
            "fsync", "geqo", "jit", "port", "ssl", "event_source", "bonjour", "hba_file", "lc_time",
            "is_superuser", "debug", "summarize_wal", "huge_pages", "io_method", "timing", "trace_sort",
            "row_security", "transform",
        ];
        assert!(short.iter().all(|name| !means_tenant(name)));
    }
}
