//! The open transaction: what is predicted behind the messages in progress, and what its complete statements have done.
//!
//! The confirmed status itself is that of the last `ReadyForQuery` (`Session::status`), which nothing else changes.

use std::sync::Arc;

use crate::pool::settings::Tracked;
use crate::session::Status;
use crate::session::ahead::{Ahead, Confirmed};
use crate::session::expect::Effect;
use crate::session::path::Effective;
use crate::shared::tenancy::Tenancy;
use crate::sql::plan::Statement;

/// The state of a client's transaction.
pub(in crate::session) struct Transaction {
    /// What is predicted behind all sent messages.
    ahead: Ahead,
    /// The status behind all complete statements.
    reached: Status,
    /// It has read or written.
    touched: bool,
    /// `ReadyForQuery` that must not reach the client yet.
    held_ready: Option<Status>,
}

impl Default for Transaction {
    fn default() -> Self {
        Self { ahead: Ahead::default(), reached: Status::Idle, touched: false, held_ready: None }
    }
}

impl Transaction {
    // Predictions.

    /// The status behind all sent messages, if it is not as confirmed.
    pub fn foreseen(&self) -> Option<Status> {
        self.ahead.status()
    }

    /// What is predicted behind all sent messages.
    pub fn ahead(&self) -> &Ahead {
        &self.ahead
    }

    /// A statement was sent: see [`Ahead::advance`].
    pub fn advance(&mut self, statement: &Statement, effect: Option<&Effect>, now: &Confirmed<'_>) -> bool {
        self.ahead.advance(statement, effect, now)
    }

    /// The path behind all sent messages, if it is not as confirmed.
    pub fn path_ahead(&self, tenancy: &Arc<Tenancy>) -> Option<Effective> {
        self.ahead.effective(tenancy)
    }

    /// A path was refused.
    pub fn distrust_path(&mut self) {
        self.ahead.distrust_path();
    }

    /// Whether a path was refused, and no permitted one has been set since; by `settings`, where nothing is predicted.
    pub fn distrusts_path(&self, settings: &Tracked) -> bool {
        self.ahead.distrusts_path(settings)
    }

    /// The messages in progress are void: their transaction is as it is.
    pub fn void(&mut self) {
        self.ahead.void();
    }

    // Confirmation.

    /// A statement that opens a block or returns to a savepoint is complete.
    pub fn enter_block(&mut self) {
        self.reached = Status::Block;
    }

    /// A statement that ends the transaction is complete; `chain`: another block began. Returns whether its settings
    /// are undone: a failed block is rolled back by any statement that ends it.
    pub fn end(&mut self, rolls_back: bool, chain: bool) -> bool {
        let undone = rolls_back || self.reached == Status::Failed;
        self.reached = if chain { Status::Block } else { Status::Idle };
        undone
    }

    /// A request is answered: PostgreSQL's status replaces all predictions.
    pub fn confirm(&mut self, status: Status) {
        self.ahead = Ahead::default();
        self.reached = status;
    }

    // The tenant's data.

    /// A statement is sent that reads or writes, if it `touches`.
    pub fn touch_if(&mut self, touches: bool) {
        self.touched |= touches;
    }

    /// Whether the transaction has read or written.
    pub fn has_touched(&self) -> bool {
        self.touched
    }

    /// The transaction is over, or its end was sent: the next one has touched nothing.
    pub fn begin_anew(&mut self) {
        self.touched = false;
    }

    // The end of the answer.

    /// `ReadyForQuery` waits for the client's channels.
    pub fn hold_ready(&mut self, status: Status) {
        self.held_ready = Some(status);
    }

    /// Whether it does.
    pub fn holds_ready(&self) -> bool {
        self.held_ready.is_some()
    }

    /// The status of the `ReadyForQuery` that may reach the client now.
    pub fn take_ready(&mut self) -> Option<Status> {
        self.held_ready.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::effect::effect_of;
    use crate::sql::Engine;
    use crate::sql::fixture::scope;
    use crate::sql::plan::Plan;
    use crate::sql::scope::TextMode;

    struct Client {
        tenancy: Arc<Tenancy>,
        transaction: Transaction,
        settings: Tracked,
        status: Status,
    }

    impl Client {
        fn new(status: Status) -> Self {
            let tenancy = Arc::new(Tenancy::of(scope(), "", true));
            Self { tenancy, transaction: Transaction::default(), settings: Tracked::default(), status }
        }

        fn plan(&self, text: &str) -> Plan {
            Engine::new(1 << 20).plan(text.as_bytes(), &self.tenancy.scope, TextMode::default())
        }

        /// Sends a text as messages of a pipeline. Returns whether its last statement is in a failed transaction.
        fn send(&mut self, text: &str) -> bool {
            let mut failed = false;
            for statement in &self.plan(text).statements {
                let effect = effect_of(statement, text.as_bytes(), true);
                let base = Arc::default();
                let (status, settings) = (self.status, &self.settings);
                let now = Confirmed { status, settings, base: &base, home: &self.tenancy.home };
                failed = self.transaction.advance(statement, effect.as_ref(), &now);
            }
            failed
        }

        fn path(&self) -> Option<String> {
            self.transaction.path_ahead(&self.tenancy).map(|path| path.path.to_string())
        }
    }

    #[test]
    fn failure_ends_where_the_transaction_does() {
        let mut client = Client::new(Status::Failed);
        assert!(client.send("select 1") && client.send("rollback"), "in the failed transaction still");
        assert!(!client.send("select 1"));
        client.transaction.void();
        assert!(client.send("select 1"), "the ROLLBACK was not run");
        assert!(!Client::new(Status::Block).send("select 1"));
    }

    #[test]
    fn path_is_predicted_once_a_statement_matters() {
        let mut client = Client::new(Status::Block);
        client.send("select 1; set statement_timeout to 1");
        assert_eq!(client.path(), None);
        client.send("savepoint a; set local search_path to public");
        assert_eq!(client.path().as_deref(), Some("\"public\""));
        client.send("rollback to a");
        assert_eq!(client.path().as_deref(), Some(&*client.tenancy.home));
        client.transaction.confirm(Status::Block);
        assert_eq!((client.path(), client.transaction.foreseen()), (None, None));
    }

    #[test]
    fn void_messages_leave_the_status_as_confirmed() {
        let mut client = Client::new(Status::Idle);
        client.send("begin; set search_path to public");
        client.transaction.void();
        assert_eq!(client.transaction.foreseen(), None);
        assert!(client.path().is_some(), "what may be in force counts until the end of the request");
    }

    #[test]
    fn refused_path_is_distrusted_until_another_is_set() {
        let mut client = Client::new(Status::Block);
        client.settings.distrust_path();
        assert!(client.transaction.distrusts_path(&client.settings), "as confirmed");
        client.send("set search_path to public");
        assert!(!client.transaction.distrusts_path(&client.settings));
        client.transaction.distrust_path();
        assert!(client.transaction.distrusts_path(&Tracked::default()), "as predicted");
    }

    #[test]
    fn end_of_a_failed_block_undoes_its_settings() {
        let mut transaction = Transaction::default();
        assert!(!transaction.end(false, false), "COMMIT outside of a block is a warning");
        assert!(transaction.end(true, false));
        transaction.enter_block();
        assert!(!transaction.end(false, true));
        transaction.confirm(Status::Failed);
        assert!(transaction.end(false, false), "COMMIT of a failed block");
        assert!(!transaction.end(false, false), "the next one has not failed");
        transaction.confirm(Status::Failed);
        transaction.enter_block();
        assert!(!transaction.end(false, false), "it was saved by ROLLBACK TO");
    }

    #[test]
    fn touch_lasts_until_the_transaction_ends() {
        let mut transaction = Transaction::default();
        transaction.touch_if(false);
        assert!(!transaction.has_touched());
        transaction.touch_if(true);
        transaction.touch_if(false);
        transaction.confirm(Status::Block);
        assert!(transaction.has_touched());
        transaction.begin_anew();
        assert!(!transaction.has_touched());
    }

    #[test]
    fn held_end_is_delivered_once() {
        let mut transaction = Transaction::default();
        assert!(!transaction.holds_ready());
        transaction.hold_ready(Status::Idle);
        assert!(transaction.holds_ready());
        assert_eq!((transaction.take_ready(), transaction.take_ready()), (Some(Status::Idle), None));
    }
}
