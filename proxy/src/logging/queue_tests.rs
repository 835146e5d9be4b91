//! Writers that fail, block, and come back.

use std::sync::{Mutex, PoisonError};

use super::*;

/// A count of its own for each test: the process's is shared by all.
fn count() -> &'static AtomicU64 {
    Box::leak(Box::default())
}

/// What was written, while `broken` is not set; each write waits for `gate`.
#[derive(Clone, Default)]
struct Sink {
    text: Arc<Mutex<Vec<u8>>>,
    broken: Arc<Mutex<bool>>,
    gate: Arc<Mutex<()>>,
}

impl Sink {
    fn text(&self) -> String {
        String::from_utf8(self.text.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _open = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        match *self.broken.lock().unwrap() {
            true => Err(io::ErrorKind::BrokenPipe.into()),
            false => self.text.lock().unwrap().write(line),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn lines_come_out_in_their_order() {
    let (sink, dropped) = (Sink::default(), count());
    let queue = Queue::start(sink.clone(), dropped).unwrap();
    for line in ["one\n", "two\n", "three\n"] {
        queue.push(line.as_bytes());
    }
    queue.flush();
    assert_eq!((sink.text().as_str(), dropped.load(Ordering::Relaxed)), ("one\ntwo\nthree\n", 0));
}

#[test]
fn line_that_the_writer_does_not_take_is_counted() {
    let (sink, dropped) = (Sink::default(), count());
    let queue = Queue::start(sink.clone(), dropped).unwrap();
    *sink.broken.lock().unwrap() = true;
    queue.push(b"lost\n");
    queue.flush();
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
    *sink.broken.lock().unwrap() = false;
    queue.push(b"written\n");
    queue.flush();
    assert_eq!((sink.text().as_str(), dropped.load(Ordering::Relaxed)), ("written\n", 1));
}

#[test]
fn queue_has_a_bound_and_nobody_waits_for_it() {
    let (sink, dropped) = (Sink::default(), count());
    let queue = Queue::start(sink.clone(), dropped).unwrap();
    let gate = sink.gate.lock().unwrap();
    let line = [b'x'; 1000];
    let pushed = 3 * ROOM / line.len();
    // The writer is stuck: these calls would not return if they waited for it.
    for _ in 0..pushed {
        queue.push(&line);
    }
    let lost = usize::try_from(dropped.load(Ordering::Relaxed)).unwrap();
    assert!(lost >= pushed - ROOM / line.len(), "{lost} of {pushed}");
    assert!(queue.waiting.load(Ordering::Relaxed) <= ROOM);
    drop(gate);
    queue.flush();
    assert_eq!(sink.text().len() / line.len(), pushed - lost, "the rest is written");
    assert_eq!(queue.waiting.load(Ordering::Relaxed), 0);
}

#[test]
fn log_says_once_how_many_lines_it_lacks() {
    let (sink, dropped) = (Sink::default(), count());
    let queue = Queue::start(sink.clone(), dropped).unwrap();
    let written = WrittenLines::default();
    let subscriber = tracing_subscriber::fmt().with_writer(written.clone()).with_ansi(false).finish();
    // The thread that writes has no subscriber of its own in this test: it is asked in its place.
    let mut outlet = Outlet { to: sink, waiting: Arc::default(), dropped, told: 0 };
    drop(queue);
    tracing::subscriber::with_default(subscriber, || {
        outlet.tell();
        dropped.fetch_add(7, Ordering::Relaxed);
        outlet.tell();
        outlet.tell();
    });
    let said = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("lines=7"), "{said}");
}

/// What a subscriber has written.
#[derive(Clone, Default)]
struct WrittenLines(Arc<Mutex<Vec<u8>>>);

impl Write for WrittenLines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for WrittenLines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[test]
fn writer_that_would_block_is_asked_again() {
    struct Slow(Vec<u8>, bool);
    impl Write for Slow {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.1 = !self.1;
            match self.1 {
                true => Err(io::ErrorKind::WouldBlock.into()),
                // One byte at a time, too.
                false => self.0.write(line.get(..1).unwrap_or_default()),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut slow = Slow(Vec::new(), false);
    write_all(&mut slow, b"a line\n").unwrap();
    assert_eq!(slow.0, b"a line\n");
}

#[test]
fn nobody_waits_for_ever_for_the_last_lines() {
    let (sink, dropped) = (Sink::default(), count());
    let gate = Arc::clone(&sink.gate);
    let (stuck, freed): (SyncSender<()>, _) = sync_channel(0);
    let holder = thread::spawn(move || {
        let _closed = gate.lock().unwrap();
        let _ = freed.recv();
    });
    let queue = Queue::start(sink, dropped).unwrap();
    queue.push(b"never\n");
    queue.flush();
    drop(stuck);
    holder.join().unwrap();
}
