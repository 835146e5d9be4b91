// Go's pgx, its pool and database/sql with lib/pq: the arguments are the tenant's URL and its name.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
	_ "github.com/jackc/pgx/v4/stdlib"
	"github.com/lib/pq"
)

var ctx = context.Background()

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func same(found, expected interface{}, what string) {
	if fmt.Sprint(found) != fmt.Sprint(expected) {
		panic(fmt.Sprintf("%s: found %v, expected %v", what, found, expected))
	}
}

func state(err error, expected string) {
	var ours *pgconn.PgError
	var theirs *pq.Error
	switch {
	case errors.As(err, &ours):
		same(ours.Code, expected, ours.Message)
	case errors.As(err, &theirs):
		same(theirs.Code, expected, theirs.Message)
	default:
		panic(fmt.Sprintf("SQLSTATE %s expected, not %v", expected, err))
	}
}

func withPgx(url, tenant string, simple bool) {
	config, err := pgx.ParseConfig(url)
	must(err)
	config.PreferSimpleProtocol = simple
	conn, err := pgx.ConnectConfig(ctx, config)
	must(err)
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "CREATE TABLE go_notes (id serial PRIMARY KEY, owner text NOT NULL, n integer UNIQUE, tags text[], at timestamptz)")
	must(err)
	for n := 1; n <= 20; n++ {
		var id int
		must(conn.QueryRow(ctx, "INSERT INTO go_notes (owner, n, tags) VALUES ($1, $2, $3) RETURNING id", tenant, n, []string{"a", "b c"}).Scan(&id))
		same(id, n, "RETURNING id")
	}
	var tags []string
	must(conn.QueryRow(ctx, "SELECT tags FROM go_notes WHERE n = $1", 3).Scan(&tags))
	same(len(tags), 2, "tags")
	_, err = conn.Exec(ctx, "SELECT * FROM go_missing")
	state(err, "42P01")

	batch := &pgx.Batch{}
	for n := 21; n <= 40; n++ {
		batch.Queue("INSERT INTO go_notes (owner, n) VALUES ($1, $2)", tenant, n)
		batch.Queue("SELECT owner FROM go_notes WHERE n = $1", n)
	}
	results := conn.SendBatch(ctx, batch)
	for n := 21; n <= 40; n++ {
		_, err = results.Exec()
		must(err)
		var owner string
		must(results.QueryRow().Scan(&owner))
		same(owner, tenant, "a batch's row")
	}
	must(results.Close())

	rows := make([][]interface{}, 1000)
	for n := range rows {
		rows[n] = []interface{}{tenant, 1000 + n}
	}
	copied, err := conn.CopyFrom(ctx, pgx.Identifier{"go_notes"}, []string{"owner", "n"}, pgx.CopyFromRows(rows))
	must(err)
	same(copied, 1000, "copied")

	tx, err := conn.Begin(ctx)
	must(err)
	inner, err := tx.Begin(ctx)
	must(err)
	_, err = inner.Exec(ctx, "INSERT INTO go_notes (owner, n) VALUES ($1, 1)", tenant)
	state(err, "23505")
	must(inner.Rollback(ctx))
	var count int
	must(tx.QueryRow(ctx, "SELECT count(*) FROM go_notes WHERE owner = $1", tenant).Scan(&count))
	same(count, 1040, "rows")
	must(tx.Commit(ctx))
	_, err = conn.Prepare(ctx, "one", "SELECT owner FROM go_notes WHERE n = $1")
	must(err)
	for n := 1; n <= 10; n++ {
		var owner string
		must(conn.QueryRow(ctx, "one", n).Scan(&owner))
		same(owner, tenant, "prepared")
	}
	must(conn.Deallocate(ctx, "one"))
}

func withPool(url, tenant string) {
	pool, err := pgxpool.Connect(ctx, url+"&pool_max_conns=4")
	must(err)
	defer pool.Close()
	var group sync.WaitGroup
	for worker := 0; worker < 8; worker++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for n := 1; n <= 20; n++ {
				var owner string
				must(pool.QueryRow(ctx, "SELECT owner FROM go_notes WHERE n = $1", n).Scan(&owner))
				same(owner, tenant, "the pool's")
			}
		}()
	}
	group.Wait()
}

func withSQL(driver, url, tenant string) {
	db, err := sql.Open(driver, url)
	must(err)
	defer db.Close()
	db.SetMaxOpenConns(3)
	statement, err := db.Prepare("SELECT owner FROM go_notes WHERE n = $1")
	must(err)
	for n := 1; n <= 10; n++ {
		var owner string
		must(statement.QueryRow(n).Scan(&owner))
		same(owner, tenant, driver)
	}
	must(statement.Close())
	tx, err := db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelSerializable})
	must(err)
	result, err := tx.Exec("UPDATE go_notes SET at = now() WHERE owner = $1 AND n <= 40", tenant)
	must(err)
	updated, err := result.RowsAffected()
	must(err)
	same(updated, 40, "updated")
	must(tx.Rollback())
	_, err = db.Exec("SELECT 1 / $1::int", 0)
	state(err, "22012")
	same(db.QueryRow("SELECT 1 FROM go_missing").Err() != nil, true, "an error")
}

// lib/pq has no option for libpq's COPY but a statement of its own.
func copyByPq(url, tenant string) {
	db, err := sql.Open("postgres", url)
	must(err)
	defer db.Close()
	tx, err := db.Begin()
	must(err)
	statement, err := tx.Prepare(pq.CopyIn("go_notes", "owner", "n"))
	must(err)
	for n := 5000; n < 5500; n++ {
		_, err = statement.Exec(tenant, n)
		must(err)
	}
	_, err = statement.Exec()
	must(err)
	must(statement.Close())
	must(tx.Commit())
	var count int
	must(db.QueryRow("SELECT count(*) FROM go_notes WHERE n >= 5000 AND owner = $1", tenant).Scan(&count))
	same(count, 500, "copied by lib/pq")
	_, err = db.Exec("DROP TABLE go_notes")
	must(err)
}

func main() {
	url, tenant := os.Args[1], os.Args[2]
	for _, simple := range []bool{true, false} {
		withPgx(url, tenant, simple)
		withPool(url, tenant)
		withSQL("pgx", url, tenant)
		withSQL("postgres", url+"&sslmode=disable", tenant)
		copyByPq(url+"&sslmode=disable", tenant)
	}
}
