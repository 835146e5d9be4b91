"""Large objects as psycopg2 uses them, by libpq's FunctionCall: argv[1] is the URL of a user who may, argv[2] of one who may not."""

import sys

import psycopg2

DATA = bytes(range(256)) * 4096


def written_and_read(url):
    with psycopg2.connect(url) as connection:
        made = connection.lobject(0, "wb")
        assert made.write(DATA) == len(DATA)
        made.close()
        oid = made.oid
        connection.commit()
        read = connection.lobject(oid, "rb")
        assert read.read() == DATA
        assert read.seek(100) == 100 and read.tell() == 100
        assert read.read(4) == DATA[100:104]
        read.close()
        changed = connection.lobject(oid, "rwb")
        changed.truncate(10)
        changed.close()
        connection.commit()
        cursor = connection.cursor()
        cursor.execute("SELECT lo_get(%s)", (oid,))
        assert bytes(cursor.fetchone()[0]) == DATA[:10]
        # In the middle of a transaction that does other things, and that fails.
        cursor.execute("CREATE TABLE files (id int, object oid)")
        cursor.execute("INSERT INTO files VALUES (1, %s)", (oid,))
        connection.lobject(oid, "rb").close()
        try:
            connection.lobject(4294967295, "rb")
            raise AssertionError("an object that is not there was opened")
        except psycopg2.OperationalError as error:
            assert "does not exist" in str(error), error
        connection.rollback()
        cursor.execute("SELECT name FROM users ORDER BY id")
        assert [name for (name,) in cursor.fetchall()] == ["Alice", "Bob", "Carol"]
        connection.lobject(oid).unlink()
        connection.commit()


def refused(url):
    with psycopg2.connect(url) as connection:
        try:
            connection.lobject(0, "wb")
            raise AssertionError("it was let through")
        except psycopg2.Error as error:
            assert "permission denied" in str(error), error
        connection.rollback()
        cursor = connection.cursor()
        cursor.execute("SELECT name FROM users ORDER BY id")
        assert len(cursor.fetchall()) == 3


written_and_read(sys.argv[1])
refused(sys.argv[2])
