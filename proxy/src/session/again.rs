//! Requests that run again because DDL has invalidated a plan, or that are lost with their server.

use tokio::io::{AsyncRead, AsyncWrite};

use super::draws::DrawAnswer;
use super::expect::Expect;
use super::link::Request;
use super::outcome::NO_STATEMENT;
use super::{End, Session, Status, columns};
use crate::simulation::{Fault, fault};
use crate::wire::frame;
use crate::wire::message::{self, Severity};

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Whether the `Bind` at hand has result formats for the columns in the client's description, and the columns have
    /// changed.
    pub(super) fn is_outnumbered(&self, body: &[u8], code: &[u8]) -> bool {
        let front = self.link.as_ref().and_then(|link| link.expects.front());
        matches!(front, Some(Expect::Bind { told, .. }) if columns::is_outnumbered(body, code, *told))
    }

    /// Whether PostgreSQL refuses a plan because of DDL, or a statement that code has dropped, and a second run loses
    /// nothing.
    pub(super) fn can_run_again(&self, body: &[u8], code: &[u8]) -> bool {
        let Some(link) = &self.link else { return false };
        let overtaken = columns::is_overtaken(body, code);
        let dropped = code == NO_STATEMENT && self.shared.store.names_in(body);
        (overtaken || dropped)
            && self.status == Status::Idle
            && !link.request.delivered
            && link.request.replay.is_some()
            // The client would decode the rows by its earlier description.
            && !link.request.described
    }

    /// Runs the request again, with newly prepared statements.
    pub(super) fn run_again(&mut self) -> Result<(), End> {
        // DDL has bypassed the proxy: no earlier statement is bound again.
        self.cluster().catalog.invalidate(&self.tenants.now().scope.schema);
        if let Some(link) = &mut self.link {
            link.lease.lose_prepared();
        }
        self.send_again()
    }

    /// Sends the request again.
    pub(super) fn send_again(&mut self) -> Result<(), End> {
        let Some(link) = &mut self.link else { return Ok(()) };
        let Some(replay) = link.request.replay.take() else { return Ok(()) };
        tracing::debug!("retrying a request: DDL invalidated its plan");
        if !link.request.awaiting {
            message::sync(&mut link.lease.outbuf);
        }
        self.void_pipeline(false);
        let Some(link) = &mut self.link else { return Ok(()) };
        link.expects.retain(Expect::is_restored);
        link.expects.push_front(Expect::OwnQuery);
        if link.expects.len() > 1 {
            // The request begins on a server with its initial settings.
            link.settings = Default::default();
        }
        link.setup.rest(link.resting_role());
        link.next_request();
        self.head.forget_judged();
        self.framing.put_in_front(replay);
        Ok(())
    }

    /// PostgreSQL has closed the connection. Outside of a transaction the client loses only its request.
    pub(super) fn server_gone(&mut self) -> Result<(), End> {
        self.relay()?;
        let Some(link) = &mut self.link else { return Ok(()) };
        link.lease.in_doubt = true;
        self.runs_lost();
        let Some(link) = &mut self.link else { return Ok(()) };
        let Request { sent, awaiting, erred, .. } = link.request;
        // Statements that the request would have prepared or closed are as before.
        self.void_pipeline(false);
        let Some(mut link) = self.link.take() else { return Ok(()) };
        if fault(Fault::SentAgain)
            && let Some(again) = link.request.replay.take()
        {
            link.discard();
            self.framing.put_in_front(again);
            return Ok(());
        }
        self.shared.metrics.server_lost();
        self.let_go();
        let words = link.last_words.take();
        let field =
            |code| words.as_deref().and_then(|body| frame::field(body, code)).map(String::from_utf8_lossy);
        let code = field(b'C').unwrap_or("08006".into()).into_owned();
        let message = field(b'M').unwrap_or("the connection to PostgreSQL was lost".into()).into_owned();
        let keeps = self.status == Status::Idle
            && self.pins.is_empty()
            && link.pass_left == 0
            && !self.framing.is_streaming();
        self.framing.cut_answer(link.is_in_a_message());
        link.discard();
        if !keeps {
            return Err(End::Fatal { code, message });
        }
        self.undo_settings();
        self.portals.clear();
        if !sent {
            // The client's request was complete, and only the proxy's own query has no answer.
            self.draw_answered(DrawAnswer::Unknown);
            return Ok(());
        }
        // A refused request has failed, but its error would have come with PostgreSQL's.
        if !erred {
            self.count_error(code.as_bytes());
            message::error(&mut self.outbuf, Severity::Error, &code, &message, None);
        }
        if awaiting {
            message::ready_for_query(&mut self.outbuf, Status::Idle.byte());
        } else {
            self.framing.skip_to_sync();
        }
        self.refresh_effective();
        Ok(())
    }
}
