//! A client beside others: how long each of its short statements takes.

use std::error::Error;
use std::fmt;
use std::time::{Duration, Instant};

use tokio_postgres::{Client, NoTls};

/// How long statements took.
pub struct Latency {
    /// The median, and the 99th percentile; none if no statement went well.
    percentiles: Option<[Duration; 2]>,
    errors: usize,
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some([p50, p99]) = self.percentiles.map(|both| both.map(|time| time.as_secs_f64() * 1e3)) else {
            return write!(f, "not served: {} errors", self.errors);
        };
        write!(f, "{p50:.2} / {p99:.2} ms")?;
        if self.errors > 0 { write!(f, ", {} errors", self.errors) } else { Ok(()) }
    }
}

/// A client of a tenant, by the proxy on this port.
///
/// # Errors
/// Where it can not log in.
pub async fn connect(port: u16, tenant: &str) -> Result<Client, Box<dyn Error>> {
    let url = format!("postgresql://app:app@127.0.0.1:{port}/app?options=-ctenant%3D{tenant}");
    let config: tokio_postgres::Config = url.parse()?;
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Runs one short statement after the other for so long.
pub async fn watch(client: &Client, time: Duration) -> Latency {
    let (mut times, mut errors) = (Vec::new(), 0);
    let until = Instant::now() + time;
    while Instant::now() < until {
        let begun = Instant::now();
        match client.batch_execute("SELECT name FROM users WHERE id = 1").await {
            Ok(()) => times.push(begun.elapsed()),
            Err(_) => errors += 1,
        }
    }
    times.sort_unstable();
    let at = |percent| times.get(times.len() * percent / 100).copied();
    Latency { percentiles: at(50).zip(at(99)).map(|(p50, p99)| [p50, p99]), errors }
}
