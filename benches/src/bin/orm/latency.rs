//! A network that takes its time: what PostgreSQL answers arrives so much later, however much of it there is.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// Answers that may be on their way at once.
const ON_THE_WAY: usize = 1024;

/// A relay to PostgreSQL. It ends with this value.
pub struct Distance {
    port: u16,
    accept: JoinHandle<()>,
}

impl Distance {
    /// With a port of its own.
    pub async fn start(server: u16, delay: Duration) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let accept = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, server, delay));
            }
        });
        Ok(Self { port, accept })
    }

    /// Where to connect.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Distance {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

async fn relay(client: TcpStream, server: u16, delay: Duration) -> std::io::Result<()> {
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, server)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut client_in, mut client_out) = client.into_split();
    let (mut server_in, mut server_out) = server.into_split();
    let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(ON_THE_WAY);
    tokio::spawn(async move {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(count @ 1..) = server_in.read(&mut buffer).await {
            let bytes = buffer[..count].to_vec();
            if sender.send((Instant::now() + delay, bytes)).await.is_err() {
                return;
            }
        }
    });
    tokio::spawn(async move {
        while let Some((at, bytes)) = receiver.recv().await {
            // The clock ticks in milliseconds: without a delay there is nothing to wait for.
            if !delay.is_zero() {
                sleep_until(at).await;
            }
            if client_out.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    tokio::io::copy(&mut client_in, &mut server_out).await.map(drop)
}
