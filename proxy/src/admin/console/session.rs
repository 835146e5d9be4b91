//! One client of the console.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Duration, timeout};

use super::act::audit::Audit;
use super::act::{act, settings};
use super::command::{self, Command};
use super::extended::Extended;
use super::show::Shown;
use super::table::{Cell, Table};
use super::write::{self, Formats};
use crate::auth::login::Login;
use crate::cancel::CancelEntry;
use crate::clients::ClientEntry;
use crate::config::User;
use crate::net::socket::Peer;
use crate::shared::Shared;
use crate::stream::ClientStream;
use crate::wire::frame::{self, Header};
use crate::wire::message::{self, Severity};
use crate::wire::refusal::{Refusal, sqlstate};

/// The maximum length of a message: commands are short.
const MAX_MESSAGE: usize = 64 << 10;

/// Above this number of outstanding bytes, no more rows are added.
const HIGH_WATER: usize = 64 << 10;

/// How long a client may take to read the last error.
const GOODBYE: Duration = Duration::from_secs(1);

/// A client of the console.
pub struct Console<S> {
    stream: ClientStream<S>,
    inbuf: BytesMut,
    pub(super) outbuf: BytesMut,
    pub(super) shared: Arc<Shared>,
    user: Arc<User>,
    peer: Peer,
    /// The status in `ReadyForQuery`: drivers send transaction commands.
    pub(super) status: Status,
    /// An error was answered in a pipeline: all messages up to `Sync` are void.
    pub(super) skips: bool,
    pub(super) extended: Extended,
    cancel: CancelEntry,
    entry: ClientEntry,
    shutdown: watch::Receiver<bool>,
}

/// The status of a transaction. It has no effect, except that an error lasts to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Idle,
    Block,
    Failed,
}

/// How a console session ends.
pub(super) enum End {
    /// The client has disconnected.
    Left,
    /// The client gets this error.
    Fatal(Refusal),
}

/// The result of a command.
pub(super) enum Answer {
    /// Rows, and their tag.
    Rows(Table),
    /// A command tag, and a notice.
    Done(&'static str, Option<String>),
}

impl Status {
    fn byte(self) -> u8 {
        match self {
            Status::Idle => b'I',
            Status::Block => b'T',
            Status::Failed => b'E',
        }
    }
}

impl<S> Console<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    pub(super) fn new(
        login: Login<S>,
        shared: Arc<Shared>,
        (cancel, entry): (CancelEntry, ClientEntry),
        shutdown: watch::Receiver<bool>,
    ) -> Self {
        Self {
            stream: login.stream,
            inbuf: login.buffer,
            outbuf: BytesMut::new(),
            shared,
            user: login.user,
            peer: login.peer,
            status: Status::Idle,
            skips: false,
            extended: Extended::default(),
            cancel,
            entry,
            shutdown,
        }
    }

    /// Serves the client until it disconnects, is closed, or the proxy stops.
    pub async fn run(mut self) {
        let refusal = match self.serve().await {
            Ok(never) => match never {},
            Err(End::Left) => return,
            Err(End::Fatal(refusal)) => refusal,
        };
        let hint = refusal.hint.as_deref();
        message::error(&mut self.outbuf, Severity::Fatal, refusal.code, &refusal.message, hint);
        let goodbye = async {
            self.stream.write_all(&self.outbuf).await?;
            self.stream.shutdown().await
        };
        // The client need not read it.
        let _ = timeout(GOODBYE, goodbye).await;
    }

    async fn serve(&mut self) -> Result<std::convert::Infallible, End> {
        loop {
            let header = self.next_message().await?;
            let mut whole = self.inbuf.split_to(header.total);
            whole.advance(frame::HEADER);
            self.dispatch(header.tag, &whole).await?;
        }
    }

    /// Waits for a complete message, after writing all output.
    async fn next_message(&mut self) -> Result<Header, End> {
        loop {
            let header = frame::header(&self.inbuf);
            let header = header.map_err(|error| fatal(sqlstate::PROTOCOL_VIOLATION, error.to_string()))?;
            match header {
                Some(header) if header.total > MAX_MESSAGE => {
                    let message = format!("a message of {} bytes is too long for the console", header.total);
                    return Err(fatal("54000", message));
                }
                Some(header) if self.inbuf.len() >= header.total => return Ok(header),
                _ => {}
            }
            self.flush().await?;
            self.read().await?;
        }
    }

    /// Reads once, unless the session has to end.
    async fn read(&mut self) -> Result<(), End> {
        let Self { stream, inbuf, entry, shutdown, .. } = self;
        let read = tokio::select! {
            read = stream.read_buf(inbuf) => read,
            end = called_off(entry, shutdown) => return Err(end),
        };
        match read {
            Ok(1..) => Ok(()),
            Ok(0) | Err(_) => Err(End::Left),
        }
    }

    /// Writes all output, however slowly the client reads, unless the session has to end.
    pub(super) async fn flush(&mut self) -> Result<(), End> {
        let Self { stream, outbuf, entry, shutdown, .. } = self;
        let writing = async {
            while !outbuf.is_empty() {
                // Written bytes are removed at once, so that nothing is written twice after a cancellation.
                if stream.write_buf(outbuf).await? == 0 {
                    return Err(std::io::ErrorKind::WriteZero.into());
                }
            }
            stream.flush().await
        };
        tokio::select! {
            written = writing => written.map_err(|_| End::Left),
            end = called_off(entry, shutdown) => Err(end),
        }
    }

    async fn dispatch(&mut self, tag: u8, body: &[u8]) -> Result<(), End> {
        match tag {
            b'X' => Err(End::Left),
            b'S' => {
                self.skips = false;
                self.extended.end_of_pipeline(self.status == Status::Idle);
                self.ready();
                Ok(())
            }
            _ if self.skips => Ok(()),
            b'Q' => self.query(body).await,
            b'P' => self.parse(body),
            b'B' => self.bind(body),
            b'D' => self.describe(body),
            b'E' => self.execute(body).await,
            b'C' => self.close(body),
            b'H' => self.flush().await,
            b'F' => {
                let refusal = Refusal::new(
                    sqlstate::FEATURE_NOT_SUPPORTED,
                    "the FunctionCall message is not supported by the console",
                );
                self.fail(&refusal);
                self.ready();
                Ok(())
            }
            // The rest of a COPY that does not exist: PostgreSQL ignores it, too.
            b'd' | b'c' | b'f' => Ok(()),
            tag => Err(fatal(sqlstate::PROTOCOL_VIOLATION, format!("invalid frontend message type {tag}"))),
        }
    }

    /// `Query`: commands, one after the other, up to the first failure.
    async fn query(&mut self, body: &[u8]) -> Result<(), End> {
        self.extended.end_of_pipeline(true);
        let text = text_of(body)?;
        match command::parse(text) {
            Ok(commands) if commands.is_empty() => message::empty(&mut self.outbuf, b'I'),
            Ok(commands) => {
                for command in &commands {
                    match self.run_command(command, text).await? {
                        Ok(answer) => self.put(answer).await?,
                        Err(refusal) => {
                            self.fail(&refusal);
                            break;
                        }
                    }
                }
            }
            Err(refusal) => self.fail(&refusal),
        }
        self.ready();
        Ok(())
    }

    /// Writes a whole answer.
    async fn put(&mut self, answer: Answer) -> Result<(), End> {
        match answer {
            Answer::Rows(table) => {
                let formats = Formats::default();
                write::description(&mut self.outbuf, table.columns, &formats);
                for row in &table.rows {
                    write::row(&mut self.outbuf, table.columns, row, &formats);
                    self.leave_room().await?;
                }
                write::complete(&mut self.outbuf, "SHOW");
            }
            Answer::Done(tag, told) => self.put_done(tag, told.as_deref()),
        }
        Ok(())
    }

    pub(super) fn put_done(&mut self, tag: &str, told: Option<&str>) {
        if let Some(told) = told {
            write::notice(&mut self.outbuf, told);
        }
        write::complete(&mut self.outbuf, tag);
    }

    /// Writes output, so that a slow client makes the console hold little more than the rows themselves.
    pub(super) async fn leave_room(&mut self) -> Result<(), End> {
        if self.outbuf.len() > HIGH_WATER { self.flush().await } else { Ok(()) }
    }

    /// Runs a command; `text` is the text that contains it.
    pub(super) async fn run_command(
        &mut self,
        command: &Command,
        text: &str,
    ) -> Result<Result<Answer, Refusal>, End> {
        if self.status == Status::Failed && !matches!(command, Command::Commit | Command::Rollback) {
            return Ok(Err(aborted()));
        }
        self.look_at_user()?;
        Ok(match command {
            Command::Show(shown, one) => self.show(shown, one.as_deref()),
            Command::Parameter(parameter) => {
                let rows = vec![vec![Cell::from(parameter.value)]];
                Ok(Answer::Rows(Table { columns: &parameter.columns, rows }))
            }
            Command::Act(wanted) => {
                if let Err(refusal) = self.must_be_admin() {
                    return Ok(Err(refusal));
                }
                let (user, peer, shared) = (Arc::clone(&self.user), self.peer, Arc::clone(&self.shared));
                let audit = Audit::begin(&user.name, peer, text);
                let done = self.attend(act(wanted, &shared)).await?;
                match &done {
                    Ok(_) => audit.done(),
                    Err(refusal) => audit.failed(refusal.code),
                }
                done.map(|told| Answer::Done(wanted.tag(), told))
            }
            Command::Set(key, _) => {
                let told = self.set(key);
                told.map(|told| Answer::Done("SET", told))
            }
            Command::Begin => Ok(self.turn(Status::Block, "BEGIN")),
            Command::Commit if self.status == Status::Failed => Ok(self.turn(Status::Idle, "ROLLBACK")),
            Command::Commit => Ok(self.turn(Status::Idle, "COMMIT")),
            Command::Rollback => Ok(self.turn(Status::Idle, "ROLLBACK")),
            Command::Deallocate(name) => {
                let known = self.extended.deallocate(name.as_deref());
                known.map(|()| Answer::Done("DEALLOCATE", None))
            }
            Command::Nothing(tag) => Ok(Answer::Done(tag, None)),
        })
    }

    fn show(&self, shown: &Shown, one: Option<&str>) -> Result<Answer, Refusal> {
        if shown.for_admins {
            self.must_be_admin()?;
        }
        Ok(Answer::Rows(shown.table(&self.shared, one.unwrap_or_default())))
    }

    fn set(&self, key: &str) -> Result<Option<String>, Refusal> {
        let told = settings::set(&self.shared, key)?;
        if told.is_none() {
            self.must_be_admin()?;
        }
        Ok(told)
    }

    /// Uses the user of the current configuration. The error: the user may not use the console any more.
    fn look_at_user(&mut self) -> Result<(), End> {
        match self.shared.current().accept.users.get(&self.user.name) {
            Some(account) if account.user.may_use_console() => {
                self.user = Arc::clone(&account.user);
                Ok(())
            }
            _ => {
                let name = &self.user.name;
                let message = format!(
                    "terminating connection: user \"{name}\" may no longer use the console by the configuration"
                );
                Err(fatal("57P01", message))
            }
        }
    }

    fn must_be_admin(&self) -> Result<(), Refusal> {
        if self.user.admin {
            return Ok(());
        }
        let refusal = Refusal::new(sqlstate::INSUFFICIENT_PRIVILEGE, "permission denied");
        Err(refusal.hint("The command is for users with admin = true; those with stats = true may SHOW."))
    }

    fn turn(&mut self, status: Status, tag: &'static str) -> Answer {
        self.status = status;
        Answer::Done(tag, None)
    }

    /// Runs `work` while reading from the client, which may disconnect or cancel; the session may also have to end.
    /// Then the work is dropped.
    async fn attend<T>(
        &mut self,
        work: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<Result<T, Refusal>, End> {
        let slot = Arc::clone(self.cancel.slot());
        let mut cancelled = pin!(slot.cancelled());
        let mut work = pin!(work);
        let Self { stream, inbuf, entry, shutdown, .. } = self;
        tokio::select! {
            biased;
            done = &mut work => Ok(done),
            () = &mut cancelled => Ok(Err(Refusal::new("57014", "canceling statement due to user request"))),
            end = called_off(entry, shutdown) => Err(end),
            () = hung_up(stream, inbuf) => Err(End::Left),
        }
    }

    /// Writes an error, which fails an open transaction.
    pub(super) fn fail(&mut self, refusal: &Refusal) {
        write::error(&mut self.outbuf, refusal);
        if self.status == Status::Block {
            self.status = Status::Failed;
        }
    }

    fn ready(&mut self) {
        message::ready_for_query(&mut self.outbuf, self.status.byte());
    }
}

/// Returns when the client has disconnected. Data that it sends ahead is kept, up to the length of one message.
async fn hung_up<S>(stream: &mut ClientStream<S>, inbuf: &mut BytesMut)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    while inbuf.len() < MAX_MESSAGE {
        if !matches!(stream.read_buf(inbuf).await, Ok(1..)) {
            return;
        }
    }
    std::future::pending().await
}

/// Returns when an administrator has closed the session, or the proxy stops.
async fn called_off(entry: &ClientEntry, shutdown: &mut watch::Receiver<bool>) -> End {
    let ended = poll_fn(|cx| {
        entry.wakes(cx.waker());
        if entry.is_ended() || entry.leaves() { Poll::Ready(()) } else { Poll::Pending }
    });
    tokio::select! {
        () = ended => if entry.leaves() {
            fatal("57P01", "terminating connection: the proxy was restarted")
        } else { fatal("57P01", "terminating connection due to administrator command")
        },
        _ = shutdown.wait_for(|stop| *stop) => {
            fatal("57P01", "terminating connection: the proxy is shutting down")
        }
    }
}

pub(super) fn fatal(code: &'static str, message: impl Into<String>) -> End {
    End::Fatal(Refusal::new(code, message))
}

/// The text of a `Query`: the body, with a NUL at its end and nowhere else.
fn text_of(body: &[u8]) -> Result<&str, End> {
    match frame::cstr(body) {
        Some((text, [])) => as_utf8(text),
        _ => Err(malformed()),
    }
}

pub(super) fn as_utf8(text: &[u8]) -> Result<&str, End> {
    std::str::from_utf8(text).map_err(|_| fatal("22021", "a text for the console must be in UTF-8"))
}

pub(super) fn malformed() -> End {
    fatal(sqlstate::PROTOCOL_VIOLATION, "invalid message format")
}

fn aborted() -> Refusal {
    let message = "current transaction is aborted, commands ignored until end of transaction block";
    Refusal::new("25P02", message)
}
