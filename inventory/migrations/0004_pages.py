import logging
from typing import Final

import django.db.models.deletion
from django.apps.registry import Apps
from django.conf import settings
from django.db import DatabaseError, migrations, models, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

_log: Final = logging.getLogger(__name__)
_BEGINS: Final = ("address", "mac", "manufacturer", "brand")
_WITHIN: Final = ("hostname", "serial", "model")
_INDEX: Final = "CREATE INDEX device_within ON inventory_device USING gin ({})".format(
    ", ".join(f"upper({column}::text) gin_trgm_ops" for column in _WITHIN)
)


def index_words(_apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """On PostgreSQL: indexes for the words of a search; SQLite reads its table, which is small."""
    if editor.connection.vendor != "postgresql":
        return
    for column in _BEGINS:
        editor.execute(
            f"CREATE INDEX device_begins_{column} ON inventory_device (upper({column}::text) text_pattern_ops)",
            params=None,
        )
    try:
        with transaction.atomic(using=editor.connection.alias):
            editor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm", params=None)
            editor.execute(_INDEX, params=None)
    except DatabaseError:
        # Who owns the database may make it; without the extension searches work, and are slow.
        _log.warning("the extension pg_trgm cannot be made: searches among devices will read the whole table")


def drop_words(_apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor == "postgresql":
        for column in _BEGINS:
            editor.execute(f"DROP INDEX device_begins_{column}", params=None)
        editor.execute("DROP INDEX IF EXISTS device_within", params=None)


class Migration(migrations.Migration):
    dependencies = [
        ("inventory", "0003_fleet"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [
        migrations.CreateModel(
            name="SignInFailure",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key", models.CharField(max_length=64, unique=True)),
                ("since", models.DateTimeField(db_index=True)),
                ("count", models.PositiveIntegerField(default=0)),
            ],
            options={"ordering": ["key"]},
        ),
        migrations.CreateModel(
            name="SavedView",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=60)),
                ("query", models.CharField(blank=True, default="", max_length=2000)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="views",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "ordering": ["name"],
                "constraints": [models.UniqueConstraint(fields=("user", "name"), name="saved_view")],
            },
        ),
        migrations.RunPython(index_words, drop_words),
    ]
