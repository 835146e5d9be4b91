//! `EXPLAIN ROUTE statement`, for administrators: the proxy answers it, and runs no part of the statement.

use tokio::io::{AsyncRead, AsyncWrite};

use super::request::Step;
use super::{Session, Status};
use crate::explain::Explanation;
use crate::sql::lexer::{Lexer, TokenKind};
use crate::sql::plan::Refusal;
use crate::wire::message;

/// The text is analysed on this thread, while other clients wait.
const LONGEST: usize = 64 << 10;

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Answers `text` if it is an `EXPLAIN ROUTE` of a user that may run it.
    pub(super) fn explain_route(&mut self, text: &[u8]) -> Option<Step> {
        // In a failed transaction, and behind messages in progress, PostgreSQL answers it.
        if !self.identity.user.admin || self.status == Status::Failed || self.has_sent() {
            return None;
        }
        let statement = behind_explain_route(text)?;
        if statement.len() > LONGEST {
            let message = format!("a statement of more than {LONGEST} bytes is not explained");
            return Some(self.refuse_request(Refusal { code: "54001", message, hint: None }));
        }
        let isolation = self.tenancy().isolation.clone();
        let mut scope = (*self.tenancy().scope).clone();
        scope.names = self.cluster().catalog.get(&scope.schema);
        let late = self.head.take_names_late();
        if scope.names.is_none() && !late {
            self.refresh_scope();
            return Some(Step::NeedNames);
        }
        let explanation =
            Explanation::new(&self.shared.engine, scope, isolation, statement, self.text_mode()).to_string();
        message::text_table(&mut self.outbuf, "ROUTE", explanation.lines());
        message::command_complete(&mut self.outbuf, "EXPLAIN");
        message::ready_for_query(&mut self.outbuf, self.status.byte());
        Some(Step::Done)
    }
}

/// The statement behind `EXPLAIN ROUTE`.
fn behind_explain_route(text: &[u8]) -> Option<&[u8]> {
    let mut tokens = Lexer::new(text, true);
    for word in ["explain", "route"] {
        let token = tokens.next().filter(|token| token.kind == TokenKind::Word)?;
        if !token.of(text).eq_ignore_ascii_case(word.as_bytes()) {
            return None;
        }
    }
    text.get(tokens.next()?.start as usize..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn question_is_known_in_each_spelling() {
        for (text, statement) in [
            ("EXPLAIN ROUTE select 1", Some("select 1")),
            ("/* a */ explain -- b\n Route\tselect 1;", Some("select 1;")),
            ("EXPLAIN ROUTE", None),
            ("EXPLAIN \"ROUTE\" select 1", None),
            ("EXPLAIN select 1", None),
        ] {
            assert_eq!(behind_explain_route(text.as_bytes()), statement.map(str::as_bytes), "{text}");
        }
    }
}
