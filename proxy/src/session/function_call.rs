//! The message `FunctionCall`, with which libpq and pgJDBC use large objects (`lo_open`, `lo_read` ..).
//!
//! It calls a function by its oid. Functions of large objects are allowed to users with `large_objects`, in a
//! transaction block, because a descriptor is valid for a transaction. No driver calls other functions in this way.
//! <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-FUNCTION-CALL>

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use super::expect::Expect;
use super::extended::malformed;
use super::request::Step;
use super::{Session, Status};
use crate::metrics::Kind;
use crate::sql::large_objects;
use crate::sql::plan::Refusal;

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// A `FunctionCall`: `whole` is the whole message, `body` the part behind its length.
    pub(super) fn function_call(&mut self, body: &[u8], whole: &[u8]) -> Step {
        let Some(function) = body.first_chunk().map(|oid| u32::from_be_bytes(*oid)) else {
            return self.refuse_request(malformed());
        };
        if let Err(refusal) = self.may_call(function) {
            self.count_refusal(refusal.code);
            return self.refuse_request(refusal);
        }
        // The transaction is open, so the state of the tenant does not matter; the call still counts as a request.
        if !self.has_turn(self.tenancy()) {
            return Step::NeedState(Arc::clone(self.tenancy()));
        }
        let role = self.role();
        let name = self.shared.store.path_name();
        let Some(link) = &mut self.link else { return Step::NeedServer };
        link.begin(&self.settings, self.status, role.as_ref());
        link.setup.settle_bind(None);
        if let Some(sql) = link.setup.role().change(role.as_ref()).filter(|_| self.status == Status::Block) {
            link.set_role_behind(&sql, role.as_ref(), false, name);
        }
        link.request.kind = Kind::TenantWrite;
        link.lease.outbuf.extend_from_slice(whole);
        link.expect_reply(Expect::Query(Box::default()));
        link.request.awaiting = true;
        Step::Done
    }

    /// Whether the function with this oid may be called now.
    fn may_call(&self, function: u32) -> Result<(), Refusal> {
        let Some(name) = large_objects::by_number(function) else {
            return Err(Refusal {
                code: "0A000",
                message: format!("the FunctionCall message is not supported for function {function}"),
                hint: Some("Call the function with SELECT.".into()),
            });
        };
        large_objects::check(name, &self.scope)?;
        if self.is_in_a_pipeline() {
            return Err(Refusal {
                code: "0A000",
                message: "a FunctionCall can't stand behind extended messages".into(),
                hint: Some("Send a Sync in front of it.".into()),
            });
        }
        match self.status {
            Status::Idle => Err(Refusal {
                code: "25P01",
                message: format!("{name} can only be called in a transaction block"),
                hint: Some("BEGIN first: a large object is open until the transaction ends.".into()),
            }),
            Status::Block | Status::Failed => Ok(()),
        }
    }
}
