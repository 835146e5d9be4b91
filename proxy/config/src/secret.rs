//! Passwords and keys, which are never printed.

use std::fmt;
use std::path::{Path, PathBuf};

use super::load::Place;
use super::read::Section;

/// One secret, from the file, the environment or another file.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Option<Box<str>>);

impl Secret {
    /// A secret that is known already.
    pub fn new(text: &str) -> Self {
        Self(Some(text.into()))
    }

    /// The secret itself; `None` where there is none.
    pub fn expose(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// Reads `password`, `password_env` or `password_file` of `section`.
    pub(super) fn read(section: &mut Section<'_>, place: &Place<'_>) -> Self {
        Self::read_as(["password", "password_env", "password_file"], section, place)
    }

    /// The same, or what `password_command` prints: the password of a login to PostgreSQL, which may be made for minutes
    /// only.
    pub(super) fn read_or_run(section: &mut Section<'_>, place: &Place<'_>) -> Self {
        const KEY: &str = "password_command";
        let Some(command) = section.option::<Vec<String>>(KEY) else { return Self::read(section, place) };
        let others = ["password", "password_env", "password_file"];
        if others.into_iter().any(|key| section.option::<String>(key).is_some()) {
            let message = "two sources for one password: keep one of \"password\", \"password_env\", \"password_file\" and \
                           \"password_command\"";
            section.refuse(KEY, message.to_owned());
            return Self::default();
        }
        let printed = place.surroundings.run(&command).map(without_end_of_line);
        Self::keep(section, KEY, "password", printed.map_err(|error| format!("cannot run it: {error}")))
    }

    /// The same under other keys: for the secret itself, for a variable, for a file.
    pub(super) fn read_as(keys: [&'static str; 3], section: &mut Section<'_>, place: &Place<'_>) -> Self {
        let [in_plain, in_variable, in_file] = keys;
        let what = in_plain.replace('_', " ");
        let plain: Option<String> = section.option(in_plain);
        let variable: Option<String> = section.option(in_variable);
        let file: Option<PathBuf> = section.option(in_file);
        let (key, found) = match (plain, variable, file) {
            (None, None, None) => return Self::default(),
            (Some(plain), None, None) => (in_plain, Ok(plain)),
            (None, Some(name), None) => (in_variable, from_variable(&name, place)),
            (None, None, Some(path)) => {
                let path = place.resolve(path);
                section.keep_private(in_file, &path, place);
                (in_file, from_file(&path, place))
            }
            (plain, variable, _) => {
                // The line of the second one: the first was fine until then.
                let second = match (plain, variable) {
                    (Some(_), Some(_)) => in_variable,
                    _ => in_file,
                };
                let message = format!(
                    "two sources for one {what}: keep one of \"{in_plain}\", \"{in_variable}\" and \"{in_file}\""
                );
                section.refuse(second, message);
                return Self::default();
            }
        };
        Self::keep(section, key, &what, found)
    }

    /// A secret that was found, or why it was not.
    fn keep(section: &mut Section<'_>, key: &'static str, what: &str, found: Result<String, String>) -> Self {
        match found.and_then(|text| usable(text, what)) {
            Ok(text) => {
                section.note_content(key, &text);
                Self::new(&text)
            }
            Err(reason) => {
                section.refuse(key, format!("\"{key}\": {reason}"));
                Self::default()
            }
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

// The variable isn't named: the secret itself may stand there by mistake.
fn from_variable(name: &str, place: &Place<'_>) -> Result<String, String> {
    place.surroundings.env(name).ok_or_else(|| {
        "the environment variable that it names is not set (or is not UTF-8): \
         export it, or write its name, not the secret itself"
            .to_owned()
    })
}

fn from_file(path: &Path, place: &Place<'_>) -> Result<String, String> {
    let text = place.surroundings.read(path);
    text.map(without_end_of_line).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

fn without_end_of_line(mut text: String) -> String {
    for end in ['\n', '\r'] {
        if text.ends_with(end) {
            text.pop();
        }
    }
    text
}

fn usable(text: String, what: &str) -> Result<String, String> {
    match text.as_str() {
        "" => Err(format!("the {what} is empty: set one, or leave the key out")),
        text if text.contains('\0') => Err(format!("a {what} can't hold a NUL byte")),
        _ => Ok(text),
    }
}
