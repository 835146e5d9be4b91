"""The code of docs/guides/sqlalchemy.md and docs/guides/django-tenants.md.

The arguments are a guide's name, and a URL and its tenant; or a URL with no tenant, the word `switch`, and the users of
each tenant as JSON, who are read on one connection.
"""

import asyncio
import json
import os
import pathlib
import re
import sys
import types
from urllib.parse import urlsplit

guide, address, tenant = sys.argv[1:4]
url = urlsplit(address)
page = (pathlib.Path(__file__).parent / "../../docs/guides" / f"{guide}.md").read_text()


def code(first, names):
    """Runs the guide's block that has this line: with the server and the tenant of this run."""
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    block = next(block for block in blocks if first in block)
    block = block.replace("app@127.0.0.1:6432", f"app:{url.password}@{url.hostname}:{url.port}")
    block = block.replace('"PORT": "6432"', f'"PORT": "{url.port}"').replace("acme_corp", tenant)
    exec(compile(block, f"{guide}.md", "exec"), names)
    return names


def sqlalchemy():
    from sqlalchemy import create_engine, select, text
    from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

    class Base(DeclarativeBase):
        pass

    class User(Base):
        __tablename__ = "users"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        email: Mapped[str] = mapped_column(default="new@example.com")

    if tenant != "switch":
        engine = code("import create_engine", {})["engine"]
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT current_schema()")) == tenant
        engine = code("import create_async_engine", {})["engine"]

        async def schema():
            async with engine.connect() as connection:
                found = await connection.scalar(text("SELECT current_schema()"))
            await engine.dispose()
            return found

        assert asyncio.run(schema()) == tenant
        return
    server = f"{url.hostname}:{url.port}"
    engine = create_engine(f"postgresql+psycopg://app:{url.password}@{server}/app", pool_size=1, max_overflow=0)
    users = json.loads(sys.argv[4])
    globals()["tenant"] = next(iter(users))
    code("@event.listens_for", {"engine": engine, "User": User})
    for name, names in list(users.items()) * 3:
        with Session(engine, info={"tenant": name}) as session:
            found = session.scalars(select(User.name).order_by(User.id)).all()
            # The guide's own code has added one to the first tenant.
            assert found == names + (["Alice"] if name == tenant else []), (name, found)


def django():
    import django as framework
    from django.conf import settings

    os.environ.update(PGPASSWORD=url.password, TENANT=tenant)
    databases = code("DATABASES = {", {"os": os})["DATABASES"]
    if tenant == "switch":
        del databases["default"]["OPTIONS"]
    settings.configure(DATABASES=databases, USE_TZ=True)
    framework.setup()
    from django.db import connection

    def names():
        with connection.cursor() as cursor:
            cursor.execute("SELECT name FROM users ORDER BY id")
            return [name for (name,) in cursor.fetchall()]

    if tenant != "switch":
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_schema()")
            assert cursor.fetchone() == (tenant,)
        return
    enter = code("class TenantMiddleware", {})["TenantMiddleware"](lambda request: names())
    for name, expected in list(json.loads(sys.argv[4]).items()) * 3:
        request = types.SimpleNamespace(get_host=lambda: f"{name}.example.com")
        assert enter(request) == expected, name


{"sqlalchemy": sqlalchemy, "django-tenants": django}[guide]()
