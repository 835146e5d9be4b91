//! The output of commands. Nothing here panics if the reader is gone.

use std::fmt::Arguments;
use std::io::{self, Write as _};

/// Prints to stdout. A reader that has closed the pipe is no error.
///
/// The error: stdout cannot be written.
pub fn out(text: Arguments<'_>) -> io::Result<()> {
    let mut stdout = io::stdout();
    match stdout.write_fmt(text).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// Prints to stderr, if possible.
pub fn err(text: Arguments<'_>) {
    let _ = io::stderr().write_fmt(text);
}
