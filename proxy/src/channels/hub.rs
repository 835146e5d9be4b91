//! The connection that listens for all clients, and the channels of each client.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use pgstrata_control::error::postgres_words;
use pgstrata_tenancy::ident;
use rustls::ClientConfig;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{ListenError, Notification, Outlet};
use crate::catalog::{CatalogError, connection_settings};
use crate::config::Database;

/// The time limit for connecting, and for each query.
const PATIENCE: Duration = Duration::from_secs(10);

/// The connection is idle for most of its life.
const OPTIONS: &str =
    "-c search_path=pg_catalog -c default_transaction_read_only=on -c idle_session_timeout=0";

/// A request of a client.
pub(super) enum Command {
    /// Listen to `channel` from now on; `to` if the client had no channel before.
    Listen {
        id: u64,
        to: Option<Outlet>,
        channel: Arc<str>,
        name: Arc<str>,
        reply: oneshot::Sender<Result<usize, ListenError>>,
    },
    /// Stop listening to `channel`, or to all channels.
    Unlisten { id: u64, channel: Option<Arc<str>>, reply: oneshot::Sender<usize> },
    /// Wait until all earlier notifications have arrived.
    CatchUp { reply: oneshot::Sender<Result<(), ListenError>> },
    /// Stop listening in PostgreSQL, unless a client listens again.
    Silence(Vec<Arc<str>>),
    /// Nothing more: all are told that nothing is heard.
    Close,
}

/// The connection settings.
pub struct Settings {
    name: String,
    config: tokio_postgres::Config,
    tls: Option<MakeRustlsConnect>,
}

impl Settings {
    /// For `database`, whose name for clients is `name`; `tls` has the verification of certificates.
    pub fn new(
        name: &str,
        database: &Database,
        tls: Option<Arc<ClientConfig>>,
    ) -> Result<Self, CatalogError> {
        let mut config = connection_settings(name, database, tls.is_some())?;
        // The connection may be silent for a long time: without probes, a broken one would not be noticed.
        config
            .application_name("pgstrata channels")
            .options(OPTIONS)
            .keepalives_idle(Duration::from_secs(30))
            .keepalives_interval(Duration::from_secs(10))
            .keepalives_retries(3);
        let tls = tls.map(|tls| MakeRustlsConnect::new((*tls).clone()));
        Ok(Self { name: name.to_owned(), config, tls })
    }
}

/// One client, and its names for its channels.
struct Ear {
    to: Outlet,
    channels: HashMap<Arc<str>, Arc<str>>,
}

/// A query to PostgreSQL, and the clients that wait for it.
struct Work {
    asked: Pin<Box<dyn Future<Output = Result<(), tokio_postgres::Error>> + Send>>,
    then: Then,
}

enum Then {
    Listening { id: u64, channel: Arc<str>, reply: oneshot::Sender<Result<usize, ListenError>> },
    CaughtUp(oneshot::Sender<Result<(), ListenError>>),
    Nothing,
}

pub(super) struct Hub {
    /// The settings of the next connection.
    settings: Arc<ArcSwap<Settings>>,
    commands: mpsc::UnboundedReceiver<Command>,
    ears: HashMap<u64, Ear>,
    channels: HashMap<Arc<str>, HashSet<u64>>,
    /// It was told to close.
    closed: bool,
}

impl Hub {
    pub fn new(settings: Arc<ArcSwap<Settings>>, commands: mpsc::UnboundedReceiver<Command>) -> Self {
        Self { settings, commands, ears: HashMap::new(), channels: HashMap::new(), closed: false }
    }

    /// Serves clients as long as there can be any. It is connected while a client listens.
    pub async fn run(mut self) {
        while let Some(command) = self.commands.recv().await {
            match command {
                Command::Unlisten { reply, .. } => drop(reply.send(0)),
                Command::CatchUp { reply } => drop(reply.send(Ok(()))),
                Command::Silence(_) => {}
                Command::Close => return,
                first @ Command::Listen { .. } => {
                    let settings = self.settings.load_full();
                    let ended = match settings.tls.clone() {
                        Some(tls) => self.connected(&settings, tls, first).await,
                        None => self.connected(&settings, NoTls, first).await,
                    };
                    if let Err(error) = ended {
                        tracing::warn!(database = settings.name, error, "notification listener disconnected");
                    }
                    // Clients that still listened see that their sender is dropped.
                    self.ears.clear();
                    self.channels.clear();
                    if self.closed {
                        return;
                    }
                }
            }
        }
    }

    /// Runs one connection.
    async fn connected<T>(&mut self, settings: &Settings, tls: T, first: Command) -> Result<(), String>
    where
        T: MakeTlsConnect<Socket>,
    {
        let connected = timeout(PATIENCE, settings.config.connect(tls)).await;
        let failed = match connected {
            Ok(Ok((client, connection))) => return self.serve(Arc::new(client), connection, first).await,
            Ok(Err(error)) => postgres_words(&error),
            Err(_) => "no answer in time".to_owned(),
        };
        if let Command::Listen { reply, .. } = first {
            let _ = reply.send(Err(ListenError::Refused("PostgreSQL can not be reached".into())));
        }
        Err(failed)
    }

    async fn serve<S, T>(
        &mut self,
        client: Arc<Client>,
        mut connection: tokio_postgres::Connection<S, T>,
        first: Command,
    ) -> Result<(), String>
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
        T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    {
        let mut queue = VecDeque::from([first]);
        let mut work: Option<Work> = None;
        loop {
            while work.is_none() {
                match queue.pop_front() {
                    Some(command) => work = self.begin(command, &client),
                    None if self.ears.is_empty() => return Ok(()),
                    None => break,
                }
            }
            let working = async {
                match &mut work {
                    Some(work) => timeout(PATIENCE, &mut work.asked).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                message = poll_fn(|cx| connection.poll_message(cx)) => match message {
                    Some(Ok(AsyncMessage::Notification(heard))) => {
                        let silent = self.tell(&heard);
                        if !silent.is_empty() {
                            queue.push_back(Command::Silence(silent));
                        }
                    }
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(postgres_words(&error)),
                    None => return Err("the connection was closed".into()),
                },
                done = working => match done {
                    Ok(done) => self.finish(work.take().map(|work| work.then), done),
                    Err(_) => return Err("no answer in time".into()),
                },
                command = self.commands.recv() => match command {
                    Some(Command::Close) => {
                        self.closed = true;
                        return Ok(());
                    }
                    Some(command) => queue.push_back(command),
                    None => return Ok(()),
                },
            }
        }
    }

    /// Handles a client's request, except for queries to PostgreSQL.
    fn begin(&mut self, command: Command, client: &Arc<Client>) -> Option<Work> {
        let ask = |sql: String, then| {
            let client = Arc::clone(client);
            Some(Work { asked: Box::pin(async move { client.batch_execute(&sql).await }), then })
        };
        match command {
            Command::Listen { id, to, channel, name, reply } => {
                if let Some(to) = to {
                    self.ears.insert(id, Ear { to, channels: HashMap::new() });
                }
                let Some(ear) = self.ears.get_mut(&id) else {
                    let _ = reply.send(Err(ListenError::Lost));
                    return None;
                };
                ear.channels.insert(Arc::clone(&channel), name);
                let known = self.channels.entry(Arc::clone(&channel)).or_default();
                let heard = !known.is_empty();
                known.insert(id);
                if heard {
                    let _ = reply.send(Ok(ear.channels.len()));
                    return None;
                }
                let sql = format!("LISTEN {}", ident::quoted(&channel));
                ask(sql, Then::Listening { id, channel, reply })
            }
            Command::Unlisten { id, channel, reply } => {
                let silent = self.forget(id, channel.as_ref());
                let _ = reply.send(self.ears.get(&id).map_or(0, |ear| ear.channels.len()));
                unlisten(&silent).and_then(|sql| ask(sql, Then::Nothing))
            }
            Command::CatchUp { reply } => ask(String::new(), Then::CaughtUp(reply)),
            // It never gets this far.
            Command::Close => None,
            Command::Silence(mut channels) => {
                channels.retain(|channel| !self.channels.contains_key(channel));
                unlisten(&channels).and_then(|sql| ask(sql, Then::Nothing))
            }
        }
    }

    /// Removes a client from `channel`, or from all channels; returns the channels without any client.
    fn forget(&mut self, id: u64, channel: Option<&Arc<str>>) -> Vec<Arc<str>> {
        let Some(ear) = self.ears.get_mut(&id) else { return Vec::new() };
        let over: Vec<Arc<str>> = match channel {
            Some(channel) => {
                ear.channels.remove_entry(channel).map(|(channel, _)| channel).into_iter().collect()
            }
            None => ear.channels.drain().map(|(channel, _)| channel).collect(),
        };
        if ear.channels.is_empty() {
            self.ears.remove(&id);
        }
        let is_silent = |channel: &Arc<str>| {
            let Some(ids) = self.channels.get_mut(channel) else { return false };
            ids.remove(&id);
            let silent = ids.is_empty();
            if silent {
                self.channels.remove(channel);
            }
            silent
        };
        over.into_iter().filter(is_silent).collect()
    }

    fn finish(&mut self, then: Option<Then>, done: Result<(), tokio_postgres::Error>) {
        match then {
            Some(Then::Listening { id, channel, reply }) => {
                let count = self.ears.get(&id).map_or(0, |ear| ear.channels.len());
                let answer =
                    done.map(|()| count).map_err(|error| ListenError::Refused(postgres_words(&error).into()));
                if answer.is_err() {
                    self.forget(id, Some(&channel));
                }
                let _ = reply.send(answer);
            }
            Some(Then::CaughtUp(reply)) => {
                let _ = reply.send(done.map_err(|_| ListenError::Lost));
            }
            Some(Then::Nothing) | None => {}
        }
    }

    /// Passes a notification to all clients of its channel; returns the channels without any client.
    fn tell(&mut self, heard: &tokio_postgres::Notification) -> Vec<Arc<str>> {
        let Some(ids) = self.channels.get(heard.channel()) else { return Vec::new() };
        let payload: Arc<str> = heard.payload().into();
        let deaf: Vec<u64> = ids
            .iter()
            .copied()
            .filter(|id| {
                let Some(ear) = self.ears.get(id) else { return true };
                let Some(channel) = ear.channels.get(heard.channel()).cloned() else { return true };
                let notification =
                    Notification { channel, payload: Arc::clone(&payload), pid: heard.process_id() };
                // A client that does not read must not delay the others.
                !ear.to.send(notification)
            })
            .collect();
        deaf.into_iter().flat_map(|id| self.forget(id, None)).collect()
    }
}

fn unlisten(channels: &[Arc<str>]) -> Option<String> {
    let each = |channel: &Arc<str>| format!("UNLISTEN {};", ident::quoted(channel));
    (!channels.is_empty()).then(|| channels.iter().map(each).collect())
}
