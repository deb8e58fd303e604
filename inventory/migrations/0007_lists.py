from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("inventory", "0006_knowledge"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="device",
            index=models.Index(fields=["level", "id"], name="device_level"),
        ),
        migrations.AddIndex(
            model_name="device",
            index=models.Index(fields=["device_class", "id"], name="device_kind"),
        ),
        migrations.AddIndex(
            model_name="device",
            index=models.Index(
                condition=models.Q(("conflicted", True)), fields=["id"], name="device_conflicted"
            ),
        ),
    ]
