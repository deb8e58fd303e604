from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import OuterRef, Subquery


def look_through_runs(apps: Apps, _editor: BaseDatabaseSchemaEditor) -> None:
    """Write down at each site when it was last scanned completely."""
    complete = apps.get_model("inventory", "Run").objects.filter(site=OuterRef("pk"), complete=True)
    last = complete.order_by("-started").values("finished")[:1]
    apps.get_model("inventory", "Site").objects.update(scanned=Subquery(last))


class Migration(migrations.Migration):
    dependencies = [("inventory", "0009_sign_on")]
    operations = [
        migrations.AddField(
            model_name="site",
            name="scanned",
            field=models.DateTimeField(editable=False, null=True),
        ),
        migrations.RunPython(look_through_runs, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(condition=models.Q(("settled", None)), fields=["-at"], name="alert_open"),
        ),
    ]
