//! A bare relay: bytes from one side to the other, and nothing else. What it costs is what any proxy on this
//! runtime costs before it does its own work.
//!
//! `relay PORT SERVER`, where `SERVER` is a port on 127.0.0.1 or the path of a Unix socket.

use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

/// What one read takes at most.
const BUFFER: usize = 16 * 1024;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: relay PORT SERVER";
    let port: u16 = arguments.next().ok_or(usage)?.parse()?;
    let server: Arc<str> = arguments.next().ok_or(usage)?.into();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    loop {
        let (client, _) = listener.accept().await?;
        let server = server.clone();
        // A side that goes away takes the other one with it; there is nobody to tell.
        tokio::spawn(async move { relay(client, &server).await.ok() });
    }
}

async fn relay(mut client: TcpStream, server: &str) -> Outcome<()> {
    client.set_nodelay(true)?;
    let (client_in, client_out) = client.split();
    if let Ok(port) = server.parse::<u16>() {
        let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        server.set_nodelay(true)?;
        let (server_in, server_out) = server.split();
        both(client_in, client_out, server_in, server_out).await
    } else {
        let mut server = UnixStream::connect(server).await?;
        let (server_in, server_out) = server.split();
        both(client_in, client_out, server_in, server_out).await
    }
}

async fn both(
    client_in: impl AsyncRead + Unpin,
    client_out: impl AsyncWrite + Unpin,
    server_in: impl AsyncRead + Unpin,
    server_out: impl AsyncWrite + Unpin,
) -> Outcome<()> {
    tokio::select! {
        ended = pass(client_in, server_out) => ended,
        ended = pass(server_in, client_out) => ended,
    }
}

async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) -> Outcome<()> {
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = from.read(&mut buffer).await?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { return Ok(()) };
        to.write_all(bytes).await?;
    }
}
