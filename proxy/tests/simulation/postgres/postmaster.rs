//! Connections to the model, each with a backend of its own; cancel requests; deaths.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::backend::Backend;
use super::session::{NO_ROLE, Session, Values};
use crate::frames::{Fields, Frame, error, take, take_first, texts};
use crate::pipe::End;
use crate::universe::{Universe, relations};

const CANCEL: i32 = 80_877_102;

/// A backend, and how it is reached.
pub struct Post {
    pub key: i32,
    pub backend: Mutex<Backend>,
    /// Wakes the statement that runs, if one does.
    pub cancel: Notify,
}

/// How a connection ends before its time.
enum Death {
    /// With a word to the client.
    Reported,
    /// With none.
    Silent,
    /// What was on its way is lost, too.
    Reset,
}

/// Serves one connection to its end.
pub async fn serve(universe: Arc<Universe>, mut stream: End) {
    let mut bytes = Vec::new();
    let packet = loop {
        if let Some(packet) = take_first(&mut bytes) {
            break packet;
        }
        if read(&mut stream, &mut bytes).await.is_none() {
            return;
        }
    };
    let mut fields = Fields(&packet);
    if fields.long() == CANCEL {
        let (pid, key) = (fields.long(), fields.long());
        // A process is forked for it.
        sleep(Duration::from_millis(universe.below(20) as u64)).await;
        return universe.cancel(pid, key);
    }
    let mut defaults = defaults();
    while fields.0.len() > 1 {
        let (name, value) = (fields.text().to_owned(), fields.text().to_owned());
        defaults.insert(name, value);
    }
    let (pid, post) = universe.new_backend(Backend::new(Session::new(defaults, relations()), false));
    let mut connection = Connection { universe: Arc::clone(&universe), pid, post, stream, bytes };
    if connection.greet().await.is_some() {
        connection.work().await;
    }
    universe.gone(pid);
}

/// What a session has where nobody sets anything.
pub fn defaults() -> Values {
    let all = [
        ("application_name", ""),
        ("app.mark", ""),
        ("work_mem", "4MB"),
        ("lock_timeout", "0"),
        ("role", NO_ROLE),
        ("search_path", "\"public\""),
    ];
    all.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

async fn read(stream: &mut End, bytes: &mut Vec<u8>) -> Option<()> {
    match stream.read_buf(bytes).await {
        Ok(1..) => Some(()),
        _ => None,
    }
}

struct Connection {
    universe: Arc<Universe>,
    pid: i32,
    post: Arc<Post>,
    stream: End,
    bytes: Vec<u8>,
}

impl Connection {
    async fn greet(&mut self) -> Option<()> {
        let mut out = Vec::new();
        Frame::new(b'R', 0i32.to_be_bytes()).put(&mut out);
        let reported = [
            ("server_version", "15.18"),
            ("client_encoding", "UTF8"),
            ("standard_conforming_strings", "on"),
            ("DateStyle", "ISO, MDY"),
            ("TimeZone", "UTC"),
            ("application_name", ""),
        ];
        for (name, value) in reported {
            Frame::new(b'S', texts(&[name, value])).put(&mut out);
        }
        let key = [self.pid.to_be_bytes(), self.post.key.to_be_bytes()].concat();
        Frame::new(b'K', key).put(&mut out);
        Frame::new(b'Z', [b'I']).put(&mut out);
        self.stream.write_all(&out).await.ok()
    }

    /// Message after message; ends with the connection.
    async fn work(&mut self) -> Option<()> {
        loop {
            let frame = loop {
                if let Some(frame) = take(&mut self.bytes) {
                    break frame;
                }
                read(&mut self.stream, &mut self.bytes).await?;
            };
            if frame.tag == b'X' {
                return None;
            }
            self.universe.say(|| format!("  server {} <- {}", self.pid, crate::trace::show(&frame, true)));
            self.dies().await?;
            self.backend(|backend| backend.message(frame));
            while !self.backend(|backend| backend.is_idle()) {
                let cancelled = self.take_time().await?;
                self.dies().await?;
                self.backend(|backend| {
                    backend.advance(cancelled);
                    let ran = std::mem::take(&mut backend.ran);
                    ran.into_iter().for_each(|ran| self.universe.ran(self.pid, ran, &backend.session));
                });
                self.send(false).await?;
            }
            self.send(false).await?;
            if self.backend(|backend| backend.broken) {
                return None;
            }
        }
    }

    fn backend<T>(&self, with: impl FnOnce(&mut Backend) -> T) -> T {
        with(&mut self.post.backend.lock().unwrap())
    }

    /// A statement takes its time; `true`: it was cancelled.
    async fn take_time(&mut self) -> Option<bool> {
        let Some(sleeps) = self.backend(|backend| backend.runs_next()) else { return Some(false) };
        let time = self.universe.time_of_statement(sleeps);
        if time == 0 {
            return Some(false);
        }
        let cancelled = timeout(Duration::from_millis(time), self.post.cancel.notified()).await.is_ok();
        if cancelled {
            self.universe.say(|| format!("  server {} is cancelled", self.pid));
        }
        Some(cancelled)
    }

    /// Sends what is due; now and then, or if that is `all`, what could wait as well.
    async fn send(&mut self, all: bool) -> Option<()> {
        if self.backend(|backend| backend.out.is_empty()) {
            return Some(());
        }
        let early = all || self.universe.chance_of(8);
        let frames: Vec<Frame> = self.backend(|backend| {
            let due = if early { backend.out.len() } else { backend.due };
            backend.due = 0;
            backend.out.drain(..due).collect()
        });
        if frames.is_empty() {
            return Some(());
        }
        let mut out = Vec::new();
        frames.iter().for_each(|frame| frame.put(&mut out));
        self.universe.say(|| format!("  server {} -> {}", self.pid, crate::trace::show_all(&frames)));
        self.stream.write_all(&out).await.ok()
    }

    /// Its time may have come: `None`.
    async fn dies(&mut self) -> Option<()> {
        let death = match self.universe.death() {
            0 => return Some(()),
            1 => Death::Reported,
            2 => Death::Silent,
            _ => Death::Reset,
        };
        self.universe.say(|| format!("  server {} dies", self.pid));
        self.universe.gone(self.pid);
        self.send(true).await?;
        match death {
            Death::Reported => {
                let mut out = Vec::new();
                error("FATAL", "57P01", "terminating connection due to administrator command").put(&mut out);
                self.stream.write_all(&out).await.ok()?;
            }
            Death::Silent => {}
            Death::Reset => self.stream.reset(),
        }
        None
    }
}
