//! The channel between a process and the one that takes over from it: lines of text on a Unix socket.

use std::io;
use std::os::unix::net::UnixStream;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, BufReader, Lines};

/// The channel, and what is read of it already.
pub type Channel = BufReader<tokio::net::UnixStream>;

/// The new process is prepared. The numbers of the sockets that it uses follow, as they were sent: `ready 0 2`.
pub const READY: &str = "ready";
/// The old one accepts nobody any more.
pub const GO: &str = "go\n";
/// The new one does.
pub const SERVING: &str = "serving\n";
/// The process that reads this need not keep its sockets open any longer: the new one shuts down, or has taken over
/// from a process that keeps them.
pub const CLOSE: &str = "close\n";

/// Bytes of a line between the two at most.
const LINE: u64 = 1024;

/// The channel on that socket. Must be called inside the runtime that it is for.
pub fn connected(stream: UnixStream) -> io::Result<Channel> {
    stream.set_nonblocking(true)?;
    tokio::net::UnixStream::from_std(stream).map(BufReader::new)
}

/// A line with its end; `None` where there is none any more. The error: it is too long, or no text.
pub async fn read_line(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<String>> {
    let mut line = String::new();
    from.take(LINE).read_line(&mut line).await?;
    match line.ends_with('\n') {
        true => Ok(Some(line)),
        false if line.is_empty() => Ok(None),
        false => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// The next line that is text, without its end; `None` where the other end is closed. May be given up at any time. An
/// open channel must not seem closed: to the process at its other end that would be the end of this one.
pub async fn next<R: AsyncBufRead + Unpin>(lines: &mut Lines<R>) -> io::Result<Option<String>> {
    loop {
        match lines.next_line().await {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
            other => return other,
        }
    }
}

/// The line that says which sockets the new process uses.
pub fn ready(used: &[usize]) -> String {
    let numbers: String = used.iter().map(|number| format!(" {number}")).collect();
    format!("{READY}{numbers}\n")
}

/// The numbers of the sockets in a line that [`ready`] has made.
pub fn used(line: &str) -> Option<Vec<usize>> {
    let mut words = line.trim_end().split(' ');
    (words.next()? == READY).then(|| words.map(|word| word.parse().ok()).collect())?
}

#[cfg(test)]
mod tests {
    use super::super::message::MOST;
    use super::*;

    #[tokio::test]
    async fn line_with_the_most_sockets_arrives() {
        let all: Vec<usize> = (0..MOST).collect();
        for numbers in [&[][..], &[3], &all] {
            let line = ready(numbers);
            let read = read_line(&mut line.as_bytes()).await.unwrap().unwrap();
            assert_eq!(used(&read).as_deref(), Some(numbers));
        }
        for other in ["", "go\n", "ready x\n", "ready  1\n", "readyish 1\n"] {
            assert_eq!(used(other), None, "{other}");
        }
        assert!(read_line(&mut "x".repeat(2000).as_bytes()).await.is_err());
    }

    #[tokio::test]
    async fn line_that_is_no_text_does_not_close_the_channel() {
        let mut lines = (&b"one\n\xff\xfe\ntwo\n"[..]).lines();
        for expected in [Some("one"), Some("two"), None] {
            assert_eq!(next(&mut lines).await.unwrap().as_deref(), expected);
        }
    }
}
