"""psycopg 3 as applications use it: argv[1] and argv[2] are acme_corp's and globex's URLs."""

import sys

import psycopg
from psycopg.rows import dict_row

ACME, GLOBEX = ["Alice", "Bob", "Carol"], ["Hank", "Mindy"]
NAMES = "SELECT name FROM users ORDER BY id"


def names(connection, **options):
    return [row[0] for row in connection.execute(NAMES, **options)]


def interleaved(acme, globex):
    for _ in range(10):
        assert names(acme) == ACME
        assert names(globex) == GLOBEX


def parameters(acme, globex):
    query = "SELECT name FROM users WHERE id = %s AND name <> %s"
    for binary in (False, True):
        for _ in range(8):
            assert acme.execute(query, (1, "x"), binary=binary).fetchone() == ("Alice",)
            assert globex.execute(query, (1, "x"), binary=binary).fetchone() == ("Hank",)


def prepared(acme, globex):
    for _ in range(8):
        assert names(acme, prepare=True) == ACME
        assert names(globex, prepare=True) == GLOBEX


def simple(url_acme, url_globex):
    with (
        psycopg.connect(url_acme, cursor_factory=psycopg.ClientCursor, autocommit=True) as acme,
        psycopg.connect(url_globex, cursor_factory=psycopg.ClientCursor, autocommit=True) as globex,
    ):
        query = "SELECT title FROM posts JOIN users ON users.id = user_id WHERE users.name = %s"
        for _ in range(5):
            assert acme.execute(query, ("Alice",)).fetchall() == [("Rocket skates",)]
            assert globex.execute(query, ("Hank",)).fetchall() == [("Hammocks",)]
            assert acme.execute(query, ("Hank",)).fetchall() == []


def pipeline(acme, globex):
    with acme.pipeline() as left, globex.pipeline():
        cursors = [(acme.execute(NAMES), globex.execute(NAMES)) for _ in range(20)]
        left.sync()
        for mine, theirs in cursors:
            assert [row[0] for row in mine.fetchall()] == ACME
            assert [row[0] for row in theirs.fetchall()] == GLOBEX


def copy(acme, globex):
    with acme.cursor().copy("COPY users (name, email) FROM STDIN") as rows:
        for number in range(2000):
            rows.write_row((f"copied {number}", f"copied-{number}@acme.example"))
    with acme.cursor().copy("COPY (SELECT name FROM users WHERE name LIKE 'copied%') TO STDOUT") as rows:
        assert sum(1 for _ in rows.rows()) == 2000
    with globex.cursor().copy("COPY users (name) TO STDOUT") as rows:
        assert [row[0] for row in rows.rows()] == GLOBEX
    assert acme.execute("DELETE FROM users WHERE name LIKE 'copied%'").rowcount == 2000


def server_cursor(acme, globex):
    with acme.transaction(), globex.transaction():
        with acme.cursor("mine") as mine, globex.cursor("mine") as theirs:
            mine.execute(NAMES)
            theirs.execute(NAMES)
            assert mine.fetchone() == ("Alice",) and theirs.fetchone() == ("Hank",)
            assert mine.fetchmany(5) == [("Bob",), ("Carol",)] and theirs.fetchall() == [("Mindy",)]


def transactions(acme, globex):
    insert = "INSERT INTO users (name, email) VALUES (%s, %s) RETURNING id"
    try:
        with acme.transaction():
            acme.execute(insert, ("Dora", "dora@acme.example"))
            assert names(globex) == GLOBEX
            raise ZeroDivisionError
    except ZeroDivisionError:
        pass
    assert names(acme) == ACME
    with globex.transaction():
        try:
            with globex.transaction():
                globex.execute("SELECT 1 / 0")
        except psycopg.errors.DivisionByZero:
            pass
        globex.execute(insert, ("Otto", "otto@globex.example"))
    assert names(globex) == GLOBEX + ["Otto"]
    assert globex.execute("DELETE FROM users WHERE name = 'Otto'").rowcount == 1


def types(acme, globex):
    row = acme.cursor(row_factory=dict_row).execute("SELECT * FROM users WHERE id = 1").fetchone()
    assert row == {"id": 1, "name": "Alice", "email": "alice@acme.example"}
    assert globex.execute("SELECT current_schema()").fetchone() == ("globex",)
    assert acme.execute("SELECT count(*) FROM plans").fetchone() == (3,)


def main():
    url_acme, url_globex = sys.argv[1:3]
    for threshold in (None, 0, 1, 5):
        options = {"autocommit": True, "prepare_threshold": threshold}
        with psycopg.connect(url_acme, **options) as acme, psycopg.connect(url_globex, **options) as globex:
            for step in (interleaved, parameters, prepared, pipeline, copy, server_cursor, transactions, types):
                try:
                    step(acme, globex)
                except BaseException:
                    print(f"{step.__name__} failed with prepare_threshold={threshold}", file=sys.stderr)
                    raise
    simple(url_acme, url_globex)


main()
