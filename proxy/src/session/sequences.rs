//! What a server's session has drawn from sequences (`lastval()`, `currval()`) is one tenant's at a time.

use tokio::io::{AsyncRead, AsyncWrite};

use super::expect::Expect;
use super::{Session, Status};
use crate::sql::plan::Plan;

const FORGET: &[u8] = b"DISCARD SEQUENCES";

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// A plan is about to be sent. If it may draw, what another tenant drew on this server is forgotten
    /// first, so that `lastval()` can only be this one's.
    pub(super) fn keep_sequences_apart(&mut self, plan: &Plan) {
        let draws = plan.opaque || plan.statements.iter().any(|s| s.writes || s.draws);
        if !draws || self.status == Status::Failed {
            return;
        }
        let schema = &self.tenants.now().scope.schema;
        let Some(link) = &mut self.link else { return };
        if link.lease.sequences_of.as_ref() == Some(schema) {
            return;
        }
        link.lease.sequences_of = Some(schema.clone());
        if link.request.sent {
            link.run_behind(FORGET, self.shared.store.path_name());
        } else {
            link.lease.query(&[FORGET]);
            link.expects.push_back(Expect::OwnQuery);
        }
    }
}
