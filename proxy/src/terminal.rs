//! What commands print. Nothing here panics where the reader is gone.

use std::fmt::Arguments;
use std::io::{self, Write as _};

/// Prints to stdout. A reader that has seen enough is no error.
///
/// The error: stdout can't be written to.
pub fn out(text: Arguments<'_>) -> io::Result<()> {
    let mut stdout = io::stdout();
    match stdout.write_fmt(text).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        _ => Ok(()),
    }
}

/// Prints to stderr, where that can be written to.
pub fn err(text: Arguments<'_>) {
    let _ = io::stderr().write_fmt(text);
}
