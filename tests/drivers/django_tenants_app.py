"""An application on django-tenants: one connection for all tenants, and a SET search_path for each.

argv[1] is the URL of a user with no tenant of its own. argv[2] says what becomes of a path that names another tenant:
"switches", or "refused" where the user may not switch. Then nothing may be read at all: django-tenants passes over the
error, and would go on with the path of before.
"""

import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import django
from django.conf import settings

ROWS = {"acme_corp": ["Alice", "Bob", "Carol"], "globex": ["Hank", "Mindy"]}
MODELS = """
from django.db import models
from django_tenants.models import DomainMixin, TenantMixin

class Client(TenantMixin):
    pass

class Domain(DomainMixin):
    pass

class User(models.Model):
    name = models.TextField()
    email = models.TextField()

    class Meta:
        db_table = "users"
        managed = False
"""


def set_up(url, limit_calls, folder):
    package = Path(folder) / "shop"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "models.py").write_text(MODELS)
    sys.path.insert(0, folder)
    parts = urlsplit(url)
    database = {
        "ENGINE": "django_tenants.postgresql_backend",
        "NAME": parts.path.lstrip("/"),
        "USER": parts.username,
        "PASSWORD": parts.password,
        "HOST": parts.hostname,
        "PORT": parts.port,
        "CONN_MAX_AGE": None,
    }
    apps = ["django_tenants", "django.contrib.contenttypes", "shop"]
    settings.configure(
        DATABASES={"default": database},
        DATABASE_ROUTERS=["django_tenants.routers.TenantSyncRouter"],
        INSTALLED_APPS=apps,
        SHARED_APPS=apps,
        TENANT_APPS=["django.contrib.contenttypes", "shop"],
        TENANT_MODEL="shop.Client",
        TENANT_DOMAIN_MODEL="shop.Domain",
        TENANT_LIMIT_SET_CALLS=limit_calls,
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        SILENCED_SYSTEM_CHECKS=["*"],
    )
    django.setup()


def switches(user, connection, schema_context):
    from django.db import connections, transaction

    for _ in range(3):
        for tenant, rows in ROWS.items():
            with schema_context(tenant):
                assert [u.name for u in user.objects.order_by("id")] == rows, tenant
                assert [u.name for u in user.objects.order_by("id").iterator(chunk_size=1)] == rows, tenant
                with transaction.atomic():
                    made = user.objects.create(name="new", email="new")
                    assert user.objects.count() == len(rows) + 1
                    with transaction.atomic():
                        user.objects.filter(id=made.id).update(name="newer")
                    made.delete()
                try:
                    with transaction.atomic():
                        user.objects.create(name="gone", email="gone")
                        raise KeyError
                except KeyError:
                    pass
                assert user.objects.count() == len(rows), tenant
    # The schema of those that belong to no tenant.
    connection.set_schema_to_public()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM plans")
        assert cursor.fetchone()[0] > 0
        cursor.execute("SELECT name FROM users")
        assert cursor.fetchall() == [("Template",)]
    # Within a transaction that has read: a switch is refused, and nothing is read of the tenant of before.
    from django.db.utils import DatabaseError

    connection.set_schema("acme_corp")
    try:
        with transaction.atomic():
            user.objects.count()
            connection.set_schema("globex")
            names = [u.name for u in user.objects.all()]
            raise AssertionError(f"rows of {names} in the middle of another tenant's transaction")
    except DatabaseError:
        pass
    assert [u.name for u in user.objects.order_by("id")] == ROWS["globex"]
    connections.close_all()


def refused(user, connection, schema_context):
    from django.db.utils import DatabaseError

    for _ in range(3):
        for tenant in ROWS:
            with schema_context(tenant):
                for work in (
                    lambda: list(user.objects.all()),
                    lambda: user.objects.create(name="lost", email="lost"),
                    lambda: connection.cursor().execute("SELECT name FROM users"),
                ):
                    try:
                        work()
                    except DatabaseError as error:
                        assert getattr(error.__cause__, "sqlstate", None) == "42501", error
                    else:
                        raise AssertionError(f"{tenant}: a statement ran behind a path that was refused")
    connection.set_schema_to_public()
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM users")
        assert cursor.fetchall() == [("Template",)]


def main():
    url, mode = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as folder:
        set_up(url, len(sys.argv) > 3, folder)
        from django.db import connection
        from django_tenants.utils import schema_context
        from shop.models import User

        {"switches": switches, "refused": refused}[mode](User, connection, schema_context)
    print("ok")


main()
