"""asyncpg as applications use it: argv[1] and argv[2] are acme_corp's and globex's URLs."""

import asyncio
import sys

import asyncpg

ACME, GLOBEX = ["Alice", "Bob", "Carol"], ["Hank", "Mindy"]
NAMES = "SELECT name FROM users ORDER BY id"


async def names(connection):
    return [row["name"] for row in await connection.fetch(NAMES)]


async def prepared(acme, globex):
    query = "SELECT name FROM users WHERE id = $1"
    mine, theirs = await acme.prepare(query), await globex.prepare(query)
    for _ in range(10):
        assert await mine.fetchval(1) == "Alice"
        assert await theirs.fetchval(1) == "Hank"
    assert await acme.fetchval("SELECT count(*) FROM plans") == 3


async def introspection(acme, globex):
    """Types that asyncpg doesn't know make it ask the catalog."""
    for connection, other in ((acme, globex), (globex, acme)):
        await connection.execute("CREATE TYPE mood AS ENUM ('good', 'bad')")
        await connection.execute("CREATE TABLE moods (id integer, mood mood, moods mood[])")
        await connection.execute("INSERT INTO moods VALUES ($1, $2, $3)", 1, "good", ["bad", "good"])
        row = await connection.fetchrow("SELECT * FROM moods")
        assert (row["mood"], row["moods"]) == ("good", ["bad", "good"])
        assert await other.fetchval("SELECT to_regclass('moods') IS NULL") is (connection is acme)
    for connection in (acme, globex):
        await connection.execute("DROP TABLE moods")
        await connection.execute("DROP TYPE mood")


async def copy(acme, globex):
    records = [(f"copied {number}", f"copied-{number}@globex.example") for number in range(2000)]
    await globex.copy_records_to_table("users", records=records, columns=["name", "email"])
    assert await globex.fetchval("SELECT count(*) FROM users") == 2002
    assert await names(acme) == ACME
    received = []

    async def sink(data):
        received.append(data)

    await globex.copy_from_query("SELECT name FROM users WHERE id <= 2 ORDER BY id", output=sink)
    assert b"".join(received).decode().split() == GLOBEX
    await globex.execute("DELETE FROM users WHERE name LIKE 'copied%'")


async def transactions(acme, globex):
    insert = "INSERT INTO users (name, email) VALUES ($1, $2)"
    transaction = acme.transaction()
    await transaction.start()
    await acme.execute(insert, "Dora", "dora@acme.example")
    assert await names(globex) == GLOBEX
    async with acme.transaction():
        assert await names(acme) == ACME + ["Dora"]
    await transaction.rollback()
    assert await names(acme) == ACME
    async with globex.transaction():
        cursor = await globex.cursor(NAMES)
        assert (await cursor.fetchrow())["name"] == "Hank"


async def pools(url_acme, url_globex):
    """A pool's connections run RESET ALL when they go back: the tenant must stay."""
    async with asyncpg.create_pool(url_acme, min_size=3, max_size=5) as acme:
        async with asyncpg.create_pool(url_globex, min_size=3, max_size=5) as globex:

            async def work(pool, expected):
                for _ in range(10):
                    async with pool.acquire() as connection:
                        assert await names(connection) == expected

            jobs = [work(acme, ACME) for _ in range(8)] + [work(globex, GLOBEX) for _ in range(8)]
            await asyncio.gather(*jobs)


async def main():
    url_acme, url_globex = sys.argv[1:3]
    acme, globex = await asyncpg.connect(url_acme), await asyncpg.connect(url_globex)
    for step in (prepared, introspection, copy, transactions):
        try:
            await step(acme, globex)
        except BaseException:
            print(f"{step.__name__} failed", file=sys.stderr)
            raise
    await acme.close()
    await globex.close()
    await pools(url_acme, url_globex)


asyncio.run(asyncio.wait_for(main(), 120))
