//! Ends PostgreSQL even where we are killed and can't do it ourselves.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A shell that reads from us. The kernel closes its input when we die, however
/// that happens; then it stops PostgreSQL and removes the temporary folder.
#[derive(Debug)]
pub(super) struct Keeper(Child);

/// `$1`: PostgreSQL's data folder. `$2`: the temporary folder.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
if read -r _; then exit 0; fi
pid=$(head -n 1 "$1/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ]; then
  kill -INT "$pid" 2>/dev/null
  for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.25
  done
  kill -QUIT "$pid" 2>/dev/null && sleep 1
fi
rm -rf "$2"
"#;

impl Keeper {
    /// Watches over the cluster in `data`, and over the folder `temp`.
    pub(super) fn start(data: &Path, temp: &Path) -> io::Result<Self> {
        let child = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "pgstrata-keeper"])
            .args([data, temp])
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self(child))
    }

    /// Sends it home: all is cleaned up.
    pub(super) fn release(&mut self) {
        if let Some(mut input) = self.0.stdin.take() {
            let _ = input.write_all(b"done\n");
        }
        let _ = self.0.wait();
    }
}
