//! Where clients come in: the listening sockets, made here or by another process.

mod error;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

pub use self::error::BindError;
use crate::config::{Config, FileMode};
use crate::handover::inherited::Inherited;
use crate::handover::message::{Label, Purpose};
use crate::net::socket::{ClientSocket, Peer, Process};
use crate::pool::target::keep_alive;
use crate::unix_socket::{self, SocketFile};

/// Clients that the system takes in while we are busy.
pub(crate) const BACKLOG: i32 = 1024;

/// How long the last client of a listener may wait for its worker.
const LAST_CLIENT: Duration = Duration::from_secs(1);

/// Listens on that address. Clients' sockets have from this one that they send at once, and that the system asks those
/// for life that are silent for long: Linux and the BSDs hand it down, and nothing need be set for each client.
/// `reuse_port`: other processes may listen there, too, and the system parts clients among them.
fn bind(address: SocketAddr, reuse_port: bool) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if reuse_port {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// A listening socket for the runtime that this is called in, set up as [`bind`] says.
fn adopt(socket: OwnedFd) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::from(socket);
    listener.set_nonblocking(true)?;
    let socket = SockRef::from(&listener);
    socket.set_tcp_nodelay(true)?;
    keep_alive(&socket)?;
    TcpListener::from_std(listener)
}

/// Where a socket listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// An address.
    Tcp(SocketAddr),
    /// The file of a Unix socket.
    Unix(PathBuf),
}

impl Place {
    /// Of a socket that listens.
    pub fn of(socket: &OwnedFd) -> Option<Self> {
        let unix = || unix_socket::path_of(socket).map(Self::Unix);
        local_address(socket).map(Self::Tcp).or_else(unix)
    }

    fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp(address) => Some(address.port()),
            Self::Unix(_) => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// A listener for clients.
#[derive(Debug)]
pub enum ClientListener {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixListener),
}

impl ClientListener {
    fn adopt(socket: OwnedFd) -> io::Result<Self> {
        if unix_socket::path_of(&socket).is_none() {
            return adopt(socket).map(Self::Tcp);
        }
        let listener = std::os::unix::net::UnixListener::from(socket);
        listener.set_nonblocking(true)?;
        UnixListener::from_std(listener).map(Self::Unix)
    }

    /// The next client. May be given up at any time.
    ///
    /// # Errors
    /// What the system says; there are no descriptors left, most often.
    pub async fn accept(&self) -> io::Result<(ClientSocket, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                Ok((ClientSocket::Tcp(stream), Peer::Tcp(address)))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let who = stream.peer_cred()?;
                let process = Process { user: who.uid(), pid: who.pid() };
                Ok((ClientSocket::Unix(stream), Peer::Unix(process)))
            }
        }
    }
}

/// The sockets that this process listens on. Connections wait in them as long as nobody accepts.
#[derive(Debug, Default)]
pub struct Sockets {
    all: Vec<(Label, OwnedFd)>,
    /// The files of those that are Unix sockets, and not systemd's.
    files: Vec<SocketFile>,
}

/// A socket that the configuration wants.
struct Wanted {
    purpose: Purpose,
    place: Place,
    key: &'static str,
    reuse_port: bool,
    mode: FileMode,
}

impl Wanted {
    /// All of them.
    fn all(config: &Config) -> Vec<Self> {
        let listen = &config.listen;
        let wanted = |purpose, place, key, reuse_port| Self {
            purpose,
            place,
            key,
            reuse_port,
            mode: listen.unix_socket_mode,
        };
        let clients = |place, key| wanted(Purpose::Clients, place, key, listen.reuse_port);
        let tcp = listen.addresses().map(|address| clients(Place::Tcp(address), "[listen]"));
        let unix = listen.unix_socket().map(|path| clients(Place::Unix(path), "listen.unix_socket_dir"));
        let address = Place::Tcp(config.http.address);
        let http = config.http.enabled.then(|| wanted(Purpose::Http, address, "http.address", false));
        tcp.chain(unix).chain(http).collect()
    }

    fn bind(&self) -> io::Result<OwnedFd> {
        match &self.place {
            Place::Tcp(address) => bind(*address, self.reuse_port),
            Place::Unix(path) => unix_socket::bind(path, self.mode),
        }
    }

    /// Why there is no such socket: mostly another process has the port.
    fn failed(&self, source: io::Error, inherited: &Inherited) -> BindError {
        let (place, key) = (self.place.clone(), self.key);
        let is_taken = source.kind() == io::ErrorKind::AddrInUse;
        match place.port().filter(|_| is_taken).and_then(|port| inherited.on_port(port)) {
            Some((purpose, held)) => BindError::Held { place, key, purpose, held },
            None => BindError::Listen { place, key, source },
        }
    }
}

impl Sockets {
    /// Those that are inherited and wanted, else those of the configuration.
    pub fn of(config: &Config, inherited: &mut Inherited) -> Result<Self, BindError> {
        let mut sockets = Self::default();
        for purpose in [Purpose::Clients, Purpose::Http] {
            if purpose == Purpose::Clients || config.http.enabled {
                let activated = inherited.activated(purpose).into_iter();
                sockets.all.extend(activated.map(|socket| (Label { purpose, activated: true }, socket)));
            }
        }
        for wanted in Wanted::all(config) {
            if sockets.is_activated(wanted.purpose) {
                continue;
            }
            let socket = match inherited.listening(wanted.purpose, &wanted.place) {
                Some(socket) => socket,
                None => wanted.bind().map_err(|source| wanted.failed(source, inherited))?,
            };
            sockets.push(wanted.purpose, socket);
        }
        Ok(sockets)
    }

    fn push(&mut self, purpose: Purpose, socket: OwnedFd) {
        self.files.extend(unix_socket::path_of(&socket).and_then(SocketFile::of));
        self.all.push((Label { purpose, activated: false }, socket));
    }

    fn is_activated(&self, purpose: Purpose) -> bool {
        self.all.iter().any(|(label, _)| *label == Label { purpose, activated: true })
    }

    /// Closes those that the process after this one does not use. systemd keeps its own open.
    pub fn keep(&mut self, used: &[usize]) {
        let mut place = 0..;
        let mut is_kept =
            |label: &Label| place.next().is_some_and(|place| used.contains(&place)) || label.activated;
        let unused: Vec<_> = self.all.extract_if(.., |(label, _)| !is_kept(label)).collect();
        for path in unused.iter().filter_map(|(_, socket)| unix_socket::path_of(socket)) {
            self.files.extract_if(.., |file| file.path() == path).for_each(SocketFile::remove);
        }
    }

    /// Closes all, which another process has as well.
    pub fn close(&mut self) {
        self.all.clear();
        self.files.clear();
    }

    /// Closes all, and removes the files of Unix sockets: no other process has them.
    pub fn end(self) {
        self.files.into_iter().for_each(SocketFile::remove);
    }

    /// Makes those again that [`Sockets::keep`] has closed. The errors: the sockets that could not be made.
    pub fn restore(&mut self, config: &Config) -> Vec<BindError> {
        let mut failed = Vec::new();
        for wanted in Wanted::all(config) {
            let Wanted { purpose, ref place, key, .. } = wanted;
            let is_there = |(label, socket): &(Label, OwnedFd)| {
                label.purpose == purpose && (label.activated || Place::of(socket).as_ref() == Some(place))
            };
            if self.all.iter().any(is_there) {
                continue;
            }
            match wanted.bind() {
                Ok(socket) => self.push(purpose, socket),
                Err(source) => failed.push(BindError::Listen { place: wanted.place, key, source }),
            }
        }
        failed
    }

    /// Where clients connect.
    pub fn places(&self) -> Vec<Place> {
        let clients = self.all.iter().filter(|(label, _)| label.purpose == Purpose::Clients);
        clients.filter_map(|(_, socket)| Place::of(socket)).collect()
    }

    /// All of them, with what they are for.
    pub fn all(&self) -> &[(Label, OwnedFd)] {
        &self.all
    }

    /// Those for clients, ready to accept. Must be called inside a runtime.
    pub fn for_clients(&self) -> io::Result<Vec<ClientListener>> {
        self.of_purpose(Purpose::Clients).map(|socket| ClientListener::adopt(socket.try_clone()?)).collect()
    }

    /// The first of those for HTTP, ready to accept. Must be called inside a runtime.
    pub fn for_http(&self) -> io::Result<Option<TcpListener>> {
        let first = self.of_purpose(Purpose::Http).next();
        first.map(|socket| adopt(socket.try_clone()?)).transpose()
    }

    fn of_purpose(&self, purpose: Purpose) -> impl Iterator<Item = &OwnedFd> {
        self.all.iter().filter(move |(label, _)| label.purpose == purpose).map(|(_, socket)| socket)
    }
}

/// Where a socket listens.
pub fn local_address(socket: impl AsFd) -> Option<SocketAddr> {
    SockRef::from(&socket).local_addr().ok()?.as_socket()
}

/// Listeners at work.
#[derive(Debug)]
pub struct Accepting {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Accepting {
    /// Has each of the listeners served by a task that ends when it is told to.
    pub fn start<F>(
        listeners: Vec<ClientListener>,
        serve: impl Fn(ClientListener, watch::Receiver<bool>) -> F,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        for listener in listeners {
            tasks.spawn(serve(listener, stopped.clone()));
        }
        Self { stop, tasks }
    }

    /// Done when they accept nobody any more, and all that they have accepted are with their workers. One that can't get
    /// rid of its last client is not waited for: it accepts no other, and ends with that one.
    pub async fn close(self) {
        let Self { stop, mut tasks } = self;
        let _ = stop.send(true);
        let closed = async { while tasks.join_next().await.is_some() {} };
        if timeout(LAST_CLIENT, closed).await.is_err() {
            tasks.detach_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;
    use std::path::Path;

    use super::*;

    #[tokio::test]
    async fn clients_sockets_are_set_up_as_the_listeners() {
        let listener = adopt(bind(([127, 0, 0, 1], 0).into(), false).unwrap()).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().unwrap() && socket.keepalive().unwrap());
        assert!(socket.tcp_keepalive_time().unwrap() < Duration::from_secs(7200), "the system's own");
    }

    #[tokio::test]
    async fn port_is_shared_only_where_both_want_it() {
        let address =
            |socket: &OwnedFd| std::net::TcpListener::from(socket.try_clone().unwrap()).local_addr().unwrap();
        let shared = bind(([127, 0, 0, 1], 0).into(), true).unwrap();
        assert!(bind(address(&shared), true).is_ok() && bind(address(&shared), false).is_err());
        let own = bind(([127, 0, 0, 1], 0).into(), false).unwrap();
        assert!(bind(address(&own), true).is_err());
    }

    fn config(lines: &str) -> Config {
        let text = format!(
            "{lines}\n[databases.app]\nhost = 'db'\nuser = 'app'\npassword = 'secret'\n\
             [[users]]\nname = 'app'\npassword = 'secret'\ntenants = ['*']\n"
        );
        Config::parse(&text, Path::new("pgstrata.toml")).unwrap()
    }

    #[test]
    fn sockets_that_the_next_process_does_not_use_are_made_again() {
        let free = |_| std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let [one, two, http] = [0, 1, 2].map(free);
        let lines = format!(
            "[listen]\naddress = '{one}'\nmore_addresses = ['{two}']\n[http]\nenabled = true\naddress = '{http}'"
        );
        let config = config(&lines);
        let mut sockets = Sockets::of(&config, &mut Inherited::default()).unwrap();
        let [first, second] = [one, two].map(Place::Tcp);
        assert_eq!(sockets.places(), [first.clone(), second.clone()]);
        sockets.keep(&[1]);
        assert_eq!(sockets.places(), std::slice::from_ref(&second));
        let taken = std::net::TcpListener::bind(one).expect("it is closed");
        let failed = sockets.restore(&config);
        assert!(matches!(&failed[..], [BindError::Listen { place, .. }] if *place == first), "{failed:?}");
        drop(taken);
        assert!(sockets.restore(&config).is_empty());
        assert_eq!((sockets.places(), sockets.all().len()), (vec![second, first], 3));
    }

    #[tokio::test]
    async fn listener_that_keeps_its_client_is_not_waited_for() {
        let listener = adopt(bind(([127, 0, 0, 1], 0).into(), false).unwrap()).unwrap();
        let accepting = Accepting::start(vec![ClientListener::Tcp(listener)], |_listener, _stopped| {
            std::future::pending()
        });
        accepting.close().await;
    }
}
