import django.db.models.deletion
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

_ROOM = {"inventory_device": 50, "inventory_sighting": 50}


def leave_room(_apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    """On PostgreSQL: half of each page stays free, so that times move on within it and no index is touched."""
    if editor.connection.vendor == "postgresql":
        for table, percent in _ROOM.items():
            editor.execute(f"ALTER TABLE {table} SET (fillfactor = {percent})", params=None)


def fill_up(_apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor == "postgresql":
        for table in _ROOM:
            editor.execute(f"ALTER TABLE {table} RESET (fillfactor)", params=None)


class Migration(migrations.Migration):
    dependencies = [("inventory", "0007_lists")]
    operations = [
        migrations.AddField(
            model_name="device",
            name="said_bytes",
            field=models.UUIDField(editable=False, null=True),
        ),
        migrations.AddIndex(
            model_name="device",
            index=models.Index(fields=["site", "said_bytes"], name="device_said_bytes"),
        ),
        migrations.AlterField(
            model_name="device",
            name="site",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="devices",
                to="inventory.site",
            ),
        ),
        migrations.RunPython(leave_room, fill_up),
    ]
