//! Log lines on their way to a writer that may be slow, full or gone.
//!
//! A thread of its own writes them. Who logs never waits: a line that finds the queue full is dropped, and so is one
//! that the writer does not take. Dropped lines are counted, and the log says how many as soon as a line goes through.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// What may wait, in bytes.
pub const ROOM: usize = 1 << 20;

/// What a line weighs in the queue beside its text.
const OVERHEAD: usize = 64;

/// How long the last lines of a process may take.
const LAST: Duration = Duration::from_secs(1);

/// How long to wait before a writer is asked again that said it would block.
const PAUSE: Duration = Duration::from_millis(10);

/// The way in. Each clone leads to the same writer.
#[derive(Clone)]
pub struct Queue {
    entries: Sender<Entry>,
    /// The bytes that wait.
    waiting: Arc<AtomicUsize>,
    dropped: &'static AtomicU64,
}

enum Entry {
    Line(Box<[u8]>),
    /// Drop the sender when all before is written.
    Flush(#[expect(dead_code, reason = "its end is the message")] SyncSender<()>),
}

impl Queue {
    /// Starts the thread that writes to `to`. Dropped lines are added to `dropped`.
    ///
    /// The error: the system gives us no thread.
    pub fn start(to: impl Write + Send + 'static, dropped: &'static AtomicU64) -> io::Result<Self> {
        let (entries, arrivals) = channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let outlet =
            Outlet { to, waiting: Arc::clone(&waiting), dropped, told: dropped.load(Ordering::Relaxed) };
        thread::Builder::new().name("pgstrata-log".into()).spawn(move || outlet.run(&arrivals))?;
        Ok(Self { entries, waiting, dropped })
    }

    /// Puts a line in, or drops it where there is no room.
    fn push(&self, line: &[u8]) {
        let weight = line.len() + OVERHEAD;
        let full = self.waiting.fetch_add(weight, Ordering::Relaxed) + weight > ROOM;
        if full || self.entries.send(Entry::Line(line.into())).is_err() {
            self.waiting.fetch_sub(weight, Ordering::Relaxed);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until all lines of before are written, for a second at most.
    pub fn flush(&self) {
        let (done, written) = sync_channel::<()>(0);
        if self.entries.send(Entry::Flush(done)).is_ok() {
            let _ = written.recv_timeout(LAST);
        }
    }
}

/// The subscriber's writer: takes one event at a time.
impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The way out.
struct Outlet<W> {
    to: W,
    waiting: Arc<AtomicUsize>,
    dropped: &'static AtomicU64,
    /// The dropped lines that the log has told of.
    told: u64,
}

impl<W: Write> Outlet<W> {
    fn run(mut self, arrivals: &Receiver<Entry>) {
        while let Ok(entry) = arrivals.recv() {
            let Entry::Line(line) = entry else { continue };
            let written = write_all(&mut self.to, &line);
            self.waiting.fetch_sub(line.len() + OVERHEAD, Ordering::Relaxed);
            match written {
                Ok(()) => self.tell(),
                Err(_) => drop(self.dropped.fetch_add(1, Ordering::Relaxed)),
            }
        }
    }

    /// Says how many lines were dropped since it was last said: a line has gone through.
    fn tell(&mut self) {
        let dropped = self.dropped.load(Ordering::Relaxed);
        let lines = dropped - self.told;
        if lines > 0 {
            self.told = dropped;
            tracing::warn!(
                lines,
                total = dropped,
                "log lines were dropped: stderr failed, or its reader was too slow"
            );
        }
    }
}

/// As [`Write::write_all`], and patient with a writer that does not block: only this thread waits for it.
fn write_all(to: &mut impl Write, mut line: &[u8]) -> io::Result<()> {
    while !line.is_empty() {
        match to.write(line) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => line = line.get(count..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(PAUSE),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
