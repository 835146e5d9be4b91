//! Secrets, certificates and lists of users change in their own files, and nobody sends a signal for that: a file that
//! the configuration names has it read again. The configuration's own file counts only when somebody asks.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use crate::config::{Config, Stamp, Stamps};
use crate::shared::Shared;

/// Between two looks, where the configuration wants none: it may want some later.
const PAUSE: Duration = Duration::from_secs(10);

/// Looks between two attempts to read files that can't be read, at most.
const LONGEST: u32 = 64;

/// What the files hold at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Contents {
    files: Stamps,
    /// Whether the configuration's own file is as it was read.
    is_same: bool,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    Nothing,
    /// The configuration is to be read again.
    Reload,
    /// It would have to be, but somebody may be editing it.
    Warning,
}

/// What is known of the files.
#[derive(Default)]
struct Look {
    /// As they were at the last look.
    last: Option<Contents>,
    /// As they were when something was done, and it did not help: they could not be read, or the log had a warning.
    done: Option<Contents>,
    /// Looks between the last attempt to read these and the next one, and those that are left.
    patience: (u32, u32),
}

impl Look {
    /// What is due for files that are as they are `now` and were as in `read` when they were read. While they change from
    /// look to look, nothing is: somebody writes. What can't be read is tried again, ever more seldom.
    fn due(&mut self, now: Contents, read: &Stamps) -> Due {
        let rests = self.last.as_ref() == Some(&now);
        self.last = Some(now.clone());
        if now.files == *read {
            self.done = None;
            return Due::Nothing;
        }
        if !rests {
            return Due::Nothing;
        }
        if self.done.as_ref() != Some(&now) {
            self.patience = (1, 1);
        } else if !now.is_same || self.patience.1 > 0 {
            self.patience.1 = self.patience.1.saturating_sub(1);
            return Due::Nothing;
        } else {
            let next = (self.patience.0 * 2).min(LONGEST);
            self.patience = (next, next);
        }
        let due = if now.is_same { Due::Reload } else { Due::Warning };
        self.done = Some(now);
        due
    }
}

/// When programs that print secrets are to be run again.
struct Rerun {
    /// The configuration that they were run for.
    config: Arc<Config>,
    /// The next time is due so long after this one.
    since: Instant,
    /// The last time failed, or the configuration was being edited.
    failed: bool,
    /// The log says that it is being edited.
    warned: bool,
}

impl Rerun {
    fn of(config: Arc<Config>) -> Self {
        Self { config, since: Instant::now(), failed: false, warned: false }
    }

    /// Whether they are to be run now for what is `current`. Behind a failure they are sooner.
    fn is_due(&mut self, current: &Arc<Config>) -> bool {
        if !Arc::ptr_eq(&self.config, current) {
            *self = Self::of(Arc::clone(current));
        }
        let pause = self.config.process.rerun_commands;
        let pause = if self.failed { pause.min(PAUSE) } else { pause };
        self.config.runs_commands && !pause.is_zero() && self.since.elapsed() >= pause
    }

    /// They were: whether it went well.
    fn done(&mut self, well: bool) {
        (self.since, self.failed) = (Instant::now(), !well);
    }
}

/// Looks at the files as often as `process.follow_files` says, and runs programs again as often as
/// `process.rerun_commands` says, for ever.
pub async fn follow(shared: Arc<Shared>) {
    let mut look = Look::default();
    let mut rerun = Rerun::of(Arc::clone(&shared.current().config));
    loop {
        let config = Arc::clone(&shared.current().config);
        let pause = config.process.follow_files;
        let runs_soon = config.runs_commands.then_some(config.process.rerun_commands);
        let usual = if pause.is_zero() { PAUSE } else { pause };
        sleep(runs_soon.filter(|time| !time.is_zero()).map_or(usual, |time| time.min(usual))).await;
        if rerun.is_due(&config) {
            rerun_commands(&shared, config, &mut rerun).await;
            continue;
        }
        if pause.is_zero() || config.files.is_empty() {
            continue;
        }
        let Ok((config, now)) = spawn_blocking(move || contents(config)).await else { continue };
        let files = differing(&now.files, &config.files);
        match look.due(now, &config.files) {
            Due::Nothing => {}
            Due::Reload => {
                tracing::info!(files, "a file that the configuration names has changed");
                // Its result is in the log.
                let _ = shared.reload().await;
            }
            Due::Warning => tracing::warn!(
                files,
                "a file that the configuration names has changed, and so has the configuration: reload it"
            ),
        }
    }
}

/// Reads the configuration again, for which its programs are run, unless somebody is editing it.
async fn rerun_commands(shared: &Arc<Shared>, config: Arc<Config>, rerun: &mut Rerun) {
    let Ok((_, now)) = spawn_blocking(move || contents(config)).await else { return };
    if !now.is_same && !rerun.warned {
        tracing::warn!("a password_command is to be run again, and the configuration has changed: reload it");
    }
    rerun.warned = !now.is_same;
    let reloaded = now.is_same && shared.reload().await.is_ok();
    rerun.done(reloaded);
}

/// The files as they are now.
fn contents(config: Arc<Config>) -> (Arc<Config>, Contents) {
    let files = config.files.keys().map(|path| (path.clone(), Stamp::of_file(path))).collect();
    let is_same = config.stamp.is_some() && Stamp::of_file(&config.origin) == config.stamp;
    (config, Contents { files, is_same })
}

/// The paths of those that differ.
fn differing(now: &Stamps, read: &Stamps) -> String {
    let other = |(path, stamp): &(&PathBuf, &Option<Stamp>)| read.get(*path) != Some(*stamp);
    let paths: Vec<_> = now.iter().filter(other).map(|(path, _)| path.display().to_string()).collect();
    paths.join(", ")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::SystemTime;

    use super::*;

    fn now(path: &Path) -> Contents {
        Contents { files: Stamps::from([(path.to_owned(), Stamp::of_file(path))]), is_same: true }
    }

    #[test]
    fn change_is_due_when_it_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        fs::write(&path, "one").unwrap();
        let (read, mut look) = (now(&path).files, Look::default());
        let mut due = || look.due(now(&path), &read);
        assert_eq!((due(), due()), (Due::Nothing, Due::Nothing), "nothing has changed");
        fs::write(&path, "half").unwrap();
        assert_eq!(due(), Due::Nothing, "somebody may be writing");
        fs::write(&path, "the whole").unwrap();
        assert_eq!((due(), due(), due()), (Due::Nothing, Due::Reload, Due::Nothing));
        fs::remove_file(&path).unwrap();
        assert_eq!((due(), due()), (Due::Nothing, Due::Reload));
        fs::write(&path, "one").unwrap();
        assert_eq!((due(), due()), (Due::Nothing, Due::Nothing), "it is as it was read");
    }

    #[test]
    fn contents_count_and_not_when_or_where_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let write = |text: &str| {
            let other = folder.path().join("other");
            fs::write(&other, text).unwrap();
            fs::File::options()
                .write(true)
                .open(&other)
                .unwrap()
                .set_modified(SystemTime::UNIX_EPOCH)
                .unwrap();
            fs::rename(&other, &path).unwrap();
        };
        write("one");
        let before = now(&path);
        write("one");
        assert_eq!(now(&path), before, "another file with the same content");
        write("two");
        assert_ne!(now(&path), before, "the same time and length");
    }

    #[test]
    fn what_can_not_be_read_is_tried_again_and_ever_more_seldom() {
        let (read, files) = (Stamps::new(), Stamps::from([(PathBuf::from("a"), None)]));
        let (mut look, contents) = (Look::default(), |is_same| Contents { files: files.clone(), is_same });
        assert_eq!(look.due(contents(true), &read), Due::Nothing);
        let tried: Vec<usize> = (0..400).filter(|_| look.due(contents(true), &read) == Due::Reload).collect();
        assert_eq!(tried, [0, 2, 5, 10, 19, 36, 69, 134, 199, 264, 329, 394]);
        // While somebody edits the configuration there is one warning, and then it acts.
        assert_eq!(look.due(contents(false), &read), Due::Nothing);
        let warned = (0..400).filter(|_| look.due(contents(false), &read) == Due::Warning).count();
        assert_eq!(warned, 1);
        assert_eq!(look.due(contents(true), &read), Due::Nothing);
        assert_eq!(look.due(contents(true), &read), Due::Reload);
    }
}
