//! Who runs what in PostgreSQL: a comment in front of a text that says the tenant (`pgstrata_tenancy::comment`).
//!
//! `pg_stat_activity` and PostgreSQL's log show it with the text. It needs no round trip and no setting, so that the
//! client's `application_name` stays its own, and it can't be another tenant's, as the text is not.
//!
//! A prepared statement keeps the comment of the tenant that it was prepared for. One that several tenants may share on
//! their servers, as it reaches no tenant's schema, has none.

use super::Session;
use super::prepared::Sharing;
use crate::sql::plan::{Plan, Route};

impl<C> Session<C> {
    /// What stands in front of a statement of the extended protocol.
    pub(super) fn comment_for(&self, plan: &Plan, sharing: Sharing) -> Option<String> {
        let is_shared = sharing != Sharing::Unnamed && plan.route == Route::Pass;
        let comment = &self.tenants.now().comment;
        let wanted = self.config.tenancy.query_comment && !comment.is_empty() && !is_shared;
        wanted.then(|| comment.to_string())
    }
}
