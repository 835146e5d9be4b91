"""An application on Django: argv[1] and argv[2] are acme_corp's and globex's URLs.

Each database of the settings is a tenant. Models, migrations and queries know nothing of it.
"""

import io
import sys
import tempfile
import threading
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import django
from django.conf import settings

ALIASES = {"default": "acme_corp", "globex": "globex"}
PUBLIC = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY relname"
FIRST = """
from django.db import migrations, models

def fill(apps, schema_editor):
    genre = apps.get_model("shop", "Genre")
    genre.objects.using(schema_editor.connection.alias).bulk_create([genre(name=name) for name in ("crime", "essay")])

class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel("Genre", [("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")), ("name", models.CharField(max_length=40, unique=True))]),
        migrations.CreateModel("Book", [
            ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
            ("title", models.CharField(max_length=200, db_index=True)),
            ("price", models.DecimalField(max_digits=8, decimal_places=2)),
            ("stock", models.IntegerField(default=0)),
            ("genre", models.ForeignKey("shop.genre", models.CASCADE, related_name="books", null=True)),
        ]),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
"""
SECOND = """
import django.contrib.postgres.fields
from django.conf import settings
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

class Migration(migrations.Migration):
    atomic = False
    dependencies = [("shop", "0001_initial"), migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
    operations = [
        migrations.AddField("book", "details", models.JSONField(default=dict)),
        migrations.AddField("book", "tags", django.contrib.postgres.fields.ArrayField(models.CharField(max_length=20), default=list)),
        migrations.AddField("book", "readers", models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="read")),
        migrations.AddField("book", "added", models.DateTimeField(auto_now_add=True, null=True)),
        migrations.AlterField("book", "stock", models.BigIntegerField(default=0)),
        migrations.AddConstraint("book", models.CheckConstraint(condition=models.Q(price__gte=0), name="price_not_negative")),
        AddIndexConcurrently("book", models.Index(fields=["genre", "-price"], name="book_genre_price")),
    ]
"""


def database(url):
    """What a settings file has for this URL."""
    parts = urlsplit(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": parts.username,
        "PASSWORD": parts.password,
        "HOST": parts.hostname,
        "PORT": parts.port,
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"options": parse_qs(parts.query)["options"][0]},
    }


def set_up(urls, folder):
    """An installed app `shop`, with its migrations in a folder as any app has them."""
    package = Path(folder) / "shop" / "migrations"
    package.mkdir(parents=True)
    for file in (package.parent / "__init__.py", package / "__init__.py"):
        file.touch()
    (package / "0001_initial.py").write_text(FIRST)
    (package / "0002_more.py").write_text(SECOND)
    (package.parent / "models.py").write_text(MODELS)
    sys.path.insert(0, folder)
    contrib = ["admin", "auth", "contenttypes", "messages", "postgres", "sessions"]
    settings.configure(
        INSTALLED_APPS=[f"django.contrib.{name}" for name in contrib] + ["shop"],
        DATABASES={alias: database(url) for alias, url in zip(ALIASES, urls)},
        SECRET_KEY="only for tests",
        USE_TZ=True,
        TIME_ZONE="Europe/Berlin",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        SESSION_ENGINE="django.contrib.sessions.backends.db",
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    )
    django.setup()


MODELS = """
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models

class Genre(models.Model):
    name = models.CharField(max_length=40, unique=True)

class Book(models.Model):
    title = models.CharField(max_length=200, db_index=True)
    price = models.DecimalField(max_digits=8, decimal_places=2)
    stock = models.BigIntegerField(default=0)
    genre = models.ForeignKey(Genre, models.CASCADE, related_name="books", null=True)
    details = models.JSONField(default=dict)
    tags = ArrayField(models.CharField(max_length=20), default=list)
    readers = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="read")
    added = models.DateTimeField(auto_now_add=True, null=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(price__gte=0), name="price_not_negative")]
        indexes = [models.Index(fields=["genre", "-price"], name="book_genre_price")]
"""


def command(name, *arguments, **options):
    from django.core.management import call_command

    said = io.StringIO()
    call_command(name, *arguments, stdout=said, no_color=True, **options)
    return said.getvalue()


def tables(alias):
    from django.db import connections

    return set(connections[alias].introspection.table_names())


def migrate():
    for alias in ALIASES:
        assert "auth_user" not in tables(alias)
        said = command("migrate", database=alias, interactive=False)
        assert "Applying shop.0002_more... OK" in said and "Applying auth.0012" in said, said
        assert "No migrations to apply" in command("migrate", database=alias, interactive=False)
        assert {"auth_user", "django_session", "django_admin_log", "shop_book_readers"} <= tables(alias)
    said = command("makemigrations", dry_run=True, verbosity=3)
    assert "No changes detected" in said, said
    command("migrate", "shop", "0001", database="globex", interactive=False)
    assert "shop_book_readers" not in tables("globex") and "shop_book_readers" in tables("default")
    command("migrate", database="globex", interactive=False)
    shown = command("showmigrations", database="globex")
    assert "[X] 0002_more" in shown and "[ ]" not in shown


def orm():
    from django.contrib.auth.models import Permission, User
    from django.db.models import Avg, Count, F, OuterRef, Prefetch, Q, Subquery, Sum, Window
    from django.db.models.functions import Rank, TruncDay
    from shop.models import Book, Genre

    for alias, tenant in ALIASES.items():
        crime = Genre.objects.using(alias).get(name="crime")
        books = [Book(title=f"{tenant} {n}", price=n, stock=n, genre=crime, tags=[tenant]) for n in range(1000)]
        made = Book.objects.using(alias).bulk_create(books, batch_size=300)
        assert all(book.pk for book in made)
    for alias, tenant in ALIASES.items():
        objects = Book.objects.using(alias)
        assert objects.filter(title__startswith=tenant).count() == objects.count() == 1000
        assert objects.filter(Q(stock__lt=10) | Q(stock__gte=990), ~Q(title__endswith=" 5")).count() == 19
        assert objects.filter(stock__lt=10).update(stock=F("stock") + 1, details={"by": tenant}) == 10
        assert objects.filter(details__by=tenant, tags__contains=[tenant]).aggregate(Sum("stock"))["stock__sum"] == 55
        genres = Genre.objects.using(alias).annotate(n=Count("books"), mean=Avg("books__price")).order_by("name")
        assert [(genre.name, genre.n) for genre in genres] == [("crime", 1000), ("essay", 0)]
        dearest = objects.filter(genre=OuterRef("pk")).order_by("-price").values("title")[:1]
        assert Genre.objects.using(alias).annotate(best=Subquery(dearest)).get(name="crime").best == f"{tenant} 999"
        ranked = objects.annotate(rank=Window(Rank(), order_by=F("price").desc())).order_by("rank")[:3]
        assert [book.rank for book in ranked] == [1, 2, 3]
        assert objects.annotate(day=TruncDay("added")).values("day").distinct().count() == 1
        page = objects.select_related("genre").order_by("-price")[10:13]
        assert [(int(book.price), book.genre.name) for book in page] == [(n, "crime") for n in (989, 988, 987)]
        changed = list(objects.order_by("pk")[:50])
        for book in changed:
            book.stock = -1
        assert objects.bulk_update(changed, ["stock"]) == 50 and objects.filter(stock=-1).count() == 50
        again = [Genre(name="crime"), Genre(name="poems")]
        Genre.objects.using(alias).bulk_create(again, update_conflicts=True, unique_fields=["name"], update_fields=["name"])
        assert Genre.objects.using(alias).count() == 3
        assert not Genre.objects.using(alias).get_or_create(name="poems")[1]
        user = User.objects.db_manager(alias).create_user(tenant, password="secret")
        assert User.objects.using(alias).get(username=tenant).check_password("secret")
        user.user_permissions.add(Permission.objects.using(alias).get(codename="add_book"))
        assert user.has_perm("shop.add_book") and not user.has_perm("shop.delete_book")
        changed[0].readers.add(user)
        full = Prefetch("readers", queryset=User.objects.using(alias).order_by("pk"))
        assert objects.prefetch_related(full).get(pk=changed[0].pk).readers.all()[0].username == tenant
        union = objects.filter(stock=-1).values("title").union(objects.filter(stock=500).values("title"))
        assert union.count() == 51
        raw = objects.raw("SELECT * FROM shop_book WHERE title LIKE %s ORDER BY id LIMIT 2", [f"{tenant}%"])
        assert [book.title for book in raw] == [f"{tenant} 0", f"{tenant} 1"]
        assert "Index Scan" in objects.filter(pk=1).explain() or "Seq Scan" in objects.filter(pk=1).explain()


def sessions():
    from django.contrib.sessions.backends.db import SessionStore

    store = SessionStore()
    store["who"] = "acme"
    store.save()
    assert SessionStore(store.session_key)["who"] == "acme"
    assert not SessionStore.get_model_class().objects.using("globex").exists()


def transactions():
    from django.db import IntegrityError, connections, transaction
    from shop.models import Book, Genre

    for alias in ALIASES:
        objects = Book.objects.using(alias)
        done = []
        with transaction.atomic(using=alias):
            Genre.objects.using(alias).create(name="outer")
            try:
                with transaction.atomic(using=alias):
                    Genre.objects.using(alias).create(name="outer")
            except IntegrityError:
                pass
            else:
                raise AssertionError("a name twice")
            with transaction.atomic(using=alias):
                Genre.objects.using(alias).create(name="inner")
            transaction.on_commit(lambda: done.append(alias), using=alias)
        assert done == [alias] and Genre.objects.using(alias).filter(name__in=["outer", "inner"]).count() == 2
        try:
            with transaction.atomic(using=alias):
                Genre.objects.using(alias).all().delete()
                assert objects.count() == 0
                raise ZeroDivisionError
        except ZeroDivisionError:
            pass
        assert objects.count() == 1000
        try:
            objects.create(title="cheap", price=-1)
        except IntegrityError as error:
            assert error.__cause__.diag.constraint_name == "price_not_negative"
        else:
            raise AssertionError("a negative price")
        with transaction.atomic(using=alias):
            connections[alias].cursor().execute("SET LOCAL statement_timeout = '5s'")
            locked = objects.select_for_update(of=["self"], no_key=True).select_related("genre").order_by("pk").first()
            assert objects.select_for_update(skip_locked=True).count() == 1000
            locked.stock = 7
            locked.save(update_fields=["stock"])


def iterators():
    """Server-side cursors: in a transaction, and WITH HOLD outside of one."""
    from django.db import connections, transaction
    from shop.models import Book

    with transaction.atomic(using="default"), transaction.atomic(using="globex"):
        both = [Book.objects.using(alias).order_by("pk").iterator(chunk_size=150) for alias in ALIASES]
        pairs = [(mine.title, theirs.title) for mine, theirs in zip(*both, strict=True)]
    assert pairs == [(f"acme_corp {number}", f"globex {number}") for number in range(1000)]
    for alias, tenant in ALIASES.items():
        titles = [book.title for book in Book.objects.using(alias).order_by("pk").iterator(chunk_size=150)]
        assert titles == [f"{tenant} {number}" for number in range(1000)]


def inspect():
    for alias in ALIASES:
        said = command("inspectdb", "shop_book", "users", database=alias)
        assert "class ShopBook(models.Model):" in said and "ForeignKey('ShopGenre'" in said, said
        assert "price = models.DecimalField(max_digits=8, decimal_places=2)" in said, said
        assert "email = models.TextField(unique=True)" in said, said
        from django.db import connections

        with connections[alias].cursor() as cursor:
            found = connections[alias].introspection.get_constraints(cursor, "shop_book")
        assert found["book_genre_price"]["orders"] == ["ASC", "DESC"] and found["price_not_negative"]["check"]
        assert sum(each["primary_key"] for each in found.values()) == 1


def threads():
    """Requests of a threaded server: each thread has its own persistent connection."""
    from django.db import close_old_connections, connections, transaction
    from shop.models import Book

    failures = []

    def work(alias, tenant):
        try:
            for number in range(10):
                close_old_connections()
                with transaction.atomic(using=alias):
                    assert Book.objects.using(alias).get(title=f"{tenant} {number}").tags == [tenant]
                    with transaction.atomic(using=alias):
                        Book.objects.using(alias).filter(title=f"{tenant} {number}").update(details={"n": number})
        except BaseException as error:
            failures.append(error)
        finally:
            connections.close_all()

    workers = [threading.Thread(target=work, args=item) for item in list(ALIASES.items()) * 4]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failures:
        raise failures[0]


def flush():
    from django.contrib.auth.models import User
    from shop.models import Book

    said = command("dumpdata", "shop.genre", database="globex")
    assert '"name": "crime"' in said
    command("flush", database="default", interactive=False)
    assert not Book.objects.exists() and not User.objects.exists()
    assert Book.objects.using("globex").count() == 1000 and User.objects.using("globex").count() == 1
    assert Book.objects.create(title="anew", price=1).pk == 1
    statements = command("sqlsequencereset", "shop", database="globex")
    from django.db import connections

    for alias in ALIASES:
        with connections[alias].cursor() as cursor:
            cursor.execute(statements)
    assert Book.objects.create(title="next", price=1).pk == 2


def unmigrate():
    from django.db import connections

    for alias in ALIASES:
        for app in ("shop", "sessions", "admin", "auth", "contenttypes"):
            command("migrate", app, "zero", database=alias, interactive=False)
        assert tables(alias) & {"auth_user", "shop_book", "django_session"} == set()
        with connections[alias].cursor() as cursor:
            cursor.execute("DROP TABLE django_migrations")
            cursor.execute("SELECT current_schema()")
            assert cursor.fetchone() == (ALIASES[alias],)


def public():
    from django.db import connections

    with connections["globex"].cursor() as cursor:
        cursor.execute(PUBLIC)
        return cursor.fetchall()


def main():
    with tempfile.TemporaryDirectory() as folder:
        set_up(sys.argv[1:3], folder)
        before = public()
        for step in (migrate, orm, sessions, transactions, iterators, inspect, threads, flush, unmigrate):
            try:
                step()
            except BaseException:
                print(f"{step.__name__} failed", file=sys.stderr)
                raise
            print(step.__name__, "passed")
        assert public() == before


main()
