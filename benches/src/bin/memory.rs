//! What the proxy's memory grows to where a peer takes nothing, or says half of something.
//!
//! `cargo run --release --bin memory -- [--pgstrata PATH]`

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pgstrata::demo::postgres::{Cluster, Options as ClusterOptions};
use pgstrata::demo::seed::seed;
use pgstrata_benches::program::Proxy;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Bytes of a `COPY`, and of a `Bind`, to a server that reads none.
const COPY: usize = 600 << 20;
const BIND: usize = 900 << 20;
/// Clients with a `Query` of this length each, whose last byte does not come.
const HALVES: usize = 20;
const HALF: usize = 63 << 20;
/// Nothing has moved for so long: nothing will.
const STILL: Duration = Duration::from_secs(2);

/// What is to be measured.
#[derive(Debug, Parser)]
struct Options {
    /// The program; else the one beside this.
    #[arg(long)]
    pgstrata: Option<PathBuf>,
}

fn main() -> Outcome<()> {
    let program = Proxy::program(Options::parse().pgstrata)?;
    let cluster = Cluster::start(ClusterOptions::default())?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(seed(&cluster))?;
    let lines = "[[hba]]\nmethod = 'trust'";
    let start = || Proxy::start(&program, &cluster, lines, "true");
    println!("resident memory in MiB, before and at most:");
    let proxy = start()?;
    let taken = copy(&proxy)?;
    report(&proxy, &format!("COPY of {} MiB to a stopped server, which takes {taken}", COPY >> 20))?;
    let proxy = start()?;
    let taken = bind(&proxy)?;
    report(&proxy, &format!("Bind of {} MiB to a stopped server, which takes {taken}", BIND >> 20))?;
    let proxy = start()?;
    let taken = halves(&proxy);
    report(&proxy, &format!("{HALVES} clients with {} MiB of a Query each, {taken} taken", HALF >> 20))
}

fn report(proxy: &Proxy, what: &str) -> Outcome<()> {
    println!("  {:5} {:5}   {what}", proxy.memory_at_start() >> 10, proxy.memory_peak()? >> 10);
    Ok(())
}

/// A message of the frontend's.
fn message(tag: u8, body: &[u8]) -> Outcome<Vec<u8>> {
    let mut out = vec![tag];
    out.extend_from_slice(&u32::try_from(body.len() + 4)?.to_be_bytes());
    out.extend_from_slice(body);
    Ok(out)
}

fn login(port: u16) -> Outcome<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    let mut body = 196_608_u32.to_be_bytes().to_vec();
    body.extend_from_slice(b"user\0app\0database\0app\0options\0-ctenant=globex\0\0");
    stream.write_all(&u32::try_from(body.len() + 4)?.to_be_bytes())?;
    stream.write_all(&body)?;
    until(&mut stream, b'Z')?;
    Ok(stream)
}

/// Reads up to a message of this type; returns its body.
fn until(stream: &mut TcpStream, wanted: u8) -> Outcome<Vec<u8>> {
    loop {
        let mut head = [0; 5];
        stream.read_exact(&mut head)?;
        let [tag, length @ ..] = head;
        let mut body = vec![0; usize::try_from(u32::from_be_bytes(length))? - 4];
        stream.read_exact(&mut body)?;
        match tag {
            b'E' => return Err(String::from_utf8_lossy(&body).into_owned().into()),
            tag if tag == wanted => return Ok(body),
            _ => {}
        }
    }
}

/// A client in a transaction, and its server, which is stopped.
fn stopped(proxy: &Proxy, begin: &str) -> Outcome<(TcpStream, Pid)> {
    let mut stream = login(proxy.port)?;
    stream.write_all(&message(b'Q', b"BEGIN; SELECT pg_backend_pid()\0")?)?;
    let row = until(&mut stream, b'D')?;
    let pid: i32 = std::str::from_utf8(row.get(6..).unwrap_or_default())?.parse()?;
    until(&mut stream, b'Z')?;
    if !begin.is_empty() {
        stream.write_all(&message(b'Q', format!("{begin}\0").as_bytes())?)?;
        until(&mut stream, b'G')?;
    }
    let pid = Pid::from_raw(pid);
    kill(pid, Signal::SIGSTOP)?;
    Ok((stream, pid))
}

/// Writes until nothing is taken any more. Returns how many MiB were.
fn push(stream: &mut TcpStream, parts: impl Iterator<Item = Vec<u8>>) -> Outcome<usize> {
    stream.set_write_timeout(Some(STILL))?;
    let taken = AtomicUsize::new(0);
    'all: for part in parts {
        let mut rest = &part[..];
        while !rest.is_empty() {
            match stream.write(rest) {
                Ok(0) | Err(_) => break 'all,
                Ok(written) => {
                    taken.fetch_add(written, Ordering::Relaxed);
                    rest = rest.get(written..).unwrap_or_default();
                }
            }
        }
    }
    Ok(taken.into_inner() >> 20)
}

fn copy(proxy: &Proxy) -> Outcome<usize> {
    let (mut stream, pid) = stopped(proxy, "CREATE TABLE copied (a text); COPY copied FROM STDIN")?;
    let mut row = vec![b'x'; 65_535];
    row.push(b'\n');
    let data = message(b'd', &row)?;
    let taken = push(&mut stream, (0..COPY / row.len()).map(|_| data.clone()));
    kill(pid, Signal::SIGCONT)?;
    taken
}

fn bind(proxy: &Proxy) -> Outcome<usize> {
    let (mut stream, pid) = stopped(proxy, "")?;
    stream.write_all(&message(b'P', b"\0select length($1::text)\0\0\0")?)?;
    // One value in text form; its bytes come behind the head.
    let mut head = b"\0\0\0\0\0\x01".to_vec();
    head.extend_from_slice(&u32::try_from(BIND)?.to_be_bytes());
    let mut bind = vec![b'B'];
    bind.extend_from_slice(&u32::try_from(head.len() + BIND + 2 + 4)?.to_be_bytes());
    bind.extend_from_slice(&head);
    stream.write_all(&bind)?;
    let taken = push(&mut stream, (0..BIND >> 16).map(|_| vec![b'x'; 1 << 16]));
    kill(pid, Signal::SIGCONT)?;
    taken
}

/// How many MiB are taken of messages that never end.
fn halves(proxy: &Proxy) -> String {
    let begun = Instant::now();
    let clients: Vec<_> = (0..HALVES)
        .map(|_| {
            let port = proxy.port;
            thread::spawn(move || {
                let Ok(mut stream) = login(port) else { return 0 };
                let mut head = vec![b'Q'];
                head.extend_from_slice(&u32::try_from(HALF + 5).unwrap_or(u32::MAX).to_be_bytes());
                let parts = (0..HALF >> 16).map(|_| vec![b' '; 1 << 16]);
                let taken = push(&mut stream, std::iter::once(head).chain(parts)).unwrap_or(0);
                // Until all have said what they say.
                thread::sleep((STILL * 3).saturating_sub(begun.elapsed()));
                taken
            })
        })
        .collect();
    let taken: usize = clients.into_iter().filter_map(|client| client.join().ok()).sum();
    format!("{taken} MiB")
}
