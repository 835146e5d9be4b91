//! What a user may do.

use super::read::Section;
use super::{AuthMethod, DynamicSql, Level, PoolMode, TimeLimits};

/// What one user of `[[users]]`, or each user of another source, may do.
#[derive(Debug, Clone, Default)]
pub struct Rights {
    /// The tenants that it may name: names, or patterns with `*`. In `[auth_file]` and `[auth_query]` also `$user`: the
    /// tenant called as the user is.
    pub tenants: Vec<String>,
    /// The databases that it may connect to: names, or patterns with `*`. The console is none of them.
    pub databases: Vec<String>,
    /// How the user proves who it is.
    pub auth: AuthMethod,
    /// What becomes of SQL that carries SQL: `DO`, function bodies ...
    pub dynamic_sql: DynamicSql,
    /// It may use large objects, which are the database's.
    pub large_objects: bool,
    /// What kinds of statements it may run at all.
    pub statements: Level,
    /// Whether it may set time-outs higher; where left out, as `tenancy.time_limits` says.
    pub time_limits: Option<TimeLimits>,
    /// It may go over to another tenant on an open connection (`SET tenant`).
    pub tenant_switch: bool,
    /// When its servers go back, where that differs from the pool's.
    pub pool_mode: Option<PoolMode>,
}

impl Rights {
    /// Reads the keys of `s`; `auth` is what holds where it names no method.
    pub(super) fn read(s: &mut Section<'_>, auth: AuthMethod) -> Self {
        Self {
            tenants: s.option("tenants").unwrap_or_default(),
            databases: s.or("databases", vec!["*".to_owned()]),
            auth: s.or("auth", auth),
            dynamic_sql: s.or("dynamic_sql", DynamicSql::default()),
            large_objects: s.or("large_objects", false),
            statements: s.or("statements", Level::default()),
            time_limits: s.option("time_limits"),
            tenant_switch: s.or("tenant_switch", false),
            pool_mode: s.option("pool_mode"),
        }
    }
}
