//! Bytes from one end to the other, in order, cut into pieces and delayed as the seed has it.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pgstrata::simulation::Stream;
use pgstrata_testkit::Random;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// How a pipe treats what goes through it.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// One piece in so many is delayed; 0: none.
    pub delays: usize,
    /// By so many milliseconds at most.
    pub longest: usize,
    /// One read or write in so many is cut short; 0: none.
    pub cuts: usize,
    /// So many bytes are on their way at most.
    pub room: usize,
}

/// One direction.
#[derive(Debug)]
struct Way {
    bytes: VecDeque<u8>,
    /// So many of them have arrived.
    arrived: usize,
    /// When the others will, in their order.
    flights: VecDeque<(Instant, usize)>,
    /// Nothing more comes.
    closed: bool,
    /// Nobody reads any more.
    broken: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    weather: Weather,
    random: Random,
}

/// One end.
#[derive(Debug)]
pub struct End {
    incoming: Arc<Mutex<Way>>,
    outgoing: Arc<Mutex<Way>>,
    arrival: Option<Pin<Box<Sleep>>>,
}

/// Two ends.
pub fn pipe(weather: Weather, random: &mut Random) -> (End, End) {
    let way = |seed| {
        Arc::new(Mutex::new(Way {
            bytes: VecDeque::new(),
            arrived: 0,
            flights: VecDeque::new(),
            closed: false,
            broken: false,
            reader: None,
            writer: None,
            weather,
            random: Random::new(seed as u64),
        }))
    };
    let (there, back) = (way(random.below(usize::MAX)), way(random.below(usize::MAX)));
    let near = End { incoming: Arc::clone(&back), outgoing: Arc::clone(&there), arrival: None };
    (near, End { incoming: there, outgoing: back, arrival: None })
}

impl Way {
    fn cut(&mut self, length: usize) -> usize {
        let cuts = self.weather.cuts;
        if cuts > 0 && length > 1 && self.random.below(cuts) == 0 {
            return 1 + self.random.below(length - 1);
        }
        length
    }

    /// Takes note of what has arrived by now; gives when the next piece will.
    fn arrive(&mut self, now: Instant) -> Option<Instant> {
        while let Some((at, length)) = self.flights.front().copied() {
            if at > now {
                return Some(at);
            }
            self.arrived += length;
            self.flights.pop_front();
        }
        None
    }

    fn send(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        let Weather { delays, longest, .. } = self.weather;
        let late = delays > 0 && self.random.below(delays) == 0;
        let last = self.flights.back().map(|(at, _)| *at);
        match (late, last) {
            (false, None) => self.arrived += bytes.len(),
            _ => {
                let wait = if late { 1 + self.random.below(longest) } else { 0 };
                let now = Instant::now();
                let at = (now + Duration::from_millis(wait as u64)).max(last.unwrap_or(now));
                self.flights.push_back((at, bytes.len()));
            }
        }
    }
}

impl End {
    /// What is on its way is lost with the connection.
    pub fn reset(&self) {
        let mut way = self.outgoing.lock().unwrap();
        let arrived = way.arrived;
        way.bytes.truncate(arrived);
        way.flights.clear();
    }
}

impl Stream for End {
    fn is_quiet(&self) -> bool {
        let mut way = self.incoming.lock().unwrap();
        let more = way.arrive(Instant::now()).is_some();
        way.arrived == 0 && (more || !way.closed)
    }
}

impl AsyncRead for End {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let incoming = Arc::clone(&self.incoming);
            let mut way = incoming.lock().unwrap();
            let next = way.arrive(Instant::now());
            if way.arrived > 0 {
                let length = way.arrived.min(out.remaining());
                let length = way.cut(length);
                way.arrived -= length;
                let bytes: Vec<u8> = way.bytes.drain(..length).collect();
                out.put_slice(&bytes);
                way.writer.take().inspect(Waker::wake_by_ref);
                return Poll::Ready(Ok(()));
            }
            way.reader = Some(cx.waker().clone());
            let Some(at) = next else {
                return if way.closed { Poll::Ready(Ok(())) } else { Poll::Pending };
            };
            drop(way);
            let arrival = self.arrival.get_or_insert_with(|| Box::pin(sleep_until(at)));
            if arrival.deadline() != at {
                arrival.as_mut().reset(at);
            }
            if arrival.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl AsyncWrite for End {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut way = self.outgoing.lock().unwrap();
        if way.broken || way.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = way.weather.room.saturating_sub(way.bytes.len()).min(bytes.len());
        if room == 0 && !bytes.is_empty() {
            way.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let length = way.cut(room);
        way.send(&bytes[..length]);
        way.reader.take().inspect(Waker::wake_by_ref);
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut way = self.outgoing.lock().unwrap();
        way.closed = true;
        way.reader.take().inspect(Waker::wake_by_ref);
        Poll::Ready(Ok(()))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let mut outgoing = self.outgoing.lock().unwrap();
        outgoing.closed = true;
        outgoing.reader.take().inspect(Waker::wake_by_ref);
        drop(outgoing);
        let mut incoming = self.incoming.lock().unwrap();
        incoming.broken = true;
        incoming.writer.take().inspect(Waker::wake_by_ref);
    }
}
