//! Programs that print a secret: a token that a cloud gives for minutes.

use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// How long a program may take. Clients do not wait for it, but a start does, and a reload.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes that a program may print.
const LONGEST: u64 = 64 << 10;

/// Between two looks whether it has ended.
const LOOK: Duration = Duration::from_millis(5);

/// What the program prints. It gets no input, and its standard error is that of this process.
///
/// `command`: the program, which is looked for in `PATH` if it has no slash, and its arguments. No shell reads them.
///
/// # Errors
/// It can't be started, prints what is no text, ends with another status than 0, or takes longer than `patience`: it is
/// killed then.
pub(super) fn run(command: &[String], patience: Duration) -> io::Result<String> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it names no program"));
    };
    let until = Instant::now() + patience;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
    let mut child = command.spawn()?;
    let done = output(&mut child, until).and_then(|text| Ok((text, status(&mut child, until)?)));
    if done.is_err() {
        end(&mut child);
    }
    let (text, status) = done?;
    if status.success() { Ok(text) } else { Err(io::Error::other(format!("it has ended with {status}"))) }
}

/// Ends the program and all that it has started: one of those would keep the pipe, and the thread that reads it.
fn end(child: &mut Child) {
    // It was not waited for, so that the number is no other group's.
    if let Ok(group) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    let _ = child.wait();
}

/// All that it prints. A program that it has started may keep the pipe open for longer than itself.
fn output(child: &mut Child, until: Instant) -> io::Result<String> {
    let stdout = child.stdout.take();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        let read = stdout.map_or(Ok(0), |stdout| stdout.take(LONGEST).read_to_string(&mut text));
        // The receiver is gone if the time was over.
        let _ = sender.send(read.map(|_| text));
    });
    let left = until.saturating_duration_since(Instant::now());
    receiver.recv_timeout(left).unwrap_or_else(|_| Err(too_late()))
}

fn status(child: &mut Child, until: Instant) -> io::Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() >= until {
            return Err(too_late());
        }
        thread::sleep(LOOK);
    }
}

fn too_late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "it took too long, and was killed")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, patience: Duration) -> Result<String, String> {
        let command = ["sh", "-c", script, "sh", "a b"].map(str::to_owned);
        run(&command, patience).map_err(|error| error.to_string())
    }

    #[test]
    fn program_says_a_secret_or_why_not() {
        let long = Duration::from_secs(60);
        assert_eq!(sh("echo \"$1\"; cat", long), Ok("a b\n".to_owned()));
        assert!(sh("echo x; exit 3", long).unwrap_err().contains("exit status: 3"));
        assert!(sh("kill -9 $$", long).unwrap_err().contains("signal: 9"));
        assert!(sh("printf '\\377'", long).unwrap_err().contains("UTF-8"));
        assert!(run(&["/nowhere/at/all".to_owned()], long).is_err() && run(&[], long).is_err());
        assert!(sh("head -c 70000 /dev/zero | tr '\\0' x", long).map_or(true, |text| text.len() <= 65536));
    }

    #[test]
    fn program_that_does_not_end_is_killed() {
        let short = Duration::from_millis(50);
        for script in ["exec sleep 600", "exec >&-; exec sleep 600", "sleep 600 & exit 0"] {
            assert!(sh(script, short).unwrap_err().contains("too long"), "{script}");
        }
        // Nor does what it has started go on.
        let file = tempfile::NamedTempFile::new().unwrap();
        let script = format!("sleep 600 & echo $! > {}", file.path().display());
        assert!(sh(&script, Duration::from_secs(1)).unwrap_err().contains("too long"));
        let number = std::fs::read_to_string(file.path()).unwrap();
        let runs = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", number.trim()));
            stat.is_ok_and(|stat| !stat.contains(") Z "))
        };
        while runs() {
            thread::sleep(LOOK);
        }
    }
}
