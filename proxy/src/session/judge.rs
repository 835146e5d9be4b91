//! Texts that take long to analyse are planned on other threads, while this thread serves other clients.
//!
//! Afterwards the message is processed again from its beginning, with the finished plan.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::standing::cancelled;
use super::{End, Session};
use crate::pool::turns;
use crate::sql::Scope;
use crate::sql::plan::{Plan, Refusal};
use crate::sql::scope::TextMode;

/// The place of a text.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    /// In the message at the head of the buffer, from this byte on.
    Head(usize),
    /// In a prepared statement of the client.
    Kept(&'a Bytes),
}

/// A text to plan.
pub(super) struct Question {
    text: Place,
    scope: Arc<Scope>,
    rules: Arc<Scope>,
    mode: TextMode,
    turn: turns::Tenant,
}

enum Place {
    Head(Range<usize>),
    Kept(Bytes),
}

/// A finished plan, and the conditions under which it is valid.
pub(super) struct Judged {
    rules: Arc<Scope>,
    mode: TextMode,
    text: u64,
    plan: Plan,
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// The plan of a text, if it takes little time to find.
    pub(super) fn plan_now(
        &mut self,
        text: &[u8],
        source: Source<'_>,
        mode: TextMode,
    ) -> Result<Plan, Box<Question>> {
        let rules = &self.tenants.now().scope;
        let judges = &self.shared.judges;
        let is_it = |judged: &Judged| {
            let same = Arc::ptr_eq(&judged.rules, rules) && judged.mode == mode;
            same && judged.text == judges.fingerprint(text)
        };
        if let Some(judged) = self.head.take_judged(is_it) {
            return Ok(judged.plan);
        }
        if let Some(plan) = self.shared.engine.plan_at_once(text, &self.scope, mode) {
            return Ok(plan);
        }
        let text = match source {
            Source::Head(at) => Place::Head(at..at + text.len()),
            Source::Kept(text) => Place::Kept(text.clone()),
        };
        let turn = self.tenants.now().turn.clone();
        Err(Box::new(Question { text, scope: Arc::clone(&self.scope), rules: Arc::clone(rules), mode, turn }))
    }

    /// Waits for the plan of a text. Afterwards the message at the head of the buffer continues, or has been refused.
    pub(super) async fn await_judgement(&mut self, question: Question) -> Result<(), End> {
        let Question { text, scope, rules, mode, turn } = question;
        let (head, text) = match text {
            Place::Head(range) => {
                let head = self.framing.take_head();
                let text = head.slice(range.start.min(head.len())..range.end.min(head.len()));
                (Some(head), text)
            }
            Place::Kept(text) => (None, text),
        };
        let shared = Arc::clone(&self.shared);
        let (limit, bytes) = (self.config.pool.wait_timeout, text.len());
        let at_work = Arc::clone(&shared);
        let work = move || {
            let plan = at_work.engine.plan(&text, &scope, mode);
            Judged { rules, mode, text: at_work.judges.fingerprint(&text), plan }
        };
        let tally = self.tenants.now().tally.clone();
        let paused = move || tally.iter().for_each(|tally| tally.limited());
        let answer = self.hold(shared.judges.judge(&turn, (bytes, limit), paused, work)).await;
        if let Some(head) = head {
            self.framing.put_head_back(head);
        }
        match answer? {
            Some(Ok(judged)) => self.head.keep_judged(judged),
            Some(Err(error)) => self.refuse_head(Refusal::from(error)),
            None => self.refuse_head(cancelled()),
        }
        Ok(())
    }
}
