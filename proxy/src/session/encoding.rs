//! The encoding of a client's text, and the settings under which PostgreSQL reads it.
//!
//! The engine reads names as UTF-8. If PostgreSQL may read them in another encoding, they must be ASCII
//! ([`crate::sql::masked`]).

use std::borrow::Cow;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use super::Session;
use super::statements::ClientStatement;
use crate::pool::parameters::gives_meaning;
use crate::pool::settings::{CLIENT_ENCODING, Settings, Tracked, newest_name};
use crate::sql::masked::mask;
use crate::sql::plan::{Discard, Refusal, Statement, StatementKind};

/// The settings that determine how literals are read.
#[derive(Default)]
pub(super) struct Reading {
    /// These settings.
    settings: Arc<Settings>,
    /// All settings that they were taken from.
    of: Arc<Settings>,
}

impl Reading {
    /// The reading settings of a session with `settings`.
    fn now(&mut self, settings: &Tracked) -> &Arc<Settings> {
        if !Arc::ptr_eq(&self.of, settings.current()) {
            self.of = Arc::clone(settings.current());
            let now = self.of.giving_meaning();
            if now != *self.settings {
                self.settings = Arc::new(now);
            }
        }
        &self.settings
    }
}

/// Whether this is PostgreSQL's name for UTF-8.
pub(super) fn is_utf8(reported: &[u8]) -> bool {
    reported == b"UTF8"
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Whether it is certain that PostgreSQL reads the next message as UTF-8.
    pub(super) fn reads_utf8(&self) -> bool {
        let link = self.link.as_deref();
        self.reported.is_utf8()
            && self.settings.current().are_in_utf8()
            && link.is_none_or(|link| !link.request.reencodes)
    }

    /// The text for the engine; a text that is not in UTF-8 is masked.
    pub(super) fn legible<'t>(&self, text: &'t [u8]) -> Result<Cow<'t, [u8]>, Refusal> {
        if self.reads_utf8() { Ok(Cow::Borrowed(text)) } else { mask(text) }
    }

    /// A statement of a pipeline was sent that may change the encoding or the settings for the messages behind it.
    /// PostgreSQL reports that at the end of the request.
    pub(super) fn foresee_reading(&mut self, statement: &Statement) {
        let set = match &statement.kind {
            StatementKind::Set(setting) => Some(&setting.name),
            StatementKind::Reset { name, .. } | StatementKind::SetParameter { name, .. } => Some(name),
            _ => None,
        };
        let (reencodes, rereads) = match (&statement.kind, set) {
            (_, Some(name)) => (**name == *CLIENT_ENCODING, gives_meaning(newest_name(name))),
            (StatementKind::ResetAll | StatementKind::Discard(Discard::All), _) => {
                (!self.identity.base.are_in_utf8(), true)
            }
            (
                StatementKind::Commit { .. } | StatementKind::Rollback { .. } | StatementKind::RollbackTo(_),
                _,
            ) => (self.settings.is_pending(), self.settings.is_pending()),
            _ => return,
        };
        if let Some(link) = &mut self.link {
            link.request.reencodes |= reencodes;
            link.request.rereads |= rereads;
        }
    }

    /// The refusal of a statement that would be prepared in an unknown encoding.
    pub(super) fn refuses_encoding(&self, text: &[u8]) -> Option<Refusal> {
        let in_doubt = self.link.as_ref().is_some_and(|link| link.request.reencodes);
        (in_doubt && !text.is_ascii()).then(|| Refusal {
            code: "0A000",
            message: "a statement behind a change of client_encoding must be ASCII in the same pipeline"
                .into(),
            hint: Some("Send Sync between them.".into()),
        })
    }

    /// The encoding of a text, if it matters.
    pub(super) fn encoding_of(&self, text: &[u8]) -> Option<Box<[u8]>> {
        (!text.is_ascii()).then(|| self.reported.encoding().unwrap_or_default().into())
    }

    /// Whether PostgreSQL would read the text of a statement in the same way as at its `Parse`.
    pub(super) fn reads_the_same(&self, statement: &ClientStatement) -> bool {
        let Some(encoding) = &statement.encoding else { return true };
        // The reported parameters may be outdated; see `Session::tell_again`.
        let certain = if is_utf8(encoding) { self.reads_utf8() } else { !self.reported.is_stale() };
        self.reported.encoding() == statement.encoding.as_deref()
            && certain
            && self.link.as_ref().is_none_or(|link| !link.request.reencodes)
    }

    /// Whether the server at hand has already read the text of the statement, in the reported encoding.
    pub(super) fn has_read(&self, statement: &ClientStatement) -> bool {
        let id = statement.prepared.id;
        self.reported.encoding() == statement.encoding.as_deref()
            && self.link.as_ref().is_some_and(|link| {
                let is_there = link.lease.unnamed == Some(id) || link.lease.prepared.contains(id);
                is_there && !link.request.reencodes
            })
    }

    /// The reading settings of a statement that is prepared now.
    pub(super) fn reading(&mut self) -> Arc<Settings> {
        Arc::clone(self.reading.now(&self.settings))
    }
}

/// The refusal of a statement that came in another encoding.
pub(super) fn other_encoding() -> Refusal {
    Refusal {
        code: "0A000",
        message: "the statement was prepared with another client_encoding".into(),
        hint: Some("Prepare it anew.".into()),
    }
}
