//! What a server's session has drawn from sequences (`lastval()`, `currval()`) is one client's at a time.

use std::borrow::Cow;

use tokio::io::{AsyncRead, AsyncWrite};

use super::{Session, Status};
use crate::sql::plan::Plan;
use crate::wire::frame;

const FORGET: &str = "DISCARD SEQUENCES";

/// What is to be done where the server at hand has drawn nothing for this client.
const ADVICE: &[u8] =
    b"Each transaction runs on any server of the pool: use INSERT .. RETURNING, or call it in the \
      transaction that draws. From the next write on, lastval() works behind a transaction too.";

/// An error with what is to be done about it, where PostgreSQL says that a session has drawn nothing. `code` is its SQLSTATE.
pub(super) fn with_advice<'a>(body: Cow<'a, [u8]>, code: &[u8]) -> Cow<'a, [u8]> {
    // The name of the function that raises it is in no language.
    let undrawn = code == b"55000"
        && frame::field(&body, b'H').is_none()
        && matches!(frame::field(&body, b'R'), Some(b"lastval" | b"currval_oid"));
    if !undrawn {
        return body;
    }
    let mut out = body.into_owned();
    // In front of what ends the fields.
    out.pop();
    out.push(b'H');
    out.extend_from_slice(ADVICE);
    out.extend_from_slice(b"\0\0");
    Cow::Owned(out)
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// A plan is about to be sent. If it may draw, what others drew on this server is forgotten first, so
    /// that `lastval()` and `currval()` can only tell of this client's own.
    pub(super) fn keep_sequences_apart(&mut self, plan: &Plan) {
        let draws = plan.opaque || plan.statements.iter().any(|s| s.writes || s.draws);
        if !draws || self.status_then() == Status::Failed {
            return;
        }
        let client = self.drawer();
        let drew_elsewhere = self.note_draw(plan);
        let Some(link) = &mut self.link else { return };
        if link.lease.sequence_owner.replace(client) == Some(client) && !drew_elsewhere {
            return;
        }
        if link.is_behind() {
            link.run_behind(FORGET.as_bytes(), self.shared.store.path_name());
        } else {
            link.ask(FORGET);
        }
    }
}
