//! Cancel requests for clients that are still with a process of before: they come here, since only this one listens.
//!
//! A request is `cancel NUMBER PID KEY`, its answer `done NUMBER`, when PostgreSQL was told or the key is unknown
//! there, too.

use std::fmt::Write as _;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::channel::{CLOSE, Channel, next};
use crate::shared::Shared;

/// Requests of one process that are dealt with at once.
pub(super) const WAITING: usize = 1024;

/// The line of a request.
pub(super) fn line(number: u64, pid: i32, key: &[u8]) -> String {
    let mut line = format!("cancel {number} {pid} ");
    for byte in key {
        // A String takes all.
        let _ = write!(line, "{byte:02x}");
    }
    line.push('\n');
    line
}

/// Number, process and key of a request.
pub(super) fn parse(line: &str) -> Option<(u64, i32, Vec<u8>)> {
    let mut words = line.strip_prefix("cancel ")?.trim_end().split(' ');
    let (number, pid, key) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?);
    let digits: Vec<u32> = key.chars().map(|digit| digit.to_digit(16)).collect::<Option<_>>()?;
    let byte = |pair: &[u32]| match pair {
        [high, low] => u8::try_from(high * 16 + low).ok(),
        _ => None,
    };
    Some((number, pid, digits.chunks(2).map(byte).collect::<Option<_>>()?))
}

/// Does what the process asks for that has taken over. Ends, and drops `close`, when that process has ended and all
/// that have its channel. `close` becomes true when the sockets of this process need not be kept any longer.
pub async fn serve(shared: Arc<Shared>, channel: Channel, close: watch::Sender<bool>) {
    let (read, mut write) = tokio::io::split(channel);
    let mut lines = BufReader::new(read).lines();
    let (answers, mut due) = mpsc::channel::<u64>(WAITING);
    let mut working = JoinSet::new();
    loop {
        tokio::select! {
            line = next(&mut lines), if working.len() < WAITING => {
                let Ok(Some(line)) = line else { return };
                if line == CLOSE.trim_end() {
                    close.send_replace(true);
                }
                let Some((number, pid, key)) = parse(&line) else { continue };
                let (shared, answers) = (Arc::clone(&shared), answers.clone());
                working.spawn(async move {
                    if let Some(slot) = shared.cancels.find(pid, &key) {
                        shared.metrics.cancelled();
                        slot.cancel().await;
                    }
                    let _ = answers.send(number).await;
                });
            }
            Some(number) = due.recv() => {
                if write.write_all(format!("done {number}\n").as_bytes()).await.is_err() {
                    return;
                }
            }
            Some(_) = working.join_next() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_is_read_as_it_was_written() {
        for key in [&[0, 255, 16, 1][..], &[7; 32]] {
            assert_eq!(parse(&line(7, -3, key)), Some((7, -3, key.to_vec())));
        }
        for other in [
            "cancel 1 2 \n", "done 1\n", "cancel 1 2\n", "cancel 1 2 abc\n", "cancel 1 2 zz\n",
            "cancel x 2 00\n",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
