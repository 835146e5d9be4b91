//! What is known of PostgreSQL's parameters. Of those that are not named here, nothing good is taken for granted.

use std::time::Duration;

/// Whatever their value is, they change how values are read and shown, or how long a query takes, and no more.
const HARMLESS: &[&str] = &[
    "application_name", "bytea_output", "datestyle", "default_text_search_config", "extra_float_digits",
    "intervalstyle", "jit", "lc_monetary", "lc_numeric", "lc_time", "timezone", "work_mem", "xmlbinary",
    "xmloption",
];

/// They have no part in what a text means.
const MEANINGLESS: &[&str] = &[
    "application_name",
    "bytea_output",
    "client_min_messages",
    "default_transaction_deferrable",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "extra_float_digits",
    "idle_in_transaction_session_timeout",
    "idle_session_timeout",
    "jit",
    "lock_timeout",
    "maintenance_work_mem",
    // The path is a matter of its own.
    "search_path",
    "standard_conforming_strings",
    "statement_timeout",
    "synchronous_commit",
    "transaction_timeout",
    "work_mem",
];

/// Whether the parameter is a characteristic of the transaction at hand, and over with it. `transaction_timeout` is none.
pub fn is_of_transaction(name: &str) -> bool {
    matches!(name, "transaction_isolation" | "transaction_read_only" | "transaction_deferrable")
}

/// Whether PostgreSQL may read a text in another way where the parameter (its name in lower case) has another value:
/// `'01/02/2020'::date` becomes a date when it is prepared. Names with a dot are not PostgreSQL's own.
pub fn gives_meaning(name: &str) -> bool {
    !(MEANINGLESS.contains(&name) || name.contains('.') || name.starts_with("enable_"))
}

/// Whether the parameter has no part in what a text means, and may have one in how PostgreSQL runs it.
pub fn steers_plans(name: &str) -> bool {
    let has_no_part = MEANINGLESS.contains(&name) && !matches!(name, "jit" | "work_mem");
    !gives_meaning(name) && !has_no_part
}

/// No text of the proxy's runs for so long: it is cut short before.
const LONG: Duration = Duration::from_secs(10);

/// Whether a parameter may be left at `value` on an idle server.
///
/// An idle server keeps some of its last client's settings, as the next client often wants the same. So only
/// those stay of which it is known that they do nothing to a session at rest, nor to any text of the proxy's:
/// texts that set other settings, that clean, that look whether the server lives.
pub fn is_harmless(name: &str, value: &str) -> bool {
    if HARMLESS.contains(&name) {
        return true;
    }
    let is_one_of = |values: &[&str]| values.iter().any(|one| value.eq_ignore_ascii_case(one));
    match name {
        "client_encoding" => is_one_of(&["utf8", "utf-8", "unicode"]),
        // Debug messages come with each text.
        "client_min_messages" => is_one_of(&["log", "info", "notice", "warning", "error"]),
        "default_transaction_isolation" => is_one_of(&["read committed"]),
        "default_transaction_deferrable" | "default_transaction_read_only" => is_one_of(&["off", "false"]),
        "standard_conforming_strings" => is_one_of(&["on", "true"]),
        "idle_in_transaction_session_timeout"
        | "lock_timeout"
        | "statement_timeout"
        | "transaction_timeout" => time(value).is_some_and(|time| time.is_zero() || time >= LONG),
        _ => false,
    }
}

/// A time as PostgreSQL takes it, in milliseconds or with a unit; `None` for a form that is not read here.
fn time(value: &str) -> Option<Duration> {
    let value = value.trim_matches(' ');
    let digits = value.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = value.split_at_checked(digits)?;
    // In octal, and so another number.
    if number.len() > 1 && number.starts_with('0') {
        return None;
    }
    let milliseconds: u64 = match unit.trim_start_matches(' ') {
        "" | "ms" => 1,
        "s" => 1000,
        "min" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        "d" => 24 * 60 * 60 * 1000,
        _ => return None,
    };
    Some(Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(milliseconds)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_drivers_set_may_stay() {
        for (name, value) in [
            ("application_name", "anything"),
            ("client_encoding", "UTF8"),
            ("client_encoding", "unicode"),
            ("client_min_messages", "warning"),
            ("datestyle", "ISO, MDY"),
            ("extra_float_digits", "3"),
            ("intervalstyle", "iso_8601"),
            ("standard_conforming_strings", "on"),
            ("statement_timeout", "0"),
            ("statement_timeout", "10000"),
            ("statement_timeout", "30 s"),
            ("lock_timeout", "5min"),
            ("default_transaction_read_only", "off"),
            ("timezone", "Asia/Tokyo"),
        ] {
            assert!(is_harmless(name, value), "{name} = {value}");
        }
    }

    #[test]
    fn what_acts_on_an_idle_session_or_on_our_texts_does_not() {
        for (name, value) in [
            ("app.user_id", "1"),
            ("check_function_bodies", "off"),
            ("client_encoding", "LATIN1"),
            ("client_encoding", "SQL_ASCII"),
            ("client_min_messages", "debug5"),
            ("default_tablespace", ""),
            ("default_transaction_deferrable", "on"),
            ("default_transaction_isolation", "serializable"),
            ("default_transaction_read_only", "on"),
            ("default_transaction_read_only", "o"),
            ("idle_session_timeout", "0"),
            ("idle_session_timeout", "1h"),
            ("lock_timeout", "9999"),
            ("role", "x"),
            ("row_security", "off"),
            ("search_path", "x"),
            ("session_replication_role", "replica"),
            ("standard_conforming_strings", "off"),
            ("tcp_user_timeout", "1"),
            ("unheard_of", "0"),
        ] {
            assert!(!is_harmless(name, value), "{name} = {value}");
        }
    }

    #[test]
    fn what_may_give_texts_a_meaning_is_known() {
        for name in ["datestyle", "timezone", "intervalstyle", "transform_null_equals", "unheard_of"] {
            assert!(gives_meaning(name), "{name}");
        }
        for name in ["app.user_id", "application_name", "enable_seqscan", "statement_timeout", "work_mem"] {
            assert!(!gives_meaning(name), "{name}");
        }
    }

    #[test]
    fn what_may_change_plans_is_known() {
        for name in ["jit", "work_mem", "enable_seqscan", "pg_hint_plan.enable_hint"] {
            assert!(steers_plans(name), "{name}");
        }
        // The last one tells statements apart.
        for name in ["application_name", "search_path", "statement_timeout", "random_page_cost"] {
            assert!(!steers_plans(name), "{name}");
        }
    }

    #[test]
    fn times_are_read_as_postgresql_reads_them_or_not_at_all() {
        for (value, milliseconds) in [
            ("0", Some(0)),
            ("12345", Some(12_345)),
            (" 30s ", Some(30_000)),
            ("1 min", Some(60_000)),
            ("2h", Some(7_200_000)),
            ("1d", Some(86_400_000)),
            ("1ms", Some(1)),
            ("20000us", None),
            ("0x7530", None),
            ("030000", None),
            ("1e5", None),
            ("1.5min", None),
            ("-1", None),
            ("+30000", None),
            ("30S", None),
            ("30\ts", None),
            ("", None),
            ("99999999999999999999", None),
            ("18446744073709551615d", None),
        ] {
            assert_eq!(time(value), milliseconds.map(Duration::from_millis), "{value:?}");
        }
    }
}
