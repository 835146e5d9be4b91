"""Django's own applications, migrated by Django into the schema on the URL's search path; or used there.

    django_contrib.py URL migrate|use
"""
import sys
from urllib.parse import parse_qs, urlsplit

import django
from django.conf import settings

CONTRIB = ["admin", "auth", "contenttypes", "flatpages", "messages", "redirects", "sessions", "sites"]


def set_up(url):
    parts = urlsplit(url)
    settings.configure(
        INSTALLED_APPS=[f"django.contrib.{name}" for name in CONTRIB],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": parts.path.lstrip("/"),
                "USER": parts.username,
                "PASSWORD": parts.password,
                "HOST": parts.hostname,
                "PORT": parts.port,
                "OPTIONS": {"options": parse_qs(parts.query)["options"][0]},
            }
        },
        SECRET_KEY="only for tests",
        SITE_ID=1,
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    )
    django.setup()


def migrate():
    from django.core.management import call_command

    call_command("migrate", interactive=False, verbosity=0)


def use():
    """The first of everything, in a schema in which nothing was before."""
    from django.contrib.admin.models import ADDITION, LogEntry
    from django.contrib.auth.models import Group, User
    from django.contrib.contenttypes.models import ContentType
    from django.contrib.flatpages.models import FlatPage
    from django.contrib.sites.models import Site
    from django.db import IntegrityError, transaction

    assert not User.objects.exists() and not ContentType.objects.exists()
    user = User.objects.create_user("first")
    user.groups.add(Group.objects.create(name="all"))
    assert (user.pk, user.groups.get().pk) == (1, 1)
    kind = ContentType.objects.get_for_model(User)
    LogEntry.objects.create(user=user, content_type=kind, object_id="1", action_flag=ADDITION)
    page = FlatPage.objects.create(url="/a/", title="A")
    page.sites.add(Site.objects.create(domain="a.example", name="A"))
    assert (kind.pk, page.pk, page.sites.get().pk) == (1, 1, 1)
    try:
        with transaction.atomic():
            User.objects.create_user("first")
        raise AssertionError("a name twice")
    except IntegrityError:
        pass
    user.delete()
    assert not LogEntry.objects.exists()


set_up(sys.argv[1])
{"migrate": migrate, "use": use}[sys.argv[2]]()
