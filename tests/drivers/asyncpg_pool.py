"""An application on asyncpg's pool: argv[1] and argv[2] are acme_corp's and globex's URLs."""

import asyncio
import io
import json
import sys

import asyncpg

TENANTS = ["acme_corp", "globex"]
PUBLIC = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY relname"
TYPES = """
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE TYPE place AS (street text, number integer, mood mood);
CREATE DOMAIN percent AS integer CHECK (VALUE BETWEEN 0 AND 100);
CREATE TYPE span AS RANGE (subtype = float8);
CREATE TABLE items (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE, mood mood, moods mood[],
    place place, places place[], part percent, span span, details jsonb, seen timestamptz DEFAULT now()
)
"""
DROP = "DROP TABLE items; DROP TYPE span; DROP DOMAIN percent; DROP TYPE place; DROP TYPE mood"


async def both(pools, work):
    """The same work in both tenants at once."""
    await asyncio.gather(*(work(pool, tenant) for pool, tenant in zip(pools, TENANTS)))


async def refused(error, awaitable):
    try:
        await awaitable
    except error as found:
        return found
    raise AssertionError(f"{error.__name__} expected")


async def set_up(pools):
    for number, pool in enumerate(pools):
        for other in pools[number:]:
            assert await other.fetchval("SELECT to_regclass('items')") is None
        await pool.execute(TYPES)


async def types(pools):
    async def work(pool, tenant):
        home = (tenant, 7, "good")
        insert = "INSERT INTO items (name, mood, moods, place, places, part, span) VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING *"
        values = [tenant, "bad", ["good", "bad"], home, [home, home], 50, asyncpg.Range(0.5, 1.5)]
        async with pool.acquire() as connection:
            row = await connection.fetchrow(insert, *values)
            assert list(row.values())[1:5] == [tenant, "bad", ["good", "bad"], home]
            assert row["places"][1]["street"] == tenant and row["part"] == 50 and row["span"].upper == 1.5
            await refused(asyncpg.CheckViolationError, connection.fetchrow(insert, "other", *values[1:5], 101, None))
            statement = await connection.prepare("SELECT place, moods, part FROM items WHERE mood = $1")
            assert [each.type.name for each in statement.get_attributes()] == ["place", "mood[]", "int4"]
            assert [each.type.schema for each in statement.get_attributes()][0] == tenant
            assert [each.name for each in statement.get_parameters()] == ["mood"]

    await both(pools, work)


async def codecs(pools):
    """The same codec by name, a type of its own in each tenant's schema."""

    async def work(pool, tenant):
        async with pool.acquire() as connection:
            await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
            await connection.set_type_codec("mood", encoder=str.lower, decoder=str.upper, schema=tenant)
            await connection.execute("UPDATE items SET details = $1, mood = $2", {"tenant": tenant}, "GOOD")
            row = await connection.fetchrow("SELECT details, mood FROM items")
            assert (row["details"], row["mood"]) == ({"tenant": tenant}, "GOOD")
            await connection.reset_type_codec("mood", schema=tenant)
            await connection.reset_type_codec("jsonb", schema="pg_catalog")

    await both(pools, work)


async def copies(pools):
    async def work(pool, tenant):
        records = [(f"{tenant} {number}", ["good"] * (number % 3)) for number in range(3000)]
        async with pool.acquire() as connection:
            await connection.copy_records_to_table("items", records=records, columns=["name", "moods"])
            assert await connection.fetchval("SELECT count(*) FROM items") == 3001
            output = io.BytesIO()
            query = "SELECT name FROM items WHERE name LIKE $1 ORDER BY id"
            await connection.copy_from_query(query, f"{tenant} %", output=output)
            assert output.getvalue().decode().split("\n")[:-1] == [name for name, _ in records]
            whole = io.BytesIO()
            await connection.copy_from_table("items", columns=["name", "part"], output=whole, format="csv", header=True)
            assert whole.getvalue().startswith(b"name,part\n") and whole.getvalue().count(b"\n") == 3002
            source = io.BytesIO(f"{tenant} csv,3\n".encode())
            await connection.copy_to_table("items", source=source, columns=["name", "part"], format="csv")
            twice = connection.copy_records_to_table("items", records=records[:1], columns=["name", "moods"])
            await refused(asyncpg.UniqueViolationError, twice)
            named = connection.copy_records_to_table("items", records=[("x", 1)], columns=["name", "part"], schema_name=tenant)
            assert await named == "COPY 1"

    await both(pools, work)


async def many(pools):
    async def work(pool, tenant):
        await pool.executemany("INSERT INTO items (name, part) VALUES ($1, $2)", [(f"many {n}", n) for n in range(101)])
        bad = [("fine", 1), ("bad", 200)]
        await refused(asyncpg.CheckViolationError, pool.executemany("INSERT INTO items (name, part) VALUES ($1, $2)", bad))
        assert await pool.fetchval("SELECT sum(part) FROM items WHERE name LIKE 'many%'") == 5050
        assert await pool.fetchval("SELECT count(*) FROM items WHERE name = 'fine'") == 0
        async with pool.acquire() as connection:
            update = "UPDATE items SET part = part - $2 WHERE name = $1 RETURNING part"
            rows = await connection.fetchmany(update, [(f"many {n}", 0) for n in range(10)])
            assert [row["part"] for row in rows] == list(range(10))
        assert await pool.execute("DELETE FROM items WHERE name LIKE 'many%'") == "DELETE 101"

    await both(pools, work)


async def cursors(pools):
    async with pools[0].acquire() as acme, pools[1].acquire() as globex:
        query = "SELECT n, current_schema() AS schema FROM generate_series(1, $1::integer) AS n"
        async with acme.transaction(), globex.transaction(readonly=True):
            mine, theirs = await acme.cursor(query, 500), await globex.cursor(query, 500)
            for start in range(1, 400, 100):
                left, right = await asyncio.gather(mine.fetch(100), theirs.fetch(100))
                assert left == [(n, "acme_corp") for n in range(start, start + 100)]
                assert right == [(n, "globex") for n in range(start, start + 100)]
            assert await mine.forward(50) == 50 and (await mine.fetchrow())["n"] == 451
            statement = await globex.prepare("SELECT name FROM items ORDER BY id")
            names = [row["name"] async for row in statement.cursor(prefetch=70)]
            assert len(names) > 3000 and names[0] == "globex"


async def transactions(pools):
    async def work(pool, tenant):
        async with pool.acquire() as connection:
            for level in ("serializable", "repeatable_read", "read_committed"):
                async with connection.transaction(isolation=level):
                    assert await connection.fetchval("SHOW transaction_isolation") == level.replace("_", " ")
                    assert await connection.fetchval("SELECT name FROM items WHERE id = 1") == tenant
            assert await connection.fetchval("SHOW transaction_isolation") == "read committed"
            async with connection.transaction():
                await connection.execute("UPDATE items SET part = 1 WHERE id = 1")

                async def inner():
                    async with connection.transaction():
                        await connection.execute("UPDATE items SET part = 2 WHERE id = 1")
                        await connection.execute("UPDATE items SET part = 1000 WHERE id = 1")

                await refused(asyncpg.CheckViolationError, inner())
                assert await connection.fetchval("SELECT part FROM items WHERE id = 1") == 1

            async def read_only():
                async with connection.transaction(readonly=True, isolation="serializable", deferrable=True):
                    await connection.execute("UPDATE items SET part = 3")

            await refused(asyncpg.ReadOnlySQLTransactionError, read_only())
            await refused(asyncpg.QueryCanceledError, cancelled(connection))
            await refused(TimeoutError, connection.fetch("SELECT pg_sleep(30)", timeout=0.2))
            assert await connection.fetchval("SELECT part FROM items WHERE id = 1") == 1

    await both(pools, work)


async def cancelled(connection):
    async with connection.transaction():
        await connection.execute("SET LOCAL statement_timeout = '50ms'")
        await connection.execute("SELECT pg_sleep(30)")


async def cache(pools):
    """asyncpg's statement cache, with DDL on this connection and on another one in between."""

    async def work(pool, tenant):
        query = "SELECT * FROM items WHERE id = $1"
        async with pool.acquire() as connection, pool.acquire() as other:
            width = len(await connection.fetchrow(query, 1))
            for ddl, more in (("ADD COLUMN note text DEFAULT 'x'", 1), ("DROP COLUMN note", 0)):
                await connection.execute(f"ALTER TABLE items {ddl}")
                assert len(await connection.fetchrow(query, 1)) == width + more
            await connection.reload_schema_state()
            for ddl, more in (("ADD COLUMN note text DEFAULT 'x'", 1), ("DROP COLUMN note", 0)):
                await other.execute(f"ALTER TABLE items {ddl}")
                assert len(await connection.fetchrow(query, 1)) == width + more

    await both(pools, work)


async def resets(pools):
    """What one user of a connection leaves behind, the next one does not find."""

    async def work(pool, tenant):
        async with pool.acquire() as connection:
            query = connection.get_reset_query()
            assert "RESET ALL" in query and "UNLISTEN *" in query and "pg_advisory_unlock_all" in query
        for _ in range(20):
            async with pool.acquire() as connection:
                assert await connection.fetchval("SHOW work_mem") != "77MB"
                assert await connection.fetchval("SELECT current_schema()") == tenant
                assert connection.get_settings().application_name == tenant
                assert await connection.fetchval("SHOW application_name") == tenant
                await connection.execute("SET work_mem = '77MB'")
                assert await connection.fetchval("SHOW work_mem") == "77MB"

    await both(pools, work)


async def locks(pools):
    """A session's lock goes when its connection is given back."""

    async def work(pool, tenant):
        number = 4711 if tenant == "acme_corp" else 4712
        async with pool.acquire() as connection:
            assert await connection.fetchval("SELECT pg_try_advisory_lock($1)", number)
        async with pool.acquire() as connection:
            async with connection.transaction():
                assert await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", number)
            await pool.expire_connections()

    for pool, tenant in zip(pools, TENANTS):
        await work(pool, tenant)


async def crowd(pools):
    async def work(pool, tenant):
        async def one(number):
            async with pool.acquire() as connection:
                found = await connection.fetchrow("SELECT name, place FROM items WHERE id = $1", 1)
                assert found["name"] == found["place"]["street"] == tenant
                async with connection.transaction():
                    insert = "INSERT INTO items (name) VALUES ($1) RETURNING current_schema()"
                    assert await connection.fetchval(insert, f"crowd {number}") == tenant

        await asyncio.gather(*(one(number) for number in range(60)))
        assert await pool.fetchval("SELECT count(*) FROM items WHERE name LIKE 'crowd%'") == 60

    await both(pools, work)


async def listeners(pools):
    """A tenant's channel is its own."""
    heard = {tenant: asyncio.Queue() for tenant in TENANTS}
    async with pools[0].acquire() as acme, pools[1].acquire() as globex:
        connections = dict(zip(TENANTS, (acme, globex)))
        callbacks = {}
        for tenant, connection in connections.items():
            callbacks[tenant] = lambda *call, tenant=tenant: heard[tenant].put_nowait(call[2:])
            await connection.add_listener("news", callbacks[tenant])
        await pools[0].execute("SELECT pg_notify('news', $1)", "for acme")
        await pools[1].execute("NOTIFY news, 'for globex'")
        for tenant, expected in zip(TENANTS, ("for acme", "for globex")):
            assert await asyncio.wait_for(heard[tenant].get(), 10) == ("news", expected)
        await asyncio.sleep(0.2)
        assert all(queue.empty() for queue in heard.values())
        for tenant, connection in connections.items():
            await connection.remove_listener("news", callbacks[tenant])


async def main():
    steps = [set_up, types, codecs, copies, many, cursors, transactions, cache, resets, crowd, locks, listeners]
    pools = []
    for url, tenant in zip(sys.argv[1:3], TENANTS):
        settings = {"application_name": tenant, "statement_timeout": "60s"}
        pools.append(await asyncpg.create_pool(url, min_size=2, max_size=4, server_settings=settings))
    public = await pools[0].fetch(PUBLIC)
    for step in steps:
        try:
            await step(pools)
        except BaseException:
            print(f"{step.__name__} failed", file=sys.stderr)
            raise
        print(step.__name__, "passed")
    await both(pools, lambda pool, _: pool.execute(DROP))
    assert await pools[1].fetch(PUBLIC) == public
    for pool in pools:
        await pool.close()


asyncio.run(asyncio.wait_for(main(), 120))
