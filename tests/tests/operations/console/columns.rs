//! PgBouncer 1.25's tables: names, columns in their order, types. And what its exporter reads of them.

use tokio_postgres::types::Type;

use super::{ask, console, log_in, stage};
use pgstrata_tests::stage::connect;

/// PgBouncer's letters for types: `s` and `T` text, `i` int4, `q` int8, `N` numeric, `b` bytea.
const TABLES: [(&str, &str, &str); 21] = [
    (
        "DATABASES",
        "ssissiiiissiiiiii",
        "name host port database force_user pool_size min_pool_size reserve_pool_size server_lifetime pool_mode \
         load_balance_hosts max_connections current_connections max_client_connections current_client_connections \
         paused disabled",
    ),
    ("PEERS", "isii", "peer_id host port pool_size"),
    ("LISTS", "si", "list items"),
    (
        "USERS",
        "ssssiiii",
        "name pool_size reserve_pool_size pool_mode max_user_connections current_connections \
         max_user_client_connections current_client_connections",
    ),
    ("CLIENTS", SOCKET_TYPES, SOCKET),
    ("SERVERS", SOCKET_TYPES, SOCKET),
    (
        "SOCKETS",
        "ssssssisiTTiiississiiiiiiiii",
        "type user database replication state addr port local_addr local_port connect_time request_time wait wait_us \
         close_needed ptr link remote_pid tls application_name prepared_statements id recv_pos pkt_pos pkt_remain \
         send_pos send_remain pkt_avail send_avail",
    ),
    ("ACTIVE_SOCKETS", SOCKET_TYPES, SOCKET),
    (
        "POOLS",
        "ssiiiiiiiiiiiiiss",
        "database user cl_active cl_waiting cl_active_cancel_req cl_waiting_cancel_req sv_active sv_active_cancel \
         sv_being_canceled sv_idle sv_used sv_tested sv_login maxwait maxwait_us pool_mode load_balance_hosts",
    ),
    ("PEER_POOLS", "iiiii", "peer_id cl_active_cancel_req cl_waiting_cancel_req sv_active_cancel sv_login"),
    ("MEM", "siiii", "name size used free memtotal"),
    ("STATE", "ss", "key value"),
    ("DNS_HOSTS", "sqs", "hostname ttl addrs"),
    ("DNS_ZONES", "sqi", "zonename serial count"),
    ("CONFIG", "ssss", "key value default changeable"),
    ("VERSION", "s", "version"),
    (
        "FDS",
        "issssiqisssssbb",
        "fd task user database addr port cancel link client_encoding std_strings datestyle timezone password \
         scram_client_key scram_server_key",
    ),
    (
        "STATS",
        "sNNNNNNNNNNNNNNNNNNNNNNNN",
        "database total_server_assignment_count total_xact_count total_query_count total_received total_sent \
         total_xact_time total_query_time total_wait_time total_client_parse_count total_server_parse_count \
         total_bind_count total_client_login_count avg_server_assignment_count avg_xact_count avg_query_count avg_recv \
         avg_sent avg_xact_time avg_query_time avg_wait_time avg_client_parse_count avg_server_parse_count \
         avg_bind_count avg_client_login_count",
    ),
    (
        "STATS_TOTALS",
        "sNNNNNNNNNNNN",
        "database server_assignment_count xact_count query_count bytes_received bytes_sent xact_time query_time \
         wait_time client_parse_count server_parse_count bind_count client_login_count",
    ),
    (
        "STATS_AVERAGES",
        "sNNNNNNNNNNNN",
        "database server_assignment_count xact_count query_count bytes_received bytes_sent xact_time query_time \
         wait_time avg_client_parse_count avg_server_parse_count avg_bind_count avg_client_login_count",
    ),
    ("TOTALS", "sN", "name value"),
];

const SOCKET_TYPES: &str = "ssssssisiTTiiississii";
const SOCKET: &str = "type user database replication state addr port local_addr local_port connect_time request_time \
                      wait wait_us close_needed ptr link remote_pid tls application_name prepared_statements id";

/// What prometheus-community/pgbouncer_exporter takes a number from, by table.
const EXPORTED: [(&str, &str); 3] = [
    ("databases", "pool_size reserve_pool_size max_connections current_connections paused disabled"),
    (
        "stats_totals",
        "query_count query_time bytes_received bytes_sent wait_time xact_count xact_time client_parse_count \
         server_parse_count bind_count server_assignment_count",
    ),
    (
        "pools",
        "cl_active cl_active_cancel_req cl_waiting cl_waiting_cancel_req sv_active sv_active_cancel \
         sv_being_canceled sv_idle sv_used sv_tested sv_login maxwait",
    ),
];

/// What it takes labels from.
const LABELS: [(&str, &str); 3] = [
    ("databases", "name host port database force_user pool_mode"),
    ("stats_totals", "database"),
    ("pools", "database user"),
];

/// The lists that it reads.
const LISTS: &str = "databases users pools free_clients used_clients login_clients free_servers used_servers dns_names \
                     dns_zones dns_queries";

fn type_of(letter: char) -> Type {
    match letter {
        's' | 'T' => Type::TEXT,
        'i' => Type::INT4,
        'q' => Type::INT8,
        'N' => Type::NUMERIC,
        'b' => Type::BYTEA,
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_have_pgbouncers_columns_in_its_order_and_types() {
    let stage = stage().await;
    let _tenant = stage.client("acme_corp").await.query("SELECT 1", &[]).await.unwrap();
    let mut config = stage.config(None);
    let client = connect(config.user("root").password("root").dbname("pgbouncer")).await.unwrap();
    for (table, types, names) in TABLES {
        let names: Vec<&str> = names.split_whitespace().collect();
        assert_eq!(names.len(), types.len(), "{table}: the list itself");
        let statement = client.prepare(&format!("SHOW {table}")).await.unwrap();
        let columns = statement.columns();
        for (at, (name, letter)) in names.iter().zip(types.chars()).enumerate() {
            let column = &columns[at];
            assert_eq!((column.name(), column.type_()), (*name, &type_of(letter)), "{table}");
        }
        // More may stand behind them.
        let own = columns[names.len()..].iter().map(|column| column.name());
        let more = match table {
            "CLIENTS" => vec!["tenant", "transaction", "pins", "query"],
            "SERVERS" => vec!["tenant", "client"],
            "ACTIVE_SOCKETS" => {
                vec![
                    "recv_pos", "pkt_pos", "pkt_remain", "send_pos", "send_remain", "pkt_avail", "send_avail",
                ]
            }
            _ => vec![],
        };
        assert_eq!(own.collect::<Vec<_>>(), more, "{table}");
        // Each row is read in binary, as the driver wants it.
        client.query(&statement, &[]).await.unwrap_or_else(|error| panic!("{table}: {error}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_protocols_show_the_same() {
    let stage = stage().await;
    let mut root = console(&stage).await;
    for (table, ..) in TABLES {
        // These have times and sizes in them.
        if ["CLIENTS", "SERVERS", "SOCKETS", "ACTIVE_SOCKETS", "STATS", "STATS_AVERAGES", "MEM"]
            .contains(&table)
        {
            continue;
        }
        let text = format!("SHOW {table}");
        let simple = ask(&mut root, &text).await;
        let extended = root.parse("", &text).describe("").bind("", &[]).execute().sync().answer().await;
        assert_eq!(extended.rows(), simple.rows(), "{table}");
        assert_eq!(extended.columns(), simple.columns(), "{table}");
        assert_eq!((simple.commands(), extended.commands()), (vec!["SHOW".into()], vec!["SHOW".into()]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exporters_queries_give_each_column_that_it_maps() {
    let stage = stage().await;
    stage.client("acme_corp").await.query("SELECT * FROM users", &[]).await.unwrap();
    let mut console = log_in(stage.port(), "watcher", "pgbouncer").await.unwrap();
    for ((table, numbers), (_, labels)) in EXPORTED.into_iter().zip(LABELS) {
        let answer = ask(&mut console, &format!("SHOW {table};")).await;
        let (names, rows) = (answer.columns(), answer.rows());
        assert!(!rows.is_empty(), "{table}");
        for row in &rows {
            let of = |name: &str| {
                &row[names.iter().position(|known| known == name).unwrap_or_else(|| panic!("{name}"))]
            };
            for name in numbers.split_whitespace() {
                of(name).parse::<f64>().unwrap_or_else(|_| panic!("{table}.{name} is {}", of(name)));
            }
            for name in labels.split_whitespace() {
                of(name);
            }
        }
    }
    let lists = ask(&mut console, "SHOW LISTS;").await.rows();
    for name in LISTS.split_whitespace() {
        let row = lists.iter().find(|row| row[0] == name).unwrap_or_else(|| panic!("{name}"));
        row[1].parse::<f64>().unwrap();
    }
    let config = ask(&mut console, "SHOW CONFIG;").await.rows();
    for name in ["max_client_conn", "max_user_connections"] {
        let row = config.iter().find(|row| row[0] == name).unwrap_or_else(|| panic!("{name}"));
        assert!(row.len() == 4 && row[1].parse::<f64>().is_ok(), "{row:?}");
    }
    let clients = ask(&mut console, "SHOW CLIENTS;").await.columns();
    for name in ["database", "user", "state", "application_name"] {
        assert!(clients.iter().any(|known| known == name), "{name}");
    }
    let version = ask(&mut console, "SHOW VERSION;").await;
    assert_eq!(version.columns(), ["version"]);
    assert!(version.value().starts_with("pgstrata 0."), "{}", version.value());
}
