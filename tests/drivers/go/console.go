// The console by lib/pq, as pgbouncer_exporter reads it, and by pgx: the argument is the port.
package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strconv"

	"github.com/jackc/pgx/v4"
	_ "github.com/lib/pq"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// A value as the exporter makes a number of it.
func number(value interface{}) float64 {
	switch value := value.(type) {
	case int64:
		return float64(value)
	case float64:
		return value
	case []byte:
		number, err := strconv.ParseFloat(string(value), 64)
		must(err)
		return number
	case nil:
		return 0
	}
	panic(fmt.Sprintf("%T is no number", value))
}

func label(value interface{}) string {
	switch value := value.(type) {
	case int64:
		return strconv.FormatInt(value, 10)
	case string:
		return value
	case nil:
		return ""
	}
	panic(fmt.Sprintf("%T is no label", value))
}

func read(db *sql.DB, table string, labels, numbers []string) map[string]float64 {
	rows, err := db.Query("SHOW " + table + ";")
	must(err)
	defer rows.Close()
	columns, err := rows.Columns()
	must(err)
	found := map[string]float64{}
	for rows.Next() {
		values := make([]interface{}, len(columns))
		places := make([]interface{}, len(columns))
		for at := range values {
			places[at] = &values[at]
		}
		must(rows.Scan(places...))
		at := map[string]interface{}{}
		for n, name := range columns {
			at[name] = values[n]
		}
		for _, name := range labels {
			value, there := at[name]
			if !there {
				panic(table + " has no " + name)
			}
			label(value)
		}
		for _, name := range numbers {
			value, there := at[name]
			if !there {
				panic(table + " has no " + name)
			}
			found[name] += number(value)
		}
	}
	must(rows.Err())
	return found
}

func withPq(port string) {
	db, err := sql.Open("postgres", "postgres://watcher:watcher@127.0.0.1:"+port+"/pgbouncer?sslmode=disable")
	must(err)
	defer db.Close()
	rows, err := db.Query("SHOW STATS")
	must(err)
	rows.Close()
	db.SetMaxOpenConns(1)
	read(db, "databases", []string{"name", "host", "port", "database", "force_user", "pool_mode"},
		[]string{"pool_size", "reserve_pool_size", "max_connections", "current_connections", "paused", "disabled"})
	stats := read(db, "stats_totals", []string{"database"},
		[]string{"query_count", "query_time", "bytes_received", "bytes_sent", "wait_time", "xact_count", "xact_time",
			"client_parse_count", "server_parse_count", "bind_count", "server_assignment_count"})
	if stats["query_count"] < 1 {
		panic("nothing is counted")
	}
	read(db, "pools", []string{"database", "user"},
		[]string{"cl_active", "cl_active_cancel_req", "cl_waiting", "cl_waiting_cancel_req", "sv_active",
			"sv_active_cancel", "sv_being_canceled", "sv_idle", "sv_used", "sv_tested", "sv_login", "maxwait"})
	read(db, "lists", []string{"list"}, []string{"items"})
	read(db, "clients", []string{"database", "user", "state", "application_name"}, nil)
	read(db, "version", []string{"version"}, nil)
}

func withPgx(port string) {
	ctx := context.Background()
	for _, simple := range []bool{false, true} {
		config, err := pgx.ParseConfig("postgres://root:root@127.0.0.1:" + port + "/pgstrata?sslmode=disable")
		must(err)
		config.PreferSimpleProtocol = simple
		conn, err := pgx.ConnectConfig(ctx, config)
		must(err)
		must(conn.Ping(ctx))
		for n := 0; n < 3; n++ {
			rows, err := conn.Query(ctx, "SHOW POOLS")
			must(err)
			for rows.Next() {
				values, err := rows.Values()
				must(err)
				if values[0] != "app" {
					panic(fmt.Sprint(values))
				}
			}
			must(rows.Err())
		}
		tag, err := conn.Exec(ctx, "PAUSE app")
		must(err)
		if tag.String() != "PAUSE" {
			panic(tag)
		}
		_, err = conn.Exec(ctx, "RESUME app")
		must(err)
		must(conn.Close(ctx))
	}
}

func main() {
	withPq(os.Args[1])
	withPgx(os.Args[1])
	fmt.Println("ok")
}
