//! `pgstrata health`: requests the health check of a running proxy, for container engines and scripts.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use crate::config::{Config, WithoutCommands};

/// The longest answer that is read, in bytes.
const LONGEST: u64 = 16 << 10;

/// `pgstrata health`
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 healthy; 1 not healthy, or no answer.")]
pub struct Args {
    /// The address of the proxy's HTTP port.
    #[arg(long, default_value = "127.0.0.1:9187", value_name = "ADDRESS:PORT")]
    address: SocketAddr,
    /// Takes the address from this configuration file.
    #[arg(long, conflicts_with = "address", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Requests /readyz (whether each database can serve clients) in place of /healthz (whether the process answers).
    #[arg(long)]
    ready: bool,
    /// The time limit, in seconds.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    timeout: u64,
}

/// Requests the health check. The error is one line with the reason.
pub fn run(args: &Args) -> Result<(), String> {
    let address = match &args.config {
        Some(file) => {
            // No secret is needed, and none is asked for: this is run every few seconds.
            let text = std::fs::read_to_string(file)
                .map_err(|error| format!("pgstrata: cannot read {}: {error}", file.display()))?;
            let config = Config::parse_with(&text, file, &WithoutCommands);
            config.map_err(|error| error.to_string())?.http.address
        }
        None => args.address,
    };
    let path = if args.ready { "/readyz" } else { "/healthz" };
    let answer = ask(local(address), path, Duration::from_secs(args.timeout));
    let answer = answer.map_err(|error| format!("pgstrata: {address} does not answer: {error}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    match head.split(' ').nth(1) {
        Some("200") => Ok(()),
        Some(status) => Err(format!("pgstrata: {path} answers {status}: {}", body.trim())),
        None => Err(format!("pgstrata: {address} does not answer in HTTP")),
    }
}

/// A server that listens on all addresses answers on this machine's own.
fn local(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => (Ipv4Addr::LOCALHOST, address.port()).into(),
        IpAddr::V6(ip) if ip.is_unspecified() => (std::net::Ipv6Addr::LOCALHOST, address.port()).into(),
        _ => address,
    }
}

fn ask(address: SocketAddr, path: &str, limit: Duration) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.set_write_timeout(Some(limit))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(LONGEST).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
