"""An application on SQLAlchemy 2 and Alembic: argv[1] and argv[2] are acme_corp's and globex's URLs."""

import asyncio
import datetime
import decimal
import enum
import sys
import tempfile
import threading
from pathlib import Path

import alembic.command
import alembic.config
import asyncpg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, selectinload

TENANTS = ["acme_corp", "globex"]
PUBLIC = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY relname"


class Base(DeclarativeBase):
    pass


class State(enum.Enum):
    open = "open"
    paid = "paid"


class Customer(Base):
    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(80), unique=True)
    details: Mapped[dict] = mapped_column(postgresql.JSONB, default=dict)
    orders: Mapped[list["Order"]] = relationship(back_populates="customer", cascade="all, delete-orphan")


class Order(Base):
    __tablename__ = "orders"
    __table_args__ = (
        sa.Index("ix_orders_state_placed", "state", sa.text("placed DESC")),
        sa.CheckConstraint("total >= 0", name="total_not_negative"),
    )
    id: Mapped[int] = mapped_column(sa.Identity(), primary_key=True)
    customer_id: Mapped[int] = mapped_column(sa.ForeignKey("customers.id", ondelete="CASCADE"), index=True)
    state: Mapped[State] = mapped_column(sa.Enum(State, name="order_state"), default=State.open)
    total: Mapped[decimal.Decimal] = mapped_column(sa.Numeric(10, 2))
    tags: Mapped[list[str]] = mapped_column(postgresql.ARRAY(sa.Text), server_default="{}")
    placed: Mapped[datetime.datetime] = mapped_column(sa.DateTime(timezone=True), server_default=sa.func.now())
    customer: Mapped[Customer] = relationship(back_populates="orders")


def schemas(engines):
    for engine, tenant in zip(engines, TENANTS):
        with engine.connect() as connection:
            assert connection.scalar(sa.select(sa.func.current_schema())) == tenant
            assert engine.dialect.default_schema_name == tenant


def create(engines):
    """In one tenant first: the other must not see it, and then get its own."""
    for number, engine in enumerate(engines):
        for other in engines[number:]:
            assert not sa.inspect(other).has_table("orders")
        Base.metadata.create_all(engine)
        Base.metadata.create_all(engine)


def reflection(engines):
    for engine in engines:
        inspector = sa.inspect(engine)
        assert set(inspector.get_table_names()) == {"customers", "orders", "plans", "posts", "users"}
        columns = {column["name"]: column for column in inspector.get_columns("orders")}
        assert list(columns) == ["id", "customer_id", "state", "total", "tags", "placed"]
        assert columns["state"]["type"].enums == ["open", "paid"]
        assert columns["id"]["identity"]["start"] == 1 and not columns["total"]["nullable"]
        assert inspector.get_pk_constraint("orders")["constrained_columns"] == ["id"]
        (key,) = inspector.get_foreign_keys("orders")
        assert key["referred_schema"] is None and key["referred_table"] == "customers"
        assert key["options"] == {"ondelete": "CASCADE"}
        indexes = {index["name"] for index in inspector.get_indexes("orders")}
        assert indexes == {"ix_orders_state_placed", "ix_orders_customer_id"}
        assert [each["column_names"] for each in inspector.get_unique_constraints("customers")] == [["name"]]
        assert [each["name"] for each in inspector.get_check_constraints("orders")] == ["total_not_negative"]
        assert [each["name"] for each in inspector.get_enums()] == ["order_state"]
        assert inspector.has_table("orders") and not inspector.has_table("missing")
        assert {"customers_id_seq", "orders_id_seq"} <= set(inspector.get_sequence_names())
        found = sa.MetaData()
        found.reflect(engine)
        assert found.tables["posts"].c.user_id.references(found.tables["users"].c.id)
        assert found.tables["orders"].c.customer_id.references(found.tables["customers"].c.id)
        reflected = sa.Table("plans", sa.MetaData(), autoload_with=engine)
        assert list(reflected.c.keys()) == ["id", "name", "price_cents"]


def orm(engines):
    sessions = [Session(engine) for engine in engines]
    for session, tenant in zip(sessions, TENANTS):
        orders = [Order(total=number, tags=[tenant, str(number)]) for number in range(3)]
        session.add(Customer(name=tenant, details={"tenant": tenant}, orders=orders))
    for session in sessions:
        session.commit()
    for session, tenant in zip(sessions, TENANTS):
        (customer,) = session.scalars(sa.select(Customer).options(selectinload(Customer.orders)))
        assert (customer.name, customer.details) == (tenant, {"tenant": tenant})
        assert [order.tags for order in customer.orders] == [[tenant, str(number)] for number in range(3)]
        customer.orders[1].state = State.paid
        del customer.orders[2]
        session.commit()
        query = sa.select(Customer.name, sa.func.sum(Order.total)).join(Order.customer).group_by(Customer.name)
        assert session.execute(query).all() == [(tenant, 1)]
        paid = sa.select(Order).where(Order.state == State.paid).with_for_update(skip_locked=True)
        assert [order.total for order in session.scalars(paid)] == [1]
        session.rollback()
        has = Customer.details["tenant"].astext == tenant
        assert session.scalar(sa.select(sa.func.count()).where(has).select_from(Customer)) == 1
        assert session.get(Order, customer.orders[0].id).customer is customer
        session.close()


def bulk(engines):
    """`insertmanyvalues` with RETURNING, upserts, and an executemany of updates."""
    for engine, tenant in zip(engines, TENANTS):
        with Session(engine) as session:
            rows = [{"name": f"{tenant} {number}", "details": {"n": number}} for number in range(2500)]
            made = session.scalars(sa.insert(Customer).returning(Customer, sort_by_parameter_order=True), rows)
            assert [customer.name for customer in made] == [row["name"] for row in rows]
            upsert = postgresql.insert(Customer).values(name=f"{tenant} 0", details={"n": -1})
            upsert = upsert.on_conflict_do_update(index_elements=["name"], set_={"details": upsert.excluded.details})
            session.execute(upsert)
            session.commit()
            details = sa.select(Customer.details).where(Customer.name == f"{tenant} 0")
            assert session.scalar(details) == {"n": -1}
            changed = [{"id": customer.id, "details": {}} for customer in session.scalars(sa.select(Customer).limit(50))]
            session.execute(sa.update(Customer), changed)
            session.commit()
            assert session.execute(sa.delete(Customer).where(Customer.name.like(f"{tenant} %"))).rowcount == 2500
            session.commit()
            assert session.scalars(sa.select(Customer.name)).all() == [tenant]


def savepoints(engines):
    for engine, tenant in zip(engines, TENANTS):
        with Session(engine) as session:
            session.add(Customer(name="kept"))
            try:
                with session.begin_nested():
                    session.add(Customer(name=tenant))
            except sa.exc.IntegrityError as error:
                assert error.orig.sqlstate == "23505"
            else:
                raise AssertionError("a name twice")
            with session.begin_nested():
                session.add(Customer(name="kept too"))
            names = sa.select(Customer.name).order_by(Customer.id)
            assert session.scalars(names).all() == [tenant, "kept", "kept too"]
            session.rollback()
            assert session.scalars(names).all() == [tenant]


def isolation_levels(engines):
    for engine, tenant in zip(engines, TENANTS):
        for level in ("SERIALIZABLE", "REPEATABLE READ", "READ COMMITTED", "AUTOCOMMIT"):
            with engine.connect().execution_options(isolation_level=level) as connection:
                shown = connection.exec_driver_sql("SHOW transaction_isolation").scalar()
                assert shown == ("read committed" if level == "AUTOCOMMIT" else level.lower())
                assert connection.scalars(sa.select(Customer.name)).all() == [tenant]
        read_only = {"isolation_level": "SERIALIZABLE", "postgresql_readonly": True, "postgresql_deferrable": True}
        with engine.connect().execution_options(**read_only) as connection:
            assert connection.scalars(sa.select(Customer.name)).all() == [tenant]
            try:
                connection.execute(sa.delete(Customer))
            except sa.exc.InternalError as error:
                assert error.orig.sqlstate == "25006"
            else:
                raise AssertionError("a write in a read-only transaction")
        with engine.connect() as connection:
            assert connection.exec_driver_sql("SHOW transaction_isolation").scalar() == "read committed"
            assert connection.exec_driver_sql("SHOW transaction_read_only").scalar() == "off"


def streams(engines):
    numbers = sa.select(sa.func.generate_series(1, 5000), sa.func.current_schema())
    with engines[0].connect() as acme, engines[1].connect() as globex:
        left = acme.execution_options(stream_results=True, max_row_buffer=100).execute(numbers)
        right = globex.execution_options(yield_per=70).execute(numbers)
        for number, (mine, theirs) in enumerate(zip(left, right, strict=True), start=1):
            assert mine == (number, "acme_corp") and theirs == (number, "globex")


def pools(urls):
    """More threads than servers; each connection is pinged before use and reset after it."""
    engines = [sa.create_engine(url, pool_size=4, max_overflow=2, pool_pre_ping=True) for url in urls]
    failures = []

    def work(engine, tenant):
        try:
            for number in range(15):
                with Session(engine) as session:
                    assert session.scalars(sa.select(Customer.name)).all() == [tenant]
                    if number % 3 == 0:
                        session.add(Customer(name=f"dropped {number} {threading.get_ident()}"))
                        session.flush()
                        session.rollback()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=pair) for pair in list(zip(engines, TENANTS)) * 6]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for engine in engines:
        engine.dispose()
    if failures:
        raise failures[0]


def ddl_between(engines):
    """A prepared statement's result changes its columns in between."""
    for engine in engines:
        with engine.connect() as connection:
            star = sa.text("SELECT * FROM customers WHERE name = :name")
            for _ in range(8):
                assert len(connection.execute(star, {"name": "x"}).keys()) == 3
            connection.commit()
        with engine.begin() as connection:
            connection.execute(sa.text("ALTER TABLE customers ADD COLUMN note text NOT NULL DEFAULT 'none'"))
        with engine.begin() as connection:
            assert len(connection.execute(star, {"name": "x"}).keys()) == 4
            connection.execute(sa.text("ALTER TABLE customers DROP COLUMN note"))


async def asynchronous(urls):
    def engine(url):
        # SQLAlchemy has no way to hand `options` to asyncpg but this one.
        return create_async_engine("postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(url), pool_size=3)

    engines = [engine(url) for url in urls]

    async def work(engine, tenant):
        maker = async_sessionmaker(engine, expire_on_commit=False)
        for number in range(5):
            async with maker() as session:
                (customer,) = await session.scalars(sa.select(Customer).options(selectinload(Customer.orders)))
                assert customer.name == tenant and customer.orders[1].state is State.paid
                session.add(Order(customer=customer, total=number, state=State.open, tags=["async"]))
                async with session.begin_nested():
                    await session.flush()
                await session.rollback()
        async with engine.connect() as connection:
            stream = await connection.stream(sa.select(sa.func.generate_series(1, 3000)))
            assert sum([row[0] async for row in stream]) == 3000 * 3001 // 2

    jobs = [work(*pair) for pair in list(zip(engines, TENANTS)) * 4]
    await asyncio.gather(*jobs)
    for engine in engines:
        await engine.dispose()


ENVIRONMENT = """
from alembic import context
connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=context.config.attributes["metadata"], transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
"""
FIRST = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "0001", None
def upgrade():
    op.create_table("invoices", sa.Column("id", sa.Integer, primary_key=True), sa.Column("sum", sa.Integer, nullable=False),
                    sa.Column("kind", sa.Enum("in", "out", name="invoice_kind")))
    op.bulk_insert(sa.table("invoices", sa.column("sum", sa.Integer)), [{"sum": 1}, {"sum": 2}])
def downgrade():
    op.drop_table("invoices")
    op.execute("DROP TYPE invoice_kind")
"""
SECOND = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "0002", "0001"
def upgrade():
    op.add_column("invoices", sa.Column("customer_id", sa.Integer))
    op.create_foreign_key("invoices_customer", "invoices", "customers", ["customer_id"], ["id"])
    op.alter_column("invoices", "sum", new_column_name="total", type_=sa.BigInteger)
    with op.get_context().autocommit_block():
        op.create_index("ix_invoices_total", "invoices", ["total"], postgresql_concurrently=True)
def downgrade():
    op.drop_index("ix_invoices_total")
    op.alter_column("invoices", "total", new_column_name="sum", type_=sa.Integer)
    op.drop_column("invoices", "customer_id")
"""


def migrations(engines):
    with tempfile.TemporaryDirectory() as folder:
        versions = Path(folder) / "versions"
        versions.mkdir()
        (Path(folder) / "env.py").write_text(ENVIRONMENT)
        (versions / "0001.py").write_text(FIRST)
        (versions / "0002.py").write_text(SECOND)

        def run(engine, command, *arguments):
            config = alembic.config.Config()
            config.set_main_option("script_location", folder)
            with engine.connect() as connection:
                config.attributes.update(connection=connection, metadata=Base.metadata)
                command(config, *arguments)
                connection.commit()

        run(engines[0], alembic.command.upgrade, "head")
        assert not sa.inspect(engines[1]).has_table("invoices")
        run(engines[1], alembic.command.upgrade, "0001")
        assert {column["name"] for column in sa.inspect(engines[1]).get_columns("invoices")} == {"id", "sum", "kind"}
        run(engines[1], alembic.command.upgrade, "head")
        for engine in engines:
            run(engine, alembic.command.upgrade, "head")
            inspector = sa.inspect(engine)
            assert [index["name"] for index in inspector.get_indexes("invoices")] == ["ix_invoices_total"]
            assert inspector.get_foreign_keys("invoices")[0]["referred_table"] == "customers"
            with engine.connect() as connection:
                assert connection.scalars(sa.text("SELECT total FROM invoices ORDER BY id")).all() == [1, 2]
                assert connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == "0002"
        run(engines[0], alembic.command.downgrade, "base")
        assert not sa.inspect(engines[0]).has_table("invoices") and sa.inspect(engines[1]).has_table("invoices")
        run(engines[1], alembic.command.downgrade, "base")
        for engine in engines:
            with engine.begin() as connection:
                connection.execute(sa.text("DROP TABLE alembic_version"))


def drop(engines):
    Base.metadata.drop_all(engines[0])
    assert not sa.inspect(engines[0]).has_table("orders") and sa.inspect(engines[1]).has_table("orders")
    Base.metadata.drop_all(engines[1])
    for engine in engines:
        assert sorted(sa.inspect(engine).get_table_names()) == ["plans", "posts", "users"]
        assert sa.inspect(engine).get_enums() == []


def main():
    plain = sys.argv[1:3]
    urls = [url.replace("postgresql://", "postgresql+psycopg://") for url in plain]
    engines = [sa.create_engine(url) for url in urls]
    with engines[0].connect() as connection:
        public = connection.scalars(sa.text(PUBLIC)).all()
    steps = [schemas, create, reflection, orm, bulk, savepoints, isolation_levels, streams, ddl_between]
    steps += [lambda _: pools(urls), lambda _: asyncio.run(asynchronous(plain)), migrations, drop]
    names = [step.__name__ for step in steps]
    names[9:11] = ["pools", "asynchronous"]
    for name, step in zip(names, steps):
        try:
            step(engines)
        except BaseException:
            print(f"{name} failed", file=sys.stderr)
            raise
        print(name, "passed")
    with engines[1].connect() as connection:
        assert connection.scalars(sa.text(PUBLIC)).all() == public


main()
