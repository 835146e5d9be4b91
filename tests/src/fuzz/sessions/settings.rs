//! The settings that a user may set, and values for them.

use tokio_postgres::Client;

use crate::fuzz::names;
use crate::fuzz::random::Random;

/// A setting.
#[derive(Clone, Debug)]
pub struct Setting {
    name: String,
    kind: String,
    least: String,
    most: String,
    choices: Vec<String>,
}

/// Settings of nobody's: an application's own.
pub const CUSTOM: [&str; 4] = ["app.user_id", "app.secret", "my.x", "a.b"];

/// All that `user` context has, and that PostgreSQL lists.
pub async fn settings(server: &Client) -> Vec<Setting> {
    let query = "SELECT name, vartype, coalesce(min_val, ''), coalesce(max_val, ''), coalesce(enumvals, '{}') \
                 FROM pg_settings WHERE context = 'user' ORDER BY name";
    let rows = server.query(query, &[]).await.unwrap();
    let setting = |row: &tokio_postgres::Row| Setting {
        name: row.get(0),
        kind: row.get(1),
        least: row.get(2),
        most: row.get(3),
        choices: row.get(4),
    };
    rows.iter().map(setting).collect()
}

/// Those with which one tenant could stop others, and those that PostgreSQL does not list.
const FAVOURITES: &[(&str, &[&str])] = &[
    ("default_transaction_read_only", &["on", "off", "true"]),
    ("default_transaction_isolation", &["serializable", "repeatable read"]),
    ("default_transaction_deferrable", &["on"]),
    ("transaction_read_only", &["on"]),
    ("transaction_isolation", &["serializable"]),
    ("statement_timeout", &["1", "5ms", "0", "'1min'"]),
    ("lock_timeout", &["1", "0"]),
    ("idle_session_timeout", &["1", "'1ms'", "50"]),
    ("idle_in_transaction_session_timeout", &["1", "20"]),
    ("transaction_timeout", &["1", "20"]),
    ("client_encoding", &["LATIN1", "UTF8", "SQL_ASCII", "'WIN1252'"]),
    ("search_path", &["public", "pg_catalog", "acme_corp, public", "''", "pg_temp", "'$user', public"]),
    ("role", &["none", "tenant_globex", "app"]),
    ("session_authorization", &["default", "app"]),
    ("application_name", &["x", "''", "'MARK'"]),
    ("client_min_messages", &["debug5", "error", "log"]),
    ("standard_conforming_strings", &["on", "off"]),
    ("row_security", &["off"]),
    ("default_tablespace", &["''", "pg_default"]),
    ("temp_tablespaces", &["''", "pg_default"]),
    ("timezone", &["'Asia/Tokyo'", "UTC", "3", "local", "interval '1' hour"]),
    ("datestyle", &["german", "'sql, dmy'", "iso"]),
    ("seed", &["0.5"]),
];

/// A setting and a value as they stand behind SET.
pub fn any(random: &mut Random, settings: &[Setting]) -> (String, String) {
    match random.below(10) {
        0..5 => {
            let (name, values) = random.pick(FAVOURITES);
            (name.to_owned(), random.pick(values).to_owned())
        }
        5..7 => (random.pick(&CUSTOM).to_owned(), format!("'{}'", random.pick(&["1", "MINE", ""]))),
        _ => {
            let setting = &settings[random.below(settings.len())];
            (setting.name.clone(), setting.value(random))
        }
    }
}

impl Setting {
    fn value(&self, random: &mut Random) -> String {
        match self.kind.as_str() {
            "bool" => random.pick(&["on", "off", "true", "no"]).to_owned(),
            "enum" if !self.choices.is_empty() => {
                format!("'{}'", self.choices[random.below(self.choices.len())])
            }
            "integer" | "real" => match random.below(6) {
                0 => self.least.clone(),
                1 => self.most.clone(),
                2 => "default".to_owned(),
                _ => (1 + random.below(1000)).to_string(),
            },
            _ => names::string(random),
        }
    }
}
