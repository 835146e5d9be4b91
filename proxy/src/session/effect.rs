//! The effects of statements on the session.

use std::borrow::Cow;
use std::sync::Arc;

use pgstrata_tenancy::ident;
use tokio::io::{AsyncRead, AsyncWrite};

use super::ahead::follow;
use super::expect::{Effect, Expect};
use super::path;
use super::switch;
use super::{Session, Status};
use crate::pool::parameters::{gives_meaning, is_of_transaction};
use crate::pool::settings::{Assignment, DATESTYLE, SEARCH_PATH, newest_name};
use crate::simulation::{Fault, fault};
use crate::sql::keys;
use crate::sql::lexer::{Lexer, TokenKind};
use crate::sql::name;
use crate::sql::plan::{Discard, PinReason, Plan, Route, Setting, Statement, StatementKind};

/// The effect of a complete statement. `text` is the text that contains it; `utf8`: the text is in UTF-8.
pub(super) fn effect_of(statement: &Statement, text: &[u8], utf8: bool) -> Option<Effect> {
    if keys::keeps_role(&statement.kind) {
        let sql = text.get(statement.span.clone())?;
        let resets =
            Lexer::new(sql, true).next().is_some_and(|word| word.of(sql).eq_ignore_ascii_case(b"reset"));
        return Some(Effect::KeepRole(if resets { "RESET" } else { "SET" }));
    }
    match &statement.kind {
        StatementKind::Set(setting) if !setting.local && !is_of_transaction(&setting.name) => {
            let name = newest_name(&setting.name);
            let to = match name {
                SEARCH_PATH => Assignment::of_ours(&path::of_setting(setting, text)?),
                _ => assignment(name, setting, text.get(statement.span.clone())?, text, utf8)?,
            };
            Some(Effect::Set(name.into(), to))
        }
        StatementKind::Set(setting) if &*setting.name == SEARCH_PATH => {
            Some(Effect::SetLocalPath(path::of_setting(setting, text)?.into()))
        }
        StatementKind::Reset { name, local: false } => Some(Effect::Reset(newest_name(name).into())),
        StatementKind::Reset { name, .. } if &**name == SEARCH_PATH => Some(Effect::ResetLocalPath),
        StatementKind::ResetAll => Some(Effect::ResetAll),
        StatementKind::Characteristics(settings) => Some(Effect::Characteristics(settings.clone())),
        StatementKind::Discard(Discard::All) => Some(Effect::DiscardAll),
        StatementKind::Discard(Discard::Sequences) => Some(Effect::DiscardSequences),
        StatementKind::Savepoint(name) => Some(Effect::Savepoint(name.clone())),
        StatementKind::RollbackTo(name) => Some(Effect::RollbackTo(name.clone())),
        StatementKind::Release(name) => Some(Effect::Release(name.clone())),
        StatementKind::KeptSchema(name) => Some(Effect::KeepSchema(name.clone())),
        StatementKind::Listen(channel) => {
            Some(Effect::Listen { channel: channel.clone(), name: channel.clone(), of: None })
        }
        StatementKind::Unlisten(channel) => Some(Effect::Unlisten(channel.clone())),
        StatementKind::Prepare { name, .. } => Some(Effect::Prepared(name.clone(), Arc::default())),
        StatementKind::Deallocate(Some(name)) => Some(Effect::Deallocated(name.clone())),
        StatementKind::Deallocate(None) => Some(Effect::DeallocateAll),
        StatementKind::Begin => Some(Effect::Begin),
        StatementKind::Commit { chain } => Some(Effect::End { rolls_back: false, chain: *chain }),
        StatementKind::Rollback { chain } => Some(Effect::End { rolls_back: true, chain: *chain }),
        _ => None,
    }
}

/// The SQL, in ASCII, that makes `setting` on another server; `sql` is its statement. `None`: unknown.
fn assignment(name: &str, setting: &Setting, sql: &[u8], text: &[u8], utf8: bool) -> Option<Assignment> {
    if let Some(value) = &setting.given {
        return (utf8 || value.is_ascii()).then(|| Assignment::of_value(name, value));
    }
    let value = plain_value(text.get(setting.value.clone())?);
    if sql.is_ascii() {
        return Some(Assignment::of_statement(name, std::str::from_utf8(sql).ok()?, value.as_deref()));
    }
    // `SET` reads the whole value as one name of the list, and `set_config` as a list.
    let of_names = name == "temp_tablespaces" || name.ends_with("_preload_libraries");
    value.filter(|_| utf8 && !of_names).map(|value| Assignment::of_value(name, &value))
}

/// The value of a `SET`, if it is a single word, string or number.
pub(super) fn plain_value(raw: &[u8]) -> Option<Cow<'_, str>> {
    let mut tokens = Lexer::new(raw, true);
    let token = tokens.next().filter(|_| tokens.next().is_none())?;
    let raw = token.of(raw);
    match token.kind {
        TokenKind::Number => std::str::from_utf8(raw).ok().map(Cow::Borrowed),
        kind if kind.is_word() => Some(name::decode(kind, raw)),
        kind => name::plain_string(kind, raw, true),
    }
}

/// The effect of a statement on the path of its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathChange {
    /// None.
    Keep,
    /// The tenant's path is in force afterwards.
    Set,
    /// The client's own path is in force afterwards.
    Own,
    /// The baseline is in force afterwards, which is the path of no tenant.
    Lost,
}

/// See [`PathChange`].
pub(super) fn path_change(statement: &Statement) -> PathChange {
    match &statement.kind {
        StatementKind::Commit { .. }
        | StatementKind::Rollback { .. }
        | StatementKind::ResetAll
        | StatementKind::Discard(Discard::All) => PathChange::Lost,
        // The path was set before the savepoint.
        StatementKind::RollbackTo(_) => PathChange::Set,
        StatementKind::Set(setting) if &*setting.name == SEARCH_PATH => PathChange::Own,
        StatementKind::Reset { name, .. } if &**name == SEARCH_PATH => PathChange::Lost,
        _ => PathChange::Keep,
    }
}

/// Whether the statement may run code outside of the text, which could change the path or the role. `opaque`: the text
/// may run such code; for the rows of a cursor, any statement of the transaction may have.
pub(super) fn may_move(statement: &Statement, opaque: bool) -> bool {
    use StatementKind::{BlockOnly, CopyIn, EndPrepared, Execute, Fetch, Plain, Set, SetParameter};
    let runs = matches!(
        &statement.kind,
        Plain | BlockOnly | CopyIn | EndPrepared | Execute(_) | Fetch | Set(_) | SetParameter { .. }
    );
    opaque && runs
}

/// The transaction status behind a statement that succeeds, if the statement determines it.
pub(super) fn status_behind(statement: &Statement) -> Option<Status> {
    match &statement.kind {
        StatementKind::Commit { chain: false } | StatementKind::Rollback { chain: false } => {
            Some(Status::Idle)
        }
        StatementKind::Commit { chain: true }
        | StatementKind::Rollback { chain: true }
        | StatementKind::RollbackTo(_)
        | StatementKind::Begin => Some(Status::Block),
        _ => None,
    }
}

/// Whether the statement sets a path on which the tenant's schema is not the first.
pub(super) fn strays(statement: &Statement, text: &[u8], schema: &str) -> bool {
    let StatementKind::Set(setting) = &statement.kind else { return false };
    &*setting.name == SEARCH_PATH
        && path::of_setting(setting, text).is_none_or(|path| path::strays(&path, schema))
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Records the effects of a statement of `plan`, before it is sent, that a failure would not undo.
    pub(super) fn before(&mut self, statement: &Statement, plan: &Plan, text: &[u8]) {
        if let Some(reason) = statement.pin {
            self.pin(reason);
        }
        let untracked = match &statement.kind {
            StatementKind::Set(setting) if is_of_transaction(&setting.name) => false,
            StatementKind::Set(setting) => {
                !setting.local && effect_of(statement, text, self.reads_utf8()).is_none()
            }
            // The value could not be read when it was bound.
            StatementKind::SetParameter { local, .. } => !local,
            StatementKind::RollbackTo(name) => !self.settings.knows_savepoint(name),
            // The statement may end the transaction itself, so that earlier settings are kept or not.
            _ => plan.route == Route::OwnTransaction && self.has_set_in_pipeline(),
        };
        if untracked {
            self.lose_track();
        }
        let set_locally = match &statement.kind {
            StatementKind::Set(setting) => setting.local.then_some(&setting.name),
            StatementKind::SetParameter { name, local, .. } | StatementKind::Reset { name, local } => {
                local.then_some(name)
            }
            _ => None,
        };
        if let (Some(name), Some(link)) = (set_locally, &mut self.link) {
            link.reads_otherwise |= gives_meaning(newest_name(name));
        }
        if statement.frees {
            self.pins.doubt();
        }
        self.sql_writes |= matches!(statement.kind, StatementKind::Prepare { writes: true, .. });
        // A path of the client may begin with pg_temp; new objects are then temporary.
        if statement.ddl
            && (self.effective.own || self.link.as_ref().is_some_and(|link| link.setup.has_local_path()))
        {
            self.pin(PinReason::TempTable);
        }
        self.transaction.touch_if(switch::touches(statement));
        if statement.ddl {
            self.begin_change();
        }
        if let Some(link) = &mut self.link {
            // The seed of random() must not reach the next client.
            link.opaque |= statement.pin == Some(PinReason::SessionState);
        }
    }

    /// The settings in force are unknown from now on: the client keeps its server until it runs `DISCARD ALL`, and the
    /// server is then reset.
    pub(super) fn lose_track(&mut self) {
        self.pin(PinReason::SessionState);
        if let Some(link) = &mut self.link {
            link.opaque = true;
        }
    }

    /// Whether a statement in the implicit transaction of a pipeline sets something.
    fn has_set_in_pipeline(&self) -> bool {
        let Some(link) = self.link.as_ref().filter(|_| self.has_open_pipeline()) else { return false };
        let sets =
            |expect: &Expect| matches!(expect, Expect::Execute { effect: Some(effect), .. } if effect.sets());
        link.settings.is_pending() || link.expects.iter().any(sets)
    }

    /// Applies the effect of a complete statement.
    ///
    /// In a pipeline, dropped statements were removed when the message was sent; see [`Session::foresee`].
    pub(super) fn apply(&mut self, effect: Effect, pipelined: bool) {
        if let Effect::End { rolls_back, chain } = effect {
            return match self.transaction.end(rolls_back, chain) {
                true => self.undo_settings(),
                false => self.keep_settings(),
            };
        }
        let Some(link) = &mut self.link else { return };
        let base = &self.identity.base;
        match effect {
            Effect::Set(name, to) => {
                link.sets_datestyle |= *name == *DATESTYLE;
                self.settings.set(&name, to.clone());
                link.settings.set(&name, to);
            }
            Effect::Reset(name) => {
                self.settings.reset(&name, base);
                link.settings.reset(&name, &Default::default());
            }
            Effect::ResetAll => {
                self.settings.reset_all(base);
                link.forget_settings();
            }
            Effect::DiscardAll => {
                // The statement is a transaction of its own, which is over.
                self.settings.reset_all(base);
                self.settings.commit();
                link.settings.reset_all(&Default::default());
                link.settings.commit();
                if !pipelined {
                    link.lease.forget_prepared();
                    self.statements.clear();
                }
                self.forget_session();
            }
            Effect::Characteristics(settings) => {
                for (name, value) in &settings {
                    let to = Assignment::of_statement(name, &format!("SET {name} TO '{value}'"), Some(value));
                    self.settings.set(name, to.clone());
                    link.settings.set(name, to);
                }
            }
            Effect::Savepoint(name) => {
                self.settings.savepoint(&name);
                link.settings.savepoint(&name);
            }
            Effect::RollbackTo(name) => {
                self.transaction.enter_block();
                self.settings.roll_back_to(&name);
                link.settings.roll_back_to(&name);
            }
            Effect::Release(name) => {
                self.settings.release(&name);
                link.settings.release(&name);
            }
            Effect::SetLocalPath(_) | Effect::ResetLocalPath => {
                follow(&mut self.settings, &effect, base, &self.tenants.now().home);
            }
            Effect::Prepared(name, checks) if !pipelined => self.note_prepared(&name, &checks),
            Effect::Deallocated(name) if !pipelined => drop(self.statements.remove(name.as_bytes())),
            Effect::Prepared(..) | Effect::Deallocated(_) => {}
            Effect::DiscardSequences => {
                self.pins.remove(PinReason::Sequence);
                self.forget_draws();
                self.expect_draws();
            }
            Effect::Listen { .. } | Effect::Unlisten(_) => self.note_wish(effect),
            Effect::DeallocateAll => {
                self.sql_writes = false;
                if !pipelined {
                    link.lease.forget_prepared();
                    self.statements.clear();
                }
            }
            Effect::Begin => {
                self.transaction.enter_block();
                link.explicit = true;
            }
            Effect::End { .. } | Effect::KeepRole(_) | Effect::KeepSchema(_) => {}
        }
    }

    /// `DISCARD ALL`: there are no temporary tables and no pins afterwards.
    pub(super) fn forget_session(&mut self) {
        let in_doubt = self.link.as_ref().is_some_and(|link| link.lease.in_doubt);
        self.note_wish(Effect::Unlisten(None));
        self.forget_draws();
        if !in_doubt {
            self.pins.clear();
            self.sql_writes = false;
        }
    }

    /// The transaction was rolled back: settings return to their values before it.
    pub(super) fn undo_settings(&mut self) {
        match fault(Fault::SettingOutlivesRollback) {
            true => self.settings.commit(),
            false => self.settings.roll_back(),
        }
        self.tenants.roll_back();
        self.listening.roll_back();
        self.transaction.begin_anew();
        if let Some(link) = &mut self.link {
            link.settings.roll_back();
        }
    }

    /// The transaction was committed.
    pub(super) fn keep_settings(&mut self) {
        self.settings.commit();
        self.tenants.commit();
        self.listening.commit();
        self.transaction.begin_anew();
        if let Some(link) = &mut self.link {
            link.settings.commit();
        }
    }

    /// A transaction that set `datestyle` is over. The value in the statement may be a part only; PostgreSQL has
    /// reported the whole value.
    pub(super) fn complete_datestyle(&mut self) {
        let Some(link) = &mut self.link else { return };
        if !std::mem::take(&mut link.sets_datestyle) || !self.settings.current().has(DATESTYLE) {
            return;
        }
        let reported = link.lease.parameters.get(&b"DateStyle"[..]);
        let Some(value) = reported.and_then(|value| std::str::from_utf8(value).ok()) else { return };
        let mut sql = String::from("SET datestyle TO ");
        ident::push_ascii_literal(&mut sql, value);
        let to = Assignment::of_statement(DATESTYLE, &sql, Some(value));
        self.settings.set_for_good(DATESTYLE, to.clone());
        link.settings.set_for_good(DATESTYLE, to);
    }
}
