//! The processes that this one has taken over from, as long as they run: each is asked to cancel what its own clients
//! run, and is told when it need not keep its sockets any longer.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use rustix::net::{SendFlags, send};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt, BufReader};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::cancels::{WAITING, line};
use super::channel::{CLOSE, Channel, connected, next};

/// How long a client that cancels waits for the processes of before: one of them may be stopped.
const PATIENCE: Duration = Duration::from_secs(2);

/// A request that is answered when it is dealt with.
type Request = (i32, Vec<u8>, oneshot::Sender<()>);

/// All of them. An entry goes when its process has ended.
#[derive(Default)]
pub struct Predecessors {
    all: Arc<Mutex<Vec<Entry>>>,
    /// The number of the next entry.
    next: AtomicU64,
}

/// A process that can be asked, and is not yet.
#[derive(Debug)]
pub struct Predecessor {
    channel: Channel,
    /// The same socket, for the next process.
    socket: Arc<OwnedFd>,
}

/// One that is asked, or was before the next process has taken that over.
struct Entry {
    number: u64,
    socket: Arc<OwnedFd>,
    talk: Option<Talk>,
}

/// What the requests go to.
struct Talk {
    requests: mpsc::Sender<Request>,
    /// Talks to the process until this is dropped.
    _talking: JoinSet<()>,
}

impl Predecessor {
    /// The process at the other end of the channel. The error: the system has no descriptor.
    pub fn new(channel: Channel) -> io::Result<Self> {
        let socket = Arc::new(channel.get_ref().as_fd().try_clone_to_owned()?);
        Ok(Self { channel, socket })
    }

    /// Sends it a line, if the system takes it at once. Whoever does not read has no use for it.
    pub fn say(&self, line: &str) {
        say(&self.socket, line);
    }
}

impl Predecessors {
    /// One more. Must be called inside a runtime that lasts as long as this.
    pub fn add(&self, Predecessor { channel, socket }: Predecessor) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let mut all = self.lock();
        let talk = Some(Talk::start(channel, number, Arc::downgrade(&self.all)));
        all.push(Entry { number, socket, talk });
    }

    /// Passes a cancel request on to all of them. Done when it is dealt with, or some do not answer.
    pub async fn cancel(&self, pid: i32, key: &[u8]) {
        let mut answers = Vec::new();
        for talk in self.lock().iter().filter_map(|entry| entry.talk.as_ref()) {
            let (done, answer) = oneshot::channel();
            if talk.requests.try_send((pid, key.to_vec(), done)).is_ok() {
                answers.push(answer);
            }
        }
        let answered = async {
            for answer in answers {
                let _ = answer.await;
            }
        };
        let _ = timeout(PATIENCE, answered).await;
    }

    /// Their channels, for the process after this one.
    pub fn channels(&self) -> Vec<Arc<OwnedFd>> {
        self.lock().iter().map(|entry| Arc::clone(&entry.socket)).collect()
    }

    /// The process after this one asks them from now on: two that read the answers would take them from each other.
    pub fn leave(&self) {
        self.lock().iter_mut().for_each(|entry| entry.talk = None);
    }

    /// Nobody asks them any more but this process. Must be called inside a runtime that lasts as long as this.
    pub fn resume(&self) {
        self.lock().retain_mut(|entry| {
            let channel = entry.socket.try_clone().and_then(|socket| connected(UnixStream::from(socket)));
            match channel {
                Ok(channel) => {
                    let talk = Talk::start(channel, entry.number, Arc::downgrade(&self.all));
                    entry.talk = Some(talk);
                    true
                }
                Err(error) => {
                    tracing::error!(%error, "cancel requests no longer reach an earlier process");
                    false
                }
            }
        });
    }

    /// None of them need keep its sockets: this process ends because it is told to.
    pub fn close_sockets(&self) {
        self.lock().iter().for_each(|entry| say(&entry.socket, CLOSE));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        lock(&self.all)
    }
}

impl Talk {
    fn start(channel: Channel, number: u64, all: Weak<Mutex<Vec<Entry>>>) -> Self {
        let (requests, waiting) = mpsc::channel(WAITING);
        let mut talking = JoinSet::new();
        talking.spawn(async move {
            // Where it fails, the process is gone, and its clients with it.
            let _ = ask(channel, waiting).await;
            if let Some(all) = all.upgrade() {
                lock(&all).retain(|entry| entry.number != number);
            }
        });
        Self { requests, _talking: talking }
    }
}

fn lock(all: &Mutex<Vec<Entry>>) -> MutexGuard<'_, Vec<Entry>> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

fn say(socket: &OwnedFd, line: &str) {
    let _ = send(socket, line.as_bytes(), SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
}

/// Talks to an earlier process until it has ended.
async fn ask(channel: Channel, mut waiting: mpsc::Receiver<Request>) -> io::Result<()> {
    let (read, mut write) = tokio::io::split(channel);
    let mut lines = BufReader::new(read).lines();
    let mut open: HashMap<u64, oneshot::Sender<()>> = HashMap::new();
    // Answers to what another process has asked on the same channel may still come.
    let mut last = u64::from(std::process::id()) << 32;
    loop {
        tokio::select! {
            line = next(&mut lines) => {
                let Some(line) = line? else { return Ok(()) };
                let number = line.strip_prefix("done ").and_then(|number| number.trim().parse().ok());
                if let Some(done) = number.and_then(|number: u64| open.remove(&number)) {
                    let _ = done.send(());
                }
            }
            request = waiting.recv() => {
                let Some((pid, key, done)) = request else { return Ok(()) };
                last += 1;
                open.retain(|_, done| !done.is_closed());
                open.insert(last, done);
                write.write_all(line(last, pid, &key).as_bytes()).await?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::cancels::parse;
    use super::super::channel::read_line;
    use super::*;

    const KEY: [u8; 4] = [1, 2, 3, 4];

    fn pair() -> (Predecessor, Channel) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Predecessor::new(connected(ours).unwrap()).unwrap(), connected(theirs).unwrap())
    }

    /// Reads one request and answers it.
    async fn answer(theirs: &mut Channel, pid: i32) {
        let asked = read_line(theirs).await.unwrap().unwrap();
        let (number, asked, key) = parse(&asked).unwrap();
        assert_eq!((asked, &key[..]), (pid, &KEY[..]));
        theirs.get_mut().write_all(format!("nonsense\ndone 1\ndone {number}\n").as_bytes()).await.unwrap();
    }

    #[tokio::test]
    async fn request_is_done_when_the_process_says_so_or_has_ended() {
        let (ours, mut theirs) = pair();
        let predecessors = Predecessors::default();
        predecessors.add(ours);
        tokio::join!(predecessors.cancel(42, &KEY), answer(&mut theirs, 42));
        let end = async {
            read_line(&mut theirs).await.unwrap();
            drop(theirs);
        };
        tokio::join!(predecessors.cancel(43, &KEY), end);
        while !predecessors.channels().is_empty() {
            tokio::task::yield_now().await;
        }
        predecessors.cancel(44, &KEY).await;
    }

    #[tokio::test]
    async fn process_that_has_ended_is_forgotten_though_nobody_cancels() {
        let (ours, theirs) = pair();
        let predecessors = Predecessors::default();
        predecessors.add(ours);
        assert_eq!(predecessors.channels().len(), 1);
        drop(theirs);
        while !predecessors.channels().is_empty() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn process_that_takes_over_gets_all_answers_and_none_when_it_is_gone() {
        let (ours, mut theirs) = pair();
        let (older, newer) = (Predecessors::default(), Predecessors::default());
        older.add(ours);
        tokio::join!(older.cancel(1, &KEY), answer(&mut theirs, 1));
        let socket = older.channels()[0].try_clone().unwrap();
        newer.add(Predecessor::new(connected(socket.into()).unwrap()).unwrap());
        older.leave();
        // It asks nobody, and takes no answers.
        older.cancel(2, &KEY).await;
        for _ in 0..20 {
            tokio::join!(newer.cancel(3, &KEY), answer(&mut theirs, 3));
        }
        drop(newer);
        older.resume();
        tokio::join!(older.cancel(4, &KEY), answer(&mut theirs, 4));
        older.close_sockets();
        assert_eq!(read_line(&mut theirs).await.unwrap().as_deref(), Some(CLOSE));
    }

    #[tokio::test]
    async fn process_that_is_silent_is_not_waited_for() {
        let (ours, theirs) = pair();
        let predecessors = Predecessors::default();
        predecessors.add(ours);
        predecessors.cancel(1, &KEY).await;
        drop(theirs);
    }
}
