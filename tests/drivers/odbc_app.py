"""psqlODBC by pyodbc, as its users write it: the arguments are the tenant's URL and its name."""

import decimal
import glob
import sys
from urllib.parse import parse_qs, urlsplit

import pyodbc

URL, TENANT = sys.argv[1:3]
DRIVER = sorted(glob.glob("/usr/lib/*/odbc/psqlodbcw.so"))[0]


def connect(more="", autocommit=False):
    parts = urlsplit(URL)
    # `pqopt` is passed to libpq as it is.
    keys = f"DRIVER={DRIVER};SERVER={parts.hostname};PORT={parts.port};DATABASE=app;UID=app;PWD=app"
    return pyodbc.connect(f"{keys};pqopt={{options='{parse_qs(parts.query)['options'][0]}'}};{more}", autocommit=autocommit)


def fails(state, work):
    try:
        work()
    except pyodbc.Error as error:
        assert error.args[0] == state, error
    else:
        raise AssertionError(f"SQLSTATE {state} expected")


def work(connection, kept):
    cursor = connection.cursor()
    cursor.execute("DROP TABLE IF EXISTS odbc_notes")
    cursor.execute(
        "CREATE TABLE odbc_notes (id serial PRIMARY KEY, owner varchar(40) NOT NULL, n integer UNIQUE, "
        "price numeric(10, 2), at timestamp, raw bytea)"
    )
    connection.commit()
    cursor.fast_executemany = False
    cursor.executemany("INSERT INTO odbc_notes (owner, n) VALUES (?, ?)", [(TENANT, n) for n in range(1, 101)])
    connection.commit()
    assert [row.owner for row in cursor.execute("SELECT DISTINCT owner FROM odbc_notes")] == [TENANT]
    for n in range(1, 12):
        assert tuple(cursor.execute("SELECT owner, n FROM odbc_notes WHERE n = ?", n).fetchone()) == (TENANT, n)
    connection.commit()

    update = "UPDATE odbc_notes SET price = ?, raw = ? WHERE n = ?"
    cursor.execute(update, decimal.Decimal("12.50"), b"\0\1\2", 7)
    assert cursor.rowcount == 1
    row = cursor.execute("SELECT price, raw FROM odbc_notes WHERE n = 7").fetchone()
    assert tuple(row) == (decimal.Decimal("12.50"), b"\0\1\2"), row
    connection.rollback()
    assert tuple(cursor.execute("SELECT price FROM odbc_notes WHERE n = 7").fetchone()) == (None,)

    # An error in the middle: with 7.4-2, the default, the driver has a savepoint for each statement.
    cursor.execute("INSERT INTO odbc_notes (owner, n) VALUES (?, ?)", TENANT, 500)
    fails("23505", lambda: cursor.execute("INSERT INTO odbc_notes (owner, n) VALUES (?, ?)", TENANT, 1))
    fails("42P01", lambda: cursor.execute("SELECT * FROM odbc_missing"))
    found = tuple(cursor.execute("SELECT count(*) FROM odbc_notes").fetchone())
    assert found == (kept,), found
    connection.commit()

    found = [(row.table_schem, row.table_name) for row in cursor.tables(table="odbc_notes")]
    assert found == [(TENANT, "odbc_notes")], found
    columns = [row.column_name for row in cursor.columns(table="odbc_notes", schema=TENANT)]
    assert columns == ["id", "owner", "n", "price", "at", "raw"], columns
    assert [row.column_name for row in cursor.primaryKeys("odbc_notes", schema=TENANT)] == ["id"]
    assert any(row.column_name == "n" for row in cursor.statistics("odbc_notes", schema=TENANT, unique=True))
    assert cursor.execute("DELETE FROM odbc_notes WHERE n > ?", 10).rowcount == kept - 10
    connection.commit()


def main():
    for more, kept in (
        ("Protocol=7.4-2", 101),
        ("Protocol=7.4-1", 100),
        ("UseServerSidePrepare=0", 101),
        ("UseDeclareFetch=1;Fetch=3", 101),
    ):
        connection = connect(more)
        try:
            work(connection, kept)
        except BaseException:
            print(f"failed with {more}", file=sys.stderr)
            raise
        connection.close()
    with connect(autocommit=True) as connection:
        cursor = connection.cursor()
        for n in range(10):
            cursor.execute("INSERT INTO odbc_notes (owner, n) VALUES (?, ?)", TENANT, 700 + n)
        assert tuple(cursor.execute("SELECT count(*) FROM odbc_notes WHERE owner = ?", TENANT).fetchone()) == (20,)
        cursor.execute("DROP TABLE odbc_notes")


main()
