//! Attacks with several steps on one connection of the first tenant, which is then closed. An attack fails if no byte
//! of the second tenant was returned, that tenant is unchanged, and its clients find no trace of the attack.

use super::attacks::SHARED;

/// One step.
pub enum Step {
    /// A `Query` with any result.
    Query(&'static str),
    /// A `Query` that must fail.
    Refused(&'static str),
    /// Statements of the extended protocol in front of one `Sync`.
    Pipeline(&'static [&'static str]),
    /// Statements of the extended protocol, and a `Query` behind them with no `Sync` in between.
    Behind(&'static [&'static str], &'static str),
    /// The same with a name for each, under which the statement is prepared.
    Prepared(&'static [&'static str]),
    /// A statement of the extended protocol with a row limit of one.
    Part(&'static str),
    /// Statements of the extended protocol and a message that fails, with no `Sync`.
    Unfinished(&'static [&'static str]),
    /// The second tenant's client works, and then the first tenant's connects again.
    Anew,
    /// A `Query` with a long text: the first string repeated this many times, and then the second.
    Long(&'static str, usize, &'static str),
}

use Step::{Anew, Behind, Long, Part, Pipeline, Prepared, Query, Refused, Unfinished};

/// The steps of one attack.
pub struct Script {
    /// The class of the attack.
    pub class: &'static str,
    /// The steps, in order.
    pub steps: &'static [Step],
}

const NAMES: &str = "objects of other sessions by name";
const CATALOG: &str = "outdated knowledge of the catalog";
const STATE: &str = "tracked state of sessions";
const COSTS: &str = "load on other tenants";
const ENCODINGS: &str = "encodings";

/// All scripts.
pub const SCRIPTS: &[Script] = &[
    Script {
        class: NAMES,
        steps: &[
            Query("SET client_min_messages = debug2"),
            Pipeline(&["SELECT value FROM secrets"]),
            Prepared(&[
                "BEGIN",
                "SELECT value FROM notes",
                "SELECT value FROM secrets WHERE id = 1",
                "COMMIT",
            ]),
            Query("SET client_min_messages = debug5; SELECT value FROM secrets"),
            Anew,
            Pipeline(&[
                "SELECT set_config('client_min_messages', 'debug3', false)",
                "SELECT value FROM secrets",
            ]),
            Prepared(&["SELECT count(*) FROM notes"]),
        ],
    },
    Script {
        class: NAMES,
        steps: &[
            Refused("EXECUTE pgstrata_path('{other}')"),
            Refused("EXECUTE \"pgstrata_path\"('{other}'); SELECT value FROM secrets"),
            Refused("EXECUTE pgstrata_role('{other}', '{other}')"),
            Refused("EXECUTE pgstrata_1"),
            Query("DEALLOCATE pgstrata_path"),
        ],
    },
    Script {
        class: NAMES,
        steps: &[
            Query("PREPARE \"pgstrata: refused\" AS SELECT 'x'"),
            Query("BEGIN"),
            Refused("SELECT value FROM {other}.secrets"),
            Query("COMMIT"),
            Query("DEALLOCATE \"pgstrata: refused\""),
        ],
    },
    Script { class: NAMES, steps: &[Pipeline(&["SELECT value FROM secrets"]), Query("DEALLOCATE ALL")] },
    Script { class: NAMES, steps: &[Query("CLOSE ALL"), Query("DISCARD PLANS"), Query("DISCARD ALL")] },
    Script {
        class: CATALOG,
        steps: &[
            Query(
                "BEGIN; CREATE VIEW {own}.v AS SELECT name, setting FROM pg_settings; \
                 UPDATE v SET setting = '{other}' WHERE name = 'search_path'; SELECT value FROM secrets",
            ),
            Query("ROLLBACK"),
        ],
    },
    Script {
        class: CATALOG,
        steps: &[
            Query("CREATE TEMP VIEW v AS SELECT name, setting FROM pg_settings"),
            Query("BEGIN"),
            Query("UPDATE v SET setting = '{other}' WHERE name = 'search_path'"),
            Query("SELECT value FROM secrets"),
            Query("UPDATE v SET setting = 'none' WHERE name = 'role'"),
            Pipeline(&["SELECT value FROM secrets"]),
            Query("COMMIT"),
        ],
    },
    Script {
        class: CATALOG,
        steps: &[
            Query("CREATE VIEW {own}.v AS SELECT set_config('search_path', '{other}', true) AS path"),
            Query("BEGIN; SELECT path FROM v; SELECT value FROM secrets; COMMIT"),
            Query("CREATE VIEW {own}.w AS SELECT lastval() AS last"),
            Anew,
            Query("SELECT last FROM w"),
            Anew,
            Pipeline(&["SELECT last FROM w"]),
            Query("DROP VIEW IF EXISTS {own}.v, {own}.w"),
        ],
    },
    Script {
        class: CATALOG,
        steps: &[
            Query("BEGIN"),
            Query(
                "CREATE TRIGGER t BEFORE DELETE ON notes FOR EACH ROW \
                 EXECUTE FUNCTION check_foreign_key(1, 'cascade', 'id', '{other}.notes', 'id')",
            ),
            Query("DELETE FROM notes; COMMIT"),
            Query("ROLLBACK"),
        ],
    },
    Script {
        class: CATALOG,
        steps: &[
            Query("SELECT attmissingval FROM pg_attribute WHERE attmissingval IS NOT NULL"),
            Query(
                "WITH pg_sequence(seqrelid) AS (SELECT oid FROM pg_class WHERE relname = 'secrets_id_seq') \
                 SELECT (pg_get_sequence_data(seqrelid)).last_value FROM pg_sequence",
            ),
            Query("SELECT pg_sequence_last_value(oid) FROM pg_class WHERE relname = 'secrets_id_seq'"),
        ],
    },
    Script {
        class: STATE,
        steps: &[
            Pipeline(&["SET default_transaction_read_only = on", "PREPARE TRANSACTION 'selftest'"]),
            Query("ROLLBACK PREPARED 'selftest'"),
        ],
    },
    Script {
        class: STATE,
        steps: &[
            Pipeline(&["SET app.user_id = 'left'", "PREPARE TRANSACTION 'selftest'"]),
            Query("ROLLBACK PREPARED 'selftest'"),
        ],
    },
    Script {
        class: STATE,
        steps: &[Behind(&["SET statement_timeout = 1"], "LOCK TABLE secrets IN SHARE MODE")],
    },
    Script { class: STATE, steps: &[Behind(&["SET work_mem = '77MB'"], "VACUUM secrets")] },
    Script { class: STATE, steps: &[Behind(&["SET TIME ZONE 'Asia/Tokyo'", "SELECT 1 / 0"], "SELECT 1")] },
    Script {
        class: STATE,
        steps: &[
            Query(
                "BEGIN; SET statement_timeout = '1ms'; SAVEPOINT a; SET statement_timeout = 0; ROLLBACK TO a; COMMIT",
            ),
            Pipeline(&["BEGIN", "SET lock_timeout = 1", "SELECT 1 / 0", "COMMIT"]),
            Pipeline(&["SELECT set_config('statement_timeout', '1', false)", "SELECT 1 / 0"]),
        ],
    },
    Script {
        class: STATE,
        steps: &[
            Part("SELECT set_config('statement_timeout', '1', false)"),
            Anew,
            Part("SELECT set_config('app.user_id', 'left', false)"),
        ],
    },
    Script {
        class: STATE,
        steps: &[Query("SET max_parallel_workers = 7"), Unfinished(&["RESET ALL"]), Anew, Query("SELECT 1")],
    },
    Script {
        class: SHARED,
        steps: &[
            Query("CREATE VIEW {own}.shared_view AS SELECT * FROM {shared}"),
            Refused("DELETE FROM shared_view WHERE false"),
            Refused("SELECT 1 FROM shared_view WHERE false FOR UPDATE"),
            Query("DROP VIEW IF EXISTS {own}.shared_view"),
            Query("CREATE TEMP VIEW shared_view AS SELECT * FROM {shared}"),
            Refused("DELETE FROM shared_view WHERE false"),
        ],
    },
    Script {
        class: SHARED,
        steps: &[
            Query("CREATE TABLE {own}.{bare} ()"),
            Query("SELECT 1 FROM {bare}"),
            Query("DROP TABLE {own}.{bare}"),
            Refused("DELETE FROM {bare} WHERE false"),
            Query("CREATE TABLE {own}.{bare} ()"),
            Query("BEGIN; ALTER TABLE {bare} RENAME TO shared_moved"),
            Refused("SELECT 1 FROM {bare} WHERE false FOR UPDATE"),
            Query("ROLLBACK; DROP TABLE IF EXISTS {own}.{bare}"),
        ],
    },
    Script {
        class: ENCODINGS,
        steps: &[
            Query("SET client_encoding = 'LATIN1'"),
            Query("SELECT value FROM secrets"),
            Prepared(&["SELECT value FROM secrets", "SELECT 'ä' AS ä FROM secrets"]),
            Refused("SELECT value FROM {other}.secrets"),
            Refused("SELECT 'ä', value FROM U&\"{other}\".secrets"),
            Refused("SELECT value FROM \"ä{other}\".secrets"),
        ],
    },
    Script {
        class: ENCODINGS,
        steps: &[
            Refused("SET client_encoding = 'SJIS'"),
            Refused("SET NAMES 'BIG5'"),
            Refused("SET client_encoding TO GBK"),
            Refused("SELECT set_config('client_encoding', 'GB18030', false)"),
            Refused("SET LOCAL client_encoding = 'UHC'"),
            Refused("SET client_encoding = 'JOHAB'; SELECT value FROM secrets"),
            Query("SELECT value FROM secrets"),
        ],
    },
    Script {
        class: COSTS,
        steps: &[Query(
            "SET default_transaction_isolation = 'serializable'; SET default_transaction_read_only = on; \
             SET default_transaction_deferrable = on",
        )],
    },
    Script {
        class: COSTS,
        steps: &[
            Query("SET idle_session_timeout = '1ms'"),
            Query("SET idle_in_transaction_session_timeout = '1ms'"),
        ],
    },
    Script {
        class: COSTS,
        steps: &[Query("SET statement_timeout = '1ms'"), Query("SET lock_timeout = '1ms'")],
    },
    Script { class: COSTS, steps: &[Query("SET transaction_timeout = '1ms'")] },
    Script {
        class: COSTS,
        steps: &[Query("SET work_mem = '64kB'; SET temp_file_limit = 0; SET enable_seqscan = off")],
    },
    Script { class: COSTS, steps: &[Long("+", 4000, "1"), Long("(", 20_000, "1")] },
    Script { class: COSTS, steps: &[Long("a.b,", 100_000, "a.b"), Long("case when true then ", 4000, "1")] },
    Script { class: COSTS, steps: &[Long("/*", 50_000, ""), Long("'", 50_001, ""), Long("1;", 20_000, "1")] },
];

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Query(text) | Refused(text) | Part(text) => f.write_str(text),
            Pipeline(texts) | Prepared(texts) => write!(f, "[{}]", texts.join("; ")),
            Unfinished(texts) => write!(f, "[{}] with no Sync", texts.join("; ")),
            Behind(texts, text) => write!(f, "[{}] with no Sync, {text}", texts.join("; ")),
            Anew => f.write_str("connected anew"),
            Long(piece, count, _) => write!(f, "{count} times {piece}"),
        }
    }
}
