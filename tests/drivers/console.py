"""The console by psycopg2, psycopg, asyncpg and pg8000, as monitoring uses it: the argument is the port."""

import asyncio
import re
import sys
from decimal import Decimal

PORT = int(sys.argv[1])
PLACE = {"host": "127.0.0.1", "port": PORT, "user": "root", "password": "root"}
# Those that always have a row here.
TABLES = ["STATS", "POOLS", "DATABASES", "CONFIG", "CLIENTS", "LISTS", "USERS", "STATS_TOTALS", "TENANTS"]


def psycopg2_as_datadog_does():
    import psycopg2
    from psycopg2 import extras

    connection = psycopg2.connect(**PLACE, database="pgbouncer")
    connection.set_isolation_level(psycopg2.extensions.ISOLATION_LEVEL_AUTOCOMMIT)
    with connection.cursor(cursor_factory=extras.DictCursor) as cursor:
        for table in TABLES + ["SERVERS"]:
            cursor.execute(f"SHOW {table}")
            rows = cursor.fetchall()
            assert rows, table
        cursor.execute("SHOW STATS")
        row = cursor.fetchone()
        assert isinstance(row["total_query_count"], Decimal) and row["total_query_count"] >= 1
        assert isinstance(row["avg_recv"], Decimal)
        cursor.execute("SHOW POOLS")
        row = cursor.fetchone()
        assert row["database"] == "app" and isinstance(row["cl_active"], int)
        cursor.execute("SHOW CLIENTS")
        for row in cursor.fetchall():
            assert re.match(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$", row["connect_time"]), row
        cursor.execute("SHOW VERSION;")
        assert re.findall(r"\d+\.\d+\.\d+", cursor.fetchone()[0])
    connection.close()
    # In a transaction, as it is by default.
    connection = psycopg2.connect(**PLACE, database="pgstrata")
    cursor = connection.cursor()
    cursor.execute("SHOW STATE")
    assert cursor.fetchall()[0] == ("active", "yes")
    connection.commit()
    connection.close()


def psycopg3():
    import psycopg

    for binary in [False, True]:
        with psycopg.connect(f"host=127.0.0.1 port={PORT} user=root password=root dbname=pgstrata") as connection:
            # Often enough to be prepared.
            for _ in range(8):
                for table in TABLES:
                    cursor = connection.cursor(binary=binary)
                    cursor.execute(f"SHOW {table}")
                    assert cursor.fetchall(), table
            row = connection.execute("SHOW STATS", binary=binary).fetchone()
            assert isinstance(row[1], Decimal) and row[3] >= 1, row
            row = connection.execute("SHOW POOLS", binary=binary).fetchone()
            assert row[0] == "app" and isinstance(row[2], int), row
            try:
                connection.execute("foo")
                raise AssertionError("foo is no command")
            except psycopg.errors.SyntaxError as error:
                assert error.diag.message_hint == "SHOW HELP lists the commands."
            connection.rollback()
        with psycopg.connect(
            f"host=127.0.0.1 port={PORT} user=root password=root dbname=pgstrata", autocommit=True
        ) as connection:
            assert connection.execute("PAUSE app").statusmessage == "PAUSE"
            assert connection.execute("SHOW DATABASES").fetchone()[15] == 1
            assert connection.execute("RESUME app").statusmessage == "RESUME"


async def with_asyncpg():
    import asyncpg

    connection = await asyncpg.connect(**PLACE, database="pgstrata")
    for table in TABLES:
        assert await connection.fetch(f"SHOW {table}"), table
    row = await connection.fetchrow("SHOW STATS")
    assert isinstance(row["total_query_count"], Decimal) and row["total_query_count"] >= 1
    row = await connection.fetchrow("SHOW POOLS")
    assert (row["database"], row["sv_active"]) == ("app", 0), row
    assert await connection.execute("PAUSE app") == "PAUSE"
    assert await connection.execute("RESUME app") == "RESUME"
    statement = await connection.prepare("SHOW LISTS")
    assert len(await statement.fetch()) == 14
    await connection.close()


def with_pg8000():
    import pg8000.native

    connection = pg8000.native.Connection("root", host="127.0.0.1", port=PORT, password="root", database="pgbouncer")
    for table in TABLES:
        assert connection.run(f"SHOW {table}"), table
    connection.close()


psycopg2_as_datadog_does()
psycopg3()
asyncio.run(with_asyncpg())
with_pg8000()
print("ok")
