"""psycopg2, pg8000, peewee, Tortoise and SQLModel: the arguments are the library, the tenant's URL and its name."""

import asyncio
import io
import sys
from urllib.parse import parse_qs, urlsplit

LIBRARY, URL, TENANT = sys.argv[1:4]
PARTS = urlsplit(URL)
OPTIONS = parse_qs(PARTS.query)["options"][0]
PLACE = {"host": PARTS.hostname, "port": PARTS.port, "user": "app", "password": "app"}
CREATE = "CREATE TABLE py_notes (id serial PRIMARY KEY, owner text NOT NULL, n integer UNIQUE, tags text[], extra jsonb)"


def fails(error, work):
    try:
        work()
    except error as found:
        return found
    raise AssertionError(f"{error} expected")


def psycopg2():
    import psycopg2
    import psycopg2.errors
    from psycopg2.extras import Json, RealDictCursor, execute_values
    from psycopg2.pool import ThreadedConnectionPool

    connection = psycopg2.connect(URL)
    cursor = connection.cursor()
    cursor.execute(CREATE)
    connection.commit()
    execute_values(cursor, "INSERT INTO py_notes (owner, n, extra) VALUES %s", [(TENANT, n, Json({"n": n})) for n in range(1, 101)])
    connection.commit()
    for n in range(1, 10):
        cursor.execute("SELECT owner, extra FROM py_notes WHERE n = %s", (n,))
        assert cursor.fetchone() == (TENANT, {"n": n})
    cursor.execute("INSERT INTO py_notes (owner, n, tags) VALUES (%s, %s, %s) RETURNING id", (TENANT, 500, ["a", "b c"]))
    assert cursor.fetchone() == (101,)
    cursor.execute("SAVEPOINT one")
    fails(psycopg2.errors.UniqueViolation, lambda: cursor.execute("INSERT INTO py_notes (owner, n) VALUES (%s, 1)", (TENANT,)))
    cursor.execute("ROLLBACK TO one")
    connection.rollback()
    cursor.copy_expert("COPY py_notes (owner, n) FROM STDIN", io.StringIO("".join(f"{TENANT}\t{n}\n" for n in range(1000, 2000))))
    out = io.StringIO()
    cursor.copy_expert("COPY (SELECT owner FROM py_notes WHERE n >= 1000) TO STDOUT", out)
    assert out.getvalue() == f"{TENANT}\n" * 1000
    connection.commit()
    with connection, connection.cursor("rows", cursor_factory=RealDictCursor) as rows:
        rows.itersize = 100
        rows.execute("SELECT owner FROM py_notes")
        assert {row["owner"] for row in rows} == {TENANT}
    connection.autocommit = True
    fails(psycopg2.errors.UndefinedTable, lambda: cursor.execute("SELECT * FROM py_missing"))
    connection.set_session(isolation_level="SERIALIZABLE", readonly=True, autocommit=False)
    fails(psycopg2.errors.ReadOnlySqlTransaction, lambda: cursor.execute("DELETE FROM py_notes"))
    connection.rollback()
    pool = ThreadedConnectionPool(1, 3, URL)
    taken = [pool.getconn() for _ in range(3)]
    for each in taken:
        pool.putconn(each)
    pool.closeall()
    connection.close()


def pg8000():
    import pg8000.dbapi
    import pg8000.native

    # It has no `options`: the tenant is a start-up parameter of its own.
    more = {"startup_params": {"tenant": TENANT}} if "tenant" in OPTIONS else {"startup_params": {"options": OPTIONS}}
    with pg8000.native.Connection(database="app", **PLACE, **more) as native:
        native.run(CREATE)
        for n in range(1, 21):
            assert native.run("INSERT INTO py_notes (owner, n, tags) VALUES (:owner, :n, :tags) RETURNING id", owner=TENANT, n=n, tags=["a"]) == [[n]]
        statement = native.prepare("SELECT owner FROM py_notes WHERE n = :n")
        for n in range(1, 10):
            assert statement.run(n=n) == [[TENANT]]
        statement.close()
        error = fails(pg8000.native.DatabaseError, lambda: native.run("SELECT * FROM py_missing"))
        assert error.args[0]["C"] == "42P01"
        native.run("COPY py_notes (owner, n) FROM STDIN", stream=io.StringIO(f"{TENANT}\t100\n{TENANT}\t101\n"))
    connection = pg8000.dbapi.connect(database="app", **PLACE, **more)
    cursor = connection.cursor()
    cursor.executemany("INSERT INTO py_notes (owner, n) VALUES (%s, %s)", [(TENANT, n) for n in range(200, 300)])
    connection.rollback()
    cursor.execute("SELECT count(*), min(owner) FROM py_notes WHERE owner = %s", (TENANT,))
    assert tuple(cursor.fetchone()) == (22, TENANT)
    connection.commit()
    connection.close()


def peewee():
    import peewee
    from playhouse.postgres_ext import BinaryJSONField, PostgresqlExtDatabase
    from playhouse.reflection import Introspector

    db = PostgresqlExtDatabase("app", options=OPTIONS, **PLACE)

    class Note(peewee.Model):
        owner = peewee.TextField()
        n = peewee.IntegerField(unique=True)
        extra = BinaryJSONField(default=dict)

        class Meta:
            database = db
            table_name = "py_notes"

    class Line(peewee.Model):
        note = peewee.ForeignKeyField(Note, backref="lines", on_delete="CASCADE")
        text = peewee.TextField(index=True)

        class Meta:
            database = db
            table_name = "py_lines"

    db.create_tables([Note, Line])
    Note.insert_many([{"owner": TENANT, "n": n, "extra": {"n": n}} for n in range(1, 51)]).execute()
    note = Note.create(owner=TENANT, n=51)
    assert note.id == 51
    Line.create(note=note, text=TENANT)
    assert [line.text for line in Note.get(Note.n == 51).lines] == [TENANT]
    fails(peewee.IntegrityError, lambda: Note.create(owner=TENANT, n=1))
    with db.atomic() as outer:
        Note.update(owner="x").where(Note.n == 1).execute()
        with db.atomic() as inner:
            Note.delete().execute()
            inner.rollback()
        assert Note.select().count() == 51
        outer.rollback()
    assert [row.owner for row in Note.select(Note.owner).distinct()] == [TENANT]
    Note.insert(owner=TENANT, n=1).on_conflict(conflict_target=[Note.n], update={Note.owner: TENANT}).execute()
    assert {"py_notes", "py_lines"} <= set(db.get_tables(schema=TENANT))
    assert [column.name for column in db.get_columns("py_lines", schema=TENANT)] == ["id", "note_id", "text"]
    assert "py_notes" in Introspector.from_database(db, schema=TENANT).introspect().model_names
    db.drop_tables([Line, Note])
    db.close()


def tortoise():
    from tortoise import Tortoise, fields
    from tortoise.exceptions import IntegrityError
    from tortoise.models import Model
    from tortoise.transactions import in_transaction

    class Note(Model):
        id = fields.IntField(primary_key=True)
        owner = fields.TextField()
        n = fields.IntField(unique=True)
        extra = fields.JSONField(default=dict)

        class Meta:
            table = "py_notes"

    name, _, value = OPTIONS.removeprefix("-c").partition("=")
    credentials = {"database": "app", **PLACE, "server_settings": {name: value}, "minsize": 1, "maxsize": 2}

    async def work():
        module = sys.modules[__name__]
        module.Note = Note
        Note.__module__ = __name__
        await Tortoise.init({"connections": {"default": {"engine": "tortoise.backends.asyncpg", "credentials": credentials}}, "apps": {"models": {"models": ["__main__"], "default_connection": "default"}}})
        await Tortoise.generate_schemas()
        await Note.bulk_create([Note(owner=TENANT, n=n, extra={"n": n}) for n in range(1, 31)])
        assert (await Note.create(owner=TENANT, n=31)).id == 31
        found = await asyncio.gather(*(Note.get(n=n) for n in range(1, 31)))
        assert {note.owner for note in found} == {TENANT}
        try:
            await Note.create(owner=TENANT, n=1)
        except IntegrityError:
            pass
        else:
            raise AssertionError("IntegrityError expected")
        try:
            async with in_transaction():
                await Note.all().delete()
                raise ZeroDivisionError
        except ZeroDivisionError:
            pass
        assert await Note.filter(owner=TENANT, n__gt=1).count() == 30
        assert await Note.filter(n=2).update(extra={}) == 1
        await Tortoise.close_connections()

    asyncio.run(work())


def sqlmodel():
    from sqlalchemy.exc import IntegrityError
    from sqlmodel import Field, Session, SQLModel, create_engine, func, select

    class Note(SQLModel, table=True):
        __tablename__ = "py_notes"
        id: int | None = Field(default=None, primary_key=True)
        owner: str
        n: int = Field(unique=True)

    for dialect in ("postgresql+psycopg2", "postgresql+pg8000"):
        connect_args = {"options": OPTIONS}
        if dialect.endswith("pg8000"):
            connect_args = {"startup_params": {"tenant": TENANT}} if "tenant" in OPTIONS else {"startup_params": {"options": OPTIONS}}
        engine = create_engine(f"{dialect}://app:app@{PARTS.hostname}:{PARTS.port}/app", connect_args=connect_args, pool_size=2)
        SQLModel.metadata.create_all(engine)
        with Session(engine) as session:
            session.add_all([Note(owner=TENANT, n=n) for n in range(1, 31)])
            session.commit()
            assert session.exec(select(Note.owner).distinct()).all() == [TENANT]
            session.add(Note(owner=TENANT, n=1))
            fails(IntegrityError, session.commit)
            session.rollback()
            with session.begin_nested():
                session.get(Note, 1).n = 100
            session.commit()
            assert session.exec(select(func.count()).where(Note.n == 100)).one() == 1
        SQLModel.metadata.drop_all(engine)
        engine.dispose()


globals()[LIBRARY]()
