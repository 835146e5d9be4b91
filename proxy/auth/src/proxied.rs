//! The PROXY protocol: a load balancer says in front of a connection whom it is for.
//!
//! See <https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt};

use super::error::{OpenError, violation};
use super::refusals::{self, Who};
use crate::config::Network;

/// How a header of version 2 begins; one of version 1 is longer than that.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// The longest line of version 1, its end included.
const LONGEST_LINE: usize = 107;

/// The longest body of version 2 that is read: addresses, and what may follow them.
const LONGEST_BODY: usize = 2048;

/// Where the client of `stream` comes from, which comes from `peer`: if that is one of `balancers`, the header says so,
/// and has to be there. Nothing behind it is read.
pub async fn origin<S>(
    stream: &mut S,
    peer: SocketAddr,
    balancers: &[Network],
) -> Result<SocketAddr, OpenError>
where
    S: AsyncRead + Unpin,
{
    if !balancers.iter().any(|network| network.holds(peer.ip())) {
        return Ok(peer);
    }
    match header(stream).await {
        Ok(Some(header)) => Ok(header.unwrap_or(peer)),
        Ok(None) => {
            let refused =
                violation("no valid header of the PROXY protocol, which listen.proxy_protocol wants");
            if let OpenError::Refused(refusal) = &refused {
                refusals::log(peer.into(), Who::default(), refusal);
            }
            Err(refused)
        }
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(OpenError::Closed),
        Err(error) => Err(error.into()),
    }
}

/// Reads a header. `None`: it is none. `Some(None)`: the balancer speaks for itself, to see whether somebody is here.
async fn header(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Option<SocketAddr>>> {
    let mut start = [0; SIGNATURE.len()];
    stream.read_exact(&mut start).await?;
    if start == *SIGNATURE {
        return second(stream).await;
    }
    let mut line = start.to_vec();
    while !line.ends_with(b"\r\n") {
        if !line.starts_with(b"PROXY ") || line.len() >= LONGEST_LINE {
            return Ok(None);
        }
        line.push(stream.read_u8().await?);
    }
    Ok(first(&line))
}

/// Version 1: `PROXY TCP4 192.0.2.1 198.51.100.1 56324 5432\r\n`.
fn first(line: &[u8]) -> Option<Option<SocketAddr>> {
    let words = std::str::from_utf8(line).ok()?.strip_prefix("PROXY ")?.strip_suffix("\r\n")?;
    let words: Vec<&str> = words.split(' ').collect();
    let (address, port): (IpAddr, &str) = match words[..] {
        ["UNKNOWN", ..] => return Some(None),
        ["TCP4", source, _, port, _] => (source.parse::<Ipv4Addr>().ok()?.into(), port),
        ["TCP6", source, _, port, _] => (source.parse::<Ipv6Addr>().ok()?.into(), port),
        _ => return None,
    };
    Some(Some((address, port.parse().ok()?).into()))
}

/// Version 2, behind its signature.
async fn second(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Option<SocketAddr>>> {
    let (command, family) = (stream.read_u8().await?, stream.read_u8().await?);
    let length = usize::from(stream.read_u16().await?);
    if length > LONGEST_BODY {
        return Ok(None);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(match (command, family) {
        (0x20, _) => Some(None),
        (0x21, 0x11) => ipv4(&body).map(Some),
        (0x21, 0x21) => ipv6(&body).map(Some),
        // By another way than TCP, or from where there are no addresses.
        (0x21, 0x00) => Some(None),
        _ => None,
    })
}

/// Source, destination, and their ports.
fn ipv4(body: &[u8]) -> Option<SocketAddr> {
    let (address, rest) = body.split_first_chunk::<4>()?;
    let port = rest.get(4..)?.first_chunk::<2>()?;
    Some((Ipv4Addr::from(*address), u16::from_be_bytes(*port)).into())
}

fn ipv6(body: &[u8]) -> Option<SocketAddr> {
    let (address, rest) = body.split_first_chunk::<16>()?;
    let port = rest.get(16..)?.first_chunk::<2>()?;
    Some((Ipv6Addr::from(*address), u16::from_be_bytes(*port)).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// What a balancer's bytes come to, and what is left behind them.
    async fn read(bytes: &[u8]) -> (Result<SocketAddr, OpenError>, Vec<u8>) {
        let mut stream = bytes;
        let balancers: [Network; 1] = ["10.0.0.0/8".parse().unwrap()];
        let origin = origin(&mut stream, at("10.0.0.1:1"), &balancers).await;
        (origin, stream.to_vec())
    }

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, body, b"behind"].concat()
    }

    #[tokio::test]
    async fn header_of_either_version_says_whom_a_connection_is_for() {
        let six = [&[0x20, 1, 0x0d, 0xb8][..], &[0; 11], &[1], &[0; 16], &[0x12, 0x34, 0x15, 0x38]].concat();
        for (bytes, expected) in [
            (b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 5432\r\nbehind".to_vec(), "192.0.2.7:56324"),
            (b"PROXY TCP6 2001:db8::1 ::1 4660 5432\r\nbehind".to_vec(), "[2001:db8::1]:4660"),
            (b"PROXY UNKNOWN\r\nbehind".to_vec(), "10.0.0.1:1"),
            (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\nbehind".to_vec(), "10.0.0.1:1"),
            (v2(0x21, 0x11, &[192, 0, 2, 7, 198, 51, 100, 1, 0xdc, 4, 0x15, 0x38]), "192.0.2.7:56324"),
            (v2(0x21, 0x21, &six), "[2001:db8::1]:4660"),
            (v2(0x21, 0x11, &[192, 0, 2, 7, 1, 1, 1, 1, 0, 9, 0, 9, 4, 0, 1, 0]), "192.0.2.7:9"),
            (v2(0x20, 0x00, &[]), "10.0.0.1:1"),
        ] {
            let (origin, rest) = read(&bytes).await;
            assert_eq!((origin.unwrap(), &rest[..]), (at(expected), &b"behind"[..]));
        }
    }

    #[tokio::test]
    async fn what_is_no_header_is_refused_and_others_are_not_asked_for_one() {
        for bytes in [
            b"\0\0\0\x08\x04\xd2\x16\x2f and more".to_vec(),
            b"PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n".to_vec(),
            b"PROXY TCP4 2001:db8::1 ::1 1 2\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.7 198.51.100.1 99999 1\r\n".to_vec(),
            [&b"PROXY TCP4 "[..], &[b'1'; 200]].concat(),
            v2(0x21, 0x11, &[192, 0, 2]),
            v2(0x31, 0x11, &[0; 12]),
            v2(0x21, 0x31, &[0; 216]),
            v2(0x21, 0x11, &[0; 3000]),
        ] {
            assert!(matches!(read(&bytes).await.0, Err(OpenError::Refused(_))), "{bytes:?}");
        }
        for bytes in [&b""[..], b"PROXY TCP4 192.0", b"\r\n\r\n\0\r\nQUIT\n\x21"] {
            assert!(matches!(read(bytes).await.0, Err(OpenError::Closed)), "{bytes:?}");
        }
        let mut stream = &b"PROXY UNKNOWN\r\n"[..];
        let peer = at("192.0.2.1:1");
        let origin = origin(&mut stream, peer, &["10.0.0.0/8".parse().unwrap()]).await.unwrap();
        assert!(origin == peer && stream.len() == 15, "nothing is read");
    }
}
